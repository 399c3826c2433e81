"""What a system may lack is used only where a test imitates its absence (docs/systems.md); text has an encoding."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "anchorloc"
FILES = sorted(PACKAGE.rglob("*.py"))
MISSING_ELSEWHERE = {
    *("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty", "ctypes", "msvcrt", "winreg"),
    *("fork", "forkpty", "getuid", "geteuid", "getloadavg", "killpg", "mkfifo", "sched_getaffinity", "setsid"),
    *("statvfs", "symlink", "symlink_to", "sysconf", "uname", "wait4", "waitpid"),
    *("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2", "alarm", "pause", "setitimer"),
}
IMITATED = {  # file: what it uses of a system, and only there
    "cgroups.py": {"sysconf"},
    "engine/build.py": {"alarm"},  # not on Windows
    "engine/state/run_folder.py": {"fcntl", "msvcrt"},
    "startup.py": {"ctypes", "sched_getaffinity"},
}


def names(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, and the names that it takes from modules and objects."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        if isinstance(node, ast.Attribute):
            yield node.attr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_uses_nothing_that_a_system_lacks(path: Path) -> None:
    assert set(names(path)) & MISSING_ELSEWHERE == IMITATED.get(path.relative_to(PACKAGE).as_posix(), set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_text_is_read_and_written_in_a_stated_encoding(path: Path) -> None:
    """Without one, Windows takes the encoding of the user's language."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        modes = [word for word in words if word and set(word) <= set("rwxabt+")]
        if (name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute)) or (name == "open" and modes):
            binary = any("b" in mode for mode in modes)
            stated = any(keyword.arg == "encoding" for keyword in node.keywords)
            assert binary or stated, f"{path.relative_to(PACKAGE)}:{node.lineno} opens text without an encoding"
