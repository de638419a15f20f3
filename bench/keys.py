"""Identity by content: a job's key is the digest of what determines its numbers, and a seed is a digest too.

Nothing here knows what is hashed. There is no list of fields to ignore: what must not matter is not passed in.
"""

import dataclasses
import hashlib
import json
import math
from typing import Any

# Metadata of a dataclass's field that came after keys were given away: left out where it is None, so that they hold.
LATER = {"later": True}
KEPT = "_canonical"  # in the dictionary of a frozen dataclass: no field of it
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

# Bumped by hand when the meaning of a number changes although no setting did (say, a mended training loop).
PROTOCOL = 3


def canonical(value: Any) -> Any:
    """Reduce a value to plain JSON types, or refuse: a key must never contain an address or an ordering by chance."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _of_dataclass(value)
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value):
            raise TypeError(f"a key's mapping needs text keys, got {value!r}")
        return {k: canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a key cannot hold {value}")
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a key cannot hold a {type(value).__name__}: {value!r}")


def _of_dataclass(value: Any) -> dict[str, Any]:
    """Frozen ones keep it: a plan has the same few recipes, pipelines and data sets in each of its many jobs."""
    if (known := vars(value).get(KEPT)) is not None:
        return dict(known)
    plain = plain_fields(value)
    if value.__dataclass_params__.frozen:
        vars(value)[KEPT] = plain
    return dict(plain)


def plain_fields(value: Any) -> dict[str, Any]:
    """A dataclass's canonical form, which it does not keep."""
    every = {f: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {f.name: canonical(v) for f, v in every.items() if v is not None or "later" not in f.metadata}


def digest(value: Any) -> str:
    """32 hex digits of the value's canonical JSON. 1, 1.0 and true differ, so numbers are normalised at the door."""
    return digest_plain(canonical(value))


def digest_plain(plain: Any) -> str:
    """Of what `canonical` gave, or of JSON that was read."""
    return hashlib.sha256(_ENCODER.encode(plain).encode()).hexdigest()[:32]


def seed_for(purpose: str, *parts: Any) -> int:
    """A 63-bit seed named by its purpose. Leave the strategy out of `parts` and comparisons are paired."""
    return int(digest([purpose, *parts])[:16], 16) >> 1
