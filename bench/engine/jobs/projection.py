"""Features of some test examples before and after a training, each on the two axes along which they vary most
(principal component analysis), for a picture: few examples, of few classes, in numbers of eight bits."""

import base64

import torch
from torch import Tensor

from bench.datasets.sampling import shuffled
from bench.keys import seed_for
from bench.store.results import Plane, Projection

MOST = 300  # examples
CLASSES = 8  # the first ones; more could not be told apart by colour and shape
FEWEST = 3  # examples that two axes say anything of
STEPS = 127


def projection(labels: Tensor, before: Tensor, after: Tensor) -> Projection | None:
    """`labels` [n], features [n, C] and [n, D] of the same examples. None where there are too few."""
    rows = (labels < CLASSES).nonzero().flatten()
    chosen = torch.tensor(shuffled(len(rows), seed_for("projection"))[:MOST], dtype=torch.int64, device=rows.device)
    rows = rows[chosen.sort().values]  # by chance: every third of a set whose classes take turns is of some alone
    if len(rows) < FEWEST:
        return None
    classes = labels[rows].to(torch.uint8)
    return Projection(labels=_text(classes), before=_plane(before[rows]), after=_plane(after[rows]))


def principal(features: Tensor) -> tuple[Tensor, Tensor]:
    """Places of n examples on the first two axes [n, 2], and the share of the variance along each. Of each axis the
    example that lies farthest out is on its positive side."""
    centred = features.double() - features.double().mean(0)
    values, vectors = torch.linalg.eigh(centred @ centred.T)  # ascending; there are few examples and many features
    values = values.clamp_min(0)
    first = values.flip(0)[:2]
    places = vectors.flip(1)[:, :2] * first.sqrt()
    farthest = places.gather(0, places.abs().argmax(0, keepdim=True))
    return places * torch.where(farthest < 0, -1.0, 1.0), first / values.sum().clamp_min(torch.finfo(values.dtype).tiny)


def _plane(features: Tensor) -> Plane:
    """One scale for both axes, so that distances keep their proportions."""
    places, shares = principal(features)
    scaled = places / places.abs().max().clamp_min(torch.finfo(places.dtype).tiny) * STEPS
    return Plane(places=_text(scaled.round().to(torch.int8)), shares=shares.tolist())


def _text(numbers: Tensor) -> str:
    return base64.b64encode(numbers.cpu().contiguous().numpy().tobytes()).decode()
