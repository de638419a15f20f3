"""Which data sets are divided anew in every repeat, so that intervals are over test examples too.

Only those can be that come in one split; `datasets/base.py` divides them, by a seed that names the set and the repeat.
"""

from bench.datasets.base import DatasetFacts
from bench.keys import seed_for
from bench.spec.refs import DataRef
from bench.suite.schema import DatasetSpec, Suite

FEW = 3000  # examples; of as many and more, which are tested on moves a score little


def resplits(suite: Suite, spec: DatasetSpec, facts: DatasetFacts) -> bool:
    """As the suite says, else where it helps and nothing speaks against it. A list of examples leaves none to draw."""
    if spec.splits is not None:
        return False
    if spec.test.resplit is not None:
        return spec.test.resplit
    return _is_worth_it(facts) and suite.search.scope == "repeat"


def _is_worth_it(facts: DatasetFacts) -> bool:
    return facts.division is not None and facts.num_train + facts.num_test < FEW


def trouble(suite: Suite, spec: DatasetSpec, facts: DatasetFacts) -> str | None:
    """Why the suite's word cannot be kept."""
    if not spec.test.resplit:
        return None
    if spec.splits is not None:
        return "`splits` says which examples are tested on; leave out `resplit: true`"
    if facts.division is None:
        return "`resplit: true` is for data that come in one split, and this set brings a test split of its own"
    if suite.search.scope == "cell":
        return ("`resplit: true` needs `search: {scope: repeat}`: one search for all repeats would learn from examples "
                "that other repeats test on")
    return None


def splits_of(suite: Suite, data: DataRef) -> tuple[int, ...]:
    """Of each repeat."""
    named = data.name, data.revision
    return tuple(seed_for("test split", suite.seed, *named, repeat) for repeat in range(suite.repeats))


def notes_of(suite: Suite, spec: DatasetSpec, facts: DatasetFacts, splits: tuple[int | str, ...]) -> tuple[str, ...]:
    """What a reader should know of a set as this suite uses it."""
    if splits and spec.splits is not None:
        return facts.notes
    if splits:
        divided = f"divided {facts.num_train} / {facts.num_test} by us anew in every repeat, stratified"
        return (*facts.notes, divided)
    shared: tuple[str, ...] = ()
    if spec.splits is None and spec.test.resplit is None and _is_worth_it(facts) and suite.search.scope == "cell":
        shared = ("all repeats share one test split, because one search serves all of them",)
    return (*facts.notes, *(facts.division or ()), *shared)
