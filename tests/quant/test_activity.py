"""Bytes that are not zero are counted by channel."""

from __future__ import annotations

import numpy as np

from dcgen.quant.activity import active_bytes
from dcgen.quant.execute import execute
from tests.firmware.nets import pictures, rectified


def test_means_over_pictures_of_every_tensor() -> None:
    graph = rectified(12, (7, 9), 4, 0.2)
    camera = pictures(graph, 3)
    trace: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
    execute(graph, camera, trace=trace)
    found = active_bytes(graph, camera)
    assert found.keys() == graph.tensors.keys()
    for name, tensor in trace.items():
        by_hand = [sum(int(byte != 0) for byte in tensor[:, c].flat) / 3 for c in range(tensor.shape[1])]
        assert found[name].tolist() == by_hand
    assert not found["rare"][::5].any()
    assert 0.1 < found["rare"].sum() / (12 * 7 * 9) < 0.3
