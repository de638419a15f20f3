"""Prompt and prefix tuning against peft's own on the library's networks, with the same vectors put in."""

import warnings

import pytest
import torch
from torch.nn import functional as F
from transformers import AttentionInterface

from bench.backbones.encoder_net import pooled
from bench.engine.train.inputs import trimmed
from bench.errors import NotApplicable
from bench.network.build import adapted, build_network
from bench.network.capture import in_eval_mode, watched
from bench.strategies.layers import prompts
from tests.engine import toys, words

NUM = 4
NO_PREFIX = ("mpnet", "deberta-v2")  # attention of their own


def with_vectors(folder, name, kind="bert", **options):
    """Our network with learned vectors, drawn anew, and rows of tokens of different lengths."""
    ref, pipeline, files = words.encoder(folder, kind, {"max_length": 40, **options})
    rows = words.rows(pipeline, files)
    net = build_network(ref, 3, 0)
    torch.nn.init.normal_(net.module.head.weight, generator=torch.Generator().manual_seed(2))
    ours = adapted(net, toys.recipe(name, 5, tokens=NUM).adapt, ("coarse", 1))
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in added(ours).values():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return ours, rows


def added(network):
    return {n: p for unit in network.parameters for n, p in unit.items() if n in network.added}


def peft_model(folder, ours, name):
    """peft's wrapped model with our network's weights."""
    import peft
    from transformers import AutoConfig, AutoModel

    plain = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    plain.load_state_dict(ours.module.encoder.state_dict(), strict=False)
    config = {"prompt_tuning": peft.PromptTuningConfig, "prefix_tuning": peft.PrefixTuningConfig}[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = config(task_type="FEATURE_EXTRACTION", num_virtual_tokens=NUM, token_dim=16, num_attention_heads=2)
        return peft.get_peft_model(plain, given).eval()


def rows_of(ours, rows):
    """What reaches the head."""
    with torch.no_grad(), in_eval_mode(ours.module), watched(ours) as seen:
        ours.module(rows)
    return seen.features[0]


def hidden_of(theirs, rows, **more):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = {"input_ids": (rows - 1).clamp_min(0), "attention_mask": (rows > 0).long()}
        return theirs(**given, **more).last_hidden_state


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "gpt2", "llama"])
@pytest.mark.parametrize("pooling", ["first", "mean", "last"])
def test_truth_prompt_tuning(tmp_path, double, kind, pooling):
    """As many parameters as peft's, and what it puts out behind its vectors is pooled."""
    ours, rows = with_vectors(tmp_path, "prompt_tuning", kind, pooling=pooling)
    theirs = peft_model(tmp_path, ours, "prompt_tuning")
    assert list(added(ours)) == ["prompts"]
    assert sum(p.numel() for p in theirs.parameters() if p.requires_grad) == ours.module.prompts.numel() == NUM * 16
    theirs.prompt_encoder["default"].embedding.weight.data.copy_(ours.module.prompts)
    hidden = hidden_of(theirs, rows)
    assert hidden.shape[1] == rows.shape[1] + NUM
    torch.testing.assert_close(rows_of(ours, rows), pooled(hidden[:, NUM:], rows > 0, pooling))


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_truth_prefix_tuning(tmp_path, double, kind):
    """As many parameters as peft's, and the same rows come out. peft gives prefixes as a past and moves texts up by as
    many positions; here they stay where they are."""
    ours, rows = with_vectors(tmp_path, "prefix_tuning", kind)
    theirs = peft_model(tmp_path, ours, "prefix_tuning")
    vectors = [part for n, part in sorted(added(ours).items(), key=lambda one: one[0].replace("values", "z"))]
    assert [n.rpartition(".")[2] for n in added(ours)] == ["keys", "values"] * 3
    assert sum(p.numel() for p in theirs.parameters() if p.requires_grad) == sum(p.numel() for p in vectors)
    assert sum(p.numel() for p in vectors) == NUM * 3 * 2 * 16
    with torch.no_grad():
        theirs.prompt_encoder["default"].embedding.weight.copy_(torch.cat(vectors, 1))
    hidden = hidden_of(theirs, rows, position_ids=torch.arange(rows.shape[1])[None] - NUM)
    torch.testing.assert_close(rows_of(ours, rows), pooled(hidden, rows > 0, ours.module.pooling))


@pytest.mark.parametrize("kind", [kind for kind in words.CONFIGS if kind not in NO_PREFIX])
def test_truth_prefixes_are_more_to_attend_to(tmp_path, double, kind):
    """In every family that has them: attention by hand over the keys and values of a prefix and the text."""
    ours, rows = with_vectors(tmp_path, "prefix_tuning", kind)
    calls = []

    def by_hand(attention, query, key, value, mask, scaling=None, position_bias=0, **others):
        groups, calls[len(calls):] = getattr(attention, "num_key_value_groups", 1), [attention]
        first = [part.view(NUM, key.shape[1], -1).transpose(0, 1).expand(len(key), -1, -1, -1)
                 for part in (attention.prefix.keys, attention.prefix.values)]  # fmt: skip
        both = zip(first, (key, value), strict=True)
        keys, values = (torch.cat(pair, 2).repeat_interleave(groups, 1) for pair in both)
        scores = query @ keys.transpose(-1, -2) * scaling
        scores[..., NUM:] = (scores[..., NUM:] + position_bias).masked_fill(~mask, -torch.inf)
        return (scores.softmax(-1) @ values).transpose(1, 2), None

    found = ours.module.eval()(rows)
    AttentionInterface.register(prompts.INTERFACE, by_hand)
    try:
        torch.testing.assert_close(ours.module(rows), found)
    finally:
        AttentionInterface.register(prompts.INTERFACE, prompts._attend)
    assert len(calls) == 3


@pytest.mark.parametrize("kind", words.CONFIGS)
@pytest.mark.parametrize("name", ["prompt_tuning", "prefix_tuning"])
def test_padding_changes_nothing_and_every_vector_learns(tmp_path, double, name, kind):
    """The same text alone, in a batch, and however wide that is."""
    if name == "prefix_tuning" and kind in NO_PREFIX:
        with pytest.raises(NotApplicable, match=f"attention of a '{kind}' network takes no keys beside its own"):
            with_vectors(tmp_path, name, kind)
        return
    ours, rows = with_vectors(tmp_path, name, kind)
    module = ours.module.eval()
    together = module(rows)
    torch.testing.assert_close(module(F.pad(rows, (0, 9))), together, rtol=1e-9, atol=1e-11)
    alone = torch.cat([module(*trimmed((row[None],))) for row in rows])
    assert len({int((row > 0).sum()) for row in rows}) > 3
    torch.testing.assert_close(alone, together, rtol=1e-9, atol=1e-11)
    where = [any(n in ours.added for n in unit) for unit in ours.parameters]
    assert where == ([True] + [False] * 4 if name == "prompt_tuning" else [False, True, True, True, False])
    module.train()(rows).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 1e-9 for p in added(ours).values())
