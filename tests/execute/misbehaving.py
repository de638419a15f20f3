"""A backbone that misbehaves as its options say; a test registers it as a third party would."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Literal

import torch

from bench.backbones import small_resnet
from bench.backbones.base import BackboneEntry
from bench.catalogue import Options


class MisbehavingOptions(Options):
    mode: Literal[
        "segfault", "exit", "sys_exit", "raise", "memory", "print", "gate", "stall", "assert", "wear_out"
    ]
    """What happens where the network is built, which is before the first step; the last three: where it learns."""
    healed: str = ""
    """Once this file exists, nothing happens any more."""


LEARNED = []  # batches, in this process
WORN_OUT = 10
ASSERT = "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported asynchronously"


def build(num_classes, options):
    is_healed = options.healed and Path(options.healed).exists()
    if not is_healed:
        misbehave(options)
    network = small_resnet.build(num_classes, small_resnet.SmallResnetOptions(width=4))
    if not is_healed and options.mode in STEPS:
        network.register_forward_pre_hook(STEPS[options.mode])
    return network


def stall(module, inputs):
    if module.training:
        threading.Event().wait()


def assert_on_device(module, inputs):
    if module.training:
        raise torch.AcceleratorError(ASSERT)


def wear_out(module, inputs):
    """As a device is after a fault: good for nothing in this process."""
    if module.training:
        LEARNED.append(1)
    if len(LEARNED) > WORN_OUT:
        raise torch.AcceleratorError(ASSERT)


STEPS = {"stall": stall, "assert": assert_on_device, "wear_out": wear_out}


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
