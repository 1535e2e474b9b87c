"""How fast ramlib is, as ratios measured in one run.

    python tools/bench.py [--device cuda] [--seconds 2] [--threads 0] [--json FILE]

Times differ from machine to machine; ratios travel better. Training is compared with a
matrix product of the size that dominates it, the sensor with a plain loop over images.
Both are timed side by side, round after round: what slows the machine slows both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.benchmark import Timer

from ramlib.data import cluttered, digits
from ramlib.files import choose_device
from ramlib.model import RAMConfig
from ramlib.runs import environment
from ramlib.sensor import GlimpseSensor, corner
from ramlib.tasks import ImageConfig, ImageTask
from ramlib.training import TrainConfig, Trainer, new_model

BATCH = 512
ROUNDS = 7
# (image size, glimpses, patch size, scales): the sizes of the three tasks
SIZES = ((28, 6, 8, 1), (60, 6, 12, 3), (100, 8, 12, 4))
MODES = {
    "eager": {},
    "compiled": {"compile": True},
    "bfloat16": {"precision": "bfloat16"},
}
GROWING = (28, 64, 128, 256, 512, 1024, 2048)


def run(device: torch.device, seconds: float = 2.0) -> dict:
    """Print every table and return the figures.

    Args:
        device: where to measure.
        seconds: at least so long for each figure.

    Returns:
        JSON values.
    """
    figures: dict = {"environment": environment(device)}
    print(", ".join(f"{k} {v}" for k, v in figures["environment"].items() if v))
    figures["sensor"] = table(
        "Sensor, batch 256: microseconds; a loop over images beside it",
        ("size", "per glimpse", "per image", "loop per image", "loop / sensor"),
        (sensing(device, seconds, *size) for size in SIZES),
    )
    figures["growing"] = table(
        "One glimpse of 12 x 12 at 3 scales as the image grows, batch 32, table made",
        ("size", "reads", "us per glimpse", "times the second"),
        growing(device, seconds),
    )
    figures["clutter"] = table(
        "Cluttered images drawn per second",
        ("size", "patches", "images/s"),
        (drawing(device, seconds, *size) for size in ((60, 4), (100, 8))),
    )
    figures["training"] = table(
        f"Training, batch {BATCH}; the bound is set by a {BATCH} x 256 x 256 product",
        ("size", "mode", "images/s", "GFLOP/s bound", "images/s bound", "share"),
        (training(device, seconds, mode, *size) for size in SIZES for mode in MODES),
    )
    if device.type == "cuda":
        figures["rollouts"] = table(
            "Training rollouts per second as one CUDA graph, 28 x 28, 6 glimpses",
            ("images", "rollouts each", "rollouts/s"),
            (rollouts(device, seconds, *n) for n in ((512, 1), (512, 8), (2048, 8))),
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
    for image, (x, y) in zip(images, locations, strict=True):
        scales = []
        for s in range(num_scales):
            n = glimpse_size * 2**s
            left, top = int(corner(x, n, W)), int(corner(y, n, H))
            padded = functional.pad(image, (n, n, n, n))
            left, top = min(max(left, -n), W) + n, min(max(top, -n), H) + n
            patch = padded[:, top : top + n, left : left + n]
            scales.append(functional.avg_pool2d(patch, 2**s).flatten())
        glimpses.append(torch.cat(scales))
    return torch.stack(glimpses)


def training_flops(config: RAMConfig) -> int:
    """Count the operations of one image: forward, and twice that backward.

    Args:
        config: of the specified model, with the "rnn" core and no options.

    Returns:
        Floating-point operations, a multiply and an add counting as two. The first
        recurrent product is none: the state is zero then.
    """
    c = config
    T, D, width = c.num_glimpses, c.hidden_size, c.glimpse_hidden_size
    patch = c.num_scales * c.num_channels * c.glimpse_size**2
    glimpse = patch * width + 2 * width + 2 * width * D + D * D
    heads = (T - 1) * 2 * D + T * D + c.num_actions * D
    return 3 * 2 * (T * (glimpse + D * D) + heads)


def sensing(device, seconds, size: int, T: int, g: int, S: int) -> tuple:
    """Time a glimpse, an episode of them with its table, and the loop."""
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

    glimpse = time(lambda: sensor.look(prepared, locations[0]), seconds) / B
    image, looped = time(episode, seconds) / B, time(loop, seconds) / B
    return size, 1e6 * glimpse, 1e6 * image, 1e6 * looped, looped / image


def growing(device, seconds) -> list[tuple]:
    """Time glimpses of larger and larger images, always at fresh places.

    The corners of places that were looked at before are in the cache, which would hide
    what a large image costs.
    """
    B, g, S = 32, 12, 3
    sensor = GlimpseSensor(g, S).to(device)
    places = itertools.cycle(torch.rand(64, B, 2, device=device) * 2 - 1)
    rows = []
    for size in GROWING:
        images = torch.randint(255, (B, 1, size, size), dtype=torch.uint8)
        prepared = sensor.prepare(images.to(device))

        def look(prepared=prepared) -> Tensor:
            return sensor.look(prepared, next(places))

        rows.append((size, S * (g + 1) ** 2, 1e6 * time(look, seconds) / B))
    return [(*row, row[2] / rows[1][2]) for row in rows]


def drawing(device, seconds, size: int, patches: int) -> tuple:
    """Time the drawing of clutter."""
    data = digits("bundled", "train").to(device)
    indices = torch.arange(BATCH, device=device)
    generator = torch.Generator(device)

    def draw() -> Tensor:
        return cluttered(data, indices, size, patches, generator=generator)

    return size, patches, BATCH / time(draw, seconds)


def training(device, seconds, mode: str, size: int, T: int, g: int, S: int) -> tuple:
    """Time a step of training beside a product of its matrices."""
    config = RAMConfig(glimpse_size=g, num_scales=S, num_glimpses=T)
    step = a_step(device, config, size, BATCH, **MODES[mode])
    a, b = torch.randn(BATCH, 256, device=device), torch.randn(256, 256, device=device)
    rates, bounds = [], []
    for _ in range(ROUNDS):
        rates.append(BATCH / time(step, seconds / ROUNDS))
        product = time(lambda: a @ b, seconds / ROUNDS)
        bounds.append(2 * BATCH * 256 * 256 / product / training_flops(config))
    share = statistics.median(r / b for r, b in zip(rates, bounds, strict=True))
    rate, bound = statistics.median(rates), statistics.median(bounds)
    return size, mode, rate, bound * training_flops(config) / 1e9, bound, share


def rollouts(device, seconds, images: int, each: int) -> tuple:
    """Time rollouts of training on a GPU."""
    step = a_step(device, RAMConfig(), 28, images, num_rollouts=each)
    return images, each, images * each / time(step, seconds)


def a_step(device, config: RAMConfig, size: int, batch: int, **options) -> Callable:
    """Make a function that takes a step of training, always the same one."""
    # Bundled digits, repeated: what the pixels are does not change the speed.
    data = digits("bundled", "train")
    data = data[torch.arange(max(batch, 5000)) % len(data)]
    images = ImageConfig(source="bundled")
    if size > 28:
        patches = 8 if size == 100 else 4
        images = replace(images, task="cluttered", image_size=size, num_patches=patches)
    task = ImageTask(data, data, images)
    train = TrainConfig(batch_size=batch, device=str(device), **options)
    trainer = Trainer(new_model(config, 0), task, train)
    return lambda: trainer.update(trainer.draw())


def time(function: Callable[[], object], seconds: float) -> float:
    """Give the median time of a call in seconds; a GPU is waited for."""
    timer = Timer(
        "function()",
        globals={"function": function},
        num_threads=torch.get_num_threads(),
    )
    timer.timeit(3)  # warm up: allocate, compile
    return timer.blocked_autorange(min_run_time=seconds).median


def table(title: str, names: tuple[str, ...], rows) -> list[dict]:
    """Print a table, a row as soon as it is there; return its rows as dictionaries."""
    print(f"\n{title}\n" + " ".join(f"{name:>16s}" for name in names), flush=True)
    figures = []
    for row in rows:
        cells = [f"{x:16.2f}" if isinstance(x, float) else f"{x:>16}" for x in row]
        print(" ".join(cells), flush=True)
        figures.append(dict(zip(names, row, strict=True)))
    return figures


def main(arguments: list[str]) -> int:
    """Print the tables, and write the figures where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--threads", type=int, default=0, help="0: as PyTorch finds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if not 0 < options.seconds < 3600 or options.threads < 0:
        parser.error("--seconds must lie between 0 and 3600, --threads be 0 or more")
    if options.threads:
        torch.set_num_threads(options.threads)
    figures = run(choose_device(options.device), options.seconds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
