"""Output folders are written wholly or not at all."""

import errno
import os
from pathlib import Path

import pytest

from dcgen.errors import OutputError
from dcgen.files import check_writable, temporary_folder, write_file, write_folder

MANIFEST = b'{"dcgen": "0"}'
FILES = {"manifest.json": MANIFEST, "a/b.c": b"int x;"}


def test_a_folder_is_written_with_its_parents(tmp_path):
    write_folder(tmp_path / "x/y/out", FILES)
    assert (tmp_path / "x/y/out/a/b.c").read_bytes() == b"int x;"
    assert sorted(p.name for p in (tmp_path / "x/y").iterdir()) == ["out"]


def test_our_own_folder_is_replaced_and_others_are_not(tmp_path):
    write_folder(tmp_path / "out", FILES)
    write_folder(tmp_path / "out", {"manifest.json": MANIFEST})
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["manifest.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"mine: exists, is not empty and holds no manifest\.json of dcgen's"):
        write_folder(tmp_path / "mine", FILES)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file: exists and is not a folder"):
        check_writable(tmp_path / "file")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_full_disk_or_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch, failure):
    write_folder(tmp_path / "out", FILES)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    real = Path.write_bytes

    def fail(self, data):
        if self.name == "b.c":
            raise failure
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", fail)
    for out in (tmp_path / "out", tmp_path / "new/deep"):
        with pytest.raises((OutputError, KeyboardInterrupt)) as caught:
            write_folder(out, {**FILES, "manifest.json": b"changed"})
        if isinstance(failure, OSError):
            assert f"{out}: cannot be written: No space left on device" in str(caught.value)
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_one_file_is_written_wholly_or_not_at_all(tmp_path, monkeypatch):
    write_file(tmp_path / "x.onnx", b"abc")
    assert (tmp_path / "x.onnx").read_bytes() == b"abc"
    with pytest.raises(OutputError, match="cannot be written"):
        write_file(tmp_path / "none/x.onnx", b"abc")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
    with pytest.raises(OutputError, match="I/O error"):
        write_file(tmp_path / "y.onnx", b"abc")
    assert [p.name for p in tmp_path.iterdir()] == ["x.onnx"]


def test_paths_stay_inside(tmp_path):
    with pytest.raises(OutputError, match=r"\.\./evil: is not a path inside"):
        write_folder(tmp_path / "out", {"../evil": b""})
    assert not list(tmp_path.iterdir())


def test_a_stranger_s_manifest_does_not_make_a_folder_ours(tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    for text in ('{"name": "a web app"}', "[]", "no JSON"):
        (app / "manifest.json").write_text(text)
        with pytest.raises(OutputError, match="replaces only folders of its own"):
            write_folder(app, FILES)
        assert (app / "manifest.json").read_text() == text


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failure_while_folders_change_places_keeps_the_old_one(tmp_path, monkeypatch, failing):
    write_folder(tmp_path / "out", FILES)
    real, calls = Path.rename, []

    def fail(self, target):
        calls.append(self)
        if len(calls) == failing:
            raise OSError(errno.EIO, "I/O error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="I/O error"):
        write_folder(tmp_path / "out", {"manifest.json": b"changed"})
    assert (tmp_path / "out/manifest.json").read_bytes() == MANIFEST
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_the_current_folder_and_a_link_can_be_replaced(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", FILES)
    (tmp_path / "link").symlink_to("out")
    for out in (Path("."), Path("../link")):
        monkeypatch.chdir(tmp_path / "out")
        write_folder(out, {"manifest.json": MANIFEST, "new": b""})
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "new"]


def test_a_temporary_folder_is_gone_whatever_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    real = Path.mkdir

    def stopped_just_after(self, *args, **kwargs):
        real(self, *args, **kwargs)
        raise KeyboardInterrupt

    for fail in (False, True):
        if fail:
            monkeypatch.setattr(Path, "mkdir", stopped_just_after)
        with pytest.raises(KeyboardInterrupt), temporary_folder("dcgen-test-") as folder:
            (folder / "file").write_text("x")
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())
