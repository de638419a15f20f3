"""Each loss beyond the labels' own against its formula, written again here with loops and numpy."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.engine.setting import classifier_of, watched
from bench.strategies import bi_tuning, co_tuning, delta, ewc, lwf
from tests.engine import toys
from tests.strategies.under_way import batch, extra, under_way

pytestmark = [pytest.mark.usefixtures("tiny", "double")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------- parameters


def test_truth_l2_sp():
    """Its gradient by hand: alpha (w - start) in the body, beta w in the head; and no weight decay beside it."""
    penalty, setting, term, step = under_way("l2_sp", alpha=0.3, beta=0.2)
    named = dict(step.network.module.named_parameters())
    gradients = torch.autograd.grad(penalty.loss(term, step) - step.loss, list(named.values()))
    for (name, p), gradient in zip(named.items(), gradients, strict=True):
        in_head = name in step.network.parameters[-1]
        torch.testing.assert_close(gradient, 0.2 * p if in_head else 0.3 * (p - setting.start[name]), msg=name)
    assert not toys.recipe("l2_sp", 6).decays


def test_truth_ewc():
    """Fisher's diagonal from single examples, by vmap over torch.func.grad; then strength / 2 * sum F (w - w0)^2."""
    penalty, setting, term, step = under_way("ewc", strength=7.0, images=10)
    source = setting.source().network.module
    x, y = setting.batch(setting.source_images(), setting.generator_for_all("fisher"), 10)
    parameters = {n: p.detach() for n, p in source.named_parameters()}

    def loss(p, image, label):
        return F.cross_entropy(torch.func.functional_call(source, p, (image[None],)), label[None])

    each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, x, y)
    information = {n: g.square().mean(0) for n, g in each.items()}
    found = ewc.fisher(source, x, y)
    for name in information:
        torch.testing.assert_close(found[name], information[name], msg=name)
    by_hand = sum(
        (information[n] * (p - setting.start[n]).square()).sum()
        for unit in step.network.parameters[:-1] for n, p in unit.items()
    )  # fmt: skip
    assert extra(penalty, term, step) == pytest.approx(3.5 * by_hand.item())
    # Not the square of the mean gradient, which is smaller.
    mean = {n: g.mean(0).square() for n, g in each.items()}
    assert sum(m.sum() for m in mean.values()) < 0.9 * sum(i.sum() for i in information.values())


# ------------------------------------------------------------------------------------- features


def test_truth_bss():
    """numpy's singular values of the features."""
    penalty, _, term, step = under_way("bss", eta=0.5, k=3)
    values = np.linalg.svd(step.features.detach().numpy(), compute_uv=False)
    assert extra(penalty, term, step) == pytest.approx(0.5 * (np.sort(values)[:3] ** 2).sum())


@pytest.mark.parametrize("toy", toys.TOYS)
def test_truth_delta(toy):
    """Sum over units and channels of C a_c (z - z')^2 / places, a loop over all of them."""
    penalty, setting, term, step = under_way("delta", toy, alpha=0.3, beta=0.2)
    twin, attention = term.kept
    before = toys.network(toy)
    before.module.eval()
    with watched(before, units=True) as seen:
        before.module(step.inputs)
    total = 0.0
    assert len(seen.units) == step.network.num_units - 1
    for number, unit in enumerate(sorted(seen.units)):
        now, then = step.units[number], seen.units[unit]
        if now.ndim == 3:  # tokens
            now, then = now.transpose(1, 2), then.transpose(1, 2)
        weights = attention[number]
        assert weights.sum() == pytest.approx(1)
        for c in range(now.shape[1]):
            total += now.shape[1] * weights[c].item() * ((now[:, c] - then[:, c]) ** 2).mean().item()
    head = sum((p**2).sum().item() for p in step.network.parameters[-1].values())
    assert extra(penalty, term, step) == pytest.approx(0.15 * total + 0.1 * head)


def test_truth_delta_attention():
    """The rise of a small network's loss when a channel is put to 0, to first order: exact where the loss is linear."""
    net = toys.network()
    setting = toys.setting_of(net)
    twin = setting.frozen_copy()
    found = delta.attention_of(twin, setting)
    x, y = next(setting.batches(1))
    twin.module.requires_grad_(True)
    with watched(twin, units=True) as seen:
        twin.module(x)
    z = seen.units[2]
    z.retain_grad()
    from bench.engine.closed_forms import ridge_path

    (head,) = ridge_path(seen.features[0].detach(), y, 3, [0.1])
    F.cross_entropy(seen.features[0] @ head.weight.T + head.bias, y, reduction="sum").backward()
    z, g = z.detach(), z.grad
    rise = torch.stack([(-z[:, c] * g[:, c]).sum((1, 2)).mean().abs() for c in range(z.shape[1])])
    torch.testing.assert_close(found[2], torch.softmax(rise / 5, 0))
    assert rise.max() > 1.5 * rise.min()


def test_truth_lwf():
    """4 * sum over images of p log(p / q) at temperature 3, p of the pretrained network, q of head and present body."""
    penalty, setting, term, step = under_way("lwf")
    source = setting.source().network
    p = torch.softmax(source.module(step.inputs) / 3, 1)
    head = classifier_of(source)
    q = torch.softmax((step.features @ head.weight.T + head.bias) / 3, 1)
    by_hand = sum((pi * (pi / qi).log()).sum().item() for pi, qi in zip(p, q, strict=True)) / len(p)
    assert extra(penalty, term, step) == pytest.approx(4 * by_hand)
    assert [id(m) for m in term.modules.parameters()] != [id(m) for m in head.parameters()], "a copy learns"
    same = torch.randn(5, 4)
    assert lwf.softened(same, same + 2.0, 3.0).abs() < 1e-12  # a constant shift changes no answer


def test_truth_co_tuning():
    """2.3 * cross entropy against the class's mean answer; the means by a loop over all images."""
    penalty, setting, term, step = under_way("co_tuning")
    source = setting.source().network
    x, y = batch(60)
    answers = torch.softmax(source.module(x), 1)
    means = [sum(a for a, label in zip(answers, y, strict=True) if label == c) / (y == c).sum() for c in range(3)]
    head = classifier_of(source)
    said = torch.log_softmax(step.features @ head.weight.T + head.bias, 1)
    by_hand = -sum((means[label] * row).sum() for label, row in zip(step.labels, said, strict=True)) / 8
    assert extra(penalty, term, step) == pytest.approx(2.3 * by_hand.item())
    torch.testing.assert_close(co_tuning.means_by_class(answers, y), torch.stack(means))


def test_truth_bi_tuning_contrast():
    """Minus the log share of a query's own key and of the earlier keys of its class among all of these, by loops."""
    queries, own, earlier = torch.randn(4, 6), torch.randn(4, 6), torch.randn(9, 6)
    of_queries, of_keys = torch.tensor([0, 1, 2, 0]), torch.arange(9) % 3
    total = 0.0
    for q, mine, c in zip(queries, own, of_queries, strict=True):
        like = [(q @ k / q.norm() / k.norm() / 0.07).item() for k in [mine, *earlier]]
        norm = math.log(sum(math.exp(one) for one in like))
        positive = [True, *(label == c for label in of_keys)]
        costs = [norm - one for one, same in zip(like, positive, strict=True) if same]
        total += sum(costs) / len(costs) / 4
    found = bi_tuning.contrast(queries, (own, earlier), (of_queries, of_keys))
    assert found.item() == pytest.approx(total)


def test_truth_bi_tuning():
    """The copy follows at a thousandth, keys are the copy's, the classifier's weights and a projection ask, and the
    queue forgets the oldest."""
    penalty, setting, term, step = under_way("bi_tuning", queue=4)
    start = setting.start["head.fc.weight"]
    expected = 0.999 * start + 0.001 * step.network.module.state_dict()["head.fc.weight"]
    first = extra(penalty, term, step)
    assert first == pytest.approx(0, abs=1e-12), "with no earlier key, an image's own is all there is"
    torch.testing.assert_close(term.kept["twin"].module.state_dict()["head.fc.weight"], expected)
    ((keys, _),), (labels,) = term.kept["keys"], term.kept["labels"]
    found = extra(penalty, term, step)
    own, _ = term.kept["keys"][-1]
    weights = classifier_of(step.network).weight[step.labels]
    by_hand = bi_tuning.contrast(weights, (own, keys), (step.labels, labels))
    assert 0 < by_hand < found
    for _ in range(5):
        penalty.loss(term, step)
    assert len(term.kept["keys"]) == 1  # 4 keys for each of 3 classes: one batch of 8, not two
