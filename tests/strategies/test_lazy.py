"""Strategies name torch at their top, and it is imported when it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import torch

import bench
from bench.network import capture
from bench.strategies import lazy

ROOT = Path(bench.__file__).parents[1]
WHY = "a file of bench/strategies uses torch at its top level, or lacks `from __future__ import annotations`"


def halves():
    """Name -> module, as the type checker reads it and as it runs."""
    tree = ast.parse(Path(lazy.__file__).read_text(encoding="utf-8"))
    (fork,) = (node for node in tree.body if isinstance(node, ast.If))
    read = {}
    for node in fork.body:
        for alias in node.names:
            owner = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            read[alias.asname or alias.name] = f"{owner}{alias.name}"
    return read, {node.targets[0].id: node.value.args[0].value for node in fork.orelse}


def test_the_type_checker_reads_what_runs():
    read, runs = halves()
    assert read == runs
    assert sorted(read) == sorted(lazy.__all__)
    assert {name: getattr(lazy, name).__name__ for name in lazy.__all__} == read


def test_a_lazy_module_is_the_module():
    assert lazy.torch.Tensor is torch.Tensor
    assert lazy.nn.Linear is torch.nn.Linear
    assert lazy.F.cross_entropy is torch.nn.functional.cross_entropy
    assert lazy.capture.watched is capture.watched
    assert sys.modules["torch"] is torch


def test_every_recipe_is_made_without_torch():
    code = """
import sys
from bench.keys import digest
from bench.strategies import STRATEGIES
given = {"layer_probe": {"unit": 1}, "freeze": {"upto": 1}, "transplant": {"keep": 1},
         "intermediate": {"dataset": "digits"}}
for name, entry in STRATEGIES.items():
    options = entry.options.model_validate(given.get(name, {}))
    digest(entry.build(options, 4))
print([name for name in ("torch", "torchvision", "timm", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]", WHY
