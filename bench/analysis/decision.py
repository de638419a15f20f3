"""Which strategy to take: the cheapest of which it is shown that it gives up little to the best.

The bound on what a strategy gives up holds for all strategies and tasks of a page at once (`candidates.py`), so that it
holds for whichever is taken. A noisy strategy cannot win by being hard to tell from the best: its bound is wide.
"""

import math
from collections import Counter
from dataclasses import dataclass

from bench.analysis.candidates import Place, candidates
from bench.analysis.cells import Row, mean_of, task_of
from bench.analysis.comparison import Contest, Scores, average
from bench.analysis.frame import SuiteResults
from bench.analysis.statistics import LEVEL
from bench.analysis.variance import Column, Estimate
from bench.analysis.words import listed, plural, shortened
from bench.modalities import example_of

FEW_IMAGES = 100  # one of fewer is more than a point
FEW = 5  # repeats; fewer are told with the answer
Option = tuple[str, str]  # backbone, strategy
Question = tuple[str, str]  # dataset, budget


@dataclass(frozen=True)
class Decision:
    questions: list[Question]  # one; several: it is of the mean over them
    modality: str
    taken: Option
    is_transfer: bool  # whether it begins with what was learned before
    gives_up: float  # at most so much less than the best, a share, at 95 % for the whole page; NaN: nothing was tested
    to: Option  # whose comparison allows that much
    margin: float
    mean: float
    n: int
    rivals: list[Option]  # others that may be the best
    cheaper: list[Option]  # of these, whose training costs less, the cheapest first
    num_options: int  # that were judged
    repeats_needed: float  # until somebody's bound is likely within the margin; inf: more test examples are needed
    costs: dict[Option, float]  # FLOPs of one training; NaN where not known
    dearest: Option  # that costs are compared with
    reservations: list[str]

    @property
    def is_settled(self) -> bool:
        return self.gives_up <= self.margin


@dataclass(frozen=True)
class Decisions:
    tasks: list[Decision]
    overall: list[Decision]  # the mean over the tasks of a modality, where it has several
    planned: dict[str, int]  # tasks by modality, with those that cannot be judged
    many_backbones: bool

    def named(self, option: Option) -> str:
        return named(option, self.many_backbones)


def named(option: Option, many_backbones: bool) -> str:
    return f"{shortened(option[1])} on {shortened(option[0])}" if many_backbones else shortened(option[1])


def decisions(results: SuiteResults, scores: Scores, summary: list[Row]) -> Decisions:
    """None in a study, whose treatments nobody ships, and none about networks with random weights as a control."""
    finals = results.finals
    controls = set(finals.loc[finals["control"], "backbone"])
    rows: dict[Question, dict[Option, Row]] = {}
    for row in summary if not (finals["pair"] != "").any() else []:
        if row["backbone"] not in controls and row["applicable"]:
            rows.setdefault((row["dataset"], row["budget"]), {})[row["backbone"], row["strategy"]] = row
    complete = {
        question: {option: scores.columns[task_of(row)][option[1]] for option, row in mine.items() if row["complete"]}
        for question, mine in rows.items()
    }
    asked = {question: columns for question, columns in complete.items() if len(columns) > 1}
    groups: dict[str, list[Question]] = {}
    for question in asked:
        groups.setdefault(next(iter(rows[question].values()))["modality"], []).append(question)
    families = len(asked) + sum(len(questions) > 1 for questions in groups.values())
    many = len({backbone for mine in rows.values() for backbone, _ in mine}) > 1
    page = _Page(scores, families, results.decision_margin, many)
    made = [
        page.decide([question], columns, {option: [row] for option, row in rows[question].items()})
        for question, columns in asked.items()
    ]
    overall = []
    for questions in groups.values():
        options = list(dict.fromkeys(option for question in questions for option in rows[question]))
        means = {
            option: average([(question[0], asked[question][option]) for question in questions])
            for option in options if all(option in asked[question] for question in questions)
        }  # fmt: skip
        if len(questions) > 1 and len(means) > 1:
            of = {name: [rows[one][name] for one in questions if name in rows[one]] for name in options}
            overall.append(page.decide(questions, means, of))
    planned = Counter(next(iter(mine.values()))["modality"] for mine in rows.values())
    return Decisions(made, overall, dict(planned), many)


@dataclass(frozen=True)
class _Page:
    """What all decisions of a page have in common."""

    scores: Scores
    families: int
    margin: float
    many_backbones: bool

    def decide(
        self, questions: list[Question], columns: dict[Option, Column], rows: dict[Option, list[Row]]
    ) -> Decision:
        """`rows`: of the cells that stand behind each option, one for each task."""
        breaks = self.scores.breaks
        broken = [option for option in columns if any(breaks(task_of(row), option[1]) for row in rows[option])]
        places = candidates(columns, self.families, broken)
        costs = {option: mean_of(rows[option], "flops") for option in columns}
        taken = _taken(places, costs, self.margin, broken)
        place, estimate = places[taken], columns[taken].alone()
        rivals = [option for option, one in places.items() if one.is_candidate and option not in (taken, *broken)]
        num_sound = len(columns) - len(broken)
        level = 2 * (1 - LEVEL) / (max(num_sound, 1) * self.families)  # as in `candidates`
        against = _against(taken, columns, broken) if place.is_tested else {}
        return Decision(
            questions=questions,
            modality=rows[taken][0]["modality"],
            taken=taken,
            is_transfer=not any(row["from_random"] for row in rows[taken]),
            gives_up=0.0 - place.low,  # never a negative 0
            to=max(against, key=lambda option: against[option].ends(level)[1], default=taken),
            margin=self.margin,
            mean=estimate.mean,
            n=estimate.n,
            rivals=rivals,
            cheaper=sorted(
                (option for option in rivals if _steps(costs[option]) < _steps(costs[taken])), key=costs.__getitem__
            ),
            num_options=num_sound,
            repeats_needed=_repeats_needed(columns, places, broken, level, self.margin),
            costs=costs,
            dearest=_dearest(costs),
            reservations=self._reservations(taken, columns, rows, broken),
        )

    def _reservations(
        self, taken: Option, columns: dict[Option, Column], rows: dict[Option, list[Row]], broken: list[Option]
    ) -> list[str]:
        """What could turn the answer over, in words that follow a colon."""
        mine, is_mean = rows[taken], len(rows[taken]) > 1
        told = []
        repeats = min(row["n"] for row in mine)
        if repeats < FEW:
            told.append(f"{plural(repeats, 'repeat')} only")
        told += self._edges(columns, rows, is_mean)
        if broken:
            verb = "are" if len(broken) > 1 else "is"
            told.append(f"{self._listed(broken)} collapsed in some repeats and {verb} not judged")
        late = [option for option in rows if option not in columns and not all(row["complete"] for row in rows[option])]
        if late:
            told.append(f"{self._listed(late)} did not finish")
        num = mine[0]["num_images"]
        if not is_mean and 0 < num < FEW_IMAGES and mine[0]["metric"] == "accuracy":
            told.append(f"one of {num} test {example_of([mine[0]['modality']])}s is {100 / num:.1f} points")
        return told

    def _edges(self, columns: dict[Option, Column], rows: dict[Option, list[Row]], is_mean: bool) -> list[str]:
        at_end = [option for option in columns if any(row["lr_edge"] for row in rows[option])]
        if not at_end:
            return []
        if is_mean:
            every = [bool(row["lr_edge"]) for option in columns for row in rows[option]]
            count = f"in {sum(every)} of {len(every)} cases"
            return [f"{count} a strategy did best at the lowest or highest rate tried and may be better than it looks"]
        who = self._listed(at_end) if len(at_end) < 3 else f"{len(at_end)} of {len(columns)} strategies"
        looks = "they look" if len(at_end) > 1 else "it looks"
        return [f"{who} did best at the lowest or highest rate tried and may be better than {looks}"]

    def _listed(self, options: list[Option]) -> str:
        return listed([named(option, self.many_backbones) for option in options])


def _taken(
    places: dict[Option, Place], costs: dict[Option, float], margin: float, broken: list[Option]
) -> Option:
    """Of equally cheap ones the one with the smallest bound; where none is within the margin, of those that may be the
    best. Bounds that one noisy rival sets are much alike, so that among these the mean decides."""
    tested = [option for option, place in places.items() if place.is_tested]
    if not tested:
        sound = [option for option in places if option not in broken] or list(places)
        return max(sound, key=lambda option: places[option].behind)
    within = [option for option in tested if -places[option].low <= margin]
    if within:
        return min(within, key=lambda option: (_steps(costs[option]), -places[option].low))
    open_ones = [option for option in tested if places[option].is_candidate]
    return min(open_ones, key=lambda option: (_steps(-places[option].low), -places[option].behind))


def _steps(cost: float) -> float:
    """On a scale whose steps are 5 %, so that a hair does not decide; what is not known counts as dear."""
    return round(math.log(cost) / math.log(1.05)) if cost > 0 else math.inf if math.isnan(cost) else -math.inf


def _dearest(costs: dict[Option, float]) -> Option:
    """What compute is compared with: full fine-tuning, where it is there, else whoever needs most."""
    known = {option: cost for option, cost in costs.items() if math.isfinite(cost)} or costs
    full = [option for option in known if option[1] == "full_finetune"]
    return max(full or known, key=lambda option: known[option])


def _against(one: Option, columns: dict[Option, Column], broken: list[Option]) -> dict[Option, Estimate]:
    """Each other minus this one."""
    sound = [option for option in columns if option not in broken or option == one]
    found = Contest([columns[option] for option in sound]).others_minus(sound.index(one))
    return {option: found[place] for place, option in enumerate(option for option in sound if option != one)}


def _repeats_needed(
    columns: dict[Option, Column], places: dict[Option, Place], broken: list[Option], level: float, margin: float
) -> float:
    """For the strategy that more repeats are likeliest to speak for, the one with the highest mean of those tested."""
    tested = [option for option, place in places.items() if place.is_tested]
    if not tested:
        return math.nan
    first = max(tested, key=lambda option: places[option].behind)
    return max(one.repeats_needed(margin - one.mean, level) for one in _against(first, columns, broken).values())
