"""A run that would learn the exam's images first is stopped before any training; allowed, every page says so."""

import dataclasses
import shutil

import numpy as np
import pytest

from bench.commands.suites import plan_from_file, remember
from bench.execute import ingest

from .conftest import SMALL
from .fabricate import fabricate


def noise(num, seed):
    return np.random.default_rng(seed).integers(0, 256, (num, 16, 16, 3), np.uint8)


def arrays(path, train, test):
    labels = [np.arange(len(images)) % 2 for images in (train, test)]
    np.savez(path, x_train=train, y_train=labels[0], x_test=test, y_test=labels[1])


def suite(more="", strategies="[linear_probe]"):
    return SMALL.replace("{name: digits, labels_per_class: [4, 8]}", '{name: "npz:exam.npz", labels_per_class: [4]}'
                         ).replace("{dataset: source,", f'{{dataset: "npz:holiday.npz",{more}'
                                   ).replace("[scratch, linear_probe, {freeze: {upto: 2}}]", strategies)  # fmt: skip


@pytest.fixture
def exam(place):
    """The source's training images hold a share of the target's test images, under another name."""

    def make(num_test=0, num_train=0, more="", **options):
        train, test, other = noise(100, 1), noise(200, 2), noise(150, 3)
        learned = np.concatenate([other, test[:num_test], train[:num_train]])
        arrays(place / "exam.npz", train, test)
        arrays(place / "holiday.npz", learned[np.random.default_rng(0).permutation(len(learned))], noise(20, 4))
        (place / "suites" / "small.yaml").write_text(suite(more, **options))

    return make


def test_test_images_among_what_is_pretrained_on_stop_the_run(bench, exam, place):
    exam(num_test=150)
    said = bench("run", "suites/small.yaml")
    assert said.code == 2
    line = said.err.splitlines()[-1]
    assert line == ("suites/small.yaml:8:46: backbones[0].pretrain.dataset: 150 of 200 test images and 0 of 100 "
                    "training images of the target 'exam.npz' would be learned here; take other data, or write "
                    "`allow_overlap: true` beside it to do this knowingly")
    assert not list(place.glob("results/*/runs/*/*.json"))


def test_a_target_that_is_a_subset_of_the_source_stops_the_run(bench, exam):
    exam(num_train=100)
    said = bench("run", "suites/small.yaml")
    assert said.code == 2
    assert "0 of 200 test images and 100 of 100 training images of the target 'exam.npz'" in said.err


def test_a_stage_is_held_to_the_same(bench, exam, place):
    exam(num_test=150)
    text = suite(strategies='[{intermediate: {dataset: "npz:holiday.npz"}}]').replace(
        'pretrain: {dataset: "npz:holiday.npz"', "pretrain: {dataset: source")  # fmt: skip
    (place / "suites" / "small.yaml").write_text(text)
    said = bench("run", "suites/small.yaml")
    assert said.code == 2
    assert "strategies[0].options.dataset: 150 of 200 test images" in said.err


@pytest.fixture
def no_training(monkeypatch):
    """The run goes up to the first worker, and what it says is kept."""
    from bench.execute import runner

    lines = []
    monkeypatch.setattr(runner.Runner, "start", lambda self, setups: None)
    monkeypatch.setattr(runner.Runner, "walk", lambda self: None)
    monkeypatch.setattr(runner.Display, "say", lambda self, line: lines.append(line))
    return lines


def test_scratch_has_learned_nothing_before(bench, exam, no_training):
    exam(num_test=150, strategies="[scratch]")
    assert bench("run", "suites/small.yaml").code == 3  # nothing was made
    assert no_training == []


def test_a_few_are_counted_and_told(bench, exam, no_training):
    exam(num_test=2)
    assert bench("run", "suites/small.yaml").code == 3  # nothing was made
    told = "exam.npz: 2 of 200 test images and 0 of 100 training images were learned beforehand, from holiday.npz."
    assert no_training == [told]
    assert f"note: {told}" in bench("plan", "suites/small.yaml").out


def test_none_are_told_where_there_are_none(bench, exam, no_training):
    exam()
    assert bench("run", "suites/small.yaml").code == 3  # nothing was made
    assert no_training == []


def test_allowed_it_is_flagged_in_plan_progress_table_and_page(bench, exam, no_training, place, folders):
    exam(num_test=150, more=" allow_overlap: true,")
    told = ("exam.npz: 150 of 200 test images and 0 of 100 training images were learned beforehand, from "
            "holiday.npz, as `allow_overlap` says.")  # fmt: skip
    assert bench("run", "suites/small.yaml").code == 3  # nothing was made
    assert no_training == [told]
    assert f"note: {told}" in bench("plan", "suites/small.yaml").out
    plan = plan_from_file(place / "suites" / "small.yaml", (), folders)
    records = fabricate(plan, folders.roots("small"))
    counts = {"dataset": "npz", "test": 150, "num_test": 200, "train": 0, "num_train": 100}
    store = folders.roots("small").store
    for record in records:
        if record.kind == "final":
            more = {"overlap": [counts], "test_in_train": 7}
            store.write(dataclasses.replace(record, result={**record.result, **more}))
    remember(plan, (), folders)
    shutil.rmtree(place / "results" / ".cache")
    (place / "holiday.npz").unlink()
    (place / "exam.npz").unlink()
    assert bench("report", "small").code == 0
    page = (place / "reports" / "small.html").read_text()
    assert page.count(told) == 2  # above everything, and in the protocol
    box = page[page.index('class="warnings"') : page.index("</aside>")]
    assert told in box
    assert f"An exam that was seen before: {told}" in page
    assert "exam.npz: 7 of 200 test images are training images too, pixel by pixel." in box


def test_the_table_of_a_run_says_it_too(bench, exam, place, folders):
    """All is there already, so nothing is trained; what was learned is in the records."""
    exam(num_test=150, more=" allow_overlap: true,")
    plan = plan_from_file(place / "suites" / "small.yaml", (), folders)
    counts = {"dataset": "npz", "test": 150, "num_test": 200, "train": 0, "num_train": 100}
    store = folders.roots("small").store
    for record in fabricate(plan, folders.roots("small")):
        if record.kind == "final":
            store.write(dataclasses.replace(record, result={**record.result, "overlap": [counts]}))
    said = bench("run", "suites/small.yaml")
    assert said.code == 0
    assert "exam.npz: 150 of 200 test images" in said.err


def test_sets_of_any_modality_are_decoded_as_data(exam, place, folders, monkeypatch):
    exam(num_test=0)
    plan, asked = plan_from_file(place / "suites" / "small.yaml", (), folders), []
    monkeypatch.setattr(ingest.fork_server, "ask", lambda what, *_: asked.append(what))
    ingest.ingest(plan.jobs.values(), plan.sources, folders.roots("small").cache)
    assert asked == ["decoding data sets"]


def test_leave_taken_back_is_seen_even_where_nothing_is_left_to_train(bench, exam, place, folders):
    """The key does not know of the leave, the images do."""
    exam(num_test=150, more=" allow_overlap: true,")
    plan = plan_from_file(place / "suites" / "small.yaml", (), folders)
    fabricate(plan, folders.roots("small"))
    ingest.ingest(plan.jobs.values(), plan.sources, folders.roots("small").cache)
    assert bench("run", "suites/small.yaml").code == 0
    (place / "suites" / "small.yaml").write_text(suite())
    assert bench("run", "suites/small.yaml").code == 2


def test_a_set_smaller_than_the_public_one_says_so(bench, place, monkeypatch, folders):
    monkeypatch.setenv("BENCH_DATA", str(place))
    arrays(place / "cifar10.npz", noise(100, 1), noise(40, 2))
    (place / "suites" / "small.yaml").write_text(SMALL.replace("name: digits", "name: cifar10"))
    told = ("cifar10: not cifar10 as it was published: 2 of 10 classes, 100 of 50,000 training images, "
            "40 of 10,000 test images.")  # fmt: skip
    assert f"note: {told}" in bench("plan", "suites/small.yaml").out
    assert told in bench("plan", "suites/small.yaml", "--json").json["notes"]
    plan = plan_from_file(place / "suites" / "small.yaml", (), folders)
    remember(plan, (), folders)
    fabricate(plan, folders.roots("small"))
    bench("report", "small")
    assert told in (place / "reports" / "small.html").read_text()
