"""The machines dcgen generates firmware for, and how each is compiled, emulated and timed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from dcgen.errors import ConfigError
from dcgen.targets.engines import CHECK_NAME, ENGINES, EngineTarget

Extension = Literal["none", "dsp", "helium"]
"""Instructions beyond a processor's base set for which the runtime has kernels."""


@dataclass(frozen=True)
class Emulator:
    """QEMU in place of a machine. It is deterministic: every instruction takes 1 ns of virtual time.

    binary : QEMU's program, e.g. ``qemu-system-arm``
    machine : QEMU's name for the board
    options : further arguments
    instructions_per_tick : how many instructions run in one tick of the port's clock, which counts no finer
    package : Debian package that has the program
    """

    binary: str
    machine: str
    instructions_per_tick: Fraction
    package: str
    options: tuple[str, ...] = ()

    def command(self, program: str) -> tuple[str, ...]:
        """The command that runs ``program``, an ELF file in the current directory."""
        return (
            self.binary,
            *("-M", self.machine, *self.options),
            *("-icount", "shift=0", "-nographic", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native", "-kernel", program),
        )


@dataclass(frozen=True)
class Target:
    """A machine that firmware is built for.

    name : what ``--target`` takes
    check_name : what ``verify --on`` takes and reports
    description : one line for people
    machine : folder of the machine's port under ``firmware/port``
    compiler : prefix of the GNU tools, e.g. ``arm-none-eabi-``; empty for the host
    cpu_flags : flags that choose processor and ABI, for compiler and linker
    link_flags : further flags for the linker
    extension : the processor's extension, which decides what kernels it runs
    port_sources : C and assembler files under ``firmware/port`` that the port consists of, besides the harness
    package : Debian package that has the compiler
    emulator : how the machine is emulated; None for the host
    stack_bytes : bytes that a budget of RAM leaves for the runtime's stack. They cover the most runs of equal
        weights that a kernel by levels takes (decision 7). None for the host
    """

    name: str
    check_name: str
    description: str
    machine: str
    compiler: str
    cpu_flags: tuple[str, ...]
    port_sources: tuple[str, ...]
    package: str
    emulator: Emulator | None
    link_flags: tuple[str, ...] = ()
    stack_bytes: int | None = None
    extension: Extension = "none"

    @property
    def linker_script(self) -> str:
        """Path of the linker script under ``firmware``, for machines that are emulated."""
        return f"port/{self.machine}/link.ld"


_QEMU_SOURCES: Final = ("qemu/semihosting.c", "qemu/stack.c", "qemu/start.c", "freestanding/memory.c")
_CORTEX_M: Final = (*_QEMU_SOURCES, "cortex-m/vectors.c")
_ARM_QEMU: Final = "qemu-system-arm"


def _cortex_m(
    core: str,
    text: str,
    board: str,
    fpu: tuple[str, ...],
    clock: str,
    instructions_per_tick: Fraction,
    stack_bytes: int,
    extension: Extension = "dsp",
) -> Target:
    return Target(
        name=core,
        check_name=f"qemu-{core}",
        description=f"Arm {text}, run on QEMU's {board}",
        machine=board,
        compiler="arm-none-eabi-",
        cpu_flags=(f"-mcpu={core}", "-mthumb", "-mfloat-abi=hard", *fpu),
        port_sources=(*_CORTEX_M, clock),
        package="gcc-arm-none-eabi",
        emulator=Emulator(_ARM_QEMU, board, instructions_per_tick, _ARM_QEMU),
        stack_bytes=stack_bytes,
        extension=extension,
    )


HOST: Final = Target(
    name="host",
    check_name="host",
    description="this computer",
    machine="host",
    compiler="",
    cpu_flags=(),
    port_sources=("host/host.c",),
    package="gcc",
    emulator=None,
)
TARGETS: Final[tuple[Target, ...]] = (
    HOST,
    _cortex_m(
        "cortex-m4",
        "Cortex-M4F",
        "mps2-an386",
        ("-mfpu=fpv4-sp-d16",),
        *("cortex-m/clock_mps2.c", Fraction(40), 3840),
    ),
    _cortex_m(
        "cortex-m7", "Cortex-M7F", "mps2-an500", ("-mfpu=fpv5-d16",), "cortex-m/clock_mps2.c", Fraction(40), 3840
    ),
    _cortex_m(
        *("cortex-m55", "Cortex-M55 with Helium", "mps3-an547", (), "mps3-an547/clock.c", Fraction(125, 4), 1856),
        "helium",
    ),
    Target(
        name="riscv32",
        check_name="qemu-riscv32",
        description="RISC-V RV32IMAC, run on QEMU's virt",
        machine="virt-rv32",
        compiler="riscv64-unknown-elf-",
        cpu_flags=("-march=rv32imac_zicsr", "-mabi=ilp32", "-mcmodel=medany"),
        port_sources=(*_QEMU_SOURCES, "virt-rv32/start.S", "virt-rv32/clock.c"),
        package="gcc-riscv64-unknown-elf",
        emulator=Emulator("qemu-system-riscv32", "virt", Fraction(1), "qemu-system-misc", ("-bios", "none")),
        stack_bytes=2560,
        link_flags=("-march=rv32imac",),  # the compiler finds its support library under this name alone
    ),
)
DEFAULT_TARGET: Final = "cortex-m4"
"""The target of an output if none is asked for."""


def find(name: str) -> Target | EngineTarget:
    """The machine or engine of this name, or the machine of this check name. Raises ConfigError."""
    targets: dict[str, Target | EngineTarget] = {target.name: target for target in TARGETS}
    targets |= {engine.name: engine for engine in ENGINES}
    found = targets.get(name) or next((t for t in TARGETS if t.check_name == name), None)
    if found is None:
        raise ConfigError(name, f"is no target, expected one of {', '.join(targets)}")
    return found


def find_check(name: str) -> Target:
    """The machine of this check name, as ``verify --on`` has it. Raises ConfigError."""
    targets = {target.check_name: target for target in TARGETS}
    if name not in targets:
        raise ConfigError(name, f"is nothing to verify on, expected one of {', '.join((*targets, CHECK_NAME))}")
    return targets[name]
