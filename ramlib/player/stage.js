const COLORS = "047ba2 045ea0 3a76f8 6947c4 cd49c1 b7017d cb0467 c30046 eb3e44 b42703 bf6c01 735703".split(" ");
const glimpseColor = (t) => "#" + COLORS[t % COLORS.length];
// In thousandths first: 0.145 * 100 is a little less than 14.5.
const percent = (share) => Math.round(Math.round(share * 1000) / 10) + "\u00a0%";

function readPixels(image) {
  const canvas = node("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { canvas, data, width: canvas.width };
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
    for (let c = 0; c < 3; c++) patch.data[cell * 4 + c] = Math.round(sum[c] / (block * block));
    patch.data[cell * 4 + 3] = 255;
  }
  context.putImageData(patch, 0, 0);
}

// One enlarged patch per scale, with how much of the image it covers.
function patchRow(size, scales) {
  const canvases = [];
  const row = box("patches");
  for (let s = 0; s < scales; s++) {
    canvases.push(node("canvas", { width: size, height: size, style: `border-width:${lineWidth(s)}px` }));
    const side = size * 2 ** s;
    row.append(box("patch", canvases[s], `${side} × ${side} px`));
  }
  return { row, canvases };
}

const lineWidth = (scale) => 2.6 * 0.8 ** scale;

// The image with room around it, and a drawing on top in units of about a screen pixel.
function makeStage(width, height, size, scales, room = 0.1) {
  const unit = 300 / Math.max(width, height);
  const largest = size * 2 ** (scales - 1);
  const margin = Math.min(largest / 2, room * Math.max(width, height));
  const W = width + 2 * margin;
  const H = height + 2 * margin;
  const share = (part, whole) => (100 * part) / whole + "%";
  const canvas = node("canvas", { width, height });
  Object.assign(canvas.style, {
    left: share(margin, W),
    top: share(margin, H),
    width: share(width, W),
    height: share(height, H),
  });
  const element = box("stage", canvas);
  element.style.aspectRatio = `${W} / ${H}`;
  if (H > W) element.style.maxWidth = (340 * W) / H + "px";
  const view = [-margin, -margin, W, H].map((x) => x * unit).join(" ");
  let squares = "";
  for (let s = scales - 1; s >= 0; s--) {
    const side = size * 2 ** s * unit;
    const rect = `<rect width="${side}" height="${side}" stroke-width=`;
    const casing = `${rect}"${lineWidth(s) + 1.6}" stroke="#fff" stroke-opacity=".8"/>`;
    const line = `${rect}"${lineWidth(s)}" class="ramlib-line"/>`;
    // Everything outside the largest square is dimmed by the square's own wide frame.
    const far = 4000;
    const dim = `<path fill-rule="evenodd" fill-opacity=".4" d="M${-far} ${-far}h${2 * far}v${2 * far}h${-2 * far}zM0 0v${side}h${side}v${-side}z"/>`;
    squares += `<g class="ramlib-square">${s == scales - 1 ? dim : ""}${casing}${line}</g>`;
  }
  element.insertAdjacentHTML(
    "beforeend",
    `<svg viewBox="${view}" aria-hidden="true"><rect width="${width * unit}" height="${height * unit}" fill="none" stroke="#8b94a3"/>${squares}<g class="ramlib-path"></g></svg>`
  );
  const groups = [...element.querySelectorAll(".ramlib-square")].reverse();
  return {
    element,
    unit,
    margin,
    canvas,
    path: element.querySelector(".ramlib-path"),
    // `corners` holds left and top of each scale, in pixels, finest first.
    place(corners, color) {
      groups.forEach((group, s) => {
        group.style.transform = `translate(${corners[2 * s] * unit}px, ${corners[2 * s + 1] * unit}px)`;
        group.querySelector(".ramlib-line").setAttribute("stroke", color);
      });
    },
  };
}
