"""What was found out is found again as it was, or found out anew and told."""

import json
import threading

import pytest

from bench.store import sealed
from bench.store.remembered import find_out_once, recall, remember

VALUE = {"classes": 3, "notes": ["ä", "\udce4"], "share": 0.1, "none": None}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "facts" / "one.json"
    remember(path, VALUE)
    return path


def test_what_was_kept_comes_back(path):
    assert recall(path, pytest.fail) == VALUE


def test_nothing_kept_is_nothing_told(tmp_path):
    assert recall(tmp_path / "one.json", pytest.fail) is None


def test_every_flip_of_a_bit_is_noticed_or_means_the_same(path):
    before, told = path.read_bytes(), []
    for place in range(8 * len(before)):
        data = bytearray(before)
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        assert recall(path, told.append) in (None, VALUE), place
    assert len(told) > 0.98 * 8 * len(before), "an `E` for an `e` in an escape means the same"


@pytest.mark.parametrize("harm", [
    lambda data: b"",
    lambda data: data[:-3],
    lambda data: b"[]",
    lambda data: b"[" * 10_000,
    lambda data: b"\xff\xfe",
    lambda data: json.dumps(VALUE).encode(),  # as an older version kept it
    lambda data: sealed.seal(json.dumps({"value": VALUE}, indent=1).encode()),
    lambda data: sealed.seal(json.dumps({"name": "one.json"}, indent=1).encode()),
    lambda data: data.replace(b'"classes": 3', b'"classes": 7'),
    lambda data: data.replace(b'"classes": 3', b'"classes": 3.0'),
])
def test_damage_is_told_in_one_line(path, harm):
    told = []
    path.write_bytes(harm(path.read_bytes()))
    assert recall(path, told.append) is None
    (line,) = told
    assert line.startswith(f"{path}: damaged (")
    assert line.endswith("; it is found out anew")
    assert "\n" not in line


def test_files_that_were_exchanged_are_not_taken_for_each_other(path):
    other = path.with_name("two.json")
    remember(other, {"classes": 9})
    both = path.read_bytes(), other.read_bytes()
    path.write_bytes(both[1])
    other.write_bytes(both[0])
    told = []
    assert recall(path, told.append) is recall(other, told.append) is None
    assert len(told) == 2


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file" / "one.json", VALUE)
    assert recall(tmp_path / "file" / "one.json", pytest.fail) is None
    assert find_out_once(tmp_path / "file" / "one.json", lambda: 5, pytest.fail) == 5


def test_the_first_writer_decides_for_all(tmp_path):
    path, together, found = tmp_path / "one.json", threading.Barrier(4), []

    def find_out():
        together.wait(20)
        return threading.get_ident()

    threads = [threading.Thread(target=lambda: found.append(find_out_once(path, find_out, print))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert set(found) == {recall(path)}


def test_a_damaged_choice_is_told_and_made_anew(tmp_path):
    path, told = tmp_path / "one.json", []
    assert find_out_once(path, lambda: 5, told.append) == 5
    path.write_text("{")
    assert find_out_once(path, lambda: 6, told.append) == 6
    assert find_out_once(path, pytest.fail, told.append) == 6
    assert len(told) == 1
