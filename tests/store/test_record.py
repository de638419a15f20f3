"""A record is held against itself: its key against its content, its numbers against each other and what was asked."""

import dataclasses

import pytest

from bench.store import Damaged, coherence
from bench.store.encoding import encode
from bench.store.folded import fold
from bench.store.reading import load
from tests import made_up
from tests.made_up import HYPER, result_of
from tests.store.finals import FAR, KEY, final

PENALTY = {"penalty": 0.1}
POINT = result_of("final")["curve"][0]
RUNG = {"step": 24, "score": 0.5, "loss": 0.5}
MCC = {"data": {"metric": "mcc", "num_classes": 3}}
LOW = {"metric": "mcc", "score": -0.5}
SHIFT = {"score": 0.25, "loss": 2.0, "num": 10}


def made(kind="final", spec=None, **fields):
    return made_up.record(kind, spec=spec, result=result_of(kind, **fields))


def without(record, *names):
    return dataclasses.replace(record, result={n: v for n, v in record.result.items() if n not in names})


@pytest.mark.parametrize("record", [
    *(made(kind) for kind in ("pretrain", "trial", "final", "unchosen")),
    made("final", MCC, **LOW),
    made("trial", MCC, score=-0.5),
    made(curve=[{**POINT, "accuracy": 0.75}, POINT], best_on_test=0.75),
    made("trial", steps=24, rungs=[{**RUNG, "step": 12, "score": 0.1}, RUNG]),
    made("trial", {"search": {"trials": 3, "folds": 5}}, folds=[{"score": 0.5, "loss": 0.5}] * 2),
    without(made("trial", {"hyper": {"lr": None, "weight_decay": None, **PENALTY}}, **PENALTY), "lr", "weight_decay"),
    made("trial", {"hyper": {**HYPER, "options": {"upto": 2}}}, options={"upto": 2}),
    made_up.record("trial", "diverged", result=HYPER),
    made_up.record("trial", "failed", result={"traceback": "x"}),
    made_up.record("final", "diverged", result={**HYPER, "trial": 1}),
    made(trial=None),
    made(shift=SHIFT),
    made("unchosen", shift={**SHIFT, "loss": None}),
    made("final", MCC, **LOW, shift={**SHIFT, "score": -0.25}),
])  # fmt: skip
def test_what_the_engine_may_write(store, record):
    store.write(record)
    assert store.read(record.key) == record
    assert store.scan() == ({record.key: fold(record)}, [])


@pytest.mark.parametrize(("record", "reason"), [
    (made(score=-0.5), "a score of -0.5, but accuracy goes from 0 to 1"),
    (made("final", MCC), "result.metric is accuracy, but the data's is mcc"),
    (made("trial", folds=[{"score": -0.1, "loss": None}]), "a score of -0.1, but accuracy goes from 0 to 1"),
    (made("pretrain", score=-0.1), "a score of -0.1, but accuracy goes from 0 to 1"),
    (made(curve=[{**POINT, "accuracy": 0.25}], best_on_test=0.25), "result.score is 0.5, but its curve ends at 0.25"),
    (made("pretrain", curve=[{**POINT, "accuracy": 0.25}]), "result.score is 0.5, but its curve ends at 0.25"),
    (made(curve=[{**POINT, "loss": 0.25}]), "result.loss is not where its curve ends"),
    (made(curve=[]), "result.curve is empty"),
    (made(best_on_test=0.75), "result.best_on_test is 0.75, but its curve's best is 0.5"),
    (made(best_on_test=0.25), "result.best_on_test is 0.25, but its curve's best is 0.5"),
    (made(num_test=0), "result.num_test is 0"),
    (made(shift={**SHIFT, "num": 0}), "result.shift.num is 0"),
    (made(shift={**SHIFT, "score": -0.25}), "a score of -0.25, but accuracy goes from 0 to 1"),
    (made(shift={**SHIFT, "score": 1.25}), "result.shift.score: expected less than or equal to 1.000001, got 1.25"),
    (made("final", {"deployed": {}}, shift=SHIFT), "result.shift is there, but a network in wrong use has"),
    (made("pretrain", num_test=0), "result.num_test is 0"),
    (made(trial=3), "trial 3 of a search of 3"),
    (made("trial", {"number": 3}), "trial 3 of a search of 3"),
    (made("trial", lr=0.2), "result.lr is 0.2, but the point asked for has 0.1"),
    (made("unchosen", weight_decay=0.2), "result.weight_decay is 0.2, but the point asked for has 0.0"),
    (made("trial", {"hyper": {**HYPER, "options": {"upto": 2}}}), "result.options is {}, but the point asked for"),
    (made_up.record("trial", "diverged", result={**HYPER, "lr": 0.2}), "result.lr is 0.2, but the point asked for"),
    (made("unchosen", trial=1), "result.trial is not the spec's number"),
    (made("trial", num_validation=0), "result.num_validation is 0"),
    (made("trial", folds=[]), "0 folds, 1 asked for"),
    (made("trial", folds=[{"score": 0.5, "loss": 0.5}] * 2), "2 folds, 1 asked for"),
    (made("trial", steps=25), "25 steps, 24 asked for"),
    (made("trial", steps=24, rungs=[{**RUNG, "score": 0.25}]), "the last rung is not what the trial came to"),
    (made(spec={"recipe": {"labels": "source"}}, num_labels=4), "result.num_labels is 4, but it learned none"),
    (made(spec={"deployed": {"by_class": True}}, curve=[POINT, POINT]), "a network in wrong use has one score"),
    (made(spec={"recipe": {"phases": [{"rates": [1.0] * 4}]}}, similarity=[0.5]), "result.similarity has 1 values"),
])  # fmt: skip
def test_what_contradicts_itself_is_refused_at_both_doors(store, record, reason):
    with pytest.raises(ValueError, match="^" + reason.replace("{", r"\{")):
        store.write(record)
    path = store.path(record.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(record))
    found = load(path)
    assert isinstance(found, Damaged)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("kind", ["pretrain", "trial", "final", "unchosen"])
def test_a_foreign_record_whose_key_was_edited_is_refused(store, kind):
    mine, other = (made_up.record(kind, spec={"seed": seed}) for seed in (0, 1))
    foreign = dataclasses.replace(other, key=mine.key)
    with pytest.raises(ValueError, match="its key does not follow from its spec"):
        store.write(foreign)
    path = store.path(mine.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(foreign))  # with a checksum that fits
    assert load(path) == Damaged(path, "its key does not follow from its spec: edited, or another record's content")


@pytest.mark.parametrize("name", ["protocol", "job", "needs"])
def test_a_spec_that_is_no_jobs_is_refused_by_name(store, name):
    record = final()
    broken = dataclasses.replace(record, spec={n: v for n, v in record.spec.items() if n != name})
    with pytest.raises(ValueError, match=f"spec.{name}: missing"):
        store.write(broken)


def test_another_kind_under_the_same_key_is_refused(store):
    """A trial's own spec would fit a final, but for the kind of its job."""
    with pytest.raises(ValueError, match="its key does not follow"):
        store.write(dataclasses.replace(final(), kind="unchosen", spec={**final().spec, "number": 0, "hyper": HYPER,
                                                                        "place": 0}))  # fmt: skip


def test_records_of_an_older_protocol_follow_from_it(store):
    older = made_up.record(spec={"protocol": 1})
    store.write(older)
    assert store.read(older.key) == older
    assert coherence.key_from_spec(older) not in (KEY, FAR)
