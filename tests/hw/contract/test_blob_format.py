"""The gateware, which may not import the schema of the blob, has the schema's numbers."""

from __future__ import annotations

from dcgen.encode.schema import Kind, Status
from dcgen.hw.contract import blob_format


def test_kinds_are_the_schema_s() -> None:
    assert {k.name: k.value for k in blob_format.Kind} == {k.name: k.value for k in Kind}


def test_causes_are_status_codes() -> None:
    causes = {c.name: c.value for c in blob_format.Cause if c is not blob_format.Cause.NONE}
    assert causes == {s.name: s.value for s in Status if s.name in causes}
