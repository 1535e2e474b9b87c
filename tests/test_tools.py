"""The tools that store what the book shows."""

from __future__ import annotations

import dataclasses
import html
import json
import re

import execute
import landing
import nbformat
import torch
from traces import digit_canvases, make_trace

from course import (
    ROOT,
    badge,
    book_address,
    colab_address,
    main,
    notebooks,
    setup_cell,
)
from ramlib import player

VERSION = r'data-ramlib="[\w-]+"'  # of a widget's script and style


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
    today = landing.player(make_trace(B=3, T=4))
    version = re.search(VERSION, today).group()
    recorded = landing.PAGE.read_text(encoding="utf-8")
    assert version in recorded, "record it again: make landing"


def test_the_chapters_have_the_widgets_of_today():
    digit = digit_canvases(1)
    game = {"glimpse_size": 8, "num_scales": 1, "num_glimpses": 2}
    trace, model = make_trace(), "mnist-6x8x8"
    today = player.render(trace) + player.render(trace, live=model)
    for widget in (
        player.retina(digit[0]),
        player.playground(digit[0, 0, :8, :8]),
        player.game(digit, torch.zeros(1, dtype=torch.long), **game),
        player.learn(),
    ):
        today += widget.data
    versions = set(re.findall(VERSION, today))
    assert len(versions) == 6
    for path in notebooks():
        stored = path.read_text(encoding="utf-8").replace('\\"', '"')
        found = set(re.findall(VERSION, stored))
        assert found <= versions, (
            f"make execute CHAPTERS={path.name}: {found - versions}"
        )


def test_the_player_shows_what_the_rule_of_the_page_says():
    """Ten episodes: four that change their answer, three that never do, three wrong."""
    answers = torch.zeros(40, 4, dtype=torch.long)
    answers[1::4] = torch.tensor([1, 2, 0, 0])  # 1, 5, 9, …: right, after two changes
    answers[2::4] = torch.tensor([1, 0, 0, 0])  # right, after one: not wanted
    answers[3::4] = torch.tensor([0, 0, 0, 1])  # wrong in the end
    probs = torch.nn.functional.one_hot(answers, 3).float()
    labels = torch.zeros(40, dtype=torch.long)
    trace = make_trace(B=40, T=4, A=3)
    trace = dataclasses.replace(trace, probs=probs, labels=labels)
    assert landing.choose(trace) == [1, 5, 9, 13, 0, 4, 8, 3, 7, 11]
    text = landing.player(trace)
    data = json.loads(html.unescape(re.search(r"data-value='(.*?)'", text)[1]))
    assert (data["episodes"], data["start"], data["play"]) == (10, 1, True)
    order = [0, 1, 3, 4, 5, 7, 8, 9, 11, 13]
    assert data["best"] == answers[order].flatten().tolist()


def test_the_cards_of_the_landing_page_say_what_the_chapters_say():
    index = (ROOT / "book/index.md").read_text(encoding="utf-8")
    cards = re.findall(r"^:::{grid-item-card} (.*?)^:::$", index, flags=re.M | re.S)
    assert len(cards) == len(notebooks())
    for card, path in zip(cards, notebooks(), strict=True):
        cells = nbformat.read(path, as_version=4).cells
        words = " ".join(card.split())
        title, question = re.search(
            r"# (.*?)\n.*?\*\*(.*?)\*\*", cells[0].source, re.S
        ).groups()
        assert words.startswith(f"{title} :link: ../chapters/{path.stem} ")
        assert words.endswith(
            f" {question} {{{{ minutes[{int(path.name[:2])}] }}}} minutes"
        )
