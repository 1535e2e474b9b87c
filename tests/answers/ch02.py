"""Exercise 2.2: a patch by a gather, without padding."""

import torch
from torch.nn import functional

NEEDS = ("corner", "patch_loop")
BLACK = "pixels outside are not black"


def solution(corner, black=(True,) * 4, lost=0, swap=False, transpose=False):
    """Make an answer that is right, or wrong in one way."""

    def answer(image, place, n):
        H, W = image.shape
        y, x = (place[0], place[1]) if swap else (place[1], place[0])
        rows = (corner(y, n, H) + torch.arange(n))[:, None]
        columns = (corner(x, n, W) + torch.arange(n))[None, :]
        i, j = rows.clamp(0, H - 1 - lost).long(), columns.clamp(0, W - 1).long()
        inside = torch.ones(n, n, dtype=torch.bool)
        edges = (rows >= 0, rows < H, columns >= 0, columns < W)
        for must, good in zip(black, edges, strict=True):
            inside &= good | (not must)
        patch = image[i, j] * inside
        return patch.T if transpose else patch

    return answer


def answers(names):
    corner, loop = names["corner"], names["patch_loop"]

    def padded(image, place, n):
        sides = reversed(image.shape)
        left, top = (
            int(corner(x, n, side).clamp(-n, side))
            for x, side in zip(place, sides, strict=True)
        )
        wide = functional.pad(image, (n,) * 4)
        return wide[top + n : top + 2 * n, left + n : left + 2 * n]

    def spoils(image, place, n):  # and reads what it has spoilt
        image[[0, -1]] = 0
        image[:, [0, -1]] = 0
        return solution(corner, (False,) * 4)(image, place, n)

    def point(c, side):
        return (c + 1) * side / 2

    off = {
        "truncated": (lambda c, n, s: (point(c, s) - (n - 1) / 2).trunc(), "floor"),
        "rounded": (lambda c, n, s: (point(c, s) - (n - 1) / 2).round(), ""),
        "at the point": (lambda c, n, s: point(c, s).floor(), "begins at the point"),
        "half": (lambda c, n, s: (point(c, s) - n / 2).floor(), "Half a pixel off"),
        "held": (
            lambda c, n, s: (point(c, s) - (n - 1) / 2).floor().clamp(0, s - n),
            "You moved the window",
        ),
    }
    wrong = {name: (solution(rule), hint) for name, (rule, hint) in off.items()}
    for k, edge in enumerate(("top", "bottom", "left", "right")):
        wrong[edge] = (solution(corner, [e != k for e in range(4)]), BLACK)
    wrong |= {
        "swapped": (solution(corner, swap=True), "x and y are swapped"),
        "transposed": (solution(corner, transpose=True), "It is transposed"),
        "a row lost": (solution(corner, lost=1), ""),
        "spoilt": (spoils, ""),
        "nothing": (lambda *_: None, "so far it is NoneType"),
        "a list": (lambda *_: [1, 2], "so far it is list"),
        "a row": (lambda image, place, n: image[0, :n], "pair rows"),
        "an error": (lambda image, place, n: image[99], "rows at most H - 1"),
    }
    return wrong, {"gather": solution(corner), "loop": loop, "padded": padded}
