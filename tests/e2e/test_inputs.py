"""Networks whose inputs are vectors, integers or pictures of four channels go all the way to firmware."""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dcgen.emit.firmware import emit_firmware
from dcgen.encode.blob import encode
from dcgen.inputs.tensor import TensorInput
from dcgen.output import open_output
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.quant.qgraph import QGraph, QNode, QScores, QTensor
from tests.conftest import Once
from tests.inputs import nets
from tests.process import QUICK, dcgen, dcgen_json

MOST_WEIGHTS = ("--recipe", "deep-compression", "--density", "0.95")
FOUR = ("--order", "as-is", "--mean", "127,127,127,127", "--std", "64,64,64,64")


@dataclass(frozen=True)
class Case:
    """A network and inputs for it; ``header`` is what the emitted header says of its input."""

    name: str
    net: Callable[[Path], Path]
    data: Callable[[Path, int, int], Path]
    options: tuple[str, ...]
    header: str
    accuracy: bool


CASES = [
    Case("sensor", nets.vector_net, nets.vectors, (), "DCG_SENSOR_INPUT_TYPE DCG_INPUT_FLOAT32", True),
    Case("spectrum", nets.features_net, nets.features, (), "DCG_SPECTRUM_INPUT_TYPE DCG_INPUT_INT8", True),
    Case(
        "four",
        lambda path: nets.planes_net(path, (4, 12, 10)),
        nets.four_channels,
        FOUR,
        "DCG_FOUR_INPUT_TYPE DCG_INPUT_PICTURE",
        False,
    ),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(once: Once, case: Case) -> Path:
    """A folder with the compiled network in ``out``, and inputs that calibration has not seen in ``test.npz``."""

    def make(path: Path) -> None:
        path.mkdir()
        net = case.net(path / f"{case.name}.onnx")
        calibration = case.data(path / "calibration.npz", 60, 0)
        case.data(path / "test.npz", 40, 1)
        done = dcgen(
            "compile", net, "--calibration", calibration, *case.options, *MOST_WEIGHTS, "-o", path / "out"
        )
        assert (done.returncode, done.stderr) == (0, "")

    return once(f"inputs-{case.name}", make)


def test_what_the_input_is_stands_everywhere(folder: Path, case: Case) -> None:
    text = (folder / "out" / "firmware" / "model" / f"dcg_{case.name}.h").read_text()
    assert f"#define {case.header}\n" in text
    given = dcgen_json("inspect", folder / "out")["input"]
    form = open_output(folder / "out").preprocess
    readme = (folder / "out" / "README.md").read_text()
    if isinstance(form, TensorInput):
        assert {key: given[key] for key in ("type", "scale", "zero_point")} == form.to_json()
        assert f"| input | {given['height']}x{given['width']}x{given['channels']} {form.given} values" in readme
        assert f"#define DCG_{case.name.upper()}_INPUT_ZERO_POINT {given['zero_point']}\n" in text
    else:
        assert (given["type"], given["camera_order"]) == ("picture", "as-is")
        assert "12x10x4 bytes, HWC, as-is" in readme


def test_the_emitted_c_gives_the_golden_scores(folder: Path, case: Case) -> None:
    images = ("--images", folder / "test.npz")
    golden, host = (dcgen_json("eval", folder / "out", *images, "--on", on) for on in ("golden", "host"))
    assert golden == host
    assert golden["n"] == 40 and golden["agreement"] > 0.8 and golden["calibration_overlap"]["measured"] == 0
    assert ("float" in golden) == case.accuracy
    (check,) = dcgen_json("verify", folder / "out", "--on", "host", *images, "--count", 5)["checks"]
    assert check["passed"] and check["pictures"] == 5 and check["bytes_compared"] > 0


@pytest.mark.slow
def test_every_machine_gives_the_golden_bytes(folder: Path) -> None:
    checks = dcgen_json("verify", folder / "out")["checks"]
    assert len(checks) == 5 and all(c["passed"] and c["mismatches"] == 0 and c["bytes_compared"] for c in checks)


def test_the_golden_input_gives_its_scores(folder: Path) -> None:
    """It is written in the user's own type, and read back to the same bytes as the self-test's."""
    golden = folder / "out" / "golden"
    (scores,) = json.loads((golden / "scores.json").read_text()).values()
    text = (folder / "out" / "firmware" / "model").glob("dcg_*_selftest.c")
    assert f"{scores[0]}" in next(text).read_text()
    (check,) = dcgen_json("verify", folder / "out", "--on", "host")["checks"]
    assert check["passed"]


CONVERT = """
void {name}(const {c_type} *values, uint8_t *input);
void {name}(const {c_type} *values, uint8_t *input) {{ dcg_sample_{function}(values, input); }}
"""


@pytest.mark.parametrize("shape", [(40, 1, 1), (3, 4, 5)])
@pytest.mark.parametrize("given", ["float32", "int8", "uint8"])
def test_c_converts_values_as_python_does(tmp_path: Path, given: str, shape: tuple[int, int, int]) -> None:
    """The header's ``dcg_<name>_from_...`` give the bytes of ``TensorInput.bytes_of``, of extremes, too."""
    picture = QTensor("x", shape, 1.0, 0, (0,) * shape[0])
    graph = QGraph("unit", picture, {"x": picture}, (QNode("y", QScores(True), ("x",)),), 1.0)
    blob = encode(graph)
    zero_point = {"float32": 111.0, "int8": -20.0, "uint8": 127.5}[given]
    form = TensorInput(given, 0.0371, zero_point, shape)  # type: ignore[arg-type]
    files = emit_firmware(graph, blob, plan_firmware(graph, blob), "sample", form=form)
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    more = (
        ""
        if given == "float32"
        else CONVERT.format(name="from_own", c_type=f"{given}_t", function=f"from_{given}")
    )
    text = (
        '#include "dcg_sample.h"\n'
        + CONVERT.format(name="from_float", c_type="float", function="from_float")
        + more
    )
    (tmp_path / "convert.c").write_text(text)
    flags = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2", "-shared", "-fPIC")
    command = ("cc", *flags, "-Iruntime", "-Imodel", "convert.c", "-o", "convert.so")
    subprocess.run(command, cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "convert.so"))
    rng = np.random.default_rng(0)
    size = int(np.prod(shape))
    for scale in (1.0, 5.0, 1e30):
        values = (scale * rng.standard_normal((1, *shape))).astype(np.float32)
        values.flat[0] = 0.0371 * 0.5
        found = np.zeros(size, np.uint8)
        library.from_float(ctypes.c_void_p(values.ctypes.data), ctypes.c_void_p(found.ctypes.data))
        np.testing.assert_array_equal(found, form.bytes_of(values).ravel())
    if given != "float32":
        own = rng.integers(0, 256, (1, *shape)).astype(np.uint8).view(given)
        library.from_own(ctypes.c_void_p(own.ctypes.data), ctypes.c_void_p(found.ctypes.data))
        np.testing.assert_array_equal(found, form.bytes_of(own).ravel())


@pytest.mark.parametrize(
    ("name", "files"), [("max", "net_max"), ("my board", "my_board"), ("int", "int"), ("n" * 300, "n" * 40)]
)
def test_any_name_builds(tmp_path: Path, digits_pictures: Path, name: str, files: str) -> None:
    out = tmp_path / "out"
    calibration = ("--calibration", digits_pictures / "calibration")
    assert dcgen("compile", "digits", *calibration, *QUICK, "--name", name, "-o", out).returncode == 0
    assert (out / "firmware" / "model" / f"dcg_{files}.h").is_file()
    assert dcgen_json("verify", out, "--on", "host")["checks"][0]["passed"]
