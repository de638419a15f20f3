"""The page's sections on depth: three curves with their references, differences, steps, and what each unit changed."""

import dataclasses
import html
import re

import numpy as np
import pandas as pd
import pytest

from bench.analysis.comparison import Scores
from bench.analysis.depths import FROZEN, profiles
from bench.analysis.similarity import of_units
from bench.report import render
from bench.report.facts import Facts
from bench.report.sections import depths
from bench.report.sections.similarity import mix_section, similarity_section
from bench.report.view import signed
from tests.analysis.synthetic import World, make

STEPS = (10, 20, 30, 40)


@pytest.fixture(autouse=True)
def _only(only):
    only(depths.depth_section, similarity_section, mix_section)


def words(page):
    return re.sub("[ \n]+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def section(page, anchor):
    [found] = re.findall(rf'<section id="{anchor}".*?</section>', page, re.DOTALL)
    return found


def with_transplants(made):
    """The freeze sweep's rows once more, as units kept with all above afresh; the deepest is full fine-tuning."""
    rows = [made.finals]
    for keep, name in ((1, "freeze(upto=3)"), (3, "freeze(upto=2)"), (5, "full_finetune")):
        own = made.finals[made.finals["strategy"] == name]
        keys = own["key"] if keep == 5 else "t" + own["key"].str[1:]
        rows.append(own.assign(strategy=f"transplant(keep={keep}, tune=True)", axis="kept", axis_kind="tuned",
                               axis_value=float(keep), key=keys))  # fmt: skip
    return dataclasses.replace(made, finals=pd.concat(rows, ignore_index=True))


def curved(made):
    """Scores along the training: each strategy rises in a straight line, the slower the lower it ends."""
    finals = made.finals.copy()
    finals["curve"] = [
        tuple((step, 0.1 + (score - 0.1) * min(1, step / 30)) for step in STEPS) if score == score else ()
        for score in finals["score"]
    ]
    return dataclasses.replace(made, finals=finals)


@pytest.fixture(scope="module")
def made():
    usual = make(World(datasets=("near", "far"), budgets=(20,), gaps=False, repeats=5))
    return curved(with_transplants(usual))


@pytest.fixture(scope="module")
def page(made):
    return render(made)


def test_both_lines_stand_in_one_drawing_with_their_references(made, page):
    found = section(page, "depth")
    assert "20 labels per class, frozen, the rest tuned" in words(found)
    assert "20 labels per class, kept, the rest afresh, all tuned" in words(found)
    assert "frozen or kept units, counted from the input" in words(found)
    assert "Dashed: from scratch at the same budget. Level and dotted: full fine-tuning." in words(found)
    facts = Facts.of(made)
    rows = facts.groups["near", made.finals["backbone"][0]]
    [_, drawn] = depths._depths(depths._looks(facts), "20", rows)
    near = made.finals[made.finals["dataset"] == "near"].groupby("strategy")["score"].mean() * 100
    assert [(one.x, one.y) for one in drawn.points] == [
        (keep, pytest.approx(near[f"transplant(keep={keep}, tune=True)"])) for keep in (1, 3, 5)
    ]
    assert drawn.full == pytest.approx(near["full_finetune"])
    assert drawn.scratch == pytest.approx(near["scratch"])


def test_a_sweep_of_frozen_units_alone_keeps_its_figure():
    found = section(render(make(World(gaps=False))), "depth")
    assert "dotted" not in found
    assert "frozen units, counted from the input" in found
    assert "20 labels per class" in found
    assert "frozen, the rest tuned" in words(found), "in the table"


def test_every_difference_stands_in_the_table_and_the_sentence_says_what_they_come_to(made, page):
    found = words(section(page, "depth"))
    told = profiles(Scores.of(made.finals))
    assert len(told) == 2
    for profile in told:
        for own in profile.lines.values():
            for one in own:
                assert signed(one.found.mean) in found
    assert found.count("kept, the rest afresh, all tuned") == 1 + 2, "a legend, and a row for each task"
    [near, far] = depths._sentences(told, Facts.of(made))
    assert near.startswith("near, 20 labels per class: freezing ")
    assert near in found
    assert far in found


def test_two_strategies_at_one_depth_both_stand_in_the_table(made, page):
    twin = made.finals[made.finals["strategy"] == "linear_probe"]
    twin = twin.assign(strategy="linear_probe(head=small)", key="u" + twin["key"].str[1:], score=twin["score"] - 0.2)
    more = dataclasses.replace(made, finals=pd.concat([made.finals, twin], ignore_index=True))
    table = words(section(render(more), "depth"))
    assert "over the 14 tested readings" in words(section(page, "depth")), "five frozen and two kept, twice"
    every = [one for profile in profiles(Scores.of(more.finals)) for own in profile.lines.values()
             for one in own]  # fmt: skip
    assert "over the 16 tested readings" in table
    for one in every:
        assert signed(one.found.mean) in table
    assert table.count("linear_probe(head=small) — — — — ") == 2


def test_repeats_in_which_full_fine_tuning_collapsed_are_told(made, page):
    finals = made.finals.copy()
    finals.loc[(finals["strategy"] == "full_finetune") & (finals["dataset"] == "near") & (finals["repeat"] < 2),
               ["collapsed", "score"]] = [1.0, 0.1]  # fmt: skip
    text = words(section(render(dataclasses.replace(made, finals=finals)), "depth"))
    told = "without the 2 repeats in which full_finetune collapsed"
    assert re.search(rf"near, 20 labels per class: freezing [^.]*; {told}\.", text)
    assert text.count(f"near, 20 labels per class {told} ") == 2, "a row for each line"
    assert told not in words(page)


def test_what_is_harmless_is_said_in_the_suites_margin(made):
    wide = dataclasses.replace(made, suite={**made.suite, "verdicts": {"margin": 60.0}})
    found = words(section(render(wide), "depth"))
    every = "freezing up to 5 of 5 units is shown to cost less than 60 points; drawing units afresh is shown to cost " \
            "less than 60 points as long as 1 or more are kept"
    assert f"near, 20 labels per class: {every}." in found
    none = dataclasses.replace(made, suite={**made.suite, "verdicts": {"margin": 0.0}})
    found = words(section(render(none), "depth"))
    for task, first in zip(profiles(Scores.of(made.finals)), ("near", "far"), strict=True):
        costly = task.costly(FROZEN, 0.0)
        assert costly is not None
        frozen = f"freezing is shown to cost less than 0 points at no depth, and with {costly} frozen it is shown to " \
                 "cost more; drawing units afresh is shown to cost less than 0 points at no depth"  # fmt: skip
        assert f"{first}, 20 labels per class: {frozen}" in found


def test_steps_are_counted_against_full_fine_tuning_and_scratch(made, page):
    """All rise to their end in 30 steps, so full fine-tuning has come 90 % of the way after 27."""
    found = words(section(page, "depth"))
    assert "come 90 % of the way from chance" in found
    assert "every 10 steps or so" in found
    assert "no score, choice or verdict rests on it" in found
    assert re.search(r"near, 20 labels per class full_finetune 27 — ", found)
    assert "not within 40" in found, "scratch on far"
    half = dataclasses.replace(made, suite={**made.suite, "verdicts": {"reached": 0.5}})
    assert re.search(r"full_finetune 15 — ", words(section(render(half), "depth")))


def test_multiples_are_those_of_the_same_repeats(made):
    """A freeze that ends higher than full fine-tuning comes earlier where full fine-tuning ends."""
    facts = Facts.of(made)
    [near, _] = profiles(facts.scores)
    rows = made.finals[made.finals["dataset"] == "near"]
    by_name = {name: own.to_dict("records") for name, own in rows.groupby("strategy")}
    found = depths._speeds_of(near, by_name, 0.9)
    scores = rows.pivot_table(index="repeat", columns="strategy", values="score")
    expected = 0.9 * (scores["full_finetune"] - 0.1) / (scores["freeze(upto=1)"] - 0.1) * 30
    assert list(found["freeze(upto=1)"].steps.values()) == pytest.approx(list(expected))
    ratio = np.exp(np.log(expected / 27).mean())
    assert found["freeze(upto=1)"].times(found["full_finetune"]).mean == pytest.approx(ratio)
    assert f"{ratio:.2f} (" in words(render(made))


def test_without_scores_on_the_way_nothing_is_said_of_steps():
    assert "depth-steps" not in render(make(World(datasets=("near",), budgets=(20,), gaps=False)))


def changed(made, values, column="similarity"):
    finals = made.finals.copy()
    finals[column] = [values(row) for row in finals.to_dict("records")]
    return dataclasses.replace(made, finals=finals)


def test_a_line_for_each_strategy_says_what_its_units_kept(made):
    def values(row):
        frozen = int(row["axis_value"]) if row["axis"] == "depth" else 0
        return tuple([1.0] * frozen + [0.5 + 0.01 * row["repeat"]] * (5 - frozen))

    found = section(render(changed(made, values)), "similarity")
    assert "What training changed" in found
    assert found.count("<svg class=\"plot\"") == 2, "a drawing for each task"
    assert "Kornblith et al. 2019" in found
    assert "Raghu" not in found
    assert "Left out" not in found
    for name in ("scratch", "full_finetune", "freeze(upto=3)", "transplant(keep=1, tune=True)"):
        assert name in words(found)


def test_who_says_nothing_is_counted_and_left_out(made):
    told = changed(made, lambda row: (0.4, None) if row["strategy"] == "scratch" else ())
    found = words(section(render(told), "similarity"))
    num = int((made.finals["strategy"] != "scratch").sum())
    assert f"Left out, because their records say nothing of it: {num} finals." in found


def test_a_page_without_any_has_no_section(page):
    assert 'id="similarity"' not in page


def test_what_each_unit_counts_is_drawn_for_each_task(made):
    told = changed(made, lambda row: (0.1, 0.3, 0.6) if row["strategy"] == "linear_probe" else (), "mix")
    found = section(render(told), "mix")
    assert "Which units count" in found
    assert found.count("<svg class=\"plot\"") == 2, "a drawing for each task"
    assert "How much each unit counts" in found
    assert "linear_probe" in words(found)
    assert "scratch" not in words(found)


def test_shares_of_units_are_means_over_the_repeats(made):
    told = changed(made, lambda row: (0.1 * row["repeat"], None) if row["strategy"] == "scratch" else (), "mix")
    rows = told.finals[(told.finals["strategy"] == "scratch") & (told.finals["status"] == "ok")]
    found = of_units(told.finals, "mix")
    assert {one.task[:2] for one in found} == set(zip(rows["dataset"], rows["budget"], strict=True))
    for one in found:
        mine = rows[(rows["dataset"] == one.task[0]) & (rows["budget"] == one.task[1])]
        assert one.units[0].mean == pytest.approx(0.1 * mine["repeat"].mean())
        assert [unit.n for unit in one.units] == [len(mine), 0]


def test_a_page_without_weighed_units_does_not_speak_of_them(page):
    assert 'id="mix"' not in page
