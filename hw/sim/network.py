"""Runs a whole network on the simulated engine: ``python3 -m tests.network`` in an emitted ``rtl`` folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from . import playback, simulator, tensors

HERE = Path(__file__).resolve().parent
LIMIT_FACTOR = 20
"""A run has failed if it takes this many times the cycles that the plan predicts."""


def build(
    engine: Path, plan: dict[str, Any], cache: Path, kind: str = "verilator", waves: bool = False
) -> simulator.Build:
    """Build the engine's Verilog with the bench around it.

    engine : the Verilog file
    plan : contents of plan.json
    cache : folder that holds the builds
    """
    parameters = {
        "LANES": plan["parameters"]["lanes"],
        "PICTURE_BYTES": plan["parameters"]["picture_bytes"],
        "FIRST_READ": plan["registers"]["status"],
        "COUNTER_BASE": plan["registers"]["counters"],
        "COUNTERS": len(plan["counters"]),
    }
    sources = [engine, HERE / "bench.v"]
    return simulator.build(kind, sources, "bench", cache, parameters=parameters, waves=waves, public_depth=0)


def play(
    built: simulator.Build,
    plan: dict[str, Any],
    folder: Path,
    *,
    stalls: int = 0,
    waves: bool = False,
) -> playback.Played:
    """Play the bench's files in ``folder``, and read what came out.

    stalls : seed of random pauses on every stream, 0 for none

    Raises SimulationError where the engine does not end.
    """
    limit = plan["predicted"]["total"] * LIMIT_FACTOR + 20_000
    arguments = [f"+limit={limit}", *([f"+stalls={stalls}"] if stalls else [])]
    simulator.run(built, "play", folder, python_path=(HERE,), plusargs=arguments, waves=waves)
    try:
        return playback.read(folder, plan["parameters"]["lanes"])
    except (ValueError, OSError) as e:
        raise simulator.SimulationError(f"the simulation left nothing to read: {e}") from e


def counted(plan: dict[str, Any], played: playback.Played) -> dict[str, int]:
    """Cycles of a run by their cause."""
    return dict(zip(plan["counters"], played.counters, strict=True))


def failure(plan: dict[str, Any], played: playback.Played) -> str:
    """What went wrong in a run, by the status register at its end; empty if nothing did."""
    status, layout = played.status, plan["registers"]["status_fields"]
    fields = {name: (status & mask) >> low for name, (low, mask) in layout.items()}
    if fields["error"]:
        cause = plan["causes"].get(str(fields["cause"]), "unknown")
        return f"the engine stopped at node {fields['node']} with cause {fields['cause']} ({cause})"
    return "" if fields["done"] else "the engine did not end"


def main() -> int:
    """Play the picture beside this folder and compare tensors, scores and cycles. 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulator", choices=simulator.SIMULATORS, default="verilator")
    parser.add_argument("--stalls", type=int, default=0, metavar="SEED", help="pause every stream at random")
    parser.add_argument("--waves", action="store_true", help="write an FST file into the build folder")
    parser.add_argument("--build", type=Path, default=Path("build"), metavar="FOLDER")
    options = parser.parse_args()
    root = HERE.parent
    plan = json.loads((root / "plan.json").read_text())
    run = options.build / "run"
    golden = root / "golden"
    playback.write(run, *((golden / name).read_bytes() for name in playback.FILES))
    try:
        built = build(root / "engine.v", plan, options.build, options.simulator, options.waves)
        played = play(built, plan, run, stalls=options.stalls, waves=options.waves)
    except simulator.SimulationError as e:
        print(e)
        return 1
    wrong = [failure(plan, played)] if failure(plan, played) else []
    found = tensors.rebuild(plan["trace"], played.writes)
    for name, value in plan["golden"]["tensors"].items():
        if tensors.check_value(found[name]) != value:
            wrong.append(f"tensor {name} differs")
    if not np.array_equal(played.scores, np.array(plan["golden"]["scores"], np.int32)):
        wrong.append("scores differ")
    cycles, expected = counted(plan, played)["total"], plan["predicted"]["total"]
    if not options.stalls and expected and cycles != expected:
        wrong.append(f"took {cycles} cycles, expected {expected}")
    print("\n".join(wrong) or f"{len(found)} tensors and {len(played.scores)} scores equal, {cycles} cycles")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
