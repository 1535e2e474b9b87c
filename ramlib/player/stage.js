const COLORS = "047ba2 045ea0 3a76f8 6947c4 cd49c1 b7017d cb0467 c30046 eb3e44 b42703 bf6c01 735703".split(" ");
const glimpseColor = (t) => "#" + COLORS[t % COLORS.length];
const lineWidth = (scale) => 2.6 * 0.8 ** scale;

function readPixels(image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = node("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return { canvas, width, data: context.getImageData(0, 0, width, height).data };
}

// One enlarged patch per scale, with how much of the image it covers.
function patchRow(size, scales) {
  const canvases = [];
  const row = box("patches");
  for (let s = 0; s < scales; s++) {
    const canvas = node("canvas", { width: size, height: size });
    canvas.style.borderWidth = lineWidth(s) + "px";
    canvases.push(canvas);
    const side = size * 2 ** s;
    row.append(box("patch", canvas, `${side} × ${side} px`));
  }
  // What a look at the image that begins at row `offset` sees, given its corners.
  const draw = (pixels, width, height, offset, corners) =>
    canvases.forEach((canvas, s) => drawPatch(canvas, pixels, width, height, offset, ...corners.slice(2 * s, 2 * s + 2), 2 ** s));
  return { row, canvases, draw };
}

// The mean of `block` x `block` pixels from (left, top) on, in red, green and blue, just as
// the sensor takes it: what lies outside the image is black.
function blockMean(pixels, width, height, offset, left, top, block) {
  const sum = [0, 0, 0];
  for (let i = 0; i < block * block; i++) {
    const x = left + (i % block);
    const y = top + Math.floor(i / block);
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const at = ((y + offset) * width + x) * 4;
    for (let c = 0; c < 3; c++) sum[c] += pixels.data[at + c];
  }
  return sum.map((all) => all / block ** 2);
}

// A patch from (left, top) on: a mean for each of its cells.
function drawPatch(canvas, pixels, width, height, offset, left, top, block) {
  const size = canvas.width;
  const context = canvas.getContext("2d");
  const patch = context.createImageData(size, size);
  for (let cell = 0; cell < size * size; cell++) {
    const [x, y] = [left + (cell % size) * block, top + Math.floor(cell / size) * block];
    const mean = blockMean(pixels, width, height, offset, x, y, block);
    patch.data.set([...mean.map(Math.round), 255], cell * 4);
  }
  context.putImageData(patch, 0, 0);
}

// Left and top of every scale of a retina at (x, y), finest first: in single precision, step
// by step, so that every tie falls as it does in the sensor.
function retinaCorners(location, sides, size, scales) {
  const f = Math.fround;
  const corner = (value, side, span) => Math.floor(f(f(f(f(value) + 1) * f(side / 2)) - (span - 1) / 2));
  return Array.from({ length: scales }, (_, s) => location.map((value, i) => corner(value, sides[i], size * 2 ** s))).flat();
}

// The image with room around it, and a drawing on top in units of about a screen pixel.
function makeStage(width, height, size, scales, room = 0.1) {
  const longest = Math.max(width, height);
  const unit = 300 / longest;
  // Enough for half of the largest square, and for its stroke.
  const half = size * 2 ** (scales - 2);
  const margin = Math.min(Math.ceil(half) + 0.01 * (longest + 2 * half), room * longest);
  const W = width + 2 * margin;
  const H = height + 2 * margin;
  const canvas = node("canvas", { width, height });
  const share = (part, whole) => (100 * part) / whole + "%";
  Object.assign(canvas.style, {
    left: share(margin, W),
    top: share(margin, H),
    width: share(width, W),
    height: share(height, H),
  });
  const element = box("stage", canvas);
  element.style.aspectRatio = W / H;
  if (H > W) element.style.maxWidth = (340 * W) / H + "px";
  let squares = "";
  for (let s = scales - 1; s >= 0; s--) {
    const side = size * 2 ** s * unit;
    const rect = `<rect width="${side}" height="${side}" stroke`;
    // Everything outside the largest square is dimmed by the square's own wide frame.
    const dim = s < scales - 1 ? "" : `<path class="ramlib-dim" d="M-2e4-2e4h4e4v4e4h-4e4zM0 0v${side}h${side}v-${side}z"/>`;
    squares += `<g class="ramlib-square">${dim}${rect}="#fff" stroke-opacity=".8" stroke-width="${lineWidth(s) + 1.6}"/>${rect}-width="${lineWidth(s)}" class="ramlib-line"/></g>`;
  }
  const view = [-margin, -margin, W, H].map((x) => x * unit);
  element.insertAdjacentHTML(
    "beforeend",
    `<svg viewBox="${view}" aria-hidden="true"><rect width="${width * unit}" height="${height * unit}" fill="none" stroke="#8b94a3"/>${squares}<g class="ramlib-path"></g></svg>`
  );
  const groups = [...element.querySelectorAll(".ramlib-square")].reverse();
  return {
    element,
    unit,
    margin,
    path: element.querySelector(".ramlib-path"),
    show(image, top) {
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, width, height);
      context.drawImage(image, 0, top);
    },
    // `corners` holds left and top of each scale, in pixels, finest first; there is one
    // colour for all scales, or one for each.
    place(corners, ...colors) {
      groups.forEach((group, s) => {
        const [x, y] = corners.slice(2 * s).map((at) => at * unit + "px");
        group.style.transform = `translate(${x}, ${y})`;
        group.lastChild.setAttribute("stroke", colors[s % colors.length]);
      });
    },
    // What some looks have seen of the image that begins at row `offset`, each given by its
    // corners: coarse blocks first, and over them what was seen sharper.
    showSeen(pixels, offset, looks) {
      const context = canvas.getContext("2d");
      const patch = node("canvas", { width: size, height: size });
      context.clearRect(0, 0, width, height);
      context.imageSmoothingEnabled = false;
      for (let s = scales - 1; s >= 0; s--)
        for (const corners of looks) {
          const [left, top] = corners.slice(2 * s);
          drawPatch(patch, pixels, width, height, offset, left, top, 2 ** s);
          context.drawImage(patch, left, top, size * 2 ** s, size * 2 ** s);
        }
    },
    // The way so far, through points in pixels: numbered dots, and lines. The newest of
    // each may glide, as the squares do: it never runs ahead of them.
    drawPath(points, glide) {
      const at = points.map((point) => point.map((pixel) => pixel * unit));
      let lines = "";
      let dots = "";
      at.forEach(([x, y], t) => {
        const color = glimpseColor(t);
        const line = `<path d="M${at[t - 1]}L${x} ${y}" fill="none" stroke=`;
        if (t) lines += `${line}"#fff" stroke-opacity=".8" stroke-width="2.8"/>${line}"${color}" stroke-width="1.6"/>`;
        dots += `<circle cx="${x}" cy="${y}" r="${t == at.length - 1 ? 9.5 : 8}" fill="${color}" stroke="#fff"/><text x="${x}" y="${y + 4}">${t + 1}</text>`;
      });
      this.path.innerHTML = lines + dots;
      if (!glide) return;
      const [from, to] = at.slice(-2);
      const by = (x, y) => `translate(${x}px, ${y}px)`;
      const grow = [0, 1].map((scale) => `${by(...from)} scale(${scale}) ${by(-from[0], -from[1])}`);
      const move = [by(from[0] - to[0], from[1] - to[1]), "none"];
      const made = [...this.path.children];
      made.slice(2 * at.length - 4, 2 * at.length - 2).forEach((line) => line.animate({ transform: grow }, glide));
      made.slice(-2).forEach((dot) => dot.animate({ transform: move }, glide));
    },
  };
}
