"""Firmware runs on every machine: correct firmware passes, and each planted fault is named."""

import shutil
import tempfile
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from dcgen.errors import ConfigError, OutputError, PlanError, ToolError
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import U8, QGraph
from dcgen.targets import HOST, TARGETS, Target, find
from dcgen.verify import host_scores, verify
from dcgen.verify.build import build
from tests.verify.small import EMULATED, needs, with_one_weight_changed, write_firmware


@pytest.fixture(params=TARGETS, ids=lambda t: t.check_name)
def target(request: pytest.FixtureRequest) -> Target:
    needs(request.param)
    assert isinstance(request.param, Target)
    return request.param


def patched(out_dir: Path, copy: Path, file: str, old: str, new: str) -> Path:
    """A copy of ``out_dir`` in one source of which ``old``, which occurs once, is replaced."""
    copytree(out_dir, copy)
    path = copy / "firmware" / file
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))
    return copy


def test_every_byte_is_equal_on_every_machine(out_dir: Path, graph: QGraph, pictures: U8, target: Target) -> None:
    said: list[str] = []
    (check,) = verify(out_dir, [target], pictures, graph, said.append)
    assert check.passed, check
    assert (check.target, check.pictures, check.layers) == (target.check_name, 3, 9)
    if target.emulator:
        json = check.to_json()
        assert 50_000 < json["instructions"] < 5_000_000
        assert 5_000 < json["flash_bytes"] < 60_000
        assert graph.n_scores * 4 + 15 * 19 * 3 < json["ram_bytes"] < 40_000
        assert 100 < json["stack_bytes"] < 4_000
        assert 10_000 < json["longest_step_instructions"] < json["instructions"] / 2
    assert said == [f"{target.check_name}: built", f"{target.check_name}: 3 of 3 pictures compared"]


@pytest.mark.parametrize("core", EMULATED, ids=lambda t: t.name)
def test_a_streamed_build_is_exact_within_its_ram(
    graph: QGraph, pictures: U8, core: Target, tmp_path: Path
) -> None:
    needs(core)
    assert core.stack_bytes
    ram = 4_000 + core.stack_bytes
    out = write_firmware(graph, pictures[0], tmp_path, ram, core.name)
    assert "STREAMED 1" in (out / "firmware/model/dcg_small.h").read_text()
    (check,) = verify(out, [core], pictures, graph)
    assert check.passed, check
    json = check.to_json()
    assert json["ram_bytes"] + json["stack_bytes"] <= ram
    assert json["stack_bytes"] <= core.stack_bytes
    assert 0 < json["longest_step_instructions"] < json["longest_row_instructions"] < json["instructions"]


@pytest.mark.parametrize("layer", ["conv1", "expand3"])
def test_one_changed_weight_is_reported_as_its_layer(
    layer: str, graph: QGraph, pictures: U8, tmp_path: Path
) -> None:
    needs(HOST)
    out = write_firmware(with_one_weight_changed(graph, layer), pictures[0], tmp_path)
    (check,) = verify(out, [HOST], pictures, graph)
    assert not check.passed
    assert check.first_mismatch is not None
    assert check.first_mismatch.node == layer
    assert check.first_mismatch.expected != check.first_mismatch.found


def test_a_changed_weight_is_reported_by_an_emulated_machine(graph: QGraph, pictures: U8, tmp_path: Path) -> None:
    target = find("riscv32")
    needs(target)
    out = write_firmware(with_one_weight_changed(graph, "squeeze"), pictures[0], tmp_path)
    (check,) = verify(out, [target], pictures[:1], graph)
    assert check.first_mismatch is not None
    assert check.first_mismatch.node == "squeeze"


def test_a_changed_constant_of_the_plan_is_reported_as_its_layer(
    out_dir: Path, graph: QGraph, pictures: U8, tmp_path: Path
) -> None:
    needs(HOST)
    out = patched(out_dir, tmp_path / "out", "model/dcg_small_plan.c", ".pad_top = 1", ".pad_top = 0")
    (check,) = verify(out, [HOST], pictures, graph)
    assert check.first_mismatch is not None
    assert check.first_mismatch.node == "conv1"


def test_a_damaged_blob_fails_with_the_status(out_dir: Path, graph: QGraph, pictures: U8, tmp_path: Path) -> None:
    needs(HOST)
    out = tmp_path / "out"
    copytree(out_dir, out)
    blob = out / "firmware/model/dcg_small.dcb"
    data = bytearray(blob.read_bytes())
    data[-20] ^= 1
    blob.write_bytes(data)
    (check,) = verify(out, [HOST], pictures, graph)
    assert check.failure == "the runtime ended with BLOB_CRC"
    assert not check.passed


def test_a_memory_fault_is_found_by_the_sanitizers(
    out_dir: Path, graph: QGraph, pictures: U8, tmp_path: Path
) -> None:
    needs(HOST)
    call = "status = dcg_run(&model_net, model_input, model_scores);"
    fault = "uint8_t *volatile behind = model_arena + sizeof model_arena;\n    *behind = 0;"
    out = patched(
        out_dir,
        tmp_path / "out",
        "port/harness/run.c",
        f"const dcg_status {call}",
        f"{fault}\n    dcg_status {call}",
    )
    with pytest.raises(ToolError, match=r"host: the program failed .*AddressSanitizer"):
        verify(out, [HOST], pictures, graph)


def test_the_firmware_folder_is_left_as_it_was(out_dir: Path, graph: QGraph, pictures: U8) -> None:
    needs(HOST)
    before = sorted((p, p.stat().st_mtime_ns) for p in out_dir.rglob("*"))
    verify(out_dir, [HOST], pictures[:1], graph)
    assert sorted((p, p.stat().st_mtime_ns) for p in out_dir.rglob("*")) == before


def test_a_build_that_fails_says_why_in_one_line(
    out_dir: Path, graph: QGraph, pictures: U8, tmp_path: Path
) -> None:
    needs(HOST)
    out = patched(
        out_dir, tmp_path / "out", "port/harness/run.c", "struct outcome {", "struct outcome { nonsense;"
    )
    with pytest.raises(
        ToolError, match=r"host: building the firmware failed: port/harness/run\.c:.* error: "
    ) as error:
        verify(out, [HOST], pictures, graph)
    assert "\n" not in str(error.value)


def test_a_model_too_large_for_the_machine_says_by_how_much(out_dir: Path, tmp_path: Path) -> None:
    target = find("cortex-m4")
    needs(target)
    memory = "port/mps2-an386/link.ld"
    out = patched(out_dir, tmp_path / "out", memory, "20000000, LENGTH = 4M", "20000000, LENGTH = 16K")
    with pytest.raises(
        PlanError, match=r"qemu-cortex-m4: the model needs \d+ bytes more RAM than the machine has"
    ):
        build(out / "firmware", target, tmp_path / "build")


def test_a_folder_without_firmware_is_refused(graph: QGraph, pictures: U8, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no firmware folder here"):
        verify(tmp_path, [HOST], pictures, graph)


def test_no_pictures_are_refused(out_dir: Path, graph: QGraph, pictures: U8) -> None:
    with pytest.raises(ConfigError, match="at least one is needed"):
        verify(out_dir, [HOST], pictures[:0], graph)


def test_host_scores_equal_the_golden_model(out_dir: Path, graph: QGraph) -> None:
    needs(HOST)
    c, h, w = graph.input.shape
    many = np.random.default_rng(2).integers(0, 256, (37, h, w, c)).astype(np.uint8)
    done: list[int] = []
    scores = host_scores(out_dir, many, done.append)
    np.testing.assert_array_equal(scores, execute(graph, many))
    assert sum(done) == 37


def test_several_machines_keep_the_order_asked_for(out_dir: Path, graph: QGraph, pictures: U8) -> None:
    asked = [find("riscv32"), find("cortex-m4")]
    for target in asked:
        needs(target)
    checks = verify(out_dir, asked, pictures[:1], graph)
    assert [c.target for c in checks] == ["qemu-riscv32", "qemu-cortex-m4"]


def test_folders_may_have_any_name(
    out_dir: Path, graph: QGraph, pictures: U8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [HOST, find("cortex-m4")]
    for target in targets:
        needs(target)
    temporary = tmp_path / "te mp $x ä"
    temporary.mkdir()
    shutil.copytree(out_dir, tmp_path / "my out $y ö")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    checks = verify(tmp_path / "my out $y ö", targets, pictures[:1], graph)
    assert all(c.passed for c in checks)
    assert not list(temporary.iterdir())
