"""What was found out about a person's data is kept on the machine; where that is damaged, it is found out anew."""

import json
import logging

import pytest

from bench.datasets.base import DatasetFacts
from bench.datasets.facts_cache import cached_facts
from bench.datasets.files import digests_of
from bench.places import machine_cache

FACTS = DatasetFacts(2, 12, 16, 4, 8, "files-1", notes=("one",), train_sizes=(8, 8), test_sizes=(2, 2), division=("d",))


@pytest.fixture(autouse=True)
def _fresh_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machine"))


def the_file(folder):
    (path,) = (machine_cache() / folder).iterdir()
    return path


def edit(path, **fields):
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "value": {**kept["value"], **fields}}))


def test_facts_are_found_out_once():
    assert cached_facts("one", lambda: FACTS) == FACTS
    assert cached_facts("one", lambda: pytest.fail("again")) == FACTS
    assert cached_facts("two", lambda: FACTS.__class__(3, 12, 16, 4, 8, "files-2")).num_classes == 3


@pytest.mark.parametrize("fields", [
    {"num_classes": 7}, {"num_test": 999}, {"notes": []}, {"revision": "files-2"}, {"num_train": "16"},
    {"smallest_class": True}, {"image_size": 12.0}, {"more": 1},
])
def test_edited_facts_are_told_and_found_out_anew(fields, caplog):
    cached_facts("one", lambda: FACTS)
    edit(the_file("facts"), **fields)
    with caplog.at_level(logging.WARNING):
        assert cached_facts("one", lambda: FACTS) == FACTS
        assert cached_facts("one", lambda: pytest.fail("again")) == FACTS
    (line,) = caplog.messages
    assert line.startswith(f"{the_file('facts')}: damaged (")


def test_an_edited_digest_is_told_and_the_file_read_again(tmp_path, caplog):
    """A wrong one would give a set another revision, so other keys."""
    data = tmp_path / "data"
    data.write_bytes(b"content")
    sha256 = digests_of([data])
    path = the_file("digests")
    path.write_text(path.read_text().replace(sha256[0], "0" * 64))
    assert digests_of([data]) == sha256
    (line,) = caplog.messages
    assert line.startswith(f"{path}: damaged (")
    caplog.clear()
    assert digests_of([data]) == sha256
    assert caplog.messages == []
