"""What a careful user writes: a loader with two workers and PIL transforms, or all images as tensors in memory; the
whole network forward in every step of every trial, in single precision. Start, batches and rates are the engine's, so
that both come to the same numbers."""

import copy
import dataclasses

import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.engine.common.start import labelled_images, start, trial_streams
from bench.engine.train.examples import Order
from bench.engine.train.optimize import Hyper, make_optimizer, schedule, set_rates
from bench.modalities.pixels import prepare

WORKERS = 2
EVALUATED = 256  # images at a time


@dataclasses.dataclass(frozen=True)
class Score:
    score: float
    loss: float


class Pictures(Dataset):
    """As torchvision's data sets hold theirs: arrays, made into PIL images one by one."""

    def __init__(self, images, pipeline, changes=()):
        self.arrays = images.values[0].cpu().permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = images.labels.tolist()
        end = [transforms.ToTensor(), transforms.Normalize(pipeline.mean, pipeline.std)]
        self.transform = transforms.Compose([*changes, *end])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        return self.transform(Image.fromarray(self.arrays[number])), self.labels[number]


class Epochs:
    """The batches of one epoch after the other."""

    def __init__(self, order, length):
        self.order, self.length = order, length

    def __iter__(self):
        return (self.order.next().tolist() for _ in range(self.length))

    def __len__(self):
        return self.length


class Trial:
    """One training of a search, or the network and images of several."""

    def __init__(self, spec, context):
        begin = start(spec, context)
        begin.renew()
        self.spec, self.device = spec, context.device
        (self.stream,) = trial_streams(spec, labelled_images(spec, context.data(spec.data)))
        self._network = copy.deepcopy(begin.network)
        self._network.module.to(memory_format=torch.contiguous_format)
        self._tensors = None

    def with_loader(self, lr):
        train = Pictures(self.stream.images, self.spec.pipeline)
        held = DataLoader(
            Pictures(self.stream.scored, self.spec.pipeline), batch_size=EVALUATED, num_workers=WORKERS
        )
        epochs = Epochs(self._order(), -(-len(train) // self.spec.training.batch_size))
        loader = DataLoader(train, batch_sampler=epochs, num_workers=WORKERS, persistent_workers=True)
        network = self._train(lr, (batch for _ in iter(int, 1) for batch in loader))
        return self._score(network, held)

    def in_memory(self, lr):
        if self._tensors is None:
            self._tensors = [
                (prepare(images.values[0], self.spec.pipeline).contiguous(), images.labels)
                for images in (self.stream.images, self.stream.scored)
            ]
        (train, labels), held = self._tensors
        order = self._order()
        batches = ((train[index], labels[index]) for index in (torch.from_numpy(order.next()) for _ in iter(int, 1)))
        network = self._train(lr, batches)
        return self._score(network, zip(*(tensor.split(EVALUATED) for tensor in held), strict=True))

    def _order(self):
        return Order(len(self.stream.images), self.spec.training.batch_size, self.stream.order_seed)

    def _train(self, lr, batches):
        spec, training = self.spec, self.spec.training
        network = copy.deepcopy(self._network)
        optimizer = make_optimizer(network, training, Hyper(lr, spec.search.weight_decay))
        step = 0
        for number, _, end in spec.recipe.numbered_phases(training.steps):
            network.set_active(spec.recipe.active(number))
            while step < end:
                x, labels = (tensor.to(self.device) for tensor in next(batches))
                factor = schedule(training, step, training.steps)
                set_rates(optimizer, tuple(rate * factor for rate in spec.recipe.phases[number].rates), lr)
                optimizer.zero_grad()
                F.cross_entropy(network.module(x), labels).backward()
                optimizer.step()
                step += 1
        return network

    @torch.no_grad()
    def _score(self, network, batches):
        module = network.module.eval()
        correct, loss, num = 0, 0.0, 0
        for x, labels in batches:
            x, labels = x.to(self.device), labels.to(self.device)
            logits = module(x)
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            num += len(labels)
        return Score(correct / num, loss / num)
