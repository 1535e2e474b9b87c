"use strict";
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// An element with attributes and children; JupyterLab leaves the keys of a control
// alone only when the control itself says so.
function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (/^(button|input|select)$/.test(tag)) made.setAttribute("data-lm-suppress-shortcuts", "true");
  made.append(...children);
  return made;
}

const box = (name, ...children) => node("div", { class: "ramlib-" + name }, ...children);
const head = (text, note = "") => box("head", node("b", {}, text), note);

// Find the widgets that were made with this script and build each of them, once.
function start(kind, build) {
  const find = () =>
    document.querySelectorAll(`[data-ramlib="${kind}-VERSION"]`).forEach((root) => {
      if (root.ramlibStarted) return;
      root.ramlibStarted = true;
      const ready = (image) => {
        const parts = build(root, JSON.parse(root.dataset.value), image);
        root.append(...parts);
        root.classList.add("ramlib-ready");
      };
      if (!root.dataset.images) return ready();
      const image = new Image();
      image.onload = () => ready(readPixels(image));
      image.src = root.dataset.images;
    });
  find();
  // Some notebooks run a script before they put its output on the page.
  [0, 100, 1000].forEach((wait) => setTimeout(find, wait));
}
