"""The command line: options, presets, resuming, and errors in one line."""

import dataclasses
import json
import subprocess
import sys
import types

import pytest
import torch

from ramlib import cli
from ramlib.evaluation import evaluate
from ramlib.model import RAMConfig
from ramlib.training import PRESETS, TrainConfig, evaluation_set

QUICK = ["--preset", "digits", "--epochs", "1", "--batch-size", "400", "--hidden-size",
         "16", "--num-glimpses", "2", "--device", "cpu", "--quiet"]  # fmt: skip


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "quick"
    assert cli.main(["train", *QUICK, "--folder", str(folder)]) == 0
    return folder


def test_every_field_of_both_configs_is_an_option(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for config in (RAMConfig, TrainConfig):
        for field in dataclasses.fields(config):
            assert f"--{field.name.replace('_', '-')}" in said


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_the_defaults_and_options_override_them(preset):
    command = cli._parse(["train", "--preset", preset, "--seed", "7"])
    model, config = PRESETS[preset]
    assert command.model == model
    assert command.train == dataclasses.replace(config, seed=7)


def test_python_m_ramlib_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "ramlib", "env", "--device", "cpu"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert torch.__version__ in done.stdout
    assert "commit" in done.stdout


def test_a_run_is_trained_and_evaluated(run_folder, capsys):
    assert cli.main(["evaluate", str(run_folder), "--rollouts", "2"]) == 0
    said = capsys.readouterr().out
    model, config = cli.load_trained(run_folder)
    data = evaluation_set(config, "test")
    for protocol in cli.PROTOCOLS:
        error = evaluate(model, data, protocol=protocol, rollouts=2)["error"]
        assert f"  {protocol:8s} {error:6.2f} %" in said


def test_resuming_takes_the_options_of_the_run(run_folder):
    again = ["train", "--resume", "--quiet", "--folder", str(run_folder)]
    assert cli._parse(again).train.epochs == 1
    assert cli.main(again) == 0


def test_the_std_that_training_ended_with_is_the_models(tmp_path):
    arguments = [
        *QUICK,
        "--final-location-std",
        "0.07",
        "--folder",
        str(tmp_path / "r"),
    ]
    assert cli.main(["train", *arguments]) == 0
    model, _ = cli.load_trained(tmp_path / "r")
    assert model.config.location_std == 0.07


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", *QUICK, "--epochs", "0"], "epochs is 0"),
        (["train", *QUICK, "--glimpse-size", "-8"], "glimpse_size is -8"),
        (["train", *QUICK, "--device", "abacus"], "device is 'abacus'"),
        (["train", *QUICK, "--task", "cluttered", "--image-size", "20"], "20"),
        (["evaluate", "no-such-model"], "no model 'no-such-model'"),
    ],
)
def test_a_mistake_ends_in_one_line(arguments, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        assert cli.main(arguments) == 2
    except SystemExit as stop:  # refused while the options were read
        assert stop.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_an_existing_run_is_refused_and_kept(run_folder, capsys):
    before = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    assert cli.main(["train", *QUICK, "--folder", str(run_folder)]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in run_folder.iterdir()}


def test_an_interrupted_run_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(*args, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "train", interrupt)
    assert cli.main(["train", *QUICK]) == 130
    assert "--resume" in capsys.readouterr().out


def test_metrics_go_to_tensorboard_too_when_asked(tmp_path, monkeypatch, capsys):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def add_scalar(self, name, value, step):
            written.append((self.folder.name, name, step))

    stand_in = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    folder = str(tmp_path / "run")
    assert cli.main(["train", *QUICK, "--tensorboard", "--folder", folder]) == 0
    assert ("tensorboard", "validation_error", 2) in written

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert cli.main(["train", *QUICK, "--tensorboard", "--folder", folder + "2"]) == 2
    assert "tensorboard is not installed" in capsys.readouterr().err


def test_reproduce_trains_every_seed_tests_each_and_ships_the_first(
    tmp_path, monkeypatch, capsys
):
    model, config = PRESETS["digits"]
    tiny = dataclasses.replace(model, hidden_size=16, num_glimpses=2)
    short = dataclasses.replace(config, epochs=1, batch_size=400)
    monkeypatch.setitem(cli.PRESETS, "digits", (tiny, short))
    monkeypatch.setitem(cli.RECIPES, "mnist-6x8x8", ("digits", (3, 4)))
    monkeypatch.setattr(cli, "PRETRAINED", tmp_path / "pretrained")
    arguments = ["reproduce", "mnist-6x8x8", "--folder", str(tmp_path / "runs"),
                 "--device", "cpu", "--install", "--quiet"]  # fmt: skip
    assert cli.main(arguments) == 0
    metrics = json.loads((tmp_path / "pretrained/mnist-6x8x8/metrics.json").read_text())
    assert metrics["seeds"] == [3, 4]
    assert metrics["shipped_seed"] == 3
    errors = metrics["test"]["mean"]["errors"]
    assert metrics["test"]["mean"]["mean"] == pytest.approx(sum(errors) / 2, abs=1e-3)
    shipped, _ = cli.load_trained(tmp_path / "pretrained" / "mnist-6x8x8")
    first, train = cli.load_trained(tmp_path / "runs" / "seed-3")
    assert all(
        torch.equal(a, b)
        for a, b in zip(shipped.parameters(), first.parameters(), strict=True)
    )
    data = evaluation_set(train, "test")
    assert evaluate(shipped, data)["error"] == errors[0]


@pytest.mark.parametrize("name", cli.RECIPES)
def test_every_recipe_is_shipped_with_a_record_that_its_weights_confirm(name):
    model, config = cli.load_trained(name)
    record = model.metrics
    preset, seeds = cli.RECIPES[name]
    assert record["seeds"] == list(seeds)
    stated = dataclasses.asdict(PRESETS[preset][1])
    same = set(stated) - {"device", "threads", "seed"}
    assert {k: record["train"][k] for k in same} == {k: stated[k] for k in same}
    try:
        data = evaluation_set(config, "test")
    except cli.DataUnavailableError:
        pytest.skip("MNIST is not to be had here")
    error = evaluate(model, data, protocol="mean")["error"]
    assert error == pytest.approx(record["test"]["mean"]["errors"][0], abs=0.05)
