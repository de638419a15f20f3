"""Which of the cheap scores, known before any training, would have chosen the network well."""

import math

from bench.analysis.forecasts import (
    BEST,
    FEWEST,
    NEARNESS,
    RANDOM,
    SCORES,
    TUNED,
    VALIDATION,
    Forecasts,
    Judged,
    forecasts,
)
from bench.analysis.statistics import Interval
from bench.analysis.words import labels, listed, plural, plus_minus, shortened
from bench.report.facts import Facts
from bench.report.figures.forecasts import forecast_panel
from bench.report.palette import strategy_series
from bench.report.view import ABSENT, Block, Column, Figure, Panel, Section, Table, TableCell, Words, duration

MOST_PANELS = 6
MOST_TARGETS = 8  # that are drawn
# What each is called, and what it asks.
NAMES = {
    "log_me": ("LogME", "how well a linear model explains the labels"),
    "h_score": ("H-score", "how far apart the classes lie"),
    "shrunk_h_score": ("H-score for few labels", "the same, steadied where labels are few"),
    "transrate": ("TransRate", "how much tighter features are within a class"),
    "parc": ("PARC", "whether similar features have the same label"),
    "gbc": ("GBC", "how little the classes overlap"),
    "cka": ("CKA with the labels", "whether similar features have the same label"),
    "leep": ("LEEP", "what the network's old classifier tells of the labels"),
    "nce": ("NCE", "the same, by its first answer alone"),
    "a_distance": ("A-distance", "how near the target is to what was learned before"),
    "mmd": ("MMD", "the same, by kernel means"),
    VALIDATION: ("Linear probe", "its validation score: no forecast, it trains"),
    RANDOM: ("One at random", "any network, without looking"),
}
NEW_TRAINING = {TUNED: "full fine-tuning", BEST: "its best strategy"}
METHODS = (
    "Forecasts are computed once for each target, repeat and network, from the repeat's labelled {example}s (at most "
    "1,000), in float64, on what the untouched network hands to its classifier. LogME (You et al. 2021): the log "
    "evidence of a Bayesian linear regression, at its maximum. H-score (Bao et al. 2019): tr(cov(f)⁻¹ cov(E[f|y])), "
    "absent where there are as many features as {example}s, for it is then the same for all networks; for few labels "
    "with the covariance of Ledoit and Wolf (Ibrahim et al. 2022). TransRate (Huang et al. 2022), ε = 10⁻⁴, parts "
    "weighted by their size. PARC (Bolya et al. 2021): Spearman's correlation over pairs of {example}s, without a "
    "PCA. GBC (Pándy et al. 2022): −log Σ exp(−Bhattacharyya distance), spherical classes. CKA (Kornblith et al. "
    "2019): linear, of features and labels. LEEP (Nguyen et al. 2020) and NCE (Tran et al. 2019) need the classifier "
    "that the network was pretrained with. Of distances the smaller is better; they are measured in a network's own "
    "features, and to one that tells little apart everything is near. In each repeat the network with the highest "
    "forecast is taken (of equal ones, the mean counts), and its test score is subtracted from that of the network "
    "with the highest mean over the repeats; the interval is corrected for having picked that one afterwards. Orders: "
    "Kendall's τ, a pair weighted by the sum of the reciprocal ranks (Vigna 2015), and Spearman's ρ, of means over "
    "repeats; their intervals are Student's over targets, none where all targets agree."
)


def forecasts_section(facts: Facts) -> Section | None:
    is_asked = bool(facts.results.suite.get("records", {}).get("forecasts"))
    if not is_asked and facts.results.finals["forecast"].isna().all():
        return None
    found = forecasts(facts.results, facts.scores)
    if not is_asked and found.num_without == found.num_asked:
        return None
    how = (
        "Which network should one start from? A forecast gives each one a number before any training, from the "
        f"labelled {facts.example}s alone. Would the network with the highest number have been a good choice?"
    )
    use = TUNED if found.judged[TUNED] else BEST
    blocks: list[Block] = [Words(notes, tone="note")] if (notes := _notes(found)) else []
    if found.judged[use]:
        blocks += [Words([_answer(found.judged[use], use)]), _table(found, use), _figure(facts, found, use)]
        if use == TUNED and _is_other(found):
            blocks.append(_table(found, BEST))
    elif not found.errors and found.num_without < found.num_asked:
        most = plural(found.most_networks, "network")
        blocks.append(Words([f"Nothing to choose from: it takes {FEWEST} networks that are tried on one data set with "
                             f"as many labels, and here no data set has more than {most}."]))  # fmt: skip
    return Section("forecasts", "Cheap forecasts: which would have chosen well?", how, blocks)


def forecast_methods(facts: Facts) -> list[str]:
    """For the protocol."""
    is_there = bool(facts.results.suite.get("records", {}).get("forecasts"))
    return [METHODS.format(example=facts.example)] if is_there else []


def _notes(found: Forecasts) -> list[str]:
    lines = [f"No forecast: {shortened(one, 300)}." for one in found.errors[:6]]
    if len(found.errors) > 6:
        lines.append(f"And {len(found.errors) - 6} more that failed.")
    if found.num_without:
        lines.append(f"{plural(found.num_without, 'final training')} without a forecast: their records were made "
                     "before the suite asked for it. `run --rerun all` makes them again.")  # fmt: skip
    return lines


def _is_other(found: Forecasts) -> bool:
    """Whether some network has a better strategy than full fine-tuning, or none of it."""
    return [one.strategies for one in found.offers[BEST]] != [one.strategies for one in found.offers[TUNED]]


def _answer(judged: list[Judged], use: str) -> str:
    first = judged[0]
    rivals = {one.forecast: one for one in judged if one.forecast in (VALIDATION, RANDOM)}
    told = [one for one in judged if one.forecast not in rivals]
    level = [NAMES[one.forecast][0] for one in told if _points(one) == _points(first)]
    words = (
        f"Had the network been chosen by {listed(level)}, {NEW_TRAINING[use]} would have lost {_points(first)} points"
        f"{_between(first)} against the best network."
    )
    others = [f"{how} {_points(rivals[name])}{_between(rivals[name])}"
              for name, how in ((VALIDATION, "by the linear probe's validation score"), (RANDOM, "at random"))
              if name in rivals]  # fmt: skip
    words += f" Chosen {' and '.join(others)}." if others else ""
    if len(told) > len(level):
        words += (f" {len(told)} forecasts were tried on {plural(first.targets, 'target')}, and the best of many looks "
                  "better than it is.")  # fmt: skip
    return words


def _points(one: Judged) -> str:
    text = f"{100 * one.lost.mean:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _between(one: Judged) -> str:
    if not math.isfinite(one.lost_ends[0]):
        return ""
    low, high = (f"{100 * end:.1f}".replace("-", "−") for end in one.lost_ends)
    return f" (95 % interval {low} to {high})"


def _table(found: Forecasts, use: str) -> Table:
    judged = found.judged[use]
    columns = [
        Column("Forecast", "and what it asks", numeric=False), Column("Loses", "points", interval=True),
        Column("Takes the best", "of its choices"), Column("Order: τ", "−1 to 1", interval=True),
        Column("Order: ρ", "−1 to 1", interval=True), Column("Targets"), Column("Time", "for one network"),
    ]  # fmt: skip
    most = max(one.offered for one in judged)
    rows = [
        [_name(one), _lost(one), TableCell(f"{one.hits:.3g} of {one.choices}", value=round(one.hits, 3)),
         _order(one.tau), _order(one.rho), _targets(one), _time(one.seconds, found.tuning_seconds)]
        for one in judged
    ]  # fmt: skip
    n = max(one.lost.n for one in judged)
    caption = (
        f"A row is a forecast. Loses: how many points {NEW_TRAINING[use]} scores less from the network that it puts "
        f"first than from the best of up to {most}; 95 % interval over n = {plural(n, 'repeat')}, none where it always "
        "takes the best. Order: 1 where it ranks the networks as their test scores do, 0: no better than chance, −1: "
        "the other way round; a mean over targets with its interval."
    )
    title = {TUNED: "", BEST: "With the best strategy of each network instead"}[use] if found.judged[TUNED] else ""
    return Table(f"forecasts-{use}", columns, rows, caption, title=title, folded=bool(title))


def _name(one: Judged) -> TableCell:
    name, asks = NAMES[one.forecast]
    return TableCell(name, sub=asks, css="" if one.forecast in (*SCORES, *NEARNESS) else "quiet")


def _lost(one: Judged) -> TableCell:
    low, high = one.lost_ends
    return TableCell(f"{_points(one)}{plus_minus(low, one.lost.mean, high)}", value=100 * one.lost.mean,
                     bounds=(100 * low, 100 * high, one.lost.n))  # fmt: skip


def _targets(one: Judged) -> TableCell:
    fewest, most = one.networks
    num = fewest if fewest == most else f"{fewest} to {most}"
    few = f"knows {num} of {one.offered} networks" if fewest < one.offered else ""
    return TableCell(str(one.targets), sub=few)


def _order(found: Interval) -> TableCell:
    if not math.isfinite(found.mean):
        return TableCell(ABSENT, value="", css="quiet", bounds=(math.nan, math.nan, 0))
    ends = "" if not math.isfinite(found.low) else f"{_number(found.low)} to {_number(found.high)}"
    return TableCell(_number(found.mean), value=found.mean, sub=ends, bounds=(found.low, found.high, found.n))


def _number(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "−")


def _time(seconds: float, tuning: float) -> TableCell:
    if not math.isfinite(seconds):
        return TableCell(ABSENT, value="", css="quiet")
    text = duration(seconds) if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    ratio = tuning / seconds if seconds > 0 else math.nan
    share = f"1/{ratio:.0f} of fine-tuning" if ratio >= 1.5 else ""
    return TableCell(text, value=seconds, sub=share)


def _figure(facts: Facts, found: Forecasts, use: str) -> Figure:
    shown = [one.forecast for one in found.judged[use] if one.forecast in SCORES][:MOST_PANELS]
    targets = [one.target for one in found.offers[use] if len(one.columns) >= FEWEST][:MOST_TARGETS]
    is_one_budget = len({budget for _, budget in targets}) == 1
    names = [facts.named(name) + ("" if is_one_budget else f", {labels(budget)}") for name, budget in targets]
    looks = dict(zip(targets, strategy_series(names, set()).values(), strict=True))
    panels = [
        Panel(NAMES[name][0], "", forecast_panel(found.marks(use, name), looks, NAMES[name][0], f"forecast-{name}"))
        for name in shown
    ]
    left = len([one for one in found.judged[use] if one.forecast in SCORES]) - len(shown)
    others = len([one for one in found.offers[use] if len(one.columns) >= FEWEST]) - len(targets)
    caption = (
        f"A mark is a network on one target: its forecast and the test score of {NEW_TRAINING[use]}, means over "
        "repeats. Where a forecast is good, marks of one shape rise from left to right."
        + (f" {plural(left, 'forecast')} of the table {'is' if left == 1 else 'are'} not drawn." if left else "")
        + (f" {plural(others, 'more target')} left out." if others else "")
    )
    return Figure(panels, list(looks.values()), caption, title="Forecast against score")
