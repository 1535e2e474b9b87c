"""Estimates of one number, with a slider over how many samples each was made of."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from ramlib import figures
from ramlib.player import page

BINS = 60


def samples(
    estimates: Mapping | Sequence[Mapping],
    exact: float,
    *,
    labels: Sequence[str] | None = None,
    xlabel: str = "estimate",
    title: str | None = None,
    name: str = "samples",
):
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
        TypeError: if `estimates` are no dictionaries, or a text is no string.
        ValueError: if there are no estimates, fewer than two for some N, NaN among
            them, or the dictionaries do not fit together.
    """
    page.check_name(name)
    page.check_text("title", title)
    page.check_text("xlabel", xlabel)
    series, labels = check_series(estimates, labels)
    exact = float(exact)
    if not math.isfinite(exact):
        raise ValueError(f"exact is {exact}; give a finite number")
    counts = sorted(series[0])
    low, high = span(series, exact, counts[0])
    data = {
        "counts": counts,
        "exact": significant(exact),
        "low": significant(low),
        "high": significant(high),
        "bins": BINS,
        "xlabel": xlabel,
        "series": [
            summary(one, label, counts, low, high)
            for one, label in zip(series, labels, strict=True)
        ],
    }
    if title:
        data["title"] = title
    ends = [
        f"{label + ': ' if label else ''}± {one[counts[0]].std():.2g} to "
        f"± {one[counts[-1]].std():.2g}"
        for one, label in zip(series, labels, strict=True)
    ]
    html = page.widget(
        "samples",
        name,
        data=data,
        picture=draw_picture(series, labels, exact, counts, low, high, xlabel),
        alt=(
            f"Histograms of estimates made of {counts[0]} to {counts[-1]} samples "
            f"each, around the exact value {exact:.3g}, a dashed line; they narrow as "
            "the number of samples grows"
        ),
        caption=(
            f"The spread of the estimates from N = {counts[0]} to N = {counts[-1]} "
            f"samples: {'; '.join(ends)}. Where scripts run, a slider moves through N."
        ),
    )
    return page.display_html(html)


def check_series(estimates, labels) -> tuple[list[dict[int, np.ndarray]], list[str]]:
    """Bring estimates to a list of {N: (R,) float64} and a list of names."""
    given = [estimates] if isinstance(estimates, Mapping) else list(estimates)
    if not given or not all(isinstance(one, Mapping) for one in given):
        raise TypeError(
            "estimates must be a dictionary from the number of samples to an array of "
            "estimates, or a list of such dictionaries"
        )
    if len(given) > 3:
        raise ValueError(f"{len(given)} series are more than can be told apart; give 3")
    labels = [""] * len(given) if labels is None and len(given) == 1 else labels
    if labels is None or isinstance(labels, str) or len(labels) != len(given):
        raise ValueError(
            f"labels are {labels!r}; give a list of {len(given)} names, one for each "
            "dictionary of estimates"
        )
    for label in labels:
        page.check_text("a label", label)
    series = []
    for one in given:
        if not one or set(one) != set(given[0]):
            raise ValueError(
                f"the numbers of samples are {sorted(one)} and {sorted(given[0])}; "
                "every dictionary needs the same, and at least one"
            )
        arrays = {}
        for count, values in one.items():
            if isinstance(count, bool) or int(count) != count or count < 1:
                raise ValueError(
                    f"a number of samples is {count!r}; give a whole number from 1 on"
                )
            array = np.asarray(values, dtype=float).ravel()
            if len(array) < 2 or not np.isfinite(array).all():
                raise ValueError(
                    f"the estimates for N = {count} must be at least two finite "
                    f"numbers; there are {len(array)}, "
                    f"{int((~np.isfinite(array)).sum())} of them not finite"
                )
            arrays[int(count)] = array
        series.append(arrays)
    return series, [str(label) for label in labels]


def span(series: list[dict], exact: float, first: int) -> tuple[float, float]:
    """Choose the ends of the axis: all but the far tails of the widest histogram."""
    values = np.concatenate([one[first] for one in series])
    low, high = np.quantile(values, [0.005, 0.995])
    low, high = min(low, exact), max(high, exact)
    room = 0.04 * (high - low) or max(abs(exact), 1.0)
    return low - room, high + room


def summary(one: dict, label: str, counts: list[int], low: float, high: float) -> dict:
    """Count and measure the estimates of one series, in a few numbers for each N."""
    bins = [np.histogram(one[n], BINS, (low, high))[0].tolist() for n in counts]
    return {
        "name": label,
        "bins": bins,
        "total": [len(one[n]) for n in counts],
        "beyond": [len(one[n]) - sum(row) for n, row in zip(counts, bins, strict=True)],
        "mean": [significant(one[n].mean()) for n in counts],
        "std": [significant(one[n].std(ddof=1)) for n in counts],
    }


def significant(value: float) -> float:
    """Keep five digits: short, and the same on every machine."""
    return float(f"{value:.5g}")


def draw_picture(series, labels, exact, counts, low, high, xlabel) -> bytes:
    """Draw the histograms at the first, a middle and the last N as a small PNG."""
    shown = sorted({counts[0], counts[len(counts) // 2], counts[-1]})
    with rc_context():
        figures.style()
        fig = Figure(figsize=(6.6, 2.0), dpi=100)
        axes = fig.subplots(1, len(shown), squeeze=False, sharex=True)[0]
        for ax, count in zip(axes, shown, strict=True):
            for k, (one, label) in enumerate(zip(series, labels, strict=True)):
                ax.hist(
                    one[count],
                    bins=BINS,
                    range=(low, high),
                    histtype="step",
                    color=figures.SERIES_COLORS[k],
                    linestyle=["-", "--", ":"][k],
                    linewidth=1.4,
                    label=label,
                )
            ax.axvline(exact, color=figures.INK, linestyle=(0, (4, 3)), linewidth=1)
            ax.set(title=f"N = {count}", yticks=[], xlim=(low, high), xlabel=xlabel)
            ax.spines["left"].set_visible(False)
        if any(labels):
            axes[-1].legend(fontsize=7, loc="upper right")
        file = io.BytesIO()
        fig.savefig(file, format="png", metadata={"Software": None})
    drawn = Image.open(file).convert("RGB")
    return page.png(drawn.quantize(16, dither=Image.Dither.NONE))
