"""The widgets in a browser: what they draw, and every way to move them."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from traces import estimates, make_trace

from ramlib import player
from ramlib.sensor import GlimpseSensor, retina_boxes

PHONE = (360, 740)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Widgets</title>
<meta name="viewport" content="width=device-width, initial-scale=1">"""
TRACE, LAST = make_trace(B=3, T=5), 4
BOTH, NAMES = [estimates(), estimates(seed=1)], ["plain", "baseline"]
PLAYER = player.render(TRACE)
RETINA = player.retina(TRACE.images[0], glimpse_size=5, num_scales=2).data
SAMPLES = player.samples(BOTH, 1.0, labels=NAMES).data
ALL = (PLAYER, RETINA, SAMPLES)

READY = "document.querySelectorAll('.ramlib-ready')"


@pytest.fixture
def visit(new_page, tmp_path):
    """Open a page of widgets."""
    path = tmp_path / "page.html"

    def open_page(*widgets, **how):
        path.write_text(PAGE + "<p>Between.</p>".join(widgets), encoding="utf-8")
        page = new_page(path, **how)
        if how.get("java_script_enabled", True):
            page.wait_for_function(f"{READY}.length == {len(widgets)}")
        return page

    return open_page


def said(page, root=".ramlib"):
    return page.locator(f"{root} .ramlib-status").inner_text().replace("\xa0", " ")


def status(episode, t, trace=TRACE):
    """What the player says of a glimpse."""
    best, label = int(trace.predictions[episode, t]), episode % 10
    share = math.floor(trace.probs[episode, t, best] * 100 + 0.5)
    verdict = "right ✓" if best == label else f"the label is {label} ✗"
    verdict = "" if trace.labels is None else " – " + verdict
    start = f"Glimpse {t + 1} of {trace.num_glimpses}: most probable class"
    return f"{start} {best}, {share} %{verdict}"


READ_PATCHES = """root => [...root.querySelectorAll('.ramlib-patch canvas')].map(c =>
    [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])"""
READ_SQUARES = """root => [...root.querySelectorAll('.ramlib-square')].reverse().map(
    g => [...g.style.transform.matchAll(/-?[\\d.]+(?:e-?\\d+)?/g)].map(Number)
         .concat(+g.querySelector('.ramlib-line').getAttribute('width')))"""


def assert_drawn(page, patches, boxes, shape):
    """Patches (S, C, g, g) in [0, 1] and squares (S, 3) in pixels are on the page."""
    root, (S, C, g, g) = page.locator(".ramlib").first, patches.shape
    shown = np.reshape(root.evaluate(READ_PATCHES), (S, g, g, 4)).transpose(0, 3, 1, 2)
    assert (shown[:, 3] == 255).all()
    np.testing.assert_allclose(shown[:, :C], patches * 255, atol=0.5001)
    squares = np.array(root.evaluate(READ_SQUARES)) * max(shape[-2:]) / 300
    np.testing.assert_allclose(squares, boxes, atol=1e-3)


def assert_shows(page, episode, t, trace=TRACE):
    place, patches = trace.locations[episode, t], trace.patches[episode, t]
    g, S, (H, W) = trace.glimpse_size, trace.num_scales, trace.images.shape[-2:]
    assert said(page) == status(episode, t, trace)
    assert_drawn(page, patches, retina_boxes(place, g, S, H, W), (H, W))
    assert page.locator(".ramlib-path circle").count() == t + 1


# -- what is drawn ---------------------------------------------------------------------


SHAPES = {
    "wide": {"H": 30, "W": 40, "g": 5, "S": 2},
    "tall colour": {"H": 40, "W": 25, "g": 4, "S": 3, "C": 3},
    "larger than the image": {"H": 9, "W": 9, "g": 8, "S": 3},
    "one scale, no labels": {"H": 28, "W": 28, "g": 7, "S": 1, "labels": False},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_glimpse_is_drawn_as_it_was_seen(visit, shape):
    trace = make_trace(B=2, T=3, **shape)
    page = visit(player.render(trace))
    assert page.locator(".ramlib-static").is_hidden()
    assert_shows(page, 0, 2, trace)  # it begins with the whole path
    for episode in range(2):
        page.locator(".ramlib-episode").nth(episode).click()
        page.locator(".ramlib-slider").focus()
        page.keyboard.press("Home")
        for t in range(3):
            assert_shows(page, episode, t, trace)
            page.keyboard.press("ArrowRight")


def test_probabilities_and_value(visit):
    page, t = visit(PLAYER, reduced_motion="reduce"), LAST - 1
    page.locator(".ramlib-stop").nth(t).click()
    probs, best = TRACE.probs[0, t], TRACE.predictions[0, t]
    shares = page.locator(".ramlib-share").all_text_contents()
    assert shares == [f"{math.floor(p * 100 + 0.5)}\xa0%" for p in probs]
    height = "all => all.map(x => x.lastChild.offsetHeight / (x.clientHeight - 18))"
    heights = page.locator(".ramlib-track").evaluate_all(height)
    np.testing.assert_allclose(heights, probs, atol=0.02)
    assert page.locator(".ramlib-top .ramlib-name").inner_text() == str(int(best))
    assert page.locator(".ramlib-label .ramlib-name").inner_text() == "0"
    value = f"Value {TRACE.values[0, t]:.2f}"
    assert page.get_by_label(value).locator("i").count() == t + 1


def test_many_long_names_are_text_never_markup(visit):
    names = ["<img src=x onerror=alert(1)>", "</script>", '"', "'", "<i>four</i>"]
    names += [f"class <{a}> & more words than fit" for a in range(25)]
    trace = replace(make_trace(A=30), labels=torch.tensor([0, 1]))
    page = visit(player.render(trace, classes=names, title="<i>x</i>"), viewport=PHONE)
    assert page.locator(".ramlib-title").inner_text() == "<i>x</i>"
    shown = page.locator(".ramlib-name").all_text_contents()
    assert len(shown) == 10 and names[0] in shown  # the label is always there


# -- every way to move -----------------------------------------------------------------


def test_mouse_on_the_slider_and_on_the_columns_above_its_stops(visit):
    page = visit(PLAYER)
    box = page.locator(".ramlib-slider").bounding_box()
    stops = [box["x"] + 11 + (box["width"] - 22) * t / LAST for t in range(LAST + 1)]
    page.mouse.move(stops[LAST], box["y"] + 22)
    page.mouse.down()
    for t in (3, 1, 0, 2):
        page.mouse.move(stops[t], box["y"] + 22, steps=3)
        assert_shows(page, 0, t)
    page.mouse.up()
    for t, stop in enumerate(page.locator(".ramlib-stop").all()):
        stop.click(position={"x": stops[t] - stop.bounding_box()["x"], "y": 9})
        assert said(page) == status(0, t)


@pytest.mark.parametrize("focus", [".ramlib-slider", ".ramlib-button"])
def test_keys_move_and_stay_in_the_player(visit, focus):
    page = visit(PLAYER)
    page.evaluate("() => { document.onkeydown = e => (window.heard = e.key); }")
    page.locator(focus).focus()
    keys = "Home ArrowLeft ArrowRight ArrowUp ArrowDown End ArrowRight"
    for key, t in zip(keys.split(), [0, 0, 1, 2, 1, LAST, LAST], strict=True):
        page.keyboard.press(key)
        assert said(page) == status(0, t), key
    assert page.evaluate("window.heard") is None


def test_play_and_pause(visit):
    page = visit(PLAYER)
    page.clock.install()
    button, live = page.locator(".ramlib-button"), page.locator(".ramlib-status")
    for act, wait, t, playing in [
        ("Shift", 0, LAST, False),
        ("click", 0, 0, True),  # from the start
        ("Shift", 1000, 1, True),
        ("click", 5000, 1, False),
        ("click", 20_000, LAST, False),  # it ends by itself
        ("click", 1000, 1, True),
        ("ArrowRight", 5000, 2, False),  # a hand stops it
    ]:
        button.click() if act == "click" else page.keyboard.press(act)
        page.clock.run_for(wait)
        assert said(page) == status(0, t)
        assert button.get_attribute("aria-label") == ("Pause" if playing else "Play")
        assert live.get_attribute("aria-live") == ("off" if playing else "polite")


def swipe(page, across, along=0):
    """Drag a finger over the middle of the image."""
    box = page.locator(".ramlib-stage").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    client = page.context.new_cdp_session(page)
    for k in range(7):
        kind = {0: "touchStart", 6: "touchEnd"}.get(k, "touchMove")
        point = {"x": x + across * k / 5, "y": y + along * k / 5}
        touch = {"type": kind, "touchPoints": [point] if k < 6 else []}
        client.send("Input.dispatchTouchEvent", touch)
    # A tap that follows at once would only end the movement of the swipe.
    page.wait_for_timeout(800)


def test_touch(visit):
    page = visit(PLAYER, touch=True, viewport=PHONE)
    stage, stops = page.locator(".ramlib-stage"), page.locator(".ramlib-stop")
    for move, episode, t in [
        (stage.tap, 0, 0),  # after the last glimpse comes the first
        (stage.tap, 0, 1),
        (lambda: swipe(page, -90), 0, 2),
        (lambda: swipe(page, 90), 0, 1),
        (stops.nth(3).tap, 0, 3),
        (page.locator(".ramlib-episode").nth(1).tap, 1, 3),
        (lambda: swipe(page, 0, -150), 1, 3),  # the page scrolls, nothing else
    ]:
        move()
        page.wait_for_timeout(300)  # a tap becomes a click a little later
        assert said(page) == status(episode, t)
    assert page.evaluate("window.scrollY") > 30
    boxes = [element.bounding_box() for element in page.locator("button, input").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 44, "a fingertip"


def test_episodes_by_mouse_and_keys(visit):
    page = visit(PLAYER)
    page.locator(".ramlib-episode").nth(2).click()
    for key, episode in [("Shift", 2), ("ArrowLeft", 1), ("Home", 0)]:
        page.keyboard.press(key)
        assert_shows(page, episode, LAST)
    (checked,) = page.locator('[role="radio"][aria-checked="true"]').all()
    assert checked.get_attribute("aria-label").startswith("Episode 1: ")


def test_many_episodes_are_in_a_list_and_one_needs_none(visit):
    trace = make_trace(B=20)
    page = visit(player.render(trace))
    page.get_by_label("Episode").select_option("17")
    assert said(page) == status(17, 3, trace)
    page = visit(player.render(make_trace(B=1, T=1)))
    assert page.locator("button:visible, input:visible, select:visible").count() == 0


# -- for everybody ---------------------------------------------------------------------


def test_every_control_has_a_name_and_keeps_its_keys(visit):
    page = visit(*ALL)
    controls = page.locator("button, input, select, [tabindex='0']").all()
    keeping = page.locator("[data-lm-suppress-shortcuts='true']").all()
    assert len(controls) == len(keeping) >= 8
    for named in [*controls, *page.locator("[role='img']").all()]:
        assert len(named.get_attribute("aria-label")) >= 4
    assert page.locator("[role='status']").count() == 3


def luminance(color):
    rgb = [float(v) / 255 for v in re.findall(r"[\d.]+", color)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


READ_COLORS = """all => all.map(e => [getComputedStyle(e).color,
    getComputedStyle(e.closest('.ramlib')).backgroundColor])"""
TEXTS = ".ramlib-status, .ramlib-head, .ramlib-class, .ramlib-patch, .ramlib-stop"


THEMES = [
    ("light", None, False),
    ("dark", None, True),
    ("light", ("html", "data-theme", "dark"), True),
    ("dark", ("html", "data-theme", "light"), False),
    ("light", ("html", "theme", "dark"), True),
    ("light", ("body", "data-jp-theme-light", "false"), True),
]


@pytest.mark.parametrize(("theme", "told", "dark"), THEMES)
def test_both_themes_are_legible(visit, theme, told, dark):
    page = visit(*ALL, color_scheme=theme)
    if told:
        page.locator(told[0]).evaluate("(e, pair) => e.setAttribute(...pair)", told[1:])
    colors = page.locator(TEXTS).evaluate_all(READ_COLORS)
    assert len(colors) > 10
    for color, ground in (map(luminance, pair) for pair in colors):
        assert (ground < 0.1) == dark
        assert (max(color, ground) + 0.05) / (min(color, ground) + 0.05) >= 4.5


@pytest.mark.parametrize("width", [320, 360, 540, 800])
def test_any_width_will_do(visit, width):
    page = visit(*ALL, viewport=(width, 740))  # and nothing overflows
    image = page.locator(".ramlib-stage").first.bounding_box()
    slider = page.locator(".ramlib-slider").first.bounding_box()
    if width < 540:  # on a phone the controls are next to the image
        assert slider["y"] - (image["y"] + image["height"]) < 90


def test_without_scripts_there_is_a_picture_and_a_line(visit):
    page = visit(*ALL, java_script_enabled=False, viewport=PHONE)
    boxes = [x.bounding_box() for x in page.locator(".ramlib-static img:visible").all()]
    assert len(boxes) == 3
    assert all(box["width"] <= 340 and box["height"] > 30 for box in boxes)
    lines = page.locator("figcaption:visible").all_inner_texts()
    assert sum("Where scripts run" in line for line in lines) == 3


@pytest.mark.parametrize("wish", [{}, {"reduced_motion": "reduce"}])
def test_less_motion_when_asked_and_none_on_paper(visit, wish):
    page = visit(*ALL, **wish)
    square = "getComputedStyle(document.querySelector('.ramlib-square'))"
    assert (page.evaluate(square + ".transitionDuration") == "0s") == bool(wish)
    page.emulate_media(media="print")
    assert page.locator(".ramlib-static:visible").count() == 3
    assert page.locator(".ramlib-main:visible").count() == 0


# -- on one page, and in notebooks -----------------------------------------------------


def test_players_on_one_page_do_not_interfere(visit):
    page = visit(PLAYER, player.render(TRACE[2:], name="second"), SAMPLES, SAMPLES)
    page.locator('[data-name="second"] .ramlib-slider').focus()
    page.keyboard.press("Home")
    assert "Glimpse 1 of 5" in said(page, '[data-name="second"]')
    assert said(page, '[data-name="glimpses"]') == status(0, LAST)
    assert page.locator(".ramlib-slider").count() == 4


INSERT = """text => document.body.replaceChildren(
    document.createRange().createContextualFragment(text))"""
TORN = """text => { eval(text.match(/<script>([^]*)<.script>/)[1]);
    document.body.innerHTML = text; }"""


@pytest.mark.parametrize("how", [INSERT, TORN], ids=["in place", "script first"])
def test_it_starts_when_a_notebook_puts_it_on_the_page(visit, how):
    page = visit()
    for trace in (TRACE, TRACE[:1]):  # an update replaces the output
        page.evaluate(how, player.render(trace))
        page.wait_for_selector(".ramlib-ready")
        assert_shows(page, 0, LAST, trace)


# -- the retina ------------------------------------------------------------------------


def location(page):
    return [float(x) for x in page.locator(".ramlib-axis output").all_text_contents()]


def assert_sees(page, image, g, S):
    """What is shown is what the sensor gives for the location that is shown."""
    (C, H, W), place = image.shape, torch.tensor([location(page)])
    patches = GlimpseSensor(g, S, C)(image[None], place).reshape(S, C, g, g)
    boxes = retina_boxes(place[0], g, S, H, W)
    assert_drawn(page, patches, boxes, (H, W))
    lines = [f"{n:.0f} × {n:.0f} px from ({x:.0f}, {y:.0f})" for x, y, n in boxes]
    shown = page.locator(".ramlib-patch").all_inner_texts()
    assert [" ".join(text.split()) for text in shown] == lines


@pytest.mark.parametrize(("g", "S", "C"), [(8, 1, 1), (5, 3, 1), (12, 3, 3)])
def test_the_dragged_retina_sees_what_the_sensor_sees(visit, g, S, C):
    image = make_trace(B=1, C=C, W=41).images[0]
    retina = player.retina(image, glimpse_size=g, num_scales=S, start=(0.3, -1))
    page = visit(retina.data)
    assert location(page) == [0.3, -1]
    assert_sees(page, image, g, S)
    box = page.locator(".ramlib-stage").bounding_box()
    for across, along in [(0.5, 0.5), (0.1, 0.2), (0.77, 0.41), (0, 0.9), (1.2, 1.1)]:
        x, y = box["x"] + box["width"] * across, box["y"] + box["height"] * along
        page.mouse.move(x, y, steps=2)
        page.mouse.down()
        assert_sees(page, image, g, S)
        middle = location(page) == pytest.approx([0, 0], abs=0.03)
        assert middle == ((across, along) == (0.5, 0.5))
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])
    assert location(page) == [1, 1], "beyond the edge it stays at the edge, let go too"


EVERY_PLACE = """slider => Array.from({ length: 201 }, (_, i) => {
    slider.value = i / 100 - 1; slider.oninput();
    return [...document.querySelectorAll('.ramlib-patch span')]
        .map(span => +span.textContent.match(/-?\\d+/)[0]); })"""


def test_every_step_of_the_retina_rounds_as_the_sensor(visit):
    """All 201 places of one axis, where single and double precision may part."""
    image = torch.arange(60, dtype=torch.uint8).repeat(60, 1)
    page = visit(player.retina(image, glimpse_size=12, num_scales=3).data)
    shown = page.locator(".ramlib-slider").first.evaluate(EVERY_PLACE)
    xs = torch.tensor([[round(i / 100 - 1, 2), 0] for i in range(201)])
    np.testing.assert_array_equal(shown, retina_boxes(xs, 12, 3, 60, 60)[..., 0])


RAMP = torch.arange(28 * 28).reshape(1, 28, 28).to(torch.uint8)


def test_the_retina_moves_by_keys_and_sliders(visit):
    page = visit(player.retina(RAMP).data)
    page.locator(".ramlib-stage").focus()
    for key, place in [("ArrowRight", [0.07, 0]), ("ArrowDown", [0.07, 0.07])]:
        page.keyboard.press(key)
        assert location(page) == place
        assert_sees(page, RAMP, 8, 1)
    page.keyboard.press("Home")
    page.get_by_label("y of the location").press("ArrowLeft")
    assert location(page) == [0, -0.01]


def test_the_retina_follows_a_finger(visit):
    page = visit(player.retina(RAMP).data, touch=True, viewport=PHONE)
    swipe(page, 40, 60)
    assert min(location(page)) > 0.1 and page.evaluate("window.scrollY") == 0
    assert_sees(page, RAMP, 8, 1)


# -- the estimates ---------------------------------------------------------------------


def test_the_estimates_slide(visit):
    page = visit(SAMPLES)
    page.get_by_label("Samples in one estimate, N").focus()
    for key, n in [("Home", 1), ("ArrowRight", 4), ("End", 64), ("ArrowLeft", 16)]:
        page.keyboard.press(key)
        expected = f"N = {n}\n"
        for name, given in zip(NAMES, BOTH, strict=True):
            mean, std = given[n].mean(), given[n].std(ddof=1)
            expected += f"{name}: mean {float(f'{mean:.3g}')} ± {float(f'{std:.3g}')}"
        assert re.sub(r", .* axis|\n(?=base)", "", said(page)) == expected
        assert page.locator(".ramlib-bins").count() == 2
        assert page.locator(".ramlib-point.ramlib-now").count() == 2
    page.locator(".ramlib-stop").first.click()
    assert "N = 1\n" in said(page)
