from pathlib import Path

import pytest

from dcgen.errors import ConfigError
from dcgen.resources import resource_dir
from dcgen.targets import HOST, TARGETS, Target, find, find_check


def test_the_four_machines_and_the_host_are_there() -> None:
    assert [t.check_name for t in TARGETS] == [
        "host",
        "qemu-cortex-m4",
        "qemu-cortex-m7",
        "qemu-cortex-m55",
        "qemu-riscv32",
    ]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_a_target_is_found_by_its_names(target: Target) -> None:
    assert find(target.name) is target
    assert find_check(target.check_name) is target


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_every_file_a_target_names_ships(target: Target) -> None:
    firmware = resource_dir("firmware")
    names = [f"port/{source}" for source in target.port_sources]
    for name in names + ([target.linker_script] if target is not HOST else []):
        assert (firmware / Path(name)).is_file()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"cortex-m3: is no target, expected one of host, cortex-m4, "):
        find("cortex-m3")
    with pytest.raises(ConfigError, match=r"rtl: is nothing to verify on, expected one of host, qemu-cortex-m4, "):
        find_check("rtl")
