"""What a final said of each test example: its file, and what becomes of it beside its record."""

import dataclasses
import hashlib
import os
import time

import numpy as np
import pytest

from bench import metrics
from bench.errors import StoreError
from bench.store.folded import fold
from bench.store.predictions import BEGINNING, COLUMNS, MOST, Claims, Kept, Predictions, get, pack, put, unpack
from bench.store.store import UNNAMED_SECONDS
from tests.made_up import result_of
from tests.store.finals import FAR, KEY, NEIGHBOUR, final


def drawn(num=11, num_classes=4, seed=0, **columns):
    """All columns, unless a test leaves some out."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, num_classes, num).astype(np.uint16)
    classes = rng.integers(0, num_classes, num).astype(np.uint16)
    whole = {
        "right": truth == classes, "truth": truth, "classes": classes,
        "log_classes": (-rng.random(num)).astype(np.float16), "log_truth": (-3 * rng.random(num)).astype(np.float16),
        "probabilities": rng.random((num, num_classes)).astype(np.float16),
        "images": rng.permutation(70_000)[:num].astype(np.uint32),
    }  # fmt: skip
    return Predictions(**{**whole, **columns})


def equal(one, two):
    for field in dataclasses.fields(Predictions):
        mine, theirs = getattr(one, field.name), getattr(two, field.name)
        assert (mine is None) == (theirs is None), field.name
        if mine is not None:
            assert mine.dtype == theirs.dtype, field.name
            assert np.array_equal(mine, theirs), field.name
    return True


def names(store):
    return sorted(path.name for path in store.path(KEY).parent.iterdir())


@pytest.mark.parametrize("num_classes", [2, 256, 257, 60_000])
@pytest.mark.parametrize("left_out", [(), ("probabilities", "images"), tuple(COLUMNS)[1:]])
@pytest.mark.parametrize("num", [1, 8, 11])
def test_what_is_packed_is_unpacked(num_classes, left_out, num):
    whole = drawn(num, min(num_classes, 300), **dict.fromkeys(left_out))
    if "truth" not in left_out:
        whole.truth[0] = num_classes - 1
    assert equal(unpack(pack(whole)), whole)
    assert pack(whole) == pack(whole)


def test_predictions_hold_one_place_for_each_column():
    assert list(COLUMNS) == [field.name for field in dataclasses.fields(Predictions)]


WHOLE = pack(drawn())


def with_header(text):
    return BEGINNING + text.encode() + b"\n" + WHOLE.removeprefix(BEGINNING).partition(b"\n")[2]


@pytest.mark.parametrize("data", [
    b"", b"<html>", WHOLE[:-1], WHOLE + b"\0", WHOLE[:40], WHOLE.replace(b"predictions 1", b"predictions 2", 1),
    WHOLE.replace(b'"num": 11', b'"num": 12', 1), WHOLE.replace(b"|u1", b"<u2", 1), with_header(""), with_header("[]"),
    with_header("[" * 100_000), with_header('{"num": -1, "width": 0, "columns": {"right": "bits"}}'),
    with_header('{"num": true, "width": 0, "columns": {"right": "bits"}}'),
    with_header('{"num": 1, "width": 0, "columns": {"truth": "|u1"}}'),
    with_header('{"num": 1, "width": 0, "columns": {"right": "|O"}}'),
    with_header('{"num": 1, "width": 0, "columns": {"right": "bits", "more": "|u1"}}'),
    with_header('{"num": 1, "width": 0, "columns": {"truth": "|u1", "right": "bits"}}'),
    with_header('{"num": 1, "width": 0, "columns": ["right"]}'),
    with_header(f'{{"num": {MOST - 1}, "width": {MOST - 1}, "columns": {{"right": "bits", "probabilities": "<f2"}}}}'),
])  # fmt: skip
def test_damage_is_a_value_error(data):
    assert data != WHOLE
    with pytest.raises(ValueError, match=r"."):
        unpack(data)


def test_random_damage_is_a_value_error_or_harmless():
    """A flipped bit inside compressed data is found by its checksum; nothing else than ValueError ever comes out."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(WHOLE)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with pytest.raises(ValueError, match=r"."):
            unpack(bytes(data))


def test_beside_the_record_under_its_key_and_digest(store):
    told = drawn()
    sha256 = put(store, KEY, told)
    assert sha256 == hashlib.sha256(pack(told)).hexdigest()
    assert store.predictions_path(KEY, sha256) == store.path(KEY).parent / f"{KEY}.{sha256}.predictions"
    record = final(KEY, result=result_of("final", predictions=sha256))
    store.write(record)
    assert names(store) == [f"{KEY}.{sha256}.predictions", f"{KEY}.json"]
    assert store.read(KEY).final.predictions == sha256
    assert store.scan() == ({KEY: fold(record)}, [])
    assert equal(get(store, KEY, sha256), told)


def test_what_an_older_record_predicted_goes_and_no_other(store):
    first, others = (put(store, key, drawn(seed=n)) for n, key in enumerate((KEY, NEIGHBOUR)))
    store.write(final(KEY, result=result_of("final", predictions=first)))
    assert names(store) == [f"{KEY}.{first}.predictions", f"{KEY}.json", f"{NEIGHBOUR}.{others}.predictions"]
    second = put(store, KEY, drawn(seed=5))
    store.write(final(KEY, result=result_of("final", predictions=second)))
    assert names(store) == [f"{KEY}.{second}.predictions", f"{KEY}.json", f"{NEIGHBOUR}.{others}.predictions"]
    store.write(final(KEY, status="crashed", result={}))
    assert names(store) == [f"{KEY}.json", f"{NEIGHBOUR}.{others}.predictions"]


def test_two_runners_without_locks_leave_the_last_record_its_predictions(store):
    """Both had predicted before either wrote its record."""
    mine, theirs = (put(store, KEY, drawn(seed=seed)) for seed in (1, 2))
    for sha256 in (mine, theirs):
        store.write(final(KEY, result=result_of("final", predictions=sha256)))
        assert get(store, KEY, sha256).right.sum() > 0
    assert names(store) == [f"{KEY}.{theirs}.predictions", f"{KEY}.json"]
    store.write(final(KEY, result=result_of("final", predictions=theirs)))
    assert len(names(store)) == 2, "written again"


def test_a_damaged_record_names_nothing_to_remove(store):
    sha256 = put(store, KEY, drawn())
    store.write(final(KEY, result=result_of("final", predictions=sha256)))
    store.path(KEY).write_bytes(b"{")
    store.write(final(KEY, result=result_of("final", predictions=sha256)))
    assert get(store, KEY, sha256).right.sum() > 0


def test_a_record_is_forgotten_with_its_predictions(store):
    sha256 = put(store, KEY, drawn())
    store.write(final(KEY, result=result_of("final", predictions=sha256)))
    store.forget(KEY)
    assert names(store) == []
    store.forget(KEY)


def test_other_names_are_still_damaged(store):
    put(store, KEY, drawn())
    path = store.path(KEY).parent / f"{KEY}.predictions"
    path.write_bytes(b"")
    assert [(one.path, one.reason) for one in store.scan()[1]] == [(path, "not the name of a record")]


def test_a_digest_that_is_none_becomes_no_path(store):
    with pytest.raises(ValueError, match="a sha256 64"):
        store.predictions_path(KEY, "../" + "0" * 61)


def test_absent_and_damaged_predictions_are_told_with_their_place(store, monkeypatch):
    sha256 = put(store, KEY, drawn())
    path = store.predictions_path(KEY, sha256)
    assert equal(Kept(store, KEY, sha256).whole(), drawn())
    path.write_bytes(pack(drawn(seed=1)))
    damaged = Kept(store, KEY, sha256)
    assert damaged.load() is None
    assert damaged.problem == f"predictions damaged: {path}: {len(path.read_bytes())} bytes of another content"
    path.unlink()
    lost = Kept(store, KEY, sha256)
    assert lost.load() is None
    assert lost.problem == f"predictions missing: {path}"
    path.mkdir()
    assert Kept(store, KEY, sha256).problem == f"predictions damaged: {path}: not a file"
    monkeypatch.setattr("bench.store.predictions.read_regular", lambda path, _: os.open(path / "x" / "y", os.O_RDONLY))
    assert Kept(store, KEY, sha256).problem == f"predictions missing: {path}"
    path.rmdir()
    path.write_bytes(b"")
    assert Kept(store, KEY, sha256).problem.startswith(f"cannot read predictions {path}: a file stands where")
    none = Kept(store, KEY, None)
    assert (none.load(), none.problem) == (None, "")


def test_what_fits_its_digest_may_still_be_of_another_version(store):
    data = b"predictions 9\n"
    sha256 = hashlib.sha256(data).hexdigest()
    path = store.predictions_path(KEY, sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"not a file of predictions of this version"):
        get(store, KEY, sha256)


def test_predictions_are_read_once_and_only_when_asked_for(store, monkeypatch):
    asked = []
    monkeypatch.setattr("bench.store.predictions.get", lambda *where: asked.append(where))
    kept = Kept(store, KEY, "0" * 64)
    assert asked == []
    assert (kept.load(), kept.load()) == (None, None)
    assert asked == [(store, KEY, "0" * 64, None)]


def claims_of(told, num_classes=4, metric="accuracy", **fields):
    score = told.right.mean() if told.truth is None else metrics.score_of(metric, told.truth, told.classes, num_classes)
    return dataclasses.replace(Claims(len(told), num_classes, metric, float(score)), **fields)


TOLD = drawn(40)


@pytest.mark.parametrize("metric", metrics.METRICS)
@pytest.mark.parametrize("columns", [{}, dict.fromkeys(tuple(COLUMNS)[1:])])
def test_what_a_record_claims_is_read(store, metric, columns):
    told = dataclasses.replace(TOLD, **columns)
    assert equal(Kept(store, KEY, put(store, KEY, told), claims_of(told, metric=metric)).whole(), told)


@pytest.mark.parametrize(("told", "claims", "why"), [
    (TOLD, claims_of(TOLD, num_test=41), r"right of (40,), but its record is of (41,)"),
    (TOLD, claims_of(TOLD, num_classes=5), "probabilities of (40, 4), but its record is of (40, 5)"),
    (drawn(40, probabilities=None), claims_of(TOLD, num_classes=3), "a true class 3 of 3"),
    (dataclasses.replace(TOLD, classes=TOLD.classes + 2), claims_of(TOLD), "a predicted class 5 of 4"),
    (dataclasses.replace(TOLD, right=~TOLD.right), claims_of(TOLD), "what is right contradicts the classes"),
    (TOLD, claims_of(TOLD, score=0.5), "they score 0.200000, but its record 0.500000"),
    (TOLD, claims_of(TOLD, metric="mcc", score=0.5), "they score -0.073006, but its record 0.500000"),
    (Predictions(TOLD.right), claims_of(TOLD, score=0.5), "they score 0.200000, but its record 0.500000"),
])
def test_what_contradicts_its_record_counts_as_absent(store, told, claims, why):
    sha256 = put(store, KEY, told)
    kept = Kept(store, KEY, sha256, claims)
    assert (kept.load(), kept.whole()) == (None, None)
    assert kept.problem == f"predictions damaged: {store.predictions_path(KEY, sha256)}: {why}"


def test_no_more_is_unpacked_or_read_than_its_record_claims(store, monkeypatch):
    """Little that would become much, and a long file."""
    monkeypatch.setattr("bench.store.predictions._inflated", None)
    claims = claims_of(TOLD)
    with pytest.raises(ValueError, match="right of"):
        unpack(with_header('{"num": 200000000, "width": 0, "columns": {"right": "bits"}}'), claims)
    assert len(pack(TOLD)) < claims.most_bytes < 10_000
    path = store.predictions_path(KEY, "0" * 64)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0" * (claims.most_bytes + 1))
    monkeypatch.setattr("pathlib.Path.read_bytes", None)
    assert "bytes, more than the" in Kept(store, KEY, "0" * 64, claims).problem


def test_what_cannot_be_compressed_still_fits(store):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 16, (50, 3000)).astype(np.uint16)
    told = drawn(50, 3000, probabilities=bits.view(np.float16))
    assert Kept(store, KEY, put(store, KEY, told), claims_of(told, 3000)).problem == ""


def test_probabilities_do_not_stay_in_memory(store):
    """Nor does what they were unpacked from."""
    kept = Kept(store, KEY, put(store, KEY, drawn()))
    assert kept.load().probabilities is None
    assert equal(dataclasses.replace(kept.whole(), probabilities=None), kept.load())
    columns = [column for name in COLUMNS if (column := getattr(kept.load(), name)) is not None]
    assert len(columns) == 6
    assert all(column.base is None for column in columns)
    assert kept.whole().probabilities is not kept.whole().probabilities


def test_ten_thousand_images_take_less_than_100_kb():
    rng = np.random.default_rng(0)
    num = 10_000
    for num_classes in (10, 1000):
        right = rng.random(num) < 0.7
        truth = rng.integers(0, num_classes, num)
        told = Predictions(
            right, truth.astype(np.uint16), np.where(right, truth, (truth + 1) % num_classes).astype(np.uint16),
            np.log(rng.random(num)).astype(np.float16), np.log(rng.random(num)).astype(np.float16),
        )  # fmt: skip
        assert len(pack(told)) < 100_000


def aged(store, key, seed, age=2 * UNNAMED_SECONDS):
    path = store.predictions_path(key, put(store, key, drawn(seed=seed)))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def left(store):
    store.check_writable()
    return set(store.runs.glob("*/*.predictions"))


def test_what_no_record_names_goes_once_it_can_have_no_writer(store):
    aged(store, KEY, 1)
    young = aged(store, KEY, 2, age=UNNAMED_SECONDS / 2)
    assert left(store) == {young}


def test_what_a_record_names_stays_and_what_lies_beside_it_goes(store):
    mine, _ = aged(store, KEY, 1), aged(store, KEY, 2)
    alone = aged(store, FAR, 3)
    for path in (mine, alone):
        key, sha256, _ = path.name.split(".")
        store.write(final(key, result=result_of("final", predictions=sha256)))
    assert left(store) == {mine, alone}


def test_what_a_damaged_record_may_have_named_stays(store):
    both = {aged(store, KEY, 1), aged(store, KEY, 2)}
    store.path(KEY).write_bytes(b"torn")
    assert left(store) == both


def test_what_a_record_named_that_was_moved_aside_stays(store):
    mine, other = aged(store, KEY, 1), aged(store, FAR, 2)
    sha256 = mine.name.split(".")[1]
    store.write(final(KEY, result=result_of("final", predictions=sha256)))
    store.path(KEY).write_bytes(store.path(KEY).read_bytes()[:-9])
    theirs = aged(store, KEY, 3)
    store.write(final(KEY, result=result_of("final", predictions=theirs.name.split(".")[1])))
    assert len(list(store.damaged.iterdir())) == 1
    assert left(store) == {mine, theirs}, other
