"""Figures of Yosinski et al. 2014: AlexNet of 8 layers on halves of ImageNet, recomputed from its authors' logs.

Points, by 1 to 7 layers kept, from their reading: the mean of the ten best test scores of a run. Sections of a study
of transferability show them, whatever the suite names; the scores behind them are in suites/references/yosinski.yaml.
"""

from bench.analysis.transferability import LOSS, Form

# Above the base of the same half.
GAINS: dict[str, list[float]] = {
    "BnB": [0.35, 0.03, -0.21, -1.85, -2.97, -0.45, 0.00],
    "AnB": [0.31, -0.12, -0.62, -2.53, -4.71, -4.45, -8.26],
}
GAINS_DISSIMILAR = [0.3, -0.9, -3.2, -7.3, -13.0, -16.6, -25.0]  # AnB, man-made and natural, mean of both
SPECIFICITY = [0.15, -0.01, -0.14, -0.62, -1.68, -3.90, -8.24]  # AnB - BnB, of the halves that have both
RANDOM = [49.17, 40.26, 0.11, 1.91, 4.99, 1.45, 1.46]  # scores in percent, on all 1,000 classes

# By quantity and form of reading. Both boosts have a mean over n = 1..7 and one over n = 5..7.
SIMILAR_SUMMARY: dict[tuple[str, Form], float] = {
    ("specificity", "change"): SPECIFICITY[-1] - SPECIFICITY[0],
    ("random units", "change"): RANDOM[-1] - RANDOM[0],
    ("boost", "mean"): 0.97 - 0.97,  # AnB+ and BnB+ above the bases of their own halves, which are not the same ones
    ("boost, unpaired", "mean"): 1.60,
    ("boost, unpaired", "upper"): 2.06,
}
DISSIMILAR_SUMMARY: dict[tuple[str, Form], float] = {(LOSS, "gap"): GAINS_DISSIMILAR[-1] - GAINS["AnB"][-1]}
