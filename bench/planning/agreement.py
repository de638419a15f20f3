"""Records of one suite that were made on different data, or from different weights, though their keys ask for the same.

Nobody can average these, and nothing says which are right, unless it is the record of a pretraining about its own
weights. So all that contradict each other count as failed, for tables, pages, gates and `--rerun failed` alike: trials
too, since a search that chose on other data is no search of this suite.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bench.keys import digest
from bench.planning.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.spec.refs import BackboneRef, DataRef
from bench.store.record import Record
from bench.store.results import PretrainResult, Ran

REFUSED = "refused: "  # begins the error of such a record
SHOWN = 12  # digits of a digest


@dataclass
class _Shared:
    """Data or weights that many records used, by name; they should all have had the same content."""

    name: str
    truth: str = ""  # digest of the content, where a record may say so
    digests: dict[str, str] = field(default_factory=dict)  # of the content that a record had, by its key

    @property
    def refused(self) -> list[str]:
        if self.truth:
            return [key for key, sha256 in self.digests.items() if sha256 != self.truth]
        return list(self.digests) if len(set(self.digests.values())) > 1 else []

    @property
    def reason(self) -> str:
        different = sorted(set(self.digests.values()) - {self.truth})
        listed = " and ".join(sha256[:SHOWN] for sha256 in different[:3])
        if self.truth:
            return f"began with other weights of {self.name} than its pretraining has left since: {listed}, not " \
                   f"{self.truth[:SHOWN]}"
        return f"records differ in what they saw of {self.name} ({listed}), and nothing says which are right; " \
               "another version of a library may read it differently"


def agreeing(plan: Plan, records: Mapping[str, Record]) -> dict[str, Record]:
    """The same records, but those that contradict each other are failed ones. `records`: by key, pretrainings too."""
    refused: dict[str, str] = {}
    for shared in _all_shared(plan, records).values():
        refused |= dict.fromkeys(shared.refused, shared.reason)
    for job, record in _jobs_with_records(plan, records):  # needs come before their users
        if job.spec.backbone.weights.identity in refused and _weights_sha256(record):
            refused.setdefault(record.key, "its pretraining is refused")
    return {key: _failed(record, refused[key]) if key in refused else record for key, record in records.items()}


def _failed(record: Record, reason: str) -> Record:
    return replace(record, status="failed", result={}, error=f"{REFUSED}{reason}")


def _all_shared(plan: Plan, records: Mapping[str, Record]) -> dict[str, _Shared]:
    shared: dict[str, _Shared] = {}
    for job, record in _jobs_with_records(plan, records):
        if sha256 := _dataset_sha256(record):
            data = _Shared(job.spec.data.name)
            shared.setdefault(_data_key(job.spec.data), data).digests[record.key] = sha256
        if (sha256 := _weights_sha256(record)) and not (isinstance(job.spec, FitSpec) and job.spec.recipe.own_head):
            weights = _shared_weights(job.spec.backbone, records)
            shared.setdefault(digest(job.spec.backbone), weights).digests[record.key] = sha256
    return shared


def _jobs_with_records(plan: Plan, records: Mapping[str, Record]) -> Iterator[tuple[Job, Record]]:
    """In the order of the plan."""
    for job in plan.jobs.values():
        yield from ((job, records[key]) for key in job.record_keys if key in records)


def _data_key(ref: DataRef) -> str:
    """Whatever it is scored by."""
    return digest([ref.name, ref.options, ref.revision, ref.split, ref.classes])


def _shared_weights(ref: BackboneRef, records: Mapping[str, Record]) -> _Shared:
    source = records.get(ref.weights.identity)
    made = source.pretraining if source is not None else None
    return _Shared(ref.name, made.tensors_sha256 if made is not None else "")


def _dataset_sha256(record: Record) -> str:
    """"" where a record does not say: of trials, those from before they did."""
    result = _result(record)
    return result.dataset_sha256 if result is not None else ""


def _weights_sha256(record: Record) -> str:
    result = _result(record)
    return str((result.weights or {}).get("sha256", "")) if result is not None else ""


def _result(record: Record) -> PretrainResult | Ran | None:
    if record.kind == "pretrain":
        return record.pretraining
    return record.trial or record.unscored if record.kind == "trial" else record.unscored
