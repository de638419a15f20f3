"""Claims that people repeat, as a suite can name them: the sentence, who says so, and what would decide it.

Each is written as in a suite's `claims` section, whose words are in `claims_schema.py`. Where a claim speaks of near
and far targets, it means the data sets of these names; `where`, `more` and `less` beside the name choose others.
"""

from typing import Any

HERE = {"strategy": ("linear_probe", "full_finetune")}
YOSINSKI = "Yosinski et al. 2014"
TUNED, PROBE, SCRATCH = "full_finetune", "linear_probe", "scratch"
REGULARISED = ("l2_sp*", "ewc*", "replay*")
SOPHISTICATED = ("l2_sp*", "delta*", "bss*", "co_tuning*", "bi_tuning*", "stochnorm*", "lp_ft*", "discriminative*",
                 "gradual_unfreeze*", "lora*", "adapter*", "ssf*", "vpt*")  # fmt: skip
DISSIMILAR = {"pair": "*and*", "keep": "deepest"}
SIMILAR = {"pair": "split*", "keep": "deepest"}

LABELS: dict[str, dict[str, Any]] = {
    "transfer_beats_scratch": {
        "claim": "With few labels, fine-tuning a pretrained network beats training from scratch.",
        "source": "Yosinski et al. 2014; Kornblith et al. 2019",
        "more": {"strategy": TUNED, "labels": "fewest"},
        "less": {"strategy": SCRATCH, "labels": "fewest"},
        "above": 3.0,
    },
    "ten_times_the_labels": {
        "claim": "Fine-tuning does as well as training from scratch on 10 times as many labels.",
        "source": "rule of thumb: transfer saves 10 to 100 times the labels",
        "more": {"strategy": TUNED, "labels": "fewest"},
        "less": {"strategy": SCRATCH, "labels": "fewest", "times": 10},
        "above": -3.0,
    },
    "hundred_times_the_labels": {
        "claim": "Fine-tuning does as well as training from scratch on 100 times as many labels.",
        "source": "rule of thumb: transfer saves 10 to 100 times the labels",
        "more": {"strategy": TUNED, "labels": "fewest"},
        "less": {"strategy": SCRATCH, "labels": "fewest", "times": 100},
        "above": -3.0,
    },
    "gain_shrinks_with_labels": {
        "claim": "What transfer gains over scratch shrinks as labels grow.",
        "source": "He et al. 2019; Kornblith et al. 2019",
        "more": {"strategy": TUNED, "labels": "fewest"},
        "less": {"strategy": SCRATCH, "labels": "fewest"},
        "beyond": {"more": {"strategy": TUNED, "labels": "most"}, "less": {"strategy": SCRATCH, "labels": "most"}},
        "above": 3.0,
    },
    "scratch_catches_up_with_labels": {
        "claim": "With many labels, training from scratch is as good as fine-tuning.",
        "source": "He et al. 2019",
        "more": {"strategy": TUNED, "labels": "most"},
        "less": {"strategy": SCRATCH, "labels": "most"},
        "within": 3.0,
    },
    "scratch_catches_up_with_steps": {
        "claim": "With many labels and a longer schedule, training from scratch is as good as fine-tuning.",
        "source": "He et al. 2019",
        "more": {"strategy": TUNED, "labels": "most"},
        "less": {"strategy": "scratch_long", "labels": "most"},
        "within": 3.0,
    },
    "probe_suffices_with_few_labels": {
        "claim": "With few labels, feature extraction is no worse than fine-tuning.",
        "source": "rule of thumb: under 100 examples, extract features",
        "more": {"strategy": PROBE, "labels": "fewest"},
        "less": {"strategy": TUNED, "labels": "fewest"},
        "above": -3.0,
    },
    "tuning_pays_with_many_labels": {
        "claim": "With many labels, fine-tuning beats feature extraction.",
        "source": "rule of thumb: above 100 examples, fine-tune",
        "more": {"strategy": TUNED, "labels": "most"},
        "less": {"strategy": PROBE, "labels": "most"},
        "above": 3.0,
    },
    "tuning_pays_when_far": {
        "claim": "What fine-tuning gains over feature extraction is larger when the target is far.",
        "source": "Kornblith et al. 2019",
        "more": {"strategy": TUNED, "dataset": "far"},
        "less": {"strategy": PROBE, "dataset": "far"},
        "beyond": {"more": {"strategy": TUNED, "dataset": "near"}, "less": {"strategy": PROBE, "dataset": "near"}},
        "above": 3.0,
    },
    "partial_tuning_wins_when_far": {
        "claim": "When the target is far and labels are few, tuning some layers beats tuning all.",
        "source": "rule of thumb: few labels, another domain: tune the upper layers",
        "more": {"strategy": "tune_last*", "dataset": "far", "labels": "fewest"},
        "less": {"strategy": TUNED, "dataset": "far", "labels": "fewest"},
        "above": 0.0,
    },
    "gain_shrinks_with_distance": {
        "claim": "What transfer gains over scratch is smaller when the target is far.",
        "source": "Yosinski et al. 2014; Kornblith et al. 2019",
        "more": {"strategy": TUNED, "dataset": "near"},
        "less": {"strategy": SCRATCH, "dataset": "near"},
        "beyond": {"more": {"strategy": TUNED, "dataset": "far"}, "less": {"strategy": SCRATCH, "dataset": "far"}},
        "above": 3.0,
    },
    "transfer_hurts_when_far": {
        "claim": "When the target is far from the source, transfer is worse than training from scratch.",
        "source": "Pan and Yang 2010; Wang et al. 2019",
        "more": {"strategy": SCRATCH, "dataset": ("far", "digits")},
        "less": {"strategy": TUNED, "dataset": ("far", "digits")},
        "above": 0.0,
    },
}

RATES: dict[str, dict[str, Any]] = {
    "smaller_rate_for_the_body": {
        "claim": "A rate 10 times smaller for the body than for the head gives a better score.",
        "source": "rule of thumb: 10 to 100 times smaller; TLlib uses 10",
        "more": {"strategy": "backbone_rate"},
        "less": {"strategy": "full_finetune"},
        "above": 0.0,
    },
    "hundredth_rate_for_the_body": {
        "claim": "A rate 100 times smaller for the body than for the head gives a better score.",
        "source": "rule of thumb: 10 to 100 times smaller",
        "more": {"strategy": "backbone_rate(share=0.01)"},
        "less": {"strategy": "full_finetune"},
        "above": 0.0,
    },
    "small_body_rates_forget_less": {
        "claim": "A smaller rate for the body keeps more of what the network knew.",
        "source": "Howard and Ruder 2018",
        "value": "source",
        "more": {"strategy": "backbone_rate"},
        "less": {"strategy": "full_finetune"},
        "above": 3.0,
    },
    "unfreezing_gradually_forgets_less": {
        "claim": "Unfreezing layer by layer keeps more of what the network knew.",
        "source": "Howard and Ruder 2018",
        "value": "source",
        "more": {"strategy": "gradual_unfreeze"},
        "less": {"strategy": "full_finetune"},
        "above": 3.0,
    },
    "penalties_forget_less": {
        "claim": "L2-SP, EWC and rehearsal, on average, keep more of what the network knew.",
        "source": "Li et al. 2018; Kirkpatrick et al. 2017",
        "value": "source",
        "more": {"strategy": REGULARISED},
        "less": {"strategy": "full_finetune"},
        "above": 3.0,
    },
    "penalties_cost_nothing": {
        "claim": "L2-SP, EWC and rehearsal, on average, cost nothing on the target.",
        "source": "Li et al. 2018; Kirkpatrick et al. 2017",
        "more": {"strategy": REGULARISED},
        "less": {"strategy": "full_finetune"},
        "above": -3.0,
    },
    "unfreezing_gradually_wins": {
        "claim": "Unfreezing layer by layer gives a better score than tuning all at once.",
        "source": "Howard and Ruder 2018",
        "more": {"strategy": "gradual_unfreeze"},
        "less": {"strategy": "full_finetune"},
        "above": 0.0,
    },
    "cycles_help_unfreezing": {
        "claim": "Unfreezing layer by layer gives a better score with a cycle of the rate for each layer.",
        "source": "recommended beside gradual unfreezing; Smith 2017",
        "more": {"strategy": "gradual_unfreeze(triangular=True)"},
        "less": {"strategy": "gradual_unfreeze"},
        "above": 0.0,
    },
    "cyclical_rates_win": {
        "claim": "Cyclical rates give a better score than one falling rate.",
        "source": "Smith 2017",
        "more": {"strategy": "cyclical*"},
        "less": {"strategy": "full_finetune"},
        "above": 0.0,
    },
    "probe_then_tune_wins": {
        "claim": "Tuning from a trained head gives a better score than from a fresh one.",
        "source": "Kumar et al. 2022",
        "more": {"strategy": "lp_ft*"},
        "less": {"strategy": "full_finetune"},
        "above": 0.0,
    },
    "staged_transfer_wins": {
        "claim": "Learning another data set on the way gives a better score than going straight to the target.",
        "source": "rule of thumb: staged transfer, from general to specific",
        "more": {"strategy": "intermediate*"},
        "less": {"strategy": "full_finetune"},
        "above": 0.0,
    },
    "sophistication_adds_nothing": {
        "claim": "On average, more sophisticated methods are no better than plain fine-tuning.",
        "source": "FewTrans 2026",
        "more": {"strategy": "full_finetune"},
        "less": {"strategy": SOPHISTICATED},
        "above": -3.0,
    },
    "costs_a_share_of_pretraining": {
        "claim": "One fine-tuning costs 1 to 5 % of pretraining's compute.",
        "source": "rule of thumb",
        "value": "compute",
        "more": {"strategy": "full_finetune"},
        "between": (1.0, 5.0),
    },
    "search_costs_a_share_of_pretraining": {
        "claim": "Fine-tuning costs 1 to 5 % of pretraining's compute, the search for its rate included.",
        "source": "rule of thumb",
        "value": "compute_with_search",
        "more": {"strategy": "full_finetune"},
        "between": (1.0, 5.0),
    },
}

LAYERS: dict[str, dict[str, Any]] = {
    "deep_units_are_specific": {
        "claim": "What frozen units of another task lose, beyond co-adaptation, grows with depth.",
        "source": YOSINSKI,
        "more": {"treatment": "BnB", **SIMILAR},
        "less": {"treatment": "AnB", **SIMILAR},
        "beyond": {"more": {"treatment": "BnB", "pair": "split*", "keep": "first"},
                   "less": {"treatment": "AnB", "pair": "split*", "keep": "first"}},
        "above": 5.0,
    },
    "first_unit_is_general": {
        "claim": "The first unit can be kept frozen from another task at no loss.",
        "source": YOSINSKI,
        "more": {"treatment": "AnB", "keep": "first"},
        "less": {"treatment": "base"},
        "above": -3.0,
    },
    "units_are_coadapted": {
        "claim": "Parting a network in its middle and training the upper part anew loses points.",
        "source": YOSINSKI,
        "more": {"treatment": "base"},
        "less": {"treatment": "BnB", "keep": "middle"},
        "above": 0.0,
    },
    "tuning_recovers_coadaptation": {
        "claim": "Tuning the kept units too brings back what parting the network lost.",
        "source": YOSINSKI,
        "more": {"treatment": "BnB+", "keep": "middle"},
        "less": {"treatment": "BnB", "keep": "middle"},
        "above": 0.0,
    },
    "transfer_boosts_even_after_tuning": {
        "claim": "Units that learned another task first, then tuned, do better than units of the same task.",
        "source": f"{YOSINSKI}, against the control that was tuned as long",
        "more": {"treatment": "AnB+"},
        "less": {"treatment": "BnB+"},
        "above": 0.0,
    },
    "transfer_beats_the_base": {
        "claim": "Transferred and tuned networks do better than those trained on the target alone.",
        "source": f"{YOSINSKI}, as the paper compares: longer training counts as a gain",
        "more": {"treatment": "AnB+"},
        "less": {"treatment": "base"},
        "above": 0.0,
    },
    "transfer_is_not_below_the_base": {
        "claim": "Transferred and tuned networks are no worse than those trained on the target alone.",
        "source": YOSINSKI,
        "more": {"treatment": "AnB+"},
        "less": {"treatment": "base"},
        "above": -3.0,
    },
    "dissimilar_tasks_transfer_less": {
        "claim": "Deep frozen units lose more when the two tasks are dissimilar.",
        "source": YOSINSKI,
        "more": {"treatment": "base", "pair": "*and*"},
        "less": {"treatment": "AnB", **DISSIMILAR},
        "beyond": {"more": {"treatment": "base", "pair": "split*"}, "less": {"treatment": "AnB", **SIMILAR}},
        "above": 5.0,
    },
    "random_units_are_worse": {
        "claim": "Frozen units with random weights are far worse than transferred ones, beyond the first unit.",
        "source": YOSINSKI,
        "more": {"treatment": "AnB", "keep": ("middle", "deepest")},
        "less": {"treatment": "random", "keep": ("middle", "deepest")},
        "above": 5.0,
    },
    "random_units_fall_with_depth": {
        "claim": "The more random units are frozen, the worse.",
        "source": YOSINSKI,
        "more": {"treatment": "random", "keep": "first"},
        "less": {"treatment": "random", "keep": "deepest"},
        "above": 5.0,
    },
}

PITFALLS: dict[str, dict[str, Any]] = {
    f"{name}_costs": {
        "claim": claim, "source": "lists of common mistakes", "more": HERE, "less": {**HERE, "pitfall": pitfall},
        "above": 3.0,
    }
    for name, pitfall, claim in (
        ("missing_normalisation", "no_normalisation", "Leaving the normalisation out costs points."),
        ("other_preprocessing", "no_normalisation_at_test",
         "Normalising in training and not where the network is used costs points."),
        ("wrong_pixel_range", "pixels_to_255_at_test", "Pixels to 255 where the network expects 0 to 1 cost points."),
        ("swapped_channels", "swapped_channels_at_test", "Swapping red and blue costs points."),
        ("low_resolution", "half_resolution_at_test", "Test images of half the resolution cost points."),
        ("too_high_a_rate", "rate_30_times", "Too high a rate destroys what was learned beforehand."),
        ("training_mode_extraction", "training_mode_features",
         "Extracting features in training mode, BatchNorm's statistics moving along, costs points."),
        ("training_mode_use", "training_mode_at_test*", "Using a network in training mode costs points."),
    )
}

CIFAR: dict[str, dict[str, Any]] = {
    f"cifar_1000_{name}": {
        "claim": f"With 1,000 labelled CIFAR images, {what} reaches about {score} %.",
        "source": "rule of thumb: 60, 85 and 92 %",
        "more": {"strategy": strategy, "dataset": "cifar10", "labels": 100},
        "between": (score - 5.0, score + 5.0),
    }
    for name, what, strategy, score in (
        ("scratch", "training from scratch", SCRATCH, 60),
        ("extraction", "feature extraction", PROBE, 85),
        ("finetuning", "fine-tuning", TUNED, 92),
    )
}

KNOWN: dict[str, dict[str, Any]] = {**LABELS, **RATES, **LAYERS, **PITFALLS, **CIFAR}
