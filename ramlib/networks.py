"""The five networks of the model, each a few lines of PyTorch.

Every network takes one example or a batch: the leading sizes, written `...`, are those
of its inputs. Convolutions and the LSTM and GRU cells know one leading size at most.

A *head* reads the hidden state and chooses: where to look, what to do. It is a network
and a distribution, with three methods that the loop over glimpses relies on: `draw`
gives the noise of many choices beforehand, `sample` turns noise into a choice that is
cut from the graph (zeros into the likeliest one), and `log_prob` gives the
log-probability of a choice, through which REINFORCE reaches the network.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ramlib.checks import GlimpseSize, OptionalWidth, Positive, Share, Width, checked

__all__ = ["ActionNetwork", "CoreNetwork", "GlimpseNetwork"]
__all__ += ["LocationNetwork", "UniformLocations", "ValueNetwork"]

State = Tensor | tuple[Tensor, Tensor]


class GlimpseNetwork(nn.Module):
    r"""Join what was seen with where: :math:`g_t = f_g(\rho(x_t, l_{t-1}), l_{t-1})`.

    .. math::
        g_t = \mathrm{ReLU}(W_g [\mathrm{ReLU}(W_\rho \rho + b_\rho),
            \mathrm{ReLU}(W_l l_{t-1} + b_l)] + b_g)

    Args:
        glimpse_size: g of the patch.
        num_planes: S·C, the number of g × g planes in a patch.
        glimpse_hidden_size: width of the "what" and of the "where" layer.
        hidden_size: D, the width of the result.
        encoder: "linear", or "conv" for two 3 × 3 convolutions before the "what" layer.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if a size is out of range, or `encoder` is neither.
    """

    @checked
    def __init__(
        self,
        glimpse_size: GlimpseSize = 8,
        num_planes: Width = 1,
        glimpse_hidden_size: Width = 128,
        hidden_size: Width = 256,
        encoder: Literal["linear", "conv"] = "linear",
    ):
        super().__init__()
        g, planes = glimpse_size, num_planes
        self.patch_to_what = nn.Linear(planes * g**2, glimpse_hidden_size)
        if encoder == "conv":
            self.patch_to_what = nn.Sequential(
                nn.Unflatten(-1, (planes, g, g)),
                nn.Conv2d(planes, 16, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 16, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Flatten(-3),
                nn.Linear(16 * g**2, glimpse_hidden_size),
            )
        self.location_to_where = nn.Linear(2, glimpse_hidden_size)
        self.both_to_feature = nn.Linear(2 * glimpse_hidden_size, hidden_size)

    def forward(self, patch: Tensor, location: Tensor) -> Tensor:
        """Encode one glimpse.

        Args:
            patch: (..., S·C·g²) in [0, 1].
            location: (..., 2), (x, y) in [-1, 1].

        Returns:
            (..., D), the glimpse feature.
        """
        what, where = self.patch_to_what(patch), self.location_to_where(location)
        both = torch.cat([what, where], dim=-1).relu_()  # in place: it saves a copy
        return self.both_to_feature(both).relu_()


class CoreNetwork(nn.Module):
    r"""Remember: fold one glimpse into the state, :math:`h_t = f_h(h_{t-1}, g_t)`.

    .. math:: h_t = \mathrm{ReLU}(W_h h_{t-1} + b_h + W_g g_t + b_g)

    Args:
        hidden_size: D.
        core: "rnn" for the equation above, or "lstm" or "gru" for a cell of that kind.
        identity_init: a in [0, 1]; the recurrent matrix of "rnn" starts as (1 - a)
            times its usual random start plus a times the identity: it remembers better.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if a number is out of range, or `core` unknown.
    """

    @checked
    def __init__(
        self,
        hidden_size: Width = 256,
        core: Literal["rnn", "lstm", "gru"] = "rnn",
        identity_init: Share = 0.0,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        if core == "rnn":
            self.cell = None
            self.hidden_to_hidden = nn.Linear(hidden_size, hidden_size)
            self.feature_to_hidden = nn.Linear(hidden_size, hidden_size)
            with torch.no_grad():
                eye = torch.eye(hidden_size)
                self.hidden_to_hidden.weight.lerp_(eye, identity_init)
        else:
            kind = nn.LSTMCell if core == "lstm" else nn.GRUCell
            self.cell = kind(hidden_size, hidden_size)

    def forward(self, feature: Tensor, state: State | None = None) -> State:
        """Take one step.

        Args:
            feature: (..., D), the glimpse feature.
            state: what the last step returned; None, at the first step, means zeros.

        Returns:
            The new state: h (..., D), or for an LSTM the pair (h, c).
        """
        if self.cell is not None:
            return self.cell(feature, state)
        state = torch.zeros_like(feature) if state is None else state
        recurrent = self.hidden_to_hidden(state)
        return (recurrent + self.feature_to_hidden(feature)).relu_()

    @staticmethod
    def hidden(state: State) -> Tensor:
        """Give h of a state of any kind: (..., D)."""
        return state if isinstance(state, Tensor) else state[0]


class LocationNetwork(nn.Module):
    r"""Choose where to look next: a Gaussian policy over places.

    .. math::
        \mu_t = \tanh(W_l h_t + b_l), \qquad l_t \sim \mathcal{N}(\mu_t, \sigma^2 I)

    The sample is cut from the graph, so the only way a gradient reaches this network is
    the log-probability of what it chose: REINFORCE. σ is a buffer, `std`: it is saved
    with the weights, a schedule may fill it, and no optimiser changes it.

    Args:
        hidden_size: D.
        location_std: σ, a standard deviation (not a variance), in location units.
        location_hidden_size: width of a ReLU layer before the mean; 0 for none.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if it is out of range.
    """

    @checked
    def __init__(
        self,
        hidden_size: Width = 256,
        location_std: Positive = 0.2,
        location_hidden_size: OptionalWidth = 0,
    ):
        super().__init__()
        self.hidden_to_mean = nn.Linear(location_hidden_size or hidden_size, 2)
        if location_hidden_size:
            first = nn.Linear(hidden_size, location_hidden_size)
            self.hidden_to_mean = nn.Sequential(first, nn.ReLU(), self.hidden_to_mean)
        self.register_buffer("std", torch.tensor(location_std))

    def forward(self, hidden: Tensor, noise: Tensor | None = None):
        """Choose a location.

        Args:
            hidden: (..., D).
            noise: (..., 2) standard normal; drawn when None.

        Returns:
            The location (..., 2), clamped to [-1, 1], and the log-probability (...) of
            the sample as it was before it was clamped.
        """
        noise = self.draw(hidden.shape[:-1]).to(hidden) if noise is None else noise
        sample = self.sample(hidden, noise)
        return sample.clamp(-1, 1), self.log_prob(hidden, sample)

    def mean(self, hidden: Tensor) -> Tensor:
        """Give the mean of the policy: (..., D) -> (..., 2) in (-1, 1)."""
        return torch.tanh(self.hidden_to_mean(hidden))

    def draw(self, shape, generator: torch.Generator | None = None, device=None):
        """Draw the noise of choices: `(*shape, 2)`, standard normal."""
        return torch.randn(*shape, 2, generator=generator, device=device)

    @torch.no_grad()
    def sample(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Choose a place: (..., D) and (..., 2) -> (..., 2), not clamped."""
        return self.mean(hidden) + self.std * noise

    def log_prob(self, hidden: Tensor, sample: Tensor) -> Tensor:
        r"""Give log N(sample; mean, σ²), summed over x and y.

        Args:
            hidden: (..., D), the state in which the place was chosen.
            sample: (..., 2), not clamped.

        Returns:
            (...), a density: it may be positive.
        """
        z = (sample - self.mean(hidden)) / self.std
        log_density = -0.5 * z.square() - self.std.log() - 0.5 * math.log(2 * math.pi)
        return log_density.sum(dim=-1)


class UniformLocations(LocationNetwork):
    """Look anywhere: a rival of the policy that nothing reaches, and nothing teaches.

    Its places are uniform in [-1, 1]²; without noise it looks at the centre.
    """

    def mean(self, hidden: Tensor) -> Tensor:
        """Give the middle of all places, the centre: (..., D) -> (..., 2)."""
        return hidden.new_zeros(*hidden.shape[:-1], 2)

    def draw(self, shape, generator: torch.Generator | None = None, device=None):
        """Draw the noise of choices: `(*shape, 2)`, uniform in [-1, 1]²."""
        return torch.rand(*shape, 2, generator=generator, device=device) * 2 - 1

    def sample(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Choose a place: the noise itself, (..., 2)."""
        return noise

    def log_prob(self, hidden: Tensor, sample: Tensor) -> Tensor:
        """Give log 1/4, the density, for every place: (..., 2) -> (...)."""
        return torch.full_like(sample[..., 0], -math.log(4))


class ValueNetwork(nn.Module):
    r"""Guess the reward to come, a baseline for REINFORCE: :math:`b_t = W_b h_t + b_b`.

    Args:
        hidden_size: D.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is out of range.
    """

    @checked
    def __init__(self, hidden_size: Width = 256):
        super().__init__()
        self.hidden_to_value = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Guess: (..., D) -> (...)."""
        return self.hidden_to_value(hidden).squeeze(-1)


class ActionNetwork(nn.Module):
    r"""Decide: the probabilities of classes or actions, softmax of W_a h_T + b_a.

    Args:
        hidden_size: D.
        num_actions: A, the number of classes or actions.

    Raises:
        TypeError: if one is no whole number.
        ValueError: if one is out of range.
    """

    @checked
    def __init__(self, hidden_size: Width = 256, num_actions: Width = 10):
        super().__init__()
        self.hidden_to_logits = nn.Linear(hidden_size, num_actions)

    def forward(self, hidden: Tensor, noise: Tensor | None = None):
        """Sample an action.

        Args:
            hidden: (..., D).
            noise: (..., A) as `draw` gives it; drawn when None.

        Returns:
            Logits (..., A), probabilities (..., A), the action (...) and its
            log-probability (...).
        """
        logits = self.logits(hidden)
        noise = self.draw(hidden.shape[:-1]).to(hidden) if noise is None else noise
        action = self.sample(hidden, noise)
        return logits, logits.softmax(-1), action, self.log_prob(hidden, action)

    def logits(self, hidden: Tensor) -> Tensor:
        """Give the logits: (..., D) -> (..., A)."""
        return self.hidden_to_logits(hidden)

    def draw(self, shape, generator: torch.Generator | None = None, device=None):
        """Draw the noise of choices: `(*shape, A)`, of the Gumbel distribution."""
        wide = torch.empty(*shape, self.hidden_to_logits.out_features, device=device)
        return -wide.exponential_(generator=generator).log()

    @torch.no_grad()
    def sample(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Choose: the largest of logit + Gumbel noise is a sample of the softmax."""
        return (self.logits(hidden) + noise).argmax(-1)

    def log_prob(self, hidden: Tensor, action: Tensor) -> Tensor:
        """Give the log-probability (...) of each action (...)."""
        log_probs = self.logits(hidden).log_softmax(-1)
        return log_probs.gather(-1, action[..., None]).squeeze(-1)
