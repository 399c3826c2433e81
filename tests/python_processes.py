"""Python code and commands in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from anchorloc import startup

VARIABLES = (*startup.WAITING, *startup.THREADS)


def run_python(code: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process whose environment has only these variables of OpenMP."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def run_command_line(*words: str, folder: Path | None = None, **variables: str) -> tuple[int, bool, str, str]:
    """Run a command in a process; return its status, whether it loaded torch, its output and its errors."""
    code = (
        "import os, sys; from anchorloc.__main__ import main\n"
        f"os.chdir({str(folder or Path())!r})\n"
        "try: status = main()\n"
        "except SystemExit as end: status = end.code\n"
        "print('torch' in sys.modules, status)"
    )
    done = run_python(code, *words, **variables)
    *_, last = done.stdout.splitlines() or [done.stderr]
    loaded, status = last.split()
    return int(status), loaded == "True", done.stdout, done.stderr
