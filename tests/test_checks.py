"""Every refusal of bad input: what kind of error, and what its message must name."""

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from test_model import drawn, small, some_images

from ramlib import RAMConfig, RecurrentAttentionModel, checks, losses
from ramlib.files import to_json
from ramlib.networks import (
    ActionNetwork,
    CoreNetwork,
    GlimpseNetwork,
    LocationNetwork,
    ValueNetwork,
)
from ramlib.sensor import GlimpseSensor, retina_boxes, to_locations, to_pixels

NAN, INF = math.nan, math.inf
MODEL, LEARNED = small(), small(learn_first_location=True)
U8, ONES, XY, C = some_images(), torch.ones(4, 7, 9), torch.zeros(4, 2), torch.arange(4)
DRAWS, OUT = drawn(MODEL, 4), MODEL(U8, generator=0, num_rollouts=2)
CONFIG = dataclasses.asdict(MODEL.config)
load = RecurrentAttentionModel.from_pretrained


def model(images=U8, **how):
    return MODEL(images, **how)


def loss(labels=C, out=OUT, **how):
    return losses.hybrid_loss(out, labels, **how)


def loo(num_rollouts):
    return losses.leave_one_out(torch.zeros(4, 2), num_rollouts)


# Values of the wrong kind, and values out of range, for settings of one kind.
WHOLE = ["8", 8.0, True, None, []], [0, -8, 2**70]
NUMBER = ["0.2", "a", None, True, 1j], [NAN, INF, -1, 1e30]
FLAG = ["false", "no", 1, None], []
WORD = [], ["best", "LSTM", None, [1]]
ROWS = []


def refuse(error, call, words, *values):
    """Add a row for each value; | divides the words that the message must hold."""
    for v in values:
        shape = tuple(getattr(v, "shape", ()))
        said = words.format(v=v, type=type(v).__name__, shape=shape)
        ROWS.append(pytest.param(call, v, error, said.split("|"), id=said))


wrong, bad = (functools.partial(refuse, error) for error in (TypeError, ValueError))


def give(call, name):
    return lambda value: call(**{name: value})


def settings(call, names, kinds, ranges):
    for name in names.split():
        wrong(give(call, name), f"{name} is {{v!r}}", *kinds)
        bad(give(call, name), f"{name} is {{v!r}}", *ranges)


settings(RAMConfig, "glimpse_size num_channels num_scales num_glimpses", *WHOLE)
settings(RAMConfig, "hidden_size num_actions", *WHOLE)
settings(RAMConfig, "glimpse_hidden_size location_hidden_size", [1.5], [-1, 10**7])
settings(RAMConfig, "glimpse_size num_channels num_glimpses hidden_size", [], [10**7])
settings(RAMConfig, "num_scales", [], [13, 33, 64])
settings(RAMConfig, "location_std identity_init", *NUMBER)
settings(RAMConfig, "location_std", [], [0, 1e-300])
settings(RAMConfig, "learn_first_location use_lstm", *FLAG)
settings(RAMConfig, "core glimpse_encoder", *WORD)
settings(GlimpseSensor, "glimpse_size num_scales num_channels", *WHOLE)
sizes = "glimpse_size num_planes glimpse_hidden_size hidden_size"
settings(GlimpseNetwork, sizes, *WHOLE)
settings(GlimpseNetwork, "encoder", *WORD)
for network in (CoreNetwork, LocationNetwork, ValueNetwork, ActionNetwork):
    settings(network, "hidden_size", *WHOLE)
settings(ActionNetwork, "num_actions", *WHOLE)
settings(CoreNetwork, "identity_init", *NUMBER)
settings(CoreNetwork, "core", *WORD)
settings(LocationNetwork, "location_std", *NUMBER)
settings(LocationNetwork, "location_hidden_size", [1.5], [-3])
settings(model, "num_rollouts", *WHOLE)
settings(MODEL.draw, "num_episodes", *WHOLE)
settings(functools.partial(MODEL.draw, 2), "num_glimpses", ["3"], [0, -1])
settings(model, "num_glimpses generator", ["3", 1.5, True], [-1, 2**64])
settings(model, "deterministic", *FLAG)
settings(loss, "baseline reward", *WORD)
settings(loss, "step_loss", *NUMBER)
settings(loss, "num_rollouts", ["8", 8.0, True, []], WHOLE[1])
bad(give(loss, "num_rollouts"), "num_rollouts is 3|2 episodes", 3)
settings(loo, "num_rollouts", WHOLE[0], [0, 1, 3])
bad(lambda v: load("mnist-6x8x8", v), "device is {v!r}", "gpu", "cuda:99", "meta", 5)


def dense(call, name, tensor):
    wrong(call, f"{name}|complex", tensor * 1j)
    wrong(call, f"{name}|sparse", tensor.to_sparse())
    bad(call, f"{name}|meta|.to(device)", tensor.to("meta"))


def places(call, name, tensor):
    dense(call, name, tensor)
    wrong(call, f"{name}|list", tensor.tolist())
    bad(call, f"{name}|{{shape}}", tensor.expand(9, *tensor.shape))
    bad(call, f"{name}|NaN", tensor * NAN, tensor + INF)


for call in (MODEL, MODEL.look, lambda v: GlimpseSensor()(v, XY)):
    dense(call, "images", ONES)
    wrong(call, "images|{type}", U8.numpy(), [1], None, "digit.png")
    kinds = torch.bool, torch.int64, torch.int8, torch.uint16, torch.float8_e4m3fn
    wrong(call, "images|{v.dtype}", *map(ONES.to, kinds))
    bad(call, "images|{shape}", torch.tensor(0), XY[0], U8[None], ONES[:0], ONES[:, :0])
    bad(call, "{shape}|channel", torch.zeros(4, 3, 7, 9), ONES[..., None])
    nan = ONES.where(torch.arange(9) > 3, NAN)
    bad(call, "[0, 1]", nan, ONES * INF, ONES * 255, -ONES, ONES * 1.0001)
call = give(lambda locations: GlimpseSensor()(U8, locations), "locations")
places(call, "locations", XY)
bad(call, "locations|{shape}|(4, 2)", XY[:2], XY[0], torch.zeros(4, 3))
for name, place in (("first_location", XY[0]), ("locations", XY[:2])):
    places(give(model, name), name, place)
    bad(give(model, name), "[-1, 1]", place + 1.01, place.long() - 2)
for name, tensor in DRAWS.items():
    places(give(lambda **one: model(draws={**DRAWS, **one}), name), name, tensor)
wrong(give(model, "draws"), "location|action", 5, [1], MODEL.draw(4), drawn(LEARNED, 4))
bad(give(model, "draws"), "draws[|has shape (3, |give (4, ", drawn(MODEL, 3))
bad(give(model, "draws"), "[-1, 1]", {**DRAWS, "first_location": XY + 2})
none = DRAWS["location"][:, :0]
bad(give(model, "draws"), "(4, 0, 2)|(4, 1, 2)", {**DRAWS, "location": none})
twice = {"draws": DRAWS, "generator": 0}, {"draws": DRAWS, "num_glimpses": 3}
bad(lambda v: model(**v), "draws|alone", *twice)
bad(lambda v: LEARNED(U8, first_location=v), "give locations", XY)
LOST = small()
LOST.core.hidden_to_hidden.bias.data[0] = NAN
bad(LOST, "weights|NaN", U8)
for std in (0, -1, NAN):
    lost = small()
    lost.location_network.std.fill_(std)
    bad(lambda v, lost=lost: lost(v), "weights" if std != std else "location_std", U8)
AT, BOXES = torch.zeros(3, 2), functools.partial(retina_boxes, torch.zeros(3, 2))
for convert in (to_pixels, to_locations):
    wrong(lambda v, convert=convert: convert(v, 28, 28), "list", [0.0, 0.0])
    bad(lambda v, convert=convert: convert(AT, v, 28), "height is 0", 0)
    bad(lambda v, convert=convert: convert(AT, 28, v), "width is 0", 0)
bad(lambda v: BOXES(v, 1, 28, 28), "glimpse_size is 0", 0)
bad(lambda v: BOXES(8, v, 28, 28), "num_scales is 0", 0)
for call in (loss, lambda v: MODEL.look(U8, v)):
    bad(call, "[1, 4]|[0, 3]", C + 1)
    bad(call, "[-1, 2]|[0, 3]", C - 1)
    bad(call, "labels|{v.dtype}|int64", C / 1, C.int(), C > 1)
    bad(call, "labels|{shape}", C[:, None], torch.tensor(0))
    bad(call, "3 labels", C[:3])
    wrong(call, "labels|list", [0, 1, 2, 3])
dense(loss, "labels", C)
bad(loss, "[-100, 3]|[0, 3]", torch.tensor([3, -100, 0, 1]))
bad(loss, "[0, 3]", torch.full((8, 3), 4), torch.full((8, 3), -1))
bad(loss, "labels", C[:0], None, torch.zeros(4, 3).long(), torch.full((8, 3), -100))
wrong(give(loss, "out"), "step_logits|values", {}, None, [OUT])
bad(give(loss, "out"), "(3, 4)|(1, H, W)", MODEL(U8[0, 0]))
bad(lambda v: loss(v, baseline="leave-one-out"), "is 1|8", C.repeat(2))
paid = {**OUT, "rewards": torch.zeros(8, 3)}
bad(lambda v: loss(None, v, baseline="leave-one-out"), "is 1|8", paid)
for name in ("rewards", "alive"):
    call = give(lambda **paid: loss(out={**OUT, **paid}), name)
    bad(call, f"{name}|{{shape}}|(8, 3)", torch.zeros(8), torch.zeros(8, 1))
    bad(call, f"{name}|NaN", torch.full((8, 3), NAN))
for call in (losses.reward_to_go, lambda v: losses.leave_one_out(v, 2)):
    bad(call, "{shape}", torch.zeros(4), torch.zeros(0, 2))
    wrong(call, "list", [[1.0]])
zeros = torch.zeros(3, 5)
for each in (losses.reinforce_loss, losses.baseline_loss):
    call = give(lambda pair, each=each: each(*pair), "pair")
    bad(call, "(3, 5)|(3, 1)", (zeros, zeros[:, :1]))
    bad(call, "(3,)", (zeros[:, 0], zeros[:, 0]))
    bad(call, "(0, 5)", (zeros[:0], zeros[:0]))
    wrong(call, "list", ([[0]], zeros), (zeros, [[0]]))
    wrong(call, "int64", (zeros.long(), zeros))
both = {"use_lstm": True, "core": "gru"}, {"identity_init": 0.5, "core": "lstm"}
bad(lambda v: RAMConfig(**v), "core", *both)
read = give(lambda values: checks.from_dict(RAMConfig, values), "values")
bad(read, "{v!r} is no RAMConfig", [1], None, 5)
for name in ("use_lstm", "glimps", 5):
    bad(read, f"RAMConfig|{name}", {**CONFIG, name: True})
bad(read, "RAMConfig|hidden_size", {"glimpse_size": 3})
wrong(RecurrentAttentionModel, "config|{v!r}", {}, "lstm", RAMConfig, 5)
refuse(FileNotFoundError, load, "{v}|mnist-6x8x8", "nope", "", ".", Path(__file__))
wrong(load, "{type}", None, 5, [])
wrong(give(MODEL.save_pretrained, "folder"), "{type}", None, 5)
SAVE = functools.partial(MODEL.save_pretrained, Path(__file__).parent / "nowhere")
wrong(give(SAVE, "metrics"), "metrics is {v!r}", [1], "good")
wrong(give(SAVE, "metrics"), "JSON", {"error": 1j})
bad(give(SAVE, "metrics"), "JSON", {"error": NAN})
wrong(give(SAVE, "overwrite"), "overwrite is {v!r}", *FLAG[0])


@pytest.mark.parametrize(("call", "value", "error", "words"), ROWS)
def test_bad_input_is_refused_by_name(call, value, error, words):
    with pytest.raises(error) as caught:
        call(value)
    assert [word for word in words if word not in str(caught.value)] == []


# --- damaged files --------------------------------------------------------------------

STATE = {name: tensor.float() for name, tensor in MODEL.state_dict().items()}
BIAS, W = "core.hidden_to_hidden.bias", "model.safetensors"
FILES = {
    "config.json/JSON": [b"", b"{", bytes(range(256)), b"[" * 100_000],
    "config.json/names and values": [b"[]", b"null", b"5"],
    "config.json/RAMConfig": [b"{}", to_json({"model": {**CONFIG, "x": 4}})],
    "config.json/core is 4": [to_json({"model": {**CONFIG, "core": 4}})],
    "metrics.json/JSON": [b"{"],
    f"{W}/cannot be read": [b"", bytes(99), save(STATE)[:99], save({}, {"about": "{"})],
    f"{W}/action_network": [save({})],
    f"{W}/more": [save({**STATE, "more": XY})],
    f"{W}/{BIAS}": [save({**STATE, BIAS: x}) for x in (XY, STATE[BIAS].long())],
    f"{W}/float16 of shape (11,), and": [save({**STATE, BIAS: STATE[BIAS].half()})],
    f"{W}/what is about it is [1]": [save(STATE, {"about": "[1]"})],
    f"{W}/NaN": [save({**STATE, BIAS: STATE[BIAS] + x}) for x in (NAN, INF)],
}
BROKEN = [(*key.split("/"), content) for key, x in FILES.items() for content in x]


@pytest.mark.parametrize(("name", "words", "content"), BROKEN)
def test_a_damaged_file_is_named(name, words, content, tmp_path):
    MODEL.save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as caught:
        load(tmp_path)
    assert str(tmp_path / name) in str(caught.value) and words in str(caught.value)


def test_a_folder_that_cannot_be_written_or_is_half_full_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "blocked" / W).mkdir(parents=True)
    for folder in ("file", "file/deeper", "blocked"):
        with pytest.raises(OSError, match=folder):
            MODEL.save_pretrained(tmp_path / folder, overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / W).write_text("of another program")
    with pytest.raises(FileExistsError, match="other holds a model"):
        MODEL.save_pretrained(tmp_path / "other")
    (MODEL.save_pretrained(tmp_path / "half") / W).unlink()
    with pytest.raises(FileNotFoundError, match=rf"half.*{W}"):
        load(tmp_path / "half")


ENDS = {"GlimpseSize": (1, 512), "NumScales": (1, 12), "NumChannels": (1, 512)}
ENDS |= {"NumGlimpses": (1, 10_000), "Width": (1, 16_384), "Count": (1, 10**9)}
ENDS |= {"Natural": (0, 10**9), "Seed": (0, 2**63 - 1), "Share": (0, 1)}
ENDS |= {"Positive": (1e-6, 1e6), "NonNegative": (0, 1e6)}


@pytest.mark.parametrize("name", ENDS)
def test_a_range_ends_where_it_says(name):
    (low, high), kind = ENDS[name], getattr(checks, name)
    assert (checks.check("x", low, kind), checks.check("x", high, kind)) == (low, high)
    assert checks.check("x", None, kind | None) is None
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match="x is"):
            checks.check("x", value, kind | None)


def test_numpys_numbers_are_taken_and_become_pythons():
    config = RAMConfig(glimpse_size=np.int64(8), location_std=np.float32(0.5))
    config = dataclasses.replace(config, learn_first_location=np.True_)
    assert repr(config) == repr(RAMConfig(location_std=0.5, learn_first_location=True))
    assert type(checks.check("x", 1, checks.Share)) is float
    assert checks.check("x", Path("a"), Path) == Path("a")
    assert checks.from_dict(RAMConfig, CONFIG) == MODEL.config


@pytest.mark.parametrize("kind", [torch.bool, torch.int8, torch.float16])
def test_numbers_of_any_dtype_are_taken(kind):
    draws = {name: noise * 0 for name, noise in DRAWS.items()}
    other = {name: noise.to(kind) for name, noise in draws.items()}
    assert torch.equal(model(draws=other)["values"], model(draws=draws)["values"])
    assert loss(out={**OUT, "rewards": torch.ones(8, 3).to(kind)}).reward == 3


def test_what_was_taken_in_silence_is_refused():
    with pytest.raises(TypeError, match="deterministic is 'no'"):
        model(draws=DRAWS, deterministic="no")
    with pytest.raises(ValueError, match=r"labels are torch\.bool"):
        loss(torch.zeros(8, 3, dtype=torch.bool))
