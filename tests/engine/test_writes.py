"""Files are written whole or not at all, also where the disk is full or the folder turns read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.errors import InputError
from anchorloc.files import is_temporary, write_json, write_text
from tests.python_processes import with_torch

# Gives the process a disk of 4 MB that no other sees.
OWN_DISK = """
import ctypes, subprocess
ctypes.CDLL(None).unshare(0x20000)  # CLONE_NEWNS
subprocess.run("mount --make-rprivate / && mount -t tmpfs -o size=4m tmpfs disk", shell=True, check=True)
"""
# Binds root by permissions too: takes CAP_DAC_OVERRIDE, the second bit.
BOUND_BY_PERMISSIONS = """
import ctypes
version, capabilities = (ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capget(version, capabilities) == 0
capabilities[0] &= ~2
assert ctypes.CDLL(None).capset(version, capabilities) == 0
"""
# Trains in the folder sys.argv[1]; after the 5th step it calls the function sys.argv[2].
TRAINING = """
import os, sys, pathlib
from anchorloc import train
from anchorloc.engine.training import Training
from anchorloc.cli import run_command
folder, step = pathlib.Path(sys.argv[1]), Training.step
def stepped(self, *rest):
    losses = step(self, *rest)
    if self.clock.step == 5:
        disturb()
    return losses
def fill_the_disk():
    with open(folder.parent / "others", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
def forbid_writing():
    os.chmod(folder, 0o555)
Training.step = stepped
disturb = globals()[sys.argv[2]]
print("status", run_command(train.main, [*sys.argv[3:], "--out", str(folder)]))
print(sorted(os.listdir(folder)))
if disturb is fill_the_disk:
    pathlib.Path("good.pt").write_bytes((folder / "last.pt").read_bytes())
    (folder.parent / "others").unlink()
    Training.step = step
    print("resumed", run_command(train.main, ["--resume", "--out", str(folder)]))
"""
SETTINGS = [
    "data={train_images: 24, val_images: 4, size: 96}",
    "detector.backbone={channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
    "train={length: 6 iterations, batch_size: 2, workers: 0, validate_every: 0.2, precision: float32}",
]


def namespaces() -> str:
    """Return why there can be no file system of our own, or nothing."""
    if shutil.which("unshare") is None:
        return "no unshare"
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "mounting is not allowed here"


def assert_stopped(done: subprocess.CompletedProcess[str], reason: str) -> None:
    """The command ended with status 2 and one sentence that names the file, its size and the reason."""
    assert "status 2" in done.stdout, done.stdout + done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1
    assert "last.pt (" in done.stderr
    assert f" bytes) cannot be written: {reason}" in done.stderr


@pytest.mark.skipif(bool(namespaces()), reason=namespaces() or "-")
def test_a_full_disk_stops_a_run_and_its_last_checkpoint_is_good(tmp_path: Path) -> None:
    """On a tmpfs of 4 MB, seen by this one process tree; afterwards the run goes on to its end."""
    (tmp_path / "disk").mkdir()
    done = with_torch().run(OWN_DISK + TRAINING, "disk/run", "fill_the_disk", *SETTINGS, folder=tmp_path)
    assert_stopped(done, "No space left on device")
    assert load_checkpoint(tmp_path / "good.pt")["step"] == 3  # a validation comes every 3 steps
    assert ".tmp" not in done.stdout
    assert "resumed 0" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="permissions that bind root")
def test_a_folder_that_turns_read_only_stops_a_run_and_its_last_checkpoint_is_good(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = with_torch().run(BOUND_BY_PERMISSIONS + TRAINING, str(folder), "forbid_writing", *SETTINGS)
    assert_stopped(done, "Permission denied")
    assert load_checkpoint(folder / "last.pt")["step"] == 3
    folder.chmod(0o755)
    assert not any(map(is_temporary, folder.iterdir()))


def test_the_old_file_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"weights": torch.ones(3)})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(InputError, match=r"a\.pt \([\d,]+ bytes\) cannot be written: No space left on device"):
                save_checkpoint(path, {"weights": torch.zeros(3)})
        assert load_checkpoint(path)["weights"].tolist() == [1, 1, 1]
        assert [found.name for found in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_mode_that_the_umask_leaves(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "report.md", "text")
        write_json(tmp_path / "metrics.json", {})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}
