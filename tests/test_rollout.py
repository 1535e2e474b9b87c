"""The loop over glimpses, against a loop written by hand, and the worlds it runs in."""

import pytest
import torch
from test_model import RecurrentAttentionModel, assert_same, drawn, note, small
from torch.distributions import Categorical, Normal
from torch.nn.functional import one_hot

from ramlib import World, hybrid_loss
from ramlib.rollout import rollout
from ramlib.worlds.catch import Catch, CatchTask

N = 5


class Reader(RecurrentAttentionModel):
    """A model whose heads each see the state in a way of their own."""

    def read(self, hidden, head):
        return {"location": 2.0, "action": 3.0, "value": 5.0}[head] * hidden


class Walk(World):
    """Walkers: a step to the right pays 1, and who has gone three fields is gone."""

    acts = ("action",)

    def __init__(self, first):
        self.first, self.field = first, torch.arange(N) % 3
        self.told, self.been, self.steps = [], [], []

    def look(self, location):
        self.told.append("look")
        self.been.append(self.field < 3)
        return one_hot(self.field, 9) * (4 + location).sum(1, keepdim=True)

    def move(self, location, choice):
        self.told.append("move")
        return choice.sin() + (0 if location is None else 0.5 * location)

    def act(self, t, actions):
        self.told.append(f"act {t}")
        self.steps.append(actions["action"] % 2)
        self.field = self.field + self.steps[-1]

    def rewards(self):
        return torch.stack(self.steps, dim=1).double()

    def alive(self):
        return torch.stack(self.been, dim=1).double()


def by_hand(model, world, draws, T):
    """What a rollout returns: every head asked at once, at every step."""
    h, state, where = model.initial(N), None, world.first
    out = {} if where is not None else {"values": [model.value_network(h)]}
    for t in range(T):
        if where is None or t > 0:
            mean, std = model.location_network.mean(2 * h), model.config.location_std
            sample = (mean + std * draws["location"][:, t]).detach()
            where = world.move(where, sample)
            note(out, locations=where, location_samples=sample)
            note(out, location_log_probs=Normal(mean, std).log_prob(sample).sum(1))
        glimpse = world.look(where)
        state = model.core(model.glimpse_network(glimpse, where), state)
        h = model.core.hidden(state)
        logits = model.action_network.hidden_to_logits(3 * h)
        action = (logits + draws["action"][:, t]).argmax(1)
        world.act(t, {"action": action})
        note(out, looked=where, glimpses=glimpse, hidden=h, step_logits=logits)
        note(out, action_log_probs=Categorical(logits=logits).log_prob(action))
        note(out, actions=action, values=model.value_network(5 * h))
    out = {name: torch.stack(steps, dim=1) for name, steps in out.items()}
    return out | {"logits": logits, "rewards": world.rewards(), "alive": world.alive()}


@pytest.mark.parametrize("core", ["rnn", "lstm"])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("T", [1, 4])
def test_a_rollout_equals_a_loop_written_by_hand(core, given, T):
    model = small(Reader, core=core, learn_first_location=not given)
    draws = drawn(model, N, num_glimpses=T)
    worlds = [Walk(draws.get("first_location")) for _ in range(3)]
    out, hand = rollout(model, worlds[0], draws), by_hand(model, worlds[1], draws, T)
    assert isinstance(out["glimpses"], list)
    out["glimpses"] = torch.stack(out["glimpses"], dim=1)
    samples = out["location_samples"]
    assert samples.shape == (N, T - given, 2)  # perhaps none, which the loop has not
    assert_same({k: out[k] for k in hand}, hand, rtol=0, atol=1e-6, check_dtype=False)
    assert worlds[0].told == worlds[1].told
    # What was chosen can be replayed, whatever the noise.
    again = {name: torch.randn_like(noise) for name, noise in draws.items()}
    again["locations"] = torch.cat([torch.zeros(N, T, 2), samples], dim=1)[:, -T:]
    again["actions"] = out["actions"]
    replayed = rollout(model, worlds[2], again)
    replayed["glimpses"] = torch.stack(replayed["glimpses"], dim=1)
    assert_same(replayed, out)
    # The losses take it as it is, and reinforce what was done.
    hybrid_loss(out).policy.backward()
    assert model.action_network.hidden_to_logits.weight.grad.any()


def test_a_world_stands_still_unless_it_says_otherwise():
    world, place = World(), torch.tensor([[0.5, 3.0]])
    assert world.move(place, -place).tolist() == [[-0.5, -1.0]]
    assert (world.acts, world.act(0, {})) == ((), None)
    assert (world.rewards(), world.alive()) == (None, None)
    with pytest.raises(NotImplementedError):
        world.look(place)


# --- catch ----------------------------------------------------------------------------


def test_a_game_of_catch_by_hand():
    # A ball goes right to the corner, and another falls down the right edge.
    ball = torch.tensor([[0, 1, 2, 3], [3, 3, 3, 3]])
    frames = "#... .... .... ##..", ".... .#.. .... ##..", ".... .... ..#. .##."
    frames += "...# .... .... ..##", ".... ...# .... ..##", ".... .... ...# ..##"
    seen = [[float(x == "#") for x in frame.replace(" ", "")] for frame in frames]
    model = small(glimpse_size=4, num_actions=3)  # a glimpse of the whole screen
    draws = {"location": torch.zeros(2, 3, 2).double()}
    draws |= {
        "locations": draws["location"],
        "actions": torch.tensor([[0, 2, 2], [2, 1, 0]]),
    }
    first, paddle = draws["location"][:, 0], torch.tensor([0, 2])
    out = rollout(model, Catch(model.sensor, first, ball, paddle, width=2), draws)
    glimpses = torch.stack(out["glimpses"], dim=1).flatten(0, 1)
    assert torch.equal(glimpses, torch.tensor(seen).double())
    assert out["rewards"].tolist() == [[0, 0, 1], [0, 0, 0]]
    ball = torch.arange(5)[:, None].expand(5, 5)  # it is caught anywhere on the paddle
    for width, caught in ({"width": 3}, [0, 1, 1, 1, 0]), ({}, [0, 1, 0, 0, 0]):
        world = Catch(model.sensor, None, ball, torch.ones(5).long(), **width)
        assert world.rewards()[:, -1].tolist() == caught


def test_games_are_drawn_evenly_and_shared_by_the_rollouts():
    model, task = small(num_glimpses=7, num_actions=3), CatchTask(width=2, episodes=12)
    assert (len(task), task.record()["width"], CatchTask().width) == (12, 2, 1)
    generator = torch.Generator().manual_seed(1)
    batch = task.draw(model, torch.arange(2000), 2, generator)
    ball, paddle = batch["ball"], batch["paddle"]
    assert torch.equal(ball[::2], ball[1::2]) and torch.equal(paddle[::2], paddle[1::2])
    assert not torch.equal(batch["action"][::2], batch["action"][1::2])
    line = ball[:, :1] + torch.arange(8) / 7 * (ball[:, -1:] - ball[:, :1])
    assert (ball - line).abs().max() <= 0.5 and not torch.equal(ball[:, 0], ball[:, -1])
    for column, number in ((ball[:, 0], 8), (ball[:, -1], 8), (paddle, 7)):
        shares = column.bincount(minlength=number) / 4000 * number
        torch.testing.assert_close(shares, torch.ones(number), rtol=0, atol=0.3)
    assert task.world(model, batch).first is batch["first_location"]
    with torch.no_grad():  # a player who goes to the right, in the end to the wall
        model.action_network.hidden_to_logits.weight.zero_()
        model.action_network.hidden_to_logits.bias.copy_(torch.tensor([0.0, 0, 1]))
    task.prepare(model)
    generator.manual_seed(1)
    ball = task.draw(model, torch.arange(2000), 1, generator)["ball"]
    missed = 100 * (ball[:, -1] < 6).double().mean().item()
    assert task.evaluate(model, 2000) == pytest.approx(missed, abs=1e-3)
    with pytest.raises(ValueError, match="num_actions is 4 and num_glimpses 3"):
        task.prepare(small())
