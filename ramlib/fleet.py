"""A fleet: S models of one kind, trained side by side as one program, to fill a GPU.

One RAM is far too small for a GPU, which then waits for its next order. A fleet is a
`RecurrentAttentionModel` whose layers hold the weights of S models, with a leading S;
the first part of the episodes belongs to the first model, and so on. Everything else,
the retina, the loop over glimpses, the losses, works on episodes and is left as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ramlib import files
from ramlib.model import RAMConfig, RecurrentAttentionModel
from ramlib.runs import read_metrics
from ramlib.training import Task, TrainConfig, Trainer, new_model, train

__all__ = ["FleetTrainer", "join", "train_together"]


class Joined(nn.Module):
    """S layers of a kind as one: the same parameters by name, each with a leading S."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.num_models = len(layers)
        for name, _ in layers[0].named_parameters(recurse=False):
            stacked = torch.stack([getattr(layer, name).detach() for layer in layers])
            setattr(self, name, nn.Parameter(stacked))

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Apply S linear maps: (S·n, ..., in) -> (S·n, ..., out)."""
        rows = x.reshape(self.num_models, -1, x.shape[-1])  # (S, n·…, in)
        out = torch.baddbmm(bias[:, None], rows, weight.mT)
        return out.view(*x.shape[:-1], -1)


class Linears(Joined):
    """S layers of the kind `nn.Linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(S·n, ..., in) -> (S·n, ..., out)."""
        return self.linear(x, self.weight, self.bias)


class LSTMCells(Joined):
    """S cells of the kind `nn.LSTMCell`."""

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None):
        """(S·n, in) and a pair of (S·n, D) -> the pair (h, c), (S·n, D) each."""
        h, c = state or [x.new_zeros(len(x), self.weight_hh.shape[-1])] * 2
        ours = self.linear(x, self.weight_ih, self.bias_ih)  # (S·n, 4·D)
        old = self.linear(h, self.weight_hh, self.bias_hh)
        if x.is_cuda:  # what nn.LSTMCell calls there: a kernel in place of twelve
            return torch.ops.aten._thnn_fused_lstm_cell(ours, old, c)[:2]
        keep, forget, new, show = (ours + old).chunk(4, dim=-1)
        c = forget.sigmoid() * c + keep.sigmoid() * new.tanh()
        return show.sigmoid() * c.tanh(), c


KINDS = {nn.Linear: Linears, nn.LSTMCell: LSTMCells}


def join(models: list[RecurrentAttentionModel]) -> RecurrentAttentionModel:
    """Make one model of S, which takes S·n episodes: n for each of them, in order.

    Args:
        models: with equal configs.

    Raises:
        ValueError: if configs differ, or a layer is of a kind that cannot be joined.
    """
    fleet = copy.deepcopy(models[0])
    if any(model.config != fleet.config for model in models):
        raise ValueError(
            "models of a fleet need equal configs; train others by themselves"
        )
    for name, layer in models[0].named_modules():
        if type(layer) in KINDS:
            joined = KINDS[type(layer)]([m.get_submodule(name) for m in models])
            fleet.set_submodule(name, joined)
        elif [*layer.parameters(recurse=False)]:
            raise ValueError(f"{name} is a {type(layer).__name__}: no fleet has those")
    return fleet


def stacked(fleet: nn.Module) -> dict[str, Tensor]:
    """Give the weights of a fleet, all with a leading S: those shared are repeated."""
    own, weights = dict(fleet.named_parameters()), fleet.state_dict()
    S = len(next(fleet.parameters()))
    return {
        name: (tensor if name in own else tensor.expand(S, *tensor.shape)).clone()
        for name, tensor in weights.items()
    }


def rows(weights: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Take stacked weights apart: a state_dict for each of the S models."""
    S = len(next(iter(weights.values())))
    return [{name: tensor[s] for name, tensor in weights.items()} for s in range(S)]


def train_together(
    model: RAMConfig,
    task: Task,
    config: TrainConfig,
    seeds: Sequence[int],
    path: Path,
    **options,
) -> list[tuple[RecurrentAttentionModel, dict]]:
    """Train a model with each of several seeds, all at once: see `train_in_turn`.

    Args:
        model: what it is like.
        task: what for.
        config: how.
        seeds: one after another, as 0, 1, 2.
        path: of a folder, where the fleet gets one, and in it each model.
        **options: of `train`.

    Returns:
        As `train_in_turn`; seconds, errors in training, and the averages in the metrics
        are those of the fleet.

    Raises:
        ValueError: if seeds do not follow each other.
    """
    first, S = seeds[0], len(seeds)
    if [*seeds] != [*range(first, first + S)]:
        raise ValueError(f"seeds are {[*seeds]}; a fleet takes them one after another")
    here = path / f"fleet-{first}-{seeds[-1]}"
    joined = join([new_model(model, seed) for seed in seeds])
    how = replace(config, seed=first)
    done = train(joined, task, how, here, trainer=FleetTrainer, **options, together=S)
    like = stacked(joined)
    weights, _ = files.read_tensors(here / files.WEIGHTS, like)
    lines, runs = read_metrics(here), []
    for s, (seed, row) in enumerate(zip(seeds, rows(weights), strict=True)):
        best = RecurrentAttentionModel(model)
        best.load_state_dict(row)
        curve = [
            [line["epoch"], line["train_error"], line["validation_errors"][s]]
            for line in lines
        ]
        epoch, _, error = min(curve, key=lambda point: point[2])
        own = {"train": done["train"] | {"seed": seed}, "curve": curve}
        own |= {"validation_error": error, "best_epoch": epoch}
        best.save_pretrained(here / f"seed-{seed}", done | own, overwrite=True)
        runs.append((best.to(files.choose_device(config.device)).eval(), done | own))
    return runs


class FleetTrainer(Trainer):
    """The state of the runs of a fleet; give it to `train` as `trainer`.

    The seeds of the models are that of the config and the S - 1 that follow; they
    decide the order of the examples, and one stream draws all else for the fleet. The
    averages of the metrics are over the fleet; "validation_errors" has one for each
    model, and the best weights of each are kept.

    Args:
        model: a fleet, of `join`.
        task: what for.
        config: how; batch_size and clip_norm are of every model.
    """

    def __init__(self, model: nn.Module, task: Task, config: TrainConfig):
        device = files.choose_device(config.device)
        self.num_models = S = len(next(model.parameters()))
        self.single = RecurrentAttentionModel(model.config).to(device).eval()
        self.best = {k: v.to(device) for k, v in stacked(model).items()}
        self.best_errors = torch.full((S,), 101.0, device=device)  # percent: none yet
        super().__init__(model, task, config)

    def _order(self, epoch: int, seed: int | None = None) -> Tensor:
        """Shuffle the examples for an epoch, for each model: (S, examples)."""
        first = self.config.seed
        seeds = range(first, first + self.num_models)
        return torch.stack([super(FleetTrainer, self)._order(epoch, s) for s in seeds])

    def _losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Add the losses of the models up: each is to learn as if it were alone."""
        loss, statistics = super()._losses(batch)
        return self.num_models * loss, statistics

    def clip(self, group: list[Tensor], limit: float) -> None:
        """Clip the gradient norm of each model by itself."""
        grads = [p.grad for p in group if p.grad is not None]
        if not grads:  # of a policy that learns nothing
            return
        norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
        scale = (limit / (norms + 1e-6)).clamp(max=1)  # (S,)
        for grad in grads:
            grad.mul_(scale.view(-1, *[1] * (grad.dim() - 1)))

    def evaluate(self) -> dict:
        """Evaluate on the validation set; give the line of the metrics."""
        line = super().evaluate()
        mean = sum(self.errors) / len(self.errors)
        return line | {"validation_error": mean, "validation_errors": self.errors}

    def validate(self) -> float:
        """Evaluate each model, and keep what is best; give the mean of the best."""
        self.errors = []
        for s, row in enumerate(rows(stacked(self.model))):
            self.single.load_state_dict(row)
            self.errors.append(self.task.evaluate(self.single))
            if self.errors[s] < self.best_errors[s]:
                self.best_errors[s] = self.errors[s]
                for name, tensor in row.items():
                    self.best[name][s] = tensor
        return self.best_errors.mean().item()

    def tensors(self) -> dict[str, Tensor]:
        """Give everything that changes in training, by name; loaded in place."""
        best = {f"best.{k}": v for k, v in self.best.items()}
        return super().tensors() | best | {"best_errors": self.best_errors}

    def save_best(self, path: Path) -> None:
        """Write the weights of every model, each with a leading S."""
        files.write_tensors(path, self.best, {"step": self.step})
