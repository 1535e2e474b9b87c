"""How fast it is, as ratios measured in one run.

Times differ from machine to machine; ratios travel better. Training is compared with a
matrix product of the size that dominates it, the sensor with a plain loop over images.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.benchmark import Timer

from ramlib.data import cluttered, digits
from ramlib.model import RAMConfig
from ramlib.runs import environment
from ramlib.sensor import GlimpseSensor, to_pixels
from ramlib.training import TrainConfig, Trainer

__all__ = ["loop_sensor", "run", "training_flops"]

BATCH = 512
ROUNDS = 5
# (image size, glimpses, patch size, scales): the sizes of the three tasks
SIZES = ((28, 6, 8, 1), (60, 6, 12, 3), (100, 8, 12, 4))
GROWING = (28, 64, 128, 256, 512, 1024, 2048)


def run(
    device: torch.device, seconds: float = 2.0, threads: int = 0, compiled: bool = True
) -> dict:
    """Print every table and return the figures.

    Args:
        device: where to measure.
        seconds: at least so long for each figure.
        threads: of PyTorch on the CPU; 0: as it finds best.
        compiled: time compiled training too.

    Returns:
        JSON values.
    """
    if threads:
        torch.set_num_threads(threads)
    figures: dict = {"environment": environment(device)}
    print(", ".join(f"{k} {v}" for k, v in figures["environment"].items() if v))
    figures["sensor"] = _table(
        "Sensor, batch 256: microseconds; a loop over images beside it",
        ("size", "per glimpse", "per image", "loop per image", "loop / sensor"),
        [_sensor(device, seconds, *size) for size in SIZES],
    )
    figures["growing"] = _table(
        "One glimpse of 12 x 12 at 3 scales as the image grows, batch 32, table made",
        ("size", "reads", "us per glimpse", "times 64 px"),
        _growing(device, seconds),
    )
    figures["clutter"] = _table(
        "Cluttered images drawn per second",
        ("size", "patches", "images/s"),
        [_clutter(device, seconds, *size) for size in ((60, 4), (100, 8))],
    )
    modes = ("eager", "compiled") if compiled else ("eager",)
    figures["training"] = _table(
        f"Training, batch {BATCH}; the bound is set by a {BATCH} x 256 x 256 product",
        ("size", "mode", "images/s", "GFLOP/s bound", "images/s bound", "share"),
        [_training(device, seconds, mode, *size) for size in SIZES for mode in modes],
    )
    if device.type == "cuda":
        figures["rollouts"] = _table(
            "Training rollouts per second as one CUDA graph, 28 x 28, 6 glimpses",
            ("images", "copies", "rollouts/s"),
            [_rollouts(device, seconds, *n) for n in ((512, 1), (512, 8), (2048, 8))],
        )
    return figures


def loop_sensor(
    images: Tensor, locations: Tensor, glimpse_size: int, num_scales: int
) -> Tensor:
    """Crop and average one image after the other: what the sensor is compared with.

    Args:
        images: (B, 1, H, W) float in [0, 1].
        locations: (B, 2), (x, y).
        glimpse_size: g.
        num_scales: S.

    Returns:
        (B, S·g²), as `GlimpseSensor` gives it for one channel.
    """
    H, W = images.shape[-2:]
    glimpses = []
    for image, pixel in zip(images, to_pixels(locations, H, W), strict=True):
        scales = []
        for s in range(num_scales):
            size = glimpse_size * 2**s
            left, top = torch.floor(pixel - (size / 2 - 0.5)).long().tolist()
            padded = functional.pad(image, (size, size, size, size))
            top, left = (
                min(max(top, -size), H) + size,
                min(max(left, -size), W) + size,
            )
            patch = padded[:, top : top + size, left : left + size]
            scales.append(functional.avg_pool2d(patch, 2**s).flatten())
        glimpses.append(torch.cat(scales))
    return torch.stack(glimpses)


def training_flops(config: RAMConfig) -> int:
    """Count the operations of one image: forward, and twice that backward.

    Args:
        config: of the specified model, with the "rnn" core and no options.

    Returns:
        Floating-point operations, a multiply and an add counting as two.
    """
    c = config
    T, D, width = c.num_glimpses, c.hidden_size, c.glimpse_hidden_size
    patch = c.num_scales * c.num_channels * c.glimpse_size**2
    glimpse = patch * width + 2 * width + 2 * width * D + 2 * D * D
    heads = (T - 1) * 2 * D + T * D + c.num_actions * D
    return 3 * 2 * (T * glimpse + heads)


def _sensor(device, seconds, size: int, T: int, g: int, S: int) -> tuple:
    B = 256
    sensor = GlimpseSensor(g, S).to(device)
    images = torch.randint(256, (B, 1, size, size), dtype=torch.uint8, device=device)
    locations = torch.rand(T, B, 2, device=device) * 2 - 1
    prepared = sensor.prepare(images)
    floats = images.float() / 255

    def episode() -> None:
        prepared = sensor.prepare(images)
        for t in range(T):
            sensor.look(prepared, locations[t])

    def loop() -> None:
        for t in range(T):
            loop_sensor(floats, locations[t], g, S)

    glimpse = _time(lambda: sensor.look(prepared, locations[0]), seconds) / B
    image, looped = _time(episode, seconds) / B, _time(loop, seconds) / B
    return size, 1e6 * glimpse, 1e6 * image, 1e6 * looped, looped / image


def _growing(device, seconds) -> list[tuple]:
    B, g, S = 32, 12, 3
    sensor = GlimpseSensor(g, S).to(device)
    # Fresh places every time: the corners of those looked at before are in the cache,
    # which would hide what a large image costs.
    places = itertools.cycle(torch.rand(64, B, 2, device=device) * 2 - 1)
    rows = []
    for size in GROWING:
        images = torch.randint(255, (B, 1, size, size), dtype=torch.uint8)
        prepared = sensor.prepare(images.to(device))

        def look(prepared=prepared) -> Tensor:
            return sensor.look(prepared, next(places))

        rows.append((size, S * (g + 1) ** 2, 1e6 * _time(look, seconds) / B))
    at_64 = rows[GROWING.index(64)][2]
    return [(*row, row[2] / at_64) for row in rows]


def _clutter(device, seconds, size: int, patches: int) -> tuple:
    data = digits("bundled", "train").to(device)
    indices = torch.arange(BATCH, device=device)
    generator = torch.Generator(device)

    def draw() -> Tensor:
        return cluttered(data, indices, size, patches, generator=generator)

    return size, patches, BATCH / _time(draw, seconds)


def _training(device, seconds, mode: str, size: int, T: int, g: int, S: int) -> tuple:
    config = RAMConfig(glimpse_size=g, num_scales=S, num_glimpses=T)
    trainer = _trainer(device, config, size, 1, BATCH, mode == "compiled")
    a, b = torch.randn(BATCH, 256, device=device), torch.randn(256, 256, device=device)
    # Side by side, round after round: what slows the machine slows both.
    rates, bounds = [], []
    for _ in range(ROUNDS):
        step = _time(lambda: trainer.update_at(1), seconds / ROUNDS)
        product = _time(lambda: a @ b, seconds / ROUNDS)
        rates.append(BATCH / step)
        bounds.append(2 * BATCH * 256 * 256 / product / training_flops(config))
    share = statistics.median(r / b for r, b in zip(rates, bounds, strict=True))
    rate, bound = statistics.median(rates), statistics.median(bounds)
    return size, mode, rate, bound * training_flops(config) / 1e9, bound, share


def _rollouts(device, seconds, images: int, copies: int) -> tuple:
    trainer = _trainer(device, RAMConfig(), 28, copies, images, False)
    step = _time(lambda: trainer.update_at(1), seconds)
    return images, copies, images * copies / step


def _trainer(device, config: RAMConfig, size, copies, batch, compiled) -> Trainer:
    # Bundled digits, repeated: what the pixels are does not change the speed.
    data = digits("bundled", "train")
    data = data[torch.arange(max(batch, 5000)) % len(data)]
    train = TrainConfig(
        task="plain" if size == 28 else "cluttered",
        image_size=size,
        num_patches=8 if size == 100 else 4,
        copies=copies,
        batch_size=batch,
        device=str(device),
        compile=compiled,
    )
    return Trainer(config, train, data)


def _time(function: Callable[[], object], seconds: float) -> float:
    """Give the median time of a call in seconds; a GPU is waited for."""
    timer = Timer(
        "function()",
        globals={"function": function},
        num_threads=torch.get_num_threads(),
    )
    timer.timeit(3)  # warm up: allocate, compile
    return timer.blocked_autorange(min_run_time=seconds).median


def _table(title: str, names: tuple[str, ...], rows: list[tuple]) -> list[dict]:
    """Print a table; return its rows as dictionaries."""
    print(f"\n{title}\n" + " ".join(f"{name:>15s}" for name in names), flush=True)
    for row in rows:
        cells = [f"{x:15.2f}" if isinstance(x, float) else f"{x:>15}" for x in row]
        print(" ".join(cells), flush=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
