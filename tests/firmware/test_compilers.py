"""The runtime and an emitted model compile without a warning, and need nothing but mem* from a C library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dcgen.emit.firmware import model_files, runtime_files
from dcgen.emit.golden import Golden
from dcgen.encode.blob import encode
from dcgen.plan.firmware.plan import plan_firmware
from tests.firmware.build import HERE, STRICT, compile_all, write
from tests.firmware.nets import every_operator, pictures

ANALYZED = "-fanalyzer"
"""Has the compiler follow the paths through each function. What it finds is an error, as all warnings are."""
COMPILERS = {
    "gcc": ["gcc", "-O2"],
    "gcc-pedantic": [
        "gcc",
        "-O2",
        ANALYZED,
        "-Wsign-conversion",
        "-Wshadow",
        "-Wcast-qual",
        "-Wstrict-prototypes",
    ],
    "clang": ["clang", "-O2", "-Wsign-conversion", "-Wshadow"],
    "cortex-m4": ["arm-none-eabi-gcc", "-O2", ANALYZED, "-mcpu=cortex-m4", "-mthumb", "-ffreestanding"],
    "cortex-m7": ["arm-none-eabi-gcc", "-Os", "-mcpu=cortex-m7", "-mthumb", "-ffreestanding"],
    "cortex-m55": ["arm-none-eabi-gcc", "-O2", ANALYZED, "-mcpu=cortex-m55", "-mfloat-abi=hard", "-ffreestanding"],
    "cortex-m4-aligned": [
        *("arm-none-eabi-gcc", "-O3", "-mcpu=cortex-m4", "-mthumb", "-mno-unaligned-access", "-ffreestanding"),
    ],
    "cortex-m0plus": ["arm-none-eabi-gcc", "-O0", "-mcpu=cortex-m0plus", "-mthumb", "-ffreestanding"],
    "clang-cortex-m4": [
        *(
            "clang",
            "--target=thumbv7em-none-eabi",
            "-mcpu=cortex-m4",
            "-O2",
            "-munaligned-access",
            "-ffreestanding",
        ),
    ],
    "clang-cortex-m55": [
        *("clang", "--target=thumbv8.1m.main-none-eabihf", "-mcpu=cortex-m55", "-O0", "-ffreestanding"),
    ],
    "clang-cortex-m0plus": [
        "clang",
        "--target=thumbv6m-none-eabi",
        "-mcpu=cortex-m0plus",
        "-Os",
        "-ffreestanding",
    ],
    "clang-rv32imac": [
        *("clang", "--target=riscv32-unknown-elf", "-march=rv32imac", "-mabi=ilp32", "-O3", "-ffreestanding"),
    ],
    "rv32imac": [
        "riscv64-unknown-elf-gcc",
        "-O2",
        ANALYZED,
        "-march=rv32imac_zicsr",
        "-mabi=ilp32",
        "-ffreestanding",
    ],
}
LIBRARY = {"memcpy", "memset", "memmove"}
"""Functions that a compiler may call in place of loops."""
HELPERS = ("__aeabi_", "__gnu_thumb1_", "_GLOBAL_OFFSET_TABLE_")
"""What the names of functions begin with that come with a compiler, division on small cores for example."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    graph = every_operator(0)
    blob = encode(graph)
    write(folder, runtime_files())
    golden = Golden.of(graph, pictures(graph, 1))
    write(folder, model_files(graph, blob, plan_firmware(graph, blob), "net", golden))
    return folder


@pytest.mark.parametrize("name", COMPILERS)
def test_compiles_without_warnings_and_stands_alone(name: str, sources: Path, tmp_path: Path) -> None:
    compiler = COMPILERS[name]
    if shutil.which(compiler[0]) is None:
        pytest.fail(f"needs {compiler[0]}")
    compile_all([*compiler, *STRICT], sorted(sources.glob("*.c")), [sources], tmp_path)

    nm = compiler[0].removesuffix("gcc") + "nm" if compiler[0] != "clang" else "nm"
    objects = [str(o) for o in sorted(tmp_path.glob("*.o"))]
    defined: set[str] = set()
    needed: set[str] = set()
    for line in subprocess.run([nm, *objects], capture_output=True, text=True, check=True).stdout.splitlines():
        match line.split():
            case ["U", symbol]:
                needed.add(symbol)
            case [_, kind, symbol]:
                assert kind not in "bBdDcC" or symbol in _constants_with_pointers(symbol), f"{symbol} is writable"
                defined.add(symbol)
    helpers = {s for s in needed if s.startswith(HELPERS)}
    assert needed - defined - helpers <= LIBRARY
    assert all(s.startswith("dcg_") for s in _exported(nm, objects))


def _constants_with_pointers(symbol: str) -> set[str]:
    """``symbol`` if it is a constant table of pointers. Position-independent code has these in a writable section,
    as the loader relocates them."""
    return {symbol} if symbol in ("nodes", "node_names", "dcg_net_plan", "dcg_net_selftest") else set()


def _exported(nm: str, objects: list[str]) -> list[str]:
    listed = subprocess.run([nm, "-g", "--defined-only", *objects], capture_output=True, text=True, check=True)
    return [line.split()[2] for line in listed.stdout.splitlines() if len(line.split()) == 3]


def test_is_formatted() -> None:
    if shutil.which("clang-format") is None:
        pytest.fail("needs clang-format")
    root = HERE.parent.parent
    files = [*sorted((root / "firmware" / "runtime").glob("*.[ch]")), *sorted(HERE.glob("*.c"))]
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *map(str, files)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[:2000]
