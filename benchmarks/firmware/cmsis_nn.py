"""CMSIS-NN's dense int8 convolutions on the shapes of a network's layers, in the emulator that dcgen is measured
in.

The user provides a checkout of CMSIS-NN (github.com/ARM-software/CMSIS-NN); this repository holds none of it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from benchmarks.firmware.network import Network
from benchmarks.firmware.vectors import vector_instructions
from dcgen.errors import ConfigError, ToolError
from dcgen.files import temporary_folder
from dcgen.quant.qgraph import QConv, QGraph
from dcgen.resources import resource_dir
from dcgen.targets import Target
from dcgen.verify.machines import run
from dcgen.verify.records import read_profile
from dcgen.verify.toolchain import require

SOURCES = (
    "Source/ConvolutionFunctions/*s8*.c",
    "Source/NNSupportFunctions/*s8*.c",
    "Source/NNSupportFunctions/arm_q7*.c",
)
WITNESSES = {"cortex-m4": "smlad", "cortex-m7": "smlad", "cortex-m55": "wlstp.8"}
"""For each target an instruction that only its fast kernels have: two products at once, or a loop over vectors."""
PROGRAM = Path(__file__).parent / "cmsis_nn"
FIELDS = "in_h in_w in_c out_h out_w out_c kernel_h kernel_w kernel_c stride_h stride_w pad_h pad_w"
BUFFER_BYTES = 1 << 17
"""Size of the buffer that CMSIS-NN's functions get. Each says how much it needs; a layer that needs more is
refused."""


@dataclass(frozen=True)
class Peer:
    """What CMSIS-NN takes.

    layers : instructions of each convolution by name
    version : of CMSIS-NN
    vector_instructions : vector instructions of all convolutions; None where the machine has none
    """

    layers: Mapping[str, int]
    version: str
    vector_instructions: int | None = None

    @property
    def instructions(self) -> int:
        return sum(self.layers.values())


def measure(network: Network, target: Target, checkout: Path) -> Peer:
    """Count what CMSIS-NN, built with ``-O3``, takes on ``target``, one of ``WITNESSES``.

    checkout : folder of CMSIS-NN

    Raises ConfigError where that is no checkout, ToolError where CMSIS-NN cannot be built, does not use the core's
    fast instructions or refuses a layer.
    """
    sources = sorted(chain.from_iterable(checkout.glob(pattern) for pattern in SOURCES))
    if not sources:
        raise ConfigError(checkout, "is no checkout of CMSIS-NN, expected its folders Source and Include")
    assert target.emulator is not None
    require(target)
    convs = {n.name: n.op for n in network.graph.nodes if isinstance(n.op, QConv)}
    with temporary_folder("dcgen-cmsis-") as folder:
        (folder / "layers.h").write_text(header(network.graph, mve=target.name == "cortex-m55"))
        program = _build(sources, checkout / "Include", target, folder)
        _witness(program, target)
        results = run(target, program, network.picture[None], folder, measured=1, traced=0).results
        ticks, worth = read_profile(results).nodes, target.emulator.instructions_per_tick
        peer = Peer({name: round(ticks[i] * worth) for i, name in enumerate(convs)}, _version(checkout))
        if target.extension != "helium":
            return peer
        run_once = target, program, network.picture[None], folder / "vectors"
        vectors = vector_instructions(*run_once, instructions=peer.instructions, intervals=len(convs))
        return replace(peer, vector_instructions=vectors)


def header(graph: QGraph, mve: bool) -> str:
    """The text of ``layers.h``: the shapes of all convolutions and the memory that they need.

    mve : whether CMSIS-NN is expected to use Helium
    """
    rows: list[tuple[int, ...]] = []
    for node in graph.nodes:
        if isinstance(op := node.op, QConv):
            (c, h, w), (oc, oh, ow) = graph.tensors[node.inputs[0]].shape, graph.shape_of(node)
            rows.append((h, w, c, oh, ow, oc, *op.kernel, op.indices.shape[1], *op.stride, *op.pads[:2]))
    most = {
        "INPUTS": max(h * w * c for h, w, c, *_ in rows),
        "OUTPUTS": max(r[3] * r[4] * r[5] for r in rows),
        "WEIGHTS": max(r[5] * r[6] * r[7] * r[8] for r in rows),
        "CHANNELS": max(r[5] for r in rows),
        "BUFFER": BUFFER_BYTES,
    }
    lines = ["#include <stdint.h>", f"#define MVE_EXPECTED {int(mve)}", f"#define N_LAYERS {len(rows)}"]
    lines += [f"#define MOST_{name} {value}" for name, value in most.items()]
    lines.append(f"struct layer {{ int32_t {', '.join(FIELDS.split())}; }};")
    table = ",\n".join(f"    {{{', '.join(map(str, row))}}}" for row in rows)
    return "\n".join([*lines, f"static const struct layer layers[N_LAYERS] = {{\n{table}}};", ""])


def _build(sources: list[Path], include: Path, target: Target, folder: Path) -> Path:
    port = resource_dir("firmware") / "port"
    program = folder / "convolutions.elf"
    ours = [PROGRAM / "convolutions.c", port / "harness/records.c", *(port / s for s in target.port_sources)]
    _tool(
        target,
        "gcc",
        *(*target.cpu_flags, "-std=gnu11", "-O3", "-ffreestanding", "-ffunction-sections", "-fdata-sections"),
        *(f"-I{i}" for i in (folder, PROGRAM, include, port, port / "harness", port / "qemu")),
        *map(str, (*ours, *sources)),
        *("-nostdlib", f"-L{port / 'qemu'}", "-Wl,--gc-sections", "-T", str(port / target.machine / "link.ld")),
        *("-lgcc", "-o", str(program)),
    )
    return program


def _witness(program: Path, target: Target) -> None:
    """Raise ToolError unless a function of CMSIS-NN in ``program`` has the target's instruction of
    ``WITNESSES``."""
    code = _tool(target, "objdump", "-d", str(program))
    using = {
        name
        for name, body in re.findall(r"^[0-9a-f]+ <(\w+)>:\n(.*?)(?:\n\n|\Z)", code, re.MULTILINE | re.DOTALL)
        if WITNESSES[target.name] in body
    }
    if not any(name.startswith("arm_") for name in using):
        raise ToolError("CMSIS-NN", f"was compiled for {target.name} without {WITNESSES[target.name]}")


def _version(checkout: Path) -> str:
    text = next(checkout.glob("Include/arm_nnfunctions.h")).read_text(errors="replace")
    found = re.search(r"Revision:\s*(V[.\d]+)", text)
    return f"arm_nnfunctions.h {found[1]}" if found else "unknown"


def _tool(target: Target, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [f"{target.compiler}{name}", *arguments], capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error" in line or "undefined" in line]
        raise ToolError(f"{target.compiler}{name}", f"failed: {(errors or ['no reason given'])[0]}")
    return done.stdout
