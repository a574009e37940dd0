"""A quantized network in a file of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcgen.compress.goals import prices
from dcgen.compress.point import Point, point_arrays, point_bytes, read_point
from dcgen.compress.recipes import recipe
from dcgen.compress.share import share
from dcgen.errors import ConfigError
from dcgen.ir.graph import Weight
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


@pytest.fixture
def shared() -> Point:
    """Weights of few values that are on no uniform grid."""
    rng, weights, biases = np.random.default_rng(0), {}, {}
    for node, conv in net().convs():
        weights[node.name] = Weight.of(share(conv.weight.values, 3, "density", rng))
        biases[node.name] = conv.bias
    return Point(weights, biases, 0.0)


def test_levels_on_no_grid_come_back_as_they_were(shared: Point, tmp_path: Path) -> None:
    file = tmp_path / "point.npz"
    file.write_bytes(point_bytes(shared, net()))
    again = read_point(file, net())
    for name, weight in shared.weights.items():
        found, wanted = again.weights[name].levels, weight.levels
        assert found is not None and wanted is not None and found.step is None
        np.testing.assert_array_equal(found.codebook, wanted.codebook)
        np.testing.assert_array_equal(found.indices, wanted.indices)
        np.testing.assert_array_equal(again.weights[name].values, weight.values)


@pytest.mark.parametrize(
    ("codebook", "problem"),
    [
        (np.array([1.0, 2.0]), "has no codebook of float64 that begins with 0"),
        (np.zeros(257), "has no codebook of float64"),
        (np.array([0, 1], np.int16), "has no codebook of float64"),
        (np.array([0.0] * 7 + [np.nan]), "has levels that are not finite, too small or too large"),
        (np.array([0.0] * 7 + [np.inf]), "has levels that are not finite"),
        (np.array([0.0] * 7 + [1e-300]), "has levels that are not finite"),
        (np.array([0.0] * 7 + [1e300]), "has levels that are not finite"),
        (np.array([0.0]), "has levels outside of its codebook"),
    ],
)
def test_levels_that_no_point_has(shared: Point, tmp_path: Path, codebook: np.ndarray, problem: str) -> None:
    name = next(iter(shared.weights))
    arrays = {**point_arrays(shared, net()), f"{name}.codebook": codebook}
    np.savez(tmp_path / "point.npz", **arrays)
    with pytest.raises(ConfigError, match=f"{name} {problem}"):
        read_point(tmp_path / "point.npz", net())


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
