"""Record <-> the bytes of its file. Refuses to write what JSON would lose, and to read what `encode` never wrote."""

import json
import math
from typing import Any, get_args

from bench.store import sealed
from bench.store.record import SCHEMA, Kind, Record, Status
from bench.text import printable


def encode(record: Record) -> bytes:
    """Raises ValueError or TypeError, naming the field, for NaN, infinity, and what is not plain JSON."""
    _check_fields(record)
    sealed.check_depth(vars(record))  # what follows calls itself at each level
    plain = record.as_dict()
    _check_plain(plain, "record")
    text = json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # Only lone surrogates (file names that are not UTF-8) do not encode; \udcXX is their JSON escape as well.
    return sealed.seal((text + "\n").encode("utf-8", "backslashreplace"))


def decode(data: bytes, key: str) -> Record:
    """Raises ValueError saying what is wrong with the file of `key`."""
    raw = sealed.unseal(data, SCHEMA)
    try:
        record = Record.from_dict(raw)
        _check_fields(record)
    except TypeError as error:
        raise ValueError(f"not a record: {error}") from error
    if record.key != key:
        raise ValueError(f"holds the record of another key, {printable(record.key)[:40]}")
    return record


def _check_fields(record: Record) -> None:
    """The fields that `Record.from_dict` leaves unchecked."""
    for name, value, known in (("kind", record.kind, Kind), ("status", record.status, Status)):
        if value not in get_args(known):
            raise ValueError(f"record {name} {value!r}; known: {', '.join(get_args(known))}")
    for name in ("cost", "provenance"):
        if not isinstance(getattr(record, name), dict):
            raise TypeError(f"record field {name!r} is not a dict")
    if record.error is not None and not isinstance(record.error, str):
        raise TypeError("record field 'error' is neither text nor null")


def _check_plain(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):  # json.dumps would turn 1, True and None into text without a word
                raise TypeError(f"{where}: {name!r} as a field's name is not text")
            _check_plain(item, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; a record holds finite numbers only")
    elif value is not None and not isinstance(value, str | int):
        raise TypeError(f"{where} is a {type(value).__name__}, which JSON cannot hold")
