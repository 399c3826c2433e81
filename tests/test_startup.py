"""What is set before torch is loaded, and what a host program keeps."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from types import SimpleNamespace

import pytest

from anchorloc import startup
from tests.python_processes import run_command_line, run_python

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="libgomp, glibc and cgroups")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment without variables, on 8 cores without a quota; malloc is left alone."""
    variables: dict[str, str] = {}
    monkeypatch.setattr(startup, "os", SimpleNamespace(environ=variables))
    monkeypatch.setattr(startup, "_affinity", lambda: 8)
    monkeypatch.setattr(startup, "cpu_quota", lambda: None)
    monkeypatch.setattr(startup, "keep_memory", lambda: True)
    return variables


@pytest.mark.parametrize(("quota", "cores"), [(0.25, 1), (1.0, 1), (2.5, 2), (64.0, 8), (None, 8)])
def test_a_process_keeps_as_many_cores_busy_as_its_quota_allows(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(startup, "cpu_quota", lambda: quota)
    assert startup.allowed_cores() == cores
    assert startup.prepare_process() == []
    assert environment == startup.BRIEF_WAIT | ({"OMP_NUM_THREADS": str(cores)} if cores < 8 else {})


@pytest.mark.parametrize(
    "chosen",
    [
        {"OMP_WAIT_POLICY": "active", "OMP_NUM_THREADS": "4"},
        {"GOMP_SPINCOUNT": "10k", "MKL_NUM_THREADS": "4"},
        {"KMP_BLOCKTIME": "infinite", "OMP_NUM_THREADS": "4, 2"},
        {"GOMP_SPINCOUNT": "INFINITY", "OMP_NUM_THREADS": " 1 "},
    ],
)
def test_what_the_user_has_set_stays(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    monkeypatch.setattr(startup, "cpu_quota", lambda: 1.0)
    environment |= chosen
    assert startup.prepare_process() == []
    assert environment == chosen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OMP_NUM_THREADS", "abc"),
        ("OMP_NUM_THREADS", ""),
        ("OMP_NUM_THREADS", "0"),
        ("OMP_NUM_THREADS", "-2"),
        ("OMP_NUM_THREADS", "100000"),
        ("MKL_NUM_THREADS", "1.5"),
        ("OMP_WAIT_POLICY", "lazy"),
        ("GOMP_SPINCOUNT", "-1"),
        ("KMP_BLOCKTIME", "soon"),
    ],
)
def test_a_variable_that_is_invalid_is_one_sentence_and_the_default(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(startup, "cpu_quota", lambda: 2.0)
    environment[name] = value
    [sentence] = startup.prepare_process()
    assert sentence.startswith(f"{name}={value!r} is ignored: it must be ")
    assert environment == startup.BRIEF_WAIT | {"OMP_NUM_THREADS": "2"}


@LINUX
@pytest.mark.parametrize(("variables", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "123"}, "123")])
def test_load_makes_threads_sleep_soon_and_no_more_than_the_quota_allows(variables: dict[str, str], spins: str) -> None:
    """The environment stays as it is."""
    code = (
        "import os, anchorloc; from anchorloc import startup; before = dict(os.environ)\n"
        "startup.cpu_quota, startup._affinity = lambda: 0.25, lambda: 8\n"
        "startup.import_torch(); assert dict(os.environ) == before; startup.say_what_is_late(2)\n"
        "import torch; print(torch.get_num_threads())"
    )
    done = run_python(code, OMP_DISPLAY_ENV="VERBOSE", **variables)
    assert done.returncode == 0, done.stderr
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
    assert "torch was loaded" not in done.stderr
    assert done.stdout == "1\n"


def test_what_cannot_be_set_any_more_is_said_once(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def said(threads: int) -> list[str]:
        caplog.clear()
        startup.say_what_is_late.cache_clear()
        for _ in range(2):
            startup.say_what_is_late(threads)
        return caplog.messages

    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(startup, "_torch_is_prepared", False)
    assert said(1) == []
    [sentence] = said(8)
    assert "threads spin" in sentence
    assert "set OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=1000 in the environment" in sentence
    monkeypatch.setattr(startup, "cpu_quota", lambda: 0.25)
    [sentence] = said(8)
    assert "8 threads, more than the 1 core" in sentence
    assert "OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=1000 OMP_NUM_THREADS=1" in sentence
    environment |= {"GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": "8"}
    assert said(8) == []
    environment.clear()
    monkeypatch.setattr(startup, "_torch_is_prepared", True)
    assert said(8) == []
    startup.say_what_is_late.cache_clear()


@LINUX
def test_malloc_keeps_memory_unless_the_user_has_chosen() -> None:
    code = "from anchorloc.startup import keep_memory; print(keep_memory())"
    for variable in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_"):
        assert run_python(code, **{variable: "65536"}).stdout == "False\n"
    assert run_python(code, GLIBC_TUNABLES="glibc.malloc.trim_threshold=65536").stdout == "False\n"
    assert run_python(code, GLIBC_TUNABLES="glibc.pthread.rseq=0").stdout == run_python(code).stdout


def test_a_command_says_that_a_variable_is_invalid() -> None:
    status, _, _, errors = run_command_line("shapes", "--help", OMP_NUM_THREADS="abc")
    assert status == 0
    assert errors == (
        "warning: OMP_NUM_THREADS='abc' is ignored: it must be a whole number from 1 to 999; correct it or unset it\n"
    )


@pytest.mark.parametrize("system", ["darwin", "win32", "freebsd14"])
def test_a_system_without_affinity_and_glibc_keeps_its_defaults(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("it opens the C library"))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(startup, "cpu_quota", lambda: None)
    assert startup.allowed_cores() == 8
    assert not startup.keep_memory()


def test_another_c_library_has_no_mallopt(monkeypatch: pytest.MonkeyPatch) -> None:
    """As musl; or ctypes cannot open the library at all."""

    def refuse(_: None) -> None:
        raise OSError("cannot open")

    for variable in startup._MALLOC_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for library in (lambda _: object(), refuse):
        monkeypatch.setattr(ctypes, "CDLL", library)
        assert not startup.keep_memory()
