"""Every function of dcg.h refuses what it must not be given, under address and undefined-behaviour sanitizers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcgen.emit.golden import Golden
from tests.firmware.build import Program
from tests.firmware.nets import every_operator, pictures
from tests.firmware.test_streaming import in_strips


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_misuse_is_refused_and_changes_nothing(seed: int, streamed: bool, tmp_path: Path) -> None:
    graph = every_operator(seed)
    golden = Golden.of(graph, pictures(graph, 1))
    program = Program(tmp_path, graph, golden, schedule=in_strips(graph) if streamed else None)
    *lines, counts = program.misuse()
    tried, mishandled = map(int, counts.split())
    assert [line for line in lines if line.startswith("mishandled")] == []
    assert mishandled == 0 and tried > 500
