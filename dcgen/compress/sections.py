"""Runs a float network and its quantized twin side by side, from convolution to convolution.

A quantizer that makes up for the errors of the layers before needs, at every convolution, what it reads in the
float network and in the quantized one, whose weights are known up to there. The network is cut before the
convolution, and the tensors at the cut are kept for all pictures, so that the next convolution's inputs are
computed from there. Where they would take too much memory, they are computed again from the last cut that was
kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from dcgen.ir.graph import F32, Conv, Graph, Input, Weight
from dcgen.ir.runner import FloatRunner, batch_size

KEPT_BYTES = 1000 * 2**20
"""Most bytes of the tensors at a cut that is kept, over both networks and all pictures."""
KNOWN_BYTES = 800 * 2**20
"""Most bytes of the float network's tensors that one walk leaves for the next ones."""


def groups(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The names of the Conv nodes in order, in groups: no convolution depends on another one of its group."""
    found: list[list[str]] = []
    behind: set[str] = set()  # tensors that depend on the current group
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
    """The part of the graph that computes the tensors ``outputs`` from the tensors ``inputs``."""
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


def cut(graph: Graph, group: Iterable[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of the tensors before ``group`` from which everything behind can be computed: those that are
    independent of the group and of all later convolutions, and that a node reads which is not, or that are
    ``wanted``."""
    waiting = set(group)
    missing: set[str] = set()
    reached = False
    for node in graph.nodes:
        reached = reached or node.name in waiting
        if (reached and isinstance(node.op, Conv)) or any(i in missing for i in node.inputs):
            missing.add(node.name)
    read = {*wanted, *(i for n in graph.nodes if n.name in missing for i in n.inputs)}
    return tuple(name for name in graph.shapes if name in read - missing)


class Sliced(Protocol):
    """A tensor float32 [N, C, H, W] that a walk reads slice by slice along N."""

    def __len__(self) -> int: ...

    def __getitem__(self, here: slice, /) -> F32: ...


class Mirrored:
    """Pictures, and behind them their mirror images, which are made when they are read.

    pictures : float32 [N, C, H, W]; the whole is float32 [2 * N, C, H, W]
    """

    def __init__(self, pictures: F32) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return 2 * len(self._pictures)

    def __getitem__(self, here: slice, /) -> F32:
        n = len(self._pictures)
        start, stop, _ = here.indices(2 * n)
        mirrored = self._pictures[max(start - n, 0) : max(stop - n, 0), ..., ::-1]
        return np.concatenate([self._pictures[start:stop], mirrored])


class Room:
    """Memory for the tensors of one walk after another: it is used again, as new memory has to be cleared by the
    system first, which takes longer than writing it."""

    def __init__(self) -> None:
        self._lent: list[F32] = []
        self._free: list[F32] = []

    def empty(self, shape: tuple[int, ...]) -> F32:
        """A tensor of this shape, its values undefined."""
        size = int(np.prod(shape))
        self._free.sort(key=len)
        at = next((i for i, flat in enumerate(self._free) if len(flat) >= size), -1)
        flat = self._free.pop(at) if self._free else np.empty(0, np.float32)
        if len(flat) < size:
            del flat  # the largest one that is free is too small: released before a larger one is taken
            flat = np.empty(size, np.float32)
        self._lent.append(flat)
        return flat[:size].reshape(shape)

    def release(self, kept: Iterable[Sliced]) -> None:
        """Take back all that was lent but for the tensors ``kept``."""
        still = {id(x.base) for x in kept if isinstance(x, np.ndarray)}
        self._free += [flat for flat in self._lent if id(flat) not in still]
        self._lent = [flat for flat in self._lent if id(flat) in still]


class Walk:
    """The float and the quantized network of one graph, on the same pictures.

    count : number of pictures
    mirrored : whether half of them are mirror images

    Groups of convolutions are visited in order. Before the next visit, the caller puts the quantized weights and
    biases of the group into ``weights`` and ``biases``, by Conv node; convolutions that are not named there are
    the same in both networks.

    pictures : float32 [N, C, H, W]
    known : the float network's tensors at some cuts, by name, shared by walks over the same pictures; the first
        walk fills it
    room : where tensors are kept, of which a walk that ended before may have used the same
    """

    def __init__(
        self, graph: Graph, pictures: Sliced, known: dict[str, F32] | None = None, room: Room | None = None
    ) -> None:
        self._graph, self._batch, self._room = graph, batch_size(graph), room or Room()
        self.count, self.mirrored = len(pictures), isinstance(pictures, Mirrored)
        self._at: dict[str, tuple[Sliced, Sliced]] = {graph.inputs[0].name: (pictures, pictures)}
        self._known = {} if known is None else known
        self._fills = known is not None and not known
        self.weights: dict[str, Weight] = {}
        self.biases: dict[str, F32] = {}

    def visit(self, group: Iterable[str]) -> Iterator[Mapping[str, tuple[F32, F32]]]:
        """Batch by batch, the tensors that ``group`` reads, by name: of the float and of the quantized network,
        float32 [B, C, H, W]. Both are one array where the networks are the same up to there."""
        group = tuple(group)
        graph, held = self._graph, self._at
        self._room.release(itertools.chain(*held.values()))
        wanted = cut(graph, group)
        sizes = [int(np.prod(graph.shapes[name])) for name in wanted]
        keep = 2 * 4 * self.count * sum(sizes) <= KEPT_BYTES
        if not keep:
            wanted = tuple(dict.fromkeys(graph.by_name[name].inputs[0] for name in group))
        # What is new is computed from what is held by a part of the graph, whose weights may differ in both
        # networks.
        new = tuple(name for name in wanted if name not in held)
        part = section(graph, held, new) if new else None
        known = {name: self._known[name] for name in new} if all(name in self._known for name in new) else {}
        same = all(a is b for a, b in held.values())
        runner = other_runner = None
        if part is not None:
            same = same and not any(n.name in self.weights for n, _ in part.convs())
            runner = None if known else FloatRunner(part, batch=self._batch)
            changed = part.with_weights(self.weights, self.biases)
            other_runner = None if same else FloatRunner(changed, batch=self._batch)
        # What is to be kept is written batch by batch; where both networks are the same, into one array for both.
        made: dict[str, tuple[F32, F32]] = {}
        for name in new if keep else ():
            shape = self.count, *graph.shapes[name]
            # What is remembered is not in the room, whose memory may be larger than asked for.
            if known:
                all_floats = known[name]
            else:
                all_floats = np.empty(shape, np.float32) if self._fills else self._room.empty(shape)
            made[name] = (all_floats, all_floats if same else self._room.empty(shape))
        for start in range(0, self.count, self._batch):
            here = slice(start, start + self._batch)
            floats = {name: a[here] for name, (a, _) in held.items()}
            quantized = {name: floats[name] if a is b else b[here] for name, (a, b) in held.items()}
            if part is not None:
                found = {name: x[here] for name, x in known.items()}
                if runner is not None:
                    found = next(runner.batches(floats))
                other = found if other_runner is None else next(other_runner.batches(quantized))
                floats, quantized = {**floats, **found}, {**quantized, **other}
            for name, (all_floats, all_quantized) in made.items():
                if not known:
                    all_floats[here] = floats[name]
                if not same:
                    all_quantized[here] = quantized[name]
            yield {name: (floats[name], quantized[name]) for name in wanted}
        if keep:
            self._at = {name: held[name] for name in wanted if name in held} | made
            if self._fills:
                self._remember({name: all_floats for name, (all_floats, _) in made.items()})

    def _remember(self, found: Mapping[str, F32]) -> None:
        """Keep the float network's tensors at a cut for other walks. Where memory is short, those of the last cuts
        stay: they are the smallest for the work that they save."""
        self._known.update(found)
        while sum(x.nbytes for x in self._known.values()) > KNOWN_BYTES:
            del self._known[next(iter(self._known))]
