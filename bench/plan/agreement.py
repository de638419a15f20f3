"""Records of one suite that were made on different data, or from different weights, though their keys ask for the same.

Nobody can average these, and nothing says which are right, unless it is the record of a pretraining about its own
weights. So all that contradict each other count as failed, for tables, pages, gates and `--rerun failed` alike. Trials
do not tell what they saw.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bench.keys import digest
from bench.plan.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.spec.refs import BackboneRef, DataRef
from bench.store.record import Record

REFUSED = "refused: "  # begins the error of such a record
SHOWN = 12  # digits of a digest


@dataclass
class _Question:
    """Something that many records used, by name; they should all have found the same content."""

    what: str
    truth: str = ""  # digest of the content, where a record may say so
    answers: dict[str, str] = field(default_factory=dict)  # key of a record -> the digest that it tells

    @property
    def refused(self) -> list[str]:
        if self.truth:
            return [key for key, sha256 in self.answers.items() if sha256 != self.truth]
        return list(self.answers) if len(set(self.answers.values())) > 1 else []

    @property
    def reason(self) -> str:
        found = sorted(set(self.answers.values()) - {self.truth})
        told = " and ".join(sha256[:SHOWN] for sha256 in found[:3])
        if self.truth:
            return f"began with other weights of {self.what} than its pretraining has left since: {told}, not " \
                   f"{self.truth[:SHOWN]}"
        return f"records differ in what they saw of {self.what} ({told}), and nothing says which are right"


def agreeing(plan: Plan, records: Mapping[str, Record]) -> dict[str, Record]:
    """The same records, but those that contradict each other are failed ones. `records`: by key, pretrainings too."""
    refused: dict[str, str] = {}
    for question in _questions(plan, records).values():
        refused |= dict.fromkeys(question.refused, question.reason)
    for job, record in _told(plan, records):  # needs come before their users
        if job.spec.backbone.weights.identity in refused and _weights(record):
            refused.setdefault(record.key, "its pretraining is refused")
    return {key: _failed(record, refused[key]) if key in refused else record for key, record in records.items()}


def _failed(record: Record, reason: str) -> Record:
    return replace(record, status="failed", result={}, error=f"{REFUSED}{reason}")


def _questions(plan: Plan, records: Mapping[str, Record]) -> dict[str, _Question]:
    found: dict[str, _Question] = {}
    for job, record in _told(plan, records):
        if seen := _data(record):
            found.setdefault(_data_key(job.spec.data), _Question(job.spec.data.name)).answers[record.key] = seen
        if (began := _weights(record)) and not (isinstance(job.spec, FitSpec) and job.spec.recipe.own_head):
            asked = _weights_question(job.spec.backbone, records)
            found.setdefault(digest(job.spec.backbone), asked).answers[record.key] = began
    return found


def _told(plan: Plan, records: Mapping[str, Record]) -> Iterator[tuple[Job, Record]]:
    """All but trials, in the order of the plan."""
    for job in plan.jobs.values():
        if job.kind != "search":
            yield from ((job, records[key]) for key in job.record_keys if key in records)


def _data_key(ref: DataRef) -> str:
    """Whatever it is scored by."""
    return digest([ref.name, ref.options, ref.revision, ref.split, ref.classes])


def _weights_question(ref: BackboneRef, records: Mapping[str, Record]) -> _Question:
    source = records.get(ref.weights.identity)
    made = source.pretraining if source is not None else None
    return _Question(ref.name, truth=made.tensors_sha256 if made is not None else "")


def _data(record: Record) -> str:
    told = record.pretraining if record.kind == "pretrain" else record.unscored
    return told.dataset_sha256 if told is not None else ""


def _weights(record: Record) -> str:
    told = record.pretraining if record.kind == "pretrain" else record.unscored
    return str((told.weights or {}).get("sha256", "")) if told is not None else ""
