"""Each loss beyond the labels' own against its formula, written again here with loops and numpy."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.engine.evaluate import in_eval_mode
from bench.engine.images import prepare
from bench.engine.loop import train
from bench.engine.optimize import Hyper
from bench.engine.setting import Step, Term, classifier_of, watched
from bench.strategies import bi_tuning, co_tuning, dann, delta, ewc, lwf
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def batch(num=8):
    images = toys.images().take(torch.arange(num))
    return prepare(images.pixels, toys.PIPELINE), images.labels


def under_way(name, toy="toy_conv", number=0, phase=0, **options):
    """A penalty that has begun, and a step of it, on a network that has moved a little."""
    net = toys.network(toy)
    recipe = toys.recipe(name, net.num_units, **options)
    setting = toys.setting_of(net)
    term = recipe.penalty.begin(setting)
    with torch.no_grad():
        for p in net.module.parameters():
            p += 0.01 * torch.randn_like(p)
    net.module.eval()
    x, y = batch()
    with watched(net, units=True) as seen:
        logits = net.module(x)
    loss = F.cross_entropy(logits, y)
    step = Step(number, phase, net, x, y, logits, loss, seen.features[0], [seen.units[u] for u in sorted(seen.units)])
    return recipe.penalty, setting, term, step


def extra(penalty, term, step):
    return (penalty.loss(term, step) - step.loss).item()


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


# ------------------------------------------------------------------------------------- more images


def test_truth_replay():
    """(1 - share) * new + share * old, the old images in evaluation through the present body and the old head."""
    penalty, setting, term, step = under_way("replay", share=0.4)
    x, y = setting.batch(setting.source_images(), setting.generator("replay"))
    with torch.no_grad(), in_eval_mode(step.network.module), watched(step.network) as seen:
        step.network.module(x)
    head = classifier_of(setting.source().network)
    old = F.cross_entropy(seen.features[0] @ head.weight.T + head.bias, y)
    assert penalty.loss(term, step).item() == pytest.approx((0.6 * step.loss + 0.4 * old).item())


def test_replay_moves_no_statistics():
    penalty, _, term, step = under_way("replay")
    step.network.module.train()
    before = {n: b.clone() for n, b in step.network.module.named_buffers()}
    penalty.loss(term, step)
    assert all(torch.equal(b, before[n]) for n, b in step.network.module.named_buffers())


def test_truth_dann():
    """The reversed gradient is minus the strength times the plain one, and the strength is 2 / (1 + e^-10p) - 1."""
    x = torch.randn(3, 4, requires_grad=True)
    plain = torch.autograd.grad((x**3).sum(), x)[0]
    turned = dann.reversed_gradient(x, 0.7)
    torch.testing.assert_close(turned.detach(), x.detach())
    torch.testing.assert_close(torch.autograd.grad((turned**3).sum(), x)[0], -0.7 * plain)
    assert [dann.growth(p) for p in (0.0, 0.1, 1.0)] == pytest.approx(
        [0.0, 2 / (1 + math.exp(-1)) - 1, 2 / (1 + math.exp(-10)) - 1])


def test_truth_dann_loss():
    """Binary cross entropy of the adversary, by hand, over source images and unlabelled ones."""
    penalty, setting, term, step = under_way("dann", number=6)
    draw = setting.generator("dann")
    old, _ = setting.batch(setting.source_images(), draw)
    new, _ = setting.batch(setting.unlabelled, draw, len(old))
    with torch.no_grad(), watched(step.network) as seen:
        step.network.module(torch.cat([old, new]))
        chance = torch.sigmoid(term.modules(seen.features[0]))[:, 0]
    by_hand = -(torch.log(1 - chance[:8]).sum() + torch.log(chance[8:]).sum()) / 16
    assert extra(penalty, term, step) == pytest.approx(by_hand.item())


def test_truth_rotation():
    """Before: only the turned images count. After: only the labels."""
    penalty, setting, term, step = under_way("rotation", phase=0)
    draw = setting.generator("rotation")
    images, _ = setting.batch(setting.unlabelled, draw)
    turns = torch.randint(4, (8,), generator=draw)
    turned = np.stack([np.rot90(i.numpy(), int(t), (1, 2)) for i, t in zip(images, turns, strict=True)])
    with torch.no_grad(), watched(step.network) as seen:
        step.network.module(torch.from_numpy(turned.copy()))
        by_hand = F.cross_entropy(term.modules(seen.features[0]), turns)
    assert penalty.loss(term, step).item() == pytest.approx(by_hand.item())
    later = dataclasses.replace(step, phase=1)
    assert penalty.loss(term, later) is step.loss


@pytest.mark.parametrize("name", ["lwf", "co_tuning", "replay", "bi_tuning", "dann", "rotation"])
def test_what_stands_beside_the_network_learns_too(name):
    net = toys.network()
    recipe = toys.recipe(name, net.num_units)
    made = []
    penalty = recipe.penalty

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Watched(type(penalty)):
        name: str = "watched"

        def begin(self, setting):
            term = super().begin(setting)
            made.append((term.modules, [p.detach().clone() for p in term.modules.parameters()]))
            return term

    own = Watched(**{f.name: getattr(penalty, f.name) for f in dataclasses.fields(penalty)})
    train(net, toys.assignment(dataclasses.replace(recipe, penalty=own), net=net, hyper=Hyper(0.05, 0.0)))
    ((modules, before),) = made
    assert all(not torch.equal(p, b) for p, b in zip(modules.parameters(), before, strict=True))


def test_a_strength_of_zero_is_plain_fine_tuning():
    states = []
    for name, options in (("full_finetune", {}), ("bss", {"eta": 0.0}), ("lwf", {"weight": 0.0})):
        net = toys.network()
        recipe = toys.recipe(name, net.num_units, **options)
        train(net, toys.assignment(recipe, net=net))
        states.append({n: t.clone() for n, t in net.module.state_dict().items()})
    for other in states[1:]:
        for name, tensor in states[0].items():
            torch.testing.assert_close(other[name], tensor, msg=name)


def test_a_term_without_modules_is_plain():
    assert Term().modules is None


def test_what_is_no_longer_finite_is_told_by_the_loss():
    penalty, _, term, step = under_way("bss")
    lost = dataclasses.replace(step, features=step.features * math.nan, loss=step.loss * math.nan)
    assert penalty.loss(term, lost).isnan()


def test_a_part_that_does_something_else_has_another_name():
    from bench.strategies.bss import SpectralShrinkage

    class Other(SpectralShrinkage):
        pass

    with pytest.raises(TypeError, match="it needs a `name` of its own"):
        Other(eta=1.0, k=1)


def test_a_phase_too_short_for_a_step_is_not_counted():
    """Rotation with 2 % of 20 steps: all of them belong to the labels, and the head learns."""
    net = toys.network()
    before = net.module.state_dict()["head.fc.weight"].clone()
    train(net, toys.assignment(toys.recipe("rotation", 6, share=0.02), {"steps": 20}, net))
    assert not torch.equal(net.module.state_dict()["head.fc.weight"], before)


def test_unlabelled_images_are_neither_scored_nor_labelled(tmp_path):
    from bench.engine.fit import final_stream, labelled_images, start, trial_streams
    from bench.engine.origins import setting_for

    context, spec = toys.context(tmp_path), toys.fit_spec()
    begin, data = start(spec, context), context.data(spec.data)
    for stream in trial_streams(spec, labelled_images(spec, data)):
        setting = setting_for(spec, begin, stream, context)
        assert not set(setting.unlabelled.rows.tolist()) & set(stream.scored.rows.tolist())
        assert len(setting.unlabelled) == 60 - len(stream.scored)
        assert set(setting.unlabelled.labels.tolist()) == {-1}
    whole = setting_for(spec, begin, final_stream(spec, data), context)
    assert len(whole.unlabelled) == 60
