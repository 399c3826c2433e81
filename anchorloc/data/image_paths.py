"""Resolve the file names of an annotation file; none may leave the images folder."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote, urlsplit

from anchorloc.errors import AccessError, ItemError
from anchorloc.text import short_repr


def check_file_name(name: str) -> None:
    """Raise ItemError if a name is empty or absolute, contains '..', or is not valid text."""
    if name.isascii() and name[:1] not in ("", "/", "\\") and not any(part in name for part in ("..", ":", "\0")):
        return  # nearly all names, without the cost of a path
    windows = PureWindowsPath(name)  # splits at both kinds of slash, and detects drives
    if not name or windows.drive or windows.root or ".." in windows.parts:
        raise ItemError(f"file_name {short_repr(name)} must be relative to the images folder, without '..'")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ItemError(f"file_name {short_repr(name)} is not valid text") from None
    if "\0" in name:
        raise ItemError(f"file_name {short_repr(name)} contains a null byte; remove it")


def locate(folder: Path, name: str) -> Path:
    """Return the path of a regular file inside `folder`, with links resolved.

    Raises:
        AccessError: the file may exist, but this system cannot encode its name or may not look at it.
        ItemError: the file does not exist, is not a regular file, or a symbolic link leads out of the folder.
    """
    check_file_name(name)
    try:
        base, path = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / name))
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        raise AccessError(
            f"cannot be opened, because this system encodes file names as {encoding}; set LC_ALL=C.UTF-8"
        ) from None
    if not path.is_relative_to(base):
        raise ItemError(f"is a link to {path}, outside the images folder {folder}; copy the file there")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if means_absent(error):
            raise ItemError(f"does not exist in {folder}; check file_name and the images folder") from None
        raise AccessError(f"cannot be read in {folder}: {error.strerror or error}; check its permissions") from None
    if not stat.S_ISREG(mode):
        raise ItemError(f"is not a regular file in {folder}; remove the image or put its file there")
    return path


def is_absent(folder: Path, name: str) -> bool:
    """Return whether a folder has no file of a name, or the name is not one of a file in it.

    A file that cannot be looked at, for want of a permission or an encoding, is not absent.
    """
    try:
        check_file_name(name)
        (folder / name).stat()
    except ItemError:
        return True
    except OSError as error:
        return means_absent(error)
    except UnicodeEncodeError:
        return False
    return False


def means_absent(error: OSError) -> bool:
    """Return whether an error of the file system says that there is no such file."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def name_of_url(url: Any) -> str:
    """Return the folder and file at the end of a URL; "" if it has none."""
    if type(url) is not str:
        return ""
    try:
        parts = PurePosixPath(unquote(urlsplit(url).path)).parts
    except ValueError:  # not an address
        return ""
    return "/".join(part for part in parts[-2:] if part != "/")
