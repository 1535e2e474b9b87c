"""The shape of the package: floors, what an import loads, and no pickle anywhere."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ramlib

PACKAGE = Path(ramlib.__file__).parent

# An import goes down, never up or sideways. The package's own __init__ is the roof.
FLOORS = {
    "sensor": 1,
    "data": 1,
    "trace": 1,
    "networks": 2,
    "model": 3,
    "losses": 4,
    "evaluation": 4,
    "runs": 4,
    "figures": 4,  # under the player, which takes its colours from here
    "training": 5,
    "player": 5,
    "explore": 6,
    "bench": 6,
    "cli": 7,
    "__main__": 8,
    "__init__": 8,
}
# A trace shows itself; it asks for the player only then, inside a method.
EXCEPTIONS = {("trace", "player")}

FILES = sorted(PACKAGE.rglob("*.py"))
each_file = pytest.mark.parametrize(
    "path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES]
)


def module_of(path):
    """The module on some floor that a file belongs to: a package is one of them."""
    return Path(path.relative_to(PACKAGE).parts[0]).stem


MODULES = {module_of(path) for path in FILES}


def imports(tree):
    """Every (dotted module, line) that a file imports, at its head or in a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def imported_floors(path):
    """The modules of ramlib that a file imports: (name, line)."""
    for name, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        assert parts[0], f"{path.name}:{line}: write {name!r} from ramlib on"
        if parts[0] == "ramlib" and len(parts) > 1:
            # `from ramlib import Name` takes it from the roof, unless it is a module
            yield (
                (parts[1] if parts[1] in MODULES | FLOORS.keys() else "__init__"),
                line,
            )


def test_every_module_stands_on_a_floor():
    without = MODULES - FLOORS.keys()
    assert not without, f"give {without} a floor in this test"


@each_file
def test_an_import_goes_down(path):
    own = module_of(path)
    for other, line in imported_floors(path):
        if other == own and path.name != f"{own}.py":
            continue  # within one package
        if (own, other) in EXCEPTIONS:
            continue
        say = f"{path.name}:{line}: {own} imports {other}, which is not below it"
        assert FLOORS[other] < FLOORS[own], say


@pytest.mark.parametrize("own", ["figures", "player"])
def test_pictures_see_a_trace_and_know_no_model(own):
    for path in (path for path in FILES if module_of(path) == own):
        known = {other for other, _ in imported_floors(path)}
        assert known <= {"sensor", "trace", "figures", own}, path.name


def test_the_player_is_imported_by_a_trace_inside_a_method_only():
    tree = ast.parse((PACKAGE / "trace.py").read_text(encoding="utf-8"))
    at_the_head = [name for node in tree.body for name, _ in imports_of_one(node)]
    assert not any("player" in name for name in at_the_head)


def imports_of_one(node):
    is_import = isinstance(node, ast.Import | ast.ImportFrom)
    return imports(ast.Module([node], [])) if is_import else []


@each_file
def test_nothing_is_pickled(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {name.split(".")[0] for name, _ in imports(tree)}
    assert not modules & {
        "pickle",
        "cPickle",
        "dill",
        "cloudpickle",
        "joblib",
        "shelve",
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"save", "load"}:
            called_on = ast.unparse(node.value)
            assert called_on not in {"torch", "np", "numpy"}, f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", f"line {node.value.lineno}"


@each_file
def test_every_public_name_has_a_docstring(path):
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name.removesuffix(".__init__"))
    assert module.__doc__
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue  # a constant is explained beside it
        assert (value.__doc__ or "").strip(), public
        generated = f"{value.__name__}("  # what dataclass and NamedTuple would write
        assert not value.__doc__.startswith(generated), public
        if inspect.isclass(value):
            for method_name, method in vars(value).items():
                if inspect.isfunction(method) and not method_name.startswith("_"):
                    assert method.__doc__, f"{public}.{method_name}"


def test_the_package_offers_what_it_promises():
    assert sorted(ramlib.__all__) == ramlib.__all__
    for name in ramlib.__all__:
        assert hasattr(ramlib, name)
    promised = {
        "RAMConfig",
        "RecurrentAttentionModel",
        "GlimpseSensor",
        "GlimpseNetwork",
        "CoreNetwork",
        "LocationNetwork",
        "ValueNetwork",
        "ActionNetwork",
        "hybrid_loss",
        "reinforce_loss",
        "baseline_loss",
    }
    assert promised <= set(ramlib.__all__)


@pytest.fixture(scope="module")
def loaded():
    """The modules that `import ramlib` loads, beyond those that torch does."""
    code = (
        "import sys, torch, safetensors.torch; before = set(sys.modules); "
        "import ramlib; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(done.stdout.split())


def test_importing_ramlib_loads_nothing_heavy(loaded):
    heavy = {"ipywidgets", "IPython", "matplotlib", "sklearn", "torchvision", "scipy"}
    heavy |= {"pandas", "PIL", "tyro", "tensorboard"}
    assert not heavy & {name.split(".")[0] for name in loaded}


def test_importing_ramlib_opens_no_network_module(loaded):
    assert {"ramlib.model", "ramlib.losses"} <= loaded
    network = {"urllib.request", "http.client", "socket", "ssl", "requests", "ftplib"}
    assert not network & loaded
    for name in loaded:
        if name.startswith("ramlib"):
            module = sys.modules[name]
            tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
            named = {imported for imported, _ in imports(tree)}
            assert not any(entry.startswith(tuple(network)) for entry in named), name
