"""Soups: the mean of what the trials of a search ended as. Nothing is trained for it. Where a search validates by
folds, each trial ended as one network for each fold; all began with the same weights, so all of them are averaged.
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from bench.engine.common.context import Context
from bench.engine.common.history import Tried, read_history
from bench.engine.common.sources import setting_for
from bench.engine.common.start import Start, labelled_images, trial_streams
from bench.engine.train.evaluate import Scored, estimate_statistics, pooled
from bench.engine.train.loop import OWN_IMAGES, Outcome, Session, Stream, first_drawn
from bench.engine.train.solo import Solo
from bench.engine.train.stage import plain_stages
from bench.planning.ranking import ranking
from bench.spec.job import FitSpec, trial_key
from bench.store import Store, blobs
from bench.store.results import Point

State = dict[str, Tensor]


def shelf(search_key: str, store: Store) -> Path:
    """Where a search's ingredients lie: by itself, for another soup may be made of equal ones."""
    return store.root / "ingredients" / search_key


def keep_ingredient(session: Session, search_key: str, context: Context) -> str:
    """The digest of what training has moved, as it is now."""
    network = session.team.network
    state = network.module.state_dict()
    moving = network.moving(session.recipe.touched(len(session.recipe.phases) - 1))
    return blobs.put(shelf(search_key, context.store), save({name: state[name].contiguous().cpu() for name in moving}))


def ingredients_of(search_key: str, spec: FitSpec, store: Store) -> dict[int, list[str]]:
    """Digests, by trial and fold, of the trials that came to their end."""
    found = {}
    for number in range(spec.search.trials):
        record = store.read(trial_key(search_key, number))
        if record is not None and record.trial is not None and record.trial.ingredients:
            found[number] = record.trial.ingredients
    return found


def drop_ingredients(search_key: str, store: Store) -> None:
    """The soup is made; `--rerun all` makes them again."""
    shutil.rmtree(shelf(search_key, store), ignore_errors=True)


@dataclass(frozen=True)
class Soup:
    outcome: Outcome
    team: Solo  # whose network it is
    numbers: list[int]  # of the trials in it
    share: float  # steps of all its ingredients, in trainings of the whole budget


class SoupPot:
    """A network that holds one mean after another."""

    def __init__(self, spec: FitSpec, begin: Start, chosen: Tried, search_key: str, context: Context) -> None:
        self.spec, self.begin, self.search_key, self.context = spec, begin, search_key, context
        self.digests = ingredients_of(search_key, spec, context.store)
        self.team = Solo(begin.network, spec.procedure, chosen.hyper, begin.renew)
        self.team.resume()
        stage = plain_stages(begin.network, spec.procedure)(0)
        self.team.enter(stage, spec.recipe.active(len(spec.recipe.phases) - 1), 0)

    def make(self, stream: Stream) -> Soup:
        """`stream`: the labels, and what the soup is scored on."""
        store = self.context.store
        history = [one for one in read_history(self.search_key, self.spec, store) if one.number in self.digests]
        ranked = sorted(history, key=lambda one: ranking(one.score, one.loss, one.hyper.lr, one.collapsed))
        numbers = [tried.number for tried in ranked]
        if self.spec.recipe.soup == "greedy":
            numbers = self.greedy(numbers)
        self.pour(numbers, stream)
        seen, learned = self.score(stream.scored), self.score(first_drawn(stream, OWN_IMAGES))
        outcome = Outcome(last=seen, own=learned)
        if stream.shift is not None:
            outcome.shift = self.score(stream.shift)
        for number in numbers:
            record = store.read(trial_key(self.search_key, number))
            assert record is not None, "its history was read"
            outcome.steps += record.spent.logical.steps or 0
            outcome.samples += record.spent.logical.samples or 0
        budget = self.spec.training.steps
        if learned.loss is None:
            outcome.diverged_at = outcome.steps
        else:
            outcome.curve.append(Point(budget, learned.loss, seen.score, seen.loss))
        return Soup(outcome, self.team, numbers, outcome.steps / budget)

    def greedy(self, ranked: Sequence[int]) -> list[int]:
        """From the best on, each trial that does not make the mean worse on the validation images."""
        data = self.context.data(self.spec.data, self.spec.pipeline)
        streams = trial_streams(self.spec, labelled_images(self.spec, data), listed=data.listed_for(self.spec))
        kept: list[int] = []
        best = -math.inf
        for number in ranked:
            score = self._out_of_fold([*kept, number], streams)
            if score >= best:
                kept.append(number)
                best = score
        return kept

    def _out_of_fold(self, numbers: Sequence[int], streams: Sequence[Stream]) -> float:
        """The score on the validation images: each fold's by the mean of the networks that have not seen them."""
        found = []
        for fold, stream in enumerate(streams):
            self._hold([self._read(number, fold) for number in numbers], stream)
            found.append(self.score(stream.scored))
        return pooled(found)[0]

    def pour(self, numbers: Sequence[int], stream: Stream) -> None:
        """From now on the network is the mean of these trials over all their folds."""
        folds = range(len(self.digests[numbers[0]]))
        self._hold([self._read(number, fold) for number in numbers for fold in folds], stream)

    def score(self, images: Any) -> Scored:
        assert images is not None
        return self.team.score([images])[0][0]

    def _read(self, number: int, fold: int) -> State:
        return load(blobs.get(shelf(self.search_key, self.context.store), self.digests[number][fold]))

    def _hold(self, states: Sequence[State], stream: Stream) -> None:
        """BatchNorm's statistics belong to no mean of weights: they are taken anew from the training images."""
        own = self.begin.network.module.state_dict()
        with torch.no_grad():
            for name, first in states[0].items():
                mean = first
                if first.is_floating_point():
                    mean = torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
                own[name].copy_(mean)
            setting = setting_for(self.spec, self.begin, stream, self.context)
            estimate_statistics(self.begin.network.module, (images for images, _ in setting.batches()))
