"""Evaluation: every protocol is what it says, on any device and in any batches."""

import dataclasses
import math

import pytest
import torch
from test_training import TINY, a_trainer, images, seeded

from ramlib.evaluation import evaluate
from ramlib.training import new_model


@pytest.fixture(scope="module")
def model():
    trainer = a_trainer(learning_rate=0.01, batch_size=100, epochs=4)
    for step in range(trainer.total_steps):
        trainer.step = step
        trainer.update(trainer.draw())
    trainer.model.location_network.hidden_to_mean.weight.data *= 5  # it moves about
    return trainer.model.eval()


def test_an_evaluation_says_what_it_measured(model):
    data = images("test")
    found = evaluate(model, data)
    stated = {"protocol": "mean", "count": 300, "seed": 0}
    assert found == {**stated, "error": found["wrong"] / 3, "wrong": found["wrong"]}
    found = evaluate(model, data, protocol="average", seed=1)
    assert (found["seed"], found["num_rollouts"]) == (1, 10)
    assert evaluate(model, data[:7], protocol="average", batch_size=2)["count"] == 7


def test_an_evaluation_does_not_depend_on_the_batch_size(model):
    for protocol in ("mean", "sampled", "average"):
        results = [
            evaluate(
                model, images("test"), protocol=protocol, num_rollouts=3, batch_size=n
            )
            for n in (7, 300)
        ]
        assert results[0] == results[1]


def test_every_protocol_is_what_it_says(model):
    data = images("validation")
    draws = model.draw(len(data), seeded(3)) | {"action": torch.zeros(300, 2, 10)}
    for protocol, deterministic in (("mean", True), ("sampled", False)):
        out = model(data.images, draws=draws, deterministic=deterministic)
        wrong = int((out["logits"].argmax(-1) != data.labels).sum())
        result = evaluate(model, data, protocol=protocol, seed=3)
        assert result["wrong"] == wrong
        assert result["error"] == pytest.approx(100 * wrong / 300)
    draws = model.draw(1200, seeded(0)) | {"action": torch.zeros(1200, 2, 10)}
    out = model(data.images, draws=draws, num_rollouts=4)
    mean = out["logits"].softmax(-1).reshape(300, 4, 10).mean(1)
    wrong = int((mean.argmax(-1) != data.labels).sum())
    result = evaluate(model, data, protocol="average", num_rollouts=4)
    assert result["wrong"] == wrong
    assert evaluate(model, data, num_glimpses=1) != evaluate(model, data)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"protocol": "best"}, ValueError, "protocol is 'best'; choose"),
        ({"protocol": "average", "num_rollouts": 0}, ValueError, "num_rollouts is 0"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"num_glimpses": 0}, ValueError, "num_glimpses is 0"),
        ({"num_glimpses": 2.5}, TypeError, "num_glimpses is 2.5"),
        ({"seed": "x"}, TypeError, "seed is 'x'"),
        ({"seed": 2**64}, ValueError, "seed is"),
        ({"data": (1, 2)}, TypeError, r"data is \(1, 2\); give a ramlib.data.Images"),
    ],
    ids=str,
)
def test_evaluations_name_what_is_wrong(model, options, error, says):
    options = {"data": images("test"), **options}
    with pytest.raises(error, match=says):
        evaluate(model, **options)


def test_a_model_that_gives_nan_or_does_not_fit_has_no_error():
    broken = new_model(TINY, 0)
    broken.core.feature_to_hidden.bias.data[0] = math.nan
    with pytest.raises(ValueError, match="weights hold NaN"):
        evaluate(broken, images("test"))
    few = new_model(dataclasses.replace(TINY, num_actions=5), 0)
    with pytest.raises(ValueError, match="labels span"):
        evaluate(few, images("test"))
    colour = new_model(dataclasses.replace(TINY, num_channels=3), 0)
    with pytest.raises(ValueError, match="3 channel"):
        evaluate(colour, images("test"))


def test_a_uniform_policy_has_no_mean_to_aim_at(model):
    uniform = new_model(dataclasses.replace(TINY, location_policy="uniform"), 0).eval()
    uniform.load_state_dict(model.state_dict())
    data = images("test")
    aimed, thrown = (evaluate(uniform, data, protocol=p) for p in ("mean", "sampled"))
    assert aimed["wrong"] == thrown["wrong"]
    draws = uniform.draw(300, seeded(0)) | {"action": torch.zeros(300, 2, 10)}
    at_the_centre = uniform(data.images, draws=draws, deterministic=True)
    assert aimed["wrong"] != (at_the_centre["logits"].argmax(-1) != data.labels).sum()
