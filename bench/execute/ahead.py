"""What can be known of a plan before it trains: asked once where torch is (`engine/jobs/ahead.py`), then remembered."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import fork_server
from bench.errors import BenchError, SuiteError
from bench.keys import digest
from bench.planning.plan import Cell, Plan
from bench.provenance import version_of
from bench.spec.job import FitSpec
from bench.spec.refs import BackboneRef
from bench.store.remembered import recall, remember

LOOK = 1  # bumped when a look finds out something else
Question = tuple[FitSpec, Path | None]


@dataclass(frozen=True)
class Ahead:
    weights: dict[str, str]  # backbone's label -> why its checkpoint does not fit
    strategies: dict[tuple[str, str], str]  # backbone's and strategy's labels -> why they do not
    seconds: dict[str, float]  # network -> of one pass of one example


def look_ahead(plan: Plan, cache: Path, timed: bool) -> Ahead:
    """`timed`: steps too. Nothing is asked where nothing can be wrong."""
    ahead = Ahead({}, {}, {})
    asked = {(cell.backbone, cell.strategy): _spec(plan, cell) for cell in plan.cells}
    fits: dict[str, Question] = {}
    steps: dict[str, Question] = {}
    for spec in asked.values():
        path = _checkpoint(plan, spec)
        if spec.recipe.own_head is None and (path is not None or spec.recipe.adapt or spec.recipe.tensors != "all"):
            fits[_key("fit", spec)] = (spec, path)
        if timed:
            steps.setdefault(_key("step", spec), (spec, None))
    found = _answers_of({"fit": fits, "step": steps}, cache)
    for (backbone, strategy), spec in asked.items():
        seen = found.get(_key("fit", spec), {})
        if seen.get("weights"):
            ahead.weights.setdefault(backbone, seen["weights"])
        if seen.get("strategy"):
            ahead.strategies[backbone, strategy] = seen["strategy"]
        if (took := found.get(_key("step", spec))) is not None:
            ahead.seconds[network_of(spec.backbone)] = took
    return ahead


def network_of(backbone: BackboneRef) -> str:
    """Whatever its weights."""
    return digest([backbone.name, backbone.options])


def refuse_unfit(plan: Plan, ahead: Ahead) -> None:
    """Checkpoints that do not fit: all of their trainings would fail."""
    specs = {cell.backbone: cell.declared.backbone for cell in plan.cells}
    every = plan.loaded.suite.backbones
    lines = [plan.loaded.problem(("backbones", every.index(specs[label]), "weights"), f"{label}: {reason}")
             for label, reason in ahead.weights.items()]  # fmt: skip
    if lines:
        raise SuiteError(lines)


def unfit_in_words(ahead: Ahead) -> list[str]:
    return [f"{strategy} does not fit {backbone}, and will be recorded as not applicable: {reason}"
            for (backbone, strategy), reason in ahead.strategies.items()]  # fmt: skip


def _spec(plan: Plan, cell: Cell) -> FitSpec:
    spec = plan.jobs[cell.finals[0]].spec
    assert isinstance(spec, FitSpec)
    return spec


def _checkpoint(plan: Plan, spec: FitSpec) -> Path | None:
    """None too where it is gone: an old run's page needs it no more."""
    path = plan.weights_files.get(spec.backbone.weights.identity or "")
    return path if path is not None and path.is_file() else None


def _key(kind: str, spec: FitSpec) -> str:
    what = [kind, LOOK, version_of("torch"), version_of("timm"), spec.backbone, spec.data.num_classes, spec.head]
    return digest([*what, *([spec.recipe] if kind == "fit" else [spec.training.batch_size, spec.pipeline])])


def _answers_of(questions: dict[str, dict[str, Question]], cache: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in [key for asked in questions.values() for key in asked]:
        answer = recall(cache / "ahead" / f"{key}.json")
        if answer is not None:
            found[key] = answer
    left = {kind: {key: one for key, one in asked.items() if key not in found} for kind, asked in questions.items()}
    if not any(left.values()):
        return found
    try:
        made = fork_server.ask("looking ahead", _answers, left)
    except BenchError:  # a guess and a warning less; what trains says more
        return found
    for key, answer in made.items():
        remember(cache / "ahead" / f"{key}.json", answer)
    return found | made


def _answers(questions: dict[str, dict[str, Question]]) -> dict[str, Any]:
    """In the other process."""
    from bench.engine.jobs.ahead import look, seconds_of_a_pass

    made: dict[str, Any] = {key: asdict(look(*one)) for key, one in questions["fit"].items()}
    return made | {key: seconds_of_a_pass(spec) for key, (spec, _) in questions["step"].items()}
