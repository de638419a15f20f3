"""What the page says of strategies that learn the source's labels alone."""

import pytest

from bench.report import render
from tests.analysis.synthetic import World, make
from tests.report.test_tasks_section import words

pytestmark = pytest.mark.usefixtures("undrawn")

SAID = "No label of the target is used before the test (linear_probe): the training images are those of the source"


def test_whose_labels_were_learned_is_told() -> None:
    made = make(World(strategies=("linear_probe", "full_finetune"), gaps=False))
    assert "No label of the target" not in words(render(made))
    own = made.finals["strategy"] == "linear_probe"
    made.finals["labels"] = made.finals["labels"].where(~own, "source")
    assert SAID in words(render(made))
