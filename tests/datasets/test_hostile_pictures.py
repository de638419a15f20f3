"""Picture files that lie, or are none: named in one line, never filled up, never more memory than is meant."""

import io
import os
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, PngImagePlugin

from bench.datasets import foreign, pictures, whole
from bench.datasets.files import DataError
from tests.datasets.pictured import class_folders, picture
from tests.datasets.test_folder import opened

SIZE = 90, 100
NOISE = np.random.default_rng(0).integers(1, 255, (*SIZE[::-1], 3), np.uint8)


def decoded(tmp_path, data, name="x.png", side=8):
    (tmp_path / name).write_bytes(data)
    return pictures.decode([tmp_path / name], side, "crop").pixels[0]


def refused(tmp_path, data, name="x.png"):
    with pytest.raises(DataError) as told:
        decoded(tmp_path, data, name)
    text = str(told.value)
    assert f"/{name}: " in text
    assert text.isprintable()
    return text


def saved(array, form, **options):
    kept = io.BytesIO()
    Image.fromarray(array).save(kept, form, **options)
    return kept.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(rows, is_interlaced=False, array=NOISE):
    """With the first of the rows that its head promises."""
    raw = b"".join(b"\0" + row.tobytes() for row in array[:rows])
    head = struct.pack(">IIBBBBB", *SIZE, 8, 2, 0, 0, is_interlaced)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("rows", [1, 50, 99])
def test_a_png_that_lacks_rows(tmp_path, rows):
    assert "x.png: damaged (rows of it are missing)" in refused(tmp_path, png(rows))


def test_pngs_that_end_in_black_are_whole(tmp_path):
    dark = NOISE.copy()
    dark[-30:] = 0
    shown = decoded(tmp_path, png(100, array=dark))
    assert shown[0].min() > 0
    assert shown[-1].max() == 0
    for mode, shade in (("1", 0), ("L", 0), ("P", 0), ("RGBA", 255), ("LA", 255), ("I;16", 0)):  # nothing shows white
        kept = io.BytesIO()
        Image.new(mode, (13, 7)).save(kept, "PNG")
        assert np.unique(decoded(tmp_path, kept.getvalue())).tolist() == [shade], mode


def interlaced(keep=None):
    """With the first of the bytes that it should have."""
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = [b"\0" + row.tobytes() for x, y, across, down in starts for row in NOISE[y::down, x::across]]
    full = png(1, is_interlaced=True)
    pixels = chunk(b"IDAT", zlib.compress(b"".join(rows[:keep])))
    return full[: full.index(b"IDAT") - 4] + pixels + chunk(b"IEND", b"")


def test_an_interlaced_png(tmp_path):
    assert (decoded(tmp_path, interlaced(), side=90) == NOISE[5:95]).all()
    assert "rows of it are missing" in refused(tmp_path, interlaced(keep=-1))
    assert "rows of it are missing" in refused(tmp_path, interlaced(keep=3))


def megabytes(count):
    """Deflated, without an end."""
    packer = zlib.compressobj(wbits=-15)
    return b"\x78\x01" + count * (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH))


@pytest.mark.parametrize(
    ("make", "is_lacking"),
    [(lambda size: zlib.compress(bytes(size), 0), False), (lambda size: megabytes(5000), False),
     (lambda size: zlib.compress(bytes(size // 2)) + bytes(30_000_000), True)],
    ids=["one long chunk", "more behind the last row", "more behind the end"],
)  # fmt: skip
def test_looking_closely_at_a_png_takes_the_time_of_its_rows(make, is_lacking):
    width, height = 4000, 4000
    content = make((3 * width + 1) * height)
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", content), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    with Image.open(io.BytesIO(data)) as image:
        start = time.process_time()
        assert whole.lacks_rows(data, image, 8) == is_lacking
        assert time.process_time() - start < 1


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_jpeg_that_was_cut_and_closed(tmp_path, keep):
    data = saved(NOISE, "JPEG", quality=90)
    assert "rows of it are missing" in refused(tmp_path, data[: int(len(data) * keep)] + b"\xff\xd9", "x.jpg")


def test_a_progressive_jpeg_that_was_cut_within_its_first_scan(tmp_path):
    """Cut later, it has all of its blocks and lacks sharpness alone: no decoder can tell."""
    data = saved(NOISE, "JPEG", progressive=True, quality=90)
    scan = data.index(b"\xff\xda")
    assert "rows of it are missing" in refused(tmp_path, data[: scan + 100] + b"\xff\xd9", "x.jpg")


@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_that_end_in_grey_are_whole(tmp_path, progressive):
    grey = NOISE.copy()
    grey[-30:] = 128
    data = saved(grey, "JPEG", progressive=progressive, quality=95)
    shown = decoded(tmp_path, data, "x.jpg")
    assert abs(shown[-1].astype(int) - 128).max() < 3
    assert np.array_equal(shown, decoded(tmp_path, data + b"what a camera added", "x.jpg"))
    exif = Image.Exif()
    exif[0x010E] = "\xff\xd9 an end that is none"
    decoded(tmp_path, saved(grey, "JPEG", exif=exif), "x.jpg")


def test_what_jpegs_hold_besides_pixels(tmp_path):
    """Fill bytes, text between markers, no mark of the end: each as cameras and old programs wrote them."""
    grey = NOISE.copy()
    grey[-30:] = 128
    data = saved(grey, "JPEG", quality=95)
    expected = decoded(tmp_path, data, "x.jpg")
    table = data.index(b"\xff\xdb")
    for other in (data[:table] + b"\xff\xff\xff" + data[table:], data[:table] + b"text" + data[table:],
                  data[:-2] + b"what a camera added"):  # fmt: skip
        assert (decoded(tmp_path, other, "x.jpg") == expected).all()
    cut = data[: len(data) // 2] + b"\xff\xd9"
    assert "rows of it are missing" in refused(tmp_path, cut[:table] + b"\xff\xff" + cut[table:], "x.jpg")


def test_a_jpeg_is_looked_at_closely_in_the_size_that_it_is_decoded_in(tmp_path, monkeypatch):
    loaded = []
    load = JpegImagePlugin.JpegImageFile.load
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", lambda self: loaded.append(self.size) or load(self))
    decoded(tmp_path, saved(np.full((300, 400, 3), 128, np.uint8), "JPEG"), "x.jpg")
    assert len(loaded) > 1
    assert set(loaded) == {(50, 38)}


def test_memory_is_reckoned_by_the_whole_of_a_jpeg(tmp_path, monkeypatch):
    """Whatever is made of a progressive one, its decoder holds all of it."""
    asked = []
    taken = pictures.Allowance.taken
    monkeypatch.setattr(pictures.Allowance, "taken", lambda self, pixels: asked.append(pixels) or taken(self, pixels))
    decoded(tmp_path, saved(np.full((300, 400, 3), 100, np.uint8), "JPEG", progressive=True), "x.jpg")
    assert asked == [300 * 400]


FORMS = {
    "PNG": {}, "JPEG": {}, "BMP": {}, "WEBP": {"lossless": True}, "GIF": {}, "PPM": {},
    "TIFF": {}, "TIFF lzw": {"compression": "tiff_lzw"}, "TIFF jpeg": {"compression": "jpeg"},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_file_that_was_cut_off_is_refused_in_every_format(tmp_path, form, keep):
    data = saved(NOISE, form.split()[0], **FORMS[form])
    decoded(tmp_path, data)
    assert "damaged" in refused(tmp_path, data[: int(len(data) * keep)])


def retagged(data, tag, value):
    """Another value for one tag of a TIFF."""
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        name, kind = struct.unpack_from("<HH", data, place)
        if name == tag:
            struct.pack_into("<H" if kind == 3 else "<I", changed, place + 8, value)
    assert changed != data
    return bytes(changed)


def test_a_tiff_that_lacks_strips(tmp_path):
    data = retagged(saved(NOISE[:30], "TIFF"), 257, 100)
    assert "strips of it are missing" in refused(tmp_path, data, "x.tif")


def test_a_raw_picture_that_opens_as_its_preview(tmp_path):
    for tags in ({254: 1}, {50706: b"\1\4\0\0"}):
        assert "a camera's raw picture, which this program cannot read; convert it to JPEG or PNG" in refused(
            tmp_path, saved(NOISE, "TIFF", tiffinfo=tags), "x.dng"
        )


@pytest.mark.parametrize(
    ("head", "words"),
    [(b"\0\0\0\x18ftypheic", "a HEIC picture, which this program cannot read; convert it to JPEG or PNG"),
     (b"\0\0\0\x18ftypmif1", "a HEIC picture, which"), (b"\0\0\0\x1cftypavif", "an AVIF picture, which"),
     (b"\0\0\0\x18ftypisom", "a video, not a picture"), (b"RIFF\1\0\0\0AVI LIST", "a video, not"),
     (b"\0\0\0\x18ftypcrx ", "a camera's raw picture"), (b"FUJIFILMCCD-RAW 0201", "a camera's raw picture"),
     (b"8BPS\0\1", "a Photoshop picture"), (b"%PDF-1.7", "a PDF file, not"), (b"%!PS-Adobe-3.0 EPSF", "a PostScript"),
     (b'<?xml version="1.0"?>\n<svg xmlns=', "an SVG picture"), (b"\xef\xbb\xbf<html>", "an HTML page, not"),
     (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"), (b"\xff\x0a", "a JPEG XL picture"),
     (bytes(128) + b"DICM", "a DICOM picture"), (b"PK\3\4", "a zip archive, not"),
     (b"version https://git-lfs", "a git-LFS pointer, not"), (b"\1\2\3", "damaged, or not a picture")],
    ids=lambda one: one if isinstance(one, str) else "",
)  # fmt: skip
def test_what_people_have_is_told_by_its_first_bytes(tmp_path, head, words):
    assert f"x.png: {words}" in refused(tmp_path, head + bytes(300))


def test_a_format_that_another_pillow_may_lack_is_refused_by_all(tmp_path):
    """JPEG 2000 and AVIF depend on how it was built; an EPS would be run by an interpreter of PostScript."""
    assert "a JPEG 2000 picture" in refused(tmp_path, saved(NOISE, "JPEG2000"))
    assert "a PostScript picture" in refused(tmp_path, saved(NOISE, "EPS"))
    assert "an icon" in refused(tmp_path, saved(NOISE, "ICO"))


def test_pictures_to_convert_are_told_of_a_folder(tmp_path):
    root = class_folders(tmp_path / "pets")
    for number in range(3):
        (root / "ant" / f"{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(300))
    (root / "ant" / "notes.txt").write_text("wings")
    (note,) = opened(root)[0].notes
    assert note == ("files that are no pictures, passed over: 4; found a HEIC picture (3 files), which this program "
                    "cannot read; convert it to JPEG or PNG")  # fmt: skip
    for path in root.rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"no pictures in folders .*; found a HEIC picture \(3 files\), which"):
        opened(root)


def test_text_that_inflates_without_end(tmp_path):
    more = PngImagePlugin.PngInfo()
    more.add_itxt("comment", "a" * 50_000_000, zip=True)
    kept = io.BytesIO()
    Image.fromarray(NOISE).save(kept, "PNG", pnginfo=more)
    assert len(kept.getvalue()) < 200_000
    assert "x.png: damaged" in refused(tmp_path, kept.getvalue())


def test_devices_and_pipes_are_passed_over_and_never_waited_for(tmp_path):
    root = class_folders(tmp_path / "pets")
    (root / "ant" / "zero.png").symlink_to("/dev/zero")
    (root / "ant" / "gone.png").symlink_to("nowhere")
    os.mkfifo(root / "ant" / "pipe.png")
    assert opened(root)[0].num_train == 16


def test_large_pictures_are_decoded_one_by_one_and_small_ones_side_by_side(tmp_path, monkeypatch):
    paths = []
    for number, size in enumerate([(40, 40)] * 6 + [(8, 8)] * 6):
        picture((200, 30, 30), size, number).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    monkeypatch.setattr(pictures, "AT_ONCE", 40 * 40)
    under_way, seen, lock = [], [], threading.Lock()
    upright = pictures._upright
    meet = threading.Barrier(2, timeout=20)

    def watched(kept, image, side):
        with lock:
            under_way.append(image.width * image.height)
            seen.append(list(under_way))
        if image.width == 8 and len([one for one in seen if one[-1] == 64]) <= 2:
            meet.wait()  # two small ones are here at once, or this breaks
        found = upright(kept, image, side)
        with lock:
            under_way.remove(image.width * image.height)
        return found

    monkeypatch.setattr(pictures, "_upright", watched)
    pictures.decode(paths, 8, "crop")
    assert max(map(sum, seen)) <= 40 * 40
    assert max(map(len, seen)) > 1


def test_an_allowance_is_given_back_by_what_fails():
    allowance = pictures.Allowance(10)

    def take(number):
        with allowance.taken(10):
            if number % 2:
                raise ValueError
            return number

    with ThreadPoolExecutor(4) as pool:
        tried = [pool.submit(take, number) for number in range(20)]
        assert sum(one.exception(timeout=20) is None for one in tried) == 10


def test_a_file_that_cannot_be_opened_is_passed_over(tmp_path):
    assert not foreign.pictures_among([tmp_path / "gone"])
