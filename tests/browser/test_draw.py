"""Draw your own: the pad, what MNIST does to a digit, and the live model that looks."""

import base64
import html
import io
import itertools
import json
import math
import re

import landing
import numpy as np
import pytest
import torch
from PIL import Image

from ramlib import RecurrentAttentionModel, player
from ramlib.sensor import to_pixels

PHONE = (390, 844)
MODEL = RecurrentAttentionModel.from_pretrained(landing.MODEL)
T, CELLS, BRUSH, SOFT = MODEL.config.num_glimpses, 4, 4.5, 4


def recorded():
    """MNIST's digits and labels that the landing page holds, wherever this runs."""
    text = landing.PAGE.read_text(encoding="utf-8")
    picture, value = (
        html.unescape(re.search(rf" data-{name}=([\"'])(.*?)\1", text)[2])
        for name in ("images", "value")
    )
    tall = Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1])))
    images = torch.tensor(np.asarray(tall).copy()).reshape(-1, 1, 28, 28)
    return images, torch.tensor(json.loads(value)["labels"])


DIGITS, LABELS = recorded()
TRACE = MODEL.look(DIGITS, LABELS, generator=0)
PLAYER = player.render(TRACE, live=landing.MODEL)
RIGHT = [e for e in range(len(LABELS)) if TRACE.predictions[e, -1] == LABELS[e]]


# -- what the page shows ---------------------------------------------------------------

READ = """() => {
    const pixels = canvas => { const { width, height } = canvas;
        const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
        return [...data].filter((_, i) => i % 4 == 0); };
    const all = (name, of) => [...document.querySelectorAll(name)].map(of);
    return {
        image: pixels([...document.querySelectorAll('.ramlib-stage canvas')].at(-1)),
        paper: pixels(document.querySelector('.ramlib-paper')),
        shares: all('.ramlib-fill', bar => +bar.style.getPropertyValue('--share')),
        path: all('.ramlib-path circle', dot => [+dot.getAttribute('cx') * 28 / 300,
                                                 +dot.getAttribute('cy') * 28 / 300]),
        value: document.querySelector('.ramlib-value .ramlib-head span').textContent,
    };
}"""


def said(page):
    return page.locator(".ramlib-status").inner_text().replace("\xa0", " ")


def read(page, t=T - 1):
    """What is shown at glimpse t, the whole image in place of what was seen."""
    page.locator(".ramlib-stop").nth(t).click()
    page.get_by_label("Whole image").check()
    found = page.evaluate(READ)
    page.get_by_label("Whole image").uncheck()
    found["image"] = torch.tensor(found["image"], dtype=torch.uint8).reshape(
        1, 1, 28, 28
    )
    found["paper"] = np.reshape(found["paper"], (112, 112)) / 255
    found["path"] = torch.tensor(found["path"])
    return found


def looks(page, first=(0.0, 0.0)):
    """The live episode, which must be what ramlib says of the same image."""
    shown = [read(page, t) for t in range(T)]
    place = torch.tensor(first)
    trace = MODEL.look(shown[0]["image"], first_location=place)
    path = to_pixels(trace.locations[0], 28, 28)
    assert (shown[-1]["path"] - path).abs().max() < 0.05
    shares = torch.tensor([one["shares"] for one in shown])
    assert (shares - trace.probs[0]).abs().max() < 1e-2
    values = torch.tensor([float(one["value"]) for one in shown])
    assert (values - trace.values[0]).abs().max() < 2e-2
    best, share = int(shares[-1].argmax()), math.floor(shares[-1].max() * 100 + 0.5)
    assert said(page) == f"It reads a{'n' * (best == 8)} {best} ({share} %)"
    assert best == trace.predictions[0, -1]
    return shown[-1], best


# -- how a reader draws ----------------------------------------------------------------


def wait_until_it_says(page, start):
    status = "document.querySelector('.ramlib-status').textContent"
    page.wait_for_function(f"{status}.startsWith('{start}')")


@pytest.fixture
def pad(live_page):
    """Open the player, and the pad in it, with the model loaded."""

    def open_pad(**how):
        how = {"reduced_motion": "reduce", "viewport": (1000, 1000)} | how
        page = live_page(PLAYER, **how)
        page.get_by_role("button", name="Draw your own").click()
        wait_until_it_says(page, "Draw")
        return page

    return open_pad


def draw(page, *strokes):
    """Draw lines through points in pixels of the image, from 0 to 28."""
    box = page.locator(".ramlib-paper").bounding_box()
    for stroke in strokes:
        points = [
            [box["x"] + x * box["width"] / 28, box["y"] + y * box["height"] / 28]
            for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


SEVEN = [(8, 7), (20, 7), (13, 22)]
THREE = [(9, 6), (18, 6), (13, 12), (19, 17), (15, 22), (8, 21)]
SMALL = [(1 + 0.4 * x, 1 + 0.4 * y) for x, y in THREE]  # and far from the middle


def mnist(paper):
    """What MNIST's authors did, step by step: a box of 20 pixels, then its middle."""
    rows, columns = np.nonzero(paper)
    top, left = rows.min(), columns.min()
    grain = (max(np.ptp(rows), np.ptp(columns)) + 1) / 20
    for axis, first in ((0, top), (1, left)):
        # The area under the ink up to any point of the axis, and so in each pixel.
        area = np.moveaxis(paper, axis, 0).cumsum(0)
        area = np.concatenate([np.zeros_like(area[:1]), area])
        edges = (first + grain * np.arange(21)).clip(0, 112)
        each = [np.interp(edges, np.arange(113), column) for column in area.T]
        paper = np.moveaxis(np.diff(np.array(each).T, axis=0) / grain, 0, axis)
    middle = [
        (paper.sum(1 - axis) * np.arange(20)).sum() / paper.sum() for axis in (0, 1)
    ]
    assert all(abs(at % 1 - 0.5) > 0.02 for at in middle), (
        "no drawing for a test: a tie"
    )
    down, right = (round(14 - at) for at in middle)
    image = np.pad(paper, 20)[20 - down : 48 - down, 20 - right : 48 - right]
    return (255 * image).round()


# -- tests -----------------------------------------------------------------------------


@pytest.mark.parametrize("episode", RIGHT[::2])
def test_a_stored_digit_that_is_drawn_stroke_by_stroke_is_recognised(pad, episode):
    page = pad()
    rows = DIGITS[episode, 0] > 200
    strokes = []
    for y, row in enumerate(rows.tolist()):
        runs = re.finditer("1+", "".join(str(int(lit)) for lit in row))
        strokes += [
            [(a.start() + 0.5, y + 0.5), (a.end() - 0.5, y + 0.5)] for a in runs
        ]
    draw(page, *strokes)
    assert looks(page)[1] == LABELS[episode]


def test_it_is_centred_as_mnist_is(pad):
    page = pad()
    for strokes in ([SEVEN], [SMALL], [THREE, [(2, 3)]], [[(3, 26), (27, 20)]]):
        page.get_by_role("button", name="Clear").click()
        draw(page, *strokes)
        found = read(page)
        np.testing.assert_allclose(
            found["image"][0, 0], mnist(found["paper"]), atol=1.01
        )


def test_mnist_s_own_digits_come_through_as_they_are(pad):
    """They are centred already, by the procedure that ours has to be."""
    page = pad()
    page.locator("summary").click()
    for e in range(len(DIGITS)):
        page.get_by_label("Stored picture", exact=True).select_option(str(e))
        assert (read(page)["image"][0] == DIGITS[e]).all()


def test_a_line_is_as_wide_and_as_soft_as_it_should_be(pad):
    page = pad()
    draw(page, SEVEN)
    paper, points = read(page)["paper"], np.array(SEVEN) * CELLS
    y, x = np.mgrid[:112, :112] + 0.5
    far = np.full((112, 112), np.inf)
    for start, end in itertools.pairwise(points):
        way = end - start
        along = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / (way @ way)
        along = along.clip(0, 1)
        to = np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
        far = np.minimum(far, to)
    ink = ((BRUSH - far) / SOFT + 0.5).clip(0, 1)
    np.testing.assert_allclose(paper, ink, atol=0.05)


def test_switched_off_it_is_seen_as_it_was_drawn_and_fails(pad):
    page = pad()
    draw(page, SMALL)
    centred, best = looks(page)
    assert best == 3
    page.get_by_label("Centre it, as MNIST does").uncheck()
    shown, best = looks(page)
    blocks = shown["paper"].reshape(28, CELLS, 28, CELLS).mean((1, 3))
    np.testing.assert_allclose(shown["image"][0, 0], 255 * blocks, atol=1.01)
    assert best != 3
    page.get_by_label("Centre it, as MNIST does").check()
    assert (read(page)["image"] == centred["image"]).all()


def test_the_first_place_is_dragged_on_the_picture(pad):
    page = pad()
    draw(page, SEVEN)
    before, _ = looks(page)
    handle = page.locator(".ramlib-handle")
    picture = page.locator(".ramlib-stage canvas").first.bounding_box()
    ring = handle.bounding_box()
    x, y = ring["x"] + ring["width"] / 2 + 5, ring["y"] + ring["height"] / 2 + 3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - picture["width"] / 4, y + picture["height"] / 8, steps=5)
    page.mouse.up()
    path = read(page)["path"]
    np.testing.assert_allclose(path[0], [7, 17.5], atol=0.1)  # not where it was held
    first = (path[0] / 14 - 1).tolist()
    after, _ = looks(page, first)
    assert (after["path"][1:] - before["path"][1:]).abs().max() > 0.5
    handle.focus()
    page.keyboard.press("Home")
    looks(page)
    for key, first in [("ArrowRight", (1 / 14, 0)), ("ArrowDown", (1 / 14, 1 / 14))]:
        handle.press(key)
        looks(page, first)
    for _ in range(20):
        handle.press("ArrowLeft")
    assert read(page)["path"][0].tolist() == pytest.approx([0, 15], abs=1e-3)


def test_chance_moves_the_later_looks_and_again_draws_it_anew(pad):
    page = pad()
    draw(page, SEVEN)
    again, sigma = (
        page.get_by_role("button", name="Look again"),
        page.get_by_label("Chance σ"),
    )
    calm = read(page)["path"]
    assert again.is_disabled(), "it would look at the same places"
    sigma.fill("0.05")
    little = read(page)["path"]
    sigma.fill("0.5")
    much = read(page)["path"]
    assert (much[0] == calm[0]).all() and (little[1:] != calm[1:]).all()
    # The second look strays from the likeliest one by as much as σ says.
    np.testing.assert_allclose(much[1] - calm[1], 10 * (little[1] - calm[1]), atol=1e-3)
    seconds = []
    for _ in range(40):
        again.click()
        seconds.append(read(page)["path"][1] - calm[1])
    away = torch.stack(seconds) / 14  # less than 3 % of them at an edge
    assert len(away.unique(dim=0)) == 40
    assert away.mean(0).abs().max() < 0.3 and 0.3 < away.std() < 0.65
    sigma.fill("0")
    assert (read(page)["path"] == calm).all()


def test_without_a_pointer_a_stored_digit_is_moved_scaled_and_turned(pad):
    page = pad()
    page.get_by_label("Centre it, as MNIST does").uncheck()
    page.locator("summary").press("Enter")
    stored = page.get_by_label("Stored picture", exact=True)
    stored.focus()
    page.keyboard.press("ArrowDown")
    assert stored.input_value() in "01"
    stored.select_option("3")
    looks(page)
    for name, key, times in [
        ("Across", "ArrowRight", 3),
        ("Down", "ArrowLeft", 2),
        ("Size", "ArrowLeft", 2),
        ("Turn", "ArrowRight", 6),
    ]:
        for _ in range(times):
            page.get_by_label(f"{name}, of").press(key)
    shown, _ = looks(page)
    cos, sin = np.cos(np.pi / 6) / 0.8, np.sin(np.pi / 6) / 0.8
    x, y = np.meshgrid(
        (np.arange(112) + 0.5) / 4 - 14 - 3, (np.arange(112) + 0.5) / 4 - 14 + 2
    )
    u, v = (
        np.floor(at + 14).astype(int) for at in (x * cos + y * sin, y * cos - x * sin)
    )
    inside = (u >= 0) & (v >= 0) & (u < 28) & (v < 28)
    paper = np.where(inside, DIGITS[3, 0].numpy()[v.clip(0, 27), u.clip(0, 27)], 0)
    np.testing.assert_array_equal(shown["paper"] * 255, paper)
    blocks = paper.reshape(28, CELLS, 28, CELLS).mean((1, 3))
    np.testing.assert_allclose(shown["image"][0, 0], blocks, atol=0.51)


def test_it_plays_through_and_tells_no_verdict(pad):
    page = pad(reduced_motion="no-preference")
    page.clock.install(time=0)
    page.clock.pause_at(1000)  # time goes on when the test says so
    draw(page, SEVEN)
    for t in range(T):
        assert said(page).startswith(
            f"Glimpse {t + 1} of {T}: it reads a" if t < T - 1 else "It reads a 7 ("
        )
        assert page.locator(".ramlib-path circle").count() == t + 1
        page.clock.run_for(500)
    assert page.locator("[aria-label=Replay]").count() == 1
    words = page.locator(".ramlib-main").inner_text()
    assert "✓" not in words and "✗" not in words and "label" not in words
    assert page.locator(".ramlib-label").count() == 0
    status, controls = page.locator(".ramlib-status"), page.locator(".ramlib-controls")
    draw(page, SEVEN)  # it plays again, and "Clear" ends it
    page.get_by_role("button", name="Clear").click()
    assert said(page).startswith("Draw a digit") and not controls.is_visible()
    assert status.get_attribute("aria-live") == "polite"
    page.get_by_role("button", name="Back").click()
    assert said(page).startswith("Glimpse 1 of 6: most probable class")
    assert page.locator(".ramlib-picker").is_visible() and controls.is_visible()
    page.locator(".ramlib-stage").click()
    assert said(page).startswith("Glimpse 2 of 6")


def test_the_player_is_there_before_and_after_the_pad(live_page):
    page = live_page(PLAYER, viewport=(1000, 1000))
    stop = page.locator(".ramlib-stop").first
    assert stop.is_visible() and page.locator(".ramlib-episodes").is_visible()
    page.get_by_role("button", name="Draw your own").click()
    wait_until_it_says(page, "Draw")
    assert not stop.is_visible(), "nothing is drawn, so nothing is seen"
    page.keyboard.press("Escape")
    assert stop.is_visible() and page.locator(".ramlib-episodes").is_visible()
    opener = page.get_by_role("button", name="Draw your own")
    assert opener.evaluate("e => e == document.activeElement")


def test_clear_forgets_the_stored_picture(pad):
    page = pad()
    page.locator("summary").press("Enter")
    stored = page.get_by_label("Stored picture", exact=True)
    stored.select_option("1")
    size, told = page.get_by_label("Size, of"), page.locator(".ramlib-told")
    size.fill("0.5")
    text = told.inner_text().replace("\xa0", " ")
    assert told.is_visible() and text == said(page)
    page.get_by_role("button", name="Clear").click()
    assert stored.input_value() == "" and not size.is_visible()
    stored.select_option("1")
    assert size.input_value() == "1"


def test_nothing_is_loaded_before_it_is_used(live_page):
    page = live_page(PLAYER)
    page.keyboard.press("End")
    scripts = page.locator("script[src]")
    assert scripts.count() == 0
    page.get_by_role("button", name="Draw your own").press("Enter")
    draw(page, SEVEN)  # at once: it is looked at as soon as the model is there
    wait_until_it_says(page, "It reads")
    names = scripts.evaluate_all("all => all.map(e => e.getAttribute('src'))")
    assert names == ["./_static/live/engine.js", f"./_static/live/{landing.MODEL}.js"]


def test_where_the_model_cannot_be_loaded_it_says_so(new_page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'>{PLAYER}", encoding="utf-8")
    page = new_page(path)
    page.get_by_role("button", name="Draw your own").click()
    wait_until_it_says(page, "This runs in the book.")
    page.get_by_role("button", name="Back").click()
    assert said(page).startswith("Glimpse 1 of 6")


def test_by_touch_on_a_phone(pad):
    page = pad(viewport=PHONE, touch=True, is_mobile=True)
    paper = page.locator(".ramlib-paper").bounding_box()
    scrolled = page.evaluate("scrollY")
    client = page.context.new_cdp_session(page)
    for k in range(22):  # a finger has no leaps
        x, y = np.array(SEVEN[k > 10]) * (1 - k % 11 / 10) + np.array(
            SEVEN[1 + (k > 10)]
        ) * (k % 11 / 10)
        kind = {0: "touchStart", 21: "touchEnd"}.get(k, "touchMove")
        point = {
            "x": paper["x"] + x * paper["width"] / 28,
            "y": paper["y"] + y * paper["height"] / 28,
        }
        touches = {"type": kind, "touchPoints": [point] if k < 21 else []}
        client.send("Input.dispatchTouchEvent", touches)
    wait_until_it_says(page, "It reads")
    assert page.evaluate("scrollY") == scrolled
    assert said(page).startswith("It reads a 7")
    page.wait_for_timeout(800)  # so that a tap is none of the stroke's
    page.locator("summary").tap()
    page.get_by_label("Stored picture", exact=True).select_option("1")
    targets = page.locator(
        "button, input:not([type=checkbox]), label, select, summary, .ramlib-handle"
    )
    boxes = [one.bounding_box() for one in targets.all() if one.is_visible()]
    assert len(boxes) > 10 and min(min(b["width"], b["height"]) for b in boxes) >= 44


# -- on the landing page ---------------------------------------------------------------


@pytest.mark.parametrize("size", [(1280, 800), (1366, 650), (390, 664)])
def test_the_first_screen_has_the_picture_the_controls_and_the_picker(
    new_page, book_url, size
):
    phone = size[0] < 500
    page = new_page(
        f"{book_url}book/index.html",
        viewport=size,
        touch=phone,
        reduced_motion="reduce",
    )
    page.wait_for_selector(".ramlib-ready")
    for name in ("stage", "belief", "controls", "status", "picker"):
        box = page.locator(f".ramlib-{name}").first.bounding_box()
        assert box["height"] > 20 and box["y"] + box["height"] <= size[1], name
    stage = page.locator(".ramlib-stage").bounding_box()
    assert stage["width"] > (180 if phone else 270)
    page.get_by_role("button", name="Draw your own").click()
    wait_until_it_says(page, "Draw")
