"""Change the code one operator at a time, and see whether a test notices.

    python tools/mutants.py [module ...]      (none: every module below; hours)

A mutant that no test kills is a line that could be wrong unseen. Each module is tried
in a copy of the repository, by its own tests; a session that was interrupted goes on.
What survived is printed at the end, with its difference. The copies and sessions lie in
``_build/mutants``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from course import ROOT

WORK = ROOT / "_build" / "mutants"
CONFIG = """\
[cosmic-ray]
module-path = "ramlib/{module}.py"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"
"""
# Which tests a module is held by: the quickest first.
TESTS = {
    "sensor": "tests/test_sensor.py",
    "networks": "tests/test_networks.py tests/test_model.py",
    "rollout": "tests/test_rollout.py tests/test_model.py",
    "model": "tests/test_model.py tests/test_trace.py tests/test_checks.py",
    "losses": "tests/test_losses.py tests/test_checks.py",
    "evaluation": "tests/test_evaluation.py",
    "fleet": "tests/test_fleet.py",
    "rivals": "tests/test_rivals.py",
    "training": "tests/test_training.py",
    "data": "tests/test_data.py",
}


def run(*command: object, cwd: Path) -> str:
    """Run a command of cosmic-ray; give what it prints."""
    words = [str(Path(sys.executable).parent / "cosmic-ray"), *map(str, command)]
    return subprocess.run(
        words, cwd=cwd, text=True, stdout=subprocess.PIPE, check=True
    ).stdout


def mutate(module: str) -> str:
    """Try every mutant of a module; give the report."""
    copy, session = WORK / module, WORK / f"{module}.sqlite"
    config = WORK / f"{module}.toml"
    if not session.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(copy, ignore_errors=True)
        for folder in ("ramlib", "tests", "tools", "chapters"):
            shutil.copytree(ROOT / folder, copy / folder)
        for file in ("pyproject.toml", "conftest.py", "_config.yml"):
            shutil.copy(ROOT / file, copy)
        python = f"env PYTHONPATH={copy} {sys.executable}"
        config.write_text(
            CONFIG.format(module=module, tests=TESTS[module], python=python)
        )
        run("init", config, session, cwd=copy)
    run("exec", config, session, cwd=copy)
    report = Path(sys.executable).parent / "cr-report"
    return subprocess.run(
        [report, "--surviving-only", "--show-diff", session],
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


def main(arguments: list[str]) -> int:
    """Try the modules that are named, or all."""
    unknown = set(arguments) - set(TESTS)
    if unknown:
        print(f"no module {', '.join(unknown)}; choose from {', '.join(TESTS)}")
        return 2
    for module in arguments or TESTS:
        print(f"== {module}", flush=True)
        print(mutate(module), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
