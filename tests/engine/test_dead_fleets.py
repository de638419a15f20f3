"""What failed is gone from memory before it is tried in a smaller way: a fleet, a batch, a pass for features."""

import gc
import weakref

import pytest
import torch

from bench.engine.fleet import calibrate
from bench.engine.fleet.fleet import Fleet
from bench.engine.jobs.perform import perform
from bench.engine.reuse.stages import _Maker
from bench.engine.train.evaluate import score
from bench.engine.train.inputs import Direct
from bench.engine.train.loop import Session, train
from bench.engine.train.solo import Solo
from bench.spec.refs import Engine
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.fixture
def made(monkeypatch):
    """For each team, a fleet or one network: how many tensors of fleets lived when it was made."""
    fleets, alive = [], []
    real, solo = Fleet.__init__, Solo.__init__

    def note(fleet, *arguments):
        alive.append(sum(one() is not None for one in fleets))
        real(fleet, *arguments)
        fleets.extend(weakref.ref(one) for one in fleet.optimizer.parameters.values())

    def note_solo(team, *arguments, **more):
        alive.append(sum(one() is not None for one in fleets))
        solo(team, *arguments, **more)

    monkeypatch.setattr(Fleet, "__init__", note)
    monkeypatch.setattr(Solo, "__init__", note_solo)
    gc.collect()
    gc.disable()  # whoever waits for it may wait long
    yield alive
    gc.enable()


def fails_once(monkeypatch, kind):
    real, failed = Session.advance, []

    def advance(session, *arguments):
        if session.team.is_fleet and not failed:
            failed.append(1)
            real(session, 2, set())
            raise kind("CUDA error: out of memory")  # a new one, which nobody else keeps
        return real(session, *arguments)

    monkeypatch.setattr(Session, "advance", advance)


@pytest.mark.parametrize(("error", "kind", "strategy"), [
    (torch.OutOfMemoryError, "search", "full_finetune"), (torch.OutOfMemoryError, "final", "linear_probe"),
    (torch.AcceleratorError, "search", "linear_probe"), (torch.AcceleratorError, "final", "full_finetune"),
    (ZeroDivisionError, "search", "full_finetune"), (ZeroDivisionError, "final", "linear_probe"),
])  # fmt: skip
def test_a_fleet_that_fails_is_gone_before_its_trainings_begin_anew(
    tmp_path, monkeypatch, made, error, kind, strategy
):
    monkeypatch.setattr(calibrate, "LARGEST", {"cpu": 1e12})
    monkeypatch.setattr(calibrate, "_fastest", lambda *_: calibrate.FleetChoice(16, "vmap"))
    context = toys.context(tmp_path, engine=Engine(fleet="auto"))
    specs = [toys.fit_spec(recipe=toys.recipe(strategy, 6), repeat=repeat) for repeat in range(4)]
    searches, finals = zip(*map(toys.search_and_final, specs), strict=True)
    if kind == "final":
        assert perform(searches, context)
        gc.collect()
        made.clear()
    fails_once(monkeypatch, error)
    assert perform(searches if kind == "search" else finals, context)
    if kind == "search" and error is not ZeroDivisionError:
        assert made[:2] == [0, 0]  # the fleets of a search stand side by side, since rungs interrupt them
        assert len(made) > 2
    else:
        assert made == [0] * len(made)
        assert len(made) >= 3


def test_while_forms_are_tried_out_one_fleet_lives_at_a_time(tmp_path, monkeypatch, made):
    monkeypatch.setattr(calibrate, "LARGEST", {"cpu": 1e12})
    monkeypatch.setattr(calibrate, "WIDTHS", {"cpu": (2, 4, 8)})
    alone = {"width": 1, "form": "alone"}
    monkeypatch.setattr(calibrate, "find_out_once", lambda path, find_out, tell: find_out() and alone)
    search, _ = toys.search_and_final(toys.fit_spec())
    assert perform(search, toys.context(tmp_path, engine=Engine(fleet="auto")))
    assert made == [0] * (1 + 3 + 3)


class Greedy:
    """Makes something large, finds no room the first time, and says whether it is gone the second time."""

    def __init__(self, real, kind=torch.OutOfMemoryError):
        self.real, self.kind, self.first, self.was_gone = real, kind, None, None

    def __call__(self, *arguments):
        large = torch.zeros(1000)
        if self.first is None:
            self.first = weakref.ref(large)
            raise self.kind("CUDA error: out of memory")
        if self.was_gone is None:
            self.was_gone = self.first() is None
        return self.real(*arguments)


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_what_a_pass_for_features_made_is_gone_before_a_smaller_one(tmp_path, monkeypatch, made, kind):
    greedy = Greedy(_Maker._views, kind)
    monkeypatch.setattr(_Maker, "_views", lambda *arguments: greedy(*arguments))
    search, _ = toys.search_and_final(toys.fit_spec(recipe=toys.recipe("linear_probe", 6)))
    context = toys.context(tmp_path)
    assert perform(search, context)
    assert greedy.was_gone
    assert {context.store.read(key).status for key in search.record_keys} == {"ok"}


def test_what_a_batch_of_scoring_made_is_gone_before_a_smaller_one(made):
    net = toys.network("toy_vit")
    greedy = Greedy(lambda inputs: net.module(inputs[0][0])[None])
    score(greedy, toys.images("test"), Direct(toys.PIPELINE), 64)
    assert greedy.was_gone


def test_what_a_batch_of_training_made_is_gone_before_it_is_cut_in_pieces(monkeypatch, made):
    net = toys.network("toy_vit")
    real = net.module.forward
    greedy = Greedy(real)
    monkeypatch.setattr(net.module, "forward", greedy)
    train(net, toys.assignment(toys.recipe("linear_probe", 5), {"steps": 2}))
    assert greedy.was_gone
