"""A record: one finished attempt, as it lies in one JSON file. Written by the engine, read by analysis/.

`spec`, `result`, `cost` and `provenance` are the file's own text. Whoever needs a number out of them asks the typed
properties, whose fields are in `results.py`. They raise ValueError where something does not fit; the store has asked
them all before it gives a record away.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from bench.store import results

SCHEMA = 2  # of the file, not of the numbers (that is keys.PROTOCOL)

# `unchosen`: the final of a point that its search did not choose; no score reads it.
Kind = Literal["pretrain", "trial", "final", "unchosen"]
Status = Literal["ok", "diverged", "failed", "oom", "crashed", "timeout", "not_applicable"]
BROKEN = ("failed", "oom", "crashed", "timeout")  # another attempt may fare better


@dataclass(frozen=True)
class Record:
    key: str
    kind: Kind
    status: Status
    spec: dict[str, Any]  # everything that determined the numbers, defaults filled
    result: dict[str, Any] = field(default_factory=dict)  # the numbers; empty unless status is ok or diverged
    cost: dict[str, Any] = field(default_factory=dict)  # logical (flops, steps ...) and measured (seconds, bytes)
    provenance: dict[str, Any] = field(default_factory=dict)  # commit, versions, device: never part of the key
    error: str | None = None
    schema: int = SCHEMA

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> "Record":
        """Refuses (TypeError) what is not a record."""
        record = Record(**raw)
        for name, kind in (("key", str), ("kind", str), ("status", str), ("spec", dict), ("result", dict)):
            if not isinstance(getattr(record, name), kind):
                raise TypeError(f"record field {name!r} is not a {kind.__name__}")
        return record

    @cached_property
    def trial(self) -> results.TrialResult | None:
        """None, here and in the next two, where the training came to no score."""
        return results.read(results.TrialResult, self.result, "result") if self.status == "ok" else None

    @cached_property
    def final(self) -> results.FinalResult | None:
        """Of a point that was not chosen, too."""
        return results.read(results.FinalResult, self.result, "result") if self.status == "ok" else None

    @cached_property
    def pretraining(self) -> results.PretrainResult | None:
        return results.read(results.PretrainResult, self.result, "result") if self.status == "ok" else None

    @cached_property
    def unscored(self) -> results.Unscored:
        """What is known of a final whether it came to a score or not."""
        return self.final or results.read(results.Unscored, self.result, "result")

    @cached_property
    def spent(self) -> results.Cost:
        return results.read(results.Cost, self.cost, "cost")

    @cached_property
    def asked(self) -> results.FitAsked:
        """Of all kinds but a pretraining."""
        return self.point if self.kind != "final" else results.read(results.FitAsked, self.spec, "spec")

    @cached_property
    def point(self) -> results.PointAsked:
        """Of a trial, or of a point that was not chosen."""
        return results.read(results.PointAsked, self.spec, "spec")

    @property
    def place(self) -> results.PointOf:
        """The same, without what its search was asked."""
        return self.point

    @cached_property
    def learned(self) -> results.PretrainAsked:
        """What a pretraining is of."""
        return results.read(results.PretrainAsked, self.spec, "spec")

    @property
    def is_too_fast(self) -> bool:
        """On purpose: its rate is a multiple of the one that was chosen."""
        return "rate_factor" in self.spec

    @property
    def made_by(self) -> str:
        """Its provenance, as JSON."""
        return json.dumps(self.provenance, sort_keys=True, separators=(",", ":"))

    @property
    def saw(self) -> tuple[str, str]:
        """Digests of the data set and of the weights that it began with; "" where it does not say."""
        trained = self.pretraining if self.kind == "pretrain" else self.trial if self.kind == "trial" else None
        result = self.unscored if trained is None and self.kind != "pretrain" else trained
        return (result.dataset_sha256, str((result.weights or {}).get("sha256", ""))) if result else ("", "")

    def failed(self, error: str) -> "Record":
        """The same attempt, had it failed."""
        return dataclasses.replace(self, status="failed", result={}, error=error)

    @property
    def left_early(self) -> tuple[int, int] | None:
        """(steps, step budget) of a trial that its search did not let train to its end."""
        if self.kind != "trial" or self.trial is None:
            return None
        steps, budget = self.trial.steps, self.asked.training.steps
        return (steps, budget) if steps is not None and budget is not None and steps < budget else None

    def check(self) -> None:
        """Raises ValueError where a field that somebody may read does not fit its type."""
        results.read(results.Provenance, self.provenance, "provenance")
        for name in ("spent", *READ[self.kind]):
            getattr(self, name)


# By kind, the properties that are asked of a record.
READ = {"pretrain": ("learned", "pretraining"), "trial": ("point", "trial"), "final": ("asked", "unscored"),
        "unchosen": ("point", "unscored")}  # fmt: skip


def provenances(records: Iterable[Record]) -> list[tuple[dict[str, Any], int]]:
    """The distinct ones, with how many records each has made: the most first."""
    counts = Counter(record.made_by for record in records)
    return [(json.loads(text), count) for text, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


class Ended(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def is_too_fast(self) -> bool:
        """On purpose: its rate is a multiple of the one that was chosen."""
        ...


def went_wrong(one: Ended) -> bool:
    """A rate too high for a trial is a finding of its search, and one that was meant to be is a finding anywhere; a
    strategy that does not fit is nobody's fault."""
    is_finding = one.status == "diverged" and (one.kind in ("trial", "unchosen") or one.is_too_fast)
    return one.status not in ("ok", "not_applicable") and not is_finding
