"""What the gate hands over: one verdict per cell, and what was measured and could have been. `outputs/` and the report
read nothing else. Scores are shares between 0 and 1; changes, margins and drops are points (hundredths)."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import BLIND, INCOMPLETE, REGRESSED

Word = Literal[
    "regressed",  # surely worse, by more than the margin
    "improved",  # surely better, by more than the margin
    "equivalent",  # surely within the margin
    "identical",  # every pair is equal to the bit
    "inconclusive",  # the data allow several of the above
    "missing",  # the baseline has it and tonight does not, or tonight's training went wrong
    "new",  # the baseline does not have it
    "incomparable",  # data, weights, settings or environment are others than the baseline's
]
WORDS: tuple[Word, ...] = (
    "regressed", "missing", "improved", "inconclusive", "incomparable", "new", "equivalent", "identical",
)  # fmt: skip
COMPARED: tuple[Word, ...] = ("regressed", "improved", "equivalent", "identical", "inconclusive")

MOST_UNSEEN = 0.25  # of the baseline's cells; where more could have dropped unseen, the night is not green


@dataclass(frozen=True, order=True)
class CellName:
    """Labels, as tables show them."""

    dataset: str
    budget: str
    backbone: str
    strategy: str

    @property
    def task(self) -> str:
        return f"{self.dataset} @ {self.budget}"

    def __str__(self) -> str:
        return f"{self.task} · {self.backbone} · {self.strategy}"


@dataclass(frozen=True)
class Verdict:
    cell: CellName
    word: Word
    reason: str = ""  # one line: why it is missing or incomparable; what went wrong
    n: int = 0  # pairs, or tonight's repeats
    before: float = math.nan  # mean score of the baseline over the pairs
    after: float = math.nan
    change: float = math.nan  # points, tonight minus baseline
    low: float = math.nan  # its interval
    high: float = math.nan
    p: float = math.nan  # that it is no worse than the margin (or no better, if it rose), corrected for all cells
    smallest: float = math.nan  # points: the smallest drop that would have been caught with a power of 0.8
    went_wrong: bool = False  # a training of tonight failed, or could not begin because one had
    is_whole: bool = True  # every repeat that the baseline (or an earlier night) has was compared

    def sees(self, drop: float) -> bool:
        """Whether a true drop of so many points would have shown, in all that the baseline has of the cell. What is
        equal to the bit has not dropped."""
        return self.word in COMPARED and self.is_whole and (self.word == "identical" or self.smallest <= drop)


@dataclass(frozen=True)
class CostVerdict:
    """Seconds or memory of a cell, or a benchmark's time, against the baseline's, on the same model of device."""

    name: str
    quantity: Literal["seconds", "memory", "benchmark"]
    word: Literal["slower", "faster", "same", "incomparable"]
    reason: str = ""
    before: float = math.nan  # seconds or bytes
    after: float = math.nan

    @property
    def factor(self) -> float:
        return self.after / self.before if self.before else math.nan


@dataclass(frozen=True)
class GateResult:
    suite: str
    method: Literal["pairs", "history"]
    margin: float  # points
    must_see: float  # points: a drop that the gate is expected to catch
    baseline: str  # the file, as given
    verdicts: tuple[Verdict, ...]  # in the order of the suite; missing ones last
    mean: Verdict | None = None  # of the compared cells' mean, repeat by repeat; None where there are none
    mean_margin: float = math.nan  # points
    costs: tuple[CostVerdict, ...] = ()
    notes: tuple[str, ...] = ()  # full sentences that a reader must know
    fail_on: tuple[Word, ...] = ("regressed", "missing")
    facts: dict[str, str] = field(default_factory=dict)  # what was compared with what: commits, environments

    def count(self, word: Word) -> int:
        return sum(verdict.word == word for verdict in self.verdicts)

    def of(self, words: Collection[Word]) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.word in words]

    @property
    def smallest(self) -> float:
        """The smallest drop that every compared cell would have shown; NaN where none was compared."""
        found = [v.smallest for v in self.of(COMPARED) if not math.isnan(v.smallest)]
        return max(found, default=math.nan)

    @property
    def blind(self) -> list[Verdict]:
        """Compared cells in which a drop of `must_see` could have gone unseen."""
        return [v for v in self.of(COMPARED) if not v.sees(self.must_see)]

    @property
    def unseen(self) -> list[Verdict]:
        """The same among all that the baseline has: what was not compared, too."""
        return [v for v in self.accepted if not v.sees(self.must_see)]

    @property
    def accepted(self) -> list[Verdict]:
        """Those that the baseline has."""
        return [v for v in self.verdicts if v.word != "new"]

    @property
    def is_blind(self) -> bool:
        """Too much of it: whatever the words say, they do not speak for what the baseline has."""
        return not self.of(COMPARED) or len(self.unseen) > MOST_UNSEEN * len(self.accepted)

    @property
    def all_failing(self) -> list[Verdict]:
        """The mean too."""
        lines = [*self.verdicts, *([self.mean] if self.mean is not None else [])]
        return [v for v in lines if v.word in self.fail_on]

    @property
    def exit_code(self) -> int:
        # What is missing because a training went wrong is a failure of tonight, not of what the code came to.
        surely = [v for v in self.all_failing if v.word != "missing" or not v.went_wrong]
        if surely or any(cost.word == "slower" for cost in self.costs):
            return REGRESSED
        if any(v.went_wrong for v in self.verdicts):
            return INCOMPLETE
        return BLIND if self.is_blind else 0
