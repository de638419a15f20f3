"""`python -m tests.faults.silent [case ...]`: damage that leaves files readable, which must not become numbers.

Each case changes something in the folder of a whole run, removes the finals (where they are to be made from what was
changed) and runs the suite again. The damage has to be noticed, told on the terminal, and healed:
all records equal to the bit. What is told without any damage is known from such a run.
"""

import argparse
import json
import re
import shutil

import numpy as np

from tests.execute.running import locks_are_free
from tests.faults.scene import NUM_RECORDS, finals, forget, main, say, scene, table
from tests.made_up import sealed_text


def lone_finals(place):
    """Those that trained alone. One that is made again without its fleet may differ in the last bit."""
    return {path: raw for path, raw in finals(place).items() if raw["cost"]["engine"]["replicas"] == 1}


def forget_tables(place):
    shutil.rmtree(place / "results" / ".cache" / "features")


def flip(path, offset, bit=0):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def edit(path, name, old, new):
    """As a person would in an editor: wherever the field has that value."""
    text = path.read_text()
    assert (line := f'"{name}": {json.dumps(old)}') in text, f"{line} in {path}"
    path.write_text(text.replace(line, f'"{name}": {json.dumps(new)}'))


def half_of_the_labels(place, _):
    for path in place.glob("results/.cache/*/test_labels.npy"):
        labels = np.load(path)
        labels[::2] = (labels[::2] + 1) % (labels.max() + 1)
        np.save(path, labels)


def half_of_the_pixels(place, _):
    for path in place.glob("results/.cache/*/test_images.npy"):
        images = np.load(path)
        images[..., ::2, :] ^= 0x80
        np.save(path, images)
    forget_tables(place)


def one_pixel(place, _):
    for path in place.glob("results/.cache/*/train_images.npy"):
        flip(path, path.stat().st_size // 2, bit=7)
    forget_tables(place)


def tables(place):
    return sorted(place.glob("results/.cache/features/[!.]*"))


def damaged_tables(place, _):
    """A bit, the second half, the header, everything; in turn."""
    for number, path in enumerate(tables(place)):
        data = path.read_bytes()
        if number % 4 == 0:
            flip(path, len(data) - 5)
        elif number % 4 == 1:
            path.write_bytes(data[: len(data) // 2])
        elif number % 4 == 2:
            flip(path, 3)
        else:
            path.write_bytes(b"")


def exchanged_tables(place, _):
    """Each holds what another of the same size held."""
    twins = {}
    for path in tables(place):
        twins.setdefault(path.stat().st_size, []).append(path)
    pairs = [pair for paths in twins.values() for pair in zip(paths[::2], paths[1::2], strict=False)]
    assert pairs, "no two tables of one size"
    for one, other in pairs:
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)


def one_bit_of_the_weights(place, _):
    (path,) = place.glob("results/pretrained/weights/*/*.safetensors")
    flip(path, path.stat().st_size // 2, bit=3)


def foreign_records(place, _):
    """One file holds another's record as it was, one another's under its own key, and one the same, sealed anew."""
    paths = list(lone_finals(place))
    paths[0].write_bytes(paths[1].read_bytes())
    paths[2].write_bytes(paths[3].read_bytes())
    edit(paths[2], "key", paths[3].stem, paths[2].stem)
    other = json.loads(paths[5].read_bytes())
    paths[4].write_bytes(sealed_text({**other, "key": paths[4].stem}))


def torn_records(place, _):
    paths = list(lone_finals(place))
    for path, size in zip(paths, (0, 1, 700), strict=False):
        path.write_bytes(path.read_bytes()[:size])


def scores(place, values):
    for (path, raw), value in zip(lone_finals(place).items(), values, strict=False):
        edit(path, "score", raw["result"]["score"], value)


def scores_out_of_range(place, _):
    scores(place, (9.9, -3))


def score_in_range(place, _):
    scores(place, (0.99,))


def trials_of_another_score(place, _):
    """The first points of all searches become the best."""
    for path in place.glob("results/small/runs/*/*.json"):
        raw = json.loads(path.read_text())
        if raw["kind"] == "trial" and raw["spec"]["number"] == 0:
            edit(path, "score", raw["result"]["score"], 0.99)


def another_rate_in_a_record(place, _):
    path, raw = next(iter(lone_finals(place).items()))
    edit(path, "lr", raw["result"]["lr"], 0.123)


def another_facts(place, the_scene):
    """What this machine remembers of a person's pictures: more classes, another number of test images."""
    for path in (the_scene.folder / "home" / "transfer-bench" / "facts").glob("*.json"):
        known = json.loads(path.read_text())["value"]
        edit(path, "num_classes", known["num_classes"], known["num_classes"] + 4)
        edit(path, "num_test", known["num_test"], 999)


# name -> the damage, and whether finals are to be made from it
CASES = {
    "labels": (half_of_the_labels, True),
    "pixels": (half_of_the_pixels, True),
    "pixel": (one_pixel, True),
    "features": (damaged_tables, True),
    "exchanged": (exchanged_tables, True),
    "weights": (one_bit_of_the_weights, True),
    "foreign": (foreign_records, False),
    "torn": (torn_records, False),
    "range": (scores_out_of_range, False),
    "score": (score_in_range, False),
    "rate": (another_rate_in_a_record, False),
    "trials": (trials_of_another_score, True),
    "facts": (another_facts, True),
}


def said(command, place):
    """Lines without their numbers: terminal and logs of workers."""
    logs = [path.read_text(errors="replace") for path in sorted(place.glob("results/small/logs/*.log"))]
    return [[(re.sub(r"[0-9a-f]{8,}|\d+", "#", line), line) for line in text.splitlines() if line.strip()]
            for text in (command.stderr, "\n".join(logs))]


def rerun(the_scene, name, damage, makes_finals):
    """The command, after it ended, and what it said."""
    place = the_scene.copy(name)
    shutil.rmtree(place / "results" / "small" / "logs")
    damage(place, the_scene)
    if makes_finals:
        forget(place, "finals")
    command = the_scene.run(place, workers=1)
    code = command.wait()
    return place, code, said(command, place), command.stderr


def silent(folder, names):
    wrong, rows = [], []
    with scene(folder) as the_scene:
        facts = the_scene.folder / "home" / "transfer-bench" / "facts"
        kept = {path: path.read_bytes() for path in facts.glob("*.json")}
        place, code, streams, _ = rerun(the_scene, "undamaged", lambda *_: None, True)
        assert code == 0, streams
        assert the_scene.same(place) == NUM_RECORDS, "finals that are made again are equal"
        usual = {line for stream in streams for line, _ in stream}
        for name in names or CASES:
            place, code, streams, stderr = rerun(the_scene, name, *CASES[name])
            told, logged = ([line for plain, line in stream if plain not in usual and "]" not in plain[:8]]
                            for stream in streams)
            same, where = the_scene.same(place), "yes" if told else "in a log" if logged else "no"
            rows.append((name, where, code, f"{same} of {NUM_RECORDS}", (told or logged or [""])[0][:110]))
            if not told or code != 0 or same < NUM_RECORDS or not locks_are_free(place):
                wrong.append(f"{name}: told: {where}; exit code {code}, {same} of {NUM_RECORDS} records are equal")
            if "Traceback" in stderr:
                wrong.append(f"{name}: {stderr[-300:]}")
            for path, data in kept.items():
                path.write_bytes(data)
    table(("case", "told", "exit", "records equal", "the first line"), rows)
    say(f"{len(rows)} cases, {len(wrong)} wrong")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="case", help=", ".join(CASES))
    options = parser.parse_args()
    main(lambda folder: silent(folder, options.cases))
