"""Pictures of users that were once misread, in ``shared/cases``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dcgen.errors import PictureError
from dcgen.importers import load
from dcgen.inputs.samples import open_samples
from dcgen.pictures import explicit, preset
from dcgen.progress import unheard

GREY = explicit("grey", (127.5,), (64.0,), "squash", None, 16)
COLOUR = explicit("rgb", (127.5,) * 3, (64.0,) * 3, "squash", None, 16)


@pytest.fixture
def cases(shared: Path) -> Path:
    return shared / "cases"


def test_16_bit_grey(cases: Path) -> None:
    samples = open_samples(cases / "grey16", unheard)
    with Image.open(cases / "grey16" / samples.names[0]) as image:
        size, values = (image.height, image.width), np.asarray(image).astype(np.int64)
    loaded = samples.load([0], GREY, size, unheard).data
    np.testing.assert_array_equal(loaded[0, ..., 0], np.rint(values / 257))
    assert np.ptp(loaded) > 50


def test_orientation(cases: Path) -> None:
    said: list[str] = []
    samples = open_samples(cases / "exif", unheard)
    loaded = samples.load(range(len(samples.names)), COLOUR, (16, 16), said.append).data
    assert len(said) == 1 and "of 4 pictures were turned as their EXIF orientation says" in said[0]
    for name, found in zip(samples.names, loaded, strict=True):
        with Image.open(cases / "exif" / name) as image:
            seen = ImageOps.exif_transpose(image).convert("RGB")
        np.testing.assert_array_equal(found, np.asarray(seen.resize((16, 16), Image.Resampling.BILINEAR)))


def test_class_folders(cases: Path) -> None:
    samples = open_samples(cases / "classes", unheard)
    assert samples.classes == ("cat", "dog") and samples.labels is not None
    assert [samples.classes[i] for i in samples.labels] == [name.split("/")[0] for name in samples.names]


def test_tiff_beside_png(cases: Path) -> None:
    said: list[str] = []
    samples = open_samples(cases / "tiff_and_one_png", said.append)
    assert (len(samples.names), said) == (9, [])
    assert samples.load(range(9), COLOUR, (16, 16), unheard).data.shape == (9, 16, 16, 3)


def test_a_picture_of_one_column(cases: Path, tmp_path: Path) -> None:
    (tmp_path / "tall.png").write_bytes((cases / "hostile" / "1x100000.png").read_bytes())
    with pytest.raises(PictureError, match=r"tall.png: is 1 x 100,000 pixels, resized 256 x 25,600,000, expected"):
        open_samples(tmp_path, unheard).load([0], preset("torchvision"), (224, 224), unheard)


def test_four_channels(cases: Path) -> None:
    assert load(cases / "four_channels.onnx").graph.inputs[0].shape == (4, 16, 16)
