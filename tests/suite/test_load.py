"""What a valid suite becomes: typed, frozen, every default filled, short forms spelled out, positions kept."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from bench.keys import digest
from bench.suite.load import load_suite
from bench.suite.search_schema import FoldsSpec, Range

from .conftest import SMALL, Loaded


def test_small_suite(loaded: Loaded) -> None:
    found = loaded(SMALL)
    assert found.text == SMALL
    assert found.path == Path("suites/x.yaml")
    suite = found.suite
    assert [d.name for d in suite.datasets] == ["near", "digits"]
    assert suite.datasets[1].labels_per_class == (5, "full")
    assert suite.strategies[1].name == "freeze"
    assert suite.strategies[1].options == {"upto": "all"}
    assert (suite.training.steps, suite.training.epochs, suite.repeats) == (200, None, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.text = ""  # type: ignore[misc]


def test_where_points_at_what_was_written(loaded: Loaded) -> None:
    found = loaded(SMALL, "training.steps=50")
    assert found.where(("strategies", 1, "options", "upto")) == "suites/x.yaml:8:21"
    assert found.where(("strategies", 0, "name")) == "suites/x.yaml:7:5"
    assert found.where(("datasets", 1, "labels_per_class", 0)) == "suites/x.yaml:4:39"
    assert found.where(("search", "lr")) == "suites/x.yaml:9:9"  # a default: the section it belongs to
    assert found.where(()) == "suites/x.yaml:1:1"
    assert found.where(("training", "steps")) == "--set training.steps=50"
    assert found.problem(("strategies", 0), "unknown strategy 'scratch'") == (
        "suites/x.yaml:7:5: strategies[0]: unknown strategy 'scratch'"
    )


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("- near", "- {name: near}"),
        ("- {name: near, labels_per_class: 5}", "- {name: near, labels_per_class: [5]}"),
        ("- {name: near, labels_per_class: full}", "- {name: near, labels_per_class: [full]}"),
        ("- {name: near, fraction: 0.5}", "- {name: near, fraction: [0.5]}"),
        ("- {name: near, total: 100}", "- {name: near, total: [100]}"),
    ],
)
def test_short_datasets(loaded: Loaded, short: str, full: str) -> None:
    text = "name: a\ndatasets:\n  {}\nbackbones: [b]\nstrategies: [scratch]\n"
    assert loaded(text.format(short)).suite == loaded(text.format(full)).suite


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("scratch", "{name: scratch}"),
        ("{lora: {rank: 8}}", "{name: lora, options: {rank: 8}}"),
        ("{lora: }", "{name: lora}"),
        (
            "{recipe: {name: a, phases: [{rates: {head: 1, rest: 0}}]}}",
            "{name: recipe, recipe: {name: a, phases: [{rates: {head: 1, rest: 0}}]}}",
        ),
        ("{lora: {}, stop_early: 1e1}", "{name: lora, stop_early: {moments: 10}}"),
        ("{lora: {}, stop_early: {moments: 3, by: accuracy}}",
         "{name: lora, options: {}, stop_early: {moments: 3, by: accuracy}}"),
        (
            "{recipe: {name: a, stop_early: 10, phases: [{rates: {rest: 1}}]}}",
            "{name: recipe, recipe: {name: a, stop_early: {moments: 10}, phases: [{rates: {rest: 1}}]}}",
        ),
    ],
)
def test_short_strategies(loaded: Loaded, short: str, full: str) -> None:
    text = "name: a\ndatasets: [near]\nbackbones: [{{name: b}}]\nstrategies: [{}]\n"
    assert loaded(text.format(short)).suite == loaded(text.format(full)).suite
    assert loaded(text.format(short)).suite.backbones[0].name == "b"


def test_short_range_and_folds(loaded: Loaded) -> None:
    search = loaded(SMALL.replace("{trials: 2}", "{lr: [1e-3, 1], validation: {folds: 5}}")).suite.search
    assert search.lr == Range(low=0.001, high=1.0)
    assert search.validation == FoldsSpec(folds=5)


def test_numbers_agree_however_they_are_written(loaded: Loaded) -> None:
    """Keys tell 1 from 1.0, so the door makes one of them."""
    spellings = [("1000", "0"), ("1e3", "0.0"), ("1000.0", "-0.0")]
    suites = [loaded(f"{SMALL}training: {{steps: {a}, weight_decay: {b}}}\n").suite for a, b in spellings]
    assert isinstance(suites[1].training.steps, int)
    assert isinstance(suites[0].training.weight_decay, float)
    assert len({digest(suite.model_dump()) for suite in suites}) == 1


def test_options_keep_their_types(loaded: Loaded) -> None:
    options = "{a: 1, b: 1.0, c: '1', d: true, e: null, f: [1, [x]], g: {h: no, 3: 2024-01-01}}"
    found = loaded(SMALL.replace("{upto: all}", options)).suite.strategies[1].options
    assert repr(found) == repr(
        {"a": 1, "b": 1.0, "c": "1", "d": True, "e": None, "f": [1, ["x"]], "g": {"h": "no", "3": "2024-01-01"}}
    )


def test_unit_numbers_are_keys(loaded: Loaded) -> None:
    recipe = "{recipe: {name: a, phases: [{rates: {-1: 1, 0: 0, rest: 0.1}}]}}"
    found = loaded(SMALL.replace("scratch", recipe)).suite.strategies[0].recipe
    assert found is not None
    assert found.phases[0].rates == {"-1": 1.0, "0": 0.0, "rest": 0.1}


def test_a_key_with_nothing_after_it_takes_its_default(loaded: Loaded) -> None:
    assert loaded(SMALL + "training:\nrepeats:\n").suite == loaded(SMALL).suite


def test_aliases_are_allowed_in_reason(loaded: Loaded) -> None:
    text = SMALL.replace("- near", "- {name: near, labels_per_class: &few [5, 10]}").replace("[5, full]", "*few")
    assert loaded(text).suite.datasets[1].labels_per_class == (5, 10)


def test_byte_order_mark_and_windows_lines(in_tmp: Path) -> None:
    in_tmp.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    found = load_suite(in_tmp)
    assert found.suite.name == "small"
    assert found.where(("datasets", 0)) == "suites/x.yaml:3:5"


def test_one_trial_of_tpe_is_enough(loaded: Loaded) -> None:
    assert loaded(SMALL.replace("trials: 2", "trials: 1, sampler: tpe")).suite.search.trials == 1


def test_same_name_twice_where_tables_can_tell_them_apart(loaded: Loaded) -> None:
    suite = loaded(
        """\
name: apart
datasets: [near, {name: near, label: near again, options: {size: 64}}]
backbones: [r, {name: r, weights: random}, {name: r, pretrain: {dataset: source}}]
strategies: [freeze, {freeze: {upto: 1}}, {freeze: {upto: 1.0}}]
"""
    ).suite
    assert len(suite.strategies) == 3


def test_loading_needs_no_heavy_library() -> None:
    code = "import sys, bench.suite.load; print(sorted({'torch', 'pandas', 'numpy', 'timm'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
