"""Firmware by every compiler and at every level of optimisation equals the golden model in every byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import ToolError
from dcgen.inputs.samples import open_samples
from dcgen.output import open_output
from dcgen.progress import unheard
from dcgen.targets import Target, find
from dcgen.verify import machines
from dcgen.verify.build import build
from dcgen.verify.compare import Check, Comparison, golden
from tests.firmware.build import HERE
from tests.verify.small import needs

MEMORY = HERE.parent.parent / "firmware" / "port" / "freestanding" / "memory.c"
LEVELS = ("-O0", "-Os", "-O2", "-O3")
CLANG = {
    "cortex-m4": "clang --target=thumbv7em-none-eabihf",
    "cortex-m55": "clang --target=thumbv8.1m.main-none-eabihf",
}
"""clang for each core. It compiles for cores without a system as with -mno-unaligned-access; with
-munaligned-access it takes the assembly that GCC takes by default."""
STRICT = " -mno-unaligned-access"
LOOSE = " -munaligned-access"


def checked(out_dir: Path, core: str, folder: Path, optimise: str, compiler: str = "", flags: str = "") -> Check:
    """What comparing the firmware in ``out_dir`` gave, built by this compiler (by GCC where none is named)."""
    target = find(core)
    assert isinstance(target, Target)
    needs(target)
    if compiler and shutil.which("clang") is None:
        pytest.fail("needs clang, which make test installs")
    output = open_output(out_dir)
    golden_inputs = open_samples(output.golden, unheard)
    shown = golden_inputs.load(range(1), output.preprocess, output.size, unheard).data
    program = build(
        out_dir / "firmware", target, folder / "build", optimise=optimise, compiler=compiler, extra_flags=flags
    )
    (folder / "run").mkdir()
    comparison = Comparison(output.qgraph)
    run = machines.run(target, program, shown, folder / "run", measured=1, traced=1)
    comparison.add(run, *golden(output.qgraph, shown))
    return comparison.check(run, run.seconds, None, None)


@pytest.mark.parametrize("core", CLANG)
def test_clang_s_firmware_is_exact(core: str, digits_out: Path, tmp_path: Path) -> None:
    check = checked(digits_out, core, tmp_path, "-O2", CLANG[core] + LOOSE)
    assert check.passed and check.layers == 17, check


@pytest.mark.parametrize("flags", ["", " -U__ARM_FEATURE_DSP"], ids=["dsp", "portable"])
def test_firmware_without_unaligned_accesses_is_exact(flags: str, digits_out: Path, tmp_path: Path) -> None:
    """Its start-up code has the processor trap them. Without DSP instructions it is as on a Cortex-M0."""
    check = checked(digits_out, "cortex-m4", tmp_path, "-O2", flags=STRICT + flags)
    assert check.passed, check


def test_an_unaligned_access_would_be_trapped(digits_out: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(digits_out, out)
    for name, old in (
        ("dcg_weights_read_dsp.c", "DCG_DSP && DCG_UNALIGNED"),
        ("dcg_weights_read.c", "(DCG_DSP && DCG_"),
    ):
        path = out / "firmware" / "runtime" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace("(DCG_DSP && DCG_UNALIGNED)", "DCG_DSP").replace(" && DCG_UNALIGNED", ""))
    with pytest.raises(ToolError, match="qemu-cortex-m4: the program failed with code 3: processor fault"):
        checked(out, "cortex-m4", tmp_path, "-O2", flags=STRICT)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [LOOSE, STRICT])
@pytest.mark.parametrize("optimise", LEVELS)
@pytest.mark.parametrize("core", CLANG)
def test_clang_s_firmware_is_exact_at_every_level(
    core: str, optimise: str, flags: str, digits_out: Path, tmp_path: Path
) -> None:
    check = checked(digits_out, core, tmp_path, optimise, CLANG[core] + flags)
    assert check.passed, check


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["", STRICT])
@pytest.mark.parametrize("optimise", LEVELS)
@pytest.mark.parametrize("core", CLANG)
def test_gcc_s_firmware_is_exact_at_every_level(
    core: str, optimise: str, flags: str, digits_out: Path, tmp_path: Path
) -> None:
    check = checked(digits_out, core, tmp_path, optimise, flags=flags)
    assert check.passed, check


@pytest.mark.slow
@pytest.mark.parametrize("optimise", LEVELS)
def test_risc_v_firmware_is_exact_at_every_level(optimise: str, digits_out: Path, tmp_path: Path) -> None:
    check = checked(digits_out, "riscv32", tmp_path, optimise)
    assert check.passed, check


MEMORY_TEST = """
#include <stdint.h>
#include <stdio.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
static uint8_t a[96], b[96];
static void show(const char *what) {
    printf("%s", what);
    for (int i = 0; i < 96; i++) printf(" %d", a[i]);
    printf("\\n");
}
static void reset(void) {
    for (int i = 0; i < 96; i++) { a[i] = (uint8_t)i; b[i] = (uint8_t)(200 - i); }
}
int main(void) {
    for (unsigned to = 0; to < 5; to++)
        for (unsigned from = 0; from < 5; from++)
            for (unsigned n = 0; n < 40; n += n < 10 ? 1 : 7) {
                char what[64];
                sprintf(what, "%u %u %u", to, from, n);
                reset(); memcpy(a + to, b + from, n); show(what);
                reset(); memmove(a + to, a + from, n); show(what);
                reset(); memset(a + to, 0x1A5, n); show(what);
                reset(); a[to + 3] = 9; memcpy(b, a, 96); b[from + 5] = 77;
                printf("%s %d\\n", what, (memcmp(a, b, n) > 0) - (memcmp(a, b, n) < 0));
            }
    return 0;
}
"""


def memory_lines() -> list[str]:
    """What MEMORY_TEST prints where the functions do what C says."""
    lines = []
    counts = [*range(10), 10, 17, 24, 31, 38]
    for to in range(5):
        for start in range(5):
            for n in counts:
                a, b = np.arange(96), 200 - np.arange(96)
                copied, moved, filled, other = a.copy(), a.copy(), a.copy(), a.copy()
                copied[to : to + n] = b[start : start + n]
                moved[to : to + n] = a[start : start + n]
                filled[to : to + n] = 0xA5
                other[to + 3] = 9
                sign = np.sign(other[start + 5] - 77) if start + 5 < n else 0
                what = f"{to} {start} {n} "
                lines += [what + " ".join(map(str, x)) for x in (copied, moved, filled)] + [f"{what}{sign}"]
    return lines


@pytest.mark.parametrize("optimise", ["-O1", *LEVELS])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_memory_functions_work_and_never_call_themselves(compiler: str, optimise: str, tmp_path: Path) -> None:
    """Compilers put memset in place of loops that do what it does. In memset itself that would have no end, with
    plain flags as well as with those of the Makefile."""
    source = tmp_path / "main.c"
    source.write_text(MEMORY_TEST)
    program = tmp_path / "program"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", optimise]
    build_memory = [compiler, *flags, "-c", str(MEMORY), "-o", str(tmp_path / "memory.o")]
    link = [compiler, "-fno-builtin", str(source), str(tmp_path / "memory.o"), "-o", str(program)]
    for command in (build_memory, link):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    ran = subprocess.run([str(program)], capture_output=True, text=True, timeout=20)
    assert ran.returncode == 0, "the program has crashed: a function calls itself"
    assert ran.stdout.splitlines() == memory_lines()


@pytest.mark.parametrize("optimise", ["-O1", *LEVELS])
@pytest.mark.parametrize("compiler", ["arm-none-eabi-gcc -mthumb -mcpu=cortex-m4", CLANG["cortex-m4"]])
def test_memory_functions_of_a_core_need_no_others(compiler: str, optimise: str, tmp_path: Path) -> None:
    """No branch leads to the start of a function that a compiler may put in a loop's place, but those of Arm's
    names for them."""
    listed = _disassembled([*compiler.split(), optimise, "-ffreestanding"], tmp_path)
    calls = set()
    function = ""
    for line in listed.splitlines():
        if line.endswith(">:"):
            function = line.split("<")[1].split(">")[0]
        elif "<" in line and "+0x" not in line:
            calls.add((function, line.split("<")[1].split(">")[0]))
    by_name = {("__aeabi_memset", "memset"), ("__aeabi_memclr", "memset"), ("__aeabi_memmove", "memmove")}
    assert {call for call in calls if call[1] not in ("copy_up", "aligned")} <= by_name


def _disassembled(command: list[str], folder: Path) -> str:
    subprocess.run([*command, "-c", str(MEMORY), "-o", str(folder / "memory.o")], check=True, timeout=60)
    listing = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", str(folder / "memory.o")]
    return subprocess.run(listing, capture_output=True, text=True, check=True, timeout=60).stdout
