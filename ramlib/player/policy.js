// A normal policy over places in [-1, 1]²: what it is paid, exactly, and its arrows.

// The numbers for x and for y.
const both = (of) => [of(0), of(1)];

// Pairs of standard normal numbers, the same for the same seed: mulberry32, Box–Muller.
function normal(seed) {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  };
}

// The density of a standard normal number, and the chance of one below x: by its series
// at zero, to fifteen digits.
const density = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

function below(x) {
  if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
  let sum = 0;
  for (let term = x, i = 1; sum + term != sum; term *= (x * x) / (i += 2)) sum += term;
  return 0.5 + sum * density(x);
}

// Of each of equal parts of [-1, 1], the outer ones with their tails: the integrals of 1,
// z and z² there, for a standard normal z = (s - mean) / std.
function moments(mean, std, count) {
  const up = Array.from({ length: count + 1 }, (_, i) => {
    const z = i == 0 ? -40 : i == count ? 40 : ((2 * i) / count - 1 - mean) / std;
    return [below(z), -density(z), below(z) - z * density(z)];
  });
  return up.slice(1).map((high, i) => high.map((value, k) => value - up[i][k]));
}

// J, its gradient, the baselines none, mean and best, and with each of these the variance
// of one sample's estimate along each axis: sums over the pixels, nothing is drawn.
function exactly(ink, mean, std) {
  const across = moments(mean[0], std, ink[0].length);
  const down = moments(mean[1], std, ink.length);
  const [slope, once, twice] = [[0, 0], [0, 0], [0, 0]]; // of R score, R score², R² score²
  let J = 0;
  ink.forEach((row, i) =>
    row.forEach((R, j) => {
      J += R * down[i][0] * across[j][0];
      [[across[j], down[i]], [down[i], across[j]]].forEach(([own, other], axis) => {
        slope[axis] += (R * own[1] * other[0]) / std;
        once[axis] += (R * own[2] * other[0]) / std ** 2;
        twice[axis] += (R * R * own[2] * other[0]) / std ** 2;
      });
    })
  );
  const baselines = [0, J, ((once[0] + once[1]) * std ** 2) / 2];
  const variance = (b, i) => Math.max(0, twice[i] - 2 * b * once[i] + (b / std) ** 2 - slope[i] ** 2);
  return { J, slope, baselines, variances: baselines.map((b) => both((i) => variance(b, i))) };
}

// J at count x count means, in rows from one edge of the picture to the other.
function everywhere(ink, std, edge, count) {
  const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
  const [across, down] = both((i) =>
    Array.from({ length: count }, (_, k) => {
      const parts = i ? ink.length : ink[0].length;
      return moments(((2 * k + 1) / count - 1) * edge[i], std, parts).map(([chance]) => chance);
    })
  );
  const columns = across.map((chances) => ink.map((row) => dot(row, chances)));
  return down.map((chances) => columns.map((column) => dot(column, chances)));
}

// Paint a canvas in greys from 0 to 1.
function paint(canvas, shade) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    const grey = 255 * shade(at % width, Math.floor(at / width));
    image.data.set([grey, grey, grey, 255], 4 * at);
  }
  context.putImageData(image, 0, 0);
}

// A true minus sign, and none before a zero.
const number = (x, digits = 2) => (Math.round(x * 10 ** digits) / 10 ** digits + 0).toFixed(digits).replace("-", "−");
const many = (count, thing) => `${count} ${thing}${count == 1 ? "" : "s"}`;
const pair = (v) => `(${number(v[0])}, ${number(v[1])})`;

// -- pieces of a drawing
const path = (kind, d) => `<path class="ramlib-${kind}" d="${d}"/>`;
const cased = (kind, d) => path("case ramlib-" + kind, d) + path(kind, d);
const ellipse = (kind, [x, y], [rx, ry]) => `<ellipse class="ramlib-${kind}" cx="${x}" cy="${y}" rx="${rx}" ry="${ry}"/>`;
const words = (x, y, text, anchor = "start") => `<text x="${x}" y="${y}" style="text-anchor:${anchor}">${text}</text>`;
const swatch = (mark) => `<svg viewBox="0 0 30 12" aria-hidden="true">${mark}</svg>`;

// An arrow's shaft and its head, two paths, so that a dashed one has a whole head.
function arrowPaths([x, y], [dx, dy], head = 6) {
  const length = Math.hypot(dx, dy);
  if (length < 0.5) return ["", ""];
  const barb = Math.min(head, length * 0.7) / length;
  const point = (u, v) => [x + u * dx - v * dy, y + u * dy + v * dx].map((at) => at.toFixed(1));
  const back = 1 - barb;
  return [`M${point(0, 0)}L${point(back, 0)}`, `M${point(1, 0)}L${point(back, barb / 2)}L${point(back, -barb / 2)}z`];
}

function arrow(kind, from, by, head) {
  const [shaft, tip] = arrowPaths(from, by, head);
  return path(kind, shaft) + path(`${kind} ramlib-tip`, tip);
}

function plot(width, height, label) {
  const element = box("plot");
  element.innerHTML = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}"></svg>`;
  return element.firstChild;
}

// A line for each mark, with a name and a value to fill in.
function makeKey(marks) {
  const cells = marks.map(() => [node("span"), node("b")]);
  const lines = marks.map((mark, i) => node("li", { innerHTML: swatch(mark) }, ...cells[i]));
  return { element: node("ul", { className: "ramlib-key" }, ...lines), cells: cells.flat() };
}

// The next of …, 1, 2, 5, 10, … from a number on.
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((m) => m * power >= rough) * power;
}
