import json
from contextlib import suppress
from pathlib import Path

import pytest

from bench.commands import suites
from bench.commands.suites import plan_from_file, remember
from bench.store import blobs
from bench.store.atomic import write_bytes
from tests.made_up import sealed_text

from .fabricate import fabricate


@pytest.fixture
def store(roots):
    return roots.store


def test_before_the_first_record(bench):
    said = bench("status", "suites/small.yaml")
    assert said.code == 0
    assert "0 of 25 trainings finished, 25 are left: no estimate before the first records" in said.out
    assert "pretrainings: 0 of 1" in said.out
    assert "incomplete, and nobody is working on it" in said.out
    assert not Path("results").exists()


@pytest.mark.parametrize("suite", ["small", "suites/small.yaml"])
def test_complete(bench, ran, suite):
    said = bench("status", suite)
    assert (said.code, said.err) == (0, "")
    assert "25 of 25 trainings finished, nothing is left" in said.out
    status = bench("status", suite, "--json").json
    assert status["complete"]
    assert (status["went_wrong"], status["damaged"], status["running"]) == ([], [], [])
    assert status["tasks"][0] == {
        "task": "digits @ 4",
        "trials": {"finished": 6, "planned": 6, "went_wrong": 0, "left_early": 0},
        "finals": {"finished": 6, "planned": 6, "went_wrong": 0},
    }


def test_what_went_wrong(bench, plan, roots):
    cell = plan.cells[0]
    trial = plan.jobs[cell.searches[0]].record_keys[1]
    fabricate(plan, roots, {cell.finals[0]: "failed", cell.finals[1]: "diverged", trial: "oom"})
    said = bench("status", "suites/small.yaml")
    assert said.code == 3
    title = "digits @ 4 · scratch · repeat 0"
    assert f"{cell.finals[0][:8]}  failed  {title}: RuntimeError: made to be failed\n" in said.out
    assert "3 went wrong" in said.out
    status = bench("status", "suites/small.yaml", "--json").json
    assert [one["status"] for one in status["went_wrong"]] == ["oom", "failed", "diverged"]
    assert status["went_wrong"][0]["title"] == "digits @ 4 · scratch · search · trial 1"
    assert status["went_wrong"][1]["key"] == cell.finals[0]


def test_a_rate_too_high_for_a_trial_is_no_mishap(bench, plan, roots):
    fabricate(plan, roots, {plan.jobs[plan.cells[0].searches[0]].record_keys[1]: "diverged"})
    assert bench("status", "suites/small.yaml").code == 0


def test_a_failed_pretraining_holds_up_the_rest(bench, plan, roots, ran):
    (pretraining,) = plan.pretrain_labels
    for path in roots.store.runs.rglob("*.json"):
        path.unlink()
    fabricated = fabricate(plan, roots, {pretraining: "crashed"})
    for record in fabricated[1:]:
        roots.store.path(record.key).unlink()
    said = bench("status", "small")
    assert said.code == 3
    assert "pretraining small_resnet (source)" in said.out
    assert "16 trainings wait for a pretraining that went wrong" in said.out  # scratch, 8 of 24, needs none


def test_what_is_left_and_how_long(bench, plan, store, ran):
    for key in plan.cells[0].finals:
        store.path(key).unlink()
    said = bench("status", "small")
    assert said.code == 0
    assert "23 of 25 trainings finished, 2 are left: about " in said.out
    assert "digits @ 4  6 of 6  4 of 6" in said.out
    assert bench("list", "runs", "--json").json[0]["finished"] == 23


def test_a_damaged_record_is_named_and_absent(bench, plan, store, ran):
    path = store.path(plan.cells[0].finals[0])
    path.write_bytes(b"")
    said = bench("status", "small")
    assert said.code == 0
    assert f"{path}: empty" in said.out
    assert bench("status", "small", "--json").json["damaged"] == [{"file": str(path), "reason": "empty"}]
    assert "1 are left" in said.out


def test_looking_changes_nothing(bench, plan, roots, ran):
    """Weights that are gone make their pretraining count as absent; only a run clears its record away."""
    (key,) = plan.pretrain_labels
    weights = blobs.path_of(roots.shared.root, roots.shared.read(key).result["weights_sha256"])
    weights.unlink()
    before = sorted(Path("results").rglob("*"))
    for typed in (("status", "small"), ("plan", "small"), ("list", "runs"), ("show", key)):
        bench(*typed)
    assert sorted(Path("results").rglob("*")) == before
    assert bench("status", "small", "--json").json["pretrainings"]["finished"] == 0


def test_who_is_working(bench, plan, store, ran):
    key = plan.cells[0].finals[0]
    store.path(key).unlink()
    with store.lock(key):
        said = bench("status", "small")
        assert "1 jobs are being worked on:\n  digits @ 4 · scratch · repeat 0\n" in said.out
        assert "nobody is working" not in said.out
    store.root.joinpath("locks", f"{key}.lock").touch()  # a lock file that nobody holds
    assert bench("status", "small", "--json").json["running"] == []


def test_long_lists_end(bench, plan, roots):
    keys = [key for cell in plan.cells for key in cell.finals]
    trials = [key for job in plan.jobs.values() if job.kind == "search" for key in job.record_keys]
    fabricate(plan, roots, dict.fromkeys([*keys, *trials], "failed"))
    said = bench("status", "suites/small.yaml")
    assert "  and 4 more (--json has them all)" in said.out
    assert len(bench("status", "suites/small.yaml", "--json").json["went_wrong"]) == 24


def test_a_file_that_is_not_what_ran(bench, ran):
    path = Path("suites/small.yaml")
    path.write_text(path.read_text().replace("repeats: 2", "repeats: 3"))
    said = bench("status", "suites/small.yaml")
    assert "last ran from another text" in said.error
    assert "25 of 31" in said.out
    assert bench("status", "small").err == ""


def test_a_run_keeps_the_values_it_was_started_with(bench, place, folders):
    overrides = ("repeats=1",)
    plan = plan_from_file(Path("suites/small.yaml"), overrides, folders)
    remember(plan, overrides, folders)
    fabricate(plan, folders.roots("small"))
    assert "19 of 19" in bench("status", "small").out
    assert "with --set" in bench("status", "suites/small.yaml").error


def test_a_checkpoint_beside_the_suite_is_found_from_its_name(bench, place, folders):
    path = Path("suites/small.yaml")
    path.write_text(path.read_text().replace("pretrain: {dataset: source, epochs: 1}", "weights: mine.safetensors"))
    Path("suites/mine.safetensors").write_bytes(b"weights")
    remember(plan_from_file(path, (), folders), (), folders)
    assert bench("status", "small").code == 0


RUN_FILE = Path("results/small/run.json")


@pytest.mark.parametrize(("text", "reason"), [
    ("", "empty"), ("[]", "holds a list, expected a mapping"), ("[" * 100_000, "nested too deeply"),
    ("{}", "no checksum: written by an older version, or by hand"), ("\0", "1 zero bytes"),
    (None, "changed since it was written: it does not fit its checksum"),
])  # fmt: skip
def test_a_damaged_note_of_what_was_typed(bench, ran, text, reason):
    RUN_FILE.write_text(RUN_FILE.read_text().replace('"overrides": []', '"overrides": ["repeats=1"]')
                        if text is None else text)  # fmt: skip
    said = bench("status", "small")
    assert said.code == 3
    assert said.error == f"results/small/run.json: cannot be read ({reason}); run the suite again to write it anew"
    for command in ("plan", "fetch", "status", "report"):  # the suite's own file says enough
        said = bench(command, "suites/small.yaml")
        assert said.code == 0
        assert said.error.startswith("results/small/run.json: cannot be read (")
        assert said.error.endswith("; planned for this machine meanwhile")


@pytest.mark.parametrize("name", ["overrides", "machine", "suite", "finds", "suite_text"])
def test_a_note_whose_checksum_fits_but_not_its_fields(bench, ran, name):
    raw = json.loads(RUN_FILE.read_text())
    for damaged in ({**raw, name: 3}, {one: raw[one] for one in raw if one != name}):
        RUN_FILE.write_bytes(sealed_text(damaged))
        said = bench("status", "small")
        assert said.code == 3
        assert len(said.err.splitlines()) == 1


def test_the_copy_of_a_suite_beside_its_records_is_for_people(bench, ran):
    """A run that is killed early may leave another one there than it has noted."""
    copy = Path("results/small/suite.yaml")
    copy.write_text(copy.read_text().replace("repeats: 2", "repeats: 3"))
    said = bench("status", "small", "--json")
    assert (said.code, said.json["trainings"], said.json["left"]) == (0, 25, 0)
    assert bench("status", "suites/small.yaml").code == 0


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_run_killed_as_it_notes_its_suite_locks_no_name_out(bench, ran, plan, folders, monkeypatch, kept):
    """`kept`: of the two files that it writes."""
    path = Path("suites/small.yaml")
    path.write_text(path.read_text().replace("repeats: 2", "repeats: 1"))
    written = []

    def write_or_die(*what):
        if len(written) == kept:
            raise KeyboardInterrupt
        written.append(what)
        write_bytes(*what)

    monkeypatch.setattr(suites, "write_bytes", write_or_die)
    with suppress(KeyboardInterrupt):
        remember(plan_from_file(path, (), folders), (), folders)
    said = bench("status", "small", "--json")
    assert (said.code, said.json["trainings"]) == (0, 25 if kept < 2 else 19)
