"""The emitted folder builds and tests itself, without Python."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dcgen.emit.ports import port_files
from dcgen.targets import HOST, TARGETS, Target
from tests.verify.small import needs, small_graph, with_one_weight_changed, write_firmware


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emitted(tmp_path_factory.mktemp("firmware"))


def emitted(out: Path, changed: str = "") -> Path:
    """The firmware folder; with one weight of layer ``changed`` different from what the self-test expects."""
    graph = small_graph()
    c, h, w = graph.input.shape
    picture = np.random.default_rng(3).integers(0, 256, (h, w, c)).astype(np.uint8)
    write_firmware(graph, picture, out)
    if changed:
        write_firmware(with_one_weight_changed(graph, changed), picture, out / "changed")
        for name in ("dcg_small.dcb", "dcg_small.h"):
            shutil.copy(out / "changed/firmware/model" / name, out / "firmware/model" / name)
    return out / "firmware"


def make(firmware: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(firmware), *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.check_name)
def test_make_test_passes_on(target: Target, firmware: Path, tmp_path: Path) -> None:
    needs(target)
    goal = f"test-{target.check_name}" if target.emulator else "test"
    done = make(firmware, goal, f"BUILD={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "self-test: " in done.stdout + done.stderr


@pytest.mark.parametrize("layer", ["conv1", "expand3"])
def test_make_test_names_the_first_wrong_layer(layer: str, tmp_path: Path) -> None:
    needs(HOST)
    done = make(emitted(tmp_path, changed=layer), "test")
    assert done.returncode != 0
    assert f", first in {layer}" in done.stdout


def test_the_blob_can_be_an_array(firmware: Path, tmp_path: Path) -> None:
    needs(HOST)
    done = make(firmware, "test", f"BUILD={tmp_path}", "BLOB_FORM=array", "CFLAGS_EXTRA=-Wshadow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "host/model/dcg_small_blob_array.o").is_file()
    assert "dcg_small_blob.S" not in done.stdout


def test_clang_builds_it_without_warnings(firmware: Path, tmp_path: Path) -> None:
    if shutil.which("clang") is None:
        pytest.fail("needs clang, which make test installs")
    done = make(firmware, "test", f"BUILD={tmp_path}", "CC=clang")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_blob_is_linked_again(tmp_path: Path) -> None:
    needs(HOST)
    firmware = emitted(tmp_path)
    assert make(firmware, "test").returncode == 0
    blob = firmware / "model/dcg_small.dcb"
    blob.write_bytes(b"?" + blob.read_bytes()[1:])
    assert "self-test: not a blob" in make(firmware, "test").stdout


def test_make_alone_lists_the_goals(firmware: Path) -> None:
    lines = make(firmware, "-s").stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        "test",
        *(f"test-{t.check_name}" for t in TARGETS if t.emulator),
        "library",
        "clean",
    ]


def test_cmake_builds_and_tests_it(firmware: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.fail("needs cmake, which make test installs")
    for command in (
        ["cmake", "-S", str(firmware), "-B", str(tmp_path)],
        ["cmake", "--build", str(tmp_path)],
        ["ctest", "--test-dir", str(tmp_path), "--output-on-failure"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ((), ["-O2"]),
        (("-DCMAKE_C_FLAGS=-Os",), ["-Os"]),
        (("-DCMAKE_BUILD_TYPE=Debug",), []),
        (("-DCMAKE_BUILD_TYPE=Release",), ["-O3"]),
        (("-DCMAKE_C_COMPILER=clang",), ["-O2"]),
    ],
    ids=lambda value: " ".join(value) or "none",
)
def test_cmake_optimises_unless_told_otherwise(
    settings: tuple[str, ...], flags: list[str], firmware: Path, tmp_path: Path
) -> None:
    """Every file of the library is compiled with the optimisation that was asked for, and else with -O2."""
    command = ["cmake", "-S", str(firmware), "-B", str(tmp_path), "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *settings]
    environment = {k: v for k, v in os.environ.items() if k not in ("CFLAGS", "CMAKE_BUILD_TYPE")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    compiled = json.loads((tmp_path / "compile_commands.json").read_text())
    runtime = [c["command"].split() for c in compiled if "/runtime/" in c["file"]]
    assert len(runtime) > 20
    assert all([w for w in command if w.startswith("-O")] == flags for command in runtime)


def test_without_a_self_test_nothing_speaks_of_it() -> None:
    files = port_files("My Net", selftest=False)
    assert b"selftest" not in files["CMakeLists.txt"]
    assert b"make test" not in files["Makefile"]
    assert b"model/dcg_my_net_plan.c" in files["Makefile"]
