"""The paper's tables beside the records: every figure of ours comes from a record.

The paper appeared in two versions, whose figures differ; a cell that nobody could
confirm is a dash. Names of records are those of `ramlib reproduce`.
"""

from __future__ import annotations

import statistics

# The paper, NIPS 2014 and arXiv v1, and the best that others report for this model.
PAPER = {
    "mnist": """
        connected256   | 1.69 | –
        convolutional  | 1.21 | –
        2              | 3.79 | 6.27
        3              | 1.51 | –
        4              | 1.54 | 1.73
        5              | 1.34 | –
        6              | 1.12 | 1.29
        7              | 1.07 | –
    """,
    "translated60": """
        connected64    | 6.42 | 7.56
        connected256   | 2.63 | –
        convolutional  | 1.62 | –
        4              | 1.54 | 2.29
        6              | 1.22 | 1.86
        8              | 1.20 | 1.84
    """,
    "cluttered60": """
        connected64    | 28.58 | 28.96
        connected256   | 11.96 | –
        convolutional  | 8.09  | 7.83
        4              | 4.96  | 7.1
        6              | 4.08  | –
        8              | 4.04  | 5.23
        random         | 14.4  | –
    """,
    "cluttered100": """
        convolutional  | –  | 16.51
        4              | –  | 14.95
        6              | –  | 11.58
        8              | –  | 10.83
        random         | –  | –
    """,
}
OTHERS = {  # on a clean set, by their own report
    ("mnist", "7"): "0.67",
    ("translated60", "8"): "0.92",
    ("cluttered60", "8"): "2.63",
    ("cluttered100", "8"): "5.9",
}
RIVALS = {
    "connected64": "two fully connected layers of 64",
    "connected256": "two fully connected layers of 256",
    "convolutional": "the paper's convolutions",
    "modern": "modern convolutions, fewer weights",
    "equal": "modern convolutions, equal work",
}
BRIEF = "mnist-brief"  # the short tuned training, and it again with one thing changed
CHANGED = {
    "": "nothing",
    "-no-distillation": "a rollout is not taught what its image's others say",
    "-no-step-loss": "the last glimpse alone is taught",
    "-final-reward": "the last glimpse alone is paid",
    "-value-baseline": "the baseline is learned, not that of the other rollouts",
    "-no-gradient": "no gradient of the policy goes on into the core",
    "-random-first": "the first place is random",
    "-linear-location": "no hidden layer in the location network",
    "-relu-core": "the core of the paper, for the LSTM",
    "-less-decay": "a tenth of the weight decay",
    "-slower": "half the learning rate",
}


def spread(errors: list[float]) -> str:
    """Say test errors over seeds: mean ± standard deviation, each rounded once."""
    text = f"{statistics.mean(errors):.2f}"
    return text + (f" ± {statistics.stdev(errors):.2f}" if len(errors) > 1 else "")


def cell(found: dict | None, protocol: str = "mean") -> str:
    """Say the error of a record, on one line; a dash where there is none."""
    if found is None:
        return "–"
    return spread(found["test"][protocol]["errors"]).replace(" ", "\u00a0")


def paper_table(task: str, shipped: dict[str, dict]) -> str:
    """Give a table of the paper, with what is recorded, as Markdown."""
    titles = ["test error, %", "NIPS", "arXiv v1", "others", "ours, as the paper"]
    lines = [f"| {' | '.join([*titles, 'ours, tuned'])} |", "|---|--:|--:|--:|--:|--:|"]
    rows = [line.split("|") for line in PAPER[task].strip().splitlines()]
    rows += [[name, "–", "–"] for name in ("modern", "equal")]
    for row, *paper in ([part.strip() for part in parts] for parts in rows):
        tuned, patch = "–", "8x8" if task == "mnist" else "12x12"
        if row in RIVALS:
            title, ours = RIVALS[row], cell(shipped.get(f"{task}-{row}"))
        elif row == "random":
            title = "RAM, 8 random glimpses"
            ours = cell(shipped.get(f"{task}-8x{patch}-random"))
        else:
            title, name = f"RAM, {row} glimpses", f"{task}-{row}x{patch}"
            ours = cell(shipped.get(name))
            tuned = cell(shipped.get(f"{name}-tuned"))
        others = OTHERS.get((task, row), "–")
        lines.append(f"| {' | '.join([title, *paper, others, ours, tuned])} |")
    return "\n".join(lines)


def duration(runs: list[dict]) -> str:
    """Say how long the quickest seed took, and on what."""
    quickest = min(runs, key=lambda run: run["seconds"])
    machine, minutes = quickest["environment"], quickest["seconds"] / 60
    threads = machine["threads"]
    where = machine["gpu"] or f"{threads} CPU thread{'s' * (threads > 1)}"
    return f"{minutes:.0f} min, {where}"


def results_table(shipped: dict[str, dict]) -> str:
    """Give the test errors of every record, by every protocol, as Markdown."""
    lines = [
        "| record | looks | mean policy | sampled | average | seeds | quickest |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in shipped.items():
        if name.startswith(BRIEF):  # these have a table of their own
            continue
        model, runs, looks = found["model"], found["runs"], "all at once"
        if "glimpse_size" in model:
            size = f"{model['glimpse_size']}×{model['glimpse_size']}"
            looks = f"{model['num_glimpses']} at {size}, S = {model['num_scales']}"
        cells = [f"`{name}`", looks]
        for protocol in ("mean", "sampled", "average"):
            cells.append(cell(found, protocol) if protocol in found["test"] else "–")
        lines.append(f"| {' | '.join([*cells, str(len(runs)), duration(runs)])} |")
    return "\n".join(lines)


def changes_table(shipped: dict[str, dict]) -> str:
    """Give what each ingredient of the tuned line is worth, as Markdown."""
    lines = [
        "| record | what is changed | mean policy | sampled | average | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for suffix, change in CHANGED.items():
        found = shipped.get(BRIEF + suffix)
        errors = [cell(found, each) for each in ("mean", "sampled", "average")]
        seeds = str(len(found["runs"])) if found else "–"
        cells = [f"`{BRIEF}{suffix}`", change, *errors, seeds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def time_table(shipped: dict[str, dict], goal: float = 1.12) -> str:
    """Give when a validation error was first down at the paper's, as Markdown.

    Args:
        shipped: records by name; runs whose curve was not kept are left out.
        goal: an error in percent.
    """
    lines = [
        "| record | seed | epochs | rollouts, million | time |",
        "|---|--:|--:|--:|---|",
    ]
    for name in ("mnist-6x8x8", BRIEF):
        found = shipped.get(name, {"runs": []})
        for run in found["runs"]:
            reached = [point[0] for point in run.get("curve", ()) if point[2] <= goal]
            if not reached:
                continue
            how, share = found["train"], reached[0] / found["train"]["epochs"]
            steps = run["steps"] * share
            rollouts = steps * how["batch_size"] * how["num_rollouts"] / 1e6
            time = duration([{**run, "seconds": run["seconds"] * share}])
            cells = [f"`{name}`", str(run["seed"]), str(reached[0])]
            lines.append(f"| {' | '.join([*cells, f'{rollouts:.1f}', time])} |")
    return "\n".join(lines)
