"""What a line of progress says of a record."""

import pytest

from bench.execute.messages import Recorded
from bench.store import Record
from tests.made_up import result_of


@pytest.mark.parametrize(("kind", "status", "result", "outcome"), [
    ("final", "ok", {"score": 0.5, "collapsed": False}, "ok 0.500"),
    ("trial", "ok", {"score": 0.1, "collapsed": True}, "ok 0.100, collapsed"),
    ("final", "ok", {"score": 0.25}, "ok 0.250"),  # a closed form
    ("pretrain", "ok", {"score": 0.75}, "ok 0.750"),
    ("final", "diverged", {"lr": 1.0}, "diverged"),
])  # fmt: skip
def test_outcome_in_words(kind, status, result, outcome):
    assert Recorded.of(Record("k", kind, status, {}, result_of(kind, **result))).outcome == outcome
