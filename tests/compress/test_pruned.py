"""Deep Compression is pruned as far as a goal allows; settings that say how far are kept as they are."""

from __future__ import annotations

import numpy as np
import pytest

from dcgen.compress import pruned
from dcgen.compress.prune import scan
from dcgen.compress.recipes import DeepCompression, recipe
from dcgen.errors import ConfigError
from dcgen.ir.graph import Graph
from tests.compress.nets import density, evidence, net

SEEN = evidence(pictures=60)


def compressed(**settings: object) -> Graph:
    return recipe("deep-compression", settings).apply(net(), SEEN)


def test_a_looser_divergence_gives_a_smaller_file() -> None:
    found = [compressed(max_kl=limit) for limit in (0.01, 0.1)]
    strict, loose = (SEEN.trial(graph) for graph in found)
    assert strict.mean_kl <= 0.01 < loose.mean_kl <= 0.1
    assert density(found[1]) < 0.9 * density(found[0])


def test_a_size_is_met_and_nearly_used() -> None:
    limit = SEEN.trial(compressed(density=0.6)).blob_bytes
    assert 0.97 * limit <= SEEN.trial(compressed(max_bytes=limit)).blob_bytes <= limit


def test_an_error_is_met_but_for_what_few_bytes_less_would_cost() -> None:
    """The search ends where 2 % of the file are between a network that meets the goal and one that does not."""
    found = SEEN.trial(compressed(max_error=0.2))
    assert found.relative_error <= 0.2
    nothing = SEEN.trial(compressed(density=1.0))
    assert 0.9 * nothing.blob_bytes < found.blob_bytes < nothing.blob_bytes


def test_by_default_the_limits_suit_the_outputs() -> None:
    seen = evidence(kind="values", pictures=60)
    graph = recipe("deep-compression").apply(net(), seen)
    assert 0.05 < seen.trial(graph).relative_error <= 0.1 and density(graph) < 1
    goal = DeepCompression().goal()
    assert goal is not None and goal.name == "fidelity"
    trial = SEEN.trial(compressed())
    assert all(p.measured <= p.allowed for p in goal.parts(trial))


def test_layers_are_pruned_by_what_they_cost_and_not_all_alike() -> None:
    found = compressed(max_kl=0.1)
    shares = [np.count_nonzero(c.weight.values) / c.weight.values.size for _, c in found.convs()]
    assert max(shares) > 1.3 * min(shares)


def test_the_network_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[int] = []
    monkeypatch.setattr(pruned, "scan", lambda *given: scans.append(1) or scan(*given))
    compressed(max_kl=0.1)
    assert len(scans) == 1


def test_what_cannot_be_met_says_what_was_reached() -> None:
    with pytest.raises(ConfigError, match=r"max_bytes: 100 cannot be met, .* was reached with .* bytes"):
        compressed(max_bytes=100)
    with pytest.raises(ConfigError, match=r"max_kl: 1e-09 cannot be met"):
        compressed(max_kl=1e-9)


@pytest.mark.parametrize("said", [{"density": 0.5}, {"densities": {"a": 0.5}}, {"scan_kl": 0.01}])
def test_who_says_how_far_layers_are_pruned_has_no_goal(said: dict[str, object]) -> None:
    chosen = recipe("deep-compression", said)
    assert chosen.goal() is None
    (name,) = said
    with pytest.raises(ConfigError, match=rf"{name}: says how far layers are pruned, and max_kl searches it"):
        recipe("deep-compression", {**said, "max_kl": 0.1}).goal()
    with pytest.raises(ConfigError, match="max_bytes: and max_kl are both goals"):
        recipe("deep-compression", {"max_kl": 0.1, "max_bytes": 1000}).goal()
