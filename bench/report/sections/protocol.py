"""How the numbers came to be, in words: from the suite with its defaults filled in, and from what records tell."""

from typing import Any

from bench.analysis.cells import records
from bench.analysis.frame import OWN_HEAD
from bench.analysis.tables import Savings, precisions, savings
from bench.analysis.words import listed, plural, shortened
from bench.modalities import MODALITIES
from bench.planning.halving import rung_ends, rung_shares
from bench.report.facts import Facts, unique
from bench.report.sections.forecasts import forecast_methods
from bench.report.sections.worth import worth_method
from bench.report.view import Block, Section, Words, compact

LONGEST = 200  # characters of a reason that a record gives
SAMPLERS = {
    "bracket": "a bracket",
    "tpe": "the first half on a log-spaced grid, the rest proposed by TPE",
    "grid": "on a log-spaced grid",
    "random": "drawn at random",
}
OPTIMIZERS = {
    "sgd": "SGD with Nesterov momentum",
    "adamw": "AdamW",
    "auto": "SGD with Nesterov momentum for networks with BatchNorm and AdamW for those without",
}
HEADS = {
    "zero": "starts at zero",
    "small": "starts at small random weights (standard deviation 0.01)",
    "architecture": "starts as each architecture draws it",
}
ARITHMETIC = {
    "fp32": "fp32 throughout",
    "bf16": "bf16 where torch's autocast takes it, with weights, their updates and losses in full precision",
}


def part(suite: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of the suite; empty where results were assembled without one."""
    found = suite.get(name)
    return found if isinstance(found, dict) else {}


def protocol_section(facts: Facts) -> Section:
    how = (
        "What was done the same way for every strategy, as read from the suite with all defaults filled in and from "
        "the records."
    )
    suite = facts.results.suite
    search = part(suite, "search")
    sentences = [
        _budget(search),
        *_search(search),
        *_halving(search, None if part(suite, "training").get("flops") else part(suite, "training").get("steps")),
        "The point with the highest validation accuracy is chosen; ties go to the lower validation loss. A trial that "
        f"ended no better than a uniform guess on its own training {facts.example}s is chosen only if all of them did.",
        *_validation(search, facts.example),
        *_head(part(suite, "head")),
        *_training(part(suite, "training"), facts),
        *_inputs(facts),
        *_closed_forms(facts),
        *_own_heads(facts),
        *_source_labels(facts),
        *_precision(facts),
        *(f"An exam that was seen before: {line}" for line in facts.results.overlaps),
        "The final training uses the chosen hyperparameters on training and validation labels together; the score is "
        "that of the last weights, on the test split.",
        "Subsets and splits depend on the repeat and not on the strategy, so comparisons are paired; each repeat "
        f"draws a new subset, split, initialisation and order{_but_listed(facts)}.",
        *(f"Examples that were listed, not drawn: {line}" for line in facts.results.lists),
        *_scope(search),
        *worth_method(facts),
        *forecast_methods(facts),
        f"Intervals are at 95 %, {facts.scope}",
    ]
    return Section("protocol", "Protocol", how, [Words(sentences, listed=True), *_saved(facts)])


def _but_listed(facts: Facts) -> str:
    return "; where a list says which examples these are, only the last two are new" if facts.results.lists else ""


def _budget(search: dict[str, Any]) -> str:
    sentence = "The label budget is all that a strategy may see: validation labels come out of it"
    if search.get("scope") == "cell":
        return f"{sentence}. The rate is the exception: it was chosen on the labels of repeat 0 for every repeat."
    return f"{sentence}, and nothing is added to it."


def _search(search: dict[str, Any]) -> list[str]:
    if "trials" not in search:
        return []
    drawn = SAMPLERS.get(search.get("sampler", ""), str(search.get("sampler", "")))
    trials = plural(int(search["trials"]), "trial")
    found = f"Every strategy gets {trials} per search ({drawn})"
    if search.get("budget") == "steps":
        found = f"Every strategy's search takes the steps of {trials} of a strategy of one phase ({drawn})"
    lr, decay = search.get("lr"), search.get("weight_decay")
    is_bracket = search.get("sampler") == "bracket"
    if is_bracket:
        usual = "around what fits its optimizer, what it trains and the kind of data"
        begin = f"from {lr['low']:g} to {lr['high']:g}" if lr else usual
        over = (
            f"the first learning rates lie {begin}, the next ones extend past an end while the best lies there, then "
            "halve the steps around the best"
        )
    elif lr:
        over = f"over learning rates from {lr['low']:g} to {lr['high']:g}"
    else:
        over = "over the default range of learning rates of its optimizer"
    also = f" and weight decays from {decay['low']:g} to {decay['high']:g}" if decay else ""
    shift = "may shift where its rates begin." if is_bracket else "may shift the range, its width stays."
    searched = f"{found}{':' if is_bracket else ','} {over}{also}"
    return [f"{searched}; scratch is searched like everyone else. A strategy {shift}"]


def _halving(search: dict[str, Any], steps: int | None) -> list[str]:
    """Steps where all trainings have as many, shares where they depend on the number of labels."""
    if search.get("pruner") != "halving":
        return ["Every trial trains to its end."] if search.get("pruner") == "none" else []
    first = float(search["first_rung"])
    if steps is None:
        when = f"{listed([f'{100 * share:.0f} %' for share in rung_shares(first)], 9)} of their steps"
    else:
        compared = [f"{end:,}" for end in rung_ends(first, steps) if end < steps]
        when = f"{listed(compared, 9)} of {steps:,} steps"
        if not compared:
            return ["The step budget is too small for halving: every trial trains to its end."]
    batch = " Each half is such a race of its own." if search.get("sampler") == "tpe" else ""
    return [
        f"Searches run by successive halving, with the same rule for every strategy: the trials train side by side and "
        f"are compared after {when}. Each time the best third, rounded up and two at the least, goes on, and "
        f"the others keep their last score. Only trials that ran to their end can be chosen. Where a strategy has "
        f"several phases, the comparisons begin in the second one, after the same share of what is left.{batch}"
    ]


def _validation(search: dict[str, Any], example: str) -> list[str]:
    kind = search.get("validation")
    share = f"{100 * float(search.get('holdout', 0)):g} % of the labels"
    if kind == "auto":
        return [
            f"A trial is scored on a hold-out of {share}; where that would be under 100 {example}s, on stratified "
            "folds instead: 3, or as many as a class has labels if those are fewer."
        ]
    if kind == "holdout":
        return [f"A trial is scored on a hold-out of {share}."]
    if isinstance(kind, dict) and "folds" in kind:
        return [f"A trial is scored out of fold, on {kind['folds']} stratified folds over the labels."]
    return []


def _head(head: dict[str, Any]) -> list[str]:
    if not head:
        return []
    sentence = f"The last layer of every new head {HEADS[head['start']]}, on every network and for every strategy"
    if not head.get("mlp"):
        return [f"{sentence}. A strategy with a head of its own says so in its name."]
    dropout = f" and dropout of {head['dropout']:g}" if head.get("dropout") else ""
    return [f"{sentence}; before it lies a ReLU layer of {head['mlp']} units{dropout}. "
            "A strategy with a head of its own says so in its name."]


def _training(training: dict[str, Any], facts: Facts) -> list[str]:
    if not training:
        return []
    steps, epochs = training.get("steps"), training.get("epochs")
    budget = (
        f"{steps:,} optimizer steps" if steps else f"{epochs} passes over the labels" if epochs else "one step budget"
    )
    equal = training.get("flops")
    if equal == "full_finetune":
        budget = f"the FLOPs that full fine-tuning spends in {budget}"
    elif equal:
        budget = f"{compact(equal)} FLOPs"
    steps_here = _steps(facts) if equal else []
    spent = [
        f"Steps that this comes to where nothing stops early: {listed(steps_here, len(steps_here))}. A strategy that "
        "is longer by design, such as scratch_long, gets as many times the FLOPs; what a strategy learns on the way to "
        "the target is not counted."
    ] if steps_here else []
    detail = [f"batch size {training['batch_size']}"] if "batch_size" in training else []
    optimizer = OPTIMIZERS.get(training.get("optimizer", ""), "")
    detail += [item for item in (optimizer, f"{training.get('schedule', 'constant')} schedule") if item]
    augment = part(training, "augment")
    changes = {name: CHANGES[name](augment) for name in facts.modalities if name in CHANGES}
    if not any(changes.values()):
        detail.append("augmentation: none")
    else:
        told = [f"{f'of {MODALITIES[name].example}s ' if facts.is_mixed else ''}{' and '.join(moves) or 'none'}"
                for name, moves in changes.items()]  # fmt: skip
        detail.append(f"augmentation: {'; '.join(told)}")
    sentence = f"Every training, whatever its strategy, gets {budget}: {', '.join(detail)}."
    return [sentence, *spent, *_views(augment, any(changes.values()), facts.example)]


def _steps(facts: Facts) -> list[str]:
    """`lora 160 to 185`: the budget of each strategy that trains, over tasks and backbones."""
    found: dict[str, list[int]] = {}
    for row in records(facts.results.trials, ["strategy", "full_steps"]):
        if row["full_steps"] > 0:
            found.setdefault(row["strategy"], []).append(int(row["full_steps"]))
    return [f"{shortened(name)} {min(steps):,}" + (f" to {max(steps):,}" if max(steps) > min(steps) else "")
            for name, steps in found.items()]  # fmt: skip


def _of_images(augment: dict[str, Any]) -> list[str]:
    moves = [f"shifts up to {augment['shift']} px"] if augment.get("shift") else []
    moves += ["left-right flips"] if augment.get("flip") else []
    crop = augment.get("crop")
    return moves + ([f"random crops of at least {100 * crop:g} % of the area, resized"] if crop else [])


def _of_texts(augment: dict[str, Any]) -> list[str]:
    how = part(augment, "text")
    return [f"{100 * how[name]:g} % of the tokens {done}" for name, done in (("mask", "masked"), ("drop", "left out"))
            if how.get(name)]  # fmt: skip


def _of_clips(augment: dict[str, Any]) -> list[str]:
    how = part(augment, "sound")
    moves = [f"shifts up to {100 * how['shift']:g} % of the length"] if how.get("shift") else []
    moves += [f"noise up to {how['noise']:g} times a clip's own spread"] if how.get("noise") else []
    masks = [plural(how[name], f"mask {of}", f"masks {of}")
             for name, of in MASKS.items() if how.get(name)]
    return moves + ([f"{' and '.join(masks)}, up to {100 * how['widest']:g} % wide"] if masks else [])


MASKS = {"time_masks": "in time", "mel_masks": "of frequencies where the network takes log-mel energies"}
CHANGES = {"image": _of_images, "text": _of_texts, "sound": _of_clips}


def _inputs(facts: Facts) -> list[str]:
    """What networks see, for each modality; by data set or network where they do not see the same."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in records(facts.results.finals[["modality", "seen_as", "backbone"]].drop_duplicates()):
        where = found.setdefault(row["modality"], {}).setdefault(row["seen_as"], [])
        where += [row["backbone"]] if row["backbone"] not in where else []
    return [
        f"Of each {MODALITIES[modality].example}, a network sees "
        + "; ".join(f"{seen} ({listed(backbones)})" if len(ways) > 1 else seen for seen, backbones in ways.items())
        + "."
        for modality, ways in found.items()
    ]


def _closed_forms(facts: Facts) -> list[str]:
    finals = facts.results.finals
    names = unique(finals[~finals["solved"].isin(["", OWN_HEAD])]["strategy"])
    if not names:
        return []
    return [
        f"Closed forms are solved, not trained ({listed(names)}): they take no steps and see {facts.example}s as they "
        "are; instead of rates their search tries penalties, all of them in full, on the same splits."
    ]


def _own_heads(facts: Facts) -> list[str]:
    finals = facts.results.finals
    names = unique(finals[finals["solved"] == OWN_HEAD]["strategy"])
    if not names:
        return []
    return [
        f"Checkpoints as they came ({listed(names)}) are scored on the test split by their own classifier, in fp32: "
        "among the data set's own classes, unless the name says `among=all`. Nothing is trained, searched or drawn, so "
        "every label budget has one and the same number, and so has every repeat, without an interval, unless its test "
        f"{facts.example}s are its own."
    ]


def _source_labels(facts: Facts) -> list[str]:
    finals = facts.results.finals
    names = unique(finals[finals["labels"] == "source"]["strategy"])
    if not names:
        return []
    return [
        f"No label of the target is used before the test ({listed(names)}): the training {facts.example}s are those of "
        "the source that show the target's classes, all of them, with their labels, and a trial is scored on the test "
        f"{facts.example}s of the source that show these classes. So every label budget has one and the same training, "
        "and repeats differ in their initialisation and order alone."
    ]


def _views(augment: dict[str, Any], has_changes: bool, example: str) -> list[str]:
    views = int(augment.get("views") or 0)
    if not views or not has_changes:
        return []
    return [
        f"The augmentation is cached: {plural(views, 'changed view')} of each training {example} "
        f"{'was' if views == 1 else 'were'} drawn once, the same for every strategy and repeat, and each step "
        "chooses among them. No step sees a change that was not drawn then."
    ]


def _precision(facts: Facts) -> list[str]:
    """As the records say; before there are any, as the suite means it."""
    asked = part(facts.results.suite, "engine")
    meant = asked.get("precision")
    found = precisions(facts.results) or ({meant: {}} if meant in ARITHMETIC else {})
    if not found:
        return []
    words = ", or ".join(f"{ARITHMETIC.get(name, name)}{_reasons(facts, why)}" for name, why in found.items())
    exempt = " Pretraining inside the suite is fp32." if "bf16" in found and len(facts.results.pretrainings) else ""
    equal = " Sums are added up in the same order every time." if asked.get("deterministic") else ""
    return [f"Arithmetic: {words}. TF32 is off.{exempt}{equal}"]


def _reasons(facts: Facts, found: dict[str, list[str]]) -> str:
    """` (the CPU computes in bf16: resnet18)`; backbones only where there are several."""
    many = facts.many_backbones
    reasons = [f"{why}: {listed(backbones)}" if many else why for why, backbones in found.items() if why]
    return f" ({'; '.join(reasons)})" if reasons else ""


def _saved(facts: Facts) -> list[Block]:
    """What the engine did not compute twice."""
    saved: Savings = savings(facts.results)
    if not saved.trainings:
        return []
    total = plural(saved.trainings, "trial or final", "trials and finals")
    again = f", and {saved.recomputed:,} had some that were computed in every step" if saved.recomputed else ""
    fleets = (
        f"{saved.in_fleets:,} ran as fleets of up to {plural(saved.largest_fleet, 'network')}, computed as one."
        if saved.in_fleets
        else "None ran as a fleet, that is computed as one with others."
    )
    sentence = (
        f"How the work was done, which moves scores by rounding only: of {total}, {saved.kept:,} had frozen parts that "
        f"were computed once for each {facts.example} and kept{again}. {fleets}"
    )
    blocks: list[Block] = [Words([sentence])]
    for backbone, reason, count in saved.whole:
        short = reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 1]}…"
        words = (
            f"Note: {shortened(backbone)} ran whole in {count:,} of these although units of it are frozen, so their "
            f"seconds hold what is computed once elsewhere. The reason: {short}"
        )
        blocks.append(Words([words]))
    return blocks


def _scope(search: dict[str, Any]) -> list[str]:
    if search.get("scope") == "cell":
        return [
            "One search on the labels of repeat 0 serves every repeat, so the intervals do not include the variation "
            "of the search: another search could choose another rate."
        ]
    if search.get("scope") == "repeat":
        return ["Each repeat searches on its own labels, so the intervals include the variation of the search."]
    return []
