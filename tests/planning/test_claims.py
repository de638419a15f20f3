"""Which cells a claim speaks of, and what is said where there are none."""

import pytest

from bench.planning.claims import picked, sides_of
from bench.suite.claims_schema import CellsSpec, ClaimSpec
from bench.suite.known_claims import KNOWN

SUITE = """\
name: stated
datasets:
  - {name: near, labels_per_class: [2, 20]}
  - {name: digits, labels_per_class: [5, 20]}
backbones: [{name: small_resnet, pretrain: {dataset: source}}]
strategies: [scratch, linear_probe, {lora: {rank: 2}}]
repeats: 2
claims:
"""


def place(dataset="near", labels=5.0, strategy="scratch", budget=None, **role):
    text = budget or f"{labels:g}"
    return {"dataset": dataset, "budget": text, "labels_per_class": labels, "backbone": "net", "strategy": strategy,
            "pitfall": "", "right": "", "control": False, "pair": "", "target": "", "treatment": "", "keep": 0,
            **role}  # fmt: skip


def study(treatment, keep, pair="split 0"):
    return place(strategy=f"{treatment} {keep}", treatment=treatment, keep=keep, pair=pair)


def names(found):
    return [(one["dataset"], one["budget"], one["strategy"]) for one in found]


def test_fewest_and_most_are_of_each_data_set_and_multiples_of_these():
    places = [place(d, n) for d, budgets in (("near", (2, 20, 200)), ("far", (5, 50))) for n in budgets]
    assert names(picked(CellsSpec(labels="fewest"), places)) == [("near", "2", "scratch"), ("far", "5", "scratch")]
    assert names(picked(CellsSpec(labels="most"), places)) == [("near", "200", "scratch"), ("far", "50", "scratch")]
    ten = picked(CellsSpec(labels="fewest", times=10), places)
    assert names(ten) == [("near", "20", "scratch"), ("far", "50", "scratch")]
    assert names(picked(CellsSpec(labels=20), places)) == [("near", "20", "scratch")]


def test_full_is_a_budget_by_its_name():
    places = [place(labels=100.3, budget="full"), place(labels=100.3)]
    assert len(picked(CellsSpec(labels="full"), places)) == 1


def test_patterns_are_held_against_labels_and_brackets_stand_for_themselves():
    places = [place(strategy="lora(rank=2)"), place(strategy="lora"), place(strategy="scratch [slow]")]
    assert len(picked(CellsSpec(strategy="lora*"), places)) == 2
    assert len(picked(CellsSpec(strategy=("scratch [slow]", "lora")), places)) == 2


def test_sides_count_on_the_tasks_that_both_have():
    places = [place("near"), place("far"), place("near", strategy="probe")]
    claim = ClaimSpec(claim="x", more=CellsSpec(strategy="probe"), less=CellsSpec(strategy="scratch"), above=0.0)
    more, less = sides_of(claim, places)
    assert names(more.places) == [("near", "5", "probe")]
    assert names(less.places) == [("near", "5", "scratch")]
    assert (more.weight, less.weight) == (1, -1)


def test_sides_with_other_labels_count_on_the_data_sets_that_both_have():
    places = [place("near"), place("near", 50), place("far", 50)]
    claim = ClaimSpec(claim="x", more=CellsSpec(labels=5), less=CellsSpec(labels=50), above=0.0)
    more, less = sides_of(claim, places)
    assert names(more.places) == [("near", "5", "scratch")]
    assert names(less.places) == [("near", "50", "scratch")]


def test_every_task_counts_alike_whatever_strategies_apply_there():
    places = [place("near", strategy=s) for s in ("full", "lora", "l2_sp")]
    places += [place("far", strategy=s) for s in ("full", "l2_sp")]
    claim = ClaimSpec(claim="x", more=CellsSpec(strategy=("lora", "l2_sp")), less=CellsSpec(strategy="full"), above=0.0)
    more, less = sides_of(claim, places)
    assert [share for share, _ in more.terms] == [0.25, 0.25, 0.5]
    assert [share for share, _ in less.terms] == [0.5, 0.5]


def test_controls_with_random_weights_count_where_they_are_named():
    places = [{**place(strategy=s), "backbone": b, "control": b == "random"}
              for s in ("full", "scratch") for b in ("net", "random")]  # fmt: skip
    sides = {"more": CellsSpec(strategy="full"), "less": CellsSpec(strategy="scratch"), "claim": "x", "above": 0.0}
    assert [one["backbone"] for one in sides_of(ClaimSpec(**sides), places)[0].places] == ["net"]
    named = ClaimSpec(**sides, where=CellsSpec(backbone="random"))
    assert [one["backbone"] for one in sides_of(named, places)[0].places] == ["random"]


def test_one_budget_is_not_many_labels():
    places = [place(strategy=s) for s in ("full_finetune", "scratch")]
    sides = sides_of(ClaimSpec.model_validate({"name": "gain_shrinks_with_labels"}), places)
    assert [len(side.terms) for side in sides] == [1, 1, 0, 0]


def test_a_difference_of_differences_has_four_sides():
    places = [place(d, strategy=s) for d in ("near", "far") for s in ("scratch", "linear_probe", "full_finetune")]
    claim = ClaimSpec.model_validate({"name": "tuning_pays_when_far"})
    sides = sides_of(claim, places)
    assert [(side.name, side.weight) for side in sides] == [
        ("more", 1), ("less", -1), ("beyond.more", -1), ("beyond.less", 1)
    ]  # fmt: skip
    assert [names(side.places)[0][::2] for side in sides] == [
        ("far", "full_finetune"), ("far", "linear_probe"), ("near", "full_finetune"), ("near", "linear_probe")
    ]  # fmt: skip


def test_a_mistake_is_held_against_the_strategies_that_it_can_happen_to():
    wrong = place(strategy="linear_probe [in training mode]", right="linear_probe", pitfall="training_mode_features")
    right = [place(strategy="linear_probe"), place(strategy="full_finetune"), place("far", strategy="linear_probe")]
    claim = ClaimSpec.model_validate({"name": "training_mode_extraction_costs"})
    more, less = sides_of(claim, [*right, wrong])
    assert names(more.places) == [("near", "5", "linear_probe")]
    assert less.places == [wrong]
    plain = ClaimSpec(claim="x", more=CellsSpec(strategy="linear*"), less=CellsSpec(strategy="full*"), above=0.0)
    assert names(sides_of(plain, [*right, wrong])[0].places) == [("near", "5", "linear_probe")], "no mistakes unasked"


def test_depths_of_a_study_and_its_base_apart():
    places = [study("base", 0), *(study(t, k) for t in ("AnB", "BnB") for k in (1, 2, 3, 4))]
    assert [one["keep"] for one in picked(CellsSpec(treatment="AnB", keep="middle"), places)] == [2, 3]
    assert [one["keep"] for one in picked(CellsSpec(keep=("first", "deepest")), places)] == [1, 4, 1, 4]
    assert [one["strategy"] for one in picked(CellsSpec(treatment="base"), places)] == ["base 0"]
    assert [one["strategy"] for one in picked(CellsSpec(treatment="BnB", keep=2), places)] == ["BnB 2"]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_known_claim_is_whole(name):
    claim = ClaimSpec.model_validate({"name": name})
    low, high = claim.region
    assert low < high
    assert claim.claim.endswith(".")
    assert claim.source
    again = ClaimSpec.model_validate(claim.model_dump())
    assert again == claim, "a suite that is written out reads the same"


def test_what_stands_beside_a_name_replaces_its_own():
    claim = ClaimSpec.model_validate({"name": "transfer_beats_scratch", "within": 2.0, "where": {"dataset": "near"}})
    assert claim.region == (-0.02, 0.02)
    assert claim.where.dataset == ("near",)
    assert claim.more.strategy == ("full_finetune",)


@pytest.mark.parametrize(("written", "said"), [
    ("  - transfer_beats_scrtch", "unknown claim 'transfer_beats_scrtch'; did you mean 'transfer_beats_scratch'"),
    ("  - {claim: so, more: {strategy: scratch}}", "give one of above, within and between"),
    ("  - {claim: so, more: {strategy: scratch}, above: 1, within: 1}", "give one of above, within and between"),
    ("  - {claim: so, more: {strategy: scratch}, between: [5, 1]}", "the first number must be below the second"),
    ("  - {claim: so, more: {labels: most, times: 10}, above: 1}", "give `labels` as a number or `fewest`"),
    ("  - {claim: so, value: compute, more: {}, less: {}, above: 1}", "it takes no `less`"),
    ("  - {claim: so, more: {}, within: 1}", "within: it says that two sides are equal; give `less` too"),
    ("  - {claim: so, more: {}, less: {}, above: 1}", "its sides are the same cells, so that nothing is compared"),
    ("  - {claim: so, more: {}, beyond: {more: {}, less: {}}, above: 1}", "give `less` too"),
    ("  - {claim: so, more: {strategey: scratch}, above: 1}", "unknown key 'strategey'"),
    ("  - {claim: so, more: {keep: shallow}, above: 1}", "'first', 'middle', 'deepest'"),
    ("  - transfer_beats_scratch", "claims[0].more: transfer_beats_scratch: no cell of this suite has labels "
     "fewest, strategy full_finetune. There are"),
    ("  - {claim: so, where: {dataset: near}, more: {dataset: digits}, above: 1}",
     "no cell of this suite has dataset digits and, by its `where`, dataset near. There are dataset: near, digits"),
    ("  - {claim: so, more: {labels: 7}, above: 1}", "no cell of this suite has labels 7. There are labels: 2, 20, 5"),
])  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(refused, written, said):
    [told] = refused(SUITE + written + "\n")
    assert said in told
    assert told.startswith("9:")


def test_a_name_of_ones_own(plan):
    made = plan(SUITE + "  - {name: mine, claim: so, more: {strategy: lora*}, less: {strategy: scratch}, above: 1}")
    assert made.loaded.suite.claims[0].name == "mine"


def test_claims_move_no_key(plan):
    stated = "  - {claim: so, more: {strategy: lora*}, less: {strategy: scratch}, above: 1}\n"
    assert list(plan(SUITE + stated).jobs) == list(plan(SUITE.replace("claims:\n", "")).jobs)
