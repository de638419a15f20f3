"""What the coded parts of a recipe (`spec/parts.py`) may know of a training and of each of its steps."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bench import modalities
from bench.engine.train.examples import Examples
from bench.engine.train.inputs import Direct, Share
from bench.errors import NotApplicable
from bench.keys import seed_for
from bench.modalities.sending import sent
from bench.network.capture import classifier_of, in_eval_mode
from bench.network.units import Network
from bench.spec.refs import Pipeline, Training

State = dict[str, Tensor]

DRAWN = 0.01  # spread of a head that stands in for one of zeros


@dataclass(frozen=True)
class SourceNetwork:
    """What the backbone was pretrained as and, where that happened inside the suite, on."""

    network: Network  # with its original head, in evaluation, frozen
    num_classes: int
    train: Examples | None = None
    test: Examples | None = None
    memo: dict[Any, Any] = field(default_factory=dict)  # what was found out about it

    def own_head(self) -> nn.Linear:
        """A copy of its classifier, to learn along."""
        return copy.deepcopy(classifier_of(self.network)).requires_grad_(True)


@dataclass
class TrainingSetting:
    """A training that is about to begin."""

    network: Network
    start: State  # what every training of the job begins with
    images: Examples  # what it learns from
    pipeline: Pipeline
    training: Training
    seed: int  # for all that a part draws; the same for every strategy
    unlabelled: Examples  # of the training split, those of this training among them; their labels are -1
    find_source: Callable[[], SourceNetwork]
    memo: dict[str, Any] = field(default_factory=dict)  # shared by all trainings that start alike

    def source(self) -> SourceNetwork:
        """Raises NotApplicable where there is no such head."""
        return self.find_source()

    def source_images(self) -> Examples:
        found = self.find_source().train
        if found is None:
            example = modalities.of(self.pipeline).example
            raise NotApplicable(f"needs the {example}s that the backbone was pretrained on: "
                                "`pretrain: {dataset: ...}`")
        return found

    @contextmanager
    def as_in_evaluation(self) -> Iterator[None]:
        """Leaves no gradients."""
        with in_eval_mode(self.network.module):
            yield
        self.network.module.zero_grad(set_to_none=True)

    @contextmanager
    def head_drawn(self) -> Iterator[None]:
        """Meanwhile weights of the head that are 0 throughout are normal(0, .01): through zeros no gradient reaches the
        body."""
        draw = self.generator_for_all("head")
        blank = [p for p in self.network.parameters[-1].values() if p.ndim > 1 and not bool(p.any())]
        with torch.no_grad():
            for p in blank:
                p.copy_(torch.randn(p.shape, generator=draw) * DRAWN)
        try:
            yield
        finally:
            with torch.no_grad():
                for p in blank:
                    p.zero_()

    def frozen_copy(self) -> Network:
        """Of the network as trainings begin with it, in evaluation."""
        twin = copy.deepcopy(self.network)
        twin.module.load_state_dict(self.start)
        twin.module.eval().requires_grad_(False)
        return twin

    def generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(seed_for(purpose, self.seed))

    def generator_for_all(self, purpose: str) -> torch.Generator:
        """The same for every training of a backbone."""
        return torch.Generator().manual_seed(seed_for(purpose))

    def batch(
        self, images: Examples, draw: torch.Generator, size: int | None = None, varied: bool = False
    ) -> tuple[Tensor, Tensor]:
        """A random batch as the network takes it, and its labels. `varied`: changed as training images are."""
        size = min(size or self.training.batch_size, len(images))
        index = torch.randperm(len(images), generator=draw)[:size]
        how = modalities.of(self.pipeline).handling().variation(self.training) if varied else None
        (inputs,) = Direct(self.pipeline, how).batches([Share(images, index, draw)])
        return inputs[0], images.labels[sent(index, images.device)]

    def batches(self, num: int | None = None, rest: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """The training images, shuffled, as the network takes them: so many batches, or as many as there are. `rest`:
        the last images too, which are fewer than a batch. Data sets often lie class by class."""
        size, total = min(self.training.batch_size, len(self.images)), len(self.images)
        order = torch.randperm(total, generator=self.generator("batches"))
        starts = list(range(0, total if rest else total - size + 1, size))
        for start in starts[:num]:
            images = self.images.take(order[start : start + size])
            yield images.inputs(self.pipeline), images.labels


@dataclass(frozen=True)
class TrainingStep:
    """One step, between its forward and its backward pass."""

    number: int  # of the steps so far
    phase: int
    network: Network
    inputs: Tensor  # [B, ...]: images, where the penalty reads them
    labels: Tensor
    logits: Tensor
    loss: Tensor  # of the labels alone
    features: Tensor  # [B, D], what reaches the classifier
    units: Sequence[Tensor]  # what each unit puts out, where the penalty reads images
