"""The way from a picture file to camera bytes is the one that is documented."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from dcgen.errors import PictureError
from dcgen.inputs.picture_files import Oddities, load
from dcgen.pictures import explicit, preset
from tests.process import ROOT

CAFFE, TORCH, DIGITS = preset("caffe"), preset("torchvision"), preset("digits")


def said(path, p, size):
    """What is said of a picture while it is loaded, and its bytes."""
    odd, warnings = Oddities(), []
    data = load(path, p, size, odd)
    odd.say(path.parent, 1, warnings.append)
    return [w.split(" pictures ")[1].split(" (the first")[0] for w in warnings], data


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


def test_16_bit_grey_is_divided(tmp_path):
    values = np.array([[0, 128, 129, 257], [65535, 65406, 65407, 25700]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        kinds, data = said(tmp_path / name, DIGITS, (2, 4))
        assert kinds == []
        np.testing.assert_array_equal(data[..., 0], [[0, 0, 1, 1], [255, 254, 255, 100]])


def test_real_numbers_are_no_picture(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(
        PictureError, match=r"a.tif: holds float32 from 1 to 1, expected at most 16 bits \(save it"
    ):
        load(tmp_path / "a.tif", DIGITS, (2, 2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_viewers_turn_it(tmp_path, orientation):
    """The EXIF orientation, 1 to 8, says which turn or mirroring undoes how the camera was held. With 5 to 8,
    height and width of the file are swapped."""
    upright = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    undo = [
        *(lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1, ::-1], lambda a: a[::-1]),
        *(lambda a: a.T, lambda a: a.T[::-1], lambda a: a.T[::-1, ::-1], lambda a: a.T[:, ::-1]),
    ]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(np.ascontiguousarray(undo[orientation - 1](upright))).save(tmp_path / "a.png", exif=exif)
    kinds, data = said(tmp_path / "a.png", DIGITS, (4, 6))
    np.testing.assert_array_equal(data[..., 0], upright)
    assert kinds == ([] if orientation == 1 else ["were turned as their EXIF orientation says"])


@pytest.mark.parametrize("name", ["a.webp", "a.tif", "a.png", "a.bmp", "a.ppm"])
def test_formats(tmp_path, name):
    data = save(tmp_path / "b.png", 8, 8)
    Image.fromarray(data).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    np.testing.assert_array_equal(load(tmp_path / name, TORCH, (8, 8)), data)


def test_other_formats_are_not_opened(tmp_path):
    """A PostScript file, which Pillow would hand to another program, stays closed whatever its name."""
    made = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(made, "EPS")
    (tmp_path / "a.png").write_bytes(made.getvalue())
    with pytest.raises(PictureError, match=r"a\.png: is not a picture that can be read"):
        load(tmp_path / "a.png", DIGITS, (8, 8))


def test_conversions_against_expectation_are_said(tmp_path):
    a = tmp_path / "a.png"
    colour, clear = Image.new("RGB", (8, 8), (9, 5, 1)), Image.new("RGBA", (8, 8), (9, 5, 1, 7))
    grey, four = Image.new("L", (8, 8), 5), explicit("as-is", (0.0,) * 4, (1.0,) * 4, "squash", None, 8)
    made_grey, repeated = (
        "are in colour, and are made grey for the network",
        "are grey, and are repeated in each channel",
    )
    for image, p, expected in (
        (colour, DIGITS, [made_grey]),
        (colour.quantize(4), DIGITS, [made_grey]),
        (grey.quantize(4), DIGITS, []),
        (grey, TORCH, [f"{repeated} for the network"]),
        (clear, TORCH, ["are transparent, which is left out"]),
        (Image.new("RGBA", (8, 8), (9, 5, 1, 255)), TORCH, []),
        (clear, four, []),
        (colour, four, ["have no fourth channel, which becomes 255"]),
    ):
        image.save(a)
        assert said(a, p, (8, 8))[0] == expected
    colour.convert("CMYK").save(tmp_path / "a.jpg")
    assert said(tmp_path / "a.jpg", TORCH, (8, 8))[0] == ["are of mode CMYK, and are converted to RGB"]
    grey.save(tmp_path / "a.tif", save_all=True, append_images=[grey])
    assert said(tmp_path / "a.tif", DIGITS, (8, 8))[0] == ["have several pages, of which the first is taken"]


def test_a_fourth_channel_does_not_weigh_the_others(tmp_path):
    """Resizing treats the four channels alike: the last one need not be opacity."""
    four = explicit("as-is", (0.0,) * 4, (1.0,) * 4, "squash", None, 4)
    data = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    data[:4, :, 3] = 0
    Image.fromarray(data).save(tmp_path / "a.png")
    planes = [
        np.asarray(Image.fromarray(data[..., c]).resize((4, 4), Image.Resampling.BILINEAR)) for c in range(4)
    ]
    np.testing.assert_array_equal(load(tmp_path / "a.png", four, (4, 4)), np.stack(planes, -1))


def test_a_network_that_is_no_square(tmp_path):
    """A squashed picture keeps all of its content; one that has height and width exchanged is warned about."""
    p = explicit("grey", (0.0,), (1.0,), "squash", None, 49)
    data = save(tmp_path / "a.png", 49, 10, "L")
    kinds, exact = said(tmp_path / "a.png", p, (49, 10))
    np.testing.assert_array_equal(exact[..., 0], data)
    assert kinds == []
    kinds, turned = said(tmp_path / "a.png", p, (10, 49))
    squashed = Image.fromarray(data).resize((49, 10), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(turned[..., 0], np.asarray(squashed))
    assert kinds == ["have height and width of the network's input exchanged, and are squashed"]
    save(tmp_path / "wide.png", 20, 90, "L")
    covering = explicit("grey", (0.0,), (1.0,), "short-side", None, 49)
    kinds, cropped = said(tmp_path / "wide.png", covering, (49, 10))
    assert cropped.shape == (49, 10, 1)
    assert kinds == ["have another ratio of sides than the network's input, and are cropped"]


def test_a_picture_that_would_fill_the_memory(tmp_path):
    Image.new("L", (1, 100_000)).save(tmp_path / "a.png")
    with pytest.raises(
        PictureError,
        match=r"a.png: is 1 x 100,000 pixels, resized 256 x 25,600,000, expected at most 134,217,728 \(remove it",
    ):
        load(tmp_path / "a.png", TORCH, (224, 224))
    Image.new("1", (20_000, 7_000)).save(tmp_path / "b.png")
    with pytest.raises(PictureError, match=r"b.png: is 20,000 x 7,000 pixels, expected at most 134,217,728"):
        load(tmp_path / "b.png", CAFFE, (227, 227))


def damaged(data, content):
    """Bytes of a file with a few of them changed, perhaps cut short."""
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        found[data.draw(st.integers(0, min(len(found) - 1, 120)))] = data.draw(st.integers(0, 255))
    return found[: data.draw(st.integers(0, len(found)))] if data.draw(st.booleans()) else found


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "ppm"])
@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_damage_gives_one_line_or_a_picture(tmp_path, suffix, data):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    sound = tmp_path / f"sound.{suffix}"
    Image.fromarray(np.arange(240, dtype=np.uint8).reshape(8, 10, 3)).save(sound, exif=exif)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(damaged(data, sound.read_bytes()))
    try:
        assert load(path, TORCH, (8, 8)).shape == (8, 8, 3)
    except PictureError as e:
        assert f"a.{suffix}: " in str(e) and "\n" not in str(e)


def test_a_side_of_more_pixels_than_rows_fit_the_memory(tmp_path: Path) -> None:
    (tmp_path / "column.pgm").write_bytes(b"P5 1 1048577 255\n" + bytes(1_048_577))
    with pytest.raises(PictureError, match=r"column.pgm: is 1 x 1,048,577 pixels, expected sides of at most"):
        load(tmp_path / "column.pgm", explicit("grey", [0.0], [1.0], "squash", None, 8), (8, 8))


def test_pillow_says_nothing_of_its_own() -> None:
    """Without a handler Python writes what Pillow logs to stderr, beside the error."""
    code = "import dcgen.inputs.picture_files, logging; logging.getLogger('PIL.TiffImagePlugin').error('odd')"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True)
    assert done.stderr == b""
