import dataclasses
import errno
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from bench.errors import StoreError
from bench.store import Store, atomic, blobs
from bench.store.folded import fold
from tests import made_up
from tests.store.finals import KEY, final


def test_a_record_lies_where_its_key_says(store):
    record = final()
    store.write(record)
    assert store.path(KEY) == store.root / "runs" / "ab" / f"{KEY}.json"
    raw = json.loads(store.path(KEY).read_text())
    assert list(raw)[0] == "checksum"
    assert {name: value for name, value in raw.items() if name != "checksum"} == record.as_dict()
    assert store.read(KEY) == record
    assert store.scan() == ({KEY: fold(record)}, [])


def test_a_rerun_replaces_and_failures_are_records_too(store):
    failed = final(status="failed", error="RuntimeError: no")
    store.write(failed)
    assert store.read(KEY) == failed
    store.write(final())
    assert store.read(KEY).status == "ok"
    assert len(store.scan()[0]) == 1


def test_an_empty_store_reads_as_empty_and_reading_makes_no_folder(store):
    assert store.read(KEY) is None
    assert store.scan() == ({}, [])
    assert not store.root.exists()


def test_a_record_that_cannot_be_written_leaves_the_old_one(store):
    store.write(final())
    with pytest.raises(ValueError, match=r"record.result.score is nan"):
        store.write(final(result={"score": math.nan}))
    with pytest.raises(ValueError, match=r"result.score is 0.25, but its curve ends at 0.5"):
        store.write(final(result={**final().result, "score": 0.25}))
    assert store.read(KEY) == final()


@pytest.mark.parametrize("key", ["", "abc", "../../../etc/passwd", "A" * 32, "g" * 32, "0" * 33, "0" * 32 + "\n"])
def test_what_is_no_key_never_becomes_a_path(store, key):
    def write(key):
        store.write(dataclasses.replace(final(), key=key))

    calls = [store.path, store.read, write, lambda key: store.lock(key).__enter__()]
    for call in calls:
        with pytest.raises(ValueError, match="a key is 32 lower-case hex digits"):
            call(key)
    assert not store.root.exists()


def test_hidden_files_are_nobodys_records(store):
    store.write(final())
    for name in (".tmp-0-0-0", ".DS_Store", ".nfs0001"):
        (store.path(KEY).parent / name).write_bytes(b"{")
        (store.runs / name).write_bytes(b"{")
    assert store.scan() == ({KEY: fold(final())}, [])


def test_a_record_that_vanishes_while_we_look_is_absent(store, monkeypatch):
    store.write(final())
    real = os.listdir

    def listdir(folder):
        found = real(folder)
        if found != ["ab"]:
            monkeypatch.undo()
            shutil.rmtree(folder)
        return found

    monkeypatch.setattr(os, "listdir", listdir)
    assert store.scan() == ({}, [])


def test_a_runs_folder_that_cannot_be_listed_is_an_error_not_an_empty_store(store):
    store.root.mkdir()
    store.runs.write_text("not a folder")
    with pytest.raises(StoreError, match="cannot read .*runs: a file stands where a folder is needed"):
        store.scan()


class TestCheckWritable:
    def test_leaves_empty_folders(self, store):
        store.check_writable()
        assert {path.name for path in store.root.rglob("*")} == {"runs", "locks"}

    def test_sweeps_records_and_weights(self, store):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        store.write(final())
        weights = blobs.path_of(store.root, blobs.put(store.root, b"weights"))
        for folder in (store.path(KEY).parent, weights.parent):
            own = atomic.temporary_in(folder).name.split("-")[1]
            (folder / f"{atomic.PREFIX}{own}-{dead.pid}-00").write_bytes(b"torn")
        store.check_writable()
        assert {path.name for path in store.root.rglob("*") if path.is_file()} == {f"{KEY}.json", weights.name}

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (errno.EROFS, "the file system is read-only"),
            (errno.EACCES, "permission denied"),
            (errno.ENOSPC, "the disk is full"),
        ],
    )
    def test_tells_where_and_why_not(self, store, monkeypatch, code, words):
        store.root.mkdir()
        real = os.open

        def refuse(path, flags, *args):
            if flags & os.O_CREAT:
                raise OSError(code, "injected")
            return real(path, flags, *args)

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(StoreError, match=f"cannot write in {store.root}: {words}"):
            store.check_writable()

    def test_finds_the_disk_full_although_a_name_still_fits(self, store, monkeypatch):
        store.root.mkdir()

        def write(descriptor, data):
            raise OSError(errno.ENOSPC, "injected")

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(StoreError, match="the disk is full"):
            store.check_writable()
        assert list(store.root.iterdir()) == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
    def test_a_folder_without_permission(self, store):
        store.root.mkdir(mode=0o500)
        with pytest.raises(StoreError, match=f"cannot write in {store.root}.*permission denied"):
            store.check_writable()

    def test_a_file_in_the_folders_place(self, store):
        store.root.write_text("not a folder")
        with pytest.raises(StoreError, match="a file stands where a folder is needed"):
            store.check_writable()


class AgainstADict(RuleBasedStateMachine):
    """Whatever is done to a folder, by however many stores, it reads as a dict would."""

    keys = Bundle("keys")

    @initialize()
    def make(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "results")
        self.expected, self.damaged, self.aside = {}, set(), 0  # how many were moved aside

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(target=keys, name=st.integers(0, 5))
    def key(self, name):
        return made_up.record(spec={"name": name}, result={}).key

    @rule(name=st.integers(0, 5), status=st.sampled_from(["ok", "failed"]), score=st.floats(0, 1), text=st.text())
    def write(self, name, status, score, text):
        result = made_up.result_of("final", score=score)
        record = made_up.record("final", status, {"name": name}, result, error=text)
        self.store.write(record)
        self.expected[record.key] = record
        if record.key in self.damaged:
            self.aside += 1
            self.damaged.discard(record.key)

    @rule(key=keys, garbage=st.sampled_from([b"", b"{", b"\0\0", b"<html>", b"[]", b"\xff", b'{"schema": 1}']))
    def damage(self, key, garbage):
        self.store.path(key).parent.mkdir(parents=True, exist_ok=True)
        self.store.path(key).write_bytes(garbage)
        self.expected.pop(key, None)
        self.damaged.add(key)

    @rule(key=keys)
    def remove(self, key):
        self.store.path(key).unlink(missing_ok=True)
        self.expected.pop(key, None)
        self.damaged.discard(key)

    @rule(key=keys, other=keys)
    def copy_to_another_name(self, key, other):
        if key in self.expected and key != other:
            self.store.path(other).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.store.path(key), self.store.path(other))
            self.expected.pop(other, None)
            self.damaged.add(other)

    @rule(key=keys)
    def die_while_writing(self, key):
        self.store.path(key).parent.mkdir(parents=True, exist_ok=True)
        (self.store.path(key).parent / ".tmp-elsewhere-1-00").write_bytes(b"{")

    @rule(key=keys)
    def lock(self, key):
        with self.store.lock(key) as ours, self.store.lock(key) as again:
            assert (ours, again) == (True, False)

    @rule()
    def reopen(self):
        self.store = Store(self.store.root)
        self.store.check_writable()

    @rule(key=keys)
    def read(self, key):
        assert self.store.read(key) == self.expected.get(key)

    @invariant()
    def scan(self):
        if hasattr(self, "store"):
            records, damaged = self.store.scan()
            assert records == {key: fold(record) for key, record in self.expected.items()}
            assert {one.path.stem for one in damaged} == self.damaged
            assert len(list(self.store.damaged.glob("*"))) == self.aside


AgainstADict.TestCase.settings = settings(deadline=None, max_examples=25, stateful_step_count=25)
TestAgainstADict = AgainstADict.TestCase


def test_a_record_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        final().key = "ab" * 16
