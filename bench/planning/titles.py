"""What a person calls a strategy with its options, and a job."""

from collections import Counter

from bench.catalogue import Options
from bench.planning.plan import Plan
from bench.spec.spans import Span
from bench.suite.schema import StrategySpec, head_text

LONGEST_LIST = 4  # values of an option that a label shows


def titles_of(plan: Plan) -> dict[str, str]:
    """A job that serves several cells bears the name of the first."""
    made = {key: names for key, names in plan.pretrain_labels.items() if key in plan.jobs}
    often = Counter(backbone for backbone, _ in made.values())
    titles = {key: f"pretraining {backbone}" + (f" · {way}" if often[backbone] > 1 else "")
              for key, (backbone, way) in made.items()}  # fmt: skip
    several = len({cell.backbone for cell in plan.cells}) > 1
    for cell in plan.cells:
        name = f"{cell.task} · {cell.strategy}" + (f" · {cell.backbone}" if several else "")
        for repeat, (search, final) in enumerate(zip(cell.searches, cell.finals, strict=True)):
            shared = len(set(cell.searches)) < len(cell.searches)
            titles.setdefault(search, f"{name} · search" if shared else f"{name} · search {repeat}")
            titles.setdefault(final, name if _is_one(cell.finals) else f"{name} · repeat {repeat}")
        for repeat, key in enumerate(cell.unchosen):
            titles.setdefault(key, f"{name} · unchosen points of repeat {repeat}")
    return titles


def _is_one(finals: tuple[str, ...]) -> bool:
    """Where nothing is drawn, every repeat is the same job."""
    return len(finals) > 1 == len(set(finals))


def label_of(spec: StrategySpec, options: Options, spans: dict[str, Span]) -> str:
    """`freeze(upto=2)`, `l2_sp(alpha=0.001..1)`: the options that differ from their defaults, or are searched."""
    shown = [
        f"{key}={spans[key].text if key in spans else _shown(getattr(options, key))}"
        for key, field_info in type(options).model_fields.items()
        if key in spans or getattr(options, key) != field_info.default
    ]
    shown += [f"stop_early={spec.stop_early.text}"] if spec.stop_early is not None else []
    shown += [f"head={head_text(spec.head)}"] if spec.head is not None else []
    return f"{spec.name}({', '.join(shown)})" if shown else spec.name


def _shown(value: object) -> str:
    """A long list by its ends: labels stand in tables."""
    if not isinstance(value, list) or len(value) <= LONGEST_LIST:
        return str(value)
    return f"[{value[0]}, … {value[-1]}; {len(value)}]"
