"""Segments and strips: every row is computed once, when its inputs exist and before they are overwritten."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.plan.firmware.rows import holds, reads, rows_of
from dcgen.plan.firmware.segments import Cut, Cutter, Schedule, whole_layers
from dcgen.quant.qgraph import QConcat, QGraph
from tests.strategies import qgraphs


@st.composite
def schedules(draw: st.DrawFn, graph: QGraph) -> Schedule:
    """The schedule of any cuts into segments of any numbers of strips."""
    cuts: list[Cut] = []
    while not cuts or cuts[-1][1] < len(graph.nodes):
        first = cuts[-1][1] if cuts else 0
        cuts.append((first, draw(st.integers(first + 1, len(graph.nodes))), draw(st.integers(1, 7))))
    return Cutter(graph, streamed=True).schedule(cuts)


class _Memory:
    """Which row lies in each slot of each ring. The tensors of a Concat share a ring, but no channels of it."""

    def __init__(self, schedule: Schedule) -> None:
        self.rings = {name: b.rows for b in schedule.buffers for name in b.members}
        self.slots: dict[tuple[str, int], int] = {}
        self.joined = {i: n.name for n in schedule.graph.nodes if isinstance(n.op, QConcat) for i in n.inputs}
        self.parts = {n.name: n.inputs for n in schedule.graph.nodes if isinstance(n.op, QConcat)}

    def write(self, name: str, row: int) -> None:
        self.slots[name, row % self.rings[name]] = row

    def holds(self, name: str, row: int) -> bool:
        if name in self.parts:
            return all(self.holds(part, row) for part in self.parts[name])
        return self.slots.get((name, row % self.rings[name])) == row


def plays(schedule: Schedule) -> None:
    """Run the steps on the numbers of rows: each step finds its input rows, and all rows are made."""
    graph, memory = schedule.graph, _Memory(schedule)
    done = [0] * len(graph.nodes)
    arrived = 0
    assert schedule.steps[0].picture_rows > 0, "no row can be taken while there is a step to run"
    for step in schedule.steps:
        node = graph.nodes[step.node]
        while arrived < step.picture_rows:
            memory.write(graph.input.name, arrived)
            arrived += 1
        assert step.first_row == done[step.node] and step.rows > 0
        done[step.node] += step.rows
        for name in node.inputs:
            height = graph.tensors[name].shape[1]
            for y in range(step.first_row, done[step.node]):
                for row in range(holds(node.op, y, height), reads(node.op, y + 1, height)):
                    assert memory.holds(name, row), f"{node.name} row {y} reads row {row} of {name}"
        if node.name in graph.tensors:
            for y in range(step.first_row, done[step.node]):
                memory.write(node.name, y)
                assert memory.holds(node.name, y)
    assert arrived == graph.input.shape[1], "the last step has the whole picture"
    kernels = [i for i, n in enumerate(graph.nodes) if not isinstance(n.op, QConcat)]
    assert [done[i] for i in kernels] == [rows_of(graph, graph.nodes[i]) for i in kernels]


@given(st.data(), qgraphs(max_nodes=8))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_rows_are_read_while_they_are_held(data: st.DataObject, graph: QGraph) -> None:
    plays(data.draw(schedules(graph)))


@given(st.data(), qgraphs(max_nodes=8))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_pictures_arrive_only_into_memory_of_their_own(data: st.DataObject, graph: QGraph) -> None:
    """A row of the picture that came during a node outside of the picture's life could overwrite another
    tensor."""
    schedule = data.draw(schedules(graph))
    picture = schedule.buffers[0]
    assert picture.members == {graph.input.name: 0}
    outside = [s for s in schedule.steps if not picture.meets_nodes(s.node, s.node + 1)]
    assert all(s.picture_rows == graph.input.shape[1] for s in outside)


@given(qgraphs())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_whole_layers_are_one_step_each(graph: QGraph) -> None:
    schedule = whole_layers(graph)
    assert not schedule.streamed
    assert [s.node for s in schedule.steps] == [
        i for i, n in enumerate(graph.nodes) if not isinstance(n.op, QConcat)
    ]
    assert all(s.rows == rows_of(graph, graph.nodes[s.node]) for s in schedule.steps)


def test_a_chain_of_windows_holds_their_halos_only() -> None:
    from tests.verify.small import small_graph

    graph = small_graph()
    schedule = Cutter(graph, streamed=True).schedule([(0, 3, 4), (3, len(graph.nodes), 1)])
    rows = {name: b.rows for b in schedule.buffers for name in b.members}
    # A row of pool1 is made of three of conv1, and the first three of conv1 of the picture's first six.
    assert (rows["conv1"], rows["picture"]) == (3, 6)
    assert (rows["pool1"], rows["squeeze"]) == (4, 4), "later segments read them"
