"""`.npz` files that lie: each is refused in one line, and before memory is taken for what it declares."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from bench.datasets import arrays, npz_file, pictures
from bench.datasets.arrays import ArrayOptions
from bench.datasets.files import DataError

PLAIN = {"x_train": np.zeros((6, 8, 8, 3), np.uint8), "y_train": np.arange(6) % 2,
         "x_test": np.zeros((4, 8, 8, 3), np.uint8), "y_test": np.arange(4) % 2}  # fmt: skip
FLAGS, METHOD, SIZE = 8, 10, 24  # where they stand in a line of the zip directory


def npy(array):
    kept = io.BytesIO()
    np.save(kept, array, allow_pickle=True)
    return kept.getvalue()


def head(shape, dtype="|u1"):
    kept = io.BytesIO()
    np.lib.format.write_array_header_1_0(kept, {"descr": dtype, "fortran_order": False, "shape": shape})
    return kept.getvalue()


def packed(path, method=zipfile.ZIP_DEFLATED, twice=(), **changes):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in {**{name: npy(array) for name, array in PLAIN.items()}, **changes}.items():
            for _ in range(2 if name in twice else 1):
                archive.writestr(f"{name}.npy", content)
    return path


def directory_changed(path, offset, form, value, name=b"x_train.npy"):
    """One field of one line in the directory at the file's end."""
    data = bytearray(path.read_bytes())
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\1\2"
    struct.pack_into(form, data, at + offset, value)
    path.write_bytes(data)
    return path


def refused(path):
    with pytest.raises(DataError) as told:
        arrays.facts(ArrayOptions(path=str(path)))
    text = str(told.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    return text.removeprefix(str(path))


def test_the_plain_one_is_read(tmp_path):
    assert arrays.facts(ArrayOptions(path=str(packed(tmp_path / "x.npz")))).num_train == 6


@pytest.mark.parametrize(
    ("make", "words"),
    [(lambda path: directory_changed(packed(path), FLAGS, "<H", 1), "'x_train' is encrypted"),
     (lambda path: directory_changed(packed(path), METHOD, "<H", 99), "'x_train' is packed by method 99"),
     (lambda path: packed(path, zipfile.ZIP_LZMA), "is packed by method 14"),
     (lambda path: directory_changed(packed(path), SIZE, "<I", 200), "damaged"),
     (lambda path: directory_changed(packed(path), SIZE, "<I", 1 << 31), "but has 2,147"),
     (lambda path: directory_changed(packed(path), 20, "<I", 1 << 20), "'x_train' overlaps what follows"),
     (lambda path: directory_changed(packed(path), 42, "<I", 0, b"y_test.npy"), "overlaps"),
     (lambda path: packed(path, x_train=npy(PLAIN["x_train"])[:-5]), "declared as uint8 of (6, 8, 8, 3), 1,152 bytes"),
     (lambda path: packed(path, x_train=npy(PLAIN["x_train"]) + b"more"), "but has 1,156"),
     (lambda path: packed(path, x_train=head((1 << 40, 8, 8, 3))), "but has 0"),
     (lambda path: packed(path, x_train=head((-6, 8, -8, 3)) + bytes(1152)), "but has 1,152"),
     (lambda path: packed(path, y_test=npy(np.array(7))), "y_test holds a single value; expected an array"),
     (lambda path: packed(path, x_train=npy(np.array([{}], object))), "holds object, neither numbers nor text"),
     (lambda path: packed(path, x_train=npy(np.zeros(6, "i4,i4"))), "neither numbers nor text"),
     (lambda path: packed(path, x_train=b"\x93NUMPY\1\0" + struct.pack("<H", 9) + b"{'descr':"), "damaged"),
     (lambda path: packed(path, x_train=b"<html>"), "damaged"),
     (lambda path: packed(path, x_train=b""), "damaged")],
    ids=["encrypted", "unknown method", "lzma", "shorter", "longer", "over the next", "one behind another", "cut",
         "more than declared", "a shape without end", "a negative shape", "no shape", "objects", "records", "torn head",
         "page", "empty"],
)  # fmt: skip
def test_what_lies_is_refused(tmp_path, make, words):
    assert words in refused(make(tmp_path / "x.npz"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name(tmp_path):
    assert "several arrays of one name: 'y_test'" in refused(packed(tmp_path / "x.npz", twice=["y_test"]))
    with zipfile.ZipFile(packed(tmp_path / "x.npz"), "a") as archive:
        archive.writestr("x_train", npy(PLAIN["x_train"]))
    assert "several arrays of one name: 'x_train'" in refused(tmp_path / "x.npz")


def test_a_flipped_bit_of_the_pixels_is_noticed(tmp_path):
    path = packed(tmp_path / "x.npz", zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"\x93NUMPY") + 600] ^= 1
    path.write_bytes(data)
    assert "damaged" in refused(path)


def test_more_than_the_machine_can_hold_is_refused_unread(tmp_path, monkeypatch):
    """96 MB that lie in 0.1 MB, on a machine that has 90 MB free."""
    path = packed(tmp_path / "x.npz", x_train=npy(np.zeros((500_000, 8, 8, 3), np.uint8)))
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(npz_file, "available_memory", lambda: 90_000_000)
    tracemalloc.start()
    assert "takes 0.1 GB to read, more than the free memory holds" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_arrays_that_nobody_asks_for_are_not_read(tmp_path):
    """Not even when they are damaged, or larger than the machine."""
    path = packed(tmp_path / "x.npz", extra=head((1 << 50,)))
    assert arrays.load(ArrayOptions(path=str(path))).classes == ("0", "1")


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((16, 16), "u1"), ((16, 16, 1), "u1"), ((16, 16, 3), "u1"), ((3, 16, 16), "u1"), ((1, 16, 16), "u1"),
     ((16, 16), "f4"), ((16, 16, 3), "f4"), ((16, 16, 3), "u2"), ((3, 16, 16), "u2")],
)  # fmt: skip
def test_memory_is_asked_for_as_it_is_taken(tmp_path, monkeypatch, shape, dtype, joined):
    """By each kind of image: no less, and not so much more that what fits is refused."""
    images = np.random.default_rng(0).integers(0, 2 if dtype == "f4" else 256, (8_000, *shape), np.uint8).astype(dtype)
    labels = np.arange(8_000) % 2
    more = {"x_val": images, "y_val": labels} if joined else {}
    path = tmp_path / "x.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10], **more)
    del images
    asked = []
    held = arrays._held
    monkeypatch.setattr(pictures, "BLOCK", 1 << 12)
    monkeypatch.setattr(arrays, "_held", lambda heads: asked.append(held(heads)) or asked[0])
    tracemalloc.start()
    arrays.load(ArrayOptions(path=str(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.7 * asked[0] < peak < 1.02 * asked[0] + 3_000_000
