"""A study of transferability: the cells that it stands for and no others, what they share, and what is refused."""

from collections import Counter

import pytest

from bench.errors import SuiteError
from bench.planning.plan import Role

UNITS = 6  # of the small network, head included

STUDY = """\
name: study
transferability:
  dataset: source
  options: {train_per_class: 20, test_per_class: 10}
  splits: [0, 3]
  groups: [shapes, textures]
  backbone: {name: small_resnet, pretrain: {epochs: 1, seeds: per_repeat}}
training: {steps: 20}
search: {trials: 2}
repeats: 2
"""


def without(text, *lines):
    return "".join(line for line in text.splitlines(keepends=True) if not line.strip().startswith(lines))


def test_the_cells_are_the_studys_and_no_others(plan):
    made = plan(STUDY)
    roles = Counter(cell.role for cell in made.cells)
    treatments = ("BnB", "BnB+", "AnB", "AnB+", "random")
    expected = {
        Role(pair, target, treatment, keep)
        for pair in ("split 0", "split 3", "shapes and textures")
        for target in "AB"
        for treatment, keep in [("base", 0), *((one, keep) for one in treatments for keep in range(1, UNITS))]
    }
    assert set(roles) == expected
    assert set(roles.values()) == {1}


def test_a_network_learned_what_its_role_says(plan):
    made = plan(STUDY)
    for cell in made.cells:
        final = made.jobs[cell.finals[0]].spec
        target = set(final.data.classes)
        if cell.role.treatment in ("base", "random"):
            assert final.backbone.weights.origin == "random"
            continue
        learned = set(made.jobs[cell.pretrainings[0]].spec.data.classes)
        assert learned == target if cell.role.treatment.startswith("BnB") else learned.isdisjoint(target)
        frozen = not any(final.recipe.phases[0].rates[: cell.role.keep])
        assert frozen != cell.role.treatment.endswith("+")


def test_a_base_serves_all_depths_and_each_repeat_has_its_own(plan):
    made = plan(STUDY)
    pretrainings = [job for job in made.jobs.values() if job.kind == "pretrain"]
    assert len(pretrainings) == 3 * 2 * 2, "pairs, parts, repeats"


@pytest.mark.parametrize(("line", "roles"), [
    ("directions: A_to_B", {"targets": {"B"}}),
    ("directions: B_to_A", {"targets": {"A"}}),
    ("keep: [2, 4]", {"depths": {0, 2, 4}}),
    ("treatments: [AnB]", {"treatments": {"base", "AnB"}}),
    ("treatments: [BnB+, random]", {"treatments": {"base", "BnB+", "random"}}),
])  # fmt: skip
def test_less_of_it(plan, line, roles):
    cells = [cell.role for cell in plan(STUDY.replace("  splits", f"  {line}\n  splits")).cells]
    found = {"targets": {one.target for one in cells}, "depths": {one.keep for one in cells},
             "treatments": {one.treatment for one in cells}}  # fmt: skip
    assert found | roles == found


def test_no_network_is_pretrained_for_nothing(plan):
    made = plan(STUDY.replace("  splits", "  treatments: [BnB]\n  directions: A_to_B\n  splits"))
    needed = {key for cell in made.cells for key in cell.pretrainings}
    assert needed == {key for key, job in made.jobs.items() if job.kind == "pretrain"}


def test_what_the_section_needs_is_told_and_nothing_else(plan):
    with pytest.raises(SuiteError) as refusal:
        plan(without(STUDY, "dataset:"))
    [problem] = refusal.value.problems
    assert problem.startswith("suites/x.yaml:3:3: transferability.dataset: missing")


@pytest.mark.parametrize(("old", "new", "says"), [
    ("splits: [0, 3]", "splits: []\n  directions: both", None),
    ("groups: [shapes, textures]", "groups: [shapes]", "two different ones make a pair"),
    ("groups: [shapes, textures]", "groups: [shapes, blobs]", "no group of classes 'blobs'; it has shapes, textures"),
    ("keep: all", "keep: [9]", None),
    ("name: small_resnet", "name: smal_resnet", "did you mean 'small_resnet'"),
    ("training:", "datasets: [near]\ntraining:", "gets its datasets, backbones and strategies from it"),
    ("epochs: 1", "epoch: 1", "unknown key"),
])  # fmt: skip
def test_what_is_wrong_is_told(plan, old, new, says):
    text = STUDY.replace(old, new)
    if says is None:
        plan(text)
        return
    with pytest.raises(SuiteError, match=says):
        plan(text)


READ = STUDY.replace("  splits", "  reading: yosinski\n  splits")


@pytest.mark.parametrize("training", ["{steps: 20}", "{steps: 20, evaluations: 9}", "{steps: 9, evaluations: 20}",
                                      "{epochs: 1, batch_size: 64, evaluations: 20}"])  # fmt: skip
def test_the_papers_reading_needs_ten_scores_along_each_training(plan, training):
    with pytest.raises(SuiteError) as refusal:
        plan(READ.replace("{steps: 20}", training))
    [problem] = refusal.value.problems
    scored = {"{steps: 20}": 5}.get(training, 9 if "9" in training else 5)
    assert problem == (
        "suites/x.yaml:5:12: transferability.reading: the paper's reading is the mean of the 10 best test scores along "
        f"a training, and a final here is scored {scored} times; set training.evaluations to 10 or more, and no fewer "
        "steps"
    )


def test_a_reading_is_in_no_key(plan):
    read, unread = (
        plan(text.replace("{steps: 20}", "{steps: 20, evaluations: 10}")).jobs for text in (READ, STUDY)
    )
    assert read.keys() == unread.keys()


def test_an_override_reaches_the_section(folder):
    from bench.planning.enumerate import make_plan
    from bench.suite.load import load_suite

    path = folder / "suites" / "x.yaml"
    path.write_text(STUDY)
    made = make_plan(load_suite(path, ["transferability.splits=[1]", "transferability.keep=[1]"]), folder / "cache")
    assert {cell.role.pair for cell in made.cells} == {"split 1", "shapes and textures"}
    assert {cell.role.keep for cell in made.cells} == {0, 1}
