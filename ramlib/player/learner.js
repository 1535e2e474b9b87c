// What a worker of `learn.js` does: the text of these two functions is sent there, together
// with the engine's.

// Learn a moment at a time while told to, and listen in between.
function work(engine) {
  let [learner, settings, timer, seconds] = [null, null, 0, 0];
  const report = () => postMessage({ ...learner.examine(settings), seconds });
  function go() {
    const start = performance.now();
    let due;
    do due = learner.update(settings) % 50 == 0;
    while (!due && performance.now() < start + 100);
    if (due) report();
    seconds += (performance.now() - start) / 1000;
    timer = setTimeout(go);
  }
  onmessage = ({ data }) => {
    if (!learner) return (learner = makeLearner(engine, data));
    const first = !settings;
    settings = data.settings;
    if (first) report();
    clearTimeout(timer);
    if (data.going) timer = setTimeout(go);
  };
}

// A new model and how it learns: by the hybrid loss, 32 episodes an update.
function makeLearner(engine, { config, seed, pixels, labels, train, held, shown }) {
  const [N, T] = [32, config.num_glimpses];
  const bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
  const images = labels.map((_, i) => ({ data: bytes.subarray(64 * i, 64 * i + 64), width: 8, height: 8, white: 16 }));
  const random = engine.makeRandom(seed);
  const uniform = (random) => () => 2 * random() - 1;
  const model = engine.newModel(config, random, config.identity_init);
  const optimize = engine.makeOptimizer(model);
  let [pile, updates, rewards] = [[], 0, []];

  // Every training digit once, then all of them again, in another order.
  function next() {
    if (!pile.length) pile = [...Array(train).keys()];
    return pile.splice(Math.floor(random() * pile.length), 1)[0];
  }

  function update({ std, rate, baseline, M, blind }) {
    const chosen = Array.from({ length: N / M }, next);
    const draws = Array.from({ length: T }, (_, t) => engine.fill(2 * N, t && !blind ? () => engine.normal(random) : uniform(random)));
    const how = { images: chosen.map((i) => images[i]), labels: chosen.map((i) => labels[i]), M, std, baseline, stepLoss: 0.5 };
    Object.assign(how, { first: draws[0] }, blind ? { places: draws } : { noise: draws });
    engine.zeroGradients(model);
    rewards.push(...engine.learn(model, engine.rollout(model, how), how));
    optimize(rate * Math.max(0.1, 1 - (0.9 * updates++) / 3000));
    return updates;
  }

  // The same examination every time: the mean of the policy, from the same first places.
  const digits = images.slice(train, train + held);
  const same = uniform(engine.makeRandom(0));
  const places = Array.from({ length: T }, () => engine.fill(2 * held, same));
  function examine({ blind }) {
    const steps = engine.rollout(model, { images: digits, first: places[0], places: blind && places });
    const answers = engine.answers(steps[T - 1], config.num_actions);
    const reward = rewards.length ? rewards.reduce((sum, r) => sum + r, 0) / rewards.length : null;
    rewards = [];
    return {
      episodes: N * updates,
      blind,
      reward,
      error: answers.filter((answer, i) => answer != labels[train + i]).length / held,
      answers: shown.map((i) => answers[i]),
      paths: shown.map((i) => steps.map(({ looked }) => [...looked.subarray(2 * i, 2 * i + 2)])),
    };
  }
  return { update, examine };
}
