"""`csv:` and `npz:`: what a person has in a table or in numpy's arrays."""

import numpy as np
import pytest

from bench.datasets import arrays, manifest
from bench.datasets.arrays import ArrayOptions
from bench.datasets.files import DataError
from bench.datasets.manifest import TableOptions
from tests.datasets.pictured import class_folders


def table(tmp_path, rows, head="path,label"):
    path = tmp_path / "list.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return TableOptions(path=str(path))


def rows_of(tmp_path, labels=("ant", "bee"), suffix=""):
    class_folders(tmp_path / "pictures")
    return [f"pictures/{name}/{n}.png,{label}{suffix}" for name, label in zip(("ant", "bee"), labels, strict=True)
            for n in range(10)]


def test_a_table_of_paths_and_labels(tmp_path):
    options = table(tmp_path, rows_of(tmp_path, ("10", "9")))
    facts, loaded = manifest.facts(options), manifest.load(options)
    assert loaded.classes == ("9", "10")  # numbers by their size
    assert (facts.num_train, facts.num_test) == (16, 4)
    assert (loaded.train.images.mean((1, 2)).argmax(1) == 1 - loaded.train.labels).all()


def test_nothing_is_no_label_in_parquet_either(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rows_of(tmp_path)
    path = tmp_path / "list.pq"
    pd.DataFrame({"path": ["pictures/ant/0.png"] * 3, "label": [1.0, 2.0, None]}).to_parquet(path)
    with pytest.raises(DataError, match="1 rows lack a picture or a label"):
        manifest.facts(TableOptions(path=str(path)))


def test_labels_that_only_look_like_numbers_are_in_order(tmp_path):
    class_folders(tmp_path / "pictures", ("ant", "bee", "cat"))
    rows = [f"{tmp_path}/pictures/{name}/{n}.png,{label}" for name, label in
            (("ant", "nan"), ("bee", "2"), ("cat", "inf")) for n in range(5)]  # absolute paths, too
    assert manifest.load(table(tmp_path, rows)).classes == ("2", "inf", "nan")


def test_a_table_that_says_the_split(tmp_path):
    rows = rows_of(tmp_path)
    split = [f"{row},{'test' if n % 5 == 0 else 'val' if n % 5 == 1 else 'train'}" for n, row in enumerate(rows)]
    options = table(tmp_path, split, "path,label,split")
    facts = manifest.facts(options)
    assert (facts.num_train, facts.num_test) == (16, 4)
    assert facts.notes == ("validation images were added to the training images",)


@pytest.mark.parametrize(
    ("rows", "head", "words"),
    [(["a.png,x"], "path,label", "1 of 1 pictures are not there: .*a.png"),
     (["a.png"], "path", "no column 'label'; found 'path'"),
     (["pictures/ant/0.png,ant,tset"], "path,label,split", "holds tset; expected train"),
     ([",ant"], "path,label", "1 rows lack a picture or a label")],
    ids=["no picture", "no column", "split", "empty"],
)  # fmt: skip
def test_tables_that_cannot_be_used(tmp_path, rows, head, words):
    rows_of(tmp_path)
    with pytest.raises(DataError, match=words):
        manifest.facts(table(tmp_path, rows, head))


def digits(num, side=8):
    draw = np.random.default_rng(num)
    return draw.integers(0, 256, (num, side, side, 3), np.uint8), np.arange(num) % 3


def npz(tmp_path, **members):
    path = tmp_path / "x.npz"
    np.savez(path, **members)
    return ArrayOptions(path=str(path))


def keras(**changes):
    (a, b), (c, d) = digits(30), digits(12)
    return {"x_train": a, "y_train": b, "x_test": c, "y_test": d, **changes}


def test_arrays_by_keras_names(tmp_path):
    options = npz(tmp_path, **keras())
    facts, loaded = arrays.facts(options), arrays.load(options)
    assert (facts.num_classes, facts.num_train, facts.num_test, facts.smallest_class) == (3, 30, 12, 10)
    assert (loaded.train.images == digits(30)[0]).all()
    assert facts.notes == ()


def test_arrays_by_medmnist_names_with_validation(tmp_path):
    (a, b), (c, d), (e, f) = digits(30), digits(9), digits(12)
    options = npz(tmp_path, train_images=a[..., 0], train_labels=b[:, None], val_images=c[..., 0],
                  val_labels=d[:, None], test_images=e[..., 0], test_labels=f[:, None])  # fmt: skip
    loaded = arrays.load(options)
    assert loaded.train.images.shape == (39, 8, 8, 3)
    assert (loaded.train.images[30:] == c[..., :1]).all()
    assert loaded.test.labels.tolist() == f.tolist()


@pytest.mark.parametrize(
    "change",
    [lambda x: np.moveaxis(x, 3, 1), lambda x: x / 255.0, lambda x: x.astype(np.int64), lambda x: x.astype(np.float32),
     lambda x: x.astype(np.uint16)],
    ids=["channels first", "fractions", "int64", "float 0..255", "16 bits of 8"],
)  # fmt: skip
def test_forms_of_the_same_pixels(tmp_path, change):
    plain = keras()
    options = npz(tmp_path, **{**plain, **{name: change(plain[name]) for name in ("x_train", "x_test")}})
    loaded = arrays.load(options)
    assert (loaded.train.images == plain["x_train"]).all()
    assert (loaded.test.images == plain["x_test"]).all()


def test_one_scale_for_all_splits(tmp_path):
    """Sixteen bits in one split are sixteen bits in the other, however dark it is."""
    plain = keras()
    bright = plain["x_train"].astype(np.int32) * 257
    loaded = arrays.load(npz(tmp_path, **{**plain, "x_train": bright, "x_test": plain["x_test"].astype(np.int32)}))
    assert (loaded.train.images == plain["x_train"]).all()
    assert loaded.test.images.max() <= 1
    mask = {name: plain[name] > 128 for name in ("x_train", "x_test")}
    assert set(np.unique(arrays.load(npz(tmp_path, **{**plain, **mask})).train.images)) == {0, 255}


def test_labels_need_not_begin_at_zero_and_may_have_names(tmp_path):
    plain = keras()
    shifted = {name: plain[name] + 5 for name in ("y_train", "y_test")}
    loaded = arrays.load(npz(tmp_path, **{**plain, **shifted}))
    assert loaded.classes == ("5", "6", "7")
    assert loaded.train.labels.max() == 2
    named = arrays.load(npz(tmp_path, **{**plain, "classes": np.array(["a", "b", "c"])}))
    assert named.classes == ("a", "b", "c")


def test_images_in_both_splits_are_counted(tmp_path):
    plain = keras()
    plain["x_test"][:2] = plain["x_train"][:2]
    assert "2 of 12 test images are training images too" in arrays.facts(npz(tmp_path, **plain)).notes[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"x_train": np.zeros((30, 8), np.uint8)}, r"x_train has the shape \(30, 8\)"),
     ({"x_train": np.full((30, 8, 8, 3), 300.5)}, "values from 0 to 300.5"),
     ({"x_train": np.full((30, 8, 8, 3), np.nan)}, "values from nan"),
     ({"y_train": np.zeros(30, np.int64)}, "test labels 1, 2 stand for no training image"),
     ({"y_train": np.zeros(30), "y_test": np.zeros(12)}, "expected one whole number for each image"),
     ({"y_train": np.arange(29) % 3}, "30 images with 29 labels"),
     ({"classes": np.array(["a"])}, "1 names in `classes`, but 3 labels"),
     ({"classes": np.array(["a", "b", "a"])}, "`classes` has one name several times: a, b, a"),
     ({"x_train": np.full((30, 8, 8, 3), "7")}, "pixels are text, expected numbers")],
    ids=["shape", "range", "nan", "labels", "label type", "lengths", "names", "one name", "text"],
)  # fmt: skip
def test_arrays_that_cannot_be_used(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        arrays.facts(npz(tmp_path, **keras(**changes)))


def test_files_that_are_no_plain_arrays(tmp_path):
    with pytest.raises(DataError, match="holds a; expected x_train"):
        arrays.facts(npz(tmp_path, a=np.zeros(3)))
    with pytest.raises(DataError, match="not a plain .npz"):
        arrays.facts(npz(tmp_path, **keras(y_train=np.array([{}] * 30, object))))
    (tmp_path / "x.npz").write_bytes(b"PK no")
    with pytest.raises(DataError, match="damaged"):
        arrays.facts(ArrayOptions(path=str(tmp_path / "x.npz")))
