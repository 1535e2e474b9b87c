"""The engine that runs in the page against PyTorch: what it sees, says and learns."""

import numpy as np
import pytest
import torch

from live_scripts import weights as as_script
from ramlib import RAMConfig, RecurrentAttentionModel, hybrid_loss, pretrained_names
from ramlib.data import digits
from ramlib.sensor import corner
from ramlib.training import TrainConfig, adamw, new_model

PAGE = '<!doctype html><html data-content_root="./"><meta charset="utf-8">'
SMALL = RAMConfig(glimpse_size=3, num_scales=2, num_glimpses=4, hidden_size=20)

# The page's own names for a batch: images side by side, T times noise.
RUN = """how => {
    const assets = globalThis.ramlibAssets, engine = assets.engine();
    const { config, numbers } = assets.model;
    const model = engine.makeModel(config, engine.unpack(numbers));
    const flat = (list) => Float32Array.from(list.flat(Infinity));
    const images = how.images.map((data) => ({ data: flat(data), ...how.shape }));
    const given = { images, M: how.M, noise: how.noise.map(flat) };
    if (how.first) given.first = flat(how.first);
    const steps = engine.rollout(model, given);
    const all = (name) => steps.map((step) => [...step[name]]);
    const out = { patches: all("patch") };
    for (const name of ["looked", "probs", "values", "h"]) out[name] = all(name);
    if (!how.labels) return out;
    engine.zeroGradients(model);
    const lesson = { ...given, labels: how.labels, ...how.lesson };
    out.right = engine.learn(model, steps, lesson);
    const layers = Object.values(model.layers);
    out.gradients = layers.map(({ gradients }) => gradients.map((d) => [...d]));
    const update = engine.makeOptimizer(model, 0.1);
    for (let i = 0; i < 3; i++) update(0.01);
    out.numbers = [...model.numbers];
    return out;
}"""


@pytest.fixture
def run(new_page, tmp_path, live_scripts):
    """Let the page run a model on images; everything comes back as arrays."""

    def call(model, images, draws, M=1, labels=None, **lesson):
        (tmp_path / "page.html").write_text(PAGE)
        page = new_page(tmp_path / "page.html")
        for text in (live_scripts["engine"], as_script("model", model)):
            page.add_script_tag(content=text)
        first, noise = draws.get("first_location"), draws["location"].movedim(1, 0)
        white = 255 if images.dtype == torch.uint8 else 1
        shape = {"height": images.shape[-2], "width": images.shape[-1], "white": white}
        how = {"images": images.tolist(), "shape": shape, "noise": noise.tolist()}
        how |= {"M": M, "first": None if first is None else first.tolist()}
        if labels is not None:
            how |= {"labels": labels.tolist(), "lesson": lesson}
        return page.evaluate(RUN, how)

    return call


def halved(model):
    """The model as the page has it: weights of half precision, computed in single."""
    for parameter in model.parameters():
        parameter.data = parameter.data.half().to(parameter.dtype)
    return model


def steps(found, name, N):
    """(T, N·…) of the page -> (N, T, …)."""
    return torch.tensor(found[name]).unflatten(1, (N, -1)).movedim(1, 0)


KINDS = {
    "rnn": {},
    "gru": {"core": "gru"},
    "lstm": {"core": "lstm", "learn_first_location": True},
    "more": {"location_hidden_size": 7, "num_channels": 3, "num_actions": 4},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_that_of_pytorch(run, kind):
    config = RAMConfig(**{**vars(SMALL), **KINDS[kind]})
    model = halved(new_model(config, 1).double())
    for parameter in model.parameters():  # far from what is small by chance
        parameter.data *= 2
    images = torch.randint(0, 256, (5, config.num_channels, 11, 14)).to(torch.uint8)
    draws = model.draw(10, 3, acts=("action",))
    out = model(images, draws=draws, num_rollouts=2)
    found = run(model, images, draws, M=2)
    want = {"looked": "looked", "h": "hidden", "patches": "patches", "values": "values"}
    for name, key in want.items():
        mine = steps(found, name, 10).squeeze(-1).double()
        torch.testing.assert_close(mine, out[key][:, -4:], atol=1e-5, rtol=1e-4)
    probs = steps(found, "probs", 10).double()
    torch.testing.assert_close(probs, out["step_logits"].softmax(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", pretrained_names())
def test_a_shipped_model_answers_as_in_python(run, name):
    model = RecurrentAttentionModel.from_pretrained(name)
    images = digits(split="validation").images[:200]
    draws = model.draw(len(images), 5, acts=("action",))
    before = model(images, draws=draws)["logits"].argmax(-1)  # in single precision
    out = halved(model)(images, draws=draws)
    found = run(model, images, draws)
    probs = steps(found, "probs", len(images))
    # On the edge between two pixels a rounding decides which is seen: leave those out.
    sizes = [model.config.glimpse_size * 2**s for s in range(model.config.num_scales)]
    edge = torch.zeros(len(images), dtype=torch.bool)
    for size in sizes:
        near = [corner(out["looked"] + e, size, 28) for e in (-1e-5, 1e-5)]
        edge |= (near[0] != near[1]).flatten(1).any(dim=1)
    assert edge.sum() <= 4
    apart = (steps(found, "looked", len(images)) - out["looked"]).abs()
    assert apart[~edge].max() < 1e-3
    assert (probs - out["step_logits"].softmax(-1))[~edge].abs().max() < 1e-2
    answers = probs[:, -1].argmax(-1)
    assert (answers == out["logits"].argmax(-1))[~edge].all()
    # A place that moves by a hair may fall into another pixel: few answers change.
    assert (answers != before).sum() <= 2


LESSONS = {
    "value": {},
    "none": {"baseline": "none", "step_loss": 0.3},
    "leave-one-out": {"baseline": "leave-one-out", "step_loss": 1.0},
}


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("width", [0, 6])
def test_it_learns_by_the_gradients_of_pytorch(run, lesson, width):
    how = LESSONS[lesson]
    own = {"location_hidden_size": width, "location_std": 0.5, "num_actions": 3}
    model = halved(new_model(RAMConfig(**{**vars(SMALL), **own}), 2).double())
    chance = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (20, 1, 8, 8), generator=chance).to(torch.uint8)
    labels = torch.arange(20) % 3
    for parameter in model.parameters():  # so that rollouts of an image differ
        parameter.data *= 4
    draws = model.draw(60, 4, acts=("action",))
    out = model(images, draws=draws, num_rollouts=3)
    hybrid_loss(out, labels, num_rollouts=3, **how).total.backward()
    options = {"baseline": how.get("baseline", "value")}
    options["stepLoss"] = how.get("step_loss", 0)
    found = run(model, images, draws, 3, labels, **options)
    right = out["logits"].argmax(-1) == labels.repeat_interleave(3)
    assert found["right"] == right.int().tolist()
    weights = [x for x in model.named_parameters() if "weight" in x[0]]
    for (name, weight), (dW, db) in zip(weights, found["gradients"], strict=True):
        bias = model.get_parameter(name.replace("weight", "bias"))
        for mine, parameter in ((dW, weight), (db, bias)):
            want = parameter.grad.flatten()
            assert want.norm() > 0, name
            assert (torch.tensor(mine) - want).norm() < 1e-4 * want.norm(), name
    # Three steps by the same gradients, as PyTorch's AdamW takes them.
    rate = torch.tensor(0.01)
    optimizer = adamw(model, TrainConfig(weight_decay=0.1), rate)
    for _ in range(3):
        optimizer.step()
    names = [n for name, _ in weights for n in (name, name.replace("weight", "bias"))]
    every = [model.get_parameter(name) for name in names]
    grad = torch.cat([parameter.grad.flatten() for parameter in every])
    want = torch.cat([parameter.detach().flatten() for parameter in every])
    clear = (grad.abs() > 1e-5) | (grad == 0)  # where rounding is not all there is
    assert clear.double().mean() > 0.9
    wrong = (torch.tensor(found["numbers"]) - want)[clear]
    assert wrong.abs().max() < 2e-5


def test_an_encoder_that_the_page_does_not_know_is_refused():
    model = RecurrentAttentionModel(RAMConfig(glimpse_encoder="conv"))
    with pytest.raises(ValueError, match="glimpse_encoder is 'conv'"):
        as_script("x", model)


def test_chance_is_normal_and_begins_where_its_seed_says(
    new_page, tmp_path, live_scripts
):
    (tmp_path / "page.html").write_text(PAGE)
    page = new_page(tmp_path / "page.html")
    page.add_script_tag(content=live_scripts["engine"])
    draw = """seed => { const engine = globalThis.ramlibAssets.engine();
        const random = engine.makeRandom(seed);
        return [...engine.fill(20000, () => engine.normal(random))]; }"""
    one, other = (np.array(page.evaluate(draw, seed)) for seed in (1, 2))
    assert (one == np.array(page.evaluate(draw, 1))).all() and (one != other).all()
    for sample in (one, other):
        assert abs(sample.mean()) < 0.03 and abs(sample.std() - 1) < 0.03
        assert abs((np.abs(sample) < 1).mean() - 0.6827) < 0.015
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03
