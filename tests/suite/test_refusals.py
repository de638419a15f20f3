"""Every message of the door, triggered. Whole lines: where, which part, what was expected, what came."""

from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite.load import load_suite

from .conftest import SMALL, Loaded, Refused

# Appended to SMALL, whose last line is 9; the line that must come out.
APPENDED = {
    "repeats: '20'": "10:10: repeats: expected a whole number above 0, got '20' (text)",
    "repeats: 0": "10:10: repeats: expected a whole number above 0, got 0",
    "repeats: 2.5": "10:10: repeats: expected a whole number above 0, got 2.5",
    "repeats: true": "10:10: repeats: expected a whole number above 0, got true",
    "repeats: .inf": "10:10: repeats: expected a whole number above 0, got inf",
    "repeats: [1]": "10:10: repeats: expected a whole number above 0, got a list of 1",
    "seed: {a: 1, b: 2}": "10:7: seed: expected a whole number, got a mapping with a, b",
    "seed: 99999999999999999999": "10:7: seed: a whole number beyond 64 bits: 99999999999999999999",
    "seed: 1e60": f"10:7: seed: expected a whole number, got {1e60}",
    "description: 5": "10:14: description: expected text, got 5",
    "training: fast": "10:11: training: expected a mapping with steps, epochs, flops, batch_size, optimizer, momentum, "
    "weight_decay, schedule, warmup, label_smoothing, augment, evaluations, got 'fast' (text)",
    "training: {momentum: 1}": "10:22: training.momentum: expected a finite number at least 0 and below 1, got 1",
    "training: {momentum: .nan}": "10:22: training.momentum: expected a finite number at least 0 and below 1, got nan",
    "training: {weight_decay: -1}": "10:26: training.weight_decay: expected a finite number at least 0, got -1",
    "training: {weight_decay: .inf}": "10:26: training.weight_decay: expected a finite number at least 0, got inf",
    "training: {weight_decay: 1e999}": "10:26: training.weight_decay: expected a finite number at least 0, got inf",
    "training: {steps: 5, epochs: 5}": "10:11: training: give either steps or epochs, not both",
    "training: {optimizer: adam}": "10:23: training.optimizer: expected 'auto', 'sgd' or 'adamw', got 'adam' (text); "
    "did you mean 'adamw'?",
    "training: {optimizer: 5}": "10:23: training.optimizer: expected 'auto', 'sgd' or 'adamw', got 5",
    "training:\n  augment:\n    flip: no": "12:11: training.augment.flip: expected true or false, got 'no' (text); "
    "write false",
    "training: {augment: {flip: 1}}": "10:28: training.augment.flip: expected true or false, got 1",
    "training: {stps: 5}": "10:12: training: unknown key 'stps'; did you mean 'steps'? Known: augment, batch_size, "
    "epochs, evaluations, flops, label_smoothing, momentum, optimizer, schedule, steps, warmup, weight_decay",
    "sead:": "10:1: unknown key 'sead'; did you mean 'seed' or 'head' or 'search'? Known: backbones, claims, "
    "datasets, decision, description, engine, gate, head, max_runs, name, pitfalls, records, references, repeats, "
    "search, seed, strategies, training, transferability, verdicts",
    "engine: {precision: bf8}": "10:21: engine.precision: expected 'auto', 'fp32' or 'bf16', got 'bf8' (text); "
    "did you mean 'bf16'?",
    "zzz: 1": "10:1: unknown key 'zzz'; known: backbones, claims, datasets, decision, description, engine, gate, head, "
    "max_runs, name, pitfalls, records, references, repeats, search, seed, strategies, training, transferability, "
    "verdicts",
    "? [a, b]\n: 1": "10:3: a key must be plain text",
    "description: !!python/name:os.system x": "10:14: description: a suite uses no YAML tags, got "
    "'tag:yaml.org,2002:python/name:os.system'",
    "description: !secret x": "10:14: description: a suite uses no YAML tags, got '!secret'",
    "description: *nobody": "10:14: alias *nobody has no anchor before it",
    "description: &d [*d]": "10:18: alias *d has no anchor before it",
    "---\nname: b": "10:1: a second document starts here; a suite is one document in one file",
    'description: "\\ud800"': "10:14: description: half of a surrogate pair, which no file can hold",
    "name: again": "10:1: key 'name' stands twice, first at suites/x.yaml:1:1",
    "\tname: x": "10:1: not valid YAML: a tab; YAML is indented by spaces alone",
    "repeats: [5": "11:1: not valid YAML: expected ',' or ']', but got '<stream end>'; the '[' at "
    "suites/x.yaml:10:10 may not be closed",
    "description: a\x07b": "10:15: not valid YAML: a character that YAML does not allow",
    f"description: {'[' * 41}{']' * 41}": "10:53: nested more than 40 deep",
}

# `search: {trials: 2}` of SMALL replaced, on line 9.
SEARCH = {
    "{pruner: halving}": "9:9: search: a bracket cannot be halved, because it places its points by final scores: "
    "choose `sampler: grid`, `tpe` or `random`",
    "{lr: fast}": "9:14: search.lr: expected a range [low, high] of finite numbers above 0, got 'fast' (text)",
    "{lr: 0.1}": "9:14: search.lr: expected a range [low, high] of finite numbers above 0, got 0.1",
    "{lr: [-1, 1]}": "9:15: search.lr.low: expected a finite number above 0, got -1",
    "{lr: [0.1, .inf]}": "9:20: search.lr.high: expected a finite number above 0, got inf",
    "{lr: [.nan, 1]}": "9:15: search.lr.low: expected a finite number above 0, got nan",
    "{lr: [1, 0.1]}": "9:14: search.lr: low must be below high, got [1, 0.1]",
    "{lr: [1, 1]}": "9:14: search.lr: low must be below high, got [1, 1]",
    "{lr: [1, 2, 3]}": "9:14: search.lr: expected two numbers, [low, high], got a list of 3",
    "{validation: loo}": "9:22: search.validation: expected 'auto', 'holdout' or a mapping with folds, "
    "got 'loo' (text)",
    "{validation: [3]}": "9:22: search.validation: expected 'auto', 'holdout' or a mapping with folds, got a list of 1",
    "{validation: {folds: 1}}": "9:30: search.validation.folds: expected a whole number at least 2 and at most 20, "
    "got 1",
    "{validation: {fold: 3}}": "9:23: search.validation: unknown key 'fold'; did you mean 'folds'? Known: folds",
    "{validation: {}}": "9:22: search.validation.folds: missing; expected a whole number at least 2 and at most 20",
    "{validation: {FoldsSpec: 3, folds: 3}}": "9:23: search.validation: unknown key 'FoldsSpec'; did you mean 'folds'? "
    "Known: folds",
    "{holdout: 0}": "9:19: search.holdout: expected a finite number above 0 and below 1, got 0",
}

# `- scratch` of SMALL replaced, on line 7.
STRATEGIES = {
    "5": "7:5: strategies[0]: expected a strategy: its name, {name: {option: value}} or {recipe: {...}}, got 5",
    "''": "7:5: strategies[0].name: expected text of 1 to 300 characters, got '' (text)",
    "{nmae: scratch}": "7:6: strategies[0]: unknown key 'nmae'; did you mean 'name'? Known: head, name, options, "
    "recipe, stop_early",
    "{freeze: all}": "7:14: strategies[0].options: expected a mapping, got 'all' (text)",
    "{name: scratch, extra: 1}": "7:21: strategies[0]: unknown key 'extra'; known: head, name, options, recipe, "
    "stop_early",
    "{lora: {rank: .inf}}": "7:19: strategies[0].options.rank: expected a finite number, got inf",
    "{lora: {on: [1, .nan]}}": "7:21: strategies[0].options.on[1]: expected a finite number, got nan",
    "{lora: {}, stop_early: 0}": "7:28: strategies[0].stop_early.moments: expected a whole number at least 1 "
    "and at most 100, got 0",
    "{lora: {}, stop_early: {moments: 5, by: luck}}": "7:45: strategies[0].stop_early.by: expected 'loss' or "
    "'accuracy', got 'luck' (text)",
    "{name: recipe}": "7:5: strategies[0]: a strategy is written inline under `recipe`, and then its name is 'recipe'",
    "{recipe: a}": "7:14: strategies[0].recipe: expected a mapping with name, init, reinit, phases, anneal, "
    "rate_scale, tensors, statistics, schedule, length, decays, average, stop_early, axis, got 'a' (text)",
    "{recipe: {name: a}}": "7:14: strategies[0].recipe.phases: missing; expected a list with at least one entry, "
    "each a mapping with share, rates",
    "{recipe: {name: a, phases: []}}": "7:32: strategies[0].recipe.phases: expected a list with at least one entry, "
    "each a mapping with share, rates, got an empty list",
    "{recipe: {name: a, phases: [{rates: {head: -1}}]}}": "7:48: strategies[0].recipe.phases[0].rates.head: expected "
    "a finite number at least 0, got -1",
    "{recipe: {name: a, phases: [{rates: {head: 1}}, {rates: {rest: 1}}]}}": "7:14: strategies[0].recipe: the phases' "
    "shares must add up to 1, got 2",
    "{recipe: {name: a, phases: [{rates: {head: 0, rest: 0}}]}}": "7:14: strategies[0].recipe: every rate of every "
    "phase is 0: a recipe that freezes everything trains nothing",
    "{recipe: {name: a, phases: [{rates: {}}]}}": "7:14: strategies[0].recipe: every rate of every "
    "phase is 0: a recipe that freezes everything trains nothing",
    "{name: recipe, options: {a: 1}, recipe: {name: a, phases: [{rates: {rest: 1}}]}}": "7:5: strategies[0]: "
    "an inline recipe takes no options; `stop_early` stands inside it",
    "{freeze: {upto: all}}": "8:5: strategies[1]: 'freeze(upto=\"all\")' stands twice, first as strategies[0] at "
    "suites/x.yaml:7:5; drop one, or give it other options or another name",
}

# `- near` of SMALL replaced, on line 3.
DATASETS = {
    "digits": "4:5: datasets[1]: 'digits' stands twice, first as datasets[0] at suites/x.yaml:3:5; "
    "give one of them another `label`",
    "{name: near, labels_per_class: few}": "3:36: datasets[0].labels_per_class[0]: expected a whole number above 0 or "
    "'full', got 'few' (text)",
    "{name: near, labels_per_class: ful}": "3:36: datasets[0].labels_per_class[0]: expected a whole number above 0 or "
    "'full', got 'ful' (text); did you mean 'full'?",
    "{name: near, labels_per_class: [5, 5.0]}": "3:40: datasets[0].labels_per_class[1]: 5 stands twice, first at "
    "suites/x.yaml:3:37",
    "{name: near, fraction: [0.1, 2]}": "3:34: datasets[0].fraction[1]: expected a finite number above 0 and at most "
    "1, got 2",
    "{labels_per_class: 5}": "3:5: datasets[0].name: missing; expected text of 1 to 300 characters",
    "[near]": "3:5: datasets[0]: expected a dataset: its name, or {name: ..., labels_per_class: [...]}, "
    "got a list of 1",
    "": "3:4: datasets[0]: expected a dataset: its name, or {name: ..., labels_per_class: [...]}, got nothing",
}

# `[resnet18.a1_in1k]` of SMALL replaced, on line 5.
BACKBONES = {
    "[r, r]": "5:16: backbones[1]: 'r' stands twice, first as backbones[0] at suites/x.yaml:5:13; "
    "give one of them another `label`",
    "[]": "5:12: backbones: expected a list with at least one entry, each a backbone: its name, or {name: ..., "
    "pretrain: ...}, got an empty list",
    "{name: r}": "5:12: backbones: expected a list with at least one entry, each a backbone: its name, or "
    "{name: ..., pretrain: ...}, got a mapping with name",
    "": "5:1: backbones: missing; expected a list with at least one entry, each a backbone: its name, or "
    "{name: ..., pretrain: ...}",
    "[{name: r, weights: hub, pretrain: {dataset: near}}]": "5:13: backbones[0]: give either weights or pretrain, "
    "not both",
    "[{name: r, pretrain: {dataset: near, lr: fast}}]": "5:53: backbones[0].pretrain.lr: expected a finite number "
    "above 0, got 'fast' (text)",
    "[{name: r, mean: [0.5, 0.5]}]": "5:29: backbones[0].mean: expected a list of 3, each a finite number at least 0, "
    "got a list of 2",
}

REPLACED = [
    *((SMALL + text + "\n", line) for text, line in APPENDED.items()),
    *((SMALL.replace("{trials: 2}", text), line) for text, line in SEARCH.items()),
    *((SMALL.replace("- scratch", f"- {text}"), line) for text, line in STRATEGIES.items()),
    *((SMALL.replace("- near", f"- {text}".rstrip()), line) for text, line in DATASETS.items()),
    *((SMALL.replace("[resnet18.a1_in1k]", text), line) for text, line in BACKBONES.items()),
    (
        SMALL.replace("name: small", "name: ../up"),
        "1:7: name: expected letters, digits, '_', '.' and '-', 100 at most, "
        "a letter or digit first, got '../up' (text)",
    ),
    (
        SMALL.replace("name: small\n", ""),
        "1:1: name: missing; expected letters, digits, '_', '.' and '-', 100 at most, a letter or digit first",
    ),
    ("", "1:1: the file is empty; a suite is a mapping with name, datasets, backbones and strategies"),
    ("# nothing yet\n", "1:1: the file is empty; a suite is a mapping with name, datasets, backbones and strategies"),
    ("- near\n", "1:1: a suite is a mapping with name, datasets, backbones and strategies, got a list of 1"),
    ("near\n", "1:1: a suite is a mapping with name, datasets, backbones and strategies, got 'near' (text)"),
]


@pytest.mark.parametrize(("text", "line"), REPLACED, ids=[line for _, line in REPLACED])
def test_one_mistake_one_line(refused: Refused, text: str, line: str) -> None:
    assert refused(text) == [f"suites/x.yaml:{line}"]


@pytest.mark.parametrize("name", ["CON", "nul", "com1.night", "Lpt9", "small."])
def test_a_name_that_no_folder_of_windows_can_have(refused: Refused, name: str) -> None:
    (line,) = refused(SMALL.replace("name: small", f"name: {name}"))
    assert line == f"suites/x.yaml:1:7: name: no folder can be called {name!r} on Windows; choose another name"


@pytest.mark.parametrize("name", ["console", "nul1", "com10", "a.con", "v1.2"])
def test_names_that_only_look_like_it(loaded: Loaded, name: str) -> None:
    assert loaded(SMALL.replace("name: small", f"name: {name}")).suite.name == name


def test_all_mistakes_at_once_in_the_order_of_the_file(refused: Refused) -> None:
    text = """\
name: three
datasets: [near, near]
backbones: [r]
strategies: [scratch, 5]
serach: {trials: 2}
training: {steps: many}
repeats: 2
repeats: 3
"""
    lines = refused(text, "training.stps=3")
    assert [line.split(": ")[0] for line in lines] == [
        "suites/x.yaml:2:18",
        "suites/x.yaml:4:23",
        "suites/x.yaml:5:1",
        "suites/x.yaml:6:19",
        "suites/x.yaml:8:1",
        "--set training.stps=3",
    ]
    assert "did you mean 'search'?" in lines[2]


def test_a_misspelt_key_is_not_missing_too(refused: Refused) -> None:
    [line] = refused(SMALL.replace("datasets:", "dataset:"))
    assert line.startswith("suites/x.yaml:2:1: unknown key 'dataset'; did you mean 'datasets'")


def test_alias_bomb(refused: Refused) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    [line] = refused("\n".join(rows))
    assert line.endswith(": over 100,000 values, aliases expanded; a suite is a page of YAML")
    assert line.startswith("suites/x.yaml:6:")


def test_deep_by_alias(refused: Refused) -> None:
    rows = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60))]
    [line] = refused("\n".join(rows))
    assert line == "suites/x.yaml:39:12: nested more than 40 deep"


def test_too_large(in_tmp: Path) -> None:
    in_tmp.write_bytes(b"# " + b"x" * (1 << 20))
    with pytest.raises(SuiteError, match=r"^suites/x.yaml: over 1 MiB; a suite is a page of YAML: a suite is"):
        load_suite(in_tmp)


def test_not_text(in_tmp: Path) -> None:
    in_tmp.write_bytes(b"name: \xff\xfe")
    with pytest.raises(SuiteError, match=r"^suites/x.yaml: not UTF-8 text \(byte 6\); a suite is a mapping"):
        load_suite(in_tmp)


def test_missing_file_names_the_nearest(in_tmp: Path) -> None:
    Path("suites/quickstart.yaml").write_text(SMALL)
    Path("suites/nightly.yaml").write_text(SMALL)
    for typed in ("suites/quikstart.yaml", "quikstart", "elsewhere/quickstart.yaml"):
        with pytest.raises(SuiteError) as caught:
            load_suite(Path(typed))
        (problem,) = caught.value.problems
        assert problem.startswith(f"{typed}: no such file; did you mean suites/quickstart.yaml")
    with pytest.raises(SuiteError) as caught:
        load_suite(Path("zzz"))
    assert str(caught.value) == "zzz: no such file. Suites here: suites/nightly.yaml, suites/quickstart.yaml"


def test_a_folder_and_an_impossible_path(in_tmp: Path) -> None:
    with pytest.raises(SuiteError, match=r"^suites: a folder, not a suite file$"):
        load_suite(Path("suites"))
    with pytest.raises(SuiteError, match=r"^a\\x00b: no such file"):
        load_suite(Path("a\0b"))


def test_an_unreadable_file(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read everything, so the refusal is played."""
    in_tmp.write_text(SMALL)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SuiteError, match=r"^suites/x.yaml: cannot be read: Permission denied$"):
        load_suite(in_tmp)


def test_long_and_unprintable_values_stay_on_one_short_line(refused: Refused) -> None:
    [line] = refused(SMALL + 'repeats: "' + "x" * 5000 + '"\n')
    assert len(line) < 200
    [line] = refused(SMALL + 'repeats: "a\\nb\\e[31m\\u202e"\n')
    assert line.endswith(r"got 'a\nb\x1b[31m\u202e' (text)")
    [line] = refused(SMALL + '"\\e' + "k" * 500 + '": 1\n')
    assert line.isprintable()
    assert len(line) < 300
