"""results/README.md describes the record that there is."""

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

import bench
from bench.store import Record
from bench.store.record import Kind, Status

README = (Path(bench.__file__).parents[1] / "results" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*(field.name for field in dataclasses.fields(Record)), *get_args(Status)])
def test_every_field_and_status_has_its_row(name):
    assert README.count(f"\n| `{name}` |") == 1


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_is_told(kind):
    assert f"`{kind}`" in README
