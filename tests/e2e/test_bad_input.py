"""Bad input ends in one readable line on stderr, a non-zero exit code, and nothing half-written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dcgen.models.catalogue import DIGITS, find
from tests.process import QUICK, ROOT, dcgen, dcgen_json, tree

Params = dict[str, np.ndarray]


def assert_refused(done: subprocess.CompletedProcess[str], *culprits: str, code: int = 1) -> None:
    """The command failed with one line on stderr that names every culprit."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("dcgen: "), done.stderr
    for culprit in culprits:
        assert culprit in lines[0]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder for outputs; a refused command must leave nothing in it that was not there before."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def refused(work: Path, digits_pictures: Path) -> Callable[..., None]:
    """``refused(arguments, *culprits)`` asserts that compiling is refused, and that ``work`` stays empty."""

    def run(arguments: list[object], *culprits: str) -> None:
        if "--calibration" not in arguments:
            arguments = [*arguments, "--calibration", digits_pictures / "calibration"]
        assert_refused(dcgen("compile", *arguments, "-o", work / "out"), *culprits)
        assert list(work.iterdir()) == []

    return run


def test_an_onnx_file_with_an_unsupported_operator(tmp_path: Path, refused: Callable[..., None]) -> None:
    weight = numpy_helper.from_array(np.ones((4, 1, 3, 3), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="first"),
        helper.make_node("Sin", ["c"], ["y"], name="wave"),
    ]
    pictures = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 16, 16])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 14, 14])
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(nodes, "net", [pictures], [scores], [weight])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "sine.onnx")
    refused([tmp_path / "sine.onnx", "--preprocess", "digits"], "wave", "Sin")


def test_a_model_of_two_inputs(tmp_path: Path, refused: Callable[..., None]) -> None:
    """The second one is read by no node."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 16, 16]) for n in ("x", "unread")]
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 16, 16])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", inputs, [scores])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "two.onnx")
    refused([tmp_path / "two.onnx", "--preprocess", "digits"], "net", "has 2 inputs and 1 outputs")


def test_little_memory(digits_pictures: Path, work: Path) -> None:
    done = compile_digits(digits_pictures, work / "out", before=FAULT.format(error="MemoryError"))
    assert_refused(done, "memory")
    assert list(work.iterdir()) == []


def test_a_text_file_renamed_onnx(tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "text.onnx").write_text("not a model\n")
    refused([tmp_path / "text.onnx", "--preprocess", "digits"], "text.onnx")


def test_a_model_file_that_is_not_there(tmp_path: Path, refused: Callable[..., None]) -> None:
    refused([tmp_path / "none.onnx", "--preprocess", "digits"], "none.onnx")


def test_a_model_name_that_is_not_known(refused: Callable[..., None]) -> None:
    refused(["squeezenet9"], "squeezenet9", "squeezenet1_1")


def drop(params: Params) -> None:
    del params["features.3.squeeze.weight"]


def spoil(params: Params) -> None:
    params["features.3.squeeze.weight"].flat[5] = np.nan


def reshape(params: Params) -> None:
    params["features.3.squeeze.weight"] = params["features.3.squeeze.weight"][:, :-1]


@pytest.mark.parametrize(("change", "problem"), [(drop, "missing"), (spoil, "nan"), (reshape, "(8, 16, 1, 1)")])
def test_weights_that_do_not_fit(
    change: Callable[[Params], None], problem: str, tmp_path: Path, refused: Callable[..., None]
) -> None:
    checkpoint = find("digits").checkpoint_path
    assert checkpoint is not None
    with np.load(checkpoint) as file:
        params = dict(file)
    assert params["features.3.squeeze.weight"].shape == DIGITS.parameters()["features.3.squeeze.weight"]
    change(params)
    np.savez(tmp_path / "broken.npz", **params)
    refused(["digits", "--weights", tmp_path / "broken.npz"], "broken.npz", "features.3.squeeze.weight", problem)


def test_an_empty_calibration_folder(tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "bare").mkdir()
    refused(["digits", "--calibration", tmp_path / "bare"], "bare")


def test_a_calibration_folder_that_is_not_there(tmp_path: Path, refused: Callable[..., None]) -> None:
    refused(["digits", "--calibration", tmp_path / "nowhere"], "nowhere")


def test_a_corrupt_jpeg(tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 10)
    refused(["digits", "--calibration", tmp_path / "mixed"], "torn.jpg")


def test_a_recipe_that_is_not_known(refused: Callable[..., None]) -> None:
    refused(["digits", "--recipe", "nosuch"], "nosuch", "second-order")


def test_a_setting_that_is_not_known(refused: Callable[..., None]) -> None:
    refused(["digits", "--set", "nosuch=1"], "nosuch")


def test_a_ram_budget_that_is_none_or_too_small(refused: Callable[..., None]) -> None:
    """Refused: what is no size, a target that takes no budget, and less than the network needs."""
    refused(["digits", "--ram", "lots"], "--ram", "lots")
    refused(["digits", "--ram", "64K", "--target", "host"], "--ram", "host")
    refused(["digits", "--ram", "64K", "--target", "ulx3s-85f"], "--ram", "ulx3s-85f")
    keep = ["--recipe", "deep-compression", "--target", "cortex-m7"]
    refused(["digits", *keep, "--ram", "8K"], "digits", "needs", "--ram gives 8,192", "stack", "fire3")


def compile_digits(pictures: Path, out: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return dcgen("compile", "digits", *QUICK, "--calibration", pictures / "calibration", "-o", out, **options)  # type: ignore[arg-type]


def small_files_only() -> None:
    """Makes writes beyond 8 KiB of any file fail, as on a full disk; Python ignores the signal of that limit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def test_a_disk_that_fills_up(work: Path, digits_pictures: Path) -> None:
    done = compile_digits(digits_pictures, work / "deep" / "out", in_child=small_files_only)
    assert_refused(done, "out")
    assert list(work.iterdir()) == []


FAULT = """
import errno, itertools, os, pathlib
count, write = itertools.count(), pathlib.Path.write_bytes
def write_bytes(path, data):
    if next(count) == 5:
        raise {error}
    return write(path, data)
pathlib.Path.write_bytes = write_bytes
"""
"""Python code to run in the command's process: the sixth file that it writes raises ``error`` instead."""


def test_a_full_disk_leaves_an_earlier_output_alone(work: Path, digits_pictures: Path) -> None:
    assert compile_digits(digits_pictures, work / "out").returncode == 0
    before = tree(work)
    fault = FAULT.format(error="OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))")
    assert_refused(compile_digits(digits_pictures, work / "out", before=fault), "out", "No space left on device")
    assert tree(work) == before
    assert [f.name for f in work.iterdir()] == ["out"]


def test_an_interrupt_leaves_nothing(work: Path, digits_pictures: Path) -> None:
    done = compile_digits(digits_pictures, work / "out", before=FAULT.format(error="KeyboardInterrupt"))
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert list(work.iterdir()) == []


def test_an_output_that_is_a_file(work: Path, digits_pictures: Path) -> None:
    (work / "kept").write_text("mine")
    for out in (work / "kept", work / "kept" / "out"):
        assert_refused(compile_digits(digits_pictures, out), "kept")
    assert tree(work) == {"kept": b"mine"}


def test_an_output_folder_that_is_not_ours(work: Path, digits_pictures: Path) -> None:
    (work / "thesis.txt").write_text("years of work")
    assert_refused(compile_digits(digits_pictures, work), "work", "manifest.json")
    assert tree(work) == {"thesis.txt": b"years of work"}


def test_an_output_without_permission(digits_pictures: Path) -> None:
    # Not even root may write to /proc.
    assert_refused(compile_digits(digits_pictures, Path("/proc/dcgen-out")), "/proc/dcgen-out")


def test_an_output_folder_that_is_not_one(work: Path) -> None:
    for command in (["verify", work], ["eval", work, "--images", work]):
        assert_refused(dcgen(*command), "work", "manifest.json")


def test_a_blob_of_noise(tmp_path: Path) -> None:
    (tmp_path / "noise.dcb").write_bytes(np.random.default_rng(1).bytes(5000))
    assert_refused(dcgen("inspect", tmp_path / "noise.dcb"), "noise.dcb")


def test_a_machine_that_is_not_known(digits_out: Path) -> None:
    assert_refused(dcgen("verify", digits_out, "--on", "qemu-z80"), "qemu-z80", "qemu-cortex-m4")


def test_a_label_beyond_the_classes(tmp_path: Path, digits_out: Path, digits_pictures: Path) -> None:
    name = next((digits_pictures / "test").glob("*.png")).name
    (tmp_path / "labels.txt").write_text(f"{name} 10\n")
    done = dcgen("eval", digits_out, "--images", digits_pictures / "test", "--labels", tmp_path / "labels.txt")
    assert_refused(done, "labels.txt", "10")


def test_a_labelled_picture_that_is_not_there(tmp_path: Path, digits_out: Path, digits_pictures: Path) -> None:
    (tmp_path / "labels.txt").write_text("lost.png 3\n")
    done = dcgen("eval", digits_out, "--images", digits_pictures / "test", "--labels", tmp_path / "labels.txt")
    assert_refused(done, "lost.png")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_verify_and_leaves_nothing(number: signal.Signals, tmp_path: Path, digits_out: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dcgen.command.app", "verify", str(digits_out), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        start_new_session=True,
        # Tests that a shell has started in the background ignore SIGINT, and the child would inherit that.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("dcgen-verify-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (128 + number, "", "dcgen: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_full_stdout() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "dcgen.command.app", "model", "--json"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr


def test_a_terminal_that_knows_ascii_only(digits_out: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "40"}
    env = {**os.environ, "PYTHONPATH": str(ROOT), **plain}
    for arguments in (["targets"], ["inspect", str(digits_out)]):
        done = subprocess.run(
            [sys.executable, "-m", "dcgen.command.app", *arguments], capture_output=True, env=env, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()


@pytest.mark.parametrize("explicit", [["--fit", "squash"], ["--mean", "0"]])
def test_half_of_an_explicit_preprocessing(explicit: list[str], refused: Callable[..., None]) -> None:
    """--mean, --std and --order go together: one flag alone is refused, and so is any beside --preprocess."""
    refused(["digits", *explicit], explicit[0])
    refused(["digits", "--preprocess", "digits", *explicit], explicit[0])


def test_a_file_for_a_model_without_a_name(tmp_path: Path) -> None:
    """``dcgen model -o FILE`` does not say which model the file is to hold."""
    assert_refused(dcgen("model", "-o", tmp_path / "x.onnx"), "NAME")


def test_weights_for_what_has_its_own(tmp_path: Path, digits_out: Path) -> None:
    """--weights is refused beside an output folder or a blob, which hold their weights."""
    for what in (digits_out, digits_out / "model.dcb"):
        assert_refused(dcgen("inspect", what, "--weights", "w.npz"), "w.npz")


def test_a_machine_named_twice_is_checked_once(digits_out: Path) -> None:
    assert len(dcgen_json("verify", digits_out, "--on", "host", "--on", "host")["checks"]) == 1


@pytest.mark.parametrize(
    ("target", "lanes", "culprits"),
    [
        ("cortex-m4", "auto", ("--lanes", "cortex-m4", "dcgen targets")),
        ("cortex-m4", "57", ("--lanes", "needs an engine", "cortex-m4")),
        ("engine-8", "auto", ("--lanes", "an engine on a board", "engine-8")),
        ("ulx3s-85f", "many", ("--lanes", "a number or auto", "'many'")),
        ("ulx3s-85f", "1000", ("--lanes: 1000", "ulx3s-85f", "try another number")),
        ("engine-8", "256", ("--lanes: 256", "engine-8", "try another number")),
    ],
)
def test_lanes_that_no_engine_has(
    target: str, lanes: str, culprits: tuple[str, ...], refused: Callable[..., None]
) -> None:
    refused(["digits", "--target", target, "--lanes", lanes], *culprits)
