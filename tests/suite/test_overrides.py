"""`--set`: one value replaced before the suite is checked, and what is said when that goes wrong."""

import pytest

from bench.suite.overrides import parse_loc

from .conftest import SMALL, Loaded, Refused


def test_values_are_yaml(loaded: Loaded) -> None:
    suite = loaded(
        SMALL,
        "training.steps=50",
        "search.trials=4",
        "search.lr=[1e-3, 1]",
        "datasets[0].labels_per_class=[5]",
        "training.augment.flip=true",
        "description=a = b",
        "strategies[1].options.upto=2",
    ).suite
    assert (suite.training.steps, suite.search.trials, suite.training.augment.flip) == (50, 4, True)
    assert suite.search.lr is not None
    assert suite.search.lr.low == 0.001
    assert suite.datasets[0].labels_per_class == (5,)
    assert suite.description == "a = b"
    assert suite.strategies[1].options == {"upto": 2}


def test_short_forms_and_later_overrides_of_them(loaded: Loaded) -> None:
    suite = loaded(SMALL, "strategies=[scratch, lora]", "strategies[1].options.rank=4", "backbones[0]=b").suite
    assert [s.name for s in suite.strategies] == ["scratch", "lora"]
    assert suite.strategies[1].options == {"rank": 4}
    assert suite.backbones[0].name == "b"


def test_the_last_of_two_wins_and_nothing_is_the_default(loaded: Loaded) -> None:
    assert loaded(SMALL, "repeats=2", "repeats=3").suite.repeats == 3
    assert loaded(SMALL, "search.trials=").suite.search.trials == 8


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "training.stps=50",
            "--set training.stps=50: unknown key 'stps'; did you mean 'steps'? Known: augment, batch_size, epochs, "
            "evaluations, flops, label_smoothing, momentum, optimizer, schedule, steps, warmup, weight_decay",
        ),
        ("training.steps=x", "--set training.steps=x: expected a whole number above 0, got 'x' (text)"),
        ("repeats", "--set repeats: expected KEY=VALUE, such as training.steps=50 or strategies[0]=scratch"),
        ("=5", "--set =5: expected KEY=VALUE, such as training.steps=50 or strategies[0]=scratch"),
        ("a..b=5", "--set a..b=5: expected KEY=VALUE, such as training.steps=50 or strategies[0]=scratch"),
        ("datasets[2].name=x", "--set datasets[2].name=x: datasets has 2 entries, so there is no [2]"),
        ("search[0]=x", "--set search[0]=x: search is not a list, so there is no [0]"),
        ("name.x=1", "--set name.x=1: name has no keys, so there is no 'x' in it"),
        ("repeats=[5", "--set repeats=[5: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("repeats=!x 5", "--set repeats=!x 5: a suite uses no YAML tags, got '!x'"),
        ("strategies[1].name=", "--set strategies[1].name=: missing; expected text of 1 to 300 characters"),
        (
            "strategies=[scratch, {lora: {rank: .nan}}]",
            "--set strategies=[scratch, {lora: {rank: .nan}}]: strategies[1].options.rank: expected a finite number, "
            "got nan",
        ),
        (
            "strategies[1]=scratch",
            "--set strategies[1]=scratch: 'scratch' stands twice, first as strategies[0] at suites/x.yaml:7:5; "
            "drop one, or give it other options or another name",
        ),
    ],
)
def test_one_line_named_after_the_override(refused: Refused, override: str, line: str) -> None:
    assert refused(SMALL, override) == [line]


def test_problems_of_the_file_come_first(refused: Refused) -> None:
    lines = refused(SMALL + "repeats: 0\n", "zzz=1", "search.trials=0")
    assert [line.split(":")[0] for line in lines] == ["suites/x.yaml", "--set search.trials=0", "--set zzz=1"]


@pytest.mark.parametrize(
    ("path", "loc"),
    [
        ("repeats", ("repeats",)),
        ("datasets[0].labels_per_class[1]", ("datasets", 0, "labels_per_class", 1)),
        ("strategies[0].recipe.phases[0].rates.-1", ("strategies", 0, "recipe", "phases", 0, "rates", "-1")),
        ("", ()),
        (".a", ()),
        ("a.", ()),
        ("a[x]", ()),
        ("a[0]b", ()),
        ("a b", ()),
        (".".join(["a"] * 5000), ()),
    ],
)
def test_paths(path: str, loc: tuple[str | int, ...]) -> None:
    assert parse_loc(path) == loc
