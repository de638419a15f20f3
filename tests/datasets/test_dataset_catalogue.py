"""What the catalogue holds, what it says of a wrong name or option, and how third parties come in."""

import subprocess
import sys
from pathlib import Path

import pytest

import bench.datasets
from bench.catalogue import OptionProblems
from bench.datasets import DATASETS, DatasetFacts, find, names, parse_options
from bench.errors import BenchError


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package on sys.path that offers datasets."""

    def installer(source, **points):
        (tmp_path / "their_data.py").write_text(source)
        info = tmp_path / "their_data-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-data\nVersion: 1.0\n")
        lines = "".join(f"{name} = {target}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(f"[bench.datasets]\n{lines}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "their_data", raising=False)

    return installer


EMBEDDED = [name for name, entry in DATASETS.items() if not entry.is_read]


@pytest.mark.parametrize("name", EMBEDDED)
def test_each_entry_stands_under_its_own_name(name):
    entry = find(name)
    assert entry.name == name
    assert entry.summary
    facts = entry.facts(parse_options(entry, {}))
    assert isinstance(facts, DatasetFacts)
    assert name in facts.revision
    assert name in (Path(bench.datasets.__file__).with_name("README.md")).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EMBEDDED)
def test_every_option_is_explained_and_changes_the_revision(name):
    entry = find(name)
    plain = parse_options(entry, {})
    for option, spec in entry.options.model_fields.items():
        assert spec.description
        moved = parse_options(entry, {option: 1 if option == "style" else getattr(plain, option) + 1})
        assert entry.facts(moved).revision != entry.facts(plain).revision


def test_numbers_are_normalised_before_they_reach_a_key():
    near = find("near")
    assert near.facts(parse_options(near, {"style": 1})) == near.facts(parse_options(near, {"style": 1.0}))


def test_an_unknown_name_gets_the_nearest():
    near = "'digits' or 'spoken_digits' or 'dtd'"
    with pytest.raises(BenchError, match=rf"unknown dataset 'digit'; did you mean {near}\? \(`python"):
        find("digit")


def test_all_wrong_options_are_told_at_once():
    with pytest.raises(OptionProblems) as caught:
        parse_options(find("mid"), {"stile": 0.5, "seed": "one", "style": 2.0})
    told = dict(caught.value.problems)
    assert told.keys() == {"stile", "seed", "style"}
    assert "no option 'stile'; did you mean 'style'?" in told["stile"]
    assert "train_per_class: int = 200" in told["stile"]
    assert "expected a valid integer, got 'one'" in told["seed"]
    assert "less than or equal to 1" in told["style"]


def test_a_third_party_adds_a_dataset(install):
    install("from dataclasses import replace\nfrom bench.datasets import DATASETS\n"
            "ENTRY = replace(DATASETS['near'], name='theirs')\n", theirs="their_data:ENTRY")
    assert names() == sorted([*DATASETS, "theirs"])
    assert find("theirs").name == "theirs"


def test_a_broken_third_party_is_named_when_it_is_asked_for(install):
    install("raise RuntimeError('no disk')\n", theirs="their_data:ENTRY")
    assert find("near") is DATASETS["near"]
    assert "theirs" in names()
    with pytest.raises(BenchError, match=r"'theirs': its entry point 'their_data:ENTRY' does not load: no disk"):
        find("theirs")


def test_a_third_party_offers_something_else(install):
    install("ENTRY = 3\n", theirs="their_data:ENTRY")
    with pytest.raises(BenchError, match=r"'their_data:ENTRY' is a int, not a DatasetEntry"):
        find("theirs")


def test_a_third_party_cannot_replace_what_is_built_in(install):
    install("", near="their_data:ENTRY")
    with pytest.raises(BenchError, match=r"'near' is built in; the entry point 'their_data:ENTRY' cannot replace it"):
        find("near")
    assert names() == sorted(DATASETS)


def test_asking_the_catalogue_imports_nothing_slow():
    """Neither torch nor what `load` needs; in a process of its own, since other tests import them here."""
    code = ("import sys, bench.datasets.cache as c; c.find('digits').facts(c.find('digits').options());"
            "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'timm') if m in sys.modules])")
    root = Path(bench.datasets.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
