"""Check values depend on the place and the bytes of rows, not on their order; golden data comes back from
files."""

from __future__ import annotations

import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from dcgen.emit.golden import Golden, check_value
from dcgen.errors import PictureError
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QConcat
from tests.firmware.nets import every_operator, pictures

PLANES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_is_the_sum_of_the_rows_crcs() -> None:
    one = np.array([[[7, 8]]], np.uint8)
    assert check_value(0x0102, one) == zlib.crc32(bytes([2, 1, 0, 0, 0, 0, 7, 8]))
    rows = [zlib.crc32(bytes([9, 0, c, 0, y, 0]) + PLANES[c, y].tobytes()) for c in range(2) for y in range(3)]
    assert check_value(9, PLANES) == sum(reversed(rows)) % 2**32


def test_sees_exchanged_rows_channels_and_nodes() -> None:
    values = {
        check_value(0, PLANES),
        check_value(1, PLANES),
        check_value(0, PLANES[::-1]),
        check_value(0, PLANES[:, ::-1]),
    }
    assert len(values) == 4


def test_golden_runs_the_network_and_leaves_untraced_nodes_out() -> None:
    graph = every_operator(1)
    camera = pictures(graph, 2)
    golden = Golden.of(graph, camera)
    trace: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
    np.testing.assert_array_equal(golden.scores, execute(graph, camera, trace))
    for i, node in enumerate(graph.nodes):
        untraced = isinstance(node.op, QConcat) or i == len(graph.nodes) - 1
        assert golden.checks[i] == (0 if untraced else check_value(i, trace[node.name][0]))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back_from_their_files(channels: int) -> None:
    camera = np.random.default_rng(0).integers(0, 256, (2, 5, 7, channels), dtype=np.uint8)
    files = Golden(camera, np.array([[1, -2], [3, 4]], np.int32), {}, ()).files()
    assert json.loads(files["scores.json"]) == {"picture_000.png": [1, -2], "picture_001.png": [3, 4]}
    back = np.asarray(Image.open(io.BytesIO(files["picture_001.png"]))).reshape(5, 7, channels)
    np.testing.assert_array_equal(back, camera[1])


def test_no_picture() -> None:
    graph = every_operator(1)
    with pytest.raises(PictureError, match="net 1: has no picture for its self-test"):
        Golden.of(graph, pictures(graph, 0))
