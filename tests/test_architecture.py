"""The shape of the package: floors, what an import loads, and no pickle anywhere."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ramlib

# From the ground up: an import goes down, never up or sideways.
FLOORS = """
checks rollout trace worlds
files losses networks sensor
data figures runs worlds.still
model player
evaluation explore worlds.catch
tasks training __init__
fleet rivals
experiments
cli
__main__
"""
FLOOR = {m: n for n, line in enumerate(FLOORS.splitlines()) for m in line.split()}
PICTURES = {"checks", "figures", "player", "sensor", "trace"}

PACKAGE = Path(ramlib.__file__).parent
TREES = {}
for path in sorted(PACKAGE.rglob("*.py")):
    dotted = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    TREES[dotted] = ast.parse(path.read_text("utf-8"))
each_file = pytest.mark.parametrize("name", TREES)


def module_of(name):
    """The module on some floor that "ramlib.name" is, or is a part of."""
    parts = name.removesuffix(".__init__").split(".")
    whole = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((m for m in whole if m in FLOOR), "__init__")


def imports(name):
    """Every (module, name or None) that a file imports, at its head or within."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write it from ramlib on"
            yield from ((node.module, alias.name) for alias in node.names)


@each_file
def test_an_import_goes_down(name):
    own = module_of(name)
    assert own != "__init__" or name == "__init__", "give it a floor in this test"
    for module, x in imports(name):
        other = module_of(f"{module}.{x}".removeprefix("ramlib."))
        if module.split(".")[0] == "ramlib" and (other != own or name == own):
            assert FLOOR[other] < FLOOR[own], f"{name} imports {other}"
            # pictures see a trace, and know no model
            assert own not in ("figures", "player") or other in PICTURES, other


@each_file
def test_no_private_name_crosses_a_module(name):
    modules = {}
    for module, x in imports(name):
        whole = f"{module}.{x}".removeprefix("ramlib.")
        if module.split(".")[0] != "ramlib" or module_of(whole) == module_of(name):
            continue
        if {whole, f"{whole}.__init__"} & TREES.keys():
            modules[x] = importlib.import_module(f"ramlib.{whole}").__all__
        else:
            public = [*importlib.import_module(module).__all__, "__version__"]
            assert x in public, f"{x} is not in {module}.__all__"
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            public = modules.get(node.value.id, [node.attr])
            assert node.attr in public, f"{node.value.id}.{node.attr}"


@each_file
def test_nothing_is_pickled(name):
    loaded = {module.split(".")[0] for module, _ in imports(name)}
    assert not loaded & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and node.attr in {"save", "load"}:
            assert ast.unparse(node.value) not in {"torch", "np", "numpy"}, node.lineno
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", node.value.lineno


@pytest.mark.parametrize("name", sorted(TREES.keys() - {"__main__"}))
def test_every_public_name_has_a_docstring(name):
    module = importlib.import_module(f"ramlib.{name}".removesuffix(".__init__"))
    assert module.__doc__
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            # not what dataclass and NamedTuple would write
            assert not (value.__doc__ or f"{public}(").startswith(f"{public}("), public
        for method in vars(value).values() if inspect.isclass(value) else ():
            if inspect.isfunction(method) and not method.__name__.startswith("_"):
                assert method.__doc__, f"{public}.{method.__name__}"


def test_importing_ramlib_loads_nothing_heavy_and_opens_no_network():
    assert sorted(ramlib.__all__) == ramlib.__all__
    code = "import sys, torch, safetensors.torch; before = set(sys.modules); "
    code += "from ramlib import *; print(*set(sys.modules) - before)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert {"ramlib.model", "ramlib.losses"} <= loaded, done.stderr
    heavy = "IPython PIL ipywidgets matplotlib pandas scipy sklearn tensorboard "
    heavy += "torchvision tyro tqdm requests urllib3 ssl socket ftplib http"
    assert not set(heavy.split()) & {name.split(".")[0] for name in loaded}
