"""Whether a picture's file holds all of its rows. Decoders fill up what is missing without a word where the data end in
good order: PNG and TIFF with black, JPEG with grey. Only pictures whose last pixel has such a colour are looked at
closely."""

import io
import re
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

GREY = 128  # of a JPEG's blocks without data, in each channel
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # of Adam7
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the PNG's type of colour
PIECE = 1 << 12  # bytes that are inflated at once, to a thousand times as many at most
# What a JPEG decoder that still waits for blocks takes for some: any bytes but 0xff, with all lengths of runs.
MORE = bytes(value % 251 for value in range(0, 4096 * 7, 7))
MARKER = re.compile(rb"\xff([\x02-\xcf\xda-\xfe])")  # of a JPEG: those that a length follows
SCAN, END = b"\xda", b"\xff\xd9"


def lacks_tiles(image: "ImageFile") -> bool:
    """Of an opened TIFF: strips or tiles that are not there."""
    if image.format != "TIFF":
        return False
    width, height = image.size
    boxes = (tile.extents or (0, 0, width, height) for tile in image.tile)
    return sum((right - left) * (low - top) for left, top, right, low in boxes) < width * height


def may_lack_rows(image: "ImageFile") -> bool:
    """Of a decoded picture, by its last pixel."""
    width, height = image.size
    last = image.getpixel((width - 1, height - 1))
    numbers = set(last) if isinstance(last, tuple) else {last}
    if image.format == "PNG":
        return bool(image.info.get("interlace")) or numbers == {0}
    return image.format in ("JPEG", "MPO") and numbers == {GREY}


def draft(image: "ImageFile", side: int) -> None:
    """A JPEG can be decoded at a smaller size."""
    if image.mode == "RGB":
        image.draft("RGB", (2 * side, 2 * side))


def lacks_rows(data: bytes, image: "ImageFile", side: int) -> bool:
    """Of the same picture, as it was decoded for this side, by its whole file."""
    return _png_lacks_rows(data) if image.format == "PNG" else _jpeg_lacks_rows(data, image, side)


def _png_lacks_rows(data: bytes) -> bool:
    size, place = 0, 8
    inflate = zlib.decompressobj()
    expected = 0
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        content = memoryview(data)[place + 8 : place + 8 + length]
        if name == b"IHDR":
            expected = _png_bytes(content)
        if name == b"IDAT":
            for start in range(0, len(content), PIECE):
                if inflate.eof or size >= expected:
                    return size < expected
                size += len(inflate.decompress(content[start : start + PIECE]))
        place += 12 + length
    return size < expected


def _png_bytes(header: memoryview) -> int:
    """Of all rows, each with the byte that says how it was filtered."""
    width, height, depth, colour, _, _, is_interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * CHANNELS[colour]
    passes = PASSES if is_interlaced else ((0, 0, 1, 1),)
    sizes = ((-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in passes)
    return sum(high * (1 + -(-wide * bits // 8)) for wide, high in sizes if wide > 0 and high > 0)


def _jpeg_lacks_rows(data: bytes, image: "ImageFile", side: int) -> bool:
    """A decoder that has all blocks passes over whatever follows; one that waits for some takes it for them."""
    from PIL import Image as pil
    from PIL import ImageChops

    place = 2
    while (found := MARKER.search(data, place)) and found[1] != SCAN:  # a preview before it has an end of its own
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    end = data.find(END, place)
    end = len(data) if end < 0 else end
    with pil.open(io.BytesIO(data[:end] + MORE + data[end:]), formats=["JPEG"]) as other:
        draft(other, side)
        return ImageChops.difference(image, other).getbbox() is not None
