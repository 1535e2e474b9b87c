"""Controls for a live model: what they ask of it, and what a notebook stores."""

import ast
import inspect
import sys
import types
from pathlib import Path

import pytest
import torch

import ramlib.player
from ramlib import explore as module
from ramlib.explore import Explorer, explore, is_live
from ramlib.model import RAMConfig, RecurrentAttentionModel

widgets = pytest.importorskip("ipywidgets")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RecurrentAttentionModel(RAMConfig(glimpse_size=4, hidden_size=16))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (10, 12, 16), generator=generator).to(torch.uint8)


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order, as (content, how)."""
    calls = []

    class Handle:
        def update(self, content):
            calls.append((content, "update"))

    def display(content, display_id=None):
        calls.append((content, "display"))
        return Handle() if display_id else None

    monkeypatch.setattr("IPython.display.display", display)
    return calls


def is_player(content):
    return "ramlib-glimpses" in getattr(content, "data", "")


# -- stored ----------------------------------------------------------------------------


def test_without_controls_there_is_the_player_alone(model, images, shown):
    explore(model, images, torch.arange(10), controls=False)
    ((content, how),) = shown
    assert how == "display" and is_player(content)
    first = content.data
    explore(model, images, torch.arange(10), controls=False)
    assert shown[1][0].data == first, "the same seed gives the same bytes"


def test_under_pytest_nothing_is_live(model, images, shown):
    assert not is_live()
    explore(model, images)
    assert [is_player(content) for content, _ in shown] == [True]


def test_a_notebook_executed_by_a_program_stores_the_player_alone(
    tmp_path, monkeypatch
):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    # So that is_live has to tell by the kernel alone.
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    monkeypatch.delenv("RAMLIB_STATIC", raising=False)
    cell = (
        "import torch\n"
        "from ramlib.explore import explore\n"
        "from ramlib.model import RAMConfig, RecurrentAttentionModel\n"
        "torch.manual_seed(0)\n"
        "model = RecurrentAttentionModel(RAMConfig(glimpse_size=4, hidden_size=16))\n"
        "explore(model, torch.zeros(2, 12, 12))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == {"text/html", "text/plain"}
    assert "ramlib-glimpses" in output.data["text/html"]
    assert not notebook.metadata.get("widgets")


@pytest.mark.parametrize("value", ["1", "yes"])
def test_the_environment_can_say_no(monkeypatch, value):
    live = types.SimpleNamespace(kernel=object(), history_manager=None)
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    monkeypatch.delenv("RAMLIB_STATIC", raising=False)
    fake = types.SimpleNamespace(get_ipython=lambda: live)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    assert is_live()
    monkeypatch.setenv("RAMLIB_STATIC", value)
    assert not is_live()
    monkeypatch.setenv("RAMLIB_STATIC", "0")
    assert is_live()
    fake.get_ipython = lambda: None
    assert not is_live()


# -- live ------------------------------------------------------------------------------


@pytest.fixture
def explorer(model, images, shown):
    explorer = Explorer(model, images, torch.arange(10), rollouts=3)
    explorer.show_controls()
    return explorer


def test_controls_come_first_then_the_player(explorer, shown):
    assert isinstance(shown[0][0], widgets.VBox)
    assert is_player(shown[1][0]) and len(shown) == 2
    assert set(explorer.controls) == {
        "image",
        "num_glimpses",
        "location_std",
        "x",
        "y",
    }


def test_each_control_reaches_the_model(explorer, shown, images):
    controls = explorer.controls
    controls["image"].value = 7
    assert torch.equal(explorer.trace.images[:, 0], images[[7, 7, 7]])
    assert explorer.trace.labels.tolist() == [7, 7, 7]
    controls["num_glimpses"].value = 4
    assert explorer.trace.num_glimpses == 4
    controls["x"].value, controls["y"].value = 0.5, -0.25
    assert explorer.trace.locations[:, 0].tolist() == [[0.5, -0.25]] * 3
    spread = (explorer.trace.samples - explorer.trace.means)[:, 1:].std()
    controls["location_std"].value = 0.6
    assert (explorer.trace.samples - explorer.trace.means)[:, 1:].std() > 2 * spread
    assert [how for _, how in shown[2:]] == ["update"] * 5
    assert all(is_player(content) for content, _ in shown[1:])


def test_zero_std_is_the_mean_policy_once(explorer):
    explorer.controls["location_std"].value = 0.0
    trace = explorer.trace
    assert len(trace) == 1
    torch.testing.assert_close(trace.samples, trace.means)


def test_the_button_draws_again(explorer):
    before = explorer.trace.locations
    explorer.button.click()
    assert not torch.equal(explorer.trace.locations, before)
    explorer.seed -= 1
    explorer.redraw()
    assert torch.equal(explorer.trace.locations, before), "a seed can be seen again"


def test_digits_bring_their_labels(model, images):
    digits = types.SimpleNamespace(images=images, labels=torch.arange(10))
    explorer = Explorer(model, digits)
    assert explorer.overview().labels.tolist() == list(range(8))


def test_in_colab_the_player_is_in_an_output_widget(monkeypatch, shown):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    screen = module.Screen()
    assert isinstance(shown[0][0], widgets.Output)
    screen.show("a")
    screen.show("b")
    assert [content for content, _ in shown[1:]] == ["a", "b"]


# -- refusals and layering -------------------------------------------------------------


def test_bad_input_is_named(model, images):
    with pytest.raises(TypeError, match="cannot look"):
        Explorer(object(), images)
    with pytest.raises(TypeError, match="give Digits"):
        Explorer(model, images.tolist())
    with pytest.raises(ValueError, match="at least one image"):
        Explorer(model, images[:0])
    with pytest.raises(ValueError, match="at least one image"):
        Explorer(model, images[0])
    with pytest.raises(ValueError, match="3 labels for 10"):
        Explorer(model, images, torch.arange(3))
    with pytest.raises(ValueError, match="rollouts is 0"):
        Explorer(model, images, rollouts=0)


def test_the_player_does_without_ipywidgets():
    folder = Path(inspect.getfile(ramlib.player)).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            assert "ipywidgets" not in [*names, getattr(node, "module", "")]


def test_controls_of_both_ipywidgets(explorer):
    # Version 7.7 has no Stack, and jslink is broken where it is used most.
    source = inspect.getsource(module)
    assert "Stack" not in source and "jslink" not in source
    for control in explorer.controls.values():
        assert control.continuous_update is False
        assert control.description
