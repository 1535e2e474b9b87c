"""Images to look at: handwritten digits, a folder of one's own, and larger canvases.

`digits` loads MNIST or a small bundled stand-in, `folder` a folder of classes.
`translated` and `cluttered` paste a whole batch of images on larger canvases, freshly
drawn at every call, for training. `fixed_set` makes the sets to validate and test on,
which are the same bytes on every machine.

MNIST is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, and is made
available under CC BY-SA 3.0. The stand-in is enlarged from the digits that
scikit-learn ships, which are part of "Optical Recognition of Handwritten Digits" by
E. Alpaydin and C. Kaynak (UCI Machine Learning Repository, CC BY 4.0).
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ramlib import checks
from ramlib.checks import Range, check
from ramlib.files import write

__all__ = [
    "DataUnavailableError",
    "Images",
    "cluttered",
    "digits",
    "fixed_set",
    "folder",
    "translated",
]

Source = Literal["auto", "mnist", "bundled"]
Split = Literal["train", "validation", "test"]
Task = Literal["plain", "translated", "cluttered"]
FrozenSeed = Annotated[int, Range(0, 2**32 - 1)]  # what RandomState takes
Size = int | tuple[int, int]
Indices = Tensor | Sequence[int]
Generator = torch.Generator | np.random.RandomState | int | None

# The md5 sums of the unpacked files, as MNIST's publishers give them.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
# Where the splits begin and end, in the order of `Split`.
ENDS = {"mnist": (0, 50_000, 60_000, 70_000), "bundled": (0, 1197, 1497, 1797)}
TIMEOUT = (2, 10)  # seconds to connect to a server, and to wait for its next bytes


class DataUnavailableError(OSError):
    """Images are absent, broken or unreadable; it names them and says what to do."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images with their labels, all on one device.

    Attributes:
        images: (N, C, H, W) uint8; (N, H, W) is taken as C = 1.
        labels: (N,) int64 in [0, A).
        classes: the A names; None: "0", "1" and so on, up to the largest label.
        name: where they come from: "mnist", "bundled", or a folder's absolute path.
        split: "train", "validation", "test", or "" for none of them.

    Raises:
        TypeError: if one is of the wrong kind or dtype.
        ValueError: if a shape, device, label or split does not fit.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...] | None = None
    name: str = "images"
    split: Literal[Split, ""] = ""

    def __post_init__(self) -> None:
        checks.check_fields(self)
        checks.check_tensor("images", images := self.images)
        checks.check_tensor("labels", labels := self.labels, images.device)
        images = images[:, None] if images.dim() == 3 else images
        (N, *sides), dtypes = images.shape, (images.dtype, labels.dtype)
        if dtypes != (torch.uint8, torch.int64):
            raise TypeError(f"images and labels are {dtypes}; give uint8 and int64")
        if len(sides) != 3 or 0 in sides or labels.shape != (N,):
            shapes = f"{tuple(images.shape)} and {tuple(labels.shape)}"
            raise ValueError(f"the shapes are {shapes}; give (N, C, H, W) and (N,)")
        if N:
            checks.check_labels(labels, len(self.classes or range(2**16)))
        names = self.classes or map(str, range(int(labels.max()) + 1 if N else 0))
        classes = tuple(check("a class", name, str) for name in names)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "classes", classes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int | slice | Indices) -> Images:
        """Select some: `images[7]`, `images[:100]`, `images[[3, 1]]`, `images[mask]`.

        Raises:
            TypeError: if the index is of another kind.
            IndexError: if it is out of range.
        """
        index = index if isinstance(index, slice) else as_indices(index, len(self))
        return replace(self, images=self.images[index], labels=self.labels[index])

    def __repr__(self) -> str:
        N, C, H, W = self.images.shape
        what = f"{self.name}, {self.split}" if self.split else self.name
        return f"Images({what}: {N:,} of {H}×{W}{f'×{C} channels' * (C > 1)})"

    @property
    def num_channels(self) -> int:
        """C, the number of channels."""
        return self.images.shape[1]

    @property
    def num_classes(self) -> int:
        """A, the number of classes, whether there are images of each or not."""
        return len(self.classes)

    def to(self, device: torch.device | str) -> Images:
        """Give the same images on another device."""
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, images=images, labels=labels)

    def fingerprint(self) -> str:
        """Give 16 hexadecimal digits that differ wherever images or labels do."""
        digest = hashlib.sha256(str(tuple(self.images.shape)).encode())
        for tensor in (self.labels, self.images):
            digest.update(np.ascontiguousarray(tensor.cpu()))
        return digest.hexdigest()[:16]


def as_indices(index: Any, count: int) -> Tensor:
    """Give whole numbers, or a mask, as indices (B,); unchecked if they are on a GPU.

    Raises:
        TypeError: if they are of another kind.
        IndexError: if one is out of range.
    """
    try:
        tensor = torch.as_tensor(index)
    except (TypeError, ValueError, RuntimeError):
        tensor = torch.ones(1)  # of no use, as any float
    usable = not tensor.numel() or torch.can_cast(tensor.dtype, torch.int64)
    if tensor.dim() > 1 or not usable:  # [] is float, but usable
        raise TypeError(f"the index is {index!r:.80}; give whole numbers in a list")
    if tensor.dtype == torch.bool and tensor.shape != (count,):
        raise IndexError(f"the index is a mask of {tensor.numel()}; give {count}")
    tensor = tensor if tensor.dtype == torch.bool else tensor.long()
    return torch.arange(count, device=tensor.device)[tensor.reshape(-1)]


# --- loading --------------------------------------------------------------------------


@checks.checked
def digits(
    source: Source = "auto", split: Split = "train", root: str | Path | None = None
) -> Images:
    """Load handwritten digits, 28×28.

    MNIST is read from `root`/MNIST/raw, the layout of `torchvision.datasets.MNIST`.
    Every file is checked against the md5 sum that its publishers give; what is missing
    or fails is downloaded. Validation is the last 10,000 of the 60,000 training digits,
    so the splits hold 50,000, 10,000 and 10,000.

    The bundled digits are the 1,797 that scikit-learn ships at 8×8, enlarged to 28×28.
    Their file keeps each writer's digits together, so the splits are taken in its order
    (1,197, 300 and 300): a writer hardly ever sits in two of them.

    Args:
        source: "mnist", "bundled", or "auto": MNIST where it can be had, else the
            bundled digits; that is said once on stderr and then kept to, so that all
            splits come from one source.
        split: "train", "validation" or "test".
        root: the data folder. The default is the environment variable RAMLIB_DATA, or
            else data/ in a clone of the course, or else data/ in the working folder.

    Returns:
        The digits, on the CPU. They are yours: changing them changes no later load.

    Raises:
        ValueError: if the source or split is unknown.
        DataUnavailableError: if `source` is "mnist", and it is not to be had.
    """
    root = root or os.environ.get("RAMLIB_DATA") or None
    whole = load(source, root, Path.cwd())
    which = get_args(Split).index(split)
    part = whole[slice(*ENDS[whole.name][which : which + 2])]
    images, labels = part.images.clone(), part.labels.clone()
    return replace(part, images=images, labels=labels, split=split)


@functools.cache  # read, decided and said once
def load(source: str, root: str | Path | None, here: Path) -> Images:
    """Load the digits of all splits."""
    if source == "auto":
        try:
            return load("mnist", root, here)
        except DataUnavailableError as error:
            say(f"{error}. Going on with the bundled digits: error rates will differ")
        return load("bundled", root, here)
    images, labels = bundled() if source == "bundled" else mnist(root, here)
    return Images(torch.tensor(images), torch.tensor(labels).long(), name=source)


def bundled() -> tuple[np.ndarray, np.ndarray]:
    """Enlarge scikit-learn's digits: (1797, 28, 28) uint8 and (1797,).

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
    return value.astype(np.uint8), labels


def mnist(root: str | Path | None, here: Path) -> tuple[np.ndarray, np.ndarray]:
    """Load MNIST: (70000, 28, 28) and (70000,) uint8; for `root` see `digits`."""
    if root is None:
        places = Path(__file__).resolve().parents[1], here, *here.parents
        marks = "pyproject.toml", "ramlib/data.py"
        clones = (p for p in places if all((p / mark).is_file() for mark in marks))
        root = next(clones, here) / "data"
    try:
        raw = here / os.path.expanduser(root) / "MNIST" / "raw"
        files = [mnist_file(raw / name, md5) for name, md5 in MNIST_MD5.items()]
    except (OSError, ValueError) as error:
        raise DataUnavailableError(
            f"no MNIST in {root} ({error}); connect to the network once, or set "
            "RAMLIB_DATA to a folder whose MNIST/raw holds its four unpacked files, or "
            "use source='bundled' (--source bundled)"
        ) from error
    images, labels = files[0][16:] + files[2][16:], files[1][8:] + files[3][8:]
    images = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)
    return images, np.frombuffer(labels, np.uint8)


def mnist_file(path: Path, md5: str) -> bytes:
    """Read a file of MNIST, or download it, whole or not at all, if it is not right."""

    def verified(content: bytes) -> bytes:
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise OSError("its md5 sum is not the published one")
        return content

    try:
        return verified(path.read_bytes())  # what was checked is what is used
    except OSError as error:
        reasons = [f"{path}: {error.strerror or error}"]
    from pooch import HTTPDownloader
    from torchvision.datasets import MNIST

    for mirror in MNIST.mirrors:
        try:
            packed = io.BytesIO()
            HTTPDownloader(timeout=TIMEOUT)(f"{mirror}{path.name}.gz", packed, None)
            content = verified(gzip.decompress(packed.getvalue()))
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                say(f"{path} is broken; it is replaced")
            write(path, content)
            return content
        except (OSError, EOFError, zlib.error) as error:
            reasons.append(f"{mirror}: {error!s:.80}")
    raise OSError(", ".join(reasons))


def say(message: str) -> None:
    """Print to stderr, which shows in a terminal and in a notebook."""
    print(f"ramlib: {message}", file=sys.stderr)


@checks.checked
def folder(
    path: str | Path,
    split: Split = "train",
    size: Size | None = None,
    channels: Literal[1, 3] | None = None,
    seed: FrozenSeed = 0,
) -> Images:
    """Load images from a folder with a subfolder for each class.

    Where `path` has two or three of train/, validation/ (or val/) and test/, these are
    the splits, and the classes lie in them. Else they lie in `path` itself, and a tenth
    of each class goes to validation and a tenth to test, at least one image each where
    a class has three: always the same ones, as long as `seed` and the files' names stay
    the same.

    Args:
        path: of the folder.
        split: "train", "validation" or "test".
        size: in pixels, one number or (height, width): images are resized until they
            just cover it, then cropped to their middle. None: as they are.
        channels: 1 for grey, 3 for colour; None: colour if any file of the folder, in
            whatever split, is stored in colour or with a palette.
        seed: of the splits, 0 to 2³² - 1.

    Returns:
        The images, on the CPU, one class after another, each in the order of its names.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if one is out of range, the images (of whatever split) differ in
            size and `size` is None, the splits differ in their classes, or there are
            too few images to split.
        DataUnavailableError: if there is no such folder or split, a class has no
            images, or one cannot be read or has more than 8 bits a pixel.
    """
    from PIL import ImageOps
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.functional import pil_to_tensor

    root = Path(os.path.abspath(os.path.expanduser(path)))
    validation = "validation" if (root / "validation").is_dir() else "val"
    places = [root / name for name in ("train", validation, "test")]
    there = [place for place in places if place.is_dir()]
    own = len(there) > 1  # the folder brings its splits
    this = places[get_args(Split).index(split)] if own else root
    try:
        looked_at = sorted({this, *there}) if own else [root]
        found = {place: ImageFolder(place) for place in looked_at}
    except (OSError, ValueError) as error:
        raise DataUnavailableError(
            f"{root} lacks images ({error}); give a folder with a subfolder of images "
            "for each class, or with train/, validation/ and test/ that hold those"
        ) from error
    part, sizes, modes = found[this], {}, set()
    for place, other in found.items():
        if differ := sorted({*part.classes} ^ {*other.classes}):
            both = f"{this} and {place}"
            raise ValueError(f"{both} differ in classes, {differ}; give them the same")
        for file, _ in other.imgs:
            with opened(file) as image:
                sizes[image.size[::-1]] = file
                modes.add(image.mode)
    if len(sizes) > 1 and size is None:
        two = [f"{file} has {pixels}" for pixels, file in sizes.items()][:2]
        raise ValueError(f"{' and '.join(two)} pixels; give a size to bring all to")
    H, W = next(iter(sizes)) if size is None else as_sides(size)
    C = channels or (1 if modes <= {"1", "L", "LA"} else 3)  # those without colour
    labels = np.array(part.targets)
    chosen = np.arange(len(labels)) if own else share(labels, split, seed)
    if not len(chosen):
        raise ValueError(f"{root} has no images for {split}; give each class three")
    images = torch.empty(len(chosen), C, H, W, dtype=torch.uint8)
    for shown, k in zip(images, chosen, strict=True):
        with opened(part.imgs[k][0]) as image:
            image = ImageOps.fit(image.convert("RGB" if C == 3 else "L"), (W, H))
        shown.copy_(pil_to_tensor(image))
    labels = torch.from_numpy(labels[chosen])
    return Images(images, labels, tuple(part.classes), str(root), split)


@contextlib.contextmanager
def opened(file: str) -> Iterator[Any]:
    """Open an image file; whatever goes wrong, the file is named."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode[0] in "IF":  # what is above 255 would be clipped
                raise ValueError("it has more than 8 bits a pixel; save it with 8")
            yield image
    except Exception as error:  # of many kinds: those of every file format
        raise DataUnavailableError(f"{file} cannot be read: {error}") from error


def share(labels: np.ndarray, split: str, seed: int) -> np.ndarray:
    """Choose the images of a split: a tenth of each class, or the rest to train."""
    stream, chosen = np.random.RandomState(seed), []
    which = ("validation", "test", "train").index(split)
    for label in range(labels.max() + 1):
        order = stream.permutation(np.flatnonzero(labels == label))
        tenth = max(len(order) // 10, int(len(order) > 2))
        chosen.append(np.split(order, [tenth, 2 * tenth])[which])
    return np.sort(np.concatenate(chosen))


# --- pasting --------------------------------------------------------------------------


def translated(
    images: Images, indices: Indices, size: Size = 60, *, generator: Generator = None
) -> Tensor:
    """Paste images at uniformly random places on black canvases.

    Args:
        images: where to take them from; the result is on their device.
        indices: (B,) which of them to paste: what `images[indices]` takes, but no
            slice. On a GPU they are not checked, as that would wait for the device.
        size: of the canvas in pixels: one number or (height, width), up to 16,384.
        generator: a `torch.Generator`, or a seed. A generator on another device than
            the images draws there: the same seed on the CPU gives the same canvases on
            every device. The default is PyTorch's global generator. The stream of a
            `numpy.random.RandomState` is frozen: the same canvases on every machine.

    Returns:
        (B, C, height, width) uint8.

    Raises:
        TypeError: if an argument is of the wrong kind.
        IndexError: if an index is out of range.
        ValueError: if another argument is, or a canvas is smaller than an image.
    """
    return cluttered(images, indices, size, 0, generator=generator)


@checks.checked
def cluttered(
    images: Images,
    indices: Indices,
    size: Size = 60,
    num_patches: checks.NumPatches = 4,
    patch_size: int = 8,
    *,
    generator: Generator = None,
) -> Tensor:
    """Paste images as `translated` does, among pieces of other images.

    As in the paper's generator, each distractor is a square window of another image of
    the same split, at a uniformly random place (many are nearly black), added at a
    uniformly random place on the canvas; then the image is added, and the sum is
    clipped. Clutter may lie under the image and never hides its strokes. The paper uses
    4 distractors of 8×8 pixels at 60×60 and 8 at 100×100.

    Args:
        images: where images and distractors come from; the result is on their device.
        indices: (B,) which of them to paste; see `translated`.
        size: of the canvas in pixels: one number or (height, width), up to 16,384.
        num_patches: distractors on each canvas, P, up to 10,000.
        patch_size: side of a distractor in pixels, at most an image's; only for P > 0.
        generator: see `translated`. With no distractors, the same generator gives the
            canvases of `translated`.

    Returns:
        (B, C, height, width) uint8.

    Raises:
        TypeError: if an argument is of the wrong kind.
        IndexError: if an index is out of range.
        ValueError: if another argument is, a canvas is smaller than an image, or there
            is a single image, which leaves none to cut from.
    """
    pixels = images.images
    (N, C, h, w), device = pixels.shape, pixels.device
    P, (H, W) = num_patches, as_sides(size, (h, w))
    p = check("patch_size", patch_size, Annotated[int, Range(1, min(h, w))]) if P else 1
    if (needed := 2 if P else 1) > N:
        raise ValueError(f"there are {N} images; give {needed} or more")
    indices = as_indices(indices, N).to(device)
    B = len(indices)
    if isinstance(generator, np.random.RandomState):
        randint = functools.partial(generator.randint, 0, dtype=np.int64)
    else:
        generator = checks.as_generator(generator, device)
        where = generator.device if generator else device
        randint = functools.partial(torch.randint, generator=generator, device=where)

    def draw(high: int, *shape: int) -> Tensor:
        return torch.as_tensor(randint(high, shape), device=device)

    # The order of these draws is part of every fixed set. All places are top left.
    top, left = draw(H - h + 1, B), draw(W - w + 1, B)
    others = draw(max(N - 1, 1), B, P)
    others += others >= indices[:, None]  # skips the image itself
    highs = h - p, w - p, H - p, W - p
    from_top, from_left, to_top, to_left = (draw(high + 1, B, P) for high in highs)
    grid = torch.arange(H * W, device=device).view(H, W)

    def window(top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
        """Give a window's pixels as positions in a flat canvas, (B, C, h·w)."""
        first = (top * W + left)[:, None, None]
        return (first + grid[:height, :width].flatten()).expand(-1, C, -1)

    canvases = pixels.new_zeros(B, C, H * W)
    canvases.scatter_(2, window(top, left, h, w), pixels[indices].flatten(2))
    # Saturating addition of what is never negative has the same result in any order,
    # min(255, sum), so distractors may come last. Those of one canvas may overlap.
    windows = pixels.unfold(2, p, 1).unfold(3, p, 1)  # (N, C, h-p+1, w-p+1, p, p): view
    for k in range(P):
        piece = windows[others[:, k], :, from_top[:, k], from_left[:, k]].flatten(2)
        at = window(to_top[:, k], to_left[:, k], p, p)
        below = canvases.gather(2, at)
        room = 255 - below  # adding no more than this keeps uint8 from wrapping
        canvases.scatter_(2, at, below + torch.minimum(piece, room))
    return canvases.view(B, C, H, W)


@checks.checked
def fixed_set(
    images: Images,
    task: Task = "translated",
    size: Size = 60,
    num_patches: int = 4,
    patch_size: int = 8,
    seed: FrozenSeed = 0,
) -> Images:
    """Make the set to validate or test on: every image once, in order, always the same.

    The places come from `numpy.random.RandomState`, whose stream is frozen, and the
    rest is integer arithmetic, so the bytes are the same on every machine and device.

    Args:
        images: all images of a split.
        task: "plain" (the images as they are; no other argument matters), "translated",
            or "cluttered".
        size: of the canvas in pixels: one number or (height, width).
        num_patches: distractors on each canvas; only for "cluttered".
        patch_size: side of a distractor in pixels; only for "cluttered".
        seed: 0 to 2³² - 1.

    Returns:
        The canvases, (N, C, height, width), with their labels, on the same device.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the task is unknown or a value out of range; see `cluttered`.
    """
    if task == "plain":
        return images
    stream = np.random.RandomState(seed)
    every, P = torch.arange(len(images)), num_patches if task == "cluttered" else 0
    canvases = cluttered(images, every, size, P, patch_size, generator=stream)
    return replace(images, images=canvases)


def as_sides(size: Any, least: Sequence[int] = (1, 1)) -> list[int]:
    """Check a size, one number or (height, width), and give both sides."""
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"size is {size}; give one number or (height, width)")
    kinds = [Annotated[int, Range(low, 16_384)] for low in least]
    return [check("a side in size", *pair) for pair in zip(sides, kinds, strict=True)]
