"""Whole networks run on the simulated engine, through the C driver and AXI, with random pauses on all channels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from dcgen.encode.blob import encode
from dcgen.encode.layout import take_apart
from dcgen.encode.schema import CRC_START, HEADER, NODE_HEADER, Kind, Status
from dcgen.hw.contract import regmap
from dcgen.inputs.samples import open_samples
from dcgen.output import open_output
from dcgen.plan.engine.cycles import predict
from dcgen.plan.engine.plan import plan_engine
from dcgen.progress import unheard
from tests.hw.engine import assert_equal, drive
from tests.hw.nets import SMALL, Net, fire_net, planned

BACK_CAUSES = ("mac", "list_wait", "drain_wait", "pool", "load", "other")
"""What the back end spends a cycle on, one of them each."""


def test_a_fire_network_runs_twice(tmp_path: Path) -> None:
    net = planned(fire_net())
    other = 255 - net.picture
    first, second = drive(net, [(net.blob.data, net.picture), (net.blob.data, other)], tmp_path)
    assert_equal(net, net.picture, first)
    assert_equal(net, other, second)


def test_every_run_is_counted_from_its_own_first_word(tmp_path: Path) -> None:
    net = planned(fire_net())
    first, second = drive(net, [(net.blob.data, net.picture)] * 2, tmp_path, pauses=False)
    assert first.counters[0] > 0
    np.testing.assert_array_equal(first.counters, second.counters)


def test_every_cycle_has_one_cause(tmp_path: Path) -> None:
    """Pauses of the streams change how long is waited, but not how often the lanes multiply."""
    net = planned(fire_net())
    (ran,) = drive(net, [(net.blob.data, net.picture)], tmp_path)
    counted = dict(zip((name for name, _ in regmap.COUNTERS), ran.counters.tolist(), strict=True))
    assert counted["total"] == sum(counted[name] for name in BACK_CAUSES)
    assert counted["mac"] == predict(net.plan, net.graph, net.blob).causes["mac"]
    assert counted["other"] > 0


def test_a_second_simulator_agrees(tmp_path: Path) -> None:
    net = planned(fire_net(2, channels=1, size=10))
    (ran,) = drive(net, [(net.blob.data, net.picture)], tmp_path, sim="icarus")
    assert_equal(net, net.picture, ran)


def test_new_weights_are_another_blob_and_nothing_else(tmp_path: Path) -> None:
    """Two blobs of one topology run on one engine with one command list."""
    net = planned(fire_net(5))
    rng = np.random.default_rng(0)
    nodes = tuple(
        replace(n, op=replace(n.op, indices=rng.permuted(n.op.indices))) if hasattr(n.op, "indices") else n
        for n in net.graph.nodes
    )
    other = replace(net.graph, nodes=nodes)
    blob = encode(other)
    assert blob.topology_hash == net.blob.topology_hash
    assert plan_engine(other, blob, SMALL).commands == net.plan.commands
    first, second = drive(net, [(net.blob.data, net.picture), (blob.data, net.picture)], tmp_path)
    assert_equal(net, net.picture, first)
    assert_equal(Net(other, blob, net.plan, net.picture), net.picture, second)
    assert not np.array_equal(first.scores, second.scores)


def test_a_damaged_section_is_named_and_the_next_run_is_right(tmp_path: Path) -> None:
    """A damaged section with a valid check sum reaches the engine, which stops with its cause."""
    net = planned(fire_net(7))
    damaged = bytearray(net.blob.data)
    section = next(s for s in take_apart(net.blob.data).sections if s.fields["kind"] == Kind.CONV)
    lo, hi = (section.offset + NODE_HEADER.offset(name) for name in ("lo", "hi"))
    damaged[lo], damaged[hi] = 1, 0
    end = section.offset + section.fields["section_bytes"]
    struct.pack_into("<I", damaged, section.offset, zlib.crc32(damaged[section.offset + 4 : end]))
    struct.pack_into("<I", damaged, HEADER.offset("blob_crc"), zlib.crc32(damaged[CRC_START:]))
    runs = [(bytes(damaged), net.picture), (net.blob.data, net.picture)]
    broken, whole = drive(net, runs, tmp_path)
    assert broken.status == Status.LAYER
    assert_equal(net, net.picture, whole)


def test_a_damaged_blob_never_reaches_the_engine(tmp_path: Path) -> None:
    net = planned(fire_net(7))
    damaged = bytearray(net.blob.data)
    damaged[-5] ^= 1
    other = planned(fire_net(8, channels=2)).blob.data
    runs = [(bytes(damaged), net.picture), (other, net.picture), (net.blob.data[:40], net.picture)]
    found = [ran.status for ran in drive(net, runs, tmp_path)]
    assert found == [Status.BLOB_CRC, Status.TOPOLOGY, Status.TRUNCATED]


def test_digits_squeezenet_equals_the_golden_model(tmp_path: Path, digits_out: Path) -> None:
    output = open_output(digits_out)
    samples = open_samples(output.golden, unheard)
    pictures = samples.load([0], output.preprocess, output.size, unheard).data
    blob = encode(output.qgraph)
    assert blob.data[CRC_START:] == (digits_out / "model.dcb").read_bytes()[CRC_START:]
    net = Net(output.qgraph, blob, plan_engine(output.qgraph, blob, SMALL), pictures[0])
    (ran,) = drive(net, [(blob.data, net.picture)], tmp_path)
    assert_equal(net, net.picture, ran)
