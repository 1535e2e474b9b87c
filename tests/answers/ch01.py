"""Exercise 1.2: the places of a tour, row by row."""

import torch

NEEDS = ()


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


def snake(n):
    lines = rows(n).view(n, n, 2)
    return torch.cat([line.flip(0) if i % 2 else line for i, line in enumerate(lines)])


def rim(n):
    return torch.cartesian_prod(*[torch.linspace(-1, 1, n)] * 2).flip(1)


def answers(names):
    wrong = {
        "columns": (lambda n: rows(n).flip(1), "x changes fastest"),
        "upwards": (lambda n: rows(n) * torch.tensor([1, -1]), "begins at the bottom"),
        "leftwards": (lambda n: rows(n) * torch.tensor([-1, 1]), "begins at the right"),
        "backwards": (lambda n: rows(n).flip(0), "runs backwards"),
        "shares": (lambda n: (rows(n) + 1) / 2, "from -1 to 1"),
        "edges": (lambda n: rows(n) - 1 / n, "left and top edges"),
        "snake": (snake, "every row from the left"),
        "rim": (rim, "visits the rim"),
        "a square": (lambda n: rows(n).view(n, n, 2), "shape (4, 2), not (2, 2, 2)"),
        "a list": (lambda n: rows(n).tolist(), "so far it is list"),
        "nothing": (lambda n: None, "so far it is NoneType"),
        "narrow": (lambda n: rows(n) * 0.5, "n = 2, place 0"),
        "an error": (lambda n: rows(n)[n * n], "it stops"),
    }
    return wrong, {"product": rows, "loop": by_loop, "mesh": by_mesh}
