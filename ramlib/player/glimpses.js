const PLAY = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M5 2.5v15l13-7.5z"/></svg>';
const PAUSE = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M4 3h4v14H4zM12 3h4v14h-4z"/></svg>';
const BEAT = 1000;

start("glimpses", (root, data, pixels) => {
  const { width, height, size, scales, episodes, steps, classes, labels } = data;
  const total = episodes * steps;
  const count = data.probs.length / total;
  const name = (a) => (classes && a < classes.length ? classes[a] : String(a));
  const probs = (e, t) => data.probs.slice((e * steps + t) * count).slice(0, count).map((p) => p / 1000);
  const best = (e, t) => data.best[e * steps + t];
  const value = (e, t) => data.values[e * steps + t] / 1000;
  const right = (e, t) => labels && best(e, t) == labels[e];
  let episode = 0;
  let step = steps - 1;
  let timer = 0;

  // -- what is shown
  const stage = makeStage(width, height, size, scales);
  stage.element.setAttribute("role", "img");
  const patches = patchRow(size, scales);
  const bars = box("bars");
  bars.setAttribute("role", "img");
  const meter = box("meter");
  meter.setAttribute("role", "img");
  const valueText = node("span");
  const status = node("p", { class: "ramlib-status", role: "status", "aria-live": "polite" });
  const note = labels ? "the label is framed" : "";
  const low = Math.min(0, ...data.values) / 1000;
  const high = Math.max(1000, ...data.values) / 1000;

  // -- controls
  const play = node("button", { class: "ramlib-button", type: "button" });
  const time = makeTime(steps, "Glimpse", (t) => {
    stop();
    go(t);
  });
  const { slider } = time;
  time.stops.forEach((stop, t) => {
    stop.style.setProperty("--ramlib-color", glimpseColor(t));
    stop.append(node("b", {}, t + 1), node("span"));
  });
  time.element.classList.toggle("ramlib-many", steps > 12);
  const controls = box("controls", play, time.element);
  controls.hidden = steps < 2;

  const short = (x) => String(+x.toFixed(2));
  const choices = [];
  const chooser = box("episodes");
  if (episodes > 16) {
    const select = node("select", { "aria-label": "Episode" });
    for (let e = 0; e < episodes; e++) select.append(node("option", { value: e }, episodeText(e)));
    select.onchange = () => choose(+select.value);
    chooser.append(select);
  } else if (episodes > 1) {
    chooser.setAttribute("role", "radiogroup");
    chooser.setAttribute("aria-label", "Episode");
    for (let e = 0; e < episodes; e++) {
      const thumb = node("canvas", { width, height });
      thumb.getContext("2d").drawImage(pixels.canvas, 0, -e * height);
      const mark = labels ? (right(e, steps - 1) ? "✓ " : "✗ ") : "";
      const button = node(
        "button",
        { class: "ramlib-episode", type: "button", role: "radio", "aria-label": episodeText(e), title: episodeText(e) },
        thumb,
        mark + name(best(e, steps - 1))
      );
      button.onclick = () => choose(e);
      choices.push(button);
      chooser.append(button);
    }
  }

  function episodeText(e) {
    const answer = `${name(best(e, steps - 1))} in the end`;
    if (!labels) return `Episode ${e + 1}: ${answer}`;
    return `Episode ${e + 1}: ${answer}, ${right(e, steps - 1) ? "right" : "wrong"}; label ${name(labels[e])}`;
  }

  // -- drawing
  function draw() {
    const at = episode * steps + step;
    const color = glimpseColor(step);
    const here = probs(episode, step);
    const top = best(episode, step);
    const said = `Glimpse ${step + 1} of ${steps}: most probable class ${name(top)}, ${percent(here[top])}`;
    root.style.setProperty("--ramlib-color", color);

    const corners = data.corners.slice(at * 2 * scales, (at + 1) * 2 * scales);
    stage.place(corners, color);
    stage.element.setAttribute("aria-label", `The image, with the path of glimpses 1 to ${step + 1} and the squares that the retina covers`);
    patches.canvases.forEach((canvas, s) =>
      drawPatch(canvas, pixels, width, height, episode * height, corners[2 * s], corners[2 * s + 1], 2 ** s)
    );
    drawPath();

    [...bars.children].forEach((bar) => {
      const a = +bar.dataset.class;
      const share = percent(here[a]);
      bar.classList.toggle("ramlib-top", a == top);
      bar.querySelector(".ramlib-share").textContent = share;
      const fill = bar.querySelector(".ramlib-fill").style;
      if (bars.classList.contains("ramlib-rows")) fill.width = `calc((100% - 46px) * ${here[a]})`;
      else fill.height = `calc((100% - 18px) * ${here[a]})`;
    });
    const ranked = here.map((p, a) => [p, a]).sort((x, y) => y[0] - x[0]).slice(0, 3);
    bars.setAttribute("aria-label", "Class probabilities: " + ranked.map(([p, a]) => `${name(a)} ${percent(p)}`).join(", "));

    const now = value(episode, step).toFixed(2);
    valueText.textContent = now;
    meter.setAttribute("aria-label", `Value ${now}`);
    meter.replaceChildren();
    for (let t = 0; t <= step; t++) {
      const place = (100 * (value(episode, t) - low)) / (high - low);
      const dot = node("i", { style: `left:${place}%;background:${glimpseColor(t)}` });
      if (t == step) dot.className = "ramlib-now";
      meter.append(dot);
    }

    time.stops.forEach((stop, t) => (stop.lastChild.textContent = name(best(episode, t))));
    time.show(step, `${step + 1} of ${steps}`);
    choices.forEach((button, e) => {
      button.setAttribute("aria-checked", e == episode);
      button.tabIndex = e == episode ? 0 : -1;
    });
    const verdict = !labels ? "" : right(episode, step) ? " – right ✓" : ` – the label is ${name(labels[episode])} ✗`;
    status.textContent = said + verdict;
    const label = timer ? "Pause" : "Play";
    if (play.title != label) {
      play.title = label;
      play.setAttribute("aria-label", label);
      play.innerHTML = timer ? PAUSE : PLAY;
      status.setAttribute("aria-live", timer ? "off" : "polite");
    }
  }

  function drawPath() {
    const point = (t) => [0, 1].map((i) => (data.points[2 * (episode * steps + t) + i] / 10) * stage.unit);
    let lines = "";
    let dots = "";
    for (let t = 0; t <= step; t++) {
      const [x, y] = point(t);
      const color = glimpseColor(t);
      if (t) {
        const line = `<path d="M${point(t - 1)}L${x} ${y}" fill="none" stroke=`;
        lines += `${line}"#fff" stroke-opacity=".8" stroke-width="2.8"/>${line}"${color}" stroke-width="1.6"/>`;
      }
      dots += `<circle cx="${x}" cy="${y}" r="${t == step ? 8.5 : 7}" fill="${color}" stroke="#fff"/><text x="${x}" y="${y + 3.4}">${t + 1}</text>`;
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
    const context = stage.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(pixels.canvas, 0, -episode * height);
    drawClasses();
    draw();
  }

  // All classes where they fit, else those that were probable at some time.
  function drawClasses() {
    let shown = [...Array(count).keys()];
    if (count > 12) {
      const peak = shown.map((a) => Math.max(...Array.from({ length: steps }, (_, t) => probs(episode, t)[a])));
      if (labels && labels[episode] < count) peak[labels[episode]] = 2;
      shown = shown.sort((a, b) => peak[b] - peak[a]).slice(0, 10).sort((a, b) => a - b);
    }
    bars.classList.toggle("ramlib-rows", shown.some((a) => name(a).length > 3));
    bars.replaceChildren(
      ...shown.map((a) => {
        const track = box("track", node("span", { class: "ramlib-share" }), box("fill"));
        const bar = box("class", node("span", { class: "ramlib-name" }, name(a)), track);
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
    slider.focus({ preventScroll: true });
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

  const side = box(
    "side",
    node("div", {}, head("What the retina saw", scales > 1 ? "sharp to coarse" : ""), patches.row),
    node("div", {}, head("Class probabilities", note), bars),
    node("div", {}, head("Value: the reward it expects", valueText), box("scale", short(low), meter, short(high)))
  );
  choose(0);
  const parts = [box("main", stage.element, controls, status, side)];
  if (data.title) parts.unshift(node("p", { class: "ramlib-title" }, data.title));
  if (episodes > 1) parts.push(chooser);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.title || "Glimpse player");
  return parts;
});
