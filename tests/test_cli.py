"""The command line: options, presets, resuming, and mistakes that end in one line."""

import dataclasses
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ramlib import (
    RAMConfig,
    RecurrentAttentionModel,
    cli,
    experiments,
    files,
    pretrained_names,
)
from ramlib.data import DataUnavailableError
from ramlib.evaluation import PROTOCOLS, evaluate
from ramlib.experiments import EXPERIMENTS, PRESETS, Experiment, Preset
from ramlib.rivals import Rival, RivalConfig
from ramlib.rivals import evaluate as evaluate_rival
from ramlib.runs import LAST, read_metrics
from ramlib.tasks import ImageConfig
from ramlib.training import TrainConfig

QUICK = ["--preset", "digits", "--epochs", "1", "--batch-size", "400", "--hidden-size",
         "16", "--num-glimpses", "2", "--device", "cpu", "--quiet"]  # fmt: skip
TRAIN = ["train", *QUICK]


def run(*arguments) -> int:
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:  # refused while the options were read
        return stop.code


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "quick"
    assert run(*TRAIN, "--folder", folder) == 0
    return folder


@pytest.fixture
def a_copy(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_field_of_the_configs_is_an_option(capsys):
    assert run("train", "--help") == 0
    said = capsys.readouterr().out
    for config in (RAMConfig, ImageConfig, TrainConfig):
        for field in dataclasses.fields(config):
            assert f"--{field.name.replace('_', '-')}" in said


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_the_defaults_and_options_override_them(preset):
    options = cli.parse(["train", "--preset", preset, "--seed", "7"]).keywords
    model, images, train = PRESETS[preset]
    assert (options["model"], options["images"]) == (model, images)
    assert options["train"] == dataclasses.replace(train, seed=7)


@pytest.mark.parametrize("core", [["--core", "gru"], ["--core=lstm"], ["--use-lstm"]])
def test_another_core_leaves_out_what_only_the_first_has(core):
    model = cli.parse(["train", "--preset", "mnist", *core]).keywords["model"]
    assert PRESETS["mnist"].model.identity_init and model.identity_init == 0
    assert model.core != "rnn"


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


def test_resuming_takes_the_options_of_the_run(a_copy, capsys):
    again = ["train", "--resume", "--quiet", "--folder", str(a_copy)]
    assert cli.parse(again).keywords["train"].epochs == 1
    assert run(*again) == run(*again, "--preset", "digits") == 0
    assert run(*again, "--preset", "mnist") == 2
    assert "was begun with --preset digits, not mnist" in capsys.readouterr().err
    assert run(*again, "--epochs", "2") == 0
    assert [line["epoch"] for line in read_metrics(a_copy)] == [1, 2]


def test_a_run_keeps_to_the_digits_that_auto_found_at_its_start(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMLIB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:9/"])
    folder = tmp_path / "run"
    assert run(*TRAIN, "--source", "auto", "--folder", folder) == 0
    again = cli.parse(["train", "--resume", "--folder", str(folder)])
    assert again.keywords["images"].source == "bundled"


@pytest.mark.parametrize(
    ("ending", "begins"), [("html", b"<div"), ("gif", b"GIF8"), ("png", b"\x89PNG")]
)
def test_a_model_is_seen_looking(run_folder, tmp_path, capsys, ending, begins):
    dark = np.full((40, 28, 3), 255, np.uint8)
    dark[8:32, 12:16] = 0  # a one on white
    Image.fromarray(dark).save(tmp_path / "dark.png")
    Image.fromarray(255 - dark).save(tmp_path / "bright.png")
    out, seen = tmp_path / f"look.{ending}", []
    for name, *invert in ["bright.png"], ["dark.png", "--invert"]:
        assert run("look", run_folder, tmp_path / name, *invert, "--out", out) == 0
        assert f"{out}: " in capsys.readouterr().out
        seen.append(out.read_bytes())
    assert seen[0] == seen[1]
    assert seen[0].startswith(begins)
    assert run("look", run_folder, "--out", out, "--seed", "1") == 0


def test_how_a_run_went_is_drawn(run_folder, tmp_path):
    assert run("plot", run_folder, "--out", tmp_path / "curves.svg") == 0
    assert "<svg" in (tmp_path / "curves.svg").read_text()


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


SHIPPED = ["mnist-6x8x8", "--source", "bundled"]
MISTAKES = [
    ([*TRAIN, "--epochs", "0"], "epochs is 0"),
    ([*TRAIN, "--batch-size", "abc"], "batch-size"),
    ([*TRAIN, "--batch-size", "2.5"], "batch-size"),
    ([*TRAIN, "--preset", "nope"], "nope"),
    ([*TRAIN, "--core", "transformer"], "transformer"),
    ([*TRAIN, "--task", "moving"], "moving"),
    ([*TRAIN, "--source", "cifar"], "cifar"),
    ([*TRAIN, "--threads", "-1"], "threads is -1"),
    ([*TRAIN, "--num-rollouts", "100000000"], "num_rollouts is 100000000"),
    ([*TRAIN, "--task", "translated", "--image-size", "1000000"], "image_size is 1"),
    ([*TRAIN, "--images", "no/such/folder"], "no/such/folder"),
    ([*TRAIN, "--unknown", "5"], "--unknown"),
    ([*TRAIN, "--folder", "file"], "file cannot be written"),
    ([*TRAIN, "--folder", "file/below"], "file/below"),
    ([*TRAIN, "--folder", "a\0b"], "null"),
    ([*TRAIN, "--folder", "a" * 5000], "too long"),
    ([*TRAIN, "--folder", "."], "holds other files"),
    (["evaluate", ""], "no model ''"),
    (["evaluate", *SHIPPED, "--device", "gpu"], "device is 'gpu'"),
    (["evaluate", *SHIPPED, "--seed", "-1"], "seed is -1"),
    (["look", *SHIPPED, "--seed", "-1"], "seed is -1"),
    (["look", *SHIPPED, "--out", "look.txt"], "end it in .html, .gif or .png"),
    (["look", "mnist-6x8x8", "no-such-picture.png"], "no-such-picture.png"),
    (["look", "mnist-6x8x8", "file"], "file"),
    (["plot", "no-such-run"], "no-such-run holds no metrics"),
    (["reproduce", "nope"], "nope"),
    (["nope"], "nope"),
    ([], "subcommand"),
]


@pytest.mark.parametrize(("arguments", "says"), MISTAKES, ids=lambda x: str(x)[-60:])
def test_a_mistake_ends_in_one_line(arguments, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder, nor a picture")
    assert run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert says in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


DAMAGE = [
    ("config.json", b'"core"', b'"bore"', "does not know bore, core"),
    ("config.json", b'"model"', b'"mode"', "of another version"),
    ("config.json", b'_size": 16', b'_size": 1000000000', "hidden_size is 1000000000"),
    ("config.json", b"{", b"", "is not valid JSON"),
    ("config.json", b'"task"', b'"tusk"', "does not say which"),
    ("model.safetensors", b"{", b"", "cannot be read as safetensors"),
]


@pytest.mark.parametrize(("name", "old", "new", "says"), DAMAGE)
def test_a_damaged_model_is_refused_by_file(name, old, new, says, a_copy, capsys):
    (a_copy / name).write_bytes((a_copy / name).read_bytes().replace(old, new))
    assert run("evaluate", a_copy) == 2
    said = capsys.readouterr().err
    assert says in said
    assert str(a_copy) in said
    if name == files.CONFIG:
        assert run("train", "--resume", "--folder", a_copy) == 2
        assert str(a_copy / name) in capsys.readouterr().err


def test_a_run_without_weights_is_begun_again_and_not_evaluated(a_copy, capsys):
    """One that was killed before its first checkpoint."""
    for resume in ([], ["--resume"]):
        (a_copy / LAST).unlink()
        (a_copy / files.WEIGHTS).unlink()
        assert run("evaluate", a_copy) == 2
        assert "has no model.safetensors" in capsys.readouterr().err
        assert run(*TRAIN, "--folder", a_copy, *resume) == 0
        assert [line["epoch"] for line in read_metrics(a_copy)] == [1]


FOREIGN = ['{"model": "T", "year": 1908}', '["model", "train"]', "model and train"]
FOREIGN = [("config.json", text) for text in FOREIGN] + [("metrics.jsonl", "")]


@pytest.mark.parametrize(("name", "text"), FOREIGN)
def test_a_file_of_something_else_is_not_taken_for_a_runs(name, text, tmp_path, capsys):
    (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    for resume in ([], ["--resume"]):
        assert run(*TRAIN, "--folder", tmp_path, *resume) == 2
        assert "holds other files" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_an_existing_run_is_refused_and_kept(run_folder, capsys):
    before = contents(run_folder)
    assert run(*TRAIN, "--folder", run_folder) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert contents(run_folder) == before


ENDS = [
    (KeyboardInterrupt(), 130, "interrupted; go on with --resume"),
    (FloatingPointError("it has diverged"), 3, "ramlib: it has diverged"),
    (RuntimeError("no memory: 9 bytes\nmore"), 2, "no memory: 9 bytes; make the batch"),
    (
        MemoryError(),
        2,
        "out of memory; make the batch, the model or the images smaller",
    ),
]


@pytest.mark.parametrize(("error", "code", "says"), ENDS, ids=repr)
def test_how_a_command_ended_is_said_in_a_line(error, code, says, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("ramlib.training.train", fail)
    monkeypatch.setattr("ramlib.evaluation.evaluate", fail)
    assert run(*TRAIN) == code
    said = "".join(capsys.readouterr()).strip().splitlines()
    assert len(said) == 1
    assert says in said[0]
    assert run("evaluate", *SHIPPED) == code
    assert "--resume" not in capsys.readouterr().out


# --- the experiments ------------------------------------------------------------------


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """An experiment of seconds, with seeds 3, 4 and 5; where it is shipped to."""
    model, images, train = PRESETS["digits"]
    tiny = dataclasses.replace(model, hidden_size=16, num_glimpses=2)
    short = dataclasses.replace(train, epochs=1, batch_size=400, evaluate_every=1)
    small = Preset(tiny, images, short)
    whole = Experiment(small, (3, 4, 5), ships=True)
    monkeypatch.setitem(EXPERIMENTS, "mnist-6x8x8", whole)
    monkeypatch.setattr(files, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setattr(experiments, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pretrained/mnist-6x8x8"


REPRODUCE = ("reproduce", "mnist-6x8x8", "--device", "cpu", "--install", "--quiet")


def test_reproduce_trains_every_seed_tests_each_and_ships_the_best(experiment, capsys):
    assert run(*REPRODUCE) == 0
    metrics, root = (
        files.read_json(experiment / "metrics.json"),
        Path("runs/mnist-6x8x8"),
    )
    assert metrics == files.read_json(root / "metrics.json")
    assert [one["seed"] for one in metrics["runs"]] == [3, 4, 5]
    found = metrics["test"]["sampled"]
    assert found["mean"] == pytest.approx(sum(found["errors"]) / 3)
    assert found["std"] == pytest.approx(np.std(found["errors"], ddof=1))
    best = min(metrics["runs"], key=lambda one: one["validation_error"])
    assert metrics["shipped"] == best["seed"]
    weights = [
        load_file(d / files.WEIGHTS)
        for d in (experiment, root / f"seed-{best['seed']}")
    ]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[1])
    test = EXPERIMENTS["mnist-6x8x8"].preset.images.fixed("test")
    again = RecurrentAttentionModel.from_pretrained(experiment)
    assert evaluate(again, test)["error"] == best["test"]["mean"]["error"]
    for one in metrics["runs"]:
        error = one["validation_error"]
        [(epoch, _, last)] = one["curve"]
        assert (epoch, last) == (1, pytest.approx(error, abs=1e-5))
    assert f"weights of seed {best['seed']}" in capsys.readouterr().out


def test_seeds_can_be_recorded_one_after_another(experiment, capsys):
    assert run(*REPRODUCE, "--folder", "whole") == 0
    expected = files.read_json(experiment / "metrics.json")
    weights = load_file(experiment / files.WEIGHTS)
    shutil.rmtree(experiment)
    best = expected["shipped"]  # first, so that its weights have to be kept
    assert run(*REPRODUCE, "--seeds", best) == 0
    assert run(*REPRODUCE, "--seeds", *({3, 4, 5} - {best})) == 0
    found = files.read_json(experiment / "metrics.json")
    for record in (found, expected):  # all else is the same
        for one in record["runs"]:
            del one["seconds"]
    assert found == expected
    shipped = load_file(experiment / files.WEIGHTS)
    assert all(torch.equal(shipped[key], weights[key]) for key in weights)
    capsys.readouterr()
    assert run(*REPRODUCE, "--seeds", 6) == 2
    assert "seeds are [6], not of (3, 4, 5)" in capsys.readouterr().err
    # not beside what was trained in another way
    known = EXPERIMENTS["mnist-6x8x8"]
    longer = dataclasses.replace(known.preset.train, epochs=2)
    other = known._replace(preset=known.preset._replace(train=longer))
    EXPERIMENTS["mnist-6x8x8"] = other
    assert run(*REPRODUCE, "--seeds", 4, "--folder", "longer") == 2
    assert "was recorded with another train" in capsys.readouterr().err
    assert files.read_json(experiment / "metrics.json")["runs"] != []


def test_a_record_that_does_not_fit_is_refused_before_the_training(experiment, capsys):
    assert run(*REPRODUCE, "--seeds", 3) == 0
    before = contents(experiment)
    for part in ("train", "task"):
        found = files.read_json(experiment / "metrics.json")
        files.write_json(experiment / "metrics.json", found | {part: {"epochs": 9}})
        assert run(*REPRODUCE, "--seeds", 4, "--folder", "other") == 2
        assert f"was recorded with another {part}" in capsys.readouterr().err
        files.write_json(experiment / "metrics.json", found)
    del found["shipped"]
    files.write_json(experiment / "metrics.json", found)
    assert run(*REPRODUCE, "--seeds", 4, "--folder", "other") == 2
    assert "lacks {'shipped'}" in capsys.readouterr().err
    assert not Path("other").exists()
    assert contents(experiment).keys() == before.keys()


@pytest.mark.parametrize("ships", [True, False])
def test_on_a_gpu_the_seeds_are_trained_side_by_side(experiment, monkeypatch, ships):
    known = EXPERIMENTS["mnist-6x8x8"]
    model = dataclasses.replace(known.preset.model, core="rnn")  # a GRU cannot
    preset = known.preset._replace(model=model)
    EXPERIMENTS["mnist-6x8x8"] = Experiment(preset, (3, 4), ships)

    def choose(device):
        return types.SimpleNamespace(type="cuda")

    one_of_ours = types.SimpleNamespace(**vars(files) | {"choose_device": choose})
    monkeypatch.setattr(cli, "files", one_of_ours)
    assert run(*REPRODUCE) == 0
    found = files.read_json(experiment / "metrics.json")
    assert [one["about"]["together"] for one in found["runs"]] == [2, 2]
    made = [path.name for path in Path("runs/mnist-6x8x8").iterdir() if path.is_dir()]
    assert made == ["fleet-3-4"]
    assert (experiment / files.WEIGHTS).is_file() == ships
    shutil.rmtree(experiment)
    assert experiments.state("mnist-6x8x8") == "fleet-3-4: epoch 1 of 1"


def test_a_rival_is_reproduced_and_recorded(experiment, capsys):
    images = EXPERIMENTS["mnist-6x8x8"].preset.images
    small = Preset(RivalConfig("connected", 8), images, TrainConfig(1, 400))
    EXPERIMENTS["mnist-6x8x8"] = Experiment(small, (0, 1))
    assert run(*REPRODUCE) == 0
    assert [path.name for path in experiment.iterdir()] == ["metrics.json"]
    found = files.read_json(experiment / "metrics.json")
    model = Rival.from_pretrained(Path("runs/mnist-6x8x8/seed-1"))
    error = evaluate_rival(model, images.fixed("test"))["error"]
    assert found["test"].keys() == {"mean"}
    assert found["test"]["mean"]["errors"][1] == error
    assert "mnist-6x8x8: recorded" in capsys.readouterr().out


def test_the_state_of_every_experiment_is_listed(experiment, capsys):
    def said():
        assert run("reproduce", "--list") == 0
        lines = capsys.readouterr().out.splitlines()
        states = dict(line.split(maxsplit=1) for line in lines)
        assert [*states] == [*EXPERIMENTS]
        return states["mnist-6x8x8"]

    assert said() == "not begun"
    assert run(*REPRODUCE[:-2], "--quiet") == 0
    capsys.readouterr()
    assert said() == "; ".join(f"seed-{seed}: epoch 1 of 1" for seed in (3, 4, 5))
    assert run(*REPRODUCE) == 0
    capsys.readouterr()
    errors = files.read_json(experiment / "metrics.json")["test"]["mean"]
    expected = f"{errors['mean']:.2f} ± {errors['std']:.2f} %"
    assert said() == f"{expected} (recorded: seeds 3, 4, 5)"


@pytest.mark.parametrize("name", pretrained_names())
def test_what_is_shipped_has_a_record_that_its_weights_confirm(name):
    model = RecurrentAttentionModel.from_pretrained(name)
    found = model.metrics
    (config, images, train), seeds, ships = EXPERIMENTS[name]
    assert ships
    recorded = [one["seed"] for one in found["runs"]]
    assert recorded == list(seeds[: len(recorded)])
    assert found["model"] == dataclasses.asdict(config)
    stated = dataclasses.asdict(train)
    for field in ("device", "threads", "seed"):
        stated[field] = found["train"][field]
    assert found["train"] == stated
    images = dataclasses.replace(images, source=found["task"]["source"])
    try:
        data = images.fixed("test")
    except DataUnavailableError:
        pytest.skip("MNIST is not to be had here")
    error, of_shipped = evaluate(model, data)["error"], recorded.index(found["shipped"])
    errors = found["test"]["mean"]["errors"]
    assert error == pytest.approx(errors[of_shipped], abs=0.05)
    error = evaluate(model.half().float(), data)["error"]
    assert error == pytest.approx(found["half_precision"]["error"], abs=0.05)
