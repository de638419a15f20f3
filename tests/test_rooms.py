"""The house has floors: a room imports from below alone, and no two files import each other."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "bench"
# From the ground up. What a room imports stands before it, wherever in a file the import is: at its top, in a function,
# or for types alone.
ROOMS = (
    "errors", "text", "memory", "places", "keys", "provenance", "fork_server", "catalogue", "spec", "metrics",
    "modalities", "store", "suite", "backbones", "network", "solve", "datasets", "strategies", "unpacking", "fetching",
    "planning", "engine.train", "engine.common", "engine.reuse", "engine.fleet", "engine.search", "engine.jobs",
    "engine", "execute", "analysis", "gate", "report", "winner", "commands", "api", "cli_types", "cli_gate",
    "cli_travel", "cli", "pytest_plugin", "__main__",
)  # fmt: skip


# Torch's own code; everything else starts without it. A catalogue's entry imports its file here when it is built.
ROOMS_WITH_TORCH = {"network", "solve", "engine", "execute", "winner"}  # with the rooms in them
FILES_WITH_TORCH = {
    "bench.modalities.pixels", "bench.modalities.sending", "bench.modalities.crops", "bench.modalities.tokens",
    "bench.backbones.encoder_net",
    "bench.backbones.cifar_resnet_net", "bench.backbones.small_transformer_net", "bench.backbones.yamnet_net",
    "bench.modalities.waves", "bench.modalities.mel", "bench.backbones.torchvision_models",
    "bench.strategies.layers.beside", "bench.strategies.layers.stochastic_norm", "bench.strategies.layers.weights",
    "bench.backbones.sound_encoder_net", "bench.strategies.layers.encoders",
    "bench.strategies.layers.prompts",
}  # fmt: skip


def files():
    """Module -> path."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path, modules):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.fixture(scope="module")
def arrows():
    modules = files()
    return {
        module: {name for name in imported(path, modules) if name in modules and name not in (module, "bench")}
        for module, path in modules.items()
    }


def room_of(module):
    """The engine has rooms of its own."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts[0] == "engine" else parts[0]


def test_every_room_has_its_floor(arrows):
    assert {room_of(module) for module in arrows if module != "bench"} == set(ROOMS)


def test_no_arrow_runs_up(arrows):
    floor = {room: number for number, room in enumerate(ROOMS)}
    up = [
        f"{module} -> {name}"
        for module, names in arrows.items() if module != "bench"
        for name in names
        if floor[room_of(name)] > floor[room_of(module)]
    ]  # fmt: skip
    assert not up


def test_the_catalogues_and_the_ground_floor_start_without_torch(arrows):
    """At the top of a file, that is: what is imported at once."""
    for module, path in files().items():
        if module != "bench" and module.split(".")[1] not in ROOMS_WITH_TORCH and module not in FILES_WITH_TORCH:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {
                alias.name.split(".")[0] if isinstance(node, ast.Import) else (node.module or "").split(".")[0]
                for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }  # fmt: skip
            assert not names & {"torch", "torchvision", "timm"}, module


def test_strategies_import_at_their_top():
    """Torch comes from `lazy.py`, so nothing is left to import inside a function."""
    for module, path in files().items():
        if module.startswith("bench.strategies") and module != "bench.strategies.lazy":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inside = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}
            assert inside == {n.lineno for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)}, module


def test_no_two_files_import_each_other(arrows):
    reached = defaultdict(set)

    def below(module, path=()):
        """All that it leads to."""
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module):], module])}"
        if module not in reached:
            reached[module] = set()
            for name in sorted(arrows[module]):
                reached[module] |= {name} | below(name, (*path, module))
        return reached[module]

    for module in arrows:
        below(module)


def test_files_that_a_docstring_names_exist(arrows):
    paths = [path.relative_to(ROOT.parent).as_posix() for path in ROOT.rglob("*.py")]
    for module, path in files().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
        for name in re.findall(r"`([\w/]+\.py)`", " ".join(ast.get_docstring(node) or "" for node in nodes)):
            assert any(f"/{one}".endswith(f"/{name}") for one in paths), (module, name)
