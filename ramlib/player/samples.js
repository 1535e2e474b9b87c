start("samples", "Estimates against the number of samples", (root, data) => {
  const { counts, exact, low, high, bins, series, xlabel } = data;
  const W = 340;
  const H = 230;
  const floor = H - 40;
  const ceiling = 34;

  // Few digits, and a true minus sign.
  const short = (x) => {
    if (x != 0 && Math.abs(x) < 0.001) return x.toExponential(0).replace("e-", "e−").replace(/^-/, "−");
    return String(+x.toPrecision(3)).replace("-", "−");
  };
  const grouped = (n) => n.toLocaleString("en");
  const plot = (label, content) => {
    const made = box("plot");
    made.innerHTML = `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="${label}">${content}</svg>`;
    return made;
  };
  const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" ${more}>${words}</text>`;
  const escape = (words) => words.replace(/[&<>\x22]/g, (c) => `&#${c.charCodeAt(0)};`);

  // -- the estimates: a histogram over an axis that stays the same for every N
  const x = (value) => 12 + ((W - 24) * (value - low)) / (high - low);
  const ticks = niceTicks(low, high);
  const bottom = ticks.map((v) => `<path class="ramlib-rule" d="M${x(v)} ${floor}v5"/>` + text(x(v), floor + 18, short(v))).join("");
  const left = plot(
    "Histogram of the estimates",
    `<g></g><path class="ramlib-exact" d="M${x(exact)} ${ceiling - 16}V${floor}"/>` +
      text(clamp(x(exact), 30, W - 30), ceiling - 22, `exact: ${short(exact)}`, 'class="ramlib-mark"') +
      `<path class="ramlib-rule" d="M12 ${floor}H${W - 12}"/>${bottom}${text(W / 2, H - 4, escape(xlabel))}`
  );

  // -- their variance against N, both on logarithmic axes
  const positive = series.flatMap((one) => one.std.map((s) => s * s)).filter((v) => v > 0);
  const top = Math.log10(Math.max(...positive, 1e-12)) + 0.15;
  const base = Math.min(Math.log10(Math.min(...positive, 1e12)) - 0.15, top - 0.5);
  const first = Math.log10(counts[0]);
  const last = Math.max(Math.log10(counts[counts.length - 1]), first + 0.3);
  const u = (n) => 54 + ((W - 72) * (Math.log10(n) - first)) / (last - first);
  const v = (variance) => floor - ((floor - ceiling + 14) * (Math.log10(Math.max(variance, 1e-12)) - base)) / (top - base);
  let grid = "";
  for (let power = Math.ceil(base); power <= top; power++) {
    const y = v(10 ** power);
    grid += `<path class="ramlib-rule" stroke-opacity=".35" d="M48 ${y}H${W - 12}"/>` + text(42, y + 4, power < -3 || power > 3 ? `1e${power}`.replace("-", "−") : short(10 ** power), 'style="text-anchor:end"');
  }
  const every = Math.ceil(counts.length / 6);
  grid += counts.map((n, i) => (i % every ? "" : `<path class="ramlib-rule" d="M${u(n)} ${floor}v5"/>` + text(u(n), floor + 18, n))).join("");
  const right = plot(
    "Variance of the estimates against the number of samples",
    `${grid}<path class="ramlib-rule" d="M48 ${ceiling - 20}V${floor}H${W - 12}"/><g></g>${text(W / 2 + 20, H - 4, "samples in one estimate, N")}`
  );

  // -- what is said about them
  const key = node("ul", { className: "ramlib-key" });
  const readings = series.map((one, k) => {
    const innerHTML = `<svg viewBox="0 0 26 10" aria-hidden="true"><path class="ramlib-series ramlib-series-${k}" d="M0 5h26"/></svg>`;
    const reading = node("span");
    key.append(node("li", { innerHTML }, reading));
    return reading;
  });
  const status = makeStatus();
  const count = node("b");
  status.append(count, key);

  function go(now) {
    const tallest = Math.max(1, ...series.flatMap((one) => one.bins[now]));
    const width = (W - 24) / bins;
    left.querySelector("g").innerHTML = series
      .map((one, k) => {
        let line = `M12 ${floor}`;
        one.bins[now].forEach((amount, b) => (line += `V${(floor - ((floor - ceiling - 14) * amount) / tallest).toFixed(1)}H${(12 + (b + 1) * width).toFixed(1)}`));
        return `<path class="ramlib-series ramlib-series-${k} ramlib-bins" d="${line}V${floor}"/>`;
      })
      .join("");
    right.querySelector("g").innerHTML = series
      .map((one, k) => {
        const points = one.std.map((s, j) => [u(counts[j]).toFixed(1), v(s * s).toFixed(1)]);
        const marks = points.map(([a, b], j) => `<circle class="ramlib-point${j == now ? " ramlib-now" : ""}" cx="${a}" cy="${b}" r="${j == now ? 6 : 4}"/>`);
        return `<g class="ramlib-series ramlib-series-${k}"><path fill="none" d="M${points.join("L")}"/>${marks.join("")}</g>`;
      })
      .join("");
    count.textContent = `N = ${counts[now]}`;
    readings.forEach((reading, k) => {
      const one = series[k];
      const beyond = one.beyond[now] ? `, ${grouped(one.beyond[now])} of ${grouped(one.total[now])} beyond the axis` : "";
      reading.textContent = `${one.name ? one.name + ": " : ""}mean ${short(one.mean[now])} ± ${short(one.std[now])}${beyond}`;
    });
    time.show(now, `N = ${counts[now]}`);
  }

  const time = makeTime(counts.length, "Samples in one estimate, N", go);
  time.stops.forEach((stop, i) => (stop.textContent = counts[i]));
  root.addEventListener("keydown", (event) => event.target.type == "range" && event.stopPropagation());

  go(0);
  return [
    box(
      "main",
      section("The estimates", "how often", left),
      box("controls", node("b", {}, "N"), time.element),
      status,
      box("side", section("Their variance", "both axes logarithmic", right))
    ),
  ];
});

// About four round numbers between two ends.
function niceTicks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(+(i * step).toPrecision(12));
  return ticks;
}
