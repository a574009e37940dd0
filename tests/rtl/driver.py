"""The C driver as a library for this computer, its port made of Python functions."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.hw.contract import regmap

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
SEND = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
WAIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
FLAGS = ("-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-shared", "-fPIC")
RUNTIME = ("dcg_blob.c", "dcg_blob_crc.c", "dcg_status.c")
"""Sources of the software runtime that the driver uses."""


class _Port(ctypes.Structure):
    _fields_ = (
        ("user", ctypes.c_void_p),
        ("read32", READ),
        ("write32", WRITE),
        ("send_picture", SEND),
        ("send_blob", SEND),
        ("receive", SEND),
        ("wait", WAIT),
    )


def build_library(firmware: Path, name: str, library: Path) -> Path:
    """Compile the driver and the plan of network ``name`` from an emitted ``firmware`` folder."""
    engine, runtime = firmware / "engine", firmware / "runtime"
    sources = [engine / "dcg_engine.c", engine / f"dcg_{name}_engine.c", *(runtime / f for f in RUNTIME)]
    command = ["cc", *FLAGS, f"-I{engine}", f"-I{runtime}", *map(str, sources), "-o", str(library)]
    subprocess.run(command, check=True)
    return library


class Driver:
    """``dcg_engine`` on a port that is made of Python functions.

    The C code calls read(offset) -> value, write(offset, value), send_picture(bytes), send_blob(bytes),
    receive(count), which only announces the scores, and wait() -> list of scores or None.
    """

    def __init__(self, library: Path, name: str, port: Any) -> None:
        self._library = ctypes.CDLL(str(library))
        self._plan = ctypes.c_char.in_dll(self._library, f"dcg_{name}_engine_plan")
        self._engine = (ctypes.c_void_p * 3)()
        self._blob: Any = None
        self._scores = 0
        self._port = _Port(
            None,
            READ(lambda _, offset: port.read(offset)),
            WRITE(lambda _, offset, value: port.write(offset, value)),
            SEND(lambda _, data, count: port.send_picture(ctypes.string_at(data, count))),
            SEND(lambda _, data, count: port.send_blob(ctypes.string_at(data, count))),
            SEND(self._receiver(port.receive)),
            WAIT(self._waiter(port.wait)),
        )

    def init(self, blob: bytes) -> int:
        """The status of ``dcg_engine_init``."""
        self._blob = (ctypes.c_uint32 * (len(blob) // 4 + 1))()
        ctypes.memmove(self._blob, blob, len(blob))
        arguments = (self._engine, ctypes.byref(self._plan), ctypes.byref(self._port), self._blob)
        return int(self._library.dcg_engine_init(*arguments, ctypes.c_size_t(len(blob))))

    def run(self, picture: NDArray[np.uint8], count: int) -> tuple[int, NDArray[np.int32]]:
        """The status and scores of ``dcg_engine_run``."""
        data = np.ascontiguousarray(picture)
        scores = np.zeros(count, np.int32)
        status = self._library.dcg_engine_run(
            self._engine, ctypes.c_void_p(data.ctypes.data), ctypes.c_void_p(scores.ctypes.data)
        )
        return int(status), scores

    def counters(self) -> dict[str, int]:
        """The cycles of the last run."""
        found = (ctypes.c_uint32 * len(regmap.COUNTERS))()
        self._library.dcg_engine_counters(self._engine, found)
        return {name: value for (name, _), value in zip(regmap.COUNTERS, found, strict=True)}

    def _receiver(self, receive: Callable[[int], None]) -> Callable[[Any, int, int], None]:
        def announce(_: Any, address: int, count: int) -> None:
            self._scores = address
            receive(count)

        return announce

    def _waiter(self, wait: Callable[[], list[int] | None]) -> Callable[[Any], int]:
        def wait_and_store(_: Any) -> int:
            found = wait()
            if found is None:
                return 1
            (ctypes.c_int32 * len(found)).from_address(self._scores)[:] = found
            return 0

        return wait_and_store
