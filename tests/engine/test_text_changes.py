"""Tokens that are masked or dropped at random: what changes, what never does, and that every way of working agrees."""

import dataclasses

import pytest
import torch

from bench.backbones.small_transformer import SmallTransformerOptions, takes
from bench.errors import BenchError
from bench.modalities.tokens import MASK, Masking, TextHandling, changed
from bench.spec.refs import BackboneRef, Engine, TextChanges, TextPipeline, Weights
from tests.engine import toys, words
from tests.engine.test_staging import assert_alike

HANDLING = TextHandling()
WAYS = {"plain": Engine(partition=False, fleet=1), "cut": Engine(fleet=1), "fleet": Engine()}
OPTIONS = SmallTransformerOptions(width=16, layers=3, heads=2, vocabulary=64, max_length=16).model_dump()
BACKBONE = BackboneRef("small_transformer", OPTIONS, "coarse", Weights("random"))


def rows(num=400, length=20, width=24):
    return torch.nn.functional.pad(torch.arange(1, length + 1, dtype=torch.int32).repeat(num, 1), (0, width - length))


def test_shares_are_those_asked_for_and_the_ends_stay():
    text = rows()
    draws = torch.rand(text.shape, generator=torch.Generator().manual_seed(0))
    found = changed(text, TextChanges(0.3, 0.2), draws)
    inner = found[:, 1:19]
    assert (inner == -1).float().mean() == pytest.approx(0.3, abs=0.02)
    assert (inner == 0).float().mean() == pytest.approx(0.2, abs=0.02)
    assert torch.equal(inner[inner > 0], text[:, 1:19][inner > 0])
    assert torch.equal(found[:, [0, 19]], text[:, [0, 19]])
    assert not found[:, 20:].any()
    short = torch.tensor([[7, 8, 0], [7, 0, 0]], dtype=torch.int32)
    assert torch.equal(changed(short, TextChanges(0.5, 0.49), torch.zeros(2, 3)), short)


def test_a_masked_token_has_the_tokenizers_own_number():
    parts = [(torch.tensor([[5, -1, 6]], dtype=torch.int32),), (torch.tensor([[5, 9, 6]], dtype=torch.int32),)]
    assert HANDLING.inputs(parts, TextPipeline("words/99", 3)).tolist() == [[5, MASK + 1, 6], [5, 9, 6]]
    assert HANDLING.inputs(parts, TextPipeline("abc", 3, mask=103)).tolist() == [[5, 104, 6], [5, 9, 6]]
    with pytest.raises(BenchError, match="has no mask token"):
        HANDLING.inputs(parts, TextPipeline("abc", 3))


def test_a_view_depends_on_the_place_in_the_split_and_on_nothing_else():
    how, text = Masking(TextChanges(0.2, 0.2), 3), rows(40)
    places, views = torch.arange(40), torch.arange(40) % 3
    (whole,) = HANDLING.view((text,), how, places, views)
    (part,) = HANDLING.view((text[30:33],), how, places[30:33], views[30:33])
    (alone,) = HANDLING.view((text[:1],), how, places[:1], views[:1])
    assert torch.equal(whole[30:33], part)
    assert torch.equal(whole[:1], alone)
    (again,) = HANDLING.view((text,), how, places, (views + 1) % 3)
    assert not torch.equal(again, whole)
    (narrow,) = HANDLING.view((text[30:33, :20],), how, places[30:33], views[30:33])
    assert torch.equal(part[:, :20], narrow), "of a narrower table too"
    assert how.num_views == 3
    assert Masking(TextChanges(0.2, 0.2)).num_views is None
    assert HANDLING.still().num_views == 1


def test_without_views_every_batch_is_drawn_anew():
    draw, how = torch.Generator().manual_seed(1), Masking(TextChanges(mask=0.3))
    first, second = (HANDLING.vary((rows(),), how, draw, None)[0] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("strategy", "changes", "views"), [
    ("full_finetune", None, 0), ("full_finetune", TextChanges(mask=0.3), 0),
    ("linear_probe", TextChanges(mask=0.3), 0), ("linear_probe", TextChanges(drop=0.3), 2),
    ("gradual_unfreeze", TextChanges(0.2, 0.2), 2), ("lora", TextChanges(0.2, 0.2), 2),
])  # fmt: skip
def test_every_way_comes_to_the_same(tmp_path, double, monkeypatch, strategy, changes, views):
    words.put_in_place(monkeypatch)
    training = dataclasses.replace(toys.TRAINING, optimizer="adamw", steps=8, text=changes, views=views)
    search = dataclasses.replace(toys.SEARCH, trials=2, lr_low=1e-3, lr_high=1e-2)
    spec = words.fit_spec(BACKBONE, takes(OPTIONS), strategy, training=training, search=search)
    found, used = {}, {}
    for way, engine in WAYS.items():
        trials, final = toys.everything(toys.context(tmp_path / way, engine=engine), spec)
        found[way], used[way] = [*trials, final], final.cost["engine"]
        assert {record.status for record in found[way]} == {"ok"}, found[way][0].error
    for way in ("cut", "fleet"):
        assert_alike(found[way], found["plain"])
    if strategy == "linear_probe":
        assert used["cut"]["frozen"] != used["plain"]["frozen"]


def test_changes_move_the_numbers(tmp_path, double, monkeypatch):
    words.put_in_place(monkeypatch)
    scores = []
    for changes in (None, TextChanges(mask=0.5), TextChanges(drop=0.5)):
        training = dataclasses.replace(toys.TRAINING, steps=8, text=changes)
        spec = words.fit_spec(BACKBONE, takes(OPTIONS), training=training)
        scores.append(toys.everything(toys.context(tmp_path / str(changes)), spec)[1].result["loss"])
    assert len(set(scores)) == 3
