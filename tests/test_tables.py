"""The tables of the results page say what the records say, and never mix the lines."""

import json
import re
from pathlib import Path

import pytest

from ramlib import files
from ramlib.experiments import EXPERIMENTS
from ramlib.model import RAMConfig

ROOT = Path(__file__).resolve().parents[1]
RECORDS = {
    path.parent.name: json.loads(path.read_text(encoding="utf-8"))
    for path in files.PRETRAINED.glob("*/metrics.json")
}


@pytest.fixture(autouse=True)
def _extension(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_ext")


def rows(markdown):
    """{title: [cells]} of a table."""
    lines = [line.strip("| ").split(" | ") for line in markdown.splitlines()[2:]]
    return {title: cells for title, *cells in lines}


def made_up(*errors):
    return {"test": {"mean": {"errors": list(errors)}}}


def test_a_cell_is_that_of_its_record_and_of_its_line():
    from paper_tables import paper_table

    records = {
        "cluttered60-8x12x12": made_up(4.0, 4.2),
        "cluttered60-8x12x12-tuned": made_up(2.5),
        "cluttered60-8x12x12-random": made_up(14.0),
        "cluttered60-modern": made_up(1.25, 1.75, 1.5),
        "mnist-6x8x8": made_up(1.0),
        "mnist-6x8x8-single": made_up(9.0),
    }
    found = rows(paper_table("cluttered60", records))
    eight = ["4.04", "5.23", "2.63", "4.10\u00a0±\u00a00.14", "2.50"]
    assert found["RAM, 8 glimpses"] == eight
    assert found["RAM, 8 random glimpses"] == ["14.4", "–", "–", "14.00", "–"]
    modern = found["modern convolutions, fewer weights"]
    assert modern == ["–", "–", "–", "1.50\u00a0±\u00a00.25", "–"]
    assert found["RAM, 4 glimpses"] == ["4.96", "7.1", "–", "–", "–"]
    six = rows(paper_table("mnist", records))["RAM, 6 glimpses"]
    assert six == ["1.12", "1.29", "–", "1.00", "–"]


def test_what_is_changed_has_a_row_for_every_brief_training():
    from paper_tables import BRIEF, CHANGED, changes_table

    names = [name for name in EXPERIMENTS if name.startswith(BRIEF)]
    assert sorted(names) == sorted(BRIEF + suffix for suffix in CHANGED)
    test = {"mean": {"errors": [1.0, 1.5]}, "sampled": {"errors": [2.0, 2.0]}}
    test["average"] = {"errors": [0.5, 0.5]}
    found = rows(changes_table({f"{BRIEF}-slower": {"test": test, "runs": [{}, {}]}}))
    _, *cells, seeds = found[f"`{BRIEF}-slower`"]
    assert [cell.split("\u00a0")[0] for cell in cells] == ["1.25", "2.00", "0.50"]
    assert seeds == "2"
    assert found[f"`{BRIEF}`"][1:] == ["–"] * 4
    whole, changed = EXPERIMENTS[BRIEF].preset, EXPERIMENTS[f"{BRIEF}-slower"].preset
    assert changed.train.learning_rate == whole.train.learning_rate / 2


def test_the_time_to_the_paper_s_figure_is_that_of_the_first_epoch_down_there():
    from paper_tables import time_table

    machine = {"threads": 1, "gpu": None}
    run = {"seed": 2, "steps": 1000, "seconds": 600.0, "environment": machine}
    curve = [[2, 9.0, 3.0], [4, 5.0, 1.12], [6, 4.0, 1.3], [8, 3.0, 0.9]]
    train = {"epochs": 8, "batch_size": 500, "num_rollouts": 4}
    runs = [run | {"curve": curve}, run, run | {"curve": curve[:1]}]
    found = time_table({"mnist-6x8x8": {"train": train, "runs": runs}})
    # Half of 1,000 steps of 2,000 rollouts, and of ten minutes.
    expected = ["2", "4", "1.0", "5 min, 1 CPU thread"]
    assert rows(found) == {"`mnist-6x8x8`": expected}
    assert found.count("mnist-6x8x8") == 1


def test_every_row_of_a_table_can_be_reproduced():
    from paper_tables import PAPER, paper_table

    class Asked(dict):
        def get(self, name):
            asked.append(name)

    asked = []
    for task in PAPER:
        paper_table(task, Asked())
    lines = {name for name in asked if not name.endswith("-tuned")}
    others = {x for x in EXPERIMENTS if re.search("-tuned|-single|-brief", x)}
    assert lines == EXPERIMENTS.keys() - others


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_line_of_the_paper_has_the_paper_s_model_and_loss(name):
    (model, _, train), *_ = EXPERIMENTS[name]
    if not isinstance(model, RAMConfig) or re.search("-tuned|-brief", name):
        return
    assert (model.core, model.location_hidden_size) == ("rnn", 0)
    assert not (model.learn_first_location or model.location_gradient)
    assert (train.reward, train.step_loss, train.distillation) == ("final", 0, 0)
    assert (model.location_policy == "uniform") == name.endswith("-random")


def test_the_page_shows_every_record(book_html):
    from paper_tables import PAPER, cell

    page = (book_html / "book/results.html").read_text(encoding="utf-8")
    shown = re.sub(r"<[^>]+>", "", page)
    assert set(PAPER) == {name.split("-")[0] for name in EXPERIMENTS}
    for name, found in RECORDS.items():
        assert name in EXPERIMENTS
        assert name in shown
        for protocol in found["test"]:
            assert cell(found, protocol) in shown
