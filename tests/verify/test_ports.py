"""Start-up code, file access and clock of each emulated machine work; each is tried by a small program."""

import subprocess
from pathlib import Path

import pytest

from dcgen.resources import resource_dir
from dcgen.targets import Target
from dcgen.verify.elf import footprint, section_sizes
from tests.verify.small import EMULATED, needs

LOOPS = 1_000_000
PROGRAM = """
#include "port.h"

volatile int initialised = 77;
volatile int cleared;

static void print_number(uint64_t value) {
    char text[24];
    size_t at = sizeof text - 2;
    text[at] = '\\n';
    text[at + 1] = 0;
    do {
        text[--at] = (char)('0' + (char)(value % 10u));
        value /= 10u;
    } while (value != 0u);
    port_print(text + at);
}

__attribute__((noinline)) static void use_stack(void) {
    volatile char frame[3000];
    for (size_t i = 0; i < sizeof frame; i++) frame[i] = 1;
}

int harness_main(const char *pictures, const char *results) {
    uint32_t n = LOOPS;
    char back[6] = "";
    const uint64_t start = port_ticks();
#if defined(__riscv)
    __asm__ volatile("1: addi %0, %0, -1\\n bnez %0, 1b" : "+r"(n));
#else
    __asm__ volatile("1: subs %0, %0, #1\\n bne 1b" : "+r"(n) : : "cc");
#endif
    print_number(port_ticks() - start);
    port_stack_paint();
    use_stack();
    print_number(port_stack_used());
    port_file file = port_open(results, true);
    if (!port_write(file, "hello", 5) || !port_close(file)) return 4;
    file = port_open(results, false);
    if (!port_read(file, back, 5) || back[4] != 'o') return 5;
    if (port_read(file, back, 1)) return 6;
    if (port_open(pictures, false) >= 0) return 7;
    volatile float half = 0.5f; /* from the compiler's support library where there is no unit */
    if (half + half != 1.0f) return 9;
    if (initialised != 77 || cleared != 0) return 8;
    return 42;
}
"""


@pytest.fixture(params=EMULATED, ids=lambda t: t.check_name)
def target(request: pytest.FixtureRequest) -> Target:
    needs(request.param)
    assert isinstance(request.param, Target)
    return request.param


def gcc(target: Target, *arguments: str) -> None:
    subprocess.run([f"{target.compiler}gcc", *arguments], check=True)


def build(target: Target, folder: Path) -> Path:
    source = folder / "program" / "program.c"
    source.parent.mkdir()
    source.write_text(PROGRAM)
    port = resource_dir("firmware") / "port"
    objects = []
    for path in (source, *(port / name for name in target.port_sources)):
        objects.append(folder / path.parent.name / f"{path.stem}.o")
        objects[-1].parent.mkdir(exist_ok=True)
        gcc(target, *target.cpu_flags, "-std=c99", "-O2", f"-DLOOPS={LOOPS}", "-ffreestanding", f"-I{port}",
            f"-I{port / 'qemu'}", "-c", str(path), "-o", str(objects[-1]))  # fmt: skip
    program = folder / "program.elf"
    gcc(target, *target.cpu_flags, *target.link_flags, "-nostdlib", f"-L{port / 'qemu'}",
        "-T", str(port.parent / target.linker_script), *map(str, objects), "-lgcc",
        "-o", str(program))  # fmt: skip
    return program


def test_a_machine_starts_counts_reads_and_writes(target: Target, tmp_path: Path) -> None:
    program = build(target, tmp_path)
    assert target.emulator is not None
    done = subprocess.run(
        target.emulator.command(str(program)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 42, done.stdout + done.stderr
    assert (tmp_path / "results.bin").read_bytes() == b"hello"
    ticks, stack = (int(line) for line in (done.stdout + done.stderr).split())
    # Two instructions a loop; the clock's reading is exact to a tick, reading it takes a few more.
    instructions = ticks * target.emulator.instructions_per_tick
    assert 0 <= instructions - 2 * LOOPS <= 2 * target.emulator.instructions_per_tick + 20
    assert 3000 <= stack <= 3400


def test_sizes_come_from_the_sections(target: Target, tmp_path: Path) -> None:
    program = build(target, tmp_path)
    sizes = section_sizes(program)
    size = footprint(program)
    assert size.ram_bytes == sizes[".data"] + sizes[".bss"]
    assert 8 <= size.ram_bytes <= 64
    assert 0 < size.flash_bytes < 6000
    assert sizes[".stack"] == 16384
