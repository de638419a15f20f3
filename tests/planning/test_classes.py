"""Parts of a data set: which classes a suite means, what the part is like, and whose images it shares."""

import dataclasses

import numpy as np
import pytest

from bench.commands.suites import Folders
from bench.datasets import DATASETS, find, groups, parse_options
from bench.errors import SuiteError
from bench.gate.fingerprint import fingerprint
from bench.keys import digest
from bench.planning.classes import chosen
from bench.suite.schema import ClassesSpec
from tests.planning.conftest import SMALL

NAMES = ("red", "green", "blue", "grey", "pink")


@pytest.fixture(autouse=True)
def five(monkeypatch, tiny):
    """The tiny set tells its classes, of which there are five."""
    entry = DATASETS["tiny"]

    def facts(options):
        sizes = {"train_sizes": (20, 21, 22, 23, 24), "test_sizes": (7, 8, 9, 10, 11), "classes": NAMES}
        return dataclasses.replace(entry.facts(options), num_classes=5, num_train=110, num_test=45, **sizes)

    told = dataclasses.replace(entry, facts=facts, groups={"warm": ("red", "pink"), "strange": ("red", "ultraviolet")})
    monkeypatch.setitem(DATASETS, "tiny", told)


def of(text, taught="{dataset: tiny, options: {shade: 1}, epochs: 1}"):
    """The small suite with this part of its data set."""
    text = SMALL.replace("{name: tiny, labels_per_class: [4, 10]}", f"{{name: tiny, labels_per_class: 4, {text}}}")
    return text.replace("{dataset: tiny, options: {shade: 1}, epochs: 1}", taught)


def data_of(made):
    return made.jobs[made.cells[0].finals[0]].spec.data


@pytest.mark.parametrize(("text", "classes", "label"), [
    ("classes: [blue, red]", (0, 2), "tiny blue+red"),
    ("classes: {names: [red, green, blue, grey]}", (0, 1, 2, 3), "tiny red..grey, 4"),
    ("classes: {group: warm}", (0, 4), "tiny warm"),
])  # fmt: skip
def test_the_part_has_its_own_facts_and_its_own_name(plan, text, classes, label):
    made = plan(of(text))
    data, facts = data_of(made), made.sources[digest(data_of(made))].facts
    assert data.classes == classes
    assert data.num_classes == facts.num_classes == made.cells[0].num_classes == len(classes)
    assert facts.num_train == sum(20 + one for one in classes)
    assert facts.num_test == sum(7 + one for one in classes)
    assert facts.smallest_class == 20 + classes[0]
    assert facts.classes == tuple(NAMES[one] for one in classes)
    assert made.cells[0].dataset == label


def halves(num_classes, split, name="tiny"):
    facts = dataclasses.replace(DATASETS["tiny"].facts(parse_options(find("tiny"), {})), num_classes=num_classes)
    return [chosen(ClassesSpec(half=half, split=split), name, DATASETS["tiny"], facts) for half in ("A", "B")]


@pytest.mark.parametrize("num_classes", [4, 5, 32, 101])
def test_halves_have_nothing_in_common_and_are_everything(num_classes):
    drawn = [halves(num_classes, split) for split in range(8)]
    for a, b in drawn:
        assert sorted([*a, *b]) == list(range(num_classes))
        assert len(a) - len(b) in (0, 1)
        assert list(a) == sorted(a)
    assert drawn[0] == halves(num_classes, 0), "the same every time"
    assert len({a for a, _ in drawn}) > 1, "another number, other halves"


def test_halves_are_as_random_as_they_should_be():
    """Each class is in A as often as not, and two classes are together as often as chance says."""
    inside = np.array([[one in halves(10, split)[0] for one in range(10)] for split in range(400)])
    assert abs(inside.mean(0) - 0.5).max() < 0.11  # 4.4 standard errors
    together = (inside[:, 0] == inside[:, 1]).mean()
    assert abs(together - 4 / 9) < 0.11


@pytest.mark.parametrize(("text", "says"), [
    ("classes: [read, green]", "has no class 'read'; did you mean 'red' or 'grey'?"),
    ("classes: {group: cold}", "no group of classes 'cold'; it has warm, strange"),
    ("classes: {group: strange}", "no class 'ultraviolet'"),
    ("classes: [red]", "1 of the 5 classes"),
])  # fmt: skip
def test_what_is_not_there_is_told_with_its_place(plan, text, says):
    with pytest.raises(SuiteError) as refusal:
        plan(of(text))
    assert says in str(refusal.value)
    assert "x.yaml:3:" in str(refusal.value)


@pytest.mark.parametrize(("text", "says"), [
    ("classes: {}", "one of names, group and half"),
    ("classes: {half: A, names: [red, blue]}", "one of names, group and half"),
    ("classes: {names: [red, blue], split: 2}", "give `half` too"),
    ("classes: {half: C}", "half"),
])  # fmt: skip
def test_a_part_is_said_in_one_way(plan, text, says):
    with pytest.raises(SuiteError, match=says):
        plan(of(text))


def test_a_set_that_does_not_tell_its_classes_has_no_parts(plan, monkeypatch):
    silent = dataclasses.replace(DATASETS["tiny"].facts(parse_options(find("tiny"), {})), train_sizes=())
    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(DATASETS["tiny"], facts=lambda options: silent))
    with pytest.raises(SuiteError, match="does not tell how many examples each class has"):
        plan(of("classes: {half: A}"))


def test_another_part_is_another_key_and_no_part_is_the_key_from_before(plan):
    keys = [plan(of(text)).cells[0].finals[0] for text in ("classes: [red, blue]", "classes: [red, pink]", "label: x")]
    assert len(set(keys)) == 3
    data = data_of(plan(SMALL))
    assert data.classes is None
    assert '"classes"' not in str(digest(data))
    assert digest(data) == digest({"name": "tiny", "options": {"shade": 0}, "revision": data.revision,
                                   "num_classes": 5, "metric": "accuracy"})  # fmt: skip


def test_pretraining_on_the_other_half_is_no_learning_of_the_exam(plan):
    taught = "{dataset: tiny, classes: {half: B}, epochs: 1}"
    made = plan(of("classes: {half: A}", taught))
    assert not set(made.jobs[made.cells[1].pretrainings[0]].spec.data.classes) & set(data_of(made).classes)
    with pytest.raises(SuiteError, match="would be learned here"):
        plan(of("classes: {half: A}", taught.replace("B", "A")))
    with pytest.raises(SuiteError, match="would be learned here"):
        plan(of("label: x", taught))


def test_the_gate_knows_the_part(plan):
    marks = [fingerprint(made, made.cells[0]) for made in
             (plan(of(text)) for text in ("classes: [red, blue]", "classes: [red, pink]", "label: x"))]  # fmt: skip
    assert len({mark.data for mark in marks}) == 3


@pytest.mark.parametrize("scope", ["scope: cell, ", ""])
def test_repeats_may_have_pretrainings_of_their_own(plan, scope):
    text = SMALL.replace("scope: cell, ", scope)
    shared = plan(text)
    own = plan(text.replace("epochs: 1}", "epochs: 1, seeds: per_repeat}"))
    probe = [next(cell for cell in made.cells if cell.strategy == "linear_probe") for made in (shared, own)]
    assert probe[0].pretrainings == (probe[1].pretrainings[0],) * 2
    assert len(set(probe[1].pretrainings)) == 2
    for repeat, key in enumerate(probe[1].finals):
        final = own.jobs[key]
        assert final.spec.backbone.weights.identity == probe[1].pretrainings[repeat]
        assert probe[1].pretrainings[repeat] in final.needs
        search = own.jobs[probe[1].searches[repeat]]
        assert search.spec.backbone.weights.identity == probe[1].pretrainings[repeat if not scope else 0]
        assert search.spec.backbone.weights.identity in search.needs
    assert probe[0].finals[0] == probe[1].finals[0], "the first repeat is as it was"
    assert [own.jobs[key].spec.seed for key in probe[1].pretrainings] == [0, 1]
    assert len(own.pretrain_labels) == 2


def test_the_first_repeat_of_a_baseline_is_the_same_whatever_was_pretrained(plan):
    text = SMALL.replace("epochs: 1}", "epochs: 1, seeds: per_repeat}")
    made = [next(cell for cell in plan(one).cells if cell.baseline) for one in (SMALL, text)]
    assert made[0].finals == made[1].finals


def test_public_groups_are_all_of_the_set():
    for groups_of, num in ((groups.CIFAR10, 10), (groups.CIFAR100, 100)):
        names = [name for own in groups_of.values() for name in own]
        assert len(names) == len(set(names)) == num


def test_what_a_run_found_is_enough_to_look_at_it_again(plan, folder):
    from bench.commands.suites import recalled, remember

    folders = Folders(folder / "results", folder / "reports")
    made = plan(of("classes: [blue, red]"))
    remember(made, (), folders)
    assert recalled("small", folders).cells == made.cells
