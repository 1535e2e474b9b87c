"""Exercise 3.2: which of k × k cells a place lies in, as a vector with a single 1."""

import math

import torch
from torch.nn import functional

NEEDS = ()


def cells(places, k):
    return ((places + 1) / 2 * k).long().clamp(max=k - 1)


def code(which, k):
    return functional.one_hot(which, k * k).float()


def one_hot(places, k):
    x, y = cells(places, k).T
    return code(y * k + x, k)


def by_comparison(places, k):
    x, y = cells(places, k).T
    return ((y * k + x)[:, None] == torch.arange(k * k)).float()


def by_product(places, k):
    x, y = functional.one_hot(cells(places, k), k).float().unbind(1)
    return (y[:, :, None] * x[:, None, :]).flatten(1)


def by_loop(places, k):
    out = torch.zeros(len(places), k * k)
    for n, (x, y) in enumerate(places.tolist()):
        column, row = (min(int((v + 1) / 2 * k + 1e-6), k - 1) for v in (x, y))
        out[n, row * k + column] = 1
    return out


def in_place(places, k):
    places += 1
    places *= k / 2
    x, y = places.floor_().clamp_(max=k - 1).long().unbind(1)
    return torch.eye(k * k)[y * k + x]


def by_bucket(places, k):
    borders = torch.linspace(-1, 1, k + 1)[1:-1]
    x, y = torch.bucketize(places, borders, right=True).T
    return torch.zeros(len(places), k * k).scatter_(1, (y * k + x)[:, None], 1.0)


def by_counting(places, k):
    borders = torch.linspace(-1, 1, k + 1)[1:-1]
    x, y = (places[:, :, None] >= borders).sum(dim=2).T
    return code(x + k * y, k)


def short_of_one(places, k):
    x, y = ((places.clamp(max=1 - 1e-6) + 1) * k / 2).floor().int().T
    rows = torch.zeros(len(places), k * k)
    rows[torch.arange(len(places)), y * k + x] = 1
    return rows


def in_numpy(places, k):
    x, y = (math.floor(1) * cells(places, k)).numpy().T
    return torch.nn.functional.one_hot(torch.from_numpy(y * k + x), k**2).to(
        torch.float32
    )


def one_by_one(places, k):
    def row(place):
        which = [0.0] * (k * k)
        x, y = (min(math.floor((float(v) + 1) / 2 * k), k - 1) for v in place)
        which[k * y + x] = 1.0
        return which

    return torch.tensor([row(place) for place in places])


def both_axes(places, k):
    return functional.one_hot(cells(places, k), k).float().flatten(1)


def at(which):
    """Answers with other cells: columns and rows, of places and k."""

    def answer(places, k):
        x, y = which(places, k).T
        return code(y * k + x, k)

    return answer


def borders(places, k, right):
    return torch.bucketize(places, torch.linspace(-1, 1, k + 1)[1:-1], right=right)


def answers(names):
    def swapped(places, k):
        return one_hot(places.flip(1), k)

    def flipped(axis):
        def answer(places, k):
            which = cells(places, k).clone()
            which[:, axis] = k - 1 - which[:, axis]
            return code(which[:, 1] * k + which[:, 0], k)

        return answer

    def misspelt(places, k):
        return functional.onehot(cells(places, k)[:, 0], k * k)

    def float_index(places, k):
        return torch.eye(k * k)[((places + 1) / 2 * k).floor()[:, 0]]

    def too_many(places, k):
        x, y = cells(places, k).T
        return code(y * k * k + x, k)

    last = "Is 1.0 in the last cell?"
    border = "A border belongs to the cell right or below."
    nearest = "Take the cell it lies in, not a nearest point."
    wrong = {
        "nothing": (lambda places, k: None, "so far it is NoneType"),
        "a list": (lambda places, k: one_hot(places, k).tolist(), "it is list"),
        "an array": (lambda places, k: one_hot(places, k).numpy(), "it is ndarray"),
        "columns first": (swapped, "x counts within a row"),
        "from below": (flipped(1), "from the bottom"),
        "from the right": (flipped(0), "from the right"),
        "both flipped": (
            lambda p, k: one_hot(-p * 0.99, k),
            "k = 5: (-1.00, -1.00) is in cell 0, not 24.",
        ),
        "nearest": (at(lambda p, k: ((p + 1) / 2 * (k - 1)).round().long()), nearest),
        "two ones": (both_axes, "not torch.float32 (81, 10)"),
        "two ones in k · k": (
            lambda p, k: (one_hot(p, k) + swapped(p, k)).clamp(max=1),
            "single 1",
        ),
        "a grid": (
            lambda p, k: one_hot(p, k).view(-1, k, k),
            "not torch.float32 (81, 5, 5)",
        ),
        "numbers": (lambda p, k: one_hot(p, k).argmax(1), "not torch.int64 (81,)"),
        "whole numbers": (
            lambda p, k: one_hot(p, k).long(),
            "not torch.int64 (81, 25)",
        ),
        "truth values": (lambda p, k: one_hot(p, k).bool(), "not torch.bool (81, 25)"),
        "double precision": (
            lambda p, k: one_hot(p, k).double(),
            "not torch.float64 (81, 25)",
        ),
        "soft": (lambda p, k: one_hot(p, k).softmax(1), "a single 1"),
        "beyond": (at(lambda p, k: ((p + 1) / 2 * k).long()), last),
        "beyond, by index": (
            lambda p, k: torch.eye(k * k)[
                ((p + 1) / 2 * k).long() @ torch.tensor([1, k])
            ],
            last,
        ),
        "beyond, by comparison": (
            lambda p, k: (
                (((p + 1) / 2 * k).long() @ torch.tensor([1, k]))[:, None]
                == torch.arange(k * k)
            ).float(),
            "single 1, and zeros.\n" + last,
        ),
        "border to the left, ceil": (
            at(lambda p, k: (((p + 1) / 2 * k).ceil().long() - 1).clamp(min=0)),
            border,
        ),
        "border to the left, bucketize": (
            at(lambda p, k: borders(p, k, right=False)),
            border,
        ),
        "border to the left, less a little": (
            at(lambda p, k: ((p + 1) / 2 * k - 1e-4).long().clamp(min=0)),
            border,
        ),
        "rounded": (
            at(lambda p, k: ((p + 1) / 2 * k).round().long().clamp(max=k - 1)),
            "k = 5: (-1.00, -0.31) is in cell 5, not 10.",
        ),
        "k - 1": (
            at(lambda p, k: ((p + 1) / 2 * (k - 1)).long()),
            "k = 5: (-1.00, 0.70) is in cell 20, not 15.",
        ),
        "not moved to 0": (
            at(lambda p, k: (p / 2 * k).long().clamp(0, k - 1)),
            "k = 5: (-1.00, -0.31) is in cell 5, not 0.",
        ),
        "modulo": (
            at(lambda p, k: ((p + 1) / 2 * k).long() % k),
            "is in cell 20, not 0.\n" + last,
        ),
        "the first cell is 1": (
            lambda p, k: one_hot(p, k).roll(1, dims=1),
            "k = 5: (-1.00, -1.00) is in cell 0, not 1.",
        ),
        "misspelt": (misspelt, "AttributeError"),
        "an index that is a float": (float_index, "IndexError"),
        "too many cells": (too_many, "RuntimeError"),
        "negative": (at(lambda p, k: (p / 2 * k).long()), "RuntimeError"),
        "no shift": (lambda p, k: one_hot(p * 2 + 1, k), ""),
    }
    right = {"one_hot": one_hot, "comparison": by_comparison}
    right |= {"product": by_product, "loop": by_loop, "in place": in_place}
    right |= {"bucketize": by_bucket, "counting": by_counting, "numpy": in_numpy}
    right |= {"short of one": short_of_one, "lists": one_by_one}
    return wrong, right
