"""A device that fails ends the work of the process: no handler makes a record, or a slower way, of it."""

import ast
import dataclasses
from pathlib import Path

import pytest
import torch

from bench.engine.fleet import calibrate
from bench.engine.jobs.perform import perform
from bench.engine.reuse import cut as cutting
from bench.engine.train.faults import is_device_fault, is_out_of_memory
from bench.engine.train.loop import Session
from bench.errors import StoreError
from bench.spec.refs import Engine
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]

ENGINE = Path(cutting.__file__).parents[1]
BROAD = {"Exception", "BaseException", "RuntimeError"}
ASSERT = "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported asynchronously"
# As torch 2.11 to 2.15 word what they meet; the macros stand in its headers ATen/cuda/Exceptions.h, CUDAException.h.
FAULTS = [
    torch.AcceleratorError(ASSERT),
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError(ASSERT),
    *(torch.AcceleratorError(f"CUDA error: {words}") for words in (
        "an illegal instruction was encountered", "misaligned address", "uncorrectable ECC error encountered",
        "unspecified launch failure", "the launch timed out and was terminated", "hardware stack error",
        "uncorrectable NVLink error detected during the execution", "unknown error",
        "CUDA-capable device(s) is/are busy or unavailable",
        "operation not supported on global/shared address space",
    )),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle)`"),
    RuntimeError("CUDA driver error: unspecified launch failure"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_EXECUTION_FAILED, when calling `cusolverDnXsyevd`"),
]
NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 66.00 MiB"),
    MemoryError(),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported asynchronously"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
]
OTHERS = [
    *(torch.AcceleratorError(f"CUDA error: {words}") for words in (
        "invalid configuration argument", "too many resources requested for launch",
        "no kernel image is available for execution on the device", "operation not supported", "invalid argument",
    )),
    ValueError(ASSERT),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    RuntimeError("a network that says CUDA error: in the middle"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmStridedBatchedEx`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in"),
    torch.linalg.LinAlgError("cusolver error: CUSOLVER_STATUS_INVALID_VALUE, when calling `x`"),
]


@pytest.mark.parametrize(("errors", "answers"), [
    (FAULTS, (True, False)), (NO_MEMORY, (False, True)), (OTHERS, (False, False)),
])  # fmt: skip
def test_a_fault_a_lack_of_memory_and_a_failure_are_told_apart(errors, answers):
    assert errors
    for error in errors:
        assert (is_device_fault(error), is_out_of_memory(error)) == answers, error


def test_what_the_cpu_says_where_there_is_no_memory_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)


def broad_handlers():
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                names = {one.id for one in ast.walk(node.type) if isinstance(one, ast.Name)} if node.type else BROAD
                if names & BROAD:
                    yield f"{path.relative_to(ENGINE)}:{node.lineno}", ast.unparse(node.body[0]), ast.unparse(node)


def test_every_broad_handler_passes_faults_on():
    """One that raises again what it does not know by its words passes them on too."""
    found = list(broad_handlers())
    assert len(found) >= 10
    assert [place for place, first, whole in found if first != "pass_on(error)" and "raise\n" not in f"{whole}\n"] == []


def broken(*_, **__):
    raise torch.AcceleratorError(ASSERT)


@pytest.mark.parametrize("fleet", [1, 8])
@pytest.mark.parametrize("strategy", ["full_finetune", "linear_probe"])
def test_a_fault_in_a_training_leaves_no_record(tmp_path, monkeypatch, fleet, strategy):
    context = toys.context(tmp_path, engine=Engine(fleet=fleet))
    spec = toys.fit_spec(recipe=toys.recipe(strategy, 6))
    search, final = toys.search_and_final(spec)
    with monkeypatch.context() as patch:
        patch.setattr(Session, "advance", broken)
        with pytest.raises(torch.AcceleratorError):
            perform(search, context)
    assert context.store.scan()[0] == {}
    assert perform(search, context)
    monkeypatch.setattr(Session, "advance", broken)
    with pytest.raises(torch.AcceleratorError):
        perform(final, context)
    assert context.store.read(final.key) is None


@pytest.mark.parametrize(("where", "name"), [
    (cutting, "_cut"), (calibrate, "_fastest"), (calibrate, "_seconds"), (calibrate, "vmap_form"),
])  # fmt: skip
def test_a_fault_before_the_first_step_is_not_taken_for_a_network_that_does_not_fit(
    tmp_path, monkeypatch, where, name
):
    monkeypatch.setattr(where, name, broken)
    monkeypatch.setattr(calibrate, "LARGEST", {"cpu": 1e12})
    if name == "vmap_form":
        monkeypatch.setitem(calibrate.FORMS, "vmap", broken)
    recipe = toys.recipe("freeze", 6, upto=3) if name == "_cut" else toys.recipe("full_finetune", 6)
    search, _ = toys.search_and_final(toys.fit_spec(recipe=recipe))
    context = toys.context(tmp_path, engine=Engine(fleet="auto"))
    with pytest.raises(torch.AcceleratorError):
        perform(search, context)
    assert context.store.scan()[0] == {}


@pytest.mark.parametrize("kind", ["search", "final"])
def test_all_that_would_train_is_announced_before_forms_are_tried_out(tmp_path, monkeypatch, kind):
    """A death on the way is then that of several, and blames none."""
    announced, seen = [], []
    monkeypatch.setattr(calibrate, "LARGEST", {"cpu": 1e12})
    monkeypatch.setattr(calibrate, "_fastest", lambda *_: seen.append(announced[-1]) or calibrate.FleetChoice())
    context = toys.context(tmp_path, engine=Engine(fleet="auto"))
    context = dataclasses.replace(context, begins=lambda records, together: announced.append((records, together)))
    specs = [toys.fit_spec(recipe=toys.recipe("full_finetune", 6), repeat=repeat) for repeat in range(2)]
    searches, finals = zip(*map(toys.search_and_final, specs), strict=True)
    if kind == "final":
        monkeypatch.setattr(calibrate, "find_out_once", lambda path, find_out, tell: {"width": 1, "form": "alone"})
        assert perform(searches, context)
        monkeypatch.setattr(calibrate, "find_out_once", lambda path, find_out, tell: vars(find_out()))
    jobs = searches if kind == "search" else finals
    assert perform(jobs, context)
    ((records, together),) = seen
    assert together == 0
    assert sorted(record.key for record in records) == sorted(key for job in jobs for key in job.record_keys)
    assert {record.status for record in records} == {"crashed"}


def test_a_store_that_fails_is_passed_on_like_a_fault(tmp_path, monkeypatch):
    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr(Session, "advance", full)
    search, _ = toys.search_and_final(toys.fit_spec())
    with pytest.raises(StoreError, match="disk full"):
        perform(search, toys.context(tmp_path))
