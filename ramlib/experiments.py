"""The named experiments: what a preset begins with, and what is recorded for the book.

A preset is a model, its images and a training. An experiment is a preset, repeated with
several seeds; `ramlib reproduce NAME` trains and tests it, and writes the record that
the book shows.
"""

from __future__ import annotations

import statistics
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


CLUTTERED = TrainConfig(
    num_rollouts=4, baseline="leave-one-out", final_location_std=0.05
)
PRESETS = {
    "digits": Preset(
        RAMConfig(
            num_glimpses=5, hidden_size=128, core="gru", learn_first_location=True
        ),
        ImageConfig(source="bundled"),
        TrainConfig(
            epochs=25,
            batch_size=32,
            num_rollouts=2,
            learning_rate=2e-3,
            final_location_std=0.05,
            baseline="leave-one-out",
            step_loss=0.5,
            evaluate_every=5,
        ),
    ),
    "mnist": Preset(
        RAMConfig(identity_init=0.5),
        ImageConfig(source="mnist"),
        TrainConfig(epochs=150, batch_size=200, final_location_std=0.05),
    ),
    "translated": Preset(
        RAMConfig(glimpse_size=12, num_scales=3, identity_init=0.5),
        ImageConfig(task="translated", image_size=60),
        TrainConfig(final_location_std=0.05),
    ),
    "cluttered60": Preset(
        RAMConfig(
            glimpse_size=12, num_scales=3, identity_init=0.5, location_hidden_size=128
        ),
        ImageConfig(task="cluttered", image_size=60),
        CLUTTERED,
    ),
    "cluttered100": Preset(
        RAMConfig(
            glimpse_size=12,
            num_scales=4,
            num_glimpses=8,
            identity_init=0.5,
            location_hidden_size=128,
        ),
        ImageConfig(task="cluttered", image_size=100, num_patches=8),
        CLUTTERED,
    ),
}
# What is trained, with which seeds; the weights of the first are shipped.
EXPERIMENTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "mnist-6x8x8": ("mnist", (0, 1, 2)),
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
    test = {}
    for protocol in PROTOCOLS:
        errors = [run["test"][protocol]["error"] for run in runs]
        test[protocol] = {
            "errors": errors,
            "mean": statistics.mean(errors),
            "std": statistics.stdev(errors) if len(errors) > 1 else None,
        }
    return {
        "name": name,
        "command": f"ramlib reproduce {name}",
        "test": test,
        **{part: runs[0][part] for part in ("model", "task", "train")},
        "runs": [
            {"seed": run["train"]["seed"]}
            | {k: v for k, v in run.items() if k not in ("model", "task", "train")}
            for run in runs
        ],
    }
