"""How many bytes of each tensor are not zero: what the kernels that skip zeros have to compute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcgen.quant.execute import execute
from dcgen.quant.qgraph import U8, QGraph

F64 = NDArray[np.float64]


def active_bytes(graph: QGraph, pictures: U8) -> dict[str, F64]:
    """Bytes of each channel that are not zero, as a mean over ``pictures``: float64 [C] by tensor name.

    pictures : camera bytes, uint8 [N, H, W, C]; few, as all tensors of all of them are held at a time
    """
    trace: dict[str, U8] = {}
    execute(graph, pictures, trace=trace)
    return {name: np.count_nonzero(t, axis=(2, 3)).mean(0) for name, t in trace.items()}
