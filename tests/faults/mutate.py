"""Damage for `fuzz.py`: bytes changed a few times at random, and JSON values replaced by odd ones."""

import random
from collections.abc import Sequence
from typing import Any

NUMBERS = (0, 1, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
VALUES = (
    None, True, False, 0, 1, -1, 2, 10**40, -(2**63), 0.0, -0.0, 0.5, 9.9, -1.5, 1e308, 5e-324, "", "x", "../..", "\0",
    "\x1b[2J", "\u202e", "\udcff", "a" * 5000, "NaN", [], {}, [[]], [None], {"": {}}, {"lr": []}, ["a"] * 300,
)  # fmt: skip


def damaged(data: bytes, others: Sequence[bytes], tokens: Sequence[bytes], rng: random.Random) -> bytes:
    """A few operations one after another, each small; `others` lend parts of theirs."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 8))):
        start = rng.randrange(len(found) + 1)
        end = min(len(found), start + rng.choice((1, 2, 4, 8, 40, 400)))
        operation = rng.randrange(11)
        if operation == 0 and start < len(found):
            found[start] ^= 1 << rng.randrange(8)
        elif operation == 1 and start < len(found):
            found[start] = rng.randrange(256)
        elif operation == 2:
            del found[start:]
        elif operation == 3:
            del found[start:end]
        elif operation == 4:
            found[start:start] = found[start:end] * rng.choice((1, 2, 20))
        elif operation == 5:
            found[start:end] = bytes(end - start)
        elif operation == 6:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(NUMBERS) % 256**width
            found[start : start + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif operation == 7:
            other = rng.choice(others)
            begin = rng.randrange(len(other) + 1)
            found[start:end] = other[begin : begin + rng.choice((4, 40, 400))]
        elif operation == 8:
            found[start:end] = rng.randbytes(end - start)
        else:
            found[start : rng.choice((start, end))] = rng.choice(tokens) * rng.choice((1, 1, 1, 300))
    return bytes(found)


def odd(value: Any, rng: random.Random) -> Any:
    """The same tree with one of its values, somewhere, replaced, removed or under another name."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(sorted(value))
        changed = dict(value)
        fate = rng.random()
        if fate < 0.1:
            del changed[name]
        elif fate < 0.2:
            changed[rng.choice(("x", "", "\x1b", "a" * 300))] = changed.pop(name)
        else:
            changed[name] = odd(value[name], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], odd(value[place], rng), *value[place + rng.randrange(2) :]]
    return rng.choice(VALUES)
