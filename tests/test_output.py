"""An output folder is read back; where it is damaged, the error names the damaged file."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dcgen.command.inspect import show
from dcgen.errors import BlobError, OutputError
from dcgen.ir.to_onnx import to_onnx
from dcgen.models.build import build_graph
from dcgen.models.catalogue import DIGITS, find
from dcgen.models.weights import load_params
from dcgen.output import open_output


@pytest.fixture
def out(tmp_path: Path, digits_out: Path) -> Path:
    return Path(shutil.copytree(digits_out, tmp_path / "out"))


def test_a_whole_output_is_read(out: Path) -> None:
    assert open_output(out).size == (16, 16)


def test_an_output_knows_its_calibration_pictures(out: Path) -> None:
    """The manifest counts the pictures measured for statistics, those held out for choices, and those in both."""
    calibration = json.loads((out / "manifest.json").read_text())["calibration"]
    found = open_output(out).calibrated_on
    assert {p: len(hashes) for p, hashes in found.items()} == {p: calibration[p] for p in ("measured", "held_out")}
    assert calibration["in_both"] == 0


def test_an_output_from_before_pictures_were_listed(out: Path) -> None:
    """Older manifests count the calibration pictures and have no lists of their digests."""
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest["calibration"]["measured_pictures"], manifest["calibration"]["held_out_pictures"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert open_output(out).calibrated_on == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "\ufffe"])
def test_a_damaged_manifest(out: Path, text: str) -> None:
    (out / "manifest.json").write_text(text)
    with pytest.raises(OutputError, match=r"out"):
        open_output(out)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nodes", [1, 2]),
        ("nodes", [["a list"]] * 21),  # as many as the network has nodes, but none of them is a name
        ("preprocess.order", "purple"),
        ("preprocess.order", "rgb"),  # the mean has one value, of a grey picture
        ("preprocess.fit", 3),
        ("preprocess.size", "16"),
        ("preprocess.mean", ["a"]),
        ("preprocess.nosuch", 1),
        ("calibration.held_out_pictures", 5),
    ],
)
def test_a_manifest_with_a_wrong_value(out: Path, key: str, value: object) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    *tables, name = key.split(".")
    table = manifest[tables[0]] if tables else manifest
    table[name] = value
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match=r"out.*: is damaged: .*compile it again"):
        open_output(out)


def test_pictures_of_other_channels_than_the_network_s(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["preprocess"].update(order="rgb", mean=[0, 0, 0], std=[1, 1, 1])
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match="pictures have 3 channels, the network takes 1"):
        open_output(out)


def test_a_damaged_blob_is_named(out: Path) -> None:
    data = bytearray((out / "model.dcb").read_bytes())
    data[3000] ^= 4
    (out / "model.dcb").write_bytes(data)
    with pytest.raises(BlobError, match=r"model\.dcb: .*CRC"):
        open_output(out)
    (out / "model.dcb").unlink()
    with pytest.raises(OutputError, match=r"model\.dcb"):
        open_output(out)


@pytest.mark.parametrize("outputs", [[], 5, ["x"], [{"units": [1, 2]}], [{"units": [0] * 10}], [{"units": "x"}]])
def test_outputs_that_are_none(out: Path, outputs: object) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "outputs": outputs}))
    with pytest.raises(OutputError, match=r"out: is damaged"):
        open_output(out)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_no_json(out: Path, number: str) -> None:
    """Python reads them, and would write them where ``--json`` promises JSON."""
    text = (out / "manifest.json").read_text()
    (out / "manifest.json").write_text(text.replace("{", f'{{"more": {number}, ', 1))
    with pytest.raises(OutputError, match=r"manifest.json.* is not JSON: holds the number"):
        open_output(out)


def test_a_float_model_of_another_network(out: Path) -> None:
    other = build_graph(replace(DIGITS, size=32), load_params(find("digits").checkpoint_path, DIGITS))
    (out / "float.onnx").write_bytes(to_onnx(other).SerializeToString())
    with pytest.raises(OutputError, match=r"float.onnx: has input and outputs .*, those of the blob are"):
        open_output(out).float_graph()


def test_records_of_a_manifest_may_differ(capsys: pytest.CaptureFixture[str]) -> None:
    """A forged manifest lists records without a key that the first one has, and things that are no records."""
    show({"kind": "output", "layers": [{"a": 1, "b": 2}, {"a": 3}], "others": [{"a": 1}, 2]})
    printed = capsys.readouterr().out
    assert "layers" in printed and "others" not in printed
