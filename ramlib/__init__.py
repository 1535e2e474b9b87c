"""Recurrent attention models: hard visual attention that learns where to look."""

from ramlib.losses import baseline_loss, hybrid_loss, reinforce_loss
from ramlib.model import RAMConfig, RecurrentAttentionModel, pretrained_names
from ramlib.networks import (
    ActionNetwork,
    CoreNetwork,
    GlimpseNetwork,
    LocationNetwork,
    ValueNetwork,
)
from ramlib.sensor import GlimpseSensor
from ramlib.trace import Trace

__version__ = "0.1.0"

__all__ = [
    "ActionNetwork",
    "CoreNetwork",
    "GlimpseNetwork",
    "GlimpseSensor",
    "LocationNetwork",
    "RAMConfig",
    "RecurrentAttentionModel",
    "Trace",
    "ValueNetwork",
    "baseline_loss",
    "hybrid_loss",
    "pretrained_names",
    "reinforce_loss",
]
