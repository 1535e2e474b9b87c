const RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const BATCHES = [1, 4, 16, 64];
const UPDATES = 300;

start("playground", "REINFORCE on one picture", (root, data) => {
  const { ink } = data;
  const sides = [ink[0].length, ink.length];
  const noise = normal(data.seed);
  let [mean, std] = [data.mean, data.std];
  let home = mean; // where the reader put it last
  let samples = []; // all drawn with this mean and std
  let exact;
  let [baseline, rate, batch] = [1, 2, 1];
  let [run, before] = [[], []]; // mean and J after each update, of this climb and the last
  let peak; // the highest J anywhere
  let timer = 0;
  let news = "";

  // -- the picture
  const stage = makeStage(...sides, 8 * Math.max(...sides), 0); // no squares on it
  const picture = node("canvas", { width: sides[0], height: sides[1] });
  paint(picture, (column, row) => ink[row][column]);
  stage.show(picture, 0);
  const hill = node("canvas", { className: "ramlib-hill", width: 72, height: 72, hidden: true });
  stage.element.firstChild.after(hill);
  const edge = both((i) => 1 + (2 * stage.margin) / sides[i]);
  const tidy = (place) => both((i) => Math.round(clamp(place[i], -1, 1) * 100) / 100 + 0);
  const spot = (place) => both((i) => Math.round(5 * (place[i] + 1) * sides[i] * stage.unit) / 10);
  const put = (place) => go((home = tidy(place)));
  const drag = (at) => put(both((i) => (2 * at[i] - 1) * edge[i]));
  const nudge = (by, finely) => put(by.some(Boolean) ? both((i) => mean[i] + by[i] * (finely ? 0.01 : 0.05)) : data.mean);
  const cross = makeHandle(stage.element, "The mean: drag it, or move it with the arrow keys", drag, nudge);

  // -- beside it
  const arrows = plot(340, 244, "The mean of the arrows, beside the exact gradient");
  const curve = plot(340, 128, "J after each update");
  const marks = [...["mean", "exact"].map((kind) => arrow(kind, [1, 6], [27, 0])), ellipse("error", [15, 6], [8, 5])];
  const key = makeKey(marks);
  const height = node("span");
  const status = makeStatus();
  const terms = ["place s", "R − b", "(s − μ)/σ²", "its arrow"].map((name) => box("term", node("span", {}, name), node("b")));

  // -- controls
  const sigma = slider("σ", "σ, how widely it looks", { min: 0.05, max: 0.8, step: 0.01 }, (value) => {
    std = value;
    run = before = []; // of another J
    blur();
    go(mean);
  });
  const speed = slider("Learning rate", "Learning rate", { min: 0, max: RATES.length - 1 }, (value) => {
    rate = value;
    draw();
  });
  const baselines = choose("Baseline b", ["none", "mean", "best"], baseline, (i) => {
    baseline = i;
    draw();
  });
  const cards = baselines.labels.map((label) => {
    const card = [node("span"), node("i"), node("b")];
    label.append(...card);
    return card;
  });
  const batches = choose("Samples an update", BATCHES, batch, (i) => (batch = i));
  const drop = (count) => () => {
    stop();
    look(count);
    draw();
  };
  const climber = button("Climb", climb);
  climber.classList.add("ramlib-filled");
  const reveal = button("Show J", () => (reveal.ariaPressed = !(hill.hidden = !hill.hidden)));
  reveal.ariaPressed = false;

  // -- what happens
  function look(count) {
    for (; count; count--) {
      const z = noise();
      const place = both((i) => mean[i] + std * z[i]);
      const pixel = both((i) => Math.min(sides[i] - 1, Math.floor(((clamp(place[i], -1, 1) + 1) * sides[i]) / 2)));
      samples.push({ place, pixel, score: both((i) => z[i] / std), paid: ink[pixel[1]][pixel[0]] });
    }
  }

  const weigh = ({ paid }) => paid - exact.baselines[baseline];
  const sign = (one) => Math.sign(weigh(one).toFixed(3));
  const product = (one) => both((i) => weigh(one) * one.score[i]);
  const estimate = () => both((i) => samples.reduce((sum, one) => sum + product(one)[i], 0) / (samples.length || 1));

  // What was drawn elsewhere says nothing here.
  function move(place) {
    mean = place;
    samples = [];
    exact = exactly(ink, mean, std);
  }

  function go(place) {
    stop();
    if (run.length > 1) before = run;
    run = [];
    move(place);
    draw();
  }

  // Follow the mean of the arrows, then look anew.
  function update() {
    const step = estimate();
    move(both((i) => mean[i] + RATES[rate] * step[i]));
    look(BATCHES[batch]);
    run.push({ mean, J: exact.J });
  }

  const gone = () => mean.some((at, i) => Math.abs(at) > edge[i]);
  const over = () => run.length > UPDATES || gone();
  const progress = () => `${run.length - 1} of ${UPDATES}, J = ${number(exact.J, 3)}`;

  function stop() {
    clearInterval(timer);
    timer = 0;
    news = "";
  }

  function climb() {
    const again = !timer;
    stop();
    if (!again) {
      news = `Paused: update ${progress()}.`;
      return draw();
    }
    if (over()) go(gone() ? home : mean);
    if (!run.length) run = [{ mean, J: exact.J }];
    samples = [];
    look(BATCHES[batch]);
    // Who wants less motion sees few pictures, with many updates between them.
    const strides = matchMedia("(prefers-reduced-motion: reduce)").matches ? 50 : 1;
    timer = setInterval(() => {
      const { top, bottom } = root.getBoundingClientRect();
      if (!root.isConnected || document.hidden || bottom < 0 || top > innerHeight) stop();
      for (let n = strides; timer && n && !over(); n--) update();
      if (over()) {
        stop();
        const took = many(run.length - 1, "update");
        news = `${took} took J from ${number(run[0].J, 3)} to ${number(exact.J, 3)}.`;
        if (gone()) news = `Off the picture after ${took}: too long a step. Take a smaller learning rate, or more samples.`;
      }
      draw();
    }, strides > 1 ? 1000 : 1000 / 30);
    draw();
  }

  // J wherever the mean may be, as a picture.
  function blur() {
    const rows = everywhere(ink, std, edge, hill.width);
    peak = Math.max(...rows.flat());
    paint(hill, (column, row) => rows[row][column]);
  }

  // -- drawing
  function draw() {
    const count = samples.length;
    const step = estimate();
    const error = both((i) => Math.sqrt(exact.variances[baseline][i] / count));
    const variances = exact.variances.map(([x, y]) => x + y);
    Object.assign(root.dataset, { exact: [exact.J, ...exact.slope], estimate: [count, ...step], variances });
    drawSamples();
    drawArrows(step, error);
    drawCurve();

    const readings = [`mean of ${many(count, "arrow")}`, count ? pair(step) : "–"];
    readings.push("exact gradient", pair(exact.slope), "standard error", count ? "± " + pair(error) : "–");
    key.cells.forEach((cell, i) => (cell.textContent = readings[i]));
    height.textContent = `J = ${number(exact.J, 3)} here`;
    cards.forEach(([b, bar, variance], i) => {
      b.textContent = `b = ${number(exact.baselines[i])}`;
      bar.style.width = (100 * variances[i]) / Math.max(...variances, 1e-9) + "%";
      variance.textContent = number(variances[i], variances[i] < 1 ? 2 : 1);
    });
    sigma.show(std, number(std));
    speed.show(rate, RATES[rate]);
    climber.textContent = climber.ariaLabel = timer ? "Pause" : run.length && !over() ? "Go on" : "Climb";
    status.ariaLive = timer ? "off" : "polite";
    tell(timer ? null : samples.at(-1));
  }

  // From each sample an arrow that says where the mean should go: on towards it if it
  // paid more than the baseline, back away from it if less.
  function drawSamples() {
    const at = both((i) => 50 + (50 * clamp(mean[i], -edge[i], edge[i])) / edge[i] + "%");
    Object.assign(cross.style, { left: at[0], top: at[1] });
    let content = [1, 2].map((k) => ellipse("cloud", spot(mean), both((i) => (k * std * sides[i] * stage.unit) / 2))).join("");
    if (run.length > 1) content += cased("route", "M" + run.map((one) => spot(one.mean)).join("L"));
    ["away", "idle", "towards"].forEach((kind, k) => {
      const some = samples.slice(-400).filter((one) => sign(one) == k - 1);
      const parts = some.slice(-40).flatMap((one) => arrowPaths(spot(one.place), both((i) => product(one)[i] * std * 36)));
      content += cased("dots ramlib-" + kind, some.map(({ place }) => `M${spot(place)}h0`).join("")) + cased(kind, parts.join(""));
    });
    const newest = (kind) => ellipse(kind, spot(samples.at(-1).place), [9, 9]);
    if (samples.length && !timer) content += newest("newest ramlib-case") + newest("newest");
    stage.path.innerHTML = content;
  }

  // From one origin, on a scale that shows both of them whole.
  function drawArrows(step, error) {
    const middle = [170, 122];
    const room = [step, exact.slope].flatMap((v) => both((i) => (middle[i] - 8) / Math.abs(v[i])));
    const scale = Math.min(...room, 450 * std);
    const scaled = (v) => both((i) => v[i] * scale);
    let content = path("guide", "M0 122h340M170 0v244");
    for (let r = niceStep(50 / scale), k = 1; k * r * scale < 150; k++)
      content += ellipse("guide", middle, scaled([k * r, k * r])) + words(174 + k * r * scale, 136, +(k * r).toPrecision(3));
    const tip = both((i) => middle[i] + exact.slope[i] * scale);
    if (samples.length) content += ellipse("error", tip, scaled(error));
    arrows.innerHTML = content + arrow("mean", middle, scaled(step), 12) + arrow("exact", middle, scaled(exact.slope), 9);
  }

  function drawCurve() {
    const x = (n) => 34 + (290 * n) / UPDATES;
    const y = (J) => 102 - (82 * J) / (peak || 1);
    const line = (steps) => steps.map(({ J }, n) => `${n ? "L" : "M"}${x(n)} ${y(J)}`).join("");
    let content = path("guide", "M34 8V102H324") + words(28, 106, 0, "end") + words(28, 24, number(peak), "end");
    for (const n of [0, 100, 200, 300]) content += path("guide", `M${x(n)} 102v5`) + words(x(n), 121, n, "middle");
    content += path("best", "M34 20H324") + words(324, 13, "the highest J there is", "end");
    content += path("before", line(before)) + path("route", line(run));
    if (run.length) content += ellipse("here", [x(run.length - 1), y(exact.J)], [4, 4]);
    else if (!before.length) content += words(179, 66, "“Climb” to follow the arrows", "middle");
    curve.innerHTML = content;
  }

  // The newest sample in words, and as the formula has it.
  function tell(newest) {
    const values = newest ? formula(newest) : "––––";
    terms.forEach((term, i) => (term.lastChild.textContent = values[i]));
    root.dataset.sign = newest ? sign(newest) : 0;
    if (timer) news = `Update ${progress()}.`;
    status.textContent = news || (newest ? sentence(newest) : `The mean is at ${pair(mean)}. No samples from here yet.`);
  }

  function formula(one) {
    const weight = `${number(one.paid)} − ${number(exact.baselines[baseline])} = ${number(weigh(one))}`;
    return [pair(one.place), weight, "× " + pair(one.score), "= " + pair(product(one))];
  }

  function sentence(one) {
    const [more, so] = [
      ["less", "pushes the mean away"],
      ["more", "says nothing"],
      ["more", "pulls the mean towards itself"],
    ][sign(one) + 1];
    const than = baseline ? `, ${number(Math.abs(weigh(one)))} ${more} than b` : "";
    return `Newest sample: pixel (${one.pixel.join(", ")}) paid ${number(one.paid)}${than}, so it ${so}.`;
  }

  blur();
  move(mean);
  look(40);
  draw();
  const legend = box("legend");
  const samplesMark = (kind) => swatch(path(kind, "M5 3.5a2.5 2.5 0 1 1-.1 0z") + arrow(kind, [5, 6], [23, 0]));
  legend.innerHTML = `${samplesMark("towards")} paid above b: pulls${samplesMark("away")} below b: pushes`;
  const left = section("Samples, and their arrows", "drag the cross", stage.element, legend);
  left.append(box("row", button("One sample", drop(1)), button("Forty", drop(40)), climber), box("row", sigma.row, reveal));
  const side = box(
    "side",
    section("Their mean, beside the exact gradient", "", arrows.parentNode, key.element),
    section("Baseline b", "variance of one arrow", baselines.element)
  );
  const settings = node("div", {}, speed.row, box("axis", "Samples an update", batches.element));
  settings.append(box("row", button("Back to the start", () => go(home))));
  const controls = box("controls", settings, section("Expected reward J", height, curve.parentNode));
  return [box("main", left, box("newest-one", status, box("formula", ...terms)), side, controls)];
});
