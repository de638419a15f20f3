"""What was declared moves it, what the code works out does not."""

import dataclasses

import pytest

from bench.backbones import BACKBONES
from bench.gate.fingerprint import Fingerprint, fingerprint
from bench.strategies import STRATEGIES
from tests.planning.conftest import SMALL


def marks(plan):
    return {(c.dataset, c.budget.text, c.backbone, c.strategy): fingerprint(plan, c) for c in plan.cells}


def differ(one, other):
    """The parts in which any cell that both have differs."""
    assert set(one) & set(other)
    return {part for cell in set(one) & set(other) for part in one[cell].differences(other[cell])}


CHANGES = {
    "seed: 1": ("repeats: 2", "repeats: 2\nseed: 1", {"settings"}),
    "steps": ("steps: 20", "steps: 21", {"settings"}),
    "trials": ("trials: 3", "trials: 4", {"settings"}),
    "precision": ("repeats: 2", "repeats: 2\nengine: {precision: bf16}", {"settings"}),
    "pretraining": ("epochs: 1}", "epochs: 2}", {"weights"}),
    "source": ("options: {shade: 1}", "options: {shade: 2}", {"weights"}),
    "data": ("{name: tiny,", "{name: tiny, options: {shade: 3},", {"data"}),
    "metric": ("{name: tiny,", "{name: tiny, metric: mean_per_class,", {"data"}),
    "mean": ("{name: toy_conv,", "{name: toy_conv, mean: 0.4,", {"settings"}),
    "units": ("{name: toy_conv,", "{name: toy_conv, units: fine,", {"weights"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_declared_moves_its_part(plan, change):
    old, new, parts = CHANGES[change]
    assert SMALL.count(old) == 1
    assert differ(marks(plan()), marks(plan(SMALL.replace(old, new)))) == parts


@pytest.mark.parametrize(("old", "new"), [
    ("name: small", "name: small\ndescription: other words"),
    ("steps: 20, batch_size: 8", "batch_size: 8,   steps: 20"),
    ("batch_size: 8", "batch_size: 8, momentum: 0.9"),  # the default, spelt out
    ("repeats: 2", "repeats: 7"),
    ("repeats: 2", "repeats: 2\nengine: {fleet: 1}"),
    ("strategies: [scratch,", "strategies: [{freeze: {upto: 1}}, scratch,"),
    ("  - {name: tiny,", "  - {name: tiny, options: {shade: 9}, label: other}\n  - {name: tiny,"),
    ("backbones:\n", "backbones:\n  - {name: toy_vit}\n"),
])  # fmt: skip
def test_what_does_not_concern_a_cell_leaves_it_alone(plan, old, new):
    assert SMALL.count(old) == 1
    assert differ(marks(plan()), marks(plan(SMALL.replace(old, new)))) == set()


def test_an_inline_recipe_is_declared(plan):
    text = SMALL.replace("strategies: [", "strategies: [{recipe: {name: mine, phases: [{rates: {rest: 1}}]}}, ")
    other = text.replace("{rest: 1}", "{rest: 1, stem: 0}")
    assert differ(marks(plan(text)), marks(plan(other))) == {"settings"}
    assert {c for c, m in marks(plan(text)).items() if m != marks(plan(other))[c]} == {
        c for c in marks(plan(text)) if c[3] == "mine"
    }


def test_a_file_is_named_by_its_content_not_its_place(plan, folder):
    text = SMALL.replace(", pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}", ", weights: W.pth, label: net")

    def read(name, content):
        (folder / name).write_bytes(content)
        return marks(plan(text.replace("W.pth", name)))

    first = read("one.pth", b"weights")
    assert differ(first, read("two.pth", b"weights")) == set()
    assert differ(first, read("one.pth", b"others")) == {"weights"}


def test_a_bug_in_the_catalogues_does_not_move_it(plan, monkeypatch):
    """A recipe that trains other units, a mean that is wrong: keys change, the fingerprint must not."""
    sound = plan()
    probe = STRATEGIES["linear_probe"]
    monkeypatch.setitem(
        STRATEGIES, "linear_probe",
        dataclasses.replace(probe, build=lambda options, units: STRATEGIES["full_finetune"].build(options, units)),
    )  # fmt: skip
    entry = BACKBONES["toy_conv"]
    facts = dataclasses.replace(entry.facts, mean=(0.1, 0.1, 0.1))
    monkeypatch.setitem(BACKBONES, "toy_conv", dataclasses.replace(entry, facts=facts))
    broken = plan()
    assert not set(sound.jobs) & set(broken.jobs)
    assert marks(broken) == marks(sound)


def test_text_there_and_back(plan):
    for mark in marks(plan()).values():
        assert Fingerprint.parse(str(mark)) == mark
    for wrong in ("", "abc", "0" * 8, ".".join(["g" * 8] * 3), ".".join(["0" * 8] * 4)):
        with pytest.raises(ValueError, match="hex digits"):
            Fingerprint.parse(wrong)
