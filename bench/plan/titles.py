"""What a person calls a job."""

from bench.plan.plan import Plan


def titles_of(plan: Plan) -> dict[str, str]:
    """A job that serves several cells bears the name of the first."""
    titles = {
        key: f"pretraining {backbone}" for key, (backbone, _) in plan.pretrain_labels.items() if key in plan.jobs
    }
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
