"""Every refusal of bad input, in one place.

The public functions call these at the door, once; nothing behind it checks again. A
refusal names the value and says what to give instead: `TypeError` for a value of the
wrong kind, `ValueError` for one out of range.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import Annotated, Literal, NamedTuple, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

__all__ = ["check", "check_fields", "check_finite", "check_images", "check_labels"]
__all__ += ["check_locations", "check_tensor", "checked"]
__all__ += ["all_finite", "as_generator", "from_dict"]
__all__ += ["Count", "GlimpseSize", "Natural", "NonNegative", "NumChannels"]
__all__ += ["NumGlimpses", "NumPatches", "NumRollouts", "NumScales", "OptionalWidth"]
__all__ += ["Positive", "Range", "Seed", "Share", "Width"]


class Range(NamedTuple):
    """The numbers that an annotated field or argument takes: from `low` to `high`."""

    low: float = -math.inf
    high: float = math.inf


GlimpseSize = Annotated[int, Range(1, 512)]
NumScales = Annotated[int, Range(1, 12)]
NumRollouts = Annotated[int, Range(1, 10_000)]
NumChannels = Annotated[int, Range(1, 512)]
NumGlimpses = Annotated[int, Range(1, 10_000)]
NumPatches = Annotated[int, Range(0, 10_000)]
Width = Annotated[int, Range(1, 16_384)]
OptionalWidth = Annotated[int, Range(0, 16_384)]
Count = Annotated[int, Range(1, 10**9)]
Natural = Annotated[int, Range(0, 10**9)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
Share = Annotated[float, Range(0, 1)]
Positive = Annotated[float, Range(1e-6, 1e6)]  # what single precision holds with ease
NonNegative = Annotated[float, Range(0, 1e6)]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KINDS = {int: "a whole number", float: "a number", bool: "True or False"}
KINDS |= {str: "a text", dict: "a dictionary"}


def check(name: str, value: object, kind: object):
    """Check one value against an annotation, and give it in Python's own type.

    Args:
        name: of the argument, for the message.
        value: what was given.
        kind: int or float, annotated with a `Range`, bool, str, dict, a `Literal`,
            a class of ramlib's, a tensor, or a union of one with None; of anything
            else, every value is taken.

    Returns:
        The value; NumPy's numbers become Python's.

    Raises:
        TypeError: if it is of another kind.
        ValueError: if it lies outside the range, or is none of the literals.
    """
    args = get_args(kind)
    if type(None) in args:
        if value is None or len(args) > 2:  # of several kinds: who uses it will see
            return value
        args = get_args(kind := args[0])
    if get_origin(kind) is Literal:
        if type(value) is not type(args[0]) or value not in args:
            choices = ", ".join(map(repr, args))
            raise ValueError(f"{name} is {value!r}; choose one of {choices}")
        return value
    base, limits = args if get_origin(kind) is Annotated else (kind, Range())
    if base is Tensor:
        check_tensor(name, value)
    if base not in KINDS:
        ours = getattr(base, "__module__", "").startswith("ramlib")
        if ours and not isinstance(value, base):
            kind = f"{base.__module__}.{base.__name__}"
            raise TypeError(f"{name} is {value!r:.80}; give a {kind}")
        return value  # of another library: its own constructor checks it
    abstract = {int: Integral, float: Real}.get(base, base)
    is_bool = type(value).__name__ in ("bool", "bool_")
    wanted = KINDS[base]
    if limits != Range():
        wanted += f" from {limits.low:,} to {limits.high:,}"
    if is_bool != (base is bool) or not (is_bool or isinstance(value, abstract)):
        raise TypeError(f"{name} is {value!r}; give {wanted}")
    if base in (int, float) and not limits.low <= value <= limits.high:  # or NaN
        raise ValueError(f"{name} is {value!r}; give {wanted}")
    return base(value)


hints = functools.cache(functools.partial(get_type_hints, include_extras=True))


def check_fields(config: object) -> None:
    """Check every field of a frozen dataclass against its annotation, in place."""
    for name, kind in hints(type(config)).items():
        object.__setattr__(config, name, check(name, getattr(config, name), kind))


def checked(function: Callable) -> Callable:
    """Check what a function is given against its annotations, at every call."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def door(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        for name in given.arguments.keys() & hints(function).keys():
            kind = hints(function)[name]
            given.arguments[name] = check(name, given.arguments[name], kind)
        return function(*given.args, **given.kwargs)

    return door


def from_dict(cls, values: object):
    """Make a config dataclass of a dictionary, for instance of a config.json.

    Raises:
        ValueError: if it is none, or a name is missing or unknown; it says which.
    """
    if not isinstance(values, dict):
        what = f"{values!r:.80} is no {cls.__name__}"
        raise ValueError(f"{what}, or of another version; give a dictionary of it")
    known, given = {f.name for f in dataclasses.fields(cls)}, set(map(str, values))
    if differ := ", ".join(sorted(known ^ given)):
        raise ValueError(
            f"{cls.__name__} lacks or does not know {differ}: these are settings of "
            "another version of ramlib; use that one, or edit the file"
        )
    return cls(**values)


def check_tensor(name: str, value: object, device: torch.device | None = None) -> None:
    """Raise unless `value` is a dense tensor of numbers, on the device if one is given.

    Raises:
        TypeError: if it is no tensor, sparse, or complex.
        ValueError: if it is on another device.
    """
    if not isinstance(value, Tensor):
        kind = type(value).__name__
        raise TypeError(f"{name} is a {kind}; give a tensor, as by torch.as_tensor")
    if value.layout != torch.strided or value.is_complex():
        kind = "complex" if value.is_complex() else "sparse"
        raise TypeError(f"{name} is {kind}; give a dense tensor of real numbers")
    if value.is_meta or (device is not None and value.device != device):
        there, here = value.device, device or "cpu"
        raise ValueError(f"{name} is on {there}, not {here}; move it with .to(device)")


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Say whether every number is finite; waits for the device once."""
    sums = torch.stack([tensor.detach().sum().float() for tensor in tensors])
    return bool(torch.isfinite(sums).all())


def check_finite(model: torch.nn.Module) -> None:
    """Raise a ValueError unless all weights of a model are finite, and its σ is one."""
    if not all_finite(model.state_dict().values()):
        raise ValueError("the model's weights hold NaN or infinity; train it again")
    check("location_std", model.location_network.std.item(), Positive)


def check_images(
    images: object, num_channels: int = 1, device: torch.device | None = None
) -> Tensor:
    """Check images at a public door and bring them to one shape.

    Args:
        images: (H, W), (B, H, W) or (B, C, H, W); uint8, or float in [0, 1].
        num_channels: C.
        device: where they must be; None for anywhere.

    Returns:
        The same images as (B, C, H, W).

    Raises:
        TypeError: if `images` is no tensor, or neither uint8 nor float.
        ValueError: if the shape does not fit, or a pixel is NaN or outside [0, 1].
    """
    check_tensor("images", images, device)
    shape, C = tuple(images.shape), num_channels
    images = images[None] if images.dim() == 2 else images
    images = images[:, None] if images.dim() == 3 else images
    if images.dim() != 4 or images.shape[1] != C or images.numel() == 0:
        raise ValueError(
            f"images have shape {shape}; give (H, W), (B, H, W) or (B, {C}, H, W): "
            f"{C} channel(s), and at least one pixel"
        )
    if images.dtype not in (torch.uint8, *FLOATS):
        kind = images.dtype
        raise TypeError(f"images are {kind}; give uint8, or float in [0, 1]")
    if images.dtype != torch.uint8:
        low, high = images.detach().aminmax()
        if not (low >= 0 and high <= 1):  # written so that NaN fails too
            raise ValueError(
                f"float images must lie in [0, 1], but these span [{low:g}, {high:g}]; "
                "divide by 255, or pass uint8"
            )
    return images


def check_locations(
    name: str,
    locations: object,
    shapes: Sequence[tuple[int, ...]],
    device: torch.device | None = None,
    limit: float = 1.0,
) -> None:
    """Raise unless locations have one of the shapes and lie in [-limit, limit].

    Raises:
        TypeError: if they are no tensor.
        ValueError: if the shape does not fit, or a coordinate is NaN or out of range.
    """
    check_tensor(name, locations, device)
    if tuple(locations.shape) not in shapes:
        wanted = " or ".join(str(shape) for shape in dict.fromkeys(shapes))
        raise ValueError(f"{name} has shape {tuple(locations.shape)}; give {wanted}")
    if not (locations.detach().float().abs() <= limit).all():  # NaN fails too
        raise ValueError(
            f"{name} holds a value outside [{-limit:g}, {limit:g}], or NaN; (-1, -1) "
            "is the top left corner of the image and (1, 1) its bottom right"
        )


def check_labels(
    labels: object,
    num_actions: int,
    count: int | None = None,
    device: torch.device | None = None,
) -> None:
    """Raise unless labels are class numbers (B,), with one or more episodes for each.

    Args:
        labels: (B,) int64 in [0, A).
        num_actions: A, the number of classes.
        count: the number of episodes, a multiple of B; None for any.
        device: where they must be; None for anywhere.

    Raises:
        TypeError: if they are no tensor.
        ValueError: if the dtype, shape, number or range does not fit.
    """
    check_tensor("labels", labels, device)
    if labels.dtype != torch.int64 or labels.dim() != 1:
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; give class "
            "numbers as int64 of shape (B,)"
        )
    if len(labels) == 0 or (count is not None and count % len(labels)):
        raise ValueError(
            f"{len(labels)} labels do not fit {count} episodes; give one for each image"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_actions:
        raise ValueError(
            f"labels span [{low}, {high}], but there are {num_actions} classes: they "
            f"must lie in [0, {num_actions - 1}]"
        )


def as_generator(
    generator: torch.Generator | int | None, device: torch.device
) -> torch.Generator | None:
    """Make a generator of a seed; a generator, or None, stays what it is."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    seed = check("generator", generator, Seed)
    return torch.Generator(device).manual_seed(seed)
