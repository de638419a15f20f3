"""Which examples a repeat learns from, validates on and is tested on, as other programs read them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.commands.suites import Folders, plan_from_file
from bench.engine.common.start import labelled_images, trial_streams
from tests.engine import toys

SUITE = """\
name: small
datasets: [{name: digits, labels_per_class: [4, 8]RESPLIT}]
backbones: [{name: small_resnet, options: {width: 4}}]
strategies: [scratch, ridge_probe]
training: {steps: 2}
search: {scope: repeat, trials: 2, VALIDATION}
repeats: 2
"""


def write(validation="validation: {folds: 2}", resplit=""):
    Path("suites/small.yaml").write_text(SUITE.replace("VALIDATION", validation).replace("RESPLIT", resplit))
    return plan_from_file(Path("suites/small.yaml"), (), Folders(Path("results"), Path("reports")))


def context(plan):
    return toys.context(Path("results"), sources={key: one.options for key, one in plan.sources.items()})


@pytest.mark.parametrize("resplit", ["", ", test: {resplit: false}"])
@pytest.mark.parametrize("validation", ["validation: {folds: 2}", "validation: holdout, holdout: 0.25"])
def test_they_are_the_examples_that_the_engine_takes(bench, place, divided, resplit, validation):
    plan = write(validation, resplit)
    (path,) = bench("splits", "export", "suites/small.yaml", "out", "--to", "json", "--json").json
    found = {(one["budget"], one["repeat"]): one for one in json.loads(Path(path).read_text())}
    assert set(found) == {("4", 0), ("4", 1), ("8", 0), ("8", 1)}
    here = context(plan)
    cell = next(c for c in plan.cells if c.budget.text == "8" and c.strategy == "scratch")
    for repeat in (0, 1):
        final, search = (plan.jobs[keys[repeat]].spec for keys in (cell.finals, cell.searches))
        stored = here.stored(final.data)
        data = here.data(final.data)
        every = {"train": stored.train.images, "test": stored.test.images, "pool": stored.pool.images}
        one = found["8", repeat]

        def pictures(indices, of, every=every):
            return every[of][np.asarray(indices)]

        same(pictures(one["train"], one["of"]["train"]), labelled_images(final, data))
        same(pictures(one["test"], one["of"]["test"]), data.test)
        streams = trial_streams(search, labelled_images(search, data))
        assert len(streams) == len(one["validation"])
        for stream, held in zip(streams, one["validation"], strict=True):
            same(pictures(held, one["of"]["train"]), stream.scored)
        assert one["sha256"] == stored.sha256


def same(pictures, examples):
    (column,) = examples.stored
    rows = slice(None) if examples.rows is None else examples.rows
    assert np.array_equal(pictures, column[rows].permute(0, 2, 3, 1).numpy())


def test_tables_say_it_in_rows(bench, place, divided):
    write()
    bench("splits", "export", "suites/small.yaml", "out", "--to", "json")
    said = bench("splits", "export", "suites/small.yaml", "out")
    assert said.code == 0, said.err
    (table,), (lists,) = Path("out").glob("digits*.csv"), Path("out").glob("digits*.json")
    rows = pd.read_csv(table, dtype={"budget": str})
    for one in json.loads(lists.read_text()):
        mine = rows.query("budget == @one['budget'] and repeat == @one['repeat']")
        train, test = (mine[mine["part"] == part] for part in ("train", "test"))
        assert train["index"].tolist() == one["train"]
        assert test["index"].tolist() == one["test"]
        assert train["label"].value_counts().tolist() == [int(one["budget"])] * 10
        assert [sorted(train["index"][train["fold"] == n]) for n in range(2)] == [sorted(v) for v in one["validation"]]
        assert not set(one["train"]) & set(one["test"])
        assert set(mine["sha256"]) == {one["sha256"]}
        assert set(mine["of"]) == {"pool"}
    again = bench("splits", "export", "suites/small.yaml", "out")
    assert again.code == 0
    table.write_text("mine")
    assert "is in the way" in bench("splits", "export", "suites/small.yaml", "out").error


def test_one_search_for_all_repeats_validates_in_its_own_alone(bench, place):
    write()
    path = Path("suites/small.yaml")
    path.write_text(path.read_text().replace("scope: repeat", "scope: cell"))
    (path,) = bench("splits", "export", "suites/small.yaml", "out", "--to", "json", "--json").json
    assert [len(one["validation"]) for one in json.loads(Path(path).read_text())] == [2, 0, 2, 0]


