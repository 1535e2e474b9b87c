const LAST = 120_000; // episodes, then it ends by itself
const KEPT = 4; // earlier runs
const RATES = [0.0003, 0.001, 0.003, 0.01, 0.03];
const ROLLOUTS = [1, 2, 4];
const NO_WORKER = "This browser lets no page compute in the background.";
const BASELINES = { value: "value network", "leave-one-out": "leave-one-out", none: "none" };

start("learn", "Watch it learn", (root, data, pixels) => {
  const { config, seed, truth, held } = data;
  const kinds = Object.keys(BASELINES);
  let settings = { std: config.location_std, rate: 0.003, baseline: "leave-one-out", M: 2, blind: false };
  let runs = []; // the newest last: what was set, and what was reported
  let begun = 0;
  let worker = null;
  let going = false;
  let drawn = 0; // when, in milliseconds

  // -- what is shown
  const digits = truth.map((label, i) => {
    const stage = makeStage(8, 8, config.glimpse_size, 0, 0.15);
    stage.show(pixels.canvas, -8 * i);
    Object.assign(stage.element, { role: "img", ariaLabel: `The digit ${label}` });
    const answer = box("answer", "–");
    return { label, stage, answer, element: box("digit", stage.element, answer) };
  });
  const plots = {
    error: makePlot("Wrong answers", (share) => 100 * share + "\u00a0%"),
    reward: makePlot("Reward", (share) => share),
  };
  const status = makeStatus();
  const key = node("ul", { className: "ramlib-key" });

  // -- controls
  const main = button("Start", () => {
    if (!worker) return begin();
    going = !going;
    tell();
    draw();
  });
  main.classList.add("ramlib-filled");
  const again = button("Begin again", begin);
  const blind = button("Random places instead", () => change({ blind: !settings.blind }));
  const width = slider("σ", "σ, how widely it looks", { min: 0.05, max: 0.6, step: 0.01 }, (std) => change({ std }));
  const speed = slider("Learning rate", "Learning rate", { min: 0, max: RATES.length - 1 }, (i) => change({ rate: RATES[i] }));
  const baselines = choose("Baseline", Object.values(BASELINES), 1, (i) => change({ baseline: kinds[i] }));
  const rollouts = choose("Rollouts of an image, M", ROLLOUTS, 1, (i) => change({ M: ROLLOUTS[i] }));

  // -- drawing
  function draw() {
    const report = runs.at(-1)?.reports.at(-1);
    if (report) digits.forEach((digit, i) => drawDigit(digit, report.paths[i], report.answers[i]));
    for (const [what, plot] of Object.entries(plots)) plot.draw(runs, what);
    show();
  }

  // What changes with every move of a slider.
  function show() {
    const report = runs.at(-1)?.reports.at(-1);
    key.replaceChildren(...runs.map(describe).reverse());
    width.show(settings.std, settings.std.toFixed(2));
    speed.show(RATES.indexOf(settings.rate), settings.rate);
    baselines.labels[kinds.indexOf(settings.baseline)].firstChild.checked = true;
    rollouts.labels[ROLLOUTS.indexOf(settings.M)].firstChild.checked = true;
    blind.ariaPressed = settings.blind;
    for (const input of [...width.row.children, ...baselines.labels.map((label) => label.firstChild)]) input.disabled = settings.blind;
    main.hidden = !worker && !going && runs.length > 0;
    main.textContent = main.ariaLabel = going ? "Pause" : worker ? "Go on" : "Start";
    again.hidden = !runs.length;
    status.ariaLive = going ? "off" : "polite";
    status.textContent = say(report);
  }

  function say(report) {
    if (!report) return going ? "It begins …" : "Press Start: a model that knows nothing learns here, in your browser.";
    const { episodes, seconds, error } = report;
    const doing = going ? "Learning" : worker ? "Paused" : "Done";
    return `${doing}: ${grouped(episodes)} episodes in ${Math.round(seconds)} s, ${percent(error)} wrong.`;
  }

  // The squares of the retina, and the way from one to the next.
  function drawDigit({ label, stage, answer }, path, said) {
    const { unit } = stage;
    const side = config.glimpse_size * unit;
    let squares = "";
    let way = "";
    let from;
    path.forEach((place, t) => {
      const [left, top] = retinaCorners(place, [8, 8], config.glimpse_size, 1).map((at) => at * unit);
      const to = place.map((value) => (value + 1) * 4 * unit);
      const color = glimpseColor(t);
      squares += `<rect x="${left}" y="${top}" width="${side}" height="${side}" stroke="${color}"/>`;
      if (t) way += `<path class="ramlib-case" d="M${from}L${to}"/><path d="M${from}L${to}" stroke="${color}"/>`;
      way += `<circle cx="${to[0]}" cy="${to[1]}" r="${t < path.length - 1 ? 15 : 22}" fill="${color}"/>`;
      from = to;
    });
    stage.path.innerHTML = squares + way;
    stage.element.ariaLabel = `The digit ${label}: after ${path.length} looks, the model says ${said}`;
    answer.textContent = said + (said == label ? " ✓" : " ✗");
    answer.classList.toggle("ramlib-wrong", said != label);
  }

  function describe({ number, set, since, reports }, i) {
    const line = lineOf(set.blind, i == runs.length - 1);
    const innerHTML = `<svg viewBox="0 0 30 10" aria-hidden="true"><path class="${line}" d="M1 5h28"/></svg>`;
    const when = since ? `, since ${grouped(since)}` : "";
    const last = reports.at(-1);
    const words = node("span", {}, node("b", {}, number), ` ${inWords(set)}${when}`);
    return node("li", { innerHTML }, words, node("b", {}, last ? `${percent(last.error)} wrong` : ""));
  }

  function inWords({ blind, std, baseline, M, rate }) {
    const how = blind ? "random places" : `σ ${std.toFixed(2)}, baseline ${BASELINES[baseline]}`;
    return `${how}, M\u00a0=\u00a0${M}, rate ${rate}`;
  }

  // -- what happens
  // What is set acts at once. Leave-one-out needs two rollouts: one choice moves the other.
  function change(what) {
    settings = { ...settings, ...what };
    if (settings.M == 1 && settings.baseline == "leave-one-out") Object.assign(settings, what.M ? { baseline: "value" } : { M: 2 });
    const run = runs.at(-1);
    const same = inWords(settings) == inWords(run?.ran?.set ?? settings);
    if (going || worker) Object.assign(run, { set: settings, since: same ? run.ran?.since : run.reports.at(-1)?.episodes });
    tell();
    show();
  }

  // A page that nobody sees does not learn.
  const tell = () => worker?.postMessage({ settings, going: going && !document.hidden });

  async function begin() {
    end();
    going = true;
    const run = { number: ++begun, set: settings, reports: [] };
    runs = [...runs.filter(({ reports }) => reports.length), run].slice(-1 - KEPT);
    draw();
    try {
      const [engine, digits] = await Promise.all([load("engine"), load("digits")]);
      if (run != runs.at(-1) || !root.isConnected) return;
      worker = makeWorker(`${makeLearner};${work};work((${engine})())`);
      worker.onmessage = (message) => hear(run, message.data);
      worker.onerror = () => fail(new Error(NO_WORKER));
      worker.postMessage({ ...data, ...digits, seed: seed + run.number - 1 });
      leaving.observe(document, { childList: true, subtree: true });
      document.addEventListener("visibilitychange", tell);
      tell();
    } catch (error) {
      fail(error);
    }
  }

  function hear(run, report) {
    run.reports.push(report);
    run.ran = { set: run.set, since: run.since };
    if (report.episodes >= LAST) end();
    // Where less motion is wished, two pictures a second at most.
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (going && calm && performance.now() < drawn + 500) return;
    drawn = performance.now();
    draw();
  }

  const leaving = new MutationObserver(() => root.isConnected || end());
  function end() {
    worker?.terminate();
    leaving.disconnect();
    document.removeEventListener("visibilitychange", tell);
    worker = null;
    going = false;
  }

  // Without what it needs: the picture of a page without scripts, and the reason.
  function fail({ message }) {
    end();
    status.textContent = `Nothing can learn here. ${message}`;
    root.classList.remove("ramlib-ready");
    parts.forEach((part) => part.remove());
    root.append(status);
  }

  draw();
  const setting = (words, control) => box("setting", words, control);
  const parts = [
    box("row", main, again, status),
    section(`Eight of ${held} digits that it does not learn from`, "", box("digits", ...digits.map(({ element }) => element))),
    box(
      "plots",
      section("Wrong answers", `of the ${held} digits`, plots.error.element),
      section("Reward", "while it learns", plots.reward.element)
    ),
    box(
      "settings",
      width.row,
      speed.row,
      setting("Baseline", baselines.element),
      setting("Rollouts of an image, M", rollouts.element),
      blind,
      box("note", "Then nothing chooses where to look, while it learns or when it is examined.")
    ),
    key,
  ];
  return parts;
});

const grouped = (n) => n.toLocaleString("en");
const percent = (share) => (100 * share).toFixed(1) + "\u00a0%";
const lineOf = (blind, newest) => `ramlib-curve${newest ? "" : " ramlib-before"}${blind ? " ramlib-blind" : ""}`;

// Shares against episodes, a curve for each run.
function makePlot(title, tick) {
  const [left, right, top, floor] = [44, 328, 8, 138];
  const x = (episodes) => left + ((right - left) * episodes) / LAST;
  const y = (share) => floor - (floor - top) * share;
  const rule = (d) => `<path class="ramlib-rule" d="${d}"/>`;
  const text = (x, y, words, anchor = "middle") => `<text x="${x}" y="${y}" style="text-anchor:${anchor}">${words}</text>`;
  let axes = text((left + right) / 2, floor + 34, "episodes");
  for (let share = 0; share <= 1; share += 0.25)
    axes += rule(`M${left} ${y(share)}H${right}`) + text(left - 6, y(share) + 4, tick(share), "end");
  for (let n = 0; n <= LAST; n += 40_000) axes += rule(`M${x(n)} ${floor}v5`) + text(x(n), floor + 18, grouped(n));
  const element = box("plot");
  element.innerHTML = `<svg viewBox="0 0 350 176" role="img" aria-label="${title} against episodes">${axes}<g></g></svg>`;
  const curves = element.firstChild.lastChild;

  // The newest has a dot at its end, those before it their number somewhere on their way.
  function draw(runs, what) {
    const drawRun = ({ number, reports }, i) => {
      const told = reports.filter((report) => report[what] != null);
      const points = told.map((report) => [x(report.episodes), y(report[what])].map((at) => at.toFixed(1)));
      if (!points.length) return "";
      const newest = i == runs.length - 1;
      const lines = { true: "", false: "" }; // with random places, and without
      for (let k = 1; k < told.length; k++) {
        const { blind } = told[k];
        lines[blind] += (k > 1 && told[k - 1].blind == blind ? "L" : `M${points[k - 1]}L`) + points[k];
      }
      const curve = [true, false].map((blind) => `<path class="${lineOf(blind, newest)}" d="${lines[blind]}"/>`).join("");
      const [u, v] = newest ? points.at(-1) : points[Math.floor((points.length * (i + 1)) / runs.length)];
      return curve + (newest ? `<circle cx="${u}" cy="${v}" r="4"/>` : text(u, +v + 4, number));
    };
    curves.innerHTML = runs.map(drawRun).join("");
  }
  return { element, draw };
}

function makeWorker(text) {
  const address = URL.createObjectURL(new Blob([text]));
  try {
    const worker = new Worker(address);
    worker.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });
    return worker;
  } catch {
    throw new Error(NO_WORKER);
  }
}
