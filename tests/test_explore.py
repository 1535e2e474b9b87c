"""Controls for a live model: what they ask of it, and what a notebook stores."""

import os
import types

import pytest
import torch
from ipywidgets import interactive

from ramlib import Trace, player
from ramlib import explore as module
from ramlib.data import Images
from ramlib.explore import explore
from ramlib.model import RAMConfig, RecurrentAttentionModel

PIXELS = torch.randint(0, 256, (10, 1, 12, 16), dtype=torch.uint8)
IMAGES = Images(PIXELS, torch.arange(10), tuple("abcdefghij"))


@pytest.fixture
def shown(monkeypatch):
    """What is displayed: traces, in place of their players, and controls."""
    content = []

    def display(what):
        if isinstance(what, interactive) and not content:
            what.update()  # ipywidgets 7, which Colab has, waits to be displayed
        content.append(what)

    monkeypatch.setattr(module.display, "display", display)
    monkeypatch.setattr(player, "show", lambda trace, **options: trace)
    return content


def make_model(**config):
    return RecurrentAttentionModel(RAMConfig(glimpse_size=4, hidden_size=16, **config))


def test_without_controls_there_is_the_player_alone(shown):
    model = make_model()
    explore(model, IMAGES)  # under pytest nothing is live
    explore(model, PIXELS, torch.arange(10), controls=False)
    first, second = shown
    assert isinstance(first, Trace) and first.classes == IMAGES.classes
    assert first.labels.tolist() == second.labels.tolist() == list(range(8))
    assert torch.equal(first.locations, second.locations), "the same seed"
    with pytest.raises(ValueError, match="3 labels for 10 images"):
        explore(model, PIXELS, torch.arange(3))
    with pytest.raises(ValueError, match="num_rollouts is 0"):
        explore(model, PIXELS, num_rollouts=0)
    with pytest.raises(TypeError, match="model is None"):
        explore(None, PIXELS)


@pytest.mark.parametrize("learned", [False, True])
def test_each_control_reaches_the_model(shown, learned):
    model = make_model(learn_first_location=learned, location_std=0.1)
    explore(model, IMAGES, num_rollouts=3, controls=True)
    first, box = shown
    controls = {control.description: control for control in box.children[:-1]}

    def turn(name, value):
        controls[name].value = value
        return shown[-1]

    assert len(first) == 3 and len(controls) == (4 if learned else 6)
    assert torch.equal(turn("image", 7).images, PIXELS[[7, 7, 7]])
    assert turn("glimpses", 4).labels.tolist() == [7, 7, 7]
    assert shown[-1].num_glimpses == 4
    if not learned:
        turn("x", 0.5)
        assert turn("y", -0.25).locations[:, 0].tolist() == [[0.5, -0.25]] * 3
    before = shown[-1].locations
    assert not torch.equal(turn("seed", 1).locations, before)
    assert torch.equal(turn("seed", 0).locations, before), "it can be seen again"
    wide, mean = turn("std", 0.6), turn("std", 0.0)
    assert 0.3 < (wide.samples - wide.means)[:, 1:].std() < 0.9
    assert len(mean) == 1 and mean.samples.allclose(mean.means)
    assert float(model.location_network.std) == pytest.approx(0.1), "put back"


@pytest.mark.parametrize("variable", ["OTHER", "RAMLIB_STATIC", "PYTEST_VERSION"])
def test_the_environment_can_say_no(monkeypatch, shown, variable):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setattr(module, "get_ipython", lambda: shell)
    monkeypatch.setattr(os, "environ", {variable: "1"})
    explore(make_model(), IMAGES)
    assert isinstance(shown[-1], interactive if variable == "OTHER" else Trace)


def test_a_notebook_executed_by_a_program_stores_the_player_alone(monkeypatch):
    nbformat, nbclient = map(pytest.importorskip, ("nbformat", "nbclient"))
    monkeypatch.delenv("PYTEST_VERSION", raising=False)  # the kernel alone has to tell
    cell = nbformat.v4.new_code_cell(
        "import torch, ramlib.explore; model = ramlib.RecurrentAttentionModel()\n"
        "ramlib.explore.explore(model, torch.zeros(2, 12, 12))"
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert "ramlib-glimpses" in output.data["text/html"]
