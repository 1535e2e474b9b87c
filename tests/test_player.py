"""The widgets of the page: what they hold, how large they are, what they refuse."""

import base64
import io
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image
from traces import estimates, make_trace

from ramlib import figures, player
from ramlib.player import page
from ramlib.sensor import retina_boxes


def digit_canvases(B=8, size=60):
    """Cluttered canvases made of scikit-learn's digits: grey, as digits are."""
    from sklearn.datasets import load_digits

    source = torch.as_tensor(load_digits().images, dtype=torch.float32) / 16
    source = torch.nn.functional.interpolate(source[:, None], 28, mode="bilinear")
    source = (source * 255).to(torch.int32)
    generator = torch.Generator().manual_seed(0)

    def draw(high):
        return int(torch.randint(0, high, (1,), generator=generator))

    canvases = torch.zeros(B, 1, size, size, dtype=torch.int32)
    for b in range(B):
        for _ in range(4):
            i, j, y, x = draw(20), draw(20), draw(size - 8), draw(size - 8)
            other = source[draw(len(source))]
            canvases[b, :, y : y + 8, x : x + 8] += other[:, i : i + 8, j : j + 8]
        y, x = draw(size - 28), draw(size - 28)
        canvases[b, :, y : y + 28, x : x + 28] += source[b]
    return canvases.clamp(0, 255).to(torch.uint8)


class Reader(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def data(self):
        return json.loads(self.tags[0][1]["data-value"])


def pixels(address):
    kind, _, data = address.partition("base64,")
    assert kind == "data:image/png;"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture(params=["glimpses", "retina", "samples"])
def widget(request):
    """One of each kind, as text, and a function that makes it again."""

    def make(**kw):
        if request.param == "glimpses":
            return player.render(make_trace(), **kw)
        if request.param == "retina":
            return player.retina(make_trace().images[0], **kw).data
        return player.samples(estimates(), 1.0, **kw).data

    return make


# -- every widget ----------------------------------------------------------------------


def test_one_element_without_ids_or_outside_requests(widget):
    text = widget()
    tags = Reader(text).tags
    assert tags[0][0] == "div" and text.startswith("<div") and text.endswith("</div>")
    assert not any("id" in attributes for _, attributes in tags)
    markup = text.split("<script>")[0]
    for address in re.findall(r"""(?:src|href)=["']?([^"' >]*)""", markup):
        assert address.startswith("data:image/png;base64,")
    assert "http:" not in text and "https:" not in text and "url(" not in text
    assert "import" not in re.sub(r"!important", "", text)


def test_same_bytes_every_time(widget):
    assert widget() == widget()
    assert widget(name="other") != widget()


def test_static_picture_and_text_stand_where_scripts_do_not_run(widget):
    text = widget()
    before_script = text.split("<script>")[0]
    tags = Reader(before_script).tags
    (picture,) = [attributes for tag, attributes in tags if tag == "img"]
    assert len(picture["alt"]) >= 20
    assert min(pixels(picture["src"]).shape[:2]) > 50
    assert "Where scripts run" in before_script
    controls = {"button", "input", "select"}
    assert not controls & {tag for tag, _ in tags}, "controls come with the script"


def test_pictures_hold_no_time_stamps_or_versions(widget):
    for address in re.findall(r"data:image/png;base64,[A-Za-z0-9+/=]+", widget()):
        image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
        assert not image.info.keys() - {"transparency"}


@pytest.mark.parametrize("name", ["", "two words", "1st", "a'b", "é", "a<b"])
def test_names_are_plain_words(widget, name):
    with pytest.raises(ValueError, match="use letters, digits"):
        widget(name=name)


def test_names_and_titles_are_strings(widget):
    with pytest.raises(TypeError, match="name is a int"):
        widget(name=3)
    with pytest.raises(TypeError, match="title is a list"):
        widget(title=["a"])


def test_titles_are_escaped(widget):
    title = "</script><b title='x'>\"&amp;"
    text = widget(title=title)
    assert Reader(text).data()["title"] == title
    assert text.count("</script>") == 1 and "<b title" not in text


def test_class_names_are_prefixed(widget):
    text = widget()
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    ours = set(re.findall(r"\.(-?[a-zA-Z_][\w-]*)", re.sub(r"\d\.\d+", "", style)))
    pages = {"vscode-dark", "vscode-light", "bd-content", "cell_output", "output"}
    assert {c for c in ours if not c.startswith("ramlib")} <= pages | {"text_html"}
    variables = set(re.findall(r"(--[\w-]+)", style))
    assert all(v.startswith("--ramlib-") for v in variables)


def test_colors_are_those_of_the_figures():
    script = page.asset("stage.js")
    colors = re.search(r'COLORS="([^"]*)"', script)[1].split()
    assert tuple("#" + color for color in colors) == figures.GLIMPSE_COLORS
    assert figures.SURROUND in page.asset("stage.css")
    style = page.asset("base.css")
    for color in (figures.INK, figures.ACCENT, figures.PALE):
        assert f"light-dark({color}," in style


def test_assets_are_short_and_close_no_script():
    for file in ("base", "stage", "time", "glimpses", "retina", "samples"):
        script, style = page.asset(f"{file}.js"), page.asset(f"{file}.css")
        assert "</" not in re.sub(r"</(svg|g|path|text)>", "", script)
        assert "</" not in style and "/*" not in style
        assert not re.search(r"^\s*//", script, re.MULTILINE)


# -- the glimpse player ----------------------------------------------------------------


def test_eight_episodes_fit_in_40_kb_and_a_second():
    trace = make_trace(B=8, T=6, g=12, S=3, images=digit_canvases())
    start = time.perf_counter()
    text = player.render(trace)
    assert time.perf_counter() - start < 1
    assert len(text.encode()) <= 40_000


@pytest.mark.parametrize("C", [1, 3])
def test_data_is_the_trace(C):
    trace = make_trace(B=3, C=C)
    reader = Reader(player.render(trace))
    data = reader.data()
    B, T, S = 3, trace.num_glimpses, trace.num_scales
    assert (data["width"], data["height"]) == (40, 30)
    assert (data["episodes"], data["steps"], data["scales"]) == (B, T, S)
    boxes = retina_boxes(trace.locations, 5, 2, 30, 40)
    corners = np.reshape(data["corners"], (B, T, S, 2))
    np.testing.assert_array_equal(corners, boxes[..., :2])
    np.testing.assert_allclose(
        np.reshape(data["probs"], trace.probs.shape) / 1000, trace.probs, atol=1.01e-3
    )
    np.testing.assert_allclose(
        np.reshape(data["values"], trace.values.shape) / 1000, trace.values, atol=6e-4
    )
    assert data["best"] == trace.predictions.flatten().tolist()
    assert data["labels"] == trace.labels.tolist()

    stacked = pixels(reader.tags[0][1]["data-images"])
    expected = trace.images.permute(0, 2, 3, 1).reshape(B * 30, 40, C).squeeze(-1)
    np.testing.assert_array_equal(stacked, expected)


def test_float_images_are_rounded_to_bytes():
    trace = make_trace()
    as_float = replace(trace, images=trace.images / 255.0)
    assert player.render(as_float) == player.render(trace)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_precision_is_shown(dtype):
    trace = make_trace(H=32, W=32, g=4)
    half = {
        name: getattr(trace, name).to(dtype)
        for name in ("locations", "patches", "probs", "values")
    }
    images = (trace.images / 255.0).to(dtype)
    data = Reader(player.render(replace(trace, images=images, **half))).data()
    assert len(data["probs"]) == trace.probs.numel()


def test_labels_and_names_are_optional():
    data = Reader(player.render(make_trace(labels=False))).data()
    assert "labels" not in data and "classes" not in data and "title" not in data
    text = player.render(make_trace(labels=False))
    assert "The label is" not in text
    assert "The label is 0." in player.render(make_trace())


def test_class_names_are_kept_and_escaped():
    names = ["</script>", 'a "quoted" one', "it's", "<b>", "&amp;", *"fghij"]
    text = player.render(make_trace(), classes=names)
    assert Reader(text).data()["classes"] == names
    assert text.count("</script>") == 1
    assert "<b>" not in text.split("<script>")[0]


def test_show_and_repr_give_the_same_html():
    trace = make_trace()
    assert player.show(trace).data == trace._repr_html_() == player.render(trace)


@pytest.mark.parametrize("T", [1, 2, 15])
@pytest.mark.parametrize("S", [1, 4])
def test_any_number_of_glimpses_and_scales(T, S):
    data = Reader(player.render(make_trace(B=1, T=T, S=S))).data()
    assert len(data["corners"]) == T * S * 2


@pytest.mark.parametrize("bad", [None, [1], "trace", {"images": 1}])
def test_only_a_trace_will_do(bad):
    with pytest.raises(TypeError, match=r"model\.look\(images\) returns one"):
        player.render(bad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": torch.zeros(2, 3)}, r"values have shape \(2, 3\)"),
        ({"probs": torch.zeros(2, 5, 10)}, "probs have shape"),
        ({"labels": torch.zeros(3)}, "labels have shape"),
        ({"patches": torch.zeros(2, 4, 50)}, "patches have shape"),
        ({"values": torch.full((2, 4), torch.nan)}, "values hold NaN"),
        ({"images": torch.zeros(2, 2, 30, 40)}, "images have shape"),
        ({"images": torch.full((2, 1, 30, 40), 3.0)}, "divide by 255"),
        ({"images": torch.full((2, 1, 30, 40), torch.nan)}, "must lie in"),
    ],
)
def test_traces_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        player.render(replace(make_trace(), **changes))


def test_an_empty_trace_is_refused():
    with pytest.raises(ValueError, match="the trace is empty"):
        player.render(make_trace()[:0])


def test_wrong_class_names_are_refused():
    with pytest.raises(ValueError, match="2 class names for 10"):
        player.render(make_trace(), classes=["a", "b"])
    with pytest.raises(TypeError, match="list of strings"):
        player.render(make_trace(), classes=range(10))
    with pytest.raises(TypeError, match="list of strings"):
        player.render(make_trace(), classes="0123456789")


# -- the retina ------------------------------------------------------------------------


def test_retina_is_small_and_holds_the_image():
    image = digit_canvases(1)[0, 0]
    text = player.retina(image, glimpse_size=12, num_scales=3, start=(0.111, 1)).data
    assert len(text.encode()) <= 25_000
    reader = Reader(text)
    assert reader.data()["start"] == [0.11, 1.0]
    np.testing.assert_array_equal(pixels(reader.tags[0][1]["data-images"]), image)


@pytest.mark.parametrize("shape", [(6, 9), (1, 6, 9), (3, 6, 9)], ids=str)
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_retina_takes_arrays_and_tensors(shape, kind):
    image = kind(np.random.default_rng(0).random(shape))
    assert "data-value" in player.retina(image, glimpse_size=3).data


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": np.zeros((2, 4, 4))}, ValueError, "the image has shape"),
        ({"image": np.full((4, 4), 2.0)}, ValueError, "must lie in"),
        ({"image": np.zeros((4, 4), int)}, TypeError, "uint8"),
        ({"glimpse_size": 0}, ValueError, "glimpse_size is 0"),
        ({"num_scales": 1.5}, TypeError, "num_scales is 1.5"),
        ({"start": (0, 1.5)}, ValueError, "start is"),
        ({"start": (0, float("nan"))}, ValueError, "start is"),
    ],
)
def test_retina_refuses(change, error, message):
    arguments = {"image": np.zeros((8, 8)), **change}
    with pytest.raises(error, match=message):
        player.retina(arguments.pop("image"), **arguments)


# -- the estimates ---------------------------------------------------------------------


def test_samples_hold_the_histograms():
    counts = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    plain, other = estimates(counts, 2000), estimates(counts, 2000, seed=1)
    text = player.samples([plain, other], 1.0, labels=["plain", "baseline"]).data
    assert len(text.encode()) <= 25_000
    data = Reader(text).data()
    assert data["counts"] == counts and data["exact"] == 1
    for given, one in zip([plain, other], data["series"], strict=True):
        for i, n in enumerate(counts):
            low, high = data["low"], data["high"]
            inside = int(((given[n] >= low) & (given[n] <= high)).sum())
            assert abs(sum(one["bins"][i]) - inside) <= 1  # the ends are rounded
            assert sum(one["bins"][i]) + one["beyond"][i] == one["total"][i] == 2000
            assert one["mean"][i] == pytest.approx(given[n].mean(), rel=1e-4)
            assert one["std"][i] == pytest.approx(given[n].std(ddof=1), rel=1e-4)


def test_samples_of_a_constant():
    data = Reader(player.samples({1: [2.0, 2.0], 4: [2, 2]}, 2.0).data).data()
    assert data["low"] < 2 < data["high"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1, 2], TypeError, "a dictionary from"),
        ([], TypeError, "a dictionary from"),
        ({}, ValueError, "at least one"),
        ({0: [1, 2]}, ValueError, "a whole number from 1 on"),
        ({1.5: [1, 2]}, ValueError, "a whole number from 1 on"),
        ({1: [1]}, ValueError, "at least two"),
        ({1: [1, np.nan]}, ValueError, "1 of them not finite"),
        ([{1: [1, 2]}, {1: [1, 2]}], ValueError, "labels are None"),
        ([{1: [1, 2]}] * 4, ValueError, "give 3"),
    ],
)
def test_samples_refuse(given, error, message):
    with pytest.raises(error, match=message):
        player.samples(given, 1.0)


def test_series_need_the_same_numbers_of_samples():
    given = [{1: [1, 2]}, {2: [1, 2]}]
    with pytest.raises(ValueError, match="every dictionary needs the same"):
        player.samples(given, 1.0, labels=["a", "b"])


def test_exact_is_finite():
    with pytest.raises(ValueError, match="exact is nan"):
        player.samples({1: [1, 2]}, float("nan"))
