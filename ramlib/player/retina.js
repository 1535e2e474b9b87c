// One colour a scale: what is drawn of it anywhere has this colour, in both themes.
const SCALES = ["#0b6e99", "#c2410c", "#5b4bb7", "#15803d", "#8a6100"];
const colorOf = (scale) => SCALES[scale % SCALES.length];
// What the arrow keys do to columns and rows; Home goes back to where they begin.
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: null };

start("retina", "A retina to drag", (root, data, pixels) => {
  const { width, height, channels } = data;
  const sides = [width, height];
  let { size, scales, start: place } = data;
  let stage = { element: box("stage") };
  let patches = { row: box("patches") };
  let at; // the place, in pixels
  let corners; // left and top of each scale, finest first
  let pointed = -1; // the scale that is pointed at, if any,
  let cell = [size >> 1, size >> 1]; // and column and row of a cell of its patch
  let hold; // lies over the squares, where a finger drags them
  let grip = null; // while they are dragged: from the pointer to their middle

  // -- what stands around the picture
  const number = (value, digits = 0) => value.toFixed(digits).replace("-", "−"); // a true minus
  const status = makeStatus();
  const axes = ["x", "y"].map((name, i) => {
    const range = { min: -1, max: 1, step: 0.01 };
    const move = slider(node("b", {}, name), `${name} of the location`, range, (value) => go(place.with(i, value)));
    return { ...move, name, first: ["left", "top"][i], sum: box("sum ramlib-now", node("span"), node("b")) };
  });
  const grain = slider("Patch size g", "Patch size g, in pixels", { min: Math.min(2, size), max: Math.max(16, size) }, (value) => {
    size = value;
    build();
  });
  const depth = slider("Scales S", "Scales S, how many", { min: 1, max: Math.max(4, scales) }, (value) => {
    scales = value;
    build();
  });
  const counts = ["Numbers the model gets: ", "Pixels covered, at most: "].map((text) => {
    const value = node("b");
    return { value, line: node("span", { ariaLive: "polite" }, text, value) };
  });

  const f = Math.fround; // in single precision, as the corners
  const pixel = (value, side) => f(f(f(value) + 1) * f(side / 2));
  const digits = (side) => (side % 20 ? (side % 2 ? 3 : 2) : 1); // of a hundredth of half a side

  // -- drawing
  // The picture and the patches, anew for another size or number of scales.
  function build() {
    const old = [stage.element, patches.row];
    stage = makeStage(width, height, size, scales, Infinity);
    patches = patchRow(size, scales);
    [stage.element, patches.row].forEach((element, i) => old[i].replaceWith(element));
    stage.show(pixels.canvas, 0);
    hold = box("hold");
    stage.element.append(hold);
    handle(stage.element);
    patches.grids = patches.canvases.map((canvas, s) => {
      const grid = box("grid", box("cell"));
      canvas.style.borderWidth = ""; // scales differ in colour, not in width
      canvas.parentElement.style.setProperty("--color", colorOf(s));
      canvas.parentElement.append(node("br"), node("span"), grid);
      handleGrid(grid, s);
      return grid;
    });
    const side = size * 2 ** (scales - 1);
    const image = `${height} × ${width}`;
    counts[0].value.textContent = `${channels > 1 ? channels + "·" : ""}S·g² = ${(channels * scales * size ** 2).toLocaleString("en")}`;
    counts[1].value.textContent = `${side} × ${side} ` + (side > Math.max(...sides) ? `(image: ${image})` : `of ${image}`);
    grain.show(size, String(size));
    depth.show(scales, String(scales));
    pointed = -1;
    go(place);
  }

  function go(next) {
    const before = place;
    place = next.map((value) => clamp(Math.round(value * 100) / 100, -1, 1) + 0);
    at = place.map((value, i) => pixel(value, sides[i]));
    corners = retinaCorners(place, sides, size, scales);
    patches.draw(pixels, width, height, 0, corners);
    patches.canvases.forEach((canvas, s) => {
      const [left, top] = corners.slice(2 * s);
      canvas.parentElement.querySelector("span").textContent = `from (${number(left)},\u00a0${number(top)})`;
    });
    stage.place(corners, ...SCALES);
    const widest = size * 2 ** (scales - 1);
    const share = (length, i) => (100 * length) / (sides[i] + 2 * stage.margin) + "%";
    const [left, top] = corners.slice(-2).map((first, i) => share(first + widest / 2 + stage.margin, i));
    Object.assign(hold.style, { left, top, width: share(widest, 0) });
    axes.forEach(reckon);
    const moved = place.map((value, i) => value != before[i]);
    if (moved.includes(true)) axes.forEach(({ sum }, i) => sum.classList.toggle("ramlib-now", moved[i]));
    mark();
  }

  // From the location to the first pixel of the finest patch, along one axis.
  function reckon(axis, i) {
    const value = number(place[i], 2);
    const half = (size - 1) / 2;
    // Close to a tie, as many digits as tell on which side of it single precision falls.
    const texts = [at[i].toFixed(digits(sides[i])), String(+at[i].toPrecision(8))];
    axis.pixel = texts.find((text) => Math.floor(text - half) == corners[i]);
    axis.show(place[i], value);
    const [first, second] = axis.sum.children;
    first.innerHTML = `p<sub>${axis.name}</sub> = (${value} + 1) / 2 · ${sides[i]} = ${axis.pixel}`;
    second.textContent = `${axis.first} = ⌊${axis.pixel} − ${half}⌋ = ${number(corners[i])}`;
  }

  // Link a square, its patch, a cell of it and the block of pixels that the cell averages.
  function mark() {
    const squares = [...stage.element.querySelectorAll(".ramlib-square")].reverse();
    root.classList.toggle("ramlib-linking", pointed >= 0);
    for (const all of [squares, patches.row.childNodes]) all.forEach((one, s) => one.classList.toggle("ramlib-now", s == pointed));
    const { unit, margin } = stage;
    const view = width + 2 * margin;
    if (pointed < 0) {
      const [x, y] = at.map((middle) => middle * unit);
      stage.path.innerHTML = `<circle cx="${x}" cy="${y}" r="${0.012 * view * unit}" fill="#14181e" stroke="#fff"/>`;
      const [px, py] = axes.map((axis) => axis.pixel);
      const said = place.map((value) => number(value, 2));
      status.textContent = `Location (${said[0]}, ${said[1]}), which is (${px}, ${py}) in pixels`;
      return;
    }
    const block = 2 ** pointed;
    const [left, top] = cell.map((n, i) => corners[2 * pointed + i] + n * block);
    const gap = view / 160; // so that a single pixel can be seen inside
    const [x0, y0, side] = [left - gap, top - gap, block + 2 * gap].map((length) => length * unit);
    const edge = `<rect x="${x0}" y="${y0}" width="${side}" height="${side}" fill="none" stroke`;
    stage.path.innerHTML = `${edge}="#fff" stroke-width="4.2"/>${edge}="${colorOf(pointed)}" stroke-width="2" class="ramlib-block"/>`;
    const [column, row, part] = [...cell, 1].map((n) => (100 * n) / size + "%");
    Object.assign(patches.grids[pointed].firstChild.style, { left: column, top: row, width: part, height: part });
    const means = blockMean(pixels, width, height, 0, left, top, block).slice(0, channels);
    const value = means.map((mean) => (mean / 255).toFixed(2)).join(", ");
    const what = block > 1 ? `mean of ${block} × ${block} pixels` : "1 pixel";
    const span = (name, first) => (block > 1 ? `${name}s ${number(first)} to ${number(first + block - 1)}` : `${name} ${number(first)}`);
    status.replaceChildren(node("b", {}, `${what} = ${value}`), node("br"), `${span("row", top)}, ${span("column", left)}`);
  }

  // -- pointing and dragging
  function point(scale, next = cell) {
    [pointed, cell] = [scale, next.map((n) => clamp(Math.floor(n), 0, size - 1))];
    mark();
  }
  const leave = () => point(patches.grids?.findIndex((grid) => grid.matches(":focus")) ?? -1);

  const keys = (act) => (event) => {
    if (!(event.key in MOVES) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    act(MOVES[event.key]);
  };

  // The pixel under the pointer: the image lies inside its stage by the margin.
  function under(event) {
    const frame = stage.element.getBoundingClientRect();
    const shares = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    return shares.map((share, i) => share * (sides[i] + 2 * stage.margin) - stage.margin);
  }

  function handle(element) {
    element.dataset.lmSuppressShortcuts = true;
    const ariaLabel = "The retina on the image: drag it, or move it with the arrow keys";
    const follow = (event) => go(under(event).map((p, i) => (2 * (p + grip[i])) / sides[i] - 1));
    const drop = () => (grip = null);
    Object.assign(element, { tabIndex: 0, role: "application", ariaLabel, onlostpointercapture: drop, onpointerleave: leave });
    element.onpointerdown = (event) => {
      // A finger drags the squares from where it takes them. Beside them it scrolls the page.
      const finger = event.pointerType == "touch";
      if (finger && event.target != hold) return;
      element.setPointerCapture(event.pointerId);
      grip = finger ? under(event).map((p, i) => at[i] - p) : [0, 0];
      pointed = -1;
      follow(event);
    };
    element.onpointermove = (event) => {
      if (grip) return follow(event);
      if (event.pointerType == "touch") return;
      const p = under(event);
      const inside = (s) => p.every((v, i) => v >= corners[2 * s + i] && v < corners[2 * s + i] + size * 2 ** s);
      const scale = patches.canvases.findIndex((_, s) => inside(s));
      point(scale, scale < 0 ? cell : p.map((v, i) => (v - corners[2 * scale + i]) / 2 ** scale));
    };
    // A tap brings them, wherever it falls.
    element.onclick = (event) => {
      grip = [0, 0];
      follow(event);
      drop();
    };
    element.onkeydown = keys((move) => go(move ? place.map((value, i) => value + move[i] * Math.max(0.01, 2 / sides[i])) : [0, 0]));
  }

  function handleGrid(grid, s) {
    grid.dataset.lmSuppressShortcuts = true;
    const side = size * 2 ** s;
    const ariaLabel = `What it sees of ${side} × ${side} pixels: the arrow keys go from cell to cell`;
    const reach = (event) => point(s, [event.offsetX, event.offsetY].map((v) => (v / grid.clientWidth) * size));
    Object.assign(grid, { tabIndex: 0, role: "application", ariaLabel, onpointerdown: reach, onpointermove: reach });
    Object.assign(grid, { onpointerleave: leave, onblur: leave, onfocus: () => point(s) });
    grid.onkeydown = keys((move) => point(s, move ? cell.map((n, i) => n + move[i]) : [0, 0]));
  }
  root.addEventListener("keydown", (event) => event.target.type == "range" && event.stopPropagation());

  const seen = section("What the retina sees", "point at a cell", patches.row);
  const sums = box("sums", ...axes.map(({ sum }) => sum));
  const controls = box("controls", grain.row, depth.row, ...counts.map(({ line }) => line));
  const main = box("main", stage.element, sums, box("side", seen, status, node("div", {}, ...axes.map(({ row }) => row))), controls);
  build();
  return [main];
});
