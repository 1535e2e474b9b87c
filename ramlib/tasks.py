"""What a model of images is trained for: which images, and how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from ramlib.checks import NumPatches, Range, check_fields
from ramlib.data import Images, cluttered, digits, fixed_set, folder
from ramlib.evaluation import evaluate
from ramlib.model import RecurrentAttentionModel
from ramlib.worlds.still import Still

__all__ = ["ImageConfig", "ImageTask"]

SEEDS = {"validation": 1, "test": 2}  # of the places in the fixed sets


@dataclass(frozen=True)
class ImageConfig:
    """Which images a model looks at.

    Attributes:
        source: "mnist", "bundled" (scikit-learn's digits), or "auto".
        images: a folder of classes, in place of a source; see `ramlib.data.folder`.
        task: "plain" images, "translated" on a black canvas, or "cluttered".
        image_size: the side of the canvas in pixels, or what the images of a folder are
            brought to; None: 60 for a canvas, else as they are.
        num_patches: distractors on a cluttered canvas.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if it is out of range, or two contradict each other.
    """

    source: Literal["auto", "mnist", "bundled"] = "auto"
    images: Path | None = None
    task: Literal["plain", "translated", "cluttered"] = "plain"
    image_size: Annotated[int, Range(1, 16_384)] | None = None
    num_patches: NumPatches = 4

    def __post_init__(self):
        check_fields(self)
        size = self.image_size
        if self.images is not None or size is None:
            return
        if self.task == "plain":
            raise ValueError(
                f"image_size is {size}, but plain digits are 28 × 28; choose "
                "task='translated' or 'cluttered' for a larger canvas"
            )
        if size < 28:
            raise ValueError(f"image_size is {size}; a digit has 28; give 28 or more")

    @property
    def canvas(self) -> int:
        """The side of a canvas, in pixels."""
        return self.image_size or 60

    def load(self, split: str) -> Images:
        """Load a split as it is; for what can go wrong see `ramlib.data`."""
        if self.images is None:
            return digits(self.source, split)
        size = self.image_size if self.task == "plain" else None
        return folder(self.images, split, size=size)

    def fixed(self, split: Literal["validation", "test"]) -> Images:
        """Make the set that is evaluated: the same bytes on every machine."""
        data, seed = self.load(split), SEEDS[split]
        return fixed_set(data, self.task, self.canvas, self.num_patches, seed=seed)


class ImageTask:
    """Classify still images: your own, or those that an `ImageConfig` names.

    Args:
        train: the images to learn from.
        validation: the images to choose the best weights by, as they are.
        config: how those to learn from are shown; None: as they are.
    """

    def __init__(
        self, train: Images, validation: Images, config: ImageConfig | None = None
    ):
        self.train, self.validation = train, validation
        self.config = config or ImageConfig()

    @classmethod
    def of(cls, config: ImageConfig) -> ImageTask:
        """Load the images of a config."""
        return cls(config.load("train"), config.fixed("validation"), config)

    def __len__(self) -> int:
        """Count the images in an epoch."""
        return len(self.train)

    def prepare(self, model: RecurrentAttentionModel) -> None:
        """Move the images to the model's device.

        Raises:
            ValueError: if the model's channels differ from theirs, or it has too few
                classes.
        """
        c, images = model.config, self.train
        if c.num_channels != images.num_channels or c.num_actions < images.num_classes:
            raise ValueError(
                f"the model has num_channels={c.num_channels} and "
                f"num_actions={c.num_actions}, but the images have "
                f"{images.num_channels} channel(s) and {images.num_classes} classes"
            )
        self.move(model.device)
        if self.config.task == "plain":  # these never change: one table each, for all
            self.tables = model.sensor.prepare(self.train.images)

    def move(self, device: torch.device) -> None:
        """Move the images to a device."""
        self.train, self.validation = self.train.to(device), self.validation.to(device)

    def shown(self, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """Give images (B, C, H, W) to learn from as they are shown, on new canvases."""
        c = self.config
        if c.task == "plain":
            return self.train.images[chosen]
        patches = c.num_patches if c.task == "cluttered" else 0
        return cluttered(self.train, chosen, c.canvas, patches, generator=generator)

    def record(self) -> dict:
        """Say which images, and how they are shown."""
        name = "source" if self.config.images is None else "images"
        return {
            **asdict(self.config),
            name: self.train.name,  # what "auto" has found; the folder's absolute path
            "shape": list(self.validation.images.shape[1:]),
            "classes": list(self.train.classes),
            "fingerprints": [x.fingerprint() for x in (self.train, self.validation)],
        }

    def draw(self, model, chosen: Tensor, M: int, generator) -> dict[str, Tensor]:
        """Draw the tables (B, C, H+1, W+1), the labels (B,) and the model's noise."""
        if self.config.task == "plain":
            table = self.tables[chosen]
        else:
            table = model.sensor.prepare(self.shown(chosen, generator))
        draws = model.draw(len(chosen) * M, generator)
        return {**draws, "table": table, "labels": self.train.labels[chosen]}

    def world(self, model: RecurrentAttentionModel, batch: dict[str, Tensor]) -> Still:
        """Make the world of a batch."""
        return Still(model.sensor, batch["table"], batch)

    def evaluate(self, model: RecurrentAttentionModel) -> float:
        """Give the error of the mean policy on the validation set, in percent."""
        return evaluate(model, self.validation, batch_size=2000)["error"]
