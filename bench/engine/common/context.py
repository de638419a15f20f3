"""What a worker keeps between jobs: where records go, which device it owns, and the datasets it has loaded."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from bench import datasets, modalities
from bench.datasets import cache as dataset_cache
from bench.datasets.base import Dataset, Split
from bench.datasets.sampling import Division
from bench.datasets.split_lists import Listed, Lists
from bench.engine.common.features import Features
from bench.engine.train.examples import Examples
from bench.engine.train.meter import Meter
from bench.errors import BenchError
from bench.keys import digest
from bench.network.flops import FlopCounts
from bench.network.units import Network
from bench.planning.patterns import Pattern
from bench.planning.precision import Choice
from bench.provenance import version_of
from bench.spec.job import FitSpec
from bench.spec.parts import Head
from bench.spec.refs import BackboneRef, DataRef, Engine, Keeps
from bench.store import Record, Store
from bench.store.results import SeenBefore

K = TypeVar("K")

RESIDENT_BYTES = 1 << 30  # larger datasets stay in their file
RESIDENT_SHARE = 0.2  # of a device's free memory
MOST_PROBABILITIES = 64 << 20  # bytes of one final's, where all classes' are kept
DATASETS, NETWORKS, STATES, CUTS = 4, 3, 2, 64  # kept at once; cuts of each network
PREPARED = 1  # of what is computed once of examples; a change makes what is kept unknown


@dataclass(frozen=True)
class OnDevice:
    train: Examples
    test: Examples
    sha256: str
    classes: tuple[str, ...] = ()
    validation: Examples | None = None  # what trials are scored on, where it is no part of the training images
    shift: Examples | None = None  # a further split that finals are scored on
    listed: Mapping[str, Listed] = field(default_factory=dict)  # what lists say of its labels, by digest

    def listed_for(self, spec: FitSpec) -> Listed | None:
        return None if spec.listed is None else self.listed[spec.listed]

    @property
    def scored(self) -> list[Examples]:
        """What finals are scored on."""
        return [self.test] if self.shift is None else [self.test, self.shift]

    @property
    def train_labels(self) -> npt.NDArray[np.int64]:
        return self.train.known_labels


@dataclass(frozen=True)
class Pool:
    """The images of a set that repeats divide, each for itself."""

    dataset: Dataset
    examples: Examples
    sha256: str
    shift: Examples | None = None

    def divided(self, split: int | Division) -> OnDevice:
        train, test = self.dataset.divided(split)
        sha256 = hashlib.sha256(self.sha256.encode() + np.asarray(test, "<i8").tobytes()).hexdigest()
        parts = self.examples.take(train), self.examples.take(test)
        return OnDevice(*parts, sha256, self.dataset.classes, shift=self.shift)


@dataclass
class Kept:
    network: Network
    cuts: OrderedDict[str, object] = field(default_factory=OrderedDict)
    flops: FlopCounts = field(default_factory=dict)


@dataclass
class Context:
    store: Store  # the suite's records
    shared: Store  # pretrainings and their weights, for all suites
    cache: Path
    device: torch.device
    weights_files: dict[str, Path]  # identity of weights -> local checkpoint
    provenance: dict[str, Any]
    # Before trainings, with the records that a crash in them would leave, and how many train together: where trials
    # that have a record train along, more than there are records. 0: all that comes before the first step.
    begins: Callable[[list[Record], int], None]
    announce: Callable[[Record], None]  # called with each record once it is on disk
    stopping: Callable[[], bool]  # True: finish the training at hand, start no other
    # Given each final's trained network, which is another's a moment later, and the classifier that was computed for
    # its features, where one was; None: records are all that stays.
    hand_over: Callable[[FitSpec, Network, Head | None], None] | None = None
    notice: Callable[[str], None] = print  # something that a person should know
    pause: Callable[[], AbstractContextManager[None]] = nullcontext  # around what is part of no training's time
    sharing: int = 1  # workers of this device, each of which takes its part of the memory
    engine: Engine = field(default_factory=Engine)
    keeps: Keeps = "classes"  # what finals tell of each test example
    distances: bool = False  # whether finals tell how far the target lies from what the network learned
    forecasts: bool = False  # whether finals tell what cheap scores say of the transfer before any training
    similarity: bool = False  # whether finals tell how much each unit changed
    samples: bool = False  # whether a few examples of each data set are kept for the page
    mistaken: frozenset[str] = frozenset()  # keys of finals that make a mistake on purpose: nobody reads diagnoses
    patterns: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)  # what the plan leaves frozen
    sources: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # options with paths, by digest of the DataRef
    lists: Lists = field(default_factory=Lists)  # what lists say of labels and test examples
    arithmetic: Mapping[str, Choice] = field(default_factory=dict)  # by `arithmetic_key`; for records only
    forms_folder: Path | None = None  # where this machine's choices are kept; None: in the cache
    seen_before: dict[str, SeenBefore] = field(default_factory=dict)  # by target and network, of `seen.py`
    sampled: set[str] = field(default_factory=set)  # data sets that `samples.py` has seen to
    features: Features = field(init=False)
    _loaded: OrderedDict[str, OnDevice] = field(default_factory=OrderedDict)
    _pools: OrderedDict[str, Pool] = field(default_factory=OrderedDict)
    _networks: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    _states: OrderedDict[str, dict[str, torch.Tensor] | None] = field(default_factory=OrderedDict)
    _shared: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.features = Features(self.cache / "features", self.device, self.notice, self.pause, sharing=self.sharing)

    def meter(self) -> Meter:
        return Meter(self.device, lambda: self.features.seconds).start()

    @property
    def forms(self) -> Path:
        return self.forms_folder or self.cache / "forms"

    def alone(self) -> "Context":
        """The same, but nothing trains together."""
        other = replace(self, engine=replace(self.engine, fleet=1))
        other.features = self.features
        return other

    def data(self, ref: DataRef, pipeline: Any = None) -> OnDevice:
        """As a network of that pipeline learns from it; None: as it is stored."""
        return _kept(self._loaded, _name(ref, pipeline), DATASETS, lambda: self._load(ref, pipeline))

    def stored(self, ref: DataRef) -> Dataset:
        """As it is read: `Dataset.divided` divides it."""
        source = self.sources.get(digest(ref.as_read), ref.options)
        options = datasets.find(ref.name).options.model_validate(source)
        whole = dataset_cache.load(ref.name, options, self.cache, ref.revision, self.notice)
        return whole.of_classes(ref.classes)

    def _load(self, ref: DataRef, pipeline: Any) -> OnDevice:
        split = self.lists.division(ref.split)
        if split is not None:
            whole = ref.as_read
            pool = _kept(self._pools, _name(whole, pipeline), DATASETS, lambda: self._pool(whole, pipeline))
            data = pool.divided(split)
            test = replace(data.test, keeps=self._kept_of(ref, len(data.test)))
            return replace(data, test=test, listed=self.lists.labels)
        loaded = self._checked(ref)
        place = self._placer(ref, pipeline, loaded)
        placed = {name: place(split, name) for name, split in loaded.splits.items()}
        test = replace(placed["test"], keeps=self._kept_of(ref, len(placed["test"])))
        shift, listed = placed.get("shift"), self.lists.labels
        return OnDevice(placed["train"], test, loaded.sha256, loaded.classes, shift=shift, listed=listed)

    def _pool(self, ref: DataRef, pipeline: Any) -> Pool:
        loaded = self._checked(ref)
        place = self._placer(ref, pipeline, loaded)
        shift = place(loaded.shift, "shift") if loaded.shift is not None else None
        return Pool(loaded, replace(place(loaded.pool, "pool"), is_shared=True), loaded.sha256, shift)

    def _checked(self, ref: DataRef) -> Dataset:
        loaded = self.stored(ref)
        _check(ref, loaded)
        return loaded

    def _placer(self, ref: DataRef, pipeline: Any, loaded: Dataset) -> Callable[[Split, str], Examples]:
        """Puts a split of the data set, called by its name, where trainings find it."""
        once = _preparation(pipeline)
        size = sum(column.nbytes for split in loaded.splits.values() for column in split.columns.values())
        place = Examples.on_device if size <= self._room() else Examples.mapped

        def placed(split: Split, name: str) -> Examples:
            origin = f"{loaded.sha256}/{name}"
            if once is None:
                return replace(place(split, self.device, origin), metric=ref.metric)
            handling = modalities.of(pipeline).handling()
            made = [once, {name: version_of(name) for name in handling.libraries}]
            name = digest([PREPARED, *made, origin])
            values = self.features.get(
                [name], f"prepared-{name}",
                lambda: {name: handling.prepared(split.columns, pipeline, self.weights_files)},
            )  # fmt: skip
            labels = torch.from_numpy(np.array(split.labels)).to(self.device)
            return Examples(tuple(values), labels, origin=f"{origin}/{digest(made)}", metric=ref.metric)

        return placed

    def _room(self) -> int:
        """Bytes that one dataset may take of the device's memory. On a CPU every worker has a copy of its own."""
        if self.device.type != "cuda":
            return RESIDENT_BYTES
        free, _ = torch.cuda.mem_get_info(self.device)
        return int(free * RESIDENT_SHARE / self.sharing)

    def _kept_of(self, ref: DataRef, num_test: int) -> Keeps:
        size = num_test * ref.num_classes * 2  # of probabilities in half precision
        if self.keeps != "full" or size < MOST_PROBABILITIES:
            return self.keeps
        self.notice(f"{ref.name}: probabilities of {num_test} test examples and {ref.num_classes} classes would take "
                    f"{size >> 20} MiB for each final; only those of the predicted and the true class are kept")
        return "classes"

    def network(self, ref: BackboneRef, built: tuple[object, ...], fresh: Network) -> Network:
        """One network of each kind serves all trainings, so that what is derived from it can be kept with it. `built`:
        for how many classes, with which head, and how it was adapted."""
        kind = [ref.name, ref.options, ref.units, *built]
        return _kept(self._networks, digest(kind), NETWORKS, lambda: Kept(fresh)).network

    def flops(self, network: Network) -> FlopCounts:
        """What `flops.py` has counted of a network."""
        return next((kept.flops for kept in self._networks.values() if kept.network is network), {})

    def cuts(self, network: Network) -> OrderedDict[str, object]:
        """What `reuse/stages.py` keeps with a network; gone when the network is."""
        for kept in self._networks.values():
            if kept.network is network:
                while len(kept.cuts) > CUTS:
                    kept.cuts.popitem(last=False)
                return kept.cuts
        return OrderedDict()

    def kept(self, key: str, make: Callable[[], K]) -> K:
        """Something that many trainings share; the last few are kept."""
        found: K = _kept(self._shared, key, STATES, make)
        return found

    def pretrained_state(
        self, ref: BackboneRef, read: Callable[[], dict[str, torch.Tensor] | None]
    ) -> dict[str, torch.Tensor] | None:
        return _kept(self._states, digest(ref), STATES, read)


def _preparation(pipeline: Any) -> Any:
    return None if pipeline is None else modalities.of(pipeline).handling().preparation(pipeline)


def _name(ref: DataRef, pipeline: Any) -> str:
    once = _preparation(pipeline)
    return digest(ref) if once is None else digest([ref, once])


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _kept(shelf: OrderedDict[str, K], key: str, limit: int, make: Callable[[], K]) -> K:
    """The last few are kept."""
    if key not in shelf:
        shelf[key] = make()
        if len(shelf) > limit:
            shelf.popitem(last=False)
    shelf.move_to_end(key)
    return shelf[key]


def _check(ref: DataRef, loaded: Dataset) -> None:
    """Third parties' arrays against what their entry promised to planning."""
    for name, split in loaded.splits.items():
        if len(split.labels) == 0:
            raise BenchError(f"dataset {ref.name!r}: its {name} split is empty")
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= ref.num_classes:
            raise BenchError(
                f"dataset {ref.name!r}: {name} labels run from {low} to {high}, its facts promise 0 to "
                f"{ref.num_classes - 1}"
            )
