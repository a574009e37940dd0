"""A sound ``.net`` file of Han's is imported exactly; a damaged one is refused, and the defect named."""

import struct
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import ModelError
from dcgen.importers import load
from dcgen.importers.han import load_han
from dcgen.models.catalogue import V1_0_CAFFE

CONVS = V1_0_CAFFE.convs()


def file_of(entries: dict[str, tuple[list[int], list[int]]], **replaced: np.ndarray) -> bytes:
    """A ``.net`` file with (codes, gaps) for the named layers, none for the others."""
    stored = [len(entries.get(c.name, ([], []))[0]) for c in CONVS]
    parts = [struct.pack("<26I", *stored)]
    for conv in CONVS:
        codes, gaps = entries.get(conv.name, ([], []))
        codebook = replaced.get(conv.name, np.arange(256) / 4).astype("<f4")
        nibbles = [*gaps, 0]
        packed = [nibbles[i] | nibbles[i + 1] << 4 for i in range(0, len(gaps), 2)]
        parts += [codebook.tobytes(), np.full(conv.outputs, 0.5, "<f4").tobytes(), bytes(codes), bytes(packed)]
    return b"".join(parts)


def refused(path: Path, content: bytes, pattern: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelError, match=pattern) as error:
        load_han(path)
    assert str(error.value).startswith(str(path))


def test_entries_lie_a_gap_apart_and_fillers_are_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    path.write_bytes(file_of({"fire2.squeeze": ([3, 0, 7], [2, 15, 4])}))
    ops = dict((n.name, op) for n, op in load_han(path).graph.convs())
    levels = ops["fire2.squeeze"].weight.levels
    assert levels is not None
    flat = levels.indices.ravel()
    assert {int(i): int(flat[i]) for i in np.flatnonzero(flat)} == {2: 3, 2 + 16 + 5: 7}
    assert ops["fire2.squeeze"].weight.values.ravel()[23] == 7 / 4
    assert (ops["fire2.squeeze"].bias == 0.5).all()
    assert not ops["conv1"].weight.values.any()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    sound = file_of({"conv1": ([1, 2], [0, 0])})
    refused(path, b"", "is truncated: stored entries of each layer take 104 bytes at 0, found 0")
    refused(path, sound[:-1], "is truncated: biases of conv10")
    refused(path, sound + b"\0", "has 1 bytes after its last layer")
    refused(path, b"\xff" * 4 + sound[4:], "is truncated: codes of conv1 take 4294967295 bytes")
    refused(path, b"a text file\n" * 50, "is truncated|holds a NaN|begins with")
    size = int(np.prod(CONVS[1].weight_shape))
    far = [15] * (size // 16 + 1)
    refused(path, file_of({"fire2.squeeze": ([1] * len(far), far)}), "reach place .* expected below 1536")
    refused(path, file_of({}, conv1=np.full(256, np.nan)), "conv1 holds a NaN")
    refused(path, file_of({}, conv1=np.ones(256)), "begins with 1.0, expected 0")


def test_the_published_file_is_its_float_decoding(shared: Path) -> None:
    folder = shared / "data" / "deep_compression"
    imported = load(folder / "compressed_SqueezeNet.net")
    decoded = np.load(folder / "squeezenet1_0_deepcompression_decoded_f32.npz")
    ops = dict((n.name, op) for n, op in imported.graph.convs())
    assert imported.preprocess_hint == "caffe"
    assert ops["conv10"].pads == (1, 1, 1, 1)
    for conv in CONVS:
        assert np.array_equal(ops[conv.name].weight.values, decoded[f"{conv.prefix}.weight"])
        assert np.array_equal(ops[conv.name].bias, decoded[f"{conv.prefix}.bias"])
        assert ops[conv.name].weight.levels is not None


def test_the_zeros_of_the_published_file_give_back_its_gaps(shared: Path) -> None:
    """A filler stands at every 16th place of a longer run, so zeros and codes determine the gaps."""
    path = shared / "data" / "deep_compression" / "compressed_SqueezeNet.net"
    stored = np.frombuffer(path.read_bytes(), "<u4", len(CONVS))
    for (node, op), entries in zip(load_han(path).graph.convs(), stored, strict=True):
        places = np.flatnonzero(op.weight.levels.indices)
        runs = np.diff(places, prepend=-1) - 1
        assert len(places) + (runs // 16).sum() == entries, node.name
