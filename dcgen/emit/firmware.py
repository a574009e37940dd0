"""The firmware folder: the runtime, one model's constant tables and blob, build files, documentation."""

from __future__ import annotations

from collections.abc import Sequence

from dcgen.emit.fileset import below, merged
from dcgen.emit.format_headers import format_files
from dcgen.emit.golden import Golden
from dcgen.emit.names import ModelNames
from dcgen.emit.ports import port_files
from dcgen.emit.render import c_rows, c_string, comment_text, render
from dcgen.encode.blob import Blob
from dcgen.files import FileSet
from dcgen.inputs.samples import InputForm
from dcgen.pictures import Preprocess
from dcgen.plan.firmware.plan import FirmwarePlan, NodePlan
from dcgen.quant.qgraph import QGraph
from dcgen.resources import resource_dir


def runtime_files() -> FileSet:
    """The runtime's C sources and the headers that are generated for it."""
    folder = resource_dir("firmware") / "runtime"
    sources = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix in (".c", ".h")}
    return merged(sources, format_files())


def model_files(
    graph: QGraph,
    blob: Blob,
    plan: FirmwarePlan,
    name: str,
    golden: Golden | None,
    form: InputForm | None = None,
    scales: Sequence[float] | None = None,
    outputs: Sequence[str] = (),
) -> FileSet:
    """The model's own sources and its blob; any number of models link into one program.

    golden : the self-test runs its first picture; without ``golden`` there is no self-test
    form : what the header says of the input; without it that is its size alone
    scales : where outputs are values, the real value of a unit of each score; None where they are classes, whose
        scores have one scale
    outputs : names of the outputs; those of the nodes that make scores where they are not given
    """
    names = ModelNames.of(name)
    values: dict[str, object] = {"names": names, "title": comment_text(name), "graph": graph, "plan": plan}
    files = {
        names.header: render(
            "c/model.h.j2",
            **values,
            blob_bytes=len(blob.data),
            shape=graph.input.shape,
            input=None if form is None else _input_values(form),
            score_scale=_c_float(graph.score_scale),
            output_scales=None if scales is None else _rows_of_floats(scales),
            outputs=_output_values(graph, outputs),
            selftest=golden is not None,
        ),
        names.plan_source: render(
            "c/plan.c.j2",
            **values,
            topology_hash=f"0x{plan.topology_hash:016X}",
            tensors=[(comment_text(t.name), t.layout) for t in plan.tensors],
            nodes=[_node_values(n) for n in plan.nodes],
            places=plan.places,
            first_scores=list(graph.first_scores.values()),
        ),
        names.blob_incbin: render("c/blob.S.j2", **values),
        names.blob_array: render("c/blob.c.j2", **values, rows=c_rows(list(blob.data), 24)),
        "dcg_model.h": render(
            "c/dcg_model.h.j2",
            **values,
            selftest=golden is not None,
            scale="SCORE_SCALE" if scales is None else "OUTPUT_SCALES",
        ),
    }
    if golden is not None:
        files[names.selftest_source] = render(
            "c/selftest.c.j2",
            **values,
            picture=c_rows(golden.pictures[0].reshape(-1).tolist(), 24),
            scores=c_rows(golden.scores[0].tolist(), 8),
            checks=c_rows(golden.checks, 8, "u"),
            node_names=[c_string(n.name) for n in graph.nodes],
        )
    return {path: text.encode() for path, text in files.items()} | {names.blob: blob.data}


def emit_firmware(
    graph: QGraph,
    blob: Blob,
    plan: FirmwarePlan,
    name: str,
    golden: Golden | None = None,
    form: InputForm | None = None,
    scales: Sequence[float] | None = None,
    outputs: Sequence[str] = (),
) -> FileSet:
    """A whole firmware folder: runtime, model, ports, build files, README.

    graph, blob, plan : the integer network, its encoding, and the plan made for both
    name : of the model; files and symbols are named after it, see ``ModelNames``
    golden : the self-test's picture and check values; without it there is no self-test
    form : what header and README say of the input; without it that is its size alone
    scales, outputs : as ``model_files`` has them
    """
    names = ModelNames.of(name)
    style = resource_dir("firmware") / "clang-format"
    readme = render(
        "c/README.md.j2",
        names=names,
        title=name,
        plan=plan,
        graph=graph,
        blob_bytes=len(blob.data),
        selftest=golden is not None,
        input=None if form is None else _input_values(form),
        values=scales is not None,
        outputs=len(graph.score_nodes),
    )
    return merged(
        below("runtime", runtime_files()),
        below("model", model_files(graph, blob, plan, name, golden, form, scales, outputs)),
        port_files(name, selftest=golden is not None),
        {"README.md": readme.encode(), ".clang-format": style.read_bytes()},
    )


def _input_values(form: InputForm) -> dict[str, object]:
    """What the bytes of the input are, as the templates print it."""
    if isinstance(form, Preprocess):
        return {"type": "picture", "camera_order": form.camera_order}
    zero_point = form.to_json()["zero_point"]
    return {
        "type": form.given,
        "scale": _c_float(form.scale),
        "zero_point": zero_point if isinstance(zero_point, int) else _c_float(zero_point),
        "byte_zero": _c_float(form.byte_zero),
    }


def _output_values(graph: QGraph, names: Sequence[str]) -> list[dict[str, object]]:
    """What the header says of each output of several, nothing of a single one, whose scores are all."""
    nodes = graph.score_nodes if len(graph.score_nodes) > 1 else ()
    return [
        {
            "name": c_string(name),
            "first": graph.first_scores[node.name],
            "shape": graph.score_shapes[node.name],
            "scale": _c_float(scale),
        }
        for node, name, scale in zip(
            nodes, names or [n.name for n in graph.score_nodes], graph.score_scales, strict=False
        )
    ]


def _node_values(node: NodePlan) -> dict[str, object]:
    """Name and initialiser of one dcg_node, its fields in the order of the struct; those of zero are left out."""
    fields = (
        ("kernel", node.kernel or "NULL"),
        ("inputs", "{{{}, {}}}".format(*node.inputs)),
        ("output", node.output),
        ("kind", f"DCG_KIND_{node.kind.name}"),
        ("flags", int(node.flags)),
        *zip(("kernel_h", "kernel_w"), node.kernel_size, strict=True),
        *zip(("stride_h", "stride_w"), node.stride, strict=True),
        *zip(("pad_top", "pad_left", "pad_bottom", "pad_right"), node.pads, strict=True),
        ("groups", node.groups),
        *zip(("out_channels", "out_height", "out_width"), node.out_shape, strict=True),
        *_packing_values(node),
    )
    return {
        "name": comment_text(node.name),
        "fields": ", ".join(f".{key} = {value}" for key, value in fields if value != 0),
    }


def _packing_values(node: NodePlan) -> tuple[tuple[str, object], ...]:
    """The field ``packing`` of a dcg_node; nothing for a node without a packed input."""
    if node.conv is None or (p := node.conv.packing) is None:
        return ()
    line, planes = node.workspace, node.workspace + p.line_bytes
    values = (line, planes, p.words, p.strip, p.halo, p.pitch, *p.phases)
    return (("packing", "{{{}}}".format(", ".join(map(str, values)))),)


def _rows_of_floats(values: Sequence[float]) -> list[str]:
    """Numbers as the lines of a C initializer of type float."""
    texts = [f"{_c_float(value)}," for value in values]
    return [" ".join(texts[start : start + 6]) for start in range(0, len(texts), 6)]


def _c_float(value: float) -> str:
    """``value`` as a C constant of type float."""
    return f"{value:.9e}f"
