"""The widgets in a browser: what they draw, and every way to move them."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from traces import make_trace

from ramlib import figures, player
from ramlib.sensor import GlimpseSensor, corner, retina_boxes, to_pixels

PHONE = (360, 740)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Widgets</title>
<meta name="viewport" content="width=device-width, initial-scale=1">"""
TRACE, LAST = make_trace(B=3, T=5), 4
PLAYER = player.render(TRACE)
RETINA = player.retina(TRACE.images[0], glimpse_size=5, num_scales=2).data
POLICY = player.playground(torch.eye(8)).data
LESSON = player.learn().data
ALL = (PLAYER, RETINA, POLICY, LESSON)

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


def stop_the_clock(page):
    """Let time go on only when the test says so."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)


def said(page, root=".ramlib"):
    return page.locator(f"{root} .ramlib-status").inner_text().replace("\xa0", " ")


def status(episode, t, trace=TRACE, told=None):
    """What the player says of a glimpse; the verdict once the end has been seen."""
    told = t == trace.num_glimpses - 1 if told is None else told
    best = int(trace.predictions[episode, t])
    label = None if trace.labels is None else int(trace.labels[episode])
    share = math.floor(trace.probs[episode, t, best] * 100 + 0.5)
    verdict = "right ✓" if best == label else f"the label is {label} ✗"
    verdict = " – " + verdict if told and trace.labels is not None else ""
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


READ_SCREEN = """root => {
    const c = [...root.querySelectorAll('.ramlib-stage canvas')].at(-1);
    return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }"""


def seen(trace, episode, t):
    """Every pixel as glimpses 0 to t saw it best, or nothing: (H, W, 4) in [0, 255]."""
    g, S, (H, W) = trace.glimpse_size, trace.num_scales, trace.images.shape[-2:]
    room = g * 2**S
    wide = np.zeros((H + 2 * room, W + 2 * room, 4))
    for s in reversed(range(S)):
        for k in range(t + 1):
            boxes = retina_boxes(trace.locations[episode, k], g, S, H, W)
            left, top, side = (int(x) for x in boxes[s])
            patch = np.moveaxis(trace.patches[episode, k, s].numpy() * 255, 0, -1)
            block = np.full((g, g, 4), 255.0)
            block[..., :3] = patch
            rows = slice(top + room, top + room + side)
            columns = slice(left + room, left + room + side)
            wide[rows, columns] = block.repeat(2**s, 0).repeat(2**s, 1)
    return wide[room : room + H, room : room + W]


def assert_screen(page, expected):
    shown = np.reshape(
        page.locator(".ramlib").first.evaluate(READ_SCREEN), expected.shape
    )
    np.testing.assert_allclose(shown, expected, atol=0.5001)


def whole(trace, episode):
    """All of an image, as `seen` gives it."""
    opaque = np.full((*trace.images.shape[-2:], 4), 255)
    opaque[..., :3] = np.moveaxis(trace.images[episode].numpy(), 0, -1)
    return opaque


def assert_shows(page, episode, t, trace=TRACE, told=None):
    place, patches = trace.locations[episode, t], trace.patches[episode, t]
    g, S, (H, W) = trace.glimpse_size, trace.num_scales, trace.images.shape[-2:]
    assert said(page) == status(episode, t, trace, told)
    assert_drawn(page, patches, retina_boxes(place, g, S, H, W), (H, W))
    assert page.locator(".ramlib-path circle").count() == t + 1
    assert_screen(page, seen(trace, episode, t))


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
    for episode in range(2):
        page.locator(".ramlib-episode").nth(episode).click()
        page.locator(".ramlib-slider").focus()
        for t in range(3):  # it begins with the first
            assert_shows(page, episode, t, trace)
            page.keyboard.press("ArrowRight")


def test_probabilities_and_value(visit):
    page, t = visit(PLAYER, reduced_motion="reduce"), LAST - 1
    for stop in (LAST, t):
        page.locator(".ramlib-stop").nth(stop).click()
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


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_whole_image_comes_in_the_end_of_playing_or_by_a_switch(visit, shape):
    trace = make_trace(B=2, T=3, **shape)
    page = visit(player.render(trace))
    stop_the_clock(page)
    assert_screen(page, seen(trace, 0, 0))
    page.get_by_label("Whole image").check()
    assert_screen(page, whole(trace, 0))
    page.keyboard.press("ArrowRight")
    assert_screen(page, whole(trace, 0))
    page.get_by_label("Whole image").uncheck()
    assert_screen(page, seen(trace, 0, 1))
    page.keyboard.down("w")
    assert_screen(page, whole(trace, 0))
    page.keyboard.up("w")
    page.keyboard.press("End")
    assert_screen(page, seen(trace, 0, 2))  # not played
    page.keyboard.press("Home")
    page.locator(".ramlib-button").click()
    page.clock.run_for(900)
    assert_screen(page, seen(trace, 0, 1))
    page.clock.run_for(100)
    assert_screen(page, whole(trace, 0))
    page.locator(".ramlib-stop").nth(1).click()
    assert_screen(page, seen(trace, 0, 1))
    page.locator(".ramlib-episode").nth(1).click()
    assert_screen(page, seen(trace, 1, 0))


WORDS = """root => root.innerText + [...root.querySelectorAll('*')].map(
    e => (e.ariaLabel || '') + e.title + (e.ariaValueText || '')).join()"""


def test_nothing_gives_the_end_away(visit):
    """Of two traces that are equal so far, the page says the same."""
    other = replace(TRACE, probs=TRACE.probs.clone(), labels=(TRACE.labels + 1) % 10)
    other.probs[:, 2:] = TRACE.probs[:, 2:].flip(-1)
    pages = [visit(player.render(trace)) for trace in (TRACE, other)]
    words = [page.locator(".ramlib").evaluate(WORDS) for page in pages]
    assert words[0] == words[1] and "Episode 1," in words[0]
    for page in pages:
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
    words = [page.locator(".ramlib").evaluate(WORDS) for page in pages]
    assert words[0] == words[1]
    for page in pages:
        page.keyboard.press("End")
    marks = [page.locator(".ramlib-episode b").all_text_contents() for page in pages]
    for trace, shown, page in zip((TRACE, other), marks, pages, strict=True):
        final, label = int(trace.predictions[0, LAST]), int(trace.labels[0])
        assert shown == ["✓" if final == label else "✗", "", ""]
        verdict = f"{final} in the end, {'right' if final == label else 'wrong'}"
        assert page.get_by_label(f"Episode 1: {verdict}; label {label}").count() == 1
        assert page.locator(".ramlib-label").count() == 1
        page.locator(".ramlib-episode").nth(1).click()
        assert page.locator(".ramlib-label").count() == 0
        page.locator(".ramlib-episode").first.click()  # what is known stays known
        assert said(page) == status(0, 0, trace, told=True)


# -- every way to move -----------------------------------------------------------------


def test_mouse_on_the_slider_and_on_the_columns_above_its_stops(visit):
    page = visit(PLAYER)
    box = page.locator(".ramlib-slider").bounding_box()
    stops = [box["x"] + 11 + (box["width"] - 22) * t / LAST for t in range(LAST + 1)]
    page.mouse.move(stops[LAST], box["y"] + 22)
    page.mouse.down()
    for t in (3, 1, 0, 2):
        page.mouse.move(stops[t], box["y"] + 22, steps=3)
        assert_shows(page, 0, t, told=True)
    page.mouse.up()
    for t, stop in enumerate(page.locator(".ramlib-stop").all()):
        stop.click(position={"x": stops[t] - stop.bounding_box()["x"], "y": 9})
        assert said(page) == status(0, t, told=True)


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


# What happens to the status, in order: its text, and whether that is to be heard.
LISTEN = """() => { window.heard = [];
    const watch = new MutationObserver(all => window.heard.push(
        ...all.map(m => m.attributeName ? m.target.ariaLive : m.target.textContent)));
    watch.observe(document.querySelector('.ramlib-status'),
                  { attributeFilter: ['aria-live'], childList: true }); }"""


def test_play_pause_and_replay(visit):
    page = visit(PLAYER)
    stop_the_clock(page)
    button, live = page.locator(".ramlib-button"), page.locator(".ramlib-status")
    told = False
    for act, wait, t, label in [
        ("Shift", 5000, 0, "Play"),  # not by itself
        ("click", 0, 1, "Pause"),
        ("Shift", 1000, 2, "Pause"),
        ("click", 5000, 2, "Play"),
        ("click", 1000, LAST, "Replay"),  # it ends by itself, and says so at once
        ("click", 0, 0, "Pause"),  # from the start
        ("click", 0, 0, "Play"),
        ("click", 0, 1, "Pause"),
        ("ArrowRight", 5000, 2, "Play"),  # a hand stops it
        ("ArrowRight", 0, 3, "Play"),
        ("click", 0, LAST, "Replay"),  # from the last but one
        ("ArrowLeft", 0, 3, "Play"),
    ]:
        told |= t == LAST
        button.click() if act == "click" else page.keyboard.press(act)
        page.clock.run_for(wait)
        assert said(page) == status(0, t, told=told)
        assert button.get_attribute("aria-label") == label
        assert live.get_attribute("aria-live") == (
            "off" if label == "Pause" else "polite"
        )


def test_the_last_words_of_playing_are_heard(visit):
    page = visit(PLAYER)
    stop_the_clock(page)
    page.evaluate(LISTEN)
    page.locator(".ramlib-button").click()
    page.clock.run_for(10_000)
    heard = [text.replace("\xa0", " ") for text in page.evaluate("window.heard")]
    assert heard[-2:] == ["polite", status(0, LAST)] and "off" in heard[:2]


PLAYS = player.render(TRACE, start=2, play=True)
FAR = "<div style='height: 2000px'></div>"


def test_it_plays_once_by_itself_when_it_comes_into_view(visit):
    page = visit(FAR + PLAYS + FAR)
    stop_the_clock(page)
    page.clock.run_for(5000)
    assert said(page) == status(2, 0)
    page.locator(".ramlib-stage").scroll_into_view_if_needed()
    page.locator("[aria-label=Pause]").wait_for()
    assert said(page) == status(2, 0)
    page.clock.run_for(1000)
    assert said(page) == status(2, 1)
    page.clock.run_for(10_000)
    assert said(page) == status(2, LAST)
    page.evaluate("scrollTo(0, 0)")
    page.clock.run_for(1000)
    page.locator(".ramlib-stage").scroll_into_view_if_needed()
    page.clock.run_for(1000)
    page.wait_for_timeout(300)
    assert (
        said(page) == status(2, LAST)
        and page.locator("[aria-label=Replay]").count() == 1
    )
    page.locator(".ramlib-episode").first.click()  # each that is chosen plays, too
    page.clock.run_for(2000)
    assert said(page) == status(0, 2)


@pytest.mark.parametrize("wish", ["reduce", "a hand"])
def test_it_plays_not_by_itself_for_a_reader_who_wants_none(visit, wish):
    motion = {"reduced_motion": "reduce"} if wish == "reduce" else {}
    page = visit(FAR + PLAYS, **motion)
    stop_the_clock(page)
    if not motion:
        page.locator(".ramlib-slider").evaluate(
            "slider => slider.focus({ preventScroll: true })"
        )
        page.keyboard.press("ArrowRight")
    page.locator(".ramlib-stage").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    page.clock.run_for(3000)
    assert said(page) == status(2, 0 if motion else 1)
    if motion:
        page.locator(".ramlib-episode").first.click()
        page.clock.run_for(3000)
        assert said(page) == status(0, 0)
        page.locator(".ramlib-button").click()  # but as soon as it is asked for
        page.clock.run_for(10_000)
        assert said(page) == status(0, LAST)


# In each frame of a move: the middle of the square, the newest line's end and its dot.
FOLLOW = """() => new Promise(done => {
    const frames = [], last = name => [...document.querySelectorAll(name)].at(-1);
    const middle = e => { const b = e.getBoundingClientRect();
        return [b.x + b.width / 2, b.y + b.height / 2]; };
    const end = e => { const to = e.getAttribute('d').split('L')[1].split(' ');
        const p = new DOMPoint(...to.map(Number)).matrixTransform(e.getScreenCTM());
        return [p.x, p.y]; };
    const look = () => {
        frames.push([middle(last('.ramlib-square rect')),
            end(last('.ramlib-path path')), middle(last('.ramlib-path circle'))]);
        if (frames.length < 30) requestAnimationFrame(look); else done(frames);
    };
    document.querySelector('.ramlib-button').click();
    requestAnimationFrame(look);
})"""


def test_the_path_never_runs_ahead_of_the_squares(visit):
    places = torch.tensor([[-0.8, -0.8], [0.8, 0.6], [0, 0]])[None]
    page = visit(
        player.render(replace(make_trace(B=1, T=3, g=5, S=1), locations=places))
    )
    square, end, dot = np.moveaxis(page.evaluate(FOLLOW), 1, 0)
    assert np.ptp(square, axis=0).min() > 50  # it moves
    # Squares sit on whole pixels, the path does not: half a pixel of theirs, enlarged.
    pixel = page.locator(".ramlib-stage canvas").first.bounding_box()["width"] / 40
    for part in (end, dot):
        assert np.abs(part - square).max() < 0.75 * pixel


def swipe(page, across, along=0, start=(0.5, 0.5)):
    """Drag a finger over the image, from its middle or another place."""
    box = page.locator(".ramlib-stage").first.bounding_box()
    x, y = box["x"] + box["width"] * start[0], box["y"] + box["height"] * start[1]
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
        (stage.tap, 0, 1),
        (lambda: swipe(page, -90), 0, 2),
        (lambda: swipe(page, 90), 0, 1),
        (stops.nth(3).tap, 0, 3),
        (page.locator(".ramlib-episode").nth(1).tap, 1, 0),
        (stops.nth(LAST).tap, 1, LAST),
        (stage.tap, 1, 0),  # after the last glimpse comes the first
        (lambda: swipe(page, 0, -150), 1, 0),  # the page scrolls, nothing else
    ]:
        move()
        page.wait_for_timeout(300)  # a tap becomes a click a little later
        assert said(page).split(" – ")[0] == status(episode, t, told=False)
    assert page.evaluate("window.scrollY") > 30
    targets = page.locator("button, input:not([type=checkbox]), label").all()
    boxes = [element.bounding_box() for element in targets]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 44, "a fingertip"


def test_episodes_by_mouse_and_keys(visit):
    page = visit(PLAYER)
    page.locator(".ramlib-episode").nth(2).click()
    for key, episode in [("Shift", 2), ("ArrowLeft", 1), ("Home", 0)]:
        page.keyboard.press(key)
        assert_shows(page, episode, 0)
    (checked,) = page.locator('[role="radio"][aria-checked="true"]').all()
    assert checked.get_attribute("aria-label") == "Episode 1"


def test_many_episodes_are_in_a_list_and_one_needs_none(visit):
    trace = make_trace(B=20)
    page = visit(player.render(trace))
    page.get_by_label("Episode").select_option("17")
    page.locator(".ramlib-stop").last.click()
    assert said(page) == status(17, 3, trace)
    options = page.locator("option").all_text_contents()
    assert options[16] == "Episode 17" and options[17].startswith("Episode 18: ")
    page = visit(player.render(make_trace(B=1, T=1)))
    (only,) = page.locator("button:visible, input:visible, select:visible").all()
    assert only.get_attribute("aria-label") == "Whole image"


# -- for everybody ---------------------------------------------------------------------


def test_every_control_has_a_name_and_keeps_its_keys(visit):
    page = visit(*ALL)
    controls = page.locator("button, input, select, [tabindex='0']").all()
    keeping = page.locator("[data-lm-suppress-shortcuts='true']").all()
    assert len(controls) == len(keeping) >= 8
    for named in [*controls, *page.locator("[role='img']").all()]:
        assert len(named.get_attribute("aria-label")) >= 4
    assert page.locator("[role='status']").count() == 4


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


def test_colours_of_the_reader_s_own_hide_nothing(visit):
    page = visit(PLAYER, forced_colors="active")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    style = "(e, name) => getComputedStyle(e)[name]"
    ground = page.locator(".ramlib").evaluate(style, "backgroundColor")
    fills = page.locator(".ramlib-fill")
    for bar in fills.all():
        assert bar.evaluate(style, "backgroundColor") != ground
    assert (
        len(
            set(
                fills.evaluate_all(
                    "all => all.map(e => getComputedStyle(e).backgroundColor)"
                )
            )
        )
        == 2
    )
    track = page.locator(".ramlib-slider").evaluate(style, "backgroundImage")
    assert "gradient" in track and ground not in track
    framed = "all => all.filter(e => getComputedStyle(e).outlineStyle != 'none').length"
    assert page.locator(".ramlib-name").evaluate_all(framed) == 1
    dots = "all => new Set(all.map(e => getComputedStyle(e).backgroundColor)).size"
    assert page.locator(".ramlib-meter i").evaluate_all(dots) == LAST + 1


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
    assert len(boxes) == len(ALL)
    assert all(box["width"] <= 340 and box["height"] > 30 for box in boxes)
    lines = page.locator("figcaption:visible").all_inner_texts()
    assert sum("Where scripts run" in line for line in lines) == len(ALL)


@pytest.mark.parametrize("wish", [{}, {"reduced_motion": "reduce"}])
def test_less_motion_when_asked_and_none_on_paper(visit, wish):
    page = visit(*ALL, **wish)
    page.get_by_label("Glimpse", exact=True).press("ArrowRight")
    square = "getComputedStyle(document.querySelector('.ramlib-square'))"
    assert (page.evaluate(square + ".transitionDuration") == "0s") == bool(wish)
    page.emulate_media(media="print")
    assert page.locator(".ramlib-static:visible").count() == len(ALL)
    assert page.locator(".ramlib-main:visible").count() == 0


# -- on one page, and in notebooks -----------------------------------------------------


def test_players_on_one_page_do_not_interfere(visit):
    page = visit(PLAYER, player.render(TRACE[2:], name="second"), RETINA, RETINA)
    page.locator('[data-name="second"] .ramlib-slider').focus()
    page.keyboard.press("End")
    assert "Glimpse 5 of 5" in said(page, '[data-name="second"]')
    assert said(page, '[data-name="glimpses"]') == status(0, 0)
    assert page.locator(".ramlib-slider").count() == 2 + 2 * 4


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
        assert_shows(page, 0, 0, trace)


# -- the retina ------------------------------------------------------------------------


def plain(text):
    """A text as it is typed: no true minus, no space that keeps words together."""
    return " ".join(text.replace("−", "-").split())


def location(page):
    outputs = page.locator(".ramlib-side .ramlib-axis output").all_text_contents()
    return [float(plain(text)) for text in outputs]


def assert_sees(page, image, g, S):
    """What is shown is what the sensor gives for the location that is shown."""
    (C, H, W), place = image.shape, torch.tensor([location(page)])
    patches = GlimpseSensor(g, S, C)(image[None], place).reshape(S, C, g, g)
    boxes = retina_boxes(place[0], g, S, H, W)
    assert_drawn(page, patches, boxes, (H, W))
    lines = [f"{n:.0f} × {n:.0f} px from ({x:.0f}, {y:.0f})" for x, y, n in boxes]
    shown = page.locator(".ramlib-patch").all_inner_texts()
    assert [plain(text) for text in shown] == lines


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
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    assert location(page) == [1, 1], "beyond the edge it stays at the edge, let go too"


EVERY_PLACE = """slider => Array.from({ length: 201 }, (_, i) => {
    slider.value = i / 100 - 1; slider.oninput();
    return [...document.querySelectorAll('.ramlib-patch span')]
        .map(span => +span.textContent.replaceAll("−", "-").match(/-?\\d+/)[0]); })"""


def test_every_step_of_the_retina_rounds_as_the_sensor(visit):
    """All 201 places of one axis, where single and double precision may part."""
    image = torch.arange(60, dtype=torch.uint8).repeat(60, 1)
    page = visit(player.retina(image, glimpse_size=12, num_scales=3).data)
    shown = page.locator(".ramlib-slider").first.evaluate(EVERY_PLACE)
    xs = torch.tensor([[round(i / 100 - 1, 2), 0] for i in range(201)])
    np.testing.assert_array_equal(shown, retina_boxes(xs, 12, 3, 60, 60)[..., 0])


RAMP = torch.arange(28 * 28).reshape(1, 28, 28).to(torch.uint8)


def test_the_retina_moves_by_keys_and_sliders(visit):
    page = visit(player.retina(RAMP, start=(0, 0)).data)
    page.locator(".ramlib-stage").focus()
    for key, place in [("ArrowRight", [0.07, 0]), ("ArrowDown", [0.07, 0.07])]:
        page.keyboard.press(key)
        assert location(page) == place
        assert_sees(page, RAMP, 8, 1)
    page.keyboard.press("Home")
    page.get_by_label("y of the location").press("ArrowLeft")
    assert location(page) == [0, -0.01]
    assert said(page) == "Location (0.00, −0.01), which is (14.00, 13.86) in pixels"


def test_a_finger_drags_the_squares_and_beside_them_scrolls(visit):
    page = visit(player.retina(RAMP).data, touch=True, viewport=PHONE)
    x, y = place = location(page)
    stage = page.locator(".ramlib-stage").bounding_box()
    swipe(page, 0, -120, start=(0.05, 0.95))
    assert page.evaluate("window.scrollY") > 30 and location(page) == place
    page.evaluate("window.scrollTo(0, 0)")
    page.touchscreen.tap(
        stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    )
    assert location(page) == pytest.approx([0, 0], abs=0.01)  # a tap brings them
    # A drag moves them as far as the finger, from wherever it takes them.
    swipe(page, 40, 60, start=(0.54, 0.46))
    assert page.evaluate("window.scrollY") == 0
    image = page.locator(".ramlib-stage > canvas").bounding_box()["width"]
    assert location(page) == pytest.approx([80 / image, 120 / image], abs=0.03)
    assert_sees(page, RAMP, 8, 1)
    place = location(page)
    swipe(page, 60, start=(0.03, 0.97))
    assert location(page) == place, "let go"


PHOTO = make_trace(B=1, C=3, W=41).images[0]


@pytest.mark.parametrize(("image", "C"), [(RAMP, 1), (PHOTO, 3)])
def test_patches_of_other_sizes_and_numbers_see_what_their_sensor_sees(visit, image, C):
    page = visit(player.retina(image).data)
    size, scales = page.get_by_label("Patch size"), page.get_by_label("Scales S")
    H, W = image.shape[-2:]
    for g, S in [(2, 1), (16, 4), (7, 3), (16, 1), (3, 4)]:
        size.fill(str(g))
        scales.fill(str(S))
        side = g * 2 ** (S - 1)
        of = f"(image: {H} × {W})" if side > max(H, W) else f"of {H} × {W}"
        times = "" if C == 1 else f"{C}·"
        counts = page.locator(".ramlib-controls > span").all_inner_texts()
        numbers = f"Numbers the model gets: {times}S·g² = {S * C * g * g:,}"
        assert counts == [numbers, f"Pixels covered, at most: {side} × {side} {of}"]
        for x, y in [(-1, 1), (0.31, -0.58), (1, -1)]:
            page.get_by_label("x of the location").fill(str(x))
            page.get_by_label("y of the location").fill(str(y))
            assert location(page) == [x, y]
            assert_sees(page, image, g, S)
            stage = page.locator(".ramlib-stage").bounding_box()
            for square in page.locator(".ramlib-line").all():  # in the corners, too
                box = square.bounding_box()
                for at, length in [("x", "width"), ("y", "height")]:
                    assert stage[at] < box[at]
                    assert box[at] + box[length] < stage[at] + stage[length]


READ_SUMS = """slider => Array.from({ length: 201 }, (_, i) => {
    slider.value = i / 100 - 1; slider.oninput();
    const sum = slider.closest('.ramlib').querySelector('.ramlib-sum.ramlib-now');
    return [...sum.children].map(part => part.textContent); })"""


@pytest.mark.parametrize(("W", "g"), [(60, 12), (60, 5), (28, 8), (41, 1)])
def test_the_arithmetic_is_true_and_that_of_the_sensor(visit, W, g):
    page = visit(player.retina(torch.zeros(1, 60, W), glimpse_size=g).data)
    for axis, first, length in [("x", "left", W), ("y", "top", 60)]:
        sums = page.get_by_label(f"{axis} of the location").evaluate(READ_SUMS)
        places = torch.tensor([round(i / 100 - 1, 2) for i in range(201)])
        pixels = to_pixels(places[:, None].expand(-1, 2), length, length)[:, 0]
        expected = corner(places, g, length).int().tolist()
        half = f"{(g - 1) / 2:g}"
        for x, p, n, (to_p, to_n) in zip(places, pixels, expected, sums, strict=True):
            told, start = f"p{axis} = ({x:.2f} + 1) / 2 · {length} = ", f"{first} = ⌊"
            assert plain(to_p).startswith(told)
            shown = plain(to_p).removeprefix(told)
            assert float(shown) == pytest.approx(p.item(), abs=1e-5)
            assert plain(to_n) == f"{start}{shown} - {half}⌋ = {n}"
            assert math.floor(float(shown) - float(half)) == n  # as it is written


READ_BLOCK = """root => { const edge = root.querySelector('.ramlib-block');
    const [line, image] = [edge, root.querySelector('.ramlib-stage > canvas')]
        .map(e => e.getBoundingClientRect());
    const unit = image.width / root.querySelector('.ramlib-stage > canvas').width;
    return [(line.x - image.x) / unit, (line.y - image.y) / unit, line.width / unit,
            edge.getAttribute('stroke')]; }"""
READ_CELL = """root => { const patch = root.querySelector('.ramlib-patch.ramlib-now');
    const [cell, grid] = ['cell', 'grid'].map(name => patch.querySelector(
        '.ramlib-' + name).getBoundingClientRect());
    return ['x', 'y'].map(at => (cell[at] + cell.width / 2 - grid[at] - 3)
        / (grid.width - 6)); }"""


def assert_linked(page, image, g, s, column, row):
    """A cell of a patch, the block it averages, and their square are marked."""
    C, H, W = image.shape
    left, top, _ = retina_boxes(torch.tensor(location(page)), g, s + 1, H, W)[
        s
    ].tolist()
    n, root = 2**s, page.locator(".ramlib")
    x, y = int(left) + column * n, int(top) + row * n
    ground = np.zeros((C, H + 4 * g * n, W + 4 * g * n))  # black all around
    ground[:, 2 * g * n :, 2 * g * n :][:, :H, :W] = image / 255
    block = ground[:, y + 2 * g * n :, x + 2 * g * n :][:, :n, :n]
    means = ", ".join(f"{mean:.2f}" for mean in block.mean(axis=(1, 2)))
    what = "1 pixel" if n == 1 else f"mean of {n} × {n} pixels"
    rows = f"rows {y} to {y + n - 1}, columns {x} to {x + n - 1}"
    rows = f"row {y}, column {x}" if n == 1 else rows
    assert plain(said(page)) == f"{what} = {means} {rows}"
    *drawn, side, color = root.evaluate(READ_BLOCK)
    gap = (side - n) / 2  # the line runs around the block, close to it
    assert 0 < gap < 1 and color == figures.SERIES_COLORS[s]
    assert drawn == pytest.approx([x - gap, y - gap], abs=0.02)
    middle = [(column + 0.5) / g, (row + 0.5) / g]
    assert root.evaluate(READ_CELL) == pytest.approx(middle, abs=0.01)
    linked = "all => all.map(one => one.matches('.ramlib-now'))"
    squares = page.locator(".ramlib-square").evaluate_all(linked)[::-1]
    assert squares == page.locator(".ramlib-patch").evaluate_all(linked)
    assert squares.index(True) == s and sum(squares) == 1


@pytest.mark.parametrize(("image", "start"), [(RAMP, (0, 0)), (PHOTO, (-0.9, 0.7))])
def test_a_cell_is_linked_with_the_block_that_it_averages(visit, image, start):
    g, S = 5, 3
    page = visit(player.retina(image, glimpse_size=g, num_scales=S, start=start).data)
    home, grids = said(page), page.locator(".ramlib-grid")
    for s, column, row in [(0, 0, 4), (1, 2, 2), (2, 4, 1), (2, 0, 0)]:
        side = grids.nth(s).bounding_box()["width"]
        x, y = (3 + (side - 6) * (at + 0.5) / g for at in (column, row))
        grids.nth(s).hover(position={"x": x, "y": y})
        assert_linked(page, image, g, s, column, row)
    page.mouse.move(1, 1)
    assert said(page) == home and page.locator(".ramlib-linking").count() == 0
    # A place of the picture belongs to the finest scale that sees it.
    pixel = page.locator(".ramlib-stage > canvas").bounding_box()
    unit = pixel["width"] / image.shape[-1]
    boxes = retina_boxes(torch.tensor(start), g, S, *image.shape[-2:]).tolist()
    for s, (left, top, side) in enumerate(boxes):
        x, y = left + 0.5, top + side - 0.5
        page.mouse.move(pixel["x"] + unit * x, pixel["y"] + unit * y)
        assert_linked(page, image, g, s, 0, g - 1)
    page.mouse.move(1, 1)
    # By the keys, while the place stays as it is.
    grids.nth(1).focus()
    for key, cell in [("ArrowRight", (1, 4)), ("ArrowUp", (1, 3)), ("Home", (0, 0))]:
        page.keyboard.press(key)
        assert_linked(page, image, g, 1, *cell)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    assert_linked(page, image, g, 2, 0, 0)
    page.keyboard.press("Tab")
    assert said(page) == home


READ_FRAMES = """root => [[...root.querySelectorAll('.ramlib-line')].reverse().map(
    line => getComputedStyle(line).stroke), [...root.querySelectorAll(
    '.ramlib-patch canvas')].map(patch => getComputedStyle(patch).borderColor)]"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("forced", ["none", "active"])
def test_a_scale_has_one_colour_everywhere(visit, theme, forced):
    retina = player.retina(RAMP, num_scales=4)
    how = {"color_scheme": theme, "forced_colors": forced, "viewport": PHONE}
    squares, frames = visit(retina.data, **how).locator(".ramlib").evaluate(READ_FRAMES)
    assert squares == frames and len(set(frames)) == 4
    for color in map(luminance, frames):  # on black, and on white
        assert (color + 0.05) / 0.05 >= 3 and 1.05 / (color + 0.05) >= 3
