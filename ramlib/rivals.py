"""Rivals: plain networks that see the whole image at once, and how they are trained.

They learn from the same images as the model, by the same loop, optimiser and schedule,
and are chosen on the same validation set.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ramlib import checks
from ramlib.data import Images
from ramlib.files import Pretrained
from ramlib.losses import Losses
from ramlib.tasks import ImageTask
from ramlib.training import Trainer

__all__ = ["Rival", "RivalConfig", "RivalTask", "RivalTrainer", "evaluate"]


@dataclass(frozen=True)
class RivalConfig:
    """A network that sees the whole image.

    Attributes:
        kind: "connected", two fully connected layers; "convolutional", the paper's: 8
            filters of 10 × 10 pixels, 5 pixels apart, and a fully connected layer;
            "modern", three layers of 3 × 3 convolutions with normalisation, and the
            maximum over all places.
        width: units of each fully connected layer; filters of the first modern layer,
            which the next two double.
        image_size: the side of the image, in pixels.
        num_actions: A, the number of classes.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if it is out of range.
    """

    kind: Literal["connected", "convolutional", "modern"]
    width: checks.Width = 256
    image_size: Annotated[int, checks.Range(10, 16_384)] = 28
    num_actions: checks.Width = 10

    def __post_init__(self):
        checks.check_fields(self)


class Rival(Pretrained, nn.Module):
    """A network of a `RivalConfig`: images -> logits."""

    config_class = RivalConfig

    def __init__(self, config: RivalConfig):
        super().__init__()
        self.config = config
        side, D, A = config.image_size, config.width, config.num_actions
        if config.kind == "connected":
            inner = nn.Linear(side**2, D), nn.ReLU(), nn.Linear(D, D), nn.ReLU()
            layers = nn.Flatten(), *inner, nn.Linear(D, A)
        elif config.kind == "convolutional":
            K = ((side - 10) // 5 + 1) ** 2  # places of a filter
            see = nn.Conv2d(1, 8, kernel_size=10, stride=5), nn.ReLU(), nn.Flatten()
            layers = *see, nn.Linear(8 * K, D), nn.ReLU(), nn.Linear(D, A)
        else:
            sizes = (1, D, 2 * D, 4 * D)
            layers = []
            for C, filters in itertools.pairwise(sizes):
                layers += [nn.Conv2d(C, filters, kernel_size=3, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
            layers[-1] = nn.AdaptiveMaxPool2d(1)
            layers += [nn.Flatten(), nn.Linear(4 * D, A)]
        self.layers = nn.Sequential(*layers)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, images: Tensor) -> Tensor:
        """Classify: (B, 1, H, W) uint8 -> logits (B, A)."""
        return self.layers(images / 255)


def evaluate(model: Rival, data: Images) -> dict:
    """Measure the error on a set, as `ramlib.evaluation.evaluate` does in one pass."""
    wrong, batch_size = 0, 500
    with torch.inference_mode():
        for start in range(0, len(data), batch_size):
            part = data[start : start + batch_size].to(model.device)
            wrong += int((model(part.images).argmax(-1) != part.labels).sum())
    count = {"wrong": wrong, "count": len(data)}
    return {"protocol": "mean", "error": 100 * wrong / len(data), **count}


class RivalTask(ImageTask):
    """Classify still images, seen as a whole."""

    def prepare(self, model: Rival) -> None:
        """Move the images to the model's device.

        Raises:
            ValueError: if they are not grey squares of the model's size, or have more
                classes than it.
        """
        c, shape = model.config, tuple(self.train.images.shape[1:])
        if self.config.task != "plain":
            shape = (*shape[:1], self.config.canvas, self.config.canvas)
        classes = self.train.num_classes
        if shape != (1, c.image_size, c.image_size) or c.num_actions < classes:
            raise ValueError(
                f"the rival has image_size={c.image_size} and "
                f"num_actions={c.num_actions}, but the images have shape {shape} and "
                f"{classes} classes"
            )
        self.move(model.device)

    def draw(self, model, chosen: Tensor, M: int, generator) -> dict[str, Tensor]:
        """Draw the images (B, 1, H, W) and the labels (B,)."""
        images = self.shown(chosen, generator)
        return {"images": images, "labels": self.train.labels[chosen]}

    def evaluate(self, model: Rival) -> float:
        """Give the error on the validation set, in percent."""
        return evaluate(model, self.validation)["error"]


class RivalTrainer(Trainer):
    """The state of a run and its step: cross-entropy."""

    def _losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Give the loss and the statistics, with a 1 that counts the step."""
        logits, labels = self.model(batch["images"]), batch["labels"]
        loss = cross_entropy(logits, labels)
        with torch.no_grad():
            error = (logits.argmax(-1) != labels).float().mean()
            zero, one = torch.zeros_like(error), torch.ones_like(error)
            losses = Losses(loss, loss, zero, zero, 1 - error)
            statistics = torch.stack([*losses, error, zero, one]).detach()
        return loss, statistics
