"""JSON that carries its own checksum and stays readable: its first line is `{"checksum": "<sha256 of what follows>",`.
Records, baselines, nights and the notes beside a suite's records are written so.
"""

import hashlib

FIELD = "checksum"


def seal(text: bytes) -> bytes:
    """`text`: a JSON object whose first line is `{` alone."""
    beginning, _, rest = text.partition(b"\n")
    assert beginning == b"{"
    return _line(rest) + rest


def is_whole(data: bytes) -> bool:
    """Whether not a bit has changed, those of the checksum included."""
    rest = data.partition(b"\n")[2]
    return data == _line(rest) + rest


def _line(rest: bytes) -> bytes:
    return b'{"%s": "%s",\n' % (FIELD.encode(), hashlib.sha256(rest).hexdigest().encode())
