"""Every chapter keeps the course's form and its budgets.

Over a limit is a failure; off a target is a warning, so that a glance at the summary
tells where a chapter grows.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import statistics
import warnings
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from course import (
    MINUTES,
    ROOT,
    badge,
    folded,
    notebooks,
    reading_minutes,
    setup_cell,
    words,
)

# (target, limit)
CELLS = (60, 75)
CODE_CELLS = (25, 32)
IDEA_MEDIAN, IDEA = 6, 12  # lines of a cell that is shown
FOLDED_MEDIAN, FOLDED = 12, 30  # lines of a check, a plot or a solution
CODE_WIDTH = (80, 88)
WORDS = (2800, 3300)
MINUTES_OF_READING = (35, 50)
WORDS_A_CELL = (60, 150)
FILE_KB = (250, 500)
OUTPUT_KB = (60, 120)
UNCOMPARED = (0.10, 0.15)
UNCOMPARED_TRAINING = (0.25, 0.25)  # chapters 10 to 12 train and measure
MIN_TEXT = 20  # characters of an alternative text, and of a caption

# Where the code lies that a chapter derives to the letter: cells with the tag `final`.
METHOD = ("sensor.py", "networks.py", "rollout.py", "losses.py", "worlds/still.py")
ENDING = ["Summary", "Check yourself", "Exercises", "Further reading"]
BADGE_SOURCE = "https://colab.research.google.com/assets/colab-badge.svg"


class Chapter(NamedTuple):
    path: Path
    notebook: nbformat.NotebookNode

    @property
    def cells(self) -> list:
        return self.notebook.cells

    @property
    def code(self) -> list:
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @property
    def text(self) -> list:
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    @property
    def number(self) -> int:
        return int(self.path.name[:2])


@pytest.fixture(
    params=notebooks(), ids=[path.stem for path in notebooks()], scope="module"
)
def chapter(request) -> Chapter:
    return Chapter(request.param, nbformat.read(request.param, as_version=4))


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def first_line(cell) -> str:
    return cell.source.splitlines()[0] if cell.source.strip() else "(empty)"


def rendered(output) -> dict:
    return output.get("data", {})


def within(what: str, value: float, target: float, limit: float) -> None:
    assert value <= limit, f"{what}: {value:g}, and the limit is {limit:g}"
    if value > target:
        warnings.warn(f"{what}: {value:g}, target {target:g}", stacklevel=2)


def kilobytes(data) -> float:
    return len(json.dumps(data, ensure_ascii=False).encode()) / 1024


# --- form -------------------------------------------------------------------------


def test_first_cell_has_title_badge_and_question(chapter):
    path = chapter.path.relative_to(ROOT).as_posix()
    title, first, *rest = [part for part in chapter.cells[0].source.split("\n\n")]
    assert re.fullmatch(rf"# {chapter.number}\. \S.*", title), title
    assert first.strip() == badge(path)
    assert any(part.strip().rstrip("*").endswith("?") for part in rest), (
        "the first cell asks the one question that the chapter answers"
    )


def test_second_cell_is_the_facts_box(chapter):
    source = chapter.cells[1].source
    for entry in ("You will be able to", "Needs", "Reading", "Exercises", "Running"):
        assert f"**{entry}" in source, f"the facts box does not say {entry!r}"


def test_third_cell_is_the_set_up_cell(chapter):
    assert chapter.cells[2].cell_type == "code"
    assert chapter.cells[2].source == setup_cell()
    assert tags(chapter.cells[2]) == {"hide-cell"}


def test_headings(chapter):
    prose = "\n".join(
        re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL) for cell in chapter.text
    )
    headings = re.findall(r"^(#+) (.+?)\s*$", prose, flags=re.MULTILINE)
    assert [level for level, _ in headings].count("#") == 1, "one title a chapter"
    sections = [name for level, name in headings if level == "##"]
    assert sections[-len(ENDING) :] == ENDING, sections
    assert len(sections) == len(set(sections)), "two sections have the same heading"
    assert re.search(r"^> \*\*Common mistake", prose, flags=re.MULTILINE), (
        "no box `> **Common mistake.** …`"
    )
    deeper = [len(level) for level, _ in headings]
    steps = [after - before for before, after in itertools.pairwise(deeper)]
    assert max(steps) <= 1, "a level of headings is left out"


def part(chapter: Chapter, heading: str) -> list:
    """The cells of one section, from its heading to the next."""
    inside, found = [], False
    for cell in chapter.cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.M):
            found = re.search(rf"^## {heading}\s*$", cell.source, re.M) is not None
        if found:
            inside.append(cell)
    return inside


def test_questions_have_answers(chapter):
    prose = "\n".join(cell.source for cell in part(chapter, "Check yourself"))
    assert 3 <= prose.count("<details>") <= 5
    for cell in chapter.text:
        assert cell.source.count("<details>") == cell.source.count("</details>")
        assert not re.search(r"</summary>\n(?!\n)", cell.source), (
            f"a blank line must follow </summary>: {first_line(cell)}"
        )


def test_exercises_have_solutions(chapter):
    cells = part(chapter, "Exercises")
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    numbers = re.findall(r"^### Exercise (\d)", prose, flags=re.MULTILINE)
    assert numbers == ["1", "2", "3"]
    solutions = [cell for cell in cells if "solution" in tags(cell)]
    assert solutions, "no executed solution (tags `solution` and `hide-cell`)"
    assert all({"solution", "hide-cell"} <= tags(cell) for cell in solutions)
    answered = len(solutions) + prose.count("<summary>")
    assert answered >= 3, "an exercise has neither a solution nor a folded answer"


def test_text_is_plain_markdown(chapter):
    for cell in chapter.text:
        found = re.search(r"^(```|:::)\{|\{[\w:-]+\}`|<img\b", cell.source, re.M)
        assert not found, f"shows raw in Colab: {found.group()} in {first_line(cell)!r}"
        images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", cell.source)
        outside = [to for to in images if "://" in to and to != BADGE_SOURCE]
        assert not outside, f"a picture from elsewhere: {outside}"
        assert "attachments" not in cell, "attached pictures do not show in the book"


def bare(node: ast.AST) -> str:
    """A function or class without what only documents it."""
    for one in ast.walk(node):
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            one.decorator_list = []
            if ast.get_docstring(one):
                one.body = one.body[1:]
        if isinstance(one, ast.FunctionDef):
            one.returns = None
        if isinstance(one, ast.arg):
            one.annotation = None
    return ast.dump(node)


def test_what_is_final_stands_so_in_ramlib(chapter):
    defined = ast.FunctionDef | ast.ClassDef
    files = [ROOT / "ramlib" / name for name in METHOD]
    nodes = [
        node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))
    ]
    theirs = {bare(node) for node in nodes if isinstance(node, defined)}
    for cell in chapter.code:
        if "final" in tags(cell):
            ours = [n for n in ast.parse(cell.source).body if isinstance(n, defined)]
            assert ours, f"nothing is defined in {first_line(cell)!r}"
            for node in ours:
                assert bare(node) in theirs, f"ramlib has another {node.name}"


def test_code_asserts(chapter):
    asserting = [cell for cell in chapter.code if "assert" in cell.source]
    assert len(asserting) >= 3, "a section holds at least one assertion"


# --- budgets ----------------------------------------------------------------------


def test_number_of_cells(chapter):
    within("cells", len(chapter.cells), *CELLS)
    within("code cells", len(chapter.code), *CODE_CELLS)


def test_lines_of_code(chapter):
    shown = [cell for cell in chapter.code[1:] if not folded(cell)]
    hidden = [cell for cell in chapter.code[1:] if folded(cell)]
    for kind, cells, target, limit in (
        ("shown", shown, IDEA_MEDIAN, IDEA),
        ("folded", hidden, FOLDED_MEDIAN, FOLDED),
    ):
        lengths = [len(cell.source.splitlines()) for cell in cells]
        for cell, length in zip(cells, lengths, strict=True):
            assert length <= limit, f"{length} lines, {kind}: {first_line(cell)!r}"
        within(f"median of lines {kind}", statistics.median(lengths), target, limit)


def test_minutes_are_those_that_it_takes(chapter):
    minutes = reading_minutes(chapter.cells)
    assert MINUTES.findall(chapter.cells[1].source) == [str(minutes)], minutes
    within("minutes of reading", minutes, *MINUTES_OF_READING)


def test_width_of_code(chapter):
    widest = max(
        (line for cell in chapter.code for line in cell.source.splitlines()), key=len
    )
    within(f"width of {widest.strip()!r}", len(widest), *CODE_WIDTH)


def test_words(chapter):
    counts = [words(cell.source) for cell in chapter.text]
    within("words", sum(counts), *WORDS)
    for cell, count in zip(chapter.text, counts, strict=True):
        assert count <= WORDS_A_CELL[1], f"{count} words in {first_line(cell)!r}"
    within("median of words a cell", statistics.median(counts), *WORDS_A_CELL)


def test_sizes(chapter):
    within("kilobytes of the file", chapter.path.stat().st_size / 1024, *FILE_KB)
    for cell in chapter.code:
        for output in cell.outputs:
            what = f"kilobytes of the output of {first_line(cell)!r}"
            within(what, kilobytes(output), *OUTPUT_KB)


def test_outputs_are_compared(chapter):
    cells = [cell for cell in chapter.code if "player" not in tags(cell)]
    ignored = [c for c in cells if tags(c) & {"nbval-ignore-output", "nbval-skip"}]
    budget = UNCOMPARED_TRAINING if 10 <= chapter.number <= 12 else UNCOMPARED
    within("share of cells not compared", len(ignored) / len(cells), *budget)
    skipped = [first_line(cell) for cell in chapter.code if "nbval-skip" in tags(cell)]
    assert not skipped, f"never executed by the tests: {skipped}"


# --- outputs ----------------------------------------------------------------------


def test_stored_as_executed_in_order(chapter):
    counts = [cell.execution_count for cell in chapter.code]
    assert counts == list(range(1, len(counts) + 1)), (
        "execute the chapter: make execute"
    )
    metadata = dict(chapter.notebook.metadata)
    assert metadata == {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }, "store outputs with tools/execute.py; it leaves nothing else behind"
    ids = [cell.id for cell in chapter.cells]
    assert len(ids) == len(set(ids)), "two cells have the same id"


def test_outputs_are_quiet(chapter):
    for cell in chapter.code:
        for output in cell.outputs:
            if output.output_type == "error":
                assert "raises-exception" in tags(cell), first_line(cell)
            if output.output_type == "stream":
                assert output.name == "stdout", f"stderr of {first_line(cell)!r}"
            said = output.get("text", "") + str(rendered(output).get("text/plain", ""))
            found = re.search(
                r"(?<![\w/.:])/(?:[\w.-]+/){2,}|[A-Z]:\\\\|0x[0-9a-f]{6,}", said
            )
            assert not found, f"{found.group()!r} is of one machine: {first_line(cell)}"


def test_no_widget_state(chapter):
    assert "widgets" not in chapter.notebook.metadata
    for cell in chapter.code:
        for output in cell.outputs:
            kinds = set(rendered(output))
            assert not {k for k in kinds if "widget" in k}, first_line(cell)


def test_figures_are_described(chapter):
    names = []
    for cell in chapter.code:
        pictures = [o for o in cell.outputs if "image/png" in rendered(o)]
        for output in cell.outputs:
            kinds = set(rendered(output))
            assert not kinds & {"image/jpeg", "image/svg+xml", "application/javascript"}
        if not pictures:
            continue
        line = first_line(cell)
        assert len(pictures) == 1, f"{len(pictures)} figures in one cell: {line!r}"
        assert cell.source.rstrip().endswith("plt.show()"), f"no plt.show(): {line!r}"
        mystnb = cell.metadata.get("mystnb", {})
        alt = mystnb.get("image", {}).get("alt", "")
        caption = mystnb.get("figure", {}).get("caption", "")
        assert len(alt) >= MIN_TEXT, f"no alternative text: {line!r}"
        assert len(caption) >= MIN_TEXT, f"no caption: {line!r}"
        assert alt != caption, f"the caption said again is no description: {line!r}"
        names.append(mystnb.get("figure", {}).get("name", ""))
    assert names, "a chapter without a figure"
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names), names
    assert len(names) == len(set(names)), "two figures have the same name"


def test_html_outputs_stand_alone(chapter):
    for cell in chapter.code:
        for output in cell.outputs:
            html = "".join(rendered(output).get("text/html", ""))
            html = html.replace("http://www.w3.org/", "")  # the name of SVG
            found = re.search(r"https?://[\w./-]*|@import|requirejs", html)
            assert not found, f"{found.group()!r} in the output of {first_line(cell)!r}"
        if "player" in tags(cell):
            assert "nbval-ignore-output" in tags(cell), first_line(cell)


# --- the checks check -------------------------------------------------------------


def test_words_are_those_that_are_read():
    assert words("Look at $x_t$ here: [a page](https://example.com/a/b).") == 6
    assert words("<details><summary>Why?</summary>\n\nBecause.\n\n</details>") == 2
    assert words("```python\nx = 1\n```\n\nOne-way street") == 2


def test_minutes_count_what_is_read_and_seen():
    def text(source):
        return {"cell_type": "markdown", "source": source, "metadata": {}}

    def code(source, *tags, kinds=()):
        outputs = [{"data": {kind: ""}} for kind in kinds]
        metadata = {"tags": list(tags)}
        return {"cell_type": "code", "metadata": metadata} | {
            "source": source, "outputs": outputs,
        }  # fmt: skip

    cells = [text("word " * 360)]
    assert reading_minutes(cells) == 2
    cells += [text("$$a$$"), text("$$b$$ $$c$$"), code("x\n" * 9 + "\nx")]
    assert reading_minutes(cells) == 4
    cells += [
        code("x\n" * 99, "hide-input", kinds=["image/png"]),
        code("x", "hide-cell"),
    ]
    cells += [code("", kinds=["text/html", "text/plain"]), code("x\n" * 5)]
    assert reading_minutes(cells) == 6
    assert reading_minutes([*cells, text("## Exercises"), *cells]) == 6


def test_over_the_limit_fails_and_off_target_warns():
    with pytest.raises(AssertionError, match="limit is 2"):
        within("things", 3, 1, 2)
    with pytest.warns(UserWarning, match="target 1"):
        within("things", 2, 1, 2)
