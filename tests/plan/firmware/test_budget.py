"""Plans within a given RAM: as fast as it allows, or an error that says how much would be enough."""

from __future__ import annotations

import re

import pytest

from dcgen.encode.blob import Blob, encode
from dcgen.errors import PlanError
from dcgen.models.spec import SqueezeNetSpec
from dcgen.plan.firmware.budget import SCORE_BYTES, STATIC_BYTES, plan_within
from dcgen.plan.firmware.plan import FirmwarePlan, plan_firmware
from dcgen.plan.firmware.tables import bit_choices
from dcgen.quant.qgraph import QGraph
from dcgen.targets import Target, find
from tests.squeezenets import squeezenet


def target() -> Target:
    found = find("cortex-m7")
    assert isinstance(found, Target)
    return found


M7 = target()


@pytest.fixture(scope="module")
def graph() -> QGraph:
    spec = SqueezeNetSpec(
        "small",
        base_e=32,
        incr_e=32,
        fires=4,
        conv1_channels=24,
        conv1_kernel=3,
        pool_after=(1, 3),
        size=64,
        classes=9,
    )
    return squeezenet(spec)


@pytest.fixture(scope="module")
def blob(graph: QGraph) -> Blob:
    return encode(graph)


def taken(plan: FirmwarePlan) -> int:
    assert M7.stack_bytes
    return plan.arena_bytes + plan.picture_bytes + SCORE_BYTES * plan.n_scores + STATIC_BYTES + M7.stack_bytes


def work(plan: FirmwarePlan) -> float:
    return sum(n.conv.instructions for n in plan.nodes if n.conv)


@pytest.fixture(scope="module")
def refusal(graph: QGraph, blob: Blob) -> str:
    """What is said where 1,000 bytes are allowed."""
    with pytest.raises(PlanError) as error:
        plan_within(graph, blob, 1000, M7, {})
    return str(error.value)


@pytest.fixture(scope="module")
def least(refusal: str) -> int:
    """The bytes of RAM that would do, according to the refusal."""
    found = re.search(r"needs ([\d,]+) bytes of RAM, `ram` gives 1,000", refusal)
    assert found
    return int(found[1].replace(",", ""))


def test_whole_layers_where_they_fit(graph: QGraph, blob: Blob) -> None:
    whole = plan_firmware(graph, blob)
    assert whole.picture_bytes == 64 * 64 * 3
    found = plan_within(graph, blob, taken(whole), M7, {})
    assert not found.schedule.streamed and found.scratch == whole.scratch


def test_smaller_decoding_tables_rather_than_strips(graph: QGraph, blob: Blob) -> None:
    fast, *_, small = (plan_firmware(graph, blob, table_bits=bits) for bits in bit_choices(blob))
    assert fast.scratch.table_bits > small.scratch.table_bits
    found = plan_within(graph, blob, taken(fast) - 1, M7, {})
    assert not found.schedule.streamed and found.scratch.table_bits < fast.scratch.table_bits
    assert plan_within(graph, blob, taken(small), M7, {}).scratch == small.scratch
    assert plan_within(graph, blob, taken(small) - 1, M7, {}).schedule.streamed


def test_tables_are_as_they_are_asked_for(graph: QGraph, blob: Blob) -> None:
    fast = plan_firmware(graph, blob)
    found = plan_within(graph, blob, taken(fast) - 1, M7, {}, fast.scratch.table_bits)
    assert found.schedule.streamed and found.scratch.table_bits == fast.scratch.table_bits


def test_less_memory_costs_instructions(graph: QGraph, blob: Blob, least: int) -> None:
    budgets = [least, least * 5 // 4, least * 3 // 2, least * 2]
    plans = [plan_within(graph, blob, budget, M7, {}) for budget in budgets]
    for plan, budget in zip(plans, budgets, strict=True):
        assert plan.schedule.streamed and taken(plan) <= budget
        assert plan.picture_bytes == 64 * 3
    assert work(plans[0]) > 1.1 * work(plans[-1])


def test_nothing_alive_together_overlaps(graph: QGraph, blob: Blob, least: int) -> None:
    plan = plan_within(graph, blob, least, M7, {})
    where = {t.name: t.layout.offset for t in plan.tensors}
    first = [min(b.members, key=lambda m: b.members[m]) for b in plan.schedule.buffers]
    spans = [(where[n], where[n] + b.size, b) for n, b in zip(first, plan.schedule.buffers, strict=True)]
    assert all(plan.scratch.size <= begin and end <= plan.arena_bytes for begin, end, _ in spans)
    for i, (begin, end, buffer) in enumerate(spans):
        for other_begin, other_end, other in spans[:i]:
            assert end <= other_begin or other_end <= begin or not buffer.block.meets(other.block)
        for k, node in enumerate(plan.nodes):
            if node.conv and node.conv.packing and buffer.meets_nodes(k, k + 1):
                assert node.workspace + node.conv.packing.size <= begin or end <= node.workspace


def test_too_little_names_what_is_needed_and_for_which_layers(
    graph: QGraph, blob: Blob, refusal: str, least: int
) -> None:
    assert "\n" not in refusal
    assert f"{M7.stack_bytes:,} of stack" in refusal
    assert any(node.name in refusal for node in graph.nodes)
    assert taken(plan_within(graph, blob, least, M7, {})) <= least
