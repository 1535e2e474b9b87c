"""What the live widgets of the book load: the engine, weights, digits to learn from.

Each is a script of its own, so that a page that is a file can load it, and a reader who
only reads never does. The book's build writes them; `live.js` asks for them by name.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from importlib import resources

import torch

from ramlib.files import pretrained_names
from ramlib.model import RecurrentAttentionModel

ENGINE, DIGITS = "engine", "digits"


def scripts() -> dict[str, str]:
    """Make every script of the book's live widgets, by name."""
    engine = resources.files("ramlib.player").joinpath("engine.js")
    made = {ENGINE: engine.read_text(encoding="utf-8"), DIGITS: digits()}
    for name in pretrained_names():
        made[name] = weights(name, RecurrentAttentionModel.from_pretrained(name))
    return made


def weights(name: str, model: RecurrentAttentionModel) -> str:
    """Write a model in half precision, in the order in which the engine reads it.

    Raises:
        ValueError: if its encoder has convolutions, which the engine does not know.
    """
    if model.config.glimpse_encoder != "linear":
        raise ValueError("glimpse_encoder is 'conv'; the page runs 'linear' alone")
    parameters = dict(model.named_parameters())
    layers = [name for name in parameters if "weight" in name]
    names = [x for layer in layers for x in (layer, layer.replace("weight", "bias"))]
    numbers = torch.cat([parameters[x].detach().flatten() for x in names]).half()
    std = round(model.location_network.std.item(), 6)
    config = asdict(model.config) | {"location_std": std}
    return script(name, {"config": config, "numbers": as_text(numbers)})


def digits() -> str:
    """Write scikit-learn's digits, 8 × 8 pixels from 0 to 16, with their labels."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pixels = torch.as_tensor(pixels, dtype=torch.uint8)
    return script(DIGITS, {"pixels": as_text(pixels), "labels": labels.tolist()})


def as_text(tensor: torch.Tensor) -> str:
    """Write the bytes of a tensor, the lowest of each number first."""
    return base64.b64encode(tensor.cpu().numpy().tobytes()).decode()


def script(name: str, value: dict) -> str:
    """Write a value as a script that leaves it where `live.js` finds it."""
    text = json.dumps(value, separators=(",", ":"))
    return f"(globalThis.ramlibAssets ??= {{}})[{json.dumps(name)}] = {text};\n"
