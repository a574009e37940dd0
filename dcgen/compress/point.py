"""A point: a quantized network without its graph, as it is kept in a file to be compiled later."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgen.errors import ConfigError
from dcgen.ir.graph import F32, Graph, Levels, Weight
from dcgen.ir.verify import verify
from dcgen.reading import damage, read_npz

LEAST_STEP = 2.0**-100
"""Least step of a codebook in a file, and 1 / the largest: float32 holds its multiples and products. Levels on no
uniform grid have magnitudes between these, too."""


@dataclass(frozen=True, eq=False)
class Point:
    """Everything in which a quantized network differs from its float one.

    weights, biases : by Conv node
    bits : estimated size of the coded levels in the blob, without tables and biases
    loss_of_error : the metric's loss over its ``score_error``, both on the pictures that the levels were made
        from; None where it is not known, as for a point from a file
    """

    weights: Mapping[str, Weight]
    biases: Mapping[str, F32]
    bits: float
    loss_of_error: float | None = None

    def applied(self, graph: Graph) -> Graph:
        """The graph with these weights and biases."""
        return verify(graph.with_weights(self.weights, self.biases))

    @property
    def density(self) -> float:
        """Share of weights that are not zero."""
        sizes = [(np.count_nonzero(w.values), w.values.size) for w in self.weights.values()]
        return float(sum(a for a, _ in sizes) / sum(b for _, b in sizes))


def fingerprint(graph: Graph) -> str:
    """SHA-256, in hexadecimal, of the convolutions of a float graph: names, shapes, weights and biases."""
    found = hashlib.sha256()
    for node, conv in graph.convs():
        found.update(f"{node.name} {conv.weight.values.shape}".encode())
        found.update(np.ascontiguousarray(conv.weight.values).tobytes())
        found.update(np.ascontiguousarray(conv.bias).tobytes())
    return found.hexdigest()


def point_arrays(point: Point, graph: Graph) -> dict[str, np.ndarray]:
    """The point as the arrays of an .npz file.

    graph : the float network that the point was made from

    ``graph`` is its fingerprint and ``bits`` is ``Point.bits``. Of each convolution there are ``NAME.levels``,
    uint8 OIHW, indices into ``NAME.codebook``: int16, multiples of ``NAME.step``, float64; or float64, the levels
    themselves, where there is no ``NAME.step`` as they lie on no uniform grid. Where weights have no levels there
    is ``NAME.weight``, float32 OIHW. ``NAME.bias`` is float32 [O].
    """
    arrays: dict[str, np.ndarray] = {"graph": np.array(fingerprint(graph)), "bits": np.array(point.bits)}
    for name, weight in point.weights.items():
        levels = weight.levels
        arrays[f"{name}.bias"] = point.biases[name]
        if levels is None:
            arrays[f"{name}.weight"] = weight.values
            continue
        assert levels.channel_scale is None
        arrays[f"{name}.levels"] = levels.indices
        if levels.step is None:
            arrays[f"{name}.codebook"] = levels.codebook
            continue
        arrays[f"{name}.codebook"] = levels.multiples
        arrays[f"{name}.step"] = np.array(levels.step)
    return arrays


def point_bytes(point: Point, graph: Graph) -> bytes:
    """``point_arrays`` as an .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **point_arrays(point, graph))
    return buffer.getvalue()


def read_point(path: Path, graph: Graph) -> Point:
    """The point in a file.

    graph : the float network that the point was made from

    Raises ConfigError for a file that holds no point, or one that was made from another network.
    """
    problem = "is no point of a frontier"
    arrays = read_npz(path, ConfigError, problem)
    with damage(path, ConfigError, problem):
        if str(arrays.get("graph")) != fingerprint(graph):
            raise ConfigError(path, "belongs to another model, other weights or other preprocessing")
        weights, biases = {}, {}
        for node, conv in graph.convs():
            bias = arrays[f"{node.name}.bias"]
            if bias.shape != conv.bias.shape or bias.dtype != np.float32:
                raise ValueError(f"{node.name} has biases {bias.dtype} {bias.shape}")
            weights[node.name] = _weight(arrays, node.name, conv.weight.values.shape)
            biases[node.name] = bias
        return Point(weights, biases, float(arrays["bits"]))


def _weight(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> Weight:
    """The weight of a convolution in a point's arrays. Raises ValueError or KeyError where they are damaged."""
    if (values := arrays.get(f"{name}.weight")) is not None:
        if values.shape != shape or values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{name} has weights {values.dtype} {values.shape}, or some that are not finite")
        return Weight(values)
    codebook, indices = (arrays[f"{name}.{key}"] for key in ("codebook", "levels"))
    step = arrays.get(f"{name}.step")
    kind = np.float64 if step is None else np.int16
    if indices.shape != shape:
        raise ValueError(f"{name} has weights {indices.shape}")
    if codebook.dtype != kind or codebook.ndim != 1 or not 1 <= len(codebook) <= 256 or codebook[0] != 0:
        raise ValueError(f"{name} has no codebook of {kind.__name__} that begins with 0")
    if indices.dtype != np.uint8 or indices.max(initial=0) >= len(codebook):
        raise ValueError(f"{name} has levels outside of its codebook")
    if step is None:
        sizes = np.abs(codebook[codebook != 0])
        if not ((sizes >= LEAST_STEP) & (sizes <= 1 / LEAST_STEP)).all():
            raise ValueError(f"{name} has levels that are not finite, too small or too large")
        return Weight.of(Levels(codebook, indices))
    if not LEAST_STEP <= (size := float(step)) <= 1 / LEAST_STEP:
        raise ValueError(f"{name} has steps of {size:g}")
    return Weight.of(Levels(codebook.astype(np.float64) * size, indices, step=size))
