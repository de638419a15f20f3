"""Lists in the forms that people publish: what they mean in a data set, and what is refused by file and line."""

import json

import numpy as np
import pytest

from bench.datasets import folder
from bench.datasets.files import DataError
from bench.datasets.folder import FolderOptions
from bench.datasets.published_lists import entry_of, mentions
from tests.datasets.pictured import class_folders


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A function that reads lists. Two classes of ten pictures each, in one split; 4 have a name of their own."""
    monkeypatch.chdir(tmp_path)

    def read(files, root="pets", budget=None):
        for name, lines in files.items():
            (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
        options = FolderOptions(path=str(tmp_path / root))
        names = [name for part in folder.names(options) for name, _ in part]
        found = mentions([f"{name}={name}.txt" for name in files])
        return entry_of(found, folder.load(options), names, budget), names

    class_folders(tmp_path / "pets")
    for number in range(4):
        (tmp_path / "pets" / "ant" / f"{number}.png").rename(tmp_path / "pets" / "ant" / f"only{number}.png")
    class_folders(tmp_path / "parted" / "train")
    class_folders(tmp_path / "parted" / "test", per_class=4, start=50)
    return read


def test_files_are_found_by_path_or_by_a_name_that_only_one_has(opened):
    entry, names = opened({
        "train": ["ant/5.png 1", "images/only2.png 1", "bee/7.png\t0", "bee/8.png 0"],
        "val": ["somewhere/else/only0.png 1"], "test": ["bee/9.png 0", "ant/only3.png 1"],
    })  # fmt: skip
    assert (entry.of_train, entry.of_test, entry.budget, entry.repeat) == ("pool", "pool", "total 5", None)
    folds = {names[index]: fold for index, fold in zip(entry.train.indices, entry.folds, strict=True)}
    assert folds == {"ant/5.png": None, "ant/only2.png": None, "bee/7.png": None, "bee/8.png": None, "ant/only0.png": 0}
    assert {names[index] for index in entry.test.indices} == {"bee/9.png", "ant/only3.png"}
    assert [names[index].startswith("bee") for index in entry.train.indices] == [one == 1 for one in entry.train.labels]


def test_splits_of_the_set_stay_as_they_are_where_the_list_keeps_to_them(opened):
    entry, names = opened({"train": ["train/ant/1.png 7", "train/bee/1.png 9"], "test": ["test/bee/3.png 9"]}, "parted")
    assert (entry.of_train, entry.of_test, entry.budget) == ("train", "test", "1")
    assert [names[index] for index in entry.train.indices] == ["train/ant/1.png", "train/bee/1.png"]
    assert [names[20 + index] for index in entry.test.indices] == ["test/bee/3.png"]


@pytest.mark.parametrize("form", ["lines", "json", "npz"])
def test_indices_are_into_the_splits(opened, tmp_path, form):
    parts = {"train": [3, 12], "val": [4], "test": [0, 7]}
    if form == "lines":
        entry, _ = opened({name: map(str, indices) for name, indices in parts.items()}, "parted")
    else:
        (tmp_path / "parts.json").write_text(json.dumps(parts))
        np.savez(tmp_path / "parts.npz", **{name: np.array(indices) for name, indices in parts.items()})
        data = folder.load(FolderOptions(path=str(tmp_path / "parted")))
        entry = entry_of(mentions([str(tmp_path / f"parts.{form}")]), data, None, "total 3")
    assert (entry.train.indices, entry.folds, entry.test.indices) == ((3, 4, 12), (None, 0, None), (0, 7))
    assert (entry.train.labels, entry.test.labels, entry.budget) == ((0, 0, 1), (0, 1), "total 3")


@pytest.mark.parametrize(("files", "said"), [
    ({"train": ["ant/only1.png 0", "ant/only1.png 0"]}, "train.txt:2: 'ant/only1.png' is listed as train, and as train "
                                                        "in train.txt:1"),
    ({"train": ["ant/only1.png 0"], "test": ["x/only1.png 0"]}, "test.txt:1: 'x/only1.png' is listed as test, and as "
                                                                "train in train.txt:1"),
    ({"train": ["6.png 0"]}, "train.txt:1: '6.png': 2 files are called so in this data set"),
    ({"train": ["ant/77.png 0"]}, "train.txt:1: 'ant/77.png': no such file in this data set"),
    ({"train": ["ant/5.png 0", "bee/5.png 0"]}, "train.txt:2: label '0' of 'bee/5.png', which is of class 'bee'"),
    ({"train": ["ant/5.png 0", "ant/6.png 1"]}, "in train.txt:1 that class has label '0'"),
    ({"train": ["ant"]}, "train.txt:1: expected an index, or the name of a file and its label, got 'ant'"),
    ({"train": ["3"]}, "train.txt:1: an index, and this data set comes in one split, whose order is ours"),
    ({"test": ["ant/5.png 0"]}, "no example to learn from"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused(opened, files, said):
    with pytest.raises(DataError) as error:
        opened(files)
    assert said in str(error.value)


@pytest.mark.parametrize(("files", "said"), [
    ({"train": ["20"]}, "train.txt:1: index 20, and 'train' has 20, counted from 0"),
    ({"train": ["1"], "test": ["1", "8"]}, "test.txt:2: index 8, and 'test' has 8, counted from 0"),
])  # fmt: skip
def test_an_index_outside_its_split(opened, files, said):
    with pytest.raises(DataError) as error:
        opened(files, "parted")
    assert said in str(error.value)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("lists.csv", "a", "expected train=FILE"), ("a.json", "[1]", "expected an object of lists"),
    ("a.json", '{"train": [1.5]}', "train[0]: expected an index, got '1.5'"), ("a.json", '{"train": 3}', "not a list"),
    ("a.json", "{", "Expecting property name"),
])  # fmt: skip
def test_files_of_another_form(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as error:
        mentions([str(tmp_path / name)])
    assert said in str(error.value)
