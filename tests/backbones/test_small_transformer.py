"""The built-in transformer against torch's own, and the promises that every way of training it rests on."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench import backbones
from bench.backbones.small_transformer import SmallTransformerOptions, takes
from bench.network.build import build_network
from bench.planning.probe import facts_for
from bench.spec.refs import BackboneRef, TextPipeline, Weights
from bench.suite.schema import BackboneSpec

OPTIONS = {"width": 16, "layers": 3, "heads": 2, "vocabulary": 50, "max_length": 12}


def network(seed=1, **changes):
    options = SmallTransformerOptions(**{**OPTIONS, **changes}).model_dump()
    return build_network(BackboneRef("small_transformer", options, "coarse", Weights("random")), 3, seed)


def tokens(lengths, seed=0):
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(1, 51, (len(lengths), max(lengths)), generator=draw)
    return rows * (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])


def test_units_follow_from_the_options():
    net = network()
    assert net.unit_names == ("stem", "layer.0", "layer.1", "layer.2", "head")
    assert set(net.parameters[0]) == {"tables.words.weight", "tables.places.weight"}
    assert {name.partition(".attn")[0] for name in net.parameters[2] if "attn" in name} == {"layers.1"}
    assert {"norm.weight", "norm.bias"} < set(net.parameters[3])
    assert set(net.parameters[4]) == {"head.weight", "head.bias"}
    assert not net.decaying & {"tables.places.weight", "norm.weight", "head.bias"}
    options = SmallTransformerOptions(**OPTIONS).model_dump()
    fine = build_network(BackboneRef("small_transformer", options, "fine", Weights("random")), 3, 1)
    assert fine.unit_names == net.unit_names


def test_planning_knows_the_units_and_the_pipeline_of_these_options(tmp_path):
    few, usual, wrong = facts_for(
        [(BackboneSpec(name="small_transformer", options=options), None) for options in (OPTIONS, {}, {"depth": 3})],
        tmp_path,
    )
    assert (few.unit_names, few.takes) == (network().unit_names, TextPipeline("words/50", 12))
    assert usual == wrong == backbones.BACKBONES["small_transformer"].facts
    assert usual.takes == takes({}) == TextPipeline("words/4096", 64)
    assert len(usual.unit_names) == 6


def test_a_width_that_the_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="16 is no multiple of 3"):
        SmallTransformerOptions(width=16, heads=3)


def test_padding_changes_nothing(double):
    module = network().module.eval()
    nn.init.normal_(module.head.weight)
    rows = tokens([2, 12, 7, 1])
    together = module(rows)
    alone = torch.cat([module(row[None, : int((row > 0).sum())]) for row in rows])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=1e-12)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_it_computes_what_torchs_own_layers_compute(double):
    """`nn.TransformerEncoder`, norms first, with the same weights; means by hand."""
    net = network().module.eval()
    nn.init.normal_(net.head.weight)
    layer = nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, 3, nn.LayerNorm(16), enable_nested_tensor=False).eval()
    names = {"attn.qkv.": "self_attn.in_proj_", "attn.proj.": "self_attn.out_proj.", "fc1.": "linear1.",
             "fc2.": "linear2."}  # fmt: skip
    state = {}
    for name, tensor in net.state_dict().items():
        for ours, other in names.items():
            name = name.replace(ours, other)
        if name.startswith(("layers.", "norm.")):
            state[name] = tensor
    theirs.load_state_dict(state)
    rows = tokens([5, 9, 3])
    embedded = F.embedding((rows - 1).clamp_min(0), net.tables.words.weight) + net.tables.places.weight[:9]
    hidden = theirs(embedded, src_key_padding_mask=rows == 0)
    means = torch.stack([one[:length].mean(0) for one, length in zip(hidden, (5, 9, 3), strict=True)])
    torch.testing.assert_close(net(rows), net.head(means))


def test_replicas_of_it_run_at_once(double):
    ones = [network(seed).module for seed in (1, 2)]
    stacked = {name: torch.stack([dict(one.named_parameters())[name] for one in ones])
               for name, _ in ones[0].named_parameters()}  # fmt: skip
    rows = torch.stack([tokens([4, 6], 1), tokens([6, 5], 2)])
    found = torch.func.vmap(lambda state, x: torch.func.functional_call(ones[0], state, (x,)))(stacked, rows)
    for one, x, logits in zip(ones, rows, found, strict=True):
        torch.testing.assert_close(logits, one(x))


def test_its_work_is_counted_without_doing_it():
    """Products of matrices, by hand: per layer 12 width^2 for each token, and twice length * width of attention."""
    shadow = network().module.to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.ones(2, 12, dtype=torch.int64, device="meta"))
    by_hand = 2 * 3 * 24 * (12 * 16**2 + 2 * 12 * 16) + 2 * 2 * 16 * 3
    assert counter.get_total_flops() == by_hand


def test_it_learns_in_bf16():
    module = network().module
    with torch.autocast("cpu", torch.bfloat16):
        logits = module(tokens([3, 8]))
    logits.float().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())
