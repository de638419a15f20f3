"""A few examples of a data set for the page, which has neither the data nor torch. Written once for each results
folder, where a final has come to a score and its data are at hand anyway."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bench.datasets.base import Dataset, Split
from bench.datasets.sampling import shuffled
from bench.engine.common.context import Context
from bench.engine.train.faults import pass_on
from bench.keys import seed_for
from bench.modalities import MODALITIES
from bench.modalities.base import Columns
from bench.modalities.glimpse import Glimpse
from bench.spec.refs import DataRef
from bench.store.remembered import find_out_once
from bench.store.samples import KeptExample, OfClass, Samples, Shown, path_of

EACH = 4  # examples of a class
CLASSES = 12  # of which examples are shown
TESTED = 400


def keep_samples(ref: DataRef, context: Context) -> None:
    """Nothing happens where they are kept already, or a suite wants none."""
    path = path_of(context.store.root, ref)
    if not context.samples or path.name in context.sampled:
        return
    context.sampled.add(path.name)
    try:
        with context.pause():
            find_out_once(path, lambda: taken(context.stored(ref), ref.split is not None).plain(), context.notice)
    except Exception as error:  # what is nice to see must not cost the score
        pass_on(error)
        context.notice(f"{ref.name}: no examples could be kept for the page: {type(error).__name__}: {error}")


def taken(data: Dataset, is_resplit: bool) -> Samples:
    """`is_resplit`: repeats divide all of its examples anew, so that any of them may be a test example."""
    learned, tested = (data.pool, data.pool) if is_resplit else (data.train, data.test)
    glimpse = MODALITIES[learned.modality].glimpse
    sizes = [np.bincount(split.labels, minlength=len(data.classes)).tolist() for split in (data.train, data.test)]
    classes = [OfClass(name=name, num_train=train, num_test=test)
               for name, train, test in zip(data.classes, *sizes, strict=True)]  # fmt: skip
    if glimpse is None:
        return Samples(classes=classes, tested=[], num_tested=len(tested.labels))
    for number, one in enumerate(classes[:CLASSES]):
        rows = np.flatnonzero(learned.labels == number)
        chosen = rows[_drawn("class", len(rows))[:EACH]]
        if len(chosen):
            shown = _shown(glimpse, learned, chosen)
            classes[number] = one.model_copy(update={"examples": shown, "num": len(chosen)})
    places = np.sort(_drawn("test", len(tested.labels))[:TESTED])
    each = [KeptExample(place=int(place), label=int(tested.labels[place]), example=_shown(glimpse, tested, place[None]))
            for place in places]  # fmt: skip
    return Samples(classes=classes, tested=each, num_tested=len(tested.labels))


def _drawn(what: str, num: int) -> npt.NDArray[np.int64]:
    """The same order every time."""
    return np.asarray(shuffled(num, seed_for("samples", what)), np.int64)


def _shown(glimpse: Callable[[Columns], Glimpse], split: Split, rows: npt.NDArray[np.int64]) -> Shown:
    made = glimpse({name: column[rows] for name, column in split.columns.items()})
    return Shown(picture=made.picture) if made.picture else Shown(texts=list(made.texts))
