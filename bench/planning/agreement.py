"""Records of one suite that were made on different data, or from different weights, though their keys ask for the same.

Nobody can average these, and nothing says which are right, unless it is the record of a pretraining about its own
weights. So all that contradict each other count as failed, for tables, pages, gates and `--rerun failed` alike: trials
too, since a search that chose on other data is no search of this suite.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.keys import digest
from bench.planning.plan import Plan
from bench.spec.job import FitSpec, Job
from bench.spec.refs import BackboneRef, DataRef
from bench.store.record import Record

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
    for job in plan.jobs.values():  # needs come before their users
        if job.spec.backbone.weights.identity in refused:
            for record in _records_of(job, records):
                if record.saw[1]:
                    refused.setdefault(record.key, "its pretraining is refused")
    if not refused:
        return dict(records)
    return {key: record.failed(f"{REFUSED}{refused[key]}") if key in refused else record
            for key, record in records.items()}  # fmt: skip


def _all_shared(plan: Plan, records: Mapping[str, Record]) -> dict[str, _Shared]:
    shared: dict[str, _Shared] = {}
    keys: dict[int, str] = {}  # of data sets: many jobs have the same object
    for job in plan.jobs.values():
        data = weights = None  # what its records share is looked up once
        for record in _records_of(job, records):
            dataset_sha256, weights_sha256 = record.saw
            if dataset_sha256:
                ref = job.spec.data
                key = keys.get(id(ref)) or keys.setdefault(id(ref), _data_key(ref))
                data = data or shared.setdefault(key, _Shared(ref.name))
                data.digests[record.key] = dataset_sha256
            if weights_sha256 and not (isinstance(job.spec, FitSpec) and job.spec.recipe.own_head):
                weights = weights or _weights_of(job.spec.backbone, records, shared)
                weights.digests[record.key] = weights_sha256
    return shared


def _records_of(job: Job, records: Mapping[str, Record]) -> Iterator[Record]:
    return (records[key] for key in job.record_keys if key in records)


def _data_key(ref: DataRef) -> str:
    """Whatever it is scored by."""
    return digest([ref.name, ref.options, ref.revision, ref.split, ref.classes])


def _weights_of(ref: BackboneRef, records: Mapping[str, Record], shared: dict[str, _Shared]) -> _Shared:
    source = records.get(ref.weights.identity)
    made = source.pretraining if source is not None else None
    return shared.setdefault(digest(ref), _Shared(ref.name, made.tensors_sha256 if made is not None else ""))
