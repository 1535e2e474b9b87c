"""The folder of a run: its files, its lock, and what it ran on."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ramlib.files import CONFIG, PART, WEIGHTS, read_json, write, write_json

__all__ = ["FREE", "LAST", "RunFolder", "environment", "read_metrics"]

LAST, METRICS, LOCK = "last.safetensors", "metrics.jsonl", ".lock"
FREE = {"device", "threads", "checkpoint_every"}  # may differ when resumed


def environment(device: torch.device | str = "cpu") -> dict:
    """Describe what a run ran on: versions, hardware, the commit of the code."""
    on_gpu = torch.device(device).type == "cuda"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if on_gpu else None,
        "commit": commit(),
    }


def commit() -> str | None:
    """Give the commit of the checkout that ramlib runs from; None if it is in none."""
    package = Path(__file__).resolve().parent
    ask = {"cwd": package, "text": True, "timeout": 10, "stderr": subprocess.DEVNULL}
    # Installed inside another repository, it is not that one's code: no such file.
    which = ["git", "rev-parse", "HEAD", "HEAD:./__init__.py"]
    try:
        head, _ = subprocess.check_output(which, **ask).split()
        changed = subprocess.check_output(["git", "status", "--porcelain", "."], **ask)
        return head + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


class RunFolder:
    """The folder of a run, locked while it is in use: ``with RunFolder(…) as run``.

    It refuses to overwrite a run, to resume another one, and to be used twice at once.
    Nothing is left behind of a run that fails before `begin`.

    Args:
        path: of the folder; made when missing.
        stated: what the run is made of, as JSON values: a dictionary for each part.
        resume: the folder may hold a run of the same.

    Raises:
        FileExistsError: if the folder holds something and `resume` is False.
        ValueError: if it holds a run of something else, or another process uses it.
        OSError: if it cannot be written.
    """

    def __init__(self, path: Path, stated: dict, resume: bool):
        self.path, self.stated, self.resume = path, stated, resume
        self.environment: dict | None = None
        self.lock = FileLock(path / LOCK, timeout=0)
        self.made = [p for p in (path, *path.parents) if not p.exists()]

    def __enter__(self) -> RunFolder:
        """Take the lock, and look at what is there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
        except Timeout as error:
            raise ValueError(
                f"{self.path} is in use by another process; choose another folder"
            ) from error
        except OSError as error:
            raise OSError(f"{self.path} cannot be written: {error}") from error
        try:
            self._look()
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error) -> None:
        """Give the lock back; of a run that never began, leave nothing."""
        self.lock.release()
        if not self._has_begun():
            (self.path / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others may have put something there
                for folder in self.made:
                    folder.rmdir()

    def _has_begun(self) -> bool:
        """Say whether a run has: config.json is its own, not that of something else."""
        with contextlib.suppress(OSError, ValueError):
            return {"model", "train"} <= read_json(self.path / CONFIG).keys()
        return False

    def _look(self) -> None:
        if not self.has(LAST):
            # A run that never came to a checkpoint has nothing to lose.
            free = {LOCK, CONFIG, METRICS} if self._has_begun() else {LOCK}
            if self.resume and CONFIG in free:  # killed just before the checkpoint
                free |= {WEIGHTS}
            if {p.name for p in self.path.iterdir() if p.suffix != PART} - free:
                raise FileExistsError(
                    f"{self.path} holds other files; choose an empty or a new folder"
                )
            return
        if not self.resume:
            raise FileExistsError(
                f"{self.path} already holds a run; resume it (--resume), or choose "
                "another folder"
            )
        found = read_json(self.path / CONFIG)
        self.environment = found.get("environment")
        changed = []
        for part, now in self.stated.items():
            before = found.get(part) or {}
            for name in sorted({*before, *now} - FREE):
                old, new = before.get(name), now.get(name)
                longer = name == "epochs" and old and new and new > old  # it may go on
                if old != new and not longer:
                    changed.append(f"{name} was {old!r} and is now {new!r}")
        if changed:
            raise ValueError(
                f"{self.path} holds another run: {'; '.join(changed)}. Resume it as it "
                "was begun, or choose another folder"
            )

    def begin(self, environment: dict) -> None:
        """Write config.json; what the run began on stays, when it is resumed."""
        self.environment = self.environment or environment
        write_json(self.path / CONFIG, self.stated | {"environment": self.environment})

    def has(self, name: str) -> bool:
        """Say whether the folder holds a file."""
        return (self.path / name).is_file()

    def append_metrics(self, line: dict) -> None:
        """Add a line to metrics.jsonl."""
        line = {k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()}
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def drop_metrics_after(self, step: int) -> None:
        """Forget the lines that are younger than the checkpoint."""
        if self.has(METRICS):
            kept = "".join(
                json.dumps(line) + "\n" for line in read_metrics(self.path, step)
            )
            write(self.path / METRICS, kept.encode())


def read_metrics(folder: Path, until: float = float("inf")) -> list[dict]:
    """Read metrics.jsonl: its lines up to a step, and to one cut off in writing.

    Raises:
        ValueError: if a line is whole and yet no line of metrics; it names it.
    """
    path, lines = folder / METRICS, []
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    for number, text in enumerate(whole, start=1):
        try:
            line = json.loads(text)
            if line["step"] <= until:
                lines.append(line)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}, line {number}, is no line of metrics; remove it"
            ) from error
    return lines
