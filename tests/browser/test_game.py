"""The game in a browser: what is seen, who wins, and the address that holds it."""

import re

import numpy as np
import pytest
import torch
from traces import digit_canvases

import live_scripts
from ramlib import RAMConfig, RecurrentAttentionModel, player
from ramlib.data import digits
from ramlib.sensor import GlimpseSensor, retina_boxes, to_pixels
from ramlib.training import new_model

CALM = {"reduced_motion": "reduce"}
CANVASES, ON_CANVASES = digit_canvases(3), torch.tensor([4, 1, 9])
RETINA = {"glimpse_size": 12, "num_scales": 3, "num_glimpses": 4}
BLUNT = RETINA | {"num_scales": 2}


def halved(model):
    """The model as the page has it: weights of half precision, computed in single."""
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    return model


SMALL = RAMConfig(**RETINA, hidden_size=16, location_hidden_size=8)
RANDOM = halved(new_model(SMALL, 1))
SCRIPTS = {"random": live_scripts.weights("random", RANDOM)}
GAME = player.game(CANVASES, ON_CANVASES, model="random", **RETINA).data
BOARDS = ".ramlib-board:visible"


@pytest.fixture
def visit(live_page):
    """Open a page of games, where a small random model may be loaded."""
    return lambda *games, **how: live_page(*(games or [GAME]), scripts=SCRIPTS, **how)


def said(page):
    return page.locator(".ramlib-status").first.inner_text()


def head(page):
    return page.locator(".ramlib-game > .ramlib-head").first.inner_text().split("\n")


def notes(page):
    """What every player's picture is headed with."""
    heads = page.locator(f"{BOARDS} .ramlib-head").all_inner_texts()
    return [" ".join(text.split()) for text in heads]


def address(page):
    """The address as it is now: `page.url` learns of a change a little later."""
    return page.evaluate("location.href")


def places(page, name="game"):
    """Where the reader has looked, as the address has it: (t, 2)."""
    path = re.search(rf"[#&]{name}=\w+-(\w+)", address(page))[1]
    pairs = [int(path[i : i + 2], 36) for i in range(0, len(path), 2)]
    return torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2) / 500 - 1


def press(page, across, along):
    """Click on a point of the reader's picture, in shares of its sides."""
    box = page.locator(".ramlib-stage canvas").first.bounding_box()
    x, y = box["x"] + box["width"] * across, box["y"] + box["height"] * along
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def finish(page, boards=2):
    """Wait until everybody has looked."""
    done = "document.querySelectorAll('.ramlib-done:not([hidden])')"
    page.wait_for_function(f"() => {done}.length == {boards}")


def stop_time(page):
    page.clock.install(time=0)
    page.clock.pause_at(1000)


READ = """canvas => [canvas.height, canvas.width, ...canvas.getContext('2d')
    .getImageData(0, 0, canvas.width, canvas.height).data]"""


def drawn(canvas):
    height, width, *pixels = canvas.evaluate(READ)
    return np.reshape(pixels, (height, width, 4))


def seen(image, looks, g, S):
    """The finest that any look saw of each pixel, 0 to 255; NaN where none has."""
    (_, H, W), wide = image.shape, g * 2**S
    canvas = np.full((H + 2 * wide, W + 2 * wide), np.nan)  # with room around it
    sensor = GlimpseSensor(g, S)
    for s in reversed(range(S)):
        for look in looks:
            patch = sensor(image[None], look[None]).reshape(S, g, g)[s].numpy()
            left, top, n = retina_boxes(look, g, S, H, W)[s].int().tolist()
            rows = slice(top + wide, top + wide + n)
            columns = slice(left + wide, left + wide + n)
            canvas[rows, columns] = np.kron(patch * 255, np.ones((2**s, 2**s)))
    return canvas[wide : wide + H, wide : wide + W]


def assert_seen(board, expected):
    shown = drawn(board.locator(".ramlib-stage canvas"))
    dark = np.isnan(expected)
    np.testing.assert_array_equal(shown[..., 3], np.where(dark, 0, 255))
    for channel in range(3):
        grey = shown[~dark][:, channel]
        np.testing.assert_allclose(grey, expected[~dark], atol=0.5001)


def path(board, shape):
    """The points of a board's path, in pixels."""
    marks = "all => all.map(c => [+c.getAttribute('cx'), +c.getAttribute('cy')])"
    points = board.locator(".ramlib-path circle").evaluate_all(marks)
    return np.array(points) * max(shape[-2:]) / 300


# -- looking ---------------------------------------------------------------------------


SHAPES = {
    "canvases": (CANVASES, 12, 3),
    "one scale": (CANVASES[..., 10:38, 20:48], 8, 1),
    "wide": (CANVASES[..., :30, :41], 5, 2),
}


@pytest.mark.parametrize(("images", "g", "S"), SHAPES.values(), ids=SHAPES)
def test_what_is_visible_is_what_the_retina_saw(visit, images, g, S):
    how = {"glimpse_size": g, "num_scales": S, "num_glimpses": 4}
    page = visit(player.game(images, ON_CANVASES, **how).data)
    board, image = page.locator(BOARDS), images[0]
    for number, spot in enumerate([(0.5, 0.5), (0.97, 0.1), (0.31, 0.72)], 2):
        press(page, *spot)
        looks = places(page)
        assert len(looks) == number
        np.testing.assert_allclose(looks[-1], np.multiply(spot, 2) - 1, atol=0.02)
        assert_seen(board, seen(image, looks, g, S))
        patches = GlimpseSensor(g, S)(image[None], looks[-1:]).reshape(S, g, g)
        for s, canvas in enumerate(page.locator(".ramlib-patch canvas").all()):
            shown = drawn(canvas)[..., 0]
            np.testing.assert_allclose(shown, patches[s] * 255, atol=0.5001)
        points = to_pixels(looks, *image.shape[-2:])
        np.testing.assert_allclose(path(board, image.shape), points, atol=1e-3)
        assert page.locator(".ramlib-looks [style]").count() == number
    assert said(page) == "That was your last look. What is it?"
    press(page, 0.2, 0.2)
    assert len(places(page)) == 4, "there is no fifth look"


def test_the_squares_follow_the_pointer_and_nothing_else_happens(visit):
    page = visit()
    stage, before = page.locator(".ramlib-stage canvas").first, address(page)
    box, dark = stage.bounding_box(), drawn(stage)
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    read = """() => [...document.querySelectorAll('.ramlib-square')].slice(0, 3)
        .reverse().map(g => g.style.transform.match(/-?[\\d.]+/g).map(Number))"""
    squares = np.array(page.evaluate(read)) * 60 / 300
    boxes = retina_boxes(torch.tensor([0.5, 0.0]), 12, 3, 60, 60)[:, :2]
    np.testing.assert_allclose(squares, boxes, atol=1.001)  # a pixel of the screen
    assert address(page) == before and (drawn(stage) == dark).all()
    assert page.locator(".ramlib-path circle").count() == 1
    assert page.evaluate("globalThis.ramlibAssets") is None, "nothing has been loaded"


def test_a_look_at_the_same_place_costs_nothing(visit):
    page = visit()
    press(page, 0.4, 0.4)
    press(page, 0.4, 0.4)
    assert len(places(page)) == 2
    assert said(page) == "You have just looked there. Move the squares first."


# -- the score -------------------------------------------------------------------------


NAME, B, T = "mnist-6x8x8", 4, 6


def hard_and_easy():
    """Digits that the model gets right and wrong in turn, from the game's places."""
    model = halved(RecurrentAttentionModel.from_pretrained(NAME))
    pool = digits(split="validation")[:3000]
    html = player.game(
        pool.images[:B], pool.labels[:B], glimpse_size=8, num_scales=1, num_glimpses=T
    ).data
    firsts = torch.tensor(eval(re.search(r'"firsts":(\[\[.*?\]\])', html)[1])) / 500 - 1
    chosen = []
    for i, first in enumerate(firsts):
        trace = model.look(pool, first_location=first.expand(len(pool.labels), 2))
        right = trace.predictions[:, -1] == pool.labels
        chosen.append(int((right == (i % 2 == 0)).nonzero()[i // 2]))
    return pool[chosen], model.look(pool[chosen], first_location=firsts)


def test_a_scripted_reader_and_the_model_get_the_scores_of_python(visit):
    images, trace = hard_and_easy()
    labels, answers = images.labels.tolist(), trace.predictions[:, -1].tolist()
    how = {"glimpse_size": 8, "num_scales": 1, "num_glimpses": T}
    page = visit(player.game(images.images, images.labels, **how).data, **CALM)
    guesses = [labels[0], labels[1], (labels[2] + 1) % 10, (labels[3] + 1) % 10]
    mine = its = 0
    for i, guess in enumerate(guesses):
        assert head(page)[0] == f"Picture {i + 1} of {B}"
        for spot in [(0.3, 0.3), (0.6, 0.6)][: i + 1]:
            press(page, *spot)
        page.get_by_label(f"Guess {guess}", exact=True).click()
        right, wins = guess == labels[i], answers[i] == labels[i]
        mine, its = mine + right, its + wins
        page.get_by_text(f"model {its} of {i + 1}").wait_for()
        assert head(page)[1] == f"You {mine} of {i + 1} · model {its} of {i + 1}"
        assert notes(page) == [
            f"You said {guess} {'✓' if right else '✗'}",
            f"The model said {answers[i]} {'✓' if wins else '✗'}",
        ]
        outcome = {
            (True, True): "you both have it.",
            (True, False): "you see more than the model!",
            (False, True): "this one goes to the model.",
            (False, False): "a hard one for you both.",
        }[right, wins]
        assert said(page).startswith(f"The answer is {labels[i]}: {outcome}")
        you, model = page.locator(BOARDS).all()
        points = to_pixels(trace.locations[i], 28, 28)
        np.testing.assert_allclose(path(model, (28, 28)), points, atol=0.02)
        for board in (you, model):
            shown = drawn(board.locator("canvas"))[..., 0]
            np.testing.assert_array_equal(shown, images.images[i, 0])
        onward = "Next picture" if i < B - 1 else "Play again"
        page.get_by_role("button", name=onward).click()
    assert head(page)[0] == f"Picture 1 of {B}" and "You" not in " ".join(head(page))


def test_the_last_word_is_about_them_all(visit):
    page = visit(
        player.game(CANVASES[:1], ON_CANVASES[:1], model="random", **RETINA).data,
        **CALM,
    )
    page.keyboard.press("Tab")
    page.keyboard.press("4")
    finish(page)
    trace = RANDOM.look(CANVASES[:1], first_location=first_place(page))
    ends = "a draw." if trace.predictions[0, -1] == 4 else "you beat the model!"
    assert said(page).endswith(f"That was the last one: {ends}")


def first_place(page):
    return places(page)[:1].float()


def test_the_model_looks_again_step_by_step_while_the_reader_watches(visit):
    page = visit()
    stop_time(page)
    press(page, 0.5, 0.5)
    page.get_by_label("Guess 4").click()
    page.locator(BOARDS).nth(1).wait_for()
    trace = RANDOM.look(CANVASES[:1], first_location=first_place(page))
    model = page.locator(BOARDS).nth(1)
    for t in range(4):
        assert model.locator(".ramlib-path circle").count() == t + 1
        assert_seen(model, seen(CANVASES[0], trace.locations[0, : t + 1], 12, 3))
        assert notes(page)[1] == f"The model thinks {trace.predictions[0, t]} …"
        assert head(page)[1] == "You 1 of 1", "the end is not given away"
        page.clock.run_for(600)
    final = trace.predictions[0, -1]
    assert notes(page)[1] == f"The model said {final} {'✓' if final == 4 else '✗'}"
    assert "model" in head(page)[1]


def test_next_does_not_wait_for_the_model_to_finish(visit):
    page = visit()
    stop_time(page)
    page.get_by_label("Guess 4").click()
    page.locator(BOARDS).nth(1).wait_for()
    page.get_by_text("Next picture").click()
    page.clock.run_for(10_000)
    assert head(page)[0] == "Picture 2 of 3" and "model" in head(page)[1]
    assert notes(page) == ["You"]


def test_nobody_waits_for_a_model_that_is_still_to_come(visit):
    page, late = visit(), []
    page.route("**/random.js", lambda route: late.append(route))
    press(page, 0.5, 0.5)
    page.get_by_label("Guess 4").click()
    page.get_by_text("Next picture").click()
    page.wait_for_timeout(100)
    assert head(page) == ["Picture 2 of 3", "You 1 of 1"]
    late[0].continue_()
    page.get_by_text(re.compile("model [01] of 1")).wait_for()
    page.wait_for_timeout(100)
    assert notes(page) == ["You"] and head(page)[0] == "Picture 2 of 3"


# -- by hand ---------------------------------------------------------------------------


def test_the_keyboard_alone_plays_a_game(visit):
    page = visit(**CALM)
    page.keyboard.press("Tab")
    page.evaluate("() => { document.onkeydown = e => (window.heard = e.key); }")
    page.keyboard.press("Enter")
    assert said(page).startswith("You have just looked there")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter", "ArrowLeft", " "):
        page.keyboard.press(key)
    looks = to_pixels(places(page), 60, 60)
    np.testing.assert_allclose(looks[1] - looks[0], [6, -3], atol=0.1)
    np.testing.assert_allclose(looks[2] - looks[1], [-3, 0], atol=0.1)
    page.keyboard.press("4")
    finish(page)
    assert notes(page)[0] == "You said 4 ✓"
    assert page.locator("[tabindex='0']").count() == 0, "a picture is no stop"
    assert page.evaluate("window.heard") is None, "the page hears none of its keys"
    page.keyboard.press("Enter")  # on to the next, and back to the picture
    assert head(page)[0] == "Picture 2 of 3"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(places(page)) == 2
    page.keyboard.press("Control+1")
    assert notes(page) == ["You"], "a browser's own key is no guess"


def test_a_finger_looks_and_scrolls_on_a_phone(visit):
    page = visit(touch=True, viewport=(360, 560), **CALM)
    box = page.locator(".ramlib-stage").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    client = page.context.new_cdp_session(page)
    for k in range(7):
        kind = {0: "touchStart", 6: "touchEnd"}.get(k, "touchMove")
        touch = {
            "type": kind,
            "touchPoints": [{"x": x, "y": y - 30 * k}] if k < 6 else [],
        }
        client.send("Input.dispatchTouchEvent", touch)
    page.wait_for_timeout(800)
    assert page.evaluate("window.scrollY") > 30 and "#" not in address(page)
    page.locator(".ramlib-stage").first.tap()
    np.testing.assert_allclose(places(page)[-1], [0, 0], atol=0.02)
    for control in page.locator("button:visible").all():
        size = control.bounding_box()
        assert min(size["width"], size["height"]) >= 44, "a fingertip"
    page.get_by_label("Guess 3").tap()
    finish(page)
    you, model = (board.bounding_box() for board in page.locator(BOARDS).all())
    assert you["y"] == model["y"] and you["width"] > 140, "side by side"


# -- the address -----------------------------------------------------------------------


CLIPBOARD = "navigator.clipboard.writeText"


def test_a_game_travels_by_its_address(visit, new_page):
    page = visit(**CALM)
    page.evaluate("window.history.replaceState({ theirs: 7 }, '', '#other=1')")
    length = page.evaluate("history.length")
    page.keyboard.press("Tab")
    page.keyboard.press("4")
    page.get_by_text("Next picture").click()
    assert address(page).endswith(re.search("#.*", address(page))[0])
    for spot in [(0.2, 0.2), (0.8, 0.3)]:
        press(page, *spot)
    page.get_by_label("Guess 7").click()
    finish(page)
    assert page.evaluate("[history.length, history.state.theirs]") == [length, 7]
    assert re.search(r"#other=1&game=1-[0-9a-z]{12}-7$", address(page))
    page.evaluate(f"() => {{ {CLIPBOARD} = text => (window.copied = text); }}")
    page.get_by_text("Copy link for a friend").click()
    page.get_by_text("The link is copied").wait_for()
    assert page.evaluate("window.copied") == address(page)
    looks = places(page)

    friend = new_page(address(page), **CALM)
    friend.wait_for_selector(".ramlib-ready")
    assert head(friend)[0] == "Picture 2 of 3"
    assert said(friend).startswith("A friend sent you this one.")
    assert notes(friend) == ["You"], "nothing of the challenger's is told"
    board = friend.locator(BOARDS)
    assert_seen(board, seen(CANVASES[1], looks[:1], 12, 3))
    friend.get_by_label("Guess 1").click()
    finish(friend, 3)
    mine, its, challenger = notes(friend)
    assert (mine, challenger) == ("You said 1 ✓", "Your friend said 7 ✗")
    points = to_pixels(looks, 60, 60)
    np.testing.assert_allclose(path(board.nth(2), (60, 60)), points, atol=1e-3)
    friend.get_by_text("Next picture").click()
    assert notes(friend) == ["You"] and head(friend)[0] == "Picture 3 of 3"


def test_a_game_goes_on_where_it_was_when_the_page_is_loaded_again(visit):
    page = visit(**CALM)

    def again():
        page.reload()
        page.wait_for_selector(".ramlib-ready")
        return head(page)[0]

    press(page, 0.2, 0.2)
    looks = places(page)
    assert again() == "Picture 1 of 3" and len(looks) == 2
    assert said(page) == "2 looks left. Look on, or guess."
    np.testing.assert_array_equal(places(page), looks)
    assert_seen(page.locator(BOARDS), seen(CANVASES[0], looks, 12, 3))
    page.get_by_label("Guess 4").click()
    finish(page)
    verdict, score = notes(page), head(page)
    again()
    finish(page)
    assert (notes(page), head(page)) == (verdict, score)
    page.get_by_text("Next picture").click()
    assert again() == "Picture 2 of 3"
    assert said(page).startswith("The first look is given.")


def test_of_one_look_nothing_is_left(visit):
    page = visit(
        player.game(CANVASES, ON_CANVASES, **RETINA | {"num_glimpses": 1}).data
    )
    assert said(page) == "The first look is given. What is it?"


def test_nothing_is_written_before_the_reader_s_first_move(visit):
    page = visit()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert "#" not in address(page)


def test_a_link_that_is_followed_on_the_page_begins_its_game(visit):
    page = visit(viewport=(1280, 300))
    page.evaluate("location.hash = 'game=2-a0b0c0d0'")
    page.get_by_text("Picture 3 of 3").wait_for()
    assert page.evaluate(
        "document.querySelector('.ramlib-stage') == document.activeElement"
    )
    first = places(page)[:1]  # not the page's own
    assert_seen(page.locator(BOARDS), seen(CANVASES[2], first, 12, 3))
    page.get_by_label("Guess 9").click()
    finish(page, 3)
    assert notes(page)[2] == "Your friend", "who has looked, and not yet guessed"


def test_games_on_one_page_share_the_address(visit):
    other = player.game(CANVASES, ON_CANVASES, name="game2", model="random", **RETINA)
    page = visit(GAME, other.data)
    press(page, 0.5, 0.5)
    second = page.locator('[data-name="game2"]')
    second.locator(".ramlib-stage").first.click()
    assert re.search(r"#game=0-\w{8}&game2=0-\w{8}$", address(page))
    first = address(page)
    second.locator(".ramlib-stage").first.click(position={"x": 90, "y": 90})
    assert len(places(page)) == 2 and len(places(page, "game2")) == 3
    assert address(page).split("&")[0] == first.split("&")[0]


BAD = [
    "game=", "game=0", "game=0-", "game=0-zzz", "game=9-a0a0", "game=0-a0a0b",
    "game=0-zzzz", "game=0-a0a0-a", "game=0-a0a0-_", "game=0-a0_0", "game=-1-a0a0",
    "game=0-" + "a0a0" * 5, "game=0-a0a0-4-4", "game=%00", "games=1-a0a0", "game",
    "game=1-a0a0%20", "game=1-<b>0",
]  # fmt: skip


def test_an_address_that_holds_no_game_is_ignored(visit):
    page = visit()
    press(page, 0.4, 0.4)
    follow = """text => new Promise(done => {
        addEventListener('hashchange', () => setTimeout(done), { once: true });
        location.hash = text; })"""
    for text in BAD:
        page.evaluate(follow, text)
        assert said(page) == "2 looks left. Look on, or guess.", text
    page.reload()
    page.wait_for_selector(".ramlib-ready")
    assert head(page)[0] == "Picture 1 of 3"
    assert said(page).startswith("The first look is given.")
    page.evaluate(follow, "game=1-a0a0")
    assert head(page)[0] == "Picture 2 of 3"


def test_where_the_clipboard_is_refused_the_address_is_shown(visit):
    page = visit(**CALM)
    page.get_by_label("Guess 4").click()
    finish(page)
    page.evaluate(f"() => {{ {CLIPBOARD} = () => Promise.reject(new Error()); }}")
    page.get_by_text("Copy link for a friend").click()
    link = page.get_by_label("The address of this game")
    link.wait_for()
    assert link.input_value() == address(page)
    assert page.evaluate("String(getSelection())") == address(page)
    page.get_by_text("Next picture").click()
    assert link.is_hidden()


# -- for everybody ---------------------------------------------------------------------


def test_without_the_model_the_reader_plays_alone(new_page, tmp_path):
    (tmp_path / "page.html").write_text(
        "<meta charset='utf-8'>" + GAME, encoding="utf-8"
    )
    page = new_page(tmp_path / "page.html")
    page.wait_for_selector(".ramlib-ready")
    for number, guess in enumerate((4, 2, 9), 1):
        press(page, 0.5, 0.5)
        page.get_by_label(f"Guess {guess}").click()
        page.get_by_text("This runs in the book.").wait_for()
        right = [4, 1, 9][number - 1] == guess
        score = {1: "You 1 of 1", 2: "You 1 of 2", 3: "You 2 of 3"}[number]
        assert head(page)[1] == score
        assert notes(page) == [f"You said {guess} {'✓' if right else '✗'}"]
        assert page.get_by_text("To be fair").is_hidden()
        if number < 3:
            page.get_by_text("Next picture").click()
    assert "That was the last one." in said(page)


def test_a_model_with_another_retina_is_no_rival(visit):
    page = visit(player.game(CANVASES, ON_CANVASES, model="random", **BLUNT).data)
    page.get_by_label("Guess 4").click()
    page.get_by_text("It has another retina.").wait_for()
    assert head(page)[1] == "You 1 of 1" and notes(page) == ["You said 4 ✓"]


def test_every_control_has_a_name_and_keeps_its_keys(visit):
    page = visit()
    controls = page.locator("button, input, [tabindex='0']").all()
    keeping = page.locator("[data-lm-suppress-shortcuts='true']").all()
    assert len(controls) == len(keeping) == 14
    for named in [*controls, *page.locator("[role='img']").all()]:
        assert len(named.get_attribute("aria-label")) >= 4
    assert page.locator("[role='status'][aria-live='polite']").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_forced_colours_nothing_essential_vanishes(visit, scheme):
    page = visit(forced_colors="active", color_scheme=scheme, **CALM)
    press(page, 0.5, 0.5)
    color = "all => all.map(e => getComputedStyle(e).backgroundColor)"
    dots = page.locator(".ramlib-looks i").evaluate_all(color)
    assert dots[0] == "rgb(4, 123, 162)" and dots[0] != dots[1] != dots[2] == dots[3]
    stage = page.locator(".ramlib-stage").first
    assert (
        stage.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(32, 36, 43)"
    )
    fog = "e => getComputedStyle(e.querySelector('canvas')).backgroundImage"
    assert "gradient" in stage.evaluate(fog)
    border = "e => getComputedStyle(e).borderTopStyle"
    assert page.get_by_label("Guess 4").evaluate(border) == "solid"


@pytest.mark.parametrize("width", [320, 360, 800])
def test_any_width_will_do(visit, width):
    page = visit(viewport=(width, 740), **CALM)  # and nothing overflows
    page.evaluate("location.hash = 'game=0-a0b0c0d0-4'")
    page.get_by_text("A friend sent").wait_for()
    stage = page.locator(".ramlib-stage").first.bounding_box()
    panel = page.locator(".ramlib-side").bounding_box()
    assert (panel["y"] > stage["y"] + stage["height"]) == (width < 540)
    page.get_by_label("Guess 4").click()
    finish(page, 3)
