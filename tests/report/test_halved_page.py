"""What the page says of searches that were halved, of the engine, and of precision; with gaps in all of it."""

import dataclasses
import re
from typing import Any

import pytest

from bench.analysis.frame import SuiteResults
from bench.analysis.savings import precisions, savings
from bench.analysis.tables import cost_summary, feature_seconds
from bench.report import render
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

SMALL = World(datasets=("near",), budgets=(5,), gaps=False)
FIRST_RUNG = "Validation score in percent of every trial after 44 of 200 steps"


def text(results: SuiteResults) -> str:
    return Page(render(results)).text


def with_suite(results: SuiteResults, **sections: dict[str, Any]) -> SuiteResults:
    suite = {**results.suite, **{name: {**results.suite[name], **part} for name, part in sections.items()}}
    return dataclasses.replace(results, suite=suite)


def with_columns(results: SuiteResults, **columns: Any) -> SuiteResults:
    """In finals and trials."""
    finals, trials = (frame.assign(**columns) for frame in (results.finals, results.trials))
    return dataclasses.replace(results, finals=finals, trials=trials)


@pytest.fixture(scope="module")
def halved() -> SuiteResults:
    return make(SMALL)


@pytest.fixture(scope="module")
def page(halved: SuiteResults) -> str:
    return text(halved)


def rates_drawing(results: SuiteResults) -> str:
    (section,) = re.findall(r'<section id="rates".*?</section>', render(results), re.DOTALL)
    return section


def test_curves_are_drawn_where_all_trials_have_a_score(page: str) -> None:
    assert FIRST_RUNG in page
    assert "trials that left the search early have none. The large mark is the trial that was chosen" in page
    assert "small marks are the others that ran to their end" in page  # two trials of each search did


def test_no_small_marks_where_the_chosen_alone_ran_to_its_end(halved: SuiteResults) -> None:
    trials = halved.trials[halved.trials.chosen | halved.trials.pruned]
    assert "small marks" not in text(dataclasses.replace(halved, trials=trials))


def test_without_halving_nothing_of_it_is_said() -> None:
    found = text(make(dataclasses.replace(SMALL, halving=False)))
    assert "Validation score in percent of every finished trial (n = 1" in found
    assert "left the search early have none" not in found
    assert "Every trial trains to its end." in found
    assert "halved, the same rule" not in found


def test_searches_of_different_lengths() -> None:
    made = make(SMALL)
    trials = made.trials.copy()
    trials.loc[:3, ["first_step", "full_steps"]] = [9.0, 40.0]
    assert "every trial the first time trials were compared" in text(dataclasses.replace(made, trials=trials))


def test_the_first_score_is_drawn_not_the_last(halved: SuiteResults) -> None:
    last = dataclasses.replace(halved, trials=halved.trials.assign(first_score=halved.trials.score))
    other = dataclasses.replace(halved, trials=halved.trials.assign(score=0.5))
    assert rates_drawing(last) != rates_drawing(halved)
    assert rates_drawing(other) == rates_drawing(halved)


def test_protocol(page: str) -> None:
    assert "are compared after 44 and 133 of 200 steps. Each time the best third, rounded up and two at the " in page
    assert "at the least, goes on, and the others keep their last score." in page
    assert "Only trials that ran to their end can be chosen." in page
    assert "with the same rule for every strategy" in page
    assert "4 changed views of each training image were drawn once" in page
    assert "Arithmetic: bf16 where torch's autocast takes it" in page
    assert "TF32 is off. Pretraining inside the suite is fp32." in page


@pytest.mark.parametrize(("sections", "told"), [
    ({"training": {"steps": None, "epochs": 9}}, "are compared after 22 % and 67 % of their steps"),
    ({"search": {"first_rung": 0.5}}, "are compared after 100 of 200 steps"),
    ({"search": {"sampler": "tpe"}}, "Each half is such a race of its own."),
    ({"search": {"sampler": "bracket"}}, "first learning rates lie from 0.001 to 1, the next ones extend"),
    ({"search": {"sampler": "bracket", "lr": None}},
     "lie around what fits its optimizer, what it trains and the kind of data, the next"),
    ({"search": {"budget": "steps"}}, "search takes the steps of 6 trials of a strategy of one phase"),
    ({"training": {"steps": 1}}, "The step budget is too small for halving"),
])  # fmt: skip
@pytest.mark.usefixtures("undrawn")
def test_halving_in_words(halved: SuiteResults, sections: dict[str, Any], told: str) -> None:
    assert told in text(with_suite(halved, **sections))


def test_crops_are_told(halved: SuiteResults) -> None:
    augment = {"shift": 0, "flip": True, "views": 0, "crop": 0.3}
    assert "augmentation: left-right flips and random crops of at least 30 % of the area, resized" in text(
        with_suite(halved, training={"augment": augment})
    )


@pytest.mark.parametrize("augment", [{"shift": 2, "flip": False, "views": 0}, {"shift": 0, "flip": False, "views": 4}])
def test_no_views_where_none_are_drawn(halved: SuiteResults, augment: dict[str, Any]) -> None:
    assert "augmentation is cached" not in text(with_suite(halved, training={"augment": augment}))


@pytest.mark.usefixtures("undrawn")
def test_precision_is_what_the_records_say(halved: SuiteResults) -> None:
    fp32 = with_columns(halved, precision="fp32", precision_why="")
    assert list(precisions(fp32)) == ["fp32"]
    assert "Arithmetic: fp32 throughout. TF32 is off. The" in text(fp32)
    why = "depthwise convolutions are slower in bf16 on a CPU"
    assert f"Arithmetic: fp32 throughout ({why}). TF32" in text(with_columns(fp32, precision_why=why))
    equal = dataclasses.replace(fp32, suite={**fp32.suite, "engine": {"deterministic": True}})
    assert "TF32 is off. Sums are added up in the same order every time." in text(equal)
    assert "Arithmetic: bf16 where" in text(with_columns(halved, precision=""))  # what the suite means
    assert "Arithmetic" not in text(dataclasses.replace(with_columns(halved, precision=""), suite={}))


def test_what_the_engine_saved(halved: SuiteResults, page: str) -> None:
    found = savings(halved)
    trials = halved.trials[halved.trials.status == "ok"]
    assert found.trainings == len(halved.finals) + len(trials)
    assert (found.in_fleets, found.largest_fleet, found.whole) == (len(trials), 6, [])
    assert found.kept == found.trainings - sum(
        int(frame.strategy.isin(["scratch", "full_finetune"]).sum()) for frame in (halved.finals, trials)
    )
    assert f"of {found.trainings} trials and finals, {found.kept} had frozen parts" in page
    assert f"{len(trials)} ran as fleets of up to 6 networks" in page
    alone = text(with_columns(halved, replicas=1.0, frozen="recomputed"))
    everyone = len(halved.finals) + len(halved.trials)
    assert f"0 had frozen parts that were computed once for each image and kept, and {everyone} had some" in alone
    assert "None ran as a fleet" in alone


def test_a_network_that_runs_whole_is_named_with_its_reason(halved: SuiteResults, page: str) -> None:
    assert "ran whole" not in page
    whole = text(with_columns(halved, whole="returns more than logits <b>" + "x" * 500))
    assert whole.count("although units of it are frozen") == 1
    assert "small, pretrained on source ran whole in 80 of these" in whole
    assert "The reason: returns more than logits <b>xxx" in whole
    assert "x" * 200 not in whole


def test_records_that_do_not_tell(halved: SuiteResults) -> None:
    """As old ones: nothing is said, nothing breaks."""
    nan = float("nan")
    results = with_columns(halved, precision="", frozen="", replicas=nan, whole="", feature_seconds=nan)
    trials = results.trials.assign(
        steps=200.0, first_step=200.0, first_score=results.trials.score, pruned=False, full_steps=200.0
    )
    found = text(dataclasses.replace(results, trials=trials))
    assert savings(results).trainings == 0
    assert "How the work was done" not in found
    assert "Not in the seconds above" not in found
    assert not re.search(r"\bnan\b", found.lower())


def test_search_steps_by_hand(halved: SuiteResults, page: str) -> None:
    rows = cost_summary(halved.finals, halved.trials, [("near", "5", "small, pretrained on source")])
    found = rows.set_index("strategy").search_steps
    # 6 trials to 44, 2 on to 133 and to 200; one of full fine-tuning diverged at 14
    assert found["scratch"] == pytest.approx((6 * 44 + 2 * 156) / 1200)
    assert found["full_finetune"] == pytest.approx((14 + 5 * 44 + 2 * 156) / 1200)
    assert "Steps % of full" in page
    assert f"{100 * found['scratch']:.0f}" == "48"


def test_seconds_of_shared_features(halved: SuiteResults, page: str) -> None:
    frozen = halved.finals.strategy.str.contains("freeze").sum() + halved.trials.strategy.str.contains("freeze").sum()
    (seconds,) = feature_seconds(halved).values()
    assert seconds == pytest.approx(0.25 * frozen)
    assert f"Not in the seconds above: {seconds:.0f} s that the whole suite spent" in page
    both = text(make(dataclasses.replace(SMALL, backbones=("small", "large"))))
    assert f"{seconds:.0f} s for small and {seconds:.0f} s for large" in both


def test_shared_features_count_once_where_cells_share_their_records(halved: SuiteResults) -> None:
    twice = make(dataclasses.replace(SMALL, backbones=("small", "large")))
    keys = halved.finals.key.tolist() * 2
    assert sum(feature_seconds(dataclasses.replace(twice, finals=twice.finals.assign(key=keys))).values()) < sum(
        feature_seconds(twice).values()
    )
