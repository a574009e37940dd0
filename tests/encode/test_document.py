"""docs/blob-format.md says what the schema says."""

from __future__ import annotations

from dcgen.encode.document import DEFAULT_PATH, render
from dcgen.encode.schema import RECORDS, Status
from tests.process import ROOT


def test_the_committed_document_is_current() -> None:
    assert (ROOT / DEFAULT_PATH).read_text() == render(), "run `python -m dcgen.encode.document`"


def test_every_field_and_status_is_described() -> None:
    text = render()
    for record in RECORDS:
        assert f"### {record.name}\n" in text
        for field in record.fields:
            assert f"`{field.name}`" in text
    for status in Status:
        assert f"| {status.value} | `{status.name}` |" in text
    assert "| 17 | `POSITION` | a weight beyond the layer's last |" in text


def test_fields_follow_each_other_without_gaps() -> None:
    for record in RECORDS:
        ends = [record.offset(f.name) for f in record.fields[1:]] + [record.size]
        starts = [record.offset(f.name) for f in record.fields]
        sizes = {"B": 1, "H": 2, "I": 4, "i": 4, "f": 4, "Q": 8}
        assert [e - s for s, e in zip(starts, ends, strict=True)] == [sizes[f.format] for f in record.fields]
