"""The checks of the exercises: which answers they reject, and which they accept."""

import json

import pytest
import torch
from torch.nn import functional

from course import CHAPTERS


def namespace(chapter: str, *definitions: str) -> dict:
    """Run the cells of a chapter that define these functions, and nothing else."""
    cells = json.loads((CHAPTERS / f"{chapter}.ipynb").read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    names = {"torch": torch, "F": functional}
    for definition in definitions:
        (source,) = (s for s in sources if s.startswith(f"def {definition}("))
        exec(source.split("\n\n\n")[0], names)  # the function, not what tries it out
    return names


@pytest.fixture(scope="module")
def gather():
    return namespace("02_glimpse_sensor", "corner", "patch_loop", "check")


def solution(corner, black=(True,) * 4, lost=0, swap=False, transpose=False):
    """Make an answer to exercise 2.2 that is right, or wrong in one way."""

    def answer(image, location, n):
        H, W = image.shape
        y, x = (location[0], location[1]) if swap else (location[1], location[0])
        rows = (corner(y, n, H) + torch.arange(n))[:, None]
        columns = (corner(x, n, W) + torch.arange(n))[None, :]
        i, j = rows.clamp(0, H - 1 - lost).long(), columns.clamp(0, W - 1).long()
        inside = torch.ones(n, n, dtype=torch.bool)
        for must, good in zip(
            black, (rows >= 0, rows < H, columns >= 0, columns < W), strict=True
        ):
            inside &= good | (not must)
        patch = image[i, j] * inside
        return patch.T if transpose else patch

    return answer


def test_the_gather_is_accepted_in_every_style(gather):
    corner, loop, check = gather["corner"], gather["patch_loop"], gather["check"]

    def padded(image, location, n):
        H, W = image.shape
        left, top = (
            int(corner(x, n, side).clamp(-n, side))
            for x, side in zip(location, (W, H), strict=True)
        )
        wide = functional.pad(image, (n,) * 4)
        return wide[top + n : top + 2 * n, left + n : left + 2 * n]

    for right in (solution(corner), loop, padded):
        assert check(right).startswith("Right")


@pytest.mark.parametrize("edge", range(4))
def test_an_edge_that_is_not_blackened_is_rejected(gather, edge):
    black = [k != edge for k in range(4)]
    said = gather["check"](solution(gather["corner"], black))
    assert "pixels outside are not black" in said


WRONG = {
    "truncated": ({}, lambda c, n, side: ((c + 1) * side / 2 - (n - 1) / 2).trunc()),
    "rounded": ({}, lambda c, n, side: ((c + 1) * side / 2 - (n - 1) / 2).round()),
    "at the point": ({}, lambda c, n, side: ((c + 1) * side / 2).floor()),
    "half a pixel": ({}, lambda c, n, side: ((c + 1) * side / 2 - n / 2).floor()),
    "swapped": ({"swap": True}, None),
    "transposed": ({"transpose": True}, None),
    "a row lost": ({"lost": 1}, None),
    "the window held inside": (
        {},
        lambda c, n, side: (
            ((c + 1) * side / 2 - (n - 1) / 2).floor().clamp(0, side - n)
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_place_is_rejected(gather, name):
    options, corner = WRONG[name]
    said = gather["check"](solution(corner or gather["corner"], **options))
    assert not said.startswith("Right")


@pytest.mark.parametrize("answer", [None, 3, [1, 2]])
def test_what_is_no_patch_is_rejected(gather, answer):
    said = gather["check"](lambda *arguments: answer)
    assert "Return a torch tensor" in said


# -- exercise 1.2: places, row by row --------------------------------------------------


@pytest.fixture(scope="module")
def tour():
    return namespace("01_why_glimpses", "check")["check"]


def middles(n):
    return (torch.arange(n) + 0.5) * 2 / n - 1


def rows(n):
    return torch.cartesian_prod(middles(n), middles(n)).flip(1)


def by_loop(n):
    places = [
        (2 * (j + 0.5) / n - 1, 2 * (i + 0.5) / n - 1)
        for i in range(n)
        for j in range(n)
    ]
    return torch.tensor(places, dtype=torch.float64)


def by_mesh(n):
    y, x = torch.meshgrid(middles(n), middles(n), indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


@pytest.mark.parametrize("right", [rows, by_loop, by_mesh])
def test_a_tour_is_accepted_in_every_style(tour, right):
    assert tour(right).startswith("Right")


OFF = {
    "x changes fastest": lambda n: rows(n).flip(1),
    "begins at the bottom": lambda n: rows(n) * torch.tensor([1, -1]),
    "begins at the right": lambda n: rows(n) * torch.tensor([-1, 1]),
    "runs backwards": lambda n: rows(n).flip(0),
    "from -1 to 1": lambda n: (rows(n) + 1) / 2,
    "left and top edges": lambda n: rows(n) - 1 / n,
    "every row from the left": lambda n: torch.cat(
        [r.flip(0) if i % 2 else r for i, r in enumerate(rows(n).view(n, n, 2))]
    ),
    "visits the rim": lambda n: torch.cartesian_prod(
        *[torch.linspace(-1, 1, n)] * 2
    ).flip(1),
    "the shape should be": lambda n: rows(n).view(n, n, 2),
    "so far it is list": lambda n: rows(n).tolist(),
    "n = 2, place 0": lambda n: rows(n) * 0.5,
    "it stops": lambda n: rows(n)[n * n],
}  # each with a piece of what it is told


@pytest.mark.parametrize("hint", OFF)
def test_a_wrong_tour_is_told_what_is_wrong(tour, hint):
    assert hint.replace("the shape should be", "shape") in tour(OFF[hint])
