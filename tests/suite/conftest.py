"""A small valid suite, and a door to knock at: `refused(text)` gives the lines a person would read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite.load import LoadedSuite, load_suite

SMALL = """\
name: small
datasets:
  - near
  - {name: digits, labels_per_class: [5, full]}
backbones: [resnet18.a1_in1k]
strategies:
  - scratch
  - {freeze: {upto: all}}
search: {trials: 2}
"""

Refused = Callable[..., list[str]]
Loaded = Callable[..., LoadedSuite]


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in messages are as typed, so tests type a short one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    return Path("suites/x.yaml")


@pytest.fixture
def loaded(in_tmp: Path) -> Loaded:
    def load(text: str, *overrides: str) -> LoadedSuite:
        in_tmp.write_text(text, encoding="utf-8")
        return load_suite(in_tmp, overrides)

    return load


@pytest.fixture
def refused(loaded: Loaded) -> Refused:
    def problems(text: str, *overrides: str) -> list[str]:
        with pytest.raises(SuiteError) as caught:
            loaded(text, *overrides)
        assert caught.value.exit_code == 2
        assert str(caught.value) == "\n".join(caught.value.problems)
        return list(caught.value.problems)

    return problems
