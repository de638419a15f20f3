"""One suite of 85 records in many ways: however it is cut, the records are the same to the bit.

`sbatch` is played by `play_sbatch`, which reads a script as Slurm does and starts its tasks here.
"""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.execute import running
from tests.execute.running import REPOSITORY, finish, numbers, record_files, until

SUITE = """
name: shared
datasets:
  - {name: near, labels_per_class: [2, 4], options: {train_per_class: 8, test_per_class: 4}}
backbones:
  - name: small_resnet
    options: {width: 4}
    pretrain: {dataset: source, epochs: 1, options: {train_per_class: 4, test_per_class: 2}}
strategies: [scratch, linear_probe, full_finetune, ridge_probe, {freeze: {upto: 3}}, lp_ft, bitfit]
training: {steps: 4, batch_size: 8, evaluations: 1}
search: {trials: 2, validation: holdout, holdout: 0.5}
engine: {precision: fp32}
repeats: 2
"""
RECORDS = 1 + 2 * 7 * 2 * (2 + 1)  # the pretraining; tasks x strategies x repeats of two trials and a final


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _more_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "DEADLINE", 400.0)
        yield


@pytest.fixture(scope="module")
def whole(launcher, tmp_path_factory):
    """By one process."""
    place = tmp_path_factory.mktemp("whole")
    finish(launcher.run(place, text=SUITE, workers=1))
    assert len(record_files(place)) == RECORDS
    return numbers(place)


def test_four_processes_on_one_folder(launcher, whole, tmp_path):
    commands = [launcher.run(tmp_path, text=SUITE, workers=1) for _ in range(4)]
    assert sum(finish(command)["trainings"] for command in commands) == RECORDS
    assert numbers(tmp_path) == whole


def test_shards_one_after_another(launcher, whole, tmp_path):
    """Each says what it leaves to the others; the last one to end writes the page."""
    page = tmp_path / "reports" / "shared.html"
    left = RECORDS
    for number in (1, 2, 3):
        said = finish(launcher.run(tmp_path, "--shard", f"{number}/3", text=SUITE, workers=1))
        left -= said["trainings"]
        assert RECORDS / 4 < said["trainings"] < RECORDS / 2
        assert said.get("left_to_others", 0) == left
        assert page.exists() == (left == 0)
    assert numbers(tmp_path) == whole


def test_shard_0_makes_the_pretrainings_alone(launcher, tmp_path):
    said = finish(launcher.run(tmp_path, "--shard", "0/3", text=SUITE, workers=1))
    assert (said["trainings"], said["left_to_others"]) == (1, RECORDS - 1)


def test_a_shard_beyond_the_pieces_has_nothing_to_do(launcher, tmp_path):
    said = finish(launcher.run(tmp_path, "--shard", "40/40", text=SUITE, workers=1))
    assert (said["trainings"], said["left_to_others"]) == (0, RECORDS)


def test_a_job_array(launcher, whole, tmp_path):
    """Of a script that lies, with all that it names, in a folder with a space; one task is killed and put back."""
    place = tmp_path / "with a space"
    place.mkdir()
    (place / "a suite.yaml").write_text(SUITE)
    places = ("--results", place / "results", "--reports", place / "reports", "--cache", tmp_path / "a node's disk")
    command = launcher.start("slurm", place / "a suite.yaml", "--tasks", 4, "--cap", 2, "--cpus-per-task", 1, *places)
    assert command.wait() == 0, command.stderr
    script = place / "shared.sh"
    script.write_text(command.stdout)
    codes = play_sbatch(script, place)
    assert codes == [0, 0, 0, 0]
    assert numbers(place) == whole
    assert (place / "reports" / "shared.html").exists()
    assert not (place / "results" / ".cache").exists()
    assert list((tmp_path / "a node's disk").glob("*/features/*"))


def play_sbatch(script, place):
    """Each task's exit code. The second one's node fails once, and Slurm starts it anew."""
    first, last, cap = map(int, re.search(r"^#SBATCH --array=(\d+)-(\d+)%(\d+)$", script.read_text(), re.M).groups())
    assert re.search("^#SBATCH --requeue$", script.read_text(), re.M)

    def run(number):
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "SLURM_ARRAY_TASK_ID": str(number)}
        start = lambda: subprocess.Popen(["bash", script], env=environment, stdout=subprocess.DEVNULL,  # noqa: E731
                                         stderr=subprocess.PIPE, text=True)  # fmt: skip
        task = start()
        if number == first + 1:
            until(lambda: len(record_files(place)) > 20 or task.poll() is not None, "records of the first tasks")
            task.kill()
            task.communicate()
            task = start()
        task.communicate()
        return task.returncode

    with ThreadPoolExecutor(cap) as pool:
        return list(pool.map(run, range(first, last + 1)))


def test_locks_that_are_lost_only_repeat_work(launcher, whole, tmp_path):
    """As on a file system whose server forgets them: whoever comes next takes a lock that another believes it holds."""
    commands = [launcher.run(tmp_path, text=SUITE, workers=1) for _ in range(2)]
    taken = 0
    while not all((command.folder / "exit").exists() for command in commands):
        for lock in Path(tmp_path).glob("results/*/locks/*.lock"):
            lock.unlink(missing_ok=True)
            taken += 1
        time.sleep(0.02)
    done = sum(finish(command)["trainings"] for command in commands)
    assert taken > RECORDS / 2
    assert done > RECORDS, "nothing was done twice: no lock was lost while it counted"
    assert numbers(tmp_path) == whole
