"""Suites by their names."""

from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite.load import load_suite
from bench.suite.shipped import located

from .conftest import SMALL

ROOT = Path(__file__).parents[2]


def test_a_name_is_a_file_here_or_a_suite_here_or_a_shipped_one(in_tmp: Path) -> None:
    assert located(Path("quickstart")).samefile(ROOT / "suites" / "quickstart.yaml")
    assert load_suite(Path("quickstart")).suite.name == "quickstart"
    here = Path("suites/quickstart.yaml")
    here.write_text(SMALL)
    assert located(Path("quickstart")) == here
    Path("quickstart").write_text(SMALL)
    assert located(Path("quickstart")) == Path("quickstart")


def test_a_path_is_no_name(in_tmp: Path) -> None:
    for typed in ("quickstart.yaml", "elsewhere/quickstart"):
        assert located(Path(typed)) == Path(typed)


def test_a_name_beside_it_is_suggested(in_tmp: Path) -> None:
    with pytest.raises(SuiteError, match=r"^nihgtly: no such file; did you mean nightly\?$"):
        load_suite(Path("nihgtly"))
