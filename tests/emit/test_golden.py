"""Check values: order of rows does not matter, place and bytes do."""

from __future__ import annotations

import zlib

import numpy as np

from dcgen.emit.golden import check_value

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
