// A script of the book, fetched at its first use and kept: the engine, a model's weights,
// the digits to learn from. In a notebook there is no such script.
function load(name) {
  const assets = (globalThis.ramlibAssets ??= {});
  const root = document.documentElement.dataset.content_root;
  return new Promise((done, fail) => {
    if (assets[name]) return done(assets[name]);
    if (root === undefined) return fail(new Error("This runs in the book."));
    const script = node("script", { src: `${root}_static/live/${name}.js` });
    script.onload = () => done(assets[name]);
    script.onerror = () => fail(new Error("It could not be loaded."));
    document.head.append(script);
  });
}

// The engine, with a shipped model made by it.
async function loadModel(name) {
  const [makeEngine, { config, numbers }] = await Promise.all([load("engine"), load(name)]);
  const engine = makeEngine();
  return { engine, config, model: engine.makeModel(config, engine.unpack(numbers)) };
}
