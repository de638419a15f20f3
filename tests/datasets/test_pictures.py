"""Files of every sort come to uint8 RGB by a rule; what cannot is named."""

import numpy as np
import pytest
from PIL import Image

from bench.datasets import pictures
from bench.datasets.files import DataError
from tests.datasets.pictured import picture


def decoded(path, side=8, fit="crop"):
    (image,) = pictures.decode([path], side, fit).pixels
    return image


def saved(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def flat(mode, value, size=(12, 12)):
    return Image.new(mode, size, value)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flat("RGB", (10, 20, 30)), (10, 20, 30)),
        (flat("L", 77), (77, 77, 77)),
        (flat("RGBA", (10, 20, 30, 255)), (10, 20, 30)),
        (flat("RGBA", (10, 20, 30, 0)), (255, 255, 255)),
        (flat("LA", (50, 0)), (255, 255, 255)),
        (flat("P", 0), (0, 0, 0)),
        (Image.fromarray(np.full((12, 12), 65535, np.uint16)), (255, 255, 255)),
        (Image.fromarray(np.full((12, 12), 32896, np.uint16)), (128, 128, 128)),
        (Image.fromarray(np.full((12, 12), 200, np.uint16)), (1, 1, 1)),
        (flat("1", 1), (255, 255, 255)),
    ],
    ids=["rgb", "grey", "opaque", "transparent", "grey transparent", "palette", "16 bits white", "16 bits grey",
         "16 bits dark", "one bit"],
)  # fmt: skip
def test_every_sort_of_png(tmp_path, image, expected):
    found = decoded(saved(tmp_path, image))
    assert found.shape == (8, 8, 3)
    assert found.dtype == np.uint8
    assert (found == np.array(expected)).all()


def test_cmyk_and_float_and_gif(tmp_path):
    assert decoded(saved(tmp_path, flat("CMYK", (0, 0, 0, 0)), "x.jpg")).min() > 250
    assert (decoded(saved(tmp_path, Image.fromarray(np.full((9, 9), 0.5, np.float32)), "x.tif")) == 128).all()
    frames = [flat("RGB", (255, 0, 0)), flat("RGB", (0, 255, 0))]
    assert (decoded(saved(tmp_path, frames[0], "x.gif", save_all=True, append_images=frames[1:])) == (255, 0, 0)).all()


def test_floats_out_of_any_range_are_refused(tmp_path):
    for value in (-3.0, 200.0, np.nan):
        path = saved(tmp_path, Image.fromarray(np.full((9, 9), value, np.float32)), "x.tif")
        with pytest.raises(DataError, match=r"x.tif: damaged \(values from .*, expected 0 to 1\)"):
            decoded(path)


def test_big_and_little_ends_are_scaled_alike(tmp_path):
    for kind in ("<u2", ">u2"):
        assert (decoded(saved(tmp_path, Image.fromarray(np.full((9, 9), 200, kind)), "x.tif")) == 1).all()


def test_crop_takes_the_middle_and_squash_all(tmp_path):
    image = Image.new("RGB", (30, 10), "black")
    image.paste("white", (10, 0, 20, 10))
    path = saved(tmp_path, image)
    assert decoded(path, 10).min() == 255
    squashed = decoded(path, 10, "squash")
    assert squashed[:, 0].max() == 0
    assert squashed[:, 5].min() == 255


def test_a_camera_that_was_turned(tmp_path):
    image = Image.new("RGB", (20, 10), "black")
    image.paste("white", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    path = saved(tmp_path, image, "x.jpg", exif=exif, quality=95)
    assert pictures.sizes_of([path]) == [(10, 20)]
    found = decoded(path, 10, "squash")
    assert found[0].min() > 200  # what was on the left is on top
    assert found[-1].max() < 60


def damaged(tmp_path):
    whole = saved(tmp_path, picture((9, 9, 9), (60, 60)), "whole.png").read_bytes()
    content = {
        "cut.png": whole[: len(whole) // 2], "empty.png": b"", "page.jpg": b"<html>404</html>",
        "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\n", "noise.png": b"\x00" * 100,
    }  # fmt: skip
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in ("whole.png", *content)]


def test_all_damaged_files_are_named_at_once(tmp_path):
    with pytest.raises(DataError) as refused:
        pictures.decode(damaged(tmp_path), 8, "crop")
    text = str(refused.value)
    assert text.startswith("5 of 6 images cannot be used: ")
    for words in ("cut.png: damaged", "empty.png: an empty file", "page.jpg: an HTML page", "a git-LFS pointer",
                  "noise.png: damaged, or not a picture"):
        assert words in text
    assert "whole.png" not in text


@pytest.mark.parametrize("size", [(1, 50), (40_000, 3_000)], ids=str)
def test_tiny_and_huge_pictures_are_refused_before_decoding(tmp_path, size, monkeypatch):
    path = saved(tmp_path, Image.new("1", size))
    with pytest.raises(DataError, match=f"{size[0]}x{size[1]} pixels"):
        pictures.sizes_of([path])


def test_decoding_tells_how_far_it_is(tmp_path):
    paths = [saved(tmp_path, picture((1, 2, 3), seed=n), f"{n}.png") for n in range(3)]
    told = []
    before = pictures.watcher.set(lambda done, total: told.append((done, total)))
    pictures.decode(paths, 8, "crop")
    pictures.watcher.reset(before)
    assert told == [(1, 3), (2, 3), (3, 3)]
