"""Measures the runtime's need of stack and writes it to ``dcgen/targets/stack.py``.

    python -m benchmarks.firmware.stack

The figure of a core is that of the deepest chain of calls, whatever network, blob and picture. A function's own
bytes are the compiler's statement (-fstack-usage), those of assembly are counted in its disassembly. Which
function calls which is read from relocations. It takes some minutes, and needs GCC and clang for each core.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dcgen.emit.firmware import runtime_files
from dcgen.files import temporary_folder, write_file
from dcgen.plan.firmware.constants import RUNTIME
from dcgen.targets import stack

HELPER_BYTES = 64
"""Stack that is granted to a compiler's own helper (a long division) and to memcpy and its like."""
ROUNDED = 64
"""Figures are multiples of so many bytes."""
RUN_BYTES = 32
"""Stack that the kernel by levels for DSP takes for each run, in the one loop that pushes."""

GCC_ARM = "arm-none-eabi-gcc -mthumb -mfloat-abi=soft -ffreestanding"
CLANG = "clang -ffreestanding --target="
COMPILERS: Mapping[str, tuple[str, ...]] = {
    "helium": (
        "arm-none-eabi-gcc -mthumb -mcpu=cortex-m55 -mfloat-abi=hard -ffreestanding",
        f"{CLANG}thumbv8.1m.main-none-eabihf -mcpu=cortex-m55 -munaligned-access",
        f"{CLANG}thumbv8.1m.main-none-eabihf -mcpu=cortex-m55",
    ),
    "dsp": (
        f"{GCC_ARM} -mcpu=cortex-m4",
        f"{GCC_ARM} -mcpu=cortex-m7",
        f"{GCC_ARM} -mcpu=cortex-m33",
        f"{CLANG}thumbv7em-none-eabi -mcpu=cortex-m4 -munaligned-access",
        f"{CLANG}thumbv7em-none-eabi -mcpu=cortex-m4",
    ),
    "other": (
        f"{GCC_ARM} -mcpu=cortex-m0plus",
        f"{GCC_ARM} -mcpu=cortex-m3",
        f"{CLANG}thumbv6m-none-eabi -mcpu=cortex-m0plus",
        f"{CLANG}thumbv7m-none-eabi -mcpu=cortex-m3",
        "riscv64-unknown-elf-gcc -march=rv32imac_zicsr -mabi=ilp32 -ffreestanding",
        f"{CLANG}riscv32-unknown-elf -march=rv32imac -mabi=ilp32",
    ),
    "wide": ("gcc -fcf-protection=none", "clang"),
}
"""Compilers by the core that they compile for, as ``dcgen.targets.stack`` names it."""
LEVELS: Mapping[bool, tuple[str, ...]] = {True: ("-O1", "-Os", "-O2", "-O3"), False: ("-O0",)}
"""Flags of the compilers' levels of optimisation: those that optimise (True), and the one that does not (False),
whose stack frames are larger."""

_TOOLS = {
    "arm-none-eabi-": "arm-none-eabi-",
    "target=thumb": "arm-none-eabi-",
    "riscv": "riscv64-unknown-elf-",
}
_FILE = re.compile(r"^(\w+)\.o: +file format")
_LABEL = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
_RELOCATION = re.compile(r"^\s+[0-9a-f]+: (R_\w+)\s+([\w.]+)")
_LOCAL_CALL = re.compile(r"\t(?:bl|blx|b|b\.w|b\.n|jal|j|call|jmp)\s.*<([\w.]+)>")
_INDIRECT = re.compile(
    r"\t(?:blx|bx|jalr|jr|c\.jalr|c\.jr)\s+(?:ra,)?(?:0\()?(?!lr|ra)[a-z]+\d*|(?:call|jmp)\s+\*"
)
_PUSH = re.compile(r"\t(push|stmdb\s+sp!,|vpush)\s*(?:\.w)?\s*\{([^}]*)\}")
_SUBTRACT = re.compile(r"\t(?:sub(?:\.w|w)?\s+sp,(?: sp,)? #|str(?:\.w)?\s+\w+, \[sp, #-)(\d+)")
_NAKED = re.compile(r"^DCG_NAKED [\w ]*?(\w+)\(", re.MULTILINE)


@dataclass
class Function:
    """One function of the runtime: its own bytes of stack and what it calls.

    calls : names of functions whose addresses stand in it
    indirect : whether it calls through a pointer
    """

    bytes: int
    calls: set[str] = field(default_factory=set)
    indirect: bool = False


def deepest(compiler: str, level: str) -> tuple[int, tuple[str, ...]]:
    """Bytes of the runtime's deepest chain of calls, built by this compiler, and the chain."""
    functions: dict[tuple[str, str], Function] = {}
    taken: dict[str, set[str]] = defaultdict(set)
    files = runtime_files()
    sources = sorted(name for name in files if name.endswith(".c"))
    with temporary_folder("dcgen-stack-") as folder:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        flags = (level, "-std=c99", "-ffunction-sections", "-fstack-usage", "-c", *sources)
        subprocess.run([*compiler.split(), *flags], cwd=folder, check=True)
        for name in sources:
            _read_usage(name, folder, functions)
        objects = [f"{Path(name).stem}.o" for name in sources]
        command = [f"{_tools(compiler)}objdump", "-dr", "--no-show-raw-insn", *objects]
        listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    naked = {f for name in sources for f in _NAKED.findall(files[name].decode())}
    _read_listing(listed, naked, functions, taken)
    return _longest(files, functions, taken)


def _tools(compiler: str) -> str:
    """What the names of the GNU tools (objdump, nm) begin with that read the object files of ``compiler``."""
    return next((prefix for word, prefix in _TOOLS.items() if word in compiler), "")


def _plain(symbol: str) -> str:
    """A function's name as -fstack-usage has it: without the section's prefix and a copy's number."""
    return re.sub(r"\.\d+$", "", symbol.removeprefix(".text."))


def _read_usage(name: str, folder: Path, functions: dict[tuple[str, str], Function]) -> None:
    """Add the functions of a source with the bytes that the compiler states."""
    usage = (folder / name).with_suffix(".su")
    for line in usage.read_text().splitlines() if usage.exists() else ():
        where, count, kind = line.split("\t")
        assert kind in ("static", "dynamic,bounded"), line  # of both, the count is the most
        key = name, where.split(":")[-1]
        functions[key] = Function(max(int(count), functions[key].bytes if key in functions else 0))


def _read_listing(
    listed: str, naked: set[str], functions: dict[tuple[str, str], Function], taken: dict[str, set[str]]
) -> None:
    """Add to ``functions`` what each calls and the bytes of assembly; to ``taken``, by file, the functions whose
    addresses the file holds other than in calls."""
    file = assembly = ""
    present = Function(0)
    for line in listed.splitlines():
        if header := _FILE.match(line):
            file, assembly = f"{header[1]}.c", ""
        elif label := _LABEL.match(line):
            key = file, _plain(label[1])
            if key[1] in naked:
                assembly = key[1]
                present = functions[key] = Function(0)
            elif key in functions:
                assembly, present = "", functions[key]
            else:  # a label inside of assembly, or a compiler's own
                assert assembly or label[1].startswith("."), label[1]
        elif assembly:
            present.bytes += _pushed(line, assembly == "dcg_conv_levels_run")
        elif relocation := _RELOCATION.match(line):
            called = _plain(relocation[2])
            present.calls.add(called)
            if not re.search(r"CALL|JUMP|PLT|JAL|BRANCH|PC32", relocation[1]):
                taken[file].add(called)
        else:
            present.calls |= {_plain(call[1]) for call in _LOCAL_CALL.finditer(line)}
            present.indirect |= _INDIRECT.search(line) is not None


def _pushed(line: str, repeats: bool) -> int:
    """Bytes that an instruction of assembly takes from the stack; ``repeats`` where all runs' sums are pushed."""
    if push := _PUSH.search(line):
        registers = 0
        for part in push[2].replace(" ", "").split(","):
            first, _, last = part.partition("-")
            registers += int(last[1:]) - int(first[1:]) + 1 if last else 1
        count = registers * (8 if push[1] == "vpush" else 4)
        return count * RUNTIME.MAX_RUNS if repeats and count == RUN_BYTES else count
    return int(found[1]) if (found := _SUBTRACT.search(line)) else 0


def _longest(
    files: Mapping[str, bytes], functions: Mapping[tuple[str, str], Function], taken: Mapping[str, set[str]]
) -> tuple[int, tuple[str, ...]]:
    exported = {name: (file, name) for file, name in functions if name.startswith("dcg_")}
    kernels = set(re.findall(r"dcg_status (dcg_\w+)\(", files["dcg_kernels.h"].decode()))
    entries = re.findall(r"^[a-z][\w ]*?\*?(dcg_\w+)\(", files["dcg.h"].decode(), re.MULTILINE)

    def called(key: tuple[str, str]) -> Iterator[tuple[str, str] | None]:
        """What a function may call; None for what is not of the runtime. Pointers lead to what the file has taken
        the address of, and in dcg_run.c to the plan's kernels and the self-test's trace."""
        file, own = key
        names = functions[key].calls | (taken[file] if functions[key].indirect else set())
        if functions[key].indirect and file == "dcg_run.c":
            names |= kernels if own != "trace_rows" else set()
            yield "dcg_selftest.c", "check_row"
        for name in names - {own}:
            if (file, name) in functions:
                yield file, name
            elif name in exported:
                yield exported[name]
            elif name.startswith(("__", "mem")):
                yield None

    @cache
    def depth(key: tuple[str, str]) -> tuple[int, tuple[str, ...]]:
        """The deepest chain that begins with a function. Where functions called each other, this would not end."""
        below: tuple[int, tuple[str, ...]] = (0, ())
        for other in called(key):
            below = max(below, (HELPER_BYTES, ("a helper",)) if other is None else depth(other))
        return functions[key].bytes + below[0], (key[1], *below[1])

    return max(depth(exported[name]) for name in entries)


def measure(core: str, optimised: bool) -> int:
    """Bytes of stack that the runtime takes at most on a core, over all its compilers."""
    builds = [(compiler, level) for compiler in COMPILERS[core] for level in LEVELS[optimised]]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda build: deepest(*build), builds))
    for (compiler, level), (count, chain) in zip(builds, found, strict=True):
        print(f"{core:7} {count:5} {level} {compiler}: {' > '.join(chain)}", file=sys.stderr)
    return max(count for count, _ in found)


def main(arguments: Sequence[str]) -> None:
    """Measure cores, all if none is named, and write each one's figures to the table."""
    path = Path(stack.__file__)
    for core in arguments or COMPILERS:
        optimised, plain = (-(-measure(core, o) // ROUNDED) * ROUNDED for o in (True, False))
        figures = f"Stack(optimised={optimised}, not_optimised={plain})"
        text, n = re.subn(rf'("{core}": )Stack\([^)]*\)', rf"\g<1>{figures}", path.read_text())
        assert n == 1, core
        write_file(path, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
