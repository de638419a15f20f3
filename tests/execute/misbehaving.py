"""A backbone that misbehaves as its options say; a test registers it as a third party would."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Literal

from bench.backbones import small_resnet
from bench.backbones.base import BackboneEntry
from bench.catalogue import Options


class MisbehavingOptions(Options):
    mode: Literal["segfault", "exit", "sys_exit", "raise", "memory", "hang", "print", "gate"]
    """What happens where the network is built, which is inside a training."""
    healed: str = ""
    """Once this file exists, nothing happens any more."""


def build(num_classes, options):
    if not (options.healed and Path(options.healed).exists()):
        misbehave(options)
    return small_resnet.build(num_classes, small_resnet.SmallResnetOptions(width=4))


def misbehave(options):
    match options.mode:
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(1)
        case "sys_exit":
            sys.exit(7)
        case "raise":
            raise RuntimeError("built badly")
        case "memory":
            raise MemoryError
        case "hang":
            threading.Event().wait()
        case "print":
            line = b"x" * 999 + b"\n"
            for _ in range(50_000):
                os.write(1, line)
                os.write(2, line)
        case "gate":  # held until it is healed
            Path(options.healed).with_suffix(".entered").touch()
            while not Path(options.healed).exists():
                threading.Event().wait(0.01)


BACKBONE = BackboneEntry(
    "misbehaving", "misbehaves", small_resnet.BACKBONE.facts, build, MisbehavingOptions
)
