"""Files of published values: what they come to, every message, and the ones that ship."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.report.yosinski_2014 import RANDOM
from bench.suite.load import load_suite
from bench.suite.references import Reference, ReferenceFile, load_references

from .conftest import SMALL

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "suites" / "references"
COUNTS = {"augreg": 4, "bit": 12, "simclr": 60, "tllib": 204, "vtab": 304, "yosinski": 58}  # so that none is lost

FILE = """\
source: Somebody 2020
address: made up
tables:
  - table: "3"
    checked: text
    backbone: [net, "other*"]
    protocol: {steps: 100, metric: accuracy, notes: [One.]}
    columns:
      - {dataset: near, labels_per_class: 5}
      - {dataset: far, fraction: 0.15, protocol: {steps: 200, notes: [Two.]}}
    rows:
      - {strategy: scratch, called: none, protocol: {pretraining: none, steps: 400}, values: [10, 20.5]}
      - {strategy: "freeze*", values: [30, 40]}
"""


def read(text: str, folder: Path) -> ReferenceFile:
    path = folder / "refs.yaml"
    path.write_text(text, encoding="utf-8")
    return load_references(path, "refs.yaml")


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def lines(text: str) -> list[str]:
        with pytest.raises(SuiteError) as caught:
            read(text, Path())
        return list(caught.value.problems)

    return lines


def test_a_table_comes_to_its_values(tmp_path: Path) -> None:
    found = read(FILE, tmp_path).values
    assert [(one.dataset, one.labels, one.strategy, one.value) for one in found] == [
        (("near",), "5", ("scratch",), 10), (("far",), "15%", ("scratch",), 20.5),
        (("near",), "5", ("freeze*",), 30), (("far",), "15%", ("freeze*",), 40),
    ]  # fmt: skip
    assert {one.backbone for one in found} == {("net", "other*")}
    assert {(one.source, one.table, one.checked) for one in found} == {("Somebody 2020", "3", "text")}
    assert [one.called for one in found] == ["none", "none", "", ""]


def test_a_row_goes_before_its_column_and_a_column_before_its_table(tmp_path: Path) -> None:
    found = [one.protocol for one in read(FILE, tmp_path).values]
    assert [one.steps for one in found] == [400, 400, 100, 200]
    assert [one.pretraining for one in found] == ["none", "none", None, None]
    assert {one.metric for one in found} == {"accuracy"}
    assert [one.notes for one in found] == [("One.",), ("One.", "Two.")] * 2


WRONG = {
    "values: [30, 40]": {
        "values: [30]": "13:39: tables[0].rows[1].values: expected 2, one for each column, got 1",
        "values: [30, 101]": "13:44: tables[0].rows[1].values[1]: expected a finite number at least 0 and at most 100, "
        "got 101",
        "values: [30, .nan]": "13:44: tables[0].rows[1].values[1]: expected a finite number at least 0 and at most "
        "100, got nan",
        "value: [30, 40]": "13:31: tables[0].rows[1]: unknown key 'value'; did you mean 'values' or 'called'? Known: "
        "backbone, called, dataset, fraction, keep, labels_per_class, pair, protocol, strategy, total, treatment, "
        "values",
        "backbone: net, values: [30, 40]": "13:9: tables[0].rows[1]: backbone: said twice, by two of table, column and "
        "row",
        "labels_per_class: 3, values: [30, 40]": "13:9: tables[0].rows[1]: labels: said twice, by two of table, column "
        "and row",
        "pair: split*, values: [30, 40]": [
            "13:9: tables[0].rows[1]: a value of a study needs a pair and a treatment",
            "13:9: tables[0].rows[1]: a value is of a strategy, or of a pair and a treatment in a study: say one of "
            "them",
        ],
    },
    "{dataset: near, labels_per_class: 5}": {
        "{labels_per_class: 5}": "dataset: said nowhere, neither by the table nor by a column nor by this row",
        "{dataset: near}": "labels: said nowhere, neither by the table nor by a column nor by this row",
        "{dataset: near, labels_per_class: 5, total: 50}": "labels: give one of labels_per_class, fraction and total",
        "{dataset: near, labels_per_class: few}": "9:43: tables[0].columns[0].labels_per_class: expected a whole "
        "number above 0 or 'full', got 'few' (text)",
    },
    "checked: text": {
        "checked: memory": "5:14: tables[0].checked: expected 'source', 'text' or 'logs', got 'memory' (text)",
        "note: x": [
            "4:5: tables[0].checked: missing; expected 'source', 'text' or 'logs'",
            "5:5: tables[0]: unknown key 'note'; known: backbone, checked, columns, dataset, fraction, keep, "
            "labels_per_class, pair, protocol, rows, strategy, table, total, treatment",
        ],
    },
    "source: Somebody 2020": {
        "sauce: x": "1:1: unknown key 'sauce'; did you mean 'source'? Known: address, source, tables",
        "source:": "1:1: source: missing; expected text of 1 to 300 characters",
    },
    "metric: accuracy": {
        "metric: mcc2": "7:36: tables[0].protocol.metric: expected 'accuracy', 'mean_per_class', 'macro_f1' or 'mcc', "
        "got 'mcc2' (text); did you mean 'mcc'?",
    },
    FILE: {
        "": "1:1: the file is empty; a file of published values is a mapping with source, address and tables",
        "[]": "1:1: a file of published values is a mapping with source, address and tables, got an empty list",
        "a: [": "1:5: not valid YAML: expected the node content, but found '<stream end>'; the '[' at refs.yaml:1:5 "
                "may not be closed",
    },
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, found in WRONG.items() for new in found])
def test_one_mistake_and_its_message(problems, old: str, new: str) -> None:
    expected = WRONG[old][new]
    lines = problems(FILE.replace(old, new, 1) if old != FILE else new)
    wanted = expected if isinstance(expected, list) else [expected]
    assert {next((end for end in wanted if line.endswith(end)), line) for line in lines} == set(wanted)
    assert all(line.startswith("refs.yaml:") for line in lines)


def suite_with(folder: Path, *names: str, text: str | None = FILE) -> Path:
    path = folder / "suites" / "x.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{SMALL}references: [{', '.join(names)}]\n")
    if text is not None:
        (path.parent / "refs.yaml").write_text(text)
    return path


def test_a_suite_names_files_beside_itself(tmp_path: Path) -> None:
    (found,) = load_suite(suite_with(tmp_path, "refs.yaml")).references
    assert (found.name, found.source, len(found.values), found.text) == ("refs.yaml", "Somebody 2020", 4, FILE)


def test_known_texts_are_not_read_again(tmp_path: Path) -> None:
    path = suite_with(tmp_path, "refs.yaml", text=None)
    (found,) = load_suite(path, named={"refs.yaml": FILE}).references
    assert len(found.values) == 4


def test_a_file_that_is_not_there_and_one_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    suite_with(tmp_path, "rafs.yaml", "refs.yaml", text=FILE.replace("[30, 40]", "[30]"))
    with pytest.raises(SuiteError) as caught:
        load_suite(Path("suites/x.yaml"))
    assert caught.value.problems == (
        "suites/x.yaml:10:14: references[0]: suites/rafs.yaml: no such file; did you mean suites/refs.yaml?",
        "suites/x.yaml:10:25: references[1]: suites/refs.yaml:13:39: tables[0].rows[1].values: expected 2, one for "
        "each column, got 1",
    )


def shipped(name: str) -> tuple[Reference, ...]:
    return load_references(SHIPPED / f"{name}.yaml", name).values


def test_no_file_and_no_value_is_lost() -> None:
    assert {path.stem: len(shipped(path.stem)) for path in sorted(SHIPPED.iterdir())} == COUNTS


@pytest.mark.parametrize("name", COUNTS)
def test_every_shipped_value_can_be_traced(name: str) -> None:
    file = load_references(SHIPPED / f"{name}.yaml", name)
    assert file.source
    assert "github.com" in file.address or "arXiv:" in file.address
    for one in file.values:
        assert 0 <= one.value <= 100
        assert one.table
        assert one.checked in ("source", "text", "logs")
        assert one.protocol.metric or one.protocol.notes or name == "tllib"
    told = {(one.dataset, one.labels, one.backbone, one.strategy, one.treatment, one.keep, one.table, one.called)
            for one in file.values}  # fmt: skip
    assert len(told) == len(file.values)  # no value stands twice


def value(name: str, dataset: str, labels: str, called: str, **more: object) -> float:
    (found,) = [one for one in shipped(name)
                if dataset in one.dataset and one.labels == labels and one.called == called
                and all(getattr(one, key) == wanted for key, wanted in more.items())]  # fmt: skip
    return found.value


def test_values_as_they_are_printed() -> None:
    """Typed anew from the sources."""
    assert value("vtab", "cifar100", "total 1000", "From-Scratch") == 13.17
    assert value("vtab", "pets", "total 1000", "Sup-100%") == 89.87
    assert value("vtab", "*norb*elev*", "total 1000", "Sup-100%") == 35.44
    assert value("tllib", "aircraft", "15%", "ERM", backbone=("*moco_v1*",)) == 45.8
    assert value("tllib", "cifar100", "4", "ERM", backbone=("*moco_v2*",)) == 50.8
    assert value("simclr", "caltech101", "full", "random init") == 72.6
    assert value("bit", "cifar10", "1", "BiT-M-R50x1") == 57.9
    assert value("augreg", "flowers102", "full", "mean of five") == 99.43
    assert value("yosinski", "*imagenet*", "full", "", treatment="AnB", keep=7) == 54.25


def test_means_of_the_leaderboard_follow_from_its_values() -> None:
    """Of all nineteen tasks, as the benchmark's page has them: a value in the wrong column would move no other mean."""
    rows = {called: [one.value for one in shipped("vtab") if one.called == called and one.labels == "total 1000"]
            for called in ("From-Scratch", "Sup-100%", "Sup-Rotation-100%", "VAE")}  # fmt: skip
    assert {called: round(sum(found) / 19, 1) for called, found in rows.items()} == {
        "From-Scratch": 43.1, "Sup-100%": 66.4, "Sup-Rotation-100%": 68.0, "VAE": 38.2,
    }  # fmt: skip


def test_every_task_of_our_vtab_has_its_values() -> None:
    found = load_suite(ROOT / "suites" / "vtab_1k.yaml")
    assert [file.name for file in found.references] == ["references/vtab.yaml"]
    for spec in found.suite.datasets:
        told = [one.strategy for one in found.references[0].values
                if spec.name in one.dataset and one.labels == f"total {spec.total[0]}"
                and any(fnmatchcase("resnet50.a1_in1k", pattern) for pattern in one.backbone)]  # fmt: skip
        assert told == [("scratch",), ("full_finetune",)], spec.name


def test_the_figures_of_a_study_and_the_file_agree() -> None:
    random = [one.value for one in shipped("yosinski") if "random" in str(one.strategy)]
    assert random == RANDOM
