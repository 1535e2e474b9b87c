const icon = (path) => `<svg viewBox="0 0 20 20" aria-hidden="true"><path d="${path}"/></svg>`;
const ICONS = {
  Play: icon("M5 2.5v15l13-7.5z"),
  Pause: icon("M4 3h4v14H4zM12 3h4v14h-4z"),
  Replay: icon("M10 .6v3a7 7 0 1 0 7 7h-2.4A4.6 4.6 0 1 1 10 6v3l5.6-4.2z"),
};
const BEAT = 1000; // milliseconds from one glimpse to the next
const GLIDE = { duration: 240, easing: "ease-out" }; // of the squares, as in stage.css
// In thousandths first: 0.145 * 100 is a little less than 14.5.
const percent = (thousandths) => Math.round(thousandths / 10) + "\u00a0%";

start("glimpses", "Glimpse player", (root, data, pixels) => {
  const { width, height, size, scales, episodes, steps, labels } = data;
  const last = steps - 1;
  const count = data.probs.length / data.best.length;
  const name = (a) => (data.classes ? data.classes[a] : String(a));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const ended = Array(episodes).fill(false); // which the reader has seen to the end
  let chosen = data.start;
  let shown; // an episode, recorded or live
  let step;
  let furthest; // no answer after this glimpse has been seen
  let finished; // played to its end: the whole image appears
  let held = false; // a key, for the whole image
  let timer = 0;
  let watch; // until the player is in view

  // An episode: its image, and lists with something for each glimpse.
  function recorded(e) {
    const each = (list, many) => Array.from({ length: steps }, (_, t) => list.slice((e * steps + t) * many).slice(0, many));
    return {
      image: pixels,
      offset: e * height,
      corners: each(data.corners, 2 * scales),
      points: each(data.points, 2).map((point) => point.map((tenths) => tenths / 10)),
      probs: each(data.probs, count),
      best: each(data.best, 1).flat(),
      values: each(data.values, 1).map(([value]) => value / 1000),
      label: labels?.[e],
    };
  }

  // -- what is shown
  const stage = makeStage(width, height, size, scales);
  const screen = stage.element.firstChild;
  const before = screen.cloneNode(); // the old, while the new appears over it
  stage.element.prepend(before);
  const patches = patchRow(size, scales);
  const bars = box("bars");
  const meter = box("meter");
  for (const picture of [stage.element, bars, meter]) picture.role = "img";
  const [framed, value, low, high] = Array.from({ length: 4 }, () => node("span"));
  const status = makeStatus();

  // -- controls
  const play = node("button", { className: "ramlib-button", type: "button" });
  const time = makeTime(steps, "Glimpse", byHand);
  time.stops.forEach((stop, t) => {
    stop.style.setProperty("--color", glimpseColor(t));
    stop.append(node("b", {}, t + 1), node("span"));
  });
  time.element.classList.toggle("ramlib-many", steps > 12);
  const controls = box("controls", play, time.element);
  controls.hidden = steps < 2;
  const whole = node("input", { type: "checkbox", ariaLabel: "Whole image", onchange: () => draw() });
  const uncover = node("label", { className: "ramlib-check ramlib-whole", title: "Or hold the key w" }, whole, "Whole image");

  // Nothing of an episode is told before the reader has seen its end.
  const right = (e) => data.best[e * steps + last] == labels[e];
  function describe(e) {
    const answer = `: ${name(data.best[e * steps + last])} in the end`;
    const verdict = labels ? `, ${right(e) ? "right" : "wrong"}; label ${name(labels[e])}` : "";
    return `Episode ${e + 1}` + (ended[e] ? answer + verdict : "");
  }
  let choices = [];
  let options = [];
  const picker = box("picker");
  if (episodes > 16) {
    options = ended.map((_, value) => node("option", { value }));
    picker.append(node("select", { ariaLabel: "Episode", onchange: (event) => choose(+event.target.value) }, ...options));
  } else if (episodes > 1) {
    choices = ended.map((_, e) => {
      const thumb = node("canvas", { width, height });
      thumb.getContext("2d").drawImage(pixels.canvas, 0, -e * height);
      const how = { className: "ramlib-episode", type: "button", role: "radio", onclick: () => choose(e) };
      return node("button", how, thumb, node("b", { ariaHidden: true }));
    });
    picker.append(Object.assign(box("episodes", ...choices), { role: "radiogroup", ariaLabel: "Episode" }));
  }

  // -- drawing
  function draw(onward = false) {
    const { image, offset, best } = shown;
    const corners = shown.corners[step];
    const color = glimpseColor(step);
    root.style.setProperty("--color", color);
    root.classList.toggle("ramlib-jump", !onward);
    stage.place(corners, color);
    stage.drawPath(shown.points.slice(0, step + 1), onward && GLIDE);
    stage.element.ariaLabel = `What glimpses 1 to ${step + 1} saw, their path, and the squares of the retina`;
    patches.draw(image, width, height, offset, corners);
    drawPicture(onward);
    drawValue();
    time.stops.forEach((stop, t) => (stop.lastChild.textContent = t > furthest ? "·" : name(best[t])));
    time.show(step, `${step + 1} of ${steps}`);
    options.forEach((option, e) => (option.textContent = describe(e)));
    choices.forEach((button, e) => {
      button.ariaChecked = e == chosen;
      button.tabIndex = e == chosen ? 0 : -1;
      button.title = button.ariaLabel = describe(e);
      button.lastChild.textContent = !ended[e] ? "" : !labels ? "•" : right(e) ? "✓" : "✗";
    });
    const label = timer ? "Pause" : step == last ? "Replay" : "Play";
    if (play.title != label) {
      play.title = play.ariaLabel = label;
      play.innerHTML = ICONS[label];
    }
    // Before what is said, so that the last words are heard, too.
    status.ariaLive = timer ? "off" : "polite";
    status.textContent = drawBars();
  }

  // The image as far as it has been seen, or all of it.
  function drawPicture(onward) {
    before.width = width; // which clears it
    if (onward) {
      before.getContext("2d").drawImage(screen, 0, 0);
      screen.animate({ opacity: [0, 1] }, GLIDE);
    }
    const { image, offset, corners } = shown;
    if (whole.checked || held || finished) stage.show(image.canvas, -offset);
    else stage.showSeen(image, offset, corners.slice(0, step + 1));
  }

  // The bars, and in words what they say.
  function drawBars() {
    const { best, label, says } = shown;
    const probs = shown.probs[step];
    const top = best[step];
    const told = furthest == last ? label : undefined;
    framed.textContent = told == null ? "" : "the label is framed";
    for (const bar of bars.children) {
      const a = bar.dataset.class;
      const [share, fill] = bar.lastChild.children;
      bar.classList.toggle("ramlib-top", a == top);
      bar.classList.toggle("ramlib-label", a == told);
      share.textContent = percent(probs[a]);
      fill.style.setProperty("--share", probs[a] / 1000);
    }
    const ranked = [...probs.keys()].sort((a, b) => probs[b] - probs[a]).slice(0, 3);
    bars.ariaLabel = "Class probabilities: " + ranked.map((a) => `${name(a)} ${percent(probs[a])}`).join(", ");
    if (says) return says(step);
    const verdict = told == null ? "" : top == told ? " – right ✓" : ` – the label is ${name(told)} ✗`;
    return `Glimpse ${step + 1} of ${steps}: most probable class ${name(top)}, ${percent(probs[top])}${verdict}`;
  }

  function drawValue() {
    const { values } = shown;
    const [least, most] = [Math.min(0, ...values), Math.max(1, ...values)];
    const short = (x) => x.toFixed(2).replace("-", "−");
    [low.textContent, high.textContent] = [least, most].map((x) => short(x).replace(".00", ""));
    value.textContent = short(values[step]);
    meter.ariaLabel = `Value ${value.textContent}`;
    const dots = values.slice(0, step + 1).map((v, t) => {
      const style = `left:${(100 * (v - least)) / (most - least)}%;background:${glimpseColor(t)}`;
      return node("i", { style, className: t == step ? "ramlib-now" : "" });
    });
    meter.replaceChildren(...dots);
  }

  // All classes where they fit, else those that are probable at some time.
  function drawClasses() {
    let drawn = [...Array(count).keys()];
    if (count > 12) {
      const peak = drawn.map((a) => (a == shown.label ? Infinity : Math.max(...shown.probs.map((probs) => probs[a]))));
      drawn = drawn.sort((a, b) => peak[b] - peak[a]).slice(0, 10).sort((a, b) => a - b);
    }
    bars.classList.toggle("ramlib-rows", drawn.some((a) => name(a).length > 3));
    bars.replaceChildren(
      ...drawn.map((a) => {
        const bar = box("class", box("name", name(a)), box("track", box("share"), box("fill")));
        bar.dataset.class = a;
        return bar;
      })
    );
  }

  // -- moving about
  function go(t) {
    const next = clamp(t, 0, last);
    const onward = next == step + 1 && !calm.matches;
    step = next;
    furthest = Math.max(furthest, step);
    finished = step == last && (finished || timer > 0);
    if (step == last) {
      stop();
      ended[chosen] ||= !shown.says;
    }
    draw(onward);
  }

  function stop() {
    watch?.disconnect();
    clearInterval(timer);
    timer = 0;
  }

  function byHand(t) {
    stop();
    go(t);
  }

  function run(from) {
    stop();
    timer = setInterval(() => (root.isConnected ? go(step + 1) : stop()), shown.says ? BEAT / 2 : BEAT);
    go(from);
  }

  // Show an episode from a glimpse on, or let it play.
  function show(episode, playing, from = 0) {
    [shown, step, finished] = [episode, last, false];
    furthest = !shown.says && ended[chosen] ? last : 0;
    drawClasses();
    if (playing && !calm.matches) run(0);
    else byHand(from);
  }

  function choose(e) {
    chosen = clamp(e, 0, episodes - 1);
    show(recorded(chosen), data.play);
  }

  play.onclick = () => {
    if (!timer) return run(step == last ? 0 : step + 1);
    stop();
    draw();
  };

  // Tap the image for the next glimpse, swipe it to go either way.
  let down = null;
  stage.element.onpointerdown = (event) => (down = [event.clientX, event.clientY]);
  stage.element.onpointercancel = () => (down = null);
  stage.element.onpointerup = (event) => {
    if (!down) return;
    const [across, along] = [event.clientX - down[0], event.clientY - down[1]];
    down = null;
    if (Math.abs(across) > 24 && Math.abs(across) > Math.abs(along)) byHand(step + (across < 0 ? 1 : -1));
    else if (Math.hypot(across, along) < 12) byHand((step + 1) % steps);
    time.slider.focus({ preventScroll: true });
  };

  root.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.tagName == "SELECT") return;
    const picked = choices.indexOf(event.target);
    const [at, end, up] = picked < 0 ? [step, last, 1] : [chosen, episodes - 1, -1];
    const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowUp: at + up, ArrowDown: at - up, Home: 0, End: end };
    if (event.key != "w" && !(event.key in keys)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key == "w") return hold(true);
    if (picked < 0) return byHand(keys[event.key]);
    choose(keys[event.key]);
    choices[chosen].focus();
  });
  root.addEventListener("keyup", (event) => event.key == "w" && hold(false));
  root.addEventListener("focusout", () => hold(false));
  function hold(now) {
    if (held == now) return;
    held = now;
    draw();
  }

  const part = (area, ...content) => Object.assign(section(...content), { className: "ramlib-" + area });
  const main = box(
    "main",
    stage.element,
    part("belief", "Probabilities", framed, bars),
    controls,
    status,
    uncover,
    picker,
    part("saw", "What it saw", scales > 1 ? "sharp to coarse" : "", patches.row),
    part("value", "Value: the reward it expects", value, box("scale", low, meter, high))
  );
  main.classList.toggle("ramlib-deep", scales > 1);
  show(recorded(chosen));
  if (data.live) makePad({ root, data, pixels, stage, status, picker, stop, show, close: () => show(recorded(chosen)) });
  picker.hidden = !picker.firstChild;
  if (data.play) {
    watch = new IntersectionObserver(([seen]) => seen.isIntersecting && !calm.matches && run(0), { threshold: 0.8 });
    watch.observe(stage.element);
  }
  return [main];
});
