// A slider whose `count` stops have a column each to say what is there.
function makeTime(count, ariaLabel, go) {
  const slider = node("input", { className: "ramlib-slider", type: "range", min: 1, max: count, ariaLabel });
  const stops = Array.from({ length: count }, (_, i) => Object.assign(box("stop"), { onclick: () => go(i) }));
  const row = Object.assign(box("stops", ...stops), { ariaHidden: true });
  slider.oninput = () => go(slider.value - 1);
  const element = box("time", row, slider);
  element.style.setProperty("--steps", count);
  const show = (now, text) => {
    stops.forEach((stop, i) => stop.classList.toggle("ramlib-now", i == now));
    slider.value = now + 1;
    slider.ariaValueText = text;
  };
  return { element, slider, stops, show };
}
