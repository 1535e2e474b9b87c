"""Recurrent attention models: hard visual attention that learns where to look."""

from ramlib.files import pretrained_names
from ramlib.losses import (
    baseline_loss,
    hybrid_loss,
    leave_one_out,
    reinforce_loss,
    reward_to_go,
)
from ramlib.model import RAMConfig, RecurrentAttentionModel
from ramlib.networks import (
    ActionNetwork,
    CoreNetwork,
    GlimpseNetwork,
    LocationNetwork,
    ValueNetwork,
)
from ramlib.rollout import World
from ramlib.sensor import GlimpseSensor
from ramlib.trace import Trace

__version__ = "0.1.0"

__all__ = ["ActionNetwork", "CoreNetwork", "GlimpseNetwork", "GlimpseSensor"]
__all__ += ["LocationNetwork", "RAMConfig", "RecurrentAttentionModel", "Trace"]
__all__ += ["ValueNetwork", "World", "baseline_loss", "hybrid_loss", "leave_one_out"]
__all__ += ["pretrained_names", "reinforce_loss", "reward_to_go"]


def _show(trace: Trace) -> str:
    """Show the glimpse player in a notebook."""
    from ramlib.player import render  # with matplotlib: only where it is wanted

    return render(trace)


Trace._repr_html_ = _show  # a trace knows no player; here, on the roof, they meet
