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
  return { row, canvases };
}

// Average blocks of `block` x `block` pixels from (left, top) on, just as the sensor
// does: what lies outside the image is black.
function drawPatch(canvas, pixels, width, height, offset, left, top, block) {
  const size = canvas.width;
  const context = canvas.getContext("2d");
  const patch = context.createImageData(size, size);
  for (let cell = 0; cell < size * size; cell++) {
    const sum = [0, 0, 0];
    for (let i = 0; i < block * block; i++) {
      const x = left + (cell % size) * block + (i % block);
      const y = top + Math.floor(cell / size) * block + Math.floor(i / block);
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const at = ((y + offset) * width + x) * 4;
      for (let c = 0; c < 3; c++) sum[c] += pixels.data[at + c];
    }
    patch.data.set([...sum.map((all) => Math.round(all / block ** 2)), 255], cell * 4);
  }
  context.putImageData(patch, 0, 0);
}

// The image with room around it, and a drawing on top in units of about a screen pixel.
function makeStage(width, height, size, scales, room = 0.1) {
  const longest = Math.max(width, height);
  const unit = 300 / longest;
  const margin = Math.min(size * 2 ** (scales - 2), room * longest);
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
    const dim = s < scales - 1 ? "" : `<path class="ramlib-dim" d="M-4e3-4e3h8e3v8e3h-8e3zM0 0v${side}h${side}v-${side}z"/>`;
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
    // `corners` holds left and top of each scale, in pixels, finest first.
    place(corners, color) {
      groups.forEach((group, s) => {
        const [x, y] = corners.slice(2 * s).map((at) => at * unit + "px");
        group.style.transform = `translate(${x}, ${y})`;
        group.lastChild.setAttribute("stroke", color);
      });
    },
  };
}
