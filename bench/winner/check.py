"""Whether the network that was written is the one of its record: by what it says of every test example."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.engine.train.evaluate import Scored
from bench.store import Store
from bench.store.predictions import get
from bench.winner.again import Trained, differences


@dataclass(frozen=True)
class Check:
    """What the network as it is written says of the test examples, beside what its record keeps."""

    score: float
    recorded: float
    num: int
    others: int | None  # answers that differ from the record's; None: it keeps no answers
    surroundings: Sequence[str]  # in which the two trainings differ

    @property
    def is_same(self) -> bool:
        return not self.others and abs(self.score - self.recorded) < 1e-9

    @property
    def sentence(self) -> str:
        if self.is_same:
            what = "all answers are the record's" if self.others is not None else "the record keeps no answers"
            return (f"Loaded again, these weights score {percent(self.score)} on the {self.num:,} test examples, as "
                    f"its record says, and {what}.")  # fmt: skip
        what = f" and {self.others:,} of {self.num:,} answers are others" if self.others else ""
        why = f"; the two trainings differ in: {', '.join(self.surroundings)}" if self.surroundings else ""
        return (f"NOT the network of the record: loaded again, these weights score {percent(self.score)} on the test "
                f"examples, where the record says {percent(self.recorded)}{what}{why}.")  # fmt: skip


def check(scored: Scored, made: Trained, store: Store) -> Check:
    """Raises StoreError where the record's answers cannot be read."""
    final = made.record.final
    assert final is not None
    others = None
    if final.predictions is not None:
        kept = get(store, made.record.key, final.predictions)
        mine = scored.predicted if kept.classes is not None else scored.predicted == scored.truth
        others = int(np.sum(mine != (kept.classes if kept.classes is not None else kept.right)))
    surroundings = differences(made.record, made.again)
    return Check(scored.score, final.score, scored.num, others, surroundings)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
