"""docs/operators.md is what ``dcgen.importers.document`` writes."""

from pathlib import Path

from dcgen.importers.document import DEFAULT_PATH, ROWS, render
from dcgen.importers.onnx_operators import OPERATORS

ROOT = Path(__file__).parents[2]


def test_the_committed_document_is_current() -> None:
    assert (ROOT / DEFAULT_PATH).read_text() == render(), "run `python -m dcgen.importers.document`"


def test_every_operator_has_a_row_and_no_other() -> None:
    rows = [line.split("|")[1].strip() for line in render().splitlines() if line.startswith("| ")]
    assert rows[1:] == list(OPERATORS)
    assert ROWS.keys() <= OPERATORS.keys()
