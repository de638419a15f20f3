"""A final trained once more as its record says, so that its network can be handed on: a run keeps scores, no weights.

The engine does it in its own way, with the points that the search of the record chose, in a folder that goes
afterwards. Nothing is written among the suite's records.
"""

import copy
import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.engine.common.context import Context, OnDevice, device_name
from bench.engine.jobs.perform import perform
from bench.engine.train import precision
from bench.errors import BenchError, StoreError
from bench.execute.bundles import bundles
from bench.execute.placement import choose_placement
from bench.execute.roots import Roots
from bench.modalities.base import Columns
from bench.network.units import Network
from bench.places import machine_cache
from bench.planning.patterns import frozen_patterns
from bench.planning.plan import Cell, Plan
from bench.provenance import describe
from bench.spec.job import FitSpec, Job
from bench.spec.parts import Head
from bench.spec.refs import Engine
from bench.store import Record, Store
from bench.text import note

COMPARED = ("code", "libraries", "python", "platform", "processor", "device", "threads")  # of two provenances


@dataclass(frozen=True)
class Trained:
    """What is handed on, and what it was made of."""

    spec: FitSpec  # at the chosen point
    network: Network  # a copy of its own
    head: Head | None  # a classifier for its features, where one was computed
    record: Record  # of the run: what the network must live up to
    again: Record  # of this training
    data: OnDevice
    stored: Columns  # of the data set's training examples, as they are read


def record_of(cell: Cell, repeat: int, store: Store) -> Record:
    record = store.read(cell.finals[repeat])
    if record is None or record.final is None:
        raise StoreError(f"{cell.task}: the record {cell.finals[repeat]} is gone")
    return record


def trained_together(plan: Plan, cell: Cell, record: Record) -> tuple[Job, ...]:
    """The finals that trained with this one: a fleet's sums come out a little otherwise than those of one network."""
    job = plan.jobs[record.key]
    if (record.spent.engine.replicas or 1) == 1:
        return (job,)
    is_gpu = str(record.provenance.get("device")) != "cpu"
    groups = bundles([plan.jobs[key] for key in cell.finals], is_gpu)
    return next(group for group in groups if job in group)


def seconds_of(jobs: tuple[Job, ...], store: Store) -> float:
    """As the records say."""
    found = [store.read(job.key) for job in jobs]
    return sum(one.spent.measured.seconds or 0.0 for one in found if one is not None)


def train_again(plan: Plan, jobs: tuple[Job, ...], record: Record, roots: Roots) -> Trained:
    handed: list[tuple[FitSpec, Network, Head | None]] = []
    wanted = plan.jobs[record.key].spec
    assert isinstance(wanted, FitSpec)

    def hand_over(spec: FitSpec, network: Network, head: Head | None) -> None:
        if spec.repeat == wanted.repeat:
            handed.append((spec, copy.deepcopy(network), head))

    with tempfile.TemporaryDirectory(prefix="transfer-bench-") as folder:
        context = _context(plan, roots, Store(Path(folder)), record)
        context = dataclasses.replace(context, hand_over=hand_over, mistaken=frozenset(job.key for job in jobs))
        for job in jobs:
            _lend(plan.jobs[job.needs[-1]], roots.store, context.store)
        perform(jobs, context)
        again = context.store.read(record.key)
        if again is None or not handed:
            why = again.error if again is not None else "it left no record"
            raise BenchError(f"the final {record.key[:12]} could not be trained again: {why}")
        ((spec, network, head),) = handed
        stored = context.stored(wanted.data.as_read).train.columns
        data = context.data(wanted.data, wanted.pipeline)
        return Trained(spec, network, head, record, again, data, stored)


def _lend(search: Job, run: Store, to: Store) -> None:
    """The trials that a final chooses its point by."""
    for key in search.record_keys:
        trial = run.read(key)
        if trial is None:
            raise StoreError(f"a trial of the search {search.key} has no record; run the suite again to make it")
        to.write(trial)


def _context(plan: Plan, roots: Roots, store: Store, record: Record) -> Context:
    """As a worker has it (`execute/worker.py`), but without diagnoses."""
    on_cpu = str(record.provenance.get("device")) == "cpu"
    device = torch.device(choose_placement(None, 0 if on_cpu else None, None, None).devices[0])
    threads = int(record.provenance.get("threads") or 1)
    torch.set_num_threads(threads)
    engine, kept = plan.loaded.suite.engine, plan.loaded.suite.records
    precision.set_explicitly(engine.deterministic)
    return Context(
        store=store, shared=roots.shared, cache=roots.cache, device=device, weights_files=plan.weights_files,
        provenance={**describe(), "device": device_name(device), "threads": threads},
        begins=lambda records, together: None, announce=lambda record: None, stopping=lambda: False, notice=note,
        engine=Engine(engine.partition, engine.fleet), keeps=kept.predictions,
        patterns=frozen_patterns(plan.jobs.values()), arithmetic=plan.arithmetic,
        sources={key: source.options for key, source in plan.sources.items()}, lists=plan.lists,
        forms_folder=cache / "forms" if (cache := machine_cache()) is not None else None,
    )  # fmt: skip


def differences(record: Record, again: Record) -> list[str]:
    """In what the surroundings of the two trainings differ."""
    found = [name for name in COMPARED if record.provenance.get(name) != again.provenance.get(name)]
    then, now = record.spent.engine.replicas or 1, again.spent.engine.replicas or 1
    return found if then == now else [*found, f"how many trained together ({then} then, {now} now)"]
