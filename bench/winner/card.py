"""What a person should know of the network that they are given: `model_card.md`."""

import math

import timm

from bench.analysis.words import labels, plural
from bench.backbones import torchvision_names
from bench.modalities import MODALITIES
from bench.planning.plan import Plan
from bench.spec.job import FitSpec
from bench.store import Record
from bench.store.results import FinalResult
from bench.winner.again import Trained
from bench.winner.check import Check, percent
from bench.winner.choice import Choice
from bench.winner.network import Described

METRICS = {"accuracy": "accuracy", "mean_per_class": "mean accuracy per class", "macro_f1": "macro-F1",
           "mcc": "Matthews correlation"}  # fmt: skip


def card(plan: Plan, choice: Choice, made: Trained, described: Described, found: Check) -> str:
    cell, row, spec, suite = choice.cell, choice.summary, made.spec, plan.loaded.suite.name
    final, example = made.record.final, MODALITIES[choice.cell.modality].example
    assert final is not None
    metric = METRICS[row["metric"]]
    says = choice.sentence or "Nothing: it could not judge this task."
    given = "" if choice.is_recommended else " This strategy was named by a person, not by the page."
    spread = f" (95 % interval {percent(row['low'])} to {percent(row['high'])})" if math.isfinite(row["low"]) else ""
    lines = [
        f"# {cell.strategy} on {cell.backbone}, for {cell.dataset}",
        f"A classifier of {example}s into {spec.data.num_classes} classes (`labels.json`).",
        "## Where it comes from",
        f"- Suite: `{suite}`; code: {_code(made.record)}.",
        f"- Data: {cell.dataset} (`{spec.data.name}`, revision `{spec.data.revision}`), trained on "
        f"{_labels(final.num_labels, example)} ({labels(cell.budget.text)}).",
        f"- Strategy: {cell.strategy}, at {_point(final)}, which its search chose.",
        f"- Backbone: {cell.backbone} (`{spec.backbone.name}`). {_origin(plan, choice, spec)}",
        f"- Record: `{made.record.key}` (`python -m bench show {made.record.key[:12]}`), repeat {spec.repeat}.",
        "## What it scores",
        f"- The strategy: {metric} {percent(row['mean'])} on test {example}s, the mean of "
        f"{plural(row['n'], 'repeat')}{spread}. These weights are those of one of them.",
        f"- These weights: {percent(final.score)} on {final.num_test:,} test {example}s. {found.sentence}",
        f"- The page says: {says}{given}",
        "## How to use it",
        _use(described),
        "## Limits",
        f"The score was measured on the test split of {cell.dataset} and holds for {example}s like those. "
        f"{_told(described)} A file is always put into one of these classes, whatever it shows.{_computed(described)}",
    ]  # fmt: skip
    return "\n\n".join(_joined(lines)) + "\n"


def _joined(lines: list[str]) -> list[str]:
    """Items of a list stay together."""
    found: list[str] = []
    for line in lines:
        if line.startswith("- ") and found and found[-1].startswith("- "):
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def _code(record: Record) -> str:
    commit, dirty = record.provenance.get("commit"), record.provenance.get("dirty")
    if commit is None:
        return f"`{record.provenance.get('code')}`, of no known commit"
    return f"commit `{commit}`{', with changes' if dirty else ''}"


def _labels(num: int | None, example: str) -> str:
    return f"{num:,} labelled {example}s" if num else f"no labelled {example}s of this set"


def _point(final: FinalResult) -> str:
    return f"penalty {final.penalty:g}" if final.penalty is not None else f"rate {final.lr:g}"


def _origin(plan: Plan, choice: Choice, spec: FitSpec) -> str:
    """Of the weights that it began with, and their licence where it is known."""
    weights, name = spec.backbone.weights, spec.backbone.name
    if spec.recipe.init == "random" or weights.origin == "random":
        return "It began with random weights."
    if weights.origin == "pretrain":
        label, data = plan.pretrain_labels.get(weights.identity, (choice.cell.backbone, ""))
        return f"Its weights were pretrained in this suite{f' on {data}' if data else ''} ({label})."
    licence = None
    if weights.origin == "hub" and not name.startswith(torchvision_names.PREFIX):
        licence = getattr(timm.get_pretrained_cfg(weights.identity.partition("@")[0]), "license", None)
    where = weights.identity if weights.origin == "hub" else f"a file with SHA-256 {weights.identity}"
    return f"Its weights came from {where}. Licence of these weights: {licence or 'unknown'}."


def _use(described: Described) -> str:
    if described.built_by == "timm":
        return ("`python use.py FILE ...` with torch, timm, safetensors and Pillow; nothing else is needed. Pictures "
                "of more than 8 bits a colour have to be converted first.")
    reason = "something was built into it that timm does not have" if described.strategy else \
        "its classifier reads what several units put out" if described.reads is not None or described.width else \
        "timm does not have this architecture"  # fmt: skip
    return f"`python use.py FILE ...` with transfer-bench (the package `bench`), which builds this network: {reason}."


def _told(described: Described) -> str:
    if described.are_likelihoods:
        return "Its probabilities are not calibrated."
    return "Its numbers are no probabilities: only their order means something."


def _computed(described: Described) -> str:
    if described.classifier == "trained":
        return ""
    return " Its classifier was computed, not trained, and is kept in float64."
