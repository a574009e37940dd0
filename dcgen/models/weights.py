"""Reads a SqueezeNet's parameters from ``.npz``, ``.safetensors``, ``.pth`` and ``.pt`` files."""

from __future__ import annotations

import json
import math
import struct
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.errors import DAMAGED_ARRAYS, WeightsError
from dcgen.extras import import_torch
from dcgen.ir.graph import F32
from dcgen.models.catalogue import MODELS
from dcgen.models.spec import SqueezeNetSpec, WeightShape

Arrays = dict[str, np.ndarray]
MAX_UNPACKED = 256 << 20
"""Most bytes that an archive may unpack to. The largest network's parameters are a twentieth of it as float64."""


def load_params(path: str | Path, spec: SqueezeNetSpec) -> dict[str, F32]:
    """The parameters of ``spec`` from ``path``, float32, in the order of ``spec.parameters()``.

    Raises WeightsError naming the file and its first array that is missing, unexpected, of the
    wrong shape or not finite.
    """
    path = Path(path)
    return check_params(read_arrays(path), spec, path)


def read_arrays(path: Path) -> Arrays:
    """Every array in the file by name, whatever network it belongs to. Raises WeightsError for a damaged file."""
    readers: dict[str, Callable[[Path], Arrays]] = {
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".pth": _read_torch,
        ".pt": _read_torch,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise WeightsError(path, f"has suffix {path.suffix!r}, expected one of {', '.join(readers)}")
    if not path.is_file():
        raise WeightsError(path, "no such file")
    try:
        return reader(path)
    except OSError as e:
        raise WeightsError(path, f"cannot be read: {e.strerror or e}") from None


def check_params(arrays: Mapping[str, np.ndarray], spec: SqueezeNetSpec, source: object) -> dict[str, F32]:
    """``arrays`` as float32 if they are exactly ``spec``'s parameters, else WeightsError naming ``source``."""
    expected = spec.parameters()
    fit = _owner({name: array.shape for name, array in arrays.items()})
    hint = f"these are the parameters of {fit}" if fit else ""
    params: dict[str, F32] = {}
    for name, shape in expected.items():
        if name not in arrays:
            raise WeightsError(source, f"{spec.name} needs array {name} {shape}, which is missing", hint)
        array = arrays[name]
        if array.shape != shape:
            raise WeightsError(source, f"array {name} of {spec.name} has shape {shape}, found {array.shape}", hint)
        if array.dtype.kind not in "fiu":
            raise WeightsError(source, f"array {name} holds {array.dtype}, expected real numbers")
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, reported below
            params[name] = np.ascontiguousarray(array, dtype=np.float32)
        bad = np.flatnonzero(~np.isfinite(params[name]))
        if bad.size:
            value = params[name].flat[bad[0]]
            raise WeightsError(source, f"array {name} holds {value} at flat index {bad[0]}, expected finite")
    for name in arrays:
        if name not in expected:
            raise WeightsError(source, f"array {name} is not a parameter of {spec.name}", hint)
    return params


def _owner(shapes: Mapping[str, WeightShape]) -> str | None:
    """Name of the known network whose parameters have exactly these names and shapes, if there is one."""
    return next((m.name for m in MODELS if m.spec.parameters() == dict(shapes)), None)


def _read_npz(path: Path) -> Arrays:
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise WeightsError(path, "holds one unnamed array, expected an .npz archive")
        with found as file:
            unpacked = sum(entry.file_size for entry in file.zip.infolist()) if file.zip else 0
            if unpacked > MAX_UNPACKED:
                raise WeightsError(path, f"unpacks to {unpacked} bytes, expected at most {MAX_UNPACKED}")
            return {name: file[name] for name in file.files}
    except DAMAGED_ARRAYS as e:
        raise WeightsError(path, f"is not a readable .npz archive: {e}") from None


_SAFETENSORS_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def _read_safetensors(path: Path) -> Arrays:
    """The arrays of a safetensors file, which is a uint64 length, a JSON header of that many bytes, and the data.

    Each JSON entry gives dtype, shape and ``data_offsets`` [begin, end) from the end of the header.
    """
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8]) if len(data) >= 8 else (len(data),)
    if length > len(data) - 8:
        raise WeightsError(path, f"is not a safetensors file: {len(data)} bytes cannot hold its header")
    body = memoryview(data)[8 + length :]
    try:
        header: dict[str, Any] = json.loads(data[8 : 8 + length])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return {name: _safetensor(path, name, entry, body) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise WeightsError(path, f"is not a safetensors file: faulty header ({e})") from None


def _safetensor(path: Path, name: str, entry: Mapping[str, Any], body: memoryview) -> np.ndarray:
    (begin, end), shape, kind = entry["data_offsets"], entry["shape"], entry["dtype"]
    if kind not in (*_SAFETENSORS_DTYPES, "BF16"):
        raise WeightsError(path, f"array {name} holds {kind}, expected F64, F32, F16 or BF16")
    dtype = np.dtype(_SAFETENSORS_DTYPES.get(kind, "<u2"))
    if not 0 <= begin <= end <= len(body) or math.prod(shape) * dtype.itemsize != end - begin:
        raise WeightsError(path, f"array {name} of shape {shape} does not fit bytes {begin} to {end}")
    array = np.frombuffer(body[begin:end], dtype).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _read_torch(path: Path) -> Arrays:
    """The arrays of a PyTorch file: a state dict, or one under the key ``state_dict`` or ``model``.

    A prefix ``module.`` is removed from the names.
    """
    torch = import_torch(f"to read {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as e:  # torch documents none of the exceptions that a damaged pickle raises
        hint = "a state dict of plain tensors is expected"
        raise WeightsError(path, f"is not a readable PyTorch file ({type(e).__name__})", hint) from None
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise WeightsError(path, f"holds a {type(state).__name__}, expected a state dict")
    arrays: Arrays = {}
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(path, f"entry {name} is a {type(tensor).__name__}, expected a tensor")
        if tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized:
            kind = f"{tensor.layout} {tensor.dtype}"
            raise WeightsError(path, f"array {name} is {kind}, expected dense real numbers")
        # bfloat16 has no NumPy type; float64 holds every other one exactly
        arrays[str(name).removeprefix("module.")] = tensor.detach().to(torch.float64).numpy()
    return arrays
