"""Reads a SqueezeNet's parameters from ``.npz``, ``.safetensors``, ``.pth`` and ``.pt`` files."""

from __future__ import annotations

import io
import math
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dcgen.errors import WeightsError
from dcgen.extras import import_torch
from dcgen.ir.graph import F32
from dcgen.limits import LIMITS, Budget
from dcgen.models.catalogue import MODELS
from dcgen.models.spec import SqueezeNetSpec, WeightShape
from dcgen.reading import damage, parse_json, read_archive, read_bytes, read_npz

Arrays = dict[str, np.ndarray]


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
    return reader(path)


def check_params(arrays: Mapping[str, np.ndarray], spec: SqueezeNetSpec, source: object) -> dict[str, F32]:
    """``arrays`` as float32 if they are exactly ``spec``'s parameters, else WeightsError naming ``source``."""
    return check_arrays(arrays, spec.parameters(), spec.name, source)


def check_arrays(
    arrays: Mapping[str, np.ndarray], expected: Mapping[str, WeightShape], network: str, source: object
) -> dict[str, F32]:
    """``arrays`` as float32 if they have exactly the ``expected`` names and shapes, those of ``network``, else
    WeightsError naming ``source``."""
    fit = _owner({name: array.shape for name, array in arrays.items()})
    hint = f"these are the parameters of {fit}" if fit else ""
    params: dict[str, F32] = {}
    for name, shape in expected.items():
        if name not in arrays:
            raise WeightsError(source, f"{network} needs array {name} {shape}, which is missing", hint)
        array = arrays[name]
        if array.shape != shape:
            raise WeightsError(source, f"array {name} of {network} has shape {shape}, found {array.shape}", hint)
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
            raise WeightsError(source, f"array {name} is not a parameter of {network}", hint)
    return params


def _owner(shapes: Mapping[str, WeightShape]) -> str | None:
    """Name of the known network whose parameters have exactly these names and shapes, if there is one."""
    return next((m.name for m in MODELS if m.spec.parameters() == dict(shapes)), None)


def _read_npz(path: Path) -> Arrays:
    if read_bytes(path, WeightsError).startswith(b"\x93NUMPY"):
        raise WeightsError(path, "holds one unnamed array, expected an .npz archive")
    return read_npz(path, WeightsError)


_SAFETENSORS_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def _read_safetensors(path: Path) -> Arrays:
    """The arrays of a safetensors file, which is a uint64 length, a JSON header of that many bytes, and the data.

    Each JSON entry gives dtype, shape and ``data_offsets`` [begin, end) from the end of the header.
    """
    data = read_bytes(path, WeightsError)
    (length,) = struct.unpack("<Q", data[:8]) if len(data) >= 8 else (len(data),)
    if length > len(data) - 8:
        raise WeightsError(path, f"is not a safetensors file: {len(data)} bytes cannot hold its header")
    if length > LIMITS.text_bytes:
        raise WeightsError(path, f"is not a safetensors file: its header has {length:,} bytes")
    header = parse_json(data[8 : 8 + length], path, WeightsError)
    budget = Budget(path, len(data), WeightsError)
    with damage(path, WeightsError, "is not a safetensors file: faulty header"):
        entries = {str(name): entry for name, entry in header.items() if name != "__metadata__"}
        body = memoryview(data)[8 + length :]
        return {name: _safetensor(path, name, entry, body, budget) for name, entry in entries.items()}


def _safetensor(path: Path, name: str, entry: Mapping[str, Any], body: memoryview, budget: Budget) -> np.ndarray:
    (begin, end), shape, kind = entry["data_offsets"], entry["shape"], entry["dtype"]
    if kind not in (*_SAFETENSORS_DTYPES, "BF16"):
        raise WeightsError(path, f"array {name} holds {kind}, expected F64, F32, F16 or BF16")
    dtype = np.dtype(_SAFETENSORS_DTYPES.get(kind, "<u2"))
    if not 0 <= begin <= end <= len(body) or math.prod(shape) * dtype.itemsize != end - begin:
        raise WeightsError(path, f"array {name} of shape {shape} does not fit bytes {begin} to {end}")
    budget.charge(2 * (end - begin), f"array {name}")
    array = np.frombuffer(body[begin:end], dtype).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array


_STATE_DICT_GLOBALS = {
    *("collections OrderedDict", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"),
    *("torch._utils _rebuild_parameter", "torch.nn.parameter Parameter", "torch Size"),
    *(f"torch {kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char")),
    *("torch ByteStorage", "torch BoolStorage", "torch.storage UntypedStorage", "torch._utils _rebuild_tensor_v3"),
    *(f"torch {kind}" for kind in ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")),
    *(f"torch {kind}" for kind in ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "bool")),
}
"""What the pickle of a state dict of plain tensors names. PyTorch itself would also call functions that make a
terabyte of one byte."""


def _read_torch(path: Path) -> Arrays:
    """The arrays of a PyTorch file: a state dict, or one under the key ``state_dict`` or ``model``.

    A prefix ``module.`` is removed from the names.
    """
    data = read_bytes(path, WeightsError)
    data = _checked_archive(path) if data[:2] == b"PK" else _checked_pickles(path, data)
    budget = Budget(path, len(data), WeightsError)
    torch = import_torch(f"to read {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as e:  # torch documents none of the exceptions that a damaged pickle raises
        raise WeightsError(path, f"{_NO_STATE_DICT} ({type(e).__name__})", _PLAIN) from None
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise WeightsError(path, f"holds a {type(state).__name__}, expected a state dict")
    arrays: Arrays = {}
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise WeightsError(path, f"has a {type(name).__name__} for a name", _PLAIN)
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(path, f"entry {name} is a {type(tensor).__name__}, expected a tensor")
        if tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized:
            kind = f"{tensor.layout} {tensor.dtype}"
            raise WeightsError(path, f"array {name} is {kind}, expected dense real numbers")
        budget.charge(8 * tensor.numel(), f"array {name} of shape {tuple(tensor.shape)}")
        # bfloat16 has no NumPy type; float64 holds every other one exactly
        arrays[name.removeprefix("module.")] = tensor.detach().to(torch.float64).numpy()
    return arrays


MOST_TUPLES = 5_000
"""Tuples in the pickle of a state dict, four of each tensor. The largest SqueezeNet has 68 tensors."""
_NO_STATE_DICT = "is not a readable PyTorch file"
_PLAIN = "a state dict of plain tensors is expected"


def _checked_archive(path: Path) -> bytes:
    """The archive that ``torch.save`` wrote, packed anew, so that PyTorch reads what was checked."""
    files = read_archive(path, WeightsError, _NO_STATE_DICT, _PLAIN)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            if name.endswith(".pkl"):
                _check_pickle(path, io.BytesIO(data))
            archive.writestr(name, data)
    return packed.getvalue()


def _checked_pickles(path: Path, data: bytes) -> bytes:
    """A file from before PyTorch 1.6: magic number, version, platform, state dict and keys, each a pickle."""
    file = io.BytesIO(data)
    for _ in range(5):
        _check_pickle(path, file)
    return data


def _check_pickle(path: Path, file: io.BytesIO) -> None:
    """Raise WeightsError where the pickle at the front of ``file`` is damaged or names anything but tensors.

    Nor may it use a tuple twice: tuples that hold one tuple twice, forty levels deep, take forever as a key. Of
    thousands of levels Python exhausts its stack.
    """
    kept, top, tuples = set[object](), "", 0
    with damage(path, WeightsError, _NO_STATE_DICT):
        for code, argument, _ in pickletools.genops(file):
            if code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                kept |= {argument} if top.startswith("TUPLE") else set()
            elif code.name not in ("PROTO", "FRAME"):
                top = code.name
                tuples += top.startswith("TUPLE")
            if tuples > MOST_TUPLES:
                raise WeightsError(path, f"{_NO_STATE_DICT}: its pickle makes more than {MOST_TUPLES:,} tuples")
            if code.name in ("GET", "BINGET", "LONG_BINGET") and argument in kept:
                raise WeightsError(path, f"{_NO_STATE_DICT}: its pickle uses a tuple twice", _PLAIN)
            if code.name == "GLOBAL" and argument not in _STATE_DICT_GLOBALS:
                raise WeightsError(path, f"{_NO_STATE_DICT}: its pickle names {argument}", _PLAIN)
            if code.name in (
                "DUP",
                "MEMOIZE",
                "STACK_GLOBAL",
                "INST",
                "OBJ",
                "NEWOBJ",
                "NEWOBJ_EX",
                "EXT1",
                "EXT2",
                "EXT4",
            ):
                raise WeightsError(path, f"{_NO_STATE_DICT}: its pickle holds {code.name}", _PLAIN)
