"""Classify pictures, texts or clips with the network beside this file:

    python use.py picture.jpg another.png ...

Needs transfer-bench (the package `bench`), because timm alone does not build this network. It prints the class of
each file, and its probability where the network tells any.
"""

import json
import sys
from pathlib import Path

from bench.winner.inputs import logits
from bench.winner.network import load


def main() -> None:
    folder, paths = Path(__file__).parent, [Path(name) for name in sys.argv[1:]]
    if not paths:
        sys.exit(f"usage: python {Path(__file__).name} FILE ...")
    read = ((folder / name).read_text(encoding="utf-8") for name in ("labels.json", "network.json"))
    labels, network = map(json.loads, read)
    likely, number = logits(load(folder), paths, folder).softmax(1).max(1)
    for path, share, place in zip(paths, likely.tolist(), number.tolist(), strict=True):
        shown = f"\t{share:.4f}" if network["are_likelihoods"] else ""
        print(f"{path}\t{labels[place]}{shown}")  # noqa: T201  a script of its own


if __name__ == "__main__":
    main()
