// Buttons, sliders and choices, each as wide as its words need.
const button = (text, onclick) => node("button", { className: "ramlib-push", type: "button", ariaLabel: text, onclick }, text);

function slider(name, ariaLabel, range, pick) {
  const input = node("input", { className: "ramlib-slider", type: "range", ariaLabel, ...range });
  const output = node("output", { ariaHidden: true });
  input.onkeydown = (event) => event.stopPropagation();
  input.oninput = () => pick(+input.value);
  const show = (value, text) => {
    input.value = value;
    input.ariaValueText = output.textContent = text;
  };
  return { row: box("axis", node("span", {}, name), input, output), show };
}

// One of a few: native buttons with their own keys, in a form of their own, so that none
// of another widget's belongs to them.
function choose(ariaLabel, names, chosen, pick) {
  const labels = names.map((name, i) => {
    const input = node("input", { type: "radio", name: "one", checked: i == chosen, onchange: () => pick(i) });
    input.ariaLabel = `${ariaLabel}: ${name}`;
    input.onkeydown = (event) => event.stopPropagation();
    return node("label", { className: "ramlib-option" }, input, node("b", {}, name));
  });
  return { element: node("form", { className: "ramlib-choice", role: "radiogroup", ariaLabel }, ...labels), labels };
}
