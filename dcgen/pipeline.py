"""From a model and pictures to an output folder: the stages in order, each called once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen import pictures as host
from dcgen.compress.evidence import Evidence
from dcgen.compress.fold import canonical
from dcgen.compress.recipes import Recipe
from dcgen.emit import bitstream
from dcgen.emit.fileset import below, merged
from dcgen.emit.firmware import emit_firmware
from dcgen.emit.golden import Golden
from dcgen.emit.hdl import emit_driver, emit_hdl
from dcgen.encode.blob import Blob, encode
from dcgen.encode.coding import CodingSettings
from dcgen.errors import ConfigError
from dcgen.fidelity import Fidelity, fidelity
from dcgen.files import FileSet, check_writable, temporary_folder, write_folder
from dcgen.importers import ImportedModel, load
from dcgen.ir.graph import F32, Graph
from dcgen.ir.runner import FloatRunner
from dcgen.ir.to_onnx import to_onnx
from dcgen.pictures import Preprocess
from dcgen.plan.cycles import predict
from dcgen.plan.engine import plan_engine
from dcgen.plan.firmware import plan_firmware
from dcgen.plan.pace import pace
from dcgen.progress import Progress, counted
from dcgen.quant.execute import execute
from dcgen.quant.lower import lower
from dcgen.quant.qgraph import QGraph
from dcgen.quant.ranges import Range, calibrate
from dcgen.quant.scales import with_copies
from dcgen.report.manifest import manifest, manifest_json
from dcgen.report.readme import output_readme
from dcgen.result import Calibration, Compiled, EngineCompiled, Job
from dcgen.targets import EngineTarget, Target

GOLDEN_PICTURES = 1
"""Pictures that travel with an output for its own tests."""


def compile_model(job: Job, out: Path, progress: Progress) -> dict[str, Any]:
    """Compile ``job``, write the folder ``out`` and return its manifest.

    Raises a DcgenError, and then writes nothing.
    """
    check_writable(out)
    if job.bitstream and not (isinstance(job.target, EngineTarget) and job.target.board):
        raise ConfigError("--bitstream", f"needs an engine on a board, not {job.target.name}", "see dcgen targets")
    pictures = host.files(job.calibration)
    progress("importing", 0, 1)
    model, preprocess = import_model(job)
    progress("importing", 1, 1)
    calibration = draw(pictures, job.recipe, preprocess, model.graph.inputs[0].shape[1:])
    compiled = build(job, model, preprocess, calibration, progress)
    data = manifest(compiled)
    files = output_files(compiled, data)
    if job.bitstream:
        report, made = make_bitstream(job.target, progress)
        data["engine"]["bitstream"] = report
        files = {**merged(files, below("rtl/bitstream", made)), "manifest.json": manifest_json(data)}
    write_folder(out, files)
    return data


def make_bitstream(target: Target | EngineTarget, progress: Progress) -> tuple[dict[str, Any], FileSet]:
    """The board's bitstream and its report. The same one serves every network that fits the engine."""
    assert isinstance(target, EngineTarget) and target.board
    with temporary_folder("dcgen-bitstream-") as folder:
        report = bitstream.build(target.parameters, folder, board=target.board, progress=progress)
        return report.to_json(), {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def import_model(job: Job) -> tuple[ImportedModel, Preprocess]:
    """The float model and the preprocessing it is to be fed by."""
    default = job.preprocess.size if job.preprocess else None
    model = load(job.model, weights=job.weights, input_size=job.size, default_size=default)
    chosen = job.preprocess
    if chosen is None:
        if model.preprocess_hint is None:
            raise ConfigError(
                job.model, "does not say how its input is made", "give --preprocess, or --mean, --std and --order"
            )
        chosen = host.preset(model.preprocess_hint)
    return model, host.with_size(chosen, max(model.graph.inputs[0].shape[1:]))


def draw(files: list[Path], recipe: Recipe, preprocess: Preprocess, size: tuple[int, int]) -> Calibration:
    """A seeded draw of calibration pictures: half of them measured, half held out for choices."""
    order = np.random.default_rng(recipe.seed).permutation(len(files))[: recipe.pictures]
    loaded = host.load_all([files[i] for i in order], preprocess, size)
    half = len(loaded) // 2
    return Calibration(loaded[half:], loaded[:half] if half else loaded)


def build(
    job: Job, model: ImportedModel, preprocess: Preprocess, calibration: Calibration, progress: Progress
) -> Compiled:
    """The stages from the float graph to blob and plan, in memory."""
    graph = canonical(model.graph, preprocess)
    evidence = Evidence(
        preprocess.centred(calibration.measure), preprocess.centred(calibration.held_out), progress
    )
    compressed = with_copies(job.recipe.apply(graph, evidence))
    ranges = observe(compressed, evidence, job.recipe)
    qgraph = lower(compressed, ranges, preprocess.camera_mean)
    progress("encoding", 0, 1)
    settings = CodingSettings(job.recipe.coding, job.recipe.index_bits_conv, job.recipe.index_bits_fc)
    blob = encode(qgraph, settings)
    plan = plan_firmware(qgraph, blob)
    engine = plan_for(job.target, qgraph, blob)
    progress("encoding", 1, 1)
    held_out = compare(model.graph, preprocess, qgraph, calibration.held_out, None, progress)
    return Compiled(job, model, preprocess, calibration, compressed, ranges, qgraph, blob, plan, held_out, engine)


def plan_for(target: Target | EngineTarget, qgraph: QGraph, blob: Blob) -> EngineCompiled | None:
    """The engine's plan and its cycles. PlanError, before anything else is done, where it cannot run this."""
    if not isinstance(target, EngineTarget):
        return None
    plan = plan_engine(qgraph, blob, target.parameters)
    prediction, board = predict(plan, qgraph, blob), target.board
    found = pace(board, plan, qgraph, blob, prediction.total) if board else None
    return EngineCompiled(plan, prediction, found)


def observe(graph: Graph, evidence: Evidence, recipe: Recipe) -> dict[str, Range]:
    """Activation ranges of the compressed network over the measured pictures."""
    runner = FloatRunner(graph, [n.name for n in graph.nodes])
    total = len(evidence.measure)
    evidence.progress("observing ranges", 0, total)

    def run() -> Iterator[Mapping[str, F32]]:
        done = 0
        for batch in runner.batches(evidence.measure):
            yield batch
            done = min(total, done + len(next(iter(batch.values()))))
            evidence.progress("observing ranges", done, total)

    return calibrate(run, recipe.ranges, recipe.range_keep)


def compare(
    model: Graph,
    preprocess: Preprocess,
    qgraph: QGraph,
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    progress: Progress,
    scores: NDArray[np.int32] | None = None,
) -> Fidelity:
    """The integer network against the float model before any pass, on camera pictures.

    scores : int32 [N, S] if something else than the golden model has computed them
    """
    reference = FloatRunner(model).run(preprocess.normalise(pictures))
    if scores is None:
        step = counted(progress, "running the integer network", len(pictures))
        scores = execute(qgraph, pictures, progress=step)
    return fidelity(reference, scores, qgraph.score_scale, labels)


def output_files(compiled: Compiled, data: Mapping[str, Any]) -> FileSet:
    """Everything in the output folder, by relative path; ``data`` is its manifest."""
    golden = Golden.of(compiled.qgraph, compiled.calibration.held_out[:GOLDEN_PICTURES])
    firmware = emit_firmware(compiled.qgraph, compiled.blob, compiled.plan, compiled.qgraph.name, golden)
    rtl: FileSet = {}
    if (engine := compiled.engine) is not None:
        firmware = merged(firmware, below("engine", emit_driver(compiled.qgraph, engine.plan)))
        rtl = emit_hdl(compiled.qgraph, compiled.blob.data, engine.plan, engine.prediction, golden)
    return {
        "manifest.json": manifest_json(data),
        "model.dcb": compiled.blob.data,
        "float.onnx": to_onnx(compiled.model.graph).SerializeToString(),
        "README.md": output_readme(data),
        **{f"golden/{path}": data for path, data in golden.files().items()},
        **below("firmware", firmware),
        **below("rtl", rtl),
    }
