"""Walking a network from convolution to convolution with two sets of weights side by side.

A quantizer that answers for the errors of the layers before it needs, at every convolution, what the
float network puts there and what the quantized one does. Tensors of all pictures are kept at a cut
of the network only where they are small; elsewhere they are computed again from the last cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from dcgen.ir.graph import F32, Conv, Graph, Input, Shape, Weight
from dcgen.ir.runner import BATCH, FloatRunner

KEPT_BYTES = 700 * 2**20
"""Most that the tensors at a cut may take, over both networks and all pictures."""
KNOWN_BYTES = 1300 * 2**20
"""Most that tensors of the float network may take that one walk leaves for the next."""


def groups(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The Conv nodes in order, in runs of which none reads what another of the same run makes."""
    found: list[list[str]] = []
    behind: set[str] = set()  # every tensor that depends on the current run
    for node in graph.nodes:
        depends = any(i in behind for i in node.inputs)
        if isinstance(node.op, Conv):
            if depends or not found:
                found.append([])
                behind.clear()
            found[-1].append(node.name)
            behind.add(node.name)
        elif depends:
            behind.add(node.name)
    return tuple(map(tuple, found))


def section(graph: Graph, inputs: Iterable[str], outputs: Iterable[str]) -> Graph:
    """The part of the graph that makes ``outputs`` from ``inputs``, all by tensor name."""
    given, wanted = set(inputs), list(dict.fromkeys(outputs))
    needed, pending = set[str](), [w for w in wanted if w not in given]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending.extend(i for i in graph.by_name[name].inputs if i not in given)
    nodes = tuple(n for n in graph.nodes if n.name in needed)
    read = {i for n in nodes for i in n.inputs} | set(wanted)
    return Graph(
        graph.name,
        tuple(Input(g, graph.shapes[g]) for g in graph.shapes if g in given & read),
        nodes,
        tuple(wanted),
    )


def cut(graph: Graph, group: Iterable[str]) -> tuple[str, ...]:
    """The tensors that exist before ``group`` and the convolutions behind it run, and that what comes
    behind still reads; the inputs of ``group`` are among them."""
    waiting = set(group)
    missing: set[str] = set()
    reached = False
    for node in graph.nodes:
        reached = reached or node.name in waiting
        if (reached and isinstance(node.op, Conv)) or any(i in missing for i in node.inputs):
            missing.add(node.name)
    read = {i for n in graph.nodes if n.name in missing for i in n.inputs}
    return tuple(name for name in graph.shapes if name in read - missing)


class Sliced(Protocol):
    """Tensors float32 [N, C, H, W] that a walk takes slice by slice."""

    def __len__(self) -> int: ...

    def __getitem__(self, here: slice, /) -> F32: ...


class Mirrored:
    """Pictures float32 [N, C, H, W] and behind them their mirror images, which are made when they are taken."""

    def __init__(self, pictures: F32) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return 2 * len(self._pictures)

    def __getitem__(self, here: slice, /) -> F32:
        n = len(self._pictures)
        start, stop, _ = here.indices(2 * n)
        mirrored = self._pictures[max(start - n, 0) : max(stop - n, 0), ..., ::-1]
        return np.concatenate([self._pictures[start:stop], mirrored])


class Walk:
    """Two networks of one graph, float and quantized, on the same pictures.

    Groups are visited in order. Whoever visits puts the quantized weights and biases of a group into
    ``weights`` and ``biases`` before going on.

    pictures : float32 [N, C, H, W]; ``count`` is N
    known : the float network's tensors at some cuts, shared by walks over the same pictures; the first fills it
    """

    def __init__(self, graph: Graph, pictures: Sliced, known: dict[str, F32] | None = None) -> None:
        self._graph = graph
        self.count = len(pictures)
        self._at: dict[str, tuple[Sliced, Sliced]] = {graph.inputs[0].name: (pictures, pictures)}
        self._known = {} if known is None else known
        self._fills = known is not None and not known
        self.weights: dict[str, Weight] = {}
        self.biases: dict[str, F32] = {}

    def visit(self, group: Iterable[str]) -> Iterator[Mapping[str, tuple[F32, F32]]]:
        """Batch by batch the (float, quantized) tensors float32 [B, C, H, W] that ``group`` reads."""
        group = tuple(group)
        graph, held = self._graph, self._at
        wanted = cut(graph, group)
        sizes = [int(np.prod(graph.shapes[name])) for name in wanted]
        keep = 2 * 4 * self.count * sum(sizes) <= KEPT_BYTES
        if not keep:
            wanted = tuple(dict.fromkeys(graph.by_name[name].inputs[0] for name in group))
        new = tuple(name for name in wanted if name not in held)
        part = section(graph, held, new) if new else None
        runner = FloatRunner(part, swappable=True) if part is not None else None
        inside = {n.name for n, _ in part.convs()} if part is not None else set()
        changed = {name: w for name, w in self.weights.items() if name in inside}
        biases = {name: b for name, b in self.biases.items() if name in inside}
        same = not changed and all(a is b for a, b in held.values())
        known = {name: self._known[name] for name in new} if all(name in self._known for name in new) else {}
        made: dict[str, tuple[F32, F32]] = {}
        for name in new if keep else ():
            one = known[name] if known else _empty(self.count, graph.shapes[name])
            made[name] = (one, one if same else _empty(self.count, graph.shapes[name]))
        for start in range(0, self.count, BATCH):
            here = slice(start, start + BATCH)
            ones = {name: a[here] for name, (a, _) in held.items()}
            twos = {name: ones[name] if a is b else b[here] for name, (a, b) in held.items()}
            if runner is not None:
                found = {name: x[here] for name, x in known.items()} or next(runner.batches(ones))
                ones = {**ones, **found}
                twos = {**twos, **(found if same else next(runner.batches(twos, changed, biases)))}
            for name, (one, two) in made.items():
                if not known:
                    one[here] = ones[name]
                if not same:
                    two[here] = twos[name]
            yield {name: (ones[name], twos[name]) for name in wanted}
        if keep:
            self._at = {name: held[name] for name in wanted if name in held} | made
            if self._fills:
                self._remember({name: one for name, (one, _) in made.items()})

    def _remember(self, found: Mapping[str, F32]) -> None:
        """The last ones, as most work lies between them for their size."""
        self._known.update(found)
        while sum(x.nbytes for x in self._known.values()) > KNOWN_BYTES:
            del self._known[next(iter(self._known))]


def _empty(pictures: int, shape: Shape) -> F32:
    return np.empty((pictures, *shape), np.float32)
