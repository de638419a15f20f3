"""What `fuzz.py` damages: whole files of each kind, and the door that each kind comes in by."""

import dataclasses
import functools
import io
import os
import pickle
import random
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.commands.suites import Folders, plan_from_file
from bench.datasets import arrays, manifest, pictures
from bench.datasets.arrays import ArrayOptions
from bench.datasets.manifest import TableOptions
from bench.errors import BenchError, SuiteError
from bench.execute.roots import Roots
from bench.gate import baseline
from bench.store import Record, Store, encoding
from bench.store.predictions import Claims, Predictions, pack, unpack
from bench.store.reading import Damaged, load
from bench.suite.load import load_suite
from tests.commands.fabricate import record_of
from tests.faults.mutate import VALUES, damaged, odd

ROOT = Path(__file__).parent.parent.parent
Seeds = dict[str, bytes]  # by the name that the file has

YAML = (
    b"!!python/object/apply:os.system ['touch fuzzed']", b"!!binary aGVsbG8=", b"&a ", b"*a", b"<<: *a", b"|", b">+",
    b"---", b"...", b"%YAML 1.1", b"? ", b"[", b"]", b"{", b"}", b": ", b"- ", b"\t", b"\0", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"'", b'"', b'"\\ud800"', b"1e999", b".nan", b"-.inf", b"9" * 5000, b"0o777",
    b"12:30:45", b"null", b"yes", b"2020-01-01", b"../../etc/passwd", b"\x1b[2J", b"<script>", b"::error::x",
    "\u202e💥".encode(), b"a" * 3000, b"[" * 60, b"{a: " * 60, b"- " * 60, b"lr: [0,0]", b"repeats: 99999999999999",
    b"labels_per_class: []", b"{recipe: {name: x, phases: []}}", b"{freeze: {upto: 99}}", b"weights: /dev/zero",
    b"folder:/dev", b"csv:/etc/passwd", b"options: {a: .nan}", b"\n", b"\n  ",
)  # fmt: skip
JSON = (b"{", b"}", b"[" * 2000, b"]", b'"', b",", b":", b"null", b"NaN", b"1e999", b"-Infinity", b"9" * 5000,
        b"\\ud800", b"\0", b"\xff", b"true", b'"key": "x",', b"-1", b"<", b"\n")  # fmt: skip
TABLE = (b",", b'"', b"\0", b"\r", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"a" * 5000, b"/dev/zero", b"../..", b"path",
         b"nan", b"\x1b[2J", b"label", b"split", b"test", b"1e999", b";", b"\t", b"PAR1",
         "\u202e".encode())  # fmt: skip
BINARY = (b"\0" * 4, b"\xff" * 4, b"\xff\xd9", b"\xff\xda", b"PK\1\2", b"PK\3\4", b"PK\5\6", b"IDAT", b"IEND", b"tRNS",
          b"iCCP", b"zTXt", b"acTL", b"fdAT", b"II*\0", b"(1 << 40,)", b"'|O'", b"fortran")  # fmt: skip


@dataclass(frozen=True)
class Target:
    count: int  # unless another is asked for
    seeds: Callable[[Path], Seeds]  # in a folder of its own, where more may be put that they need
    read: Callable[[Path, str, bytes], object]
    refusals: tuple[type[Exception], ...]
    tokens: tuple[bytes, ...]
    forge: Callable[[random.Random], tuple[str, bytes]] | None = None  # well-formed, of odd values: half of all


def _suites(folder: Path) -> Seeds:
    return {path.name: path.read_bytes() for path in sorted((ROOT / "suites").glob("*.yaml"))}


def _put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _read_suite(folder: Path, name: str, data: bytes) -> None:
    path = _put(folder, name, data)
    if not (folder / "references").exists():  # that a suite may name, beside itself
        (folder / "references").symlink_to(ROOT / "suites" / "references")
    load_suite(path)


@functools.cache
def _made_records() -> dict[str, Record]:
    """One of each kind, as a plan's jobs leave them."""
    with tempfile.TemporaryDirectory() as place:
        roots = Roots(Path(place), "quickstart")
        plan = plan_from_file(ROOT / "suites" / "quickstart.yaml", (), Folders(roots.results, roots.results))
        first = {job.kind: job for job in reversed(plan.jobs.values())}
        found = [record_of(job, 0, job.record_keys[0], roots) for job in first.values()]
    return {record.key: record for record in found}


def _records(folder: Path) -> Seeds:
    return {key: encoding.encode(record) for key, record in _made_records().items()}


def _forged_record(rng: random.Random) -> tuple[str, bytes]:
    key, record = rng.choice(sorted(_made_records().items()))
    part = rng.choice(("result", "result", "spec", "cost", "provenance", "status", "kind", "error"))
    changed: Any = {part: odd(getattr(record, part), rng)}
    return key, encoding.encode(dataclasses.replace(record, **changed))


class Refused(Exception):
    """By a reader that returns its refusals."""


def _read_record(folder: Path, key: str, data: bytes) -> None:
    path = Store(folder).path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    found = load(path)
    if isinstance(found, Damaged):
        raise Refused(found.reason)
    assert isinstance(found, Record)


@functools.cache
def _accepted() -> baseline.Baseline:
    whole = baseline.read(ROOT / "results" / "baselines" / "nightly.json")
    return dataclasses.replace(whole, rows=whole.rows[:4])


def _baselines(folder: Path) -> Seeds:
    return {"nightly.json": baseline.encode(_accepted())}


def _forged_baseline(rng: random.Random) -> tuple[str, bytes]:
    """With one odd value in its head or in a row."""
    whole = _accepted()
    if rng.random() < 0.3:
        changed: Any = {rng.choice([field.name for field in dataclasses.fields(whole)][1:-2]): rng.choice(VALUES)}
        return "nightly.json", baseline.encode(dataclasses.replace(whole, **changed))
    names = [field.name for field in dataclasses.fields(baseline.Row) if field.name not in ("cell", "fingerprint")]
    rows = list(whole.rows)
    changed = {rng.choice([name for name in names if name != "repeat"]): rng.choice(VALUES)}
    rows[rng.randrange(len(rows))] = dataclasses.replace(rows[0], **changed)
    return "nightly.json", baseline.encode(dataclasses.replace(whole, rows=tuple(rows)))


def _read_baseline(folder: Path, name: str, data: bytes) -> None:
    baseline.read(_put(folder, name, data))


class _Code:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch fuzzed",)


CODE = pickle.dumps(_Code(), 2)[2:-1]  # without its beginning and its end


def _checkpoints(folder: Path) -> Seeds:
    import torch
    from safetensors.torch import save

    draw = torch.Generator().manual_seed(0)
    state = {"stem.weight": torch.randn(4, 3, generator=draw), "head.bias": torch.zeros(4), "steps": torch.tensor(7)}
    kept: Seeds = {"x.safetensors": save(state)}
    for name, is_new in (("new.pth", True), ("old.pth", False)):
        file = io.BytesIO()
        torch.save({"state_dict": state}, file, _use_new_zipfile_serialization=is_new)
        kept[name] = file.getvalue()
    return kept


def _read_checkpoint(folder: Path, name: str, data: bytes) -> None:
    from bench.network.weights import read_file

    try:
        read_file(_put(folder, name, data))
    finally:
        ran = Path("fuzzed")
        if ran.exists():
            ran.unlink()
            raise AssertionError("code in a checkpoint ran")


CLAIMS = Claims(num_test=40, num_classes=3, metric="accuracy", score=0.5)


def _predictions(folder: Path) -> Seeds:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 40).astype(np.uint16)
    classes = np.where(np.arange(40) < 20, truth, (truth + 1) % 3).astype(np.uint16)
    told = Predictions(truth == classes, truth, classes, probabilities=draw.random((40, 3)).astype(np.float16))
    return {"all": pack(told), "right": pack(Predictions(told.right))}


def _forged_predictions(rng: random.Random) -> tuple[str, bytes]:
    """Whole, but of other examples, classes or types than its record claims."""
    draw = np.random.default_rng(rng.randrange(2**32))
    num, num_classes = rng.choice((40, 40, 40, 41, 1)), rng.choice((3, 3, 4, 300))
    truth, classes = draw.integers(0, num_classes, (2, num)).astype(np.uint16)
    right = truth == classes if rng.random() < 0.7 else np.arange(len(truth)) < 20
    table = draw.normal(size=(num, rng.choice((3, 1, 5)))).astype(np.float16)
    more = {"truth": truth, "classes": classes, "probabilities": table, "log_truth": table[:, 0]}
    return "forged", pack(Predictions(right, **{name: one for name, one in more.items() if rng.random() < 0.5}))


def _read_predictions(folder: Path, name: str, data: bytes) -> None:
    unpack(data, CLAIMS)


def _noise(width: int, height: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _tables(folder: Path) -> Seeds:
    for number in range(8):
        Image.fromarray(_noise(9, 8, number)).save(folder / f"{number}.png")
    rows = "".join(f"{number}.png,{'ant' if number % 2 else '7'}\n" for number in range(8))
    split = "".join(f'"{n}.png",{"ant" if n % 2 else "7"},{"test" if n > 5 else "train"}\n' for n in range(8))
    return {"x.csv": f"path,label\n{rows}".encode(), "y.csv": f"path,label,split\n{split}".encode()}


def _read_table(folder: Path, name: str, data: bytes) -> None:
    manifest.facts(TableOptions(path=str(_put(folder, name, data))))


def _arrays(folder: Path) -> Seeds:
    images, labels = _noise(6, 6 * 12).reshape(12, 6, 6, 3), np.arange(12) % 3
    members: Any = {"x_train": images, "y_train": labels, "x_test": images[:6], "y_test": labels[:6].astype(np.uint8)}
    kept = {}
    for name, save in (("stored.npz", np.savez), ("packed.npz", np.savez_compressed)):
        file = io.BytesIO()
        save(file, **members, classes=np.array(["a", "b", "c"]))
        kept[name] = file.getvalue()
    return kept


def _forged_arrays(rng: random.Random) -> tuple[str, bytes]:
    """Whole, but of odd types, shapes and values."""
    members: Any = {
        "x_train": _noise(6, 6 * 12).reshape(12, 6, 6, 3), "y_train": np.arange(12) % 3,
        "x_test": _noise(6, 6 * 6).reshape(6, 6, 6, 3), "y_test": np.arange(6) % 3, "classes": np.array(list("abc")),
    }  # fmt: skip
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(members))
        whole, fate = members[name], rng.randrange(4)
        if fate == 0:
            del members[name]
            break
        if fate == 1:
            shape = rng.choice((whole.shape[::-1], (0, *whole.shape[1:]), whole.shape[:1], (1, *whole.shape), ()))
            members[name] = np.resize(whole, shape)
        elif fate == 2:
            kind = rng.choice(("?", "i1", "u8", "i8", "f2", "f4", "f8", "c8", "U3", "S2", "M8[s]", "O", "V4", "i4,i4"))
            members[name] = np.zeros(whole.shape, kind)
        else:
            value = rng.choice((-1, 0.5, np.nan, np.inf, 1e300, 2.0**63, 255.0, 65535.0))
            members[name] = np.full(whole.shape, value)
    file = io.BytesIO()
    np.savez(file, **members)
    return "forged.npz", file.getvalue()


def _read_arrays(folder: Path, name: str, data: bytes) -> None:
    options = ArrayOptions(path=str(_put(folder, name, data)))
    arrays.facts(options)
    arrays.load(options)


FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {  # name -> mode, format, how it is saved
    "rgb.png": ("RGB", "PNG", {}), "p.png": ("P", "PNG", {"transparency": 3}), "rgba.png": ("RGBA", "PNG", {}),
    "grey.png": ("I;16", "PNG", {}), "bit.png": ("1", "PNG", {}), "x.jpg": ("RGB", "JPEG", {}),
    "prog.jpg": ("L", "JPEG", {"progressive": True}), "cmyk.jpg": ("CMYK", "JPEG", {}), "x.gif": ("P", "GIF", {}),
    "x.bmp": ("RGB", "BMP", {}), "x.webp": ("RGBA", "WEBP", {"lossless": True}), "lossy.webp": ("RGB", "WEBP", {}),
    "x.tif": ("RGB", "TIFF", {}), "lzw.tif": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "jpeg.tif": ("RGB", "TIFF", {"compression": "jpeg"}), "float.tif": ("F", "TIFF", {}), "x.ppm": ("RGB", "PPM", {}),
    "moving.gif": ("P", "GIF", {"save_all": True}), "moving.png": ("RGB", "PNG", {"save_all": True}),
}  # fmt: skip


def _picture_files(folder: Path) -> Seeds:
    kept = {}
    for name, (mode, form, options) in FORMS.items():
        pixels = _noise(21, 17)
        if mode == "F":
            image = Image.fromarray((pixels[..., 0] / np.float32(255)).astype(np.float32))
        else:
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257 if mode == "I;16" else pixels)
            image = image if mode == "I;16" else image.convert(mode)
        more = {"append_images": [image.rotate(90)]} if options.get("save_all") else {}
        file = io.BytesIO()
        image.save(file, form, **options, **more)
        kept[name] = file.getvalue()
    return kept


def _forged_picture(rng: random.Random) -> tuple[str, bytes]:
    """A PNG whose pieces are damaged, left out or repeated, and whose checksums are right all the same."""
    data, at, pieces = _png_files()[rng.choice(sorted(_png_files()))], 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        pieces.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    place = rng.randrange(len(pieces))
    name, content = pieces[place]
    if name == b"IDAT" and rng.random() < 0.7:
        content = zlib.compress(damaged(zlib.decompress(content), [content], BINARY, rng))
    else:
        content = damaged(content, [content], BINARY, rng)
    pieces[place : place + 1] = [(name, content)] * rng.choice((0, 1, 1, 1, 1, 1, 2))
    made = [struct.pack(">I", len(one)) + kind + one + struct.pack(">I", zlib.crc32(kind + one))
            for kind, one in pieces]
    return "forged.png", data[:8] + b"".join(made)


@functools.cache
def _png_files() -> Seeds:
    return {name: data for name, data in _picture_files(Path()).items() if name.endswith(".png")}


def _read_picture(folder: Path, name: str, data: bytes) -> None:
    path = _put(folder, name, data)
    pictures.sizes_of([path])
    pictures.decode([path], 8, "crop")


TARGETS = {
    "suites": Target(100_000, _suites, _read_suite, (SuiteError,), YAML),
    "records": Target(30_000, _records, _read_record, (Refused,), JSON, _forged_record),
    "baselines": Target(10_000, _baselines, _read_baseline, (BenchError,), JSON, _forged_baseline),
    "checkpoints": Target(5_000, _checkpoints, _read_checkpoint, (BenchError,), (*BINARY, CODE)),
    "predictions": Target(
        30_000, _predictions, _read_predictions, (ValueError,), (*BINARY, *JSON), _forged_predictions
    ),
    "csv": Target(5_000, _tables, _read_table, (BenchError,), TABLE),
    "npz": Target(5_000, _arrays, _read_arrays, (BenchError,), BINARY, _forged_arrays),
    "pictures": Target(10_000, _picture_files, _read_picture, (BenchError,), BINARY, _forged_picture),
}
