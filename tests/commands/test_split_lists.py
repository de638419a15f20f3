"""A suite that names a list of its examples: what was exported reads back as it was drawn, and what does not fit is
refused by file and line."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.join import collect
from bench.commands.suites import Folders, plan_from_file, recalled
from bench.datasets import DATASETS
from bench.engine.jobs.perform import perform
from bench.errors import SuiteError
from bench.execute.ingest import whole
from bench.planning.exams import examine
from bench.planning.lists import refuse_lists_of_other_data
from bench.store import Store
from tests.datasets.pictured import COLOURS, class_folders
from tests.engine import toys

SUITE = """\
name: NAME
datasets: [{name: digits, WHICH}]
backbones: [{name: small_resnet, options: {width: 4}, pretrain: {dataset: near, epochs: 1, options: TINY}}]
strategies: [scratch, ridge_probe, soup]
training: {steps: 2}
search: {scope: SCOPE, trials: 2, VALIDATION}
repeats: 2
""".replace("TINY", "{train_per_class: 4, test_per_class: 2}")
FOLDS = "validation: {folds: 2}"
LIST = Path("suites/lists/digits.csv")
FOLDERS = Folders(Path("results"), Path("reports"))


def planned(name, which, validation=FOLDS, scope="repeat"):
    path = Path(f"suites/{name}.yaml")
    text = SUITE.replace("NAME", name).replace("WHICH", which)
    path.write_text(text.replace("VALIDATION", validation).replace("SCOPE", scope))
    return plan_from_file(path, (), FOLDERS)


def exported(bench, to="csv", **how):
    """The plan of a suite that draws its examples, and the list of these, beside the suite."""
    plan = planned("drawn", "labels_per_class: [4, 8]", **how)
    LIST.parent.mkdir(exist_ok=True)
    (path,) = bench("splits", "export", "suites/drawn.yaml", "out", "--to", to, "--json").json
    shutil.copy(path, LIST)
    return plan


def done(plan, place):
    context = toys.context(place, lists=plan.lists, sources={key: one.options for key, one in plan.sources.items()})
    assert all(perform(job, context) for job in plan.jobs.values())
    return context


def numbers(plan, context):
    """What every trial and every final came to, by cell and repeat; keys and times aside."""
    found = {}
    for cell in plan.cells:
        for repeat, (search, final) in enumerate(zip(cell.searches, cell.finals, strict=True)):
            keys = [*plan.jobs[search].record_keys, final]
            records = [context.store.read(key) for key in keys]
            assert [one.status for one in records] == ["ok"] * 3
            found[cell.budget.text, cell.strategy, repeat] = [
                {key: value for key, value in one.result.items() if key != "forecast"} for one in records
            ]
    return found


@pytest.mark.parametrize(("to", "validation", "is_pool"), [
    ("csv", FOLDS, True), ("json", "validation: holdout, holdout: 0.25", False),
])  # fmt: skip
def test_what_was_exported_trains_to_the_same_bits(bench, place, request, to, validation, is_pool):
    if is_pool:
        request.getfixturevalue("divided")
    drawn = exported(bench, to, validation=validation)
    listed = planned("listed", "splits: lists/digits.csv", validation=validation)
    assert bool(listed.cells[0].splits) is is_pool
    mine, theirs = (numbers(plan, done(plan, place / plan.loaded.suite.name)) for plan in (listed, drawn))
    assert len(mine) == 12
    assert mine == theirs
    keys = {key for plan in (listed, drawn) for cell in plan.cells for key in cell.finals}
    assert len(keys) == 24  # a list is named by what it says, not by how it came to be
    again = bench("splits", "export", "suites/listed.yaml", "again", "--json").json
    if to == "csv":
        assert Path(again[0]).read_text() == LIST.read_text()


def test_workers_follow_the_list_and_the_page_says_so(bench, place):
    exported(bench)
    planned("listed", "splits: lists/digits.csv, labels_per_class: 4")
    said = bench("run", "suites/listed.yaml", "--gpus", "0", "--filter", "strategy=ridge_probe")
    assert said.code == 0, said.err
    made = bench("winner", "listed", "--strategy", "ridge_probe", "--json").json
    assert (made["score"], made["other_answers"]) == (made["recorded_score"], 0)
    LIST.unlink()  # a page needs nothing but the results
    plan = recalled("listed", FOLDERS)
    roots = FOLDERS.roots("listed")
    results = collect(plan.select(["strategy=ridge_probe"]), roots.store, roots.shared)
    assert results.finals["score"].notna().all()
    shares = results.finals[["label_overlap", "test_overlap"]].drop_duplicates().to_numpy()
    taken = [set(one.train) for one in plan.cells[0].listed.repeats]
    assert shares.tolist() == [[len(taken[0] & taken[1]) / 40, 1.0]]
    (line,) = results.lists
    assert "lists/digits.csv" in line
    assert plan.cells[0].listed.digest[:12] in line
    assert f"Examples that were listed, not drawn: {line}" in Path("reports/listed.html").read_text()


def rows():
    return list(csv.DictReader(LIST.read_text().splitlines()))


def write(changed):
    with LIST.open("w", newline="") as file:
        out = csv.DictWriter(file, list(changed[0]))
        out.writeheader()
        out.writerows(changed)


def test_a_list_that_changed_has_other_keys_where_it_changed(bench, place):
    exported(bench)
    before = planned("listed", "splits: lists/digits.csv")
    shuffled = rows()[::-1]
    write(shuffled)
    assert planned("listed", "splits: lists/digits.csv").jobs.keys() == before.jobs.keys()
    # Of 4 labels per class, the first repeat's validation part gets another example.
    first = next(row for row in shuffled if (row["budget"], row["repeat"], row["fold"]) == ("4", "0", "0"))
    first["fold"] = "1"
    write(shuffled)
    after = planned("listed", "splits: lists/digits.csv")
    finals = {(cell.task, cell.strategy): cell.finals for cell in before.cells}
    for cell in after.cells:
        moved = [new != was for new, was in zip(cell.finals, finals[cell.task, cell.strategy], strict=True)]
        assert moved == [cell.budget.text == "4", False]


def test_what_a_list_leaves_open_is_drawn_as_ever(bench, place):
    drawn = exported(bench, scope="cell")
    kept = [{**row, "fold": ""} for row in rows() if row["part"] == "train" and row["repeat"] == "0"]
    write([{**row, "repeat": "", "sha256": ""} for row in kept])
    listed = planned("listed", "splits: lists/digits.csv", scope="cell")
    first, second = (plan.jobs[plan.cells[1].searches[0]].spec for plan in (listed, drawn))
    assert replace(first, listed=None) == second
    assert listed.cells[0].listed.test_overlap == listed.cells[0].listed.label_overlap == 1  # one for every repeat
    assert not listed.cells[0].splits
    refuse_lists_of_other_data(listed, whole(listed.sources, place))


def test_a_part_of_the_test_split_is_tested_on_and_nothing_else_learned(bench, place):
    exported(bench)
    write([row for row in rows() if row["part"] == "train" or int(row["index"]) < 50])
    plan = planned("listed", "splits: lists/digits.csv")
    context = toys.context(place / "r", lists=plan.lists)
    ref = plan.jobs[plan.cells[0].finals[0]].spec.data
    data, stored = context.data(ref), context.stored(ref)
    assert plan.facts_of(plan.cells[0]).num_test == len(data.test) == 50
    assert np.array_equal(data.test.labels.numpy(), stored.test.labels[:50])
    assert np.array_equal(data.train_labels, stored.train.labels)
    assert examine(plan, lambda ref: stored)  # exams divide it too


def at(number, **changes):
    def change(found):
        found[number].update(changes)
        return found

    return change


def without(**values):
    return lambda found: [row for row in found if any(row[name] != value for name, value in values.items())]


def doubled(found):
    return [found[0], *found]


def learned_and_tested(found):
    """Of the pool, so that one index can be both."""
    test = next(row for row in found if row["part"] == "test")
    for row in found:
        row["of"] = "pool"
    return [{**row, "index": test["index"]} if row is found[0] else row for row in found]


@pytest.mark.parametrize(("change", "said"), [
    (at(3, index="999999"), "digits.csv:5: budget '4', repeat 0: train example 999999, and 'train' of this data set"),
    (at(3, index="-1"), "digits.csv:5: index: expected a whole number from 0 on, got '-1'"),
    (doubled, "digits.csv:3: budget '4', repeat 0: train example"),
    (learned_and_tested, "test examples are labelled too"),
    (at(3, part="val"), "digits.csv:5: part 'val'; expected train or test"),
    (at(3, sha256="0" * 64), "digits.csv:5: another sha256 than the rows before"),
    (at(0, of="test"), "digits.csv:3: index of 'train', and the rows before are of 'test'"),
    (at(3, budget="few"), "label budget 'few'; expected"),
    (without(repeat="1"), "budget '4' has no list for repeat 1; the suite has 2 repeats"),
    (without(part="train", index="5"), "repeats differ in their number of labels (39, 40)"),
    (lambda found: [row for row in found if row["fold"] != "0"], "lists 20 labelled examples, and the budget is 40"),
    (lambda found: [{"index": "1"}], "digits.csv:1: expected the columns dataset,sha256,budget"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_when_a_suite_is_planned(bench, place, change, said):
    exported(bench)
    write(change(rows()))
    with pytest.raises(SuiteError) as error:
        planned("listed", "splits: lists/digits.csv")
    assert said in str(error.value)
    assert "suites/listed.yaml:2:" in str(error.value)


@pytest.mark.parametrize(("which", "said"), [
    ("splits: lists/digit.csv", "no such list here, nor beside the suite, nor in a data folder; did you mean"),
    ("splits: lists/digits.csv, total: 50", "no list for budget 'total 50'; it has '4', '8'"),
    ("splits: lists/digits.csv, test: {resplit: true}", "leave out `resplit: true`"),
])  # fmt: skip
def test_what_a_suite_asks_and_the_list_lacks(bench, place, which, said):
    exported(bench)
    with pytest.raises(SuiteError, match="datasets") as error:
        planned("listed", which)
    assert said in str(error.value)


def test_one_search_must_not_learn_what_another_repeat_is_tested_on(bench, place, divided):
    exported(bench)
    with pytest.raises(SuiteError, match="searches on the labels of repeat 0, and .* test examples of repeat 1"):
        planned("listed", "splits: lists/digits.csv", scope="cell")


@pytest.mark.parametrize(("change", "said"), [
    (lambda row: {**row, "sha256": "0" * 64}, "made for other data: sha256 000000000000, and this data set is"),
    (lambda row: {**row, "label": "9"}, "digits.csv:2: budget '4', repeat 0: train example"),
])  # fmt: skip
def test_a_list_of_other_data_is_refused_before_anything_trains(bench, place, change, said):
    exported(bench)
    write([change(row) for row in rows()])
    plan = planned("listed", "splits: lists/digits.csv")
    with pytest.raises(SuiteError) as error:
        refuse_lists_of_other_data(plan, whole(plan.sources, place))
    assert said in str(error.value)
    said_by_run = bench("run", "suites/listed.yaml", "--gpus", "0")
    assert said_by_run.code == 2
    assert said in said_by_run.err
    assert not Store(Path("results/listed")).scan()[0]


def test_a_quote_that_is_never_closed_is_a_mistake_of_the_list(bench, place):
    exported(bench)
    LIST.write_text(LIST.read_text().replace("\n", '\n"', 1) + "x" * 200_000)
    planned_badly("splits: lists/digits.csv, labels_per_class: 4", "lists/digits.csv:")


def test_a_share_of_the_labels_is_what_it_says(bench, place):
    exported(bench)
    LIST.write_text(re.sub("^([^,]*,[^,]*),4,", r"\1,50%,", LIST.read_text(), flags=re.MULTILINE))
    planned_badly("splits: lists/digits.csv, fraction: 0.5", "40 labelled examples, and the budget is 50% of 1000")


def planned_badly(which, said):
    with pytest.raises(SuiteError, match=re.escape(said)):
        planned("listed", which)


def test_json_is_checked_like_a_table(bench, place):
    exported(bench, "json")
    found = json.loads(LIST.read_text())
    found[0]["validation"][0].append(found[0]["validation"][1][0])
    LIST.write_text(json.dumps(found))
    with pytest.raises(SuiteError, match="is in folds 0 and 1"):
        planned("listed", "splits: lists/digits.csv")
    LIST.write_text(json.dumps({"train": [1]}))
    with pytest.raises(SuiteError, match="expected a list of objects as `splits export --to json` writes them"):
        planned("listed", "splits: lists/digits.csv")


def test_a_published_list_becomes_the_one_that_the_suite_names(bench, place):
    data = DATASETS["digits"].load(DATASETS["digits"].options())
    learned = [int(np.flatnonzero(data.train.labels == label)[n]) for n in range(4) for label in range(10)]
    Path("train.txt").write_text("".join(f"{index}\n" for index in learned[:30]))
    Path("val.txt").write_text("".join(f"{index}\n" for index in learned[30:]))
    suite = "suites/listed.yaml"
    Path(suite).write_text(SUITE.replace("NAME", "listed").replace("WHICH", "splits: lists/digits.csv")
                           .replace("VALIDATION", FOLDS).replace("SCOPE", "repeat"))  # fmt: skip
    said = bench("splits", "import", suite, "train=train.txt", "val=val.txt", "--json")
    assert said.json == {"path": str(LIST), "budget": "4", "train": 30, "validation": 10, "test": 0}
    plan = plan_from_file(Path(suite), (), FOLDERS)
    final, search = (plan.jobs[keys[1]].spec for keys in (plan.cells[0].finals, plan.cells[0].searches))
    assert list(plan.lists.labels[final.listed].train) == sorted(learned)
    assert (search.search.folds, search.search.holdout) == (0, 0.25)
    assert bench("splits", "import", suite, "train=train.txt", "val=val.txt").code == 0  # the same once more
    assert "is in the way" in bench("splits", "import", suite, "train=train.txt").error
    assert "no data set has `splits: FILE`" in bench("splits", "import", "suites/small.yaml", "train=train.txt").error


def test_of_files_a_list_has_their_names_and_reads_back_without_them(bench, place):
    class_folders(Path("pictures"), tuple(COLOURS), 8)
    text = SUITE.replace("NAME", "files").replace("VALIDATION", FOLDS).replace("SCOPE", "repeat")
    Path("suites/files.yaml").write_text(text.replace("{name: digits, WHICH}",
                                                      "{name: 'folder:pictures', labels_per_class: 4, label: digits}"))
    (path,) = bench("splits", "export", "suites/files.yaml", "out", "--json").json
    shutil.copy(path, Path("suites/files.csv"))
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"].split("/")[0] for row in rows} == set(COLOURS)
    for row in rows:
        assert sorted(COLOURS).index(row["file"].split("/")[0]) == int(row["label"])
        assert (Path("pictures") / row["file"]).is_file()
    tested = {repeat: {row["file"] for row in rows if row["part"] == "test" and row["repeat"] == repeat}
              for repeat in "01"}  # fmt: skip
    assert tested["0"] != tested["1"]
    listed = Path("suites/files.yaml").read_text().replace("labels_per_class: 4", "splits: files.csv")
    Path("suites/again.yaml").write_text(listed)
    plan = plan_from_file(Path("suites/again.yaml"), (), FOLDERS)
    assert [cell.num_labels for cell in plan.cells] == [4 * len(COLOURS)] * 3
