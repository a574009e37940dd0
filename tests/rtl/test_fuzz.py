"""Damaged blobs into the whole engine: an error with its cause, or the reference's scores; never a hang."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dcgen.emit.engine_data import describe, play_files
from dcgen.emit.hdl import engine_verilog
from dcgen.encode.layout import take_apart
from dcgen.encode.schema import Status
from dcgen.errors import BlobError
from dcgen.hw.contract import regmap
from dcgen.hw.sim import playback, simulator
from dcgen.plan.engine.cycles import predict
from dcgen.quant.execute import execute
from tests.hw.nets import SMALL, Net, fire_net, lively, planned
from tests.rtl.bench import CACHE, ROOT
from tests.rtl.damaged_packets import Packets, campaign, meaning, packets

BOUND_FACTOR, BOUND_EXTRA = 8, 20_000
"""No blob keeps the engine busy for more than BOUND_FACTOR times the cycles of the sound one plus BOUND_EXTRA."""
STARTS_A_JOB_ENDS = 2
"""Flag, in blobs.bin, of the word that ends a job."""


def play(net: Net, jobs: list[Packets], folder: Path) -> np.ndarray:
    """Results of every job: uint32 [N, 3 + S] with cycles, status, number of scores, scores."""
    prediction = predict(net.plan, net.graph, net.blob)
    described = describe(net.graph, net.plan, prediction)
    setup, _, picture = play_files(net.blob.data, net.plan.program, net.plan.commands, described, net.picture)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "engine.v").write_text(engine_verilog(net.plan.parameters))
    # The last write of a setup is the start.
    (folder / "setup.bin").write_bytes(setup[:-8])
    (folder / "start.bin").write_bytes(setup[-8:])
    (folder / "nothing.bin").write_bytes(b"")
    (folder / "picture.bin").write_bytes(picture)
    end = struct.pack("<II", 0, STARTS_A_JOB_ENDS)
    sent = []
    for job in jobs:
        whole = [
            job.tensors if node < 0 or node >= len(job.nodes) else job.nodes[node] for node in net.plan.program
        ]
        sent.append(playback.blob_file(whole) + end)
    (folder / "blobs.bin").write_bytes(b"".join(sent))
    beat, n_scores = net.plan.parameters.picture_bytes, net.graph.n_scores
    parameters = {
        "PICTURE_BYTES": beat,
        "BEATS": len(picture) // beat,
        "SCORES": n_scores,
        "STATUS": regmap.register("status").offset,
    }
    sources = [folder / "engine.v", ROOT / "tests/rtl/many_jobs.v"]
    built = simulator.build("verilator", sources, "bench", CACHE, parameters=parameters, public_depth=0)
    limit = prediction.total * BOUND_FACTOR + BOUND_EXTRA
    simulator.run(
        built,
        "play",
        folder,
        python_path=(ROOT / "hw/sim",),
        plusargs=[f"+limit={limit}", f"+jobs={len(jobs)}"],
    )
    results = np.fromfile(folder / "results.bin", "<u4")
    assert len(results) % (3 + n_scores) == 0, (
        f"job {len(results) // (3 + n_scores)} did not end in {limit} cycles"
    )
    return results.reshape(-1, 3 + n_scores)


def outcomes(net: Net, jobs: list[Packets], found: np.ndarray) -> Counter[str]:
    """What became of each job, once it has been compared with the reader and the golden model."""
    status = regmap.register("status")
    error, done, cause = (status.bits(name) for name in ("error", "done", "cause"))
    names = (net.graph.input.name, *(n.name for n in net.graph.nodes))
    assert len(take_apart(net.blob.data).nodes) == len(names) - 1
    seen: Counter[str] = Counter()
    assert len(found) == len(jobs)
    for number, (job, (_, state, n_scores, *scores)) in enumerate(zip(jobs, found.tolist(), strict=True)):
        if state & error.mask:
            seen[Status((state & cause.mask) >> cause.low).name] += 1
            assert not state & done.mask
            continue
        try:
            graph = meaning(net.blob.data, job, names)
        except BlobError as refused:
            pytest.fail(f"job {number}: the engine took what the reader refuses: {refused}")
        golden = execute(graph, net.picture[None])[0]
        assert n_scores == len(golden), number
        assert scores == golden.view(np.uint32).tolist(), number
        seen["OK"] += 1
    return seen


def fuzz(count: int, folder: Path) -> Counter[str]:
    net = planned(lively(fire_net()), SMALL)
    sound = packets(net.blob.data)
    # A sound blob comes first and last, so that an error that leaves something behind is seen.
    jobs = [sound, *campaign(sound, count), sound]
    found = play(net, jobs, folder)
    golden = execute(net.graph, net.picture[None])[0].view(np.uint32).tolist()
    assert found[0, 3:].tolist() == found[-1, 3:].tolist() == golden
    return outcomes(net, jobs, found)


def test_damaged_blobs_end_in_an_error_or_the_reference(tmp_path: Path) -> None:
    seen = fuzz(200, tmp_path)
    assert seen["OK"] > 2 and seen["SECTION_CRC"] > 0 and seen["LAYER"] > 0


@pytest.mark.slow
def test_two_thousand_damaged_blobs(tmp_path: Path) -> None:
    seen = fuzz(2400, tmp_path)
    print(dict(seen))
    assert sum(seen.values()) == 2402
    assert {"SECTION", "SECTION_CRC", "LAYER", "TABLE", "CODE", "STREAM", "HEADER"} <= set(seen)
