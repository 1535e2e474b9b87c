"""The tools that store what the book shows."""

from __future__ import annotations

import re

import execute
import landing
import nbformat
from PIL import Image

from course import ROOT, badge, book_address, colab_address, main, setup_cell
from ramlib.player import page


def notebook(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    return nbformat.v4.new_notebook(cells=cells)


def test_executing_twice_gives_the_same_bytes(tmp_path):
    path = tmp_path / "02_small.ipynb"
    source = "print('a')\nimport sys; sys.stdout.flush(); print('b')\n1 + 1"
    nbformat.write(notebook(source, "from pathlib import Path; Path.cwd().name"), path)
    execute.execute(path)
    first = path.read_bytes()
    execute.execute(path)
    assert path.read_bytes() == first
    stored = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    streams = [one for one in stored.cells[0].outputs if one.output_type == "stream"]
    assert [one.text for one in streams] == ["a\nb\n"]
    # A chapter works in its own folder, wherever it was executed from.
    assert tmp_path.name in stored.cells[1].outputs[0].data["text/plain"]


def test_a_failing_cell_leaves_the_file_as_it_was(tmp_path, capsys):
    path = tmp_path / "02_small.ipynb"
    nbformat.write(notebook("1 / 0"), path)
    before = path.read_bytes()
    assert execute.main(["--bundled", str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert path.read_bytes() == before


def test_widget_views_are_not_stored():
    output = nbformat.v4.new_output(
        "display_data",
        {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}},
    )
    executed = notebook("slider")
    executed.cells[0].outputs = [output]
    executed.metadata["widgets"] = {"state": {}}
    execute.tidy(executed, "02_small")
    assert executed.cells[0].outputs == []
    assert "widgets" not in executed.metadata


def test_a_new_chapter_begins_as_every_chapter(capsys):
    assert main(["03_glimpse_network"]) == 0
    said = capsys.readouterr().out
    assert badge("chapters/03_glimpse_network.ipynb") in said
    assert setup_cell() in said
    assert main(["3_glimpses"]) == 2


def test_addresses_of_other_pages():
    url = "https://github.com/Some-One/a.name"
    assert book_address(url) == "https://some-one.github.io/a.name/"
    assert colab_address("chapters/x.ipynb", url) == (
        "https://colab.research.google.com/github/Some-One/a.name/blob/main/chapters/x.ipynb"
    )


def test_the_landing_page_shows_the_shipped_model():
    folder = landing.PRETRAINED / landing.MODEL
    note = landing.PAGE.read_text(encoding="utf-8").splitlines()[0]
    assert landing.fingerprint(folder) in note, "record it again: make landing"
    assert landing.PICTURE.stat().st_size < 100 * 1024
    index = (ROOT / "book/index.md").read_text(encoding="utf-8")
    assert landing.PAGE.name in index


def test_the_landing_page_has_the_player_of_today():
    dot = Image.new("L", (1, 1))
    empty = page.widget("glimpses", {"name": "x"}, picture=dot, alt="", caption="")
    version = re.search(r'data-ramlib="[\w-]+"', empty).group()
    recorded = landing.PAGE.read_text(encoding="utf-8")
    assert version in recorded, "record it again: make landing"
