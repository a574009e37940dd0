"""Recipes: settings by name, checked; passes in order."""

import numpy as np
import pytest

from dcgen.compress.recipes import DeepCompression, SecondOrder, fully_connected, keep, recipe
from dcgen.compress.share import share
from dcgen.config import load_recipe
from dcgen.errors import ConfigError
from dcgen.ir.graph import Node, Weight
from tests.compress.nets import evidence, net
from tests.graphs import conv


def test_deep_compression_prunes_then_shares():
    found = recipe("deep-compression", {"density": 0.4, "conv_bits": 4}).apply(net(), evidence())
    for _, c in found.convs():
        assert (c.weight.values != 0).mean() == pytest.approx(0.4, abs=0.02)
        assert len(c.weight.levels.codebook) <= 16


def test_fully_connected_layers_get_their_own_bits():
    g = net()
    head = Node("fc", conv(np.random.default_rng(1), 10, 32, (6, 6)), ("rb",))
    g = g.with_nodes([*g.nodes[:4], head], outputs=("fc",))
    assert fully_connected(g, "fc") and not fully_connected(g, "b")
    found = recipe("deep-compression", {"density": 1.0, "conv_bits": 3, "fc_bits": 5}).apply(g, evidence())
    assert {n.name: len(c.weight.levels.codebook) for n, c in found.convs()} == {"a": 8, "b": 8, "fc": 32}


def test_densities_by_layer_name_override_and_unknown_names_are_refused():
    found = recipe("deep-compression", {"density": 1.0, "densities": {"b": 0.1}}).apply(net(), evidence())
    assert (found.by_name["b"].op.weight.values != 0).mean() == pytest.approx(0.1, abs=0.01)
    with pytest.raises(ConfigError, match="densities: names 'zz', but the layers are a, b, c"):
        recipe("deep-compression", {"densities": {"zz": 0.1}}).apply(net(), evidence())


def test_keep_takes_levels_as_they_are_and_refuses_dense_networks():
    rng = np.random.default_rng(0)
    g = net().with_weights({"b": Weight.of(share(net().by_name["b"].op.weight.values, 5, "linear", rng))})
    kept = keep(g)
    np.testing.assert_array_equal(kept.by_name["b"].op.weight.values, g.by_name["b"].op.weight.values)
    with pytest.raises(ConfigError, match="net: does not come compressed"):
        keep(
            net().with_weights(
                {
                    n: Weight(rng.normal(size=(op.weight.values.shape)).astype("f4"))
                    for n, op in ((n.name, c) for n, c in net().convs())
                }
            )
        )


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nosuch", {}, "nosuch: is not a recipe; there are second-order, deep-compression, keep"),
        ("second-order", {"bits": 3}, "bits: is not a setting of second-order"),
        ("second-order", {"max_kl": "much"}, "max_kl: must be a number, not 'much'"),
        ("second-order", {"max_kl": -1}, r"max_kl: must be a number from 0 to 10"),
        ("second-order", {"symmetric": "maybe"}, "symmetric: must be true or false, not 'maybe'"),
        ("second-order", {"pictures": 1.5}, "pictures: must be a whole number"),
        ("second-order", {"coding": "zip"}, "coding: must be one of joint, deep-compression, smallest"),
        ("deep-compression", {"init": "best"}, "init: must be one of linear, density, forgy"),
        ("deep-compression", {"densities": 3}, "densities: must be a table of numbers by layer name"),
    ],
)
def test_wrong_settings_are_named(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        recipe(name, settings)


def test_a_toml_file_and_flags_on_top(tmp_path):
    f = tmp_path / "mine.toml"
    f.write_text('recipe = "deep-compression"\nconv_bits = 6\n[densities]\nconv1 = 0.8\n')
    found = load_recipe(str(f), ["conv_bits=5", "densities.conv2=0.5"])
    assert isinstance(found, DeepCompression)
    assert found.conv_bits == 5 and found.densities == {"conv1": 0.8, "conv2": 0.5}
    assert load_recipe("second-order", ["seed=7"]) == SecondOrder(seed=7)


@pytest.mark.parametrize(
    ("text", "message"), [("recipe = [", "is not TOML"), ("max_kl = 'x'", "max_kl: must be a number")]
)
def test_a_bad_toml_file_is_named(tmp_path, text, message):
    f = tmp_path / "bad.toml"
    f.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(f))
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        load_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="nonsense: is not a setting, expected name=value"):
        load_recipe("second-order", ["nonsense"])
    with pytest.raises(ConfigError, match="=3: is not a setting, expected name=value"):
        load_recipe("second-order", ["=3"])
    with pytest.raises(ConfigError, match=r"densities\.x=2: sets an entry of a table, but densities is '2'"):
        load_recipe("deep-compression", ["densities=2", "densities.x=2"])
    with pytest.raises(ConfigError, match="seed: must be a whole number, not inf"):
        recipe("second-order", {"seed": float("inf")})
