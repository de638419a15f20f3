"""What is known of a search: its finished trials, as their records tell of them."""

from dataclasses import dataclass

from bench.engine.train.optimize import Hyper
from bench.spec.job import FitSpec, trial_key
from bench.store import Record, Store


@dataclass(frozen=True)
class Tried:
    """One finished trial. A score of None: it diverged or failed, and still counts as a trial."""

    number: int
    hyper: Hyper
    score: float | None  # validation accuracy after its last step
    loss: float | None  # validation loss
    pruned_at: int | None = None  # steps after which it left the race; None: it ran to its end
    stop: int | None = None  # steps after which it was at its best, where a recipe may stop early
    collapsed: bool = False  # at its end, on its own training images: chosen only where all have
    edge: str = ""  # of the chosen one: `low` or `high` where its rate is the lowest or highest that was tried


def read_history(search_key: str, spec: FitSpec, store: Store) -> list[Tried]:
    """The finished trials of a search, in order; a gap means the search is not over."""
    history = []
    for number in range(spec.search.trials):
        record = store.read(trial_key(search_key, number))
        if record is None:
            raise RuntimeError(f"trial {number} of search {search_key} has no record")
        history.append(as_tried(number, record))
    return history


def as_tried(number: int, record: Record) -> Tried:
    point, trial = record.point.hyper, record.trial
    assert point.lr is not None
    assert point.weight_decay is not None
    hyper = Hyper(point.lr, point.weight_decay, tuple(point.options.items()))
    if trial is None:
        return Tried(number, hyper, None, None)
    return Tried(
        number=number,
        hyper=hyper,
        score=trial.score,
        loss=trial.loss,
        stop=trial.stop,
        collapsed=bool(trial.collapsed),
        pruned_at=steps[0] if (steps := record.left_early) is not None else None,
    )
