"""The generated headers state what the schema states."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dcgen.emit.format_headers import format_files
from dcgen.encode.schema import RECORDS, Kind, Status


def test_statuses_and_kinds_have_their_numbers() -> None:
    text = format_files()["dcg_format.h"].decode()
    for status in Status:
        name = "DCG_OK" if status is Status.OK else f"DCG_ERR_{status.name}"
        assert f"    {name} = {status.value}" in text
    for kind in Kind:
        assert f"#define DCG_KIND_{kind.name} {kind.value}u\n" in text


def test_accessors_read_what_the_schema_packs(tmp_path: Path) -> None:
    """Every integer field, at an extreme value, is read by its C accessor."""
    checks: list[str] = []
    for r, record in enumerate(RECORDS):
        prefix = "".join(f"_{c.lower()}" if c.isupper() else c for c in record.name).strip("_")
        limits = {
            f.name: {"B": 0xFE, "H": 0xFEDC, "I": 0xFEDCBA98, "Q": 0xFEDCBA9876543210, "i": -(2**31)}.get(
                f.format, 0
            )
            for f in record.fields
        }
        data = ",".join(str(b) for b in record.pack(**limits))
        checks.append(f"static const uint8_t r{r}[] = {{{data}}};")
        checks += [
            f'_Static_assert(sizeof r{r} == DCG_{prefix.upper()}_BYTES, "");',
            f"static int check{r}(void) {{ return 1",
            *(
                f"&& dcg_{prefix}_{f.name}(r{r}) == ("
                + ("-2147483647 - 1)" if f.format == "i" else f"{limits[f.name]}u)")
                for f in record.fields
                if f.format != "f"
            ),
            ";}",
        ]
    main = "int main(void) { return !(" + " && ".join(f"check{r}()" for r in range(len(RECORDS))) + "); }"
    for name, file in format_files().items():
        (tmp_path / name).write_bytes(file)
    (tmp_path / "t.c").write_text(
        '#include "dcg_format.h"\n#include "dcg_records.h"\n' + "\n".join([*checks, main])
    )
    subprocess.run(["gcc", "-Wall", "-Werror", "-fsanitize=undefined", "t.c", "-o", "t"], cwd=tmp_path, check=True)
    assert subprocess.run(["./t"], cwd=tmp_path).returncode == 0
