"""Scores that say before any training how well a network's features suit a target: higher is better, in all of them.

Features are [N, D], what the network hands to its classifier; labels [N], of any classes; all arithmetic is in float64.
`leep` and `nce` look instead at what the network's own classifier says of the target's examples.
"""

import math

import torch
from torch import Tensor

WIDTHS = 61  # places of a first look for the best ratio of precisions
GOLDEN = (math.sqrt(5) - 1) / 2
TURNS = 60  # of golden section: far below rounding
REACH = 1e8  # ratios are looked for so far beyond the smallest and the largest square of a singular value
TRANSRATE_EPSILON = 1e-4  # squared distortion, as the paper has it
LEAST_VARIANCE = 1e-4  # of a feature in a class, as in the code of GBC


def log_me(features: Tensor, labels: Tensor) -> float:
    """LogME (You et al. 2021): the log evidence of a Bayesian linear regression from the features to each class against
    the rest, at the precisions that make it highest; per example, a mean over classes.

    With the ratio of prior to noise precision given, the best noise precision has a closed form, so that one number is
    left to search. The paper's fixed point ends at the same place, where it ends.
    """
    rows, targets = features.double(), _one_hot(labels)
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    squares = values**2
    num, found = len(rows), squares[squares > squares.max() * torch.finfo(torch.float64).eps * max(rows.shape)]
    if not len(found):
        raise ValueError("the features are all zero")
    seen = (left[:, : len(found)].T @ targets) ** 2  # [rank, classes]
    beyond = ((targets**2).sum(0) - seen.sum(0)).clamp_min(0)

    def evidence(log_ratio: Tensor) -> Tensor:
        """[classes] or [1] -> [classes]"""
        ratio = log_ratio.exp()
        misfit = beyond + (seen * ratio / (ratio + found[:, None])).sum(0)
        spread = torch.log1p(found[:, None] / ratio).sum(0)
        return -(num * (torch.log(2 * math.pi * misfit / num) + 1) + spread) / 2

    ends = math.log(float(found.min()) / REACH), math.log(float(found.max()) * REACH)
    places = torch.linspace(*ends, WIDTHS, dtype=torch.float64, device=rows.device)
    best = torch.stack([evidence(place[None]) for place in places]).argmax(0)
    low, high = places[(best - 1).clamp_min(0)], places[(best + 1).clamp_max(WIDTHS - 1)]
    for _ in range(TURNS):
        first, second = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        is_left = evidence(first) > evidence(second)
        low, high = torch.where(is_left, low, first), torch.where(is_left, second, high)
    return float(evidence((low + high) / 2).mean() / num)


def h_score(features: Tensor, labels: Tensor) -> float | None:
    """H-score (Bao et al. 2019): tr(cov(f)^-1 cov(E[f|y])). None where the features tell all examples apart by
    themselves, as they do where there are more of them than examples: then it is the number of classes less 1."""
    values, between = _spectrum(features, labels)
    if len(values) >= len(features) - 1:
        return None
    return float((between / values**2).sum())


def shrunk_h_score(features: Tensor, labels: Tensor) -> float:
    """The same with Ledoit and Wolf's covariance, which few examples do not make singular (Ibrahim et al. 2022)."""
    centred = _centred(features)
    num, width = centred.shape
    values, between = _spectrum(features, labels)
    variances = values**2 / num
    mean = float(variances.sum()) / width
    apart = float((variances**2).sum()) / width - mean**2
    noise = (float((centred**2).sum(1).square().sum()) / num - float((variances**2).sum())) / (num * width)
    shrinkage = min(noise / apart, 1.0) if noise > 0 and apart > 0 else 0.0
    return (1 - shrinkage) * float((between / num / ((1 - shrinkage) * variances + shrinkage * mean)).sum())


def transrate(features: Tensor, labels: Tensor) -> float:
    """TransRate (Huang et al. 2022): by how much fewer nats the features are coded where the classes are known."""
    rows = _centred(features)
    parts = [rows[labels == label] for label in torch.unique(labels)]
    return _coding_rate(rows) - sum(len(part) / len(rows) * _coding_rate(part) for part in parts)


def parc(features: Tensor, labels: Tensor) -> float | None:
    """PARC (Bolya et al. 2021): whether pairs of examples whose features are alike have the same label; Spearman's rank
    correlation, here from -1 to 1. None where all pairs are alike."""
    rows = _centred(features)
    spread = rows.std(0, correction=0)
    rows = rows / torch.where(spread > 0, spread, 1.0)
    same = (labels[:, None] == labels[None]).double()
    pairs = torch.ones(len(rows), len(rows), dtype=torch.bool, device=rows.device).tril(-1)
    alike = torch.corrcoef(rows)[pairs]
    found = _correlation(_midranks(alike), _midranks(same[pairs])) if alike.isfinite().all() else math.nan
    return found if math.isfinite(found) else None


def gbc(features: Tensor, labels: Tensor) -> float:
    """GBC (Pandy et al. 2022): how little the classes overlap, each a spherical Gaussian. The paper's score is minus
    the sum of exp(-distance) over pairs of classes; here minus its logarithm, which has the same order and does not
    become 0 where the classes lie far apart."""
    rows = features.double()
    parts = [rows[labels == label] for label in torch.unique(labels)]
    means = torch.stack([part.mean(0) for part in parts])
    variances = torch.stack([part.var(0, correction=0).clamp_min(LEAST_VARIANCE).mean() for part in parts])
    middle = (variances[:, None] + variances[None]) / 2
    apart = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist") ** 2 / (8 * middle)
    apart = apart + rows.shape[1] / 2 * torch.log(middle / torch.outer(variances, variances).sqrt())
    others = ~torch.eye(len(parts), dtype=torch.bool, device=rows.device)
    return -float(torch.logsumexp(-apart[others], 0))


def cka_with_labels(features: Tensor, labels: Tensor) -> float:
    """Linear CKA (Kornblith et al. 2019) of features and labels: 1 where examples are as like each other by their
    features as by their classes."""
    rows, targets = _centred(features), _centred(_one_hot(labels))
    own = float((rows @ rows.T).norm()) * float((targets @ targets.T).norm())
    if not own > 0:
        raise ValueError("the features or the labels are the same for all examples")
    return float((rows.T @ targets).norm() ** 2) / own


def leep(probabilities: Tensor, labels: Tensor) -> float:
    """LEEP (Nguyen et al. 2020): mean log-likelihood of the labels, told from the classes that the network's own
    classifier sees in the examples. `probabilities`: [N, classes of the source]"""
    said = probabilities.double()
    joint = _one_hot(labels).T @ said / len(said)  # [classes of the target, of the source]
    given = joint / joint.sum(0).clamp_min(torch.finfo(torch.float64).tiny)
    expected = (said @ given.T)[torch.arange(len(said), device=said.device), _places(labels)]
    return float(expected.log().mean())


def nce(sources: Tensor, labels: Tensor) -> float:
    """NCE (Tran et al. 2019): minus the entropy of the labels where the source's class, [N], is known."""
    joint = _one_hot(labels).T @ _one_hot(sources) / len(labels)
    given = joint / joint.sum(0)
    return float(torch.xlogy(joint, given).sum())


def _centred(rows: Tensor) -> Tensor:
    rows = rows.double()
    return rows - rows.mean(0)


def _places(labels: Tensor) -> Tensor:
    """Of each label among those that occur."""
    places: Tensor = torch.unique(labels, return_inverse=True)[1]
    return places


def _one_hot(labels: Tensor) -> Tensor:
    """float64 [N, classes that occur]"""
    return torch.nn.functional.one_hot(_places(labels)).double()


def _spectrum(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values of the centred features that are not 0, and along each axis the sum of squares of what the
    classes' means add. Both [rank]"""
    rows = _centred(features)
    _, values, right = torch.linalg.svd(rows, full_matrices=False)
    rank = int((values > values.max() * torch.finfo(torch.float64).eps * max(rows.shape)).sum())
    hot = _one_hot(labels)
    means = hot @ ((hot.T @ rows) / hot.sum(0)[:, None])
    return values[:rank], ((means @ right[:rank].T) ** 2).sum(0)


def _coding_rate(rows: Tensor) -> float:
    """1/2 log det (I + F'F / (n epsilon))"""
    values = torch.linalg.svdvals(rows)
    return float(torch.log1p(values**2 / (len(rows) * TRANSRATE_EPSILON)).sum()) / 2


def _midranks(values: Tensor) -> Tensor:
    """Equal values have the mean of their ranks."""
    _, places, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = (last - (counts.double() - 1) / 2)[places]
    return ranks


def _correlation(first: Tensor, second: Tensor) -> float:
    first, second = first - first.mean(), second - second.mean()
    size = float(first.norm()) * float(second.norm())
    return float(first @ second) / size if size > 0 else math.nan
