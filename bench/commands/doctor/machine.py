"""Cores, memory, disk and the results folder."""

import os
import shutil
from pathlib import Path

from bench.commands.doctor.check import Check
from bench.errors import StoreError
from bench.memory import available_memory
from bench.provenance import num_cores
from bench.store import atomic, locks

GIB = 1 << 30
WORKER_BYTES = GIB  # what one worker with a small network takes, about
LITTLE_DISK = 2 * GIB  # weights and drawn datasets of a middling suite
NO_DISK = GIB // 10


def check_machine() -> Check:
    return Check("cores", "ok", f"{num_cores()} may be used")


def check_memory() -> Check:
    free = available_memory()
    if free is None:
        return Check("memory", "ok", "this system does not say how much is free")
    text = f"{free / GIB:.1f} GiB may be used"
    workers = num_cores()
    needed = workers * WORKER_BYTES
    if free < needed:
        enough = max(1, free // WORKER_BYTES)
        return Check("memory", "warning", f"{text}, but {workers} workers take about {needed / GIB:.0f} GiB: start "
                     f"runs with --workers {enough}")
    return Check("memory", "ok", text)


def check_folder(results: Path) -> list[Check]:
    folder = _nearest(results)
    try:
        atomic.probe(folder)
        writable = Check("results folder", "ok", f"{results} can be written" + ("" if folder == results else
                         "; the first run makes it"))
    except StoreError as error:
        writable = Check("results folder", "fails", f"{error}; mend it, or name another with --results")
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return [writable, Check("disk", "warning", f"free space in {folder} is unknown: {atomic.explain(error)}")]
    return [writable, _check_disk(free, folder)]


def _check_disk(free: int, folder: Path) -> Check:
    text = f"{free / GIB:.1f} GiB free in {folder}"
    if free < NO_DISK:
        return Check("disk", "fails", f"{text}: make room, or name another folder with --results")
    if free < LITTLE_DISK:
        return Check("disk", "warning", f"{text}: a suite with many networks may fill it")
    return Check("disk", "ok", text)


def _nearest(folder: Path) -> Path:
    """Itself, or the first folder above it that is there: looking must not make folders."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def check_locks(results: Path) -> Check:
    path = _nearest(results) / f"{atomic.PREFIX}doctor-{os.getpid()}.lock"
    try:
        first = locks.acquire(path)
        try:
            second = locks.acquire(path)
        finally:
            if first is not None:
                locks.release(path, first)
    except locks.Unsupported as error:
        return Check("file locks", "warning", f"none in {path.parent} ({error}): two runs at the same time may do some "
                     "work twice; results stay right")
    except OSError as error:
        return Check("file locks", "warning", f"not tried: {atomic.explain(error)}")
    if first is None or second is not None:
        return Check("file locks", "warning", f"those in {path.parent} exclude nobody: start one run at a time")
    return Check("file locks", "ok", "two runs can share the folder")


def check_hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Check("weights hub", "warning", "HF_HUB_OFFLINE is set: weights that are not on this machine yet "
                     "cannot be had; unset it to download them")
    return Check("weights hub", "ok", "asked when a suite names hub weights (HF_HUB_OFFLINE is not set)")
