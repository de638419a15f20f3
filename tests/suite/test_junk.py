"""Whatever is thrown at the door, it opens or it says why: a Suite or a SuiteError, and never another exception."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.errors import SuiteError
from bench.keys import digest
from bench.suite.load import load_suite

VALID: dict[str, Any] = {
    "name": "junk",
    "description": "",
    "datasets": ["near", {"name": "d", "labels_per_class": [5, "full"], "fraction": 0.5, "options": {"a": [1]}}],
    "backbones": ["r", {"name": "s", "pretrain": {"dataset": "near", "lr": 0.1}, "mean": [0, 0.5, 1]}],
    "strategies": [
        "scratch",
        {"freeze": {"upto": "all"}},
        {"recipe": {"name": "two", "phases": [{"share": 0.5, "rates": {"-1": 1}}, {"share": 0.5, "rates": {"a": 1}}]}},
    ],
    "training": {"steps": 10, "augment": {"flip": True, "shift": 2}, "momentum": 0},
    "search": {"lr": [0.001, 1], "validation": {"folds": 3}},
    "repeats": 2,
}

# Words the door knows, so that junk gets past the first room.
WORDS = st.sampled_from(
    ["name", "datasets", "strategies", "training", "search", "options", "recipe", "phases", "rates", "lr", "low"]
    + ["validation", "folds", "FoldsSpec", "steps", "labels_per_class", "full", "label", "pretrain", "auto", "scratch"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
LEAKS = ("Input should", "pydantic", "validation error", "Value error", "type=", "Traceback", "ruamel", "object at 0x")

junk = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("junk") / "x.yaml"


def assert_opens_or_explains(path: Path, content: bytes, *overrides: str) -> bool:
    """Whether it opened. What opened must have a key; what did not must say so in clean single lines."""
    path.write_bytes(content)
    try:
        loaded = load_suite(path, overrides)
    except SuiteError as error:
        problems = error.problems
    else:
        digest(loaded.suite.model_dump())
        return True
    assert problems
    for line in problems:
        assert line.startswith((str(path), "--set "))
        assert line.isprintable()
        assert not any(leak in line.removeprefix(str(path)) for leak in LEAKS), line
    return False


@junk
@given(st.binary(max_size=60))
def test_bytes(path: Path, content: bytes) -> None:
    assert_opens_or_explains(path, content)


@junk
@given(st.text(alphabet="ab:-[]{},&*!|>'\"%#?@`\\ \n\t0.~<=", max_size=40))
@example('"\\U99999999"')
@example("%YAML 1.1\n---\na: no")
@example("%FOO\n---\na")
@example("a: &a {b: *a}")
@example("? ? a")
@example("a: " + "9" * 5000)
@example("<<: *a")
@example("seed: 0o17\nrepeats: 0x")
def test_text(path: Path, content: str) -> None:
    assert_opens_or_explains(path, content.encode())


@junk
@given(JUNK)
def test_anything_like_json(path: Path, value: Any) -> None:
    assert_opens_or_explains(path, json.dumps(value).encode())


def places(value: Any, loc: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [loc, *(place for part, child in below for place in places(child, (*loc, part)))]


@junk
@given(st.sampled_from(places(VALID)[1:]), JUNK, st.none() | WORDS)
def test_a_valid_suite_with_one_part_replaced(path: Path, loc: tuple[Any, ...], value: Any, key: str | None) -> None:
    suite = copy.deepcopy(VALID)
    parent = suite
    for part in loc[:-1]:
        parent = parent[part]
    parent[loc[-1]] = value
    if key is not None and isinstance(parent, dict):
        parent[key] = value
    assert_opens_or_explains(path, json.dumps(suite).encode())


@junk
@given(st.text(max_size=30) | st.builds("{}={}".format, WORDS, JUNK.map(json.dumps)))
def test_overrides(path: Path, override: str) -> None:
    assert_opens_or_explains(path, json.dumps(VALID).encode(), override)


def test_the_valid_suite_opens(path: Path) -> None:
    assert assert_opens_or_explains(path, json.dumps(VALID).encode())
