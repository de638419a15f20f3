"""A suite of pictures and texts: what its plan says, what its keys hold, how nights of texts are compared."""

import dataclasses
from pathlib import Path

import pytest

from bench.commands.suites import Folders, plan_from_file
from bench.execute.roots import Roots
from bench.gate.fingerprint import fingerprint
from bench.spec.job import FitSpec
from tests.commands.conftest import SMALL
from tests.commands.fabricate import fabricate
from tests.commands.gated import here, raised
from tests.made_up import rescored

MIXED = SMALL.replace("labels_per_class: [4, 8]}", "labels_per_class: [4, 8]}\n  - {name: 'csv:asked.csv', "
                      "labels_per_class: [4], options: {text: text}}").replace(
    "dataset: source, epochs: 1}}", "dataset: source, epochs: 1}}\n  - {name: small_transformer, weights: random}"
).replace("training: {steps: 2,", "training: {steps: 2, augment: {shift: 2, flip: true, views: 3},")  # fmt: skip


def asked(place, word="where"):
    lines = [f"{'who' if row % 2 else word} is number {row},{'ab'[row % 2]},{'test' if row >= 40 else 'train'}"
             for row in range(80)]  # fmt: skip
    (place / "suites" / "asked.csv").write_text("\n".join(["text,label,split", *lines]) + "\n")


@pytest.fixture
def mixed(place):
    (place / "suites" / "small.yaml").write_text(MIXED)
    asked(place)
    return place


@pytest.fixture
def planned(mixed):
    return lambda root=Path("results"): plan_from_file(Path("suites/small.yaml"), (), Folders(root, Path("reports")))


def cells_of(plan, modality):
    return [cell for cell in plan.cells if cell.modality == modality]


def test_each_data_set_meets_the_networks_of_its_modality(mixed, planned):
    plan = planned()
    assert {(cell.dataset, cell.backbone, cell.modality) for cell in plan.cells} == {
        ("digits", "small_resnet (source)", "image"), ("asked.csv", "small_transformer (random)", "text"),
    }  # fmt: skip


def test_the_plan_says_what_becomes_of_each_kind(mixed, bench):
    said = bench("plan", "suites/small.yaml").out
    assert "3 cached views of each training image, so frozen parts see each of them once; texts are not changed" in said


def test_changes_of_pictures_are_in_no_key_of_texts(mixed, planned):
    plan = planned()
    trained = {modality: plan.jobs[cells_of(plan, modality)[0].finals[0]].spec for modality in ("image", "text")}
    assert all(isinstance(spec, FitSpec) for spec in trained.values())
    assert (trained["image"].training.shift, trained["image"].training.flip) == (2, True)
    training = trained["text"].training
    assert (training.shift, training.flip, training.views) == (0, False, 0)


def test_texts_for_a_network_for_pictures(mixed, bench):
    file = mixed / "suites" / "small.yaml"
    file.write_text(MIXED.replace("  - {name: small_transformer, weights: random}\n", ""))
    assert "data set 'asked.csv' is text, and no backbone of this suite is for such data" in bench(
        "plan", "suites/small.yaml").error  # fmt: skip


def test_too_few_texts_are_called_texts(mixed, bench):
    (mixed / "suites" / "small.yaml").write_text(MIXED.replace("[4], options", "[99], options"))
    assert "class 'a' of 'asked.csv' has only 20 training texts" in bench("plan", "suites/small.yaml").error


def test_other_texts_are_other_data_to_the_gate(mixed, planned):
    before = [fingerprint(planned(), cell) for cell in cells_of(planned(), "text")]
    asked(mixed, "whither")
    after = [fingerprint(planned(), cell) for cell in cells_of(planned(), "text")]
    assert {part for one, other in zip(before, after, strict=True) for part in one.differences(other)} == {"data"}


def test_a_night_of_texts_is_compared_like_any(mixed, planned, bench):
    """A drop among the texts is red and named; the pictures beside them did not move."""
    (mixed / "suites" / "small.yaml").write_text(MIXED.replace("repeats: 2", "repeats: 5"))
    root = here()
    plan = planned(root)
    roots = Roots(root, "small")
    fabricate(plan, roots)
    raised(plan, roots.store)
    assert bench("baseline", "accept", "suites/small.yaml").code == 0
    assert bench("gate", "suites/small.yaml").code == 0
    cell = next(cell for cell in cells_of(plan, "text") if cell.strategy == "linear_probe")
    for number, key in enumerate(cell.finals):
        record = roots.store.read(key)
        score = record.result["score"] - (0.30, 0.31, 0.29, 0.32, 0.30)[number]
        roots.store.write(dataclasses.replace(record, result=rescored(record.result, score)))
    assert bench("gate", "suites/small.yaml").code == 1
    told = bench("gate", "suites/small.yaml", "--json").json
    assert {one["dataset"] for one in told["cells"] if one["word"] == "regressed"} == {"asked.csv"}
