"""Training: it learns, it takes the step it says, resumes exactly, and refuses."""

import dataclasses
import functools
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import types

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

from ramlib import RAMConfig, RecurrentAttentionModel, files, runs, training
from ramlib.data import digits, fixed_set
from ramlib.evaluation import evaluate
from ramlib.experiments import PRESETS
from ramlib.rollout import rollout
from ramlib.tasks import ImageConfig, ImageTask
from ramlib.training import (
    STATISTICS,
    TrainConfig,
    Trainer,
    captured,
    dropped_rollout,
    mix,
    new_model,
    train,
)  # fmt: skip
from ramlib.worlds.catch import CatchTask

TINY = RAMConfig(num_glimpses=2, hidden_size=16, glimpse_hidden_size=8)
QUICK = TrainConfig(epochs=2, batch_size=400, device="cpu")
CPU = torch.device("cpu")


@functools.cache
def images(split):
    return digits("bundled", split)


def a_task(**changes):
    config = ImageConfig(source="bundled", **changes)
    return ImageTask(images("train"), config.fixed("validation"), config)


def small(**changes) -> TrainConfig:
    return dataclasses.replace(QUICK, **changes)


def a_trainer(model=TINY, task=None, **changes) -> Trainer:
    config = small(**changes)
    return Trainer(new_model(model, config.seed), task or a_task(), config)


def a_run(folder, model=TINY, task=None, resume=False, **changes):
    config = small(**changes)
    start = new_model(model, config.seed)
    done = train(start, task or a_task(), config, folder, resume=resume, progress=False)
    return done, runs.read_metrics(folder)


def tensors_of(folder, name=runs.LAST):
    return load_file(folder / name)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


# --- it learns ------------------------------------------------------------------------


def test_it_learns_to_read_the_bundled_digits(tmp_path):
    model, _, config = PRESETS["digits"]
    config = dataclasses.replace(config, epochs=12, evaluate_every=1, device="cpu")
    record = train(new_model(model, 0), a_task(), config, tmp_path, progress=False)
    lines = runs.read_metrics(tmp_path)
    assert record["validation_error"] < 30  # guessing errs in 90 of 100
    assert lines[-1]["train_error"] < 0.5 * lines[0]["train_error"]
    best = min(line["validation_error"] for line in lines)
    assert record["validation_error"] == pytest.approx(best, abs=1e-5)


# --- one step, by hand ----------------------------------------------------------------


@pytest.fixture
def double_precision():
    """Adam divides by the gradient's size: what is almost 0 magnifies rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_a_step_with_every_option_off_its_default_equals_one_written_by_hand(
    double_precision,
):
    config = dataclasses.replace(TINY, num_glimpses=3, identity_init=0.3)
    options = {"learning_rate": 0.02, "weight_decay": 0.3, "clip_norm": 0.05}
    options |= {"baseline": "leave-one-out", "reward": "per-step", "step_loss": 0.4}
    options |= {"num_rollouts": 3, "final_location_std": 0.1, "seed": 5}
    trainer = a_trainer(config, batch_size=100, epochs=1, **options)
    torch.manual_seed(mix(5, "weights"))
    model = RecurrentAttentionModel(config)
    trainer.step = 4  # of 11
    batch = trainer.draw()
    assert_equal(model.state_dict(), new_model(config, 5).state_dict())
    rate, std = 0.02 * 7 / 11, 0.2 + 4 / 11 * (0.1 - 0.2)
    model.location_network.std.fill_(std)
    order = torch.randperm(1197, generator=seeded(mix(5, "epoch 0")))
    chosen = order[400:500]
    data, generator = images("train"), seeded(mix(5, 4))
    draws = model.draw(300, generator)
    labels = data.labels[chosen].repeat_interleave(3)
    h, location, log_probs, logits = None, draws["first_location"], [], []
    for t in range(3):
        if t:
            mean = torch.tanh(model.location_network.hidden_to_mean(h.detach()))
            sample = (mean + std * draws["location"][:, t]).detach()
            normal = torch.distributions.Normal(mean, std)
            log_probs.append(normal.log_prob(sample).sum(-1))
            location = sample.clamp(-1, 1)
        seen = data.images[chosen].repeat_interleave(3, dim=0) / 255
        feature = model.glimpse_network(model.sensor(seen, location), location)
        h = model.core(feature, h)
        logits.append(model.action_network.hidden_to_logits(h))
    right = torch.stack([(x.argmax(-1) == labels) / 3 for x in logits], 1)  # (N, T)
    returns = right.flip(1).cumsum(1).flip(1)
    others = returns.view(100, 3, 3).sum(1, keepdim=True) - returns.view(100, 3, 3)
    advantage = (returns - (others / 2).view(300, 3))[:, :2]
    policy = -(torch.stack(log_probs, 1) * advantage).sum(1).mean()
    losses = torch.stack([cross_entropy(x, labels) for x in logits])
    task = 0.6 * losses[-1] + 0.4 * losses.mean()
    (task + policy).backward()
    for part in (model.location_network, [model.glimpse_network, model.core,
                                          model.action_network]):  # fmt: skip
        parts = [part] if isinstance(part, torch.nn.Module) else part
        numbers = [p for one in parts for p in one.parameters()]
        torch.nn.utils.clip_grad_norm_(numbers, 0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.3)
    optimizer.step()
    trainer.update(batch)
    for name, tensor in model.state_dict().items():
        if not name.startswith("value"):  # its gradient is tested with the losses
            ours = trainer.model.state_dict()[name]
            torch.testing.assert_close(ours, tensor, rtol=0, atol=1e-9, msg=name)
    averages = trainer.averages()
    assert averages["task"] == pytest.approx(task.item(), abs=1e-5)
    assert averages["policy"] == pytest.approx(policy.item(), abs=1e-5)
    assert averages["reward"] == pytest.approx(right.sum(1).mean().item(), abs=1e-6)
    wrong = (logits[-1].argmax(-1) != labels).double().mean().item()
    assert averages["error"] == pytest.approx(wrong, abs=1e-6)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_the_baseline_is_subtracted_learned_and_left_out():
    moved = {}
    for baseline in ("value", "none"):
        trainer = a_trainer(baseline=baseline, weight_decay=0.0)
        before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
        trainer.update(trainer.draw())
        moved[baseline] = trainer.model.state_dict()
    weights = "location_network.hidden_to_mean.weight"
    assert not torch.allclose(moved["value"][weights], moved["none"][weights])
    for state in moved.values():  # the value network learns in either
        name = "value_network.hidden_to_value.weight"
        assert not torch.equal(state[name], before[name])


def test_compiling_is_done_when_asked_and_changes_nothing(monkeypatch):
    asked = []

    def compile_(function, **options):
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    a_trainer()
    assert not asked
    a_trainer(compile=True)
    assert asked == [{"fullgraph": True, "dynamic": False}]
    monkeypatch.undo()
    eager, compiled = a_trainer(), a_trainer(compile=True)
    for trainer in (eager, compiled):
        trainer.update(trainer.draw())
    for name, tensor in eager.tensors().items():
        torch.testing.assert_close(
            compiled.tensors()[name], tensor, rtol=1e-4, atol=1e-5
        )


def test_dropout_drops_a_share_of_every_feature_and_keeps_the_mean():
    trainer, plain = a_trainer(dropout=0.25, epochs=4), a_trainer(epochs=4)
    batch, without = trainer.draw(), plain.draw()
    kept = batch.pop("kept")
    assert_equal(batch, without)  # nothing else is drawn otherwise
    assert kept.shape == (*batch["location"].shape[:2], TINY.hidden_size)
    assert sorted(set(kept.flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert kept.mean() == pytest.approx(1, abs=0.03)
    trainer.step = 1
    assert not torch.equal(kept, trainer.draw()["kept"])
    model, world = trainer.model, trainer.task.world(trainer.model, batch)
    out, state = dropped_rollout(model, world, batch | {"kept": kept}), None
    for t, glimpse in enumerate(out["glimpses"]):
        feature = model.glimpse_network(glimpse, out["looked"][:, t]) * kept[:, t]
        state = model.core(feature, state)
        assert torch.equal(model.core.hidden(state), out["hidden"][:, t])
    losses = [one._losses(one.draw())[0] for one in (a_trainer(dropout=0.25), plain)]
    assert not torch.equal(*losses)
    assert torch.equal(rollout(model, world, batch)["looked"], plain_looks(plain))


def plain_looks(trainer):
    batch = trainer.draw()
    world = trainer.task.world(trainer.model, batch)
    return rollout(trainer.model, world, batch)["looked"]


def test_bfloat16_rounds_the_products_and_leaves_the_weights():
    trainers = [a_trainer(precision=x) for x in ("float32", "bfloat16", "bfloat16")]
    for trainer in trainers:
        trainer.update(trainer.draw())
    exact, rounded, again = (trainer.tensors() for trainer in trainers)
    assert all(tensor.dtype == exact[name].dtype for name, tensor in rounded.items())
    assert all(torch.equal(again[name], tensor) for name, tensor in rounded.items())
    loss = exact["averages"][0], rounded["averages"][0]
    assert loss[0] != loss[1]
    torch.testing.assert_close(*loss, rtol=0.02, atol=0)  # 8 bits: 0.4 % a product


def test_labels_of_every_glimpse_are_learnt_and_their_share_that_is_wrong_counted():
    class Twice(ImageTask):
        """The class is asked for after the second and after the last glimpse."""

        def draw(self, model, chosen, M, generator):
            batch = super().draw(model, chosen, M, generator)
            asked = torch.full((len(chosen) * M, model.config.num_glimpses), -100)
            asked[:, [1, -1]] = batch["labels"].repeat_interleave(M)[:, None]
            return {**batch, "labels": asked}

    trainer = a_trainer(task=Twice(images("train"), images("validation")))
    batch = trainer.draw()
    world = trainer.task.world(trainer.model, batch)
    said = rollout(trainer.model, world, batch)["step_logits"].argmax(-1)
    asked = batch["labels"] >= 0
    wrong = (said != batch["labels"])[asked].float().mean().item()
    trainer.update(batch)
    assert trainer.averages()["error"] == pytest.approx(wrong)


def test_schedules_are_linear_and_a_constant_std_stays():
    trainer = a_trainer(final_location_std=0.1, epochs=4)  # 2 steps in an epoch
    for step, rate, std in ((0, 1e-3, 0.2), (4, 5e-4, 0.15), (7, 1.25e-4, 0.1125)):
        trainer.step = step
        trainer.draw()
        assert trainer.learning_rate.item() == pytest.approx(rate)
        assert trainer.model.location_network.std.item() == pytest.approx(std)
    constant = a_trainer(epochs=4)
    constant.step = 7
    constant.draw()
    assert constant.model.location_network.std.item() == pytest.approx(0.2)


def test_the_std_of_the_schedule_reaches_the_policy():
    chooser = dataclasses.replace(TINY, learn_first_location=True)
    trainer = a_trainer(chooser, final_location_std=1e-4, batch_size=1000, epochs=1000)
    spreads = []
    for step in (0, 999):
        trainer.step = step
        batch = trainer.draw()
        trainer.sums.zero_()
        trainer.update(batch)
        spreads.append(trainer.averages()["spread"])
    assert spreads[1] < 0.1 * spreads[0]


def test_an_epoch_shows_every_image_at_most_once_and_any_step_can_be_drawn():
    trainer = a_trainer(batch_size=100)  # 11 batches of 1,197 images
    order = trainer.order(0)
    assert torch.equal(order.sort().values, torch.arange(1197))
    assert not torch.equal(order, trainer.order(1))
    batches = []
    for step in (15, 3, 15):
        trainer.step = step
        batches.append(trainer.draw())
    assert_equal(batches[0], batches[2])
    assert not torch.equal(batches[0]["labels"], batches[1]["labels"])


def test_neighbouring_seeds_and_steps_are_unrelated():
    seeds = {mix(seed, step) for seed in range(50) for step in range(50)}
    assert len(seeds) == 2500
    assert mix(0, "weights") not in seeds
    # What every recorded run began from.
    assert mix(0, 0) == 7896617691693857887
    assert mix(7, 3) == 5093101976529578930
    assert mix(0, "weights") == 3245395985266979118


@pytest.mark.parametrize("core", ["lstm", "gru"])
@pytest.mark.parametrize("task", ["translated", "cluttered"])
def test_larger_canvases_with_every_option_train(tmp_path, task, core):
    canvas = a_task(task=task, image_size=40, num_patches=2)
    options = {"baseline": "leave-one-out", "reward": "per-step", "step_loss": 0.3}
    model = dataclasses.replace(
        TINY, core=core, num_scales=2, learn_first_location=True,
        glimpse_encoder="conv", location_hidden_size=8,
    )  # fmt: skip
    record, _ = a_run(tmp_path, model, canvas, num_rollouts=3, epochs=1, **options)
    assert 0 <= record["validation_error"] <= 100
    batch = Trainer(new_model(model, 0), canvas, small()).draw()
    assert batch["table"].shape == (400, 1, 41, 41)


@pytest.mark.parametrize("learned", [False, True])
def test_a_single_glimpse_trains_too(tmp_path, learned):
    model = dataclasses.replace(TINY, num_glimpses=1, learn_first_location=learned)
    record, lines = a_run(tmp_path, model)
    assert record["steps"] == 4
    assert all(math.isfinite(x) for x in lines[-1].values())


def test_each_group_of_parameters_is_clipped_by_itself():
    trainer = a_trainer(clip_norm=1e-3)
    trainer.update(trainer.draw())
    norms = [torch.stack([p.grad.norm() for p in g]).norm() for g in trainer.groups]
    assert all(1e-4 < norm <= 1e-3 * (1 + 1e-4) for norm in norms)
    assert sum(map(len, trainer.groups)) == len(list(trainer.model.parameters()))


# --- another world, through the same trainer ------------------------------------------


def test_catch_is_learned_from_nothing(tmp_path):
    config = RAMConfig(
        num_glimpses=7, num_actions=3, hidden_size=64, identity_init=0.5,
        glimpse_hidden_size=32, num_scales=2,
    )  # fmt: skip
    task = CatchTask(size=8, episodes=25_600)
    training = TrainConfig(
        epochs=18, batch_size=256, learning_rate=2e-3, device="cpu", evaluate_every=6
    )
    record = train(new_model(config, 0), task, training, tmp_path, progress=False)
    assert record["validation_error"] < 30  # a paddle that stays misses 7 of 8
    assert record["task"] == {"game": "catch", "size": 8, "width": 1}


def test_rollouts_of_one_game_are_compared_with_each_other():
    config = RAMConfig(num_glimpses=3, num_actions=3, hidden_size=8)
    options = small(batch_size=32, num_rollouts=3, baseline="leave-one-out")
    trainer = Trainer(new_model(config, 0), CatchTask(size=4, episodes=64), options)
    batch = trainer.draw()
    games = batch["ball"].view(32, 3, 4)
    assert torch.equal(games, games[:, :1].expand(32, 3, 4))
    assert not torch.equal(batch["location"][0], batch["location"][1])
    trainer.update(batch)
    averages = trainer.averages()
    assert 0 < averages["reward"] < 1
    assert averages["error"] == pytest.approx(1 - averages["reward"])


# --- resuming -------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        a_run(tmp_path / name, seed=seed)
    a, b, c = (tensors_of(tmp_path / name) for name in "abc")
    assert_equal(a, b)
    name = "model.core.feature_to_hidden.weight"
    assert not torch.equal(a[name], c[name])


def test_training_leaves_the_callers_generator_and_threads_alone(tmp_path):
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    handler, used = signal.getsignal(signal.SIGINT), []
    train(new_model(TINY, 0), a_task(), small(threads=threads + 1), tmp_path,
          progress=False, on_evaluation=lambda _: used.append(torch.get_num_threads())
          )  # fmt: skip
    assert torch.equal(torch.rand(3), expected)
    assert (torch.get_num_threads(), {*used}) == (threads, {threads + 1})
    assert signal.getsignal(signal.SIGINT) is handler


COMMAND = [
    sys.executable, "-m", "ramlib", "train", "--preset", "digits", "--epochs", "30",
    "--evaluate-every", "9", "--checkpoint-every", "10", "--num-glimpses", "3",
    "--hidden-size", "64", "--threads", "1", "--device", "cpu", "--quiet", "--resume",
    "--dropout", "0.1", "--folder",
]  # fmt: skip


def test_a_run_stopped_at_random_moments_ends_with_the_same_bits(tmp_path):
    """Real processes, killed and interrupted, against one that ran through."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([*COMMAND, str(whole)], check=True, capture_output=True)
    moments = random.Random(0)
    ends = []
    for how in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        before = modified(broken / runs.LAST)
        process = subprocess.Popen(
            [*COMMAND, str(broken)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        while modified(broken / runs.LAST) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(how)
        said, _ = process.communicate()
        ends.append(process.returncode)
        if how == signal.SIGINT and ends[-1]:
            assert (ends[-1], b"--resume" in said) == (130, True), said
    assert any(ends), "the run ended before it could be stopped"
    subprocess.run([*COMMAND, str(broken)], check=True, capture_output=True)
    for name in (runs.LAST, files.WEIGHTS):
        assert_equal(tensors_of(whole, name), tensors_of(broken, name))
    one, other = (runs.read_metrics(folder) for folder in (whole, broken))
    for line in one + other:
        line.pop("seconds")
    assert one == other
    assert {p.name for p in broken.iterdir()} == {p.name for p in whole.iterdir()}


def modified(path):
    return path.stat().st_mtime_ns if path.exists() else None


def test_ctrl_c_ends_after_the_step_with_a_checkpoint(tmp_path):
    def interrupt(line):
        os.kill(os.getpid(), signal.SIGINT)

    model = new_model(TINY, 0)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(model, a_task(), QUICK, tmp_path, progress=False,
              on_evaluation=interrupt)  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is before
    _, about = files.read_tensors(tmp_path / runs.LAST, tensors_of(tmp_path))
    assert about["step"] == 2
    a_run(tmp_path, resume=True)
    a_run(tmp_path.with_name("whole"))
    assert_equal(tensors_of(tmp_path), tensors_of(tmp_path.with_name("whole")))


def test_a_finished_run_stays_and_goes_on_when_more_epochs_are_asked_for(tmp_path):
    first, _ = a_run(tmp_path)
    again, lines = a_run(tmp_path, resume=True)
    assert again["validation_error"] == first["validation_error"]
    assert len(lines) == 2
    more, lines = a_run(tmp_path, resume=True, epochs=3)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert more["steps"] == 6
    assert files.read_json(tmp_path / files.CONFIG)["train"]["epochs"] == 3
    with pytest.raises(ValueError, match="epochs was 3 and is now 2"):
        a_run(tmp_path, resume=True)


def test_the_best_weights_are_those_of_the_best_evaluation(tmp_path, monkeypatch):
    errors = iter([50.0, 40.0, 40.0, 41.0])
    monkeypatch.setattr(ImageTask, "evaluate", lambda self, model: next(errors))
    kept = []

    def keep(line):
        kept.append((line["best"], tensors_of(tmp_path, files.WEIGHTS)))

    record = train(
        new_model(TINY, 0), a_task(), small(epochs=4, final_location_std=0.1), tmp_path,
        progress=False, on_evaluation=keep,
    )  # fmt: skip
    assert [best for best, _ in kept] == [True, True, False, False]
    assert (record["validation_error"], record["best_epoch"]) == (40.0, 2)
    assert_equal(tensors_of(tmp_path, files.WEIGHTS), kept[1][1])
    std = kept[1][1]["location_network.std"].item()
    assert std == pytest.approx(
        0.2 + 3 / 8 * (0.1 - 0.2)
    )  # of step 3 of 8, not the last


def test_the_best_weights_evaluate_to_their_recorded_error(tmp_path):
    record, lines = a_run(tmp_path, epochs=3, batch_size=100, learning_rate=3e-3)
    model = RecurrentAttentionModel.from_pretrained(tmp_path)
    again = evaluate(model, a_task().validation)["error"]
    assert again == record["validation_error"]
    assert model.metrics["task"]["source"] == "bundled"
    best = min(lines, key=lambda line: line["validation_error"])
    assert best["validation_error"] == pytest.approx(again, abs=1e-5)


def test_a_run_killed_between_its_weights_and_its_checkpoint_begins_again(tmp_path):
    a_run(tmp_path)
    end = tensors_of(tmp_path)
    (tmp_path / runs.LAST).unlink()
    with pytest.raises(FileExistsError, match="holds other files"):
        a_run(tmp_path)
    _, lines = a_run(tmp_path, resume=True)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert_equal(tensors_of(tmp_path), end)


def test_a_line_of_the_metrics_that_was_cut_off_is_dropped(tmp_path):
    a_run(tmp_path)
    with (tmp_path / runs.METRICS).open("a") as file:
        file.write('{"epoch": 3, "st')
    _, lines = a_run(tmp_path, resume=True)
    assert [line["epoch"] for line in lines] == [1, 2]


def test_lines_younger_than_the_checkpoint_are_written_again(tmp_path):
    a_run(tmp_path)
    with (tmp_path / runs.METRICS).open("a") as file:
        file.write('{"epoch": 3, "step": 6}\n')
    _, lines = a_run(tmp_path, resume=True, epochs=3)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all("train_loss" in line for line in lines)


# --- what is written, and when --------------------------------------------------------


def test_checkpoints_are_kept_as_often_as_asked_and_at_evaluations(tmp_path, spy):
    saved = spy(Trainer, "save", lambda trainer, *_: trainer.step)
    a_run(tmp_path, batch_size=100, epochs=2, evaluate_every=2, checkpoint_every=4)
    assert saved == [4, 8, 12, 16, 20, 22]


@pytest.fixture
def spy(monkeypatch):
    """Keep something of every call of a method."""

    def of(cls, name, what):
        kept, method = [], getattr(cls, name)

        def watched(*given, **options):
            kept.append(what(*given))
            return method(*given, **options)

        monkeypatch.setattr(cls, name, watched)
        return kept

    return of


def test_a_line_of_the_metrics_averages_the_steps_since_the_last(tmp_path, spy):
    modes = spy(ImageTask, "evaluate", lambda _, model: model.training)
    steps_modes = spy(Trainer, "draw", lambda trainer: trainer.model.training)
    record, lines = a_run(tmp_path, batch_size=200)  # 5 steps in an epoch
    assert (modes, steps_modes) == ([False] * 2, [True] * 10)
    trainer = a_trainer(batch_size=200)
    for line in lines:
        steps = []
        for _ in range(5):
            trainer.update(trainer.draw())
            trainer.step += 1
            steps.append(trainer.sums.clone())
            trainer.sums.zero_()
        mean = torch.stack(steps).mean(dim=0).tolist()
        for name, value in zip(STATISTICS[:5], mean, strict=False):
            assert line[f"train_{name}"] == pytest.approx(value, abs=1e-5)
        assert line["train_error"] == pytest.approx(100 * mean[5], abs=1e-3)
    assert record["steps"] == lines[-1]["step"] == 10


def test_the_time_of_a_run_adds_up_over_its_parts(tmp_path, monkeypatch):
    clock = types.SimpleNamespace(perf_counter=itertools.count(10.0).__next__)
    monkeypatch.setattr(training, "time", clock)  # it is read once a line and a save
    first, lines = a_run(tmp_path)
    assert [line["seconds"] for line in lines] == [1, 3]
    assert first["seconds"] == 5
    more, lines = a_run(tmp_path, resume=True, epochs=3)  # the last save was at 4
    assert [line["seconds"] for line in lines] == [1, 3, 5]
    assert more["seconds"] == 7


def test_a_run_of_one_step_is_whole(tmp_path):
    record, _ = a_run(tmp_path, batch_size=1197, epochs=1)
    loaded = RecurrentAttentionModel.from_pretrained(tmp_path)
    assert (record["steps"], loaded.metrics["train"]["epochs"]) == (1, 1)
    assert record["environment"]["torch"] == torch.__version__


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_when_wanted(tmp_path, capsys, progress):
    config = small(batch_size=100, epochs=5)  # 55 steps
    train(new_model(TINY, 0), a_task(), config, tmp_path, progress=progress)
    said = capsys.readouterr().err
    assert ("loss" in said, "/55" in said) == (progress, progress)


# --- the sets -------------------------------------------------------------------------


def test_the_three_sets_are_disjoint_and_differently_placed():
    config = ImageConfig(source="bundled", task="translated", image_size=40)
    sets = [config.load("train"), config.fixed("validation"), config.fixed("test")]
    task = ImageTask.of(config)
    assert torch.equal(task.train.images, sets[0].images)
    assert torch.equal(task.validation.images, sets[1].images)
    plain = [set(map(bytes, images(s).images.flatten(1).numpy())) for s in
             ("train", "validation", "test")]  # fmt: skip
    assert [len(p) for p in plain] == [1197, 300, 300]
    assert not (plain[0] & plain[1] or plain[0] & plain[2] or plain[1] & plain[2])
    for split, seed, made in (("validation", 1, sets[1]), ("test", 2, sets[2])):
        expected = fixed_set(images(split), "translated", 40, seed=seed)
        assert torch.equal(made.images, expected.images)


# --- what is refused, and what is lost ------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0; give a whole number from 1"),
        ({"batch_size": 1}, ValueError, "batch_size is 1; give a whole number from 2"),
        ({"batch_size": 2.5}, TypeError, "batch_size is 2.5"),
        ({"num_rollouts": 0}, ValueError, "num_rollouts is 0"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": 2**70}, ValueError, "seed is"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0; give a number"),
        ({"learning_rate": "a"}, TypeError, "learning_rate is 'a'; give a number"),
        ({"learning_rate": True}, TypeError, "learning_rate is True"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan"),
        ({"final_location_std": -0.1}, ValueError, "final_location_std is -0.1"),
        ({"clip_norm": None}, TypeError, "clip_norm is None"),
        ({"step_loss": 1.5}, ValueError, "step_loss is 1.5; give a number from 0 to 1"),
        ({"dropout": 1.0}, ValueError, "dropout is 1.0; give a number from 0 to 0.95"),
        ({"precision": "half"}, ValueError, "precision is 'half'; choose one of"),
        ({"compile": "yes"}, TypeError, "compile is 'yes'; give True or False"),
        ({"baseline": "best"}, ValueError, "baseline is 'best'; choose one of"),
        ({"baseline": "leave-one-out"}, ValueError, "set it to 2 or more"),
    ],
    ids=str,
)
def test_a_bad_config_is_refused_with_its_value_and_a_remedy(changes, error, says):
    with pytest.raises(error, match=says):
        small(**changes)


@pytest.mark.parametrize("config", [TINY, QUICK, ImageConfig()], ids=str)
def test_a_config_cannot_be_changed_behind_its_checks(config):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image_size": 60}, "plain digits are 28 × 28; choose task"),
        ({"image_size": 20, "task": "translated"}, "image_size is 20.*give 28 or more"),
        ({"task": "moving"}, "task is 'moving'; choose one of"),
        ({"num_patches": 10**6}, "num_patches is 1000000"),
    ],
    ids=str,
)
def test_images_that_cannot_be_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        ImageConfig(**changes)


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        (TINY, {"batch_size": 5000}, "batch_size is 5000, but there are only 1197"),
        (TINY, {"device": "abacus"}, "device is 'abacus'"),
        (TINY, {"device": "meta"}, "device is 'meta'"),
        (dataclasses.replace(TINY, num_actions=5), {}, "num_actions=5.*10 classes"),
        (dataclasses.replace(TINY, num_channels=3), {}, "num_channels=3.*1 channel"),
    ],
    ids=str,
)
def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path, model, changes, says):
    with pytest.raises(ValueError, match=says):
        a_run(tmp_path / "run", model, **changes)
    assert not (tmp_path / "run").exists()
    a_run(tmp_path / "run")  # and does not stand in the way of its correction


def test_a_run_is_never_overwritten_or_mixed_with_another(tmp_path):
    a_run(tmp_path)
    before = (tmp_path / runs.LAST).read_bytes()
    with pytest.raises(FileExistsError, match="already holds a run"):
        train(new_model(TINY, 0), a_task(), QUICK, tmp_path)
    others = {
        "learning_rate was 0.001 and is now 0.5": {"learning_rate": 0.5},
        "hidden_size was 16 and is now 8": {
            "model": dataclasses.replace(TINY, hidden_size=8)
        },
        "fingerprints was": {"task": ImageTask(images("test"), images("validation"))},
    }
    for says, changes in others.items():
        with pytest.raises(ValueError, match=says):
            a_run(tmp_path, resume=True, **{"batch_size": 300, **changes} if
                  "task" in changes else changes)  # fmt: skip
    assert (tmp_path / runs.LAST).read_bytes() == before
    a_run(tmp_path, resume=True, threads=1, checkpoint_every=7)  # these are free


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    def meanwhile(line):
        with pytest.raises(ValueError, match="in use by another process"):
            a_run(tmp_path, resume=True)

    train(new_model(TINY, 0), a_task(), QUICK, tmp_path, progress=False,
          on_evaluation=meanwhile)  # fmt: skip
    assert len(runs.read_metrics(tmp_path)) == 2


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="holds other files"):
        a_run(tmp_path)
    with pytest.raises(OSError, match="cannot be written"):
        a_run(tmp_path / "thesis.tex" / "run")
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def edit_config(folder, change):
    config = files.read_json(folder / files.CONFIG)
    change(config)
    files.write_json(folder / files.CONFIG, config)


DAMAGE = {
    "truncated": (
        lambda d: (d / runs.LAST).write_bytes((d / runs.LAST).read_bytes()[:-100]),
        "last.safetensors cannot be read as safetensors",
    ),
    "text": (lambda d: (d / runs.LAST).write_text("no"), "cannot be read as safetens"),
    "foreign": (
        lambda d: save_file({"x": torch.ones(2)}, d / runs.LAST),
        "is of another model: averages is missing",
    ),
    "nan": (
        lambda d: rewrite(d, lambda x: x * math.nan),
        "averages holds NaN|holds NaN or infinity",
    ),
    "integers": (lambda d: rewrite(d, lambda x: x.long()), "is torch.int64"),
    "shape": (lambda d: rewrite(d, lambda x: x[None]), "of shape"),
    "no progress": (
        lambda d: files.write_tensors(d / runs.LAST, tensors_of(d), {}),
        "no checkpoint of this run: {}",
    ),
    "far progress": (
        lambda d: files.write_tensors(
            d / runs.LAST,
            tensors_of(d),
            {"step": 10**9, "seconds": 1.0, "best_error": 1.0, "best_epoch": 1},
        ),
        "no checkpoint of this run: .*1000000000",
    ),
    "metrics": (
        lambda d: (d / runs.METRICS).write_text('{"epoch": 1}\n'),
        "metrics.jsonl, line 1, is no line of metrics",
    ),
    "binary metrics": (
        lambda d: (d / runs.METRICS).write_bytes(b"\xff\xfe\n"),
        "metrics.jsonl, line 1, is no line of metrics",
    ),
    "config": (
        lambda d: (d / files.CONFIG).write_text("{"),
        "config.json is not valid",
    ),
    "config list": (lambda d: (d / files.CONFIG).write_text("[1]"), "holds \\[1\\]"),
    "missing key": (
        lambda d: edit_config(d, lambda c: c["train"].pop("step_loss")),
        "step_loss was None and is now 0.0",
    ),
}


def rewrite(folder, change):
    tensors = {k: change(v).contiguous() for k, v in tensors_of(folder).items()}
    about = {"step": 4, "seconds": 1.0, "best_error": 1.0, "best_epoch": 1}
    save_file(tensors, folder / runs.LAST, {"about": json.dumps(about)})


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, damage):
    a_run(tmp_path)
    change, says = DAMAGE[damage]
    change(tmp_path)
    with pytest.raises(ValueError, match=says):
        a_run(tmp_path, resume=True)


@pytest.mark.parametrize("every", [1, 10, 500])
def test_what_has_diverged_is_never_kept(tmp_path, every):
    options = {"learning_rate": 1e6, "clip_norm": 0.0, "batch_size": 100, "epochs": 20}
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        a_run(tmp_path, checkpoint_every=every, weight_decay=1e6, **options)
    for path in tmp_path.glob("*.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / runs.LAST
    like = {"x": torch.ones(2)}
    files.write_tensors(path, like, {"step": 1})

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"last.safetensors cannot be written: no space"):
        files.write_tensors(path, {"x": torch.zeros(2)}, {"step": 2})
    tensors, about = files.read_tensors(path, like)
    assert about == {"step": 1}
    assert torch.equal(tensors["x"], torch.ones(2))
    assert path.stat().st_mode & 0o044 == 0o044  # others may read it
    assert [one.name for one in tmp_path.iterdir()] == [runs.LAST]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_on_a_gpu_the_captured_step_equals_the_eager_one(precision):
    options = {"device": "cuda", "precision": precision}
    ours, eager = a_trainer(**options), a_trainer(**options)
    assert ours.update.__qualname__.startswith(captured.__name__)
    for _ in range(4):
        ours.update(ours.draw())
        eager._update(eager.draw())
        ours.step, eager.step = ours.step + 1, eager.step + 1
    for name, tensor in ours.tensors().items():
        torch.testing.assert_close(tensor, eager.tensors()[name], rtol=1e-4, atol=1e-6)
