"""Damaged and hostile TFLite files end in one line, with little memory and in little time."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import DcgenError, ModelError
from dcgen.importers import load
from dcgen.importers.tflite_file import MOST_TENSORS
from dcgen.limits import LIMITS
from tests.importers.tflite_files import Op, T, build, constant, small_network

MORE_MEGABYTES = 500
"""Memory that a hostile file may take beyond what dcgen takes without one."""
SECONDS = 5


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ModelError) as error:
        load(path)
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MORE_MEGABYTES << 10
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def mutations(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with up to four bytes or numbers changed, sometimes cut short."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(changed)))
        match rng.integers(5):
            case 0:
                changed[at] = int(rng.integers(256))
            case 1:
                changed[at] ^= 1 << int(rng.integers(8))
            case 2 | 3:
                number = int(rng.choice([0, 1, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, len(changed)]))
                changed[at : at + 4] = number.to_bytes(4, "little")
            case _ if rng.random() < 0.2:
                del changed[max(1, at) :]
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_end_in_one_line(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data, path = small_network(rng), tmp_path / "m.tflite"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for _ in range(750):
        path.write_bytes(mutations(data, rng))
        try:
            load(path)
        except DcgenError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            refused += 1
    assert 100 < refused < 750
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MORE_MEGABYTES << 10


def test_every_beginning_of_a_file_ends_in_one_line(tmp_path: Path) -> None:
    data = small_network(np.random.default_rng(0))
    for end in range(0, len(data) - 8, 37):
        refusal(tmp_path / "m.tflite", data[:end])


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x00" * 8 + b"x" * 100, b"\x1c\x00\x00\x00TFL3", bytes(64)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    assert "TFLite model" in refusal(tmp_path / "m.tflite", data)


def dense(tensors: list[T], operators: list[Op]) -> bytes:
    return build([T("x", (1, 16)), *tensors], operators, ["x"], ["y"])


LAYER = Op("FULLY_CONNECTED", ["x", "w", ""], ["y"], "FullyConnectedOptions")


def test_data_that_does_not_fit_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    weight = np.zeros((4, 16), np.float32)
    for shape in ((4, 17), (1 << 30, 1 << 30), (-4, -16)):
        data = dense([T("w", shape, np.float32, weight), T("y", (1, 4))], [LAYER])
        assert f"tensor w: holds 256 bytes, which float32 of shape {shape} does not have" in refusal(path, data)
    data = dense([T("w", (1,) * 9, np.float32, weight), T("y", (1, 4))], [LAYER])
    assert "tensor w: has 9 axes, expected at most 8" in refusal(path, data)


def test_scales_that_do_not_fit(tmp_path: Path) -> None:
    path, weight = tmp_path / "m.tflite", np.zeros((4, 16), np.int8)
    found = refusal(path, dense([constant("w", weight, [1.0] * 3), T("y", (1, 4))], [LAYER]))
    assert "operator y (FULLY_CONNECTED): its weight of shape (4, 16) has 3 scales on axis 0" in found
    found = refusal(path, dense([constant("w", weight, [1.0] * 99), T("y", (1, 4))], [LAYER]))
    assert "tensor w: has 99 scales and 99 zero points" in found
    found = refusal(path, dense([constant("w", weight, [np.inf]), T("y", (1, 4))], [LAYER]))
    assert "tensor w: has a scale that is NaN or infinite" in found
    found = refusal(path, dense([constant("w", weight + 1, [3e38], [-128]), T("y", (1, 4))], [LAYER]))
    assert "holds a NaN or infinite value" in found


def test_too_many_operators(tmp_path: Path) -> None:
    names = [f"t{i}" for i in range(LIMITS.nodes + 2)]
    operators = [Op("RELU", [a], [b]) for a, b in zip(["x", *names], [*names, "y"], strict=False)]
    tensors = [T(n, (1, 16)) for n in (*names, "y")]
    found = refusal(tmp_path / "m.tflite", dense(tensors, [*operators[:-1], Op("RELU", [names[-1]], ["y"])]))
    assert f"has {len(operators):,} operators, expected at most {LIMITS.nodes:,}" in found


def test_too_many_tensors(tmp_path: Path) -> None:
    tensors = [T(f"t{i}", ()) for i in range(MOST_TENSORS)]
    found = refusal(tmp_path / "m.tflite", dense([*tensors, T("y", (1, 16))], [Op("RELU", ["x"], ["y"])]))
    assert f"has {MOST_TENSORS + 2:,} tensors, expected at most {MOST_TENSORS:,}" in found


def test_one_weight_that_many_layers_read_is_made_once_or_counted(tmp_path: Path) -> None:
    """4 MB of int8, which 400 operators would make 6 GB of floats of."""
    weight = np.ones((2000, 2000), np.int8)
    names = [f"t{i}" for i in range(400)]
    tensors = [T("x", (1, 2000)), T("y", (1, 2000)), constant("w", weight, [0.01])]
    tensors += [T(n, (1, 2000)) for n in names]
    operators = [
        Op("FULLY_CONNECTED", [a, "w", ""], [b], "FullyConnectedOptions")
        for a, b in zip(["x", *names], [*names, "y"], strict=True)
    ]
    found = refusal(tmp_path / "m.tflite", build(tensors, operators, ["x"], ["y"]))
    assert "expected at most 67,108,864 parameters" in found


def test_names_of_several_lines(tmp_path: Path) -> None:
    name = "a\nb" + "c" * 300
    operators = [Op("CUSTOM", ["x"], [name]), Op("RELU", [name], ["y"])]
    found = refusal(tmp_path / "m.tflite", dense([T(name, (1, 16)), T("y", (1, 16))], operators))
    assert f"operator a b{'c' * (LIMITS.name_characters - 3)} (CUSTOM): the operator is not supported" in found
