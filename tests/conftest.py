"""Fixtures that several folders of tests use, and the rule about skipped tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.kept import CACHE, made_once
from tests.process import ROOT, dcgen

NO_SKIPS = bool(os.environ.get("DCGEN_NO_SKIPS"))
"""Set where everything that tests need is known to be there: a skipped test then fails."""

COMPILERS = Path("/usr/lib/ccache")
"""Debian's links to ccache, named as compilers: a second compilation of the same text comes from its cache."""


def pytest_configure() -> None:
    # The suite's workers already keep all cores busy: threads of a worker's own would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if COMPILERS.is_dir():
        os.environ["PATH"] = os.pathsep.join((str(COMPILERS), os.environ["PATH"]))
        os.environ |= {"CCACHE_DIR": str(CACHE / "ccache"), "CCACHE_NOHASHDIR": "1", "CCACHE_MAXSIZE": "2G"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"DCGEN_NO_SKIPS is set, but this was to be skipped: {reason}"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published weights and photographs beside the checkout; DCGEN_SHARED overrides it."""
    folder = Path(os.environ.get("DCGEN_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"needs published weights and photographs in {folder}/data (or DCGEN_SHARED)")
    return folder


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """``once(name, make)``: the path that ``make(path)`` filled, made once for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def made(name: str, make: Callable[[Path], object]) -> Path:
        made_once(base / name, base / f"{name}.done", lambda: make(base / name))
        return base / name

    return made


@pytest.fixture(scope="session")
def digits_pictures(once: Once) -> Path:
    """Folder with ``calibration/`` and ``test/`` (pictures and labels.txt) of handwritten digits."""
    script = ROOT / "scripts" / "digits_pictures.py"
    return once("digits-pictures", lambda out: subprocess.run([sys.executable, script, out], check=True))


@pytest.fixture(scope="session")
def digits_out(once: Once, digits_pictures: Path) -> Path:
    """What ``dcgen compile digits --max-kl 0.04`` writes, as the demo. Tests must not change it."""

    def compile_digits(out: Path) -> None:
        chosen = ("--calibration", digits_pictures / "calibration", "--max-kl", "0.04")
        dcgen("compile", "digits", *chosen, "-o", out).check_returncode()

    return once("digits-out", compile_digits)
