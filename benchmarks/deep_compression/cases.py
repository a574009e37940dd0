"""What is trained: each case adds stages to an earlier one, so that what cases have in common is trained once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Table = dict[str, Any]
"""A stage as a table of ``--stages``."""

BITS = (2, 3, 4, 5, 8)
STARTS = ("linear", "density", "forgy")
DENSITIES = (0.3, 0.2, 0.12, 0.08, 0.05, 0.03)
PUBLISHED_DENSITY = 0.08
"""Share of the weights that the paper keeps of either network (tables 2 and 3)."""
NETWORKS = ("lenet300", "lenet5")


@dataclass(frozen=True)
class Scale:
    """How much is trained.

    dense, prune, share, again : epochs of the stages, the last those of the second dense one
    """

    networks: tuple[str, ...] = NETWORKS
    bits: tuple[int, ...] = BITS
    starts: tuple[str, ...] = STARTS
    densities: tuple[float, ...] = DENSITIES
    dense: int = 40
    prune: int = 30
    share: int = 10
    again: int = 20


LONG = Scale()
SHORT = Scale(("lenet300",), (2, 5), ("linear", "density"), (0.3, PUBLISHED_DENSITY), 1, 1, 1, 1)


@dataclass(frozen=True)
class Case:
    """One network that is trained.

    name : its folder
    group : what it is compared in: ``dense``, ``pruned``, ``shared``, ``both`` or ``dsd``
    begun : the case whose stages come before, None for none
    added : the stages that follow
    labels : columns of the table beside the figures
    """

    name: str
    network: str
    group: str
    begun: Case | None
    added: tuple[Table, ...]
    labels: dict[str, Any]

    @property
    def stages(self) -> tuple[Table, ...]:
        """All stages, in order."""
        return (*(self.begun.stages if self.begun else ()), *self.added)


def cases(scale: Scale) -> Iterator[Case]:
    """All cases, each behind the one that it begins with."""
    for network in scale.networks:
        yield from _cases(network, scale)


def _cases(network: str, scale: Scale) -> Iterator[Case]:
    def case(name: str, group: str, begun: Case | None, *added: Table, **labels: Any) -> Case:
        return Case(f"{network}-{name}", network, group, begun, added, labels)

    dense = case("dense", "dense", None, {"method": "dense", "epochs": scale.dense})
    yield dense
    published = dense
    for density in scale.densities:
        prune = {"method": "magnitude", "density": density, "curve": "rounds", "epochs": scale.prune, "until": 0.8}
        pruned = case(f"pruned-{density:g}", "pruned", dense, prune, density=density)
        yield pruned
        published = pruned if density == PUBLISHED_DENSITY else published
    for bits in scale.bits:
        yield case(f"shared-{bits}", "shared", dense, _sharing(scale, bits), bits=bits, trained=True)
        for start in scale.starts:
            for trained in (False, True):
                name = f"both-{bits}-{start}-{'trained' if trained else 'untrained'}"
                stage = {**_sharing(scale, bits), "start": start} | ({} if trained else {"epochs": 0})
                labels = {"density": PUBLISHED_DENSITY, "bits": bits, "start": start, "trained": trained}
                yield case(name, "both", published, stage, **labels)
    for name, density in (("plain", 1.0), ("sparse", 0.7)):  # 30 % of zeros, as the paper has it
        sparse = {"method": "magnitude", "density": density, "until": 0.0, "epochs": scale.again}
        again = {"method": "dense", "epochs": scale.again, "rate": 0.0001}
        yield case(f"dsd-{name}", "dsd", dense, {**sparse, "spread": "uniform"}, again, density=density)


def _sharing(scale: Scale, bits: int) -> Table:
    return {"method": "sharing", "bits_conv": bits, "bits_fc": bits, "epochs": scale.share, "rate": 0.0001}
