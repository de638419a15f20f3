"""Two suites that have run, held against each other."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.analysis.between import Side, between
from bench.analysis.join import collect
from bench.commands.suites import Folders, plan_from_file, plan_of, remember
from bench.errors import NOTHING
from tests.commands.conftest import SMALL
from tests.commands.fabricate import fabricate

FIVE = SMALL.replace("repeats: 2", "repeats: 5")


def put(text, name, results="results"):
    """The suite has run under this name."""
    path = Path("suites") / f"{name}.yaml"
    path.write_text(text.replace("name: small\n", f"name: {name}\n"))
    folders = Folders(Path(results), Path("reports"))
    plan = plan_from_file(path, (), folders)
    remember(plan, (), folders)
    fabricate(plan, folders.roots(name))
    return folders


def sides(*named):
    made = []
    for name, folders in named:
        plan, roots = plan_of(name, (), folders), folders.roots(name)
        made.append(Side(name, plan, collect(plan, roots.store, roots.shared)))
    return made


def test_differences_are_scipys_paired_ones(place):
    """Of one cell alone, whose spread is its own."""
    one = FIVE.replace("[scratch, linear_probe, {freeze: {upto: 2}}]", "[linear_probe]").replace("[4, 8]", "[4]")
    here = put(one, "old")
    put(one.replace("steps: 2", "steps: 4"), "new")
    a, b = sides(("old", here), ("new", here))
    (found,) = between(a, b).cells
    scores = [side.results.finals.sort_values("repeat")["score"].to_numpy() for side in (a, b)]
    expected = stats.ttest_rel(scores[1], scores[0])
    assert found.n == 5
    assert found.difference == pytest.approx(np.mean(scores[1] - scores[0]))
    assert (found.first, found.second) == pytest.approx((scores[0].mean(), scores[1].mean()))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.detectable > 0


def shifted(side, strategy, by):
    finals = side.results.finals.copy()
    mine = finals["strategy"] == strategy
    noise = np.random.default_rng(0).normal(0, 0.002, mine.sum())
    finals.loc[mine, "score"] = finals.loc[mine, "score"] + by + noise
    return Side("B", side.plan, type(side.results)(**{**vars(side.results), "finals": finals}))


def test_a_planted_change_is_found_where_it_is_and_nowhere_else(place):
    here = put(FIVE, "old")
    (a,) = sides(("old", here))
    for by, word in ((0.2, "higher"), (-0.2, "lower"), (0.0, "as good as")):
        found = between(a, shifted(a, "linear_probe", by))
        words = {one.cell[3]: set() for one in found.cells}
        for one in found.cells:
            words[one.cell[3]].add(one.word)
        assert words["linear_probe"] == {word}
        assert words["scratch"] == words["freeze(upto=2)"] == {"identical"}
        assert not found.settings
    assert {one.word for one in between(a, shifted(a, "linear_probe", 0.2), margin=0.5).cells} >= {"higher"}
    tested = [one for one in between(a, shifted(a, "linear_probe", 0.2)).cells if math.isfinite(one.p)]
    assert len(tested) == 2  # Holm counts no cell that is identical


def test_cells_of_one_alone_and_settings_are_listed(bench, place):
    put(FIVE, "old")
    longer = FIVE.replace("steps: 2", "steps: 4").replace("repeats: 5", "repeats: 3")
    put(longer.replace("linear_probe", "lp_ft"), "new")
    said = bench("compare", "old", "new", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert {cell[3] for cell in found["only_first"]} == {"linear_probe"}
    assert {cell[3] for cell in found["only_second"]} == {"lp_ft"}
    settings = {one["name"]: (one["first"], one["second"]) for one in found["settings"]}
    assert settings["training.steps"] == ("2", "4")
    assert settings["repeats"] == ("5", "3")
    assert all(one["n"] == 3 for one in found["cells"] if one["word"] != "identical")
    text = bench("compare", "old", "new").out
    assert "differs: training.steps: 2 -> 4" in text
    assert "only in A: digits · 4 · " in text
    page = Path(found["page"]).read_text()
    assert page == (place / "reports" / "old.against.new.html").read_text()
    assert page.count("training.steps") == 1
    assert "<h1><bdi>old and new</bdi></h1>" in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page


def test_other_test_data_are_not_paired(bench, place, divided):
    anew = FIVE.replace("scope: cell", "scope: repeat")
    put(anew + "seed: 1\n", "old")
    put(anew + "seed: 2\n", "new")
    said = bench("compare", "old", "new")
    assert said.code == NOTHING
    assert "No cell of both could be paired" in said.out
    assert "their repeats divide the data by other seeds" in said.out
    put(FIVE + "seed: 2\n", "shared")
    assert "one divides the data anew in every repeat, the other does not" in bench("compare", "old", "shared").out


def test_other_labels_of_the_same_test_data_are_paired_and_told(bench, place):
    put(FIVE + "seed: 1\n", "old")
    put(FIVE + "seed: 2\n", "new")
    said = bench("compare", "old", "new")
    assert said.code == 0, said.err
    assert "differs: seed: 1 -> 2" in said.out


def test_one_suite_in_two_folders(bench, place):
    put(FIVE, "small")
    put(FIVE, "small", "later")
    found = bench("compare", "small", "--results-b", "later", "--json").json
    assert (found["first"], found["second"]) == ("small in results", "small in later")
    assert {one["word"] for one in found["cells"]} == {"identical"}
    assert "compare needs two suites" in bench("compare", "small").error
    assert "unknown run 'smal'" in bench("compare", "small", "smal").error


def test_names_are_text(place):
    from bench.report.compare import build_compare

    here = put(FIVE.replace("{name: digits,", "{name: digits, label: '<i>&',"), "old")
    (a,) = sides(("old", here))
    page = build_compare(between(a, shifted(a, "linear_probe", 0.2)))
    assert "<i>" not in page
    assert json.dumps("<i>") not in page
