"""Records -> tidy frames. One row per planned training, whether its record exists or not: a gap stays a gap.

`statistics.py` and `tables.py` come next; the report and the terminal read nothing but `SuiteResults`.
"""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bench.analysis.words import plural
from bench.planning.references import Published
from bench.store.samples import KeptSamples
from bench.suite.claims_schema import ClaimSpec

# The columns that name a cell; with `repeat` they name a row of `finals`.
CELL = ["dataset", "budget", "backbone", "strategy"]

OWN_HEAD = "own head"  # a checkpoint that was scored as it came

# How a training was done. "" and NaN where its record does not say, as with records from before there was an engine.
ENGINE: dict[str, str] = {
    "precision": "str",  # "fp32" or "bf16"
    "precision_why": "str",  # in words
    "frozen": "str",  # what became of parts that cannot change, over the phases: "none", "kept/recomputed"
    "replicas": "float64",  # networks that trained as one, itself included
    "whole": "str",  # why a network with frozen units runs whole; "" normally
    "feature_seconds": "float64",  # spent on features of frozen parts, which others share; not contained in `seconds`
}

FINALS: dict[str, str] = {
    "dataset": "str",  # label of the dataset
    "budget": "str",  # label budget as written: "5", "full", "10%", "total 1000"
    "labels_per_class": "float64",  # mean over classes; the x axis
    "backbone": "str",  # label of the backbone, its origin included
    "modality": "str",  # what the data set holds: "image", "text"
    "seen_as": "str",  # what the network sees of an example, in words
    "num_train": "float64",  # labelled examples of the data set, whatever the budget; NaN where not known
    "num_test": "float64",
    "control": "bool",  # whether the suite gives its backbone random weights
    "strategy": "str",  # label of the strategy, "freeze(upto=2)"
    "baseline": "bool",  # True for scratch
    "from_random": "bool",  # whether its strategy begins with random weights, scratch or not: no transfer
    # "ridge" or another closed form, or OWN_HEAD: these take no steps and have no rate; "" for what is trained
    "solved": "str",
    "labels": "str",  # whose labels it learns, and is searched by: "target", or "source"
    "axis": "str",  # what its strategy stands on by its own account: "depth"; "" where on nothing
    "axis_value": "float64",  # its place there; NaN where there is none
    "axis_kind": "str",  # the line of the figure that it belongs to, where an axis has several; else ""
    # Of a study of transferability, else "": the pair of parts, the part that is learned, `base` or `AnB` ..., and how
    # many units are kept.
    "pair": "str",
    "target": "str",
    "treatment": "str",
    "keep": "float64",
    "pitfall": "str",  # the mistake that it makes on purpose, else ""
    "right": "str",  # the strategy without it
    "classes": "object",  # places among those of the set, where a part of it is taken: a tuple; else None
    "num_classes": "int64",  # of the dataset
    "num_units": "int64",  # of the backbone, head included
    # Share of its labelled images, and of its test images, that another repeat of the task has too, as expected of
    # independent draws. NaN where unknown.
    "label_overlap": "float64",
    "test_overlap": "float64",
    "repeat": "int64",
    "status": "str",  # a record's status, or "missing"
    "error": "str",  # "" unless it failed
    "metric": "str",  # "accuracy"
    "score": "float64",  # test score of the last weights, 0..1; NaN unless status is ok
    "shift_score": "float64",  # score on a further split of the data; NaN where there is none
    "best_on_test": "float64",  # best of the test scores along the training: a diagnosis, never a result
    "curve": "object",  # test scores along the training: a tuple of (step, score); a diagnosis
    "similarity": "object",  # CKA of each unit below the head, start against end: a tuple, () where not asked for
    "projection": "object",  # a `Projection` of `store/results.py`; None where not asked for, or not the first repeat
    "mix": "object",  # how much each unit below the head counts in its classifier: a tuple, () where none weighs them
    "train_loss_end": "float64",  # cross-entropy on its own training images; NaN where not finite, or not told
    "collapsed": "float64",  # 1 where that is no better than a uniform guess's, else 0; NaN where it is not told
    "lr": "float64",  # chosen rate
    "weight_decay": "float64",
    "penalty": "float64",  # of a closed form, in the place of a rate
    "options": "str",  # chosen ones of the strategy, where these are searched: "alpha=0.03"; else ""
    "lr_edge": "str",  # "low" or "high" where the chosen rate is the lowest or the highest that was tried, else ""
    "penalty_edge": "str",  # likewise of what a closed form searches
    "lr_low": "float64",  # the lowest and the highest rate that its search has tried
    "lr_high": "float64",
    "num_trials": "int64",  # trials whose records exist, failed ones included
    "steps": "float64",
    "samples": "float64",  # images seen in training
    "flops": "float64",  # of one final training, by torch's counter
    "trainable_params": "float64",
    "added_params": "float64",  # of these, what the strategy built into the network
    "total_params": "float64",
    # Of the images of the backbone's pretraining, before and after; NaN where they are not here (or nothing was kept).
    "source_before": "float64",  # share that the original head tells right
    "source_after": "float64",
    "refitted_before": "float64",  # share that a head fitted anew tells right
    "refitted_after": "float64",
    # How far the target lies from what the network learned last: a `Distance` of `store/results.py`; None where nobody
    # asked, or nothing was learned inside the suite.
    "distance": "object",
    # What cheap scores say of the transfer before any training: a `Forecast` of `store/results.py`; None where nobody
    # asked, or nothing is transferred.
    "forecast": "object",
    "lesson": "str",  # what it learned inside the suite, one after another: "source, then mid"; "" where nothing
    "weights": "str",  # identity of the weights that the cell's first repeat begins with
    "seconds": "float64",  # wall time of the final training here; those who trained as one share it equally
    "peak_memory_bytes": "float64",
    **ENGINE,
    "predictions": "object",  # a `Kept` of `store/predictions.py`: of every test example, read when asked for
    "key": "str",
}

TRIALS: dict[str, str] = {
    **{c: FINALS[c] for c in [*CELL, "labels_per_class", "baseline", "solved"]},
    "repeat": "int64",  # whose labels were searched on
    "number": "int64",
    "status": "str",
    "lr": "float64",
    "weight_decay": "float64",
    "penalty": "float64",
    "options": "str",
    "score": "float64",  # validation score after its last step, 0..1
    "loss": "float64",  # validation loss then
    "collapsed": "float64",  # 1 where a fold ended no better than a guess on its own images; NaN where nobody looked
    "num_validation": "float64",  # images that it was scored on
    "cohort": "int64",  # trials of one cohort were asked together, without regard to each other's results
    "planned": "int64",  # trials of its search
    "steps": "float64",  # how far it trained, a mean over the folds
    "spent_steps": "float64",  # steps of all folds together
    "full_steps": "float64",  # the step budget
    "rungs": "object",  # (step, score, loss) at each moment of comparison, a tuple of them
    "pruned": "bool",  # left the search before its end: its score cannot be compared with that of a finished one
    "first_step": "float64",  # when it was first scored: the same for all trials of a search
    "first_score": "float64",  # validation score then
    "chosen": "bool",
    "seconds": "float64",
    **ENGINE,
    "key": "str",
}

# Finals of the points that were not chosen, where a suite asks for them. No score of a cell reads these.
UNCHOSEN: dict[str, str] = {
    **{c: FINALS[c] for c in [*CELL, "labels_per_class", "baseline", "solved"]},
    "repeat": "int64",
    "number": "int64",  # of the trial, as in `trials`; -1 where its record is missing
    "status": "str",
    "lr": "float64",
    "weight_decay": "float64",
    "penalty": "float64",
    "options": "str",
    "score": "float64",  # test score of the last weights, 0..1; NaN unless status is ok
    "key": "str",
}

PRETRAININGS: dict[str, str] = {
    "backbone": "str",
    "dataset": "str",
    "status": "str",
    "epochs": "float64",
    "objective": "str",  # labels, or masked
    "score": "float64",  # on the source's test split
    "seconds": "float64",
    "flops": "float64",
    "weights_sha256": "str",
    "key": "str",
}


@dataclass(frozen=True)
class SuiteResults:
    """All that a report may say about one suite."""

    name: str
    description: str
    suite_text: str  # the YAML as it was written
    suite: dict[str, Any]  # the same, every default filled
    finals: pd.DataFrame
    trials: pd.DataFrame
    pretrainings: pd.DataFrame
    unchosen: pd.DataFrame = field(default_factory=lambda: empty(UNCHOSEN))
    # Of cells that make a mistake on purpose; nothing that ranks reads these.
    pitfalls: pd.DataFrame = field(default_factory=lambda: empty(FINALS))
    pitfall_trials: pd.DataFrame = field(default_factory=lambda: empty(TRIALS))  # of searches that make it too
    planned: int | None = None  # trainings of the whole plan, each counted once though several cells may share it
    provenance: list[dict[str, Any]] = field(default_factory=list)  # distinct environments, with their record counts
    damaged: list[str] = field(default_factory=list)  # record files that could not be read
    overlaps: list[str] = field(default_factory=list)  # what was pretrained on and is a target's too, in full sentences
    lists: list[str] = field(default_factory=list)  # which examples were not drawn but listed, in full sentences
    notes: list[str] = field(default_factory=list)  # things the reader must know, in full sentences
    claims: tuple[ClaimSpec, ...] = ()
    references: tuple[Published, ...] = ()  # published values that the suite names
    refused: dict[str, int] = field(default_factory=dict)  # records that contradict each other, by what is said of them
    # By data set, in the suite's order: a few examples, and what its classes are called; () where nobody knows.
    samples: dict[str, KeptSamples] = field(default_factory=dict)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def classes_of(self, dataset: str) -> tuple[str, ...]:
        """Their names, of kept examples first: these were read from the data."""
        kept = self.samples[dataset].found if dataset in self.samples else None
        return tuple(one.name for one in kept.classes) if kept is not None else self.classes.get(dataset, ())

    @property
    def refusals(self) -> list[str]:
        """In full sentences."""
        return [f"{plural(num, 'record')} {error}. They count as failed; `run --rerun failed` makes them again."
                for error, num in self.refused.items()]

    @property
    def every_final(self) -> pd.DataFrame:
        """Those that make a mistake on purpose too."""
        return pd.concat([self.finals, self.pitfalls], ignore_index=True) if len(self.pitfalls) else self.finals

    @property
    def every_trial(self) -> pd.DataFrame:
        both = [self.trials, self.pitfall_trials]
        return pd.concat(both, ignore_index=True) if len(self.pitfall_trials) else self.trials

    @property
    def margin(self) -> float:
        """Within which a strategy counts as good as the baseline, as a share."""
        return float(self.suite.get("verdicts", {}).get("margin", 1.0)) / 100

    @property
    def decision_margin(self) -> float:
        """What a strategy may give up to the best, at most, and be taken for its lower cost; a share."""
        return float(self.suite.get("decision", {}).get("margin", 1.0)) / 100

    @property
    def reached(self) -> float:
        """Share of the way from chance to where full fine-tuning ends, of which steps are counted."""
        return float(self.suite.get("verdicts", {}).get("reached", 0.9))


def empty(columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})
