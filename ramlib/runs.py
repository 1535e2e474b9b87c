"""The files of a run: its folder, its checkpoints, and what it ran on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ramlib.model import read_json, write_json

__all__ = ["RunFolder", "environment", "read_checkpoint", "write_checkpoint"]

LAST, BEST = "last.safetensors", "best.safetensors"
CONFIG, METRICS = "config.json", "metrics.jsonl"
PART = ".part"  # ends the name of a file that is being written


def environment(device: torch.device | str = "cpu") -> dict:
    """Describe what a run ran on: versions, hardware, the commit of the code."""
    device = torch.device(device)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Give the commit of the checkout that ramlib runs from, if it is one."""
    here = Path(__file__).resolve().parent
    git = ["git", "-C", str(here)]
    try:
        commit, changed = (
            subprocess.run(git + args, capture_output=True, text=True, timeout=10)
            for args in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if commit.returncode:
        return None
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


class RunFolder:
    """The folder of a run: refuses to overwrite, and to resume something else.

    Args:
        path: of the folder; made when missing.
        stated: the configs of the run, as JSON values: a dictionary per part.
        environment: what it runs on; kept from the start when a run is resumed.
        resume: the folder may hold a run of the same configs.

    Raises:
        FileExistsError: if the folder holds something and `resume` is False.
        ValueError: if it cannot be written, or holds a run of other configs.
    """

    FREE = ("device", "threads")  # where a run goes on may differ

    def __init__(self, path: Path, stated: dict, environment: dict, resume: bool):
        self.path = path
        self.environment = environment
        if self.has(CONFIG):
            if not resume:
                raise FileExistsError(
                    f"{path} already holds a run; resume it, or choose another folder"
                )
            found = read_json(path / CONFIG)
            self._compare(found, stated)
            self.environment = found.get("environment", environment)
            return
        if path.is_dir() and any(p.suffix != PART for p in path.iterdir()):
            raise FileExistsError(
                f"{path} holds other files; choose an empty or a new folder"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"the run folder {path} cannot be written: {error}"
            ) from error
        contents = stated | {"environment": environment}
        replace_atomically(path / CONFIG, lambda part: write_json(part, contents))

    def has(self, name: str) -> bool:
        """Say whether the folder holds a file."""
        return (self.path / name).is_file()

    def _compare(self, found: dict, stated: dict) -> None:
        if not isinstance(found, dict) or not set(stated) <= set(found):
            raise ValueError(f"{self.path / CONFIG} is not the config of a run")
        changed = [
            f"{name} was {found[part].get(name)!r} and is now {values.get(name)!r}"
            for part, values in stated.items()
            for name in sorted(set(values) | set(found[part]))
            if name not in self.FREE and values.get(name) != found[part].get(name)
        ]
        if changed:
            raise ValueError(
                f"{self.path} holds a run of another config: {'; '.join(changed)}. "
                "Resume with the same, or choose another folder"
            )

    def append_metrics(self, line: dict) -> None:
        """Add a line to metrics.jsonl."""
        line = {k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()}
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def drop_metrics_after(self, step: int) -> None:
        """Forget lines younger than the checkpoint, and one cut off while written."""
        if not self.has(METRICS):
            return
        kept = []
        for text in (self.path / METRICS).read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                break
            if line["step"] <= step:
                kept.append(text + "\n")
        replace_atomically(
            self.path / METRICS, lambda part: part.write_text("".join(kept))
        )


def write_checkpoint(path: Path, tensors: dict[str, Tensor], progress: dict) -> None:
    """Write tensors and JSON values as safetensors, in one atomic replace.

    Raises:
        ValueError: if the file cannot be written.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    metadata = {"progress": json.dumps(progress)}
    replace_atomically(path, lambda part: save_file(tensors, part, metadata))


def replace_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then replace it: readers see the old file or the new."""
    part = path.with_name(path.name + PART)
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be written: {error}") from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read what `write_checkpoint` wrote.

    Raises:
        ValueError: if the file is damaged or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            progress = json.loads((file.metadata() or {})["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is no checkpoint of ramlib, or it is damaged ({error}); remove it "
            "to begin the run again"
        ) from error
    return tensors, progress
