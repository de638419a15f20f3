"""Which sets are divided anew in every repeat: what a suite says, what holds where it says nothing, what is refused."""

import dataclasses

import pytest

from bench.analysis.join import collect
from bench.commands.suites import Folders
from bench.datasets import DATASETS
from bench.gate.fingerprint import fingerprint
from bench.keys import digest
from bench.planning.exams import examine, exams_of
from bench.spec.job import FitSpec
from tests.conftest import TinyOptions
from tests.planning.conftest import SMALL

OWN = SMALL.replace("scope: cell, ", "")  # each repeat has a search of its own


def told(text, say):
    """With a line about the test images."""
    return text.replace("labels_per_class: [4, 10]}", f"labels_per_class: [4, 10], test: {{resplit: {say}}}}}")


@pytest.fixture(params=[163])
def divided(request, monkeypatch, tiny):
    """The tiny set comes in one split of so many images."""
    entry = DATASETS["tiny"]

    def facts(options):
        num_test = request.param - 60
        sizes = {"train_sizes": (20, 20, 20), "test_sizes": (num_test - 60, 30, 30)}
        return dataclasses.replace(entry.facts(options), num_test=num_test, division=("split by us",), **sizes)

    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(entry, facts=facts))


def data_of(made, cell, kind="final"):
    keys = cell.finals if kind == "final" else cell.searches
    return [made.jobs[key].spec.data for key in keys]


def test_a_small_set_of_one_split_is_divided_in_every_repeat(plan, divided):
    made = plan(OWN)
    for cell in made.cells:
        refs = data_of(made, cell)
        assert refs == data_of(made, cell, "search")
        assert tuple(ref.split for ref in refs) == cell.splits
        assert [ref.as_read for ref in refs] == 2 * [cell.declared.data]
    assert {cell.splits for cell in made.cells} == {made.cells[0].splits}  # of no strategy and no budget
    assert len(set(made.cells[0].splits)) == 2
    assert made.notes == ["tiny: divided 60 / 103 by us anew in every repeat, stratified."]


def test_the_suite_s_seed_moves_the_divisions(plan, divided):
    assert set(plan(OWN).cells[0].splits).isdisjoint(plan(f"{OWN}seed: 1\n").cells[0].splits)


@pytest.mark.parametrize("divided", [2999, 3000], indirect=True)
def test_many_test_images_move_a_score_too_little(request, plan, divided):
    few = "2999" in request.node.name
    assert bool(plan(OWN).cells[0].splits) is few
    assert plan(told(OWN, "true")).cells[0].splits


def test_a_word_of_the_suite_goes_before(plan, divided):
    made = plan(told(OWN, "false"))
    assert not any(cell.splits for cell in made.cells)
    assert made.notes == ["tiny: split by us."]


def test_a_set_with_a_test_split_keeps_it_and_its_keys(plan, refused, tiny):
    assert plan(OWN).jobs.keys() == plan(told(OWN, "false")).jobs.keys()
    assert not any(cell.splits for cell in plan(OWN).cells)
    assert refused(told(OWN, "true")) == [
        "3:61: datasets[0].test.resplit: 'tiny': `resplit: true` is for data that come in one split, and this set "
        "brings a test split of its own"
    ]


def test_one_search_for_all_repeats_needs_one_test_split(plan, refused, divided):
    made = plan(SMALL)
    assert not any(cell.splits for cell in made.cells)
    assert made.notes == [
        "tiny: split by us.", "tiny: all repeats share one test split, because one search serves all of them."
    ]  # fmt: skip
    assert plan(told(SMALL, "false")).notes == ["tiny: split by us."]
    assert refused(told(SMALL, "true")) == [
        "3:61: datasets[0].test.resplit: 'tiny': `resplit: true` needs `search: {scope: repeat}`: one search for all "
        "repeats would learn from examples that other repeats test on"
    ]


def test_keys_without_a_division_are_what_they_were(plan, divided):
    """Where the suite declines, no key tells of divisions."""
    made = plan(told(OWN, "false"))
    fields = {"name": "tiny", "options": {"shade": 0}, "revision": "tiny-0", "num_classes": 3, "metric": "accuracy"}
    assert {digest(ref) for cell in made.cells for ref in data_of(made, cell)} == {digest(fields)}


def test_baselines_of_other_test_images_are_not_comparable(plan, divided):
    plans = plan(OWN), plan(told(OWN, "true")), plan(told(OWN, "false"))
    marks = [fingerprint(made, made.cells[0]) for made in plans]
    assert marks[0] == marks[1]
    assert marks[0].differences(marks[2]) == ["data"]


def test_pretraining_on_the_set_is_refused_however_it_is_divided(refused, divided):
    lines = refused(OWN.replace("options: {shade: 1}, epochs: 1}", "epochs: 1}"))
    assert [line for line in lines if "all images of the target 'tiny' would be learned here" in line]


def test_a_lesson_is_held_against_every_repeat(plan, divided):
    """The most that any of them has seen of its test images."""
    made = plan(OWN.replace("options: {shade: 1}, epochs: 1}", "epochs: 1, allow_overlap: true}"))
    tiny = DATASETS["tiny"].load(TinyOptions())
    ((_, found),) = examine(made, lambda ref: tiny)
    learned = set(range(60))  # the training images of the set as it is read
    seen = [len(learned & set(tiny.divided(split)[1].tolist())) for split in exams_of(made.cells)[0].splits]
    assert min(seen) > 0
    assert found.test == max(seen)


def test_rows_of_finals_tell_what_repeats_share(plan, divided, folder):
    roots = Folders(folder / "results", folder / "reports").roots("small")
    finals = collect(plan(OWN), roots.store, roots.shared).finals
    by_budget = finals.groupby("budget")["label_overlap"].first()
    assert by_budget["10"] > by_budget["4"] > 0
    assert 0 < finals["test_overlap"].max() < 1
    shared = collect(plan(told(OWN, "false")), roots.store, roots.shared).finals
    assert set(shared["test_overlap"]) == {1.0}
    assert dict(shared.groupby("budget")["label_overlap"].first()) == pytest.approx({"10": 0.5, "4": 0.2})


def test_a_search_learns_from_its_own_repeat(plan, divided):
    for job in plan(OWN).jobs.values():
        if job.kind == "final":
            assert isinstance(job.spec, FitSpec)
            search = plan(OWN).jobs[job.needs[-1]].spec
            assert (search.repeat, search.data) == (job.spec.repeat, job.spec.data)
