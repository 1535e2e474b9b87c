"""Made-up rollouts for the tests of figures and widgets."""

import torch

from ramlib import data
from ramlib.sensor import GlimpseSensor
from ramlib.trace import Trace


def make_trace(
    B=2, T=4, C=1, H=30, W=40, g=5, S=2, A=10, labels=True, images=None, seed=0
):
    """Look at B images (noise, if none are given) at T random places."""
    generator = torch.Generator().manual_seed(seed)
    if images is None:
        images = torch.randint(0, 256, (B, C, H, W), generator=generator)
        images = images.to(torch.uint8)
    locations = torch.rand(B, T, 2, generator=generator) * 2 - 1
    sensor = GlimpseSensor(g, S, C)
    patches = sensor.look(sensor.prepare(images), locations)
    return Trace(
        images=images,
        labels=torch.arange(B) % A if labels else None,
        locations=locations,
        means=locations,
        samples=locations,
        patches=patches.reshape(B, T, S, C, g, g),
        hidden=torch.zeros(B, T, 2),
        probs=torch.rand(B, T, A, generator=generator).softmax(-1),
        values=torch.rand(B, T, generator=generator),
    )


def digit_canvases(B=8):
    """Cluttered canvases of the bundled digits: (B, 1, 60, 60), grey, as digits are."""
    return data.cluttered(data.digits("bundled"), range(B), generator=0)
