"""The five networks of the model, each a few lines of PyTorch.

Every network takes one example or a batch: the leading sizes, written `...`, are those
of its inputs. Convolutions and the LSTM and GRU cells know one leading size at most.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ramlib.sensor import check_count

__all__ = [
    "ActionNetwork",
    "CoreNetwork",
    "GlimpseNetwork",
    "LocationNetwork",
    "ValueNetwork",
]

State = Tensor | tuple[Tensor, Tensor]


def check_std(std: float | Tensor) -> None:
    """Raise unless `std` is positive: a number, or a tensor."""
    if isinstance(std, Tensor):
        if std.device.type != "cpu":  # a device is not waited for
            return
        good = bool((std.isfinite() & (std > 0)).all())
    else:
        good = isinstance(std, int | float) and math.isfinite(std) and std > 0
    if not good:
        raise ValueError(
            f"location_std is {std!r}; it must be a positive number, about 0.05 to 0.3"
        )


class GlimpseNetwork(nn.Module):
    r"""Join what was seen with where it was seen: :math:`g_t = f_g(\rho_t, l_{t-1})`.

    .. math::
        g_t = \mathrm{ReLU}(
            W_g [\mathrm{ReLU}(W_\rho \rho_t), \mathrm{ReLU}(W_l l_{t-1})])

    Args:
        glimpse_size: g of the patch.
        num_planes: S·C, the number of g × g planes in a patch.
        glimpse_hidden_size: width of the "what" and of the "where" layer.
        hidden_size: D, the width of the result.
        encoder: "linear", or "conv" for two 3 × 3 convolutions before the "what" layer.

    Raises:
        TypeError: if a size is not a whole number.
        ValueError: if a size is smaller than 1, or `encoder` is neither.
    """

    def __init__(
        self,
        glimpse_size: int = 8,
        num_planes: int = 1,
        glimpse_hidden_size: int = 128,
        hidden_size: int = 256,
        encoder: str = "linear",
    ):
        super().__init__()
        check_count("glimpse_size", glimpse_size)
        check_count("num_planes", num_planes)
        check_count("glimpse_hidden_size", glimpse_hidden_size)
        check_count("hidden_size", hidden_size)
        patch_size = num_planes * glimpse_size**2
        if encoder == "linear":
            self.what = nn.Linear(patch_size, glimpse_hidden_size)
        elif encoder == "conv":
            self.what = nn.Sequential(
                nn.Unflatten(-1, (num_planes, glimpse_size, glimpse_size)),
                nn.Conv2d(num_planes, 16, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 16, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Flatten(-3),
                nn.Linear(16 * glimpse_size**2, glimpse_hidden_size),
            )
        else:
            raise ValueError(f"encoder is {encoder!r}; choose 'linear' or 'conv'")
        self.where = nn.Linear(2, glimpse_hidden_size)
        self.combine = nn.Linear(2 * glimpse_hidden_size, hidden_size)

    def forward(self, patch: Tensor, location: Tensor) -> Tensor:
        """Encode one glimpse.

        Args:
            patch: (..., S·C·g²) in [0, 1].
            location: (..., 2), (x, y) in [-1, 1].

        Returns:
            (..., D), the glimpse feature.
        """
        what = torch.relu(self.what(patch))
        where = torch.relu(self.where(location))
        return torch.relu(self.combine(torch.cat([what, where], dim=-1)))


class CoreNetwork(nn.Module):
    r"""Remember: fold one glimpse into the state, :math:`h_t = f_h(h_{t-1}, g_t)`.

    .. math:: h_t = \mathrm{ReLU}(W_h h_{t-1} + b_h + W_g g_t + b_g)

    Args:
        hidden_size: D.
        core: "rnn" for the equation above, or "lstm" or "gru" for a cell of that kind.
        identity_init: a in [0, 1]; the recurrent matrix of "rnn" starts as (1 - a)
            times its usual random start plus a times the identity: it remembers better.

    Raises:
        TypeError: if `hidden_size` is not a whole number.
        ValueError: if `hidden_size` is smaller than 1, `identity_init` outside [0, 1],
            or `core` unknown.
    """

    def __init__(
        self, hidden_size: int = 256, core: str = "rnn", identity_init: float = 0.0
    ):
        super().__init__()
        check_count("hidden_size", hidden_size)
        if not 0 <= identity_init <= 1:
            raise ValueError(f"identity_init is {identity_init}; it must lie in [0, 1]")
        self.core = core
        if core == "rnn":
            self.hidden_to_hidden = nn.Linear(hidden_size, hidden_size)
            self.glimpse_to_hidden = nn.Linear(hidden_size, hidden_size)
            with torch.no_grad():
                eye = torch.eye(hidden_size)
                self.hidden_to_hidden.weight.lerp_(eye, identity_init)
        elif core == "lstm":
            self.cell = nn.LSTMCell(hidden_size, hidden_size)
        elif core == "gru":
            self.cell = nn.GRUCell(hidden_size, hidden_size)
        else:
            raise ValueError(f"core is {core!r}; choose 'rnn', 'lstm' or 'gru'")

    def forward(self, feature: Tensor, state: State | None = None) -> State:
        """Take one step.

        Args:
            feature: (..., D), the glimpse feature.
            state: what the last step returned; None, at the first step, means zeros.

        Returns:
            The new state: h (..., D), or for an LSTM the pair (h, c).
        """
        if self.core != "rnn":
            return self.cell(feature, state)
        if state is None:  # W_h times zero is zero, so only its bias is left
            recurrent = self.hidden_to_hidden.bias
        else:
            recurrent = self.hidden_to_hidden(state)
        return torch.relu(recurrent + self.glimpse_to_hidden(feature))

    @staticmethod
    def hidden(state: State) -> Tensor:
        """Give h of a state of any kind: (..., D)."""
        return state if isinstance(state, Tensor) else state[0]


class LocationNetwork(nn.Module):
    r"""Choose where to look next: a Gaussian policy over places.

    .. math::
        \mu_t = \tanh(W_l h_t + b_l), \qquad l_t \sim \mathcal{N}(\mu_t, \sigma^2 I)

    The sample is cut from the graph, so the only way a gradient reaches this network is
    the log-probability of what it chose: REINFORCE.

    Args:
        hidden_size: D.
        location_std: σ, a standard deviation (not a variance), in location units.
        location_hidden_size: width of a ReLU layer before the mean; 0 for none.
        learn_std: learn log σ, one for x and one for y, starting at `location_std`.

    Raises:
        TypeError: if a size is not a whole number.
        ValueError: if a size is too small, or `location_std` is not positive.
    """

    def __init__(
        self,
        hidden_size: int = 256,
        location_std: float = 0.2,
        location_hidden_size: int = 0,
        learn_std: bool = False,
    ):
        super().__init__()
        check_count("hidden_size", hidden_size)
        check_count("location_hidden_size", location_hidden_size, least=0)
        check_std(location_std)
        self.location_std = location_std
        if location_hidden_size:
            self.mean = nn.Sequential(
                nn.Linear(hidden_size, location_hidden_size),
                nn.ReLU(),
                nn.Linear(location_hidden_size, 2),
            )
        else:
            self.mean = nn.Linear(hidden_size, 2)
        self.log_std = None
        if learn_std:
            self.log_std = nn.Parameter(torch.full((2,), math.log(location_std)))

    @property
    def std(self) -> float | Tensor:
        """σ: a number, or (2,) when it is learned."""
        return self.location_std if self.log_std is None else self.log_std.exp()

    def forward(self, hidden: Tensor, noise: Tensor | None = None):
        """Choose a location.

        Args:
            hidden: (..., D).
            noise: (..., 2) standard normal; drawn when None.

        Returns:
            The location (..., 2), clamped to [-1, 1], and the log-probability (...) of
            the sample as it was before it was clamped.
        """
        mean = self.policy_mean(hidden)
        noise = torch.randn_like(mean) if noise is None else noise
        sample = self.sample(mean, noise)
        return sample.clamp(-1, 1), self.log_prob(sample, mean)

    def policy_mean(self, hidden: Tensor) -> Tensor:
        """Give the mean of the policy: (..., D) -> (..., 2) in (-1, 1)."""
        return torch.tanh(self.mean(hidden))

    def sample(
        self, mean: Tensor, noise: Tensor, std: float | Tensor | None = None
    ) -> Tensor:
        """Draw from the policy: (..., 2), cut from the graph and not clamped."""
        std = self.std if std is None else std
        return (mean + std * noise).detach()

    def log_prob(
        self, sample: Tensor, mean: Tensor, std: float | Tensor | None = None
    ) -> Tensor:
        r"""Give log N(sample; mean, σ²), summed over x and y.

        Args:
            sample: (..., 2), not clamped.
            mean: (..., 2).
            std: σ, a number or (2,); the policy's own when None.

        Returns:
            (...), a density: it may be positive.
        """
        std = self.std if std is None else std
        log_std = std.log() if isinstance(std, Tensor) else math.log(std)
        z = (sample - mean) / std
        log_density = -0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)
        return log_density.sum(dim=-1)


class ValueNetwork(nn.Module):
    r"""Guess the reward to come, a baseline for REINFORCE: :math:`b_t = W_b h_t + b_b`.

    Args:
        hidden_size: D.
    """

    def __init__(self, hidden_size: int = 256):
        super().__init__()
        check_count("hidden_size", hidden_size)
        self.value = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Guess: (..., D) -> (...)."""
        return self.value(hidden).squeeze(-1)


class ActionNetwork(nn.Module):
    r"""Decide: the class probabilities, :math:`\mathrm{softmax}(W_a h_T + b_a)`.

    Args:
        hidden_size: D.
        num_actions: A, the number of classes.
    """

    def __init__(self, hidden_size: int = 256, num_actions: int = 10):
        super().__init__()
        check_count("hidden_size", hidden_size)
        check_count("num_actions", num_actions)
        self.logits = nn.Linear(hidden_size, num_actions)

    def forward(
        self, hidden: Tensor, uniform: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sample a class.

        Args:
            hidden: (..., D).
            uniform: (...) in [0, 1), the randomness of the choice; drawn when None.

        Returns:
            Logits (..., A), probabilities (..., A), the action (...) and its
            log-probability (...).
        """
        logits = self.logits(hidden)
        if uniform is None:
            uniform = torch.rand_like(logits[..., 0])
        action = self.sample(logits, uniform)
        return logits, logits.softmax(-1), action, self.log_prob(logits, action)

    @staticmethod
    def sample(logits: Tensor, uniform: Tensor) -> Tensor:
        """Invert the cumulative distribution at `uniform`: the sampled class (...)."""
        cumulative = logits.softmax(-1).cumsum(-1)  # (..., A)
        # Rounding can leave the last sum under 1, so the last class takes the rest.
        return (uniform[..., None] >= cumulative[..., :-1]).sum(-1)

    @staticmethod
    def log_prob(logits: Tensor, action: Tensor) -> Tensor:
        """Give the log-probability (...) of each action (...)."""
        return logits.log_softmax(-1).gather(-1, action[..., None]).squeeze(-1)
