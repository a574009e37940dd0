"""The build of the firmware folder: ports to every machine, Makefile and CMakeLists.txt."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from dcgen.emit.names import ModelNames
from dcgen.emit.render import banner, render
from dcgen.files import FileSet
from dcgen.resources import resource_dir
from dcgen.targets import TARGETS, Target


@dataclass(frozen=True)
class _MakeTarget:
    """A target as the templates print it.

    test : make's goal that tests it
    variable : what its variables in make begin with
    padding : spaces that align the descriptions of all goals
    emulate : the command that runs a program ``$<``; empty where the target is not emulated
    """

    name: str
    test: str
    description: str
    variable: str
    padding: str
    emulated: bool
    compiler: str
    cpu_flags: str
    link_flags: str
    linker_script: str
    sources: tuple[str, ...]
    emulate: str


def port_files(name: str, selftest: bool = True) -> FileSet:
    """``port/*``, ``Makefile`` and ``CMakeLists.txt`` for the model called ``name``.

    selftest : whether the model's files hold a self-test
    """
    names = ModelNames.of(name)
    ports = resource_dir("firmware") / "port"
    files = {
        f"port/{path.relative_to(ports).as_posix()}": path.read_bytes()
        for path in sorted(ports.rglob("*"))
        if path.suffix in {".c", ".h", ".S", ".ld"}
    }
    targets = [_make_target(t) for t in TARGETS]
    width = max(len(t.test) + len(t.padding) for t in targets)
    values: dict[str, object] = {
        "make_banner": banner(),
        "name": names.symbol,
        "selftest": selftest,
        "targets": targets,
        "library_padding": " " * (width - len("library")),
        "clean_padding": " " * (width - len("clean")),
        "model_sources": [f"model/{names.plan_source}"],
        "selftest_source": f"model/{names.selftest_source}",
        "blob_incbin": f"model/{names.blob_incbin}",
        "blob_array": f"model/{names.blob_array}",
        "blob_object": f"model/{PurePosixPath(names.blob_incbin).stem}.o",
        "blob_file": f"model/{names.blob}",
    }
    for template in ("Makefile", "CMakeLists.txt"):
        files[template] = render(f"c/{template}.j2", **values).encode()
    return files


def _make_target(target: Target) -> _MakeTarget:
    emulator = target.emulator
    widest = max(len(_test_name(t)) for t in TARGETS)
    return _MakeTarget(
        name=target.name,
        test=_test_name(target),
        description=target.description,
        variable=target.name.upper().replace("-", "_"),
        padding=" " * (widest - len(_test_name(target))),
        emulated=emulator is not None,
        compiler=target.compiler,
        cpu_flags=" ".join(target.cpu_flags),
        link_flags=" ".join((*target.cpu_flags, *target.link_flags)),
        linker_script=target.linker_script,
        sources=tuple(f"port/{source}" for source in target.port_sources),
        emulate=shlex.join(emulator.command("$<")).replace("'$<'", "$<") if emulator else "",
    )


def _test_name(target: Target) -> str:
    return f"test-{target.check_name}" if target.emulator else "test"
