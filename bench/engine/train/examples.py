"""Examples as they lie on the device, whole splits, and the order in which a training meets them."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench import modalities
from bench.datasets.base import Split
from bench.modalities.sending import sent
from bench.spec.refs import Keeps, Metric


@dataclass(frozen=True)
class Examples:
    """Some examples of a split. Taking a part copies nothing: it keeps the rows of the split that belong to it."""

    stored: tuple[Tensor, ...]  # columns [N, ...] of the whole split; on the device, or mapped from a file
    labels: Tensor  # int64 [n], on the device
    rows: Tensor | None = None  # int64 [n] into `stored`, on the host; None: all of it
    origin: str = ""  # identity of the split by content; "": nobody else can have the same one
    is_streamed: bool = False  # read from the file with every batch
    is_shared: bool = False  # the split holds all images of a set, of which repeats take parts, to train and to test on
    metric: Metric = "accuracy"  # that they are scored by
    keeps: Keeps = "none"  # what is to be told of each one when they are scored

    @staticmethod
    def on_device(split: Split, device: torch.device, origin: str = "") -> "Examples":
        copies = tuple(column.clone(memory_format=torch.contiguous_format).to(device) for column in _columns(split))
        return Examples(copies, torch.from_numpy(np.array(split.labels)).to(device), origin=origin)

    @staticmethod
    def mapped(split: Split, device: torch.device, origin: str = "") -> "Examples":
        """The columns stay where they are, in a file mapped into memory, say; each batch is fetched from there."""
        labels = torch.from_numpy(np.array(split.labels)).to(device)
        return Examples(_columns(split), labels, origin=origin, is_streamed=True)

    def __len__(self) -> int:
        return self.labels.shape[0]

    @property
    def split_size(self) -> int:
        """Examples of the whole split."""
        return self.stored[0].shape[0]

    @cached_property
    def known_labels(self) -> npt.NDArray[np.int64]:
        """[n], on the host."""
        found: npt.NDArray[np.int64] = self.labels.cpu().numpy()
        return found

    @property
    def places(self) -> npt.NDArray[np.uint32] | None:
        """Of these images among all images of the set, where repeats divide these anew [n]."""
        return self.rows.numpy().astype(np.uint32) if self.is_shared and self.rows is not None else None

    @property
    def device(self) -> torch.device:
        return self.labels.device

    @property
    def values(self) -> tuple[Tensor, ...]:
        """The columns of these examples, on the device."""
        return tuple(self._fetched(column) for column in self.stored)

    def _fetched(self, column: Tensor) -> Tensor:
        if self.rows is not None:
            column = column.index_select(0, sent(self.rows, column.device))  # many times faster than indexing, on a CPU
        return sent(column, self.device)

    def take(self, index: npt.NDArray[np.int64] | Tensor) -> "Examples":
        if not isinstance(index, Tensor):
            index = torch.from_numpy(np.ascontiguousarray(index))
        index = index.cpu()
        rows = index if self.rows is None else self.rows[index]
        return replace(self, labels=self.labels.index_select(0, sent(index, self.device)), rows=rows)

    @property
    def whole(self) -> "Examples":
        """The split that these are of, without labels."""
        labels = torch.full((self.split_size,), -1, dtype=torch.int64, device=self.device)
        return replace(self, rows=None, labels=labels)

    def inputs(self, pipeline: Any) -> Tensor:
        """As a network takes them, unchanged by chance."""
        return modalities.of(pipeline).handling().inputs([self.values], pipeline)


def _columns(split: Split) -> tuple[Tensor, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the file is read-only, and nobody writes
        return modalities.MODALITIES[split.modality].handling().stored(split.columns)


class Order:
    """Batches of indices without end: one shuffled pass after another, cut into batches of equal size.

    A pass may end within a batch, so no example is dropped and no batch is short (one image alone breaks BatchNorm).
    """

    def __init__(self, num_examples: int, batch_size: int, seed: int) -> None:
        self.batch_size = min(batch_size, num_examples)
        self._num_examples = num_examples
        self._generator = np.random.default_rng(seed)
        self._left: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def next(self) -> npt.NDArray[np.int64]:
        while len(self._left) < self.batch_size:
            self._left = np.concatenate([self._left, self._generator.permutation(self._num_examples)])
        batch, self._left = self._left[: self.batch_size], self._left[self.batch_size :]
        return batch
