"""What the residual networks for CIFAR are made of and how their parts are named; no torch here."""

from typing import NamedTuple

WIDTHS = (16, 32, 64)  # channels of the three stages


class Names(NamedTuple):
    head: str
    shortcut: str


NAMES = {"A": Names("linear", "shortcut"), "B": Names("fc", "downsample")}  # by the kind of shortcut
