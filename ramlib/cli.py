"""The command line: `ramlib train`, `evaluate`, `look`, `plot`, `reproduce` and `env`.

Every command is a function, and its arguments are the options. Every field of
`RAMConfig`, `ImageConfig` and `TrainConfig` is an option of `ramlib train`; a preset
gives their defaults.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import tyro
from torch import Tensor

from ramlib import __version__, evaluation, files, fleet, rivals, runs, training
from ramlib.checks import Seed, check, checked, from_dict
from ramlib.evaluation import PROTOCOLS
from ramlib.experiments import EXPERIMENTS, PRESETS, check_same, record, state
from ramlib.model import RAMConfig, RecurrentAttentionModel
from ramlib.tasks import ImageConfig, ImageTask
from ramlib.training import TrainConfig

__all__ = ["main"]

Prefixless = tyro.conf.OmitArgPrefixes
Positional = tyro.conf.Positional
Digits = Literal["mnist", "bundled"]


def command(function: Callable) -> Callable:
    """Make a command of a function: given its options, it is ready to run."""
    # The help breaks lines where they are full, not where the docstring does.
    function.__doc__ = (function.__doc__ or "").replace("\n" + 12 * " ", " ")

    @functools.wraps(function)
    def ready(**options) -> Callable[[], None]:
        return functools.partial(function, **options)

    return ready


def train(
    model: Prefixless[RAMConfig],
    images: Prefixless[ImageConfig],
    train: Prefixless[TrainConfig],
    preset: Literal[tuple(PRESETS)] = "mnist",
    folder: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> None:
    """Train a model and keep the run in a folder.

    Args:
        model: the model.
        images: what it looks at.
        train: the training.
        preset: where the defaults of all other options come from.
        folder: of the run; runs/PRESET when not given.
        resume: go on with the run in the folder, or begin it. More --epochs make a
            finished run go on.
        quiet: no progress bar.
    """
    folder = folder or Path("runs") / preset
    task = ImageTask.of(images)
    if images.images:  # channels and classes are the data's, unless given
        data, usual = task.train, RAMConfig()
        found = {"num_channels": data.num_channels, "num_actions": data.num_classes}
        found = {k: v for k, v in found.items() if vars(model)[k] == vars(usual)[k]}
        model = dataclasses.replace(model, **found)
    start = training.new_model(model, train.seed)
    options = {"resume": resume, "progress": not quiet, "preset": preset}
    done = training.train(start, task, train, folder, **options)
    print(
        f"{folder}: validation error {done['validation_error']:.2f} % at epoch "
        f"{done['best_epoch']} (trained for {done['seconds']:.0f} s).\n"
        f"Test it once with: ramlib evaluate {folder}\n"
        f"See it look with: ramlib look {folder}"
    )


def evaluate(
    model: Positional[str],
    split: Literal["test", "validation"] = "test",
    num_rollouts: int = 10,
    seed: int = 0,
    device: str = "auto",
    source: Digits | None = None,
) -> None:
    """Measure the error of a trained model by three protocols.

    "mean" is one pass in which the model looks where its policy is likeliest to, the
    headline figure; "sampled" is one pass in which it samples places as in training;
    "average" averages the class probabilities of several sampled passes.

    Args:
        model: the folder of a run or of a saved model, or the name of a shipped one.
        split: "test", or "validation".
        num_rollouts: passes of the averaged protocol.
        seed: of the first locations and the noise.
        device: "auto", "cpu", "cuda", …
        source: of the digits; that of the training when not given.
    """
    trained = RecurrentAttentionModel.from_pretrained(model, device)
    data = images_of(trained, model, source).fixed(split)
    print(f"{model} on {len(data)} {split} images of {data.name}")
    options = {"num_rollouts": num_rollouts, "seed": seed}
    for protocol in PROTOCOLS:
        found = evaluation.evaluate(trained, data, protocol=protocol, **options)
        error, wrong = found["error"], found["wrong"]
        print(f"  {protocol:8s} {error:6.2f} %  ({wrong} wrong, seed {seed})")


def look(
    model: Positional[str],
    image: Positional[Path | None] = None,
    out: Path = Path("look.html"),
    seed: int | None = None,
    invert: bool = False,
    source: Digits | None = None,
) -> None:
    """Show where a trained model looks: as a player, a moving picture, or a strip.

    Args:
        model: the folder of a run or of a saved model, or the name of a shipped one.
        image: a picture, brought to the size of those that the model was trained on;
            when not given, the first of the test set.
        out: where to write it; the ending says what: .html, .gif or .png.
        seed: of the first location; the centre when not given.
        invert: the picture is dark on bright, and the model knows bright on dark.
        source: of the test set; that of the training when not given.
    """
    from ramlib import figures, player  # with matplotlib

    check("seed", seed, Seed | None)
    trained = RecurrentAttentionModel.from_pretrained(model)
    if image is None:
        images = images_of(trained, model, source).fixed("test")[:8]
        trace = trained.look(images, generator=seed)
    else:
        task = trained.metrics.get("task", {})
        if "shape" not in task:
            raise ValueError(f"{model} does not say which size its images had")
        picture = read_picture(image, *task["shape"])
        picture = 255 - picture if invert else picture
        trace = trained.look(picture, classes=task["classes"], generator=seed)
    if out.suffix == ".html":
        files.write(out, player.render(trace).encode())
    elif out.suffix == ".gif":
        files.write(out, figures.animate(trace))
    elif out.suffix == ".png":
        figures.picture(figures.strip, trace, dpi=110, colors=256).save(out)
    else:
        raise ValueError(f"out is {out}; end it in .html, .gif or .png")
    best = int(trace.predictions[0, -1])
    name = trace.classes[best] if trace.classes else best
    print(f"{out}: {name} ({100 * trace.probs[0, -1, best]:.0f} %)")


def plot(run_folder: Positional[Path], out: Path | None = None) -> None:
    """Draw how a run went: its errors, its loss and its reward over the epochs.

    Args:
        run_folder: of the run.
        out: the picture, .png or .svg; FOLDER/metrics.png when not given.
    """
    import matplotlib.pyplot as plt

    from ramlib import figures

    lines = runs.read_metrics(run_folder)
    if not lines:
        raise ValueError(f"{run_folder} holds no metrics of a run yet")
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
    out = out or run_folder / "metrics.png"
    figure.savefig(out)
    print(out)


def reproduce(
    name: Positional[Literal[tuple(EXPERIMENTS)] | None] = None,
    seeds: tuple[int, ...] = (),
    folder: Path | None = None,
    device: str = "auto",
    threads: int = 0,
    install: bool = False,
    list: bool = False,
    quiet: bool = False,
) -> None:
    """Train a named experiment again, test every seed once, and write the record.

    The record is printed and written into the folder. The same commit, versions, device
    and threads give the same figures again; others differ as seeds do. On a GPU the
    seeds are trained side by side.

    Args:
        name: of the experiment.
        seeds: some of the experiment's; all when not given. The record then keeps those
            that are recorded already.
        folder: of the runs; runs/NAME when not given. What it holds is not repeated.
        device: "auto", "cpu", "cuda", …
        threads: of PyTorch on the CPU; 0: as it finds best.
        install: put the record into ramlib's pretrained folder and, where the
            experiment's weights come with ramlib, those of the seed that did best on
            the validation set.
        list: list all experiments, and the state of each.
        quiet: no progress bar.
    """
    if list:
        for each in EXPERIMENTS:
            print(f"{each:28s} {state(each)}")
        return
    if name is None:
        raise ValueError("name an experiment; --list says which there are")
    (config, images, how), known, ships = EXPERIMENTS[name]
    if unknown := set(seeds) - set(known):
        raise ValueError(f"seeds are {sorted(unknown)}, not of {known}; choose of them")
    root, shipped = folder or Path("runs") / name, files.PRETRAINED / name
    recorded, test = shipped / files.METRICS, images.fixed("test")
    some, seeds = bool(seeds), seeds or known
    how = dataclasses.replace(how, device=device, threads=threads)
    options = {"resume": True, "progress": not quiet, "experiment": name}

    def earlier() -> dict | None:
        """Read what is recorded; late, for another seed may have been since."""
        return files.read_json(recorded) if some and recorded.is_file() else None

    on_gpu = files.choose_device(device).type == "cuda"
    run = fleet.train_together if on_gpu else training.train_in_turn
    rival = isinstance(config, rivals.RivalConfig)
    task = (rivals.RivalTask if rival else ImageTask).of(images)
    if rival:
        run = functools.partial(training.train_in_turn, kind=rivals.Rival)
        options["trainer"] = rivals.RivalTrainer
    now = {"model": config, "train": how}
    parts = {part: dataclasses.asdict(value) for part, value in now.items()}
    if before := earlier():
        check_same(name, before, parts | {"task": task.record()})
    trained = run(config, task, how, seeds, root, **options)
    for model, done in trained:
        if rival:
            done["test"] = {"mean": rivals.evaluate(model, test)}
            continue
        found = {p: evaluation.evaluate(model, test, protocol=p) for p in PROTOCOLS}
        done["test"] = found
    found = record(name, [done for _, done in trained], earlier())
    if ships:
        if found["shipped"] in seeds:
            best = trained[seeds.index(found["shipped"])][0].cpu()
        else:
            best = RecurrentAttentionModel.from_pretrained(shipped)
        rounded = copy.deepcopy(best).half().float()  # as the page has it
        found["half_precision"] = evaluation.evaluate(rounded, test)
    files.write_json(root / files.METRICS, found)
    print(json.dumps(found["test"], indent=2))
    if install and ships:
        best.save_pretrained(shipped, found, overwrite=True)
        print(f"{name}: recorded, with the weights of seed {found['shipped']}")
    elif install:
        shipped.mkdir(parents=True, exist_ok=True)
        files.write_json(recorded, found)
        print(f"{name}: recorded")


def env(device: str = "auto") -> None:
    """Say what ramlib runs on here.

    Args:
        device: "auto", "cpu", "cuda", …
    """
    found = runs.environment(files.choose_device(device))
    for name, value in {"ramlib": __version__, **found}.items():
        print(f"{name:10s} {value}")


def read_picture(path: Path, channels: int, height: int, width: int) -> Tensor:
    """Read a picture as (1, C, H, W) uint8.

    Raises:
        OSError: if it cannot be read as one; it names the file.
    """
    from PIL import Image, ImageOps
    from torchvision.transforms.functional import pil_to_tensor

    with Image.open(path) as picture:
        picture = picture.convert("RGB" if channels == 3 else "L")
        return pil_to_tensor(ImageOps.fit(picture, (width, height)))[None]


@checked
def known_to_images(task: dict) -> dict:
    """Take the fields of `ImageConfig` out of a task's record."""
    names = [field.name for field in dataclasses.fields(ImageConfig)]
    return {name: task[name] for name in names if name in task}


def images_of(model, name: str, source: str | None) -> ImageConfig:
    """Find the images that a model was trained on.

    Raises:
        ValueError: if nothing says which, or they were given in Python.
    """
    config = known_to_images(model.metrics.get("task", {}))
    config |= {"source": source, "images": None} if source else {}
    if not config.get("images") and config.get("source") not in get_args(Digits):
        raise ValueError(
            f"{name} does not say which images it was trained on, or they were given "
            "in Python; evaluate it there, or name a --source"
        )
    return ImageConfig(**config)


def begun(folder: Path, preset: str | None) -> dict:
    """Read how a run was begun that is to be resumed: the options of `train`.

    Raises:
        ValueError: if config.json is damaged, or another preset is asked for.
    """
    path = folder / files.CONFIG
    found = files.read_json(path)
    kinds = {"model": RAMConfig, "images": ImageConfig, "train": TrainConfig}
    try:
        about = check("about", found.get("about", {}), dict)
        found["images"] = known_to_images(found.get("task", {}))
        found = {k: from_dict(kind, found.get(k)) for k, kind in kinds.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    before = about.get("preset", preset or "mnist")
    if preset not in (None, before):
        raise ValueError(f"{folder} was begun with --preset {before}, not {preset}")
    return found | {"preset": before}


def parse(arguments: list[str]) -> Callable[[], None]:
    """Give the command, ready to run.

    The defaults of `train` are those of a preset, or of the run to resume.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", nargs="?")
    first.add_argument("--folder", type=Path, nargs="?")
    first.add_argument("--core", nargs="?")
    first.add_argument("--use-lstm", action="store_true")
    first.add_argument("--resume", action="store_true")
    known, _ = first.parse_known_args(arguments)
    # An unknown preset is left for tyro to refuse, with the list of those there are.
    preset = known.preset if known.preset in PRESETS else "mnist"
    start = PRESETS[preset]._asdict() | {"preset": preset}
    if known.use_lstm or known.core in ("lstm", "gru"):  # they have no such matrix
        start["model"] = dataclasses.replace(start["model"], identity_init=0.0)
    folder = known.folder or Path("runs") / preset
    if known.resume and (folder / runs.LAST).is_file():
        start = begun(folder, known.preset)
    functions = (train, evaluate, look, plot, reproduce, env)
    commands = {function.__name__: command(function) for function in functions}
    commands["train"] = functools.partial(commands["train"], **start)
    return tyro.extras.subcommand_cli_from_dict(commands, prog="ramlib", args=arguments)


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
        parse(arguments)()
    except KeyboardInterrupt:
        hint = "; go on with --resume" if arguments[:1] == ["train"] else ""
        print(f"\ninterrupted{hint}")
        return 130
    except BrokenPipeError:  # nobody reads on
        sys.stderr.close()
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"ramlib: {error}", file=sys.stderr)
        return 3 if isinstance(error, FloatingPointError) else 2
    except (RuntimeError, MemoryError) as error:
        if "memory" not in (said := str(error) or "out of memory"):
            raise
        remedy = "make the batch, the model or the images smaller"
        print(f"ramlib: {said.splitlines()[0]}; {remedy}", file=sys.stderr)
        return 2
    return 0
