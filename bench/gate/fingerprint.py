"""What the person declared of a cell, and the outside world it names, in three short digests.

Nothing that the code works out is in them: no job's key, no recipe out of the catalogue, no mean and deviation that
a backbone brings along, no default. Where the code gets one of these wrong, the fingerprint stays and the gate sees
the scores fall; were they in it, the cell would be `incomparable`, and the mistake would pass.
"""

import re
from dataclasses import dataclass
from typing import Any

from bench import datasets
from bench.keys import digest
from bench.planning.plan import Cell, Declared, Plan
from bench.spec.refs import DataRef
from bench.suite.schema import Suite
from bench.suite.section import SuiteSection

DIGITS = 8  # of each part
PARTS = ("data", "weights", "settings")
_FORM = re.compile(rf"[0-9a-f]{{{DIGITS}}}(\.[0-9a-f]{{{DIGITS}}}){{2}}")


@dataclass(frozen=True, order=True)
class Fingerprint:
    data: str
    weights: str
    settings: str

    def __str__(self) -> str:
        return f"{self.data}.{self.weights}.{self.settings}"

    @staticmethod
    def parse(text: str) -> "Fingerprint":
        """Raises ValueError for what `str` never gave."""
        if not _FORM.fullmatch(text):
            raise ValueError(f"expected three times {DIGITS} hex digits with dots between them, got {text!r}")
        return Fingerprint(*text.split("."))

    def differences(self, other: "Fingerprint") -> list[str]:
        return [part for part in PARTS if getattr(self, part) != getattr(other, part)]


def fingerprint(plan: Plan, cell: Cell) -> Fingerprint:
    """The number of repeats is not in it: pairs are made of those that both nights have."""
    suite, declared = plan.loaded.suite, cell.declared
    return Fingerprint(_short(_data(cell)), _short(_weights(declared)), _short(_settings(suite, declared)))


def _short(value: Any) -> str:
    return digest(value)[:DIGITS]


def _data(cell: Cell) -> list[Any]:
    spec, via = cell.declared.dataset, cell.declared.via
    seen = [text for one in via for text in (one.name, one.revision)]
    exam = ["resplit"] if cell.splits else []  # other images are tested on, whoever decided so
    if cell.listed is not None:
        exam = ["list", cell.listed.digest]
    part = [_written(spec.classes)] if spec.classes is not None else []
    return [_reference(cell.declared.data, spec.options), spec.metric, cell.budget, seen, *exam, *part]


def _reference(data: DataRef, options: dict[str, Any]) -> list[Any]:
    """A dataset by name, content, and the options as written, without those that say where it lies."""
    where = datasets.find(data.name).where
    return [data.name, data.revision, {name: value for name, value in options.items() if name not in where}]


def _weights(declared: Declared) -> list[Any]:
    spec = declared.backbone
    return [spec.name, spec.options, spec.units, _origin(declared)]


def _origin(declared: Declared) -> list[Any]:
    pretrain = declared.backbone.pretrain
    if pretrain is None or declared.source is None:
        return [declared.weights.origin, declared.weights.identity]
    written = _written(pretrain, "dataset", "options", "allow_overlap")
    return ["pretrain", _reference(declared.source, pretrain.options), written]


def _settings(suite: Suite, declared: Declared) -> list[Any]:
    strategy = declared.strategy
    return [
        strategy.name,
        strategy.options,
        _written(strategy.stop_early) if strategy.stop_early is not None else [],
        _written(strategy.recipe) if strategy.recipe is not None else None,
        _written(declared.backbone, "name", "weights", "pretrain", "options", "units", "label"),
        _written(strategy.head or suite.head),
        _written(suite.training),
        _written(suite.search),
        suite.engine.precision,
        suite.seed,
        *(["deterministic"] if suite.engine.deterministic else []),
    ]


def _written(section: SuiteSection, *without: str) -> dict[str, Any]:
    """What was written and says something else than the default, so that an option which this version adds changes
    nobody's fingerprint."""
    return section.model_dump(mode="json", exclude=set(without), exclude_defaults=True)
