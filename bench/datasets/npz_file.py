"""A .npz file's arrays, read only after all that it declares has been checked: what is hidden, damaged, or larger than
this machine can hold is refused before memory is taken for it. `arrays.py` knows what the arrays mean."""

import math
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.datasets.files import DataError, listed, shown
from bench.memory import available_memory

UNKNOWN = 16 << 30  # bytes, where the system does not say how much is free
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes
ENCRYPTED = 0x1  # a flag of a member
LOCAL_HEAD = 30  # bytes before a member's name
KINDS = "biufU"  # truth values, numbers, text

Array = npt.NDArray[Any]
Head = tuple[tuple[int, ...], "np.dtype[Any]"]  # shape and type


def read(
    path: Path, wanted: Iterable[str], held: Callable[[Mapping[str, Head]], int]
) -> tuple[list[str], dict[str, Array]]:
    """Names of all arrays, and those arrays that are wanted. `held`: bytes that they and all made of them take."""
    with _named_in_errors(path), zipfile.ZipFile(path) as archive:
        members = {_name(one): one for one in _checked(archive, path)}
        chosen = {name: members[name] for name in wanted if name in members}
        heads = {name: _head(archive, member, f"{shown(path)}: {name}") for name, member in chosen.items()}
        needed, free = held(heads), available_memory()
        if needed > (UNKNOWN if free is None else free):
            raise DataError(f"{shown(path)}: takes {needed / 1e9:.1f} GB to read, more than the free memory holds")
        return list(members), {name: _array(archive, member) for name, member in chosen.items()}


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{shown(path)}: more than this machine can hold") from error
    except Exception as error:  # readers of zip directories, of heads and of streams fail in many ways
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{shown(path)}: damaged, or not a plain .npz file ({why})") from error


def _checked(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """Its members, none of which is hidden behind another one."""
    members = sorted(archive.infolist(), key=lambda one: one.header_offset)
    twice = [repr(name) for name, count in Counter(map(_name, members)).items() if count > 1]
    if twice:
        raise DataError(f"{shown(path)}: holds several arrays of one name: {listed(twice)}")
    ends = [*(one.header_offset for one in members[1:]), archive.start_dir]
    for one, end in zip(members, ends, strict=True):
        where = f"{shown(path)}: {_name(one)!r}"
        if one.flag_bits & ENCRYPTED:
            raise DataError(f"{where} is encrypted")
        if one.compress_type not in METHODS:
            raise DataError(f"{where} is packed by method {one.compress_type}; numpy packs by deflate or not at all")
        if one.header_offset + LOCAL_HEAD + one.compress_size > end:
            raise DataError(f"{where} overlaps what follows it in the file")
    return members


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Head:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_head(file)
        if dtype.kind not in KINDS:
            raise DataError(f"{where} holds {dtype}, neither numbers nor text: not a plain .npz file, refused")
        if not shape:
            raise DataError(f"{where} holds a single value; expected an array")
        declared = math.prod(shape) * dtype.itemsize
        if declared != member.file_size - file.tell() or min(shape, default=0) < 0:
            raise DataError(f"{where} is declared as {dtype} of {shape}, {declared:,} bytes, "
                            f"but has {member.file_size - file.tell():,}")
        return shape, dtype


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array
