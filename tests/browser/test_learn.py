"""Learning in the page: that it learns, by what is set, and that it stops."""

import re

import pytest
import torch
from sklearn.datasets import load_digits

from ramlib import RAMConfig, RecurrentAttentionModel, player
from ramlib.player.learn import CONFIG
from ramlib.sensor import retina_boxes

PHONE = (360, 740)
LEARN = player.learn().data
PIXELS, LABELS = (torch.as_tensor(x)[1197:1497] for x in load_digits(return_X_y=True))
SHOWN = [0, 1, 2, 3, 5, 6, 8, 10]  # the first eight digits that differ

# The worker's engine keeps what it was asked: every lesson, the weights after the first
# updates, and every examination with the weights that were examined.
PROBE = """
  globalThis.seen = { lessons: [], updates: [], exams: [] };
  const plain = { learn, rollout, makeOptimizer };
  learn = (model, steps, how) => {
    const { std, M, baseline, places, images } = how;
    seen.lessons.push({ std, M, baseline, blind: !!places, count: images.length * M });
    return plain.learn(model, steps, how);
  };
  rollout = (model, how) => {
    const [first, places] = [[...how.first], (how.places || []).map((at) => [...at])];
    const exam = { numbers: [...model.numbers], first, places };
    if (how.images.length == 300) seen.exams.push(exam);
    return plain.rollout(model, how);
  };
  makeOptimizer = (model) => {
    const update = plain.makeOptimizer(model);
    return (rate) => {
      update(rate);
      if (seen.updates.length < 2) seen.updates.push([...model.numbers]);
    };
  };
"""

# The first two updates, by the page's own engine: what the worker has to come to.
TWO_UPDATES = """([config, seed, std, rate, baseline, M, blind]) => {
    const engine = ramlibAssets.engine(), { pixels, labels } = ramlibAssets.digits;
    const bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
    const random = engine.makeRandom(seed);
    const model = engine.newModel(config, random, 0.5);
    const update = engine.makeOptimizer(model);
    const left = [...Array(1197).keys()], found = [];
    for (const share of [1, 1 - 0.9 / 3000]) {
        const which = [];
        for (let i = 0; i < 32 / M; i++)
            which.push(...left.splice(Math.floor(random() * left.length), 1));
        const uniform = () => 2 * random() - 1, normal = () => engine.normal(random);
        const draws = [engine.fill(64, uniform)], later = blind ? uniform : normal;
        for (let t = 1; t < 4; t++) draws.push(engine.fill(64, later));
        const size = { width: 8, height: 8, white: 16 };
        const image = (i) => ({ data: bytes.slice(64 * i, 64 * i + 64), ...size });
        const how = { images: which.map(image), M, std, baseline, stepLoss: 0.5 };
        Object.assign(how, { labels: which.map((i) => labels[i]), first: draws[0] });
        how[blind ? "places" : "noise"] = draws;
        engine.zeroGradients(model);
        engine.learn(model, engine.rollout(model, how), how);
        update(rate * share);
        found.push([...model.numbers]);
    }
    return found;
}"""

# What the eight paths are drawn of: their dots, or the squares around them.
MARKS = """(paths, [kind, ...names]) => paths.map((path) =>
    [...path.querySelectorAll(kind)].map(
        (mark) => names.map((name) => +mark.getAttribute(name))))"""


@pytest.fixture
def visit(live_page, live_scripts):
    """Open a page of the widget, with an engine that remembers."""
    engine = live_scripts["engine"].replace(
        "  return { unpack", PROBE + "  return { unpack"
    )
    assert engine != live_scripts["engine"]

    def open_page(text=LEARN, **how):
        return live_page(text, scripts={"engine": engine}, **how)

    return open_page


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def said(page):
    return page.locator(".ramlib-status").inner_text().replace("\xa0", " ")


def reach(page, episodes, timeout=60_000):
    """Wait until so many episodes are reported."""
    text = "document.querySelector('.ramlib-status').textContent"
    count = f"+{text}.match(/: ([\\d,]+) episodes/)?.[1].replace(',', '')"
    page.wait_for_function(f"{count} >= {episodes}", timeout=timeout)


def seen(page, what):
    """What the engine of the worker remembers."""
    return page.workers[-1].evaluate(what)


def alive(page, count):
    """Wait until so many workers are left."""
    for _ in range(100):
        if len(page.workers) == count:
            return True
        page.wait_for_timeout(50)
    return False


def key(page):
    return [
        " ".join(x.split()) for x in page.locator(".ramlib-key li").all_inner_texts()
    ]


def examine(exam):
    """The mean policy of the weights that the page had, in PyTorch: T × (N, …)."""
    model = RecurrentAttentionModel(RAMConfig(**CONFIG))
    parameters = dict(model.named_parameters())
    numbers = torch.tensor(exam["numbers"])
    for weight in [name for name in parameters if "weight" in name]:
        for name in (weight, weight.replace("weight", "bias")):
            size = parameters[name].numel()
            parameters[name].data = numbers[:size].view_as(parameters[name])
            numbers = numbers[size:]
    assert len(numbers) == 0
    images = (PIXELS / 16).view(-1, 8, 8).float()
    how = {"first_location": torch.tensor(exam["first"]).view(300, 2)}
    if exam["places"]:
        places = torch.tensor(exam["places"]).view(4, 300, 2).movedim(0, 1)
        how = {"first_location": places[:, 0], "locations": places[:, 1:]}
    with torch.no_grad():
        out = model(images, deterministic=True, **how)
    return out["looked"], out["logits"].argmax(-1)


def assert_shows(page, exam):
    """The page's error, paths and answers are those of PyTorch."""
    looked, answers = examine(exam)
    wrong = int((answers != LABELS).sum())
    shown = float(re.search(r"([\d.]+) % wrong", said(page))[1])
    # An answer may hang on a place that falls a hair to the other side of a pixel.
    assert abs(shown - wrong / 3) < 0.4
    paths = page.locator(".ramlib-digits .ramlib-path")
    dots = torch.tensor(paths.evaluate_all(MARKS, ["circle", "cx", "cy"]))
    assert ((looked[SHOWN] + 1) * 150 - dots).abs().max() < 0.1
    squares = torch.tensor(paths.evaluate_all(MARKS, ["rect", "x", "y", "width"]))
    boxes = retina_boxes(dots / 150 - 1, 4, 1, 8, 8).squeeze(-2)  # (8, T, 3)
    assert torch.equal(squares / 37.5, boxes.float())
    texts = page.locator(".ramlib-answer").all_inner_texts()
    marks = zip(answers[SHOWN].tolist(), LABELS[SHOWN].tolist(), strict=True)
    assert texts == [f"{said} {'✓' if said == label else '✗'}" for said, label in marks]
    return looked


# -- learning --------------------------------------------------------------------------


# What is said of the first error below 15 %.
LEARNT = """() => {
    const text = document.querySelector(".ramlib-status").textContent;
    return text.match(/([\\d.]+).% wrong/)?.[1] < 15 && text; }"""


def test_from_nothing_to_under_15_percent(visit):
    """The first run: about 20 seconds, and 90 where the machine has much else to do."""
    page = visit()
    press(page, "Start")
    learnt = page.wait_for_function(LEARNT, timeout=90_000).json_value()
    press(page, "Pause")
    assert re.match(r"Learning: [1-5]\d,\d00 episodes in \d+ s, 1[0-4]\.\d", learnt)
    assert_shows(page, seen(page, "seen.exams.at(-1)"))
    (line,) = key(page)
    assert line.startswith("1 σ 0.20, baseline leave-one-out, M = 2, rate 0.003 1")
    curves = page.locator(".ramlib-plot .ramlib-curve:not(.ramlib-blind)").all()
    ends = [curve.get_attribute("d").split(",")[-1] for curve in curves]
    error, reward = (1 - (float(y) - 8) / 130 for y in ends)
    assert abs(100 * error - float(re.search(r"([\d.]+) % wrong", said(page))[1])) < 0.1
    assert 0.7 < reward < 0.95


SETTINGS = {
    "as they come": (0.2, 0.003, "leave-one-out", 2, False),
    "the value network": (0.45, 0.01, "value", 4, False),
    "no baseline": (0.05, 0.0003, "none", 1, False),
    "random places": (0.2, 0.003, "leave-one-out", 4, True),
}
RATES = [0.0003, 0.001, 0.003, 0.01, 0.03]
NAMES = {"value": "value network"}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_it_learns_by_what_is_set(visit, settings):
    std, rate, baseline, M, blind = settings
    page = visit()
    page.get_by_label(f"Baseline: {NAMES.get(baseline, baseline)}").check()
    page.get_by_label(f"Rollouts of an image, M: {M}").check()
    page.get_by_label("σ, how widely it looks").fill(str(std))
    page.get_by_label("Learning rate").fill(str(RATES.index(rate)))
    if blind:
        press(page, "Random places instead")
    press(page, "Start")
    reach(page, 1600)
    press(page, "Pause")
    want = page.evaluate(TWO_UPDATES, [CONFIG, 2, *settings])
    assert seen(page, "seen.updates") == want
    looked = assert_shows(page, seen(page, "seen.exams.at(-1)"))
    assert (looked[:, 1:].std() > 0.5) == blind  # it has not learnt to look about yet
    assert (page.locator(".ramlib-plot .ramlib-blind[d*=L]").count() > 0) == blind


def test_what_is_set_acts_at_once(visit):
    page = visit()
    press(page, "Start")
    reach(page, 1600)
    changes = [
        (lambda: page.get_by_label("σ, how widely it looks").fill("0.5"), "std", 0.5),
        (lambda: page.get_by_label("Baseline: none").check(), "baseline", "none"),
        (lambda: page.get_by_label("Rollouts of an image, M: 4").check(), "M", 4),
        (lambda: press(page, "Random places instead"), "blind", True),
        (lambda: press(page, "Random places instead"), "blind", False),
    ]
    for change, name, value in changes:
        assert seen(page, "seen.lessons.at(-1)")[name] != value
        change()
        page.wait_for_timeout(400)
        assert seen(page, "seen.lessons.at(-1)")[name] == value
    assert seen(page, "seen.lessons.every(({ count }) => count == 32)")
    assert re.match(
        r"1 σ 0.50, baseline none, M = 4, rate 0.003, since \d+,\d00 ", key(page)[0]
    )  # however far a fast machine has come


def test_the_curve_is_dashed_where_places_were_random(visit):
    page = visit()
    press(page, "Start")
    reach(page, 3200)
    press(page, "Random places instead")
    reach(page, 1600 + int(re.search(r"(\d),(\d00) ep", said(page)).expand(r"\1\2")))
    press(page, "Random places instead")
    blind = page.locator(".ramlib-plot .ramlib-blind").first
    kept = page.locator(".ramlib-plot .ramlib-curve:not(.ramlib-blind)").first
    dashed, solid = (line.get_attribute("d")[1:].split("L") for line in (blind, kept))
    assert solid[0].startswith("44.0,") and len(solid) >= 3
    assert len(dashed) >= 2 and dashed[0] in solid


def test_leave_one_out_has_two_rollouts(visit):
    page = visit()
    page.get_by_label("Rollouts of an image, M: 1").check()
    assert page.get_by_label("Baseline: value network").is_checked()
    page.get_by_label("Baseline: leave-one-out").check()
    assert page.get_by_label("Rollouts of an image, M: 2").is_checked()


# -- beginning and ending --------------------------------------------------------------


def test_nothing_is_loaded_and_nothing_runs_before_start(visit):
    page = visit()
    page.wait_for_timeout(300)
    assert not page.workers and page.locator("script[src]").count() == 0
    assert page.get_by_role("button", name="Begin again").count() == 0
    assert page.locator(".ramlib-digits .ramlib-path > *").count() == 0


SHOW = """hidden => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange')); }"""


def test_it_pauses_when_told_and_while_nobody_sees_it(visit):
    page = visit()
    press(page, "Start")
    reach(page, 0)
    for stop, resume in [
        (lambda: press(page, "Pause"), lambda: press(page, "Go on")),
        (lambda: page.evaluate(SHOW, True), lambda: page.evaluate(SHOW, False)),
    ]:
        counts = []
        for act in (stop, None, resume):
            act and act()
            page.wait_for_timeout(500)
            counts.append(seen(page, "seen.lessons.length"))
        assert 0 < counts[0] == counts[1] < counts[2]
    press(page, "Pause")
    page.evaluate(SHOW, True)
    page.evaluate(SHOW, False)
    count = seen(page, "seen.lessons.length")
    page.wait_for_timeout(500)
    assert seen(page, "seen.lessons.length") == count, "paused stays paused"


def test_begin_again_is_another_run_and_four_earlier_ones_stay(visit):
    page, firsts = visit(), []
    press(page, "Start")
    for number in range(1, 7):
        reach(page, 1600)
        firsts.append(seen(page, "seen.exams[0].first"))
        assert len(page.workers) == 1
        assert key(page)[0].startswith(f"{number} ")
        if number < 6:
            page.get_by_label("σ, how widely it looks").fill(f"0.{number}5")
            press(page, "Begin again")
            page.wait_for_function(
                "!/1,600/.test(document.querySelector('.ramlib-status').textContent)"
            )
    press(page, "Pause")
    wanted = [f"{n} σ 0.{min(n, 5)}5" for n in range(6, 1, -1)]
    assert [line[:8] for line in key(page)] == wanted
    numbers = page.locator(".ramlib-plot g text").all_text_contents()
    assert numbers == [*"2345"] * 2  # on their curves
    want = page.evaluate(
        TWO_UPDATES, [CONFIG, 7, 0.55, 0.003, "leave-one-out", 2, False]
    )
    assert seen(page, "seen.updates") == want, "the sixth seed"
    assert all(first == firsts[0] for first in firsts), "one examination for all"


def test_begin_again_twice_at_once_is_one_run(visit):
    page = visit()
    press(page, "Start")
    reach(page, 0)
    again = page.get_by_role("button", name="Begin again")
    again.evaluate("button => { button.click(); button.click(); }")
    page.wait_for_function("document.querySelectorAll('.ramlib-key li').length == 2")
    page.wait_for_function(
        "/ wrong/.test(document.querySelector('.ramlib-key li').textContent)"
    )
    assert alive(page, 1) and [line[0] for line in key(page)] == ["3", "1"]


def test_the_end_comes_by_itself(visit):
    page = visit(LEARN.replace("LAST = 120_000", "LAST = 3200"))
    press(page, "Start")
    reach(page, 3200)
    assert said(page).startswith("Done: 3,200 episodes in ") and alive(page, 0)
    assert not page.get_by_role("button", name="Start").is_visible()
    press(page, "Begin again")
    reach(page, 0)
    assert alive(page, 1) and len(key(page)) == 2


@pytest.mark.parametrize("state", ["learning", "paused"])
def test_no_worker_outlives_its_widget(visit, state):
    page = visit()
    press(page, "Start")
    reach(page, 0)
    if state == "paused":
        press(page, "Pause")
    assert alive(page, 1)
    page.evaluate("document.querySelector('.ramlib').remove()")
    assert alive(page, 0)


FORBID = """<meta http-equiv="Content-Security-Policy" content="worker-src 'none'">"""
BREAK = "<script>Worker = class { constructor() { throw Error('no'); } };</script>"


@pytest.mark.parametrize("why", [FORBID, BREAK])
def test_without_a_worker_it_says_so(visit, why):
    page = visit(why + LEARN, allow=("Content Security Policy",))
    press(page, "Start")
    page.wait_for_selector(".ramlib-static:visible")
    assert said(page) == (
        "Nothing can learn here. This browser lets no page compute in the background."
    )
    assert page.locator("button:visible, input:visible").count() == 0


def test_in_a_notebook_it_keeps_its_picture_and_says_why(new_page, tmp_path):
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{LEARN}")
    page = new_page(tmp_path / "page.html")
    page.wait_for_selector(".ramlib-ready")
    press(page, "Start")
    page.wait_for_selector(".ramlib-static:visible")
    assert said(page) == "Nothing can learn here. This runs in the book."


# -- for everybody ---------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["no-preference", "reduce"])
def test_two_pictures_a_second_where_less_motion_is_wished(visit, wish):
    page = visit(LEARN.replace("% 50 == 0", "% 1 == 0"), reduced_motion=wish)
    press(page, "Start")
    reach(page, 32)
    count = """() => new Promise((done) => {
        let changes = 0;
        new MutationObserver(() => changes++).observe(
            document.querySelector(".ramlib-key"), { childList: true });
        setTimeout(() => done(changes), 3000); })"""
    assert (page.evaluate(count) <= 7) == (wish == "reduce")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_all_is_named_and_as_large_as_a_fingertip(visit, theme):
    page = visit(viewport=PHONE, touch=True, color_scheme=theme)
    press(page, "Start")
    reach(page, 1600)
    press(page, "Pause")
    controls = page.locator("button:visible, input:visible").all()
    assert len(controls) == 11
    for control in controls:
        box = control.bounding_box()
        assert min(box["width"], box["height"]) >= 44
        assert len(control.get_attribute("aria-label")) >= 4
        assert control.get_attribute("data-lm-suppress-shortcuts") == "true"
    named = page.locator("[role='img']").all()
    assert len(named) == 10 and all(
        len(x.get_attribute("aria-label")) > 3 for x in named
    )
    live = page.locator(".ramlib-status")
    assert live.get_attribute("aria-live") == "polite"
    press(page, "Go on")
    assert live.get_attribute("aria-live") == "off"


def test_by_keys_alone(visit):
    page = visit()
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    reach(page, 0)
    page.keyboard.press("Enter")
    assert said(page).startswith("Paused: ")
    stops = []
    for _ in range(6):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.ariaLabel"))
    assert stops == [
        "Begin again",
        "σ, how widely it looks",
        "Learning rate",
        "Baseline: leave-one-out",
        "Rollouts of an image, M: 2",
        "Random places instead",
    ]
    page.keyboard.press("Space")
    assert "random places, M = 2" in key(page)[0]
