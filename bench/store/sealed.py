"""JSON that carries its own checksum and stays readable: its first line is `{"checksum": "<sha256 of what follows>",`.
Records, baselines, nights, the notes beside a suite's records and what is remembered are written so.
"""

import hashlib
import json
from typing import Any, NoReturn

FIELD = "checksum"
DEPTH = 50  # mappings and lists within each other: whoever prints them calls itself for each, and must come to an end
NESTED = (dict, list, tuple)


def seal(text: bytes) -> bytes:
    """`text`: a JSON object whose first line is `{` alone."""
    beginning, _, rest = text.partition(b"\n")
    assert beginning == b"{"
    return _line(rest) + rest


def unseal(data: bytes, schema: int | None = None, unsealed: int | None = None) -> dict[str, Any]:
    """The object without its checksum. Raises ValueError where not every bit is as it was written, those of the
    checksum included. `schema`: the one that is read; None: such files name none. `unsealed`: one from before there
    were checksums, which is read without."""
    is_whole = checksum_of(data) is not None
    content = _parse(data, is_whole)
    is_sealed = content.pop(FIELD, None) is not None
    version = content.get("schema")
    if schema is not None and version != schema and (is_whole or not is_sealed):
        if not is_sealed and version is not None and version == unsealed:
            return content
        age = "written by an older version: " if type(version) is int and version < schema else ""
        raise ValueError(f"{age}schema {version!r}, this version reads {schema}")
    if not is_sealed:
        raise ValueError("no checksum: written by an older version, or by hand")
    if not is_whole:
        raise ValueError("changed since it was written: it does not fit its checksum")
    return content


def checksum_of(data: bytes) -> bytes | None:
    """Of a file every bit of which is as it was written, its first line included; None of any other."""
    line_end = data.find(b"\n") + 1
    found = hashlib.sha256(memoryview(data)[line_end:])
    return found.digest() if data[:line_end] == _line_of(found.hexdigest()) else None


def check_depth(content: Any) -> None:
    """Raises ValueError."""
    level = [content]
    for _ in range(DEPTH):
        level = [one for group in level for one in (group.values() if isinstance(group, dict) else group)
                 if isinstance(one, NESTED)]  # fmt: skip
        if not level:
            return
    raise ValueError("nested too deeply")


def _line(rest: bytes) -> bytes:
    return _line_of(hashlib.sha256(rest).hexdigest())


def _line_of(checksum: str) -> bytes:
    return b'{"%s": "%s",\n' % (FIELD.encode(), checksum.encode())


def _parse(data: bytes, is_whole: bool) -> dict[str, Any]:
    if not data.strip():
        raise ValueError("empty")
    if not data.strip(b"\0"):
        raise ValueError(f"{len(data)} zero bytes")
    if data.lstrip().startswith(b"<"):
        raise ValueError("a merge that nobody resolved" if data.lstrip().startswith(b"<<<<<<<") else "a web page")
    decoder = _WHOLE if is_whole else _DOUBTED
    try:
        content = decoder.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not text: byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"torn or not JSON: line {error.lineno} column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, expected a mapping")
    if data.count(b"{") + data.count(b"[") > DEPTH:  # what opens fewer lies no deeper, as nearly every record
        check_depth(content)
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one place")
    return content


_WHOLE = json.JSONDecoder(parse_constant=_refuse_constant)  # who wrote it wrote no name twice
_DOUBTED = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_no_name_twice)
