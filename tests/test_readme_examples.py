"""What the READMEs of the rooms show to whoever adds something is run as it stands there."""

import importlib
import re
import textwrap
from pathlib import Path

import pytest
import torch

from bench import strategies
from bench.engine.train.loop import train
from bench.report.facts import Facts
from tests.analysis.synthetic import make
from tests.engine import toys

BENCH = Path(__file__).parents[1] / "bench"

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The indented block that begins with a line, as a module."""

    def load(readme, first, name):
        text = (BENCH / readme).read_text()
        (found,) = re.findall(rf"^    {re.escape(first)}.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(found))
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    return load


def test_a_strategy_with_code_of_its_own(example, monkeypatch):
    entry = example("strategies/README.md", '"""Fine-tuning that keeps logits small.', "small_logits_shown").STRATEGY
    monkeypatch.setitem(strategies.STRATEGIES, entry.name, entry)
    options = entry.options(strength=0.5)
    recipe = entry.build(options, 6)
    net = toys.prepared(recipe)
    plain = toys.recipe("full_finetune", 6)
    # At a rate of 0 nothing moves: the difference of the losses is the penalty itself.
    losses, x = {}, toys.images().inputs(toys.PIPELINE)
    for name, of in (("with", recipe), ("without", plain)):
        task = toys.assignment(of, {"steps": 1, "batch_size": 60}, net, scored=toys.images("test"), evaluations=1,
                               hyper=toys.Hyper(0.0, 0.0))  # fmt: skip
        losses[name] = train(net, task).curve[0].train_loss
    with torch.no_grad():
        expected = 0.5 * float(net.module.train()(x).square().mean())
    assert losses["with"] - losses["without"] == pytest.approx(expected, rel=1e-3)
    with pytest.raises(ValueError, match="greater than 0"):
        entry.options(strength=-1)


def test_a_section_of_the_page(example):
    section = example("report/README.md", '"""Which finals were slow here.', "slow_section_shown").slow_section
    results = make()
    results.finals.loc[results.finals.index[:3], "seconds"] = 90.0
    results.finals.loc[results.finals.index[3:], "seconds"] = 1.0
    (table,) = section(Facts.of(results)).blocks
    assert len(table.rows) == 3
    assert table.rows[0][2].text == "90 s"
    results.finals["seconds"] = 1.0
    assert section(Facts.of(results)) is None
