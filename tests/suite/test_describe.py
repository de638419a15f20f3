"""The reference and the JSON Schema say what the door does."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from bench.suite import schema
from bench.suite.describe import json_schema, reference_markdown
from bench.suite.load import load_suite
from bench.suite.search_schema import Range

from .conftest import SMALL, Loaded, Refused
from .json_schema_check import accepts

ROOT = Path(__file__).parents[2]
SECTIONS = [s for s in vars(schema).values() if isinstance(s, type) and issubclass(s, BaseModel)]


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "suites" / "README.md").read_text(encoding="utf-8")
    assert written == reference_markdown(), "run: python -m bench.suite.describe > suites/README.md"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_described(section: type[BaseModel]) -> None:
    assert [name for name, info in section.model_fields.items() if not info.description] == []
    if section is not Range:  # described by its type alone, wherever it stands
        assert all(f"| `{name}` |" in reference_markdown() for name in section.model_fields)


def test_types_and_defaults_in_plain_words() -> None:
    rows = reference_markdown().splitlines()
    assert "| `steps` | a whole number above 0 | unset |" in "\n".join(rows)
    assert any(row.startswith("| `flip` | true or false | `false` | Mirror") for row in rows)
    assert any(row.startswith("| `name` | text of 1 to 300 characters | required |") for row in rows)
    assert any(row.startswith("| `sampler` | 'bracket', 'grid', 'tpe' or 'random' | `bracket` |") for row in rows)


def test_the_example_in_the_reference_is_valid(loaded: Loaded) -> None:
    text = reference_markdown().split("```yaml\n")[1].split("```")[0]
    assert loaded(text).suite.name == "low_data"
    assert accepts(json_schema(), YAML(typ="safe", pure=True).load(text))


FULL: dict[str, Any] = {
    "name": "full",
    "datasets": ["near", {"name": "d", "labels_per_class": 5, "fraction": [0.5], "total": None, "options": {"a": 1}}],
    "backbones": ["r", {"name": "s", "pretrain": {"dataset": "near"}, "mean": [0, 0, 0], "units": "fine"}],
    "strategies": [
        "scratch",
        {"freeze": {"upto": "all"}},
        {"lora": None},
        {"name": "lora", "options": {"rank": 8}},
        {"recipe": {"name": "a", "phases": [{"rates": {"head": 1, "rest": 0}}]}},
    ],
    "training": {"steps": 1000.0, "augment": None},
    "search": {"lr": [0.001, 1], "weight_decay": {"low": 0.1, "high": 1}, "validation": {"folds": 3}},
    "engine": None,
}

BROKEN = {
    "no datasets": ("datasets", []),
    "unknown key": ("stps", 1),
    "text for a number": ("repeats", "20"),
    "negative": ("training", {"momentum": -1}),
    "range of one": ("search", {"lr": [1]}),
    "range of text": ("search", {"lr": ["a", "b"]}),
    "choice": ("search", {"sampler": "best"}),
    "folds": ("search", {"validation": {"folds": 1}}),
    "options": ("strategies", [{"freeze": "all"}]),
    "recipe": ("strategies", [{"recipe": {"name": "a"}}]),
    "name": ("name", "../up"),
    "budget": ("datasets", [{"name": "a", "labels_per_class": 0}]),
}


@pytest.mark.parametrize("suite", [YAML(typ="safe", pure=True).load(SMALL), FULL])
def test_schema_and_door_accept(loaded: Loaded, suite: dict[str, Any]) -> None:
    assert accepts(json_schema(), suite)
    loaded(json.dumps(suite))


@pytest.mark.parametrize(("key", "value"), BROKEN.values(), ids=BROKEN)
def test_schema_and_door_refuse(refused: Refused, key: str, value: Any) -> None:
    suite = copy.deepcopy(FULL)
    suite[key] = value
    assert not accepts(json_schema(), suite)
    refused(json.dumps(suite))


def test_every_suite_of_the_project_is_valid() -> None:
    for path in sorted((ROOT / "suites").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert load_suite(path).suite.name == (path.stem if path.stem != "folder_template" else "my_images")
        assert accepts(json_schema(), YAML(typ="safe", pure=True).load(text)), path.name


def test_schema_is_json_for_editors() -> None:
    found = json_schema()
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["properties"]["repeats"]["description"].startswith("How often each cell is trained")
    assert json_schema() == found
