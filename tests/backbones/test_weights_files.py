"""What may come as a weights file, and what a person reads when it cannot be used."""

import io
import pickle

import pytest
import torch
from safetensors.torch import save_file

from bench.backbones.weights_file import file_sha256
from bench.network.weights import WeightsError, fit, read_file, sha256_of

PLAIN = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.tensor([1.0, 2.0, 3.0])}


class Trap:
    """Runs code when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return spring, ()


def spring():
    Trap.sprung = True
    return {}


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


@pytest.fixture
def refused(tmp_path):
    def read(content, name="x.pth"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            read_file(path)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
        where, _, text = str(caught.value).partition(": ")
        assert where == path.name  # records hold this, and paths are nobody else's business
        return text

    return read


@pytest.mark.parametrize("content", [
    saved({"state_dict": Trap()}), saved({"a": torch.zeros(1), "args": Trap()}), pickle.dumps(Trap(), protocol=2),
    saved(torch.nn.Linear(2, 2)), saved({"a": Trap()}, _use_new_zipfile_serialization=False),
])
def test_pickled_code_is_refused_and_not_run(refused, content):
    assert refused(content) == "holds more than plain weights (pickled code), refused"
    assert not Trap.sprung


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated(refused, share, legacy):
    whole = saved({"a": torch.zeros(500)}, _use_new_zipfile_serialization=not legacy)
    length = int(share * len(whole))
    assert refused(whole[:length]).startswith(f"damaged or not a checkpoint ({length} bytes): ")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("content", [b"just a text", bytes(range(256)) * 9, b'{"a": 1}', b"\xff" * 2000])
def test_something_else_altogether(refused, content, name):
    assert refused(content, name).startswith(f"damaged or not a checkpoint ({len(content)} bytes): ")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_files_that_only_bear_the_name(refused, name):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"
    assert refused(pointer, name).startswith("a git-LFS pointer, not the weights; run `git lfs pull`")
    for page in (b"<!DOCTYPE html><html>", b"\n  <html>" + b"x" * 5000, b"\xef\xbb\xbf<html>"):
        assert refused(page, name) == "looks like an HTML page saved under this name, not weights"
    assert refused(b"", name) == "empty file"


def test_truncated_safetensors(refused, tmp_path):
    save_file({"a": torch.zeros(500)}, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    assert refused(whole[:300], "x.safetensors").startswith("damaged or not a checkpoint (300 bytes): ")


def test_absent(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(WeightsError, match="no such weights file"):
            read_file(path)


def test_a_checkpoint_without_tensors(refused, tmp_path):
    assert refused(saved({"epoch": 3, "lr": 0.1})) == "no tensors inside; found epoch, lr"
    assert refused(saved({})) == "no tensors inside; found nothing"
    assert refused(saved({"sta\0e\x1b[2J": 3})) == r"no tensors inside; found sta\x00e\x1b[2J"
    assert refused(saved([1, 2])) == "expected a mapping of tensors, got list"
    assert refused(saved(torch.zeros(3))) == "expected a mapping of tensors, got Tensor"
    save_file({}, tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="no tensors inside; found nothing"):
        read_file(tmp_path / "none.safetensors")


def prefixed(state):
    return {f"module.{name}": tensor for name, tensor in state.items()}


OTHER = {name: tensor + 1 for name, tensor in PLAIN.items()}


@pytest.mark.parametrize("wrapped", [
    PLAIN,
    prefixed(PLAIN),
    {"state_dict": PLAIN, "epoch": 3},
    {"model": prefixed(PLAIN), "optimizer": {"state": {}}},
    {"state_dict": OTHER, "state_dict_ema": PLAIN},  # the averaged weights are the better ones
    {"model": OTHER, "model_ema": prefixed(PLAIN)},
    {**PLAIN, "epoch": 3},
])
@pytest.mark.parametrize("legacy", [False, True])
def test_every_usual_wrapping_is_taken_off(tmp_path, wrapped, legacy):
    path = tmp_path / "x.pth"
    path.write_bytes(saved(wrapped, _use_new_zipfile_serialization=not legacy))
    assert sha256_of(read_file(path)) == sha256_of(PLAIN)


def test_both_formats_give_the_same_weights(tmp_path):
    torch.save(PLAIN, tmp_path / "x.pth")
    save_file(PLAIN, tmp_path / "x.safetensors")
    save_file(prefixed(PLAIN), tmp_path / "y.safetensors")
    digests = {sha256_of(read_file(tmp_path / name)) for name in ("x.pth", "x.safetensors", "y.safetensors")}
    assert digests == {sha256_of(PLAIN)}


def test_the_digest_sees_names_types_shapes_and_contents():
    base = torch.arange(6, dtype=torch.float32)
    states = [
        {"a": base}, {"b": base}, {"a": base.double()}, {"a": base.reshape(2, 3)}, {"a": base.reshape(3, 2)},
        {"a": base + 1e-7}, {"a": base, "b": base}, {"a": base.flip(0)}, {"a": base.bfloat16()}, {},
    ]
    assert len({sha256_of(state) for state in states}) == len(states)
    # Not how it lies in memory, nor the order of the names.
    assert sha256_of({"a": base.reshape(2, 3).t().contiguous().t()}) == sha256_of({"a": base.reshape(2, 3)})
    assert sha256_of({"a": base, "b": base * 2}) == sha256_of({"b": base * 2, "a": base})


def test_a_files_identity_is_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 3_000_000)
    (tmp_path / "c").write_bytes(b"x" * 2_999_999 + b"y")
    assert file_sha256(tmp_path / "a") == file_sha256(tmp_path / "b") != file_sha256(tmp_path / "c")
    (tmp_path / "empty").write_bytes(b"")
    assert file_sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_larger_networks_weights_are_refused():
    """All that the small network wants is there; what is left over says that it is the wrong file."""
    small, large = (toy_state(blocks) for blocks in (1, 3))
    with pytest.raises(WeightsError, match=r"tensors of the file fit nowhere in this network, first stages"):
        fit(large, small, head=set(), known=set(small))


def toy_state(blocks: int) -> dict[str, torch.Tensor]:
    return {f"stages.{i}.weight": torch.ones(2, 2) for i in range(blocks)}
