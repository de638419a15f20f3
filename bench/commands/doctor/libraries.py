"""Versions of Python and the libraries against what the project asks for. Nothing is imported to learn them."""

import importlib.metadata
import platform
import re
import tomllib
from pathlib import Path

from bench import backbones, catalogue, datasets, strategies
from bench.commands.doctor.check import Check
from bench.errors import BenchError

PROJECT = "transfer-bench"
CHECKOUT = Path(__file__).resolve().parents[3] / "pyproject.toml"
INSTALL = "install the project again (pip install -e .)"
CATALOGUES = {"dataset": datasets.find, "backbone": backbones.find, "strategy": strategies.find}


def check_python() -> Check:
    floor, _ = wanted()
    have = platform.python_version()
    if numbers(have) < numbers(floor):
        return Check("Python", "fails", f"{have}, but the project needs {floor} or newer: make an environment with one")
    return Check("Python", "ok", f"{have} ({platform.system()} {platform.machine()})")


def check_versions() -> list[Check]:
    _, floors = wanted()
    return [_check_version(name, floor) for name, floor in floors.items()]


def _check_version(name: str, floor: str) -> Check:
    try:
        have = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "fails", f"not installed, {floor} or newer is needed: {INSTALL}")
    if numbers(have) < numbers(floor):
        return Check(name, "fails", f"{have} is too old, {floor} or newer is needed: {INSTALL}")
    return Check(name, "ok", have)


def wanted() -> tuple[str, dict[str, str]]:
    """The lowest Python, and library -> its lowest version: from the checkout, else from the installed project."""
    try:
        project = tomllib.loads(CHECKOUT.read_text())["project"]
        python, lines = project["requires-python"], project["dependencies"]
    except (OSError, KeyError):
        try:
            meta = importlib.metadata.metadata(PROJECT)
        except importlib.metadata.PackageNotFoundError:
            raise BenchError(f"{PROJECT} is neither a checkout nor installed, so what it needs is unknown") from None
        python = meta["Requires-Python"]
        lines = [line for line in meta.get_all("Requires-Dist") or [] if "extra ==" not in line]
    return python.removeprefix(">="), dict(floor for line in lines if (floor := _floor(line)))


def _floor(requirement: str) -> tuple[str, str] | None:
    match = re.match(r"([\w.-]+)\s*>=\s*([\w.]+)", requirement)
    return (match[1], match[2]) if match else None


def numbers(version: str) -> tuple[int, ...]:
    """2.11.0+cu128 -> (2, 11): enough to compare with a floor. Trailing zeros go, or 2.0 would be under 2.0.0."""
    found = [int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part]  # type: ignore[index]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def check_entry_points() -> list[Check]:
    """Third parties' entries that cannot be used; those that can are in `bench list`."""
    broken = []
    for kind, find in CATALOGUES.items():
        for name in catalogue.third_party(kind):
            try:
                find(name)
            except BenchError as error:
                broken.append(Check(f"{kind} {name}", "warning", f"{error}; mend or remove the package it comes from"))
    return broken
