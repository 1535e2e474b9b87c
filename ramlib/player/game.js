// Places lie on a grid of 1001 x 1001 points: four letters hold one.
const GRID = 1000;
const BEAT = 600; // milliseconds a look
const OUTCOMES = ["a hard one for you both.", "this one goes to the model.", "you see more than the model!", "you both have it."];
const WINNERS = ["the model wins.", "a draw.", "you beat the model!"];
const toLocation = (place) => place.map((value) => value / (GRID / 2) - 1);

start("game", "Look for yourself", (root, data, pixels) => {
  const { width, height, size, scales, steps, labels, firsts, classes } = data;
  const sides = [width, height];
  let number; // of the picture
  let places; // where the reader has looked
  let aim; // where he would look now
  let answer; // his, when given
  let friend; // the game that came with the address
  let live; // the model, when wanted
  let score;
  let timer = 0;

  // -- what there is
  const [you, model, other] = ["You", "The model", "Your friend"].map((who) => {
    const stage = makeStage(...sides, size, scales, 0.06);
    Object.assign(stage.element, { role: "img", ariaLabel: `${who}: the path of the looks` });
    const note = node("span");
    const element = Object.assign(section(who, note, stage.element), { className: "ramlib-board" });
    return { stage, note, element };
  });
  const stage = you.stage.element;
  const patches = patchRow(size, scales);
  const guesses = classes.map((name, a) => Object.assign(button(name, () => guess(a)), { ariaLabel: `Guess ${name}` }));
  const panel = box(
    "side",
    section("This look", "as the model gets it", patches.row),
    section("Your guess", "as soon as you know", box("guesses", ...guesses))
  );
  const status = makeStatus();
  const say = (text) => (status.textContent = text);
  const next = button("Next picture", () => {
    begin((number + 1) % labels.length);
    save();
    reveal();
  });
  next.classList.add("ramlib-filled");
  const copy = button("Copy link for a friend", share);
  const link = node("input", { className: "ramlib-address", readOnly: true, ariaLabel: "The address of this game" });
  const fair = box("fair", "To be fair: you could take your time and keep all you saw in view. The model had one pass, and its memory.");
  const controls = box("controls", next, copy, link, fair);
  const count = node("b");
  const points = node("span");

  // -- drawing
  const corners = (look) => retinaCorners(look, sides, size, scales);

  // What some looks have seen; in the end the whole picture, with their path.
  function show({ stage, element }, looks, whole) {
    if (whole) stage.show(pixels.canvas, -number * height);
    else stage.showSeen(pixels, number * height, looks.map(corners));
    stage.drawPath(looks.map((look) => look.map((value, i) => ((value + 1) / 2) * sides[i])));
    element.hidden = false;
    element.classList.toggle("ramlib-done", whole);
  }

  function draw() {
    const over = answer != null;
    const looks = places.map(toLocation);
    root.classList.toggle("ramlib-over", over);
    root.style.setProperty("--color", glimpseColor(looks.length - 1));
    show(you, looks, over);
    patches.draw(pixels, width, height, number * height, corners(looks.at(-1)));
    const dots = Array.from({ length: steps }, (_, t) => node("i", t in looks ? { style: `background:${glimpseColor(t)}` } : {}));
    you.note.replaceChildren(over ? said(answer) : box("looks", ...dots));
    const [role, ariaLabel] = over
      ? ["img", "You: the path of the looks"]
      : ["application", "The dark picture: arrow keys move the squares, Enter looks, keys 0 to 9 guess"];
    Object.assign(stage, { role, ariaLabel, tabIndex: over ? -1 : 0 });
    point(aim);
    drawScore();
  }

  function said(a) {
    const right = a == labels[number];
    return node("b", { className: right ? "ramlib-right" : "" }, `said ${classes[a]} ${right ? "✓" : "✗"}`);
  }

  function drawScore() {
    count.textContent = `Picture ${number + 1} of ${labels.length}`;
    points.textContent = score.played ? `You ${score.you} of ${score.played}` : "";
    if (score.judged) points.textContent += ` · model ${score.model} of ${score.judged}`;
  }

  // -- playing
  function begin(n, game) {
    clearInterval(timer);
    if (!score || score.played == labels.length) score = { you: 0, played: 0, model: 0, judged: 0 };
    number = n;
    friend = game;
    answer = null;
    aim = game ? game.places[0] : firsts[n];
    places = [aim];
    link.hidden = model.element.hidden = other.element.hidden = true;
    root.classList.toggle("ramlib-three", !!game);
    draw();
    const hello = game ? "A friend sent you this one." : "The first look is given.";
    say(`${hello} ${steps > 1 ? `Tap or click where to look next: ${steps - 1} more.` : "What is it?"}`);
    stage.focus({ preventScroll: true });
  }

  // On a phone the picture may be above the window by now.
  const reveal = () => you.element.scrollIntoView({ block: "nearest" });
  const looking = () => answer == null && places.length < steps;

  function point(place) {
    you.element.classList.toggle("ramlib-still", !looking());
    if (!looking()) return;
    aim = place.map((value) => clamp(Math.round(value), 0, GRID));
    you.stage.place(corners(toLocation(aim)), glimpseColor(places.length));
  }

  function look(place) {
    if (!looking()) return;
    point(place);
    if (String(aim) == String(places.at(-1))) return say("You have just looked there. Move the squares first.");
    places.push(aim);
    prepare().catch(() => {}); // while the reader thinks; his guess says what went wrong
    save();
    ask();
  }

  function ask() {
    draw();
    const left = steps - places.length;
    say(left ? `${left} look${left > 1 ? "s" : ""} left. Look on, or guess.` : "That was your last look. What is it?");
  }

  async function guess(choice) {
    if (answer != null) return;
    answer = choice;
    const [now, tally, label] = [places, score, labels[number]];
    const right = choice == label;
    const last = ++tally.played == labels.length;
    tally.you += right;
    next.textContent = next.ariaLabel = last ? "Play again" : "Next picture";
    save();
    draw();
    const truth = `The answer is ${classes[label]}: `;
    const alone = right ? "you have it" : "not this time";
    say(`${truth}${alone}.`);
    next.focus({ preventScroll: true });
    reveal();
    const players = friend ? [{ board: other, looks: friend.places.map(toLocation), thoughts: [], final: friend.guess }] : [];
    let news = truth;
    try {
      const rival = await compete(number, places[0]);
      const wins = rival.final == label;
      players.push(rival);
      tally.judged++;
      tally.model += wins;
      news += OUTCOMES[2 * right + wins];
    } catch (error) {
      news += `${alone}. No model to play against: ${error.message}`;
    }
    if (friend?.guess in classes) news += ` Your friend ${friend.guess == label ? "had" : "missed"} it.`;
    if (last) news += " That was the last one" + (tally.judged ? `: ${WINNERS[1 + Math.sign(tally.you - tally.model)]}` : ".");
    if (places != now) return drawScore(); // he has gone on
    fair.hidden = !tally.judged;
    replay(players, () => {
      say(news);
      drawScore();
    });
  }

  // -- the model, and a friend
  const prepare = () => (live ??= loadModel(data.model));

  // The model looks from the same first place, then each time where it most likely would.
  async function compete(n, first) {
    const { engine, config, model: network } = await prepare();
    if (config.glimpse_size != size || config.num_scales != scales) throw new Error("It has another retina.");
    const grey = Uint8Array.from({ length: width * height }, (_, i) => pixels.data[4 * (n * width * height + i)]);
    const images = [{ data: grey, width, height, white: 255 }];
    const run = engine.rollout(network, { images, T: steps, first: Float32Array.from(toLocation(first)) });
    const thoughts = run.map((step) => engine.answers(step, config.num_actions)[0]);
    return { board: model, looks: run.map((step) => [...step.looked]), thoughts, final: thoughts.at(-1) };
  }

  // Play the looks of the others, side by side; all at once where less motion is wished.
  function replay(players, end) {
    let t = matchMedia("(prefers-reduced-motion: reduce)").matches || !players.length ? steps : 0;
    const beat = () => {
      const last = ++t > steps || !root.isConnected;
      for (const { board, looks, thoughts, final } of players) {
        const now = looks.slice(0, t);
        show(board, now, last);
        board.stage.place(corners(now.at(-1)), glimpseColor(now.length - 1));
        const thought = thoughts.length ? `thinks ${classes[thoughts[now.length - 1]]} …` : "looks …";
        board.note.replaceChildren(!last ? thought : final in classes ? said(final) : "");
      }
      if (!last) return;
      clearInterval(timer);
      end();
    };
    timer = setInterval(beat, BEAT);
    beat();
  }

  // -- the address: picture, places and guess, beside what other games keep there
  const tag = root.dataset.name + "=";
  const parts = () => location.hash.slice(1).split("&");

  function save() {
    const path = places.flat().map((value) => value.toString(36).padStart(2, "0"));
    const game = [number.toString(36), path.join("")].concat(answer?.toString(36) ?? []);
    const others = parts().filter((part) => part.includes("=") && !part.startsWith(tag));
    try {
      history.replaceState({ ...history.state, [tag]: true }, "", "#" + [...others, tag + game.join("-")].join("&"));
    } catch {
      copy.hidden = true; // a frame without an address of its own
    }
  }

  // Begin the game that the address holds, if it holds one. The reader's own, as this tab
  // remembers, goes on; another is a friend's.
  function arrive() {
    const part = parts().find((part) => part.startsWith(tag)) ?? "";
    const [, n, path, last] = part.slice(tag.length).match(/^(\w+)-((?:\w{4})+)(?:-(\w+))?$/) ?? [];
    if (!path) return false;
    const [number, said] = [n, last].map((text) => parseInt(text, 36));
    const looks = path.match(/.{4}/g).map((four) => [four.slice(0, 2), four.slice(2)].map((two) => parseInt(two, 36)));
    const known = number < labels.length && looks.length <= steps && looks.flat().every((value) => value <= GRID);
    if (!known || (last && !(said < classes.length))) return false;
    const own = history.state?.[tag];
    begin(number, own ? undefined : { places: looks, guess: said });
    if (own) {
      places = looks;
      if (last) guess(said);
      else if (looks.length > 1) ask();
    }
    requestAnimationFrame(() => root.scrollIntoView({ block: "center" }));
    return true;
  }

  async function share() {
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied. Send it to a friend!");
    } catch {
      link.hidden = false;
      link.value = location.href;
      link.select();
      say("Copy this address and send it to a friend.");
    }
  }

  // -- by hand
  function under(event) {
    const frame = stage.getBoundingClientRect();
    const scale = (width + 2 * you.stage.margin) / frame.width;
    const offsets = [event.clientX - frame.left, event.clientY - frame.top];
    return offsets.map((at, i) => (GRID * (at * scale - you.stage.margin)) / sides[i]);
  }
  stage.onpointermove = (event) => point(under(event));
  stage.onclick = (event) => look(under(event));
  root.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || answer != null) return;
    const here = event.target == stage;
    const move = here && { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) point(aim.map((value, i) => value + (move[i] * GRID * Math.ceil(size / 4)) / sides[i]));
    else if (here && /^(Enter| )$/.test(event.key)) look(aim);
    else if (/^\d$/.test(event.key) && event.key in guesses) guess(+event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  stage.dataset.lmSuppressShortcuts = true;
  addEventListener("hashchange", arrive);

  if (!arrive()) begin(0);
  return [box("head", count, points), box("main", you.element, status, panel, model.element, other.element, controls)];
});
