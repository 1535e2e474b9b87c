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

from ramlib.evaluation import PROTOCOLS
from ramlib.files import METRICS, PRETRAINED, read_json
from ramlib.model import RAMConfig
from ramlib.runs import FREE, read_metrics
from ramlib.tasks import ImageConfig
from ramlib.training import TrainConfig

__all__ = ["EXPERIMENTS", "PRESETS", "Preset", "record", "state"]


class Preset(NamedTuple):
    """A model, its images, and how it is trained."""

    model: RAMConfig
    images: ImageConfig
    train: TrainConfig


# What several presets share: σ narrows in all of them.
MNIST = RAMConfig(identity_init=0.5), ImageConfig(source="mnist")
WIDE = RAMConfig(glimpse_size=12, num_scales=3, identity_init=0.5)
DEEP = replace(WIDE, location_hidden_size=128)
USUAL = TrainConfig(final_location_std=0.05)
COMPARED = replace(USUAL, num_rollouts=4, baseline="leave-one-out")
BRIEF = replace(COMPARED, epochs=25, batch_size=32, num_rollouts=2, learning_rate=2e-3)
LONG = replace(
    COMPARED, epochs=120, batch_size=128, final_location_std=0.03, evaluate_every=2
)
# The tuned line: it sees no more than the others, and looks by the same REINFORCE.
TUNED = RAMConfig(
    glimpse_size=12,
    num_scales=3,
    num_glimpses=8,
    core="lstm",
    location_hidden_size=128,
    learn_first_location=True,
    location_gradient=0.3,
)
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
TRANSLATED = ImageConfig(task="translated", image_size=60)
CLUTTERED60 = ImageConfig(task="cluttered", image_size=60)
CLUTTERED100 = ImageConfig(task="cluttered", image_size=100, num_patches=8)
PRESETS = {
    "digits": Preset(
        RAMConfig(
            num_glimpses=5, hidden_size=128, core="gru", learn_first_location=True
        ),
        ImageConfig(source="bundled"),
        replace(BRIEF, step_loss=0.5, evaluate_every=5),
    ),
    "mnist": Preset(*MNIST, replace(USUAL, epochs=150, batch_size=200)),
    "mnist-x4": Preset(*MNIST, LONG),
    "translated": Preset(WIDE, TRANSLATED, USUAL),
    "cluttered60": Preset(DEEP, CLUTTERED60, COMPARED),
    "cluttered100": Preset(
        replace(DEEP, num_scales=4, num_glimpses=8), CLUTTERED100, COMPARED
    ),
    "mnist-tuned": Preset(
        replace(
            MNIST[0],
            location_hidden_size=128,
            learn_first_location=True,
            location_gradient=0.3,
        ),
        MNIST[1],
        replace(
            LONG,
            learning_rate=2e-3,
            weight_decay=0.05,
            reward="per-step",
            step_loss=0.2,
            distillation=0.8,
        ),
    ),
    "translated-tuned": Preset(
        TUNED, TRANSLATED, replace(TUNING, epochs=90, distillation=0.5)
    ),
    "cluttered60-tuned": Preset(TUNED, CLUTTERED60, replace(TUNING, epochs=230)),
    "cluttered100-tuned": Preset(
        replace(TUNED, num_scales=4), CLUTTERED100, replace(TUNING, epochs=180)
    ),
}


def looking(preset: str, num_glimpses: int) -> Preset:
    """Give a preset another number of glimpses."""
    found = PRESETS[preset]
    return found._replace(model=replace(found.model, num_glimpses=num_glimpses))


# What is trained, with which seeds; the weights of the first are shipped.
EXPERIMENTS: dict[str, tuple[Preset, tuple[int, ...]]] = {
    "mnist-6x8x8": (PRESETS["mnist"], (0, 1, 2)),
    **{f"mnist-{T}x8x8-x4": (looking("mnist-x4", T), (0, 1, 2)) for T in range(2, 8)},
    "cluttered60-6x12x12": (PRESETS["cluttered60"], (0,)),
    "translated60-8x12x12-tuned": (PRESETS["translated-tuned"], (0, 1)),
    "cluttered60-8x12x12-tuned": (PRESETS["cluttered60-tuned"], (0, 1)),
    "cluttered100-8x12x12-tuned": (PRESETS["cluttered100-tuned"], (0, 1)),
}


def record(name: str, runs: list[dict], before: dict | None = None) -> dict:
    """Make the record that goes with shipped weights: errors, mean and std over seeds.

    Args:
        name: of the experiment.
        runs: a record of `train` for each seed, with its `test` results: a dictionary
            of `evaluate` by protocol.
        before: an earlier record, of the same; its other seeds are kept.

    Returns:
        JSON values; "shipped" is the seed, of those whose weights are at hand, that did best
        on the validation set.

    Raises:
        ValueError: if the earlier record is of something else.
    """
    common, free = ("model", "task", "train"), dict.fromkeys(FREE | {"seed"})
    parts = {part: runs[0][part] for part in common}
    kept = {run["seed"]: run for run in before["runs"]} if before else {}
    for part in common if before else ():
        if {**parts[part], **free} != {**before[part], **free}:
            raise ValueError(
                f"{name} was recorded with another {part}, {before[part]}, than "
                f"{parts[part]}; train all of its seeds again"
            )
    for run in runs:
        own = {k: v for k, v in run.items() if k not in common}
        seed = run["train"]["seed"]
        kept[seed] = {"seed": seed, **own}
    ordered = [kept[seed] for seed in sorted(kept)]
    found = {"name": name, "command": f"ramlib reproduce {name}", "test": {}, **parts}
    for protocol in PROTOCOLS:
        errors = [run["test"][protocol]["error"] for run in ordered]
        std = statistics.stdev(errors) if len(errors) > 1 else None
        mean = statistics.mean(errors)
        found["test"][protocol] = {"errors": errors, "mean": mean, "std": std}
    at_hand = [run["train"]["seed"] for run in runs]  # whose weights there are
    at_hand += [before["shipped"]] if before else []
    best = min(at_hand, key=lambda seed: kept[seed]["validation_error"])
    return found | {"runs": ordered, "shipped": best}


def state(name: str) -> str:
    """Say of an experiment what is recorded, and how far the runs here have come."""
    _, seeds = EXPERIMENTS[name]
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
        if lines and path.parent.name in ["fleet", *(f"seed-{s}" for s in seeds)]:
            epochs = read_json(path)["train"]["epochs"]
            said.append(f"{path.parent.name}: epoch {lines[-1]['epoch']} of {epochs}")
    return "; ".join(said) or "not begun"
