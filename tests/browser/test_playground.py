"""The REINFORCE playground in a browser, held against PyTorch."""

import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.autograd.functional import hessian, jacobian
from torch.distributions import Normal

from ramlib import player

PHONE = (360, 740)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Playground</title>
<meta name="viewport" content="width=device-width, initial-scale=1">"""
INK = torch.from_numpy(load_digits().images[4] / 16)  # (8, 8)
WIDE = torch.arange(60).double().reshape(5, 12) / 60
START, STD, SEED = (0.5, 0.1), 0.2, 1
CORNER = (0.6, -0.6)  # a dark one
NAMES = ("none", "mean", "best")
# A page knows which timers run.
COUNT_TIMERS = """window.timers = new Set();
const { setInterval: set, clearInterval: end } = window;
window.setInterval = (...given) => {
    const t = set(...given); timers.add(t); return t; };
window.clearInterval = (t) => { timers.delete(t); end(t); };"""


@pytest.fixture
def visit(new_page, tmp_path):
    """Open a page of playgrounds, each given by its options."""
    path = tmp_path / "page.html"

    def open_page(*each, **how):
        widgets = [player.playground(**{"image": INK} | given).data for given in each]
        path.write_text(PAGE + "<p>Between.</p>".join(widgets), encoding="utf-8")
        page = new_page(**how)
        page.add_init_script(COUNT_TIMERS)
        page.goto(path.resolve().as_uri())
        if how.get("java_script_enabled", True):
            ready = "document.querySelectorAll('.ramlib-ready')"
            page.wait_for_function(f"{ready}.length == {len(each)}")
        return page

    return open_page


# -- the oracle ------------------------------------------------------------------------


def expected_reward(mean, std=STD, ink=INK):
    """J, by a sum over the pixels."""
    chances = []
    for at, parts in zip(mean, reversed(ink.shape), strict=True):
        below = Normal(at, std).cdf(torch.linspace(-1, 1, parts + 1).double())
        below = torch.cat([torch.zeros(1), below[1:-1], torch.ones(1)])
        chances.append(below.diff())
    return chances[1] @ ink @ chances[0]


def exact(mean, std=STD, ink=INK):
    """J and its gradient, (3,)."""
    mean = torch.tensor(mean, dtype=torch.float64)
    J = [expected_reward(mean, std, ink)]
    return np.array([*J, *jacobian(lambda at: expected_reward(at, std, ink), mean)])


def second_moment(mean, std=STD, ink=INK):
    """The mean of R times the squared length of the score: the trace of its matrix.

    Twice the rule of the score function: E[R (score score' - 1/σ²)] is J's Hessian.
    """
    mean = torch.tensor(mean, dtype=torch.float64)
    curved = hessian(lambda at: expected_reward(at, std, ink), mean).trace()
    return float(curved + 2 * expected_reward(mean, std, ink) / std**2)


def baselines(mean=START, std=STD):
    best = second_moment(mean, std) / (2 / std**2)
    return dict(zip(NAMES, (0.0, exact(mean, std)[0], best), strict=True))


def variance(b, mean=START, std=STD):
    """Of the arrow of one sample, both axes together."""
    squares = second_moment(mean, std, (INK - b) ** 2)
    return squares - (exact(mean, std)[1:] ** 2).sum()


def rewards(places):
    column, row = np.floor((np.clip(places, -1, 1) + 1) * 4).clip(max=7).astype(int).T
    return INK.numpy()[row, column]


def noise():
    """Pairs of normal numbers without an end, as the page draws them."""
    seed = SEED

    def uniform():
        nonlocal seed
        seed = (seed + 0x6D2B79F5) % 2**32
        t = (seed ^ seed >> 15) * (seed | 1) % 2**32
        t ^= (t + (t ^ t >> 7) * (t | 61)) % 2**32
        return (t ^ t >> 14) / 2**32

    while True:
        radius, angle = np.sqrt(-2 * np.log(1 - uniform())), 2 * np.pi * uniform()
        yield radius * np.cos(angle), radius * np.sin(angle)


def take(stream, count):
    return np.array([next(stream) for _ in range(count)])


def arrows(mean, z, b, std=STD):
    """The estimates of the samples mean + std z, (N, 2), each by the formula."""
    places = np.array(mean) + std * z
    return (rewards(places) - b)[:, None] * (places - mean) / std**2


# -- what is read from the page, and done to it ----------------------------------------


def numbers(page, name, nth=0):
    held = page.locator(".ramlib").nth(nth).get_attribute(f"data-{name}")
    return np.array(held.split(","), float)


def shown(text):
    """The numbers in a text."""
    return [float(x.replace("−", "-")) for x in re.findall(r"−?\d+\.\d+", text)]


def said(page):
    return page.locator(".ramlib-status").first.inner_text()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def choose(page, name):
    page.get_by_role("radio", name=name, exact=True).check(force=True)


def slide(page, name, value):
    slider = page.get_by_label(name, exact=True).first
    slider.evaluate(f"it => {{ it.value = {value}; it.oninput(); }}")


def unseen(mean):
    x, y = (f"{v:.2f}".replace("-", "−") for v in mean)
    return f"The mean is at ({x}, {y}). No samples from here yet."


# -- the numbers -----------------------------------------------------------------------


PLACES = [
    {"start": START},
    {"start": (-1, -1), "location_std": 0.05},
    {"start": (1, 0.3), "location_std": 0.8},
    {"start": (0.16, 0.46), "location_std": 0.1},
    {"start": (0.26, -0.99), "location_std": 0.4, "image": WIDE},
    {"start": (0.5, 0.5), "image": torch.ones(1, 1).double()},
]


def test_j_and_its_gradient_are_those_of_pytorch(visit):
    page = visit(*PLACES)
    for nth, given in enumerate(PLACES):
        std, ink = given.get("location_std", STD), given.get("image", INK)
        expected = exact(given["start"], std, ink)
        np.testing.assert_allclose(numbers(page, "exact", nth), expected, atol=1e-6)
    sigma = page.get_by_label("σ, how widely it looks").nth(1)
    assert sigma.input_value() == "0.05"
    slide(page, "σ, how widely it looks", 0.33)
    assert page.locator("output").first.text_content() == "0.33"
    np.testing.assert_allclose(numbers(page, "exact"), exact(START, 0.33), atol=1e-6)
    assert numbers(page, "estimate")[0] == 0, "another σ, other samples"


def test_what_a_baseline_does_to_the_variance_of_one_sample(visit):
    page = visit({}, {"start": CORNER, "location_std": 0.4})
    for nth, where in enumerate([(START, STD), (CORNER, 0.4)]):
        expected = [variance(b, *where) for b in baselines(*where).values()]
        np.testing.assert_allclose(numbers(page, "variances", nth), expected, rtol=1e-6)
    none, mean, best = numbers(page, "variances")
    assert best <= mean <= none
    # The oracle's oracle: many samples.
    z = np.random.default_rng(0).normal(size=(400_000, 2))
    cards = page.locator(".ramlib").first.locator(".ramlib-option").all()
    for b, spread, card in zip(
        baselines().values(), (none, mean, best), cards, strict=False
    ):
        assert arrows(START, z, b).var(axis=0).sum() == pytest.approx(spread, rel=0.02)
        expected = [f"b = {b:.2f}", f"{spread:.1f}"]
        assert card.inner_text().split("\n")[1:] == expected
        share = card.locator("i").evaluate("it => parseFloat(it.style.width) / 100")
        assert share == pytest.approx(spread / none, rel=1e-3)


def test_the_first_forty_samples_and_the_newest_of_them(visit):
    page, z = visit({}), take(noise(), 40)
    for name, b in baselines().items():
        choose(page, f"Baseline b: {name}")
        expected = [40, *arrows(START, z, b).mean(axis=0)]
        np.testing.assert_allclose(numbers(page, "estimate"), expected, atol=1e-6)
        place, score = START + STD * z[-1], z[-1] / STD
        paid = rewards(place[None])[0]
        terms = [[*place], [paid, b, paid - b], [*score], [*(paid - b) * score]]
        for text, term in zip(
            page.locator(".ramlib-term b").all_inner_texts(), terms, strict=True
        ):
            np.testing.assert_allclose(shown(text), term, atol=0.0051)
        column, row = np.floor((place + 1) * 4).astype(int)
        than = f", {paid - b:.2f} more than b" * (name != "none")
        assert said(page) == (
            f"Newest sample: pixel ({column}, {row}) paid {paid:.2f}{than}, so it "
            "pulls the mean towards itself."
        )


def test_the_mean_of_many_arrows_is_the_exact_gradient(visit):
    page = visit({})
    for _ in range(50):
        press(page, "Forty")
    press(page, "One sample")
    z, count = take(noise(), 2041), 2041
    for name, b in baselines().items():
        choose(page, f"Baseline b: {name}")
        number, *mean = numbers(page, "estimate")
        errors = arrows(START, z, b).std(axis=0) / count**0.5
        assert number == count
        assert (np.abs(mean - exact(START)[1:]) < 4 * errors).all()
        texts = page.locator(".ramlib-key li").all_inner_texts()
        assert "mean of 2041 arrows" in texts[0]
        for text, expected in zip(texts, (mean, exact(START)[1:], errors), strict=True):
            np.testing.assert_allclose(shown(text), expected, atol=0.01)


DOTS = """kind => [...document.querySelectorAll(`path.ramlib-dots.ramlib-${kind}`)]
    .at(-1).getAttribute('d').split('h0').length - 1"""
SHAFTS = """kind => [...document.querySelectorAll(`.ramlib-path path.ramlib-${kind}`)]
    .at(-1).getAttribute('d').split('z').filter(Boolean)
    .map(d => d.match(/-?[\\d.]+/g).map(Number))"""


def test_arrows_lead_on_to_what_paid_more_and_back_from_what_paid_less(visit):
    page, z = visit({}), take(noise(), 40)
    paid = rewards(START + STD * z)
    for name, b in baselines().items():
        choose(page, f"Baseline b: {name}")
        sides = {"towards": paid > b, "away": paid < b, "idle": paid == b}
        for kind, some in sides.items():
            assert page.evaluate(DOTS, kind) == some.sum(), (name, kind)
            # From the sample, as long as weight times score is.
            drawn = np.array(page.evaluate(SHAFTS, kind)).reshape(-1, 10)
            by = ((paid - b)[:, None] * z * 36)[some]
            seen = np.linalg.norm(by, axis=1) >= 0.5
            places = (START + STD * z[some][seen] + 1) * 150
            np.testing.assert_allclose(drawn[:, :2], places, atol=0.11)
            np.testing.assert_allclose(drawn[:, 4:6] - places, by[seen], atol=0.21)


def test_the_mean_arrow_and_the_exact_one_are_on_one_scale(visit):
    page = visit({})
    tip = "path => path.getAttribute('d').match(/-?[\\d.]+/g).slice(0, 2).map(Number)"
    tips = [
        page.locator(f".ramlib-plot path.ramlib-{kind}.ramlib-tip").evaluate(tip)
        for kind in ("mean", "exact")
    ]
    drawn = np.array(tips) - (170, 122)
    lengths = [numbers(page, "estimate")[1:], numbers(page, "exact")[1:]]
    scale = np.linalg.norm(drawn) / np.linalg.norm(lengths)
    np.testing.assert_allclose(drawn, np.array(lengths) * scale, atol=0.2)
    ring = page.locator(".ramlib-plot .ramlib-error")
    drawn = [float(ring.get_attribute(side)) for side in ("cx", "cy", "rx", "ry")]
    z = np.random.default_rng(0).normal(size=(400_000, 2))
    errors = arrows(START, z, baselines()["mean"]).std(axis=0) / 40**0.5
    np.testing.assert_allclose(drawn[:2], tips[1], atol=0.2)
    np.testing.assert_allclose(drawn[2:], errors * scale, rtol=0.02)


# -- moving the mean -------------------------------------------------------------------


def test_the_keys_move_the_mean_and_stay_in_the_widget(visit):
    page = visit({})
    page.evaluate("() => { document.onkeydown = e => (window.heard = e.key); }")
    page.locator(".ramlib-handle").focus()
    steps = {"ArrowRight": (0.55, 0.1), "ArrowUp": (0.55, 0.05)}
    steps |= {"Shift+ArrowLeft": (0.54, 0.05), "Shift+ArrowDown": (0.54, 0.06)}
    for key, mean in [*steps.items(), ("Home", START)]:
        page.keyboard.press(key)
        assert said(page) == unseen(mean)
        np.testing.assert_allclose(numbers(page, "exact"), exact(mean), atol=1e-6)
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    assert said(page) == unseen((1, 0.1)), "no farther than the edge"
    for name in ("Learning rate", "Samples an update: 4", "Baseline b: mean"):
        page.get_by_label(name, exact=True).press("ArrowRight")
    assert page.get_by_label("Learning rate").get_attribute("aria-valuetext") == "0.1"
    assert page.get_by_label("Samples an update: 16").is_checked()
    assert page.get_by_label("Baseline b: best").is_checked()
    assert page.evaluate("window.heard") in (None, "Shift")


def assert_dragged(page, across, along):
    """The first mean has been moved by so many pixels; the stage shows ±1.2."""
    side = page.locator(".ramlib-stage").bounding_box()["width"]
    mean = shown(said(page))[:2]
    expected = np.array(START) + 2.4 / side * np.array([across, along])
    np.testing.assert_allclose(mean, expected, atol=0.02)
    np.testing.assert_allclose(numbers(page, "exact"), exact(mean), atol=1e-6)
    return mean


def middle(page, name):
    box = page.locator(name).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_mouse_drags_the_mean_and_its_samples_are_gone(visit):
    page = visit({})
    x, y = middle(page, ".ramlib-handle")
    page.mouse.move(x + 9, y - 7)  # not quite by its middle
    page.mouse.down()
    assert numbers(page, "estimate")[0] == 40, "it has not moved yet"
    page.mouse.move(x + 9 - 80, y - 7 + 40, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)
    mean = assert_dragged(page, -80, 40)
    assert numbers(page, "estimate")[0] == 0
    press(page, "One sample")
    b = exact(mean)[0]
    expected = [1, *arrows(mean, take(noise(), 41)[-1:], b)[0]]
    np.testing.assert_allclose(numbers(page, "estimate"), expected, atol=1e-6)
    page.mouse.click(*middle(page, ".ramlib-stage"))
    assert said(page) == unseen((0, 0)), "a click brings it"


def finger(page, x, y, across, along):
    client = page.context.new_cdp_session(page)
    for k in range(7):
        kind = {0: "touchStart", 6: "touchEnd"}.get(k, "touchMove")
        point = {"x": x + across * k / 5, "y": y + along * k / 5}
        touch = {"type": kind, "touchPoints": [point] if k < 6 else []}
        client.send("Input.dispatchTouchEvent", touch)
    page.wait_for_timeout(500)


def test_a_finger_drags_the_cross_and_scrolls_beside_it(visit):
    page = visit({}, touch=True, viewport=PHONE)
    x, y = middle(page, ".ramlib-handle")
    finger(page, x - 120, y, 0, -150)
    assert page.evaluate("scrollY") > 30 and numbers(page, "estimate")[0] == 40
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)
    finger(page, x, y, -60, 50)
    assert page.evaluate("scrollY") == 0
    assert_dragged(page, -60, 50)
    page.touchscreen.tap(*middle(page, ".ramlib-stage"))
    assert said(page) == unseen((0, 0)), "a tap brings it"
    boxes = page.locator("button, input, .ramlib-handle").all()
    boxes = [element.bounding_box() for element in boxes]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 44, "a fingertip"


# -- climbing --------------------------------------------------------------------------


ROUTE = ".ramlib-plot .ramlib-route"


def updates(page):
    return page.locator(ROUTE).get_attribute("d").count("L")


def test_it_climbs_from_a_dark_corner_by_the_rule(visit):
    page = visit({"start": CORNER})
    page.clock.install()
    press(page, "Climb")
    page.clock.run_for(700)
    press(page, "Pause")
    steps = updates(page)
    assert steps >= 15
    stream, mean = noise(), np.array(CORNER)
    take(stream, 40)
    for _ in range(steps):
        b = exact(mean)[0]
        mean = mean + 0.05 * arrows(mean, take(stream, 4), b).mean(axis=0)
    np.testing.assert_allclose(numbers(page, "exact"), exact(mean), atol=1e-6)
    arrow = arrows(mean, take(stream, 4), exact(mean)[0]).mean(axis=0)
    np.testing.assert_allclose(numbers(page, "estimate"), [4, *arrow], atol=1e-6)
    press(page, "Go on")  # from there, and to the end
    page.clock.run_for(11_000)
    low, high = exact(CORNER)[0], numbers(page, "exact")[0]
    assert low < 0.1 and high > 0.6
    assert said(page) == f"300 updates took J from {low:.3f} to {high:.3f}."
    assert updates(page) == 300
    assert page.get_by_role("button", name="Climb").count() == 1
    page.clock.run_for(2000)
    assert updates(page) == 300, "it has stopped"


def test_learning_rate_samples_and_baseline_are_those_chosen(visit):
    page = visit({})
    page.clock.install()
    slide(page, "Learning rate", 1)
    choose(page, "Samples an update: 16")
    choose(page, "Baseline b: none")
    press(page, "Climb")
    page.clock.run_for(200)
    press(page, "Pause")
    stream, mean = noise(), np.array(START)
    take(stream, 40)
    for _ in range(updates(page)):
        mean = mean + 0.02 * arrows(mean, take(stream, 16), 0).mean(axis=0)
    np.testing.assert_allclose(numbers(page, "exact"), exact(mean), atol=1e-6)


def test_a_second_climb_is_drawn_over_the_first(visit):
    page = visit({"start": CORNER})
    page.clock.install()
    page.locator(".ramlib-handle").press("ArrowLeft")
    press(page, "Climb")
    page.clock.run_for(1000)
    press(page, "Back to the start")
    assert said(page) == unseen((0.55, -0.6)), "where the climb began"
    assert page.locator(ROUTE).get_attribute("d") == ""
    press(page, "Climb")
    page.clock.run_for(500)
    first = page.locator(".ramlib-before").get_attribute("d").count("L")
    assert first > updates(page) > 5
    slide(page, "σ, how widely it looks", 0.3)
    assert page.locator(".ramlib-before").get_attribute("d") == "", "of another J"


def test_too_long_a_step_is_told(visit):
    page = visit({})
    page.clock.install()
    slide(page, "Learning rate", 5)
    choose(page, "Samples an update: 1")
    press(page, "Climb")
    page.clock.run_for(5000)
    assert said(page).startswith("Off the picture after ")
    assert "too long a step" in said(page)
    slide(page, "Learning rate", 0)
    choose(page, "Samples an update: 64")
    press(page, "Climb")
    page.clock.run_for(500)
    assert said(page).startswith("Update "), "from the start again"
    assert numbers(page, "exact")[0] > 0.4


HIDE = {
    "pause": "[...document.querySelectorAll('button')][2].click()",
    "scrolled away": "scrollTo(0, 4000)",
    "gone": "document.querySelector('.ramlib').remove()",
    "in another tab": "Object.defineProperty(document, 'hidden', { value: true })",
    "a sample": "[...document.querySelectorAll('button')][0].click()",
}


@pytest.mark.parametrize("how", HIDE.values(), ids=HIDE)
def test_no_timer_runs_unless_it_climbs_in_sight(visit, how):
    page = visit({})
    page.evaluate("document.body.style.paddingBottom = '5000px'")
    assert page.evaluate("timers.size") == 0
    press(page, "Climb")
    page.wait_for_timeout(150)
    assert page.evaluate("timers.size") == 1
    page.evaluate(how)
    # Long before it would come to its end.
    page.wait_for_function("timers.size == 0", timeout=6000)


def test_less_motion_when_asked(visit):
    page = visit({"start": CORNER}, reduced_motion="reduce")
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    press(page, "Climb")
    page.clock.run_for(900)
    assert updates(page) == 0
    page.clock.run_for(200)
    assert updates(page) == 50
    page.clock.run_for(6000)
    assert said(page).startswith("300 updates took J from ")


# -- for everybody ---------------------------------------------------------------------


def test_every_control_has_a_name_and_keeps_its_keys(visit):
    page = visit({})
    controls = page.locator("button, input, [tabindex='0']").all()
    keeping = page.locator("[data-lm-suppress-shortcuts='true']").all()
    assert len(controls) == len(keeping) == 15
    for named in [*controls, *page.locator("[role='img'], [role='radiogroup']").all()]:
        assert len(named.get_attribute("aria-label")) >= 5
    live = page.locator("[role='status']")
    assert live.get_attribute("aria-live") == "polite"
    press(page, "Climb")
    assert live.get_attribute("aria-live") == "off", "thirty updates a second"


def test_j_is_shown_as_the_picture_blurred(visit):
    page = visit({})
    press(page, "Show J")
    pixels = "it => [...it.getContext('2d').getImageData(0, 0, 72, 72).data]"
    assert page.locator(".ramlib-hill").is_visible()
    grey = page.locator(".ramlib-hill").evaluate(pixels)
    grey = np.reshape(grey, (72, 72, 4))[..., 0]
    places = ((2 * np.arange(72) + 1) / 72 - 1) * 1.2
    for row, column in [(5, 40), (36, 36), (50, 41), (70, 2)]:
        J = expected_reward(torch.tensor([places[column], places[row]]))
        assert grey[row, column] == pytest.approx(255 * J.item(), abs=0.51)
    peak = page.locator(".ramlib-plot text").filter(has_text="0.7").text_content()
    assert float(peak) == pytest.approx(grey.max() / 255, abs=0.01)
    pressed = page.get_by_role("button", name="Show J")
    assert pressed.get_attribute("aria-pressed") == "true"
    press(page, "Show J")
    assert page.locator(".ramlib-hill").is_hidden()


def luminance(color):
    rgb = [float(v) / 255 for v in re.findall(r"[\d.]+", color)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LOOKS = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", "forced_colors": "active"},
    {"color_scheme": "dark", "forced_colors": "active"},
]
READ = """all => all.map(e => { const of = getComputedStyle(e);
    const drawn = e instanceof SVGElement, text = !drawn || e.tagName == 'text';
    const color = text ? (drawn ? of.fill : of.color) : of.stroke;
    return [color, getComputedStyle(e.closest('.ramlib')).backgroundColor, text]; })"""


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("told", ["light", "dark"])
def test_arrows_and_words_are_seen_in_every_theme(visit, look, told):
    page = visit({}, **look)
    page.locator("html").evaluate(f"e => (e.dataset.theme = '{told}')")
    marks = ".ramlib-plot :is(.ramlib-mean, .ramlib-exact, .ramlib-best, text), "
    marks += ".ramlib-legend, .ramlib-term span, .ramlib-term b, .ramlib-option span"
    colors = page.locator(marks).evaluate_all(READ)
    assert len(colors) > 20
    for color, ground, text in colors:
        high, low = sorted(map(luminance, (color, ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= (4.5 if text else 3), (color, ground)
    if "forced_colors" in look:  # what is chosen is told by its border
        border = "all => all.map(e => getComputedStyle(e).borderTopWidth)"
        chosen = page.locator(".ramlib-option:has(:checked)").evaluate_all(border)
        assert chosen == ["3px", "3px"]
        bars = page.locator(".ramlib-option i").evaluate_all(border)
        assert set(bars) == {"6px"}, "a bar is a border: those stay"


@pytest.mark.parametrize("width", [320, 360, 560, 800])
def test_any_width_will_do(visit, width):
    visit({"title": "Try it"}, viewport=(width, 740))  # and nothing overflows


def test_without_scripts_there_is_a_picture_and_a_line(visit):
    page = visit({}, java_script_enabled=False, viewport=PHONE)
    assert page.locator(".ramlib-static img").bounding_box()["height"] > 100
    assert "Where scripts run" in page.locator("figcaption").inner_text()
