"""Getting what a suite names from where it is published. In a process of its own: `python -m bench.fetching KIND NAME`,
because the libraries that know the addresses take seconds to import."""

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bench.backbones import encoders, hub, torchvision_names
from bench.backbones.weights_file import file_sha256
from bench.errors import BenchError, Missing
from bench.places import download_folder
from bench.text import note, printable
from bench.unpacking import forget_halves, guard

HUB = "https://huggingface.co"
PATIENCE = 2.0  # seconds to be answered
SHA256, GIT = 64, 40  # digits of a digest, as the hub names large files and small ones


def is_online() -> bool:
    """Whether the hub answers, or a proxy is there to ask."""
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    found: list[object] = []
    address = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)  # a mirror, as the hub's client is told of it
    port = address.port or (80 if address.scheme == "http" else 443)

    def ask() -> None:
        with contextlib.suppress(OSError), socket.create_connection((address.hostname, port), timeout=PATIENCE):
            found.append(True)

    asking = threading.Thread(target=ask, daemon=True)  # a resolver may take half a minute to give up
    asking.start()
    asking.join(PATIENCE)
    return bool(found)


def fetch(missing: Sequence[Missing]) -> None:
    """One after another; the first that fails ends it. What is finished stays."""
    for one in missing:
        if not one.can_fetch:  # told before hours of downloading
            raise BenchError(f"{one.what} cannot be fetched; {one.way}")
    for one in missing:
        note(f"fetching {one.what}" + (f", about {one.megabytes:,} MB" if one.megabytes else ""))
        done = subprocess.run([sys.executable, "-m", "bench.fetching", one.kind, one.name], check=False)
        if done.returncode != 0:
            raise BenchError(f"{one.what} could not be fetched; {one.way}")


def _fetch_dataset(name: str) -> None:
    from bench.datasets import huggingface, torchvision_sets

    if name.startswith(huggingface.PREFIX):
        huggingface.fetch(name.removeprefix(huggingface.PREFIX))
        return
    folder = download_folder()
    assert folder is not None
    unfinished = folder / f".{name}.partial"  # begun again, it goes on: files that are whole are passed over
    forget_halves(unfinished)
    try:
        torchvision_sets.fetch(name, unfinished)
    except RuntimeError as error:  # torchvision's own word for another digest
        if "corrupted" not in str(error):
            raise
        raise BenchError("a file arrived cut or with other content than its publisher declares; what is whole is kept "
                         "for the next try") from error
    unfinished.rename(folder / name)


def _fetch_weights(name: str) -> None:
    from safetensors.torch import save_file

    if name.startswith(encoders.PREFIX):
        _fetch_encoder(name.removeprefix(encoders.PREFIX))
        return
    if name.startswith(torchvision_names.PREFIX):
        from bench.backbones.torchvision_models import hub_state

        state = hub_state(name)
    else:
        import timm

        with _held_to_their_digests(f"timm/{name}"):
            state = timm.create_model(name, pretrained=True).state_dict()
        if hub.find(name) is not None:
            return  # the hub's client keeps it
    path = hub.place_for(name)
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, unfinished)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _fetch_encoder(name: str) -> None:
    """Into the hub client's own cache: what is read of it, and nothing else. Plain tensors where there are both."""
    from huggingface_hub import HfApi, snapshot_download

    there = {one.rfilename for one in HfApi().model_info(name).siblings or ()}
    weights = next((one for one in encoders.WEIGHTS if one in there), None)
    if weights is None:
        raise BenchError(f"no {' or '.join(encoders.WEIGHTS)} there")
    with _held_to_their_digests(name):
        snapshot_download(name, allow_patterns=[*encoders.READ, weights])


@contextlib.contextmanager
def _held_to_their_digests(repository: str) -> Iterator[None]:
    """The hub's client compares sizes alone, and keeps what is damaged; the next command would believe it."""
    try:
        yield
    finally:
        snapshot = hub.snapshot_of(repository)
        damaged = [path for path in sorted(snapshot.rglob("*")) if path.is_file() and not _is_as_named(path.resolve())
                   ] if snapshot is not None else []  # fmt: skip
        for path in damaged:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
        if damaged:
            raise BenchError(f"{damaged[0].name} arrived with other content than the hub declares, and was removed")


def _is_as_named(path: Path) -> bool:
    """Files of the hub's cache are called by the digest that was declared."""
    if len(path.name) == SHA256:
        return file_sha256(path) == path.name
    if len(path.name) == GIT:
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == path.name
    return True


def _main(kind: str, name: str) -> int:
    guard()
    try:
        _fetch_dataset(name) if kind == "dataset" else _fetch_weights(name)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # whatever lies between here and there
        what = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
        sys.stderr.write(f"{name}: {what}{printable(' '.join(str(error).split())[:300])}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
