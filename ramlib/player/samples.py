"""Estimates of one number, with a slider over how many samples each was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML

from ramlib import figures
from ramlib.checks import Count, Range, check
from ramlib.player import page

BINS = 60
Finite = Annotated[float, Range(-1e30, 1e30)]


def samples(
    estimates: Mapping | Sequence[Mapping],
    exact: float,
    *,
    labels: Sequence[str] | None = None,
    xlabel: str = "estimate",
    title: str | None = None,
    name: str = "samples",
) -> HTML:
    """Show how estimates gather around the exact value as their samples grow in number.

    A slider over N moves through histograms of the estimates on one axis, beside a
    plot of their variance against N.

    Args:
        estimates: for each number of samples N, the estimates that were made of N
            samples each: ``{1: (R,), 4: (R,), ...}``. Or up to three such dictionaries
            with the same N, to be laid over one another.
        exact: the number that they estimate.
        labels: a name for each dictionary; needed when there are several.
        xlabel: what is estimated.
        title: a heading, or None.
        name: a word that tells this widget from others, the same in every run.

    Returns:
        An `IPython.display.HTML`; its `data` is the HTML.

    Raises:
        TypeError: if `estimates` are no dictionaries, a number of samples is no whole
            number, or a text is no string.
        ValueError: if there are no estimates, fewer than two for some N, NaN among
            them, or the dictionaries do not fit together.
    """
    data = page.heading(name, title)
    series = check_series(estimates, labels)
    xlabel = page.text("xlabel", xlabel)
    exact = exact.item() if torch.is_tensor(exact) and exact.numel() == 1 else exact
    exact = check("exact", exact, Finite)
    counts = list(series[0][1])
    first, middle, last = counts[0], counts[len(counts) // 2], counts[-1]
    low, high = span([one[first] for _, one in series], exact)
    data |= {"counts": counts, "exact": significant(exact)}
    data |= {"low": significant(low), "high": significant(high), "bins": BINS}
    data |= {"xlabel": xlabel, "series": [summary(*one, low, high) for one in series]}
    ends = "; ".join(
        f"{label}{': ' * bool(label)}± {x[first].std():.2g} to ± {x[last].std():.2g}"
        for label, x in series
    )
    alt = (
        f"Histograms of estimates made of {first} to {last} samples each, around the "
        f"exact value {exact:.3g}, a dashed line; they narrow as the number of samples "
        "grows"
    )
    caption = (
        f"The spread of the estimates from N = {first} to N = {last} samples: {ends}. "
        "Where scripts run, a slider moves through N."
    )

    def draw() -> plt.Figure:
        shown = sorted({first, middle, last})
        size = {"figsize": (6.6, 2.0), "squeeze": False}
        fig, axes = plt.subplots(1, len(shown), sharex=True, **size)
        for ax, n in zip(axes[0], shown, strict=True):
            for (label, one), line in zip(series, ("-", "--", ":"), strict=False):
                stroke = {"histtype": "step", "lw": 1.4, "ls": line}
                ax.hist(one[n], BINS, (low, high), label=label, **stroke)
            ax.axvline(exact, color=figures.INK, linestyle=(0, (4, 3)), linewidth=1)
            ax.set(title=f"N = {n}", yticks=[], xlim=(low, high), xlabel=xlabel)
            ax.spines["left"].set_visible(False)
        if series[0][0]:
            ax.legend(fontsize=7, loc="upper right")
        return fig

    picture = figures.picture(draw, dpi=100)
    return HTML(page.widget("samples", data, picture, alt, caption))


def check_series(estimates: object, labels: object) -> list[tuple[str, dict]]:
    """Bring estimates to (label, {N: (R,) float64}) for each series, N in order."""
    given = estimates if isinstance(estimates, list | tuple) else [estimates]
    if not all(isinstance(one, Mapping) for one in given):
        raise TypeError(
            f"estimates are a {type(estimates).__name__}; give a dictionary from the "
            "number of samples to an array of estimates, or a list of such dictionaries"
        )
    if len({frozenset(one) for one in given}) != 1 or not given[0] or len(given) > 3:
        numbers = " and ".join(str(list(one)) for one in given)
        raise ValueError(
            f"the numbers of samples are {numbers}; give 1 to 3 dictionaries: every "
            "dictionary needs the same, and at least one"
        )
    labels = [""] if labels is None and len(given) == 1 else labels
    if not isinstance(labels, list | tuple) or len(labels) != len(given):
        raise ValueError(f"labels are {labels!r}; give a list of {len(given)} names")
    labels = [page.text("a label", label) for label in labels]
    numbers = sorted(check("a number of samples", n, Count) for n in given[0])
    arrays = [{n: finite(n, one[n]) for n in numbers} for one in given]
    return list(zip(labels, arrays, strict=True))


def finite(n: int, values) -> np.ndarray:
    """Bring the estimates for one N to (R,) float64."""
    array = np.asarray(values, dtype=float).ravel()
    bad = len(array) - np.isfinite(array).sum()
    if len(array) < 2 or bad:
        found = (
            f"there are {len(array)} estimates for N = {n}, {bad} of them not finite"
        )
        raise ValueError(f"{found}; give at least two finite numbers")
    return array


def span(widest: list[np.ndarray], exact: float) -> tuple[float, float]:
    """Choose the ends of the axis: all but the far tails of the widest histogram."""
    low, high = np.quantile(np.concatenate(widest), [0.005, 0.995])
    low, high = min(low, exact), max(high, exact)
    room = 0.04 * (high - low) or max(abs(exact), 1.0)
    return low - room, high + room


def summary(label: str, one: dict, low: float, high: float) -> dict:
    """Count and measure the estimates of one series, in a few numbers for each N."""
    bins = [np.histogram(x, BINS, (low, high))[0].tolist() for x in one.values()]
    total = [len(x) for x in one.values()]
    return {
        "name": label,
        "bins": bins,
        "total": total,
        "beyond": [R - sum(row) for R, row in zip(total, bins, strict=True)],
        "mean": [significant(x.mean()) for x in one.values()],
        "std": [significant(x.std(ddof=1)) for x in one.values()],
    }


def significant(value: float) -> float:
    """Keep five digits: short, and the same on every machine."""
    return float(f"{value:.5g}")
