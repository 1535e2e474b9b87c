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
    given = [estimates] if isinstance(estimates, Mapping) else estimates
    series = check_series(given)
    labels = [""] if labels is None and len(series) == 1 else labels
    if not isinstance(labels, list | tuple) or len(labels) != len(series):
        raise ValueError(f"labels are {labels!r}; give a list of {len(series)} names")
    labels = [page.text("a label", label) for label in labels]
    xlabel = page.text("xlabel", xlabel)
    if isinstance(exact, torch.Tensor) and exact.numel() == 1:
        exact = exact.item()
    exact = check("exact", exact, Finite)
    counts = sorted(series[0])
    low, high = span([one[counts[0]] for one in series], exact)
    data |= {
        "counts": counts,
        "exact": significant(exact),
        "low": significant(low),
        "high": significant(high),
        "bins": BINS,
        "xlabel": xlabel,
        "series": [
            {"name": label, **summary(one, counts, low, high)}
            for one, label in zip(series, labels, strict=True)
        ],
    }
    first, last = counts[0], counts[-1]
    ends = "; ".join(
        f"{label + ': ' if label else ''}± {one[first].std():.2g} to "
        f"± {one[last].std():.2g}"
        for one, label in zip(series, labels, strict=True)
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
        shown = sorted({first, counts[len(counts) // 2], last})
        size = {"figsize": (6.6, 2.0), "squeeze": False}
        fig, axes = plt.subplots(1, len(shown), sharex=True, **size)
        for ax, n in zip(axes[0], shown, strict=True):
            ends = {"bins": BINS, "range": (low, high), "histtype": "step", "lw": 1.4}
            for one, label, line in zip(series, labels, ["-", "--", ":"], strict=False):
                ax.hist(one[n], label=label, linestyle=line, **ends)
            ax.axvline(exact, color=figures.INK, linestyle=(0, (4, 3)), linewidth=1)
            ax.set(title=f"N = {n}", yticks=[], xlim=(low, high), xlabel=xlabel)
            ax.spines["left"].set_visible(False)
        if any(labels):
            ax.legend(fontsize=7, loc="upper right")
        return fig

    return HTML(page.widget("samples", data, page.draw(draw, dpi=100), alt, caption))


def check_series(given: object) -> list[dict[int, np.ndarray]]:
    """Bring a list of estimates to a list of {N: (R,) float64} of the same N."""
    series = given if isinstance(given, list | tuple) else [given]
    if not series or not all(isinstance(one, Mapping) for one in series):
        raise TypeError(
            f"estimates are a {type(given).__name__}; give a dictionary from the "
            "number of samples to an array of estimates, or a list of such dictionaries"
        )
    if len(series) > 3:
        raise ValueError(
            f"{len(series)} series are more than can be told apart; give 3"
        )
    if not series[0] or any(one.keys() != series[0].keys() for one in series):
        numbers = " and ".join(str(list(one)) for one in series)
        raise ValueError(
            f"the numbers of samples are {numbers}; every dictionary needs the same, "
            "and at least one"
        )
    return [
        {check("a number of samples", n, Count): finite(n, one[n]) for n in one}
        for one in series
    ]


def finite(n: int, values) -> np.ndarray:
    """Bring the estimates for one N to (R,) float64."""
    array = np.asarray(values, dtype=float).ravel()
    bad = int((~np.isfinite(array)).sum())
    if len(array) < 2 or bad:
        raise ValueError(
            f"there are {len(array)} estimates for N = {n}, {bad} of them not finite; "
            "give at least two finite numbers"
        )
    return array


def span(widest: list[np.ndarray], exact: float) -> tuple[float, float]:
    """Choose the ends of the axis: all but the far tails of the widest histogram."""
    low, high = np.quantile(np.concatenate(widest), [0.005, 0.995])
    low, high = min(low, exact), max(high, exact)
    room = 0.04 * (high - low) or max(abs(exact), 1.0)
    return low - room, high + room


def summary(one: dict, counts: list[int], low: float, high: float) -> dict:
    """Count and measure the estimates of one series, in a few numbers for each N."""
    bins = [np.histogram(one[n], BINS, (low, high))[0].tolist() for n in counts]
    return {
        "bins": bins,
        "total": [len(one[n]) for n in counts],
        "beyond": [len(one[n]) - sum(row) for n, row in zip(counts, bins, strict=True)],
        "mean": [significant(one[n].mean()) for n in counts],
        "std": [significant(one[n].std(ddof=1)) for n in counts],
    }


def significant(value: float) -> float:
    """Keep five digits: short, and the same on every machine."""
    return float(f"{value:.5g}")
