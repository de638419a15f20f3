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
    keys: dict[str, list[str]] = field(default_factory=dict)  # of records, by the digest of what they had

    @property
    def refused(self) -> list[str]:
        if not self.truth and len(self.keys) < 2:
            return []
        return [key for sha256, keys in self.keys.items() if sha256 != self.truth for key in keys]

    @property
    def reason(self) -> str:
        different = sorted(self.keys.keys() - {self.truth})
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
    names: dict[int, str] = {}  # of data sets: many jobs have the same object
    for job in plan.jobs.values():
        saw: dict[tuple[str, str], list[str]] = {}
        for record in _records_of(job, records):
            saw.setdefault(record.saw, []).append(record.key)
        for (dataset_sha256, weights_sha256), keys in saw.items():
            if dataset_sha256:
                ref = job.spec.data
                name = names.get(id(ref)) or names.setdefault(id(ref), _data_key(ref))
                shared.setdefault(name, _Shared(ref.name)).keys.setdefault(dataset_sha256, []).extend(keys)
            if weights_sha256 and not (isinstance(job.spec, FitSpec) and job.spec.recipe.own_head):
                _weights_of(job.spec.backbone, records, shared).keys.setdefault(weights_sha256, []).extend(keys)
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
