// A slider whose `count` stops have a column each to say what is there.
function makeTime(count, label, go) {
  const slider = node("input", { class: "ramlib-slider", type: "range", min: 1, max: count, step: 1, "aria-label": label });
  const row = box("stops");
  row.setAttribute("aria-hidden", "true");
  const stops = Array.from({ length: count }, (_, i) => {
    const stop = box("stop");
    stop.onclick = () => go(i);
    row.append(stop);
    return stop;
  });
  slider.oninput = () => go(slider.value - 1);
  const element = box("time", row, slider);
  element.style.setProperty("--ramlib-steps", count);
  const show = (now, text) => {
    stops.forEach((stop, i) => stop.classList.toggle("ramlib-now", i == now));
    slider.value = now + 1;
    slider.setAttribute("aria-valuetext", text);
  };
  return { element, slider, stops, show };
}
