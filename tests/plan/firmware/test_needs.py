"""Budgets: an exceeded one tells what each layer needs, one that is kept raises nothing."""

import pytest

from dcgen.encode.blob import encode
from dcgen.errors import BudgetError
from dcgen.plan.firmware.needs import Budget, check_budget, predict_needs
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.quant.activity import active_bytes
from dcgen.targets import find
from tests.firmware.nets import pictures, rectified
from tests.verify.small import small_graph

GRAPH = small_graph()
BLOB = encode(GRAPH)
NEEDS = predict_needs(plan_firmware(GRAPH, BLOB), GRAPH, BLOB, find("cortex-m7"), {})
assert NEEDS


def test_a_budget_that_is_just_enough_is_kept() -> None:
    check_budget(Budget(NEEDS.flash_bytes, NEEDS.most_instructions.total), NEEDS, BLOB)


def test_too_many_instructions_name_the_layer_that_takes_most() -> None:
    names = [n.name for n in GRAPH.nodes]
    most = names[max(NEEDS.most_instructions.nodes, key=NEEDS.most_instructions.nodes.__getitem__)]
    total = NEEDS.most_instructions.total
    with pytest.raises(
        BudgetError, match=f"needs {total:,} instructions, .* allows {total - 1:,}; .* {most}"
    ) as e:
        check_budget(Budget(instructions=total - 1), NEEDS, BLOB)
    assert e.value.rows[0][0] == most


def test_a_budget_is_for_pictures_that_leave_no_zeros_to_skip() -> None:
    graph = rectified(60, (14, 14), 400, 0.05)
    blob = encode(graph)
    active = active_bytes(graph, pictures(graph, 1))
    needs = predict_needs(plan_firmware(graph, blob), graph, blob, find("cortex-m7"), active)
    assert needs
    usual, most = needs.instructions, needs.most_instructions
    assert usual.loops[1] == "events" != most.loops[1]
    assert usual.total < 0.9 * most.total
    check_budget(Budget(instructions=most.total), needs, blob)
    with pytest.raises(BudgetError, match=f"needs {most.total:,} instructions"):
        check_budget(Budget(instructions=most.total - 1), needs, blob)


def test_the_table_of_a_budget_adds_up() -> None:
    with pytest.raises(BudgetError, match=f"needs {NEEDS.flash_bytes:,} bytes of flash, `flash` allows") as e:
        check_budget(Budget(flash=NEEDS.flash_bytes - 1), NEEDS, BLOB)
    *parts, (_, flash, instructions) = e.value.rows
    assert sum(p[1] for p in parts) == flash == NEEDS.flash_bytes
    assert sum(p[2] for p in parts) == instructions == NEEDS.most_instructions.total
    assert {p[0] for p in parts} > {n.name for n in GRAPH.nodes}
