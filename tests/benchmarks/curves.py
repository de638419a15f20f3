"""Learning curves of whole searches on scikit-learn's digits at 8 pixels, all trainings of a strategy in a few fleets;
and what a way of choosing makes of such a table."""

import dataclasses

import numpy as np
from safetensors.torch import save_file

from bench.backbones.weights_file import file_sha256
from bench.catalogue import Options
from bench.datasets import DATASETS
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.datasets.sampling import subset_per_class
from bench.engine.common.start import labelled_images, start, trial_streams
from bench.engine.fleet.together import FleetStream, fleet_session
from bench.engine.train.loop import Session
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo
from bench.engine.train.stage import plain_stages
from bench.planning.halving import num_kept, rungs
from bench.planning.ranking import ranking
from bench.spec.refs import BackboneRef, DataRef, Weights
from tests.benchmarks import workshop
from tests.benchmarks.sizes import sized

EPOCHS, EPOCH = 9, 5  # an epoch has so many steps: 100 images in batches of 20
RATES = 10
TOGETHER = sized(5, 2)  # splits in one fleet
NETWORK = BackboneRef("projected_resnet", {"blocks": 1}, "coarse", Weights("random"))


class HalfOptions(Options):
    upper: bool
    seed: int


def facts(options):
    return DatasetFacts(5, 8, 180, 700, 36, f"half-1:{options.model_dump_json()}")


def load(options):
    """Five of the ten digits: 180 labelled images, all others for the test."""
    from sklearn.datasets import load_digits

    scans, labels = load_digits(return_X_y=True)
    chosen = (labels >= 5) == options.upper
    images, labels = scans[chosen].reshape(-1, 8, 8, 1), labels[chosen].astype(np.int64) % 5
    images = np.repeat((images * (255 / 16)).astype(np.uint8), 3, axis=3)
    train = subset_per_class(labels, 36, options.seed)
    test = np.setdiff1d(np.arange(len(labels)), train)
    return Dataset(tuple("01234"), *(Split.of_images(images[rows], labels[rows]) for rows in (train, test)))


def half(upper, seed):
    DATASETS["half_digits"] = DatasetEntry("half_digits", "five digits", facts, load, HalfOptions)
    options = HalfOptions(upper=upper, seed=seed)
    return DataRef("half_digits", options.model_dump(), facts(options).revision, 5)


def spec(shop, strategy, split, **fields):
    """100 images to train on and 80 to validate; rates from 0.001 to 1, as in suites."""
    backbone = dataclasses.replace(NETWORK, weights=pretrained(shop)) if strategy != "scratch" else NETWORK
    fields = {"steps": EPOCHS * EPOCH, "batch_size": 20, "lr_high": 1.0, "holdout": 4 / 9, "side": 8, **fields}
    return workshop.spec(half(True, split), backbone, workshop.recipe(strategy, 5), **fields)


def pretrained(shop):
    """On the other five digits."""
    path = shop.folder / "digits.safetensors"
    if not path.exists():
        source = half(False, 0)
        one = workshop.spec(source, NETWORK, workshop.recipe("scratch", 5), steps=sized(150, 5), batch_size=32, side=8)
        context = shop.context(source)
        begin = start(one, context)
        (stream,) = trial_streams(one, labelled_images(one, context.data(source)))
        team = Solo(begin.network, one.procedure, Hyper(0.05, 5e-4), begin.renew)
        session = Session(team, plain_stages(begin.network, one.procedure), [stream])
        session.advance(one.training.steps, set())
        state = begin.network.module.state_dict()
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path)
    sha256 = file_sha256(path)
    shop.files[sha256] = path
    return Weights("file", sha256)


@dataclasses.dataclass(frozen=True)
class Curves:
    """One search, every trial to its end. Validation after each epoch, the test at the end."""

    rates: list  # [M]
    scores: list  # [M][E], None where the trial diverged
    losses: list
    test: list  # [M]

    def full(self):
        """(steps, test accuracy of the chosen trial)"""
        return len(self.rates) * EPOCHS * EPOCH, self.test[self._order(range(len(self.rates)), EPOCHS)[0]]

    def halved(self, search):
        alive, steps, before = list(range(len(self.rates))), 0, 0
        for number, end in enumerate(rungs(search, EPOCHS * EPOCH)):
            steps += len(alive) * (end - before)
            alive = self._order(alive, end // EPOCH)
            if end < EPOCHS * EPOCH:
                alive = alive[: num_kept(len(self.rates), number)]
            before = end
        return steps, self.test[alive[0]]

    def _order(self, members, epoch):
        return sorted(members, key=lambda m: ranking(
            self.scores[m][epoch - 1], self.losses[m][epoch - 1], self.rates[m]))  # fmt: skip


def tables(shop, strategy, splits):
    """Splits -> their curves."""
    found = []
    for first in range(0, splits, TOGETHER):
        found += _fleet(shop, [spec(shop, strategy, split) for split in range(first, min(first + TOGETHER, splits))])
    return found


def _fleet(shop, specs):
    contexts = [shop.context(one.data) for one in specs]
    starts = [start(one, context) for one, context in zip(specs, contexts, strict=True)]
    data = [context.data(one.data) for one, context in zip(specs, contexts, strict=True)]
    streams = [trial_streams(one, labelled_images(one, its))[0] for one, its in zip(specs, data, strict=True)]
    rates = workshop.rates(specs[0])
    hypers = [Hyper(rate, specs[0].search.weight_decay) for rate in rates]
    rows = [FleetStream(stream, begin, hypers) for stream, begin in zip(streams, starts, strict=True)]
    stages = plain_stages(starts[0].network, specs[0].procedure)
    session = fleet_session(specs[0].procedure, stages, rows)
    looks = []
    for epoch in range(1, EPOCHS + 1):
        session.advance(epoch * EPOCH, {epoch * EPOCH})
        looks.append([[_look(outcome) for outcome in row] for row in session.outcomes])
    tests = session.team.score([its.test for its in data])
    return [
        Curves(
            rates,
            [[looks[epoch][s][m][0] for epoch in range(EPOCHS)] for m in range(len(rates))],
            [[looks[epoch][s][m][1] for epoch in range(EPOCHS)] for m in range(len(rates))],
            [scored.score for scored in tests[s]],
        )
        for s in range(len(specs))
    ]


def _look(outcome):
    lost = outcome.diverged_at is not None or outcome.last is None
    return (None, None) if lost else (outcome.last.score, outcome.last.loss)
