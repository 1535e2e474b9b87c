start("retina", (root, data, pixels) => {
  const { width, height, size, scales } = data;
  const sides = [width, height];
  let place = data.start;
  root.style.setProperty("--ramlib-color", glimpseColor(0));
  const stage = makeStage(width, height, size, scales, 0.25);
  const context = stage.canvas.getContext("2d");
  context.drawImage(pixels.canvas, 0, 0);
  Object.entries({
    tabindex: 0,
    role: "application",
    "data-lm-suppress-shortcuts": "true",
    "aria-label": "The retina on the image: drag it, or move it with the arrow keys",
  }).forEach(([key, value]) => stage.element.setAttribute(key, value));
  const patches = patchRow(size, scales);
  const captions = [...patches.row.children];
  captions.forEach((patch) => patch.append(node("br"), node("span")));
  const status = node("p", { class: "ramlib-status", role: "status", "aria-live": "polite" });

  const axes = ["x", "y"].map((name, i) => {
    const slider = node("input", {
      class: "ramlib-slider",
      type: "range",
      min: -1,
      max: 1,
      step: 0.01,
      "aria-label": `${name} of the location`,
    });
    const output = node("output", { "aria-hidden": "true" });
    slider.oninput = () => {
      const next = [...place];
      next[i] = +slider.value;
      go(next);
    };
    return { slider, output, row: box("axis", node("b", {}, name), slider, output) };
  });

  // In single precision, step by step, so that every tie falls as it does in the sensor.
  const f = Math.fround;
  const pixel = (value, side) => f(f(f(value) + 1) * f(side / 2));
  const corner = (at, span) => Math.floor(f(at - (span / 2 - 0.5)));

  function go(next) {
    place = next.map((value) => clamp(Math.round(value * 100) / 100, -1, 1) + 0);
    const at = place.map((value, i) => pixel(value, sides[i]));
    const corners = [];
    for (let s = 0; s < scales; s++) {
      const span = size * 2 ** s;
      const [left, top] = at.map((value) => corner(value, span));
      corners.push(left, top);
      drawPatch(patches.canvases[s], pixels, width, height, 0, left, top, 2 ** s);
      captions[s].lastChild.textContent = `from (${left}, ${top})`;
    }
    stage.place(corners, glimpseColor(0));
    const [x, y] = at.map((value) => value * stage.unit);
    stage.path.innerHTML = `<circle cx="${x}" cy="${y}" r="3.5" fill="${glimpseColor(0)}" stroke="#fff"/>`;
    axes.forEach(({ slider, output }, i) => {
      slider.value = place[i];
      output.textContent = place[i].toFixed(2);
    });
    const [px, py] = at.map((value) => value.toFixed(1));
    status.textContent = `Location (${place[0].toFixed(2)}, ${place[1].toFixed(2)}), which is (${px}, ${py}) in pixels`;
  }

  // From the pointer to a location: the image lies inside its stage by the margin.
  function follow(event) {
    const frame = stage.element.getBoundingClientRect();
    const scale = (width + 2 * stage.margin) / frame.width;
    const px = (event.clientX - frame.left) * scale - stage.margin;
    const py = (event.clientY - frame.top) * scale - stage.margin;
    go([(2 * px) / width - 1, (2 * py) / height - 1]);
  }
  stage.element.onpointerdown = (event) => {
    stage.element.setPointerCapture(event.pointerId);
    follow(event);
  };
  stage.element.onpointermove = (event) => {
    if (stage.element.hasPointerCapture(event.pointerId)) follow(event);
  };
  stage.element.onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (event.key != "Home" && !move) return;
    event.preventDefault();
    event.stopPropagation();
    go(move ? place.map((value, i) => value + move[i] * Math.max(0.01, 2 / sides[i])) : [0, 0]);
  };
  root.addEventListener("keydown", (event) => event.target.type == "range" && event.stopPropagation());

  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.title || "A retina to drag");
  go(place);
  const controls = node("div", {}, ...axes.map((axis) => axis.row));
  const side = box("side", node("div", {}, head("What the retina sees", scales > 1 ? "sharp to coarse" : ""), patches.row), controls);
  const main = box("main", stage.element, side, status);
  return data.title ? [node("p", { class: "ramlib-title" }, data.title), main] : [main];
});
