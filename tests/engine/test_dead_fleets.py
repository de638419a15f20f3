"""What a fleet that failed leaves behind at the moment when a narrower one is built: nothing."""

import gc
import weakref

import pytest
import torch

from bench.engine.fleet import calibrate
from bench.engine.fleet.fleet import Fleet
from bench.engine.jobs.perform import perform
from bench.engine.train.loop import Session
from bench.spec.refs import Engine
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.fixture
def made(monkeypatch):
    """For each fleet: its tensors, and how many of those made before it lived when it was made."""
    fleets, alive = [], []
    real = Fleet.__init__

    def note(fleet, *arguments):
        alive.append(sum(one() is not None for one in fleets))
        real(fleet, *arguments)
        fleets.extend(weakref.ref(one) for one in fleet.optimizer.parameters.values())

    monkeypatch.setattr(Fleet, "__init__", note)
    gc.collect()
    gc.disable()  # whoever waits for it may wait long
    yield alive
    gc.enable()


def fails_once(monkeypatch, error):
    real, failed = Session.advance, []

    def advance(session, *arguments):
        if session.team.is_fleet and not failed:
            failed.append(1)
            real(session, 2, set())
            raise error
        return real(session, *arguments)

    monkeypatch.setattr(Session, "advance", advance)


@pytest.mark.parametrize("strategy", ["linear_probe", "full_finetune"])
@pytest.mark.parametrize("kind", ["search", "final"])
def test_a_fleet_without_room_is_gone_before_the_narrower_one_is_built(tmp_path, monkeypatch, made, kind, strategy):
    monkeypatch.setattr(calibrate, "LARGEST", {"cpu": 1e12})
    monkeypatch.setattr(calibrate, "_fastest", lambda *_: calibrate.FleetChoice(16, "vmap"))
    context = toys.context(tmp_path, engine=Engine(fleet="auto"))
    specs = [toys.fit_spec(recipe=toys.recipe(strategy, 6), repeat=repeat) for repeat in range(4)]
    searches, finals = zip(*map(toys.search_and_final, specs), strict=True)
    if kind == "final":
        assert perform(searches, context)
        gc.collect()
        made.clear()
    fails_once(monkeypatch, torch.OutOfMemoryError("no room"))
    assert perform(searches if kind == "search" else finals, context)
    assert len(made) >= 2
    assert made == [0] * len(made)
