"""Exercise 6.2: how many parameters a model has, by its sizes."""


def L(m, n):
    return m * n + n


def total(g, S, D, A, w):
    return (
        L(S * g * g, w)
        + L(2, w)
        + L(2 * w, D)
        + 2 * L(D, D)
        + L(D, 2)
        + L(D, 1)
        + L(D, A)
    )


def raises(g, S, D, A, w):
    return total(g, S, D, A)


WRONG = {
    "nothing": (lambda g, S, D, A, w: None, "Return a whole number"),
    "a float": (lambda *z: float(total(*z)), "so far it is float"),
    "an error": (raises, "It stops with an error"),
    "no biases": (
        lambda g, S, D, A, w: (
            S * g * g * w + 2 * w + 2 * w * D + 2 * D * D + 2 * D + D + D * A
        ),
        "biases are missing",
    ),
    "one scale": (lambda g, S, D, A, w: total(g, 1, D, A, w), "All S scales"),
    "g for g squared": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(S * g * g, w) + L(S * g, w),
        "not g.",
    ),
    "no place layer": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(2, w),
        "The place goes in",
    ),
    "half": (lambda g, S, D, A, w: total(g, S, D, A, w) - w * D, "2 · width"),
    "core once": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(D, D),
        "core has two layers",
    ),
    "core bias once": (lambda g, S, D, A, w: total(g, S, D, A, w) - D, "have a bias"),
    "no value": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(D, 1),
        "a value is missing",
    ),
    "place of one number": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(D, 2) + L(D, 1),
        "y alone",
    ),
    "no location network": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(D, 2),
        "location network is missing",
    ),
    "no action network": (
        lambda g, S, D, A, w: total(g, S, D, A, w) - L(D, A),
        "action network is missing",
    ),
    "sigma counted": (lambda *z: total(*z) + 1, "buffer"),
    "ten classes always": (lambda g, S, D, A, w: total(g, S, D, 10, w), "and not"),
    "the number of the chapter": (lambda *z: 209_421, "and not"),
    "per look": (lambda *z: 6 * total(*z), "and not"),
}


def by_model(g, S, D, A, width):
    from ramlib import RAMConfig, RecurrentAttentionModel

    sizes = {"glimpse_size": g, "num_scales": S, "hidden_size": D, "num_actions": A}
    model = RecurrentAttentionModel(RAMConfig(**sizes, glimpse_hidden_size=width))
    return sum(weight.numel() for weight in model.parameters())


RIGHT = {
    "layers": total,
    "closed": lambda g, S, D, A, w: (
        w * (S * g * g + 4) + D * (2 * w + 2 * D + A + 6) + A + 3
    ),
    "table": lambda g, S, D, A, w: sum(
        (m + 1) * n
        for m, n in [
            (S * g**2, w),
            (2, w),
            (2 * w, D),
            (D, D),
            (D, D),
            (D, 2),
            (D, 1),
            (D, A),
        ]
    ),
    "by a model": by_model,
}

NEEDS = ("count",)


def answers(names):
    return WRONG, RIGHT
