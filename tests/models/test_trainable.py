"""The networks that can be trained by name have the sizes of their papers, and take any inputs that are large
enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dcgen.errors import ConfigError, ModelError, WeightsError
from dcgen.models.python_file import read_network
from dcgen.models.starting import started
from dcgen.models.trainable import TRAINABLE, Trainable, find_trainable

NAMES = [t.name for t in TRAINABLE]


def shapes(network: Trainable, channels: int, size: tuple[int, int], classes: int) -> tuple[int, tuple[int, ...]]:
    """Number of parameters, and shape of the scores of two inputs; nothing is computed."""
    with torch.device("meta"):
        module = network.build(network.settings, channels, size, classes).eval()
        scores = module(torch.zeros(2, channels, *size))
    return sum(p.numel() for p in module.parameters()), tuple(scores.shape)


@pytest.mark.parametrize(
    ("name", "channels", "classes", "parameters"),
    [
        ("lenet300", 1, 10, 266_610),
        ("lenet5", 1, 10, 431_080),
        ("alexnet", 3, 1000, 60_965_224),
        ("vgg16", 3, 1000, 138_357_544),
        ("resnet20", 3, 10, 269_722),
        ("mobilenet1-1", 3, 1000, 4_231_976),
        ("squeezenet1_0", 3, 1000, 1_248_424),
        ("squeezenet1_1", 3, 1000, 1_235_496),
    ],
)
def test_parameters_are_those_that_were_published(name: str, channels: int, classes: int, parameters: int) -> None:
    network = find_trainable(name, {})
    assert shapes(network, channels, network.size, classes) == (parameters, (2, classes))


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_channels_and_classes(name: str) -> None:
    network = find_trainable(name, {})
    assert shapes(network, 2, network.size, 5)[1] == (2, 5)


def test_settings_change_an_architecture() -> None:
    assert (
        find_trainable("mobilenet1-1", {"width": "0.25"}).settings
        == find_trainable("mobilenet1-0.25", {}).settings
    )
    spec = find_trainable("squeezenet", {"base_e": "64", "bypass": "simple", "pool_after": "1,3"}).settings
    assert (spec.base_e, spec.bypass, spec.pool_after) == (64, "simple", (1, 3))


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        (
            "resnet21",
            {},
            "resnet21: is not a network that can be trained by name, expected one of lenet300, .*dscnn",
        ),
        ("lenet5", {"width": "2"}, r"lenet5: has no settings \(leave out `settings`\)"),
        ("resnet20", {"depth": "2"}, "depth: is not a setting of resnet20; there are blocks, width, projection"),
        ("resnet20", {"blocks": "0"}, "blocks: must be a whole number from 1 to 100, not '0'"),
        ("squeezenet", {"size": "32"}, "size: follows from what is trained on"),
        ("squeezenet", {"pool_after": "1,x"}, "pool_after: must be a whole number, not 'x'"),
        ("squeezenet", {"squeeze_ratio": "2"}, "squeeze_ratio in"),
    ],
)
def test_wrong_names_and_settings(name: str, settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        find_trainable(name, settings)


@pytest.mark.parametrize(
    ("name", "size", "least"), [("lenet5", 12, 16), ("lenet5", 3, 16), ("alexnet", 60, 67), ("vgg16", 30, 32)]
)
def test_the_least_size_is_said(name: str, size: int, least: int) -> None:
    problem = f"{name}: inputs of {size}x{size} are too small for it, expected at least {least}x{least}"
    with pytest.raises(ConfigError, match=problem):
        started(find_trainable(name, {}), 3, (size, size), 10, None)


def test_a_network_that_is_never_compiled_is_not_trained() -> None:
    def build(*_: object) -> nn.Module:
        return nn.Linear(1 << 14, 1 << 13, device="meta")

    with pytest.raises(ConfigError, match=r"wide: has 134,225,920 parameters for .* at most 67,108,864"):
        started(Trainable("wide", "", build, (4, 4)), 1, (4, 4), 10, None)


def saved(folder: Path, classes: int, **changed: np.ndarray) -> Path:
    """The weights of a ResNet-8 with that many classes."""
    network = find_trainable("resnet8", {})
    state = network.build(network.settings, 3, (8, 8), classes).state_dict()
    np.savez(folder / "w.npz", **{**{k: v.numpy() for k, v in state.items()}, **changed})
    return folder / "w.npz"


@pytest.mark.parametrize("classes", [10, 4])
def test_weights_are_taken_over_but_for_the_classifier_of_other_classes(tmp_path: Path, classes: int) -> None:
    path = saved(tmp_path, 10)
    module = started(find_trainable("resnet8", {}), 3, (8, 8), classes, path)
    given = np.load(path)
    same = {
        k for k, v in module.state_dict().items() if v.shape == given[k].shape and (v.numpy() == given[k]).all()
    }
    assert set(given) - same == (set() if classes == 10 else {"linear.weight", "linear.bias"})


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    network = find_trainable("resnet8", {})
    for changed, problem in (
        (
            {"conv1.weight": np.zeros((4, 3, 3, 3))},
            r"array conv1.weight of resnet8 has shape \(16, 3, 3, 3\), found",
        ),
        ({"more": np.zeros(3)}, "array more is not a parameter of resnet8"),
        ({"bn1.bias": np.full(16, np.nan)}, "array bn1.bias holds nan at flat index 0, expected finite"),
    ):
        with pytest.raises(WeightsError, match=problem):
            started(network, 3, (8, 8), 10, saved(tmp_path, 10, **changed))
    np.savez(tmp_path / "few.npz", x=np.zeros(3))
    with pytest.raises(WeightsError, match=r"few.npz: resnet8 needs array conv1.weight .*, which is missing"):
        started(network, 3, (8, 8), 10, tmp_path / "few.npz")


def written(folder: Path, body: str) -> Path:
    path = folder / "own.py"
    path.write_text(f"from torch import nn\ndef network(channels, size, classes):\n    {body}\n")
    return path


def test_a_python_file_defines_a_network(tmp_path: Path) -> None:
    path = written(tmp_path, "return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))")
    network = read_network(path)
    assert (network.name, sum(p.numel() for p in started(network, 3, (4, 4), 5, None).parameters())) == (
        "own",
        245,
    )
    path = written(tmp_path, "return nn.Sequential(nn.Flatten(), nn.Linear(size[0] * size[1], classes))")
    assert started(read_network(path), 1, (4, 6), 5, None)[1].in_features == 24  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return 1", "own.py: network returns int, expected a torch.nn.Module"),
        ("return 1 / 0", r"own.py: network\(3, \(8, 8\), 5\) fails: ZeroDivisionError: division by zero"),
        ("return nn.Flatten()", r"own: gives scores of shape \[192\] for a sample, expected \[5\]"),
        ("return nn.Linear(3, 5)", "own: cannot take inputs of 3 x 8 x 8: "),
    ],
)
def test_a_file_with_a_faulty_network(tmp_path: Path, body: str, problem: str) -> None:
    with pytest.raises((ConfigError, ModelError), match=problem):
        started(read_network(written(tmp_path, body)), 3, (8, 8), 5, None)


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    with pytest.raises(ModelError, match=r"own.py: no such file"):
        read_network(path)
    for text, problem in (
        ("import nothing_of_the_sort", "cannot be run: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "cannot be run: SystemExit: 3"),
        ("def f(", "cannot be run: SyntaxError"),
        ("network = 3", r"defines no function network\(channels, size, classes\)"),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=problem):
            read_network(path)
