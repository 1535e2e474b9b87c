"""Exercise 3.2: which of k × k cells a place lies in, as a vector with a single 1."""

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
    return ((y * k + x)[:, None] == torch.arange(k * k)).double()


def by_product(places, k):
    x, y = functional.one_hot(cells(places, k), k).float().unbind(1)
    return (y[:, :, None] * x[:, None, :]).flatten(1)


def by_loop(places, k):
    out = torch.zeros(len(places), k * k)
    for n, (x, y) in enumerate(places.tolist()):
        column, row = (min(int((v + 1) / 2 * k + 1e-6), k - 1) for v in (x, y))
        out[n, row * k + column] = 1
    return out


def both_axes(places, k):
    return functional.one_hot(cells(places, k), k).float().flatten(1)


def nearest(places, k):
    x, y = ((places + 1) / 2 * (k - 1)).round().long().T
    return code(y * k + x, k)


def answers(names):
    def swapped(places, k):
        return one_hot(places.flip(1), k)

    def flipped(axis):
        def answer(places, k):
            which = cells(places, k).clone()
            which[:, axis] = k - 1 - which[:, axis]
            return code(which[:, 1] * k + which[:, 0], k)

        return answer

    wrong = {
        "nothing": (lambda places, k: None, "so far it is NoneType"),
        "a list": (lambda places, k: one_hot(places, k).tolist(), "it is list"),
        "columns first": (swapped, "x counts within a row"),
        "from below": (flipped(1), "from the bottom"),
        "from the right": (flipped(0), "from the right"),
        "nearest": (nearest, "no cell is a nearest point"),
        "two ones": (both_axes, "single 1"),
        "a grid": (lambda p, k: one_hot(p, k).view(-1, k, k), "Shape (64, 4)"),
        "numbers": (lambda p, k: one_hot(p, k).argmax(1), "Shape (64, 4)"),
        "soft": (lambda p, k: one_hot(p, k).softmax(1), "a single 1"),
        "beyond": (
            lambda p, k: code(((p + 1) / 2 * k).long() @ torch.tensor([1, k]), k),
            "Is 1.0 in the last cell?",
        ),
        "no shift": (lambda p, k: one_hot(p * 2 + 1, k), ""),
    }
    right = {"one_hot": one_hot, "comparison": by_comparison}
    return wrong, right | {"product": by_product, "loop": by_loop}
