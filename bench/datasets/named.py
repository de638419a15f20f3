"""Public data sets by their names, with their official splits: read where they lie, or by torchvision's own loaders.

A set that lies in a folder of BENCH_DATA under its own name is taken before anything is downloaded: NAME.npz, NAME/
with a folder per class, or the layout that torchvision leaves. Two copies that differ are two data sets.
"""

from dataclasses import dataclass, field, replace
from types import ModuleType

from bench.datasets import arrays, folder, groups, torchvision_sets
from bench.datasets.arrays import ArrayOptions
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, PublicSize
from bench.datasets.files import DataError, visible
from bench.datasets.folder import FolderOptions
from bench.datasets.labelled import PictureOptions
from bench.datasets.torchvision_sets import LOADERS
from bench.errors import Missing
from bench.places import DATA, data_folders
from bench.spec.refs import Metric

PER_CLASS: Metric = "mean_per_class"


@dataclass(frozen=True)
class _Found:
    """A way of reading, and what it is asked with."""

    reader: ModuleType
    question: tuple[object, ...]

    def facts(self) -> DatasetFacts:
        facts: DatasetFacts = self.reader.facts(*self.question)
        return facts

    def load(self) -> Dataset:
        loaded: Dataset = self.reader.load(*self.question)
        return loaded


@dataclass(frozen=True)
class Public:
    """`metric`: what this set's literature reports."""

    name: str
    summary: str
    megabytes: int  # to download
    size: PublicSize
    metric: Metric = "accuracy"
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def facts(self, options: PictureOptions) -> DatasetFacts:
        facts = self._found(options).facts()
        unlike = self.size.difference(facts.num_classes, facts.num_train, facts.num_test)
        notes = (f"not {self.name} as it was published: {unlike}",) if unlike else ()
        return replace(facts, metric=self.metric, notes=(*notes, *facts.notes))

    def load(self, options: PictureOptions) -> Dataset:
        return self._found(options).load()

    def _found(self, options: PictureOptions) -> "_Found":
        """How it lies, and where: a file, a folder of classes, or torchvision's root."""
        for place in data_folders():
            file, own = place / f"{self.name}.npz", place / self.name
            if file.is_file():
                if options != PictureOptions():
                    raise DataError(f"{file.name} is taken as it is: it has no use for the options of {self.name!r}")
                return _Found(arrays, (ArrayOptions(path=str(file)),))
            for root in (own, place):
                if (root / LOADERS[self.name].marker).exists():
                    return _Found(torchvision_sets, (self.name, root, options))
            if own.is_dir() and any(path.is_dir() for path in visible(own)):
                return _Found(folder, (FolderOptions(path=str(own), **options.model_dump()),))
        way = f"put {self.name}.npz or a folder {self.name}/ with a folder per class into a folder of {DATA}"
        raise Missing("dataset", self.name, way, self.megabytes, LOADERS[self.name].downloads)


Size = PublicSize

PUBLIC = (
    Public("cifar10", "10 kinds of things, 32 px", 163, Size(10, 50_000, 10_000), groups=groups.CIFAR10),
    Public("cifar100", "100 kinds of things, 32 px", 161, Size(100, 50_000, 10_000),
           groups=groups.CIFAR100),
    Public("svhn", "house numbers, 32 px", 235, Size(10, 73_257, 26_032)),
    Public("stl10", "10 kinds of things, 96 px", 2516, Size(10, 5_000, 8_000)),
    Public("mnist", "handwritten digits, 28 px", 11, Size(10, 60_000, 10_000)),
    Public("fashion_mnist", "clothes, 28 px", 30, Size(10, 60_000, 10_000)),
    Public("kmnist", "cursive Japanese characters, 28 px", 21, Size(10, 60_000, 10_000)),
    Public("eurosat", "land use from a satellite, 64 px", 90, Size(10, 27_000)),
    Public("flowers102", "102 kinds of flowers", 345, Size(102, 2_040, 6_149), PER_CLASS),
    Public("pets", "37 breeds of cats and dogs", 792, Size(37, 3_680, 3_669), PER_CLASS),
    Public("dtd", "47 kinds of texture", 625, Size(47, 3_760, 1_880)),
    Public("food101", "101 dishes", 4997, Size(101, 75_750, 25_250)),
    Public("gtsrb", "43 traffic signs", 276, Size(43, 26_640, 12_630)),
    Public("caltech101", "101 kinds of things", 137, Size(101, 8_677), PER_CLASS),
    Public("aircraft", "100 variants of aircraft", 2754, Size(100, 6_667, 3_333), PER_CLASS),
    Public("cars", "196 models of cars", 1957, Size(196, 8_144, 8_041)),
    Public("pcam", "patches of lymph nodes, 96 px", 7800, Size(2, 294_912, 32_768)),
    Public("sun397", "397 scenes", 37000, Size(397, 108_754)),
    Public("clevr_count", "how many bodies, 3 to 10", 18000, Size(8, 70_000, 15_000)),
)
NAMED = {
    one.name: DatasetEntry(one.name, one.summary, one.facts, one.load, PictureOptions, is_read=True, public=one.size,
                           groups=one.groups)
    for one in PUBLIC
}
