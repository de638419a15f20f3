"""Stages on the way to a target: which jobs they share, and whose labels are learned."""

from itertools import pairwise

from tests.planning.conftest import SMALL
from tests.planning.test_plan import BY_WAY, cells

STAGES = "{intermediate: {dataset: digits, epochs: 1, then: [{dataset: near, epochs: 2}%s]}}"


def test_ways_of_several_stages_share_the_jobs_that_they_begin_with(plan):
    ways = ["{intermediate: {dataset: digits, epochs: 1}}", STAGES % "", STAGES % ", {dataset: mid}"]
    made = plan(SMALL.replace("full_finetune]", f"{', '.join(ways)}]"))
    root, *stages = (job for job in made.jobs.values() if job.kind == "pretrain")
    assert [stage.spec.data.name for stage in stages] == ["digits", "near", "mid"]
    assert [stage.spec.epochs for stage in stages] == [1, 2, 10]
    chain = [root, *stages]
    assert all(after.needs == (before.key,) for before, after in pairwise(chain))
    assert all(after.spec.backbone.weights.identity == before.key for before, after in pairwise(chain))
    labels = ["intermediate(dataset=digits, epochs=1)",
              "intermediate(dataset=digits, epochs=1, then=[near(epochs=2)])",
              "intermediate(dataset=digits, epochs=1, then=[near(epochs=2), mid])"]  # fmt: skip
    for number, label in enumerate(labels):
        for cell in cells(made, strategy=label):
            assert [lesson.label for lesson in cell.lessons] == ["tiny", "digits", "near", "mid"][: number + 2]
            assert [one.name for one in cell.declared.via] == ["digits", "near", "mid"][: number + 1]
            for key in (*cell.searches, *cell.finals):
                assert made.jobs[key].needs[: number + 2] == tuple(job.key for job in chain[: number + 2])
    ways = ["then digits", "then digits, then near", "then digits, then near, then mid"]
    assert [made.pretrain_labels[stage.key][1] for stage in stages] == ways
    assert set(plan(BY_WAY).jobs) < set(made.jobs), "one stage is what it was"


def test_labels_of_the_source_are_no_budget_of_the_target(plan):
    """All label budgets have the same trainings, validated on a hold-out of the source."""
    made = plan(SMALL.replace("full_finetune]", "source_only, {dann: {labels: source}}]"))
    for strategy in ("source_only", "dann(labels=source)"):
        few, many = cells(made, strategy=strategy)
        assert (few.searches, few.finals) == (many.searches, many.finals)
        assert made.jobs[few.searches[0]].spec.search.folds == 0
