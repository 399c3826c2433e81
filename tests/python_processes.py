"""Python code and commands in processes of their own."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from anchorloc import startup

ROOT = Path(__file__).resolve().parents[1]
VARIABLES = (*startup.WAITING, *startup.THREADS)

# Imports the modules in sys.argv, then forks for each line of its input; the child runs code, the parent prints how it
# ended. A child skips the end of its interpreter, which would take a second.
SERVER = """
import importlib, json, os, sys, traceback
for name in sys.argv[1:]:
    importlib.import_module(name)
while line := sys.stdin.readline():
    code, sys.argv[1:], folder, variables, out, err = json.loads(line)
    child = os.fork()
    if not child:
        for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_RDWR), descriptor)
        os.environ.update(variables)
        os.chdir(folder)
        try:
            exec(code, {"__name__": "__main__"})
            status = 0
        except SystemExit as end:
            status = end.code
        except BaseException:
            status = traceback.format_exc()
        if isinstance(status, str):
            print(status, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if isinstance(status, str) else int(status or 0))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
COMMAND_LINE = """
import sys
from anchorloc.__main__ import main
try:
    status = main()
except SystemExit as end:
    status = end.code
print("torch" in sys.modules, status)
"""


class ForkServer:
    """A process that has imported modules, and forks to run code: imports of seconds are done once for many tests."""

    def __init__(self, *modules: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *modules],
            env=_environment(variables),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.communicate)  # the end of its input ends it

    def run(
        self, code: str, *words: str, folder: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run code with words as sys.argv[1:], in the project's or another folder, with more environment variables."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
            request = (code, words, str((folder or ROOT).absolute()), variables, out.name, err.name)
            print(json.dumps(request), file=self._process.stdin, flush=True)
            status = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(words, status, out.read(), err.read())


@cache
def without_torch() -> ForkServer:
    """Return a server that has imported what most commands need, except torch."""
    return ForkServer("numba", "numpy", "PIL.Image", "pydantic", "rich.console", "yaml")


@cache
def with_torch() -> ForkServer:
    """Return a server that has imported what a training needs, and uses one thread."""
    ours = ("anchorloc.engine.run", "anchorloc.lab.anchor_coverage", "tests.first_kernel")
    return ForkServer(*ours, "pycocotools.cocoeval", "torch.distributed.launcher.api", OMP_NUM_THREADS="1")


def run_python(code: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a new process whose environment has only these variables of OpenMP."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=_environment(variables), capture_output=True, text=True, check=False)


def run_command_line(*words: str, folder: Path | None = None, **variables: str) -> tuple[int, bool, str, str]:
    """Run a command in a process; return its status, whether it loaded torch, its output and its errors."""
    done = without_torch().run(COMMAND_LINE, *words, folder=folder, **variables)
    *_, last = done.stdout.splitlines() or [done.stderr]
    loaded, status = last.split()
    return int(status), loaded == "True", done.stdout, done.stderr


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
