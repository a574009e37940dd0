"""A checkpoint comes back as it was, is whole at any time, and is refused where it does not belong."""

import os

import numpy as np
import pytest

from dcgen.errors import ConfigError, OutputError
from dcgen.train.checkpoint import resume, save

ARRAYS = {"a.b": np.arange(6, dtype=np.int16).reshape(2, 3), "empty": np.zeros((0, 2), np.float32)}


def both(facts, arrays):
    return facts, arrays


def test_facts_and_arrays_come_back_as_they_were(tmp_path):
    file = tmp_path / "new" / "folder" / "work.npz"
    assert resume(file, "key", both) is None
    save(file, "key", {"price": 0.1, "rounds": [{"best": True}]}, ARRAYS)
    facts, arrays = resume(file, "key", both)
    assert facts == {"price": 0.1, "rounds": [{"best": True}]} and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_another_key_is_refused(tmp_path):
    save(tmp_path / "work.npz", "key", {}, {})
    with pytest.raises(ConfigError, match=r"work.npz: is a training of another network, .* another folder"):
        resume(tmp_path / "work.npz", "other", both)


@pytest.mark.parametrize("cause", [AttributeError("x"), KeyError("x"), TypeError(), ValueError()])
def test_what_cannot_be_read_is_no_checkpoint(tmp_path, cause):
    def read(facts, arrays):
        raise cause

    save(tmp_path / "work.npz", "key", {}, ARRAYS)
    with pytest.raises(ConfigError, match=r"work.npz: is no checkpoint: .*remove it"):
        resume(tmp_path / "work.npz", "key", read)


def test_damaged_and_other_files_are_no_checkpoints(tmp_path):
    file = tmp_path / "work.npz"
    save(file, "key", {}, ARRAYS)
    whole = file.read_bytes()
    for damaged in (b"", b"{}", whole[:-100], whole[:200] + bytes(100) + whole[300:], b"PK" + bytes(100)):
        file.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"work.npz: is no checkpoint: .*remove it"):
            resume(file, "key", both)
    for about in ({}, {"about": np.array("[]")}, {"about": np.array("{}")}, {"about": np.array("{")}):
        np.savez(file, **about)
        with pytest.raises(ConfigError, match=r"work.npz: is no checkpoint: .*remove it"):
            resume(file, "key", both)


def test_the_file_before_stays_whole_until_the_next_one_is(tmp_path, monkeypatch):
    save(tmp_path / "work.npz", "key", {"round": 1}, ARRAYS)
    with monkeypatch.context() as stopped, pytest.raises(OutputError, match="a checkpoint cannot be written"):
        stopped.setattr(os, "replace", _full_disk)
        save(tmp_path / "work.npz", "key", {"round": 2}, ARRAYS)
    assert resume(tmp_path / "work.npz", "key", both)[0] == {"round": 1}


def _full_disk(source, target):
    raise OSError(28, "No space left on device")
