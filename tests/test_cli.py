"""The command line: options, presets, resuming, and mistakes that end in one line."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ramlib import RAMConfig, RecurrentAttentionModel, cli, experiments, files
from ramlib.data import DataUnavailableError
from ramlib.evaluation import PROTOCOLS, evaluate
from ramlib.experiments import EXPERIMENTS, PRESETS
from ramlib.runs import read_metrics
from ramlib.tasks import ImageConfig
from ramlib.training import TrainConfig

QUICK = ["--preset", "digits", "--epochs", "1", "--batch-size", "400", "--hidden-size",
         "16", "--num-glimpses", "2", "--device", "cpu", "--quiet"]  # fmt: skip


def run(*arguments) -> int:
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # refused while the options were read
        return stop.code


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "quick"
    assert run("train", *QUICK, "--folder", folder) == 0
    return folder


@pytest.fixture
def broken_run(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run")


def test_every_field_of_the_configs_is_an_option(capsys):
    assert run("train", "--help") == 0
    said = capsys.readouterr().out
    for config in (RAMConfig, ImageConfig, TrainConfig):
        for field in dataclasses.fields(config):
            assert f"--{field.name.replace('_', '-')}" in said


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_the_defaults_and_options_override_them(preset):
    command = cli.parse(["train", "--preset", preset, "--seed", "7"])
    model, images, train = PRESETS[preset]
    assert (command.model, command.images) == (model, images)
    assert command.train == dataclasses.replace(train, seed=7)


def test_python_m_ramlib_is_the_same_program():
    def said(*arguments):
        command = [sys.executable, "-m", "ramlib", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    facts = said("env", "--device", "cpu").stdout
    assert torch.__version__ in facts
    assert "commit" in facts
    assert said("--version").stdout.startswith("ramlib 0.")


def test_a_run_is_trained_and_evaluated(run_folder, capsys):
    assert run("evaluate", run_folder, "--num-rollouts", "2") == 0
    said = capsys.readouterr().out
    model = RecurrentAttentionModel.from_pretrained(run_folder)
    data = ImageConfig(source="bundled").fixed("test")
    for protocol in PROTOCOLS:
        error = evaluate(model, data, protocol=protocol, num_rollouts=2)["error"]
        assert f"  {protocol:8s} {error:6.2f} %" in said


def test_resuming_takes_the_options_of_the_run(run_folder, broken_run, capsys):
    again = ["train", "--resume", "--quiet", "--folder", str(broken_run)]
    assert cli.parse(again).train.epochs == 1
    assert run(*again) == run(*again, "--preset", "digits") == 0
    assert run(*again, "--preset", "mnist") == 2
    assert "was begun with --preset digits, not mnist" in capsys.readouterr().err
    assert run(*again, "--epochs", "2") == 0
    assert [line["epoch"] for line in read_metrics(broken_run)] == [1, 2]


@pytest.fixture
def mnist_is_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMLIB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:9/"])


def test_a_run_keeps_to_the_digits_that_auto_found_at_its_start(
    tmp_path, mnist_is_absent
):
    folder = tmp_path / "run"
    assert run("train", *QUICK, "--source", "auto", "--folder", folder) == 0
    again = cli.parse(["train", "--resume", "--folder", str(folder)])
    assert again.images.source == "bundled"


@pytest.mark.parametrize("ending", ["html", "gif", "png", "txt"])
def test_a_model_is_seen_looking(run_folder, tmp_path, capsys, ending):
    picture = np.full((50, 40, 3), 255, np.uint8)
    picture[10:40, 18:24] = 0  # a dark one on white
    Image.fromarray(picture).save(tmp_path / "one.png")
    out = tmp_path / f"look.{ending}"
    code = run("look", run_folder, tmp_path / "one.png", "--invert", "--out", out)
    said = capsys.readouterr()
    if ending == "txt":
        assert code == 2
        assert "end it in .html, .gif or .png" in said.err
        return
    assert code == 0
    begins = {"html": b"<div", "gif": b"GIF8", "png": b"\x89PNG"}[ending]
    assert out.read_bytes().startswith(begins)
    assert f"{out}: " in said.out
    assert run("look", run_folder, "--out", out, "--seed", "1") == 0


def test_how_a_run_went_is_drawn(run_folder, tmp_path):
    assert run("plot", run_folder, "--out", tmp_path / "curves.svg") == 0
    drawn = (tmp_path / "curves.svg").read_text()
    assert "<svg" in drawn


def test_a_folder_of_images_is_trained_on_evaluated_and_looked_at(tmp_path, capsys):
    generator = np.random.default_rng(0)
    for k, color in enumerate(([255, 0, 0], [0, 255, 0], [0, 0, 255])):
        folder = tmp_path / "leaves" / f"kind{k}"
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = generator.integers(0, 60, (24, 20, 3)) + np.array(color) // 2
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    options = ["--epochs", "40", "--batch-size", "12", "--learning-rate", "5e-3"]
    folder = tmp_path / "run"
    command = ["train", *QUICK, "--images", tmp_path / "leaves", "--folder", folder]
    assert run(*command, *options) == 0
    capsys.readouterr()
    assert run("evaluate", folder, "--num-rollouts", "2") == 0
    said = capsys.readouterr().out
    assert "on 6 test images of" in said
    assert "mean       0.00 %" in said
    picture = tmp_path / "leaves/kind2/3.png"
    assert run("look", folder, picture, "--out", tmp_path / "x.html") == 0
    assert "kind2 (" in capsys.readouterr().out
    model = RecurrentAttentionModel.from_pretrained(folder)
    assert (model.config.num_channels, model.config.num_actions) == (3, 3)
    command = [*command, *options, "--epochs", "1"]
    assert run(*command, "--num-actions", "5", "--folder", tmp_path / "other") == 0
    assert run(*command, "--num-actions", "2", "--folder", tmp_path / "few") == 2
    assert "num_actions=2, but the images have" in capsys.readouterr().err


TRAIN = ["train", *QUICK]
MISTAKES = [
    ([*TRAIN, "--epochs", "0"], "epochs is 0"),
    ([*TRAIN, "--batch-size", "abc"], "batch-size"),
    ([*TRAIN, "--batch-size", "2.5"], "batch-size"),
    ([*TRAIN, "--batch-size", "1"], "batch_size is 1"),
    ([*TRAIN, "--batch-size", "9999999"], "only 1197"),
    ([*TRAIN, "--learning-rate", "nan"], "learning_rate is nan"),
    ([*TRAIN, "--learning-rate", "-1"], "learning_rate is -1"),
    ([*TRAIN, "--preset", "nope"], "nope"),
    ([*TRAIN, "--core", "transformer"], "transformer"),
    ([*TRAIN, "--identity-init", "0.5"], "core='gru' has no matrix"),
    ([*TRAIN, "--task", "moving"], "moving"),
    ([*TRAIN, "--source", "cifar"], "cifar"),
    ([*TRAIN, "--device", "abacus"], "device is 'abacus'"),
    ([*TRAIN, "--device", "meta"], "device is 'meta'"),
    ([*TRAIN, "--device", "cuda:99"], "device is 'cuda:99'"),
    ([*TRAIN, "--threads", "-1"], "threads is -1"),
    ([*TRAIN, "--seed", "99999999999999999999999"], "seed is"),
    ([*TRAIN, "--glimpse-size", "100000"], "glimpse_size is 100000"),
    ([*TRAIN, "--glimpse-size", "99999999999999999999"], "glimpse_size is 999"),
    ([*TRAIN, "--num-scales", "64"], "num_scales is 64"),
    ([*TRAIN, "--hidden-size", "10000000"], "hidden_size is 10000000"),
    ([*TRAIN, "--num-actions", "5"], "num_actions=5"),
    ([*TRAIN, "--num-channels", "3"], "num_channels=3"),
    ([*TRAIN, "--num-glimpses", "1000000000"], "num_glimpses is 1000000000"),
    ([*TRAIN, "--num-rollouts", "100000000"], "num_rollouts is 100000000"),
    ([*TRAIN, "--location-std", "1e-300"], "location_std is 1e-300"),
    ([*TRAIN, "--image-size", "60"], "plain digits are 28"),
    ([*TRAIN, "--task", "translated", "--image-size", "20"], "image_size is 20"),
    ([*TRAIN, "--task", "translated", "--image-size", "1000000"], "image_size is 1"),
    ([*TRAIN, "--task", "cluttered", "--num-patches", "100000000"], "num_patches is"),
    ([*TRAIN, "--num-rollouts", "1"], "num_rollouts is 1; set it to 2"),
    ([*TRAIN, "--step-loss", "2"], "step_loss is 2"),
    ([*TRAIN, "--images", "no/such/folder"], "no/such/folder"),
    ([*TRAIN, "--unknown", "5"], "--unknown"),
    ([*TRAIN, "--folder", "file"], "file cannot be written"),
    ([*TRAIN, "--folder", "file/below"], "file/below"),
    ([*TRAIN, "--folder", "a\0b"], "null"),
    ([*TRAIN, "--folder", "a" * 5000], "too long"),
    ([*TRAIN, "--folder", "."], "holds other files"),
    (["evaluate", "no-such-model"], "no model 'no-such-model'"),
    (["evaluate", ""], "no model ''"),
    (["evaluate", "mnist-6x8x8", "--device", "gpu"], "device is 'gpu'"),
    (["evaluate", "mnist-6x8x8", "--source", "bundled", "--seed", "-1"], "seed is -1"),
    (["evaluate", "mnist-6x8x8", "--source", "bundled", "--num-rollouts", "0"],
     "num_rollouts is 0"),
    (["look", "mnist-6x8x8", "no-such-picture.png"], "no-such-picture.png"),
    (["look", "mnist-6x8x8", "file"], "file"),
    (["plot", "no-such-run"], "no-such-run holds no metrics"),
    (["reproduce", "nope"], "nope"),
    (["nope"], "nope"),
    ([], "subcommand"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), MISTAKES, ids=lambda x: str(x)[-60:])
def test_a_mistake_ends_in_one_line(arguments, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder, nor a picture")
    assert run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert says in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def edited(name, change):
    def damage(folder):
        value = files.read_json(folder / name)
        change(value)
        files.write_json(folder / name, value)

    return damage


def rewritten(change):
    def damage(folder):
        weights = load_file(folder / files.WEIGHTS)
        save_file({k: change(v) for k, v in weights.items()}, folder / files.WEIGHTS)

    return damage


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


DAMAGE = {
    "unknown key": (edited("config.json", lambda c: c["model"].update(new=1)), "new"),
    "missing key": (edited("config.json", lambda c: c["model"].pop("core")), "core"),
    "no model": (edited("config.json", lambda c: c.pop("model")), "of another vers"),
    "a text for a number": (
        edited("config.json", lambda c: c["model"].update(hidden_size="16")),
        "hidden_size is '16'",
    ),
    "too large": (
        edited("config.json", lambda c: c["model"].update(hidden_size=10**9)),
        "hidden_size is 1000000000",
    ),
    "not JSON": (write("config.json", b"{"), "is not valid JSON"),
    "not text": (write("config.json", b"\xff\xfe"), "is not valid JSON"),
    "a number": (write("config.json", b"5"), "holds 5"),
    "no task": (edited("config.json", lambda c: c.pop("task")), "does not say which"),
    "empty weights": (write("model.safetensors", b""), "cannot be read as safet"),
    "a pickle": (write("model.safetensors", b"\x80\x04" * 50), "cannot be read as"),
    "NaN weights": (rewritten(lambda t: t * float("nan")), "holds NaN or infinity"),
    "integer weights": (rewritten(lambda t: t.long()), "is torch.int64"),
    "complex weights": (rewritten(lambda t: t.to(torch.complex64)), "complex"),
    "other shapes": (rewritten(lambda t: t[None].clone()), "of shape"),
    "no weights": (lambda d: (d / "model.safetensors").unlink(), "has no model.safe"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused_by_file(damage, broken_run, capsys):
    change, says = DAMAGE[damage]
    change(broken_run)
    assert run("evaluate", broken_run) == 2
    said = capsys.readouterr().err
    assert says in said
    assert str(broken_run) in said


def test_what_does_not_fit_in_memory_is_said_in_one_line(monkeypatch, capsys, tmp_path):
    def too_much(*arguments, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes\nmore")

    monkeypatch.setattr(cli, "train", too_much)
    assert run(*TRAIN, "--folder", tmp_path / "r") == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "make the batch, the model or the images smaller" in said[0]


def test_an_existing_run_is_refused_and_kept(run_folder, capsys):
    before = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    assert run("train", *QUICK, "--folder", run_folder) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in run_folder.iterdir()}


def test_interruptions_say_how_to_go_on_where_one_can(monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "train", interrupt)
    monkeypatch.setattr(cli, "evaluate", interrupt)
    assert run(*TRAIN) == 130
    assert "--resume" in capsys.readouterr().out
    assert run("evaluate", "mnist-6x8x8", "--source", "bundled") == 130
    assert "--resume" not in capsys.readouterr().out


# --- the experiments ------------------------------------------------------------------


def test_reproduce_trains_every_seed_tests_each_and_ships_the_first(
    tmp_path, monkeypatch, capsys
):
    model, images, train = PRESETS["digits"]
    tiny = dataclasses.replace(model, hidden_size=16, num_glimpses=2)
    short = dataclasses.replace(train, epochs=1, batch_size=400)
    preset = experiments.Preset(tiny, images, short)
    monkeypatch.setitem(cli.PRESETS, "digits", preset)
    monkeypatch.setitem(cli.EXPERIMENTS, "mnist-6x8x8", ("digits", (3, 4)))
    monkeypatch.setattr(files, "PRETRAINED", tmp_path / "pretrained")
    root = tmp_path / "runs"
    assert run("reproduce", "mnist-6x8x8", "--folder", root, "--device", "cpu",
               "--install", "--quiet") == 0  # fmt: skip
    shipped = tmp_path / "pretrained/mnist-6x8x8"
    metrics = json.loads((shipped / "metrics.json").read_text())
    assert metrics == json.loads((root / "metrics.json").read_text())
    assert [one["seed"] for one in metrics["runs"]] == [3, 4]
    found = metrics["test"]["sampled"]
    assert found["mean"] == pytest.approx(sum(found["errors"]) / 2)
    difference = abs(found["errors"][0] - found["errors"][1])
    assert found["std"] == pytest.approx(difference / 2**0.5)
    weights = [load_file(d / files.WEIGHTS) for d in (shipped, root / "seed-3")]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[1])
    again = evaluate(
        RecurrentAttentionModel.from_pretrained(shipped), images.fixed("test")
    )
    assert again["error"] == metrics["test"]["mean"]["errors"][0]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_shipped_with_a_record_that_its_weights_confirm(name):
    model = RecurrentAttentionModel.from_pretrained(name)
    found = model.metrics
    preset, seeds = EXPERIMENTS[name]
    config, images, train = PRESETS[preset]
    assert [one["seed"] for one in found["runs"]] == list(seeds)
    assert found["model"] == dataclasses.asdict(config)
    stated = dataclasses.asdict(train)
    for field in ("device", "threads", "seed"):
        stated[field] = found["train"][field]
    assert found["train"] == stated
    try:
        data = images.fixed("test")
    except DataUnavailableError:
        pytest.skip("MNIST is not to be had here")
    error = evaluate(model, data)["error"]
    assert error == pytest.approx(found["test"]["mean"]["errors"][0], abs=0.05)
