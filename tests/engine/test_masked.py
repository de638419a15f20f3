"""Masked tokens: what is hidden, the loss against transformers' own; no label and no scored text has a part in it."""

import dataclasses

import pytest
import torch

from bench.backbones.small_transformer import SmallTransformerOptions, takes
from bench.engine.jobs.perform import perform
from bench.errors import NotApplicable
from bench.modalities.tokens import MASK, TextHandling
from bench.network.build import build_network
from bench.network.masked import IGNORED, fill, filler_of, hidden_tokens
from bench.spec.refs import BackboneRef, DataRef, Weights
from bench.store import blobs
from tests.engine import toys, words

OPTIONS = SmallTransformerOptions(width=16, layers=2, heads=2, vocabulary=64, max_length=16).model_dump()
BACKBONE = BackboneRef("small_transformer", OPTIONS, "coarse", Weights("random"))
PIPELINE = takes(OPTIONS)
TRAINING = dataclasses.replace(toys.TRAINING, optimizer="adamw", steps=12)
SEARCH = dataclasses.replace(toys.SEARCH, lr_low=1e-3, lr_high=1e-2)


@pytest.fixture(autouse=True)
def _counted_once():
    """Instead of the one for all tests: here numbers that were counted are compared with others."""


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    words.put_in_place(monkeypatch)


def pretraining(**fields):
    standard = {"data": words.DATA, "backbone": BACKBONE, "pipeline": PIPELINE, "optimizer": "adamw", "lr": 3e-3,
                "shift": 0, "objective": "masked"}  # fmt: skip
    return toys.pretrain_job(**{**standard, **fields})


def test_fifteen_of_a_hundred_tokens_are_hidden_and_most_of_them_masked():
    text = torch.nn.functional.pad(torch.arange(1, 61).repeat(500, 1), (0, 4))
    seen, wanted = hidden_tokens(text, MASK, 5000, torch.Generator().manual_seed(0))
    hidden = wanted != IGNORED
    assert hidden[:, 1:59].float().mean() == pytest.approx(0.15, abs=0.005)
    assert not hidden[:, [0, *range(59, 64)]].any()
    assert torch.equal(wanted[hidden], text[hidden] - 1)
    assert torch.equal(seen[~hidden], text[~hidden])
    masked, kept = seen[hidden] == MASK + 1, seen[hidden] == text[hidden]
    assert masked.float().mean() == pytest.approx(0.8, abs=0.02)
    assert kept.float().mean() == pytest.approx(0.1, abs=0.02)
    others = seen[hidden][~masked & ~kept]
    assert others.min() > 0
    assert others.max() > 4900


def test_short_texts_lose_one_token_and_those_of_two_none():
    text = torch.tensor([[1, 2, 3, 0], [1, 2, 0, 0], [1, 0, 0, 0]])
    _, wanted = hidden_tokens(text, MASK, 64, torch.Generator().manual_seed(0))
    assert (wanted != IGNORED).sum(1).tolist() == [1, 0, 0]
    module = build_network(BACKBONE, 3, 1).module
    with torch.no_grad():
        nothing = fill(module, filler_of(module, 16), text[1:], wanted[1:])
    assert (float(nothing.loss), nothing.num_right, nothing.num) == (0.0, 0, 0)


def test_the_loss_is_that_of_transformers_bert(tmp_path, double):
    """Their BertForMaskedLM with our weights, and with the labels that we hide."""
    from transformers import AutoConfig, BertForMaskedLM

    ref, pipeline, files = words.encoder(tmp_path / "net")
    module = build_network(ref, 3, 1).module.eval()
    filler = filler_of(module, 16)
    for p in filler.parameters():
        torch.nn.init.normal_(p, std=0.3)
    theirs = BertForMaskedLM(AutoConfig.from_pretrained(tmp_path / "net")).eval()
    theirs.bert.load_state_dict(module.encoder.state_dict(), strict=False)
    head = theirs.cls.predictions
    head.transform.dense.load_state_dict(filler.layer.state_dict())
    head.transform.LayerNorm.load_state_dict(filler.norm.state_dict())
    head.transform.LayerNorm.eps = filler.norm.eps
    with torch.no_grad():
        head.bias.copy_(filler.bias)
        head.decoder.bias.copy_(filler.bias)
    rows = TextHandling().prepared(words.split(20, 3).columns, pipeline, files).long()
    seen, wanted = hidden_tokens(rows, pipeline.mask, 45, torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = fill(module, filler, seen, wanted)
    with torch.no_grad():
        told = theirs(input_ids=(seen - 1).clamp_min(0), attention_mask=(seen > 0).long(), labels=wanted)
    assert pipeline.mask == words.SPECIAL.index("[MASK]")
    assert float(found.loss) == pytest.approx(float(told.loss), rel=1e-9)
    right = (told.logits.argmax(-1) == wanted) & (wanted != IGNORED)
    assert (found.num_right, found.num) == (int(right.sum()), int((wanted != IGNORED).sum()))


def made(context, job):
    from safetensors.torch import load

    assert perform(job, context)
    record = context.shared.read(job.key)
    assert record.status == "ok", record.error
    return record, load(blobs.get(context.shared.root, record.result["weights_sha256"]))


def test_a_pretraining_reads_no_label_and_leaves_no_head(tmp_path, monkeypatch):
    first, weights = made(toys.context(tmp_path / "one"), pretraining(epochs=3))
    assert not any(name.startswith("head") for name in weights)
    real = words.split

    def with_other_labels(num, seed):
        split = real(num, seed)
        return dataclasses.replace(split, labels=(split.labels + 1) % 3)

    monkeypatch.setattr(words, "split", with_other_labels)
    again, same = made(toys.context(tmp_path / "two"), pretraining(epochs=3))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert again.result["score"] == first.result["score"]


def test_written_sentences_are_filled_in_better_than_by_their_commonest_word(tmp_path):
    from bench.datasets.written import WRITTEN, WrittenOptions

    options = WrittenOptions(train_per_class=20, test_per_class=8)
    facts = WRITTEN["sentences"].facts(options)
    data = DataRef("sentences", options.model_dump(), facts.revision, facts.num_classes)
    backbone = dataclasses.replace(BACKBONE, options={**OPTIONS, "vocabulary": 1024, "width": 32})
    job = pretraining(data=data, backbone=backbone, pipeline=takes(backbone.options), epochs=8, lr=1e-2)
    context = toys.context(tmp_path)
    record, _ = made(context, job)
    tokens = context.data(data, job.spec.pipeline).test.inputs(job.spec.pipeline)
    commonest = (tokens == tokens[tokens > 0].mode().values).sum() / (tokens > 0).sum()
    assert record.result["score"] > commonest + 0.05
    assert record.result["num_test"] > 256  # one token of each text, at least


def test_encoders_of_transformers_learn_them_too(tmp_path):
    ref, pipeline, files = words.encoder(tmp_path / "net")
    context = toys.context(tmp_path)
    context.weights_files.update(files)
    _, weights = made(context, pretraining(backbone=ref, pipeline=pipeline))
    assert {name.partition(".")[0] for name in weights} == {"encoder"}


def test_truth_flops_of_masked_steps(tmp_path):
    """The body's by torch's counter; of the layer and the table behind it by hand: two operations for each weight and
    hidden token, once forward and twice backward. No step of that phase pays for the head."""
    from torch.utils.flop_counter import FlopCounterMode

    from bench.network.flops import training_flops

    context = toys.context(tmp_path)
    procedure = under_way(context).procedure
    network = build_network(BACKBONE, 3, 1)
    steps, batch_size = TRAINING.steps // 2, 10

    def by_hand(num):
        with FlopCounterMode(display=False) as body:
            network.module.hidden(torch.ones(num, 16, dtype=torch.int64)).sum().backward()
        return body.get_total_flops() + 3 * 2 * round(0.15 * num * 14) * (16 * 16 + 16 * 64)

    expected = by_hand(batch_size) * steps
    assert training_flops(network, procedure, batch_size, steps, {}) == expected
    plain = dataclasses.replace(procedure, recipe=dataclasses.replace(procedure.recipe, penalty=None))
    both, none = (training_flops(network, one, batch_size, TRAINING.steps, {}) for one in (procedure, plain))
    assert both == expected + none / 2
    record, _ = made(toys.context(tmp_path / "one"), pretraining(epochs=1, batch_size=12))
    logical = record.cost["logical"]
    assert logical["flops"] == by_hand(12) * logical["steps"]


def test_who_begins_with_it_finds_no_head_of_its_source(tmp_path):
    context = toys.context(tmp_path)
    job = pretraining()
    assert perform(job, context)
    backbone = dataclasses.replace(BACKBONE, weights=Weights("pretrain", job.key))
    for name, status in (("full_finetune", "ok"), ("lwf", "not_applicable")):
        spec = words.fit_spec(backbone, PIPELINE, name, num_units=4, training=TRAINING, search=SEARCH)
        _, final = toys.everything(context, spec, job.key)
        assert final.status == status
    assert "these weights came without it" in final.error


def under_way(context, **fields):
    recipe_options = {"options": {"share": 0.5}, "num_units": 4, "training": TRAINING, "search": SEARCH}
    return words.fit_spec(BACKBONE, PIPELINE, "continued_pretraining", **{**recipe_options, **fields})


def test_the_first_phase_learns_from_no_label_and_the_second_from_them(tmp_path, monkeypatch):
    """The head moves in the second phase alone, and whatever the labels are, the first one ends alike."""
    from bench.engine.common.sources import setting_for
    from bench.engine.common.start import final_stream, start
    from bench.engine.train.loop import Session
    from bench.engine.train.optimize import Hyper
    from bench.engine.train.solo import Solo
    from bench.engine.train.stage import plain_stages
    from bench.spec.refs import NewHead

    ends = []
    for shift in (0, 1):
        context = toys.context(tmp_path / str(shift))
        # Through a head of zeros no gradient would reach the body, and decay would not move it.
        spec = under_way(context, head=NewHead(start="small"))
        begin, data = start(spec, context), context.data(spec.data, spec.pipeline)
        stream = final_stream(spec, data)
        stream = dataclasses.replace(stream, images=dataclasses.replace(
            stream.images, labels=(stream.images.labels + shift) % 3))  # fmt: skip
        team = Solo(begin.network, spec.procedure, Hyper(3e-3, 0.01), begin.renew,
                    setting_for(spec, begin, stream, context))  # fmt: skip
        session = Session(team, plain_stages(begin.network, spec.procedure), [stream])
        states = []
        for until in (6, 12):
            session.advance(until, set())
            states.append({name: one.detach().clone() for name, one in begin.network.module.state_dict().items()})
        ends.append(states)
        assert torch.equal(states[0]["head.weight"], begin.state["head.weight"])
        assert not torch.equal(states[1]["head.weight"], begin.state["head.weight"])
        assert not torch.equal(states[0]["layers.0.fc1.weight"], begin.state["layers.0.fc1.weight"])
    first, second = ends
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    assert not torch.equal(first[1]["head.weight"], second[1]["head.weight"])


def test_it_runs_to_the_end_and_pictures_are_told_of_another_way(tmp_path, tiny):
    context = toys.context(tmp_path)
    _, final = toys.everything(context, under_way(context))
    assert final.status == "ok", final.error
    spec = toys.fit_spec(recipe=toys.recipe("continued_pretraining", 6))
    _, other = toys.everything(toys.context(tmp_path / "pictures"), spec)
    assert other.status == "not_applicable"
    assert "pictures without labels are learned by `rotation`" in other.error
    with pytest.raises(NotApplicable, match="reads tokens"):
        filler_of(toys.network().module, 8)


def test_scored_texts_are_never_read(tmp_path, monkeypatch):
    """Of each training, what masked tokens are drawn from is none of what it is scored on."""
    from bench.strategies.masked_tokens import MaskedTokens

    met = []
    real = MaskedTokens.begin

    def begin(self, setting):
        met.append(setting)
        return real(self, setting)

    monkeypatch.setattr(MaskedTokens, "begin", begin)
    context = toys.context(tmp_path)
    spec = under_way(context)
    toys.everything(context, spec)
    train = context.data(spec.data, spec.pipeline).train
    assert {setting.unlabelled.origin for setting in met} == {train.origin}
    trial, final = met[0].unlabelled, met[-1].unlabelled
    assert len(final) == len(train)
    assert 0 < len(trial) < len(train)
    assert bool((final.labels == -1).all())
