"""The first screen: what to take in each task, and score against cost."""

import html
import re

from bench.report import render
from bench.report.figures.prices import PriceMark, _to_scale, front
from bench.report.palette import strategy_series
from tests.analysis.synthetic import World, make
from tests.analysis.test_decision import CLEAR, suite
from tests.report import test_distance_page


def words(text):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u00a0", " ")).strip()


def table(page, name="answer"):
    found = re.search(rf'<table data-name="{name}"[^>]*>(.*?)</table>', page, re.DOTALL)
    return [words(row) for row in re.split(r"<tr[^>]*>", found[1])[2:]] if found else []


def top(page):
    return page[page.index('id="findings"') : page.index("</section>")]


def test_a_task_has_a_row_that_says_what_to_take_how_sure_and_at_what_cost():
    (row,) = table(render(suite(CLEAR)))
    assert re.match(
        r"near 5 labels per class ridge_probe 90\.0 .* n = 10 0\.\d ✓ ▲ helps \+60\.0 \(.*\) full_finetune 1/50 2 FLOP",
        row,
    )


def test_what_is_not_settled_has_no_mark():
    page = render(make(World(datasets=("mid",), budgets=(5,), gaps=False)))
    (row,) = table(page)
    assert "✓" not in row
    assert "No strategy is settled" in words(top(page))


def test_many_tasks_are_folded_away():
    cells = {(f"d{i}", name): scores for i in range(14) for (_, name), scores in CLEAR.items()}
    page = render(suite(cells))
    assert len(table(page)) == 12
    assert len(table(page, "answer-rest")) == 2
    assert "<summary>2 more tasks</summary>" in page


def test_distance_stands_there_where_it_is_known():
    page = render(test_distance_page.made(backbones=("one",)))
    assert [row.split()[-1] for row in table(page)] == ["1.20", "1.60", "1.92", "1.80"]
    assert "0 near, 2 far" not in render(suite(CLEAR))


def test_one_kind_of_cost_is_chosen_and_all_are_there():
    page = render(make(World(datasets=("near",), gaps=False)))
    switch = page[page.index('<fieldset class="switch">') :]
    switch = switch[: switch.index("</fieldset>")]
    names = re.findall(r'<label for="(switch-answer-\d)">(.*?)</label>', switch)
    assert [name for _, name in names] == ["compute", "time", "memory", "trained parameters"]
    assert [found for found, _ in names] == re.findall(r'id="(switch-answer-\d)"', switch)
    assert switch.count(" checked") == 1
    assert switch.count('<figure class="plots') == 4
    for axis in ("compute of one training, FLOP (log)", "time of one training here, s (log)", "trained parameters ("):
        assert axis in html.unescape(switch)


def test_counters_of_trainings_stand_at_the_foot():
    page = render(make(World(datasets=("near",), gaps=False)))
    assert "trainings finished" not in words(top(page))
    assert re.search(r"[\d,]+ of [\d,]+ trainings finished, .* in all", words(page[page.index("<footer>") :]))


def mark(name, cost, score, is_taken=False):
    return PriceMark(strategy_series([name], set())[name], name, cost, score, score - 1, score + 1, 3, is_taken)


def test_the_front_by_hand():
    marks = [mark("a", 1, 50), mark("b", 2, 40), mark("c", 3, 60), mark("d", 3, 55), mark("e", 9, 60)]
    assert [one.name for one in front(marks)] == ["a", "c"]


def test_what_lies_far_below_is_told_and_not_drawn():
    close = [mark("a", 1, 90), mark("b", 2, 91), mark("c", 3, 92)]
    kept, below = _to_scale([*close, mark("scratch", 3, 20)])
    assert [one.name for one in below] == ["scratch"]
    assert len(kept) == 3
    assert _to_scale([*close, mark("d", 3, 87)])[1] == []  # near enough
    assert _to_scale([*close, mark("scratch", 3, 20, is_taken=True)])[1] == []  # the one to take is always drawn


def test_what_costs_nothing_is_named_below_the_drawing():
    made = suite(CLEAR)
    made.finals.loc[made.finals["strategy"] == "ridge_probe", "flops"] = 0.0
    assert "Not drawn, as they cost none: ridge_probe." in words(render(made))
