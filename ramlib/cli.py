"""The command line: `ramlib train`, `evaluate`, `look`, `plot`, `reproduce` and `env`.

Every field of `RAMConfig`, `ImageConfig` and `TrainConfig` is an option of `ramlib
train`; a preset gives their defaults.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from ramlib import __version__, files
from ramlib.checks import from_dict
from ramlib.data import DataUnavailableError
from ramlib.evaluation import PROTOCOLS, evaluate
from ramlib.experiments import EXPERIMENTS, PRESETS, record
from ramlib.model import RAMConfig, RecurrentAttentionModel
from ramlib.runs import LAST, environment, read_metrics
from ramlib.tasks import ImageConfig, ImageTask
from ramlib.training import TrainConfig, new_model, train

__all__ = ["main"]

Prefixless = tyro.conf.OmitArgPrefixes
Positional = tyro.conf.Positional


@dataclass(frozen=True)
class Train:
    """Train a model and keep the run in a folder.

    Attributes:
        model: the model.
        images: what it looks at.
        train: the training.
        preset: where the defaults of all other options come from.
        folder: of the run; runs/PRESET when not given.
        resume: go on with the run in the folder, or begin it. More --epochs make a
            finished run go on.
        quiet: no progress bar.
    """

    model: Prefixless[RAMConfig]
    images: Prefixless[ImageConfig]
    train: Prefixless[TrainConfig]
    preset: Literal[tuple(PRESETS)] = "mnist"
    folder: Path | None = None
    resume: bool = False
    quiet: bool = False

    def run(self) -> None:
        """Train; print the record of the run."""
        folder = self.folder or Path("runs") / self.preset
        task, config = ImageTask.of(self.images), self.model
        if self.images.images:  # channels and classes are the data's, unless given
            data, usual = task.train, RAMConfig()
            if config.num_channels == usual.num_channels:
                config = dataclasses.replace(config, num_channels=data.num_channels)
            if config.num_actions == usual.num_actions:
                config = dataclasses.replace(config, num_actions=data.num_classes)
        done = train(
            new_model(config, self.train.seed),
            task,
            self.train,
            folder,
            resume=self.resume,
            progress=not self.quiet,
            preset=self.preset,
        )
        print(
            f"{folder}: validation error {done['validation_error']:.2f} % at epoch "
            f"{done['best_epoch']} (trained for {done['seconds']:.0f} s).\n"
            f"Test it once with: ramlib evaluate {folder}\n"
            f"See it look with: ramlib look {folder}"
        )


@dataclass(frozen=True)
class Evaluate:
    """Measure the error of a trained model by three protocols.

    "mean" is one pass in which the model looks where its policy is likeliest to, the
    headline figure; "sampled" is one pass in which it samples places as in training;
    "average" averages the class probabilities of several sampled passes.

    Attributes:
        model: the folder of a run or of a saved model, or the name of a shipped one.
        split: "test", or "validation".
        num_rollouts: passes of the averaged protocol.
        seed: of the first locations and the noise.
        device: "auto", "cpu", "cuda", …
        source: of the digits; that of the training when not given.
    """

    model: Positional[str]
    split: Literal["test", "validation"] = "test"
    num_rollouts: int = 10
    seed: int = 0
    device: str = "auto"
    source: Literal["mnist", "bundled"] | None = None

    def run(self) -> None:
        """Print a line per protocol."""
        model = RecurrentAttentionModel.from_pretrained(self.model, self.device)
        data = images_of(model, self.model, self.source).fixed(self.split)
        print(f"{self.model} on {len(data)} {self.split} images of {data.name}")
        options = {"num_rollouts": self.num_rollouts, "seed": self.seed}
        for protocol in PROTOCOLS:
            found = evaluate(model, data, protocol=protocol, **options)
            error, wrong = found["error"], found["wrong"]
            print(f"  {protocol:8s} {error:6.2f} %  ({wrong} wrong, seed {self.seed})")


@dataclass(frozen=True)
class Look:
    """Show where a trained model looks: as a player, a moving picture, or a strip.

    Attributes:
        model: the folder of a run or of a saved model, or the name of a shipped one.
        image: a picture, brought to the size of those that the model was trained on;
            when not given, the first of the test set.
        out: where to write it; the ending says what: .html, .gif or .png.
        seed: of the first location; the centre when not given.
        invert: the picture is dark on bright, and the model knows bright on dark.
        source: of the test set; that of the training when not given.
    """

    model: Positional[str]
    image: Positional[Path | None] = None
    out: Path = Path("look.html")
    seed: int | None = None
    invert: bool = False
    source: Literal["mnist", "bundled"] | None = None

    def run(self) -> None:
        """Write the file, and say what the model makes of the first picture."""
        from ramlib import figures, player  # with matplotlib

        model = RecurrentAttentionModel.from_pretrained(self.model)
        if self.image is None:
            images = images_of(model, self.model, self.source).fixed("test")[:8]
            trace = model.look(images, generator=self.seed)
        else:
            task = model.metrics.get("task", {})
            if "shape" not in task:
                raise ValueError(f"{self.model} does not say which size its images had")
            picture = read_picture(self.image, *task["shape"])
            picture = 255 - picture if self.invert else picture
            trace = model.look(picture, classes=task["classes"], generator=self.seed)
        if self.out.suffix == ".html":
            files.write(self.out, player.render(trace).encode())
        elif self.out.suffix == ".gif":
            files.write(self.out, figures.animate(trace))
        elif self.out.suffix == ".png":
            figures.strip(trace).savefig(self.out)
        else:
            raise ValueError(f"out is {self.out}; end it in .html, .gif or .png")
        best = int(trace.predictions[0, -1])
        name = trace.classes[best] if trace.classes else best
        print(f"{self.out}: {name} ({100 * trace.probs[0, -1, best]:.0f} %)")


@dataclass(frozen=True)
class Plot:
    """Draw how a run went: its errors, its loss and its reward over the epochs.

    Attributes:
        run_folder: of the run.
        out: the picture, .png or .svg; FOLDER/metrics.png when not given.
    """

    run_folder: Positional[Path]
    out: Path | None = None

    def run(self) -> None:
        """Write the picture."""
        import matplotlib.pyplot as plt

        from ramlib import figures

        lines = read_metrics(self.run_folder)
        if not lines:
            raise ValueError(f"{self.run_folder} holds no metrics of a run yet")
        figures.style()
        curves = {
            "error, %": ("train_error", "validation_error"),
            "losses": ("train_task", "train_policy", "train_baseline"),
            "reward": ("train_reward",),
        }
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
        for axis, (title, names) in zip(axes, curves.items(), strict=True):
            for name in names:
                points = [(line["epoch"], line[name]) for line in lines]
                axis.plot(*zip(*points, strict=True), label=name.replace("_", " "))
            axis.set(title=title, xlabel="epoch")
            axis.legend()
        out = self.out or self.run_folder / "metrics.png"
        figure.savefig(out)
        print(out)


@dataclass(frozen=True)
class Reproduce:
    """Train a shipped model again with all its seeds, and test each once.

    The record is printed and written into the folder. The same commit, versions, device
    and threads give the same figures again; others differ as seeds do.

    Attributes:
        name: of the experiment.
        folder: of the runs; runs/NAME when not given. Finished seeds are not repeated.
        device: "auto", "cpu", "cuda", …
        threads: of PyTorch on the CPU; 0: as it finds best.
        install: put the weights of the first seed, and the record of all, into ramlib's
            pretrained folder, replacing what is there.
        quiet: no progress bar.
    """

    name: Positional[Literal[tuple(EXPERIMENTS)]]
    folder: Path | None = None
    device: str = "auto"
    threads: int = 0
    install: bool = False
    quiet: bool = False

    def run(self) -> None:
        """Train what is not trained yet; print the record."""
        preset, seeds = EXPERIMENTS[self.name]
        root = self.folder or Path("runs") / self.name
        config, images, training = PRESETS[preset]
        task, test, runs = ImageTask.of(images), images.fixed("test"), []
        for seed in seeds:
            here = {"seed": seed, "device": self.device, "threads": self.threads}
            options = {"resume": True, "progress": not self.quiet, "preset": preset}
            model, how = new_model(config, seed), dataclasses.replace(training, **here)
            folder = root / f"seed-{seed}"
            done = train(model, task, how, folder, **options)
            best = RecurrentAttentionModel.from_pretrained(folder, self.device)
            errors = {p: evaluate(best, test, protocol=p) for p in PROTOCOLS}
            runs.append(done | {"test": errors})
        found = record(self.name, runs)
        files.write_json(root / "metrics.json", found)
        print(json.dumps(found["test"], indent=2))
        if self.install:
            first = RecurrentAttentionModel.from_pretrained(root / f"seed-{seeds[0]}")
            first.save_pretrained(files.PRETRAINED / self.name, found, overwrite=True)
            print(f"{self.name}: weights of seed {seeds[0]} installed")


@dataclass(frozen=True)
class Env:
    """Say what ramlib runs on here.

    Attributes:
        device: "auto", "cpu", "cuda", …
    """

    device: str = "auto"

    def run(self) -> None:
        """Print a line per fact."""
        facts = {"ramlib": __version__, **environment(files.choose_device(self.device))}
        for name, value in facts.items():
            print(f"{name:10s} {value}")


def images_of(
    model: RecurrentAttentionModel, name: str, source: str | None
) -> ImageConfig:
    """Find the images that a model was trained on.

    Raises:
        ValueError: if nothing says which, or they were given in Python.
    """
    config = dataclasses.asdict(ImageConfig()) | {"source": None}
    task = model.metrics.get("task", {})
    config |= {name: task[name] for name in config if name in task}
    config |= {"source": source, "images": None} if source else {}
    if config["images"] is None and config["source"] not in ("mnist", "bundled"):
        raise ValueError(
            f"{name} does not say which images it was trained on, or they were given "
            "in Python; evaluate it there, or name a --source"
        )
    return from_dict(ImageConfig, config)


def read_picture(path: Path, channels: int, height: int, width: int) -> torch.Tensor:
    """Read a picture as (1, C, H, W) uint8.

    Raises:
        OSError: if it cannot be read as one; it names the file.
    """
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        mode = {1: "L", 3: "RGB"}[channels]
        pixels = np.array(ImageOps.fit(picture.convert(mode), (width, height)))
    return torch.from_numpy(pixels).reshape(1, height, width, channels).movedim(-1, 1)


def commands(preset: str, model, images, training):
    """Give the type that tyro parses: one of the commands."""
    start = Train(model, images, training, preset)
    return (
        Annotated[Train, tyro.conf.subcommand("train", default=start)]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Look, tyro.conf.subcommand("look")]
        | Annotated[Plot, tyro.conf.subcommand("plot")]
        | Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
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
    if arguments == ["--version"]:
        print(f"ramlib {__version__}")
        return 0
    try:
        parse(arguments).run()
    except KeyboardInterrupt:
        hint = "; go on with --resume" if arguments[:1] == ["train"] else ""
        print(f"\ninterrupted{hint}")
        return 130
    except BrokenPipeError:  # nobody reads on
        sys.stderr.close()
    except FloatingPointError as error:
        print(f"ramlib: {error}", file=sys.stderr)
        return 3
    except (ValueError, TypeError, OSError, DataUnavailableError) as error:
        print(f"ramlib: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        if "memory" not in (said := str(error) or "out of memory"):
            raise
        remedy = "make the batch, the model or the images smaller"
        print(f"ramlib: {said.splitlines()[0]}; {remedy}", file=sys.stderr)
        return 2
    return 0


def parse(arguments: list[str]):
    """Parse; the defaults of `train` are those of a preset, or of the run to resume."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", nargs="?")
    first.add_argument("--folder", type=Path, nargs="?")
    first.add_argument("--resume", action="store_true")
    known, _ = first.parse_known_args(arguments)
    # An unknown preset is left for tyro to refuse, with the list of those there are.
    preset = known.preset if known.preset in PRESETS else "mnist"
    start = PRESETS[preset]
    folder = known.folder or Path("runs") / preset
    if known.resume and (folder / LAST).is_file():
        preset, *start = config_of_run(folder, known.preset)
    return tyro.cli(commands(preset, *start), args=arguments, prog="ramlib")


def config_of_run(folder: Path, preset: str | None) -> tuple:
    """Read the preset and the configs of a run that is to be resumed.

    Raises:
        ValueError: if config.json is damaged, or another preset is asked for.
    """
    path = folder / files.CONFIG
    found = files.read_json(path)
    begun = found.get("about", {}).get("preset", preset or "mnist")
    if preset not in (None, begun):
        raise ValueError(f"{folder} was begun with --preset {begun}, not {preset}")
    try:
        task = found["task"]
        images = {f.name: task[f.name] for f in dataclasses.fields(ImageConfig)}
        parts = {RAMConfig: found["model"], ImageConfig: images}
        parts |= {TrainConfig: found["train"]}
        return begun, *(from_dict(kind, values) for kind, values in parts.items())
    except KeyError as error:
        raise ValueError(f"{path} is not the config of a run: no {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
