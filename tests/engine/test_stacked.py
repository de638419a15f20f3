"""The stacked optimizers move every replica as its own optimizer in torch would, to the last digits of float64."""

import dataclasses

import pytest
import torch

from bench.engine.fleet.stacked import AdamW, Hypers, Slot, StackedOptimizer, keep_members, repeat, slots_of
from bench.engine.train.optimize import Hyper, make_optimizer, set_rates
from tests.engine import toys

torch.set_num_threads(1)

STREAMS, MEMBERS = 2, 3
LR = torch.tensor([[0.1, 0.03, 0.003], [0.05, 0.2, 0.01]], dtype=torch.float64)
DECAY = torch.tensor([[1e-2, 0.0, 0.3], [0.1, 1e-4, 0.0]], dtype=torch.float64)
KINDS = [("sgd", 0.0), ("sgd", 0.9), ("adamw", 0.0)]
# Which of five units move, and for how many steps: freezing, thawing, and a unit that comes last of all.
PHASES = [((0, 0, 0, 0, 1), 5), ((0, 0, 1, 1, 1), 6), ((0, 1, 0, 1, 0), 5), ((0, 1, 1, 1, 1), 4), ((1, 1, 1, 1, 1), 5)]


def training(kind):
    return dataclasses.replace(toys.TRAINING, optimizer=kind[0], momentum=kind[1])


def state_of(optimizer, stream, member):
    """One replica's state, as its own optimizer in torch would hold it, by the parameters' names."""
    found = {}
    for name, state in optimizer._state.items():
        found[name] = {
            key: tensor[stream, member].clone() for key, tensor in zip(optimizer.rule.state, state, strict=True)
        }
        if isinstance(optimizer.rule, AdamW):
            found[name]["step"] = torch.tensor(float(optimizer._steps[name]))
    return found


class Pair:
    """Replicas one by one and stacked, given the same gradients."""

    def __init__(self, kind, decay=DECAY):
        self.generator = torch.Generator().manual_seed(5)
        self.networks = [[self.network(10 * s + m) for m in range(MEMBERS)] for s in range(STREAMS)]
        self.slots = slots_of(self.networks[0][0])
        self.plain = [
            [make_optimizer(net, training(kind), Hyper(lr, wd)) for net, lr, wd in zip(*row, strict=True)]
            for row in zip(self.networks, LR.tolist(), decay.tolist(), strict=True)
        ]
        self.lrs = LR.tolist()
        parameters = {name: self.gathered(name).requires_grad_() for name in self.slots}
        self.stacked = StackedOptimizer(parameters, self.slots, training(kind), Hypers(LR, decay))

    def network(self, seed):
        net = toys.network("toy_vit", seed)
        net.module.double()
        return net

    def gathered(self, name):
        rows = [torch.stack([net.module.get_parameter(name).detach() for net in row]) for row in self.networks]
        return torch.stack(rows)

    def step(self, active, factor):
        rates = tuple(factor * on * (1 + 0.1 * unit) for unit, on in enumerate(active))
        for name, parameter in self.stacked.parameters.items():
            on = active[self.slots[name].unit]
            parameter.grad = self.draw(parameter.shape) if on else None
            for s, row in enumerate(self.networks):
                for m, net in enumerate(row):
                    net.module.get_parameter(name).grad = parameter.grad[s, m].clone() if on else None
        for optimizers, lrs in zip(self.plain, self.lrs, strict=True):
            for optimizer, lr in zip(optimizers, lrs, strict=True):
                set_rates(optimizer, rates, lr)
                optimizer.step()
        self.stacked.step(rates)

    def draw(self, shape):
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def keep(self, members):
        self.stacked.keep(torch.tensor(members))
        self.networks, self.plain, self.lrs = (
            [[row[m] for m in kept] for row, kept in zip(rows, members, strict=True)]
            for rows in (self.networks, self.plain, self.lrs)
        )

    def assert_alike(self):
        for name, parameter in self.stacked.parameters.items():
            torch.testing.assert_close(parameter.detach(), self.gathered(name), rtol=1e-12, atol=1e-12)

    def assert_alike_through(self, phases):
        for number, (active, steps) in enumerate(phases):
            before = {name: parameter.detach().clone() for name, parameter in self.stacked.parameters.items()}
            for step in range(steps):
                self.step(active, 1 / (1 + step + number))
                self.assert_alike()
            for name, parameter in self.stacked.parameters.items():
                assert torch.equal(parameter, before[name]) != bool(active[self.slots[name].unit]), name


@pytest.mark.parametrize("kind", KINDS)
def test_each_replica_moves_as_alone(tiny, kind):
    Pair(kind).assert_alike_through(PHASES)


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_decay(tiny, kind):
    Pair(kind, torch.zeros_like(DECAY)).assert_alike_through(PHASES[1:3])


@pytest.mark.parametrize("kind", KINDS)
def test_those_kept_go_on_as_before(tiny, kind):
    pair = Pair(kind)
    pair.assert_alike_through(PHASES[:2])
    pair.keep([[2, 0], [1, 2]])
    assert all(p.shape[:2] == (2, 2) and p.requires_grad for p in pair.stacked.parameters.values())
    pair.assert_alike()
    pair.assert_alike_through(PHASES[2:4])
    pair.keep([[0], [0]])
    pair.assert_alike_through(PHASES[4:])


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_a_replica_is_what_torch_would_hold(tiny, kind):
    pair = Pair(kind)
    pair.assert_alike_through(PHASES[:3])
    for s, m in ((0, 0), (1, 2)):
        held = state_of(pair.stacked, s, m)
        names = {id(p): name for name, p in pair.networks[s][m].module.named_parameters()}
        expected = {names[id(p)]: state for p, state in pair.plain[s][m].state.items()}
        units = {pair.slots[name].unit for name in held}
        if kind == ("sgd", 0.0):
            assert all(not state for state in held.values())
            continue
        assert units == {1, 2, 3, 4}
        assert set(held) == set(expected)
        for name, state in expected.items():
            assert set(held[name]) == set(state)
            for key, value in state.items():
                torch.testing.assert_close(held[name][key].double(), value.double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_parameter_is_not_touched_at_all(tiny, kind):
    pair = Pair(kind)
    pair.assert_alike_through(PHASES[-1:])
    before = {name: p.detach().clone() for name, p in pair.stacked.parameters.items()}
    held = state_of(pair.stacked, 0, 1)
    pair.assert_alike_through([((0, 0, 0, 0, 1), 3)])
    for name, parameter in pair.stacked.parameters.items():
        frozen = pair.slots[name].unit < 4
        assert torch.equal(parameter, before[name]) == frozen
        for key, value in state_of(pair.stacked, 0, 1)[name].items() if frozen else ():
            assert torch.equal(value, held[name][key])


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_replica_spoils_no_other(tiny, kind):
    hypers = Hypers(LR, DECAY)
    slots = {"weight": Slot(0, True)}
    ends = []
    for bad in (0.5, float("nan"), float("inf")):
        weight = torch.ones(STREAMS, MEMBERS, 4, 3, dtype=torch.float64, requires_grad=True)
        optimizer = StackedOptimizer({"weight": weight}, slots, training(kind), hypers)
        for _ in range(3):
            weight.grad = torch.full_like(weight, 0.5)
            weight.grad[1, 1] = bad
            optimizer.step((1.0,))
        assert weight.grad is None
        ends.append(weight.detach())
    others = torch.ones(STREAMS, MEMBERS, dtype=torch.bool)
    others[1, 1] = False
    for end in ends[1:]:
        assert torch.equal(end[others], ends[0][others])
        assert not end[1, 1].isfinite().any()


def test_slots_are_those_of_the_plain_optimizer(tiny):
    for toy in toys.TOYS:
        net = toys.network(toy)
        slots = slots_of(net)
        names = {id(p): name for name, p in net.module.named_parameters()}
        groups = make_optimizer(net, toys.TRAINING, Hyper(0.1, 0.5)).param_groups
        expected = {
            names[id(p)]: Slot(group["unit"], group["weight_decay"] > 0) for group in groups for p in group["params"]
        }
        assert slots == expected
        assert {slot.decays for slot in slots.values()} == {True, False}


def test_kernels_keep_their_memory_format():
    kernel = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    stack = repeat(kernel, 2, 3)
    assert stack.shape == (2, 3, 4, 3, 3, 3)
    assert stack.stride()[2:] == kernel.stride()
    assert all(torch.equal(stack[s, m], kernel) for s in range(2) for m in range(3))
    stack[1, 2] += 1
    kept = keep_members(stack, torch.tensor([[1, 0], [2, 0]]))
    assert kept.stride()[2:] == kernel.stride()
    assert torch.equal(kept[1, 0], kernel + 1)
    assert torch.equal(kept[0], stack[0, [1, 0]])


def test_counts_and_single_numbers_are_stacked_too():
    count = torch.tensor(7)
    assert torch.equal(repeat(count, 2, 2), torch.full((2, 2), 7))
    assert torch.equal(keep_members(torch.arange(6).view(2, 3), torch.tensor([[2], [0]])), torch.tensor([[2], [3]]))
