"""What a file is that is no picture this program reads, by its first bytes: people learn what to convert, or that they
have the wrong file. What a file is called says nothing."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

HEAD = 512  # bytes
CONVERT = ", which this program cannot read; convert it to JPEG or PNG"
NO_PICTURE = ", not a picture"
HEIC, AVIF, RAW, VIDEO = "a HEIC picture", "an AVIF picture", "a camera's raw picture", "a video"

BRANDS = {  # of ISO media files, behind `ftyp`; any other is a video
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), HEIC),
    b"avif": AVIF, b"avis": AVIF, b"crx ": RAW,
}  # fmt: skip
PICTURES = (  # place, bytes, what they tell
    (0, b"8BPS", "a Photoshop picture"), (0, b"gimp xcf", "a GIMP picture"), (0, b"%!PS", "a PostScript picture"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS picture"), (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"), (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"), (0, b"v/1\x01", "an OpenEXR picture"), (128, b"DICM", "a DICOM picture"),
    (0, b"#?RADIANCE", "a Radiance picture"), (0, b"SIMPLE  =", "a FITS picture"), (0, b"\0\0\1\0", "an icon"),
    (0, b"IIU\0", RAW), (0, b"IIRO", RAW), (0, b"IIRS", RAW), (0, b"MMOR", RAW), (0, b"FUJIFILMCCD-RAW", RAW),
)  # fmt: skip
OTHERS = (
    (0, b"%PDF", "a PDF file"), (0, b"\x1aE\xdf\xa3", VIDEO), (0, b"\0\0\1\xba", VIDEO), (0, b"\0\0\1\xb3", VIDEO),
    (8, b"AVI ", VIDEO), (0, b"\x89HDF", "an HDF5 file"), (0, b"\x93NUMPY", "a numpy array"),
    (0, b"PK\3\4", "a zip archive"), (0, b"\x1f\x8b", "a gzip archive"), (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (257, b"ustar", "a tar archive"), (0, b"version https://git-lfs", "a git-LFS pointer"),
)  # fmt: skip
PREVIEW, DNG = 254, 50706  # tags of a TIFF: whether it is of less than full size; what Adobe's raw pictures have


def said_of(head: bytes) -> str | None:
    """`a HEIC picture, which this program cannot read; ...`; None for an unknown beginning."""
    picture = _picture(head)
    if picture is not None:
        return picture + CONVERT
    if _text(head).startswith(b"<"):
        return "an HTML page" + NO_PICTURE
    other = VIDEO if head[4:8] == b"ftyp" else _told_by(OTHERS, head)
    return other + NO_PICTURE if other is not None else None


def pictures_among(paths: Iterable[Path]) -> Counter[str]:
    """How many of each kind that could be converted."""
    found: Counter[str] = Counter()
    for path in paths:
        try:
            with path.open("rb") as file:
                picture = _picture(file.read(HEAD))
        except OSError:
            continue
        if picture is not None:
            found[picture] += 1
    return found


def counted(pictures: Counter[str]) -> str:
    """`a HEIC picture (12 files)`"""
    return ", ".join(f"{picture} ({count} file{'s' * (count > 1)})" for picture, count in pictures.items())


def is_raw(image: "ImageFile") -> bool:
    """Whether what opened as a TIFF is a camera's raw picture, of which only a preview would be decoded."""
    tags = getattr(image, "tag_v2", {})
    return image.format == "TIFF" and (DNG in tags or tags.get(PREVIEW) == 1)


def _picture(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    text = _text(head)
    if text.startswith(b"<") and b"<svg" in text:
        return "an SVG picture"
    return _told_by(PICTURES, head)


def _text(head: bytes) -> bytes:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()


def _told_by(marks: tuple[tuple[int, bytes, str], ...], head: bytes) -> str | None:
    return next((what for place, mark, what in marks if head.startswith(mark, place)), None)
