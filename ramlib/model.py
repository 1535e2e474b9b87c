"""The recurrent attention model: look, encode, remember, choose, and decide at the end.

One episode, for T glimpses::

    l_0 random ─► sensor ─► glimpse network ─► core ─► h_1 ─► location network ─► l_1 …
                                                         └──► value network
    after the last glimpse:  h_T ─► action network ─► class

T glimpses make T - 1 choices of place: nothing is chosen that is not looked at.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ramlib.networks import (
    ActionNetwork,
    CoreNetwork,
    GlimpseNetwork,
    LocationNetwork,
    ValueNetwork,
    check_std,
)
from ramlib.sensor import (
    GlimpseSensor,
    Prepared,
    check_count,
    check_images,
    check_tensor,
)
from ramlib.trace import Trace

__all__ = ["Draws", "RAMConfig", "RecurrentAttentionModel", "pretrained_names"]

PRETRAINED = Path(__file__).resolve().parent / "pretrained"  # the shipped models
WEIGHTS, CONFIG, METRICS = "model.safetensors", "config.json", "metrics.json"


@dataclass(frozen=True)
class RAMConfig:
    """Everything that shapes the model; the defaults are the specified model.

    Attributes:
        glimpse_size: g, the side of a patch in its own pixels.
        num_scales: S; scale s covers g·2^s pixels of the image.
        num_glimpses: T, looks in an episode.
        hidden_size: D, the width of the glimpse feature and of the core.
        num_actions: A, the number of classes.
        location_std: σ of the location policy, a standard deviation.
        glimpse_hidden_size: width of the "what" and of the "where" layer.
        num_channels: C, 1 for grey images.
        core: "rnn", "lstm" or "gru".
        glimpse_encoder: "linear", or "conv" for convolutions on the patch.
        location_hidden_size: width of a hidden layer in the location network; 0: none.
        learn_location_std: learn σ, starting at `location_std`.
        learn_first_location: choose the first place, from h = 0, by the same policy.
        identity_init: a in [0, 1], how near the recurrent matrix starts to identity.
        policy_reaches_core: let REINFORCE train the core and the glimpse network too.
        baseline_reaches_core: let the baseline's loss do so.
        use_lstm: accepted as another name for core="lstm"; not stored.

    Raises:
        TypeError: if a size is not a whole number, or an option not True or False.
        ValueError: if a value is out of range or a name unknown.
    """

    glimpse_size: int = 8
    num_scales: int = 1
    num_glimpses: int = 6
    hidden_size: int = 256
    num_actions: int = 10
    location_std: float = 0.2
    glimpse_hidden_size: int = 128
    num_channels: int = 1
    core: Literal["rnn", "lstm", "gru"] = "rnn"
    glimpse_encoder: Literal["linear", "conv"] = "linear"
    location_hidden_size: int = 0
    learn_location_std: bool = False
    learn_first_location: bool = False
    identity_init: float = 0.0
    policy_reaches_core: bool = False
    baseline_reaches_core: bool = False
    use_lstm: InitVar[bool] = False

    def __post_init__(self, use_lstm: bool):
        if use_lstm:
            if self.core not in ("rnn", "lstm"):
                raise ValueError(f"use_lstm contradicts core={self.core!r}; give one")
            object.__setattr__(self, "core", "lstm")
        for name in (
            "glimpse_size",
            "num_scales",
            "num_glimpses",
            "hidden_size",
            "num_actions",
            "glimpse_hidden_size",
            "num_channels",
        ):
            check_count(name, getattr(self, name))
        check_count("location_hidden_size", self.location_hidden_size, least=0)
        check_std(self.location_std)
        init = self.identity_init
        if not (isinstance(init, int | float) and 0 <= init <= 1):
            raise ValueError(f"identity_init is {init!r}; it must lie in [0, 1]")
        for name in (
            "learn_location_std",
            "learn_first_location",
            "policy_reaches_core",
            "baseline_reaches_core",
        ):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(
                    f"{name} is {getattr(self, name)!r}; give True or False"
                )
        check_choices(self)

    @classmethod
    def from_dict(cls, values: dict) -> RAMConfig:
        """Make a config of a dictionary, for instance of a config.json.

        Raises:
            ValueError: if a key is unknown; it names those that are known.
        """
        return config_from_dict(cls, values)


def config_from_dict(cls, values: dict):
    """Make a config dataclass of a dictionary, refusing keys it does not know."""
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__} needs names and values, not {values!r}")
    known = [field.name for field in dataclasses.fields(cls)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"{cls.__name__} has no {', '.join(unknown)}; it knows {', '.join(known)}"
        )
    return cls(**values)


def check_choices(config) -> None:
    """Raise if a field of a config dataclass is none of the names its type allows."""
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise ValueError(f"{name} is {value!r}; choose one of {get_args(kind)}")


class Draws(NamedTuple):
    """All the randomness of a rollout, drawn before it begins."""

    first_location: Tensor  # (N, 2) uniform in [-1, 1]
    noise: Tensor  # (N, K, 2) standard normal, one for each choice of place
    uniform: Tensor  # (N,) uniform in [0, 1), which decides the sampled class


class Rollout(NamedTuple):
    """What the loop leaves behind: every step, stacked."""

    locations: Tensor  # (N, T, 2) where it looked, clamped
    means: Tensor  # (N, K, 2) of each choice, in the graph
    samples: Tensor  # (N, K, 2) as drawn, not clamped
    hidden: Tensor  # (N, T, D)
    last: Tensor  # (N, D): by itself, so that its gradient need not pass the stack
    patches: list[Tensor]  # T of (N, S·C·g²): not stacked, since training has no use


class RecurrentAttentionModel(nn.Module):
    """RAM: a hard attention model of images, of Mnih et al. (2014).

    Args:
        config: sizes and options; None for the specified model of 209,421 parameters.
    """

    def __init__(self, config: RAMConfig | None = None):
        super().__init__()
        self.config = c = config or RAMConfig()
        self.sensor = GlimpseSensor(c.glimpse_size, c.num_scales, c.num_channels)
        self.glimpse_network = GlimpseNetwork(
            c.glimpse_size,
            c.num_scales * c.num_channels,
            c.glimpse_hidden_size,
            c.hidden_size,
            c.glimpse_encoder,
        )
        self.core = CoreNetwork(c.hidden_size, c.core, c.identity_init)
        self.location_network = LocationNetwork(
            c.hidden_size, c.location_std, c.location_hidden_size, c.learn_location_std
        )
        self.value_network = ValueNetwork(c.hidden_size)
        self.action_network = ActionNetwork(c.hidden_size, c.num_actions)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.value_network.value.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.value_network.value.weight.dtype

    def forward(
        self,
        images: Tensor,
        *,
        generator: torch.Generator | int | None = None,
        draws: Draws | None = None,
        first_location: Tensor | None = None,
        locations: Tensor | None = None,
        deterministic: bool = False,
        copies: int = 1,
        num_glimpses: int | None = None,
        location_std: float | Tensor | None = None,
        every_step: bool = False,
    ) -> dict[str, Tensor]:
        """Look T times at each image and classify it.

        Args:
            images: (H, W), (B, H, W) or (B, C, H, W); uint8, or float in [0, 1].
            generator: a `torch.Generator`, or a seed; None for PyTorch's own.
            draws: the randomness itself, to replay a rollout; see `draw`.
            first_location: (2,), (B, 2) or (N, 2) in [-1, 1], where to look first.
            locations: (K, 2), (B, K, 2) or (N, K, 2) in [-1, 1], places to look at in
                place of the policy's choices; the log-probabilities are theirs.
            deterministic: take the mean of the policy and the most probable class.
            copies: M, rollouts per image; N = B·M, the copies of an image side by side.
            num_glimpses: T, when it should differ from the config.
            location_std: σ, when it should differ from the config.
            every_step: also return the class logits after every glimpse.

        Returns:
            A dictionary; K = T - 1 choices of place (T with a learned first location).
            For one image, (H, W), and one copy the leading N is left out.

            - actions (N, 1) int64, the sampled class (the most probable one when
              deterministic); action_log_probs (N, 1)
            - locations (N, K, 2), chosen, clamped; location_log_probs (N, K), of the
              samples before clamping
            - values (N, T): values[:, t] is the baseline of the choice made after
              glimpse t; the last is a baseline of the outcome alone. With a learned
              first location (N, T + 1): the first is the baseline of that choice
            - hidden_state (N, D), logits (N, A), first_location (N, 2)
            - step_logits (N, T, A), if `every_step`

        Raises:
            TypeError: if an argument is no tensor, or of an unsuitable dtype.
            ValueError: if a shape does not fit, or a pixel or location is out of range.
        """
        single = isinstance(images, Tensor) and images.dim() == 2
        rollout, draws = self._start(
            images,
            generator=generator,
            draws=draws,
            first_location=first_location,
            locations=locations,
            deterministic=deterministic,
            copies=copies,
            num_glimpses=num_glimpses,
            location_std=location_std,
        )
        uniform = None if deterministic else draws.uniform
        out = self.read_out(rollout, uniform, location_std, every_step)
        if single and copies == 1:
            out = {name: tensor[0] for name, tensor in out.items()}
        return out

    def look(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        deterministic: bool = True,
        **how,
    ) -> Trace:
        """Look at images and keep every step.

        Args:
            images: as for `forward`.
            labels: (B,) int64, carried along for the pictures.
            deterministic: take the means of the policy.
            **how: the other arguments of `forward`.

        Returns:
            The trace of N episodes; in a notebook it shows the glimpse player.

        Raises:
            TypeError: as `forward`.
            ValueError: as `forward`, and if there is not one label per image.
        """
        every_step = how.pop("every_step", True)
        if not every_step:
            raise ValueError("every_step is False; a trace holds every step")
        copies = how.get("copies", 1)
        check_count("copies", copies)
        std = how.get("location_std")
        with torch.no_grad():
            batch = check_images(images, self.config.num_channels)
            if labels is not None:
                labels = torch.as_tensor(labels).reshape(-1)
                if len(labels) != len(batch):
                    raise ValueError(
                        f"{len(labels)} labels for {len(batch)} images; give one each"
                    )
                labels = labels.repeat_interleave(copies)
            rollout, _ = self._start(images, deterministic=deterministic, **how)
            out = self.read_out(rollout, None, std, every_step=True)
        chosen = rollout.means.shape[1] == rollout.locations.shape[1]
        start = rollout.locations[:, :0] if chosen else rollout.locations[:, :1]
        c = self.config
        planes = (c.num_scales, c.num_channels, c.glimpse_size, c.glimpse_size)
        return Trace(
            images=batch.repeat_interleave(copies, dim=0),
            labels=labels,
            locations=rollout.locations,
            means=torch.cat([start, rollout.means], dim=1),
            samples=torch.cat([start, rollout.samples], dim=1),
            patches=torch.stack(rollout.patches, dim=1).unflatten(-1, planes),
            hidden=rollout.hidden,
            probs=out["step_logits"].softmax(-1),
            values=out["values"][:, -rollout.locations.shape[1] :],
        )

    def draw(
        self,
        num_episodes: int,
        generator: torch.Generator | None = None,
        num_glimpses: int | None = None,
        device: torch.device | str | None = None,
    ) -> Draws:
        """Draw all the randomness of N episodes.

        Args:
            num_episodes: N.
            generator: None for PyTorch's own.
            num_glimpses: T, when it should differ from the config.
            device: where to draw; None for the device of the generator, or of the
                weights where there is none.

        Returns:
            The draws, on the device and in the dtype of the weights.
        """
        N, T = num_episodes, num_glimpses or self.config.num_glimpses
        K = T if self.config.learn_first_location else T - 1
        here = self.device if generator is None else generator.device
        how = {"generator": generator, "device": device or here}
        draws = Draws(
            torch.rand(N, 2, **how) * 2 - 1,
            torch.randn(N, K, 2, **how),
            torch.rand(N, **how),
        )
        return Draws(*(tensor.to(self.device, self.dtype) for tensor in draws))

    def rollout(
        self,
        prepared: Prepared,
        first_location: Tensor,
        noise: Tensor,
        location_std: float | Tensor | None = None,
        locations: Tensor | None = None,
    ) -> Rollout:
        """Run the loop: unchecked, no randomness of its own, no waiting for the device.

        Args:
            prepared: the B images, from `sensor.prepare`.
            first_location: (N, 2), N = B·M; not used when the first place is learned.
            noise: (N, K, 2) standard normal; zeros take the means.
            location_std: σ; None for the network's own.
            locations: (N, K, 2), places to look at in place of the choices.

        Returns:
            Every step.
        """
        B, N = len(prepared.table), len(first_location)
        K = noise.shape[1]
        policy = self.location_network
        looked, means, samples, hiddens, patches = [], [], [], [], []
        location, state = first_location, None
        learned = self.config.learn_first_location
        T = K if learned else K + 1
        for t in range(T):
            if learned or t > 0:
                k = t if learned else t - 1
                h = hiddens[-1] if hiddens else self.initial_hidden(N)
                mean = policy.policy_mean(self.for_policy(h))
                if locations is None:
                    sample = policy.sample(mean, noise[:, k], location_std)
                    location = sample.clamp(-1, 1)
                else:
                    sample = location = locations[:, k]
                means.append(mean)
                samples.append(sample)
            places = location.view(B, N // B, 2)  # the copies share one table
            patch = self.sensor.look(prepared, places).view(N, -1).to(self.dtype)
            state = self.core(self.glimpse_network(patch, location), state)
            looked.append(location)
            patches.append(patch)
            hiddens.append(self.core.hidden(state))
        none = first_location.new_zeros(N, 0, 2)
        return Rollout(
            torch.stack(looked, dim=1),
            torch.stack(means, dim=1) if means else none,
            torch.stack(samples, dim=1) if samples else none,
            torch.stack(hiddens, dim=1),
            hiddens[-1],
            patches,
        )

    def read_out(
        self,
        rollout: Rollout,
        uniform: Tensor | None,
        location_std: float | Tensor | None = None,
        every_step: bool = False,
    ) -> dict[str, Tensor]:
        """Read the dictionary of `forward` off a rollout; unchecked.

        Args:
            rollout: from `rollout`.
            uniform: (N,) in [0, 1), to sample the class; None takes the most probable.
            location_std: as given to `rollout`.
            every_step: also read the class logits after every glimpse.

        Returns:
            The dictionary.
        """
        hidden = rollout.hidden  # (N, T, D)
        K = rollout.means.shape[1]
        values = self.value_network(self.for_baseline(hidden))  # (N, T)
        if self.config.learn_first_location:
            first = self.value_network(self.initial_hidden(1)).expand(len(hidden), 1)
            values = torch.cat([first, values], dim=1)  # (N, T + 1)
        logits = self.action_network.logits(rollout.last)
        if uniform is None:
            action = logits.argmax(-1)
        else:
            action = self.action_network.sample(logits.detach(), uniform)
        out = {
            "actions": action[:, None],
            "locations": rollout.locations[:, rollout.locations.shape[1] - K :],
            "location_log_probs": self.location_network.log_prob(
                rollout.samples, rollout.means, location_std
            ),
            "action_log_probs": self.action_network.log_prob(logits, action)[:, None],
            "values": values,
            "hidden_state": rollout.last,
            "logits": logits,
            "first_location": rollout.locations[:, 0],
        }
        if every_step:
            out["step_logits"] = self.action_network.logits(hidden)
        return out

    def initial_hidden(self, num_episodes: int) -> Tensor:
        """Give h before the first glimpse: (N, D) zeros."""
        return torch.zeros(
            num_episodes, self.config.hidden_size, device=self.device, dtype=self.dtype
        )

    def for_policy(self, hidden: Tensor) -> Tensor:
        """Give h as the location network sees it: cut from the graph, or not."""
        return hidden if self.config.policy_reaches_core else hidden.detach()

    def for_baseline(self, hidden: Tensor) -> Tensor:
        """Give h as the value network sees it: cut from the graph, or not."""
        return hidden if self.config.baseline_reaches_core else hidden.detach()

    def _start(
        self,
        images: Tensor,
        *,
        generator=None,
        draws=None,
        first_location=None,
        locations=None,
        deterministic=False,
        copies=1,
        num_glimpses=None,
        location_std=None,
    ) -> tuple[Rollout, Draws]:
        """Check everything, draw all the randomness, run the loop."""
        images = check_images(images, self.config.num_channels)
        check_count("copies", copies)
        T = self.config.num_glimpses if num_glimpses is None else num_glimpses
        check_count("num_glimpses", T)
        if location_std is not None:
            check_std(location_std)
        if images.device != self.device:
            raise ValueError(
                f"images are on {images.device}, the model is on {self.device}; move "
                "one of them with .to(device)"
            )
        B, N = len(images), len(images) * copies
        if draws is None:
            draws = self.draw(N, as_generator(generator, self.device), T)
        K = T if self.config.learn_first_location else T - 1
        shapes = [tuple(tensor.shape) for tensor in draws]
        if shapes != [(N, 2), (N, K, 2), (N,)]:
            raise ValueError(
                f"draws have shapes {shapes}; {N} episodes of {T} glimpses need "
                f"{[(N, 2), (N, K, 2), (N,)]}, as model.draw gives them"
            )
        draws = Draws(*(tensor.to(self.device, self.dtype) for tensor in draws))
        if first_location is None:
            first = draws.first_location
        elif self.config.learn_first_location:
            raise ValueError(
                "first_location is given, but this model chooses it; pass locations"
            )
        else:
            first = self._places("first_location", first_location, B, copies, (2,))
        if locations is not None:
            locations = self._places("locations", locations, B, copies, (K, 2))
        noise = torch.zeros_like(draws.noise) if deterministic else draws.noise
        prepared = self.sensor.prepare(images)
        return self.rollout(prepared, first, noise, location_std, locations), draws

    def _places(self, name, places, B: int, M: int, shape: tuple) -> Tensor:
        """Check given locations and bring them to (N, *shape)."""
        check_tensor(name, places)
        N, given = B * M, tuple(places.shape)
        if given not in {shape, (B, *shape), (N, *shape)}:
            fits = dict.fromkeys([shape, (B, *shape), (N, *shape)])
            wanted = " or ".join(str(each) for each in fits)
            raise ValueError(f"{name} has shape {given}; give {wanted}")
        if not (places.abs() <= 1).all():  # written so that NaN fails too
            raise ValueError(
                f"{name} holds a value outside [-1, 1] (or NaN); (-1, -1) is the top "
                "left corner of the image and (1, 1) its bottom right"
            )
        places = places.to(self.device, self.dtype)
        if given == shape:
            return places.expand(N, *shape).contiguous()
        return places if len(places) == N else places.repeat_interleave(M, dim=0)

    def save_pretrained(
        self,
        folder: str | Path,
        metrics: dict | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write config.json, model.safetensors and metrics.json into a folder.

        Args:
            folder: made when it is missing.
            metrics: the record of the run behind the weights: JSON values.
            overwrite: replace a model that is already there.

        Returns:
            The folder.

        Raises:
            FileExistsError: if a file is already there and `overwrite` is False.
            TypeError: if `metrics` are not JSON values; then nothing is written.
            ValueError: if the folder cannot be written.
        """
        folder = Path(folder)
        for name in (WEIGHTS, CONFIG, METRICS):
            if not overwrite and (folder / name).exists():
                raise FileExistsError(
                    f"{folder} already holds a {name}; choose another folder, or pass "
                    "overwrite=True"
                )
        weights = {k: v.cpu().contiguous() for k, v in self.state_dict().items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / METRICS, metrics or {})
            write_json(folder / CONFIG, dataclasses.asdict(self.config))
            # Not save_file, which leaves a file that nobody else may read.
            (folder / WEIGHTS).write_bytes(save(weights))
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{folder} cannot be written: {error}") from error
        return folder

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str | torch.device = "cpu"
    ) -> RecurrentAttentionModel:
        """Load a model that ramlib ships, or one that `save_pretrained` wrote.

        Args:
            name: a shipped name (see `pretrained_names`), or the path of a folder.
            device: where to put it.

        Returns:
            The model, in evaluation mode, with its record as `model.metrics`.

        Raises:
            FileNotFoundError: if there is no such model; it lists those there are.
            ValueError: if a file is damaged, or is no model of this kind.
        """
        folder = find_pretrained(name)
        values = read_json(folder / CONFIG)
        try:
            config = RAMConfig.from_dict(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / CONFIG}: {error}") from error
        model = cls(config)
        load_weights(model, folder / WEIGHTS)
        metrics = folder / METRICS
        model.metrics = read_json(metrics) if metrics.exists() else {}
        return model.to(device).eval()


def as_generator(
    generator: torch.Generator | int | None, device: torch.device | str
) -> torch.Generator | None:
    """Make a generator of a seed; a generator, or None, stays what it is."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    if isinstance(generator, bool) or not isinstance(generator, int):
        raise TypeError(
            f"generator is {generator!r}; give a torch.Generator, a whole number as "
            "seed, or None"
        )
    return torch.Generator(device).manual_seed(generator)


def pretrained_names() -> list[str]:
    """List the models that come with ramlib."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{WEIGHTS}"))


def find_pretrained(name: str | Path) -> Path:
    """Find the folder of a shipped or saved model."""
    for folder in (Path(name), PRETRAINED / name):
        if (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file():
            return folder
    raise FileNotFoundError(
        f"no model {str(name)!r}: it is no folder with {CONFIG} and {WEIGHTS}, and "
        f"ramlib ships {', '.join(pretrained_names()) or 'none'}"
    )


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file, or raise a ValueError that names what is wrong."""
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors ({error}); it may be truncated or "
            "of another kind: fetch or train it again"
        ) from error
    if {tensor.dtype for tensor in weights.values()} == {torch.float64}:
        model.double()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path} does not hold the weights of this config: {error}"
        ) from error


def write_json(path: Path, value) -> None:
    """Write JSON that people and version control can read."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path):
    """Read JSON, or raise a ValueError that names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
