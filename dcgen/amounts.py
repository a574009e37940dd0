"""Amounts as people write them."""

from __future__ import annotations

from dcgen.errors import ConfigError


def amount(thing: str, text: str, kilo: int = 1000) -> int:
    """A number such as ``365000``, ``380K`` or ``1.2M``.

    thing : the flag or setting that has the amount, for messages
    kilo : what K stands for: 1000 for sizes of files and counts, 1024 for memories
    """
    unit = {"K": kilo, "M": kilo * kilo}.get(text[-1:].upper(), 1)
    try:
        return int(float(text if unit == 1 else text[:-1]) * unit)
    except (ValueError, OverflowError):
        raise ConfigError(thing, f"expected an amount such as 380K or 365000, found {text!r}") from None
