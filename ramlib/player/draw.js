const CELLS = 4; // of the paper, along a pixel of the image
const BRUSH = 4.5; // its radius in cells: with it, digits are as dark as MNIST's
const SOFT = 4; // cells over which its edge fades
const BOX = 20; // pixels: MNIST fits every digit into a square of that size
const KNOBS = [
  ["Across", -12, 12, 1, 0],
  ["Down", -12, 12, 1, 0],
  ["Size", 0.2, 1.6, 0.1, 1],
  ["Turn", -180, 180, 5, 0],
];

const article = (a) => (a == 8 ? "an " : "a ") + a;

// Draw your own: a pad in the place of the picker, and the live model that looks at it.
// `show` shows an episode in the player, as it shows recorded ones; `close` goes back.
function makePad({ root, data, pixels, stage, status, picker, stop, show, close }) {
  const { width, height, size, scales, episodes, steps } = data;
  const sides = [width, height];
  const [columns, rows] = sides.map((side) => side * CELLS);
  let ink = new Uint8ClampedArray(columns * rows);
  let first = [0, 0]; // the place of the first glimpse
  let std = 0;
  let seed = 1;
  let live = null; // the engine and the model, once they are there
  let asked = null;

  // -- ink on paper
  const paper = node("canvas", { width: columns, height: rows, className: "ramlib-paper" });

  function fill(cell) {
    ink = ink.map((old, i) => cell((i % columns) + 0.5, Math.floor(i / columns) + 0.5, old));
    const context = paper.getContext("2d");
    const picture = context.createImageData(columns, rows);
    ink.forEach((value, i) => picture.data.set([value, value, value, 255], 4 * i));
    context.putImageData(picture, 0, 0);
  }

  // What a soft round brush leaves from one point to another.
  function stroke([fromX, fromY], [toX, toY]) {
    const [dx, dy] = [toX - fromX, toY - fromY];
    fill((x, y, old) => {
      const along = clamp(((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy || 1), 0, 1);
      const far = Math.hypot(x - fromX - along * dx, y - fromY - along * dy);
      return Math.max(old, 255 * clamp((BRUSH - far) / SOFT + 0.5, 0, 1));
    });
  }

  // A stored digit, moved by pixels, scaled and turned about the middle of the paper.
  function placeDigit(number, [right, down, zoom, degrees]) {
    const [cos, sin] = [Math.cos, Math.sin].map((of) => of((degrees * Math.PI) / 180) / zoom);
    fill((column, row) => {
      const [x, y] = [column / CELLS - width / 2 - right, row / CELLS - height / 2 - down];
      const [u, v] = [x * cos + y * sin + width / 2, y * cos - x * sin + height / 2].map(Math.floor);
      const inside = u >= 0 && v >= 0 && u < width && v < height;
      return inside ? pixels.data[4 * ((number * height + v) * width + u)] : 0;
    });
  }

  // -- from the paper to the image

  // The mean ink in each pixel, where a pixel is `grain` cells wide and the
  // image begins at cell (left, top); beyond the paper there is none.
  function sample(left, top, grain) {
    const spans = (start, count, cells) =>
      Array.from({ length: count }, (_, i) => {
        const [low, high] = [start + i * grain, start + (i + 1) * grain];
        const span = [];
        for (let c = Math.max(0, Math.floor(low)); c < Math.min(cells, high); c++)
          span.push([c, (Math.min(high, c + 1) - Math.max(low, c)) / grain]);
        return span;
      });
    const [across, along] = [spans(left, width, columns), spans(top, height, rows)];
    return Uint8Array.from({ length: width * height }, (_, i) => {
      let sum = 0;
      for (const [row, tall] of along[Math.floor(i / width)])
        for (const [column, wide] of across[i % width]) sum += tall * wide * ink[row * columns + column];
      return Math.round(sum);
    });
  }

  // As MNIST was made: the box around the ink is scaled to 20 pixels, and moved by whole
  // pixels until its centre of mass is in the middle.
  function centred() {
    const cells = [...ink.keys()].filter((i) => ink[i]);
    const mass = cells.reduce((sum, i) => sum + ink[i], 0);
    const axes = [(i) => i % columns, (i) => Math.floor(i / columns)].map((axis) => {
      const at = cells.map(axis);
      const start = Math.min(...at);
      const middle = cells.reduce((sum, i) => sum + ink[i] * (axis(i) + 0.5), 0) / mass;
      return { start, length: Math.max(...at) + 1 - start, middle };
    });
    const grain = Math.max(...axes.map(({ length }) => length)) / BOX;
    const begin = axes.map(({ start, middle }, i) => start - grain * Math.round(sides[i] / 2 + 0.5 - (middle - start) / grain));
    return sample(...begin, grain);
  }

  // -- the model looks
  function look(playing) {
    const inked = ink.some((value) => value);
    root.classList.toggle("ramlib-blank", !live || !inked);
    if (!live || !inked) return wait();
    const { engine, config, model } = live;
    const grey = centre.checked ? centred() : sample(0, 0, CELLS);
    const random = engine.makeRandom(seed);
    const noise = Array.from({ length: steps }, () => engine.fill(2, () => std * engine.normal(random)));
    const images = [{ data: grey, width, height, white: 255 }];
    const run = engine.rollout(model, { images, T: steps, first: Float32Array.from(first), std: 1, noise });
    const best = run.map((step) => engine.answers(step, config.num_actions)[0]);
    const probs = run.map((step) => [...step.probs].map((share) => Math.floor(1000 * share)));
    const corners = ({ looked }) =>
      Array.from({ length: 2 * scales }, (_, i) => engine.corner(looked[i % 2], size * 2 ** (i >> 1), sides[i % 2]));
    const says = (t) => {
      const reads = `reads ${article(best[t])} (${percent(probs[t][best[t]])})`;
      return t == steps - 1 ? `It ${reads}` : `Glimpse ${t + 1} of ${steps}: it ${reads}`;
    };
    const points = run.map(({ looked }) => sides.map((side, i) => ((looked[i] + 1) * side) / 2));
    const values = run.map((step) => step.values[0]);
    show({ image: picture(grey), offset: 0, corners: run.map(corners), points, probs, best, values, says }, playing, steps - 1);
    told.textContent = says(steps - 1);
    drawHandle();
  }

  function wait() {
    stop();
    say(live ? "Draw a digit: the model looks at the end of each stroke." : "Loading the model (0.4 MB) …");
  }

  function say(text) {
    status.ariaLive = "polite";
    status.textContent = text;
  }

  function picture(grey) {
    const canvas = node("canvas", { width, height });
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    grey.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
    context.putImageData(image, 0, 0);
    return { canvas, width, data: image.data };
  }

  // -- the first place, to drag on the picture
  const layer = box("layer");
  for (const kind of ["pointerdown", "pointerup"]) layer.addEventListener(kind, (event) => event.stopPropagation());
  stage.element.append(layer);
  const handle = makeHandle(
    layer,
    "The first place: drag it, or move it with the arrow keys",
    (shares) => begin(shares.map((share, i) => (2 * (share * (sides[i] + 2 * stage.margin) - stage.margin)) / sides[i] - 1)),
    (move) => begin(first.map((at, i) => (move.some(Boolean) ? at + (2 * move[i]) / sides[i] : 0)))
  );
  function begin(next) {
    first = next.map((value) => clamp(value, -1, 1));
    look(false);
  }
  function drawHandle() {
    const [left, top] = sides.map((side, i) => (100 * (((first[i] + 1) * side) / 2 + stage.margin)) / (side + 2 * stage.margin) + "%");
    Object.assign(handle.style, { left, top });
  }

  // -- the pad
  let pen = null; // where it was last, while it is down
  const point = (event) => {
    const frame = paper.getBoundingClientRect();
    return [((event.clientX - frame.left) / frame.width) * columns, ((event.clientY - frame.top) / frame.height) * rows];
  };
  paper.onpointerdown = (event) => {
    if (!event.isPrimary || event.button) return;
    paper.setPointerCapture(event.pointerId);
    pen = point(event);
    stroke(pen, pen);
  };
  paper.onpointermove = (event) => {
    if (!pen) return;
    const next = point(event);
    stroke(pen, next);
    pen = next;
  };
  paper.onlostpointercapture = () => {
    pen = null;
    look(true);
  };

  const centre = node("input", { type: "checkbox", checked: true, ariaLabel: "Centre it, as MNIST does", onchange: () => look(false) });
  const sigma = slider("Chance σ", "Chance σ: how far each look may stray", { min: 0, max: 0.5, step: 0.05 }, (value) => {
    std = value;
    sigma.show(std, std.toFixed(2));
    anew.disabled = !std;
    look(false);
  });
  sigma.show(0, "0.00");

  const settings = KNOBS.map((knob) => knob[4]);
  const knobs = KNOBS.map(([name, min, max, step, start], i) => {
    const knob = slider(name, `${name}, of the stored digit`, { min, max, step }, (value) => {
      settings[i] = value;
      knob.show(value, String(value).replace("-", "−"));
      placeDigit(+stored.value, settings);
      look(false);
    });
    return knob;
  });
  const told = Object.assign(box("told"), { ariaHidden: true }); // beside the knobs, as the status may be out of view
  const turn = box("knobs", ...knobs.map(({ row }) => row), told);
  const options = Array.from({ length: episodes }, (_, e) => node("option", { value: e }, `Picture ${e + 1}` + (data.labels ? `: ${article(data.labels[e])}` : "")));
  const stored = node("select", { ariaLabel: "Stored picture" }, node("option", { value: "", hidden: true }, "Choose one"), ...options);
  stored.onchange = () => {
    turn.hidden = false;
    placeDigit(+stored.value, settings);
    look(true);
  };

  function clear() {
    blank();
    look(false);
  }
  function blank() {
    stored.value = "";
    turn.hidden = true;
    KNOBS.forEach(([, , , , start], i) => knobs[i].show((settings[i] = start), String(start)));
    fill(() => 0);
  }
  function again() {
    seed++;
    look(true);
  }
  const anew = Object.assign(button("Look again", again), { disabled: true });
  function back() {
    pad.hidden = true;
    picker.hidden = false;
    root.classList.remove("ramlib-live", "ramlib-blank");
    close();
    open.focus();
  }
  const pad = box(
    "pad",
    paper,
    box("row", button("Clear", clear), anew, button("Back", back)),
    box(
      "options",
      node("label", { className: "ramlib-check" }, centre, "Centre it, as MNIST does"),
      box("hint", "Scaled to 20 × 20 pixels and centred by its mass, as in training. Switch it off and draw small: it often fails."),
      sigma.row,
      box("hint", "At σ = 0 each look goes where the model likes best; above it, look again. The first starts at the ring on the picture: drag it.")
    ),
    node("details", {}, node("summary", {}, "Without a pointer: change a stored digit"), stored, turn)
  );
  Object.assign(pad, { role: "group", ariaLabel: "Draw your own", tabIndex: -1, hidden: true });
  pad.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key == "Escape") back();
  });

  const open = button("Draw your own", () => {
    pad.hidden = false;
    picker.hidden = true;
    root.classList.add("ramlib-live");
    pad.focus({ preventScroll: true });
    paper.scrollIntoView({ block: "nearest" });
    asked ??= loadModel(data.live).then((made) => (live = made));
    const fail = (error) => {
      asked = null;
      if (!pad.hidden) say(error.message);
    };
    asked.then(() => pad.hidden || look(true), fail);
    look(true);
  });
  picker.append(open);
  picker.after(pad);
  blank();
}
