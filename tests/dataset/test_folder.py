"""Files appear whole or not at all."""

import asyncio
import os
import pickle
import time
from pathlib import Path

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from eedask.dataset import folder as storage
from eedask.dataset.folder import Folder, folder_at
from eedask.errors import InputError


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    # What is a pattern to a shell is a name to us.
    place = {"local": tmp_path, "memory": f"memory://{tmp_path.name}"}[request.param]
    return Folder(f"{place}/[2019] run?*")


def test_files_come_back(folder):
    folder.write("a/b.bin", b"123")
    folder.write("a/b.bin", b"45")
    assert folder.read("a/b.bin") == b"45"
    with folder.open("a/b.bin") as file:
        assert file.read(1) == b"4"
    assert folder.exists("a/b.bin")
    assert not folder.exists("a/c.bin")
    assert folder.list("a", "*.bin") == ["a/b.bin"]
    assert folder.list("a", "*.png") == []
    assert folder.list("nowhere") == []
    assert folder.list() == ["a"]


def test_files_and_folders_are_removed(folder):
    for name in ("a/x", "a/b/y", "c"):
        folder.write(name, b"1")
    for name in ("c", "a", "nowhere"):
        folder.remove(name)
    assert folder.sizes("") == {}


def test_folders_travel_between_processes(folder):
    folder.write("x", b"1")
    assert pickle.loads(pickle.dumps(folder)).read("x") == b"1"


def test_a_file_that_changes_has_another_fingerprint(folder):
    folder.write("x", b"1")
    before = folder.fingerprint("x")
    folder.write("x", b"12")
    assert folder.fingerprint("x") != before


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    folder = Folder(str(tmp_path))
    folder.write("x", b"old")

    def full(path, data):
        Path(path).write_bytes(data[:1])
        raise OSError(28, "No space left on device")

    (tmp_path / ".unfinished").mkdir(exist_ok=True)

    monkeypatch.setattr(storage, "write_whole", full)
    with pytest.raises(OSError, match="No space"):
        folder.write("x", b"new")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "x"]
    assert folder.read("x") == b"old"


def test_what_a_kill_leaves_is_swept(tmp_path):
    folder = Folder(str(tmp_path))
    folder.write("x", b"1")
    half = tmp_path / ".unfinished" / "half"
    half.write_bytes(b"ha")
    folder.sweep()
    assert half.exists(), "another run may be writing it"
    long_ago = time.time() - storage.LEFT_OVER_S - 1
    os.utime(half, (long_ago, long_ago))
    folder.sweep()
    folder.sweep()
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    folder.write("a/y", b"2")
    assert folder.read("a/y") == b"2"


def test_a_file_is_named_so_that_others_can_open_it(folder):
    folder.write("a/b.csv", b"x")
    fs, path = fsspec.core.url_to_fs(folder.path("a/b.csv"))
    assert fs.cat_file(path) == b"x"


def test_many_files_are_read_in_their_order(folder):
    names = [f"{k}.bin" for k in range(300)]
    for name in names:
        folder.write(name, name.encode())
    assert list(folder.read_many(names)) == [name.encode() for name in names]
    with pytest.raises(FileNotFoundError):
        list(folder.read_many([names[0], "none.bin"]))


def test_a_store_that_can_is_asked_for_many_files_at_once():
    at_once = [0, 0]

    class Slow(AsyncFileSystem):
        protocol, cachable = "slow", False

        async def _cat_file(self, path, start=None, end=None, **kwargs):
            at_once[0] += 1
            at_once[1] = max(at_once)
            await asyncio.sleep(0.01)
            at_once[0] -= 1
            return path.encode()

    fsspec.register_implementation("slow", Slow, clobber=True)
    names = [f"{k}.bin" for k in range(20)]
    assert list(Folder("slow://a").read_many(names)) == [f"a/{name}".encode() for name in names]
    assert at_once[1] == 20


def test_folders_are_made_where_a_server_of_files_wants_them(tmp_path):
    class Served(DirFileSystem):
        protocol, cachable = "served", False

        def __init__(self):
            super().__init__(str(tmp_path), LocalFileSystem(auto_mkdir=False))

    fsspec.register_implementation("served", Served, clobber=True)
    folder = Folder("served://out")
    assert not folder.is_local
    folder.write("a/b.bin", b"1")
    assert folder.read("a/b.bin") == b"1"
    assert (tmp_path / "out/a/b.bin").read_bytes() == b"1"


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_folders_nested_beyond_measure_are_refused(scheme, tmp_path):
    base = f"{scheme}{tmp_path}/"
    deep = folder_at(base + "a/" * 150, "out")
    deep.write("b", b"1")
    assert deep.read("b") == b"1"
    with pytest.raises(InputError, match=r"out= has 1\d\d\d folders one in the other.* 200"):
        folder_at(base + "a/" * 1200, "out")
