"""Every sort of damage is named, counts as absent, and is moved aside by the next write."""

import contextlib
import dataclasses
import errno
import json
import logging
import os
import random
from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.store import Damaged
from bench.store.encoding import decode, encode
from bench.store.record import SCHEMA
from bench.store.sealed import DEPTH, seal
from tests.made_up import result_of, sealed_text
from tests.store.finals import FAR, KEY, NEIGHBOUR, failed, final

WHOLE = encode(final(result=result_of("final", score=0.25)))
OPEN = b"\n".join([b"{", *WHOLE.split(b"\n")[1:]])  # without its checksum
OLDER = OPEN.replace(b'"schema": %d' % SCHEMA, b'"schema": 1')


def edit(**fields):
    """With a checksum that fits."""
    return sealed_text({**json.loads(WHOLE), **fields})


def nested(depth):
    """So many mappings, each in the next."""
    return {"in": nested(depth - 1)} if depth > 1 else {}


CONTENTS = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "zeros after a power cut": (b"\0" * 4096, "4096 zero bytes"),
    "torn": (WHOLE[:-5], "torn or not JSON: line "),
    "torn within a letter": ("{\"é".encode()[:-1], "not text: byte 2"),
    "two in one": (WHOLE + WHOLE, "torn or not JSON: line .* Extra data"),
    "a merge conflict": (b"<<<<<<< HEAD\n" + WHOLE, "^a merge that nobody resolved$"),
    "a web page": (b"\n<!DOCTYPE html><title>404</title>", "^a web page$"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "not text: byte 0"),
    "UTF-16": (WHOLE.decode().encode("utf-16"), "not text: byte 0"),
    "a byte order mark": (b"\xef\xbb\xbf" + WHOLE, "torn or not JSON"),
    "a list": (b"[]", "holds a list, expected a mapping"),
    "a number": (b"3", "holds a int, expected a mapping"),
    "null": (b"null", "holds a NoneType, expected a mapping"),
    "deep": (b"[" * 200_000, "nested too deeply"),
    "deeper than anybody prints": (edit(provenance=nested(DEPTH)), "nested too deeply"),
    "NaN": (edit(result={"score": float("nan")}), "holds NaN"),
    "infinity": (edit(result={"score": float("-inf")}), "holds -Infinity"),
    "infinity in digits": (seal(OPEN.replace(b"0.25", b"1e999")), r"result\.score: expected a finite number, got inf"),
    "endless number": (WHOLE.replace(b"0.25", b"9" * 5000), "4300"),
    "an older version's": (OLDER, f"^written by an older version: schema 1, this version reads {SCHEMA}$"),
    "a newer version's": (edit(schema=SCHEMA + 1), f"^schema {SCHEMA + 1}, this version reads {SCHEMA}$"),
    "no schema": (b"{}", f"^schema None, this version reads {SCHEMA}"),
    "no checksum": (OPEN, "^no checksum: written by an older version, or by hand$"),
    "another number": (WHOLE.replace(b"0.25", b"0.75"), "^changed since it was written: it does not fit its checksum$"),
    "another spelling": (WHOLE.replace(b"0.25", b"2.5e-1"), "changed since it was written"),
    "a name twice": (WHOLE.replace(b'"schema": 2', b'"schema": 2, "schema": 2'), "'schema' stands twice in one place"),
    "another line end": (WHOLE.replace(b"\n", b"\r\n"), "changed since it was written"),
    "another schema in one bit": (WHOLE.replace(b'"schema": 2', b'"schema": 3'), "changed since it was written"),
    "another key": (edit(key=NEIGHBOUR), f"holds the record of another key, {NEIGHBOUR}"),
    "a field too many": (edit(colour="red"), "not a record: .*colour"),
    "a field missing": (sealed_text({"schema": SCHEMA, "key": KEY}), "not a record: .*missing"),
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
    "another's spec": (edit(spec=final(NEIGHBOUR).spec), "its key does not follow from its spec: edited, or another"),
    "unknown status": (edit(status="done"), "record status 'done'; known: ok"),
    "unknown kind": (edit(kind="tune"), "record kind 'tune'; known: pretrain"),
}


def check_damaged(store, reason, caplog):
    """The neighbour is still read; the damaged one is absent, and named once."""
    store.write(failed(NEIGHBOUR))
    records, damaged = store.scan()
    assert list(records) == [NEIGHBOUR]
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
    for _ in range(2):
        store.write(failed())
    assert set(store.scan()[0]) == {KEY, NEIGHBOUR}
    (aside,) = store.damaged.iterdir()
    assert aside.name.startswith(f"{KEY}.")
    assert aside.suffix == ".json"
    assert aside.read_bytes() == content
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith(f"moved to {aside}: {store.path(KEY)}: ")


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
    ("make", "reason"),
    [
        (make_folder, "not a file"),
        (make_full_folder, "not a file"),
        (os.mkfifo, "not a file"),  # opening it would wait for ever
        (make_dangling_link, "a link to nothing"),
        (make_loop, "cannot be read: .*ELOOP"),
    ],
)
def test_something_else_in_the_place_of_a_file(store, caplog, make, reason):
    store.path(KEY).parent.mkdir(parents=True)
    make(store.path(KEY))
    check_damaged(store, reason, caplog)
    store.write(failed())
    assert store.read(KEY) is not None
    assert len(list(store.damaged.iterdir())) == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EACCES, r"cannot be read: permission denied \(EACCES\)"),
        (errno.EIO, r"cannot be read: the disk reports an input/output error \(EIO\)"),
    ],
)
def test_a_file_that_cannot_be_read(store, caplog, monkeypatch, code, reason):
    store.write(failed())
    real = os.open

    def fail(path, *how):
        if str(path) == str(store.path(KEY)):
            raise OSError(code, "injected")
        return real(path, *how)

    monkeypatch.setattr(os, "open", fail)
    check_damaged(store, reason, caplog)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_without_permission(store, caplog):
    store.write(failed())
    store.path(KEY).chmod(0)
    check_damaged(store, "cannot be read: permission denied", caplog)


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_read(store, monkeypatch):
    store.write(failed())
    store.write(failed(FAR))
    real = os.listdir

    def fail(folder):
        if Path(folder).name == "ab":
            raise PermissionError(errno.EACCES, "injected")
        return real(folder)

    monkeypatch.setattr(os, "listdir", fail)
    records, damaged = store.scan()
    assert list(records) == [FAR]
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


def test_what_was_moved_aside_before_stays_when_its_successor_is_damaged_too(store):
    for content in (b"first", b"second"):
        store.write(failed())
        store.path(KEY).write_bytes(content)
    store.write(failed())
    assert sorted(path.read_bytes() for path in store.damaged.iterdir()) == [b"first", b"second"]


def test_what_cannot_be_moved_aside_is_not_written_over(store):
    store.write(failed())
    store.path(KEY).write_bytes(b"torn")
    store.damaged.write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot move .*\.json to .*damaged.*a file stands where a folder is needed"):
        store.write(failed())
    assert store.path(KEY).read_bytes() == b"torn"


def test_another_runner_moves_it_aside_at_the_same_time(store, monkeypatch):
    store.write(failed())
    store.path(KEY).write_bytes(b"torn")
    real = Path.rename

    def rename(path, target):
        path.unlink()
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    store.write(failed())
    assert store.read(KEY) == failed()


def real_size():
    """As long as the finals of a run."""
    point = {"train_loss": 0.43610668182373047, "loss": 1.592487625546055, "accuracy": 0.25}
    curve = [{**point, "step": step} for step in range(1, 20)]
    libraries = {f"library-{number}": f"2.15.{number}" for number in range(8)}
    provenance = {"commit": "b" * 40, "libraries": libraries, "platform": "Linux x86_64", "device": "cpu"}
    result = result_of("final", score=0.25, loss=point["loss"], curve=curve)
    return final(result=result, provenance=provenance, cost={"measured": {"seconds": 0.5}})


def unnoticed(data, places):
    """Of the bits, one at a time, those that may flip."""
    found = []
    for place in places:
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        with contextlib.suppress(ValueError):
            decode(bytes(changed), KEY)
            found.append(place)
    return found


def test_a_flipped_bit_is_noticed_wherever_it_is():
    data = encode(real_size())
    assert decode(data, KEY) == real_size()
    line = len(data.partition(b"\n")[0]) * 8
    assert unnoticed(data, [*range(line), *random.Random(0).sample(range(8 * len(data)), 2000)]) == []


@pytest.mark.slow
def test_every_flipped_bit_is_noticed():
    data = encode(real_size())
    assert 3000 < len(data) < 6000
    assert unnoticed(data, range(8 * len(data))) == []


def test_what_would_be_too_deep_to_read_is_not_written(store):
    deepest = failed(provenance=nested(DEPTH - 1))
    store.write(deepest)
    assert store.read(KEY) == deepest
    for depth in (DEPTH, 600, 100_000):
        provenance = {}
        for _ in range(depth - 1):
            provenance = {"in": provenance}
        with pytest.raises(ValueError, match="nested too deeply"):
            store.write(dataclasses.replace(deepest, provenance=provenance))
    assert store.read(KEY) == deepest
