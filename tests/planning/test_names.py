"""A suite that is wrong in its form has its names and options told too, at once."""

from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.planning.names import wrong_names
from bench.suite.load import load_suite

FIVE = """\
name: five
datasets: [digtis, {name: digits, options: {train_per_clas: 3}}]
backbones:
  - {name: resnet18a1_in1k}
  - {name: small_resnet, pretrain: {dataset: sorce}}
strategies: [scratch, liner_probe, {lora: {rnak: 3}}, {recipe: {name: own}}]
repeats: -1
"""


def lines_of(text: str) -> list[str]:
    with pytest.raises(SuiteError) as refused:
        load_suite(Path("x.yaml"), text=text, also=wrong_names)
    return list(refused.value.problems)


def test_every_kind_at_its_place():
    told = "\n".join(lines_of(FIVE))
    for line in (
        "x.yaml:2:12: datasets[0].name: unknown dataset 'digtis'; did you mean 'digits'",
        "x.yaml:2:61: datasets[1].options.train_per_clas: dataset 'digits' has no option",
        "x.yaml:4:12: backbones[0].name: unknown backbone 'resnet18a1_in1k'; did you mean 'resnet18.a1_in1k'?",
        "x.yaml:5:46: backbones[1].pretrain.dataset: unknown dataset 'sorce'",
        "x.yaml:6:23: strategies[1].name: unknown strategy 'liner_probe'",
        "x.yaml:6:50: strategies[2].options.rnak: strategy 'lora' has no option 'rnak'; did you mean 'rank'?",
        "x.yaml:7:10: repeats: expected a whole number above 0, got -1",
    ):
        assert line in told
    assert [line.split(":")[1] for line in lines_of(FIVE)] == sorted(line.split(":")[1] for line in lines_of(FIVE))


def test_names_that_are_right_add_nothing():
    right = "name: x\ndatasets: [digits]\nbackbones: [small_resnet]\nstrategies: [{lora: {search: default}}]\n"
    (only,) = lines_of(f"{right}repeats: -1\n")
    assert "repeats" in only


@pytest.mark.parametrize("junk", ["datasets: 3", "datasets: [3, {name: 4}, {options: 3}, null]", "strategies: {a: b}"])
def test_what_has_no_name_is_passed_over(junk):
    assert lines_of(f"name: x\n{junk}\n")
