"""Equal numbers, whatever breaks a run and however often; nothing is trained twice."""

import os
import random
import shutil
import subprocess
import sys

from bench.store import atomic
from tests.execute.running import (
    TINY,
    TRAININGS,
    contents,
    finish,
    kill_at,
    locks_are_free,
    record_files,
    until,
)


def test_same_suite_in_two_folders_gives_equal_numbers(launcher, unbroken, tmp_path):
    place, first = unbroken
    second = finish(launcher.run(tmp_path, workers=1))
    assert first.summary()["trainings"] == second["trainings"] == TRAININGS
    assert contents(tmp_path) == contents(place)
    wall = ("seconds", "feature_seconds", "peak_memory_bytes")
    for row, other in zip(first.summary()["finals"], second["finals"], strict=True):
        assert {k: v for k, v in row.items() if k not in wall} == {k: v for k, v in other.items() if k not in wall}


def test_second_run_trains_nothing_and_starts_no_worker(launcher, copied):
    shutil.rmtree(copied / "results" / "tiny" / "logs")
    assert finish(launcher.run(copied))["trainings"] == 0
    assert not (copied / "results" / "tiny" / "logs").exists()


def test_added_strategy_trains_alone(launcher, copied):
    before = set(record_files(copied))
    added = TINY.replace("[scratch, linear_probe]", "[scratch, linear_probe, full_finetune]")
    assert finish(launcher.run(copied, text=added))["trainings"] == 3 + 2
    assert before < set(record_files(copied))


def test_two_runners_share_a_folder_and_do_nothing_twice(launcher, unbroken, tmp_path):
    both = [launcher.run(tmp_path, workers=1) for _ in range(2)]
    trained = [finish(command)["trainings"] for command in both]
    assert sum(trained) == TRAININGS
    assert contents(tmp_path) == contents(unbroken[0])


def survive_kills(start, place, count, seed):
    """How many runs were killed; each at a random number of new records, until one is not."""
    draw = random.Random(seed)
    for kills in range(count):
        if not kill_at(start(), place, len(record_files(place)) + draw.choice((0, 1, 1, 2))):
            return kills
        until(lambda: locks_are_free(place), "workers of a killed runner to end")
    return count


def test_killed_runs_resume_to_the_same_bytes(launcher, unbroken, tmp_path):
    kills = survive_kills(lambda: launcher.run(tmp_path), tmp_path, 6, seed=1)
    assert kills >= 3
    finish(launcher.run(tmp_path))
    assert contents(tmp_path) == contents(unbroken[0])
    assert not list(tmp_path.glob("results/**/.tmp-*"))


def test_what_killed_processes_were_building_in_the_caches_goes(launcher, copied):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    cache = copied / "results" / ".cache"
    names = [path.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-") for path in map(atomic.temporary_in, [cache] * 2)]
    data, table = cache / names[0], cache / "features" / names[1]
    data.mkdir()
    (data / "train_images.npy").write_bytes(b"half")
    table.write_bytes(b"half")
    finish(launcher.run(copied))
    assert not data.exists()
    assert not table.exists()


def test_lost_weights_are_trained_again(launcher, unbroken, copied):
    (weights,) = copied.glob("results/pretrained/weights/*/*.safetensors")
    whole = weights.read_bytes()
    for damage in (whole[:-1], None):
        weights.unlink() if damage is None else weights.write_bytes(damage)
        assert finish(launcher.run(copied))["trainings"] == 1
        assert weights.read_bytes() == whole
    assert contents(copied) == contents(unbroken[0])


def test_looking_at_a_run_with_lost_weights_removes_nothing(launcher, copied):
    (weights,) = copied.glob("results/pretrained/weights/*/*.safetensors")
    weights.unlink()
    before = record_files(copied)
    assert launcher.start("plan", copied / "suite.yaml", "--results", copied / "results").wait() == 0
    assert record_files(copied) == before
