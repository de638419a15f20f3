"""How the numbers came to be, in words, from the suite with its defaults filled in; and on what they were made."""

import json
from typing import Any

from bench.analysis.cells import records
from bench.analysis.words import plural
from bench.report.facts import Facts, name_cell
from bench.report.view import ABSENT, Block, Cell, Column, Section, Table, Verbatim, Words, compact, duration, percent

SAMPLERS = {
    "tpe": "the first half on a log-spaced grid, the rest proposed by TPE",
    "grid": "on a log-spaced grid",
    "qmc": "quasi-random (QMC)",
    "random": "drawn at random",
}


def part(suite: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of the suite; empty where results were assembled without one."""
    found = suite.get(name)
    return found if isinstance(found, dict) else {}


def protocol_section(facts: Facts) -> Section:
    how = "What was done the same way for every strategy, as read from the suite with all defaults filled in."
    suite = facts.results.suite
    search = part(suite, "search")
    sentences = [
        _budget(search),
        *_search(search),
        *_validation(search),
        *_training(part(suite, "training")),
        "The final training uses the chosen hyperparameters on training and validation labels together; the score is "
        "that of the last weights, on the test split.",
        "Subsets and splits depend on the repeat and not on the strategy, so comparisons are paired; each repeat "
        "draws a new subset, split, initialisation and order.",
        *_scope(search),
        "Intervals are Student t at 95 %. No bootstrap is used: over 3 to 5 repeats it covers far less than it claims.",
    ]
    return Section("protocol", "Protocol", how, [Words(sentences, listed=True)])


def _budget(search: dict[str, Any]) -> str:
    told = "The label budget is all that a strategy may see: validation labels come out of it"
    if search.get("scope") == "cell":
        return f"{told}. The rate is the exception: it was chosen on the labels of repeat 0 for every repeat."
    return f"{told}, and nothing is added to it."


def _search(search: dict[str, Any]) -> list[str]:
    if "trials" not in search:
        return []
    drawn = SAMPLERS.get(search.get("sampler", ""), str(search.get("sampler", "")))
    found = f"Every strategy gets {plural(int(search['trials']), 'trial')} per search ({drawn})"
    lr, decay = search.get("lr"), search.get("weight_decay")
    over = (
        f"over learning rates from {lr['low']:g} to {lr['high']:g}"
        if lr
        else "over the default range of learning rates of its optimizer"
    )
    also = f" and weight decays from {decay['low']:g} to {decay['high']:g}" if decay else ""
    return [
        f"{found}, {over}{also}; scratch is searched like everyone else. A strategy may shift the range, its width "
        "stays."
    ]


def _validation(search: dict[str, Any]) -> list[str]:
    kind = search.get("validation")
    share = f"{100 * float(search.get('holdout', 0)):g} % of the labels"
    if kind == "auto":
        return [
            f"A trial is scored on a hold-out of {share}; where that would be under 100 images, on 3 stratified folds "
            "instead."
        ]
    if kind == "holdout":
        return [f"A trial is scored on a hold-out of {share}."]
    if isinstance(kind, dict) and "folds" in kind:
        return [f"A trial is scored out of fold, on {kind['folds']} stratified folds over the labels."]
    return []


def _training(training: dict[str, Any]) -> list[str]:
    if not training:
        return []
    steps, epochs = training.get("steps"), training.get("epochs")
    budget = (
        f"{steps:,} optimizer steps" if steps else f"{epochs} passes over the labels" if epochs else "one step budget"
    )
    detail = [f"batch size {training['batch_size']}"] if "batch_size" in training else []
    optimizer = {"sgd": "SGD with Nesterov momentum", "adamw": "AdamW"}.get(training.get("optimizer", ""), "")
    detail += [item for item in (optimizer, f"{training.get('schedule', 'constant')} schedule") if item]
    augment = part(training, "augment")
    moves = [f"shifts up to {augment['shift']} px"] if augment.get("shift") else []
    moves += ["left-right flips"] if augment.get("flip") else []
    detail.append(f"augmentation: {' and '.join(moves) or 'none'}")
    return [f"Every training, whatever its strategy, gets {budget}: {', '.join(detail)}."]


def _scope(search: dict[str, Any]) -> list[str]:
    if search.get("scope") == "cell":
        return [
            "One search on the labels of repeat 0 serves every repeat, so the intervals do not include the variation "
            "of the search: another search could choose another rate."
        ]
    if search.get("scope") == "repeat":
        return ["Each repeat searches on its own labels, so the intervals include the variation of the search."]
    return []


def pretraining_section(facts: Facts) -> Section | None:
    how = "Backbones that this suite trained itself before anything was transferred; their cost is paid once."
    rows = records(facts.results.pretrainings)
    if not rows:
        return None
    columns = [Column("Backbone", numeric=False), Column("Source", numeric=False), Column("Status", numeric=False)]
    columns += [
        Column("Source test score", "%"),
        Column("Epochs"),
        Column("FLOPs"),
        Column("Time"),
        Column("Weights", "SHA-256", numeric=False),
    ]
    lines = [
        [
            name_cell(row["backbone"]),
            name_cell(row["dataset"]),
            Cell(row["status"]),
            _number(percent(row["score"]), 100 * row["score"]),
            _number(f"{row['epochs']:g}", row["epochs"]),
            _number(compact(row["flops"]), row["flops"]),
            _number(duration(row["seconds"]), row["seconds"]),
            Cell(
                str(row["weights_sha256"])[:12] or ABSENT,
                value=row["weights_sha256"],
                css="mono",
                title=row["weights_sha256"],
            ),
        ]
        for row in rows
    ]
    caption = (
        "One training each (n = 1), so the score has no interval; variation between pretrainings is in no number of "
        "this page."
    )
    return Section("pretraining", "Pretraining", how, [Table("pretraining", columns, lines, caption)])


def _number(text: str, value: float) -> Cell:
    return Cell(text, value=float(value)) if value == value else Cell(ABSENT, value="")


def provenance_section(facts: Facts) -> Section:
    how = "What the numbers were made with; a value that differs between environments is marked."
    blocks: list[Block] = []
    found = [flat(environment) for environment in facts.results.provenance]
    if found:
        names = list(dict.fromkeys(name for environment in found for name in environment))
        columns = [Column("", numeric=False)]
        columns += [Column(f"Environment {i + 1}", numeric=False) for i in range(len(found))]
        rows = []
        for name in names:
            texts = [plain(environment.get(name, ABSENT)) for environment in found]
            css = "differs" if len(set(texts)) > 1 and name != "records" else ""
            rows.append([Cell(str(name), css="head"), *(Cell(text, css=css) for text in texts)])
        blocks.append(Table("environments", columns, rows, "Distinct environments that wrote records of this suite."))
    else:
        blocks.append(Words(["No record says what it was made with."]))
    if facts.results.suite_text:
        blocks += [Words(["The suite as it was written:"]), Verbatim(facts.results.suite_text)]
    return Section("provenance", "Provenance", how, blocks)


def flat(environment: dict[str, Any]) -> dict[str, Any]:
    """A line of its own for each library, so that a version that differs stands out."""
    return {
        inner if inner is not None else name: one
        for name, value in environment.items()
        for inner, one in (value.items() if isinstance(value, dict) else [(None, value)])
    }


def plain(value: Any) -> str:
    """Anything a record may hold, in a fixed order."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
