"""Text encoders train like every network: cut, in fleets and alone alike, and padding changes nothing."""

import dataclasses

import pytest
import torch

from bench.backbones.weights_file import file_sha256
from bench.engine.common.start import start
from bench.engine.reuse.stages import stages_for
from bench.engine.train.evaluate import score
from bench.engine.train.inputs import trimmed
from bench.errors import BenchError
from bench.modalities.tokens import TextHandling, texts_of, tokenized
from bench.network.build import build_network
from bench.spec.refs import Engine, TextPipeline
from tests.engine import toys, words
from tests.engine.test_staging import assert_alike

WAYS = {"plain": Engine(partition=False, fleet=1), "cut": Engine(fleet=1), "fleet": Engine()}
RUN_WHOLE = ("t5",)


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    words.put_in_place(monkeypatch)


def context(folder, files, **fields):
    made = toys.context(folder, **fields)
    made.weights_files.update(files)
    return made


TRAINING = dataclasses.replace(toys.TRAINING, optimizer="adamw", steps=6)
SEARCH = dataclasses.replace(toys.SEARCH, trials=2, lr_low=1e-3, lr_high=1e-2)


ALIKE = [
    *((name, 0.0) for name in ("full_finetune", "linear_probe", "freeze")),
    *((name, 0.1) for name in ("full_finetune", "gradual_unfreeze", "lora", "dora", "ia3", "houlsby", "pfeiffer",
                               "prompt_tuning", "prefix_tuning")),
]  # fmt: skip
OPTIONS = {"freeze": {"upto": 2}, "prompt_tuning": {"tokens": 3}, "prefix_tuning": {"tokens": 3}}


@pytest.mark.parametrize(("strategy", "dropout"), ALIKE)
def test_every_way_comes_to_the_same(tmp_path, double, strategy, dropout):
    """With dropout live the ways draw alike, because both meet batches that are cut to their longest text."""
    ref, pipeline, files = words.encoder(tmp_path / "net", options={"dropout": dropout, "max_length": 40})
    options = OPTIONS.get(strategy, {})
    spec = words.fit_spec(ref, pipeline, strategy, options=options, training=TRAINING, search=SEARCH)
    found = {}
    for way, engine in WAYS.items():
        trials, final = toys.everything(context(tmp_path / way, files, engine=engine), spec)
        found[way] = [*trials, final]
        assert {record.status for record in found[way]} == {"ok"}, found[way][0].error
    for way in ("cut", "fleet"):
        assert_alike(found[way], found["plain"])


@pytest.mark.parametrize("kind", words.CONFIGS)
def test_every_family_runs_and_says_whether_it_is_cut(tmp_path, double, kind):
    ref, pipeline, files = words.encoder(tmp_path / "net", kind)
    spec = words.fit_spec(ref, pipeline, "freeze", options={"upto": 2}, training=TRAINING, search=SEARCH)
    made = context(tmp_path, files)
    begin = start(spec, made)
    images = made.data(spec.data, pipeline).train
    begin.network.set_active(spec.recipe.active(0))
    stage = stages_for(spec, begin, [images], made)(0)
    assert (stage.frozen != "none") == (kind not in RUN_WHOLE), stage.whole
    logits = score(lambda values: stage.live.eval()(*(v[0] for v in values))[None], images, stage.plain)[0]
    plain = stages_for(spec, begin, [images], toys.context(tmp_path / "whole", engine=WAYS["plain"]))(0).plain
    whole = score(lambda values: begin.network.module.eval()(values[0][0])[None], images, plain)[0]
    assert logits.loss == pytest.approx(whole.loss, rel=1e-9)


@pytest.mark.parametrize("kind", words.CONFIGS)
def test_padding_changes_nothing(tmp_path, double, kind):
    """The same text alone and in a batch with longer ones, and however wide the table is."""
    ref, pipeline, files = words.encoder(tmp_path / "net", kind)
    module = build_network(ref, 4, 0).module.eval()
    torch.nn.init.normal_(module.head.weight)
    rows = TextHandling().prepared(words.split(20, 3).columns, pipeline, files).long()
    together = module(rows)
    wider = module(torch.nn.functional.pad(rows, (0, 9)))
    alone = torch.cat([module(*trimmed((row[None],))) for row in rows])
    assert len({int((row > 0).sum()) for row in rows}) > 5
    torch.testing.assert_close(alone, together, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(wider, together, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", words.CONFIGS)
def test_what_it_gives_is_what_transformers_gives(tmp_path, double, kind):
    """Their own model with their own mask, pooled by hand."""
    from transformers import AutoConfig, AutoModel

    ref, pipeline, files = words.encoder(tmp_path / "net", kind)
    module = build_network(ref, 4, 0).module.eval()
    theirs = AutoModel.from_config(AutoConfig.from_pretrained(tmp_path / "net"))
    theirs = (theirs.get_encoder() if theirs.config.is_encoder_decoder else theirs).eval()
    missing, strange = theirs.load_state_dict(module.encoder.state_dict(), strict=False)
    assert (all("pooler" in name for name in missing), strange) == (True, [])
    rows = TextHandling().prepared(words.split(8, 3).columns, pipeline, files).long()
    keep = rows > 0
    with torch.no_grad():
        hidden = theirs(input_ids=(rows - 1).clamp_min(0), attention_mask=keep.long()).last_hidden_state
    by_hand = {
        "first": hidden[:, 0],
        "mean": torch.stack([one[on].mean(0) for one, on in zip(hidden, keep, strict=True)]),
        "last": torch.stack([one[on][-1] for one, on in zip(hidden, keep, strict=True)]),
    }
    for pooling, wanted in by_hand.items():
        seen = []
        module.pooling = pooling
        handle = module.head.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        with torch.no_grad():
            module(rows)
        handle.remove()
        torch.testing.assert_close(seen[0], wanted)


def test_texts_are_cut_into_tokens_as_the_tokenizer_does(tmp_path):
    from tokenizers import Tokenizer

    path = words.tokenizer_file(tmp_path)
    texts, _ = words.sentences(9, 5)
    digest = file_sha256(path)
    pipeline = TextPipeline(digest, 7)
    theirs = Tokenizer.from_file(str(path))
    wanted = [[*theirs.encode(text).ids[:6], 3] if len(theirs.encode(text).ids) > 7 else theirs.encode(text).ids
              for text in texts]  # fmt: skip
    kept = words.split(9, 5).columns["text"]
    assert [" ".join(pair) for pair in texts_of(kept)] == texts
    assert [list(one) for one in tokenized(texts_of(kept), pipeline, {digest: path})] == wanted
    pair = tokenized([("w1 w2", "w3")], pipeline, {digest: path})
    assert [list(one) for one in pair] == [theirs.encode("w1 w2", "w3").ids]


def test_a_length_that_leaves_nothing_of_texts_is_refused(tmp_path):
    """The library would cut nothing off then."""
    path = words.tokenizer_file(tmp_path)
    digest = file_sha256(path)
    assert [len(one) for one in tokenized([("w1 w2 w3",)], TextPipeline(digest, 3), {digest: path})] == [3]
    with pytest.raises(BenchError, match="puts 3 tokens around these texts, and `max_length` is 3"):
        tokenized([("w1 w2", "w3")], TextPipeline(digest, 3), {digest: path})


def test_a_tokenizer_that_was_changed_after_planning_is_refused(tmp_path):
    path = words.tokenizer_file(tmp_path)
    digest = file_sha256(path)
    path.write_text(path.read_text() + " ")
    with pytest.raises(BenchError, match=r"^tokenizer\.json was changed after this run was planned"):
        tokenized([("w1",)], TextPipeline(digest, 7), {digest: path})
    path.write_text("{}")
    with pytest.raises(BenchError, match=r"^tokenizer\.json: no file of the library tokenizers"):
        tokenized([("w1",)], TextPipeline(file_sha256(path), 7), {file_sha256(path): path})


@pytest.mark.parametrize("library", ["tokenizers", "transformers"])
def test_what_another_version_of_a_library_computed_is_computed_again(tmp_path, tiny, monkeypatch, library):
    """Tokens by the tokenizers', features by the networks'; features of pictures by neither."""
    from importlib.metadata import version

    from bench.engine.reuse import stages

    monkeypatch.setattr(stages, "WORTH", 0.0)  # small networks are worth no table else
    ref, pipeline, files = words.encoder(tmp_path / "net")
    of_texts = words.fit_spec(ref, pipeline, "linear_probe")
    of_pictures = toys.fit_spec(recipe=toys.recipe("linear_probe", 6))

    def tables(folder, spec):
        made = context(tmp_path / folder, files)
        assert toys.everything(made, spec)[1].status == "ok"
        return {path.name for path in made.features.folder.iterdir() if not path.name.startswith(".")}

    before, pictures = tables("before", of_texts), tables("pictures before", of_pictures)
    for place in ("bench.engine.common.context.version_of", "bench.engine.reuse.stages.version"):
        monkeypatch.setattr(place, lambda name: "0.0" if name == library else version(name))
    kept = tables("after", of_texts) & before
    assert len(kept) == (2 if library == "transformers" else 0), "the tokens of two splits"
    assert tables("pictures after", of_pictures) == pictures != set()


def test_batches_are_cut_to_their_longest_text():
    rows = torch.tensor([[5, 6, 0, 0], [5, 0, 0, 0]])
    hidden = torch.zeros(2, 4, 3)
    pooled = torch.zeros(2, 4)
    assert [tuple(value.shape) for value in trimmed((hidden, pooled, rows))] == [(2, 2, 3), (2, 4), (2, 2)]
    assert trimmed((pooled,))[0] is pooled
