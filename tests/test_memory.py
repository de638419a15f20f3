"""A container's memory, by files such as its system shows."""

import pytest

from bench import memory


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Writes what the system shows; gives what may be used."""
    _, limit_name, used_name = memory.CGROUPS[0]
    monkeypatch.setattr(memory, "CGROUPS", ((str(tmp_path), limit_name, used_name),))
    monkeypatch.setattr(memory, "_machine_memory", lambda: 1 << 40)

    def free(limit, used, files):
        (tmp_path / limit_name).write_text(f"{limit}\n")
        (tmp_path / used_name).write_text(f"{used}\n")
        (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {files}\nactive_file {files}\n")
        return memory.available_memory()

    return free


def test_a_container_may_use_what_it_does_not_use_yet(container):
    assert container(limit=1000, used=300, files=0) == 700
    assert container(limit=1000, used=1100, files=0) == 0


def test_files_that_were_read_are_given_back(container):
    """Behind hours of reading they fill a container to its limit."""
    assert container(limit=1000, used=990, files=400) == 810


def test_a_container_without_a_limit_has_the_memory_of_its_machine(container):
    assert container(limit="max", used=300, files=0) == 1 << 40
    assert container(limit=(1 << 63) - 4096, used=300, files=0) == 1 << 40
