"""Every strategy on a text encoder: it runs, or says in one line why it cannot."""

import dataclasses

import pytest

from bench.strategies import STRATEGIES
from tests.engine import toys, words
from tests.engine.test_text import SEARCH, TRAINING, context
from tests.strategies.test_contract import OPTIONS

TRAINING_FEW = dataclasses.replace(TRAINING, steps=4)


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    words.put_in_place(monkeypatch)


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_runs_or_says_why_not(tmp_path, name):
    ref, pipeline, files = words.encoder(tmp_path / "net")
    made = toys.recipe(name, 5, **OPTIONS.get(name, {}))
    made = dataclasses.replace(made, via=None)
    spec = words.fit_spec(ref, pipeline, training=TRAINING_FEW, search=dataclasses.replace(SEARCH, trials=1))
    spec = dataclasses.replace(spec, recipe=made)
    trials, final = toys.everything(context(tmp_path, files), spec)
    print(name, final.status, trials[0].error, final.error)
    assert final.status in ("ok", "not_applicable"), trials[0].error
