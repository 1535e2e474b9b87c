"""The named experiments: what a preset begins with, and what is recorded for the book.

A preset is a model, its images and a training. An experiment is a preset, repeated with
several seeds; `ramlib reproduce NAME` trains and tests it, and writes the record that
the book shows.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import NamedTuple

from ramlib.evaluation import PROTOCOLS
from ramlib.model import RAMConfig
from ramlib.tasks import ImageConfig
from ramlib.training import TrainConfig

__all__ = ["EXPERIMENTS", "PRESETS", "Preset", "record"]


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
    "translated": Preset(WIDE, ImageConfig(task="translated", image_size=60), USUAL),
    "cluttered60": Preset(DEEP, ImageConfig(task="cluttered", image_size=60), COMPARED),
    "cluttered100": Preset(
        replace(DEEP, num_scales=4, num_glimpses=8),
        ImageConfig(task="cluttered", image_size=100, num_patches=8),
        COMPARED,
    ),
}
# What is trained, with which seeds; the weights of the first are shipped.
EXPERIMENTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "mnist-6x8x8": ("mnist", (0, 1, 2)),
    "mnist-6x8x8-x4": ("mnist-x4", (0, 1)),
    "cluttered60-6x12x12": ("cluttered60", (0,)),
}


def record(name: str, runs: list[dict]) -> dict:
    """Make the record that goes with shipped weights: errors, mean and std over seeds.

    Args:
        name: of the experiment.
        runs: a record of `train` for each seed, with its `test` results: a dictionary
            of `evaluate` by protocol.

    Returns:
        JSON values.
    """
    common, test = ("model", "task", "train"), {}
    for protocol in PROTOCOLS:
        errors = [run["test"][protocol]["error"] for run in runs]
        std = statistics.stdev(errors) if len(errors) > 1 else None
        test[protocol] = {"errors": errors, "mean": statistics.mean(errors), "std": std}
    found = {"name": name, "command": f"ramlib reproduce {name}", "test": test}
    found |= {part: runs[0][part] for part in common}
    found["runs"] = []
    for run in runs:
        own = {k: v for k, v in run.items() if k not in common}
        found["runs"].append({"seed": run["train"]["seed"], **own})
    return found
