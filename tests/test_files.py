"""Files: whole or not at all, and folders for the output of commands."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import re
import stat
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anchorloc.errors import InputError
from anchorloc.files import (
    default_output,
    exists,
    folded_name,
    is_temporary,
    make_default_folder,
    make_folder,
    new_folder,
    output,
    portable_name,
    read_json,
    read_text,
    refuse_existing,
    refuse_filled,
    write_bytes,
    write_errors,
    write_json,
)


def test_a_new_folder_is_removed_if_the_work_fails_before_it_writes(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with pytest.raises(KeyError), new_folder(out, "report"):
        raise KeyError
    assert not (tmp_path / "a").exists()

    def write_two_files() -> None:
        with new_folder(out, "report") as folder:
            write_json(folder / "kept", 1)
            write_json(folder / "refused", float("nan"))

    with pytest.raises(ValueError, match="JSON compliant"):
        write_two_files()
    assert (out / "kept").exists()
    with pytest.raises(InputError, match="exists already; give another --out"), new_folder(out, "report"):
        pass


def test_the_default_folder_names_command_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with new_folder(None, "lab") as folder:
        assert folder.is_dir()
    assert re.fullmatch(r"runs/lab-\d{8}-\d{6}", folder.as_posix())
    assert default_output("lab", ".html").suffix == ".html"


def test_commands_of_the_same_second_get_different_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("anchorloc.files.output.default_output", lambda name: Path("runs") / name)
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(make_default_folder, ["lab"] * 8))
    assert {folder.name for folder in made} == {"lab", *(f"lab-{number}" for number in range(2, 9))}
    with pytest.raises(KeyError), new_folder(None, "lab"):
        raise KeyError
    assert len(list(Path("runs").iterdir())) == 8
    with new_folder(None, "lab") as folder:
        assert folder == Path("runs/lab-9")


def test_what_exists_is_refused(tmp_path: Path) -> None:
    dangling, file, filled = tmp_path / "link", tmp_path / "file", tmp_path / "filled"
    dangling.symlink_to(tmp_path / "nowhere")
    file.touch()
    filled.mkdir()
    refuse_filled(filled)
    (filled / "one").touch()
    for path in (dangling, file, filled):
        with pytest.raises(InputError, match="exists already"):
            refuse_existing(path)
    for path in (file, filled):
        with pytest.raises(InputError, match="not an empty folder; give another --into"):
            refuse_filled(path, "--into")
    refuse_existing(tmp_path / "new")
    refuse_filled(tmp_path / "new")
    with pytest.raises(InputError, match="cannot be made"):
        make_folder(file / "below")
    make_folder(filled)


def test_words_that_are_no_names_do_not_exist(tmp_path: Path) -> None:
    assert exists(str(tmp_path))
    assert not any(map(exists, ("x" * 5000, "a\0b", str(tmp_path / "no"))))


def test_a_backup_keeps_the_old_content(tmp_path: Path) -> None:
    path, backup = tmp_path / "last", tmp_path / "before"
    write_bytes(path, b"1", backup)
    assert not backup.exists()
    write_bytes(path, b"2", backup)
    write_bytes(path, b"3", backup)
    assert (path.read_bytes(), backup.read_bytes()) == (b"3", b"2")
    assert sorted(tmp_path.iterdir()) == [backup, path]
    assert is_temporary(tmp_path / ".last.0123abcd.tmp")
    assert not is_temporary(path)


def test_a_write_error_names_file_and_size(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"out \(1,234 bytes\) cannot be written: No space"),
        write_errors(tmp_path / "out", 1234),
    ):
        raise OSError(28, "No space left on device")
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / "no" / "file", b"")


def test_keys_are_skipped_and_condensed_while_parsing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"mask": [1], "points": [], "id": 1}, {"points": [2], "id": NaN}]', encoding="utf-8")
    constants: list[str] = []
    first, second = read_json(
        path, skip=["mask"], condense={"points": lambda item: bool(item["points"])}, nan_literals=constants
    )
    assert first == {"points": False, "id": 1}
    assert second["points"] is True
    assert constants == ["NaN"]


PLACES = {  # a JSON file: what is said of it
    '{"images": [{"id": 1}, {"width": NaN}]}': (
        "contains NaN, which is not JSON, at images[1].width (line 1, column 34, byte 33); replace it by a number"
    ),
    '[{"name": "NaN, or Infinity"},\n {"bbox": [1, 2, -Infinity]}]': (
        "contains -Infinity, which is not JSON, at [1].bbox[2] (line 2, column 18, byte 48); replace it by a number"
    ),
    '{"a": {"b": 1, "c": "ü\\"b", "b": 2}}': (
        "has an object with the key 'b' twice, at a (line 1, column 29, byte 29); keep one"
    ),
    f'{{"id": {"7" * 301}}}': ("contains an integer of 301 digits, at id (line 1, column 8, byte 7); use at most 300"),
    '{"images": [{"id": 1,}]}': (
        "is not valid JSON: "  # Python 3.13 has other words
    ),
    "\ufeff[1 2]": "is not valid JSON: Expecting ',' delimiter at [0] (line 1, column 4, byte 6)",
    " \n": "is empty; write or export it again",
    '{"id": 1}\n{"id": 2}\n': "holds several JSON values, one a line (JSON Lines); write them as one list",
}


@pytest.mark.parametrize("content", PLACES)
def test_a_mistake_in_json_is_reported_with_its_place(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path} {PLACES[content]}")


def test_what_a_file_is_instead_is_named(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("labels.json", "[]")
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("labels.json"))
    contents = {
        archive.getvalue(): "is a ZIP archive; unpack it and give the file or folder inside",
        gzip.compress(b"[]"): "is compressed by gzip; unpack it",
        bz2.compress(b"[]"): "is compressed by bzip2; unpack it",
        lzma.compress(b"[]"): "is compressed by xz; unpack it",
        tarred.getvalue(): "is a tar archive; unpack it",
        b"%PDF-1.7\n": "is a PDF document; give the file of the labels",
        pickle.dumps([]): "is a Python pickle",
        "[]".encode("utf-16"): "is UTF-16 text; save it as UTF-8",
        "[]".encode("utf-16-be"): "is UTF-16 text; save it as UTF-8",
        "[]".encode("utf-16-le"): "is UTF-16 text; save it as UTF-8",
        "[]".encode("utf-32"): "is UTF-32 text; save it as UTF-8",
        b"\n<!DOCTYPE html><html>": "is a web page; download the file itself",
        b"version https://git-lfs.github.com/spec/v1": "is a pointer of Git LFS, not the file itself; run `git",
        bytes(100): "is filled with null bytes",
        b'{"name": "\xfcber"}': r"is not UTF-8 text (byte 10); save it as UTF-8",
    }
    path = tmp_path / "a.json"
    for content, said in contents.items():
        path.write_bytes(content)
        for read in (read_json, read_text):
            with pytest.raises(InputError, match=re.escape(f"{path} {said}")):
                read(path)
    path.write_bytes("\ufeffü".encode())
    assert read_text(path) == "ü"


def test_a_name_as_long_as_file_systems_allow_is_written(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".jpg", "é" * 125 + ".jpg", "日" * 83 + ".jpg"):
        write_bytes(tmp_path / name, b"1")
        assert (tmp_path / name).read_bytes() == b"1"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_backup_needs_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system such as exFAT refuses them."""

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path, backup = tmp_path / "last", tmp_path / "before"
    for content in (b"1", b"2", b"3"):
        write_bytes(path, content, backup)
    assert (path.read_bytes(), backup.read_bytes()) == (b"3", b"2")


def test_a_file_that_another_program_reads_is_replaced_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to replace an open file."""
    path, replace, attempts = tmp_path / "best.pt", os.replace, list[float]()

    def refuse_twice(*paths: Path) -> None:
        if len(attempts) < 2:
            raise PermissionError(13, "The process cannot access the file")
        replace(*paths)

    write_bytes(path, b"1")
    monkeypatch.setattr(os, "replace", refuse_twice)
    monkeypatch.setattr(time, "sleep", attempts.append)
    monkeypatch.setattr(output, "_PAUSES", (1.0,))
    with pytest.raises(InputError, match="cannot be written: The process cannot access the file"):
        write_bytes(path, b"2")
    assert (path.read_bytes(), attempts, len(list(tmp_path.iterdir()))) == (b"1", [1.0], 1)
    monkeypatch.setattr(output, "_PAUSES", (2.0, 3.0))
    write_bytes(path, b"3")
    assert (path.read_bytes(), attempts) == (b"3", [1.0, 2.0])


def test_a_folder_that_cannot_be_synced_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems sync files alone; an error of the disk is reported."""
    sync, numbers = os.fsync, [22, 95, 5]

    def sync_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(numbers.pop(0), "no")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync_files)
    for content in (b"1", b"2"):
        write_bytes(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    with pytest.raises(InputError, match="cannot be written: no"):
        write_bytes(tmp_path / "a", b"3")
    assert (numbers, [path.name for path in tmp_path.iterdir()]) == ([], ["a"])


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("photo 1.jpg", "photo 1.jpg"),
        (".hidden", ".hidden"),
        ("console.jpg", "console.jpg"),
        ("12:30.jpg", "12_30.jpg"),
        ('a<b>"c|d?e*f\\g\t.jpg', "a_b__c_d_e_f_g_.jpg"),
        ("con", "_con"),
        ("Aux.left.jpg", "_Aux.left.jpg"),
        ("nul .jpg", "_nul .jpg"),
        ("LPT¹.jpg", "_LPT¹.jpg"),
        ("photos. ", "photos"),
        ("..", "_"),
        ("", "_"),
    ],
)
def test_names_that_windows_takes(name: str, portable: str) -> None:
    assert portable_name(name) == portable
    assert portable_name(portable) == portable


def test_names_of_one_file_on_some_systems() -> None:
    assert folded_name("Straße/\u00c9.PNG") == folded_name("STRASSE/e\u0301.png") != folded_name("strasse/e.png")
