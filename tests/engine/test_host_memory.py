"""The memory that a process may still use is the smallest of all limits."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil
import pytest

from genolift import host_memory
from genolift.host_memory import available_memory, left_of_job

MB = 10**6


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for /sys/fs/cgroup, on a machine with more memory than any limit here."""
    monkeypatch.setattr(host_memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(host_memory, "_MEMBERSHIP", tmp_path / "membership")
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 9000 * MB}))
    return tmp_path


def limited(group: Path, names: tuple[str, str], limit: object, used: int, dropped: str) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / names[0]).write_text(f"{limit}\n")
    (group / names[1]).write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 1\n{dropped}\n")


def test_without_a_limit_it_is_what_the_machine_has_left(cgroups: Path) -> None:
    assert available_memory() == 9000 * MB
    (cgroups / "membership").write_text("0::/user\n")
    assert available_memory() == 9000 * MB


def test_the_tightest_cgroup_above_a_process_counts(cgroups: Path) -> None:
    (cgroups / "membership").write_text("0::/job/step/task\n")
    names = ("memory.max", "memory.current")
    limited(cgroups / "job", names, 800 * MB, 700 * MB, f"inactive_file {50 * MB}")
    limited(cgroups / "job/step", names, 500 * MB, 300 * MB, "inactive_file 0")
    limited(cgroups / "job/step/task", names, "max", 1, "inactive_file 0")
    assert available_memory() == 150 * MB


def test_cgroups_of_version_1_count_too(cgroups: Path) -> None:
    (cgroups / "membership").write_text("9:cpu,cpuacct:/job\n4:memory:/slurm/job\n0::/\n")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    limited(cgroups / "memory/slurm", names, 2**63 - 4096, 5, "total_inactive_file 0")
    limited(cgroups / "memory/slurm/job", names, 600 * MB, 500 * MB, f"total_inactive_file {MB}")
    assert available_memory() == 101 * MB


def test_a_limit_on_address_space_counts_and_nothing_is_left_beyond_it(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda which: (held + 200 * MB, resource.RLIM_INFINITY))
    assert 100 * MB < available_memory() <= 210 * MB
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1, resource.RLIM_INFINITY))
    assert available_memory() == 0


@pytest.mark.parametrize(
    ("told", "limit"),
    [
        ({"SLURM_MEM_PER_NODE": "8000"}, 8000),
        ({"SLURM_MEM_PER_CPU": "2000", "SLURM_CPUS_ON_NODE": "4"}, 8000),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_CPU": "2000"}, None),
        ({"SLURM_MEM_PER_NODE": "8G"}, None),
    ],
)
def test_a_slurm_job_s_limit_counts_with_what_the_process_holds(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, str], limit: int | None
) -> None:
    held = 300 * MB
    of_process = type("Memory", (), {"rss": held, "vms": 0})
    monkeypatch.setattr(psutil.Process, "memory_info", lambda self: of_process)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    if limit is None:
        assert left_of_job() is None
        assert available_memory() == 9000 * MB
    else:
        assert left_of_job() == available_memory() == limit * 2**20 - held
        assert left_of_job(0.85) == int(0.85 * limit * 2**20) - held


def test_of_a_job_s_limits_the_least_counts_and_may_be_overdrawn(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cgroups / "membership").write_text("0::/job\n")
    limited(cgroups / "job", ("memory.max", "memory.current"), 1000 * MB, 900 * MB, "inactive_file 0")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "8000")
    assert (left_of_job(), left_of_job(0.85)) == (100 * MB, -50 * MB)
