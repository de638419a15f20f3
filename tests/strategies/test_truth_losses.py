"""Each loss beyond the labels' own against its formula, written again here with loops and numpy."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.network.capture import classifier_of, watched
from bench.solve.closed_forms import ridge_path
from bench.strategies import bi_tuning, co_tuning, delta, ewc, lwf
from tests.engine import toys
from tests.strategies.under_way import batch, beside, extra, under_way

pytestmark = [pytest.mark.usefixtures("tiny", "double")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("pulled", ["weights", "all"])
def test_truth_l2_sp(pulled):
    """Its gradient by hand: alpha (w - start) in the body, beta w in the head; and no weight decay beside it. The
    authors' default pulls `weights`, never biases and normalisation."""
    penalty, setting, term, step = under_way("l2_sp", alpha=0.3, beta=0.2, pulled=pulled)
    named = dict(step.network.module.named_parameters())
    gradients = torch.autograd.grad(beside(penalty, term, step), list(named.values()), materialize_grads=True)
    for (name, p), gradient in zip(named.items(), gradients, strict=True):
        in_head = name in step.network.parameters[-1]
        by_hand = 0.2 * p if in_head else 0.3 * (p - setting.start[name])
        counts = pulled == "all" or not (name.endswith("bias") or ".bn" in name)
        torch.testing.assert_close(gradient, by_hand if counts else torch.zeros_like(p), msg=name)
    assert not toys.recipe("l2_sp", 6).decays
    assert toys.recipe("l2_sp", 6).penalty.pulled == "weights"


def test_truth_l2_sp_objective():
    """SPRegularization and L2Regularization of Jiang et al.'s library, which sum .5 ||.||^2 over all parameters."""
    penalty, setting, term, step = under_way("l2_sp", alpha=0.3, beta=0.2, pulled="all")
    head = step.network.parameters[-1]
    body = {n: p for n, p in step.network.module.named_parameters() if n not in head}
    library = 0.3 * sum(0.5 * torch.norm(p - setting.start[n]) ** 2 for n, p in body.items())
    library += 0.2 * sum(0.5 * torch.norm(p) ** 2 for p in head.values())
    assert extra(penalty, term, step) == pytest.approx(library.item())


def test_truth_ewc():
    """Fisher's diagonal from single examples, by vmap over torch.func.grad, with a mean of 1 over the body; then
    strength / 2 * sum F (w - w0)^2."""
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
    body = {n: p for unit in step.network.parameters[:-1] for n, p in unit.items()}
    mean_over_body = np.concatenate([information[n].numpy().ravel() for n in body]).mean()
    by_hand = sum((information[n] * (p - setting.start[n]).square()).sum() for n, p in body.items()) / mean_over_body
    assert extra(penalty, term, step) == pytest.approx(3.5 * by_hand.item())
    # Not the square of the mean gradient, which is smaller.
    mean = {n: g.mean(0).square() for n, g in each.items()}
    assert sum(m.sum() for m in mean.values()) < 0.9 * sum(i.sum() for i in information.values())


def test_truth_ewc_strength_means_the_same_on_every_network():
    """Whatever the scale of the source network's loss: a sharper head makes every gradient larger, and the mean
    curvature of the hold stays the strength."""
    for sharpness in (1.0, 0.01):
        penalty, setting, term, step = under_way("ewc", strength=7.0, images=10)
        source = setting.source()
        source.memo.clear()
        with torch.no_grad():
            classifier_of(source.network).weight.mul_(sharpness)
        pulls = penalty.pulls(penalty.begin(setting), step.network)
        values = [np.broadcast_to(pull.strength * pull.curvature.numpy(), pull.anchor.shape) for pull in pulls.values()]
        assert np.concatenate([v.ravel() for v in values]).mean() == pytest.approx(7.0)


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
    """Jiang et al.'s softmax(z / 5), z standardised over the channels. The rise of the loss when a channel loses a
    thousandth of itself, by doing it, stands for the first-order term."""
    net = toys.network()
    setting = toys.setting_of(net)
    twin = setting.frozen_copy()
    found = delta.attention_of(twin, setting)
    x, y = (torch.cat(parts) for parts in zip(*setting.batches(rest=True), strict=True))
    with torch.no_grad(), watched(twin, units=True) as seen:
        twin.module(x)
    (head,) = ridge_path(seen.features[0], y, 3, [0.1])
    stage, width = twin.module.stages[1], seen.units[2].shape[1]
    assert len(found[2]) == width

    def loss(channel=-1, less=1e-3):
        kept = 1 - less * F.one_hot(torch.tensor(channel), width) if channel >= 0 else torch.ones(width)
        hook = stage.register_forward_hook(lambda module, given, out: out * kept[:, None, None])
        with torch.no_grad(), watched(twin) as seen:
            twin.module(x)
        hook.remove()
        return F.cross_entropy(head.logits(seen.features[0]), y).item()

    rises = np.array([loss(channel) - loss() for channel in range(width)]) / 1e-3
    z = (rises - rises.mean()) / rises.std()
    np.testing.assert_allclose(found[2].numpy(), np.exp(z / 5) / np.exp(z / 5).sum(), rtol=1e-2)
    for attention in found:
        relative = len(attention) * attention
        assert relative.min() < 0.9
        assert relative.max() > 1.15


def test_truth_delta_attention_asks_a_head_of_its_own():
    """The network's own may be 0, or anything."""
    found = []
    for value in (0.0, 3.0):
        net = toys.network()
        with torch.no_grad():
            for p in net.parameters[-1].values():
                p.fill_(value)
        setting = toys.setting_of(net)
        found.append(delta.attention_of(setting.frozen_copy(), setting))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_channels_that_are_all_alike_count_alike():
    assert not delta.standardised(torch.full((4,), 0.3)).any()


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


def by_jiang(weights, features, earlier, labels):
    """The classifier's contrast of Jiang et al.'s library: logits of a class's weights with the image's own features
    and with the queue, and the divergence from equal shares of the image's own and its class's. Constants left out."""
    (w, b), (keys, of_keys) = weights, earlier
    norm = lambda v: v / v.norm().clamp_min(1e-12)  # noqa: E731
    direction = [norm(torch.cat([row, one[None]])).detach() for row, one in zip(w, b, strict=True)]
    total = 0.0
    for h, c in zip(features, labels, strict=True):
        own = norm(torch.cat([h, h.new_ones(1)])) @ direction[c]
        same, other = ([norm(k) @ direction[c] for k, of in zip(keys, of_keys, strict=True) if (of == c) == wanted]
                       for wanted in (True, False))  # fmt: skip
        logs = torch.log_softmax(torch.stack([own, *same, *other]) / 0.07, 0)
        total = total - logs[: 1 + len(same)].mean() / len(labels)
    return total


def classifiers_contrast(head=None, steps=1):
    """The strategy's loss with the projection's part taken out, after some steps have filled the queue."""
    penalty, _, term, step = under_way("bi_tuning", queue=8)
    own = classifier_of(step.network)
    if head is not None:
        with torch.no_grad():
            own.weight.fill_(head), own.bias.fill_(head)
    for _ in range(steps):
        penalty.loss(term, step)
    keys, z_keys = (torch.cat(of_one) for of_one in zip(*term.kept["keys"], strict=True))
    labels = torch.cat(term.kept["labels"])
    both = penalty.loss(term, dataclasses.replace(step, loss=torch.zeros(())))
    fresh = term.kept["keys"][-1][1]
    projections = bi_tuning.contrast(term.modules(step.features), (fresh, z_keys), (step.labels, labels))
    return both - projections, by_jiang((own.weight, own.bias), step.features, (keys, labels), step.labels), step


def test_truth_bi_tuning_classifier():
    """The reference's value, and its gradient: the backbone has one, the classifier has none."""
    ours, theirs, step = classifiers_contrast(steps=2)
    assert ours.item() == pytest.approx(theirs.item())
    named = {n: p for unit in step.network.parameters for n, p in unit.items()}
    found, expected = (torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
                       for loss in (ours, theirs))  # fmt: skip
    head = step.network.parameters[-1]
    norms = {"body": 0.0, "head": 0.0}
    for name, one, other in zip(named, found, expected, strict=True):
        if one is not None:
            norms["head" if name in head else "body"] += float(one.norm())
            torch.testing.assert_close(one, other if other is not None else torch.zeros_like(one))
    assert norms["body"] > 0.1
    assert norms["head"] == 0


def test_truth_bi_tuning_with_a_head_of_zeros():
    """It points nowhere: no value that depends on the image, no gradient, and nothing that is not a number."""
    ours, theirs, step = classifiers_contrast(head=0.0)
    assert ours.item() == pytest.approx(theirs.item())
    body = [p for unit in step.network.parameters[:-1] for p in unit.values()]
    for gradient in torch.autograd.grad(ours, body, allow_unused=True):
        assert gradient is None or gradient.abs().max() == 0


def test_truth_bi_tuning():
    """The copy follows at a thousandth, keys are the copy's, and the queue forgets the oldest."""
    penalty, setting, term, step = under_way("bi_tuning", queue=4)
    start = setting.start["head.fc.weight"]
    expected = 0.999 * start + 0.001 * step.network.module.state_dict()["head.fc.weight"]
    first = extra(penalty, term, step)
    assert first == pytest.approx(0, abs=1e-12), "with no earlier key, an image's own is all there is"
    twin = term.kept["twin"]
    torch.testing.assert_close(twin.module.state_dict()["head.fc.weight"], expected)
    ((keys, _),) = term.kept["keys"]
    with torch.no_grad(), watched(twin) as seen:
        twin.module(step.inputs)
    torch.testing.assert_close(keys, torch.cat([seen.features[0], torch.ones(8, 1)], 1))
    for _ in range(5):
        penalty.loss(term, step)
    assert len(term.kept["keys"]) == 1  # 4 keys for each of 3 classes: one batch of 8, not two
