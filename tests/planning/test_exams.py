"""No pretraining on the exam: what planning knows of it, and what stays as it was."""

import pytest

from bench.commands.plan import summarize
from bench.commands.suites import Folders
from bench.datasets import DATASETS, cache
from bench.errors import SuiteError
from bench.planning.enumerate import make_plan
from bench.planning.exams import examine, exams_of, sentences
from bench.planning.stand_in import rehearsal
from bench.suite.load import load_suite

from .conftest import SMALL

OWN = SMALL.replace("options: {shade: 1}, epochs: 1}", "epochs: 1}")
ALLOWED = OWN.replace("epochs: 1}", "epochs: 1, allow_overlap: true}")
STAGE = SMALL.replace("full_finetune]", "{intermediate: {dataset: tiny, epochs: 1}}]")
REMEDY = "take other data, or write `allow_overlap: true` beside it to do this knowingly"


def test_pretraining_on_the_target_is_refused_in_one_line_with_its_place(refused):
    assert refused(OWN) == [
        f"5:42: backbones[0].pretrain.dataset: all images of the target 'tiny' would be learned here; {REMEDY}"
    ]


@pytest.mark.parametrize("data", ["name: tiny", "name: tiny, metric: mean_per_class", "name: tiny, label: other"])
def test_a_stage_on_the_target_s_own_images_is_refused(refused, data):
    (line,) = refused(STAGE.replace("name: tiny, labels", f"{data}, labels"))
    assert "strategies[2].options.dataset: all images of the target" in line
    assert line.startswith("6:62:")


def test_a_later_stage_on_the_target_s_own_images_is_refused_at_its_place(refused, plan):
    later = STAGE.replace("dataset: tiny, epochs: 1", "dataset: digits, then: [{dataset: near}, {dataset: tiny}]")
    (line,) = refused(later)
    assert line.startswith("6:104: strategies[2].options.then[1].dataset: all images of the target 'tiny' would be")
    assert plan(later.replace("{dataset: tiny}]", "{dataset: tiny, allow_overlap: true}]"))


def test_other_images_of_the_same_name_are_no_exam(plan):
    """By content: the shade makes other pixels."""
    assert plan(STAGE.replace("name: tiny, labels", "name: tiny, options: {shade: 3}, labels"))


def test_weights_that_are_random_have_learned_nothing(plan):
    """Scratch beside a pretraining has no lesson; and nothing else is trained in a suite of it alone."""
    cells = {cell.strategy: cell for cell in plan().cells}
    assert cells["scratch"].lessons == ()
    assert [lesson.label for lesson in cells["linear_probe"].lessons] == ["tiny"]
    assert plan(OWN.replace("[scratch, linear_probe, full_finetune]", "[scratch]"))


def test_knowingly_it_is_allowed_and_told(plan, folder):
    made = plan(ALLOWED)
    told = "tiny: all images were learned beforehand, from itself, as `allow_overlap` says."
    assert sentences(examine(made, lambda ref: None)) == [told]
    assert summarize(made, Folders(folder / "results", folder / "reports"))["notes"][0] == told
    tiny = DATASETS["tiny"]
    (counted,) = sentences(examine(made, lambda ref: tiny.load(tiny.options())))
    assert counted == ("tiny: 0 of 103 test images and 60 of 60 training images were learned beforehand, from itself, "
                       "as `allow_overlap` says.")  # fmt: skip


def test_the_leave_is_in_no_key(plan):
    """It moves no number."""
    assert set(plan().jobs) == set(plan(SMALL.replace("epochs: 1}", "epochs: 1, allow_overlap: true}")).jobs)
    stage = STAGE.replace("dataset: tiny, epochs", "dataset: digits, epochs")
    allowed = plan(stage.replace("epochs: 1}}]", "epochs: 1, allow_overlap: true}}]"))
    assert set(plan(stage).jobs) == set(allowed.jobs)
    assert allowed.cells[2].strategy == "intermediate(dataset=digits, epochs=1, allow_overlap=True)"


def test_each_pair_is_asked_about_once(plan):
    made = plan(STAGE.replace("dataset: tiny, epochs: 1}}", "dataset: digits, epochs: 1}}").replace(
        "datasets:\n", "datasets:\n  - {name: near, labels_per_class: [4]}\n"))
    pairs = [(exam.lesson.label, exam.target) for exam in exams_of(made.cells)]
    assert pairs == [("tiny", "near"), ("digits", "near"), ("tiny", "tiny"), ("digits", "tiny")]


def test_plan_looks_at_what_was_decoded_before_and_decodes_nothing(plan, folder):
    """The source extends the target: known once both lie in the cache."""
    text = SMALL.replace("{name: tiny, labels", "{name: near, options: {train_per_class: 20, test_per_class: 2}, labels"
                         ).replace("{dataset: tiny, options: {shade: 1}", "{dataset: near, options: {}")
    made, folders = plan(text), Folders(folder / "results", folder / "reports")
    assert summarize(made, folders)["notes"] == []
    assert not (folder / "results").exists()
    near = DATASETS["near"]
    for options in ({"train_per_class": 20, "test_per_class": 2}, {}):
        cache.load("near", near.options.model_validate(options), folder / "results" / ".cache")
    with pytest.raises(SuiteError, match="0 of 20 test images and 200 of 200 training images of the target 'near'"):
        summarize(made, folders)
    allowed = plan(text.replace("epochs: 1}", "epochs: 1, allow_overlap: true}"))
    assert "200 of 200 training images were learned beforehand" in summarize(allowed, folders)["notes"][0]
    for path in (folder / "results" / ".cache").glob("*/*_images.npy"):
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert "200 of 200" in summarize(allowed, folders)["notes"][0], "a plan reads prints, and no pictures"


def test_a_rehearsal_never_teaches_its_targets(folder):
    """Four targets use up the embedded worlds, the one that a stage gets among them."""
    path = folder / "suites" / "x.yaml"
    names = ("cifar10", "pets", "dtd", "svhn")
    path.write_text(f"name: x\ndatasets: [{', '.join(names)}]\nbackbones: [small_resnet]\n"
                    "strategies: [{intermediate: {dataset: eurosat}}]\nrepeats: 1\n")
    loaded = rehearsal(load_suite(path), [f"dataset {name}" for name in (*names, "eurosat")])
    made = make_plan(loaded, folder / "cache")
    assert [cell.lessons[0].data.name for cell in made.cells] == ["far"] * 8
    assert any(cell.declared.data.name == "far" for cell in made.cells)
