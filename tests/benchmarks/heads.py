"""Heads on features that are there already: the engine's way, and one after another."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.fleet.calibrate import form_maker
from bench.engine.fleet.fleet import Fleet
from bench.engine.train.examples import Examples, Order
from bench.engine.train.inputs import FeatureTable, Tables
from bench.engine.train.loop import Session, Stream
from bench.engine.train.optimize import Hyper, make_optimizer, schedule, set_rates
from bench.engine.train.stage import Stage
from bench.network.units import Network
from bench.spec.job import Procedure
from bench.spec.recipe import Recipe, uniform
from bench.spec.refs import Pipeline

ONE_UNIT = Recipe(uniform([1.0]))
PIPELINE = Pipeline(1, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # features are there already


@dataclass
class Heads:
    features: torch.Tensor  # [N, D]
    labels: torch.Tensor
    num_classes: int
    training: object
    rates: list
    num_streams: int

    def __post_init__(self):
        torch.manual_seed(0)
        self.device = self.features.device
        self.begins = [self.head().state_dict() for _ in range(self.num_streams)]

    def head(self):
        return nn.Linear(self.features.shape[1], self.num_classes, device=self.device)

    def network(self):
        head = self.head()
        return Network(head, ("head",), (dict(head.named_parameters()),), ((),), ((head,),))

    def together(self):
        """[S, M, C, D] weights."""
        num = len(self.labels)
        images = Examples((torch.zeros(num, 3, 1, 1, dtype=torch.uint8),), self.labels, origin="features")
        supply = Tables({"features": FeatureTable((self.features,), torch.arange(num, device=self.device), num)})
        network, procedure = self.network(), Procedure(ONE_UNIT, self.training, PIPELINE)
        stage = Stage(network.module, supply, supply, "kept")
        hypers = [[Hyper(rate, 5e-4) for rate in self.rates]] * self.num_streams
        fleet = Fleet(network, procedure, hypers, self.begins, form_maker(lambda _: (self.features[:4],)))
        streams = [Stream(images, seed) for seed in range(self.num_streams)]
        session = Session(fleet, lambda phase: stage, streams)
        session.advance(self.training.steps, set())
        return fleet.optimizer.parameters["weight"].detach()

    def in_turn(self):
        return torch.stack([
            torch.stack([self._one(begin, seed, rate) for rate in self.rates])
            for seed, begin in enumerate(self.begins)
        ])

    def _one(self, begin, seed, rate):
        network, training = self.network(), self.training
        network.module.load_state_dict(begin)
        optimizer = make_optimizer(network, training, Hyper(rate, 5e-4))
        order = Order(len(self.labels), training.batch_size, seed)
        for step in range(training.steps):
            set_rates(optimizer, (schedule(training, step, training.steps),), rate)
            index = torch.from_numpy(order.next()).to(self.device)
            optimizer.zero_grad()
            F.cross_entropy(network.module(self.features[index]), self.labels[index]).backward()
            optimizer.step()
        return network.module.weight.detach()
