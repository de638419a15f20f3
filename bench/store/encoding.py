"""Record <-> the bytes of its file. Refuses to write what JSON would lose, and to read what `encode` never wrote."""

import json
import math
from typing import Any, NoReturn, get_args

from bench.store import sealed
from bench.store.record import SCHEMA, Kind, Record, Status
from bench.text import printable

DEEPEST = 50  # levels of a file; readers of a record call themselves for each of them
NESTING = frozenset((dict, list, tuple))


def encode(record: Record) -> bytes:
    """Raises ValueError or TypeError, naming the field, for NaN, infinity, and what is not plain JSON."""
    _check_fields(record)
    plain = record.as_dict()
    _check_plain(plain, "record")
    _check_depth(plain)
    text = json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # Only lone surrogates (file names that are not UTF-8) do not encode; \udcXX is their JSON escape as well.
    return sealed.seal((text + "\n").encode("utf-8", "backslashreplace"))


def decode(data: bytes, key: str) -> Record:
    """Raises ValueError saying what is wrong with the file of `key`."""
    raw = _parse(data)
    if not isinstance(raw, dict):
        raise ValueError(f"holds a {type(raw).__name__}, not a record")
    _check_seal(raw, data)
    _check_depth(raw)
    try:
        record = Record.from_dict(raw)
        _check_fields(record)
    except TypeError as error:
        raise ValueError(f"not a record: {error}") from error
    if record.key != key:
        raise ValueError(f"holds the record of another key, {printable(record.key)[:40]}")
    return record


def _check_seal(raw: dict[str, Any], data: bytes) -> None:
    """A file of another version may have another seal, or none."""
    schema, is_sealed, is_whole = raw.get("schema"), raw.pop(sealed.FIELD, None) is not None, sealed.is_whole(data)
    if schema != SCHEMA and (is_whole or not is_sealed):
        age = "written by an older version: " if type(schema) is int and schema < SCHEMA else ""
        raise ValueError(f"{age}record schema {schema!r}, this version reads {SCHEMA}")
    if not is_whole:
        raise ValueError("changed since it was written: it does not fit its checksum" if is_sealed else "no checksum")


def _parse(data: bytes) -> Any:
    if not data.strip():
        raise ValueError("empty")
    if not data.strip(b"\0"):
        raise ValueError(f"{len(data)} zero bytes")
    if data.lstrip().startswith(b"<"):
        raise ValueError("a web page, not a record")
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"not text: byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"torn or not JSON: line {error.lineno} column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _check_depth(raw: dict[str, Any]) -> None:
    level: list[Any] = [raw]
    for _ in range(DEEPEST):
        parts = [one.values() if type(one) is dict else one for one in level]
        level = [item for part in parts for item in part if type(item) in NESTING]
        if not level:
            return
    raise ValueError("nested too deeply")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}")


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
