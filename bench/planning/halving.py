"""Which trials of a search start together, and which of them go on: a rule that plans, estimates and reports know too.

`engine/search/run.py` runs by it. Nothing here imports torch.
"""

import math
from dataclasses import replace
from itertools import accumulate

from bench.planning.bracket import cohort_sizes
from bench.spec.refs import Search

ETA = 3  # one trial in so many goes on to the next rung, which is so many times as long
FINALISTS = 2  # at the least: a choice among one would have been made before the rates fell


def grid_size(search: Search) -> int:
    """Trials whose points lie on the log-spaced grid."""
    match search.sampler:
        case "grid":
            return search.trials
        case "tpe":
            return math.ceil(search.trials / 2)
        case "bracket" | "random":
            return 0


def cohorts(search: Search) -> list[range]:
    """Numbers of the trials that are asked together. Halving needs rivals, so there TPE proposes all at once what is
    left to it; without it TPE learns from each. A bracket cannot be halved, because it places its points by final
    scores."""
    if search.sampler == "bracket":
        ends = list(accumulate(cohort_sizes(search.trials)))
        return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    first = grid_size(search) if search.sampler == "tpe" else search.trials
    if search.pruner == "halving":
        parts = [range(first), range(first, search.trials)]
    else:
        parts = [range(first), *(range(number, number + 1) for number in range(first, search.trials))]
    return [part for part in parts if part]


def rungs(search: Search, steps: int) -> list[int]:
    """After how many steps trials are compared; the last one is the whole budget."""
    return [steps] if search.pruner == "none" else rung_ends(search.first_rung, steps)


def rung_ends(first_rung: float, steps: int) -> list[int]:
    return sorted({*(max(1, round(share * steps)) for share in rung_shares(first_rung)), steps})


def rung_shares(first_rung: float) -> list[float]:
    """The same as shares of the steps, without the last one."""
    shares = []
    while first_rung < 1:
        shares.append(first_rung)
        first_rung *= ETA
    return shares


def num_kept(num_started: int, rung: int) -> int:
    """How many trials of a cohort go on after rung number `rung`, counted from 0."""
    places = num_started
    for _ in range(rung + 1):
        places = math.ceil(places / ETA)
    return max(places, min(FINALISTS, num_started))


def steps_taken(search: Search, steps: int) -> int:
    """Steps that all trials of a search take together, on each fold."""
    taken = 0
    for cohort in cohorts(search):
        racing, before = len(cohort), 0
        for number, end in enumerate(rungs(search, steps)):
            taken += racing * (end - before)
            racing, before = num_kept(len(cohort), number), end
    return taken


def step_share(search: Search, steps: int) -> float:
    """The same as a share of what they would take without halving."""
    return steps_taken(search, steps) / (search.trials * steps)


def trials_within(search: Search, steps: int, budget: int) -> int:
    """With how many trials the search comes nearest to so many steps; never none."""
    most = 1
    while steps_taken(replace(search, trials=most), steps) < budget:
        most += 1
    if most > 1:
        over, under = (abs(steps_taken(replace(search, trials=n), steps) - budget) for n in (most, most - 1))
        return most if over < under else most - 1
    return most
