"""Plants faults in the gateware, one at a time, and sees whether the block tests notice.

    python scripts/mutate_gateware.py [--seed 1] [--per-block 3] [--report docs/hardware/mutations.json]

The rules below make faults in the syntax tree of a block's ``elaborate`` and of the methods that it calls. Which
of all possible faults are tried is drawn at random from the seed. Each fault is planted in a copy of the checkout,
in which nothing else differs. There the block's own tests run and, if they pass, those of the front end, the back
end or the whole; quick tests run before slow ones. A fault that survives has been missed by the tests, or has no
effect; those without effect are listed in EQUIVALENT, with the reason. The report is written after every fault. A
fault that it holds as caught is not tried again as long as its block stays as it is.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CPU_S = 240
"""Seconds of CPU time after which a test counts as one that does not end. Unlike time on the clock, CPU time does
not depend on how busy the machine is."""
PYTEST_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--tb=short")
SPEEDS = ("not slow", "slow")
NO_TESTS = 5
"""Pytest's exit code where a file has no test of the speed asked for."""
FRONT = ("test_front_blocks.py", "test_front_causes.py", "test_front_end.py")
TOP = ("test_control.py", "test_engine.py")
BACK = ("test_back_end.py", "test_engine.py")
WIDER_TESTS = {
    **dict.fromkeys(
        ("bit_reader", "code_table", "huffman", "section_header", "conv_section", "plain_weights", "tensor_table"),
        FRONT,
    ),
    **dict.fromkeys(("crc32", "weight_list", "front_end"), FRONT),
    **dict.fromkeys(("control", "axi_lite", "axi_engine", "command_memory", "engine"), TOP),
    "ecp5": ("test_multiplier.py", "test_requantizer.py"),
}
"""For each block, the tests in ``tests/hw`` that use it together with others, and run after its own. A block that
is not listed has BACK."""
EQUIVALENT: dict[str, str] = {
    "axi_lite:stuck_bit:10": "SLVERR is 0b10: the lowest bit of the answer is 0 as it is",
    "conv_section:lost_stall:2": "what is left of a word that bits were taken of is held: these bits are the "
    "same before valid as with it; and a packet that ends there has a cause of its own, which goes first",
    "rotator:stuck_bit:1": "the lowest bit of an amount is used in front of the first register, not behind it",
}
"""For each fault, by the ``name`` of its mutant: why it changes nothing that can be observed."""

ROOMS = ("", "contract", "common", "front", "back")
"""Folders of ``hw`` whose files are blocks."""

Rule = Callable[[ast.AST], ast.AST | None]
"""Given a node of the syntax tree: its faulty version, or None where the rule does not apply."""


def wrong_sign(node: ast.AST) -> ast.AST | None:
    """a + b becomes a - b, and the other way round."""
    swap = {ast.Add: ast.Sub, ast.Sub: ast.Add}
    if isinstance(node, ast.BinOp) and type(node.op) in swap and not _plain_number(node):
        return ast.BinOp(node.left, swap[type(node.op)](), node.right)
    return None


def off_by_one(node: ast.AST) -> ast.AST | None:
    """A signal that is to be set to a sum or difference is set to one more."""
    if _is_call(node, "eq") and not isinstance(node.args[0], ast.Constant) and _mentions_sum(node.args[0]):
        return ast.Call(node.func, [ast.BinOp(node.args[0], ast.Add(), ast.Constant(1))], [])
    return None


def swapped_operands(node: ast.AST) -> ast.AST | None:
    """Mux(c, a, b) becomes Mux(c, b, a), Cat(a, b) becomes Cat(b, a)."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "Mux" and len(node.args) == 3:
            return ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], [])
        if node.func.id == "Cat" and len(node.args) == 2:
            return ast.Call(node.func, node.args[::-1], [])
    return None


def lost_stall(node: ast.AST) -> ast.AST | None:
    """``... & x.ready`` becomes ``...``, and ``... & x.valid`` likewise."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        for kept, dropped in ((node.left, node.right), (node.right, node.left)):
            if isinstance(dropped, ast.Attribute) and dropped.attr in ("ready", "valid"):
                return kept
    return None


def missing_flush(node: ast.AST) -> ast.AST | None:
    """A signal that is to be set to a constant is not set."""
    if (
        isinstance(node, ast.AugAssign)
        and _is_call(node.value, "eq")
        and isinstance(node.value.args[0], ast.Constant)
    ):
        return ast.AugAssign(node.target, node.op, ast.List([], ast.Load()))
    return None


def stuck_bit(node: ast.AST) -> ast.AST | None:
    """The lowest bit of what a signal is set to is always 0."""
    if _is_call(node, "eq") and not isinstance(node.args[0], ast.Constant):
        return ast.Call(node.func, [ast.BinOp(node.args[0], ast.BitAnd(), ast.Constant(-2))], [])
    return None


def edge(node: ast.AST) -> ast.AST | None:
    """< becomes <=, >= becomes >, == becomes !=."""
    swap = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq}
    if isinstance(node, ast.Compare) and type(node.ops[0]) in swap:
        return ast.Compare(node.left, [swap[type(node.ops[0])]()], node.comparators)
    return None


def wrong_condition(node: ast.AST) -> ast.AST | None:
    """The condition of an If is inverted."""
    if _is_call(node, "If") and isinstance(node.func, ast.Attribute):
        condition = ast.Call(ast.Attribute(_amaranth_value(node.args[0]), "bool", ast.Load()), [], [])
        return ast.Call(node.func, [ast.UnaryOp(ast.Invert(), condition)], [])
    return None


RULES: tuple[Rule, ...] = (
    wrong_sign,
    off_by_one,
    swapped_operands,
    lost_stall,
    missing_flush,
    stuck_bit,
    edge,
    wrong_condition,
)


def _is_call(node: ast.AST, method: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and len(node.args) == 1
    )


def _amaranth_value(node: ast.expr) -> ast.expr:
    return ast.Call(
        ast.Attribute(ast.Attribute(ast.Name("_hdl", ast.Load()), "Value", ast.Load()), "cast", ast.Load()),
        [node],
        [],
    )


def _plain_number(node: ast.AST) -> bool:
    """Whether an expression has names and numbers alone: it is arithmetic of the generator, not of the circuit."""
    return not any(isinstance(n, ast.Attribute | ast.Subscript) for n in ast.walk(node))


def _mentions_sum(node: ast.AST) -> bool:
    return any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Add | ast.Sub) for n in ast.walk(node))


@dataclass(frozen=True)
class Mutant:
    """One fault.

    name : block:rule:ordinal, the ordinal being that of the place among those where the rule applies
    block, file : the block that has the fault, and its file
    rule, before, after : name of the rule; the code that it applies to, and what it becomes
    source : returns the text of ``file`` with the fault in it
    """

    name: str
    block: str
    file: Path
    rule: str
    before: str
    after: str
    source: Callable[[], str]


def mutants(file: Path) -> Iterator[Mutant]:
    """Every fault that the rules make in the logic of ``file``."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    scopes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and _makes_logic(n)]
    sites = {id(n): n for scope in scopes for n in ast.walk(scope)}
    for rule in RULES:
        for ordinal, site in enumerate(n for n in sites.values() if rule(n) is not None):
            changed = rule(copy.deepcopy(site))
            assert changed is not None
            yield Mutant(
                f"{file.stem}:{rule.__name__}:{ordinal}",
                file.stem,
                file,
                rule.__name__,
                ast.unparse(site),
                ast.unparse(ast.fix_missing_locations(changed)),
                partial(_with_fault, tree, site, changed),
            )


_HEADER = "from __future__ import annotations\nimport amaranth.hdl as _hdl"


def _with_fault(tree: ast.Module, site: ast.AST, changed: ast.AST) -> str:
    """The file of ``tree`` with ``changed`` in the place of ``site``."""
    same_site = copy.deepcopy(tree, {id(site): site})
    text = ast.unparse(ast.fix_missing_locations(_Replace(site, changed).visit(same_site)))
    return text.replace("from __future__ import annotations", _HEADER, 1)


class _Replace(ast.NodeTransformer):
    def __init__(self, site: ast.AST, changed: ast.AST) -> None:
        self.site, self.changed = site, changed

    def visit(self, node: ast.AST) -> ast.AST:
        return self.changed if node is self.site else self.generic_visit(node)


def _makes_logic(function: ast.FunctionDef) -> bool:
    return function.name == "elaborate" or any(a.arg == "m" for a in function.args.args)


def blocks() -> list[Path]:
    """The files of the gateware that faults are planted in, sorted by name. Benches and boards have none."""
    return sorted((f for room in ROOMS for f in (ROOT / "hw" / room).glob("*.py")), key=lambda f: f.stem)


def draw(seed: int, per_block: int) -> list[Mutant]:
    """Draw ``per_block`` faults of each block, by as many different rules as possible.

    Each block has a generator of random numbers of its own, so that a change to one block leaves the faults of
    others.
    """
    chosen: list[Mutant] = []
    for file in blocks():
        generator = random.Random(f"{seed} {file.stem}")
        by_rule: dict[str, list[Mutant]] = {}
        for mutant in mutants(file):
            by_rule.setdefault(mutant.rule, []).append(mutant)
        rules = sorted(by_rule)
        generator.shuffle(rules)
        taken = [generator.choice(by_rule[r]) for r in rules[:per_block]]
        rest = [m for r in rules for m in by_rule[r] if m not in taken]
        chosen += taken + generator.sample(rest, min(len(rest), per_block - len(taken)))
    return chosen


def verdict(mutant: Mutant, folder: Path) -> str:
    """Try a fault in the checkout ``folder``: "caught by <test file>", or "survived"."""
    names = (f"test_{mutant.block}.py", *WIDER_TESTS.get(mutant.block, BACK))
    file = mutant.file.relative_to(ROOT)
    (folder / file).write_text(mutant.source(), encoding="utf-8")
    try:
        files = [f for name in dict.fromkeys(names) for f in sorted((ROOT / "tests" / "hw").rglob(name))]
        for speed, tests in itertools.product(SPEEDS, files):
            options = (*PYTEST_OPTIONS, "-m", speed, str(tests.relative_to(ROOT)))
            code, said = _run([sys.executable, "-m", "pytest", *options], folder)
            if code in (0, NO_TESTS):
                continue
            if code not in (1, 2, None):  # not a failed test, nor one that cannot be loaded
                sys.exit(said)
            if re.search(rf"^(dcgen/)?{re.escape(str(file))}:\d+: \w", said, re.MULTILINE):
                return f"caught by {tests.name} (does not elaborate)"
            return f"caught by {tests.name}" + (" (does not end)" if code is None else "")
        return "survived"
    finally:
        shutil.copy(mutant.file, folder / file)


def _run(command: list[str], folder: Path) -> tuple[int | None, str]:
    """Run a command. Returns its exit code, None where it does not end, and its output.

    No simulator that the command has started outlives it.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        limited = ("prlimit", f"--cpu={CPU_S}", *command)
        process = subprocess.Popen(limited, cwd=folder, stdout=output, stderr=output, start_new_session=True)
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(10 * CPU_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(0)
        return None if code == -signal.SIGXCPU else code, output.read()


def workspace(folder: Path) -> None:
    """Make ``folder`` a checkout in which faults can be planted.

    Its ``hw`` is a copy, to which its ``dcgen/hw`` leads; everything else leads to the checkout of this script.
    """
    for item in ROOT.iterdir():
        if item.name == "hw":
            shutil.copytree(item, folder / "hw", ignore=shutil.ignore_patterns("__pycache__"))
        elif item.name == "dcgen":
            (folder / "dcgen").mkdir()
            for part in item.iterdir():
                os.symlink(Path("..", "hw") if part.name == "hw" else part, folder / "dcgen" / part.name)
        elif not item.name.startswith("."):
            os.symlink(item, folder / item.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-block", type=int, default=3)
    parser.add_argument("--report", type=Path, help="JSON file for the result, or of an earlier run to go on with")
    parser.add_argument("--only", help="a block")
    arguments = parser.parse_args()
    chosen = [m for m in draw(arguments.seed, arguments.per_block) if arguments.only in (None, m.block)]
    known = caught_before(arguments.report)
    results: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        folder.mkdir()
        workspace(folder)
        for mutant in chosen:
            result = described(mutant)
            if mutant.name in EQUIVALENT:
                result["verdict"] = f"equivalent: {EQUIVALENT[mutant.name]}"
            else:
                result["verdict"] = known.get(identity(result)) or verdict(mutant, folder)
            print(f"{mutant.name}: {result['verdict']}", flush=True)
            results.append(result)
            if arguments.report:
                document = {"seed": arguments.seed, "per_block": arguments.per_block, "mutants": results}
                arguments.report.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    survivors = [r["name"] for r in results if r["verdict"] == "survived"]
    print(f"{len(results)} faults in {len({r['block'] for r in results})} blocks, {len(survivors)} survived")
    sys.exit(1 if survivors else 0)


def described(mutant: Mutant) -> dict[str, str]:
    """A fault as the report has it; ``logic_sha256`` is that of the block without the fault."""
    keys = ("name", "block", "rule", "before", "after")
    return {k: getattr(mutant, k) for k in keys} | {"logic_sha256": logic_sha256(mutant.file)}


def logic_sha256(file: Path) -> str:
    """SHA-256 of a block's code without comments, docstrings and imports, which cannot change its circuit."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [n for n in node.body if not _says_nothing(n)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _says_nothing(node: ast.stmt) -> bool:
    """Whether a statement is a docstring or an import."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom)


def identity(result: dict[str, str]) -> tuple[str, str]:
    """What a verdict belongs to: a fault, in a block as it is."""
    return result["name"], result["logic_sha256"]


def caught_before(report: Path | None) -> dict[tuple[str, str], str]:
    """The verdicts of an earlier report on faults that were caught."""
    if report is None or not report.is_file():
        return {}
    results = json.loads(report.read_text(encoding="utf-8"))["mutants"]
    return {identity(r): r["verdict"] for r in results if r["verdict"].startswith("caught")}


if __name__ == "__main__":
    main()
