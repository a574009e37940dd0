"""Preprocessing: camera bytes become a network's input, and settings that make no sense are refused."""

import numpy as np
import pytest

from dcgen.errors import ConfigError
from dcgen.pictures import digest, digests, explicit, preset, with_size

CAFFE, TORCH = preset("caffe"), preset("torchvision")


def test_bgr_networks_read_the_rgb_camera_backwards():
    picture = np.arange(3, dtype=np.uint8).reshape(1, 1, 1, 3) + 200
    np.testing.assert_allclose(CAFFE.normalise(picture)[0, :, 0, 0], [202 - 104, 201 - 117, 200 - 123])
    np.testing.assert_allclose(CAFFE.centred(picture)[0, :, 0, 0], [200 - 123, 201 - 117, 202 - 104])
    np.testing.assert_allclose(TORCH.normalise(picture)[0, 0, 0, 0], (200 / 255 - 0.485) / 0.229, rtol=1e-5)


def test_preprocessing_settings_are_checked():
    with pytest.raises(
        ConfigError, match="nosuch: is not a preprocessing preset; there are caffe, torchvision, digits"
    ):
        preset("nosuch")
    with pytest.raises(ConfigError, match="order bgr needs 3 means"):
        explicit("bgr", (1.0,), (1.0,), "squash", None, 8)
    for bad in (0.0, -1.0, 1e-300, float("nan")):
        with pytest.raises(ConfigError, match="std: must be 1e-06 to 1e"):
            explicit("grey", (1.0,), (bad,), "squash", None, 8)
    for bad in (1e300, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"mean: must be -1e\+06 to 1e\+06, not"):
            explicit("grey", (bad,), (1.0,), "squash", None, 8)
    with pytest.raises(ConfigError, match="fit: must be squash or short-side"):
        explicit("grey", (1.0,), (1.0,), "stretch", None, 8)
    with pytest.raises(ConfigError, match="order: must be rgb, bgr, grey or as-is, not 'yuv'"):
        explicit("yuv", (1.0,), (1.0,), "squash", None, 8)
    with pytest.raises(ConfigError, match="input size: must be 1 to 4096"):
        with_size(CAFFE, 0)
    assert with_size(CAFFE, 300).resize == 300 and with_size(CAFFE, 128).resize == 256
    uncropped = explicit("grey", (0.0,), (1.0,), "squash", None, 224)
    assert with_size(uncropped, 16).resize == 16


def test_a_digest_tells_sets_of_pictures_apart():
    a = np.zeros((2, 3, 3, 3), np.uint8)
    b = a.copy()
    b[1, 2, 2, 2] = 1
    assert digest(a) == digest(a.copy()) != digest(b)
    assert digests(b) == (digest(a[0]), digest(b[1])) and digests(a)[0] == digests(a)[1]


@pytest.mark.parametrize(
    ("order", "mean", "std", "line"),
    [
        (
            "rgb",
            (0.485, 0.456, 0.406),
            (0.229, 0.224, 0.225),
            "`mean` 123.675,116.28,103.53 `std` 58.395,57.12,57.375",
        ),
        ("grey", (0.5,), (0.5,), "`mean` 127.5 `std` 127.5"),
        ("grey", (0.0,), (0.99,), "`mean` 0 `std` 252.45"),
    ],
)
def test_mean_and_std_of_values_from_0_to_1_are_refused(order, mean, std, line):
    """They are given as every PyTorch user has them; the message is what to type instead."""
    with pytest.raises(ConfigError) as e:
        explicit(order, mean, std, "squash", None, 8)
    assert str(e.value).endswith(
        f"expected in units of a byte, 0 to 255, found those of values from 0 to 1 (give {line})"
    )


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 1.0), (104.0, 0.5), (0.0, 255.0)])
def test_mean_and_std_of_bytes_are_valid(mean, std):
    assert explicit("grey", (mean,), (std,), "squash", None, 8).std == (std,)


def test_channels_may_stay_as_they_are():
    p = explicit("as-is", (1.0, 2.0, 3.0, 4.0), (2.0,) * 4, "squash", None, 8)
    picture = np.arange(4, dtype=np.uint8).reshape(1, 1, 1, 4) + 200
    assert p.normalise(picture).ravel().tolist() == [99.5] * 4
    with pytest.raises(ConfigError, match="order as-is needs 1 or 3 or 4 means and deviations, found 2 and 2"):
        explicit("as-is", (1.0, 2.0), (2.0, 2.0), "squash", None, 8)
