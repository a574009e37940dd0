"""A quantized network in a file of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcgen.compress.goals import prices
from dcgen.compress.point import Point, point_arrays, point_bytes, read_point
from dcgen.compress.recipes import recipe
from dcgen.errors import ConfigError
from tests.compress.nets import evidence, net


@pytest.fixture(scope="module")
def point() -> Point:
    quantizer = recipe("second-order").quantizer(net(), evidence())
    return quantizer.at(prices(quantizer, 1e-7, 0.0), "point")


def test_a_point_comes_back_as_it_was(point: Point, tmp_path: Path) -> None:
    file = tmp_path / "point.npz"
    file.write_bytes(point_bytes(point, net()))
    again = read_point(file, net())
    assert again.bits == point.bits and again.density == point.density
    for name, weight in point.weights.items():
        np.testing.assert_array_equal(again.weights[name].values, weight.values)
        np.testing.assert_array_equal(again.biases[name], point.biases[name])


def test_other_weights_and_other_files_are_refused(point: Point, tmp_path: Path) -> None:
    file = tmp_path / "point.npz"
    file.write_bytes(point_bytes(point, net()))
    with pytest.raises(ConfigError, match="belongs to another model"):
        read_point(file, point.applied(net()))
    with pytest.raises(ConfigError, match="no such file"):
        read_point(tmp_path / "none.npz", net())
    file.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="is no point of a frontier"):
        read_point(file, net())
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3))
    with pytest.raises(ConfigError, match="is no point of a frontier"):
        read_point(file, net())


def test_a_damaged_point_is_refused_or_read(point: Point, tmp_path: Path) -> None:
    file, whole, rng, refused = tmp_path / "point.npz", point_bytes(point, net()), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] = int(rng.integers(256))
        file.write_bytes(damaged)
        try:
            read_point(file, net())
        except ConfigError:
            refused += 1
    assert refused > 150


def test_a_level_outside_of_its_codebook_is_refused(point: Point, tmp_path: Path) -> None:
    file = tmp_path / "point.npz"
    file.write_bytes(point_bytes(point, net()))
    with np.load(file) as found:
        arrays = dict(found)
    arrays["a.codebook"] = arrays["a.codebook"][:1]
    np.savez(file, **arrays)
    with pytest.raises(ConfigError, match="a has levels outside of its codebook"):
        read_point(file, net())


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("step", np.array(-1.0), "has steps of -1"),
        ("step", np.array(0.0), "has steps of 0"),
        ("step", np.array(np.nan), "has steps of nan"),
        ("step", np.array(1e-300), "has steps of 1e-300"),
        ("codebook", np.array([[0], [1]], np.int16), "has no codebook of int16"),
        ("codebook", np.array([0.0, 1e30]), "has no codebook of int16"),
        ("codebook", np.array([], np.int16), "has no codebook of int16"),
        ("bias", np.array(["a"] * 6), "biases"),
    ],
)
def test_numbers_that_no_point_has(
    point: Point, tmp_path: Path, key: str, value: np.ndarray, problem: str
) -> None:
    name = next(iter(point.weights))
    arrays = {**point_arrays(point, net()), f"{name}.{key}": value}
    np.savez(tmp_path / "point.npz", **arrays)
    with pytest.raises(ConfigError, match=problem):
        read_point(tmp_path / "point.npz", net())
