"""Output folders are written wholly or not at all."""

import errno
import json
import os
from pathlib import Path

import pytest

from dcgen.errors import OutputError
from dcgen.files import check_writable, listing, temporary_folder, write_file, write_folder

MANIFEST = b'{"dcgen": "0"}'


def output(**files: bytes) -> dict[str, bytes]:
    """Files with a manifest that lists them; a double underscore in a name stands for a slash."""
    named = {name.replace("__", "/"): data for name, data in files.items()}
    manifest = json.dumps({"dcgen": "0", "files": listing(named)}).encode()
    return {"manifest.json": manifest, **named}


FILES = output(**{"a/b.c": b"int x;"})


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
    assert (tmp_path / "out/manifest.json").read_bytes() == FILES["manifest.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_the_current_folder_and_a_link_can_be_replaced(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", FILES)
    (tmp_path / "link").symlink_to("out")
    for out in (Path("."), Path("../link")):
        monkeypatch.chdir(tmp_path / "out")
        write_folder(out, output(new=b""))
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "new"]


def test_what_the_manifest_does_not_list_is_the_user_s_and_stays(tmp_path):
    out = tmp_path / "out"
    write_folder(out, output(**{"model.dcb": b"1", "firmware/old.c": b"old", "gone/x": b"x"}))
    out.chmod(0o750)
    (out / "notes.txt").write_text("mine")
    (out / "firmware/build/deep").mkdir(parents=True)
    (out / "firmware/build/deep/x.o").write_text("object")
    (out / "empty").mkdir()
    (out / "link").symlink_to("/nowhere")
    (out / "secret").write_text("s")
    (out / "secret").chmod(0o600)
    before = (out / "notes.txt").stat()
    write_folder(out, output(**{"model.dcb": b"2", "firmware/new.c": b"new"}))
    found = {str(p.relative_to(out)) for p in out.rglob("*")}
    assert found == {
        *("manifest.json", "model.dcb", "firmware", "firmware/new.c", "notes.txt", "empty", "link", "secret"),
        *("firmware/build", "firmware/build/deep", "firmware/build/deep/x.o"),
    }
    assert (out / "model.dcb").read_bytes() == b"2" and (out / "notes.txt").read_text() == "mine"
    assert os.readlink(out / "link") == "/nowhere"
    assert (out / "notes.txt").stat().st_mtime_ns == before.st_mtime_ns
    assert (out / "secret").stat().st_mode & 0o777 == 0o600 and out.stat().st_mode & 0o777 == 0o750
    assert (out / "notes.txt").stat().st_nlink == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_user_s_file_in_the_way_stops_the_work_before_it_begins(tmp_path):
    out = tmp_path / "out"
    write_folder(out, output(**{"model.dcb": b"1", "firmware/x.c": b"old"}))
    (out / "float.onnx").write_text("mine")
    with pytest.raises(OutputError, match=r"float.onnx: is not dcgen's, and an output must go there"):
        check_writable(out, ("model.dcb", "float.onnx"))
    (out / "float.onnx").unlink()
    (out / "rtl").write_text("mine")
    with pytest.raises(OutputError, match=r"rtl: is not dcgen's"):
        write_folder(out, output(**{"rtl/x.v": b""}))
    (out / "rtl").unlink()
    (out / "rtl").symlink_to(tmp_path)
    with pytest.raises(OutputError, match=r"rtl: is not dcgen's"):
        write_folder(out, output(**{"rtl/x.v": b""}))
    (out / "rtl").unlink()
    (out / "new.c").mkdir()
    (out / "new.c/mine").write_text("mine")
    with pytest.raises(OutputError, match=r"new.c: is not dcgen's"):
        write_folder(out, output(**{"new.c": b""}))
    assert (out / "new.c/mine").read_text() == "mine" and (out / "model.dcb").read_bytes() == b"1"


@pytest.mark.parametrize("edit", ["text", "link", "folder"])
def test_a_listed_file_that_was_changed_is_the_user_s(tmp_path, edit):
    out = tmp_path / "out"
    write_folder(out, FILES)
    (out / "a/b.c").unlink()
    if edit == "text":
        (out / "a/b.c").write_text("int y;")
    elif edit == "link":
        (tmp_path / "same").write_bytes(FILES["a/b.c"])
        (out / "a/b.c").symlink_to(tmp_path / "same")
    else:
        (out / "a/b.c").mkdir()
    with pytest.raises(OutputError, match=r"a/b.c: is not as dcgen wrote it \(move it away"):
        check_writable(out)
    assert os.path.lexists(out / "a/b.c")


def test_a_file_that_became_a_folder_of_ours_is_replaced(tmp_path):
    out = tmp_path / "out"
    write_folder(out, output(**{"x": b"1", "y/z": b"2"}))
    write_folder(out, output(**{"x/a": b"3", "y": b"4"}))
    assert (out / "x/a").read_bytes() == b"3" and (out / "y").read_bytes() == b"4"


def test_a_manifest_without_a_list_gives_away_only_what_is_written_anew(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name, text in {"manifest.json": '{"dcgen": "0.1"}', "model.dcb": "old", "thesis.txt": "mine"}.items():
        (out / name).write_text(text)
    write_folder(out, output(**{"model.dcb": b"new"}))
    assert (out / "thesis.txt").read_text() == "mine" and (out / "model.dcb").read_bytes() == b"new"


@pytest.mark.parametrize(
    "files", [["../../x", "/etc/passwd", 5, "no digest", None, "0  a/../../x", "0  a\0b"], {}, "x"]
)
def test_a_forged_list_names_nothing_outside(tmp_path, files):
    (tmp_path / "x").write_text("mine")
    out = tmp_path / "out"
    write_folder(out, FILES)
    (out / "manifest.json").write_text(json.dumps({"dcgen": "0", "files": files}))
    write_folder(out, output(new=b""))
    assert (tmp_path / "x").read_text() == "mine"
    assert sorted(p.name for p in out.iterdir()) == ["a", "manifest.json", "new"]


def test_files_are_copied_where_there_are_no_links(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_folder(out, FILES)
    (out / "mine").write_text("mine")
    monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    write_folder(out, FILES)
    assert (out / "mine").read_text() == "mine"


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


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_one_file_does_not_replace_what_is_no_file(tmp_path, kind):
    path = tmp_path / "model.onnx"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    before = path.stat()
    with pytest.raises(OutputError, match=r"model.onnx: is no regular file \(name another file\)"):
        write_file(path, b"data")
    assert path.stat().st_ino == before.st_ino
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_user_s_folders_keep_their_permissions(tmp_path):
    out = tmp_path / "out"
    write_folder(out, output())
    (out / "private" / "empty").mkdir(parents=True)
    (out / "private" / "key").write_text("secret")
    (out / "private" / "empty").chmod(0o711)
    (out / "private").chmod(0o700)
    write_folder(out, output())
    modes = [(out / name).stat().st_mode & 0o777 for name in ("private", "private/empty")]
    assert modes == [0o700, 0o711]
    assert (out / "private" / "key").read_text() == "secret"
