"""What a worker keeps between jobs: where records go, which device it owns, and the datasets it has loaded."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench import datasets
from bench.datasets import cache as dataset_cache
from bench.datasets.base import Dataset
from bench.engine.images import Images
from bench.errors import BenchError
from bench.keys import digest
from bench.plan.spec import DataRef
from bench.store import Record, Store

KEPT = 4  # datasets on the device at once


@dataclass(frozen=True)
class OnDevice:
    train: Images
    test: Images
    sha256: str


@dataclass
class Context:
    store: Store  # the suite's records
    shared: Store  # pretrainings and their weights, for all suites
    cache: Path
    device: torch.device
    weights_files: dict[str, Path]  # sha256 -> local checkpoint
    provenance: dict[str, Any]
    begins: Callable[[Record], None]  # called before each training, with the record that a crash would leave
    announce: Callable[[Record], None]  # called with each record once it is on disk
    stopping: Callable[[], bool]  # True: finish the training at hand, start no other
    _loaded: OrderedDict[str, OnDevice] = field(default_factory=OrderedDict)

    def data(self, ref: DataRef) -> OnDevice:
        key = digest(ref)
        if key not in self._loaded:
            options = datasets.find(ref.name).options.model_validate(ref.options)
            loaded = dataset_cache.load(ref.name, options, self.cache)
            _check(ref, loaded)
            self._loaded[key] = OnDevice(
                train=Images.on_device(loaded.train.images, loaded.train.labels, self.device),
                test=Images.on_device(loaded.test.images, loaded.test.labels, self.device),
                # Of what is trained on, not of what the cache says of itself.
                sha256=Dataset(loaded.classes, loaded.train, loaded.test).sha256,
            )
            if len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _check(ref: DataRef, loaded: Dataset) -> None:
    """Third parties' arrays against what their entry promised to planning."""
    for name, split in (("train", loaded.train), ("test", loaded.test)):
        if len(split.labels) == 0:
            raise BenchError(f"dataset {ref.name!r}: its {name} split is empty")
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= ref.num_classes:
            raise BenchError(
                f"dataset {ref.name!r}: {name} labels run from {low} to {high}, its facts promise 0 to "
                f"{ref.num_classes - 1}"
            )
