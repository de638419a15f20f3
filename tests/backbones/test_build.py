"""Networks from a seed, and pretrained weights put into them: what matched is counted, what did not is an error."""

import pytest
import torch

from bench.network.build import build_network, load_pretrained, read_state
from bench.network.weights import WeightsError, sha256_of
from bench.spec.refs import BackboneRef, Weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


def source(num_classes=7, name="toy_conv"):
    """Weights from elsewhere: other values, another number of classes."""
    net = build_network(BackboneRef(name, {}, "coarse", Weights("random")), num_classes, 99)
    return {name: tensor.clone() for name, tensor in net.module.state_dict().items()}


def test_one_seed_one_network():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = toys.network(seed=3).module.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(11)
    again, other = toys.network(seed=3).module.state_dict(), toys.network(seed=4).module.state_dict()
    assert sha256_of(one) == sha256_of(again) != sha256_of(other)


@pytest.mark.parametrize("toy", toys.TOYS)
def test_loading_reaches_all_but_the_head(toy):
    net, state = toys.network(toy), source(name=toy)
    fresh = toys.frozen_state(net)
    loaded = load_pretrained(net, state, net.num_units)
    now = toys.frozen_state(net)
    for unit in range(net.num_units - 1):
        assert all(torch.equal(tensor, state[name]) for name, tensor in now[unit].items())
    assert toys.moved(fresh[-1:], now[-1:]) == [set()]
    assert loaded.matched == loaded.expected == sum(len(unit) for unit in now[:-1])
    assert set(loaded.dropped) == set(net.parameters[-1])  # the head of another size, by name
    assert loaded.sha256 == sha256_of(state)


def test_a_head_of_the_same_size_is_dropped_too():
    net = toys.network()
    head = toys.frozen_state(net)[-1]
    loaded = load_pretrained(net, source(num_classes=3), net.num_units)
    assert toys.moved([head], toys.frozen_state(net)[-1:]) == [set()]
    assert set(loaded.dropped) == set(head)


@pytest.mark.parametrize("reinit", [0, 2, 5])
def test_units_from_reinit_on_start_fresh(reinit):
    net = toys.network()
    fresh = toys.frozen_state(net)
    loaded = load_pretrained(net, source(), reinit)
    moved = toys.moved(fresh, toys.frozen_state(net))
    assert all(moved[:reinit])
    assert not any(moved[reinit:])
    assert loaded.expected == sum(len(unit) for unit in fresh[:reinit])


def test_no_matching_name():
    state = {f"encoder.{name}": tensor for name, tensor in source().items()}
    first = next(iter(state))
    with pytest.raises(WeightsError, match=rf"^0 of \d+ tensors matched: missing .*; the file's names begin {first},"):
        load_pretrained(toys.network(), state, 6)


def test_wrong_shapes_are_counted_and_shown():
    net, state = toys.network(), source()
    name = next(iter(net.parameters[2]))
    expected = tuple(state[name].shape)
    state[name] = torch.zeros(2, 2)
    before = sha256_of(net.module.state_dict())
    count = sum(len([n for n in (*p, *b) if not n.endswith("num_batches_tracked")])
                for p, b in zip(net.parameters[:-1], net.buffers[:-1], strict=True))
    with pytest.raises(WeightsError) as caught:
        load_pretrained(net, state, 6)
    assert str(caught.value) == f"{count - 1} of {count} tensors matched: {name} is (2, 2), expected {expected}"
    assert sha256_of(net.module.state_dict()) == before  # nothing half loaded


def test_a_missing_tensor_is_named():
    net, state = toys.network(), source()
    name = next(iter(net.parameters[1]))
    del state[name]
    with pytest.raises(WeightsError, match=rf"tensors matched: missing {name}$"):
        load_pretrained(net, state, 6)


def test_old_checkpoints_lack_the_step_counters_of_batchnorm():
    state = {name: tensor for name, tensor in source().items() if not name.endswith("num_batches_tracked")}
    loaded = load_pretrained(toys.network(), state, 6)
    assert loaded.matched < loaded.expected


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(poison):
    net, state = toys.network(), source()
    name = next(iter(net.parameters[1]))
    state[name].flatten()[0] = poison
    with pytest.raises(WeightsError, match=f"^not finite: 1 tensors hold NaN or infinity, first {name}$"):
        load_pretrained(net, state, 6)


def test_random_weights_need_no_file():
    assert read_state(BackboneRef("toy_conv", {}, "coarse", Weights("random")), None) is None


def test_options_reach_the_architecture():
    ref = BackboneRef("small_resnet", {"width": 4, "blocks": 1}, "coarse", Weights("random"))
    assert build_network(ref, 3, 0).module.get_classifier().in_features == 4 * 2**3


def test_an_entry_that_declares_other_units_is_caught(monkeypatch):
    ref = BackboneRef("small_resnet", {"width": 4, "blocks": 2}, "fine", Weights("random"))
    with pytest.raises(ValueError, match="'small_resnet' declares 6 units, its group_matcher makes 10"):
        build_network(ref, 3, 0)
