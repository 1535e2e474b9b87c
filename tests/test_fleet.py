"""A fleet: each of its models learns what it would by itself."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from ramlib import RAMConfig, RecurrentAttentionModel, files, fleet, runs, training
from ramlib.evaluation import evaluate
from ramlib.experiments import PRESETS
from ramlib.losses import combine
from ramlib.rollout import rollout
from ramlib.tasks import ImageConfig, ImageTask
from ramlib.training import Trainer, mix, new_model

SMALL = RAMConfig(4, 2, 3, hidden_size=12, glimpse_hidden_size=8)
MORE = {"location_hidden_size": 5, "learn_first_location": True, "core": "lstm"}
KINDS = {"rnn": SMALL, "lstm": dataclasses.replace(SMALL, **MORE)}
KINDS["uniform"] = dataclasses.replace(SMALL, location_policy="uniform")
RULE = {"baseline": "leave-one-out", "reward": "per-step", "step_loss": 0.4}
S, M = 3, 2


def a_config(**changes):
    rule = RULE | {"num_rollouts": M, "epochs": 4, "batch_size": 300, "device": "cpu"}
    rule |= {"final_location_std": 0.1, "evaluate_every": 2, "seed": 5} | changes
    return dataclasses.replace(PRESETS["digits"].train, **rule)


def a_task():
    return ImageTask.of(ImageConfig(source="bundled"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_a_fleet_is_a_step_of_each_model(kind):
    models = [new_model(KINDS[kind], seed).double() for seed in range(S)]
    task, config = a_task(), a_config(batch_size=10, clip_norm=0.05, distillation=0.3)
    joint = fleet.FleetTrainer(fleet.join(models), task, config)
    joint.step = 150
    batch = joint.draw()
    orders = [
        torch.randperm(1197, generator=seeded(mix(5 + s, "epoch 1"))) for s in range(S)
    ]
    chosen = torch.cat([order[310:320] for order in orders])  # each model has its own
    assert torch.equal(batch["labels"], task.train.labels[chosen])
    before = [p.detach().clone() for p in joint.model.parameters()]
    joint.update(batch)
    for s, model in enumerate(models):  # alone, with its part of the batch
        one = Trainer(model, task, config)
        one.step = 150
        one.draw()  # which narrows σ
        part = {name: tensor.unflatten(0, (S, -1))[s] for name, tensor in batch.items()}
        combine(
            rollout(model, task.world(model, part), part),
            part["labels"], *RULE.values(), M, 0.3,
        ).total.backward()  # fmt: skip
        for group in one.groups:
            torch.nn.utils.clip_grad_norm_(group, 0.05)
        by_hand = [
            None if p.grad is None else p.grad.clone() for p in model.parameters()
        ]
        one.update(part)
        for p, gradient in zip(model.parameters(), by_hand, strict=True):
            torch.testing.assert_close(p.grad, gradient)
        for p, joined, old in zip(
            model.parameters(), joint.model.parameters(), before, strict=True
        ):
            if p.grad is None:  # of a policy that learns nothing
                assert kind == "uniform" and joined.grad is None
                continue
            torch.testing.assert_close(joined.grad[s], p.grad, rtol=1e-9, atol=1e-12)
            # Adam divides by a gradient's size: what is almost 0 magnifies rounding.
            torch.testing.assert_close(
                joined[s] - old[s], p - old[s], rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_fleet_in_bfloat16_goes_nearly_the_same_way(kind):
    averages = []
    for precision in ("float32", "bfloat16"):
        joined = fleet.join([new_model(KINDS[kind], seed) for seed in range(S)])
        config = a_config(precision=precision, distillation=0.3)
        trainer = fleet.FleetTrainer(joined, a_task(), config)
        for trainer.step in range(3):
            trainer.update(trainer.draw())
        assert all(p.dtype == torch.float32 for p in joined.parameters())
        averages.append(trainer.averages())
    exact, rounded = averages
    assert exact["loss"] != rounded["loss"]
    assert rounded["task"] == pytest.approx(exact["task"], rel=0.01)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_step_of_the_cells_is_that_of_each_cell():
    models = [new_model(KINDS["lstm"], seed).double() for seed in range(S)]
    core = fleet.join(models).core
    feature, h, c = (torch.randn(S * 4, 12).double() for _ in range(3))
    found = {}
    for device in ("cpu", "cuda"):
        core.to(device).zero_grad()
        state = core(feature.to(device), (h.to(device), c.to(device)))
        (state[0].sum() + 2 * state[1].sum()).backward()
        found[device] = [
            x.cpu() for x in (*state, *(p.grad for p in core.parameters()))
        ]
    torch.testing.assert_close(found["cpu"], found["cuda"])


def test_models_of_a_fleet_keep_their_names_and_come_apart_again():
    models = [new_model(KINDS["lstm"], seed) for seed in range(S)]
    joined = fleet.join(models)
    rows = fleet.rows(fleet.stacked(joined))
    for model, row in zip(models, rows, strict=True):
        own = model.state_dict()
        assert own.keys() == row.keys()
        assert all(torch.equal(own[name], row[name]) for name in own)
    assert not torch.equal(*(row["core.cell.weight_hh"] for row in rows[:2]))


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([SMALL, KINDS["lstm"]], "equal configs"),
        ([dataclasses.replace(SMALL, core="gru")] * 2, "core.cell is a GRUCell"),
        ([dataclasses.replace(SMALL, glimpse_encoder="conv")] * 2, "is a Conv2d"),
    ],
)
def test_what_cannot_be_joined_is_refused(models, says):
    with pytest.raises(ValueError, match=says):
        fleet.join([new_model(config, 0) for config in models])


@pytest.mark.parametrize("seeds", [(0, 2), (1, 0), (4, 4)])
def test_seeds_that_do_not_follow_each_other_are_refused(seeds, tmp_path):
    with pytest.raises(ValueError, match="one after another"):
        fleet.train_together(SMALL, a_task(), a_config(), seeds, tmp_path)
    assert not list(tmp_path.iterdir())


class Killed(Exception):
    pass


def test_seeds_trained_together_are_recorded_like_those_in_turn_and_resume(tmp_path):
    options = {"progress": False, "resume": True}
    whole = tmp_path / "whole"
    together = fleet.train_together(
        SMALL, a_task(), a_config(seed=0), (5, 6), whole, **options
    )
    in_turn = training.train_in_turn(
        SMALL, a_task(), a_config(seed=0), (5, 6), tmp_path / "turn", **options
    )
    lines = runs.read_metrics(whole / "fleet-5-6")
    assert [line["epoch"] for line in lines] == [2, 4]
    for s, ((model, done), (_, alone)) in enumerate(
        zip(together, in_turn, strict=True)
    ):
        assert done.keys() == alone.keys()
        assert done["train"] == alone["train"]
        assert done["about"] == {"together": 2}
        told = [
            [x["epoch"], x["train_error"], x["validation_errors"][s]] for x in lines
        ]
        assert done["curve"] == told
        epoch, _, best = min(told, key=lambda point: point[2])
        assert (done["best_epoch"], done["validation_error"]) == (epoch, best)
        assert min(alone["curve"], key=lambda point: point[2])[2] == pytest.approx(
            alone["validation_error"], abs=1e-5
        )
        saved = RecurrentAttentionModel.from_pretrained(
            whole / f"fleet-5-6/seed-{5 + s}"
        )
        assert saved.metrics["validation_error"] == done["validation_error"]
        assert_equal(saved.state_dict(), model.state_dict())
        error = evaluate(model, a_task().validation)["error"]
        assert error == pytest.approx(done["validation_error"], abs=1e-5)
    assert lines[0]["validation_error"] == pytest.approx(
        sum(lines[0]["validation_errors"]) / 2, abs=1e-5
    )

    def kill(line):
        raise Killed

    cut = tmp_path / "cut"
    with pytest.raises(Killed):
        fleet.train_together(
            SMALL,
            a_task(),
            a_config(checkpoint_every=1),
            (5, 6),
            cut,
            on_evaluation=kill,
            **options,
        )
    fleet.train_together(
        SMALL, a_task(), a_config(seed=0, checkpoint_every=1), (5, 6), cut, **options
    )
    for name in (files.WEIGHTS, runs.LAST):
        one, other = (
            load_file(whole / "fleet-5-6" / name),
            load_file(cut / "fleet-5-6" / name),
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name


def test_the_best_weights_are_kept_for_each_model_by_itself(monkeypatch):
    models = [new_model(SMALL, seed) for seed in range(2)]
    trainer = fleet.FleetTrainer(fleet.join(models), a_task(), a_config())
    told = iter([30.0, 40.0, 20.0, 50.0, 60.0, 10.0])
    monkeypatch.setattr(trainer.task, "evaluate", lambda model: next(told))
    kept, best = [], []
    for at in range(3):
        with torch.no_grad():
            for parameter in trainer.model.parameters():
                parameter.fill_(at)
        trainer.model.location_network.std.fill_(at)
        line = trainer.evaluate()
        kept.append(line["best"])
        best = [
            row["core.hidden_to_hidden.bias"][0].item()
            for row in fleet.rows(trainer.best)
        ]
    assert kept == [True, True, True]
    assert best == [1, 2]
    assert [row["location_network.std"].item() for row in fleet.rows(trainer.best)] == [
        1,
        2,
    ]
    assert line["validation_errors"] == [60.0, 10.0]
    assert trainer.best_error == 15.0
