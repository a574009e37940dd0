"""The zoo's networks as tests use them: trained once for each recipe and release of PyTorch."""

from __future__ import annotations

from importlib.metadata import version

from benchmarks.zoo.members import Member
from benchmarks.zoo.network import Network, open_network, sources
from tests.kept import kept


def network(member: Member) -> Network:
    """The member's trained network; its files must not be changed."""
    settings = (member, version("torch"), version("numpy"))
    folder = kept(f"zoo-{member.name}", settings, sources(), lambda folder: open_network(member, folder))
    return open_network(member, folder)
