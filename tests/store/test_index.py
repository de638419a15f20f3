"""The second level of a store: good for the very bytes of each file, and never missed."""

import errno
import os
import sqlite3
import sys

import pytest

from bench.analysis.join import collect
from bench.commands.progress import read_progress
from bench.commands.status import summarize
from bench.report import render
from bench.store import coherence, index, reading
from bench.store.folded import fold
from bench.store.record import READ
from tests import made_up
from tests.commands.conftest import SMALL
from tests.commands.fabricate import fabricate
from tests.execute.plans import tiny_plan
from tests.store.finals import FAR, KEY, NEIGHBOUR, final

OPTIONS = {"alpha": 1e-300, "of": [1, {"a": None}]}
ODD = "half a character \udc80, \0, ::error::"


@pytest.fixture(autouse=True)
def _even_for_few(monkeypatch):
    monkeypatch.setattr(index, "FEWEST", 1)


@pytest.fixture
def parsed(monkeypatch):
    """The keys of records that were read from their files and checked."""
    found, check = [], coherence.check
    monkeypatch.setattr(coherence, "check", lambda record: (found.append(record.key), check(record)))
    return found


@pytest.fixture
def full(store, parsed):
    """Three records that were scanned once."""
    for key in (KEY, NEIGHBOUR, FAR):
        store.write(final(key))
    store.scan()
    parsed.clear()
    return store


def path_of(store):
    return store.root / index.NAME


def test_what_was_read_before_is_not_checked_again_and_is_the_same(full, parsed):
    records, damaged = full.scan()
    assert records == {key: fold(final(key)) for key in (KEY, NEIGHBOUR, FAR)}
    assert (damaged, parsed) == ([], [])


@pytest.mark.parametrize("where", ["the checksum", "the middle", "the end"])
def test_one_bit_is_seen_though_size_and_times_are_as_they_were(full, where):
    path = full.path(NEIGHBOUR)
    data, times = bytearray(path.read_bytes()), path.stat()
    data[{"the checksum": 20, "the middle": len(data) // 2, "the end": -3}[where]] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    records, damaged = full.scan()
    assert set(records) == {KEY, FAR}
    assert [one.path for one in damaged] == [path]


def test_a_record_that_was_made_again_is_read_anew(full, parsed):
    full.write(final(NEIGHBOUR, "failed", error="x"))
    parsed.clear()
    for _ in range(2):  # by its file, then by its new row
        assert full.scan()[0][NEIGHBOUR] == fold(final(NEIGHBOUR, "failed", error="x"))
    assert parsed == [NEIGHBOUR]


def test_what_was_removed_is_gone_and_what_came_is_there(full):
    full.forget(FAR)
    assert set(full.scan()[0]) == {KEY, NEIGHBOUR}
    full.write(final(FAR))
    assert set(full.scan()[0]) == {KEY, NEIGHBOUR, FAR}


@pytest.mark.parametrize("damage", ["gone", "empty", "half", "garbage", "a row", "a text", "other code", "no table"])
def test_an_index_that_is_damaged_is_made_anew_in_silence(full, parsed, damage, caplog):
    path, wanted = path_of(full), full.scan()
    if damage == "gone":
        path.unlink()
    elif damage in ("empty", "half", "garbage"):
        data = path.read_bytes()
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "garbage": b"x" * len(data)}[damage])
    else:
        with sqlite3.connect(path) as database:
            database.execute({
                "a row": f"UPDATE records SET result = replace(result, '0.5', '0.9') WHERE key = '{KEY}'",
                "a text": "UPDATE texts SET text = '{}'", "other code": "UPDATE made_by SET code = 'x'",
                "no table": "DROP TABLE texts",
            }[damage])  # fmt: skip
    parsed.clear()
    assert full.scan() == wanted
    assert parsed, "files were read instead"
    parsed.clear()
    assert full.scan() == wanted
    assert parsed == [], "and it is whole again"
    assert caplog.text == ""
    assert [one.name for one in full.root.iterdir() if one.name.startswith(".")] == []


def test_a_folder_that_cannot_be_written_is_read_as_ever(full, parsed, monkeypatch):
    wanted = full.scan()
    path_of(full).unlink()

    def refuse(*_, **__):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(index.sqlite3, "connect", refuse)
    assert full.scan() == wanted
    assert not path_of(full).exists()


def test_few_records_have_none(store, monkeypatch):
    monkeypatch.setattr(index, "FEWEST", 4)
    for key in (KEY, NEIGHBOUR, FAR):
        store.write(final(key))
    store.scan()
    assert not path_of(store).exists()


OTHERS = {  # what reads along, and how it ends
    "as it should": (None, 0),
    "it cannot start": ("/none", None),
    "it fails": ("/bin/false", 1),
    "it ends early": ("#!/bin/sh\nexit 0\n", 0),
    "it writes something else": ("#!/bin/sh\neval folder=\\${$#}\necho '[1, 2]' > $folder/rows\n", 0),
}


@pytest.mark.parametrize("sort", OTHERS)
def test_very_many_files_are_read_by_several_processes(store, monkeypatch, tmp_path, sort):
    """And by this one, whatever becomes of the others."""
    for key in (KEY, NEIGHBOUR, FAR):
        store.write(final(key))
    store.path(NEIGHBOUR).write_bytes(b"torn")
    wanted = store.scan()
    path_of(store).unlink()
    python, code = OTHERS[sort]
    if python is not None and python.startswith("#!"):
        script = tmp_path / "python"
        script.write_text(python)
        script.chmod(0o755)
        python = str(script)
    begun, start = [], reading.subprocess.Popen
    monkeypatch.setattr(reading, "MANY", 2)
    monkeypatch.setattr(reading, "num_cores", lambda: 3)
    monkeypatch.setattr(reading.sys, "executable", python or sys.executable)
    monkeypatch.setattr(reading.sys, "path", [*sys.path, tmp_path])  # Python passes over what is no text
    monkeypatch.setattr(reading.subprocess, "Popen", lambda *a, **k: (begun.append(one := start(*a, **k)), one)[1])
    assert store.scan() == wanted
    assert [one.returncode for one in begun] == [code] * (2 if code is not None else 0)
    assert [one.reason.partition(":")[0] for one in wanted[1]] == ["torn or not JSON"]


def test_a_full_disk_leaves_the_reading_to_this_process(store, monkeypatch):
    for key in (KEY, NEIGHBOUR, FAR):
        store.write(final(key))
    wanted = store.scan()
    path_of(store).unlink()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "injected")

    monkeypatch.setattr(reading, "MANY", 2)
    monkeypatch.setattr(reading, "num_cores", lambda: 3)
    monkeypatch.setattr(reading, "TemporaryDirectory", full)
    assert store.scan() == wanted


@pytest.mark.parametrize("record", [
    made_up.record(), made_up.record("trial"), made_up.record("unchosen"), made_up.record("pretrain"),
    made_up.record("trial", "failed", result={"traceback": ODD}, error=ODD),
    made_up.record("final", "diverged", result={**made_up.HYPER, "trial": 1}),
    made_up.record(result=made_up.result_of("final", loss=0.1 + 0.2, dataset_sha256="a b")),
    made_up.record(cost={"measured": {"seconds": 1 / 3, "peak_memory_bytes": 2**70}}),
    made_up.record("trial", spec={"number": 2, "hyper": {**made_up.HYPER, "options": OPTIONS}},
                   result=made_up.result_of("trial", options=OPTIONS)),
])  # fmt: skip
def test_a_folded_record_says_what_the_whole_one_says(store, record):
    store.write(record)
    for _ in range(2):  # as read of the file, and of its row
        folded = store.scan()[0][record.key]
        for name in ("key", "kind", "status", "error", "result", "cost", "provenance", "made_by", "saw", "is_too_fast",
                     "left_early", "spent", *READ[record.kind]):  # fmt: skip
            assert getattr(folded, name) == getattr(record, name), name


def test_pages_and_status_are_the_same_with_it_and_without(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path, SMALL)
    searches = [job for job in plan.jobs.values() if job.kind == "search"]
    fabricate(plan, roots, {searches[0].record_keys[0]: "failed", searches[1].record_keys[1]: "diverged"})
    said = []
    for _ in range(2):
        said.append((summarize(read_progress(plan, roots), roots), render(collect(plan, roots.store, roots.shared))))
        assert (roots.store.root / index.NAME).is_file()
    for store in (roots.store, roots.shared):
        (store.root / index.NAME).unlink()
    said.append((summarize(read_progress(plan, roots), roots), render(collect(plan, roots.store, roots.shared))))
    assert said[0] == said[1] == said[2]
