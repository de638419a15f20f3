"""What a line of progress says of a record."""

import pytest

from bench.execute.messages import Recorded
from bench.store import Record


@pytest.mark.parametrize(("status", "result", "outcome"), [
    ("ok", {"score": 0.5, "collapsed": False}, "ok 0.500"),
    ("ok", {"score": 0.1, "collapsed": True}, "ok 0.100, collapsed"),
    ("ok", {"score": 0.25}, "ok 0.250"),  # a closed form, or a trial
    ("diverged", {"lr": 1.0}, "diverged"),
])  # fmt: skip
def test_outcome_in_words(status, result, outcome):
    assert Recorded.of(Record("k", "final", status, {}, result)).outcome == outcome
