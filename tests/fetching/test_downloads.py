"""Downloads against a stand-in on the loopback address, with the real clients: torchvision's and the hub's."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import fetching
from bench.unpacking import BEGUN, forget_halves

from .stand_in import CIFAR, COMMIT, Server, environment

ROOT = Path(__file__).parents[2]
NETWORK = "test_resnet.r160_in1k"  # timm's smallest ResNet, published on the hub like every other
REPOSITORY = f"timm/{NETWORK}"
SUITE = f"""\
name: little
datasets: [{{name: cifar10, labels_per_class: [4]}}]
backbones: [{{name: {NETWORK}, image_size: 32}}]
strategies: [linear_probe]
training: {{steps: 2, batch_size: 8, evaluations: 1}}
search: {{trials: 1, validation: {{folds: 2}}}}
repeats: 1
"""


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def child(tmp_path, server):
    """`child("-m", "bench", ...)`: in a process of its own that knows the stand-in alone."""
    there = environment(tmp_path, server, ROOT)

    def start(*arguments, **more):
        return subprocess.run([sys.executable, *arguments], cwd=tmp_path, env={**there, **more}, capture_output=True,
                              text=True, check=False, timeout=300)  # fmt: skip

    return start


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random ones in the published file's layout."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    script = (f"import timm, sys; from safetensors.torch import save_file; "
              f"save_file(timm.create_model({NETWORK.partition('.')[0]!r}).state_dict(), sys.argv[1])")
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return path.read_bytes()


def own_lines(done):
    """Without progress bars, which move on one line."""
    return [line for line in done.stderr.splitlines() if line and "%|" not in line and "B/s" not in line]


def data(tmp_path):
    return tmp_path / "cache/transfer-bench/data"


def test_a_set_that_was_cut_is_refused_in_one_line_and_fetched_anew(child, server, tmp_path):
    server.wrong[CIFAR] = 1
    cut = child("-m", "bench.fetching", "dataset", "cifar10")
    assert cut.returncode == 1
    (line,) = own_lines(cut)
    assert line.startswith("cifar10: a file arrived cut or with other content")
    assert not (data(tmp_path) / "cifar10").exists()
    again = child("-m", "bench.fetching", "dataset", "cifar10")
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in data(tmp_path).iterdir()) == ["cifar10"]
    assert len(list((data(tmp_path) / "cifar10/cifar-10-batches-py").iterdir())) == 7
    assert [path for path, _ in server.asked] == [CIFAR, CIFAR]


@pytest.mark.parametrize("fault", ["truncated", "changed"])
@pytest.mark.slow
def test_a_set_of_another_digest_is_refused(child, server, tmp_path, fault):
    whole = server.files[CIFAR]
    server.files[CIFAR] = whole[:-100] if fault == "truncated" else whole[:-1] + bytes([whole[-1] ^ 1])
    done = child("-m", "bench.fetching", "dataset", "cifar10")
    assert done.returncode == 1
    assert len(own_lines(done)) == 1
    assert not (data(tmp_path) / "cifar10").exists()


@pytest.mark.slow
def test_from_nothing_to_a_trained_cell_and_then_without_a_network(child, server, tmp_path, weights):
    server.put(REPOSITORY, "model.safetensors", weights)
    (tmp_path / "little.yaml").write_text(SUITE)
    fetched = child("-m", "bench", "fetch", "little.yaml")
    assert fetched.returncode == 0, fetched.stderr
    assert "fetched dataset cifar10, weights " + NETWORK in fetched.stderr
    server.close()
    done = child("-m", "bench", "run", "little.yaml", "--offline", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["finals"]
    assert (row["dataset"], row["status"]) == ("cifar10", "ok")
    (record,) = [one for path in (tmp_path / "results/little/runs").rglob("*.json")
                 if (one := json.loads(path.read_text()))["kind"] == "final"]  # fmt: skip
    assert hashlib.sha256(weights).hexdigest() in json.dumps(record["spec"])


@pytest.fixture
def encoder(server):
    """A network of the hub's by its files: settings, and weights of two and a half of the client's pieces."""
    content = random.Random(0).randbytes(25_000_000)
    server.put("org/small", "config.json", b"{}")
    server.put("org/small", "model.safetensors", content)
    server.put("org/small", "pytorch_model.bin", b"not wanted")
    return content


def test_weights_that_were_cut_go_on_where_they_were(child, server, encoder, tmp_path):
    path = "/org/small/resolve/main/model.safetensors"
    server.wrong[path] = server.wrong[path.replace("main", COMMIT)] = 1
    done = child("-m", "bench.fetching", "weights", "hf:org/small")
    assert done.returncode == 0, done.stderr
    first, then = [asked for path, asked in server.asked if path.endswith("model.safetensors")]
    assert first is None
    assert int(then.removeprefix("bytes=").rstrip("-")) > 0
    (kept,) = (tmp_path / "hf").rglob("model.safetensors")
    assert kept.read_bytes() == encoder
    assert not list((tmp_path / "hf").rglob("pytorch_model.bin"))


@pytest.mark.slow
def test_weights_that_are_cut_again_and_again_leave_nothing_that_looks_whole(child, server, encoder, tmp_path):
    path = "/org/small/resolve/main/model.safetensors"
    server.wrong[path] = server.wrong[path.replace("main", COMMIT)] = 1000
    done = child("-m", "bench.fetching", "weights", "hf:org/small", HF_HUB_DOWNLOAD_TIMEOUT="2")
    assert done.returncode == 1
    assert own_lines(done)[-1].startswith("hf:org/small: ")
    assert not list((tmp_path / "hf").rglob("model.safetensors"))


def test_settings_of_another_digest_are_removed(child, server, encoder, tmp_path):
    """Small files are named by git's digest, which is another one."""
    content = b'{"model_type": "bert"}'
    named = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    server.put("org/small", "config.json", content, named.stdout.decode().strip())
    assert child("-m", "bench.fetching", "weights", "hf:org/small").returncode == 0
    server.put("org/small", "config.json", b'{"model_type": "evil"}', named.stdout.decode().strip())
    again = child("-m", "bench.fetching", "weights", "hf:org/small", HF_HOME=str(tmp_path / "other"))
    assert again.returncode == 1
    assert own_lines(again)[-1].startswith("hf:org/small: config.json arrived with other content than the hub declares")
    assert not list((tmp_path / "other").rglob("config.json"))


@pytest.mark.parametrize("fault", ["truncated", "changed"])
@pytest.mark.slow
def test_weights_of_another_digest_are_removed(child, server, tmp_path, weights, fault):
    """The hub's client compares sizes alone."""
    damaged = weights[:-100] if fault == "truncated" else weights[:-1] + bytes([weights[-1] ^ 1])
    server.put(REPOSITORY, "model.safetensors", damaged, hashlib.sha256(weights).hexdigest())
    done = child("-m", "bench.fetching", "weights", NETWORK)
    assert done.returncode == 1
    assert own_lines(done)[-1] == (f"{NETWORK}: model.safetensors arrived with other content than the hub declares, "
                                   "and was removed")
    assert not list((tmp_path / "hf").rglob("model.safetensors"))
    server.put(REPOSITORY, "model.safetensors", weights)
    assert child("-m", "bench.fetching", "weights", NETWORK).returncode == 0


def test_a_hub_that_does_not_answer_is_told_fast(child, server, tmp_path):
    (tmp_path / "little.yaml").write_text(SUITE)
    server.close()
    started = time.monotonic()
    done = child("-m", "bench", "fetch", "little.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3
    assert time.monotonic() - started < 10 * float(os.environ.get("BENCH_PATIENCE", "2"))


def test_a_mirror_is_asked_instead_of_the_hub(server, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    assert fetching.is_online()
    server.close()
    assert not fetching.is_online()


@pytest.mark.parametrize("name", ["whole", "half"])
def test_what_was_unpacked_by_halves_goes_and_its_archive_stays(tmp_path, name):
    (tmp_path / "set/2750/a").mkdir(parents=True)
    (tmp_path / "set/2750/a/1.jpg").write_bytes(b"1")
    (tmp_path / "set/all.zip").write_bytes(b"2")
    if name == "half":
        (tmp_path / f"set/all.zip{BEGUN}").touch()
    forget_halves(tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == (["1.jpg", "2750", "a", "all.zip", "set"] if name == "whole" else ["all.zip", "set"])
