// A handle on a picture: `go` is told where it is dragged, in shares of the picture, and
// `nudge` which way the arrow keys push it; Home is [0, 0].
function makeHandle(picture, ariaLabel, go, nudge) {
  const handle = Object.assign(box("handle"), { tabIndex: 0, role: "application", ariaLabel });
  handle.dataset.lmSuppressShortcuts = true;
  picture.append(handle);
  let grip; // from the middle of the handle to where it is held
  const follow = (event) => {
    const { left, top, width, height } = picture.getBoundingClientRect();
    go([(event.clientX - grip[0] - left) / width, (event.clientY - grip[1] - top) / height]);
  };
  // A finger beside the handle scrolls the page, unless it only taps.
  const isLoose = (event) => event.pointerType == "touch" && event.target != handle;
  picture.onpointerdown = (event) => {
    const { left, top, width, height } = handle.getBoundingClientRect();
    grip = event.target == handle ? [event.clientX - left - width / 2, event.clientY - top - height / 2] : [0, 0];
    if (isLoose(event)) return;
    picture.setPointerCapture(event.pointerId);
    if (event.target != handle) follow(event);
  };
  picture.onpointermove = (event) => picture.hasPointerCapture(event.pointerId) && follow(event);
  picture.onpointerup = (event) => isLoose(event) && follow(event);
  handle.onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [0, 0] };
    if (!moves[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    nudge(moves[event.key], event.shiftKey);
  };
  return handle;
}
