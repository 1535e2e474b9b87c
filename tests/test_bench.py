"""The benchmark measures what it says; how fast it is, no test says."""

import bench
import pytest
import torch

from ramlib.model import RAMConfig
from ramlib.sensor import GlimpseSensor


@pytest.mark.parametrize(("size", "T", "g", "S"), bench.SIZES)
def test_the_loop_gives_what_the_sensor_gives(size, T, g, S):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(9, 1, size, size, generator=generator)
    locations = torch.rand(9, 2, generator=generator) * 3 - 1.5
    torch.testing.assert_close(
        bench.loop_sensor(images, locations, g, S),
        GlimpseSensor(g, S)(images, locations),
        rtol=0,
        atol=2e-6,
    )


def test_operations_are_counted_as_by_hand():
    # Six glimpses of the specified model: 139,520 multiply-adds each and 65,536 for
    # the state before, five choices of two numbers, six values and ten classes; the
    # backward pass costs two forward ones.
    forward = 6 * (139_520 + 65_536) + 5 * 512 + 6 * 256 + 2_560
    assert bench.training_flops(RAMConfig()) == 3 * 2 * forward


def test_every_table_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(bench, "SIZES", ((28, 2, 4, 1),))
    monkeypatch.setattr(bench, "GROWING", (28, 64))
    monkeypatch.setattr(bench, "BATCH", 32)
    monkeypatch.setattr(bench, "training", lambda *a: (28, "eager", 1.0, 1.0, 1.0, 1.0))
    figures = bench.run(torch.device("cpu"), seconds=1e-3)
    said = capsys.readouterr().out
    for name in ("sensor", "growing", "clutter", "training"):
        for row in figures[name]:
            assert all(v > 0 for v in row.values() if not isinstance(v, str))
            assert f"{row['size']:>16}" in said
    assert [row["reads"] for row in figures["growing"]] == [507, 507]
    step = bench.a_step(torch.device("cpu"), RAMConfig(num_glimpses=2), 60, 4)
    assert bench.time(step, 1e-3) > 0
