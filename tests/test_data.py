"""The images, their files and splits; pasting against a loop over single pixels."""

import gzip
import hashlib
import http.server
import io
import socket
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import datasets

from ramlib import data
from ramlib.data import Images, cluttered, digits, fixed_set, folder, translated

Unavailable = data.DataUnavailableError
SPLITS = "train", "validation", "test"


def some(count=6, shape=(28, 28), seed=0):
    """Images with much ink, so that sums run over 255; no two are alike."""
    stream = np.random.RandomState(seed)
    pixels = stream.randint(0, 256, (count, *shape)).astype(np.uint8)
    pixels[stream.rand(*pixels.shape) < 0.3] = 255
    return Images(torch.from_numpy(pixels), torch.arange(count) % 10)


def splits(get, *args, **kwargs):
    return [get(*args, split=split, **kwargs) for split in SPLITS]


# --- Images ---------------------------------------------------------------------------


def test_images_describe_themselves():
    grey = Images(torch.zeros(3, 5, 7, dtype=torch.uint8), torch.tensor([1, 3, 0]))
    assert grey.images.shape == (3, 1, 5, 7) and len(grey) == 3
    assert grey.classes == ("0", "1", "2", "3") and grey.num_classes == 4
    assert grey.num_channels == 1 and repr(grey) == "Images(images: 3 of 5×7)"
    assert Images(grey.images[:0], grey.labels[:0]).classes == ()
    assert Images(grey.images, grey.labels * 333).num_classes == 1000
    pixels = torch.zeros(1000, 2, 8, 9, dtype=torch.uint8)
    pets = Images(pixels, pixels[:, 0, 0, 0].long(), ["cat", "dog"], "pets", "test")
    assert repr(pets) == "Images(pets, test: 1,000 of 8×9×2 channels)"
    assert repr(pets[3].to("cpu")) == "Images(pets, test: 1 of 8×9×2 channels)"
    assert pets != grey and len({pets, grey}) == 2
    assert pets[:0].classes == ("cat", "dog") and pets.num_channels == 2


@pytest.mark.parametrize(
    ("index", "chosen"),
    [
        (np.int64(7), [7]),
        (-1, [19]),
        (slice(3, 6), [3, 4, 5]),
        ([4, 2, 2], [4, 2, 2]),
        ([], []),
        (np.array([5, 6], np.uint8), [5, 6]),
        (torch.arange(20) % 10 == 3, [3, 13]),
    ],
)
def test_images_are_selected(index, chosen):
    source = some(20)
    assert torch.equal(source[index].images, source.images[chosen])
    assert torch.equal(source[index].labels, source.labels[chosen])
    assert len(list(source)) == 20


def test_a_fingerprint_tells_images_apart():
    source, pixel = some(4, (3, 6, 5)), some(4, (3, 6, 5))
    pixel.images[-1, -1, -1, -1] ^= 1
    images, labels = source.images, source.labels
    turned = Images(images.mT.contiguous().mT, labels)  # in another order in memory
    reshaped = Images(images.view(4, 3, 5, 6), labels)
    others = turned, pixel, reshaped, Images(images, labels * 2)
    prints = [x.fingerprint() for x in (source, *others)]
    assert prints[0] == prints[1] and len(set(prints)) == 4
    assert all(len(one) == 16 for one in prints)


# --- digits ---------------------------------------------------------------------------


SUMS = {
    "bundled train plain": "d0a90cca1e27d2527e857e81d2e23d0c",
    "bundled validation plain": "e96e6f63a7283507c1ae5d2b2c5ee656",
    "bundled test plain": "642f15d158269f705fe8ecb7a7d409f5",
    "mnist train plain": "6b05eb751f3dd7fc1b6ab73a2d851459",
    "mnist validation plain": "587a8e32ce8e99cf6c0e104db1f34344",
    "mnist test plain": "b8278cdfcfe81cb7dfb66cb0b66bee14",
    "bundled validation translated 60 4": "57e12f6e57639cb68355e2ba60767071",
    "bundled validation cluttered 60 4": "52d19b86b581774d238b31642b296bc9",
    "bundled validation cluttered 100 8": "13deb820a0042a3f89655e04f3109d54",
    "bundled test translated 60 4": "f4bc725f947fa0d7c766d0162bab7067",
    "bundled test cluttered 60 4": "631e12c483b9f5ef57888a73cf8144a8",
    "bundled test cluttered 100 8": "1616d84606a20e82b0de2dc9bae81cf9",
    "mnist validation translated 60 4": "92b2248116b675156d7576feaff5bd9a",
    "mnist validation cluttered 60 4": "66c2fcb5964a1133e021551e1b4f7248",
    "mnist validation cluttered 100 8": "0e1ae8a0680df288184d4423c2caf040",
    "mnist test translated 60 4": "dee13ea0f161acdf67b1cf98983d3646",
    "mnist test cluttered 60 4": "817e1cfce2116a251d5e7dc92088d52e",
    "mnist test cluttered 100 8": "4f4c8cbbb6a57bce1848b41aad576e7b",
}


@pytest.mark.parametrize("name", SUMS)
def test_what_is_evaluated_on_is_the_same_bytes_everywhere(name, monkeypatch):
    source, split, task, *sizes = name.split()
    monkeypatch.setattr(datasets.MNIST, "mirrors", [])  # no test downloads it
    try:
        images = digits(source, split)
    except Unavailable as error:
        pytest.skip(str(error))
    made, together = fixed_set(images, task, *map(int, sizes)), hashlib.sha256()
    for tensor in (made.images[:, 0], made.labels):
        together.update(str(tuple(tensor.shape)).encode())
        together.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    assert together.hexdigest()[:32] == SUMS[name]
    assert (made.name, made.split, made[:1].num_classes) == (source, split, 10)


def test_bundled_digits():
    parts = splits(digits, "bundled")
    whole = [image.numpy().tobytes() for part in parts for image in part.images]
    assert len(set(whole)) == len(whole) == 1797  # the splits are disjoint
    parts[2].images.zero_()  # a load is the caller's own
    parts[2].labels.zero_()
    again = digits("bundled", "test")
    assert again.images.any() and again.labels.any()


TENS = bytes(k % 10 for k in range(256))
NAMES = TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = tuple(data.MNIST_MD5)
MIRRORS = "absent", "cut", "spoilt", "wrong", "good"


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Small files in MNIST's place, in memory: 60 to train, 10 of them validation."""
    files, sizes = {}, (16 + 60 * 784, 8 + 60, 16 + 20 * 784, 8 + 20)
    for name, size in zip(NAMES, sizes, strict=True):
        files[name] = np.random.RandomState(size).bytes(size).translate(TENS)
    sums = {name: hashlib.md5(files[name]).hexdigest() for name in NAMES}
    monkeypatch.setattr(data, "MNIST_MD5", sums)
    monkeypatch.setitem(data.ENDS, "mnist", (0, 50, 60, 80))
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/"])  # nobody
    monkeypatch.setenv("RAMLIB_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    return files


def put(files, root):
    raw = Path(root) / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    return raw


@pytest.fixture
def asked(mnist, monkeypatch):
    """A server with five mirrors, of which the last is good; the paths it is asked."""
    serve, asked = {}, []
    for name, content in mnist.items():
        serve[f"/good/{name}.gz"] = gzip.compress(content)
        serve[f"/cut/{name}.gz"] = gzip.compress(content)[:-20]
        serve[f"/spoilt/{name}.gz"] = gzip.compress(content)[:10] + b"\xff" * 20
        serve[f"/wrong/{name}.gz"] = gzip.compress(b"wrong")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path in serve else 404)
            self.end_headers()
            self.wfile.write(serve.get(self.path, b""))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}/"
        mirrors = [f"{url}{name}/" for name in MIRRORS]
        monkeypatch.setattr(datasets.MNIST, "mirrors", mirrors)
        yield asked
        httpd.shutdown()


def test_mnist_is_read_and_split(mnist, tmp_path, monkeypatch, capfd):
    put(mnist, tmp_path)
    for slow in ("torchvision", "sklearn", "pooch"):
        monkeypatch.setitem(sys.modules, slow, None)
    parts = splits(digits, "auto")
    assert [len(part) for part in parts] == [50, 10, 20]
    images = torch.cat([part.images for part in parts]).numpy().tobytes()
    labels = torch.cat([part.labels for part in parts]).byte().numpy().tobytes()
    assert images == mnist[TRAIN_IMAGES][16:] + mnist[TEST_IMAGES][16:]
    assert labels == mnist[TRAIN_LABELS][8:] + mnist[TEST_LABELS][8:]
    assert (parts[2].name, parts[2].split) == ("mnist", "test")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("package", "here", "variable", "root"),
    [
        ("site", "plain", None, "plain/data"),
        ("site", "clone/chapters", None, "clone/data"),
        ("clone", "plain", None, "clone/data"),
        ("clone", "plain", "there", "plain/there"),
        ("clone", "plain", "~/there", "home/there"),
    ],
)
def test_the_data_folder(mnist, tmp_path, monkeypatch, package, here, variable, root):
    put(mnist, tmp_path / root)
    for path in ("clone/ramlib/data.py", "clone/pyproject.toml", "site/ramlib/data.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / here).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / here)
    monkeypatch.setattr(data, "__file__", str(tmp_path / package / "ramlib/data.py"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAMLIB_DATA", variable or "")
    assert len(digits("mnist")) == 50
    monkeypatch.setenv("RAMLIB_DATA", "elsewhere")
    assert len(digits("mnist", root=tmp_path / root)) == 50


def test_without_network_auto_goes_on_with_what_is_bundled(mnist, tmp_path, capfd):
    assert {part.name for part in splits(digits)} == {"bundled"}
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and str(tmp_path) in err
    assert list(tmp_path.iterdir()) == []  # the folder is left alone
    put(mnist, tmp_path)
    assert digits().name == "bundled"  # what was decided is kept to
    assert digits("mnist").name == "mnist"


@pytest.mark.parametrize("damage", ["partial", "one bit", "empty", "missing", "all"])
def test_what_is_broken_or_missing_is_downloaded(mnist, asked, tmp_path, capfd, damage):
    content, root = mnist[TRAIN_IMAGES], tmp_path / "new" / "folder"
    flipped = content[:500] + bytes([content[500] ^ 1]) + content[501:]
    broken = {"partial": content[:1000], "one bit": flipped, "empty": b""}.get(damage)
    kept = {} if damage == "all" else {n: mnist[n] for n in NAMES if n != TRAIN_IMAGES}
    files = kept if broken is None else {**kept, TRAIN_IMAGES: broken}
    raw = put(files, root) if files else root / "MNIST" / "raw"
    before = {name: (raw / name).stat().st_ino for name in kept}
    loaded = digits("auto", root=root)
    assert loaded.images.numpy().tobytes() == content[16 : 16 + 50 * 784]
    missing = [name for name in NAMES if name not in kept]
    assert asked == [f"/{mirror}/{name}.gz" for name in missing for mirror in MIRRORS]
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == mnist
    assert {name: (raw / name).stat().st_ino for name in kept} == before
    out, err = capfd.readouterr()
    said = err.count("\n"), err.count(str(raw / TRAIN_IMAGES))
    assert out == "" and said == ((0, 0) if broken is None else (1, 1))


def test_failed_downloads_leave_nothing(mnist, asked, tmp_path):
    datasets.MNIST.mirrors.pop()
    with pytest.raises(Unavailable, match=r"absent.*404.*cut.*spoilt.*wrong.*md5"):
        digits("mnist")
    assert len(asked) == 4 and list(tmp_path.iterdir()) == []  # one file, each mirror


def test_a_server_that_does_not_answer_costs_seconds(mnist, monkeypatch):
    monkeypatch.setattr(data, "TIMEOUT", (1, 0.2))
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(datasets.MNIST, "mirrors", [url])
        start = time.monotonic()
        with pytest.raises(Unavailable, match="timed out"):
            digits("mnist")
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("root", "what"),
    [
        ("absent", f"absent/MNIST/raw/{TRAIN_IMAGES}: No such file"),
        ("broken", f"broken/MNIST/raw/{TEST_LABELS}: .*md5"),
        ("file", "file.*Not a directory"),
        ("~nosuchuser", "~nosuchuser"),
        ("null\0", "null"),
    ],
)
def test_mnist_that_is_not_to_be_had(mnist, tmp_path, monkeypatch, capfd, root, what):
    raw = put(mnist | {TEST_LABELS: b"broken"}, tmp_path / "broken")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unavailable, match=what) as caught:
        digits("mnist", root=root)
    for remedy in ("connect", "RAMLIB_DATA", "source='bundled'", "--source bundled"):
        assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
    assert digits("auto", "test", root).name == "bundled"
    assert str(caught.value) in capfd.readouterr().err
    assert (raw / TEST_LABELS).read_bytes() == b"broken"


# --- a folder -------------------------------------------------------------------------


def draw(root, files):
    """Write files under a folder: bytes, an array, or (mode, width, height, grey)."""
    for name, what in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, bytes):
            path.write_bytes(what)
        elif isinstance(what, np.ndarray):
            Image.fromarray(what).save(path)
        else:
            Image.new(what[0], what[1:3], what[3]).save(path)
    return root


def greys(counts, size=(4, 3)):
    """Give grey images to draw, each of its own grey: how many in each folder."""
    names = [f"{place}/{k:03}.png" for place, n in counts.items() for k in range(n)]
    return {name: ("L", *size, grey) for grey, name in enumerate(names)}


def test_a_folder_is_split(tmp_path):
    counts = {"a": 1, "b": 2, "c": 3, "d": 19, "e": 20, "f": 59}
    draw(tmp_path, greys(counts))
    label_of, seen = [k for k, n in enumerate(counts.values()) for _ in range(n)], []
    for split, share in (
        ("train", [1, 2, 1, 17, 16, 49]),
        ("validation", [0, 0, 1, 1, 2, 5]),
        ("test", [0, 0, 1, 1, 2, 5]),
    ):
        part = folder(tmp_path, split)
        shown = part.images[:, 0, 0, 0].tolist()
        assert part.labels.tolist() == [label_of[grey] for grey in shown]
        assert part.labels.bincount(minlength=6).tolist() == share
        assert (part.name, part.split) == (str(tmp_path), split)
        assert part.images.shape[1:] == (1, 3, 4) and part.classes == tuple("abcdef")
        assert folder(str(tmp_path), split, seed=0).fingerprint() == part.fingerprint()
        assert folder(tmp_path, split, seed=1).fingerprint() != part.fingerprint()
        seen += shown
    assert sorted(seen) == list(range(104))  # disjoint and complete
    assert shown == [3, 16, 35, 41, 75, 82, 88, 95, 101]  # on every machine


@pytest.mark.parametrize("name", ["validation", "val"])
def test_a_folder_brings_its_splits(tmp_path, name):
    draw(tmp_path, greys({"train/a": 4, "train/b": 1, f"{name}/a": 1, f"{name}/b": 2}))
    train, validation = folder(tmp_path, "train"), folder(tmp_path, "validation")
    assert train.labels.tolist() == [0, 0, 0, 0, 1] and train.classes == ("a", "b")
    assert validation.images[:, 0, 0, 0].tolist() == [5, 6, 7]
    draw(
        tmp_path / "test", {"a/x.png": ("L", 4, 3, 99), "b/x.png": ("RGB", 4, 3, "red")}
    )
    test = folder(tmp_path, "test")
    assert test.images[:, :, 0, 0].tolist() == [[99, 99, 99], [255, 0, 0]]
    assert folder(tmp_path).num_channels == 3  # as one file of another split has colour


def test_a_folder_of_colour(tmp_path):
    files = {f"train/{mode}.png": (mode, 2, 2, 0) for mode in ("1", "L", "LA")}
    assert folder(draw(tmp_path, files), channels=3).num_channels == 3
    assert folder(tmp_path).num_channels == 1
    assert folder(tmp_path).classes == ("train",)  # a class, for want of other splits
    pixels = np.random.RandomState(0).randint(0, 256, (2, 2, 3)).astype(np.uint8)
    draw(tmp_path, {"train/0.png": pixels})
    grey = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    for channels, expected in ((None, pixels), (1, grey)):
        parts = splits(folder, tmp_path, channels=channels)
        images = torch.cat([part.images for part in parts]).tolist()
        assert expected.transpose(2, 0, 1).tolist() in images


def test_images_of_a_folder_are_resized_and_cropped(tmp_path):
    wide = np.zeros((20, 40), np.uint8)  # black, with a bright square in the middle
    wide[:, 10:30] = np.arange(20)[:, None] + 200
    draw(tmp_path, {"a/tall.png": ("L", 20, 60, 7), "a/wide.png": wide})
    images = folder(tmp_path, size=20).images
    assert (images[0] == 7).all() and images[1, 0].tolist() == wide[:, 10:30].tolist()
    assert folder(tmp_path, size=(5, 10)).images.shape == (2, 1, 5, 10)
    assert folder(tmp_path, size=1).images.shape == (2, 1, 1, 1)
    small = Image.fromarray(wide).resize((20, 10)).crop((5, 0, 15, 10))
    assert np.array_equal(folder(tmp_path, size=[10, 10]).images[1, 0], small)


Image.effect_noise((50, 50), 99).save(noise := io.BytesIO(), "png")
CUT_OFF = noise.getvalue()[:-999]  # its header is whole
THREE, UNLIKE = greys({"a": 3}), greys({"a": 1}) | greys({"b": 1}, (5, 3))
UNLIKE |= greys({"c": 1}, (6, 3))
TWO, OTHERS = greys({"train/a": 1, "val/a": 1}), greys({"train/a": 1, "val/b": 1})


@pytest.mark.parametrize(
    ("files", "arguments", "error", "message"),
    [
        ({}, {"path": "absent"}, Unavailable, "absent.*subfolder"),
        ({}, {"path": "null\0"}, Unavailable, "null"),
        ({"a.png": b""}, {"path": "a.png"}, Unavailable, "a.png.*subfolder"),
        ({"x.png": b""}, {}, Unavailable, "root.*class folder"),
        ({"a/x.txt": b""}, {}, Unavailable, "root.*classes a"),
        ({"a/x.png": b"no"}, {}, Unavailable, "a/x.png cannot be read"),
        ({"a/x.png": CUT_OFF}, {"size": 50}, Unavailable, "a/x.png cannot be read"),
        ({"a/x.png": ("I;16", 4, 3, 0)}, {}, Unavailable, "a/x.png.*8 bits"),
        (TWO, {"split": "test"}, Unavailable, "root/test"),
        (OTHERS, {}, ValueError, "root/train.*root/val.*'b'"),
        (greys({"a": 2}), {"split": "test"}, ValueError, "root.*test.*three"),
        (UNLIKE, {}, ValueError, r"a/000.*\(3, 4\).*b/000.*\(3, 5\) pixels.*size"),
        (THREE, {"channels": 2}, ValueError, "channels is 2.*1.*3"),
        (THREE, {"split": "val"}, ValueError, "split is 'val'"),
        (THREE, {"seed": 2**32}, ValueError, "seed is 4294967296"),
        (THREE, {"size": (0, 3)}, ValueError, "size is 0"),
        (THREE, {"size": (3, 0)}, ValueError, "size is 0"),
        (THREE, {"size": (3, 4.0)}, TypeError, "size is 4.0"),
        (THREE, {"size": (3, 4, 5)}, ValueError, "height, width"),
    ],
)
def test_folders_refused(tmp_path, monkeypatch, files, arguments, error, message):
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(draw(tmp_path / "root", files))
    with pytest.raises(error, match=message) as caught:
        folder(**{"path": tmp_path / "root"} | arguments)
    assert "\n" not in str(caught.value)


# --- pasting --------------------------------------------------------------------------


def brute(source, indices, canvas, P, p, randint):
    """One pixel after another, in the original's order: distractors, then the image."""
    (N, C, h, w), (H, W), B = source.images.shape, canvas, len(indices)
    row, column = (randint(high + 1, (B,)).tolist() for high in (H - h, W - w))
    highs = N - 2, h - p, w - p, H - p, W - p
    drawn = [randint(high + 1, (B, P)).tolist() for high in highs] if P else []
    out, pixels = np.zeros((B, C, H, W), int), source.images.numpy().astype(int)
    for b, index in enumerate(indices):
        pieces = []
        for k in range(P):
            other, y, x, top, left = (places[b][k] for places in drawn)
            other = [i for i in range(N) if i != index][other]
            pieces.append((top, left, pixels[other, :, y : y + p, x : x + p]))
        pieces.append((row[b], column[b], pixels[index]))
        for top, left, piece in pieces:
            for (c, i, j), value in np.ndenumerate(piece):
                at = b, c, top + i, left + j
                out[at] = min(out[at] + value, 255)
    return torch.from_numpy(out.astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    extra=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    P=st.integers(0, 5),
    p=st.integers(1, 9),
    count=st.integers(2, 5),
    indices=st.lists(st.integers(0, 1), max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_pasting_equals_brute_force(shape, extra, P, p, count, indices, seed):
    source = some(count, shape, seed % 1000)
    indices = [count - 1 if index else 0 for index in indices]
    before = source.fingerprint()
    size, p = (shape[1] + extra[0], shape[2] + extra[1]), min(p, *shape[1:])
    for task, patches, made in (
        ("cluttered", P, cluttered(source, indices, size, P, p, generator=seed)),
        ("translated", 0, translated(source, indices, size, generator=seed)),
    ):
        randint = partial(torch.randint, generator=torch.Generator().manual_seed(seed))
        assert made.dtype == torch.uint8
        assert torch.equal(made, brute(source, indices, size, patches, p, randint))
        randint = partial(np.random.RandomState(seed).randint, 0, dtype=np.int64)
        made = fixed_set(source, task, size, P, p, seed)
        expected = brute(source, range(count), size, patches, p, randint)
        assert torch.equal(made.images, expected)
        assert torch.equal(made.labels, source.labels)
    assert source.fingerprint() == before


def test_a_fixed_set_is_of_its_images():
    source = digits("bundled", "test")
    assert fixed_set(source, "plain", size=1) is source
    source, made = source[:5], fixed_set(source[:5])
    assert (made.name, made.split, made.num_classes) == ("bundled", "test", 10)
    assert torch.equal(made.images, fixed_set(source, "translated", 60).images)
    made, full = fixed_set(source, "cluttered"), ("cluttered", 60, 4, 8, 0)
    assert torch.equal(made.images, fixed_set(source, *full).images)
    one = source[:1]  # is enough without clutter, and fills this canvas
    for once in (fixed_set(one, "translated", 28).images, translated(one, [0], 28)):
        assert torch.equal(once, one.images)


def test_seeds_and_generators():
    source, generator = some(9), torch.Generator().manual_seed(5)

    def make(generator=None):
        return cluttered(source, range(9), generator=generator)

    first, second = make(generator), make(generator)
    assert torch.equal(first, make(5)) and not torch.equal(first, second)
    assert torch.equal(first, cluttered(source, range(9), 60, 4, 8, generator=5))
    plain = translated(source, range(9), generator=5)
    assert torch.equal(plain, cluttered(source, range(9), 60, 0, generator=5))
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(make(), first)
    make(6)
    fixed_set(source, "cluttered")
    assert torch.equal(make(), second)  # a seed leaves the global streams alone
    assert np.random.rand() == np.random.RandomState(5).rand()


# --- bad input ------------------------------------------------------------------------

PIXELS, LABELS = torch.zeros(3, 4, 5, dtype=torch.uint8), torch.arange(3)
SIX, WIDE = some(6), Images(PIXELS, LABELS)
CROWD = partial(cluttered, SIX, [0], 60)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Images([1], LABELS), TypeError, "images is a list"),
        (lambda: Images(PIXELS.float(), LABELS), TypeError, "float32.*uint8"),
        (lambda: Images(PIXELS, LABELS.int()), TypeError, "int32.*int64"),
        (lambda: Images(PIXELS, LABELS[:2]), ValueError, r"\(3, 1, 4, 5\) and \(2,\)"),
        (lambda: Images(PIXELS, LABELS[:, None]), ValueError, r"\(3, 1\).*\(N,\)"),
        (lambda: Images(PIXELS[0, 1:], LABELS), ValueError, r"\(3, 5\).*\(N, C, H"),
        (lambda: Images(PIXELS[:, :0], LABELS), ValueError, r"\(3, 1, 0, 5\)"),
        (lambda: Images(PIXELS, LABELS.to("meta")), ValueError, "labels is on meta"),
        (lambda: Images(PIXELS, LABELS - 1), ValueError, r"\[-1, 1\]"),
        (lambda: Images(PIXELS, LABELS, [*"ab"]), ValueError, r"\[0, 2\].*2 classes"),
        (lambda: Images(PIXELS, LABELS + 65_534), ValueError, "65536 classes"),
        (lambda: Images(PIXELS, LABELS, (1, 2, 3)), TypeError, "class is 1"),
        (lambda: Images(PIXELS, LABELS, name=3), TypeError, "name is 3"),
        (lambda: Images(PIXELS, LABELS, split="val"), ValueError, "split is 'val'"),
        (lambda: setattr(SIX, "name", "x"), AttributeError, "name"),
        (lambda: SIX["a"], TypeError, "index is 'a'"),
        (lambda: SIX[None], TypeError, "index is None"),
        (lambda: SIX[[[0], [0, 1]]], TypeError, r"index is \[\[0\], \[0, 1\]\]"),
        (lambda: SIX[1.5], TypeError, "index is 1.5"),
        (lambda: SIX[[0, 0.5]], TypeError, r"index is \[0, 0.5\]"),
        (lambda: SIX[[[0, 1]]], TypeError, r"index is \[\[0, 1\]\]"),
        (lambda: SIX[6], IndexError, "6"),
        (lambda: SIX[True], IndexError, "a mask of 1; give 6"),
        (lambda: SIX[[-7]], IndexError, "-7"),
        (lambda: digits("MNIST"), ValueError, "source is 'MNIST'.*'mnist', 'bundled'"),
        (lambda: digits("bundled", "val"), ValueError, "split is 'val'.*'validation'"),
        (lambda: fixed_set(PIXELS), TypeError, "ramlib.data.Images"),
        (lambda: translated(PIXELS, [0]), TypeError, "ramlib.data.Images"),
        (lambda: fixed_set(SIX, "moved"), ValueError, "task is 'moved'.*'translated'"),
        (lambda: fixed_set(SIX, seed=-1), ValueError, "seed is -1.*0 to 4,294,967,295"),
        (lambda: fixed_set(SIX, size=20), ValueError, "size is 20.*28"),
        (lambda: fixed_set(SIX[:0]), ValueError, "0 images; give 1"),
        (lambda: fixed_set(SIX[:1], "cluttered"), ValueError, "1 images; give 2"),
        (lambda: translated(SIX, [6]), IndexError, "6"),
        (lambda: translated(SIX, [0.5]), TypeError, "index"),
        (lambda: translated(SIX, [0], 27), ValueError, "size is 27.*28 to 16,384"),
        (lambda: translated(SIX, [0], (60,)), ValueError, r"size is \(60,\)"),
        (lambda: translated(SIX, [0], 16_385), ValueError, "size is 16385"),
        (lambda: translated(SIX, [0], generator="x"), TypeError, "generator.*'x'"),
        (lambda: CROWD(-1), ValueError, "num_patches is -1"),
        (lambda: CROWD(10_001), ValueError, "num_patches is 10001.*0 to 10,000"),
        (lambda: CROWD(4, 0), ValueError, "patch_size is 0.*1 to 28"),
        (lambda: CROWD(4, 29), ValueError, "patch_size is 29"),
        (lambda: cluttered(WIDE, [0], 9, 4, 5), ValueError, "patch_size is 5.*1 to 4"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- on a GPU -------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_and_without_waiting():
    source, there = some(50), some(50).to("cuda")
    for make in (
        lambda x: cluttered(x, range(50), generator=torch.Generator().manual_seed(1)),
        lambda x: fixed_set(x, "cluttered").images,
    ):
        made = make(there)
        assert made.is_cuda and torch.equal(made.cpu(), make(source))
    indices, generator = torch.arange(50, device="cuda"), torch.Generator("cuda")
    first = cluttered(there, indices, generator=generator.manual_seed(1))
    generator.manual_seed(1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = cluttered(there, indices, generator=generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(first, again)
