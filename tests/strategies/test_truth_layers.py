"""Each adaptation against an independent formulation: by hand, or by the library that people know it from."""

import copy
import math
import warnings

import peft
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.train.loop import train
from bench.errors import NotApplicable
from bench.modalities.pixels import prepare
from bench.network.build import adapted
from bench.network.units import cut_into_units
from bench.strategies.layers import beside, stochastic_norm, weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny", "double")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def some():
    return prepare(toys.images().take(torch.arange(8)).values[0], toys.PIPELINE)


def made(name, toy, trained=True, **options):
    """The plain network, the recipe, and the adapted one, whose additions are no longer what they began as."""
    plain = toys.network(toy)
    recipe = toys.recipe(name, plain.num_units, **options)
    net = toys.prepared(recipe, toy)
    if trained:
        with torch.no_grad():
            for added in net.added:
                tensor = net.module.get_parameter(added)
                tensor += 0.3 * torch.randn_like(tensor)
    plain.module.eval(), net.module.eval()
    return plain, recipe, net


def counted(net):
    return sum(net.module.get_parameter(name).numel() for name in net.added)


def with_peft(plain, targets, **config):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = peft.LoraConfig(target_modules=targets, lora_dropout=0.0, **config)
        return peft.inject_adapter_in_model(how, copy.deepcopy(plain.module)).eval()


def names_of_layers(net):
    return sorted({name.rpartition(".parametrizations")[0] for name in net.added})


@pytest.mark.parametrize("toy", toys.TOYS)
@pytest.mark.parametrize("name", ["lora", "dora"])
def test_truth_lora_and_dora_are_pefts(name, toy):
    """The same count, and the same outputs when peft is given our matrices."""
    plain, _, net = made(name, toy, rank=2, alpha=6.0, targets="all")
    layers = names_of_layers(net)
    theirs = with_peft(plain, layers, r=2, lora_alpha=6, use_dora=name == "dora")
    state = {n: p for n, p in theirs.named_parameters() if "lora_" in n}
    assert sum(p.numel() for p in state.values()) == counted(net)
    with torch.no_grad():
        for layer in layers:
            ours = net.module.get_submodule(layer).parametrizations.weight[0]
            theirs_of = theirs.get_submodule(layer)
            theirs_of.lora_A["default"].weight.copy_(ours.a.view_as(theirs_of.lora_A["default"].weight))
            theirs_of.lora_B["default"].weight.copy_(ours.b.view_as(theirs_of.lora_B["default"].weight))
            if name == "dora":
                length = theirs_of.lora_magnitude_vector["default"].weight
                length.copy_(ours.length.view_as(length))
        assert not torch.allclose(net.module(some()), plain.module(some()))
    outputs = net.module(some()), theirs(some())
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    for layer in layers:
        ours, theirs_of = net.module.get_submodule(layer).parametrizations.weight[0], theirs.get_submodule(layer)
        for one, other in ((ours.a, theirs_of.lora_A), (ours.b, theirs_of.lora_B)):
            torch.testing.assert_close(one.grad.flatten(), other["default"].weight.grad.flatten())


@pytest.mark.parametrize(("name", "num"), [("lora", 294_912), ("dora", 322_560)])
def test_truth_lora_and_dora_count_what_peft_counts_on_a_vit_b(name, num):
    """Rank 8 on queries, keys and values."""
    with torch.device("meta"):
        vit = timm.create_model("vit_base_patch16_224")
        net = cut_into_units(timm.create_model("vit_base_patch16_224"), coarse=True)
        how = peft.LoraConfig(r=8, lora_alpha=8, target_modules=["qkv"], use_dora=name == "dora")
        theirs = peft.inject_adapter_in_model(how, vit)
        ours = adapted(net, toys.recipe(name, net.num_units, rank=8).adapt, ("coarse", 0))
    assert sum(p.numel() for n, p in theirs.named_parameters() if "lora_" in n) == num
    assert counted(ours) == num


@pytest.mark.parametrize("toy", toys.TOYS)
@pytest.mark.parametrize("name", ["lora", "dora"])
def test_truth_lora_and_dora_merged_are_unmerged(name, toy):
    _, _, net = made(name, toy, targets="all")
    with torch.no_grad():
        before = net.module(some())
        weights.merge(net.module)
        assert not [n for n, _ in net.module.named_parameters() if "parametrizations" in n]
        torch.testing.assert_close(net.module(some()), before)


def test_truth_lora():
    """W + alpha / r B A, the gradient of the frozen matrix absent."""
    layer = nn.Linear(5, 4)
    weight = layer.weight.detach().clone()
    weights.add_low_rank(nn.ModuleDict({"fc": layer}), ["fc"], weights.LowRank, (2, 8.0))
    low = layer.parametrizations.weight[0]
    torch.testing.assert_close(layer.weight, weight)  # B begins at 0
    with torch.no_grad():
        low.b.normal_()
    torch.testing.assert_close(layer.weight, weight + 4 * low.b @ low.a)


def test_truth_dora():
    """m * (W + B A) / ||W + B A|| row by row, and the norm counts as a constant in the gradient."""
    layer = nn.Linear(5, 4, bias=False)
    weight = layer.weight.detach().clone()
    weights.add_low_rank(nn.ModuleDict({"fc": layer}), ["fc"], weights.Decomposed, (2, 2.0))
    low = layer.parametrizations.weight[0]
    with torch.no_grad():
        low.b.normal_()
        low.length.mul_(1.5)
    direction = weight + low.b @ low.a
    norms = torch.stack([row.square().sum().sqrt() for row in direction]).detach()
    expected = direction * (low.length / norms)[:, None]
    torch.testing.assert_close(layer.weight, expected)
    ours = torch.autograd.grad(layer.weight.sin().sum(), low.b)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(expected.sin().sum(), low.b)[0])


def test_truth_lora_targets():
    assert names_of_layers(made("lora", "toy_vit")[2]) == [f"blocks.{n}.attn.qkv" for n in range(3)]
    convolutions = [n for n, m in toys.network("toy_conv").module.named_modules() if isinstance(m, nn.Conv2d)]
    assert names_of_layers(made("lora", "toy_conv")[2]) == sorted(convolutions)
    with pytest.raises(NotApplicable, match="no attention"):
        made("lora", "toy_conv", targets="attention")


def test_truth_ia3():
    """The factors of keys, values and hidden activations folded into the weights by hand give the same network."""
    plain, _, net = made("ia3", "toy_vit")
    state = net.module.state_dict()
    with torch.no_grad():
        for n in range(3):
            block = plain.module.blocks[n]
            kv = state[f"blocks.{n}.attn.qkv.factor"]
            assert kv.shape == (32,)  # of 48: queries have none
            block.attn.qkv.weight[16:] *= kv[:, None]
            block.attn.qkv.bias[16:] *= kv
            block.mlp.fc2.weight *= state[f"blocks.{n}.mlp.fc2.factor"]
        torch.testing.assert_close(net.module(some()), plain.module(some()))
    assert counted(net) == 3 * (2 * 16 + 64)


def test_truth_ia3_on_channels():
    plain, _, net = made("ia3", "toy_conv")
    with torch.no_grad():
        for name, layer in plain.module.named_modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight *= net.module.get_submodule(name).factor[:, None, None, None]
        torch.testing.assert_close(net.module(some()), plain.module(some()))


@pytest.mark.parametrize("toy", toys.TOYS)
def test_truth_ssf(toy):
    """gamma * y + beta behind every operation, folded into weights and biases by hand."""
    plain, _, net = made("ssf", toy)
    folded = 0
    with torch.no_grad():
        for name, layer in list(plain.module.named_modules()):
            wrapped = dict(net.module.named_modules()).get(name)
            if not isinstance(wrapped, beside.ScaledShifted) or type(layer).__name__ == "BatchNormAct2d":
                continue
            folded += 1
            layer.weight.mul_(wrapped.factor.view(-1, *[1] * (layer.weight.ndim - 1)))
            bias = layer.bias if layer.bias is not None else torch.zeros(len(wrapped.factor))
            layer.bias = nn.Parameter(bias * wrapped.factor + wrapped.shift)
        if toy == "toy_vit":
            torch.testing.assert_close(net.module(some()), plain.module(some()))
    assert folded > 3
    x, inner = torch.randn(2, 4, 3, 3), nn.Conv2d(4, 6, 1)
    layer = beside.ScaledShifted(inner, 6, on_images=True)
    with torch.no_grad():
        expected = torch.stack([inner(x)[:, c] * layer.factor[c] + layer.shift[c] for c in range(6)], 1)
        torch.testing.assert_close(layer(x), expected)


def test_truth_adapter():
    """x + MLP(LN x) + s up(relu(down(LN x))), for one block by hand; at first the network is unchanged."""
    plain, _, fresh = made("adapter", "toy_vit", trained=False, width=3)
    torch.testing.assert_close(fresh.module(some()), plain.module(some()))
    assert counted(fresh) == 3 * (16 * 3 + 3 + 3 * 16 + 16)
    _, _, net = made("adapter", "toy_vit", width=3, scale=0.7)
    block, original = net.module.blocks[1], plain.module.blocks[1]
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        middle = x + original.attn(original.norm1(x))
        normed = original.norm2(middle)
        inside = F.relu(normed @ block.mlp.down.weight.T + block.mlp.down.bias)
        side = inside @ block.mlp.up.weight.T + block.mlp.up.bias
        torch.testing.assert_close(block(x), middle + original.mlp(normed) + 0.7 * side)


def scaled_vit(init):
    return timm.models.vision_transformer.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=3, init_values=init)


def scaled_beit(init):
    return timm.models.beit.Beit(
        img_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=3, init_values=init)


def moved_by_adapters(module):
    """The network with adapters that have learned something, and by how much they move its logits."""
    net = cut_into_units(module.eval(), coarse=True)
    before = net.module(some())
    net = adapted(net, toys.recipe("adapter", net.num_units, width=3).adapt, ("coarse", 3))
    torch.testing.assert_close(net.module(some()), before)
    draw = torch.Generator().manual_seed(0)
    for name in sorted(net.added):
        tensor = net.module.get_parameter(name)
        tensor += 0.3 * torch.randn(tensor.shape, generator=draw)
    return net, float((net.module(some()) - before).abs().max())


@pytest.mark.parametrize("make", [scaled_vit, scaled_beit])
@torch.no_grad()
def test_truth_adapter_beside_layer_scale(make):
    """x + gamma * MLP(LN x) + s up(relu(down(LN x))): the same adapters move a network with factors of 1e-5 as much as
    one without."""
    net, by = moved_by_adapters(make(1e-5))
    _, plain = moved_by_adapters(make(None))
    assert 1 / 3 < by / plain < 3
    block = net.module.blocks[1]
    assert counted(net) == 2 * (16 * 3 + 3 + 3 * 16 + 16), "the factors are not added"
    x = torch.randn(2, 5, 16)
    seen = []
    block.norm2.register_forward_hook(lambda module, given, out: seen.append((given[0], out)))
    found = block(x)
    ((middle, normed),) = seen
    mlp, factors = block.mlp.inner
    inside = F.relu(normed @ block.mlp.down.weight.T + block.mlp.down.bias)
    side = inside @ block.mlp.up.weight.T + block.mlp.up.bias
    gamma = next(factors.parameters())
    torch.testing.assert_close(gamma, torch.full((16,), 1e-5))
    torch.testing.assert_close(found, middle + gamma * mlp(normed) + 0.1 * side)


def test_truth_residual_adapter():
    """A 1x1 kernel beside a 3x3 one is the same as added to its middle."""
    plain, _, net = made("residual_adapter", "toy_conv")
    touched = 0
    with torch.no_grad():
        for name, layer in plain.module.named_modules():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                layer.weight[:, :, 1:2, 1:2] += net.module.get_submodule(name).beside.weight
                touched += 1
        torch.testing.assert_close(net.module(some()), plain.module(some()))
    assert touched == 9
    with pytest.raises(NotApplicable, match="no convolution"):
        made("residual_adapter", "toy_vit")


def test_truth_residual_adapter_learns_batchnorm():
    """As the authors' networks, which have one for each domain: every factor, shift and statistic moves; convolutions
    of the source do not."""
    recipe = toys.recipe("residual_adapter", 6)
    net = toys.prepared(recipe)
    norms = {n for n, m in net.module.named_modules() if isinstance(m, nn.BatchNorm2d)}
    before = {n: t.clone() for n, t in net.module.state_dict().items()}
    train(net, toys.assignment(recipe, net=net))
    after = net.module.state_dict()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert len(norms) > 5
    of_norms = {n for n in before if n.rpartition(".")[0] in norms}
    assert of_norms <= moved
    assert {n for n in moved - of_norms if "beside" not in n} == {"head.fc.weight", "head.fc.bias"}


@pytest.mark.parametrize("deep", [False, True])
def test_truth_vpt(deep):
    """The forward pass of a ViT written out, with prompts put behind the tokens by hand."""
    plain, recipe, net = made("vpt", "toy_vit", tokens=2, deep=deep)
    vit = plain.module
    prompts = [net.module.blocks[n].prompts for n in range(3 if deep else 1)]
    with torch.no_grad():
        x = vit._pos_embed(vit.patch_embed(some()))
        if not deep:
            x = vit.blocks(torch.cat([x, prompts[0].expand(8, -1, -1)], 1))[:, :-2]
        else:
            for block, own in zip(vit.blocks, prompts, strict=True):
                x = block(torch.cat([x, own.expand(8, -1, -1)], 1))[:, :-2]
        expected = vit.head(vit.fc_norm(vit.norm(x)[:, 0]))
        torch.testing.assert_close(net.module(some()), expected)
    assert counted(net) == 2 * 16 * (3 if deep else 1)
    assert recipe.rate_scale == 100
    bound = math.sqrt(6 / (3 * 4 * 4 + 16))
    assert toys.prepared(recipe, "toy_vit").module.blocks[0].prompts.abs().max() <= bound


@pytest.mark.parametrize("deep", [False, True])
@torch.no_grad()
def test_truth_vpt_in_the_authors_order(deep):
    """Theirs come between the class token and the image's, and deep ones take each other's place. Attention does not
    see the order, so the class token ends as ours."""
    _, _, net = made("vpt", "toy_vit", tokens=2, deep=deep)
    vit = net.module
    x = vit._pos_embed(vit.patch_embed(some()))
    for number, block in enumerate(vit.blocks):
        if block.prompts is not None:
            rest = x[:, 1:] if number == 0 else x[:, 3:]
            x = torch.cat([x[:, :1], block.prompts.expand(8, -1, -1), rest], 1)
        x = block.inner(x)
    torch.testing.assert_close(vit(some()), vit.head(vit.fc_norm(vit.norm(x)[:, 0])))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_truth_stochnorm(share):
    """At 0 BatchNorm, at 1 the running statistics; between them each channel is one or the other."""
    plain = nn.BatchNorm2d(16)
    plain.running_mean.normal_()
    norm = copy.deepcopy(plain)
    norm.__class__, norm.share = stochastic_norm.StochasticNorm, share
    x = torch.randn(8, 16, 3, 3)
    past = (x - plain.running_mean[:, None, None]) / (plain.running_var[:, None, None] + plain.eps).sqrt()
    batch = plain.train()(x)
    found = norm.train()(x)
    torch.testing.assert_close(norm.running_mean, plain.running_mean)  # they move alike
    is_past = torch.tensor([torch.allclose(found[:, c], past[:, c]) for c in range(16)])
    is_batch = torch.tensor([torch.allclose(found[:, c], batch[:, c]) for c in range(16)])
    assert (is_past ^ is_batch).all()
    assert is_past.double().mean() == share if share != 0.5 else 3 <= is_past.sum() <= 13
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x))


def test_truth_stochnorm_in_a_network():
    recipe = toys.recipe("stochnorm", 6)
    net = toys.prepared(recipe)
    kinds = {type(m) for m in net.module.modules() if isinstance(m, nn.BatchNorm2d)}
    assert kinds <= {stochastic_norm.StochasticNorm, stochastic_norm.StochasticNormAct}
    net.module.eval()
    torch.testing.assert_close(net.module(some()), toys.network().module.eval()(some()))
    assert not net.added
    train(net, toys.assignment(recipe, net=net))


@pytest.mark.parametrize("name", ["lora", "dora", "ia3", "adapter", "ssf", "vpt"])
def test_what_is_drawn_depends_on_the_seed_alone(name):
    recipe = toys.recipe(name, 5)
    states = []
    for seed, noise in ((3, 1), (3, 2), (4, 3)):
        torch.rand(noise)
        net = adapted(toys.network("toy_vit"), recipe.adapt, ("coarse", seed))
        states.append(torch.cat([net.module.get_parameter(n).detach().flatten() for n in sorted(net.added)]))
    assert torch.equal(states[0], states[1])
    assert name in ("ia3", "adapter") or not torch.equal(states[0], states[2])


def test_who_reads_weights_instead_of_calling_the_layer_is_told():
    wrapped = beside.ScaledShifted(nn.Linear(3, 4), 4, on_images=False)
    with pytest.raises(NotApplicable, match="reads the weights of a layer instead of calling it"):
        F.linear(torch.randn(2, 3), wrapped.weight)
    block = beside.Prompted(nn.Identity(), torch.zeros(1, 2, 3), 2, leave=True)
    with pytest.raises(NotApplicable, match="take more than tokens: rope"):
        block(torch.randn(1, 4, 3), rope=torch.randn(1))
    assert block(torch.randn(1, 4, 3), rope=None).shape == (1, 4, 3)


def test_attention_that_keeps_its_matrices_is_told():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2)

    from bench.strategies.targets import matrices

    with pytest.raises(NotApplicable, match="keeps its matrices to itself"):
        matrices(Net(), ["attention"], "auto")
