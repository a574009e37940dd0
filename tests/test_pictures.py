"""The way from a picture file to camera bytes is the one that is documented."""

import numpy as np
import pytest
from PIL import Image

from dcgen.errors import ConfigError, PictureError
from dcgen.inputs.picture_files import load
from dcgen.pictures import digest, digests, explicit, preset, with_size

CAFFE, TORCH = preset("caffe"), preset("torchvision")


def save(path, height, width, mode="RGB"):
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    data = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    Image.fromarray(data).save(path)
    return data


@pytest.mark.parametrize("p", [CAFFE, TORCH])
def test_a_picture_of_the_right_size_keeps_every_byte(tmp_path, p):
    data = save(tmp_path / "a.png", 227, 227)
    np.testing.assert_array_equal(load(tmp_path / "a.png", p, (227, 227)), data)


@pytest.mark.parametrize("p", [CAFFE, TORCH])
def test_a_resized_picture_is_only_cropped_at_its_centre(tmp_path, p):
    data = save(tmp_path / "a.png", 256, 256)
    np.testing.assert_array_equal(load(tmp_path / "a.png", p, (227, 227)), data[14:241, 14:241])


def test_squash_ignores_the_aspect_and_short_side_keeps_it(tmp_path):
    save(tmp_path / "a.png", 300, 600)
    with Image.open(tmp_path / "a.png") as image:
        squashed = np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR))[14:241, 14:241]
        kept = np.asarray(image.resize((512, 256), Image.Resampling.BILINEAR))[16:240, 144:368]
    np.testing.assert_array_equal(load(tmp_path / "a.png", CAFFE, (227, 227)), squashed)
    np.testing.assert_array_equal(load(tmp_path / "a.png", TORCH, (224, 224)), kept)


def test_a_small_picture_is_enlarged(tmp_path):
    save(tmp_path / "a.png", 20, 30)
    assert load(tmp_path / "a.png", CAFFE, (227, 227)).shape == (227, 227, 3)


def test_grey_networks_get_one_plane(tmp_path):
    data = save(tmp_path / "a.png", 16, 16, "L")
    np.testing.assert_array_equal(load(tmp_path / "a.png", preset("digits"), (16, 16))[..., 0], data)


def test_bgr_networks_read_the_rgb_camera_backwards():
    picture = np.arange(3, dtype=np.uint8).reshape(1, 1, 1, 3) + 200
    np.testing.assert_allclose(CAFFE.normalise(picture)[0, :, 0, 0], [202 - 104, 201 - 117, 200 - 123])
    np.testing.assert_allclose(CAFFE.centred(picture)[0, :, 0, 0], [200 - 123, 201 - 117, 202 - 104])
    np.testing.assert_allclose(TORCH.normalise(picture)[0, 0, 0, 0], (200 / 255 - 0.485) / 0.229, rtol=1e-5)


def test_a_corrupt_file_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(PictureError, match=r"a\.jpg: is not a picture that can be read"):
        load(tmp_path / "a.jpg", CAFFE, (227, 227))


def test_a_truncated_jpeg_is_named(tmp_path):
    save(tmp_path / "b.png", 200, 200)
    Image.open(tmp_path / "b.png").save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match=r"a\.jpg"):
        load(tmp_path / "a.jpg", CAFFE, (227, 227))


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
