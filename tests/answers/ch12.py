"""Exercise 12.2: the contrast of blocks, from two summed-area tables."""

import torch
from torch.nn import functional

NEEDS = ()


def table(values):
    return functional.pad(values.cumsum(0).cumsum(1), (1, 0, 1, 0))


def solution(kind=torch.double, swap=False, comes_back=1, zeros=True, square=None):
    """Make an answer that is right, or wrong in one way."""

    def answer(image, boxes):
        left, top, right, bottom = boxes.T
        if swap:
            left, top, right, bottom = top, left, bottom, right
        pixels = image.to(kind)
        squares = pixels**2 if square is None else square(image)

        def mean(values):
            Q = table(values) if zeros else values.cumsum(0).cumsum(1)
            total = Q[bottom, right] - Q[bottom, left] - Q[top, right]
            total = total + comes_back * Q[top, left]
            return total / ((right - left) * (bottom - top))

        return (mean(squares) - mean(pixels) ** 2).clamp(min=0).sqrt()

    return answer


def each(rule):
    """Make an answer that visits the boxes one by one."""

    def answer(image, boxes):
        blocks = [image[t:b, l:r].double() for l, t, r, b in boxes.tolist()]  # noqa: E741
        return torch.stack([rule(block) for block in blocks])

    return answer


def at_once(image, boxes):
    """Both tables as one, read by the four corners in a loop over signs."""
    values = torch.stack([image.long(), image.long() ** 2])  # (2, H, W)
    Q = functional.pad(values.cumsum(1).cumsum(2), (1, 0, 1, 0))
    left, top, right, bottom = boxes.unbind(1)
    corners = (bottom, right, 1), (bottom, left, -1), (top, right, -1), (top, left, 1)
    sums = sum(sign * Q[:, i, j] for i, j, sign in corners).double()
    first, second = sums / ((right - left) * (bottom - top))
    return (second - first.square()).clamp(min=0).sqrt()


def numpy_style(image, boxes):
    """Floats in and out: numpy's float64 tables, and float32 at the end."""
    import numpy as np

    pixels = image.numpy().astype(np.float64)
    tables = [
        np.pad(v.cumsum(0).cumsum(1), ((1, 0), (1, 0))) for v in (pixels, pixels**2)
    ]
    out = []
    for left, top, right, bottom in boxes.tolist():
        first, second = (
            (Q[bottom, right] - Q[bottom, left] - Q[top, right] + Q[top, left])
            / ((right - left) * (bottom - top))
            for Q in tables
        )
        out.append(max(second - first**2, 0) ** 0.5)
    return torch.tensor(out, dtype=torch.float32)


def not_a_number(image, boxes):
    return solution()(image, boxes) * torch.tensor([1, 1, torch.nan])


WRONG = {
    "not a number": (not_a_number, "NaN?"),
    "an array": (lambda *given: solution()(*given).numpy(), "a torch tensor"),
    "nothing": (lambda image, boxes: None, "Return one number a box"),
    "a list": (lambda i, b: solution()(i, b).tolist(), "Return one number a box"),
    "one number": (lambda i, b: solution()(i, b).mean(), "Return one number a box"),
    "a column": (lambda i, b: solution()(i, b)[:, None], "Return one number a box"),
    "an error": (lambda image, boxes: image[999], "Zeros in front?"),
    "no zeros": (solution(zeros=False), "Zeros in front?"),
    "swapped": (solution(swap=True), "Rows run from top to bottom?"),
    "variance": (each(lambda v: v.var(correction=0)), "take its root"),
    "mean": (each(torch.mean), "The squares are missing"),
    "root mean square": (
        each(lambda v: v.square().mean().sqrt()),
        "Subtract the square",
    ),
    "one less": (each(torch.std), "Divide by the number of pixels"),
    "shares": (lambda i, b: solution()(i, b) / 255, "Keep grey levels"),
    "wrapped squares": (
        solution(square=lambda i: (i * i).double()),
        "a square wraps at 256",
    ),
    "corner lost": (solution(comes_back=0), "removed twice, comes back"),
    "corner subtracted": (solution(comes_back=-1), "removed twice, comes back"),
    "float32": (solution(kind=torch.float32), "round in float32"),
}
RIGHT = {
    "doubles": solution(),
    "whole numbers": solution(kind=torch.long),
    "one table for both": at_once,
    "numpy": numpy_style,
    "one by one": each(lambda v: v.std(correction=0)),
}


def answers(names):
    return WRONG, RIGHT
