import contextlib
import json
import os
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.gate.baseline import SCHEMA, BadBaseline, Baseline, NoBaseline, Row, encode, read, write
from bench.gate.environment import LIBRARIES, Environment
from bench.gate.fingerprint import Fingerprint
from bench.gate.verdict import CellName
from tests.made_up import sealed_text

MARK = Fingerprint("d" * 8, "e" * 8, "5" * 8)


def row(budget="5", repeat=0, dataset="tiny", **more):
    return Row(**{
        "cell": CellName(dataset, budget, "net", "way"), "repeat": repeat, "score": 0.75, "metric": "accuracy",
        "num_test": 100, "fingerprint": MARK, "seconds": 1.25, "peak_memory_bytes": 1000, **more,
    })  # fmt: skip


def baseline(*rows, **more):
    return Baseline(**{
        "suite": "small", "accepted": "1970-01-01T00:00:00Z", "device_model": "cpu", "commit": "c" * 40,
        "environment": Environment("cpu", "x86_64", tuple("1.0" for _ in LIBRARIES)), "code": "f" * 16,
        "dirty": False, "repeats": 2, "allowed": (), "rows": rows or (row(), row(repeat=1)), **more,
    })  # fmt: skip


def test_one_line_for_each_result_in_an_order_that_people_expect(tmp_path):
    budgets = ["full", "total 100", "10%", "100", "5", "20", "5%"]
    write(tmp_path / "b.json", baseline(*(row(budget, repeat) for repeat in (1, 0) for budget in budgets)))
    text = (tmp_path / "b.json").read_text()
    lines = [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith('{"dataset"')]
    assert [(line["budget"], line["repeat"]) for line in lines] == [
        (budget, repeat) for budget in ("5", "20", "100", "5%", "10%", "total 100", "full") for repeat in (0, 1)
    ]
    assert re.fullmatch(r'\{"checksum": "[0-9a-f]{64}",', text.splitlines()[0])
    assert text.splitlines()[1:3] == [f'"schema": {SCHEMA},', '"suite": "small",']
    assert list(lines[0]) == ["dataset", "budget", "backbone", "strategy", "repeat", "score", "metric", "num_test",
                              "fingerprint", "seconds", "peak_memory_bytes"]  # fmt: skip


numbers = st.floats(0, 1) | st.integers(0, 1000).map(lambda k: round(k / 1000, 9))
words = st.text(max_size=8)
rows_of = st.builds(
    Row, st.builds(CellName, words, words, words, words), st.integers(0, 9), numbers, st.just("accuracy"),
    st.none(), st.just(MARK), st.none() | st.floats(0, 1e9), st.none() | st.integers(0, 1 << 50),
    *[st.none() | st.floats(0, 1e9)] * 3, st.none() | words, st.none() | numbers,
)  # fmt: skip


@given(st.lists(rows_of, max_size=8, unique_by=lambda one: (one.cell, one.repeat)), words, st.none() | st.booleans())
def test_what_is_written_is_read(tmp_path_factory, rows, text, dirty):
    path = tmp_path_factory.getbasetemp() / "round.json"
    whole = baseline(row(dataset="last\ud800 \u2028\n"), *rows, suite=text, dirty=dirty, allowed=("dirty",), since=text)
    write(path, whole)
    first = path.read_bytes()
    assert read(path) == whole
    write(path, read(path))
    assert path.read_bytes() == first
    assert len(first.decode().split("\n")) == 16 + len(whole.rows)


def test_order_of_rows_does_not_matter():
    assert encode(baseline(row(repeat=1), row())) == encode(baseline(row(), row(repeat=1)))


def with_seal(raw):
    return sealed_text(raw).decode()


TEXT = encode(baseline()).decode()
OPEN = "{\n" + TEXT.partition("\n")[2]  # without its checksum
OLDER = OPEN.replace(f'"schema": {SCHEMA}', '"schema": 1')


def changed(**fields):
    raw = json.loads(encode(baseline()))
    raw.update(fields)
    return with_seal(raw)


def with_row(**fields):
    raw = json.loads(encode(baseline()))
    raw["results"][1].update(fields)
    return with_seal(raw)


def without(name, of=None):
    raw = json.loads(encode(baseline()))
    del (raw["results"][1] if of == "row" else raw["environment"] if of == "environment" else raw)[name]
    return with_seal(raw)


REFUSED = {
    "{": "torn or not JSON: line 1 column 2: Expecting property name",
    "<html>": "a web page",
    f"<<<<<<< HEAD\n{TEXT}": "a merge that nobody resolved",
    "[1]": "holds a list, expected a mapping",
    "[" * 100_000: "nested too deeply",
    with_seal({"more": 1}): f"schema None, this version reads {SCHEMA}",
    OLDER.replace('"schema": 1', '"schema": 0'): "written by an older version: schema 0, this version reads",
    changed(schema=1): f"written by an older version: schema 1, this version reads {SCHEMA}",
    changed(schema=SCHEMA + 1): f"schema {SCHEMA + 1}, this version reads {SCHEMA}",
    changed(schema="1"): "schema '1', this version reads",
    OPEN: "no checksum: written by an older version, or by hand",
    TEXT.replace("0.75", "0.76", 1): "changed since it was written: it does not fit its checksum",
    TEXT.replace("0.75", "7.5e-1", 1): "changed since it was written: it does not fit its checksum",
    TEXT.replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'): "changed since it was written",
    changed(more=1): "the file has 'more', which this version does not know",
    changed(suite=3): "the file: 'suite' is 3, expected text",
    changed(dirty="no"): "the file: 'dirty' is 'no', expected true, false or null",
    changed(repeats=2.5): "the file: 'repeats' is 2.5, expected a whole number from 0",
    changed(repeats=True): "the file: 'repeats' is True, expected a whole number from 0",
    changed(allowed=[1]): "'allowed' is no list of texts",
    changed(results={}): "'results' is {}, expected a list",
    changed(results=[1]): "results[0] is no mapping",
    changed(since=3): "the file: 'since' is 3, expected text",
    with_row(first=1.5): "results[1]: 'first' is 1.5, expected a number between 0 and 1",
    with_row(lr=None): "results[1]: 'lr' is None, expected a number from 0",
    with_row(weights=7): "results[1]: 'weights' is 7, expected text",
    without("commit"): "the file has no 'commit'",
    without("torch", "environment"): "environment has no 'torch'",
    without("score", "row"): "results[1] has no 'score'",
    with_row(score="0.5"): "results[1]: 'score' is '0.5', expected a number",
    with_row(score=True): "results[1]: 'score' is True, expected a number",
    with_row(score=1.5): "results[1]: 'score' is 1.5, expected a number between 0 and 1",
    with_row(score=-0.5): "'score' is -0.5, expected a number between 0 and 1",
    with_row(score=-1.5, metric="mcc"): "'score' is -1.5, expected a number between -1 and 1",
    with_row(score=float("nan")): "holds NaN",
    with_row(seconds=float("inf")): "holds Infinity",
    OLDER.replace('"score": 0.75', '"score": 1e999'): "results[0]: 'score' is inf, expected a number",
    OLDER.replace('"score": 0.75', '"score": 7'): "results[0]: 'score' is 7, expected a number between 0 and 1",
    OLDER.replace('"suite"', '"suite": "a", "suite"'): "'suite' stands twice in one place",
    with_row(num_test=0): "results[1]: 'num_test' is 0",
    with_row(fingerprint="abc"): "results[1]: 'fingerprint': expected three times 8 hex digits",
    with_row(repeat=0): "results[1] stands twice: tiny @ 5 · net · way, repeat 0",
    with_row(fingerprint=".".join(["0" * 8] * 3)): "differs between its repeats in more than its score",
    with_row(metric="other"): "differs between its repeats in more than its score",
    TEXT.replace('"suite"', '"suite": "a", "suite"', 1): "'suite' stands twice in one place",
}


@pytest.mark.parametrize("text", REFUSED, ids=list(REFUSED.values()))
def test_refused_in_one_line_that_names_the_file(tmp_path, text):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(BadBaseline) as caught:
        read(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert REFUSED[text] in line
    assert "accept" not in line, "a night is read here too"


def test_what_an_older_version_wrote_without_a_checksum_is_read_and_written_with_one(tmp_path):
    path = tmp_path / "b.json"
    for text in (OLDER, OLDER.replace("\n", "\r\n")):
        path.write_bytes(text.encode())
        older = read(path)
        assert not older.is_sealed
        assert older.rows == baseline().rows
    write(path, older)
    assert path.read_text() == TEXT
    assert read(path) == baseline()
    assert read(path).is_sealed


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(NoBaseline, match="no such baseline"):
        read(tmp_path / "b.json")
    (tmp_path / "b.json").write_bytes(b"\xff")
    with pytest.raises(BadBaseline, match="not text: byte 0"):
        read(tmp_path / "b.json")
    with pytest.raises(BadBaseline, match="cannot be read: a folder"):
        read(tmp_path)
    assert issubclass(BadBaseline, BenchError)


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "b.json"
    write(path, baseline())
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(BenchError, match="disk is full"):
        write(path, baseline(suite="other"))
    assert read(path).suite == "small"
    assert os.listdir(tmp_path) == ["b.json"]  # noqa: PTH208  hidden files too


def test_line_ends_that_a_checkout_changed_are_no_change(tmp_path):
    path = tmp_path / "b.json"
    write(path, baseline())
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(path) == baseline()


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "b.json"
    data = encode(baseline(*(row(repeat=number) for number in range(5))))
    unnoticed = []
    for place in random.Random(0).sample(range(8 * len(data)), 2000):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with contextlib.suppress(BadBaseline):
            read(path)
            unnoticed.append(place)
    assert unnoticed == []
