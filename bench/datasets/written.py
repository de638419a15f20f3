"""Text worlds that are written on the spot: a source to pretrain on, and targets near, mid and far from it.

Every class has random streams of its own. No class can be told entirely by which words its texts have: order, form or
negation decide. The words and the grammar are in `worlds/words.py` and `worlds/clauses.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
from pydantic import Field

from bench.catalogue import Options
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.datasets.texts import joined
from bench.datasets.worlds import clauses, words
from bench.datasets.worlds.clauses import Draws, pick
from bench.datasets.worlds.streams import Streams

# Bump when any text changes: it is part of every key. tests/datasets/test_written.py fails until that is done.
REVISION = 1

Write = Callable[[str, Draws], str]  # a class, and the numbers of one text


class WrittenOptions(Options):
    train_per_class: Annotated[int, Field(ge=1, le=20_000)] = 200
    """Training texts of each class; more of them extend the set, the first stay as they are."""
    test_per_class: Annotated[int, Field(ge=1, le=20_000)] = 100
    """Test texts of each class."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed writes other texts of the same classes."""


@dataclass(frozen=True)
class World:
    name: str
    summary: str
    classes: tuple[str, ...]
    write: Write

    def facts(self, options: WrittenOptions) -> DatasetFacts:
        settings = ",".join(f"{name}={value}" for name, value in options.model_dump().items())
        num = len(self.classes)
        return DatasetFacts(
            num_classes=num,
            image_size=1,  # texts have none
            num_train=num * options.train_per_class,
            num_test=num * options.test_per_class,
            smallest_class=options.train_per_class,
            train_sizes=(options.train_per_class,) * num,
            test_sizes=(options.test_per_class,) * num,
            classes=self.classes,
            revision=f"written-{REVISION}:{self.name}:{settings}",
            modality="text",
        )

    def load(self, options: WrittenOptions) -> Dataset:
        return Dataset(
            classes=self.classes,
            train=self._split("train", options.train_per_class, options),
            test=self._split("test", options.test_per_class, options),
        )

    def _split(self, split: str, per_class: int, options: WrittenOptions) -> Split:
        """Text i of class c stands at i * classes + c, so a smaller set is the beginning of a larger one."""
        by_class = []
        for name in self.classes:
            streams = Streams(self.name, name, split, options.seed)
            draws = streams.uniform("text", per_class, clauses.NUM_DRAWS)[:, :, 0, 0].T.tolist()
            by_class.append([joined(self.write(name, own)) for own in draws])
        texts = [text for row in zip(*by_class, strict=True) for text in row]
        rows = np.zeros((len(texts), WIDTH), np.uint8)
        for place, text in enumerate(texts):
            rows[place, : len(text)] = np.frombuffer(text, np.uint8)
        labels = np.tile(np.arange(len(self.classes), dtype=np.int64), per_class)
        return Split({"text": rows}, labels, modality="text")


WIDTH = 160  # bytes; longer than any of these texts

PAIRS = [("animal", "worker"), ("child", "noble"), ("scholar", "outlaw"), ("spirit", "machine"),
         ("animal", "outlaw"), ("worker", "noble"), ("child", "machine"), ("scholar", "spirit")]  # fmt: skip
NEAR = [("animal", "noble"), ("worker", "machine"), ("child", "outlaw"), ("scholar", "animal"), ("spirit", "noble")]


def _both_ways(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*pairs, *((second, first) for first, second in pairs)]


def _roles(name: str) -> tuple[str, str, bool]:
    """`animal > noble` or `animal > noble, not`"""
    said, _, negated = name.partition(", ")
    agent, _, patient = said.partition(" > ")
    return agent, patient, bool(negated)


def _done(name: str, draws: Draws) -> str:
    agent, patient, is_negated = _roles(name)
    verb = pick((*words.FRIENDLY, *words.HOSTILE), draws[9])
    named = pick(words.KINDS[agent], draws[7]), pick(words.KINDS[patient], draws[8])
    return clauses.sentence(*named, verb, is_negated, draws)


def _done_or_not(name: str, draws: Draws) -> str:
    """Of the near world: whether it happened is no part of the class."""
    return _done(f"{name}, not" if draws[10] < 0.5 else name, draws)



def _meant(name: str, draws: Draws) -> str:
    """`child, well`: well is a friendly act that happens, or a hostile one that does not. Of the mid world."""
    agent, _, how = name.partition(", ")
    is_negated = draws[10] < 0.5
    verb = pick(words.FRIENDLY if (how == "well") != is_negated else words.HOSTILE, draws[9])
    others = [noun for kind in MEANT if kind != agent for noun in words.KINDS[kind]]
    named = pick(words.KINDS[agent], draws[7]), pick(others, draws[8])
    said = clauses.clause(*named, verb, is_negated, draws)
    return f"{pick(words.FRAMES, draws[3])} {said} because of a {pick(words.WARES, draws[6])}"


def _strung(name: str, draws: Draws) -> str:
    """`jade, early`: most beads of one half are of this sort, and none of the other half. Of the far world."""
    bead, _, half = name.partition(", ")
    others = [one for one in words.BEADS if one != bead]
    string = [pick(others, draw) for draw in draws[:BEADS]]
    first = 0 if half == "early" else BEADS // 2
    odd = first + int(draws[BEADS] * BEADS / 2)  # the one bead of the half that is of another sort
    return " ".join(bead if first <= place < first + BEADS // 2 and place != odd else one
                    for place, one in enumerate(string))  # fmt: skip


MEANT = ("animal", "worker", "child", "noble")
STRUNG = ("amber", "coral", "jade", "onyx", "opal")
BEADS = 10  # of a string
SOURCE = tuple(f"{a} > {b}{ending}" for (a, b), ending in product(_both_ways(PAIRS), ("", ", not")))
WORLDS = (
    World("sentences", "who does what to whom, or does not, in 32 classes; made to pretrain on", SOURCE, _done),
    World("sentences_near", "10 unseen pairs of those who do it and those it is done to, in the source's words",
          tuple(f"{a} > {b}" for a, b in _both_ways(NEAR)), _done_or_not),
    World("sentences_mid", "who means well and who means ill, in 8 classes: other frames, and negation turns it round",
          tuple(f"{kind}, {how}" for kind, how in product(MEANT, ("well", "ill"))), _meant),
    World("sentences_far", "strings of beads: which sort is most frequent, and in which half; words of no other world",
          tuple(f"{bead}, {half}" for bead, half in product(STRUNG, ("early", "late"))), _strung),
)


def entry(world: World) -> DatasetEntry:
    return DatasetEntry(world.name, world.summary, world.facts, world.load, WrittenOptions, modality="text")


WRITTEN = {world.name: entry(world) for world in WORLDS}
