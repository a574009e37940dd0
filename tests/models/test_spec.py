"""The metaparameters give the layers that the paper lists."""

from dataclasses import replace

import pytest

from dcgen.errors import ConfigError
from dcgen.models.catalogue import MODELS, V1_0, V1_1, find
from dcgen.models.spec import FireLayer, PoolLayer, SqueezeNetSpec


def test_v1_0_is_table_1_of_the_paper() -> None:
    fires = [f for f in V1_0.layers() if isinstance(f, FireLayer)]
    assert [f.squeeze.outputs for f in fires] == [16, 16, 32, 32, 48, 48, 64, 64]
    assert [f.expand1x1.outputs for f in fires] == [64, 64, 128, 128, 192, 192, 256, 256]
    assert [f.expand3x3.outputs for f in fires] == [64, 64, 128, 128, 192, 192, 256, 256]
    assert [p.name for p in V1_0.layers() if isinstance(p, PoolLayer)] == ["pool1", "pool4", "pool8"]
    assert V1_0.convs()[0].weight_shape == (96, 3, 7, 7)
    assert V1_0.convs()[-1].name == "conv10"


@pytest.mark.parametrize(("spec", "parameters"), [(V1_0, 1_248_424), (V1_1, 1_235_496)])
def test_the_published_number_of_parameters(spec: SqueezeNetSpec, parameters: int) -> None:
    assert sum(c.outputs * (1 + c.inputs * c.kernel**2) for c in spec.convs()) == parameters


def test_parameter_names_are_those_of_torchvision() -> None:
    assert {f"features.{i}.squeeze.weight" for i in (3, 4, 6, 7, 9, 10, 11, 12)} <= set(V1_1.parameters())
    assert {f"features.{i}.expand3x3.bias" for i in (3, 4, 5, 7, 8, 9, 10, 12)} <= set(V1_0.parameters())
    assert list(V1_1.parameters())[:2] == ["features.0.weight", "features.0.bias"]
    assert V1_0.parameters()["classifier.1.weight"] == (1000, 512, 1, 1)
    assert len(V1_0.parameters()) == len(V1_1.parameters()) == 52


def test_bypass_goes_around_the_modules_of_the_paper() -> None:
    def around(bypass: str) -> dict[str, str]:
        fires = [f for f in replace(V1_0, bypass=bypass).layers() if isinstance(f, FireLayer)]
        return {f.name: f.bypass if isinstance(f.bypass, str) else "conv" for f in fires}

    odd = {f"fire{i}": "identity" for i in (3, 5, 7, 9)}
    even = [f"fire{i}" for i in (2, 4, 6, 8)]
    assert around("none") == dict.fromkeys([*odd, *even], "none")
    assert around("simple") == odd | dict.fromkeys(even, "none")
    assert around("complex") == odd | dict.fromkeys(even, "conv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 0}, "classes is at least 1, found 0"),
        ({"pct3x3": 1.0}, "pct3x3 lies between 0 and 1"),
        ({"bypass": "some"}, "none, simple or complex, found 'some'"),
        ({"pool_after": (1, 10)}, "pools follow layers 1 to 9, found 10"),
        ({"conv10_pad": -1}, "conv10_pad is at least 0"),
    ],
)
def test_impossible_metaparameters_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(V1_0, **change)


def test_one_sided_modules_are_refused() -> None:
    with pytest.raises(ConfigError, match="fire2 a side without filters"):
        replace(V1_0, base_e=2, pct3x3=0.1).layers()


def test_the_catalogue_names_its_models() -> None:
    assert len({m.name for m in MODELS}) == len(MODELS)
    assert find("squeezenet1_0_caffe").spec.conv10_pad == 1
    assert find("squeezenet1_0").spec.conv10_pad == find("squeezenet1_1").spec.conv10_pad == 0
    with pytest.raises(ConfigError, match=r"squeezenet: is not a known model, expected one of .*squeezenet1_1"):
        find("squeezenet")


def test_the_digits_model_is_small() -> None:
    digits = find("digits")
    convs = digits.spec.convs()
    assert sum(c.outputs * (1 + c.inputs * c.kernel**2) for c in convs) < 30_000
    assert digits.checkpoint_path is not None
