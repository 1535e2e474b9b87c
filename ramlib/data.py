r"""Digits to look at: MNIST or a small bundled stand-in, translated and cluttered.

`digits` loads the 28×28 digits. `translated` and `cluttered` paste a whole batch of
them on larger canvases, freshly drawn at every call, for training. `fixed_set` makes
the sets to validate and test on, which are the same bytes on every machine.

MNIST is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, and is made
available under CC BY-SA 3.0. The stand-in is enlarged from the digits that
scikit-learn ships, which are part of "Optical Recognition of Handwritten Digits" by
E. Alpaydin and C. Kaynak (UCI Machine Learning Repository, CC BY 4.0).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import queue
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "DataUnavailableError",
    "Digits",
    "Placement",
    "cluttered",
    "digits",
    "fixed_set",
    "paste",
    "translated",
]

SOURCES = ("auto", "mnist", "bundled")
SPLITS = ("train", "validation", "test")
TASKS = ("plain", "translated", "cluttered")

# The md5 sums of the unpacked files, as MNIST's publishers give them.
_MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_VALIDATION = 10_000  # the last ones of the 60,000 training digits
_BUNDLED_ENDS = (1197, 1497, 1797)  # where each split of the bundled digits ends
_ANSWER_SECONDS = 5  # how long a mirror may take to answer before it counts as absent
_STALL_SECONDS = 30  # how long a download may stand still
_CHUNK = 1000  # images of a fixed set pasted at once: bounds the memory in use


class DataUnavailableError(RuntimeError):
    """MNIST is not in the folder and cannot be downloaded."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images with their labels, all on one device.

    Attributes:
        images: (N, H, W) uint8, 28×28 unless pasted on a larger canvas; ink is bright.
        labels: (N,) int64, 0 to 9.
        source: "mnist" or "bundled".
        split: "train", "validation" or "test".
    """

    images: Tensor
    labels: Tensor
    source: str
    split: str

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8 or labels.dtype != torch.int64:
            raise TypeError(
                f"images must be uint8 and labels int64, but they are {images.dtype} "
                f"and {labels.dtype}; convert them with .to(dtype)"
            )
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise ValueError(
                "images must be (N, H, W) and labels (N,), but they are "
                f"{tuple(images.shape)} and {tuple(labels.shape)}"
            )

    def __len__(self) -> int:
        """The number of images, N."""
        return len(self.labels)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Digits:
        """Some of the digits: `digits[7]`, `digits[:100]`, `digits[[3, 1]]`."""
        if not isinstance(index, slice):
            index = torch.as_tensor(index).reshape(-1)
        return replace(self, images=self.images[index], labels=self.labels[index])

    def __repr__(self) -> str:
        count, height, width = self.images.shape
        return f"Digits({self.source}, {self.split}: {count:,} of {height}×{width})"

    def to(self, device: torch.device | str) -> Digits:
        """The same digits on another device."""
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, images=images, labels=labels)


# --- loading --------------------------------------------------------------------------


def digits(
    source: str = "auto",
    split: str = "train",
    root: str | os.PathLike[str] | None = None,
) -> Digits:
    """Load handwritten digits, 28×28.

    MNIST is read from `root`/MNIST/raw, the layout of `torchvision.datasets.MNIST`,
    which downloads what is missing there. Every file is checked against the md5 sum
    that its publishers give before it is used; a file that fails is named and replaced.
    Validation is the last 10,000 of the 60,000 training digits, so the splits hold
    50,000, 10,000 and 10,000.

    The bundled digits are the 1,797 that scikit-learn ships at 8×8, enlarged to
    28×28. Their file keeps each writer's digits together, so the splits are taken in
    its order (the first 1,197, the next 300, the last 300): a writer hardly ever sits
    in two of them.

    Args:
        source: "mnist", "bundled", or "auto": MNIST where it can be had, else the
            bundled digits, which is said once on stderr and then kept to, so that all
            splits come from one source.
        split: "train", "validation" or "test".
        root: the data folder. The default is the environment variable RAMLIB_DATA, or
            else data/ in a clone of the course, or else data/ in the working folder.

    Returns:
        The digits, on the CPU. They are yours: changing them changes no later load.

    Raises:
        ValueError: for an unknown source or split.
        DataUnavailableError: if `source` is "mnist", it is not there and no download
            succeeds.
        RuntimeError: if a file of MNIST is broken and cannot be replaced.
    """
    _check_name("source", source, SOURCES)
    _check_name("split", split, SPLITS)
    folder = _data_folder(root) / "MNIST" / "raw"
    if source == "auto":
        source = _choose_source(folder)
    if source == "mnist":
        files = _load_mnist(folder)
        prefix = "t10k" if split == "test" else "train"
        images = files[f"{prefix}-images-idx3-ubyte"]
        labels = files[f"{prefix}-labels-idx1-ubyte"]
        train_end = len(images) - _MNIST_VALIDATION
        start, end = {
            "train": (0, train_end),
            "validation": (train_end, len(images)),
            "test": (0, len(images)),
        }[split]
    else:
        images, labels = _load_bundled()
        which = SPLITS.index(split)
        start, end = (0, *_BUNDLED_ENDS)[which : which + 2]
    return Digits(
        images=torch.from_numpy(images[start:end].copy()),
        labels=torch.from_numpy(labels[start:end].astype(np.int64)),
        source=source,
        split=split,
    )


def _data_folder(root: str | os.PathLike[str] | None) -> Path:
    """The absolute data folder; see `digits`."""
    root = root or os.environ.get("RAMLIB_DATA")
    if root:
        return Path(root).expanduser().resolve()
    here = Path.cwd()
    for folder in (Path(__file__).resolve().parents[1], here, *here.parents):
        clone = folder / "pyproject.toml", folder / "ramlib" / "data.py"
        if all(path.is_file() for path in clone):
            return folder / "data"
    return here / "data"


@functools.cache  # decided, and said, once
def _choose_source(folder: Path) -> str:
    try:
        _load_mnist(folder)
    except DataUnavailableError as error:
        _say(
            f"{error} Going on with the small digits bundled with scikit-learn "
            "(1,797, enlarged to 28×28): figures and error rates will differ."
        )
        return "bundled"
    return "mnist"


@functools.cache
def _load_mnist(folder: Path) -> dict[str, np.ndarray]:
    """All four files of MNIST, verified: name → (N, 28, 28) or (N,) uint8."""
    files, missing, broken = {}, [], []
    for name in _MNIST_MD5:
        try:
            files[name] = _read_verified(folder / name)
        except FileNotFoundError:
            missing.append(name)
        except OSError:
            broken.append(name)
    if missing or broken:
        remedy = (
            "Connect to the network once, or set RAMLIB_DATA (or root) to a folder you "
            "can write whose MNIST/raw holds the four unpacked files of MNIST, or use "
            "source='bundled'."
        )
        try:
            files |= _download_mnist(folder, missing + broken)
        except DataUnavailableError as error:
            if not broken:
                raise DataUnavailableError(
                    f"MNIST is not in {folder} and cannot be downloaded: {error}. "
                    + remedy
                ) from error
            paths = ", ".join(str(folder / name) for name in broken)
            raise RuntimeError(
                f"{paths}: broken, partial or unreadable (the published md5 sum says "
                f"so), and cannot be downloaded afresh: {error}. " + remedy
            ) from error
        for name in broken:
            _say(f"{folder / name} was broken or partial; it has been replaced.")
    return {name: _parse_idx(name, files[name]) for name in _MNIST_MD5}


def _read_verified(path: Path) -> bytes:
    """A file of MNIST. What was checked is what is used: it is read only once."""
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != _MNIST_MD5[path.name]:
        raise OSError(f"{path.name} does not have the published md5 sum")
    return content


def _parse_idx(name: str, content: bytes) -> np.ndarray:
    # The md5 sum has been checked, so the header's sizes are known.
    if "images" in name:
        return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
    return np.frombuffer(content, np.uint8, offset=8)


def _download_mnist(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Download the named files; each appears in the folder complete or not at all."""
    reason = "no server that has it can be reached"
    for mirror in _answering_mirrors():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(dir=folder, prefix="download-")
        except OSError as error:
            reason = f"the folder can't be written: {error}"
            raise DataUnavailableError(reason) from None
        with scratch:
            raw = Path(scratch.name) / "MNIST" / "raw"
            try:
                _fetch(mirror, scratch.name)
                files = {name: _read_verified(raw / name) for name in names}
                for name in names:
                    os.replace(raw / name, folder / name)
                return files
            except (OSError, RuntimeError, EOFError, HTTPException) as error:
                reason = str(error).strip().rstrip(".") or type(error).__name__
    raise DataUnavailableError(reason)


def _answering_mirrors() -> Iterator[str]:
    """The mirrors that answer at all, the quickest first.

    Asked beforehand and side by side, because a download that meets a network which
    drops its packets would wait for minutes.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask(mirror: str) -> None:
        url = mirror + "train-labels-idx1-ubyte.gz"
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_ANSWER_SECONDS).close()
        except Exception:  # whatever it was, this mirror is of no use
            answers.put(None)
        else:
            answers.put(mirror)

    deadline = time.monotonic() + _ANSWER_SECONDS
    for mirror in _MNIST_MIRRORS:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    for _ in _MNIST_MIRRORS:
        with contextlib.suppress(queue.Empty):
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            if answer:
                yield answer


def _fetch(mirror: str, folder: str) -> None:
    """Let torchvision download MNIST from one mirror, without its progress bars."""
    from torchvision import datasets

    class MNIST(datasets.MNIST):  # the class's name is the folder's
        mirrors = [mirror]  # noqa: RUF012

    quiet = io.StringIO()
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALL_SECONDS)
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            MNIST(folder, download=True)
    finally:
        socket.setdefaulttimeout(timeout)


@functools.cache
def _load_bundled() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits: (1797, 28, 28) and (1797,) uint8.

    Integers only, so that the bytes are the same everywhere: each of the 8×8 pixels
    (0 to 16) becomes 3×3, a margin of 2 makes 28×28, a 3×3 box blurs the steps away,
    and 3v² - 2v³ gives the strokes back their edges.
    """
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    large = small.astype(np.int64).reshape(-1, 8, 8).repeat(3, axis=1).repeat(3, axis=2)
    large = np.pad(large, ((0, 0), (3, 3), (3, 3)))  # (N, 30, 30): 1 more for the box
    blurred = sum(large[:, i : i + 28, j : j + 28] for i in range(3) for j in range(3))
    value = (blurred * 255 + 72) // 144  # from 0..9·16 to 0..255
    value = (value * value * (3 * 255 - 2 * value) + 255 * 255 // 2) // (255 * 255)
    return value.astype(np.uint8), labels.astype(np.uint8)


def _say(message: str) -> None:
    # stderr shows in a terminal and in a notebook, and leaves a program's output clean.
    print(f"ramlib: {message}", file=sys.stderr)


# --- pasting --------------------------------------------------------------------------


class Placement(NamedTuple):
    """Where everything goes on B canvases with P distractors each; all int64.

    A place is the top-left pixel of what is pasted, or of the window it is cut from.
    """

    row: Tensor  # (B,): the digit on the canvas
    column: Tensor  # (B,)
    source: Tensor  # (B, P): which image a distractor is cut from
    from_row: Tensor  # (B, P): the window in that image
    from_column: Tensor  # (B, P)
    to_row: Tensor  # (B, P): the distractor on the canvas
    to_column: Tensor  # (B, P)


def translated(
    digits: Digits,
    indices: Tensor | Sequence[int],
    size: int | tuple[int, int] = 60,
    *,
    generator: torch.Generator | int | None = None,
) -> Tensor:
    """Paste digits at uniformly random places on black canvases.

    Args:
        digits: where the images come from; the result is on their device.
        indices: (B,) which of them to paste, integers in [0, N). On a GPU the range is
            not checked, as the check would wait for the device.
        size: of the canvas in pixels: one number or (height, width).
        generator: a `torch.Generator`, or a seed. A generator on another device than
            the digits draws there: the same seed on the CPU gives the same images on
            every device. The default is PyTorch's global generator.

    Returns:
        (B, 1, height, width) uint8.

    Raises:
        TypeError: for an index or a size that is no integer.
        ValueError: for an index out of range, or a canvas smaller than a digit.
    """
    return cluttered(digits, indices, size, 0, 1, generator=generator)


def cluttered(
    digits: Digits,
    indices: Tensor | Sequence[int],
    size: int | tuple[int, int] = 60,
    num_patches: int = 4,
    patch_size: int = 8,
    *,
    generator: torch.Generator | int | None = None,
) -> Tensor:
    """Paste digits as `translated` does, among pieces of other digits.

    As in the paper's generator, each distractor is a square window of another image of
    the same split, at a uniformly random place (many are nearly black), added at a
    uniformly random place on the canvas; then the digit is added, and the sum is
    clipped. Clutter may lie under the digit and never hides its strokes. The paper uses
    4 distractors of 8×8 pixels at 60×60 and 8 at 100×100.

    Args:
        digits: where digits and distractors come from; the result is on their device.
        indices: (B,) which of them to paste; see `translated`.
        size: of the canvas in pixels: one number or (height, width).
        num_patches: distractors on each canvas, P.
        patch_size: side of a distractor in pixels.
        generator: see `translated`. With no distractors, the same generator gives the
            images of `translated`.

    Returns:
        (B, 1, height, width) uint8.

    Raises:
        TypeError: for an index, a size or a number that is no integer.
        ValueError: for an index out of range, a canvas smaller than a digit, a patch
            larger than one, or a single digit, which leaves none to cut from.
    """
    canvas = _check_canvas(digits, size, num_patches, patch_size)
    indices = _check_indices(indices, digits)
    device = digits.images.device
    if isinstance(generator, int):
        generator = torch.Generator(device).manual_seed(generator)
    elif not isinstance(generator, torch.Generator | None):
        raise TypeError(
            f"generator must be a torch.Generator, a seed or None, not {generator!r}"
        )
    drawing_device = device if generator is None else generator.device

    def randint(high: int, shape: tuple[int, ...]) -> Tensor:
        drawn = torch.randint(high, shape, generator=generator, device=drawing_device)
        return drawn.to(device)

    placement = _draw(randint, digits, indices, canvas, num_patches, patch_size)
    return paste(digits.images, indices, placement, canvas, patch_size)


def fixed_set(
    digits: Digits,
    task: str = "translated",
    size: int | tuple[int, int] = 60,
    num_patches: int = 4,
    patch_size: int = 8,
    seed: int = 0,
) -> Digits:
    """Make the set to validate or test on: every digit once, in order, always the same.

    The places come from `numpy.random.RandomState`, whose stream is frozen, and the
    rest is integer arithmetic, so the bytes are the same on every machine and device.

    Args:
        digits: all digits of a split.
        task: "plain" (the digits as they are; no other argument matters), "translated",
            or "cluttered".
        size: of the canvas in pixels: one number or (height, width).
        num_patches: distractors on each canvas; only for "cluttered".
        patch_size: side of a distractor in pixels; only for "cluttered".
        seed: 0 to 2³² - 1.

    Returns:
        The pasted digits, images (N, height, width), on the device of `digits`.

    Raises:
        TypeError: for a size, number or seed that is no integer.
        ValueError: for an unknown task or a value out of range; see `cluttered`.
    """
    _check_name("task", task, TASKS)
    if task == "plain":
        return digits
    if task == "translated":
        num_patches, patch_size = 0, 1
    canvas = _check_canvas(digits, size, num_patches, patch_size)
    _check_integer("seed", seed, 0, 2**32 - 1)
    stream = np.random.RandomState(seed)

    def randint(high: int, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(stream.randint(0, high, shape, dtype=np.int64))

    images = digits.images.cpu()
    indices = torch.arange(len(digits))
    placement = _draw(randint, digits, indices, canvas, num_patches, patch_size)
    parts = [
        paste(images, indices[i : i + _CHUNK], _part(placement, i), canvas, patch_size)
        for i in range(0, len(digits), _CHUNK)
    ]
    pasted = torch.cat(parts)[:, 0]  # (N, height, width)
    return replace(digits, images=pasted.to(digits.images.device))


def _part(placement: Placement, start: int) -> Placement:
    return Placement(*(places[start : start + _CHUNK] for places in placement))


def _draw(
    randint: Callable[[int, tuple[int, ...]], Tensor],
    digits: Digits,
    indices: Tensor,
    canvas: tuple[int, int],
    num_patches: int,
    patch_size: int,
) -> Placement:
    """Draw all places for B canvases; `randint(high, shape)` draws from [0, high)."""
    N, h, w = digits.images.shape
    H, W = canvas
    B, P, p = len(indices), num_patches, patch_size
    row, column = randint(H - h + 1, (B,)), randint(W - w + 1, (B,))
    if P == 0:
        return Placement(row, column, *[row.new_zeros(B, 0)] * 5)
    source = randint(N - 1, (B, P))
    return Placement(
        row=row,
        column=column,
        source=source + (source >= indices[:, None]),  # skips the digit's own image
        from_row=randint(h - p + 1, (B, P)),
        from_column=randint(w - p + 1, (B, P)),
        to_row=randint(H - p + 1, (B, P)),
        to_column=randint(W - p + 1, (B, P)),
    )


def paste(
    images: Tensor,
    indices: Tensor,
    placement: Placement,
    canvas: tuple[int, int],
    patch_size: int,
) -> Tensor:
    """Paste digits and distractors at given places on black canvases; nothing is drawn.

    Distractors are clipped with the digit already there. Saturating addition of what
    is never negative has the same result in any order, min(255, sum), so this equals
    the original, which adds the digit last; and a digit on black needs no addition.

    Args:
        images: (N, h, w) uint8.
        indices: (B,) int64: the digits.
        placement: their places and those of P distractors; not checked.
        canvas: (height, width) in pixels.
        patch_size: side of a distractor in pixels.

    Returns:
        (B, 1, height, width) uint8.
    """
    (H, W), (_, h, w) = canvas, images.shape
    B, p = len(indices), patch_size

    def pixels(row: Tensor, column: Tensor, height: int, width: int) -> Tensor:
        """(B, height·width): a rectangle's pixels, as positions in a flat canvas."""
        y = torch.arange(height, device=images.device)[:, None]
        x = torch.arange(width, device=images.device)
        return (row * W + column)[:, None] + (y * W + x).flatten()

    flat = images.new_zeros(B, H * W)
    at = pixels(placement.row, placement.column, h, w)  # (B, h·w)
    flat.scatter_(1, at, images[indices].flatten(1))

    windows = images.unfold(1, p, 1).unfold(2, p, 1)  # (N, h-p+1, w-p+1, p, p), a view
    pieces = windows[placement.source, placement.from_row, placement.from_column]
    pieces = pieces.flatten(2)  # (B, P, p·p)
    for k in range(pieces.shape[1]):  # distractors of one canvas may overlap
        at = pixels(placement.to_row[:, k], placement.to_column[:, k], p, p)
        below = flat.gather(1, at)  # (B, p·p)
        room = 255 - below  # adding no more than this keeps uint8 from wrapping
        flat.scatter_(1, at, below + torch.minimum(pieces[:, k], room))
    return flat.view(B, 1, H, W)


# --- checks ---------------------------------------------------------------------------


def _check_name(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; use one of {', '.join(known)}")


def _check_integer(what: str, value: int, low: int, high: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{what} must be an integer, not {value!r}")
    if value < low or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{what} is {value}; it must be {limits}")
    return int(value)


def _check_canvas(
    digits: Digits, size: int | tuple[int, int], num_patches: int, patch_size: int
) -> tuple[int, int]:
    """Check everything but the indices; returns the canvas as (height, width)."""
    count, h, w = digits.images.shape
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"size is {size}; give one number or (height, width)")
    height = _check_integer("the canvas's height", sides[0], h)
    width = _check_integer("the canvas's width", sides[1], w)
    _check_integer("num_patches", num_patches, 0)
    _check_integer("patch_size", patch_size, 1, min(h, w))
    if count == 0:
        raise ValueError("there are no digits to paste; give at least one")
    if num_patches > 0 and count == 1:
        raise ValueError(
            "clutter is cut from other digits, but there is only one; give at least 2 "
            "or set num_patches=0"
        )
    return height, width


def _check_indices(indices: Tensor | Sequence[int], digits: Digits) -> Tensor:
    """The indices as (B,) int64 on the digits' device."""
    indices = torch.as_tensor(indices)
    kind = indices.dtype
    if kind.is_floating_point or kind.is_complex or kind == torch.bool:
        raise TypeError(f"indices must be integers, not {kind}")
    if indices.ndim != 1:
        raise ValueError(f"indices must be (B,), but they are {tuple(indices.shape)}")
    indices = indices.to(digits.images.device, torch.int64)
    if indices.device.type == "cpu" and len(indices):
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= len(digits):
            wrong = low if low < 0 else high
            raise ValueError(
                f"index {wrong} is out of range: there are {len(digits)} digits, "
                f"so use 0 to {len(digits) - 1}"
            )
    return indices
