"""Every sort of damage is named, counts as absent, and is mended by the next write."""

import errno
import json
import logging
import os
from pathlib import Path

import pytest

from bench.store import Damaged, Record
from bench.store.encoding import encode
from tests.made_up import result_of

KEY, OTHER = "ab" + "0" * 30, "ab" + "1" * 30
WHOLE = encode(Record(KEY, "final", "ok", {"lr": 0.1}, result_of("final", score=0.25)))


def edit(**fields):
    return json.dumps({**json.loads(WHOLE), **fields}).encode()


CONTENTS = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "zeros after a power cut": (b"\0" * 4096, "4096 zero bytes"),
    "torn": (WHOLE[:-5], "torn or not JSON: line "),
    "torn within a letter": ("{\"é".encode()[:-1], "not text: byte 2"),
    "two in one": (WHOLE + WHOLE, "torn or not JSON: line .* Extra data"),
    "a merge conflict": (b"<<<<<<< HEAD\n" + WHOLE, "a web page, not a record"),
    "a web page": (b"\n<!DOCTYPE html><title>404</title>", "a web page, not a record"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "not text: byte 0"),
    "UTF-16": (WHOLE.decode().encode("utf-16"), "not text: byte 0"),
    "a byte order mark": (b"\xef\xbb\xbf" + WHOLE, "torn or not JSON"),
    "a list": (b"[]", "holds a list, not a record"),
    "a number": (b"3", "holds a int, not a record"),
    "null": (b"null", "holds a NoneType, not a record"),
    "deep": (b"[" * 200_000, "nested too deeply"),
    "NaN": (edit(result={"score": float("nan")}), "holds NaN"),
    "infinity": (edit(result={"score": float("-inf")}), "holds -Infinity"),
    "infinity in digits": (WHOLE.replace(b"0.25", b"1e999"), "holds 1e999, which is no finite number"),
    "endless number": (WHOLE.replace(b"0.25", b"9" * 5000), "4300"),
    "another schema": (edit(schema=2), "record schema 2, this version reads 1"),
    "no schema": (b"{}", "record schema None, this version reads 1"),
    "another key": (edit(key=OTHER), f"holds the record of another key, {OTHER}"),
    "a field too many": (edit(colour="red"), "not a record: .*colour"),
    "a field missing": (b'{"schema": 1, "key": "%s"}' % KEY.encode(), "not a record: .*missing"),
    "key of a wrong type": (edit(key=5), "record field 'key' is not a str"),
    "spec of a wrong type": (edit(spec=[]), "record field 'spec' is not a dict"),
    "cost of a wrong type": (edit(cost=None), "record field 'cost' is not a dict"),
    "error of a wrong type": (edit(error=5), "record field 'error' is neither text nor null"),
    "a text for a number": (edit(result=result_of("final", score="x")), r"result\.score: expected a number, got 'x'"),
    "a share above 1": (edit(result=result_of("final", score=2.0)), r"result\.score: expected less than or equal to 1"),
    "no score": (edit(result={}), r"result\..*: missing"),
    "a list for a dict": (edit(result=result_of("final", curve=[[]])), r"result\.curve\.0: expected a dictionary"),
    "no time": (edit(cost={"measured": {"seconds": "1"}}), r"cost\.measured\.seconds: expected a number, got '1'"),
    "libraries in a list": (edit(provenance={"libraries": []}), r"provenance\.libraries: expected a dictionary"),
    "a trial without a point": (edit(kind="trial"), r"spec\.number: missing"),
    "unknown status": (edit(status="done"), "record status 'done'; known: ok"),
    "unknown kind": (edit(kind="tune"), "record kind 'tune'; known: pretrain"),
}


def check_damaged(store, reason, caplog):
    """The neighbour is still read; the damaged one is absent, named once, and written over."""
    store.write(Record(OTHER, "final", "failed", {}))
    records, damaged = store.scan()
    assert list(records) == [OTHER]
    assert [one.path for one in damaged] == [store.path(KEY)]
    assert_matches(reason, damaged[0].reason)
    assert str(damaged[0]) == f"{store.path(KEY)}: {damaged[0].reason}"
    assert store.read(KEY) is None
    assert store.read(KEY) is None
    assert caplog.messages == [f"damaged record, counted as absent: {damaged[0]}"]
    assert caplog.records[0].levelno == logging.WARNING


def assert_matches(pattern, text):
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


@pytest.mark.parametrize("sort", CONTENTS)
def test_damaged_content(store, caplog, sort):
    content, reason = CONTENTS[sort]
    store.path(KEY).parent.mkdir(parents=True)
    store.path(KEY).write_bytes(content)
    check_damaged(store, reason, caplog)
    store.write(Record(KEY, "final", "failed", {}))
    assert set(store.scan()[0]) == {KEY, OTHER}


def make_folder(path):
    path.mkdir()


def make_full_folder(path):
    path.mkdir()
    (path / "file").write_text("")


def make_dangling_link(path):
    path.symlink_to("nowhere")


def make_loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "reason", "mends"),
    [
        (make_folder, "not a file", False),
        (make_full_folder, "not a file", False),
        (os.mkfifo, "not a file", True),  # opening it would wait for ever
        (make_dangling_link, "a link to nothing", True),
        (make_loop, "cannot be read: .*ELOOP", True),
    ],
)
def test_something_else_in_the_place_of_a_file(store, caplog, make, reason, mends):
    store.path(KEY).parent.mkdir(parents=True)
    make(store.path(KEY))
    check_damaged(store, reason, caplog)
    if mends:
        store.write(Record(KEY, "final", "failed", {}))
        assert store.read(KEY) is not None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EACCES, r"cannot be read: permission denied \(EACCES\)"),
        (errno.EIO, r"cannot be read: the disk reports an input/output error \(EIO\)"),
    ],
)
def test_a_file_that_cannot_be_read(store, caplog, monkeypatch, code, reason):
    store.write(Record(KEY, "final", "failed", {}))
    real = Path.read_bytes

    def read_bytes(path):
        if path == store.path(KEY):
            raise OSError(code, "injected")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    check_damaged(store, reason, caplog)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_without_permission(store, caplog):
    store.write(Record(KEY, "final", "failed", {}))
    store.path(KEY).chmod(0)
    check_damaged(store, "cannot be read: permission denied", caplog)


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_read(store, monkeypatch):
    far = "cd" + "0" * 30
    store.write(Record(KEY, "final", "failed", {}))
    store.write(Record(far, "final", "failed", {}))
    real = Path.iterdir

    def iterdir(path):
        if path.name == "ab":
            raise PermissionError(errno.EACCES, "injected")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    records, damaged = store.scan()
    assert list(records) == [far]
    assert damaged == [Damaged(store.runs / "ab", "cannot be read: permission denied (EACCES)")]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (f"cd/{KEY}.json", "in the wrong folder: belongs in ab/"),
        (f"ab/{KEY}.json~", "not the name of a record"),
        (f"ab/{KEY}.json.gz", "not the name of a record"),
        ("ab/notes.txt", "not the name of a record"),
        (f"ab/copy of {KEY}.json", "not the name of a record"),
        (f"ab/{KEY.upper()}.json", "not the name of a record"),
    ],
)
def test_what_read_would_not_find_scan_does_not_count(store, place, reason):
    path = store.runs / place
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE)
    assert store.scan() == ({}, [Damaged(path, reason)])
    assert store.read(KEY) is None


def test_a_record_beside_the_folders(store):
    store.runs.mkdir(parents=True)
    path = store.runs / f"{KEY}.json"
    path.write_bytes(WHOLE)
    assert store.scan() == ({}, [Damaged(path, "cannot be read: a file stands where a folder is needed (ENOTDIR)")])
