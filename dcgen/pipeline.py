"""From a model and pictures to an output folder: the stages of compilation in order, each called in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.ahead import one_blas_thread
from dcgen.calibration import canonical_model, draw, import_model
from dcgen.compress.evidence import Evidence, Judged, judged_by_output, trial_of
from dcgen.compress.honest import check_answers, doubts
from dcgen.compress.point import read_point
from dcgen.compress.readout import in_units
from dcgen.compress.recipes import Recipe, SecondOrder
from dcgen.compress.shrink import shrunk
from dcgen.compress.uniform import levels_of
from dcgen.emit.fileset import below, merged
from dcgen.emit.firmware import emit_firmware
from dcgen.emit.golden import Golden
from dcgen.emit.hdl import emit_driver, emit_hdl
from dcgen.encode.blob import Blob
from dcgen.errors import ConfigError, NumericError, PlanError
from dcgen.fidelity import Fidelity, fidelity
from dcgen.files import FileSet, check_writable, listing, temporary_folder, write_folder
from dcgen.inputs.samples import InputForm, open_samples
from dcgen.integers import as_integers
from dcgen.ir.graph import F32, F64, Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.ir.to_onnx import to_onnx
from dcgen.metric import Metric, OutputKind, metric_of, spreads
from dcgen.plan.engine.lanes import fastest, planned
from dcgen.plan.engine.pace import pace
from dcgen.plan.firmware.budget import plan_within
from dcgen.plan.firmware.instructions import Active, is_predicted
from dcgen.plan.firmware.needs import check_budget, predict_needs
from dcgen.plan.firmware.plan import FirmwarePlan, plan_firmware
from dcgen.plan.work import active_shares, work_of_weights
from dcgen.progress import Progress, Warn, counted, unheard
from dcgen.quant.activity import active_bytes
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QGraph
from dcgen.quant.ranges import Range
from dcgen.report.manifest import manifest, manifest_json
from dcgen.report.readme import output_readme
from dcgen.result import Compiled, EngineCompiled, Integers, Job, Limits
from dcgen.synth import bitstream
from dcgen.targets import EngineTarget, Target

GOLDEN_PICTURES = 1
"""Held-out pictures that are written into an output, with their scores, for its own tests."""
ACTIVE_PICTURES = 16
"""Calibration pictures on which zeros in tensors are counted; they decide what work costs on the target."""
RANGE_PICTURES = 64
"""Most measured pictures that activation ranges are taken from."""
OUTPUT_FILES = ("model.dcb", "float.onnx", "README.md", "golden/scores.json", "firmware/Makefile")
"""Files of every output: where one of the user's is in the way of these, nothing is compiled."""


@one_blas_thread
def compile_model(job: Job, out: Path, progress: Progress, warn: Warn = unheard) -> dict[str, Any]:
    """Compile ``job``, write the folder ``out`` and return its manifest.

    Raises a DcgenError, and then writes nothing.
    """
    check_writable(out, OUTPUT_FILES)
    bench = Bench(job, progress, warn)
    bench.check_limits()
    compiled = bench.compiled(compressed(job, bench))
    data = manifest(compiled)
    files = output_files(compiled, data)
    if job.engine.bitstream:
        assert compiled.engine is not None and isinstance(job.target, EngineTarget)
        engine = replace(job.target, parameters=compiled.engine.plan.parameters)
        report, made = make_bitstream(engine, progress)
        data["engine"]["bitstream"] = report
        files = merged(files, below("rtl/bitstream", made))
    data["files"] = listing(files)
    write_folder(out, {**files, "manifest.json": manifest_json(data)})
    return data


def compressed(job: Job, bench: Bench) -> Graph:
    """The network with the levels of the job's point, or with those that its recipe finds."""
    if job.point is None:
        return job.recipe.apply(bench.graph, bench.evidence)
    point = read_point(job.point, bench.graph)
    raw = [name for name, weight in point.weights.items() if weight.levels is None]
    if raw:
        problem = f"holds weights without levels ({raw[0]}), as a training leaves them"
        raise ConfigError(job.point, problem, "compile the training's folder")
    if isinstance(job.recipe, SecondOrder):
        return job.recipe.from_point(point, bench.graph, bench.evidence)
    return point.applied(bench.graph)


def make_bitstream(engine: EngineTarget, progress: Progress) -> tuple[dict[str, Any], FileSet]:
    """The report and the files of a bitstream for the engine's board, which it must have.

    One bitstream serves every network that fits the engine.
    """
    assert engine.board is not None
    with temporary_folder("dcgen-bitstream-") as folder:
        report = bitstream.build(engine.parameters, folder, board=engine.board, progress=progress)
        return report.to_json(), {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


class Bench:
    """A job's float graph and pictures, and the way from weights with levels to integers.

    graph : the float model in canonical form; where outputs are values, in ``units``, their deviations
    evidence : what the recipe's passes may look at; ``said`` collects what they report for the manifest

    Reads the model and the pictures when it is made, and raises what is wrong with them.
    """

    def __init__(self, job: Job, progress: Progress, warn: Warn = unheard) -> None:
        samples = open_samples(job.pictures.folder, warn)
        progress("importing", 0, 1)
        self._model, form = import_model(job.source, samples)
        progress("importing", 1, 1)
        self._calibration, self._preprocess = draw(samples, job, form, self._model, warn)
        self.job, self._progress, self._warn = job, progress, warn
        self.kinds = output_kinds(job.outputs, self._model.graph)
        check_training(job.recipe, self._model.graph)
        check_moves(self._model.graph.name, self._reference)
        self.graph, self._ranges = canonical_model(self._model, self._preprocess, job.recipe)
        self.units = None
        if job.source.trained is not None:
            self.graph = read_point(job.source.trained, self.graph).applied(self.graph)
        if not self._classifies:
            self.graph, self.units = in_units(self.graph, spreads(self._reference))
        pictures = self._calibration.measure, self._calibration.held_out
        measure, held_out = (self._preprocess.centred(x) for x in pictures)
        on_engine = isinstance(job.target, EngineTarget)  # its lanes spend as much time on zeros of an input
        active = {} if on_engine else active_shares(self.graph, measure[:ACTIVE_PICTURES])
        work = work_of_weights(self.graph, job.target, active)
        self.said: dict[str, Mapping[str, Any]] = {}
        self.evidence = Evidence(
            measure=measure,
            held_out=held_out,
            progress=progress,
            trial=lambda candidate: self.integers(candidate).trial,
            metric=self.metric,
            classes=self._reference.shape[1] if self._classifies else 0,
            work=work,
            weighed=job.weigh,
            tell=self.said.__setitem__,
            checkpoint=job.checkpoint,
        )
        self._made: list[tuple[Graph, Integers]] = []

    @property
    def _classifies(self) -> bool:
        """Whether the only output is classes. Several are weighed like values, and judged each by its kind."""
        return self.kinds == ("classes",)

    @cached_property
    def _reference(self) -> F32:
        """The float model's outputs on the held-out samples: float32 [N, S]."""
        calibration = self._calibration
        real = self._preprocess.normalise(calibration.held_out) if calibration.real is None else calibration.real
        return FloatRunner(self._model.graph).run(real)

    @cached_property
    def _wanted(self) -> F32:
        """``_reference`` in the units of ``graph``."""
        return self._reference if self.units is None else (self._reference / self.units).astype(np.float32)

    @cached_property
    def metric(self) -> Metric:
        """What differences of the outputs of ``graph`` are worth."""
        return metric_of(self._wanted, "classes" if self._classifies else "values", self._sizes)

    @property
    def _sizes(self) -> list[int]:
        """How many elements each output has."""
        model = self._model.graph
        return [prod(model.shapes[o]) for o in model.outputs]

    def integers(self, candidate: Graph) -> Integers:
        """Lower, encode and run a graph whose every convolution has levels, without the channels that make no
        difference; the same graph is run once."""
        for known, result in self._made:
            if known is candidate:
                return result
        calibration = self._calibration
        compressed, ranges, qgraph, blob = self._encoded(shrunk(candidate), RANGE_PICTURES)
        step = counted(self._progress, "running the integer network", len(calibration.held_out))
        scores = execute(qgraph, calibration.held_out, progress=step)
        labels = calibration.labels if self._classifies else None
        trial = trial_of(len(blob.data), self.metric, self._wanted, scores, qgraph.scales, labels)
        if len(self.kinds) > 1:
            outputs = [Judged(*o) for o in zip(self._model.graph.outputs, self.kinds, self._sizes, strict=True)]
            trial = judged_by_output(trial, outputs, self._wanted, scores * qgraph.scales)
        self._made.append((candidate, Integers(compressed, ranges, qgraph, blob, scores, trial)))
        return self._made[-1][1]

    def _encoded(self, candidate: Graph, pictures: int) -> tuple[Graph, dict[str, Range], QGraph, Blob]:
        """A graph whose every convolution has levels as float network, activation ranges, integers and blob.

        pictures : measured pictures that the ranges are taken from, at most
        """
        measure, mean = self.evidence.measure[:pictures], self._preprocess.camera_mean
        return as_integers(candidate, measure, mean, self.job.recipe, self._progress, self._ranges)

    def check_limits(self) -> None:
        """Raise PlanError where not even a network without weights fits the job's RAM or flash: that takes
        seconds, and the search for the network that is wanted minutes."""
        limits = self.job.limits
        if limits.ram is None and limits.budget.flash is None:
            return
        graph = shrunk(self.graph)
        zero = {n.name: np.zeros(c.weight.values.shape, np.int16) for n, c in graph.convs()}
        empty = graph.with_weights({n: Weight.of(levels_of(z, 1.0)) for n, z in zero.items()})
        _, _, qgraph, blob = self._encoded(empty, 1)
        plan = firmware_plan_for(limits, self.job.target, qgraph, blob, {})
        needs = predict_needs(plan, qgraph, blob, self.job.target, {})
        if needs is not None and (flash := limits.budget.flash) is not None and needs.flash_bytes > flash:
            problem = f"takes {needs.flash_bytes:,} bytes of flash without any weight, `flash` allows {flash:,}"
            raise PlanError(qgraph.name, problem, "more flash, or a network of fewer layers")

    def compiled(self, candidate: Graph) -> Compiled:
        """The graph with its plans for the target. Raises PlanError or BudgetError where it does not fit."""
        made = self.integers(candidate)
        check_answers(made.qgraph.name, self._reference, made.scores, self._classifies)
        for doubt in doubts(self.graph, candidate, made.trial, self.job.recipe.goal()):
            self._warn(doubt)
        self._progress("planning", 0, 1)
        active = self.active(made.qgraph) if is_predicted(self.job.target) else {}
        plan = firmware_plan_for(self.job.limits, self.job.target, made.qgraph, made.blob, active)
        needs = predict_needs(plan, made.qgraph, made.blob, self.job.target, active)
        if needs is not None:
            check_budget(self.job.limits.budget, needs, made.blob)
        engine = engine_plan_for(self.job, made.qgraph, made.blob)
        self._progress("planning", 1, 1)
        held_out = compare(
            self._model.graph,
            self._preprocess,
            made.qgraph,
            self._calibration.held_out,
            self._calibration.labels,
            self._progress,
            kinds=self.kinds,
            units=self.units,
            scores=made.scores,
            reference=self._reference,
        )
        inputs = self.job, self._model, self._preprocess, self._calibration
        return Compiled(
            *inputs, self.graph, made, held_out, plan, needs, engine, self.said, self.kinds, self.units
        )

    def active(self, qgraph: QGraph) -> dict[str, NDArray[np.float64]]:
        """Non-zero bytes in each channel of each tensor: float64 [C], mean over some of the held-out pictures."""
        return active_bytes(qgraph, self._calibration.held_out[:ACTIVE_PICTURES])


def firmware_plan_for(
    limits: Limits, target: Target | EngineTarget, qgraph: QGraph, blob: Blob, active: Active
) -> FirmwarePlan:
    """The fastest plan, within the RAM of ``limits`` if they have one. Raises PlanError where none fits."""
    if limits.ram is None:
        return plan_firmware(qgraph, blob, table_bits=limits.table_bits)
    assert isinstance(target, Target)
    return plan_within(qgraph, blob, limits.ram, target, active, limits.table_bits)


def engine_plan_for(job: Job, qgraph: QGraph, blob: Blob) -> EngineCompiled | None:
    """The engine's plan and its cycles; None where the target is no engine.

    Raises PlanError where the engine cannot run the network.
    """
    if not isinstance(target := job.target, EngineTarget):
        return None
    plan, prediction = (
        fastest(target, qgraph, blob) if job.engine.best_lanes else planned(target.parameters, qgraph, blob)
    )
    board = target.board
    return EngineCompiled(plan, prediction, pace(board, plan, qgraph, blob, prediction.total) if board else None)


def output_kinds(asked: Sequence[OutputKind] | None, model: Graph) -> tuple[OutputKind, ...]:
    """What each of a network's outputs is.

    asked : what a user says, one for all outputs or one for each. Else an output is classes where it has two
        scores or more, and values where it has one, or planes of several pixels

    Raises ConfigError where there are not as many outputs, or a single score is said to be of classes.
    """
    outputs, shapes = model.outputs, model.shapes
    if asked is None:
        return tuple("classes" if shapes[o][0] > 1 and shapes[o][1:] == (1, 1) else "values" for o in outputs)
    if len(asked) not in (1, len(outputs)):
        problem = f"says what {len(asked)} outputs are, the network has {len(outputs)}: {', '.join(outputs)}"
        raise ConfigError("outputs", problem, "say classes or values once for all, or for each")
    kinds = tuple(asked) if len(asked) > 1 else tuple(asked) * len(outputs)
    for output, kind in zip(outputs, kinds, strict=True):
        if kind == "classes" and prod(shapes[output]) < 2:
            raise ConfigError("outputs", f"classes need two scores or more, {output} has one", "say values")
    return kinds


def check_training(recipe: Recipe, model: Graph) -> None:
    """Raise ConfigError where a network of several outputs is to be trained: a teacher has one."""
    if isinstance(recipe, SecondOrder) and recipe.distill and len(model.outputs) > 1:
        problem = f"trains networks of one output, {model.name} has {len(model.outputs)}"
        raise ConfigError("distill", problem, "compile it without a training")


def check_moves(name: str, reference: F32) -> None:
    """Raise NumericError where no output of the float network, float32 [N, S], changes from picture to picture, as
    where its input is made in a wrong way: then nothing tells a good compressed network from a bad one."""
    check_finite(name, reference, "calibration pictures")
    if len(reference) > 1 and not (reference != reference[0]).any():
        problem = f"gives the same outputs for all {len(reference)} calibration pictures that were held out"
        raise NumericError(name, problem, "check its input's mean, deviation and order, and the pictures")


def check_finite(name: str, reference: F32, pictures: str) -> None:
    """Raise NumericError where an output of the float network is NaN or infinite on these ``pictures``."""
    if not np.isfinite(reference).all():
        raise NumericError(name, f"gives outputs that are not finite on {pictures}")


def compare(
    model: Graph,
    form: InputForm,
    qgraph: QGraph,
    samples: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    progress: Progress,
    *,
    kinds: Sequence[OutputKind] = ("classes",),
    units: F64 | None = None,
    scores: NDArray[np.int32] | None = None,
    reference: F32 | None = None,
) -> Fidelity:
    """The integer network against the float model before any pass, on input bytes uint8 [N, H, W, C].

    labels : int64 [N], the samples' classes in the only output that is classes; None where accuracy is not asked
        for
    kinds : what each output is
    units : float64 [S], real values of the integer network's outputs of 1; None where all are 1
    scores : int32 [N, S], the integer network's scores; None to compute them with the golden model
    reference : float32 [N, S], the float model's outputs; None to compute them

    Raises NumericError where the float model's outputs are not finite.
    """
    if reference is None:
        reference = FloatRunner(model).run(form.normalise(samples))
    check_finite(model.name, reference, "some pictures")
    if scores is None:
        step = counted(progress, "running the integer network", len(samples))
        scores = execute(qgraph, samples, progress=step)
    outputs = {o: s if (s := model.shapes[o])[1:] != (1, 1) else s[:1] for o in model.outputs}
    reference = reference if units is None else (reference / units).astype(np.float32)
    labels = labels if kinds.count("classes") == 1 else None
    return fidelity(reference, scores, qgraph.scales, labels, kinds=kinds, outputs=outputs)


def output_files(compiled: Compiled, data: Mapping[str, Any]) -> FileSet:
    """Everything in the output folder but its manifest ``data``, by relative path."""
    made = compiled.integers
    golden = Golden.of(made.qgraph, compiled.calibration.held_out[:GOLDEN_PICTURES])
    form = compiled.preprocess
    firmware = emit_firmware(
        made.qgraph,
        made.blob,
        compiled.plan,
        made.qgraph.name,
        golden,
        form,
        compiled.scales,
        compiled.model.graph.outputs,
    )
    rtl: FileSet = {}
    if (engine := compiled.engine) is not None:
        firmware = merged(firmware, below("engine", emit_driver(made.qgraph, engine.plan)))
        rtl = emit_hdl(made.qgraph, made.blob.data, engine.plan, engine.prediction, golden)
    return {
        "model.dcb": made.blob.data,
        "float.onnx": to_onnx(compiled.model.graph).SerializeToString(),
        "README.md": output_readme(data),
        **{f"golden/{path}": data for path, data in golden.files(form).items()},
        **below("firmware", firmware),
        **below("rtl", rtl),
    }
