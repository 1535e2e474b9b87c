start("retina", "A retina to drag", (root, data, pixels) => {
  const { width, height, size, scales } = data;
  const sides = [width, height];
  const color = glimpseColor(0);
  let place = data.start;
  root.style.setProperty("--color", color);
  const stage = makeStage(width, height, size, scales, 0.25);
  stage.show(pixels.canvas, 0);
  stage.element.dataset.lmSuppressShortcuts = true;
  Object.assign(stage.element, {
    tabIndex: 0,
    role: "application",
    ariaLabel: "The retina on the image: drag it, or move it with the arrow keys",
  });
  const patches = patchRow(size, scales);
  const captions = [...patches.row.children];
  captions.forEach((patch) => patch.append(node("br"), node("span")));
  const status = makeStatus();

  const axes = ["x", "y"].map((name, i) => {
    const ariaLabel = `${name} of the location`;
    const slider = node("input", { className: "ramlib-slider", type: "range", min: -1, max: 1, step: 0.01, ariaLabel });
    const output = node("output", { ariaHidden: true });
    slider.oninput = () => go(place.with(i, +slider.value));
    return { slider, output, row: box("axis", node("b", {}, name), slider, output) };
  });

  // In single precision, step by step, so that every tie falls as it does in the sensor.
  const f = Math.fround;
  const pixel = (value, side) => f(f(f(value) + 1) * f(side / 2));
  const corner = (at, span) => Math.floor(f(at - (span - 1) / 2));

  function go(next) {
    place = next.map((value) => clamp(Math.round(value * 100) / 100, -1, 1) + 0);
    const at = place.map((value, i) => pixel(value, sides[i]));
    const corners = captions.flatMap((caption, s) => {
      const [left, top] = at.map((value) => corner(value, size * 2 ** s));
      drawPatch(patches.canvases[s], pixels, width, height, 0, left, top, 2 ** s);
      caption.lastChild.textContent = `from (${left}, ${top})`;
      return [left, top];
    });
    stage.place(corners, color);
    const [x, y] = at.map((value) => value * stage.unit);
    stage.path.innerHTML = `<circle cx="${x}" cy="${y}" r="3.5" fill="${color}" stroke="#fff"/>`;
    const said = place.map((value) => value.toFixed(2));
    axes.forEach(({ slider, output }, i) => {
      slider.value = place[i];
      output.textContent = said[i];
    });
    const [px, py] = at.map((value) => value.toFixed(1));
    status.textContent = `Location (${said[0]}, ${said[1]}), which is (${px}, ${py}) in pixels`;
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

  go(place);
  const controls = node("div", {}, ...axes.map((axis) => axis.row));
  const seen = section("What the retina sees", scales > 1 ? "sharp to coarse" : "", patches.row);
  return [box("main", stage.element, box("side", seen, controls), status)];
});
