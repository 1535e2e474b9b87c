"use strict";
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// An element with properties and children; JupyterLab leaves the keys of a control
// alone only when the control itself says so.
function node(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  if (/^(button|input|select)$/.test(tag)) made.dataset.lmSuppressShortcuts = true;
  made.append(...children);
  return made;
}

const box = (name, ...children) => node("div", { className: "ramlib-" + name }, ...children);
const section = (title, note, ...content) => node("div", {}, box("head", node("b", {}, title), note), ...content);
const makeStatus = () => Object.assign(box("status"), { role: "status", ariaLive: "polite" });

// Find the widgets that were made with this script and build each of them, once.
function start(kind, name, build) {
  const find = () =>
    document.querySelectorAll(`[data-ramlib="${kind}-VERSION"]`).forEach((root) => {
      if (root.ramlibStarted) return;
      root.ramlibStarted = true;
      const ready = (image) => {
        const data = JSON.parse(root.dataset.value);
        const parts = build(root, data, image);
        root.role = "group";
        root.ariaLabel = data.title || name;
        if (data.title) root.append(box("title", data.title));
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
