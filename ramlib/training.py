"""Training: one loop for any model in any world, a run folder, exact resumption.

A run is a function of its configs. The randomness of every step is drawn from a
generator seeded by (seed, step), and the order of the examples from (seed, epoch), so
there is no generator to save: a run that was killed goes on where its last checkpoint
stands and ends with the same bits (same device, same number of threads).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ramlib import checks, files
from ramlib.losses import Baseline, Reward, combine
from ramlib.model import RecurrentAttentionModel
from ramlib.rollout import World, rollout
from ramlib.runs import LAST, RunFolder, environment, read_metrics

__all__ = ["Task", "TrainConfig", "Trainer", "new_model", "train", "train_in_turn"]

STATISTICS = ("loss", "task", "policy", "baseline", "reward", "error", "spread")
READ_EVERY = 50  # steps between looks at the loss, each of which waits for the device


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Attributes:
        epochs: passes through the examples.
        batch_size: examples in a step.
        num_rollouts: M, rollouts of each example in a step.
        learning_rate: of AdamW at the start; it falls linearly to 0.
        weight_decay: of AdamW.
        clip_norm: the gradient norm of each group of parameters (the location network,
            the value network, the rest) is clipped at this; 0: not at all.
        final_location_std: σ goes linearly from the model's to this; None: constant.
        baseline: "value", "leave-one-out" or "none"; see `hybrid_loss`.
        reward: "final" or "per-step"; see `hybrid_loss`.
        step_loss: share of the cross-entropy that is averaged over all glimpses.
        distillation: share of its target that is the average of an image's rollouts.
        dropout: share of every glimpse feature that is dropped, at random, in training.
        evaluate_every: epochs between evaluations on the validation set.
        checkpoint_every: steps between checkpoints, besides one at every evaluation.
        seed: of the initial weights and of everything drawn.
        device: "auto", "cpu", "cuda", "cuda:1", …
        compile: compile rollout and loss with `torch.compile`.
        precision: "float32", or "bfloat16" for the products in rollout and loss, which
            some processors take in half the time; weights and evaluation keep float32.
        threads: of PyTorch on the CPU; 0: as it finds best.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if it is out of range, or two contradict each other.
    """

    epochs: checks.Count = 50
    batch_size: Annotated[int, checks.Range(2, 10**9)] = 256
    num_rollouts: checks.NumRollouts = 1
    learning_rate: checks.Positive = 1e-3
    weight_decay: checks.NonNegative = 0.01
    clip_norm: checks.NonNegative = 5.0
    final_location_std: checks.Positive | None = None
    baseline: Baseline = "value"
    reward: Reward = "final"
    step_loss: checks.Share = 0.0
    distillation: checks.Share = 0.0
    dropout: Annotated[float, checks.Range(0, 0.95)] = 0.0
    evaluate_every: checks.Count = 1
    checkpoint_every: checks.Count = 500
    seed: checks.Seed = 0
    device: str = "auto"
    compile: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: Annotated[int, checks.Range(0, 1024)] = 0

    def __post_init__(self):
        checks.check_fields(self)
        compared = {"baseline": self.baseline == "leave-one-out"}
        compared["distillation"] = self.distillation > 0
        for name, among in compared.items():
            if among and self.num_rollouts < 2:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, among rollouts of an image, "
                    f"but num_rollouts is {self.num_rollouts}; set it to 2 or more"
                )


class Task(Protocol):
    """What a model is trained for: any world, and how well the model does in it."""

    def __len__(self) -> int:
        """Count the examples in an epoch."""

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model that does not fit, and move to its device."""

    def record(self) -> dict:
        """Say what it is, as JSON values: a run is resumed with an equal task only."""

    def draw(self, model: nn.Module, chosen: Tensor, M: int, generator) -> dict:
        """Draw a batch of tensors: `model.draw`, the world's own, and labels, if any.

        Args:
            model: what is trained.
            chosen: (B,), which examples.
            M: rollouts of each, side by side.
            generator: a `torch.Generator`, of everything drawn.
        """

    def world(self, model: nn.Module, batch: dict) -> World:
        """Make the world of a batch."""

    def evaluate(self, model: nn.Module) -> float:
        """Give the error on the validation set: smaller is better."""


def train(
    model: nn.Module,
    task: Task,
    config: TrainConfig,
    path: str | Path,
    *,
    resume: bool = False,
    progress: bool = True,
    on_evaluation: Callable[[dict], None] | None = None,
    trainer: type[Trainer] | None = None,
    **about,
) -> dict:
    """Train a model; write everything about the run into a folder.

    The folder gets config.json, metrics.jsonl (a line for each evaluation),
    last.safetensors (all that is needed to go on) and model.safetensors (the weights
    that did best on the validation set; `from_pretrained` loads them). The test set is
    not touched. Ctrl-C ends it after the step at hand, with a checkpoint.

    Args:
        model: what to train, from the weights that it has; see `new_model`. It is left
            with those of the last step.
        task: what for.
        config: how.
        path: the folder of the run; made when missing.
        resume: go on from last.safetensors, or begin if there is none yet. More epochs
            than before make a finished run go on.
        progress: show a bar.
        on_evaluation: called with every line of the metrics.
        trainer: the kind that takes the steps; None: `Trainer`.
        **about: what else config.json should say of the run.

    Returns:
        The record of the run: configs, environment, seconds, the best validation error
        and its epoch.

    Raises:
        FileExistsError: if the folder holds a run and `resume` is False.
        ValueError: if it holds another run, or a damaged checkpoint, or the parts do
            not fit each other.
        OSError: if it cannot be written.
        FloatingPointError: if the loss or the weights are no longer finite.
        KeyboardInterrupt: after Ctrl-C.
    """
    stated = {"model": asdict(model.config), "task": task.record()}
    stated |= {"train": asdict(config), "about": about}
    run = RunFolder(Path(path), stated, resume)
    with run, settings(config) as interrupted:
        trainer = (trainer or Trainer)(model, task, config)
        before = time.perf_counter()
        if run.has(LAST):
            before -= trainer.load(run.path / LAST)
        run.drop_metrics_after(trainer.step)
        steps = range(trainer.step, trainer.total_steps)
        for step in (bar := tqdm(steps, disable=not progress, dynamic_ncols=True)):
            batch = trainer.draw()
            trainer.update(batch)
            trainer.step = step + 1
            if step == steps.start:
                run.begin(environment(trainer.device))
            if trainer.step % READ_EVERY == 0:
                bar.set_postfix_str(show(trainer.averages()))
            save = trainer.step % config.checkpoint_every == 0 or interrupted.is_set()
            if trainer.evaluation_is_due():
                save, line = True, trainer.evaluate()
                line["seconds"] = time.perf_counter() - before
                run.append_metrics(line)
                if line["best"]:
                    trainer.save_best(run.path / files.WEIGHTS)
                if on_evaluation:
                    on_evaluation(line)
            if save:
                trainer.save(run.path / LAST, time.perf_counter() - before)
                if interrupted.is_set():
                    raise KeyboardInterrupt
    return {
        **stated,
        "environment": run.environment,
        "seconds": round(time.perf_counter() - before, 1),
        "steps": trainer.step,
        "validation_error": trainer.best_error,
        "best_epoch": trainer.best_epoch,
    }


class Trainer:
    """The state of a run and its step; `train` adds the folder and the progress bar.

    Args:
        model: what to train.
        task: what for.
        config: how.

    Raises:
        ValueError: if there is no such device, a batch holds more than all examples, or
            the model does not fit the task.
    """

    def __init__(self, model: nn.Module, task: Task, config: TrainConfig):
        self.config = config
        self.device = files.choose_device(config.device)
        self.batches = len(task) // config.batch_size  # full batches in an epoch
        if self.batches == 0:
            raise ValueError(
                f"batch_size is {config.batch_size}, but there are only {len(task)} "
                "training examples; choose a smaller one"
            )
        self.total_steps = config.epochs * self.batches
        self.model, self.task = model.to(self.device).train(), task
        task.prepare(model)
        self.groups = parameter_groups(model)
        looking = getattr(model, "location_network", None)
        self.std = None if looking is None else looking.std
        for name in ("final_location_std", "dropout"):
            if looking is None and getattr(config, name):
                raise ValueError(
                    f"{name} is {getattr(config, name)}, but the model has no location "
                    "network; leave it out"
                )
        self.learning_rate = torch.tensor(config.learning_rate, device=self.device)
        self.optimizer = adamw(model, config, self.learning_rate)
        self.sums = torch.zeros(len(STATISTICS) + 1, device=self.device)
        self.generator = torch.Generator(self.device)
        self.step = 0
        self.best_error, self.best_epoch = math.inf, 0
        self.order = functools.lru_cache(maxsize=1)(self._order)
        low = config.precision == "bfloat16"
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=low)
        self.losses = mixed(self._losses)
        if config.compile:
            self.losses = torch.compile(self.losses, fullgraph=True, dynamic=False)
        self.update = self._update
        if self.device.type == "cuda":
            self.update = captured(self._update, self.draw(), self.tensors())

    # -- one step: draw, then rollout, loss and step

    def draw(self) -> dict[str, Tensor]:
        """Draw the batch of this step, and set what a schedule changes."""
        c, done = self.config, self.step / self.total_steps
        self.learning_rate.fill_(c.learning_rate * (1 - done))
        if c.final_location_std is not None:
            start = self.model.config.location_std
            std = start + done * (c.final_location_std - start)
            self.std.fill_(std)
        epoch, batch = divmod(self.step, self.batches)
        these = slice(batch * c.batch_size, (batch + 1) * c.batch_size)
        chosen = self.order(epoch)[..., these].flatten()
        self.generator.manual_seed(mix(c.seed, self.step))
        batch = self.task.draw(self.model, chosen, c.num_rollouts, self.generator)
        if c.dropout:
            size = (*batch["location"].shape[:2], self.model.config.hidden_size)
            chance = torch.rand(size, generator=self.generator, device=self.device)
            batch["kept"] = (chance >= c.dropout) / (1 - c.dropout)  # (N, T, D)
        return batch

    def _update(self, batch: dict[str, Tensor]) -> None:
        """Take one step of the optimiser; never waits for the device."""
        loss, statistics = self.losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.clip_norm:
            for group in self.groups:
                self.clip(group, self.config.clip_norm)
        self.optimizer.step()
        self.sums += statistics

    def clip(self, group: list[Tensor], limit: float) -> None:
        """Scale the gradients of a group so that their norm is at most a limit."""
        nn.utils.clip_grad_norm_(group, limit)

    def _losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Roll out; give the loss and the statistics, with a 1 that counts the step."""
        c, labels = self.config, batch.get("labels")
        world = self.task.world(self.model, batch)
        out = (dropped_rollout if c.dropout else rollout)(self.model, world, batch)
        how = c.baseline, c.reward, c.step_loss, c.num_rollouts, c.distillation
        losses = combine(out, labels, *how)
        with torch.no_grad():
            error = 1 - losses.reward
            if labels is not None and labels.dim() == 1:
                targets = labels.repeat_interleave(c.num_rollouts)
                error = (out["logits"].argmax(-1) != targets).float().mean()
            spread = out["looked"].std(dim=0).mean()
            one = torch.ones_like(error)
            statistics = torch.stack([*losses, error, spread, one]).detach()
        return losses.total, statistics

    def _order(self, epoch: int, seed: int | None = None) -> Tensor:
        """Shuffle the examples for an epoch."""
        seed = mix(self.config.seed if seed is None else seed, f"epoch {epoch}")
        generator = torch.Generator().manual_seed(seed)
        return torch.randperm(len(self.task), generator=generator).to(self.device)

    # -- how it goes

    def averages(self) -> dict[str, float]:
        """Average the statistics since the last evaluation; waits for the device."""
        *sums, count = self.sums.tolist()
        averages = {k: v / max(count, 1) for k, v in zip(STATISTICS, sums, strict=True)}
        self.check_finite([self.sums])
        return averages

    def check_finite(self, tensors: Iterable[Tensor]) -> None:
        """Refuse to go on with what has diverged."""
        if not checks.all_finite(tensors):
            raise FloatingPointError(
                f"the training has diverged by step {self.step}: begin another run, "
                "with a lower learning rate or clip_norm; the checkpoint is from before"
            )

    def evaluation_is_due(self) -> bool:
        """Say whether to evaluate after this step."""
        every = self.config.evaluate_every * self.batches
        return self.step % every == 0 or self.step == self.total_steps

    def evaluate(self) -> dict:
        """Evaluate on the validation set; give the line of the metrics."""
        averages, epoch = self.averages(), self.step // self.batches
        self.model.eval()
        error = self.validate()
        self.model.train()
        best = error < self.best_error
        if best:
            self.best_error, self.best_epoch = error, epoch
        self.sums.zero_()
        return {
            "epoch": epoch,
            "step": self.step,
            **{f"train_{name}": value for name, value in averages.items()},
            "train_error": 100 * averages["error"],
            "validation_error": error,
            "best": best,
            "learning_rate": self.learning_rate.item(),
            "location_std": None if self.std is None else self.std.item(),
        }

    def validate(self) -> float:
        """Give the validation error, in percent."""
        return self.task.evaluate(self.model)

    # -- checkpoints

    def tensors(self) -> dict[str, Tensor]:
        """Give everything that changes in training, by name; loaded in place."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{name}.{key}"] = value
        return tensors | {"averages": self.sums}

    def save(self, path: Path, seconds: float) -> None:
        """Write everything needed to go on; never what has diverged."""
        tensors = self.tensors()
        self.check_finite(tensors.values())
        progress = {"step": self.step, "seconds": seconds}
        progress |= {"best_error": self.best_error, "best_epoch": self.best_epoch}
        files.write_tensors(path, tensors, progress)

    def save_best(self, path: Path) -> None:
        """Write the weights alone."""
        files.write_tensors(path, self.model.state_dict(), {"step": self.step})

    def load(self, path: Path) -> float:
        """Go back to a checkpoint; give the seconds trained until then."""
        own = self.tensors()
        tensors, progress = files.read_tensors(path, own)
        wanted = {"step": int, "seconds": float, "best_error": float, "best_epoch": int}
        fits = all(isinstance(progress.get(k), kind) for k, kind in wanted.items())
        if not fits or not 0 <= progress["step"] <= self.total_steps:
            raise ValueError(
                f"{path} is no checkpoint of this run: {progress} of "
                f"{self.total_steps} steps; remove it to begin the run again"
            )
        self.step, self.best_epoch = progress["step"], progress["best_epoch"]
        self.best_error = progress["best_error"]
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        return progress["seconds"]


def dropped_rollout(model: nn.Module, world: World, batch: dict[str, Tensor]) -> dict:
    """Roll out with dropout: glimpse features are multiplied by "kept", (N, T, D)."""
    each = iter(batch["kept"].unbind(1))
    hook = model.glimpse_network.register_forward_hook(
        lambda network, given, feature: feature * next(each)
    )
    try:
        return rollout(model, world, batch)
    finally:
        hook.remove()


def train_in_turn(
    model: Any,
    task: Task,
    config: TrainConfig,
    seeds: Sequence[int],
    path: Path,
    kind: type[nn.Module] | None = None,
    **options,
) -> list[tuple[nn.Module, dict]]:
    """Train a model with each of several seeds, one after another.

    Args:
        model: the config of what is trained.
        task: what for.
        config: how.
        seeds: each replaces the config's.
        path: of a folder, where each run gets one of its own.
        kind: the class of what is trained; None: `RecurrentAttentionModel`.
        **options: of `train`.

    Returns:
        For each seed, the best model, on the device, and the record of `train`, with
        the "curve": epochs, and errors in training and on the validation set.
    """
    runs, kind = [], kind or RecurrentAttentionModel
    for seed in seeds:
        here = path / f"seed-{seed}"
        how = replace(config, seed=seed)
        done = train(new_model(model, seed, kind), task, how, here, **options)
        names = "epoch", "train_error", "validation_error"
        done["curve"] = [[line[x] for x in names] for line in read_metrics(here)]
        best = kind.from_pretrained(here, config.device)
        runs.append((best, done))
    return runs


def new_model(config: Any, seed: int, kind: type[nn.Module] | None = None):
    """Make a model of a config, whose first weights follow from a seed alone."""
    with torch.random.fork_rng(devices=[]):  # leave the caller's generator alone
        torch.manual_seed(mix(seed, "weights"))
        return (kind or RecurrentAttentionModel)(config)


def mix(seed: int, what: int | str) -> int:
    """Make one seed of two things, so that neighbours are unrelated."""
    words = [seed, *what.encode()] if isinstance(what, str) else [seed, 0, what]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


def parameter_groups(model: nn.Module) -> list[list[Tensor]]:
    """Separate the parameters whose gradients come from different losses."""
    apart = [getattr(model, x, None) for x in ("location_network", "value_network")]
    groups = [list(network.parameters()) for network in apart if network is not None]
    taken = {id(parameter) for group in groups for parameter in group}
    return [*groups, [p for p in model.parameters() if id(p) not in taken]]


def adamw(model: nn.Module, config: TrainConfig, learning_rate: Tensor):
    """Make AdamW with its state already there, so that it can be loaded in place."""
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
        capturable=learning_rate.is_cuda,  # the step is recorded as a CUDA graph
    )
    for parameter in model.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def captured(
    update: Callable, batch: dict[str, Tensor], state: dict[str, Tensor]
) -> Callable:
    """Capture a step as one CUDA graph: the model is bound by kernel launches.

    Args:
        update: takes a batch, and changes the state in place.
        batch: one to begin with; later ones need the same shapes.
        state: what the warm-up changes; it is put back.
    """
    start = {name: tensor.clone() for name, tensor in state.items()}
    held = {name: tensor.clone() for name, tensor in batch.items()}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # let the libraries choose and allocate before recording
            update(held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    gc.collect()  # a graph that is freed while another is recorded spoils it
    with torch.cuda.graph(graph):
        update(held)
    for name, tensor in state.items():
        tensor.copy_(start[name])

    def replay(batch: dict[str, Tensor]) -> None:
        for name, tensor in batch.items():
            held[name].copy_(tensor)
        graph.replay()

    return replay


@contextlib.contextmanager
def settings(config: TrainConfig) -> Iterator[threading.Event]:
    """Use so many threads, and TensorFloat-32 on a GPU, for the time of a training.

    Ctrl-C sets the flag, so that no step is cut in two.
    """
    flag, before = threading.Event(), torch.get_num_threads()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(config.threads or before)
    if files.choose_device(config.device).type == "cuda":
        torch.set_float32_matmul_precision("high")
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(*_) -> None:
        flag.set()
        signal.signal(signal.SIGINT, handler)  # a second one cuts

    if main:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield flag
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)
        if main:
            signal.signal(signal.SIGINT, handler)


def show(averages: dict[str, float]) -> str:
    """Say in a few words how a run goes, for the progress bar."""
    return ", ".join(f"{k} {averages[k]:.3f}" for k in ("loss", "error", "reward"))
