const icon = (path) => `<svg viewBox="0 0 20 20" aria-hidden="true"><path d="${path}"/></svg>`;
const PLAY = icon("M5 2.5v15l13-7.5z");
const PAUSE = icon("M4 3h4v14H4zM12 3h4v14h-4z");
const BEAT = 1000;
// In thousandths first: 0.145 * 100 is a little less than 14.5.
const percent = (thousandths) => Math.round(thousandths / 10) + "\u00a0%";

start("glimpses", "Glimpse player", (root, data, pixels) => {
  const { width, height, size, scales, episodes, steps, labels } = data;
  const count = data.probs.length / episodes / steps;
  let episode = 0;
  let step = steps - 1;
  let timer = 0;
  // What glimpse t of an episode has in a list: one thing, or `many`.
  const some = (list, e, t, many) => list.slice((e * steps + t) * many).slice(0, many);
  const name = (a) => (data.classes ? data.classes[a] : String(a));
  const best = (e, t) => data.best[e * steps + t];
  const value = (t) => data.values[episode * steps + t] / 1000;
  const right = (e, t) => best(e, t) == labels[e];

  // -- what is shown
  const stage = makeStage(width, height, size, scales);
  const patches = patchRow(size, scales);
  const bars = box("bars");
  const meter = box("meter");
  for (const picture of [stage.element, bars, meter]) picture.role = "img";
  const valueText = node("span");
  const status = makeStatus();
  const low = Math.min(0, ...data.values) / 1000;
  const high = Math.max(1000, ...data.values) / 1000;

  // -- controls
  const play = node("button", { className: "ramlib-button", type: "button" });
  const time = makeTime(steps, "Glimpse", (t) => {
    stop();
    go(t);
  });
  time.stops.forEach((stop, t) => {
    stop.style.setProperty("--color", glimpseColor(t));
    stop.append(node("b", {}, t + 1), node("span"));
  });
  time.element.classList.toggle("ramlib-many", steps > 12);
  const controls = box("controls", play, time.element);
  controls.hidden = steps < 2;

  const answers = Array.from({ length: episodes }, (_, e) => {
    const text = `Episode ${e + 1}: ${name(best(e, steps - 1))} in the end`;
    return labels ? text + `, ${right(e, steps - 1) ? "right" : "wrong"}; label ${name(labels[e])}` : text;
  });
  let choices = [];
  const chooser = box("episodes");
  if (episodes > 16) {
    const options = answers.map((text, value) => node("option", { value }, text));
    const select = node("select", { ariaLabel: "Episode" }, ...options);
    select.onchange = () => choose(+select.value);
    chooser.append(select);
  } else if (episodes > 1) {
    chooser.role = "radiogroup";
    chooser.ariaLabel = "Episode";
    choices = answers.map((title, e) => {
      const thumb = node("canvas", { width, height });
      thumb.getContext("2d").drawImage(pixels.canvas, 0, -e * height);
      const mark = labels ? (right(e, steps - 1) ? "✓ " : "✗ ") : "";
      const looks = { className: "ramlib-episode", type: "button", role: "radio", ariaLabel: title, title, onclick: () => choose(e) };
      return node("button", looks, thumb, mark + name(best(e, steps - 1)));
    });
    chooser.append(...choices);
  }

  // -- drawing
  function draw() {
    const color = glimpseColor(step);
    const probs = some(data.probs, episode, step, count);
    const top = best(episode, step);
    root.style.setProperty("--color", color);

    const corners = some(data.corners, episode, step, 2 * scales);
    stage.place(corners, color);
    stage.element.ariaLabel = `The image, with the path of glimpses 1 to ${step + 1} and the squares that the retina covers`;
    patches.canvases.forEach((canvas, s) =>
      drawPatch(canvas, pixels, width, height, episode * height, corners[2 * s], corners[2 * s + 1], 2 ** s)
    );
    drawPath();

    for (const bar of bars.children) {
      const a = bar.dataset.class;
      const [share, fill] = bar.lastChild.children;
      bar.classList.toggle("ramlib-top", a == top);
      share.textContent = percent(probs[a]);
      fill.style.setProperty("--share", probs[a] / 1000);
    }
    const ranked = [...probs.keys()].sort((a, b) => probs[b] - probs[a]).slice(0, 3);
    bars.ariaLabel = "Class probabilities: " + ranked.map((a) => `${name(a)} ${percent(probs[a])}`).join(", ");

    valueText.textContent = value(step).toFixed(2);
    meter.ariaLabel = `Value ${valueText.textContent}`;
    meter.replaceChildren();
    for (let t = 0; t <= step; t++) {
      const style = `left:${(100 * (value(t) - low)) / (high - low)}%;background:${glimpseColor(t)}`;
      meter.append(node("i", { style, className: t == step ? "ramlib-now" : "" }));
    }

    time.stops.forEach((stop, t) => (stop.lastChild.textContent = name(best(episode, t))));
    time.show(step, `${step + 1} of ${steps}`);
    choices.forEach((button, e) => {
      button.ariaChecked = e == episode;
      button.tabIndex = e == episode ? 0 : -1;
    });
    const verdict = !labels ? "" : right(episode, step) ? " – right ✓" : ` – the label is ${name(labels[episode])} ✗`;
    status.textContent = `Glimpse ${step + 1} of ${steps}: most probable class ${name(top)}, ${percent(probs[top])}${verdict}`;
    const label = timer ? "Pause" : "Play";
    if (play.title != label) {
      play.title = play.ariaLabel = label;
      play.innerHTML = timer ? PAUSE : PLAY;
      status.ariaLive = timer ? "off" : "polite";
    }
  }

  function drawPath() {
    let lines = "";
    let dots = "";
    let from;
    for (let t = 0; t <= step; t++) {
      const [x, y] = some(data.points, episode, t, 2).map((at) => (at / 10) * stage.unit);
      const color = glimpseColor(t);
      if (t) {
        const line = `<path d="M${from}L${x} ${y}" fill="none" stroke=`;
        lines += `${line}"#fff" stroke-opacity=".8" stroke-width="2.8"/>${line}"${color}" stroke-width="1.6"/>`;
      }
      dots += `<circle cx="${x}" cy="${y}" r="${t == step ? 8.5 : 7}" fill="${color}" stroke="#fff"/><text x="${x}" y="${y + 3.4}">${t + 1}</text>`;
      from = [x, y];
    }
    stage.path.innerHTML = lines + dots;
  }

  // -- moving about
  function go(t) {
    step = clamp(t, 0, steps - 1);
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
  }

  function choose(e) {
    stop();
    episode = clamp(e, 0, episodes - 1);
    stage.show(pixels.canvas, -episode * height);
    drawClasses();
    draw();
  }

  // All classes where they fit, else those that were probable at some time.
  function drawClasses() {
    let shown = [...Array(count).keys()];
    if (count > 12) {
      const peak = shown.map((a) => Math.max(...time.stops.map((_, t) => some(data.probs, episode, t, count)[a])));
      if (labels) peak[labels[episode]] = 2000;
      shown = shown.sort((a, b) => peak[b] - peak[a]).slice(0, 10).sort((a, b) => a - b);
    }
    bars.classList.toggle("ramlib-rows", shown.some((a) => name(a).length > 3));
    bars.replaceChildren(
      ...shown.map((a) => {
        const bar = box("class", box("name", name(a)), box("track", box("share"), box("fill")));
        bar.dataset.class = a;
        bar.classList.toggle("ramlib-label", !!labels && labels[episode] == a);
        return bar;
      })
    );
  }

  play.onclick = () => {
    if (timer) {
      stop();
      return draw();
    }
    if (step == steps - 1) step = -1;
    const beat = () => {
      if (!root.isConnected || step >= steps - 2) stop();
      go(step + 1);
    };
    timer = setInterval(beat, BEAT);
    go(step + 1);
  };

  // Tap the image for the next glimpse, swipe it to go either way.
  let down = null;
  stage.element.onpointerdown = (event) => (down = [event.clientX, event.clientY]);
  stage.element.onpointercancel = () => (down = null);
  stage.element.onpointerup = (event) => {
    if (!down) return;
    const across = event.clientX - down[0];
    const along = event.clientY - down[1];
    down = null;
    stop();
    if (Math.abs(across) > 24 && Math.abs(across) > Math.abs(along)) go(step + (across < 0 ? 1 : -1));
    else if (Math.abs(across) + Math.abs(along) < 12) go((step + 1) % steps);
    time.slider.focus({ preventScroll: true });
  };

  root.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const picked = choices.indexOf(event.target);
    const last = (picked < 0 ? steps : episodes) - 1;
    const from = picked < 0 ? step : episode;
    const keys = { ArrowRight: from + 1, ArrowLeft: from - 1, ArrowUp: from + 1, ArrowDown: from - 1, Home: 0, End: last };
    if (picked >= 0) [keys.ArrowUp, keys.ArrowDown] = [keys.ArrowDown, keys.ArrowUp];
    if (!(event.key in keys) || event.target.tagName == "SELECT") return;
    event.preventDefault();
    event.stopPropagation();
    stop();
    if (picked < 0) return go(keys[event.key]);
    choose(keys[event.key]);
    choices[episode].focus();
  });

  choose(0);
  const short = (x) => String(+x.toFixed(2));
  const side = box(
    "side",
    section("What the retina saw", scales > 1 ? "sharp to coarse" : "", patches.row),
    section("Class probabilities", labels ? "the label is framed" : "", bars),
    section("Value: the reward it expects", valueText, box("scale", short(low), meter, short(high)))
  );
  const main = box("main", stage.element, controls, status, side);
  return episodes > 1 ? [main, chooser] : [main];
});
