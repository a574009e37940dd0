"""The machines dcgen generates firmware for, and how each is compiled, emulated and timed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from dcgen.errors import ConfigError
from dcgen.targets.engines import CHECK_NAME, ENGINES, EngineTarget

Extension = Literal["none", "dsp", "helium"]
"""Instructions beyond the base set that the runtime has kernels for."""


@dataclass(frozen=True)
class Emulator:
    """QEMU's stand-in for a machine, deterministic: every instruction takes 1 ns of virtual time.

    binary : the program, e.g. ``qemu-system-arm``
    machine : QEMU's name of the board
    options : further arguments
    instructions_per_tick : instructions in one tick of the port's clock, its resolution too
    package : Debian package of the program
    """

    binary: str
    machine: str
    instructions_per_tick: Fraction
    package: str
    options: tuple[str, ...] = ()

    def command(self, program: str) -> tuple[str, ...]:
        """The command that runs the ELF file ``program`` in the current directory."""
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
    machine : folder of the port under ``firmware/port``
    compiler : prefix of the GNU tools, e.g. ``arm-none-eabi-``; empty for the host
    cpu_flags : compiler flags that choose processor and ABI
    link_flags : further ones for the linker
    extension : of the processor; decides the kernels it runs
    port_sources : C and assembler files under ``firmware/port`` besides the harness
    package : Debian package of the compiler
    emulator : None for the host
    stack_bytes : what a budget of RAM leaves for the runtime's stack, with the most runs of equal weights that
        a kernel by levels takes (decision 7); None for the host
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
        """Path under ``firmware``; emulated machines only."""
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
        *("cortex-m55", "Cortex-M55 with Helium", "mps3-an547", (), "mps3-an547/clock.c", Fraction(125, 4), 1536),
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
        link_flags=("-march=rv32imac",),  # the compiler knows its support library by this name only
    ),
)
DEFAULT_TARGET: Final = "cortex-m4"
"""What an output is said to be meant for where nobody says it."""


def find(name: str) -> Target | EngineTarget:
    """The target of this name, or the machine of this check name; ConfigError lists the names."""
    for target in TARGETS:
        if name in (target.name, target.check_name):
            return target
    for engine in ENGINES:
        if name == engine.name:
            return engine
    names = ", ".join((*(t.name for t in TARGETS), *(e.name for e in ENGINES)))
    raise ConfigError(name, f"is no target, expected one of {names}")


def find_check(name: str) -> Target:
    """The machine whose check name (``verify --on``) this is; ConfigError lists the names."""
    for target in TARGETS:
        if name == target.check_name:
            return target
    names = ", ".join((*(t.check_name for t in TARGETS), CHECK_NAME))
    raise ConfigError(name, f"is nothing to verify on, expected one of {names}")
