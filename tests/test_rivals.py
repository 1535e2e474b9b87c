"""Rivals see the whole image, and are trained as the model is."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from ramlib import RAMConfig, files, rivals, runs
from ramlib.data import cluttered
from ramlib.experiments import EXPERIMENTS
from ramlib.rivals import Rival, RivalConfig, RivalTask, RivalTrainer
from ramlib.tasks import ImageConfig
from ramlib.training import TrainConfig, mix, new_model, train_in_turn


def a_task(task="plain", size=None):
    return RivalTask.of(ImageConfig(source="bundled", task=task, image_size=size))


def operations(model, side):
    """Count the multiplications for one image."""
    found = []

    def report(layer, inputs, output):
        if hasattr(layer, "weight") and layer.weight.dim() > 1:
            found.append(output.numel() * layer.weight[0].numel())

    for layer in model.layers:
        layer.register_forward_hook(report)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, side, side, dtype=torch.uint8))
    return sum(found)


SIZES = {  # parameters, by hand
    ("connected", 64, 60): 3600 * 64 + 64 + 64 * 65 + 650,
    ("connected", 256, 28): 784 * 256 + 256 + 256 * 257 + 2570,
    ("convolutional", 256, 60): 808 + 8 * 11**2 * 256 + 256 + 2570,
    ("convolutional", 256, 28): 808 + 8 * 4**2 * 256 + 256 + 2570,
    ("modern", 12, 28): 9 * 12 * (1 + 24 + 96) + 2 * 84 + 490,
}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_rival_has_the_parameters_of_its_kind(size):
    model = Rival(RivalConfig(*size))
    assert sum(p.numel() for p in model.parameters()) == SIZES[size]
    images = torch.randint(256, (3, 1, size[2], size[2]), dtype=torch.uint8)
    assert model(images).shape == (3, 10)


def work(config):
    """Count the multiplications of a `RAMConfig` for one image, by its equations."""
    D, G, T = config.hidden_size, config.glimpse_hidden_size, config.num_glimpses
    patch = config.num_scales * config.glimpse_size**2
    core = 8 * D * D if config.core == "lstm" else 2 * D * D
    inner = config.location_hidden_size
    place = D * inner + 2 * (inner or D)
    return T * (G * patch + 2 * G + 2 * G * D + core + place) + D * config.num_actions


def test_the_modern_rivals_are_no_larger_than_the_model_or_do_as_much():
    assert work(RAMConfig()) == 6 * 205_568 + 2_560
    tasks = ("mnist", "translated60", "cluttered60", "cluttered100")
    looking = ("mnist-6x8x8", *(f"{name}-8x12x12-tuned" for name in tasks[1:]))
    for name, model in zip(tasks, looking, strict=True):
        config = EXPERIMENTS[f"{name}-modern"].preset.model
        assert sum(p.numel() for p in Rival(config).parameters()) < 209_421
        config = EXPERIMENTS[f"{name}-equal"].preset.model
        side, D = config.image_size, config.width
        found = operations(Rival(config), side)
        assert found == 9 * (D + D * D) * side**2 + 40 * D  # pooling halves the side
        assert 0.8 < found / work(EXPERIMENTS[model].preset.model) < 1


@pytest.mark.parametrize("config", [{"image_size": 40}, {"num_actions": 5}])
def test_a_rival_that_does_not_fit_is_refused(config):
    model = Rival(RivalConfig("connected", 8, **config))
    how = TrainConfig(1, 50, device="cpu")
    with pytest.raises(ValueError, match=r"but the images have shape \(1, 28, 28\)"):
        RivalTrainer(model, a_task(), how)
    for name in ("final_location_std", "dropout"):
        looking = TrainConfig(1, 50, device="cpu", **{name: 0.1})
        with pytest.raises(ValueError, match=f"{name} is 0.1.*no location network"):
            RivalTrainer(Rival(RivalConfig("connected", 8)), a_task(), looking)
    with pytest.raises(ValueError, match="image_size is 9"):
        RivalConfig("convolutional", image_size=9)


def test_the_paper_s_convolution_is_the_paper_s():
    model = Rival(RivalConfig("convolutional", 256, 60)).double()
    images = torch.randint(256, (2, 1, 60, 60), dtype=torch.uint8)
    w = model.state_dict()
    places = [(i, j) for i in range(0, 51, 5) for j in range(0, 51, 5)]
    seen = torch.zeros(2, 8, len(places)).double()
    for k, (i, j) in enumerate(places):
        window = images[:, 0, i : i + 10, j : j + 10] / 255.0
        seen[..., k] = torch.einsum(
            "bij,fij->bf", window.double(), w["layers.0.weight"][:, 0]
        )
    seen = (seen + w["layers.0.bias"][:, None]).relu().flatten(1)
    hidden = (seen @ w["layers.3.weight"].T + w["layers.3.bias"]).relu()
    expected = hidden @ w["layers.5.weight"].T + w["layers.5.bias"]
    torch.testing.assert_close(model(images.double()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("task", ["plain", "translated", "cluttered"])
def test_a_step_is_cross_entropy_on_images_made_for_it(task):
    how = TrainConfig(1, 50, device="cpu", seed=3, clip_norm=0.0, weight_decay=0.1)
    data = a_task(task, None if task == "plain" else 40)
    side = 28 if task == "plain" else 40
    trainer = RivalTrainer(
        new_model(RivalConfig("connected", 8, side), 3, Rival), data, how
    )
    trainer.step = 2
    batch = trainer.draw()
    order = torch.randperm(
        1197, generator=torch.Generator().manual_seed(mix(3, "epoch 0"))
    )
    chosen, generator = order[100:150], torch.Generator().manual_seed(mix(3, 2))
    images = data.train.images[chosen]
    if task != "plain":
        patches = 4 if task == "cluttered" else 0
        images = cluttered(data.train, chosen, 40, patches, generator=generator)
    assert torch.equal(batch["images"], images)
    model = new_model(RivalConfig("connected", 8, side), 3, Rival)
    steps = trainer.total_steps
    rate = 1e-3 * (1 - 2 / steps)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1)
    loss = cross_entropy(model(images), data.train.labels[chosen])
    loss.backward()
    optimizer.step()
    trainer.update(batch)
    for one, other in zip(model.parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert trainer.averages()["task"] == pytest.approx(loss.item(), rel=1e-5)


def test_a_rival_learns_to_read_and_its_best_weights_are_kept(tmp_path):
    how = TrainConfig(6, 50, device="cpu", learning_rate=3e-3)
    options = {"kind": Rival, "trainer": RivalTrainer, "progress": False}
    config, task = RivalConfig("modern", 6), a_task()
    [(model, done)] = train_in_turn(config, task, how, (2,), tmp_path, **options)
    lines = runs.read_metrics(tmp_path / "seed-2")
    assert done["validation_error"] < 20  # guessing errs in 90 of 100
    names = "epoch", "train_error", "validation_error"
    assert done["curve"] == [[x[name] for name in names] for x in lines]
    found = rivals.evaluate(model, task.validation)
    guess = torch.cat([model(x[None]) for x in task.validation.images]).argmax(1)
    wrong = (guess != task.validation.labels).sum().item()
    assert (found["wrong"], found["count"]) == (wrong, len(guess))
    assert found["error"] == pytest.approx(done["validation_error"], abs=1e-5)
    assert files.read_json(tmp_path / "seed-2/config.json")["model"]["kind"] == "modern"
