from pathlib import Path

import pytest

from dcgen.errors import ToolError
from dcgen.targets import HOST, find
from dcgen.verify.toolchain import require, tools


def test_a_missing_tool_ends_in_one_line_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make = tmp_path / "make"
    make.write_text("#!/bin/sh\n")
    make.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError) as error:
        require(find("cortex-m7"))
    line = str(error.value)
    assert line.startswith(
        "arm-none-eabi-gcc and qemu-system-arm: not found, but verifying on qemu-cortex-m7 needs it"
    )
    assert line.endswith("apt-get install -y --no-install-recommends gcc-arm-none-eabi qemu-system-arm)")
    assert "\n" not in line


def test_tools_that_are_there_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in tools(find("riscv32")):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    require(find("riscv32"))


def test_the_host_compiler_is_the_one_that_make_will_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "clang -m64")
    assert "clang" in tools(HOST)
    monkeypatch.delenv("CC")
    assert "cc" in tools(HOST)
