"""The named experiments: what a preset begins with, and what is recorded for the book.

A preset is a model, its images and a training. An experiment is a preset, repeated with
several seeds; `ramlib reproduce NAME` trains and tests it, and writes the record that
the book shows.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ramlib.files import METRICS, PRETRAINED, read_json
from ramlib.model import RAMConfig
from ramlib.rivals import RivalConfig
from ramlib.runs import FREE, read_metrics
from ramlib.tasks import ImageConfig
from ramlib.training import TrainConfig

__all__ = ["EXPERIMENTS", "PRESETS", "Experiment", "Preset"]
__all__ += ["check_same", "record", "state"]


class Preset(NamedTuple):
    """A model, its images, and how it is trained."""

    model: RAMConfig | RivalConfig
    images: ImageConfig
    train: TrainConfig


class Experiment(NamedTuple):
    """A preset, repeated with several seeds.

    `ramlib reproduce` records it; where `ships`, the best weights come with ramlib.
    """

    preset: Preset
    seeds: tuple[int, ...] = (0, 1, 2)
    ships: bool = False


PARTS = "model", "task", "train"  # of a record: what its runs have in common

# What several presets share: σ narrows in all of them.
MNIST = RAMConfig(identity_init=0.5), ImageConfig(source="mnist")
WIDE = RAMConfig(glimpse_size=12, num_scales=3, identity_init=0.5)
USUAL = TrainConfig(final_location_std=0.05)
COMPARED = replace(USUAL, num_rollouts=4, baseline="leave-one-out")
BRIEF = replace(COMPARED, epochs=25, batch_size=32, num_rollouts=2, learning_rate=2e-3)
LONG = replace(
    COMPARED, epochs=120, batch_size=128, final_location_std=0.03, evaluate_every=2
)
# The tuned line: it sees no more than the others, and looks by the same REINFORCE.
CHOOSING = {"location_hidden_size": 128, "learn_first_location": True}
CHOOSING["location_gradient"] = 0.3
TUNED = RAMConfig(12, num_scales=3, num_glimpses=8, core="lstm", **CHOOSING)
TUNING = replace(
    COMPARED,
    batch_size=512,
    learning_rate=3e-3,
    weight_decay=0.05,
    reward="per-step",
    step_loss=0.5,
    distillation=0.3,
    evaluate_every=10,
)
BY_HEART = replace(  # where 50,000 digits are all there is, and can be learned so
    TUNING,
    epochs=80,
    batch_size=256,
    num_rollouts=8,
    learning_rate=2e-3,
    weight_decay=0.1,
    final_location_std=0.03,
    distillation=0.6,
)
FAIR = TrainConfig(epochs=40, batch_size=128, weight_decay=0.05)  # for rivals
CANVASES = {
    "translated60": ImageConfig(task="translated", image_size=60),
    "cluttered60": ImageConfig(task="cluttered", image_size=60),
    "cluttered100": ImageConfig(task="cluttered", image_size=100, num_patches=8),
}
PRESETS = {
    "digits": Preset(
        RAMConfig(
            num_glimpses=5, hidden_size=128, core="gru", learn_first_location=True
        ),
        ImageConfig(source="bundled"),
        replace(BRIEF, step_loss=0.5, evaluate_every=5),
    ),
    "mnist": Preset(*MNIST, LONG),
    "mnist-single": Preset(*MNIST, replace(USUAL, epochs=150, batch_size=200)),
    "translated60": Preset(WIDE, CANVASES["translated60"], USUAL),
    "cluttered60": Preset(WIDE, CANVASES["cluttered60"], COMPARED),
    "cluttered100": Preset(
        replace(WIDE, num_scales=4, num_glimpses=8), CANVASES["cluttered100"], COMPARED
    ),
    "mnist-tuned": Preset(
        RAMConfig(num_glimpses=7, core="lstm", **CHOOSING),
        MNIST[1],
        replace(BY_HEART, batch_size=128, step_loss=0.2, evaluate_every=5),
    ),
    "translated60-tuned": Preset(
        TUNED,
        CANVASES["translated60"],
        replace(BY_HEART, distillation=0.8, step_loss=0.3),
    ),
    "cluttered60-tuned": Preset(
        TUNED, CANVASES["cluttered60"], replace(TUNING, epochs=230)
    ),
    "cluttered100-tuned": Preset(
        replace(TUNED, num_scales=4),
        CANVASES["cluttered100"],
        replace(TUNING, epochs=180),
    ),
}


# What is changed in the short tuned training, of the model and of the training, to see
# what each ingredient gives.
WITHOUT: dict[str, tuple[dict, dict]] = {
    "": ({}, {}),
    "-no-distillation": ({}, {"distillation": 0.0}),
    "-no-step-loss": ({}, {"step_loss": 0.0}),
    "-final-reward": ({}, {"reward": "final"}),
    "-value-baseline": ({}, {"baseline": "value"}),
    "-no-gradient": ({"location_gradient": 0.0}, {}),
    "-random-first": ({"learn_first_location": False}, {}),
    "-linear-location": ({"location_hidden_size": 0}, {}),
    "-relu-core": ({"core": "rnn", "identity_init": 0.5}, {}),
    "-less-decay": ({}, {"weight_decay": 0.01}),
    "-slower": ({}, {"learning_rate": 1e-3}),
}


def experiments() -> dict[str, Experiment]:
    """Name everything that is trained for the tables of the book.

    Its two lines are not mixed: the paper's architecture, loss and reward, and what is
    tuned. Sizes are those of the paper.
    """
    found = {}
    for T in range(2, 8):
        model, images, train = PRESETS["mnist"]
        preset = Preset(replace(model, num_glimpses=T), images, train)
        found[f"mnist-{T}x8x8"] = Experiment(preset, ships=T > 5)
    found["mnist-6x8x8-single"] = Experiment(PRESETS["mnist-single"])
    found["mnist-7x8x8-tuned"] = Experiment(PRESETS["mnist-tuned"], ships=True)
    for name, images in CANVASES.items():
        wide = replace(WIDE, num_scales=4 if name == "cluttered100" else 3)
        for T in (4, 6, 8):
            preset = Preset(replace(wide, num_glimpses=T), images, LONG)
            found[f"{name}-{T}x12x12"] = Experiment(preset)
        if name != "translated60":
            model = replace(wide, num_glimpses=8, location_policy="uniform")
            random = Preset(model, images, replace(LONG, baseline="value"))
            found[f"{name}-8x12x12-random"] = Experiment(random)
        tuned = PRESETS[f"{name}-tuned"]
        found[f"{name}-8x12x12-tuned"] = Experiment(tuned, ships=True)
    model, images, train = PRESETS["mnist-tuned"]
    model = replace(model, num_glimpses=6)
    train = replace(train, epochs=30, num_rollouts=4, evaluate_every=1)
    for name, (of_model, of_training) in WITHOUT.items():
        preset = Preset(
            replace(model, **of_model), images, replace(train, **of_training)
        )
        found[f"mnist-brief{name}"] = Experiment(preset)
    # Networks that see the whole image: the paper's, a modern one no larger than the
    # model, and a modern one of as many multiplications for an image.
    rivals = {"connected64": ("connected", 64), "connected256": ("connected", 256)}
    rivals |= {"convolutional": ("convolutional", 256), "modern": ("modern", 44)}
    for name, images in {"mnist": MNIST[1], **CANVASES}.items():
        side = images.image_size or 28
        equal = {"equal": ("modern", 7 if side == 100 else 12)}
        for title, (kind, width) in (rivals | equal).items():
            if (side, kind) == (100, "connected") or (side, width) == (28, 64):
                continue  # which the paper has not
            preset = Preset(RivalConfig(kind, width, side), images, FAIR)
            found[f"{name}-{title}"] = Experiment(preset)
    return found


def record(name: str, runs: list[dict], before: dict | None = None) -> dict:
    """Make the record that goes with shipped weights: errors, mean and std over seeds.

    Args:
        name: of the experiment.
        runs: a record of `train` for each seed, with its `test` results: a dictionary
            of `evaluate` by protocol.
        before: an earlier record, of the same; its other seeds are kept.

    Returns:
        JSON values; "shipped" is the seed that did best on the validation set, of those
        whose weights are at hand.

    Raises:
        ValueError: if the earlier record is of something else; see `check_same`.
    """
    parts = {part: runs[0][part] for part in PARTS}
    kept = {}
    if before:
        check_same(name, before, parts)
        kept = {run["seed"]: run for run in before["runs"]}
    for run in runs:
        own = {k: v for k, v in run.items() if k not in PARTS}
        seed = run["train"]["seed"]
        kept[seed] = {"seed": seed, **own}
    ordered = [kept[seed] for seed in sorted(kept)]
    found = {"name": name, "command": f"ramlib reproduce {name}", "test": {}, **parts}
    for protocol in runs[0]["test"]:
        errors = [run["test"][protocol]["error"] for run in ordered]
        std = statistics.stdev(errors) if len(errors) > 1 else None
        mean = statistics.mean(errors)
        found["test"][protocol] = {"errors": errors, "mean": mean, "std": std}
    at_hand = [run["train"]["seed"] for run in runs]  # whose weights there are
    at_hand += [before["shipped"]] if before else []
    best = min(sorted(at_hand), key=lambda seed: kept[seed]["validation_error"])
    found["train"] = found["train"] | {"seed": best}
    return found | {"runs": ordered, "shipped": best}


def check_same(name: str, before: dict, parts: dict) -> None:
    """Raise unless a record is of the same model, task and training, but for the seed.

    Raises:
        ValueError: if it is not, or lacks something; it says what.
    """
    free = dict.fromkeys(FREE | {"seed"})
    if missing := {*PARTS, "runs", "shipped"} - before.keys():
        raise ValueError(
            f"the record of {name} lacks {missing}; train all of its seeds"
        )
    for part, now in parts.items():
        if {**now, **free} != {**before[part], **free}:
            raise ValueError(
                f"{name} was recorded with another {part}, {before[part]}, than {now}; "
                "train all of its seeds again"
            )


def state(name: str) -> str:
    """Say of an experiment what is recorded, and how far the runs here have come."""
    seeds = EXPERIMENTS[name].seeds
    said, done = [], PRETRAINED / name / METRICS
    if done.is_file():
        found = read_json(done)
        errors = found["test"]["mean"]
        spread = f" ± {errors['std']:.2f}" if errors["std"] is not None else ""
        recorded = [run["seed"] for run in found["runs"]]
        which = ", ".join(map(str, recorded))
        said.append(f"{errors['mean']:.2f}{spread} % (recorded: seeds {which})")
        seeds = [seed for seed in seeds if seed not in recorded]
    for path in sorted((Path("runs") / name).glob("*/config.json")):
        lines = read_metrics(path.parent)
        kind, *among = path.parent.name.split("-")  # seed-0, or fleet-0-2
        if lines and kind in ("seed", "fleet") and set(map(int, among)) & set(seeds):
            epochs = read_json(path)["train"]["epochs"]
            said.append(f"{path.parent.name}: epoch {lines[-1]['epoch']} of {epochs}")
    return "; ".join(said) or "not begun"


EXPERIMENTS = experiments()
