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
INSTALL = "install it again: `pip install -e .` in a checkout, else the wheel"
EXTRAS = {"text": "texts", "audio": "sound"}  # what data need them
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


def check_extras() -> list[Check]:
    """Who has pictures alone needs none of them, so that a lack is no fault."""
    return [_check_extra(extra, data, wanted(extra)[1]) for extra, data in EXTRAS.items()]


def _check_extra(extra: str, data: str, floors: dict[str, str]) -> Check:
    have = {name: _installed(name) for name in floors}
    lacking = [name for name, version in have.items() if version is None]
    install = f"pip install '{PROJECT}[{extra}]'"
    if lacking:
        return Check(f"extra {extra}", "ok", f"only for {data}; not installed: {', '.join(lacking)} ({install})")
    old = [f"{name} {version} is too old, {floors[name]} or newer is needed" for name, version in have.items()
           if version is not None and numbers(version) < numbers(floors[name])]  # fmt: skip
    if old:
        return Check(f"extra {extra}", "warning", f"only for {data}; {'; '.join(old)}: {install}")
    return Check(f"extra {extra}", "ok", ", ".join(f"{name} {version}" for name, version in have.items()))


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check_version(name: str, floor: str) -> Check:
    have = _installed(name)
    if have is None:
        return Check(name, "fails", f"not installed, {floor} or newer is needed: {INSTALL}")
    if numbers(have) < numbers(floor):
        return Check(name, "fails", f"{have} is too old, {floor} or newer is needed: {INSTALL}")
    return Check(name, "ok", have)


def wanted(extra: str = "") -> tuple[str, dict[str, str]]:
    """The lowest Python, and library -> its lowest version: from the checkout, else from the installed project. Of an
    extra, its own libraries."""
    try:
        project = tomllib.loads(CHECKOUT.read_text())["project"]
        python = project["requires-python"]
        lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    except (OSError, KeyError):
        try:
            meta = importlib.metadata.metadata(PROJECT)
        except importlib.metadata.PackageNotFoundError:
            raise BenchError(f"{PROJECT} is neither a checkout nor installed, so what it needs is unknown") from None
        python = meta["Requires-Python"]
        lines = [line for line in meta.get_all("Requires-Dist") or [] if _extra_of(line) == extra]
    return python.removeprefix(">="), dict(floor for line in lines if (floor := _floor(line)))


def _extra_of(requirement: str) -> str:
    """`transformers>=5; extra == "text"` -> `text`; "" for what everybody needs."""
    match = re.search(r"""extra == ['"]([\w.-]+)""", requirement)
    return match[1] if match else ""


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
