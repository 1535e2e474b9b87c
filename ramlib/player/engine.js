// A recurrent attention model in plain JavaScript: it looks, and it can learn.
//
// The computation is ramlib's, layer by layer, and is held to it by tests. Arrays are
// flat and row by row: (N, D) has D numbers for each of N episodes side by side, the
// rollouts of an image next to each other. It is one function, so that its text can
// start a worker: pages that are files allow no other kind.
(globalThis.ramlibAssets ??= {}).engine = function ramlibEngine() {
  "use strict";
  const f = Math.fround;
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  // -- weights

  // Base64 of half-precision numbers -> single precision.
  function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return Float32Array.from(new Uint16Array(bytes.buffer), (bits) => {
      const exponent = (bits >> 10) & 31;
      const size = exponent ? 2 ** (exponent - 25) * (1024 + (bits & 1023)) : 2 ** -24 * (bits & 1023);
      return bits >> 15 ? -size : size;
    });
  }

  // The layers of a model: y = W x + b, with W (m, n) and b (m); in the order of its file.
  function sizes(c) {
    const D = c.hidden_size;
    const gates = { rnn: 1, gru: 3, lstm: 4 }[c.core];
    const [one, other] = c.core == "rnn" ? ["recurrent", "input"] : ["input", "recurrent"];
    const L = c.location_hidden_size;
    return {
      what: [c.glimpse_hidden_size, c.num_scales * c.num_channels * c.glimpse_size ** 2],
      where: [c.glimpse_hidden_size, 2],
      both: [D, 2 * c.glimpse_hidden_size],
      [one]: [gates * D, D],
      [other]: [gates * D, D],
      ...(L && { before: [L, D] }),
      mean: [2, L || D],
      value: [1, D],
      action: [c.num_actions, D],
    };
  }

  // A model of a config; its numbers in one array, layer after layer, W before b.
  function makeModel(config, numbers) {
    const layers = {};
    let at = 0;
    const take = (count) => numbers.subarray(at, (at += count));
    for (const [name, [m, n]] of Object.entries(sizes(config))) layers[name] = { m, n, W: take(m * n), b: take(m) };
    return { config, layers, numbers };
  }

  // -- the retina

  // The first pixel of a patch, in single precision, so that every tie falls as in ramlib.
  const corner = (coordinate, side, length) => Math.floor(f(f(f(f(coordinate) + 1) * f(length / 2)) - (side - 1) / 2));

  // Look once at an image {data (C, H, W), width, height, white}: writes S·C·g² numbers.
  function look(c, image, x, y, out, at) {
    const { data, width, height, white } = image;
    const g = c.glimpse_size;
    for (let s = 0; s < c.num_scales; s++) {
      const block = 2 ** s;
      const left = corner(x, g * block, width);
      const top = corner(y, g * block, height);
      for (let channel = 0; channel < c.num_channels; channel++) {
        const base = channel * width * height;
        for (let i = 0; i < g; i++) {
          for (let j = 0; j < g; j++) {
            let sum = 0;
            const bottom = Math.min(height, top + (i + 1) * block);
            const right = Math.min(width, left + (j + 1) * block);
            for (let row = Math.max(0, top + i * block); row < bottom; row++)
              for (let column = Math.max(0, left + j * block); column < right; column++) sum += data[base + row * width + column];
            out[at++] = sum / (white * block * block);
          }
        }
      }
    }
  }

  // -- layers, forwards and backwards

  // Add a product of matrices, (R, S) by (S, C), to `sum` (R, C). Each comes with its
  // steps from row to row and from column to column, so that it can be read turned over.
  // This is where the time goes: two rows by four columns at once take less than half of
  // it. Past an edge, the last row or column is made again.
  function addProduct(sum, A, [downA, acrossA], B, [downB, acrossB], R, S, C) {
    for (let r = 0; r < R; r += 2) {
      const next = Math.min(r + 1, R - 1);
      const [upper, lower] = [r * C, next * C];
      for (let c = 0; c < C; c += 4) {
        const [c1, c2, c3] = [Math.min(c + 1, C - 1), Math.min(c + 2, C - 1), Math.min(c + 3, C - 1)];
        const [b1, b2, b3] = [(c1 - c) * acrossB, (c2 - c) * acrossB, (c3 - c) * acrossB];
        const a1 = (next - r) * downA;
        let u0 = sum[upper + c];
        let u1 = sum[upper + c1];
        let u2 = sum[upper + c2];
        let u3 = sum[upper + c3];
        let v0 = sum[lower + c];
        let v1 = sum[lower + c1];
        let v2 = sum[lower + c2];
        let v3 = sum[lower + c3];
        for (let k = 0, a = r * downA, b = c * acrossB; k < S; k++, a += acrossA, b += downB) {
          const x = A[a];
          const y = A[a + a1];
          u0 += x * B[b];
          v0 += y * B[b];
          u1 += x * B[b + b1];
          v1 += y * B[b + b1];
          u2 += x * B[b + b2];
          v2 += y * B[b + b2];
          u3 += x * B[b + b3];
          v3 += y * B[b + b3];
        }
        sum[upper + c] = u0;
        sum[upper + c1] = u1;
        sum[upper + c2] = u2;
        sum[upper + c3] = u3;
        sum[lower + c] = v0;
        sum[lower + c1] = v1;
        sum[lower + c2] = v2;
        sum[lower + c3] = v3;
      }
    }
  }

  // (N, n) -> (N, m)
  function affine({ W, b, m, n }, x, N) {
    const y = new Float32Array(N * m);
    for (let i = 0; i < N; i++) y.set(b, i * m);
    addProduct(y, x, [n, 1], W, [1, n], N, n, m);
    return y;
  }

  // Add the gradients of W and b; give that of x, unless nothing wants it.
  function affineBack(layer, x, dy, N, wanted = true) {
    const { W, m, n } = layer;
    const [dW, db] = layer.gradients;
    const dx = new Float32Array(wanted ? N * n : 0);
    for (let i = 0; i < N * m; i++) db[i % m] += dy[i];
    addProduct(dW, dy, [1, m], x, [n, 1], m, N, n);
    if (wanted) addProduct(dx, dy, [m, 1], W, [n, 1], N, m, n);
    return dx;
  }

  const relu = (x) => x.map((value) => (value > 0 ? value : 0));
  const reluBack = (y, dy) => dy.map((value, i) => (y[i] > 0 ? value : 0));

  // (N, a) and (N, b) -> (N, a + b), and back.
  function join(x, y, N) {
    const [a, b] = [x.length / N, y.length / N];
    const both = new Float32Array(N * (a + b));
    for (let i = 0; i < N; i++) {
      both.set(x.subarray(i * a, (i + 1) * a), i * (a + b));
      both.set(y.subarray(i * b, (i + 1) * b), i * (a + b) + a);
    }
    return both;
  }
  function part(both, N, first, last) {
    const width = both.length / N;
    const some = new Float32Array(N * (last - first));
    for (let i = 0; i < N; i++) some.set(both.subarray(i * width + first, i * width + last), i * (last - first));
    return some;
  }

  function softmax(logits, A) {
    const probs = new Float32Array(logits.length);
    for (let i = 0; i < logits.length; i += A) {
      const row = logits.subarray(i, i + A);
      const top = Math.max(...row);
      const total = row.reduce((sum, value) => sum + Math.exp(value - top), 0);
      for (let a = 0; a < A; a++) probs[i + a] = Math.exp(row[a] - top) / total;
    }
    return probs;
  }

  // -- the model, glimpse by glimpse

  // One step of the core: h (N, D), and c for an LSTM, -> the next.
  function remember(model, feature, { h, c }, N) {
    const { input, recurrent } = model.layers;
    const D = model.config.hidden_size;
    const x = affine(input, feature, N);
    const r = affine(recurrent, h, N);
    if (model.config.core == "rnn") return { h: relu(x.map((value, i) => value + r[i])) };
    const next = { h: new Float32Array(N * D), c: new Float32Array(N * D) };
    const gates = input.m;
    for (let i = 0; i < N; i++) {
      for (let k = 0; k < D; k++) {
        const gate = (number) => x[i * gates + number * D + k] + r[i * gates + number * D + k];
        const at = i * D + k;
        if (model.config.core == "lstm") {
          next.c[at] = sigmoid(gate(1)) * c[at] + sigmoid(gate(0)) * Math.tanh(gate(2));
          next.h[at] = sigmoid(gate(3)) * Math.tanh(next.c[at]);
        } else {
          const reset = sigmoid(gate(0));
          const keep = sigmoid(gate(1));
          const fresh = Math.tanh(x[i * gates + 2 * D + k] + reset * r[i * gates + 2 * D + k]);
          next.h[at] = (1 - keep) * fresh + keep * h[at];
        }
      }
    }
    return next;
  }

  // The mean of the policy: (N, D) -> what is needed of it, and the mean (N, 2).
  function policy({ layers }, h, N) {
    const before = layers.before ? relu(affine(layers.before, h, N)) : h;
    return { before, mean: affine(layers.mean, before, N).map(Math.tanh) };
  }

  // Look T times. `how` holds images (B of them), T, std, rollouts M of each image, and
  // for N = B·M episodes: first (N, 2), the first places, unless the model chooses them;
  // noise, T times (N, 2), none for the likeliest; places, T times (N, 2), to look there
  // instead. Gives T steps, with everything that happened in each.
  function rollout(model, how) {
    const { config, layers } = model;
    const { images, T = config.num_glimpses, std = config.location_std, M = 1 } = how;
    const N = images.length * M;
    const zeros = () => new Float32Array(N * config.hidden_size);
    const steps = [];
    let state = { h: zeros(), c: zeros() };
    let looked = how.first;
    for (let t = 0; t < T; t++) {
      const old = state;
      let chosen = null;
      if (how.places) looked = how.places[t];
      else if (t > 0 || !looked) {
        chosen = policy(model, old.h, N);
        chosen.sample = chosen.mean.map((value, i) => value + (how.noise ? std * how.noise[t][i] : 0));
        looked = chosen.sample.map((value) => clamp(value, -1, 1));
      }
      const patch = new Float32Array(N * layers.what.n);
      for (let i = 0; i < N; i++)
        look(config, images[Math.floor(i / M)], looked[2 * i], looked[2 * i + 1], patch, i * layers.what.n);
      const both = relu(join(affine(layers.what, patch, N), affine(layers.where, looked, N), N));
      const feature = relu(affine(layers.both, both, N));
      state = remember(model, feature, old, N);
      const logits = affine(layers.action, state.h, N);
      const probs = softmax(logits, config.num_actions);
      const values = affine(layers.value, state.h, N);
      steps.push({ looked, chosen, patch, both, feature, old: old.h, h: state.h, logits, probs, values });
    }
    return steps;
  }

  // The most probable class of each of N episodes.
  function answers({ logits }, A) {
    return Array.from({ length: logits.length / A }, (_, i) => {
      const row = logits.subarray(i * A, (i + 1) * A);
      return row.indexOf(Math.max(...row));
    });
  }

  // -- learning

  function zeroGradients(model) {
    for (const layer of Object.values(model.layers)) layer.gradients = [new Float32Array(layer.W.length), new Float32Array(layer.m)];
  }

  // Add the gradients of the hybrid loss, for a ReLU core and first places that nothing
  // chose: cross-entropy through the core, REINFORCE into the location network alone,
  // the squared error into the value network alone. `how` as for `rollout`, with labels (one an image), baseline ("value",
  // "leave-one-out" or "none") and stepLoss, the share of the cross-entropy that is
  // averaged over all glimpses. Gives what was right: (N), 1 or 0.
  function learn(model, steps, how) {
    const { config, layers } = model;
    const { labels, M = 1, std = config.location_std, baseline = "value", stepLoss = 0 } = how;
    const [N, T, A] = [labels.length * M, steps.length, config.num_actions];
    const rewards = answers(steps[T - 1], A).map((a, i) => +(a == labels[Math.floor(i / M)]));
    const others = (i) => {
      const first = i - (i % M);
      const all = rewards.slice(first, first + M).reduce((sum, r) => sum + r, 0);
      return (all - rewards[i]) / (M - 1);
    };
    let dh = new Float32Array(N * config.hidden_size);
    for (let t = T - 1; t >= 0; t--) {
      const step = steps[t];
      // Where this glimpse went was chosen in the state before it.
      if (step.chosen) {
        const { mean, sample, before } = step.chosen;
        const dmean = mean.map((m, k) => {
          const i = k >> 1;
          const base = { none: () => 0, value: () => steps[t - 1].values[i], "leave-one-out": () => others(i) }[baseline]();
          return ((-(rewards[i] - base) * (sample[k] - m)) / (std * std * N)) * (1 - m * m);
        });
        const dbefore = affineBack(layers.mean, before, dmean, N, !!layers.before);
        if (layers.before) affineBack(layers.before, step.old, reluBack(before, dbefore), N, false);
      }
      const dvalues = step.values.map((value, i) => (2 * (value - rewards[i])) / (N * T));
      affineBack(layers.value, step.h, dvalues, N, false);
      const weight = (t == T - 1 ? 1 - stepLoss : 0) + stepLoss / T;
      const dlogits = step.probs.map((p, k) => (weight * (p - (k % A == labels[Math.floor(k / A / M)]))) / N);
      if (weight) affineBack(layers.action, step.h, dlogits, N).forEach((value, k) => (dh[k] += value));
      const dsum = reluBack(step.h, dh);
      const dfeature = reluBack(step.feature, affineBack(layers.input, step.feature, dsum, N));
      dh = affineBack(layers.recurrent, step.old, dsum, N);
      const dboth = reluBack(step.both, affineBack(layers.both, step.both, dfeature, N));
      const G = layers.what.m;
      affineBack(layers.what, step.patch, part(dboth, N, 0, G), N, false);
      affineBack(layers.where, step.looked, part(dboth, N, G, 2 * G), N, false);
    }
    return rewards;
  }

  // AdamW, as PyTorch's.
  function makeOptimizer(model, decay = 0.01) {
    const pairs = Object.values(model.layers).flatMap((layer) => [[layer, 0], [layer, 1]]);
    const memory = pairs.map(([layer, which]) => [0, 1].map(() => new Float32Array((which ? layer.b : layer.W).length)));
    let count = 0;
    return function update(rate) {
      count++;
      pairs.forEach(([layer, which], number) => {
        const weights = which ? layer.b : layer.W;
        const gradients = layer.gradients[which];
        const [first, second] = memory[number];
        for (let k = 0; k < weights.length; k++) {
          const d = gradients[k];
          first[k] += 0.1 * (d - first[k]);
          second[k] += 0.001 * (d * d - second[k]);
          const size = Math.sqrt(second[k] / (1 - 0.999 ** count)) + 1e-8;
          weights[k] -= rate * (decay * weights[k] + first[k] / (1 - 0.9 ** count) / size);
        }
      });
    };
  }

  // New weights as PyTorch's layers begin: uniform, up to 1/√n; a recurrent matrix that
  // is `identity` of the way to the identity remembers better.
  function newModel(config, random, identity = 0.5) {
    const shapes = Object.values(sizes(config));
    const numbers = new Float32Array(shapes.reduce((sum, [m, n]) => sum + m * (n + 1), 0));
    const model = makeModel(config, numbers);
    for (const { W, b, n } of Object.values(model.layers))
      for (const array of [W, b]) array.forEach((_, k) => (array[k] = (2 * random() - 1) / Math.sqrt(n)));
    const { W, n } = model.layers.recurrent;
    W.forEach((value, k) => (W[k] = (1 - identity) * value + identity * (k % (n + 1) == 0)));
    return model;
  }

  // -- chance

  // Uniform numbers in [0, 1) from a seed (mulberry32, by Tommy Ettinger).
  function makeRandom(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }
  const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const fill = (count, draw) => Float32Array.from({ length: count }, draw);

  return { unpack, makeModel, newModel, makeRandom, normal, fill, corner, look, rollout, answers, zeroGradients, learn, makeOptimizer };
};
