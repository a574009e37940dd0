"""What users write on the command line, read: amounts, preprocessing, an engine's lanes.

Errors are ConfigError and name the flag.
"""

from __future__ import annotations

from dcgen import pictures as host
from dcgen.errors import ConfigError
from dcgen.plan.engine.lanes import with_lanes
from dcgen.targets import EngineTarget, Target


def preprocess(
    name: str | None, mean: str | None, std: str | None, order: str | None, fit: str | None, size: int | None
) -> host.Preprocess | None:
    """The chosen preset, the explicit settings, or None for the model's own."""
    flags = (("--mean", mean), ("--std", std), ("--order", order), ("--fit", fit))
    given = [flag for flag, value in flags if value is not None]
    if name is not None:
        if given:
            raise ConfigError("--preprocess", f"{name} and {given[0]} contradict each other", "give one of them")
        return host.with_size(host.preset(name), size)
    if not given:
        return None
    if mean is None or std is None or order is None:
        raise ConfigError("preprocess", f"{given[0]} alone is not enough", "--mean, --std and --order go together")
    means, deviations = _numbers("--mean", mean), _numbers("--std", std)
    return host.explicit(order, means, deviations, fit or "squash", None, size or 224)


def amount(flag: str, text: str, kilo: int = 1000) -> int:
    """``365000``, ``380K`` or ``1.2M``: files are measured in thousands of bytes, memories in 1,024."""
    unit = {"K": kilo, "M": kilo * kilo}.get(text[-1:].upper(), 1)
    try:
        return int(float(text if unit == 1 else text[:-1]) * unit)
    except (ValueError, OverflowError):
        raise ConfigError(flag, f"expected an amount such as 380K or 365000, found {text!r}") from None


def engine_with_lanes(machine: Target | EngineTarget, lanes: str) -> EngineTarget:
    """An engine of so many lanes."""
    if not isinstance(machine, EngineTarget):
        raise ConfigError("--lanes", f"needs an engine, not {machine.name}", "see dcgen targets")
    if not lanes.isdecimal():
        raise ConfigError("--lanes", f"expected a number or auto, found {lanes!r}")
    return with_lanes(machine, int(lanes))


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(t) for t in text.split(",")]
    except ValueError:
        raise ConfigError(flag, f"expected numbers separated by commas, found {text!r}") from None
