"""Where data and weights lie is in no key; what is missing is told whole; what stands in says so."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import datasets
from bench.commands.missing import explain
from bench.errors import MissingInputs, SuiteError
from bench.planning.stand_in import MARK, rehearsal
from bench.suite.load import load_suite
from tests.datasets.pictured import class_folders

FOLDER = """\
name: mine
datasets:
  - {name: "folder:pets", labels_per_class: [4]}
backbones: [toy_conv]
strategies: [scratch]
training: {steps: 2}
repeats: 1
"""
REAL = """\
name: real
datasets:
  - {name: cifar10, labels_per_class: [10, 50, 100]}
  - {name: "folder:moths", label: moths}
  - {name: digits, labels_per_class: [5]}
backbones:
  - resnet18.a1_in1k
  - {name: resnet18.a1_in1k, weights: random}
  - {name: resnet18, weights: mine.pth}
strategies: [scratch, linear_probe, {freeze: {upto: all}}]
training: {epochs: 30}
search: {trials: 12}
"""


def keys(made):
    return sorted(made.jobs)


def test_a_folder_is_found_beside_the_suite_here_and_in_the_data_folder(plan, folder, monkeypatch):
    class_folders(folder / "pets")
    here = plan(FOLDER)
    shutil.move(folder / "pets", folder / "suites" / "pets")
    beside = plan(FOLDER)
    shutil.move(folder / "suites" / "pets", folder / "elsewhere" / "pets")
    monkeypatch.setenv("BENCH_DATA", str(folder / "elsewhere"))
    assert keys(here) == keys(beside) == keys(plan(FOLDER))
    assert here.cells[0].dataset == "pets"
    (source,) = here.sources.values()
    assert source.options["path"] == str(folder / "pets")
    assert all("path" not in job.spec.data.options for job in here.jobs.values())


def test_other_pixels_are_other_jobs(plan, folder):
    class_folders(folder / "pets")
    before = keys(plan(FOLDER))
    shutil.rmtree(folder / "pets")
    class_folders(folder / "pets", start=50)
    assert not set(before) & set(keys(plan(FOLDER)))


def test_an_earlier_run_is_looked_at_without_its_data_and_weights(plan, folder):
    class_folders(folder / "pets")
    (folder / "mine.safetensors").write_bytes(b"x")
    text = FOLDER.replace("[toy_conv]", "[{name: toy_conv, weights: mine.safetensors}]").replace(
        "[scratch]", "[linear_probe]")
    first = plan(text)
    shutil.rmtree(folder / "pets")
    (folder / "mine.safetensors").unlink()
    with pytest.raises(MissingInputs):
        plan(text)
    again = plan(text, kept=first.finds)
    assert keys(again) == keys(first)


def test_all_that_is_missing_is_told_in_three_lines(plan, folder):
    (folder / "data" / "weights" / "resnet18.a1_in1k.pth").unlink()
    with pytest.raises(MissingInputs) as refused:
        plan(REAL)
    assert [one.what for one in refused.value.missing] == [
        "dataset cifar10", "dataset folder:moths", "weights resnet18.a1_in1k", "weights mine.pth"
    ]
    lines = explain(refused.value, "suites/real.yaml").splitlines()
    assert len(lines) == 3
    assert lines[0] == ("not on this machine: dataset cifar10 (163 MB), dataset folder:moths "
                        "(suites/x.yaml:4:5), weights resnet18.a1_in1k, weights mine.pth (suites/x.yaml:9:31)")
    assert lines[1].endswith(". `--data DIR` names a folder to look in")
    assert lines[2].endswith("`python -m bench run suites/real.yaml --stand-in`")


def test_mistakes_come_before_what_is_missing(plan):
    with pytest.raises(SuiteError) as refused:
        plan(REAL.replace("linear_probe", "linear_prob"))
    first, *rest = str(refused.value).splitlines()
    assert "linear_prob" in first
    assert "dataset cifar10 is not on this machine" in rest[0]


def test_hub_weights_are_named_by_their_content(plan, folder):
    text = FOLDER.replace("folder:pets", "digits").replace("[toy_conv]", "[resnet18.a1_in1k]").replace(
        "[scratch]", "[linear_probe]")
    made = []
    for value in (1, 2):
        torch.save({"w": torch.tensor([value])}, folder / "data" / "weights" / "resnet18.a1_in1k.pth")
        made.append(plan(text))
    assert not set(keys(made[0])) & set(keys(made[1]))
    (identity,) = made[0].weights_files
    name, _, sha256 = identity.partition("@")
    assert (name, len(sha256)) == ("resnet18.a1_in1k", 64)
    assert made[0].cells[0].backbone == "resnet18.a1_in1k"


def test_hub_weights_are_found_in_the_clients_cache(plan, folder, monkeypatch):
    (folder / "data" / "weights" / "resnet18.a1_in1k.pth").unlink()
    model = folder / "hub" / "models--timm--resnet18.a1_in1k"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc\n")
    (model / "snapshots" / "abc").mkdir(parents=True)
    (model / "snapshots" / "abc" / "model.safetensors").write_bytes(b"x")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    made = plan(FOLDER.replace("folder:pets", "digits").replace("[toy_conv]", "[resnet18.a1_in1k]"))
    assert [path.name for path in made.weights_files.values()] == ["model.safetensors"]


def test_two_folders_of_one_name_need_labels(plan, folder):
    class_folders(folder / "a" / "pets")
    class_folders(folder / "b" / "pets")
    with pytest.raises(SuiteError, match="'pets' stands twice in this suite; give one of them another `label`"):
        plan(FOLDER.replace('{name: "folder:pets", labels_per_class: [4]}', '"folder:a/pets"\n  - "folder:b/pets"'))


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-this-name/x", "a\0b"])
def test_names_that_no_file_can_have(plan, name):
    with pytest.raises(SuiteError):
        plan(FOLDER.replace("folder:pets", f"folder:{name}".replace("\0", "\\0")))


def test_a_suite_may_choose_the_metric(plan):
    made = plan(FOLDER.replace('"folder:pets",', "digits, metric: mean_per_class,"))
    assert {job.spec.data.metric for job in made.jobs.values()} == {"mean_per_class"}
    other = plan(FOLDER.replace('"folder:pets",', "digits,"))
    assert not set(keys(made)) & set(keys(other))


def stood_in(folder, text=REAL):
    path = folder / "suites" / "real.yaml"
    path.write_text(text)
    missing = ("dataset cifar10", "dataset folder:moths", "weights resnet18.a1_in1k")
    return rehearsal(load_suite(path), missing)


def test_a_rehearsal_has_another_name_and_every_label_says_so(folder):
    loaded = stood_in(folder)
    suite = loaded.suite
    assert suite.name == "real.stand-in"
    assert suite.description.startswith(MARK)
    assert [one.label for one in suite.datasets] == [
        f"cifar10 ({MARK} near)", f"moths ({MARK} digits)", f"digits ({MARK})"
    ]
    assert suite.datasets[2].name == "digits"
    assert all(MARK in one.label for one in suite.backbones)
    assert len({one.label for one in suite.backbones}) == 3
    assert [one.pretrain is None for one in suite.backbones] == [False, True, False]
    assert suite.repeats <= 3
    assert suite.search.trials <= 3
    assert all(name in "; ".join(loaded.stand_ins) for name in ("cifar10", "moths", "resnet18.a1_in1k", "40 steps"))


def test_a_rehearsal_plans_and_shares_no_record_with_the_real_thing(plan, folder):
    from bench.planning.enumerate import make_plan

    made = make_plan(stood_in(folder), folder / "cache")
    shown = {f"cifar10 ({MARK} near)", f"moths ({MARK} digits)", f"digits ({MARK})"}
    assert {cell.dataset for cell in made.cells} == shown
    assert np.isfinite(made.num_trainings)
    strategies = {cell.strategy for cell in made.cells}
    assert {"scratch", "linear_probe"} < strategies
    assert any(name.startswith("freeze") for name in strategies)


@pytest.mark.parametrize("suite", sorted((Path(__file__).parents[2] / "suites").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_suite_that_comes_along_can_be_rehearsed(suite, folder):
    from bench.planning.enumerate import make_plan

    named = load_suite(suite).suite
    told = [*(one.name for one in named.datasets), *(one.pretrain.dataset for one in named.backbones if one.pretrain),
            *(one.options["dataset"] for one in named.strategies if "dataset" in one.options)]  # fmt: skip
    is_read = [name for name in told if datasets.find(datasets.split_name(name)[0]).is_read]
    loaded = rehearsal(load_suite(suite), [f"dataset {name}" for name in is_read])
    made = make_plan(loaded, folder / "cache")
    assert all(MARK in cell.dataset and MARK in cell.backbone for cell in made.cells)
    assert made.num_trainings <= 2500


def test_each_missing_stage_on_the_way_is_replaced(folder):
    path = folder / "suites" / "way.yaml"
    path.write_text("name: way\ndatasets: [near]\nbackbones: [small_resnet]\nrepeats: 1\n"
                    "strategies: [{intermediate: {dataset: mid, then: [{dataset: cifar10, epochs: 2}]}}]\n")
    (strategy,) = rehearsal(load_suite(path), ["dataset cifar10"]).suite.strategies
    assert strategy.options == {"dataset": "mid", "then": [
        {"dataset": "far", "epochs": 2, "dataset_options": {"seed": 9001}}]}  # fmt: skip


def test_data_that_are_here_stay_in_a_rehearsal(plan, folder):
    class_folders(folder / "pets")
    path = folder / "suites" / "mine.yaml"
    path.write_text(FOLDER.replace("toy_conv", "resnet18.a1_in1k"))
    suite = rehearsal(load_suite(path), ("weights resnet18.a1_in1k",)).suite
    assert [one.name for one in suite.datasets] == ["folder:pets"]
    assert MARK in suite.datasets[0].label
    assert [one.name for one in suite.backbones] == ["small_resnet"]
    assert suite.backbones[0].image_size == 32  # not the side of somebody's photographs


def test_recipes_that_name_units_of_another_network_are_left_out_and_told(folder):
    loaded = stood_in(folder, REAL.replace("linear_probe,", """
  {recipe: {name: mine, phases: [{rates: {layer3: 1, rest: 0}}]}},
  {recipe: {name: heads, phases: [{rates: {head: 1, rest: 0}}]}},"""))
    assert [one.recipe.name for one in loaded.suite.strategies if one.recipe] == ["heads"]
    assert "left out, as they name units of another network: mine" in loaded.stand_ins


def test_stages_that_stand_in_learn_other_images_each(plan, folder):
    way = "{intermediate: {dataset: cifar10, then: [{dataset: cifar100}, {dataset: svhn}]}}"
    text = REAL.replace("[scratch, linear_probe, {freeze: {upto: all}}]", f"[{way}]")
    (folder / "suites" / "x.yaml").write_text(text)
    missing = {f"dataset {name}" for name in ("cifar10", "cifar100", "svhn")}
    options = rehearsal(load_suite(Path("suites/x.yaml")), missing).suite.strategies[0].options
    stages = [options, *options["then"]]
    assert len({stage["dataset_options"]["seed"] for stage in stages}) == 3


SOUND = """\
name: heard
datasets: [{name: spoken_digits, labels_per_class: [10], options: {seconds: 0.975}}]
backbones: [{name: yamnet, weights: yamnet.pth}, "hf:me/wave"]
strategies: [full_finetune, linear_probe]
training: {steps: 2, augment: {sound: {shift: 0.1}}}
repeats: 1
"""


def test_tones_stand_in_for_clips_and_a_network_of_log_mel_pictures_for_encoders(folder):
    path = folder / "suites" / "x.yaml"
    path.write_text(SOUND)
    suite = rehearsal(load_suite(path), ["dataset spoken_digits", "weights yamnet.pth", "weights hf:me/wave"]).suite
    assert [spec.name for spec in suite.datasets] == ["tones"]
    assert [(spec.name, spec.takes, spec.pretrain.dataset) for spec in suite.backbones] == \
           [("small_resnet", "log_mel", "tones")] * 2
    assert suite.backbones[0].pretrain.options["seed"] != 0


def test_settings_of_pictures_are_refused_of_networks_for_others(plan):
    text = """\
name: x
datasets: [{name: tones, labels_per_class: [2]}]
backbones:
  - {name: yamnet, image_size: 32, crop: 0.5}
  - {name: toy_conv, takes: log_mel, mean: 0.5}
strategies: [scratch]
training: {steps: 2}
repeats: 1
"""
    with pytest.raises(SuiteError) as refused:
        plan(text)
    for place in ("backbones[0].image_size: 'yamnet' takes sound here, and `image_size` is of pictures",
                  "backbones[0].crop:", "backbones[1].mean:"):  # fmt: skip
        assert place in str(refused.value)


def test_pixels_that_pictures_move_by_are_in_no_key_of_sound(plan):
    text = """\
name: x
datasets: [{name: tones, labels_per_class: [2]}]
backbones: [{name: toy_conv, takes: log_mel, pretrain: {dataset: tones, options: {seed: 1}, shift: SHIFT}}]
strategies: [linear_probe]
training: {steps: 2}
repeats: 1
"""
    assert keys(plan(text.replace("SHIFT", "1"))) == keys(plan(text.replace("SHIFT", "3")))
