"""The recurrent attention model: look, encode, remember, choose, and decide at the end.

One episode, for T glimpses::

    l_0 random ─► sensor ─► glimpse network ─► core ─► h_1 ─► location network ─► l_1 …
                                                         └──► value network
    after the last glimpse:  h_T ─► action network ─► class

T glimpses make T - 1 choices of place: nothing is chosen that is not looked at.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ramlib import checks, networks
from ramlib.files import Pretrained
from ramlib.rollout import rollout
from ramlib.sensor import GlimpseSensor
from ramlib.trace import Trace
from ramlib.worlds.still import Still

__all__ = ["RAMConfig", "RecurrentAttentionModel"]


@dataclass(frozen=True)
class RAMConfig:
    """Everything that shapes the model; the defaults are the specified model.

    Attributes:
        glimpse_size: g, the side of a patch in its own pixels.
        num_scales: S; scale s covers g·2^s pixels of the image.
        num_glimpses: T, looks in an episode.
        hidden_size: D, the width of the glimpse feature and of the core.
        num_actions: A, the number of classes, or of things to do.
        location_std: σ of the location policy at the start, a standard deviation.
        glimpse_hidden_size: width of the "what" and of the "where" layer.
        num_channels: C, 1 for grey images and 3 for colour.
        core: "rnn", "lstm" or "gru".
        glimpse_encoder: "linear", or "conv" for convolutions on the patch.
        location_hidden_size: width of a hidden layer in the location network; 0: none.
        learn_first_location: choose the first place, from h = 0, by the same policy.
        location_policy: "normal", around what the location network says, or "uniform",
            anywhere in the image, which learns nothing and is there to compare with.
        identity_init: a in [0, 1], how near the recurrent matrix of the "rnn" core
            starts to the identity.
        location_gradient: in [0, 1], how much of the gradient of what the location
            network chose goes on into the core; the specified model stops it.
        use_lstm: accepted as another name for core="lstm"; not stored.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if it is out of range, a name unknown, or two contradict each other.
    """

    glimpse_size: checks.GlimpseSize = 8
    num_scales: checks.NumScales = 1
    num_glimpses: checks.NumGlimpses = 6
    hidden_size: checks.Width = 256
    num_actions: checks.Width = 10
    location_std: checks.Positive = 0.2
    glimpse_hidden_size: checks.Width = 128
    num_channels: checks.NumChannels = 1
    core: Literal["rnn", "lstm", "gru"] = "rnn"
    glimpse_encoder: Literal["linear", "conv"] = "linear"
    location_hidden_size: checks.OptionalWidth = 0
    learn_first_location: bool = False
    identity_init: checks.Share = 0.0
    location_gradient: checks.Share = 0.0
    location_policy: Literal["normal", "uniform"] = "normal"
    use_lstm: InitVar[bool] = False

    def __post_init__(self, use_lstm: bool):
        if checks.check("use_lstm", use_lstm, bool):
            if self.core == "gru":
                raise ValueError("use_lstm contradicts core='gru'; give core='lstm'")
            object.__setattr__(self, "core", "lstm")
        checks.check_fields(self)
        if self.identity_init and self.core != "rnn":
            raise ValueError(
                f"identity_init is {self.identity_init}, but core={self.core!r} has no "
                "matrix to start near the identity; set it to 0"
            )
        learned = ("learn_first_location", "location_gradient", "location_hidden_size")
        given = [name for name in learned if getattr(self, name)]
        if given and self.location_policy == "uniform":
            raise ValueError(
                f"{given[0]} is {getattr(self, given[0])}, but a location_policy of "
                "'uniform' learns nothing; leave it at its default"
            )


class RecurrentAttentionModel(Pretrained, nn.Module):
    """RAM: a hard attention model of images, of Mnih et al. (2014).

    Args:
        config: sizes and options; None for the specified model of 209,421 parameters.
    """

    config_class = RAMConfig

    @checks.checked
    def __init__(self, config: RAMConfig | None = None):
        super().__init__()
        c = self.config = config or RAMConfig()
        self.sensor = GlimpseSensor(c.glimpse_size, c.num_scales, c.num_channels)
        D, planes = c.hidden_size, c.num_scales * c.num_channels
        self.glimpse_network = networks.GlimpseNetwork(
            c.glimpse_size, planes, c.glimpse_hidden_size, D, c.glimpse_encoder
        )
        self.core = networks.CoreNetwork(D, c.core, c.identity_init)
        kinds = {"normal": networks.LocationNetwork}
        kinds["uniform"] = networks.UniformLocations
        self.location_network = kinds[c.location_policy](
            D, c.location_std, c.location_hidden_size
        )
        self.value_network = networks.ValueNetwork(D)
        self.action_network = networks.ActionNetwork(D, c.num_actions)

    # -- the parts that the loop over glimpses asks for

    @property
    def heads(self) -> dict[str, nn.Module]:
        """Everything that chooses, by the name of what it chooses."""
        return {"location": self.location_network, "action": self.action_network}

    def initial(self, num_episodes: int) -> Tensor:
        """Give h before the first glimpse: (N, D) zeros."""
        D = self.config.hidden_size
        return self.location_network.std.new_zeros(num_episodes, D)

    def read(self, hidden: Tensor, head: str) -> Tensor:
        """Give the state as a head sees it: (..., D) -> (..., D).

        The class is learned through the core; where to look and the baseline are not:
        their gradients stop here, but for the config's `location_gradient`. Good
        implementations differ in this choice.

        Args:
            hidden: h, in the graph.
            head: a name in `heads`, or "value".
        """
        if head == "action":
            return hidden
        share = self.config.location_gradient if head == "location" else 0
        return hidden.detach().lerp(hidden, share) if share else hidden.detach()

    def choose(self, name: str, hidden: Tensor, draws: dict, t: int) -> Tensor:
        """Let a head choose for glimpse t, by its noise, or as "NAMEs" in `draws`."""
        if f"{name}s" in draws:
            return draws[f"{name}s"][:, t]
        return self.heads[name].sample(self.read(hidden, name), draws[name][:, t])

    @checks.checked
    def draw(
        self,
        num_episodes: checks.Count,
        generator: torch.Generator | int | None = None,
        num_glimpses: checks.NumGlimpses | None = None,
        acts: tuple[str, ...] = (),
    ) -> dict[str, Tensor]:
        """Draw all the randomness of N episodes, where the generator is.

        Args:
            num_episodes: N.
            generator: a `torch.Generator`, or a seed; None for PyTorch's own.
            num_glimpses: T, when it should differ from the config.
            acts: names of the heads that act, besides "location".

        Returns:
            The noise of every head, (N, T, …): zeros would take what is likeliest. And
            "first_location" (N, 2), uniform in [-1, 1]², unless the model chooses it.
        """
        N, T = num_episodes, num_glimpses or self.config.num_glimpses
        generator = checks.as_generator(generator, self.device)
        device = self.device if generator is None else generator.device
        first = torch.rand(N, 2, generator=generator, device=device) * 2 - 1
        draws, K = {}, T
        if not self.config.learn_first_location:  # nothing to choose at glimpse 1
            draws, K = {"first_location": first}, T - 1
        noise = self.location_network.draw((N, K), generator, device)
        draws["location"] = nn.functional.pad(noise, (0, 0, T - K, 0))  # (N, T, 2)
        for name in acts:
            draws[name] = self.heads[name].draw((N, T), generator, device)
        std = self.location_network.std
        return {name: tensor.to(std) for name, tensor in draws.items()}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.location_network.std.device

    # -- still images

    @checks.checked
    def forward(
        self,
        images: Tensor,
        *,
        generator: torch.Generator | int | None = None,
        draws: dict[str, Tensor] | None = None,
        first_location: Tensor | None = None,
        locations: Tensor | None = None,
        deterministic: bool = False,
        num_rollouts: checks.Count = 1,
        num_glimpses: checks.NumGlimpses | None = None,
    ) -> dict[str, Tensor]:
        """Look T times at each image and classify it.

        Args:
            images: (H, W), (B, H, W) or (B, C, H, W); uint8, or float in [0, 1].
            generator: a `torch.Generator`, or a seed; None for PyTorch's own.
            draws: the randomness itself, as `draw` gives it, to replay a rollout.
            first_location: (2,), (B, 2) or (N, 2) in [-1, 1], where to look first.
            locations: (K, 2), (B, K, 2) or (N, K, 2) in [-1, 1], places to look at in
                place of the policy's choices; the log-probabilities are theirs. Unless
                it is chosen as well, the first place is none of them: see above.
            deterministic: take the mean of the policy and the most probable class. The
                first place is then the centre of the image, unless it is given, or
                drawn from a `generator` or `draws` that are given.
            num_rollouts: M for each image; N = B·M, those of an image side by side.
            num_glimpses: T, when it should differ from the config.

        Returns:
            A dictionary; K = T - 1 choices of place (T with a learned first location).
            For one image, (H, W), and one rollout the leading N is left out.

            - actions (N, 1) int64, the sampled class (the most probable one when
              deterministic); action_log_probs (N, 1)
            - locations (N, K, 2), chosen, clamped; location_log_probs (N, K), of the
              samples before clamping, location_samples (N, K, 2)
            - values (N, T): values[:, t] is the baseline of the choice made after
              glimpse t; the last is a baseline of the outcome alone. With a learned
              first location (N, T + 1): the first is the baseline of that choice
            - hidden_state (N, D) and logits (N, A), after the last glimpse
            - looked (N, T, 2), patches (N, T, S·C·g²), hidden (N, T, D) and step_logits
              (N, T, A) of every glimpse; first_location (N, 2)

        Raises:
            TypeError: if an argument is of the wrong kind.
            ValueError: if a shape does not fit, or a number is out of range.
        """
        single = isinstance(images, Tensor) and images.dim() == 2 and num_rollouts == 1
        images = checks.check_images(images, self.config.num_channels, self.device)
        checks.check_finite(self)
        B, M, N = len(images), num_rollouts, len(images) * num_rollouts
        if draws is None:
            draws = self.draw(N, generator, num_glimpses, ("action",))
            if deterministic and generator is None:
                draws |= {k: torch.zeros_like(v) for k, v in draws.items()}
        elif generator is not None or num_glimpses is not None:
            raise ValueError("draws hold all that is random, and T: give them alone")
        else:
            draws = self._checked(draws, N)
        if first_location is not None:
            if "first_location" not in draws:
                raise ValueError("this model chooses its first place; give locations")
            places = self._places("first_location", first_location, B, M, (2,))
            draws["first_location"] = places
        if deterministic:
            draws |= {name: torch.zeros_like(draws[name]) for name in self.heads}
        if locations is not None:
            given = int("first_location" in draws)  # glimpses that nothing chooses
            K = draws["location"].shape[1] - given
            places = self._places("locations", locations, B, M, (K, 2))
            draws["locations"] = nn.functional.pad(places, (0, 0, given, 0))
        world = Still(self.sensor, self.sensor.prepare(images), draws)
        out = rollout(self, world, draws)
        out["patches"] = torch.stack(out.pop("glimpses"), dim=1)
        noisy = out["logits"].detach() + draws["action"][:, -1]
        action = noisy.argmax(-1, keepdim=True)  # (N, 1)
        out |= {
            "actions": action,
            "action_log_probs": out["logits"].log_softmax(-1).gather(-1, action),
            "hidden_state": out["hidden"][:, -1],
            "first_location": out["looked"][:, 0],
        }
        return {name: tensor[0] for name, tensor in out.items()} if single else out

    def look(
        self, images: Tensor, labels: Tensor | None = None, *, classes=None, **options
    ) -> Trace:
        """Look at images and keep every step.

        Args:
            images: as for `forward`; or `ramlib.data.Images`, with labels and classes.
            labels: (B,) int64, carried along for the pictures.
            classes: A names, carried along too.
            **options: the other arguments of `forward`; deterministic unless told not
                to be.

        Returns:
            The trace of N episodes; in a notebook it shows the glimpse player.

        Raises:
            TypeError: as `forward`.
            ValueError: as `forward`, and if there is not one label for each image.
        """
        if hasattr(images, "images"):
            labels = images.labels if labels is None else labels
            classes = images.classes if classes is None else classes
            images = images.images
        c, M = self.config, options.get("num_rollouts", 1)
        images = checks.check_images(images, c.num_channels)
        if labels is not None:
            checks.check_labels(labels, c.num_actions)
            if len(labels) != len(images):
                raise ValueError(f"{len(labels)} labels for {len(images)} images")
        with torch.no_grad():
            out = self(images, **{"deterministic": True, **options})
            T, K = out["looked"].shape[1], out["locations"].shape[1]
            start = torch.zeros_like(out["hidden"][:, :1])
            known = torch.cat([start, out["hidden"]], dim=1)[:, T - K : T]
            means = self.location_network.mean(self.read(known, "location"))
        given = out["looked"][:, : T - K]  # a first place that nothing chose
        planes = (c.num_scales, c.num_channels, c.glimpse_size, c.glimpse_size)
        return Trace(
            images=images.repeat_interleave(M, dim=0),
            labels=None if labels is None else labels.repeat_interleave(M),
            locations=out["looked"],
            means=torch.cat([given, means], dim=1),
            samples=torch.cat([given, out["location_samples"]], dim=1),
            patches=out["patches"].unflatten(-1, planes),
            hidden=out["hidden"],
            probs=out["step_logits"].softmax(-1),
            values=out["values"][:, -T:],
            classes=None if classes is None else tuple(classes),
        )

    def _checked(self, draws: dict[str, Tensor], N: int) -> dict[str, Tensor]:
        """Check draws that were given, and copy the dictionary."""
        first, A = int(self.config.learn_first_location), self.config.num_actions
        wanted = ["first_location", "location", "action"][first:]
        if not isinstance(draws, dict) or set(draws) != set(wanted):
            raise TypeError(f"draws are not {', '.join(wanted)}; see model.draw")
        checks.check_tensor("draws['location']", draws["location"], self.device)
        T = max(1, draws["location"].shape[1:2].numel())
        shapes = {"first_location": (N, 2), "location": (N, T, 2), "action": (N, T, A)}
        for name in wanted:
            limit = 1.0 if name == "first_location" else 1e6
            what = f"draws[{name!r}]"
            checks.check_locations(what, draws[name], [shapes[name]], None, limit)
        return {name: draws[name].to(self.location_network.std) for name in wanted}

    def _places(self, name, places, B: int, M: int, shape: tuple) -> Tensor:
        """Check places that were given, and bring them to (N, *shape)."""
        N = B * M
        shapes = [shape, (B, *shape), (N, *shape)]
        checks.check_locations(name, places, shapes, self.device)
        places = places.to(self.location_network.std)
        if places.dim() == len(shape):
            places = places.expand(N, *shape)
        return places if len(places) == N else places.repeat_interleave(M, dim=0)
