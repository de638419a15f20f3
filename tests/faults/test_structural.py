import pytest

from bench.store import Record
from tests.faults.structural import run

pytestmark = pytest.mark.usefixtures("undrawn")

SEED = 16
MUTATIONS = 60  # `python -m tests.faults.structural` has 1,000


def test_no_odd_record_ends_anything(tmp_path):
    tally = run(tmp_path, MUTATIONS, SEED, together=10)
    assert not tally.ended, tally
    assert tally.mutations == MUTATIONS
    assert tally.damaged > MUTATIONS / 10
    assert tally.read > MUTATIONS / 3


def test_the_harness_sees_what_unchecked_records_do(tmp_path, monkeypatch):
    monkeypatch.setattr(Record, "check", lambda self: None)
    assert run(tmp_path, 20, SEED, together=5).ended
