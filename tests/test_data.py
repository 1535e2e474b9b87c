"""The digits, their files and splits; pasting against a loop over single images."""

import gzip
import hashlib
import http.server
import sys
import threading
import time
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from ramlib import data
from ramlib.data import (
    DataUnavailableError,
    Digits,
    Placement,
    cluttered,
    digits,
    fixed_set,
    paste,
    translated,
)

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = data._MNIST_MD5
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def sha256(*tensors):
    together = hashlib.sha256()
    for tensor in tensors:
        together.update(str(tuple(tensor.shape)).encode())
        together.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return together.hexdigest()[:32]


def random_digits(count=6, side=28, seed=0):
    """Images with much ink, so that sums run over 255; no two are alike."""
    stream = np.random.RandomState(seed)
    images = stream.randint(0, 256, (count, side, side)).astype(np.uint8)
    images[stream.rand(*images.shape) < 0.3] = 255
    labels = torch.arange(count) % 10
    return Digits(torch.from_numpy(images), labels, "bundled", "train")


@pytest.fixture(scope="module")
def bundled():
    return digits("bundled")


# --- loading: the bundled digits ------------------------------------------------------


def test_bundled_splits_are_disjoint_and_complete():
    parts = [digits("bundled", split) for split in data.SPLITS]
    assert [len(part) for part in parts] == [1197, 300, 300]
    for part, split in zip(parts, data.SPLITS, strict=True):
        assert (part.source, part.split) == ("bundled", split)
        assert part.images.dtype == torch.uint8 and part.labels.dtype == torch.int64
        assert part.images.shape == (len(part), 28, 28)
        assert part.labels.unique().tolist() == list(range(10))
        assert part.labels.bincount().min() >= 0.08 * len(part)
    whole = torch.cat([part.images for part in parts])
    assert len({image.numpy().tobytes() for image in whole}) == 1797


def test_bundled_digits_are_the_same_bytes_everywhere():
    sums = {}
    for split in data.SPLITS:
        part = digits("bundled", split)
        sums[split] = sha256(part.images, part.labels)
    assert sums == {
        "train": "d0a90cca1e27d2527e857e81d2e23d0c",
        "validation": "e96e6f63a7283507c1ae5d2b2c5ee656",
        "test": "642f15d158269f705fe8ecb7a7d409f5",
    }


def test_bundled_digits_show_what_scikit_learn_ships():
    from sklearn.datasets import load_digits

    small = load_digits().images  # (1797, 8, 8), 0 to 16
    large = digits("bundled", "train").images.numpy()
    assert large.min() == 0 and large.max() == 255
    # The middle pixel of each 3×3 sees one original pixel alone: 3v² - 2v³ of it.
    middle = large[:, 3:27:3, 3:27:3] / 255
    v = small[:1197] / 16
    assert np.abs(middle - (3 * v**2 - 2 * v**3)).max() < 0.01
    assert large[:, 0].max() == large[:, :, -1].max() == 0  # a margin all round


def test_a_load_is_the_callers_own():
    first = digits("bundled", "test")
    first.images.zero_()
    first.labels.zero_()
    again = digits("bundled", "test")
    assert again.images.any() and again.labels.any()


# --- loading: MNIST, from small stand-in files ----------------------------------------


def idx(array):
    """The bytes of an array in MNIST's file format."""
    header = [0x800 + array.ndim, *array.shape]
    return np.array(header, dtype=">i4").tobytes() + array.tobytes()


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Small files in MNIST's place, in memory: 60 to train, 10 of them validation."""
    stream = np.random.RandomState(1)
    files = {}
    for prefix, count in (("train", 60), ("t10k", 20)):
        images = stream.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = stream.randint(0, 10, count).astype(np.uint8)
        files[f"{prefix}-images-idx3-ubyte"] = idx(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx(labels)
    sums = {name: hashlib.md5(files[name]).hexdigest() for name in data._MNIST_MD5}
    monkeypatch.setattr(data, "_MNIST_MD5", sums)
    monkeypatch.setattr(data, "_MNIST_VALIDATION", 10)
    monkeypatch.setenv("RAMLIB_DATA", str(tmp_path))
    forget()
    yield files
    forget()


def forget():
    """What a new process would not know."""
    data._load_mnist.cache_clear()
    data._choose_source.cache_clear()


def write(files, root):
    raw = Path(root) / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    return raw


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(data, "_answering_mirrors", lambda: iter(()))


@pytest.fixture
def online(monkeypatch, mnist):
    """A network with mirrors that serve these files; `online` lists what was asked."""
    asked = []

    def fetch(mirror, folder):
        asked.append(mirror)
        if mirror == "cut-off":
            content = mnist[TRAIN_IMAGES]
            write(mnist | {TRAIN_IMAGES: content[: len(content) // 2]}, folder)
        elif mirror == "dead":
            raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")
        else:
            write(mnist, folder)

    mirrors = iter(("cut-off", "dead", "good"))
    monkeypatch.setattr(data, "_answering_mirrors", lambda: mirrors)
    monkeypatch.setattr(data, "_fetch", fetch)
    return asked


def never(*args):
    raise AssertionError("nothing should be downloaded here")


def test_mnist_is_read_and_split(mnist, tmp_path, monkeypatch, capfd):
    write(mnist, tmp_path)
    monkeypatch.setattr(data, "_answering_mirrors", never)
    for slow in ("torchvision", "sklearn"):  # to import them takes seconds
        monkeypatch.setitem(sys.modules, slow, None)
    train, validation, test = (digits("mnist", split) for split in data.SPLITS)
    assert (len(train), len(validation), len(test)) == (50, 10, 20)
    images = torch.cat([train.images, validation.images]).numpy()
    labels = torch.cat([train.labels, validation.labels]).numpy().astype(np.uint8)
    assert idx(images) == mnist[TRAIN_IMAGES]
    assert idx(labels) == mnist[TRAIN_LABELS]
    assert idx(test.images.numpy()) == mnist[TEST_IMAGES]
    assert (test.source, test.split) == ("mnist", "test")
    assert digits("auto", "test").source == "mnist"
    assert capfd.readouterr() == ("", "")


def test_torchvision_reads_the_same(mnist, tmp_path):
    from torchvision import datasets

    write(mnist, tmp_path)
    theirs = datasets.MNIST(tmp_path, train=False)
    ours = digits("mnist", "test")
    assert torch.equal(ours.images, theirs.data)
    assert torch.equal(ours.labels, theirs.targets)


def test_files_are_verified_once(mnist, tmp_path):
    raw = write(mnist, tmp_path)
    first = digits("mnist")
    first.images.zero_()
    for name in mnist:
        (raw / name).unlink()
    assert digits("mnist").images.any()


def test_the_root_may_be_given(mnist, tmp_path, monkeypatch):
    write(mnist, tmp_path / "elsewhere")
    monkeypatch.setenv("RAMLIB_DATA", str(tmp_path / "nowhere"))
    assert len(digits("mnist", root=tmp_path / "elsewhere")) == 50
    assert len(digits("mnist", root=str(tmp_path / "elsewhere"))) == 50


def test_the_default_root_is_the_clones(tmp_path, monkeypatch):
    monkeypatch.delenv("RAMLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "__file__", str(tmp_path / "site" / "ramlib" / "data.py"))
    assert data._data_folder(None) == tmp_path.resolve() / "data"
    clone = tmp_path / "clone"
    (clone / "ramlib").mkdir(parents=True)
    (clone / "chapters").mkdir()
    (clone / "pyproject.toml").touch()
    (clone / "ramlib" / "data.py").touch()
    monkeypatch.chdir(clone / "chapters")
    assert data._data_folder(None) == clone.resolve() / "data"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "__file__", str(clone / "ramlib" / "data.py"))
    assert data._data_folder(None) == clone.resolve() / "data"


def test_without_network_auto_says_so_once(mnist, offline, tmp_path, capfd):
    train, test = digits(), digits(split="test")
    assert train.source == test.source == "bundled"
    digits()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.count("MNIST is not in") == 1
    assert "bundled" in err and str(tmp_path) in err
    assert list(tmp_path.iterdir()) == []  # and the folder is left alone


def test_without_network_mnist_says_what_to_do(mnist, offline):
    with pytest.raises(DataUnavailableError, match=r"RAMLIB_DATA.*source='bundled'"):
        digits("mnist")


def test_all_splits_come_from_one_source(mnist, offline, tmp_path, capfd):
    """The training files alone are not MNIST: the test digits would be bundled ones."""
    write({name: mnist[name] for name in (TRAIN_IMAGES, TRAIN_LABELS)}, tmp_path)
    assert digits().source == digits(split="test").source == "bundled"
    forget()
    assert digits(split="test").source == "bundled"
    write(mnist, tmp_path)  # what was decided is kept to
    assert digits().source == "bundled"
    assert digits("mnist").source == "mnist"
    capfd.readouterr()


def test_a_broken_file_is_named_and_left_when_there_is_no_network(
    mnist, offline, tmp_path
):
    partial = mnist[TRAIN_IMAGES][:1000]
    raw = write(mnist | {TRAIN_IMAGES: partial}, tmp_path)
    for source in ("mnist", "auto"):
        with pytest.raises(RuntimeError, match=TRAIN_IMAGES) as caught:
            digits(source, "test")
        assert "RAMLIB_DATA" in str(caught.value)
        assert TRAIN_LABELS not in str(caught.value)
    assert (raw / TRAIN_IMAGES).read_bytes() == partial


@pytest.mark.parametrize("damage", ["partial", "one bit", "empty", "folder"])
def test_a_broken_file_is_replaced(mnist, online, tmp_path, capfd, damage):
    content = mnist[TRAIN_IMAGES]
    raw = write(mnist, tmp_path)
    if damage == "folder":
        (raw / TRAIN_IMAGES).unlink()
        (raw / TRAIN_IMAGES).mkdir()
        with pytest.raises(RuntimeError, match=TRAIN_IMAGES):  # never deleted
            digits("mnist")
        return
    flipped = content[:500] + bytes([content[500] ^ 1]) + content[501:]
    broken = {"partial": content[:1000], "one bit": flipped, "empty": b""}[damage]
    (raw / TRAIN_IMAGES).write_bytes(broken)
    kept = (raw / TEST_IMAGES).stat()
    images = torch.cat(
        [digits("mnist", part).images for part in ("train", "validation")]
    )
    assert idx(images.numpy()) == content
    assert online == ["cut-off", "dead", "good"]  # a cut-off download is not taken
    assert (raw / TRAIN_IMAGES).read_bytes() == content
    assert (raw / TEST_IMAGES).stat().st_ino == kept.st_ino  # good files stay
    assert sorted(path.name for path in raw.iterdir()) == sorted(mnist)
    out, err = capfd.readouterr()
    assert out == "" and err.count(TRAIN_IMAGES) == err.count("\n") == 1


def test_what_is_missing_is_downloaded(mnist, online, tmp_path, capfd):
    assert digits("auto", "test").source == "mnist"
    raw = tmp_path / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == mnist
    assert capfd.readouterr() == ("", "")


def test_failed_downloads_leave_nothing(mnist, online, tmp_path, monkeypatch, capfd):
    mirrors = ("cut-off", "dead")
    monkeypatch.setattr(data, "_answering_mirrors", lambda: iter(mirrors))
    with pytest.raises(DataUnavailableError, match="Error downloading"):
        digits("mnist")
    assert digits().source == "bundled"
    assert list((tmp_path / "MNIST" / "raw").iterdir()) == []
    assert "Error downloading" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written(mnist, online, tmp_path, monkeypatch):
    def refuse(**kwargs):
        raise PermissionError(13, "Permission denied", str(kwargs["dir"]))

    monkeypatch.setattr(data.tempfile, "TemporaryDirectory", refuse)
    raw = write(mnist | {TEST_LABELS: b"old"}, tmp_path)
    with pytest.raises(RuntimeError, match=r"can't be written.*Permission denied"):
        digits("auto")
    assert (raw / TEST_LABELS).read_bytes() == b"old" and online == []


def test_a_root_that_is_a_file(mnist, online, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="can't be written"):
        digits("mnist", root=tmp_path / "file")


@pytest.fixture
def server(tmp_path):
    """A web server on this machine; serves what lies in the folder it yields."""
    served = tmp_path / "served"
    served.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield served, f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


def test_torchvision_downloads_quietly(mnist, server, tmp_path, monkeypatch, capfd):
    """The whole way: an absent mirror, a corrupt one, a good one, over HTTP."""
    from torchvision import datasets

    served, url = server
    resources = []
    for folder in ("corrupt", "good"):
        (served / folder).mkdir()
    for name, content in mnist.items():
        packed = gzip.compress(content)
        (served / "good" / f"{name}.gz").write_bytes(packed)
        (served / "corrupt" / f"{name}.gz").write_bytes(packed[:-20])
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    mirrors = tuple(f"{url}{folder}/" for folder in ("absent", "corrupt", "good"))
    monkeypatch.setattr(data, "_MNIST_MIRRORS", mirrors)
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "*")
    assert set(data._answering_mirrors()) == set(mirrors[1:])
    root = tmp_path / "root"
    with pytest.raises(RuntimeError):
        data._fetch(mirrors[1], str(tmp_path / "scratch"))
    assert digits("mnist", "test", root=root).source == "mnist"
    assert (root / "MNIST" / "raw" / TEST_IMAGES).read_bytes() == mnist[TEST_IMAGES]
    assert capfd.readouterr() == ("", "")


def test_a_network_that_never_answers_costs_seconds(monkeypatch):
    hang = threading.Event()

    def urlopen(request, timeout):
        hang.wait(20)
        raise TimeoutError

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(data, "_ANSWER_SECONDS", 0.2)
    start = time.monotonic()
    assert list(data._answering_mirrors()) == []
    assert time.monotonic() - start < 5
    hang.set()


def mnist_or_skip(split):
    """The real MNIST where it lies on this machine; never a download."""
    raw = data._data_folder(None) / "MNIST" / "raw"
    if not all((raw / name).is_file() for name in data._MNIST_MD5):
        pytest.skip("MNIST is in neither RAMLIB_DATA nor data/")
    return digits("mnist", split)


@pytest.mark.parametrize(
    ("split", "count", "expected"),
    [
        ("train", 50_000, "6b05eb751f3dd7fc1b6ab73a2d851459"),
        ("validation", 10_000, "587a8e32ce8e99cf6c0e104db1f34344"),
        ("test", 10_000, "b8278cdfcfe81cb7dfb66cb0b66bee14"),
    ],
)
def test_mnist_is_mnist(split, count, expected):
    part = mnist_or_skip(split)
    assert len(part) == count
    assert sha256(part.images, part.labels) == expected


# --- Digits ---------------------------------------------------------------------------


def test_digits_select():
    some = random_digits(20)
    assert len(some) == 20 and repr(some) == "Digits(bundled, train: 20 of 28×28)"
    for index, chosen in (
        (7, [7]),
        (np.int64(7), [7]),
        (-1, [19]),
        (slice(3, 6), [3, 4, 5]),
        ([4, 2, 2], [4, 2, 2]),
        (torch.tensor([1, 0]), [1, 0]),
        (np.array([5, 6]), [5, 6]),
        (some.labels == 3, [3, 13]),
    ):
        part = some[index]
        assert torch.equal(part.images, some.images[chosen])
        assert torch.equal(part.labels, some.labels[chosen])
        assert (part.source, part.split) == ("bundled", "train")
    assert len(list(some)) == 20
    assert some.to("cpu").images.device.type == "cpu"


def test_digits_are_checked():
    images, labels = torch.zeros(3, 28, 28, dtype=torch.uint8), torch.arange(3)
    with pytest.raises(TypeError, match="float32"):
        Digits(images.float(), labels, "mnist", "test")
    with pytest.raises(TypeError, match="uint8"):
        Digits(images, labels.to(torch.uint8), "mnist", "test")
    with pytest.raises(ValueError, match="28"):
        Digits(images[:2], labels, "mnist", "test")
    with pytest.raises(ValueError, match="28"):
        Digits(images[:, None], labels, "mnist", "test")


# --- pasting --------------------------------------------------------------------------


def brute_paste(images, indices, placement, canvas, p):
    """One pixel after another, in the original's order: distractors, then the digit."""
    place = Placement(*(places.tolist() for places in placement))
    height, width = images.shape[1:]
    out = np.zeros((len(indices), *canvas), dtype=int)
    for b, index in enumerate(indices.tolist()):
        pieces = []
        for k, source in enumerate(place.source[b]):
            y, x = place.from_row[b][k], place.from_column[b][k]
            window = images[source, y : y + p, x : x + p].tolist()
            pieces.append((place.to_row[b][k], place.to_column[b][k], window))
        pieces.append((place.row[b], place.column[b], images[index].tolist()))
        assert len(pieces[-1][2]) == height and len(pieces[-1][2][0]) == width
        for top, left, piece in pieces:
            for i, line in enumerate(piece):
                for j, value in enumerate(line):
                    total = out[b, top + i, left + j] + value
                    out[b, top + i, left + j] = min(total, 255)
    return torch.from_numpy(out.astype(np.uint8))[:, None]


def draw(source, indices, canvas, num_patches, patch_size, seed):
    """The places that `cluttered` draws from a generator with this seed."""
    generator = torch.Generator().manual_seed(seed)

    def randint(high, shape):
        return torch.randint(high, shape, generator=generator)

    return data._draw(randint, source, indices, canvas, num_patches, patch_size)


@settings(max_examples=40, deadline=None)
@given(
    side=st.integers(4, 28),
    extra=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    num_patches=st.integers(0, 9),
    patch=st.integers(1, 28),
    batch=st.integers(0, 4),
    seed=st.integers(0, 2**31),
)
def test_pasting_equals_brute_force(side, extra, num_patches, patch, batch, seed):
    source = random_digits(5, side, seed % 1000)
    canvas = side + extra[0], side + extra[1]
    patch = min(patch, side)
    indices = torch.randint(5, (batch,), generator=torch.Generator().manual_seed(seed))
    place = draw(source, indices, canvas, num_patches, patch, seed)
    expected = brute_paste(source.images, indices, place, canvas, patch)
    pasted = paste(source.images, indices, place, canvas, patch)
    assert pasted.dtype == torch.uint8 and pasted.shape == (batch, 1, *canvas)
    assert torch.equal(pasted, expected)
    made = cluttered(source, indices, canvas, num_patches, patch, generator=seed)
    assert torch.equal(made, expected)


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(28, 100),
    num_patches=st.integers(0, 8),
    patch=st.integers(1, 28),
    seed=st.integers(0, 2**32 - 1),
)
def test_fixed_sets_equal_brute_force(size, num_patches, patch, seed):
    source = random_digits(4)
    stream = np.random.RandomState(seed)

    def randint(high, shape):
        return torch.from_numpy(stream.randint(0, high, shape, dtype=np.int64))

    canvas, indices = (size, size), torch.arange(4)
    place = data._draw(randint, source, indices, canvas, num_patches, patch)
    expected = brute_paste(source.images, indices, place, canvas, patch)[:, 0]
    made = fixed_set(source, "cluttered", size, num_patches, patch, seed)
    assert torch.equal(made.images, expected)
    assert torch.equal(made.labels, source.labels)


def test_ink_saturates_and_is_never_hidden():
    white = Digits(
        torch.full((3, 28, 28), 255, dtype=torch.uint8),
        torch.arange(3),
        "mnist",
        "test",
    )
    full = cluttered(white, [0, 1, 2], 28, 8, 28, generator=0)
    assert (full == 255).all()
    source = random_digits(30)
    indices = torch.arange(30)
    plain = translated(source, indices, 60, generator=3)
    clutter = cluttered(source, indices, 60, 8, 8, generator=3)
    assert (clutter >= plain).all() and (clutter > plain).any()


def test_on_the_smallest_canvas_the_digit_fills_it():
    source = random_digits(5)
    made = translated(source, [3, 0, 3], 28, generator=0)
    assert torch.equal(made[:, 0], source.images[[3, 0, 3]])


def test_rectangular_canvases():
    source = random_digits(5)
    made = cluttered(source, [0, 1], (30, 75), generator=0)
    assert made.shape == (2, 1, 30, 75)
    assert fixed_set(source, size=(90, 28)).images.shape == (5, 90, 28)


def test_indices_of_any_kind():
    source = random_digits(9)
    expected = cluttered(source, torch.tensor([4, 8]), generator=1)
    for indices in (
        [4, 8],
        (4, 8),
        np.array([4, 8], np.uint8),
        torch.tensor([4, 8]).int(),
    ):
        assert torch.equal(cluttered(source, indices, generator=1), expected)


def test_the_source_is_not_changed():
    source = random_digits(9)
    before = source.images.clone()
    cluttered(source, range(9), 40, 6, 28, generator=1)
    fixed_set(source, "cluttered", 40, 6, 28)
    assert torch.equal(source.images, before)


def test_images_need_not_be_contiguous():
    source = random_digits(9)
    turned = Digits(source.images.mT, source.labels, "mnist", "train")
    copied = Digits(source.images.mT.contiguous(), source.labels, "mnist", "train")
    made = [cluttered(part, range(9), generator=1) for part in (turned, copied)]
    assert torch.equal(*made)


def test_seeds():
    source = random_digits(9)
    make = partial(cluttered, source, range(9), 60)
    assert torch.equal(make(generator=5), make(generator=5))
    assert not torch.equal(make(generator=5), make(generator=6))
    generator = torch.Generator().manual_seed(5)
    first, second = make(generator=generator), make(generator=generator)
    assert torch.equal(first, make(generator=5)) and not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(make(), first)


def test_the_number_of_operations_does_not_depend_on_the_batch():
    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Count.calls += 1
            return func(*args, **(kwargs or {}))

    counts = []
    source = random_digits(9)
    for batch in (2, 200):
        indices = torch.zeros(batch, dtype=torch.int64)
        Count.calls = 0
        with Count():
            cluttered(source, indices, generator=1)
        counts.append(Count.calls)
    assert counts[0] == counts[1] > 0


def uniform(values, count):
    """The p-value of a chi-square test that all of range(count) are equally likely."""
    observed = torch.bincount(values.flatten(), minlength=count)
    assert len(observed) == count, "a value out of range"
    return stats.chisquare(observed.numpy()).pvalue


def test_places_are_uniform():
    """Seven p-values: one below 1e-5 has a chance of 1 in 14,000; seeds are fixed."""
    source, batch = random_digits(12), 20_000
    indices = torch.randint(12, (batch,), generator=torch.Generator().manual_seed(1))
    place = draw(source, indices, (60, 50), 4, 8, seed=2)
    assert uniform(place.row, 60 - 28 + 1) > 1e-5
    assert uniform(place.column, 50 - 28 + 1) > 1e-5
    assert uniform(place.from_row, 28 - 8 + 1) > 1e-5
    assert uniform(place.from_column, 28 - 8 + 1) > 1e-5
    assert uniform(place.to_row, 60 - 8 + 1) > 1e-5
    assert uniform(place.to_column, 50 - 8 + 1) > 1e-5
    # The source: never the digit's own image, each of the others equally often.
    assert (place.source != indices[:, None]).all()
    steps = (place.source - indices[:, None]) % 12 - 1  # 0 to 10
    assert uniform(steps, 11) > 1e-5
    pairs = torch.stack([place.row.double(), place.column.double()])
    assert torch.corrcoef(pairs)[0, 1].abs() < 4 / batch**0.5


# --- fixed sets -----------------------------------------------------------------------

FIXED = {
    "translated 60": ("translated", 60, 4),
    "cluttered 60": ("cluttered", 60, 4),
    "cluttered 100": ("cluttered", 100, 8),
}


def fixed_sums(split_of):
    sums = {}
    for split in ("validation", "test"):
        for name, (task, size, num_patches) in FIXED.items():
            made = fixed_set(split_of(split), task, size, num_patches)
            sums[f"{split} {name}"] = sha256(made.images, made.labels)
    return sums


def test_fixed_sets_of_bundled_digits_are_the_same_bytes_everywhere():
    assert fixed_sums(partial(digits, "bundled")) == {
        "validation translated 60": "57e12f6e57639cb68355e2ba60767071",
        "validation cluttered 60": "52d19b86b581774d238b31642b296bc9",
        "validation cluttered 100": "13deb820a0042a3f89655e04f3109d54",
        "test translated 60": "f4bc725f947fa0d7c766d0162bab7067",
        "test cluttered 60": "631e12c483b9f5ef57888a73cf8144a8",
        "test cluttered 100": "1616d84606a20e82b0de2dc9bae81cf9",
    }


def test_fixed_sets_of_mnist_are_the_same_bytes_everywhere():
    assert fixed_sums(mnist_or_skip) == {
        "validation translated 60": "92b2248116b675156d7576feaff5bd9a",
        "validation cluttered 60": "66c2fcb5964a1133e021551e1b4f7248",
        "validation cluttered 100": "0e1ae8a0680df288184d4423c2caf040",
        "test translated 60": "dee13ea0f161acdf67b1cf98983d3646",
        "test cluttered 60": "817e1cfce2116a251d5e7dc92088d52e",
        "test cluttered 100": "4f4c8cbbb6a57bce1848b41aad576e7b",
    }


def test_fixed_sets(bundled, monkeypatch):
    made = fixed_set(bundled, "cluttered", 60)
    assert made.images.shape == (1197, 60, 60) and made.images.dtype == torch.uint8
    assert (made.source, made.split) == ("bundled", "train")
    assert torch.equal(made.labels, bundled.labels)
    assert not torch.equal(made.images, fixed_set(bundled, "cluttered", seed=1).images)
    with monkeypatch.context() as patch:
        patch.setattr(data, "_CHUNK", 7)  # how much is pasted at once is no matter
        again = fixed_set(bundled, "cluttered", 60)
    assert torch.equal(made.images, again.images)
    plain = fixed_set(bundled, "translated", 60)
    assert (made.images >= plain.images).all()  # the same places, without clutter
    assert torch.equal(fixed_set(bundled, "plain").images, bundled.images)


def test_fixed_sets_leave_the_global_streams_alone(bundled):
    torch.manual_seed(0)
    np.random.seed(0)
    fixed_set(bundled[:5], "cluttered")
    drawn = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    assert drawn == (torch.rand(1), np.random.rand())


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MNIST", "", "cifar"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"source.*auto, mnist, bundled"):
        digits(name)
    with pytest.raises(ValueError, match=r"split.*train, validation, test"):
        digits("bundled", name)
    with pytest.raises(ValueError, match=r"task.*plain, translated, cluttered"):
        fixed_set(random_digits(), name)


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, "height is 27.*at least 28", {"size": 27}),
        (ValueError, "width is 0.*at least 28", {"size": (60, 0)}),
        (ValueError, "height is -60", {"size": -60}),
        (ValueError, r"size is \(60,\)", {"size": (60,)}),
        (TypeError, "height.*60.0", {"size": 60.0}),
        (TypeError, "height.*True", {"size": True}),
        (ValueError, "num_patches is -1.*at least 0", {"num_patches": -1}),
        (TypeError, "num_patches.*'4'", {"num_patches": "4"}),
        (ValueError, "patch_size is 0.*from 1 to 28", {"patch_size": 0}),
        (ValueError, "patch_size is 29.*from 1 to 28", {"patch_size": 29}),
        (TypeError, "patch_size.*8.5", {"patch_size": 8.5}),
        (ValueError, "index 6.*0 to 5", {"indices": [0, 6]}),
        (ValueError, "index -1.*0 to 5", {"indices": [-1, 2]}),
        (ValueError, r"\(B,\).*\(1, 2\)", {"indices": [[0, 1]]}),
        (ValueError, r"\(B,\).*\(\)", {"indices": 3}),
        (TypeError, "integers.*float32", {"indices": torch.tensor([0.0])}),
        (TypeError, "integers.*bool", {"indices": torch.tensor([True])}),
        (TypeError, "generator.*'x'", {"generator": "x"}),
        (ValueError, "at least one", {"digits": random_digits()[:0], "indices": [0]}),
        (ValueError, "at least 2", {"digits": random_digits(1), "indices": [0]}),
    ],
)
def test_bad_input(error, message, arguments):
    good = {"digits": random_digits(), "indices": [0, 5]}
    with pytest.raises(error, match=message):
        cluttered(**good | arguments)


def test_bad_input_to_a_fixed_set():
    source = random_digits()
    with pytest.raises(ValueError, match=r"seed is -1.*from 0 to 4294967295"):
        fixed_set(source, seed=-1)
    with pytest.raises(TypeError, match="seed"):
        fixed_set(source, seed=None)
    with pytest.raises(ValueError, match="height is 20"):
        fixed_set(source, size=20)
    with pytest.raises(ValueError, match="at least one"):
        fixed_set(source[:0])
    with pytest.raises(ValueError, match="at least 2"):
        fixed_set(source[:1], "cluttered")
    assert len(fixed_set(source[:1], "translated")) == 1


# --- on a GPU -------------------------------------------------------------------------


@needs_gpu
def test_gpu_draws_what_the_cpu_draws_from_a_cpu_generator():
    source = random_digits(50)
    made = [
        cluttered(part, range(50), generator=torch.Generator().manual_seed(1)).cpu()
        for part in (source, source.to("cuda"))
    ]
    assert torch.equal(*made)
    fixed = fixed_set(source.to("cuda"), "cluttered")
    assert fixed.images.is_cuda
    assert torch.equal(fixed.images.cpu(), fixed_set(source, "cluttered").images)


@needs_gpu
def test_gpu_draws_without_waiting():
    source = random_digits(50).to("cuda")
    indices = torch.arange(50, device="cuda")
    generator = torch.Generator("cuda").manual_seed(1)
    first = cluttered(source, indices, generator=generator)
    generator.manual_seed(1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = cluttered(source, indices, generator=generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert again.is_cuda and torch.equal(first, again)
