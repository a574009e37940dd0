"""The canonical form of a graph: the same function of real numbers, in the few operators that lowering knows.

It has no Affine and no Flatten, and one Function where several operators made one of a tensor. Its only input
takes *centred camera pictures* (bytes minus the mean, in the camera's order of channels), so that a padding of 0.0
stands for the mean; only convolutions read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dcgen.compress.functions import merge_functions, split_extremes
from dcgen.compress.rewrite import bypassed, with_replaced
from dcgen.compress.selections import fold_selections
from dcgen.errors import ConfigError, UnsupportedError
from dcgen.inputs.samples import InputForm
from dcgen.ir.graph import F64, Affine, Clip, Conv, Flatten, Function, Graph, Node, Op, Pad, Upsample, Weight
from dcgen.ir.verify import of_one_input, verify

MOST_PICTURE_CHANNELS = 4
"""An input of more channels is scaled channel by channel, as no order of channels has to be changed."""
Pass = Callable[[Graph], Graph]


def canonical(graph: Graph, preprocess: InputForm, *, apart: bool = False) -> Graph:
    """The graph in canonical form.

    preprocess : what the network's own input is made of bytes by
    apart : whether a convolution of its own makes the network's own input, ``scaled_input`` by name

    Raises UnsupportedError or ConfigError, naming the node or setting.
    """
    channels = of_one_input(graph).inputs[0].shape[0]
    if channels != preprocess.channels:
        raise ConfigError(
            "preprocess",
            f"{preprocess.name} delivers {preprocess.channels} channels, the network takes {channels}",
        )
    passes: tuple[Pass, ...] = (
        merge_functions,
        split_extremes,
        fold_pads,
        flatten_late,
        before_blocks,
        fold_affines,
        merge_flattens,
        fold_selections,
        lambda g: fold_input(g, preprocess, apart=apart),
    )
    for step in passes:
        graph = verify(step(graph))
    return graph


def fold_pads(graph: Graph) -> Graph:
    """Replace a zero padding that only convolutions read by padding of these convolutions."""
    for name in [n.name for n in graph.nodes]:
        node = graph.by_name[name]
        users = graph.consumers[name]
        if (
            isinstance(node.op, Pad)
            and node.op.value == 0
            and not node.op.edge
            and node.name not in graph.outputs
            and users
            and all(isinstance(u.op, Conv) for u in users)
        ):
            wider = {}
            for user in users:
                assert isinstance(user.op, Conv)
                t, left, b, r = (x + y for x, y in zip(user.op.pads, node.op.pads, strict=True))
                wider[user.name] = replace(user, op=replace(user.op, pads=(t, left, b, r)), inputs=node.inputs)
            graph = graph.with_nodes(wider.get(n.name, n) for n in graph.nodes if n.name != node.name)
    return graph


def flatten_late(graph: Graph) -> Graph:
    """Move each Flatten behind clips, functions, and factors and shifts that are the same for all elements, as far
    as these follow it alone: a factor is then one of a plane. Both nodes swap their names, so that each tensor
    behind them keeps its name."""
    for name in [n.name for n in graph.nodes]:
        node = graph.by_name[name]
        users = graph.consumers[name]
        if not isinstance(node.op, Flatten) or len(users) != 1 or name in graph.outputs:
            continue
        op = _on_planes(users[0].op, graph.shapes[node.inputs[0]][0])
        if op is not None:
            graph = with_replaced(graph, replace(node, op=op), replace(users[0], op=Flatten()))
    return graph


def _on_planes(op: Op, channels: int) -> Op | None:
    """What does to planes of so many channels what ``op`` does to all elements alike, None where it does not."""
    if isinstance(op, Clip | Function):
        return op
    if not isinstance(op, Affine) or np.ptp(op.scale) or np.ptp(op.shift):
        return None
    return Affine(np.repeat(op.scale[:1], channels), np.repeat(op.shift[:1], channels))


def before_blocks(graph: Graph) -> Graph:
    """Put what each element goes through alone behind an Upsample, and nothing else reads, in front of it: there a
    convolution takes it over, or fewer elements go through it."""
    for name in [n.name for n in graph.nodes]:
        node = graph.by_name[name]
        before = graph.by_name.get(node.inputs[0])
        if (
            not isinstance(node.op, Affine | Clip | Function)
            or before is None
            or not isinstance(before.op, Upsample)
            or graph.consumers[before.name] != (node,)
            or before.name in graph.outputs
        ):
            continue
        op = node.op
        if isinstance(op, Affine):
            times = graph.shapes[before.inputs[0]][0] // before.op.channels
            op = Affine(op.scale.repeat(times), op.shift.repeat(times))
        graph = with_replaced(graph, replace(before, op=op), replace(node, op=before.op))
    return graph


def fold_affines(graph: Graph) -> Graph:
    """Merge each Affine, a factor and a shift for each channel, into a convolution.

    That is the one before it, if nothing else reads that; or the one behind it, if nothing else reads the
    Affine, the weights have no levels yet, and no padding is there that would miss the shift. Otherwise it
    becomes a depthwise one.
    """
    for name in [n.name for n in graph.nodes]:
        node = graph.by_name[name]
        if not isinstance(node.op, Affine):
            continue
        scale, shift = node.op.scale.astype(np.float64), node.op.shift.astype(np.float64)
        before = graph.by_name.get(node.inputs[0])
        users = graph.consumers[node.name]
        if (
            before is not None
            and isinstance(before.op, Conv)
            and graph.consumers[before.name] == (node,)
            and before.name not in graph.outputs
        ):
            bias = (before.op.bias * scale + shift).astype(np.float32)
            conv = replace(before.op, weight=scale_outputs(before.op.weight, scale), bias=bias)
            graph = _merge(graph, node, before, conv)
        elif (
            len(users) == 1
            and isinstance(user := users[0].op, Conv)
            and user.weight.levels is None
            and node.name not in graph.outputs
            and (not shift.any() or not any(user.pads))
        ):
            w = user.weight.values.astype(np.float64)
            o, i = w.shape[:2]
            w, per_group = w.reshape(user.groups, o // user.groups, i, *w.shape[2:]), (user.groups, 1, i, 1, 1)
            extra = (w * shift.reshape(per_group)).sum((2, 3, 4)).reshape(o)
            scaled = (w * scale.reshape(per_group)).reshape(user.weight.values.shape).astype(np.float32)
            conv = replace(user, weight=Weight(scaled), bias=(user.bias + extra).astype(np.float32))
            graph = graph.with_nodes(
                replace(n, op=conv, inputs=node.inputs) if n.name == users[0].name else n
                for n in graph.nodes
                if n.name != node.name
            )
        else:
            depthwise = Conv(Weight(node.op.scale.reshape(-1, 1, 1, 1)), node.op.shift, groups=len(node.op.scale))
            graph = with_replaced(graph, replace(node, op=depthwise))
    return graph


def merge_flattens(graph: Graph) -> Graph:
    """Remove each Flatten: a fully connected layer behind it becomes a convolution whose kernel is the whole
    plane.

    Raises UnsupportedError where anything but fully connected layers, clips and functions before these, and the
    end of the network reads a flattened plane of more than one pixel.
    """
    for name in [n.name for n in reversed(graph.nodes)]:
        node = graph.by_name[name]
        if not isinstance(node.op, Flatten):
            continue
        c, h, w = graph.shapes[node.inputs[0]]
        users = _through_functions(graph, node)
        if (h, w) != (1, 1):
            for user in users:
                if not isinstance(user.op, Conv) or user.op.groups != 1 or user.op.weight.levels is not None:
                    raise UnsupportedError(
                        user.name,
                        f"{user.op.title} on a flattened {c}x{h}x{w} tensor",
                        "Flatten is supported before Gemm and at the end of the network",
                    )
            reads = {u.name for u in users}
            graph = graph.with_nodes(
                replace(n, op=_full_size(n.op, (c, h, w))) if n.name in reads and isinstance(n.op, Conv) else n
                for n in graph.nodes
            )
        graph = bypassed(graph, node)
    return graph


def scaled_input(graph: Graph) -> str:
    """The name of what a convolution of its own makes of the input of ``graph``."""
    return f"{graph.inputs[0].name}.scaled"


def fold_input(graph: Graph, preprocess: InputForm, *, apart: bool = False) -> Graph:
    """Make the input centred camera pictures: the standard deviation and the order of channels go into the
    convolutions that read it. Subtracting the mean is left to lowering.

    Where other nodes read the input, too, a 1x1 convolution in front does it, and everywhere if ``apart``. Raises
    ConfigError where padding would have to stand for a mean that no camera byte is.
    """
    name = graph.inputs[0].name
    users = graph.consumers[name]
    inverse = np.argsort(preprocess.camera_to_network)
    std = np.asarray(preprocess.std)
    convs = [u.op for u in users if isinstance(u.op, Conv) and u.op.groups == 1]
    if apart or not users or name in graph.outputs or len(convs) < len(users):
        channels = len(std)
        groups = channels if channels > MOST_PICTURE_CHANNELS else 1
        weight = np.zeros((channels, channels // groups, 1, 1), np.float32)
        read = preprocess.camera_to_network if groups == 1 else (0,) * channels
        weight[range(channels), read, 0, 0] = 1 / std
        scaled = Conv(Weight(weight), np.zeros(channels, np.float32), groups=groups)
        first = Node(scaled_input(graph), scaled, (name,))
        renamed = (replace(n, inputs=tuple(first.name if i == name else i for i in n.inputs)) for n in graph.nodes)
        outputs = tuple(first.name if o == name else o for o in graph.outputs)
        return graph.with_nodes((first, *renamed), outputs=outputs)
    mean = preprocess.camera_mean
    if any(any(c.pads) for c in convs) and not all(-0.5 <= m <= 255.5 for m in mean):
        raise ConfigError("mean", f"padding reads it as a camera byte: expected 0 to 255, found {mean.tolist()}")
    return graph.with_weights(
        {u.name: _camera_inputs(u.op.weight, std, inverse) for u in users if isinstance(u.op, Conv)}
    )


def _camera_inputs(weight: Weight, std: F64, inverse: np.ndarray) -> Weight:
    """The weights of a first convolution for camera channels that are not yet divided by ``std``.

    std : float64 [I], standard deviations in the network's order of channels
    inverse : int [I], for each channel of the camera, the channel of the network
    """
    levels = weight.levels
    if levels is None:
        scaled = weight.values.astype(np.float64) / std.reshape(1, -1, 1, 1)
        return Weight(scaled[:, inverse].astype(np.float32))
    if np.ptp(std) > 0:
        raise ConfigError("preprocess", "a network that comes compressed needs one deviation for all channels")
    return Weight.of(
        replace(
            levels,
            codebook=levels.codebook / std[0],
            step=None if levels.step is None else levels.step / std[0],
            indices=levels.indices[:, inverse],
        )
    )


def scale_outputs(weight: Weight, factors: F64) -> Weight:
    """The weight with each output channel multiplied by its factor, float64 [O]. Levels keep their codebook and
    get a scale for each channel."""
    if weight.levels is None:
        return Weight((weight.values * factors.reshape(-1, 1, 1, 1)).astype(np.float32))
    old = weight.levels.channel_scale
    return Weight.of(replace(weight.levels, channel_scale=factors if old is None else old * factors))


def _full_size(conv: Conv, shape: tuple[int, int, int]) -> Conv:
    """A 1x1 convolution of a flattened tensor as one of the tensor itself, of this shape."""
    return replace(conv, weight=Weight(conv.weight.values.reshape(-1, *shape)))


def _through_functions(graph: Graph, node: Node) -> list[Node]:
    """The nodes that read a node's output, directly or through clips and functions only."""
    found: list[Node] = []
    for user in graph.consumers[node.name]:
        found += _through_functions(graph, user) if isinstance(user.op, Clip | Function) else [user]
    return found


def _merge(graph: Graph, node: Node, before: Node, conv: Conv) -> Graph:
    """The graph with ``conv`` in place of ``before``, and without ``node``, its only reader."""
    return bypassed(with_replaced(graph, replace(before, op=conv)), node)
