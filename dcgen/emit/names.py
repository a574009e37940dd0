"""The C identifiers and file names of one model.

Everything that is emitted for a model is called ``dcg_<name>...`` or ``DCG_<NAME>_...``, so that nothing clashes
with C's keywords, the C library and its headers, or a program's own names. Names of dcgen's own begin alike; a
model whose name begins with a word that one of them begins with, too, is called ``net_...`` instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 40
"""Characters of a model's name; longer ones are cut."""
OWN_WORDS = frozenset(
    re.findall(
        r"\w+",
        """add arena argmax asm assert at average avg begin bias blob bss bytes chunk clip code coding conv
        copy crc crc32 data dense depthwise direct dsp engine err error escape event events factor far fault
        flag float flow format formats fours gap group h harness has header helium in init input int8 internal
        job kernel kernels kind layer layout levels lies list load long magic max mem memory min misaligned
        model most mul naked need network no node ok output overlap pack packed packing pad pairs place
        placed plan plane pool port push qemu read reader records requant requantize reset row rows run
        sampled scale scores scratch section selftest semihosting set short signed stack start status
        step store stream symbol table take taps tensor tensors text topology trace uint8 unaligned
        unbroken unit unroll unused upsample vector version weights window word work zero""",
    )
)
"""First words of dcgen's own names behind ``dcg_`` and ``DCG_``, and some that it may take one day."""
LAST_WORDS = ("array", "blob", "engine", "plan", "selftest")
"""Last words of a model's own names: those of model ``a`` must not be those of a model ``a_engine``."""


def identifier(name: str) -> str:
    """``name`` in lower case, digits and single underscores, as it follows ``dcg_`` in names.

    Other characters become underscores; ``net`` stands for a name of which nothing is left.
    """
    words = re.findall("[a-z0-9]+", name.lower()[: 8 * LONGEST]) or ["net"]
    cleaned = "_".join(words)[:LONGEST].strip("_")
    words = cleaned.split("_")
    if words != ["net"] and (words[0] in OWN_WORDS or words[0][0].isdigit()):
        cleaned = f"net_{cleaned}"
    return f"{cleaned}_net" if words[-1] in LAST_WORDS else cleaned


@dataclass(frozen=True)
class ModelNames:
    """C identifiers and file names, all made from ``name``; models of different names share none."""

    name: str

    @classmethod
    def of(cls, name: str) -> ModelNames:
        """The names of a model whose name is any text; see ``identifier``."""
        return cls(identifier(name))

    @property
    def macro(self) -> str:
        """What the model's macros begin with: ``DCG_<NAME>``."""
        return f"DCG_{self.name.upper()}"

    @property
    def symbol(self) -> str:
        """What the model's symbols and files begin with: ``dcg_<name>``."""
        return f"dcg_{self.name}"

    @property
    def header(self) -> str:
        return f"{self.symbol}.h"

    @property
    def plan_source(self) -> str:
        return f"{self.symbol}_plan.c"

    @property
    def blob(self) -> str:
        return f"{self.symbol}.dcb"

    @property
    def blob_incbin(self) -> str:
        return f"{self.symbol}_blob.S"

    @property
    def blob_array(self) -> str:
        return f"{self.symbol}_blob_array.c"

    @property
    def selftest_source(self) -> str:
        return f"{self.symbol}_selftest.c"
