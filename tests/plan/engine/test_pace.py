"""Pictures a second on a board follow from a network's cycles and bytes."""

from __future__ import annotations

from dcgen.emit.engine_data import packets
from dcgen.encode.blob import encode
from dcgen.hw.boards.board import ULX3S_85F
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.models.catalogue import DIGITS
from dcgen.plan.engine.pace import pace
from dcgen.plan.engine.plan import plan_engine
from tests.squeezenets import squeezenet


def test_the_link_carries_the_picture_and_every_packet_that_the_engine_takes() -> None:
    graph = squeezenet(DIGITS, seed=1)
    blob = encode(graph)
    plan = plan_engine(graph, blob, EngineParameters(lanes=8, requantizers=2, words=2048, picture_bytes=4))
    found = pace(ULX3S_85F, plan, graph, blob, 1_000_000)
    channels, height, width = graph.input.shape
    assert found.bytes == channels * height * width + sum(len(p) for p in packets(blob.data, plan.program))
    assert found.link == ULX3S_85F.baud / 10 / found.bytes
    assert (found.megahertz, found.compute) == (50, 50)
