"""The emitted ``rtl`` folder, and the tables of the engine's driver."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dcgen.emit import hdl
from dcgen.emit.engine_data import packets
from dcgen.emit.fileset import below, merged
from dcgen.emit.firmware import runtime_files
from dcgen.emit.golden import Golden
from dcgen.encode.layout import take_apart
from dcgen.errors import ToolError
from dcgen.files import FileSet
from dcgen.hw.contract import regmap
from dcgen.hw.contract.commands import Op, unpack_step
from dcgen.plan.engine.cycles import predict
from tests.hw.nets import SMALL, Net, fire_net, planned

COMPILERS = (
    ("gcc",),
    ("clang",),
    ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-ffreestanding"),
    ("riscv64-unknown-elf-gcc", "-march=rv32imac", "-mabi=ilp32", "-ffreestanding"),
)


@pytest.fixture(scope="module")
def net() -> Net:
    return planned(fire_net(4))


@pytest.fixture
def rtl(net: Net, monkeypatch: pytest.MonkeyPatch) -> FileSet:
    """The folder with a stub for the Verilog, which other tests make."""
    monkeypatch.setattr(hdl, "engine_verilog", lambda _: "module dcgen_engine; endmodule\n")
    golden = Golden.of(net.graph, net.picture[None])
    return hdl.emit_hdl(net.graph, net.blob.data, net.plan, predict(net.plan, net.graph, net.blob), golden)


def lay(files: FileSet, folder: Path) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def test_the_command_list_is_the_plans(net: Net, rtl: FileSet) -> None:
    words = [int(line, 16) for line in rtl["commands.hex"].decode().split()]
    assert words == list(net.plan.commands)
    assert unpack_step(words)["op"] == Op.TENSORS
    assert json.loads(rtl["plan.json"])["commands"] == words


def test_packets_are_the_blobs_sections_in_the_order_of_the_program(net: Net) -> None:
    found = packets(net.blob.data, net.plan.program)
    layout = take_apart(net.blob.data)
    assert len(found[0]) == layout.header["tensors_bytes"]
    for packet, node in zip(found[1:], net.plan.program[1:], strict=True):
        section = layout.sections[node]
        assert (
            packet[4:8]
            == section.fields["section_bytes"].to_bytes(4, "little")
            == len(packet).to_bytes(4, "little")
        )


def test_the_folder_runs_on_its_own(rtl: FileSet, tmp_path: Path) -> None:
    """Its benches find each other without dcgen; here they run as far as the engine, which is a stub."""
    lay(rtl, tmp_path)
    done = subprocess.run(
        ["python3", "-I", "-c", "import sys; sys.path[0:0] = ['.']; import tests.network"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "dcgen" not in done.stderr
    benches = [data for path, data in rtl.items() if path.endswith(".py")]
    assert all(b"from dcgen" not in data and b"from hw" not in data for data in benches)


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: c[0])
def test_the_driver_compiles_without_warnings(net: Net, tmp_path: Path, compiler: tuple[str, ...]) -> None:
    files = merged(below("engine", hdl.emit_driver(net.graph, net.plan)), below("runtime", runtime_files()))
    lay(files, tmp_path)
    for source in [p for p in files if p.startswith("engine/") and p.endswith(".c")]:
        warnings = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-O2")
        command = [*compiler, "-std=c99", *warnings, "-Iengine", "-Iruntime", "-c", source, "-o", "out.o"]
        subprocess.run(command, cwd=tmp_path, check=True)


def test_the_drivers_plan_says_what_the_network_is(net: Net) -> None:
    source = hdl.emit_driver(net.graph, net.plan)["dcg_fire_4_engine.c"].decode()
    for line in (
        f".topology_hash = UINT64_C(0x{net.plan.topology_hash:016X})",
        f".n_scores = {net.graph.n_scores}u",
        f".picture_bytes = {net.picture.size}u",
        f"{SMALL.lanes}u, /* lanes */",
    ):
        assert line in source


def test_the_register_document_travels_along(rtl: FileSet) -> None:
    assert rtl["registers.md"].decode() == regmap.markdown()


def test_without_amaranth_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dcgen.hw.axi_engine", None)
    with pytest.raises(ToolError, match=r"needed for gateware \(pip install dcgen\[fpga\]\)"):
        hdl.engine_verilog(SMALL)


def test_golden_values_are_of_every_layer(net: Net, rtl: FileSet) -> None:
    golden = json.loads(rtl["plan.json"])["golden"]
    assert len(golden["scores"]) == net.graph.n_scores
    assert len(golden["tensors"]) == sum(type(n.op).__name__ != "QConcat" for n in net.graph.nodes[:-1])
    assert np.all(np.array(list(golden["tensors"].values())) < 1 << 32)
