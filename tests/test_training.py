"""Training: it learns, it resumes exactly, and it refuses what it cannot do."""

import dataclasses
import json
import math
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from ramlib import runs, training
from ramlib.data import digits
from ramlib.evaluation import evaluate
from ramlib.model import RAMConfig
from ramlib.training import PRESETS, TrainConfig, Trainer, mix, train

TINY = RAMConfig(num_glimpses=2, hidden_size=16, glimpse_hidden_size=8)
QUICK = TrainConfig(source="bundled", epochs=2, batch_size=400, device="cpu")


def small(**changes) -> TrainConfig:
    return dataclasses.replace(QUICK, **changes)


def lines_of(folder):
    text = (folder / runs.METRICS).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_it_learns_to_read_the_bundled_digits(tmp_path):
    model, config = PRESETS["digits"]
    record = train(model, config, tmp_path / "run", progress=False)
    lines = lines_of(tmp_path / "run")
    assert record["validation_error"] < 35  # guessing errs in 90 of 100
    assert lines[-1]["train_error"] < 0.5 * lines[0]["train_error"]
    best = min(line["validation_error"] for line in lines)
    assert record["validation_error"] == pytest.approx(best, abs=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(TINY, small(seed=seed), tmp_path / name, progress=False)
    a, b, c = (load_file(tmp_path / name / runs.LAST) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["model.core.glimpse_to_hidden.weight"],
                           c["model.core.glimpse_to_hidden.weight"])  # fmt: skip


def test_training_leaves_the_callers_generator_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(TINY, small(), tmp_path / "run", progress=False)
    assert torch.equal(torch.rand(3), expected)


def test_a_run_killed_at_random_moments_ends_with_the_same_weights(tmp_path):
    """A real process, killed with SIGKILL, against one that ran through."""
    command = [sys.executable, "-m", "ramlib", "train", "--preset", "digits",
               "--epochs", "40", "--evaluate-every", "9", "--checkpoint-every", "10",
               "--num-glimpses", "3", "--hidden-size", "64", "--threads", "1",
               "--device", "cpu", "--quiet", "--resume", "--folder"]  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    moments = random.Random(0)
    killed = 0
    for _ in range(3):
        before = modified(broken / runs.LAST)
        process = subprocess.Popen(
            [*command, str(broken)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while modified(broken / runs.LAST) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 2, "the run ended before it could be killed"
    subprocess.run([*command, str(broken)], check=True, capture_output=True)

    for name in (runs.LAST, runs.BEST):
        one, other = load_file(whole / name), load_file(broken / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    one, other = lines_of(whole), lines_of(broken)
    for line in one + other:
        line.pop("seconds")
    assert one == other


def modified(path):
    return path.stat().st_mtime_ns if path.exists() else None


def test_resuming_what_is_finished_changes_nothing(tmp_path):
    first = train(TINY, small(), tmp_path / "run", progress=False)
    again = train(TINY, small(), tmp_path / "run", progress=False, resume=True)
    assert again["validation_error"] == first["validation_error"]
    assert len(lines_of(tmp_path / "run")) == 2


def test_a_line_of_the_metrics_that_was_cut_off_is_dropped(tmp_path):
    folder = tmp_path / "run"
    train(TINY, small(), folder, progress=False)
    with (folder / runs.METRICS).open("a") as file:
        file.write('{"epoch": 3, "st')
    train(TINY, small(), folder, progress=False, resume=True)
    assert [line["epoch"] for line in lines_of(folder)] == [1, 2]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / runs.LAST
    runs.write_checkpoint(path, {"x": torch.ones(2)}, {"step": 1})

    def half(tensors, part, metadata):
        part.write_bytes(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(runs, "save_file", half)
    with pytest.raises(ValueError, match="disk full"):
        runs.write_checkpoint(path, {"x": torch.zeros(2)}, {"step": 2})
    tensors, progress = runs.read_checkpoint(path)
    assert progress == {"step": 1}
    assert torch.equal(tensors["x"], torch.ones(2))


def test_early_stopping_waits_for_patience(tmp_path, monkeypatch):
    errors = iter([50.0, 40.0, 45.0, 41.0, 30.0])
    monkeypatch.setattr(
        training, "evaluate", lambda *args, **how: {"error": next(errors)}
    )
    record = train(TINY, small(epochs=9, patience=2), tmp_path / "r", progress=False)
    assert [line["validation_error"] for line in lines_of(tmp_path / "r")] == [
        50.0, 40.0, 45.0, 41.0]  # fmt: skip
    assert (record["validation_error"], record["best_epoch"]) == (40.0, 2)


def test_learning_rate_and_std_follow_their_schedules():
    config = small(final_location_std=0.1, epochs=4)
    trainer = Trainer(TINY, config)  # 2 steps in an epoch, 8 in all
    for step, (rate, std) in {
        0: (1e-3, 0.2),
        4: (5e-4, 0.15),
        7: (1.25e-4, 0.1125),
    }.items():
        trainer.inputs(step)
        assert trainer.learning_rate.item() == pytest.approx(rate)
        assert trainer.location_std.item() == pytest.approx(std)
    cosine = Trainer(TINY, small(epochs=4, learning_rate_schedule="cosine"))
    cosine.inputs(2)
    assert cosine.learning_rate.item() == pytest.approx(
        1e-3 * 0.5 * (1 + math.cos(math.pi / 4))
    )
    assert cosine.location_std.item() == pytest.approx(0.2)


def test_an_epoch_shows_every_image_at_most_once():
    trainer = Trainer(TINY, small(batch_size=100))
    assert trainer.batches == 11  # of 1,197 images
    order = trainer._order(0)
    assert torch.equal(order.sort().values, torch.arange(1197))
    assert not torch.equal(order, trainer._order(1))


def test_neighbouring_seeds_and_steps_are_unrelated():
    seeds = {mix(seed, step) for seed in range(50) for step in range(50)}
    assert len(seeds) == 2500
    assert mix(0, "weights") not in seeds


@pytest.mark.parametrize("task", ["translated", "cluttered"])
def test_larger_canvases_with_every_option_train(tmp_path, task):
    canvas = {"task": task, "image_size": 40, "num_patches": 2}
    rewarded = {"baseline": "leave-one-out", "reward": "per-step", "step_loss": 0.3}
    config = small(**canvas, **rewarded, copies=3, epochs=1)
    learned = {"learn_location_std": True, "learn_first_location": True}
    model = dataclasses.replace(TINY, core="lstm", num_scales=2, **learned)
    record = train(model, config, tmp_path / "run", progress=False)
    assert 0 <= record["validation_error"] <= 100


def test_the_gradient_of_each_group_is_clipped_on_its_own():
    trainer = Trainer(TINY, small(clip_norm=1e-3))
    trainer.update_at(0)
    for group in trainer.groups:
        norm = torch.stack([p.grad.norm() for p in group]).norm()
        assert norm <= 1e-3 * (1 + 1e-4)
    assert sum(len(g) for g in trainer.groups) == len(list(trainer.model.parameters()))


def test_the_published_statistics_are_those_of_the_batch():
    trainer = Trainer(TINY, small())
    prepared, labels, draws = trainer.inputs(0)
    _, statistics = trainer.losses(prepared, labels, draws)
    out = trainer.model.read_out(
        trainer.model.rollout(prepared, draws.first_location, draws.noise), None
    )
    named = dict(zip(training.STATISTICS, statistics.tolist(), strict=True))
    wrong = (out["logits"].argmax(-1) != labels).float().mean().item()
    assert named["error"] == pytest.approx(wrong)
    assert named["reward"] == pytest.approx(1 - wrong)
    assert named["loss"] == pytest.approx(
        named["task"] + named["policy"] + named["baseline"], abs=1e-5
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_captured_step_equals_the_eager_one():
    captured = Trainer(TINY, small(device="cuda"))
    eager = Trainer(TINY, small(device="cuda"))
    eager._update = eager.update
    for step in range(4):
        captured.update_at(step)
        eager.update_at(step)
    for name, tensor in captured.tensors().items():
        torch.testing.assert_close(tensor, eager.tensors()[name], rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size is 2.5"),
        ({"copies": 0}, ValueError, "copies is 0; it must be at least 1"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan"),
        ({"final_location_std": -0.1}, ValueError, "final_location_std is -0.1"),
        ({"clip_norm": -1.0}, ValueError, "clip_norm is -1.0"),
        ({"step_loss": 1.0}, ValueError, r"step_loss is 1.0; it must lie in \[0, 1\)"),
        ({"task": "moving"}, ValueError, "task is 'moving'; choose one of"),
        ({"baseline": "best"}, ValueError, "baseline is 'best'; choose one of"),
        ({"baseline": "leave-one-out"}, ValueError, "set copies to 2 or more"),
        ({"image_size": 60}, ValueError, "plain digits are 28"),
        ({"reward": "per-step", "reward_of": "sample"}, ValueError, "reward='final'"),
    ],
)
def test_a_bad_config_is_refused_with_its_value_and_a_remedy(changes, error, says):
    with pytest.raises(error, match=says):
        small(**changes)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size is 5000, but there are only 1197"):
        Trainer(TINY, small(batch_size=5000))


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="device is 'abacus'"):
        Trainer(TINY, small(device="abacus"))


def test_a_run_is_never_overwritten_or_mixed_with_another(tmp_path):
    folder = tmp_path / "run"
    train(TINY, small(), folder, progress=False)
    before = (folder / runs.LAST).read_bytes()
    with pytest.raises(FileExistsError, match="already holds a run"):
        train(TINY, small(), folder, progress=False)
    with pytest.raises(ValueError, match="epochs was 2 and is now 3"):
        train(TINY, small(epochs=3), folder, progress=False, resume=True)
    other = dataclasses.replace(TINY, hidden_size=8)
    with pytest.raises(ValueError, match="hidden_size was 16 and is now 8"):
        train(other, small(), folder, progress=False, resume=True)
    assert (folder / runs.LAST).read_bytes() == before


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="holds other files"):
        train(TINY, small(), tmp_path, progress=False)


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="batch_size is 5000"):
        train(TINY, small(batch_size=5000), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        train(TINY, small(), tmp_path / "file" / "run", progress=False)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "other model", "text"])
def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path, damage):
    folder = tmp_path / "run"
    train(TINY, small(), folder, progress=False)
    path = folder / runs.LAST
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        save_file({"x": torch.ones(2)}, path)
    elif damage == "text":
        path.write_text("not a checkpoint")
    else:
        _, progress = runs.read_checkpoint(path)
        runs.write_checkpoint(path, {"x": torch.ones(2)}, progress)
    with pytest.raises(ValueError, match=r"last\.safetensors is (no|a) checkpoint of"):
        train(TINY, small(), folder, progress=False, resume=True)


def test_a_loss_that_is_no_longer_finite_stops_the_run(tmp_path):
    config = small(learning_rate=1e30, clip_norm=0.0, batch_size=100)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train(TINY, config, tmp_path / "run", progress=False)


# ---------------------------------------------------------------- evaluation


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Trainer(TINY, small()).model.eval()


def test_an_evaluation_does_not_depend_on_the_batch_size(model):
    data = digits("bundled", "test")
    for protocol in ("mean", "sampled", "average"):
        results = [
            evaluate(model, data, protocol=protocol, rollouts=3, batch_size=size)
            for size in (7, 300)
        ]
        assert results[0] == results[1]


def test_the_mean_protocol_is_one_pass_with_the_means(model):
    data = digits("bundled", "validation")
    draws = model.draw(len(data), torch.Generator().manual_seed(3), device="cpu")
    out = model(data.images, draws=draws, deterministic=True)
    wrong = int((out["actions"][:, 0] != data.labels).sum())
    result = evaluate(model, data, protocol="mean", seed=3)
    assert result["wrong"] == wrong
    assert result["error"] == pytest.approx(100 * wrong / len(data))


def test_the_average_protocol_averages_the_probabilities(model):
    data = digits("bundled", "validation")[:50]
    draws = model.draw(50 * 4, torch.Generator().manual_seed(0), device="cpu")
    out = model(data.images, draws=draws, copies=4)
    mean = out["logits"].softmax(-1).reshape(50, 4, 10).mean(1)
    wrong = int((mean.argmax(-1) != data.labels).sum())
    assert evaluate(model, data, protocol="average", rollouts=4)["wrong"] == wrong


def test_evaluations_name_what_is_wrong(model):
    data = digits("bundled", "test")
    with pytest.raises(ValueError, match="protocol is 'best'; choose"):
        evaluate(model, data, protocol="best")
    with pytest.raises(ValueError, match="rollouts is 0"):
        evaluate(model, data, protocol="average", rollouts=0)
    with pytest.raises(ValueError, match="batch_size is 0"):
        evaluate(model, data, batch_size=0)
