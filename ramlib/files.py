"""Reading and writing: JSON and safetensors, each file old or new, never half."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ramlib.checks import check, checked, from_dict

__all__ = ["CONFIG", "METRICS", "PART", "PRETRAINED", "WEIGHTS", "write"]
__all__ += ["read_json", "read_tensors", "to_json", "write_json", "write_tensors"]
__all__ += ["Pretrained", "choose_device", "find_pretrained", "pretrained_names"]

PRETRAINED = Path(__file__).resolve().parent / "pretrained"  # the shipped models
CONFIG, WEIGHTS, METRICS = "config.json", "model.safetensors", "metrics.json"
PART = ".part"  # ends the name of a file that is being written


def write(path: Path, content: bytes) -> None:
    """Write beside `path`, then replace it: a reader sees the old file or the new.

    Raises:
        OSError: if that cannot be done; it names the file.
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OSError(f"{path} cannot be written: {error}") from error


def to_json(value: object) -> bytes:
    """Give JSON that people and version control can read.

    Raises:
        TypeError: if a value is none of JSON's.
        ValueError: if it is NaN or infinity, which JSON does not have.
    """
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: object) -> None:
    """Write JSON values into a file."""
    write(path, to_json(value))


def read_json(path: Path) -> dict:
    """Read a dictionary from a JSON file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it holds anything else; it names the file.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not JSON, or not even text
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {value!r}; it needs names and values")
    return value


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Write tensors and, in the header, JSON values about them."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write(path, save(tensors, {"about": json.dumps(about)}))


def read_tensors(path: Path, like: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict]:
    """Read what `write_tensors` wrote, where it must fit.

    Args:
        path: of the file.
        like: tensors of the names and shapes, and of the kind, that are wanted.

    Returns:
        The tensors, on the CPU, and a dictionary of JSON values about them.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is damaged or of another kind, or its tensors do not fit or
            are not finite; it names the file and says which.
    """
    with path.open("rb"):  # what may not be read is not called damaged
        pass
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            about = check("what is about it", about, dict)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors ({error}): it is damaged, or of "
            "another kind; fetch or train it again"
        ) from error
    for name in sorted(set(tensors) | set(like)):
        one, wanted = tensors.get(name), like.get(name)
        kind, right = (
            "missing" if x is None else f"{x.dtype} of shape {tuple(x.shape)}"
            for x in (one, wanted)
        )
        if kind.replace("float64", "float32") != right.replace("float64", "float32"):
            raise ValueError(
                f"{path} is of another model: {name} is {kind}, and should be {right}; "
                "use the config.json that it was saved with, or train it again"
            )
        if not torch.isfinite(one).all():
            raise ValueError(
                f"{path}: {name} holds NaN or infinity, so its training had diverged; "
                "train again with a lower learning rate"
            )
    return tensors, about


class Pretrained:
    """What a model with a `config` needs to be saved into a folder and loaded again.

    Attributes:
        config_class: the dataclass of `config`; the model is made of it alone.
        metrics: the record of the run behind the weights; empty where there is none.
    """

    config_class: type
    metrics: dict = {}  # noqa: RUF012

    @checked
    def save_pretrained(
        self, folder: str | Path, metrics: dict | None = None, overwrite: bool = False
    ) -> Path:
        """Write config.json, model.safetensors and metrics.json into a folder.

        Args:
            folder: made when it is missing.
            metrics: the record of the run behind the weights: JSON values.
            overwrite: replace a model that is already there.

        Returns:
            The folder.

        Raises:
            FileExistsError: if a model is already there and `overwrite` is False.
            TypeError: if `metrics` are not JSON values; then nothing is written.
            ValueError: if they hold NaN; nor then.
            OSError: if the folder cannot be written; a model that was there is whole.
        """
        folder, metrics = Path(folder), self.metrics if metrics is None else metrics
        if not overwrite and any((folder / x).exists() for x in (CONFIG, WEIGHTS)):
            raise FileExistsError(
                f"{folder} holds a model; choose another one, or pass overwrite=True"
            )
        to_json(metrics)
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / WEIGHTS, self.state_dict(), {})
        write_json(folder / CONFIG, {"model": dataclasses.asdict(self.config)})
        write_json(folder / METRICS, metrics)
        return folder

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str | torch.device = "cpu"
    ) -> Self:
        """Load a model that ramlib ships, that was saved, or that a run trained.

        Args:
            name: a shipped name (see `pretrained_names`), or the path of a folder that
                `save_pretrained` or `ramlib.training.train` wrote.
            device: where to put it; "auto" for a GPU where there is one.

        Returns:
            The model, in evaluation mode, with its record as `model.metrics`.

        Raises:
            FileNotFoundError: if there is no such model; it lists those there are.
            ValueError: if a file is damaged, or is no model of this kind.
        """
        folder = find_pretrained(name)
        about = read_json(folder / CONFIG)
        try:
            model = cls(from_dict(cls.config_class, about.get("model")))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / CONFIG}: {error}") from error
        weights, _ = read_tensors(folder / WEIGHTS, model.state_dict())
        if {tensor.dtype for tensor in weights.values()} == {torch.float64}:
            model.double()
        model.load_state_dict(weights)
        record = folder / METRICS  # of a saved model; a run's config says as much
        model.metrics = read_json(record) if record.is_file() else about
        return model.to(choose_device(device)).eval()


def choose_device(name: str | torch.device) -> torch.device:
    """Give the device of that name; "auto" is a GPU where there is one.

    Raises:
        ValueError: if the name is unknown, or there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"device is {name!r}, which is not to be had here; choose 'auto' or 'cpu'"
        ) from error
    return device


def pretrained_names() -> list[str]:
    """List the models that come with ramlib."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{WEIGHTS}"))


def find_pretrained(name: str | Path) -> Path:
    """Find the folder of a shipped or saved model, or of a run.

    Raises:
        TypeError: if the name is neither a text nor a path.
        FileNotFoundError: if there is none, or a run has not been evaluated yet.
    """
    if not isinstance(name, str | Path):
        raise TypeError(f"name is a {type(name).__name__}; give a text or a path")
    for folder in (Path(name), PRETRAINED / name):
        if (folder / CONFIG).is_file():
            if (folder / WEIGHTS).is_file():
                return folder
            raise FileNotFoundError(
                f"{folder} has no {WEIGHTS}: train on until the first evaluation, or "
                "again if it was removed"
            )
    raise FileNotFoundError(
        f"no model {str(name)!r}: it is no folder with {CONFIG} and {WEIGHTS}, and "
        f"ramlib ships {', '.join(pretrained_names()) or 'none'}"
    )
