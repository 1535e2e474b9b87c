"""Training: one loop, a run folder, exact resumption.

A run is a function of its two configs. The randomness of every step is drawn from a
generator seeded by (seed, step), and the order of the images from (seed, epoch), so
there is no generator to save: a run that was killed goes on where its last checkpoint
stands and ends with the same bits (same device, same number of threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ramlib.data import Digits, cluttered, digits, fixed_set, translated
from ramlib.evaluation import evaluate
from ramlib.losses import hybrid_loss
from ramlib.model import (
    Draws,
    RAMConfig,
    RecurrentAttentionModel,
    check_choices,
    config_from_dict,
    read_json,
)
from ramlib.runs import (
    BEST,
    CONFIG,
    LAST,
    RunFolder,
    environment,
    read_checkpoint,
    write_checkpoint,
)
from ramlib.sensor import Prepared, check_count

__all__ = ["PRESETS", "TrainConfig", "Trainer", "evaluation_set", "train"]

STATISTICS = ("loss", "task", "policy", "baseline", "error", "reward", "spread")
READ_EVERY = 50  # steps between looks at the loss, each of which waits for the device


@dataclass(frozen=True)
class TrainConfig:
    """Everything that shapes a training run, besides the model.

    Attributes:
        task: "plain" digits, "translated", or "cluttered".
        image_size: the side of the canvas in pixels; 28 for "plain".
        num_patches: distractors on a cluttered canvas.
        source: "mnist", "bundled" (scikit-learn's digits), or "auto".
        epochs: passes through the training images.
        batch_size: images in a step.
        copies: M, rollouts of each image in a step.
        learning_rate: of AdamW, at the start.
        learning_rate_schedule: "linear" or "cosine" to 0, or "constant".
        weight_decay: of AdamW.
        clip_norm: the gradient norm of each group of parameters (the location network,
            the value network, the rest) is clipped at this; 0: not at all.
        final_location_std: σ goes linearly from the model's to this; None: constant.
        baseline: "value", "leave-one-out" or "none"; see `hybrid_loss`.
        reward: "final" or "per-step".
        reward_of: "argmax" or "sample".
        step_loss: share of the cross-entropy that is averaged over all glimpses.
        policy_weight: factor of the policy's loss.
        baseline_weight: factor of the baseline's loss.
        patience: stop after so many evaluations without a better one; 0: never.
        evaluate_every: epochs between evaluations on the validation set.
        checkpoint_every: steps between checkpoints, besides one at every evaluation.
        seed: of the initial weights and of everything drawn.
        device: "auto", "cpu", "cuda", "cuda:1", …
        compile: compile the step with `torch.compile`.
        threads: of PyTorch on the CPU; 0: as it finds best.

    Raises:
        TypeError: if a count is not a whole number.
        ValueError: if a value is out of range or a name unknown.
    """

    task: Literal["plain", "translated", "cluttered"] = "plain"
    image_size: int = 28
    num_patches: int = 4
    source: Literal["auto", "mnist", "bundled"] = "auto"
    epochs: int = 50
    batch_size: int = 256
    copies: int = 1
    learning_rate: float = 1e-3
    learning_rate_schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    final_location_std: float | None = None
    baseline: Literal["value", "leave-one-out", "none"] = "value"
    reward: Literal["final", "per-step"] = "final"
    reward_of: Literal["argmax", "sample"] = "argmax"
    step_loss: float = 0.0
    policy_weight: float = 1.0
    baseline_weight: float = 1.0
    patience: int = 0
    evaluate_every: int = 1
    checkpoint_every: int = 500
    seed: int = 0
    device: str = "auto"
    compile: bool = False
    threads: int = 0

    def __post_init__(self):
        for name in ("image_size", "epochs", "batch_size", "copies"):
            check_count(name, getattr(self, name))
        for name in ("evaluate_every", "checkpoint_every"):
            check_count(name, getattr(self, name))
        for name in ("num_patches", "patience", "seed", "threads"):
            check_count(name, getattr(self, name), least=0)
        for name in ("learning_rate", "final_location_std"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}; it must be a positive number")
        for name in ("weight_decay", "clip_norm", "policy_weight", "baseline_weight"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; it must be 0 or more")
        if not 0 <= self.step_loss < 1:
            raise ValueError(f"step_loss is {self.step_loss}; it must lie in [0, 1)")
        check_choices(self)
        if self.baseline == "leave-one-out" and self.copies < 2:
            raise ValueError(
                "baseline 'leave-one-out' compares the copies of an image; set copies "
                f"to 2 or more (it is {self.copies})"
            )
        if self.reward == "per-step" and self.reward_of == "sample":
            raise ValueError(
                "reward_of is 'sample', but the class is sampled at the last glimpse "
                "alone; choose reward='final' or reward_of='argmax'"
            )
        if self.task == "plain" and self.image_size != 28:
            raise ValueError(
                f"image_size is {self.image_size}, but plain digits are 28 × 28; "
                "choose task='translated' or 'cluttered' for a larger canvas"
            )

    @property
    def every_step(self) -> bool:
        """Whether the loss needs the classes after every glimpse."""
        return self.reward == "per-step" or self.step_loss > 0


CLUTTER = {"task": "cluttered", "copies": 4, "baseline": "leave-one-out"}
PRESETS: dict[str, tuple[RAMConfig, TrainConfig]] = {
    "digits": (
        RAMConfig(num_glimpses=4, identity_init=0.5),
        TrainConfig(source="bundled", epochs=30, batch_size=64, evaluate_every=5),
    ),
    "mnist": (
        RAMConfig(identity_init=0.5),
        TrainConfig(
            source="mnist", epochs=150, batch_size=200, final_location_std=0.05
        ),
    ),
    "translated": (
        RAMConfig(glimpse_size=12, num_scales=3, identity_init=0.5),
        TrainConfig(task="translated", image_size=60, final_location_std=0.05),
    ),
    "cluttered60": (
        RAMConfig(
            glimpse_size=12, num_scales=3, identity_init=0.5, location_hidden_size=128
        ),
        TrainConfig(**CLUTTER, image_size=60, final_location_std=0.05),
    ),
    "cluttered100": (
        RAMConfig(
            glimpse_size=12,
            num_scales=4,
            num_glimpses=8,
            identity_init=0.5,
            location_hidden_size=128,
        ),
        TrainConfig(**CLUTTER, image_size=100, num_patches=8, final_location_std=0.05),
    ),
}


def train(
    model_config: RAMConfig,
    config: TrainConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool = True,
    on_epoch: Callable[[dict], None] | None = None,
) -> dict:
    """Train a model; write everything about the run into a folder.

    The folder gets config.json, metrics.jsonl (a line per evaluation), last.safetensors
    (everything needed to go on) and best.safetensors (the weights that did best on the
    validation set). The test set is not touched.

    Args:
        model_config: the model.
        config: the training.
        folder: of the run; made when missing.
        resume: go on from last.safetensors, or begin if there is none yet.
        progress: show a bar.
        on_epoch: called with every line of the metrics.

    Returns:
        The record of the run: configs, environment, seconds, the best validation error
        and its epoch.

    Raises:
        FileExistsError: if the folder holds a run and `resume` is False.
        ValueError: if the folder cannot be written, or holds a run of other configs, or
            a damaged checkpoint.
        FloatingPointError: if the loss is no longer finite.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    # The folder comes second: without the data, say, no trace of a run is left.
    trainer = Trainer(model_config, config)
    stated = {"model": asdict(model_config), "train": asdict(config)}
    run = RunFolder(Path(folder), stated, environment(trainer.device), resume)
    seconds = trainer.load(run.path / LAST) if run.has(LAST) else 0.0
    run.drop_metrics_after(trainer.step)
    before = time.perf_counter() - seconds
    bar = tqdm(
        total=trainer.total_steps,
        initial=trainer.step,
        disable=not progress,
        unit="step",
        dynamic_ncols=True,
        desc=run.path.name,
    )
    with bar:
        for step in trainer.steps():
            bar.update()
            if step % READ_EVERY == 0:
                bar.set_postfix_str(_show(trainer.averages()))
            if trainer.at_evaluation():
                line = trainer.evaluate() | {"seconds": time.perf_counter() - before}
                run.append_metrics(line)
                if on_epoch:
                    on_epoch(line)
                if line["best"]:
                    trainer.save_best(run.path / BEST)
                trainer.reset_averages()
            if trainer.at_evaluation() or step % config.checkpoint_every == 0:
                trainer.save(run.path / LAST, time.perf_counter() - before)
    return {
        **stated,
        "source": trainer.data.source,
        "environment": run.environment,
        "seconds": round(time.perf_counter() - before, 1),
        "steps": trainer.step,
        "validation_error": trainer.best_error,
        "best_epoch": trainer.best_epoch,
    }


class Trainer:
    """The state of a run and its loop; `train` adds the folder and the progress bar.

    Args:
        model_config: the model.
        config: the training.
        data: the training digits; None for those that the config names.

    Raises:
        ValueError: if there is no such device, or a batch holds more than all images.
    """

    def __init__(
        self, model_config: RAMConfig, config: TrainConfig, data: Digits | None = None
    ):
        self.config = config
        self.device = choose_device(config.device)
        data = digits(config.source, "train") if data is None else data
        self.data = data.to(self.device)
        self.batches = len(self.data) // config.batch_size  # full batches in an epoch
        if self.batches == 0:
            raise ValueError(
                f"batch_size is {config.batch_size}, but there are only "
                f"{len(self.data)} training images; choose a smaller one"
            )
        self.total_steps = config.epochs * self.batches
        with torch.random.fork_rng(devices=[]):  # leave the caller's generator alone
            torch.manual_seed(mix(config.seed, "weights"))
            self.model = RecurrentAttentionModel(model_config)
        self.model.to(self.device).train()
        self.groups = _parameter_groups(self.model)
        self.learning_rate = torch.tensor(config.learning_rate, device=self.device)
        self.location_std = torch.tensor(model_config.location_std, device=self.device)
        self.optimizer = _optimizer(self.model, config, self.learning_rate)
        self.sums = torch.zeros(len(STATISTICS) + 1, device=self.device)
        self.generator = torch.Generator(self.device)
        self.step = 0
        self.best_error, self.best_epoch, self.epochs_since_best = math.inf, 0, 0
        # Plain digits never change, so their tables are made once, for the whole set.
        self.tables = None
        if config.task == "plain":
            self.tables = self.model.sensor.prepare(self.data.images[:, None])
        self.order = self._order(0)
        self._losses = self.losses
        if config.compile:
            self._losses = torch.compile(self.losses, fullgraph=True, dynamic=False)
        self._update = self.update
        if self.device.type == "cuda":
            self._update = self._captured()

    # -- one step

    def steps(self) -> Iterator[int]:
        """Train to the end, or until patience runs out; yield each step's number."""
        while self.step < self.total_steps and not self._out_of_patience():
            self.update_at(self.step)
            self.step += 1
            yield self.step

    def update_at(self, step: int) -> None:
        """Take the step of that number."""
        self._update(*self.inputs(step))

    def inputs(self, step: int) -> tuple[Tensor, Tensor, Draws]:
        """Make the images' tables, the labels and the draws of one step."""
        c = self.config
        epoch, batch = divmod(step, self.batches)
        if batch == 0:
            self.order = self._order(epoch)
        done = step / self.total_steps
        self.learning_rate.fill_(
            c.learning_rate * _decay(c.learning_rate_schedule, done)
        )
        start = self.model.config.location_std
        if c.final_location_std is not None:
            self.location_std.fill_(start + done * (c.final_location_std - start))
        chosen = self.order[batch * c.batch_size : (batch + 1) * c.batch_size]
        self.generator.manual_seed(mix(c.seed, step))
        if c.task == "plain":
            prepared = self.tables[chosen]
        elif c.task == "translated":
            prepared = self.model.sensor.prepare(
                translated(self.data, chosen, c.image_size, generator=self.generator)
            )
        else:
            images = cluttered(
                self.data,
                chosen,
                c.image_size,
                c.num_patches,
                generator=self.generator,
            )
            prepared = self.model.sensor.prepare(images)
        draws = self.model.draw(c.batch_size * c.copies, self.generator)
        return prepared, self.data.labels[chosen], draws

    def losses(
        self, prepared: Prepared, labels: Tensor, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Roll out and give the total loss and the statistics of the batch."""
        c = self.config
        learned = self.model.config.learn_location_std
        std = None if learned else self.location_std
        rollout = self.model.rollout(prepared, draws.first_location, draws.noise, std)
        out = self.model.read_out(rollout, draws.uniform, std, c.every_step)
        losses = hybrid_loss(
            out,
            labels,
            baseline=c.baseline,
            reward=c.reward,
            reward_of=c.reward_of,
            step_loss=c.step_loss,
            policy_weight=c.policy_weight,
            baseline_weight=c.baseline_weight,
            check=False,
        )
        with torch.no_grad():
            targets = labels.repeat_interleave(c.copies)
            error = (out["logits"].argmax(-1) != targets).float().mean()
            sampled = (out["actions"][:, 0] == targets).float().mean()
            reward = sampled if c.reward_of == "sample" else 1 - error
            spread = rollout.locations.std(dim=0).mean()
            statistics = torch.stack([*losses, error, reward, spread]).detach()
        return losses.total, statistics

    def update(self, prepared: Prepared, labels: Tensor, draws: Draws) -> None:
        """Take one step of the optimiser; never waits for the device."""
        self.optimizer.zero_grad(set_to_none=True)
        total, statistics = self._losses(prepared, labels, draws)
        total.backward()
        if self.config.clip_norm:
            for group in self.groups:
                torch.nn.utils.clip_grad_norm_(group, self.config.clip_norm)
        self.optimizer.step()
        self.sums[:-1] += statistics
        self.sums[-1] += 1

    def _captured(self):
        """Capture `update` as one CUDA graph: the model is bound by kernel launches."""
        start = {name: tensor.clone() for name, tensor in self.tensors().items()}
        prepared, labels, draws = self.inputs(0)
        held = [prepared.table.clone(), labels.clone(), *(d.clone() for d in draws)]
        arguments = (prepared._replace(table=held[0]), held[1], Draws(*held[2:]))
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # let the libraries choose and allocate before recording
                self.update(*arguments)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.update(*arguments)
        for name, tensor in self.tensors().items():  # undo what the warm-up learnt
            tensor.copy_(start[name])

        def replay(prepared: Prepared, labels: Tensor, draws: Draws) -> None:
            for place, tensor in zip(
                held, [prepared.table, labels, *draws], strict=True
            ):
                place.copy_(tensor)
            graph.replay()

        return replay

    def _order(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(
            mix(self.config.seed, f"epoch {epoch}")
        )
        return torch.randperm(len(self.data), generator=generator).to(self.device)

    # -- what it has learnt so far

    def averages(self) -> dict[str, float]:
        """Average the statistics since the last evaluation; waits for the device."""
        *sums, count = self.sums.tolist()
        averages = {k: v / max(count, 1) for k, v in zip(STATISTICS, sums, strict=True)}
        if not math.isfinite(averages["loss"]):
            raise FloatingPointError(
                f"the loss is {averages['loss']} at step {self.step}; lower the "
                "learning rate or clip_norm. The last checkpoint is untouched"
            )
        return averages

    def reset_averages(self) -> None:
        """Begin new averages."""
        self.sums.zero_()

    def at_evaluation(self) -> bool:
        """Say whether an evaluation is due after this step."""
        every = self.config.evaluate_every * self.batches
        return self.step % every == 0 or self.step == self.total_steps

    def evaluate(self) -> dict:
        """Evaluate on the validation set; give the line of the metrics."""
        averages = self.averages()
        epoch = self.step // self.batches
        self.model.eval()
        std = None if self.model.config.learn_location_std else self.location_std
        result = evaluate(
            self.model, self.validation, location_std=std, batch_size=2000
        )
        self.model.train()
        better = result["error"] < self.best_error
        if better:
            self.best_error, self.best_epoch = result["error"], epoch
        self.epochs_since_best = 0 if better else self.epochs_since_best + 1
        train = {f"train_{k}": averages[k] for k in STATISTICS}
        return {
            "epoch": epoch,
            "step": self.step,
            **train,
            "train_error": 100 * averages["error"],
            "validation_error": result["error"],
            "best": better,
            "learning_rate": self.learning_rate.item(),
            "location_std": self.location_std.item(),
        }

    @cached_property
    def validation(self) -> Digits:
        """The fixed set that the run is judged by."""
        return evaluation_set(self.config, "validation")

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.epochs_since_best

    # -- checkpoints

    def tensors(self) -> dict[str, Tensor]:
        """Give everything that changes in training, by name; loaded in place."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{name}.{key}"] = value
        return tensors | {"averages": self.sums}

    def save(self, path: Path, seconds: float) -> None:
        """Write everything needed to go on."""
        progress = {
            "step": self.step,
            "seconds": seconds,
            "best_error": self.best_error,
            "best_epoch": self.best_epoch,
            "epochs_since_best": self.epochs_since_best,
        }
        write_checkpoint(path, self.tensors(), progress)

    def save_best(self, path: Path) -> None:
        """Write the weights alone."""
        progress = {"step": self.step, "validation_error": self.best_error}
        write_checkpoint(path, self.model.state_dict(), progress)

    def load(self, path: Path) -> float:
        """Go back to a checkpoint; give the seconds trained until then."""
        tensors, progress = read_checkpoint(path)
        own = self.tensors()
        if set(tensors) != set(own) or any(
            tensors[k].shape != own[k].shape for k in own
        ):
            raise ValueError(
                f"{path} is a checkpoint of another model; resume with the config it "
                "was made with, or choose another folder"
            )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        self.step = progress["step"]
        self.best_error = progress["best_error"]
        self.best_epoch = progress["best_epoch"]
        self.epochs_since_best = progress["epochs_since_best"]
        self.order = self._order(self.step // self.batches)
        return progress["seconds"]


def _parameter_groups(model: RecurrentAttentionModel) -> list[list[Tensor]]:
    """Separate the parameters whose gradients come from different losses."""
    location = list(model.location_network.parameters())
    value = list(model.value_network.parameters())
    taken = {id(parameter) for parameter in location + value}
    rest = [p for p in model.parameters() if id(p) not in taken]
    return [location, value, rest]


def _optimizer(model, config: TrainConfig, learning_rate: Tensor):
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


def _decay(schedule: str, done: float) -> float:
    """Give the factor of the learning rate when a share `done` of the run is over."""
    if schedule == "linear":
        return 1 - done
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0


def _show(averages: dict[str, float]) -> str:
    return (
        f"loss {averages['loss']:.3f}, error {100 * averages['error']:.2f} %, "
        f"reward {averages['reward']:.3f}, spread {averages['spread']:.2f}"
    )


def mix(seed: int, what: int | str) -> int:
    """Make one seed of two things, so that neighbours are unrelated."""
    words = [seed, *what.encode()] if isinstance(what, str) else [seed, 0, what]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


def choose_device(name: str) -> torch.device:
    """Give the device of that name; "auto" is a GPU when there is one.

    Raises:
        ValueError: if the name is unknown, or there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device is {name!r}, which is not to be had here; choose 'auto' or 'cpu'"
        ) from error
    return device


def evaluation_set(config: TrainConfig, split: str) -> Digits:
    """Make the fixed validation or test set of a task: the same bytes on every machine.

    Args:
        config: names the task, the canvas and the source.
        split: "validation" or "test".

    Returns:
        The digits with images (N, size, size) uint8.
    """
    source = digits(config.source, split)
    if config.task == "plain":
        return source
    seed = {"validation": 1, "test": 2}[split]
    return fixed_set(
        source, config.task, config.image_size, config.num_patches, seed=seed
    )


def config_of_run(folder: Path) -> tuple[RAMConfig, TrainConfig]:
    """Read the configs of a run.

    Raises:
        ValueError: if config.json is damaged or holds unknown keys.
    """
    found = read_json(folder / CONFIG)
    if not isinstance(found, dict) or not {"model", "train"} <= set(found):
        raise ValueError(f"{folder / CONFIG} is not the config of a run")
    return (
        config_from_dict(RAMConfig, found["model"]),
        config_from_dict(TrainConfig, found["train"]),
    )
