"""Exercise 11.2: digits that hang over the edge of their canvases."""

import torch
from torch.nn import functional

NEEDS = ("slips",)


def padded(canvases, digits, top, left, kind=torch.int32, clamp=True, rule=None):
    """Make an answer with room on every side, right, or wrong in one way."""
    h, (B, H, W) = digits.shape[-1], canvases.shape
    wide = functional.pad(canvases.to(kind), (h,) * 4)
    steps = torch.arange(h)
    rows = (top[:, None] + h + steps)[:, :, None]
    columns = (left[:, None] + h + steps)[:, None, :]
    at = torch.arange(B)[:, None, None], rows, columns
    old, new = wide[at], digits.to(kind)
    wide[at] = old + new if rule is None else rule(old, new)
    inside = wide[:, h : h + H, h : h + W]
    return (inside.clamp(max=255) if clamp else inside).byte()


def flawed(**slip):
    return lambda *given: padded(*given, **slip)


def directly(canvases, digits, top, left, rows=None, columns=None):
    """Index the canvases themselves: what lies outside is a matter of luck."""
    h, (B, H, W) = digits.shape[-1], canvases.shape
    made, steps = canvases.int(), torch.arange(h)
    i, j = top[:, None] + steps, left[:, None] + steps
    i = i if rows is None else rows(i, H)
    j = j if columns is None else columns(j, W)
    for b in range(B):
        for a, y in enumerate(i[b].tolist()):
            for c, x in enumerate(j[b].tolist()):
                if y < H and x < W:
                    made[b, y, x] += int(digits[b, a, c])
    return made.clamp(max=255).byte()


def clamped_index(index, side):
    return index.clamp(0, side - 1)


def clamped_place(canvases, digits, top, left):
    h, (_, H, W) = digits.shape[-1], canvases.shape
    return padded(canvases, digits, top.clamp(0, H - h), left.clamp(0, W - h))


def in_place(canvases, digits, top, left):
    canvases[:] = padded(canvases, digits, top, left)
    return canvases


def by_slices(canvases, digits, top, left):
    """The trap of slices: from a negative first row they are empty or elsewhere."""
    made, h = canvases.int(), digits.shape[-1]
    for canvas, digit, y, x in zip(
        made, digits, top.tolist(), left.tolist(), strict=True
    ):
        canvas[y : y + h, x : x + h] += digit
    return made.clamp(max=255).byte()


def skip_all(canvases, digits, top, left):
    """Leave out every digit that hangs over at all."""
    h, (_, H, W) = digits.shape[-1], canvases.shape
    whole = (top >= 0) & (left >= 0) & (top <= H - h) & (left <= W - h)
    return padded(canvases, digits * whole[:, None, None], top, left)


WRONG = {
    "nothing": (lambda *given: None, "not <class 'NoneType'>"),
    "a list": (lambda *given: padded(*given).tolist(), "not <class 'list'>"),
    "not cropped": (
        lambda c, d, t, l: functional.pad(padded(c, d, t, l), (3,) * 4),  # noqa: E741
        "Return canvases, (4, 6, 9)",
    ),
    "with a channel": (lambda *given: padded(*given)[:, None], "Return canvases"),
    "slices": (by_slices, "Pad first, crop last"),
    "from the end": (directly, "index -1 is the last row"),
    "all indices": (
        lambda c, d, t, l: c.clone().index_put(  # noqa: E741
            (torch.arange(4), t, l), d[:, 0, 0], accumulate=True
        ),
        "Not yet",
    ),
    "beyond": (
        lambda c, d, t, l: c[torch.arange(4), t + 2, l + 2],  # noqa: E741
        "Beyond the canvas?",
    ),
    "piled up": (
        lambda *given: directly(*given, clamped_index, clamped_index),
        "piled up on the edge",
    ),
    "moved inside": (clamped_place, "its place is clamped"),
    "wraps in uint8": (flawed(kind=torch.uint8), "wrapped round at 256"),
    "not clamped": (flawed(clamp=False), "wrapped round at 256"),
    "replaced": (flawed(rule=lambda old, new: new), "replaces what is below"),
    "brighter": (flawed(rule=torch.maximum), "is no sum"),
    "swapped": (lambda c, d, t, l: by_mask(c, d, l, t), "Rows and columns"),  # noqa: E741
    "swapped, padded": (
        lambda c, d, t, l: padded(c, d, l, t),  # noqa: E741
        "top counts rows",
    ),
    "in place": (in_place, "have changed"),
    "whole numbers": (lambda *given: padded(*given).int(), "Give uint8"),
    "floats": (lambda *given: padded(*given) / 255, "Give uint8"),
    "unchanged": (lambda c, d, t, l: c.clone(), "Nothing was added"),  # noqa: E741
    "only whole ones": (skip_all, "may hang over"),
}


def by_loop(canvases, digits, top, left):
    """Pixel by pixel, with a question at each."""
    made, (B, h, _) = canvases.clone(), digits.shape
    for b in range(B):
        for i in range(h):
            for j in range(h):
                y, x = int(top[b]) + i, int(left[b]) + j
                if 0 <= y < made.shape[1] and 0 <= x < made.shape[2]:
                    made[b, y, x] = min(255, int(made[b, y, x]) + int(digits[b, i, j]))
    return made


def by_slice(canvases, digits, top, left):
    """Cut digit and canvas to what they share."""
    made = canvases.float()
    (_, H, W), h = canvases.shape, digits.shape[1]
    for canvas, digit, y, x in zip(
        made, digits, top.tolist(), left.tolist(), strict=True
    ):
        i, j = (max(y, 0), min(y + h, H)), (max(x, 0), min(x + h, W))
        part = digit[i[0] - y : i[1] - y, j[0] - x : j[1] - x]
        canvas[i[0] : i[1], j[0] : j[1]] += part
    return made.clamp(0, 255).to(torch.uint8)


def by_mask(canvases, digits, top, left):
    """Ask of every pixel of the canvas which pixel of the digit it would be."""
    (B, H, W), h = canvases.shape, digits.shape[1]
    i = torch.arange(H)[None, :, None] - top[:, None, None]
    j = torch.arange(W)[None, None, :] - left[:, None, None]
    inside = (i >= 0) & (i < h) & (j >= 0) & (j < h)
    n = torch.arange(B)[:, None, None]
    seen = digits[n, i.clamp(0, h - 1), j.clamp(0, h - 1)].long() * inside
    return torch.minimum(canvases.long() + seen, torch.tensor(255)).byte()


def by_room(canvases, digits, top, left):
    """Never leave uint8: add no more than there is room for."""
    empty = torch.zeros_like(canvases)
    shown = padded(empty, digits, top, left)
    return canvases + torch.minimum(shown, 255 - canvases)


RIGHT = {"padded": padded, "loop": by_loop, "slice": by_slice, "mask": by_mask}
RIGHT["room"] = by_room


def answers(names):
    return WRONG, RIGHT
