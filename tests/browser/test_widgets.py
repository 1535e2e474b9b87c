"""The widgets in a browser: what they draw, and every way to move them."""

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ramlib import player
from ramlib.sensor import GlimpseSensor, retina_boxes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from traces import estimates, make_trace

PHONE = (360, 740)
PAGE = """<!doctype html><html lang="en"{}><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Widgets</title></head><body>{}</body></html>"""


@pytest.fixture
def visit(new_page, tmp_path):
    """Open a page of widgets: text, or the HTML that a notebook shows."""

    def open_page(*widgets, attributes="", clock=False, **how):
        text = "\n<p>Between.</p>\n".join(getattr(w, "data", w) for w in widgets)
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(attributes, text), encoding="utf-8")
        visit = new_page(**how)
        if clock:
            visit.page.clock.install()
        visit.open(path)
        if how.get("javascript", True):
            count = len(widgets)
            visit.page.wait_for_function(
                f"document.querySelectorAll('.ramlib-ready').length == {count}"
            )
        return visit

    return open_page


@pytest.fixture
def trace():
    return make_trace(B=3, T=5, g=5, S=2, H=30, W=40)


def status(page, root=".ramlib"):
    return page.locator(f"{root} .ramlib-status").inner_text().replace("\xa0", " ")


def wait_for_status(page, expected, root=".ramlib"):
    """A tap becomes a click a little later."""
    page.wait_for_function(
        """([root, text]) => document.querySelector(root + ' .ramlib-status')
           .textContent.replaceAll('\\xa0', ' ') == text""",
        arg=[root, expected],
    )


def percent(share):
    return math.floor(share * 100 + 0.5)


def expected_status(trace, episode, t):
    best = int(trace.predictions[episode, t])
    share = float(trace.probs[episode, t, best])
    T = trace.num_glimpses
    said = f"Glimpse {t + 1} of {T}: most probable class {best}, {percent(share)} %"
    if trace.labels is None:
        return said
    label = int(trace.labels[episode])
    return said + (" – right ✓" if best == label else f" – the label is {label} ✗")


READ_PATCHES = """root => [...root.querySelectorAll('.ramlib-patch canvas')].map(c =>
    [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])"""


def drawn_patches(page, size, channels=1, root=".ramlib"):
    """(S, C, g, g) in whole numbers, as the page shows them."""
    flat = page.locator(root).first.evaluate(READ_PATCHES)
    shown = np.array(flat).reshape(-1, size, size, 4)
    assert (shown[..., 3] == 255).all()
    return shown[..., :channels].transpose(0, 3, 1, 2)


READ_SQUARES = """root => [...root.querySelectorAll('.ramlib-square')].reverse().map(
    g => [...g.style.transform.matchAll(/-?[\\d.]+(?:e-?\\d+)?/g)].map(Number)
         .concat(+g.querySelector('.ramlib-line').getAttribute('width')))"""


def drawn_squares(page, height, width, root=".ramlib"):
    """(S, 3) left, top and side in pixels of the image."""
    unit = 300 / max(height, width)
    return np.array(page.locator(root).first.evaluate(READ_SQUARES)) / unit


def assert_shows(page, trace, episode, t):
    H, W = trace.images.shape[-2:]
    g, S, C = trace.glimpse_size, trace.num_scales, trace.images.shape[1]
    assert status(page) == expected_status(trace, episode, t)
    boxes = retina_boxes(trace.locations[episode, t], g, S, H, W)
    np.testing.assert_allclose(drawn_squares(page, H, W), boxes, atol=1e-3)
    patches = trace.patches[episode, t].numpy() * 255
    np.testing.assert_allclose(drawn_patches(page, g, C), patches, atol=0.5001)
    assert page.locator(".ramlib-path circle").count() == t + 1


# -- what is drawn ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        {"H": 30, "W": 40, "g": 5, "S": 2},
        {"H": 40, "W": 25, "g": 4, "S": 3, "C": 3},
        {"H": 9, "W": 9, "g": 8, "S": 3},
        {"H": 28, "W": 28, "g": 7, "S": 1, "labels": False},
    ],
    ids=["wide", "tall colour", "larger than the image", "one scale, no labels"],
)
def test_every_glimpse_is_drawn_as_it_was_seen(visit, shape):
    trace = make_trace(B=2, T=3, **shape)
    opened = visit(player.render(trace))
    page = opened.page
    for episode in range(2):
        page.locator(".ramlib-episode").nth(episode).click()
        page.locator(".ramlib-slider").focus()
        page.keyboard.press("Home")
        for t in range(3):
            assert_shows(page, trace, episode, t)
            page.keyboard.press("ArrowRight")
    opened.assert_clean()


def test_probabilities_and_value(visit, trace):
    page = visit(player.render(trace), reduced_motion=True).page
    page.locator(".ramlib-slider").focus()
    page.keyboard.press("ArrowLeft")
    t = trace.num_glimpses - 2
    shares = page.locator(".ramlib-share").all_text_contents()
    probs = trace.probs[0, t].tolist()
    assert shares == [f"{percent(p)}\xa0%" for p in probs]
    tracks = page.locator(".ramlib-track").evaluate_all(
        "all => all.map(x => x.querySelector('.ramlib-fill').offsetHeight"
        " / (x.clientHeight - 18))"
    )
    np.testing.assert_allclose(tracks, probs, atol=0.02)
    top = page.locator(".ramlib-top .ramlib-name").inner_text()
    assert top == str(int(trace.predictions[0, t]))
    assert page.locator(".ramlib-label .ramlib-name").inner_text() == "0"
    meter = page.locator(".ramlib-meter")
    assert meter.get_attribute("aria-label") == f"Value {trace.values[0, t]:.2f}"
    assert meter.locator("i").count() == t + 1


def test_it_begins_with_the_whole_path(visit, trace):
    opened = visit(player.render(trace))
    assert_shows(opened.page, trace, 0, trace.num_glimpses - 1)
    assert opened.page.locator(".ramlib-static").is_hidden()
    opened.assert_clean()


def test_long_names_and_many_classes(visit):
    trace = make_trace(A=30)
    names = [f"class <{a}> & more words than fit" for a in range(30)]
    opened = visit(player.render(trace, classes=names), viewport=PHONE)
    shown = opened.page.locator(".ramlib-name").all_text_contents()
    assert len(shown) == 10 and names[0] in shown  # the label is always there
    assert opened.overflow() <= 0
    opened.assert_clean()


def test_names_are_text_never_markup(visit):
    names = ["<img src=x onerror=alert(1)>", "</script>", '"', "'", *"efghij"]
    trace = make_trace(B=1)
    opened = visit(player.render(trace, classes=names, title="<i>title</i>"))
    assert opened.page.locator(".ramlib-title").inner_text() == "<i>title</i>"
    assert names[0] in opened.page.locator(".ramlib-name").all_text_contents()
    opened.assert_clean()


# -- every way to move -----------------------------------------------------------------


def test_mouse_on_the_slider(visit, trace):
    opened = visit(player.render(trace))
    page = opened.page
    box = page.locator(".ramlib-slider").bounding_box()
    middle = box["y"] + box["height"] / 2
    T = trace.num_glimpses

    def stop(t):
        return box["x"] + 11 + (box["width"] - 22) * t / (T - 1)

    page.mouse.move(stop(T - 1), middle)
    page.mouse.down()
    for t in (3, 1, 0, 2):
        page.mouse.move(stop(t), middle, steps=3)
        assert_shows(page, trace, 0, t)
    page.mouse.up()
    opened.assert_clean()


def test_the_columns_stand_above_the_stops_of_the_slider(visit, trace):
    page = visit(player.render(trace)).page
    box = page.locator(".ramlib-slider").bounding_box()
    T = trace.num_glimpses
    for t in range(T):
        column = page.locator(".ramlib-stop").nth(t).bounding_box()
        stop = box["x"] + 11 + (box["width"] - 22) * t / (T - 1)
        assert column["x"] + column["width"] / 2 == pytest.approx(stop, abs=1.5)
        page.locator(".ramlib-stop").nth(t).click()
        assert status(page) == expected_status(trace, 0, t)


@pytest.mark.parametrize("focus", [".ramlib-slider", ".ramlib-button"])
def test_keys(visit, trace, focus):
    page = visit(player.render(trace)).page
    page.locator(focus).focus()
    last = trace.num_glimpses - 1
    for key, t in [
        ("Home", 0),
        ("ArrowLeft", 0),
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("ArrowDown", 1),
        ("End", last),
        ("ArrowRight", last),
    ]:
        page.keyboard.press(key)
        assert status(page) == expected_status(trace, 0, t), key


def test_keys_stay_in_the_player(visit, trace):
    page = visit(player.render(trace)).page
    page.evaluate("() => { document.onkeydown = e => (window.heard = e.key); }")
    page.locator(".ramlib-slider").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("window.heard") is None
    page.keyboard.press("a")
    assert page.evaluate("window.heard") == "a"


def test_play_and_pause(visit, trace):
    opened = visit(player.render(trace), clock=True)
    page = opened.page
    button = page.locator(".ramlib-button")
    assert button.get_attribute("aria-label") == "Play"
    button.click()
    assert button.get_attribute("aria-label") == "Pause"
    live = page.locator(".ramlib-status")
    assert live.get_attribute("aria-live") == "off", "no chatter while it plays"
    assert status(page) == expected_status(trace, 0, 0), "from the start again"
    page.clock.run_for(1000)
    assert status(page) == expected_status(trace, 0, 1)
    button.click()
    page.clock.run_for(5000)
    assert status(page) == expected_status(trace, 0, 1), "paused"
    button.click()
    page.clock.run_for(20_000)
    assert status(page) == expected_status(trace, 0, trace.num_glimpses - 1)
    assert button.get_attribute("aria-label") == "Play", "it ends by itself"
    assert live.get_attribute("aria-live") == "polite"
    opened.assert_clean()


def test_moving_by_hand_stops_the_playing(visit, trace):
    page = visit(player.render(trace), clock=True).page
    page.locator(".ramlib-button").click()
    page.locator(".ramlib-slider").focus()
    page.keyboard.press("ArrowRight")
    page.clock.run_for(5000)
    assert status(page) == expected_status(trace, 0, 1)


def swipe(page, selector, across, along=0):
    """Drag a finger over the middle of an element."""
    box = page.locator(selector).first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    client = page.context.new_cdp_session(page)
    points = [(x + across * k / 5, y + along * k / 5) for k in range(6)]
    for k, (px, py) in enumerate(points):
        kind = "touchMove" if k else "touchStart"
        client.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": px, "y": py}]},
        )
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    # A tap that follows at once would only end the movement of the swipe.
    page.wait_for_timeout(800)


def test_touch(visit, trace):
    opened = visit(player.render(trace), touch=True, viewport=PHONE)
    page = opened.page
    stage = page.locator(".ramlib-stage")
    stage.tap()  # after the last glimpse comes the first
    wait_for_status(page, expected_status(trace, 0, 0))
    stage.tap()
    wait_for_status(page, expected_status(trace, 0, 1))
    swipe(page, ".ramlib-stage", -90)
    wait_for_status(page, expected_status(trace, 0, 2))
    swipe(page, ".ramlib-stage", 90)
    wait_for_status(page, expected_status(trace, 0, 1))
    page.locator(".ramlib-stop").nth(3).tap()
    wait_for_status(page, expected_status(trace, 0, 3))
    page.locator(".ramlib-episode").nth(1).tap()
    wait_for_status(page, expected_status(trace, 1, 3))
    opened.assert_clean()


def test_the_page_still_scrolls_under_a_finger_on_the_image(visit, trace):
    page = visit(player.render(trace), touch=True, viewport=PHONE).page
    swipe(page, ".ramlib-stage", 0, -150)
    page.wait_for_function("window.scrollY > 30")
    assert status(page) == expected_status(trace, 0, trace.num_glimpses - 1)


def test_nothing_to_touch_is_smaller_than_a_fingertip(visit, trace):
    page = visit(player.render(trace), touch=True, viewport=PHONE).page
    for selector in (".ramlib-button", ".ramlib-episode", ".ramlib-slider"):
        for element in page.locator(selector).all():
            box = element.bounding_box()
            assert min(box["width"], box["height"]) >= 44


def test_episodes_by_mouse_and_keys(visit, trace):
    opened = visit(player.render(trace))
    page = opened.page
    last = trace.num_glimpses - 1
    page.locator(".ramlib-episode").nth(2).click()
    assert_shows(page, trace, 2, last)
    page.keyboard.press("ArrowLeft")
    assert_shows(page, trace, 1, last)
    page.keyboard.press("Home")
    assert_shows(page, trace, 0, last)
    checked = page.locator('[role="radio"][aria-checked="true"]')
    assert checked.count() == 1
    assert checked.get_attribute("aria-label").startswith("Episode 1: ")
    opened.assert_clean()


def test_many_episodes_are_in_a_list(visit):
    trace = make_trace(B=20)
    page = visit(player.render(trace)).page
    page.get_by_label("Episode").select_option("17")
    assert status(page) == expected_status(trace, 17, trace.num_glimpses - 1)


def test_one_glimpse_of_one_episode_needs_no_controls(visit):
    trace = make_trace(B=1, T=1)
    opened = visit(player.render(trace))
    assert opened.page.locator(".ramlib-button").is_hidden()
    assert opened.page.locator(".ramlib-episode").count() == 0
    opened.assert_clean()


# -- for everybody ---------------------------------------------------------------------


@pytest.fixture
def all_widgets(trace):
    retina = player.retina(trace.images[0], glimpse_size=5, num_scales=2)
    samples = player.samples(
        [estimates(), estimates(seed=1)], 1.0, labels=["plain", "with a baseline"]
    )
    return [player.render(trace), retina, samples]


def test_every_control_has_a_name_and_keeps_its_keys(visit, all_widgets):
    page = visit(*all_widgets).page
    controls = page.locator("button, input, select, [tabindex='0']")
    assert controls.count() >= 8
    for control in controls.all():
        assert control.get_attribute("aria-label")
        assert control.get_attribute("data-lm-suppress-shortcuts") == "true"
    for picture in page.locator("[role='img']").all():
        assert len(picture.get_attribute("aria-label")) >= 6
    assert page.locator("[role='status']").count() == 3
    assert page.locator("[id]").count() == 0


def luminance(color):
    rgb = [float(v) / 255 for v in re.findall(r"[\d.]+", color)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


READ_COLORS = """all => all.map(e => {
    const ground = getComputedStyle(e.closest('.ramlib')).backgroundColor;
    return [getComputedStyle(e).color, ground, e.className];
})"""

TEXTS = ", ".join(
    f".ramlib-{name}"
    for name in ("status", "head", "title", "patch", "class", "scale", "stop")
)


@pytest.mark.parametrize(
    ("attributes", "system", "dark"),
    [
        ("", "light", False),
        ("", "dark", True),
        (' data-theme="dark"', "light", True),
        (' data-theme="light"', "dark", False),
        (' theme="dark"', "light", True),
    ],
)
def test_both_themes_are_legible(visit, all_widgets, attributes, system, dark):
    opened = visit(*all_widgets, attributes=attributes, theme=system)
    colors = opened.page.locator(TEXTS).evaluate_all(READ_COLORS)
    assert len(colors) > 10
    for color, ground, name in colors:
        assert (luminance(ground) < 0.1) == dark
        high, low = sorted([luminance(color), luminance(ground)], reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_jupyterlab_says_its_theme_on_the_body(visit, trace):
    page = visit(player.render(trace)).page
    read = "getComputedStyle(document.querySelector('.ramlib')).backgroundColor"
    light = page.evaluate(read)
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert luminance(page.evaluate(read)) < 0.1 < luminance(light)


@pytest.mark.parametrize("width", [320, 360, 540, 800])
def test_no_width_overflows(visit, all_widgets, width):
    opened = visit(*all_widgets, viewport=(width, 740))
    assert opened.overflow() <= 0
    opened.assert_clean()


def test_on_a_phone_the_controls_are_next_to_the_image(visit, trace):
    page = visit(player.render(trace), viewport=PHONE).page
    image = page.locator(".ramlib-stage").bounding_box()
    slider = page.locator(".ramlib-slider").bounding_box()
    assert slider["y"] + slider["height"] < PHONE[1]
    assert slider["y"] - (image["y"] + image["height"]) < 90


def test_without_scripts_there_is_a_picture_and_a_line(visit, all_widgets):
    opened = visit(*all_widgets, javascript=False, viewport=PHONE)
    page = opened.page
    assert page.locator(".ramlib-static img").count() == 3
    for picture in page.locator(".ramlib-static img").all():
        assert picture.is_visible()
        box = picture.bounding_box()
        assert box["width"] <= 340 and box["height"] > 30
    for line in page.locator("figcaption").all():
        assert line.is_visible() and "Where scripts run" in line.inner_text()
    assert page.locator("button, input, select").count() == 0
    opened.assert_clean()


def test_on_paper_there_is_the_picture(visit, all_widgets):
    page = visit(*all_widgets).page
    page.emulate_media(media="print")
    assert page.locator(".ramlib-static:visible").count() == 3
    assert page.locator(".ramlib-main:visible").count() == 0


def test_less_motion_when_asked(visit, trace):
    read = """getComputedStyle(document.querySelector('.ramlib-square'))
              .transitionDuration"""
    assert visit(player.render(trace)).page.evaluate(read) != "0s"
    still = visit(player.render(trace), reduced_motion=True)
    assert still.page.evaluate(read) == "0s"


# -- on one page, and in notebooks -----------------------------------------------------


def test_players_on_one_page_do_not_interfere(visit, trace):
    other = make_trace(B=2, T=4, seed=1)
    opened = visit(player.render(trace), player.render(other, name="second"))
    page = opened.page
    page.locator('[data-name="second"] .ramlib-slider').focus()
    page.keyboard.press("Home")
    first, second = '[data-name="glimpses"]', '[data-name="second"]'
    assert status(page, second) == expected_status(other, 0, 0)
    assert status(page, first) == expected_status(trace, 0, trace.num_glimpses - 1)
    opened.assert_clean()


def test_the_same_output_twice(visit, trace):
    opened = visit(player.render(trace), player.render(trace))
    assert opened.page.locator(".ramlib-slider").count() == 2
    opened.assert_clean()


INSERT = """([text, early]) => {
    const output = document.createElement('div');
    if (early) document.body.append(output);
    output.innerHTML = text;
    for (const old of output.querySelectorAll('script')) {
        const script = document.createElement('script');
        script.textContent = old.textContent;
        old.replaceWith(script);
    }
    if (!early) setTimeout(() => document.body.append(output), 50);
}"""


@pytest.mark.parametrize("early", [True, False], ids=["in place", "detached"])
def test_it_starts_when_a_notebook_puts_it_on_the_page(visit, trace, early):
    opened = visit()
    page = opened.page
    page.evaluate(INSERT, [player.render(trace), early])
    page.wait_for_selector(".ramlib-ready")
    assert_shows(page, trace, 0, trace.num_glimpses - 1)
    # An update replaces the output: the new one starts as well.
    page.evaluate("document.body.replaceChildren()")
    page.evaluate(INSERT, [player.render(trace[1:]), early])
    page.wait_for_selector(".ramlib-ready")
    assert_shows(page, trace[1:], 0, trace.num_glimpses - 1)
    opened.assert_clean()


def test_a_script_that_is_torn_from_its_output_still_starts_it(visit, trace):
    opened = visit()
    text = player.render(trace)
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)[1]
    opened.page.evaluate(
        "([text, script]) => { eval(script); document.body.innerHTML = text; }",
        [text, script],
    )
    opened.page.wait_for_selector(".ramlib-ready")


# -- the retina ------------------------------------------------------------------------


def location(page):
    values = page.locator(".ramlib-axis output").all_text_contents()
    return [float(value) for value in values]


def assert_sees(page, image, g, S):
    """What is shown is what the sensor gives for the location that is shown."""
    C, H, W = image.shape
    place = torch.tensor([location(page)])
    expected = GlimpseSensor(g, S, C)(image[None], place).reshape(S, C, g, g) * 255
    np.testing.assert_allclose(drawn_patches(page, g, C), expected, atol=0.5001)
    boxes = retina_boxes(place[0], g, S, H, W)
    np.testing.assert_allclose(drawn_squares(page, H, W), boxes, atol=1e-3)
    corners = page.locator(".ramlib-patch").all_inner_texts()
    for text, (left, top, side) in zip(corners, boxes.int().tolist(), strict=True):
        assert text.split() == [
            str(side),
            "×",
            str(side),
            "px",
            "from",
            f"({left},",
            f"{top})",
        ]


@pytest.mark.parametrize(
    ("shape", "g", "S"),
    [((1, 28, 28), 8, 1), ((1, 30, 41), 5, 3), ((3, 60, 60), 12, 3)],
    ids=str,
)
def test_the_dragged_retina_sees_what_the_sensor_sees(visit, shape, g, S):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    opened = visit(player.retina(image, glimpse_size=g, num_scales=S, start=(0.3, -1)))
    page = opened.page
    assert location(page) == [0.3, -1]
    assert_sees(page, image, g, S)
    box = page.locator(".ramlib-stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    assert location(page) == pytest.approx([0, 0], abs=0.03)
    assert_sees(page, image, g, S)
    for across, along in [(0.1, 0.2), (0.77, 0.41), (0.33, 0.9), (0, 0), (1.2, 1.1)]:
        page.mouse.move(
            box["x"] + box["width"] * across, box["y"] + box["height"] * along, steps=2
        )
        assert_sees(page, image, g, S)
    assert location(page) == [1, 1], "beyond the edge it stays at the edge"
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])
    assert location(page) == [1, 1], "let go, it stays where it is"
    opened.assert_clean()


def test_every_step_of_the_retina_rounds_as_the_sensor(visit):
    """All 201 places of one axis, where single and double precision may part."""
    image = torch.arange(60, dtype=torch.uint8).repeat(60, 1)[None] * 4
    page = visit(player.retina(image, glimpse_size=12, num_scales=3)).page
    shown = page.locator(".ramlib-axis .ramlib-slider").first.evaluate(
        """slider => Array.from({ length: 201 }, (_, i) => {
            slider.value = i / 100 - 1;
            slider.oninput();
            return [...document.querySelectorAll('.ramlib-patch span')]
                .map(span => +span.textContent.match(/-?\\d+/)[0]);
        })"""
    )
    xs = torch.tensor([round(i / 100 - 1, 2) for i in range(201)])
    places = torch.stack([xs, torch.zeros_like(xs)], dim=-1)
    boxes = retina_boxes(places, 12, 3, 60, 60)
    np.testing.assert_array_equal(shown, boxes[..., 0])


def test_the_retina_moves_by_keys_and_sliders(visit):
    image = torch.arange(28 * 28).reshape(1, 28, 28).to(torch.uint8)
    opened = visit(player.retina(image, glimpse_size=8))
    page = opened.page
    page.locator(".ramlib-stage").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert location(page) == pytest.approx([0.14, 0.07], abs=0.011)
    assert_sees(page, image, 8, 1)
    page.keyboard.press("Home")
    assert location(page) == [0, 0]
    page.get_by_label("y of the location").focus()
    page.keyboard.press("ArrowLeft")
    assert location(page) == [0, -0.01]
    assert_sees(page, image, 8, 1)
    opened.assert_clean()


def test_the_retina_follows_a_finger(visit):
    image = torch.arange(28 * 28).reshape(1, 28, 28).to(torch.uint8)
    opened = visit(player.retina(image), touch=True, viewport=PHONE)
    page = opened.page
    swipe(page, ".ramlib-stage", 40, 60)
    x, y = location(page)
    assert x > 0.1 and y > 0.2
    assert page.evaluate("window.scrollY") == 0
    assert_sees(page, image, 8, 1)
    opened.assert_clean()


# -- the estimates ---------------------------------------------------------------------


def test_the_estimates_slide(visit):
    counts = (1, 4, 16, 64)
    plain, other = estimates(counts), estimates(counts, seed=1)
    opened = visit(player.samples([plain, other], 1.0, labels=["plain", "baseline"]))
    page = opened.page
    page.get_by_label("Samples in one estimate, N").focus()
    for key, n in [("Home", 1), ("ArrowRight", 4), ("End", 64), ("ArrowLeft", 16)]:
        page.keyboard.press(key)
        said = status(page)
        assert f"N = {n}\n" in said
        for name, given in [("plain", plain[n]), ("baseline", other[n])]:
            found = re.search(name + r": mean ([\d.e−]+) ± ([\d.e−]+)", said)
            mean, std = (float(v.replace("−", "-")) for v in found.groups())
            assert mean == pytest.approx(given.mean(), rel=6e-3)
            assert std == pytest.approx(given.std(ddof=1), rel=6e-3)
        assert page.locator(".ramlib-bins").count() == 2
        assert page.locator(".ramlib-point.ramlib-now").count() == 2
    page.locator(".ramlib-stop").first.click()
    assert "N = 1\n" in status(page)
    opened.assert_clean()


def test_estimates_without_spread(visit):
    opened = visit(player.samples({1: [2.0, 2.0], 8: [2.0, 2.0]}, 2.0))
    assert "mean 2 ± 0" in status(opened.page)
    opened.assert_clean()
