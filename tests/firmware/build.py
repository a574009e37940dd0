"""Compiles emitted firmware for this computer, under sanitizers, and runs it."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from dcgen.emit.firmware import model_files, runtime_files
from dcgen.emit.golden import Golden
from dcgen.emit.names import ModelNames
from dcgen.encode.blob import Blob, encode
from dcgen.encode.schema import Status
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.plan.firmware.segments import Schedule
from dcgen.quant.qgraph import I32, U8, QGraph
from tests.kept import kept

HERE = Path(__file__).parent
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic"]
SANITIZED = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ENVIRONMENT = os.environ | {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def compile_all(compiler: Sequence[str], sources: Sequence[Path], includes: Sequence[Path], out: Path) -> None:
    """Compile each source to an object in ``out``; warnings are errors."""
    for source in sources:
        run([*compiler, *(f"-I{i}" for i in includes), "-c", str(source), "-o", str(out / f"{source.stem}.o")])


def run(command: Sequence[str]) -> bytes:
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr.decode(errors='replace')}"
    return done.stdout


@cache
def runtime_objects(*flags: str) -> Path:
    """A folder with the runtime's headers and its objects, compiled under sanitizers."""

    def make(folder: Path) -> None:
        write(folder, runtime_files())
        compile_all(["gcc", *STRICT, *SANITIZED, *flags], sorted(folder.glob("*.c")), [folder], folder)

    return kept("runtime", (run(["gcc", "--version"]), *STRICT, *SANITIZED, *flags), runtime_files(), make)


@cache
def program(*flags: str, source: str = "program.c") -> Path:
    """A test program and the runtime under sanitizers, linked: it takes models as libraries with its runtime."""
    runtime = runtime_objects(*flags)
    sources = {name: (HERE / name).read_bytes() for name in (source, "model.h")}

    def make(folder: Path) -> None:
        objects = map(str, sorted(runtime.glob("*.o")))
        command = ["gcc", "-std=gnu11", *SANITIZED, f"-I{runtime}", f"-I{HERE}", str(HERE / source)]
        run([*command, *objects, "-rdynamic", "-o", str(folder / "program")])

    return kept("program", (str(runtime),), sources, make) / "program"


class Program:
    """program.c with one model, under sanitizers."""

    def __init__(
        self,
        folder: Path,
        graph: QGraph,
        golden: Golden | None = None,
        blob: Blob | None = None,
        flags: tuple[str, ...] = (),
        schedule: Schedule | None = None,
        table_bits: int | None = None,
    ) -> None:
        self.folder, self.graph = folder, graph
        self.blob = blob or encode(graph)
        self.plan = plan_firmware(graph, self.blob, schedule, table_bits=table_bits)
        names = ModelNames.of("unit")
        self._program, self._model = program(*flags), folder / "model.so"
        write(folder, model_files(graph, self.blob, self.plan, "unit", golden))
        sources = [folder / names.plan_source, folder / names.blob_array, HERE / "model.c"]
        sources += [folder / names.selftest_source] if golden else []
        includes = [f"-I{i}" for i in (runtime_objects(*flags), folder, HERE)]
        library = ["-shared", "-fPIC", "-o", str(self._model)]
        run(["gcc", *STRICT, *SANITIZED, *includes, *map(str, sources), *library])

    def call(self, *arguments: str) -> bytes:
        return run([str(self._program), str(self._model), *arguments])

    def misuse(self) -> list[str]:
        """The lines that misuse.c prints with this model, which has a self-test."""
        return run([str(program(source="misuse.c")), str(self._model)]).decode().splitlines()

    def trace(self, pictures: U8, blob: bytes | None = None) -> tuple[dict[str, U8], I32]:
        """Every traced tensor, uint8 [N, C, H, W] by name, and the scores, int32 [N, S], of pictures [N, H, W, C].

        blob : takes the place of the program's own
        """
        (self.folder / "b").write_bytes(blob or self.blob.data)
        (self.folder / "p").write_bytes(pictures.tobytes())
        out = self.call("trace", str(self.folder / "b"), str(self.folder / "p"))
        tensors: dict[str, U8] = {}
        scores = np.empty((len(pictures), self.graph.n_scores), np.int32)
        at = 0
        for k in range(len(pictures)):
            seen: set[tuple[int, int, int]] = set()
            while (node := struct.unpack_from("<H", out, at)[0]) != 0xFFFF:
                channel, row, count = struct.unpack_from("<HHH", out, at + 2)
                assert (node, channel, row) not in seen, "a row was traced twice"
                seen.add((node, channel, row))
                name = self.graph.nodes[node].name
                shape = self.graph.tensors[name].shape
                plane = tensors.setdefault(name, np.zeros((len(pictures), *shape), np.uint8))
                assert count == shape[2]
                plane[k, channel, row] = np.frombuffer(out, np.uint8, count, at + 8)
                at += 8 + count
            for name in tensors:
                node = [n.name for n in self.graph.nodes].index(name)
                c, h, _ = self.graph.tensors[name].shape
                assert sum(s[0] == node for s in seen) == c * h, f"{name}: rows are missing"
            scores[k] = np.frombuffer(out, np.int32, self.graph.n_scores, at + 2)
            at += 2 + 4 * self.graph.n_scores
        assert at == len(out)
        return tensors, scores

    def fuzz(self, blobs: Sequence[bytes]) -> list[tuple[Status, Status]]:
        """The statuses of dcg_init and of dcg_run for each blob; OK for dcg_run where dcg_init has failed."""
        c, h, w = self.graph.input.shape
        (self.folder / "f").write_bytes(b"".join(struct.pack("<I", len(b)) + b for b in blobs))
        (self.folder / "p").write_bytes(np.arange(c * h * w).astype(np.uint8).tobytes())
        lines = self.call("fuzz", str(self.folder / "f"), str(self.folder / "p")).decode().splitlines()
        assert len(lines) == len(blobs)
        pairs = [tuple(Status(int(s)) for s in line.split()) for line in lines]
        return [(a, b) for a, b in pairs]
