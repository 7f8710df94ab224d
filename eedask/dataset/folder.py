"""Files that appear whole or not at all, on a local disk or any fsspec file system."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import has_magic
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from eedask.errors import DatasetError, InputError

# Where files are written before they are renamed: below the same folder, as a rename cannot cross
# file systems, and in one place, so that what a kill leaves there is found.
_UNFINISHED = ".unfinished"
# Seconds after which a file that is not finished never will be.
LEFT_OVER_S = 60.0
# Folders one in the other that a path may have. Python makes each by a call within a call, and the
# names of a run's own files come on top.
_MOST_NESTED = 200
# Files read at once, all of which are held in memory.
_AT_ONCE = 256
# What the system says of files that are not what they should be. (Arrow's errors have no number.)
_ABOUT_FILES = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
# Numbers the files that this process writes.
_FILES = itertools.count()


@dataclass(frozen=True)
class Folder:
    """A folder by its fsspec URL; picklable.

    Parameters
    ----------
    url : str
        A local path or a URL such as ``s3://bucket/prefix``.
    """

    url: str

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        fs, root = fsspec.core.url_to_fs(self.url)
        return fs, str(root).rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether files are on a local file system."""
        return isinstance(self._opened[0], LocalFileSystem)

    @property
    def is_file(self) -> bool:
        """Whether a file is there, and no folder."""
        fs, root = self._opened
        return bool(fs.isfile(root))

    def path(self, name: str) -> str:
        """Return the full path, or URL, of a file named relative to the folder."""
        fs, root = self._opened
        full = f"{root}/{name}"
        return full if self.is_local else str(fs.unstrip_protocol(full))

    def exists(self, name: str = "") -> bool:
        """Whether a file (or, without a name, the folder) is there."""
        fs, root = self._opened
        return bool(fs.exists(f"{root}/{name}" if name else root))

    def list(self, name: str = "", pattern: str = "*") -> list[str]:
        """Return the names, relative to the folder, that match in a subfolder, sorted.

        Names that begin with a dot belong to the system, and to writes that are under way.
        """
        fs, root = self._opened
        fs.invalidate_cache()
        # Not by glob, to which brackets in the folder's own path are a pattern.
        try:
            with _as_os_errors():
                found = fs.ls(f"{root}/{name}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        names = [str(path).rstrip("/")[len(root) + 1 :] for path in found]
        ends = {name: name.rpartition("/")[2] for name in names}
        return sorted(
            name
            for name, end in ends.items()
            if fnmatch.fnmatchcase(end, pattern) and not end.startswith(".")
        )

    def sizes(self, name: str) -> dict[str, int | None]:
        """Return the bytes of all files below a subfolder, by name; None where that is not told.

        Takes one listing for each folder, and no request for a file.
        """
        fs, root = self._opened
        fs.invalidate_cache()
        try:
            with _as_os_errors():
                found = fs.find(f"{root}/{name}", detail=True)
        except FileNotFoundError:
            return {}
        return {str(path)[len(root) + 1 :]: about["size"] for path, about in found.items()}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        fs, root = self._opened
        with _as_os_errors():
            return bytes(fs.cat_file(f"{root}/{name}"))

    def read_many(self, names: Sequence[str]) -> Iterator[bytes]:
        """Yield the bytes of files, read many at once where the store can do that."""
        fs, root = self._opened
        # Not by cat, to which brackets in the folder's own path are a pattern.
        for first in range(0, len(names), _AT_ONCE):
            paths = [f"{root}/{name}" for name in names[first : first + _AT_ONCE]]
            with _as_os_errors():
                found = fs.cat_ranges(paths, None, None)
                for data in found:
                    if isinstance(data, Exception):
                        raise data
            yield from map(bytes, found)

    def open(self, name: str) -> Any:
        """Open a file for reading in pieces."""
        fs, root = self._opened
        return fs.open(f"{root}/{name}", "rb")

    def fingerprint(self, name: str) -> str:
        """Return a string that changes when the file does."""
        fs, root = self._opened
        return str(fs.ukey(f"{root}/{name}"))

    def write(self, name: str, data: bytes, *, sync: bool = True) -> None:
        """Write a file whole: renamed into place locally, a single put elsewhere.

        Parameters
        ----------
        name : str
        data : bytes
        sync : bool
            Whether a local file outlasts a power failure once this returns. It is quicker to
            write many without, and to call :meth:`sync` for all of them.
        """
        fs, root = self._opened
        target = f"{root}/{name}"
        if self.is_local:
            _write_local(target, f"{root}/{_UNFINISHED}", data, sync)
            return
        with _as_os_errors():
            try:
                fs.pipe_file(target, data)
            except FileNotFoundError:
                # Object stores have no folders; servers of files do.
                fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                fs.pipe_file(target, data)

    def sync(self, names: Iterable[str]) -> None:
        """Have local files, all of which exist, outlast a power failure; a store's do anyway."""
        if not self.is_local:
            return
        _, root = self._opened
        paths = [f"{root}/{name}" for name in names]
        for path in paths:
            _sync(path)
        _sync_folders(paths)

    def sweep(self) -> None:
        """Remove what writers have left unfinished that were killed, and nobody else's files.

        A file that nobody has written to for a while is left over: each is written at once.
        """
        if not self.is_local:
            return
        _, root = self._opened
        oldest = time.time() - LEFT_OVER_S
        for path in Path(root, _UNFINISHED).glob("*"):
            # Another run removes it just now, or nothing can be removed: it is in nobody's way.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
        self.remove_empty(_UNFINISHED)

    def modified(self, name: str) -> float | None:
        """Return when a file was written, in seconds of the file system's clock, if it is known."""
        fs, root = self._opened
        fs.invalidate_cache()
        try:
            with _as_os_errors():
                return float(fs.modified(f"{root}/{name}").timestamp())
        except OSError as error:
            if isinstance(error.__cause__, NotImplementedError):
                return None
            raise

    def remove_empty(self, name: str) -> None:
        """Remove a local subfolder if there is nothing in it. Stores have no folders."""
        if self.is_local:
            with contextlib.suppress(OSError):
                Path(self._opened[1], name).rmdir()

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""
        fs, root = self._opened
        target = f"{root}/{name}"
        if not fs.exists(target):
            return
        if not self.is_local and has_magic(target):
            # To fs.rm, brackets in the folder's own path are a pattern.
            for path in fs.find(target):
                fs.rm_file(path)
        else:
            fs.rm(target, recursive=True)


def folder_at(where: Any, argument: str) -> Folder:
    """Return the folder that a user names.

    Parameters
    ----------
    where : str or path
    argument : str
        What the user calls it, for the message.

    Raises
    ------
    InputError
        If it is no path, or a URL of a kind that fsspec does not know, or has too many folders one
        in the other.
    """
    path = os.fspath(where) if isinstance(where, str | os.PathLike) else None
    if not path or not isinstance(path, str) or "\0" in path:
        raise InputError(
            f"{argument} is a folder, as a path or a URL such as 's3://bucket/name'; got {where!r}"
        )
    if (nested := path.count("/")) > _MOST_NESTED:
        raise InputError(
            f"{argument}= has {nested} folders one in the other: choose a path of {_MOST_NESTED} or"
            " less"
        )
    folder = Folder(path)
    try:
        _ = folder.is_local
    except (ValueError, ImportError) as error:
        raise InputError(
            f"{argument}={path!r} cannot be opened ({error}): give a path, or a URL that fsspec"
            " knows, with the package for it installed"
        ) from error
    return folder


@contextlib.contextmanager
def refusals_told(folder: Folder, *, whatever: bool = False) -> Iterator[None]:
    """Turn a refusal of the system, which says nothing of what files hold, into a DatasetError.

    Parameters
    ----------
    folder : Folder
        Which is read or written.
    whatever : bool
        Whether this holds for files that are not there, too.

    Raises
    ------
    DatasetError
        If the system has no more open files, no more space, or does not permit it, for instance.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _ABOUT_FILES and not whatever:
            raise
        raise DatasetError(
            f"{folder.url!r} cannot be read or written ({error}): mend that and do the same again;"
            " nothing that is done is lost"
        ) from error


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn the errors that stores have of their own into the system's."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _write_local(target: str, unfinished: str, data: bytes, sync: bool) -> None:
    # Plain strings and not paths, which cost half as much as the system's own work.
    part = f"{unfinished}/{_writer_of(os.getpid())}-{next(_FILES)}"
    try:
        _making_folder(part, lambda: write_whole(part, data))
        if sync:
            # Before the file takes the place of an older one.
            _sync(part)
        _making_folder(target, lambda: os.replace(part, target))  # noqa: PTH105
        if sync:
            _sync_folders([target])
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folders(paths: Iterable[str]) -> None:
    """Sync the folders of files, which keep their names. Windows keeps a name with its file."""
    if os.name == "posix":
        for folder in {path.rpartition("/")[0] for path in paths}:
            _sync(folder)


def write_whole(path: str, data: bytes) -> None:
    """Write a file where nobody looks yet."""
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(data)


@functools.cache
def _writer_of(_process: int) -> str:
    """Return a name that no other process shares, a forked one included."""
    return uuid.uuid4().hex


def _making_folder(path: str, write: Callable[[], object]) -> None:
    """Write a file; make its folder only where it turns out to be missing, which is seldom."""
    try:
        write()
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write()
