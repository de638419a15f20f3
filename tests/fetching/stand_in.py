"""A stand-in on the loopback address for the hub and for the servers of data sets: small files under the real names."""

import hashlib
import io
import json
import os
import pickle
import tarfile
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

COMMIT = "c0ffee" * 6 + "c0ff"
CIFAR = "/cifar-10-python.tar.gz"


class Server:
    """`files`: by path. `wrong`: what is wrong with the next answers of a path: `cut` in the middle, once for each;
    `asked`: paths, and the ranges that were asked for."""

    def __init__(self):
        self.files, self.digests, self.wrong, self.asked = {}, {}, {}, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=self.headers.get("Method") != "HEAD")  # so torchvision looks for redirections

            def answer(self, body):
                path = self.path.partition("?")[0]
                content = server.files.get(path)
                if body:
                    server.asked.append((path, self.headers.get("Range")))
                if content is None:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "EntryNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0]) if body else 0
                rest = content[start:]
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(rest)))
                self.send_header("Accept-Ranges", "bytes")
                if "/resolve/" in path:
                    self.send_header("ETag", f'"{server.digests[path]}"')
                    self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("X-Linked-Size", str(len(content)))
                self.end_headers()
                if body:
                    left = server.wrong.get(path, 0)
                    server.wrong[path] = left - 1
                    self.wfile.write(rest[: len(rest) // 2] if left > 0 else rest)
                    self.close_connection = left > 0

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def put(self, repository, name, content, declared=None):
        """A file of the hub's. `declared`: the digest that the hub tells, where it is not the file's own."""
        path = f"/{repository}/resolve/main/{name}"
        for one in (path, path.replace("/main/", f"/{COMMIT}/")):
            self.files[one] = content
            self.digests[one] = declared or hashlib.sha256(content).hexdigest()
        listing = f"/api/models/{repository}"
        known = json.loads(self.files.get(listing, b'{"siblings": []}'))["siblings"]
        told = {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": [*known, {"rfilename": name}]}
        for one in (listing, f"{listing}/revision/main", f"{listing}/revision/{COMMIT}"):
            self.files[one] = json.dumps(told).encode()
        tree = f"{listing}/tree/{COMMIT}"
        entries = [one for one in json.loads(self.files.get(tree, b"[]")) if one["path"] != name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": self.digests[path]}
        self.files[tree] = json.dumps([*entries, entry]).encode()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def small_cifar10():
    """The python archive in the real layout, with ten pictures in each of its six files -> it, and its files' md5."""
    draw, members = np.random.default_rng(0), {}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        labels = [number % 10 for number in range(20)]
        pixels = draw.integers(0, 256, (20, 3072), np.uint8)
        members[name] = pickle.dumps({"batch_label": name, "labels": labels, "data": pixels, "filenames": []})
    members["batches.meta"] = pickle.dumps({"label_names": [f"thing{number}" for number in range(10)]})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue(), {name: md5(content) for name, content in members.items()}


# In every process that is started: torchvision's own class, with our address and our digests.
PATCH = """\
import importlib.machinery
import sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "torchvision.datasets.cifar":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            own = module.CIFAR10
            own.url, own.tgz_md5 = {url!r}, {archive!r}
            own.train_list = [[name, {files!r}[name]] for name, _ in own.train_list]
            own.test_list = [[name, {files!r}[name]] for name, _ in own.test_list]
            own.meta = {{**own.meta, "md5": {files!r}["batches.meta"]}}

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""


def environment(folder: Path, server: Server, root: Path):
    """Of a child that meets the stand-in and nothing else."""
    archive, files = small_cifar10()
    server.files.setdefault(CIFAR, archive)
    patch = folder / "patch"
    patch.mkdir(exist_ok=True)
    text = PATCH.format(url=server.url + CIFAR, archive=md5(archive), files=files)
    (patch / "sitecustomize.py").write_text(textwrap.dedent(text))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_") and "proxy" not in
            name.lower()}  # fmt: skip
    return {
        **kept, "PYTHONPATH": f"{patch}{os.pathsep}{root}", "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "XDG_CACHE_HOME": str(folder / "cache"), "HF_HOME": str(folder / "hf"),
        "OMP_NUM_THREADS": "1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
