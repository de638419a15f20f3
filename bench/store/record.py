"""A record: one finished attempt, as it lies in one JSON file. Written by execute/, read by analysis/."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

SCHEMA = 1  # of the file, not of the numbers (that is keys.PROTOCOL)

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
        """Refuses (TypeError, ValueError) what is not a record of this schema."""
        if raw.get("schema") != SCHEMA:
            raise ValueError(f"record schema {raw.get('schema')!r}, this version reads {SCHEMA}")
        record = Record(**raw)
        for name, kind in (("key", str), ("kind", str), ("status", str), ("spec", dict), ("result", dict)):
            if not isinstance(getattr(record, name), kind):
                raise TypeError(f"record field {name!r} is not a {kind.__name__}")
        return record


class Ended(Protocol):
    @property
    def kind(self) -> str: ...

    @property
    def status(self) -> str: ...


def went_wrong(one: Ended) -> bool:
    """A rate too high for a trial is a finding of its search; a strategy that does not fit is nobody's fault."""
    is_finding = one.status == "diverged" and one.kind in ("trial", "unchosen")
    return one.status not in ("ok", "not_applicable") and not is_finding
