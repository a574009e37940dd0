"""No name of a model is one of C's, of dcgen's own, or of another model's."""

from __future__ import annotations

import re
from itertools import chain, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgen.emit.firmware import emit_firmware
from dcgen.emit.hdl import regmap
from dcgen.emit.names import LONGEST, OWN_WORDS, ModelNames, identifier
from dcgen.encode.blob import encode
from dcgen.plan.firmware.plan import plan_firmware
from dcgen.resources import resource_dir
from tests.firmware.nets import every_operator

PREFIXED = re.compile(r"\b(?:dcg|DCG)_\w+")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "digits"),
        ("SqueezeNet v1.1", "squeezenet_v1_1"),
        ("net", "net"),
        ("1x1", "net_1x1"),
        ("int", "int"),
        ("max", "net_max"),
        ("kind", "net_kind"),
        ("Model", "net_model"),
        ("max_pool_net", "net_max_pool_net"),
        ("features", "features"),
        ("dcg_crc", "dcg_crc"),
        ("--a\n b--", "a_b"),
        ("größe", "gr_e"),
        ("a_engine", "a_engine_net"),
        ("x" * 300, "x" * LONGEST),
        ("", "net"),
        ("---", "net"),
    ],
)
def test_identifier(name: str, expected: str) -> None:
    assert identifier(name) == expected


@given(st.text())
def test_an_identifier_is_one_and_stays_itself(name: str) -> None:
    found = identifier(name)
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", found)
    assert len(found) <= LONGEST + len("net_" + "_net")
    assert identifier(found) == found or len(found) > LONGEST


def emitted(name: str) -> dict[str, bytes]:
    graph = every_operator(1)
    blob = encode(graph)
    return dict(emit_firmware(graph, blob, plan_firmware(graph, blob), name))


def first_words(texts: list[str]) -> set[str]:
    found = set(PREFIXED.findall("\n".join(texts)))
    return {name.lower().split("_")[1] for name in found}


def test_own_words_are_all_that_own_names_begin_with() -> None:
    """A name of the runtime, the ports, the driver or the engine's registers begins with no model's name."""
    folder = resource_dir("firmware")
    sources = [f.read_text() for f in folder.rglob("*") if f.suffix in (".c", ".h", ".S")]
    files = emitted("my own")
    sources += [
        data.decode() for path, data in files.items() if path.endswith((".c", ".h", ".S", "CMakeLists.txt"))
    ]
    sources += [regmap.c_header(), *(path.replace("/", " ") for path in files)]
    examples = {"digits", "name", "my", ""}  # of comments, and of the model
    assert first_words(sources) - examples <= OWN_WORDS | {"net"}


def test_models_share_no_file_and_no_name() -> None:
    """Two models can be linked into one program, even where the name of one begins with the other's."""
    names = ["a", "a_input", "a_blob", "a_plan", "a_engine", "a_selftest", "net", "net_a", "a_score", "a_from"]
    models = [ModelNames.of(name) for name in names]
    own: list[set[str]] = []
    for model in models:
        files = emitted(model.name)
        texts = [
            data.decode()
            for path, data in files.items()
            if path.startswith("model/") and path[-2:] in (".c", ".h")
        ]
        found = set(chain.from_iterable(map(PREFIXED.findall, texts)))
        found |= {path for path in files if path.startswith("model/dcg_") and path != "model/dcg_model.h"}
        shared = {n for n in found if n.lower().split("_")[1] in OWN_WORDS}
        own.append(found - shared - {"dcg_net", "model/dcg_model.h"})
    for (i, a), (j, b) in product(enumerate(own), enumerate(own)):
        assert i == j or not a & b, (names[i], names[j], a & b)
