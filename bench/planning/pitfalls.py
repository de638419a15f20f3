"""Common mistakes, made on purpose: what each is, which final it comes to, and the cells of a suite that make it.

A cell with a mistake is the right cell in everything else: repeats, labels, starts, orders, and the search, unless the
training itself is mistaken, for then people search with the mistake too.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from bench.planning.plan import Cell
from bench.spec.job import FitSpec, Job
from bench.spec.refs import Deployment, Pipeline, PitfallName

FACTOR = 30.0  # on the rate


@dataclass(frozen=True)
class Pitfall:
    """One line of the catalogue."""

    words: str  # behind a strategy's name
    wrong: str  # what people do
    right: str
    needs: str  # without which it cannot happen
    # The right final as the mistaken one, given whether the network has BatchNorm; None: it cannot happen.
    change: Callable[[FitSpec, bool], FitSpec | None]
    trains: bool = False  # whether the training itself is mistaken


def _seen(show: Callable[[Pipeline], Pipeline], at_test: bool) -> Callable[[FitSpec, bool], FitSpec | None]:
    """Images come to the network in another way."""

    def change(spec: FitSpec, has_batchnorm: bool) -> FitSpec | None:
        other = show(spec.pipeline) if isinstance(spec.pipeline, Pipeline) else spec.pipeline
        if other == spec.pipeline:
            return None
        return replace(spec, deployed=Deployment(other)) if at_test else replace(spec, pipeline=other)

    return change


def _not_normalised(right: Pipeline) -> Pipeline:
    return replace(right, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _to_255(right: Pipeline) -> Pipeline:
    """What `(255 x - mean) / std` comes to for x from 0 to 1."""
    (r, g, b), (sr, sg, sb) = right.mean, right.std
    return replace(right, mean=(r / 255, g / 255, b / 255), std=(sr / 255, sg / 255, sb / 255))


def _half_size(right: Pipeline) -> Pipeline:
    return replace(right, shrunk=max(1, right.image_size // 2))


def _swapped(right: Pipeline) -> Pipeline:
    return replace(right, channels="bgr")


def _too_fast(spec: FitSpec, has_batchnorm: bool) -> FitSpec | None:
    return replace(spec, rate_factor=FACTOR) if spec.recipe.trains else None


def _extracted_in_training(spec: FitSpec, has_batchnorm: bool) -> FitSpec | None:
    recipe = spec.recipe
    is_frozen = recipe.trains and not all(recipe.touched(len(recipe.phases) - 1).units)
    if not (is_frozen and has_batchnorm and recipe.statistics == "with_units"):
        return None
    return replace(spec, recipe=replace(recipe, statistics="live"))


def _in_training(by_class: bool) -> Callable[[FitSpec, bool], FitSpec | None]:
    how = Deployment(in_training_mode=True, by_class=by_class)
    return lambda spec, has_batchnorm: replace(spec, deployed=how) if has_batchnorm else None


IMAGES = "images, and weights that expect them normalised"
PITFALLS: dict[PitfallName, Pitfall] = {
    "no_normalisation": Pitfall(
        "not normalised", "The normalisation of the pretraining is left out, in training and at test.",
        "Subtract the mean and divide by the deviation that the weights were trained with.", IMAGES,
        _seen(_not_normalised, at_test=False), trains=True,
    ),
    "no_normalisation_at_test": Pitfall(
        "not normalised at test", "The training normalises; the code that uses the network does not.",
        "One function prepares the images of both.", IMAGES, _seen(_not_normalised, at_test=True),
    ),
    "pixels_to_255": Pitfall(
        "pixels to 255", "Pixels are normalised as they are stored, from 0 to 255, in training and at test.",
        "Divide by 255 first: mean and deviation are those of pixels from 0 to 1.", "images",
        _seen(_to_255, at_test=False), trains=True,
    ),
    "pixels_to_255_at_test": Pitfall(
        "pixels to 255 at test", "The training divides pixels by 255; the code that uses the network does not.",
        "One function prepares the images of both.", "images", _seen(_to_255, at_test=True),
    ),
    "half_resolution_at_test": Pitfall(
        "half the resolution at test", "Test images come through a thumbnail of half the side, blown up again.",
        "Test on images as sharp as those of the training.", "images", _seen(_half_size, at_test=True),
    ),
    "swapped_channels_at_test": Pitfall(
        "red and blue swapped at test", "Test images are read by a library that puts blue first (OpenCV does).",
        "Read the images of training and test with the same library, or turn the channels round.", "images",
        _seen(_swapped, at_test=True),
    ),
    "rate_30_times": Pitfall(
        "30 times the rate", "A rate that suits training from scratch is used; here, 30 times the one that was chosen.",
        "Search the rate; fine-tuning wants small ones.", "a rate", _too_fast,
    ),
    "training_mode_features": Pitfall(
        "frozen units in training mode", "Frozen units are left in training mode: BatchNorm normalises by each batch "
        "and its statistics move.",
        "Call eval() on what is frozen.", "steps of training, and frozen units with BatchNorm",
        _extracted_in_training, trains=True,
    ),
    "training_mode_at_test": Pitfall(
        "training mode at test", "The network is not put into evaluation mode: an answer depends on the others "
        "of its batch.",
        "Call eval() before testing.", "BatchNorm", _in_training(by_class=False),
    ),
    "training_mode_at_test_by_class": Pitfall(
        "training mode at test, by class", "The network is not put into evaluation mode, and the test examples "
        "come one class after the other, as from folders.",
        "Call eval() before testing.", "BatchNorm", _in_training(by_class=True),
    ),
}  # fmt: skip


def marked(strategy: str, name: PitfallName) -> str:
    return f"{strategy} [{PITFALLS[name].words}]"


def mistaken_cells(
    right: Cell, names: Iterable[PitfallName], has_batchnorm: bool, jobs: dict[str, Job]
) -> Iterator[Cell]:
    """One for each mistake that can happen to this cell; `jobs` gets theirs."""
    for name in names if _is_open(right, jobs) else ():
        made = _jobs(right, PITFALLS[name], has_batchnorm, jobs)
        if made is None:
            continue
        jobs |= {job.key: job for pair in made for job in pair}
        yield replace(
            right,
            strategy=marked(right.strategy, name),
            axis=None,
            pitfall=name,
            right=right.strategy,
            searches=tuple(search.key for search, _ in made),
            finals=tuple(final.key for _, final in made),
            unchosen=(),
        )


def _jobs(
    right: Cell, pitfall: Pitfall, has_batchnorm: bool, jobs: dict[str, Job]
) -> list[tuple[Job, Job]] | None:
    """Search and final of each repeat. None: it cannot happen."""
    made = []
    for search_key, final_key in zip(right.searches, right.finals, strict=True):
        search, final = jobs[search_key], jobs[final_key]
        if pitfall.trains:
            mistaken = _changed(search, pitfall, has_batchnorm)
            if mistaken is None:
                return None
            search = replace(search, spec=mistaken)
        spec = _changed(final, pitfall, has_batchnorm)
        if spec is None:
            return None
        made.append((search, replace(final, spec=spec, needs=(*final.needs[:-1], search.key))))
    return made


def _changed(job: Job, pitfall: Pitfall, has_batchnorm: bool) -> FitSpec | None:
    assert isinstance(job.spec, FitSpec)
    return pitfall.change(job.spec, has_batchnorm)


def _is_open(cell: Cell, jobs: dict[str, Job]) -> bool:
    """Weights that somebody pretrained meet labels, in trainings or in a solution. What a soup is made of is thrown
    away with the right final."""
    spec = jobs[cell.finals[0]].spec
    assert isinstance(spec, FitSpec)
    recipe = spec.recipe
    pretrained = recipe.init == "pretrained" and spec.backbone.weights.origin != "random"
    return pretrained and not cell.baseline and recipe.own_head is None and recipe.soup is None


def in_words(names: Iterable[PitfallName], cells: Iterable[Cell], jobs: dict[str, Job]) -> list[str]:
    """How many cells make a mistake, what they share, and which mistakes cannot be made where."""
    cells = list(cells)
    mistaken = [cell for cell in cells if cell.pitfall]
    own = sum(cell.pitfall != "" and PITFALLS[cell.pitfall].trains for cell in cells)
    told = [
        f"{len(mistaken)} of the cells make a mistake on purpose and are never ranked; {len(mistaken) - own} share the "
        f"searches of the right cells, {own} search with the mistake"
    ] if names else []  # fmt: skip
    several = len({cell.backbone for cell in cells}) > 1
    if not any(cell.pitfall for cell in cells):
        return told
    for name in names:
        has = {(cell.task, cell.backbone, cell.right) for cell in mistaken if cell.pitfall == name}
        lack = [f"{cell.strategy} of {cell.backbone}" if several else cell.strategy for cell in cells
                if not cell.pitfall and (cell.task, cell.backbone, cell.strategy) not in has and _is_open(cell, jobs)]
        if lack:
            told.append(f"{name} makes no cell of {', '.join(dict.fromkeys(lack))}: it needs {PITFALLS[name].needs}")
    return told
