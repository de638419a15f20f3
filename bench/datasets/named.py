"""Public data sets by their names, with their official splits: read where they lie, or by torchvision's own loaders.

A set that lies in a folder of BENCH_DATA under its own name is taken before anything is downloaded: NAME.npz, NAME/
with a folder per class, or the layout that torchvision leaves. Two copies that differ are two data sets.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.datasets import arrays, folder, torchvision_sets
from bench.datasets.arrays import ArrayOptions
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Metric
from bench.datasets.files import DataError, visible
from bench.datasets.folder import FolderOptions
from bench.datasets.labelled import PictureOptions
from bench.datasets.torchvision_sets import LOADERS
from bench.errors import Missing
from bench.places import DATA, data_folders

PER_CLASS: Metric = "mean_per_class"


@dataclass(frozen=True)
class Public:
    """`metric`: what this set's literature reports."""

    name: str
    summary: str
    megabytes: int  # to download
    metric: Metric = "accuracy"

    def facts(self, options: PictureOptions) -> DatasetFacts:
        kind, where = self._found()
        match kind:
            case "npz":
                if options != PictureOptions():
                    raise DataError(f"{where.name} is taken as it is: it has no use for the options of {self.name!r}")
                facts = arrays.facts(ArrayOptions(path=str(where)))
            case "folder":
                facts = folder.facts(FolderOptions(path=str(where), **options.model_dump()))
            case _:
                facts = torchvision_sets.facts(self.name, where, options)
        return DatasetFacts(**{**vars(facts), "metric": self.metric})

    def load(self, options: PictureOptions) -> Dataset:
        kind, where = self._found()
        match kind:
            case "npz":
                return arrays.load(ArrayOptions(path=str(where)))
            case "folder":
                return folder.load(FolderOptions(path=str(where), **options.model_dump()))
            case _:
                return torchvision_sets.load(self.name, where, options)

    def _found(self) -> tuple[str, Path]:
        """How it lies, and where: the file, the folder of classes, or torchvision's root."""
        for place in data_folders():
            if (place / f"{self.name}.npz").is_file():
                return "npz", place / f"{self.name}.npz"
            for root in (place / self.name, place):
                if (root / LOADERS[self.name].marker).exists():
                    return "torchvision", root
            if (place / self.name).is_dir() and any(path.is_dir() for path in visible(place / self.name)):
                return "folder", place / self.name
        way = f"put {self.name}.npz or a folder {self.name}/ with a folder per class into a folder of {DATA}"
        raise Missing("dataset", self.name, way, self.megabytes, LOADERS[self.name].downloads)


PUBLIC = (
    Public("cifar10", "10 kinds of things, 32 px", 163),
    Public("cifar100", "100 kinds of things, 32 px", 161),
    Public("svhn", "house numbers, 32 px", 235),
    Public("stl10", "10 kinds of things, 96 px", 2516),
    Public("mnist", "handwritten digits, 28 px", 11),
    Public("fashion_mnist", "clothes, 28 px", 30),
    Public("kmnist", "cursive Japanese characters, 28 px", 21),
    Public("eurosat", "land use from a satellite, 64 px", 90),
    Public("flowers102", "102 kinds of flowers", 345, PER_CLASS),
    Public("pets", "37 breeds of cats and dogs", 792, PER_CLASS),
    Public("dtd", "47 kinds of texture", 625),
    Public("food101", "101 dishes", 4997),
    Public("gtsrb", "43 traffic signs", 276),
    Public("caltech101", "101 kinds of things", 137, PER_CLASS),
    Public("aircraft", "100 variants of aircraft", 2754, PER_CLASS),
    Public("cars", "196 models of cars", 1957),
    Public("pcam", "patches of lymph nodes, 96 px", 7800),
    Public("sun397", "397 scenes", 37000),
    Public("clevr_count", "how many bodies, 3 to 10", 18000),
)
NAMED = {
    one.name: DatasetEntry(one.name, one.summary, one.facts, one.load, PictureOptions, is_read=True) for one in PUBLIC
}
