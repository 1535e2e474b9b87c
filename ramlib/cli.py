"""The command line: `ramlib train`, `evaluate`, `reproduce`, `bench` and `env`.

Every field of `RAMConfig` and `TrainConfig` is an option of `ramlib train`; a preset
gives their defaults.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ramlib.data import DataUnavailableError, Digits
from ramlib.evaluation import PROTOCOLS, evaluate
from ramlib.model import (
    PRETRAINED,
    RAMConfig,
    RecurrentAttentionModel,
    config_from_dict,
    load_weights,
    read_json,
)
from ramlib.runs import BEST, CONFIG, environment
from ramlib.training import (
    PRESETS,
    TrainConfig,
    choose_device,
    config_of_run,
    evaluation_set,
    train,
)

__all__ = ["RECIPES", "main"]

# What `ramlib reproduce NAME` trains: a preset, and the seeds it is repeated with.
RECIPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "mnist-6x8x8": ("mnist", (0, 1, 2)),
}

Prefixless = tyro.conf.OmitArgPrefixes
Positional = tyro.conf.Positional


@dataclass(frozen=True)
class Train:
    """Train a model and keep the run in a folder.

    Attributes:
        model: the model.
        train: the training.
        preset: where the defaults of all other options come from.
        folder: of the run; runs/PRESET when not given.
        resume: go on with the run in the folder, or begin it.
        quiet: no progress bar.
        tensorboard: write the metrics for TensorBoard too, beside metrics.jsonl; needs
            the extra ramlib[tensorboard].
    """

    model: Prefixless[RAMConfig]
    train: Prefixless[TrainConfig]
    preset: Literal[tuple(PRESETS)] = "mnist"
    folder: Path | None = None
    resume: bool = False
    quiet: bool = False
    tensorboard: bool = False

    def run(self) -> None:
        """Train; print the record of the run."""
        folder = self.folder or Path("runs") / self.preset
        record = train(
            self.model,
            self.train,
            folder,
            resume=self.resume,
            progress=not self.quiet,
            on_epoch=tensorboard_writer(folder) if self.tensorboard else None,
        )
        print(
            f"{folder}: validation error {record['validation_error']:.2f} % at epoch "
            f"{record['best_epoch']} (trained for {record['seconds']:.0f} s). "
            f"Test it once with: ramlib evaluate {folder}"
        )


@dataclass(frozen=True)
class Evaluate:
    """Measure the error of a trained model by the three protocols.

    Attributes:
        model: the folder of a run or of a saved model, or the name of a shipped one.
        split: "test", or "validation".
        rollouts: M of the averaged protocol.
        seed: of the first locations and the noise.
        device: "auto", "cpu", "cuda", …
        source: of the digits; that of the training when not given.
    """

    model: Positional[str]
    split: Literal["test", "validation"] = "test"
    rollouts: int = 10
    seed: int = 0
    device: str = "auto"
    source: Literal["mnist", "bundled"] | None = None

    def run(self) -> None:
        """Print a line per protocol."""
        model, config = load_trained(self.model)
        if self.source:
            config = dataclasses.replace(config, source=self.source)
        model.to(choose_device(self.device))
        data = evaluation_set(config, self.split)
        print(f"{self.model} on {len(data)} {self.split} images of {data.source}")
        for result in test_errors(model, data, self.rollouts, self.seed):
            print(
                f"  {result['protocol']:8s} {result['error']:6.2f} %  "
                f"({result['wrong']} wrong, seed {result['seed']})"
            )


@dataclass(frozen=True)
class Reproduce:
    """Train a shipped model again with all its seeds, and test each once.

    Attributes:
        name: of the model.
        folder: of the runs; runs/NAME when not given. Finished seeds are not repeated.
        device: "auto", "cpu", "cuda", …
        threads: of PyTorch on the CPU; 0: as it finds best.
        install: put the weights of the first seed, and the record of all, into ramlib's
            pretrained folder, replacing what is there.
        quiet: no progress bar.
    """

    name: Positional[Literal[tuple(RECIPES)]]
    folder: Path | None = None
    device: str = "auto"
    threads: int = 0
    install: bool = False
    quiet: bool = False

    def run(self) -> None:
        """Train what is not trained yet; print the record."""
        preset, seeds = RECIPES[self.name]
        root = self.folder or Path("runs") / self.name
        model_config, config = PRESETS[preset]
        config = dataclasses.replace(config, device=self.device, threads=self.threads)
        data, runs = evaluation_set(config, "test"), []
        for seed in seeds:
            folder = root / f"seed-{seed}"
            record = train(
                model_config,
                dataclasses.replace(config, seed=seed),
                folder,
                resume=True,
                progress=not self.quiet,
            )
            model, _ = load_trained(folder)
            model.to(choose_device(self.device))
            runs.append(record | {"test": test_errors(model, data)})
        metrics = summary(self.name, preset, runs)
        print(json.dumps(metrics["test"], indent=2))
        if self.install:
            model, _ = load_trained(root / f"seed-{seeds[0]}")
            model.save_pretrained(PRETRAINED / self.name, metrics, overwrite=True)
            print(f"{self.name}: weights of seed {seeds[0]} installed")


@dataclass(frozen=True)
class Bench:
    """Measure the speed of the sensor, of training and of drawing clutter, as ratios.

    Attributes:
        device: "auto", "cpu", "cuda", …
        seconds: for each figure.
        threads: of PyTorch on the CPU; 0: as it finds best.
        compile: time compiled training too.
        json: write the figures to this file.
    """

    device: str = "auto"
    seconds: float = 2.0
    threads: int = 0
    compile: bool = True
    json: Path | None = None

    def run(self) -> None:
        """Print the tables."""
        from ramlib import bench

        device = choose_device(self.device)
        figures = bench.run(device, self.seconds, self.threads, self.compile)
        if self.json:
            self.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Env:
    """Say what ramlib runs on here.

    Attributes:
        device: "auto", "cpu", "cuda", …
    """

    device: str = "auto"

    def run(self) -> None:
        """Print a line per fact."""
        for name, value in environment(choose_device(self.device)).items():
            print(f"{name:10s} {value}")


def commands(preset: str, model: RAMConfig, config: TrainConfig):
    """Give the type that tyro parses: one of the commands."""
    start = Train(model, config, preset)
    return (
        Annotated[Train, tyro.conf.subcommand("train", default=start)]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
        | Annotated[Bench, tyro.conf.subcommand("bench")]
        | Annotated[Env, tyro.conf.subcommand("env")]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; errors that a user can mend end in one line, not a trace.

    Args:
        arguments: without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _parse(arguments).run()
    except KeyboardInterrupt:
        print("\ninterrupted; add --resume to go on from the last checkpoint")
        return 130
    except (ValueError, TypeError, OSError, DataUnavailableError) as error:
        print(f"ramlib: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"ramlib: {error}", file=sys.stderr)
        return 3
    return 0


def _parse(arguments: list[str]):
    """Parse; the defaults of `train` are those of a preset, or of the run to resume."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="mnist")
    first.add_argument("--folder", type=Path)
    first.add_argument("--resume", action="store_true")
    known, _ = first.parse_known_args(arguments)
    # An unknown preset is left for tyro to refuse, with the list of those there are.
    model, config = PRESETS.get(known.preset, PRESETS["mnist"])
    folder = known.folder or Path("runs") / known.preset
    if known.resume and (folder / CONFIG).is_file():
        model, config = config_of_run(folder)
    preset = known.preset if known.preset in PRESETS else "mnist"
    return tyro.cli(commands(preset, model, config), args=arguments, prog="ramlib")


def tensorboard_writer(folder: Path) -> Callable[[dict], None]:
    """Make a function that writes a line of the metrics for TensorBoard.

    Raises:
        ValueError: if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "tensorboard is not installed; pip install 'ramlib[tensorboard]', or leave "
            "--tensorboard out: metrics.jsonl holds the same figures"
        ) from error

    def write(line: dict) -> None:
        with SummaryWriter(folder / "tensorboard") as writer:
            for name, value in line.items():
                writer.add_scalar(name, value, line["step"])

    return write


def load_trained(name: str | Path) -> tuple[RecurrentAttentionModel, TrainConfig]:
    """Load the best weights of a run, or a saved or shipped model.

    Args:
        name: a folder of either kind, or the name of a shipped model.

    Returns:
        The model in evaluation mode, and the training it comes from.

    Raises:
        FileNotFoundError: if there is neither.
        ValueError: if a file is damaged, or nothing says what it was trained for.
    """
    folder = Path(name)
    if (folder / BEST).is_file():
        model_config, config = config_of_run(folder)
        if config.final_location_std and not model_config.learn_location_std:
            model_config = dataclasses.replace(
                model_config, location_std=config.final_location_std
            )
        model = RecurrentAttentionModel(model_config)
        load_weights(model, folder / BEST)
        return model.eval(), config
    if (folder / CONFIG).is_file() and "train" in read_json(folder / CONFIG):
        raise ValueError(
            f"the run in {folder} has not reached its first evaluation yet; train on"
        )
    model = RecurrentAttentionModel.from_pretrained(name)
    if "train" not in model.metrics:
        raise ValueError(f"{name} does not record what it was trained for")
    return model, config_from_dict(TrainConfig, model.metrics["train"])


def test_errors(
    model: RecurrentAttentionModel, data: Digits, rollouts: int = 10, seed: int = 0
) -> list[dict]:
    """Evaluate by every protocol."""
    return [
        evaluate(model, data, protocol=protocol, rollouts=rollouts, seed=seed)
        for protocol in PROTOCOLS
    ]


def summary(name: str, preset: str, runs: list[dict]) -> dict:
    """Make the record that goes with shipped weights: mean ± std over seeds.

    Args:
        name: of the model.
        preset: that it was trained by.
        runs: a record of `train` per seed, each with its `test` results; the weights of
            the first are shipped.

    Returns:
        JSON values.
    """
    test = {}
    for i, protocol in enumerate(PROTOCOLS):
        errors = [run["test"][i]["error"] for run in runs]
        test[protocol] = {
            "errors": errors,
            "mean": round(statistics.mean(errors), 3),
            "std": round(statistics.stdev(errors), 3) if len(errors) > 1 else None,
        }
    seeds = [run["train"]["seed"] for run in runs]
    return {
        "name": name,
        "preset": preset,
        "command": f"ramlib reproduce {name}",
        "seeds": seeds,
        "shipped_seed": seeds[0],
        "test": test,
        "model": runs[0]["model"],
        "train": runs[0]["train"],
        "runs": [
            {k: v for k, v in run.items() if k not in ("model", "train")}
            | {"seed": run["train"]["seed"]}
            for run in runs
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
