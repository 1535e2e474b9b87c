"""Settings and budgets of time that hold for the tests and for the tested notebooks."""

import os
from collections import defaultdict

import pytest

# Kernels inherit these: no progress bars in compared outputs, and one thread unless
# told otherwise, since a chapter sets its own number.
os.environ["TQDM_DISABLE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "RAMLIB_DATA" in os.environ:  # a notebook runs in its own folder
    os.environ["RAMLIB_DATA"] = os.path.abspath(os.environ["RAMLIB_DATA"])

NOTEBOOK_SECONDS = 90  # on two idle cores; half of it is what a chapter aims at
COURSE_SECONDS = 15 * 60

seconds: dict[str, float] = defaultdict(float)


def pytest_runtest_logreport(report):
    name = report.nodeid.partition("::")[0]
    if name.endswith(".ipynb"):
        seconds[name] += report.duration


def over_budget() -> list[str]:
    over = [name for name, used in seconds.items() if used > NOTEBOOK_SECONDS]
    return over + (["all"] if sum(seconds.values()) > COURSE_SECONDS else [])


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and over_budget():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if not seconds:
        return
    terminalreporter.section("seconds that the notebooks took")
    for name, used in seconds.items():
        late = f", over the limit of {NOTEBOOK_SECONDS}" * (used > NOTEBOOK_SECONDS)
        terminalreporter.write_line(f"{name}: {used:.0f}{late}")
    if "all" in over_budget():
        terminalreporter.write_line(f"all: over the limit of {COURSE_SECONDS}")
