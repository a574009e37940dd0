"""PyTorch modules and exported programs are imported as what they compute."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from dcgen.compress.functions import merge_functions
from dcgen.errors import ConfigError, ModelError, UnsupportedError
from dcgen.importers import load
from dcgen.importers.torch_import import import_module, import_program
from dcgen.ir.evaluate import evaluate
from dcgen.models.catalogue import DIGITS

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore")


class Residual(nn.Module):
    """Batch normalisation, depthwise, ReLU6, a sum, a concatenation, average pooling in ceil mode, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pool = nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)
        self.dropout = nn.Dropout()
        self.linear = nn.Linear(16, 5)

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        x = nn.functional.relu6(self.norm(self.conv(x)))
        x = self.pool(torch.cat([x + self.depthwise(x), x], 1))
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return torch.softmax(self.linear(self.dropout(x)), 1)


@pytest.fixture
def residual() -> "nn.Module":
    torch.manual_seed(0)
    module = Residual()
    module.train()
    module(torch.randn(8, 3, 21, 21))  # statistics that are not the initial ones
    return module


def test_a_module(residual: "nn.Module") -> None:
    imported = import_module(residual, (3, 21, 21), "residual")
    assert residual.training
    assert imported.head == "softmax"
    x = torch.randn(2, 3, 21, 21)
    with torch.no_grad():
        theirs = residual.eval()(x).numpy()
    (picture,) = imported.graph.inputs
    scores = evaluate(imported.graph, {picture.name: x.numpy()})[imported.graph.outputs[0]].reshape(2, -1)
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(1, keepdims=True), theirs, atol=1e-5)


ACTIVATIONS = (
    *(nn.CELU(0.7), nn.ELU(), nn.GELU(), nn.GELU("tanh"), nn.Hardshrink(), nn.Hardsigmoid(), nn.Hardswish()),
    *(nn.LeakyReLU(0.2), nn.LogSigmoid(), nn.Mish(), nn.PReLU(), nn.SELU(), nn.SiLU(), nn.Softplus(2.0)),
    *(nn.Softshrink(), nn.Softsign(), nn.Tanh(), nn.Tanhshrink(), nn.Threshold(0.1, -0.2)),
)


@pytest.mark.parametrize("module", ACTIVATIONS, ids=lambda m: type(m).__name__)
def test_an_activation_becomes_one_function(module: "nn.Module") -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), module)
    graph = merge_functions(import_module(network, (3, 8, 8)).graph)
    assert [type(n.op).__name__ for n in graph.nodes] == ["Conv", "Function"]
    x = 3 * torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        theirs = network(x).numpy()
    np.testing.assert_allclose(
        evaluate(graph, {graph.inputs[0].name: x.numpy()})[graph.outputs[0]], theirs, rtol=1e-4, atol=1e-5
    )


class Excited(nn.Module):
    """A gate for each channel, of averages and of maxima."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.slopes = nn.Conv2d(3, 6, 3, padding=2, dilation=2), nn.PReLU(6)
        self.narrow, self.wide = nn.Linear(6, 2), nn.Linear(2, 6)

    def forward(self, x: "torch.Tensor") -> "torch.Tensor":
        x = self.slopes(self.conv(x))
        averages, maxima = x.mean((2, 3)), nn.functional.adaptive_max_pool2d(x, 1).flatten(1)
        gate = torch.sigmoid(
            self.wide(torch.relu(self.narrow(averages))) + self.wide(torch.relu(self.narrow(maxima)))
        )
        return x * gate[:, :, None, None]


def test_a_gate_of_averages_and_maxima() -> None:
    torch.manual_seed(0)
    network = Excited()
    graph = import_module(network, (3, 8, 8)).graph
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        theirs = network(x).numpy()
    np.testing.assert_allclose(
        evaluate(graph, {graph.inputs[0].name: x.numpy()})[graph.outputs[0]], theirs, rtol=1e-4, atol=1e-5
    )


def test_a_squeezenet_from_a_pt2_file(tmp_path: Path) -> None:
    from dcgen.models.torch_squeezenet import SqueezeNet

    torch.manual_seed(1)
    net = SqueezeNet(DIGITS).eval()
    path = tmp_path / "digits.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (torch.zeros(1, 1, 16, 16),)), path)
    with pytest.raises(
        ModelError, match=r"digits.pt2: holds pickles \(.*model.pt\): loading it can run any code"
    ) as e:
        load(path)
    assert "give `trust` if you trust whoever made it" in str(e.value)
    graph = load(path, trust=True).graph
    assert graph.name == "digits"
    x = torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        theirs = net(x).numpy()
    ours = evaluate(graph, {graph.inputs[0].name: x.numpy()})[graph.outputs[0]].reshape(3, -1)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    with pytest.raises(ConfigError, match=r"digits.pt2: input x: is fixed to size 16, found input size 20"):
        load(path, input_size=20, trust=True)


def test_modules_beyond_our_operators_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"normed: node .* \(LayerNormalization\): the operator is not supported"
    ):
        import_module(nn.Sequential(nn.Conv2d(1, 4, 3), nn.LayerNorm(6)), (1, 8, 8), "normed")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_text("not an archive")
    for trust in (False, True):
        with pytest.raises(ModelError, match=f"{path}: is not a torch.export archive"):
            load(path, trust=trust)
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=f"{path}: is not a readable torch.export archive"):
        load(path, trust=True)
    with pytest.raises(ModelError, match=f"{path}: holds pickles"):
        load(path)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_signal_is_planes_of_one_row(channels_last: bool) -> None:
    """Rows [C, L], or [L, C] that the module transposes itself."""

    class Signals(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv1d(3, 8, 5, 2, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
                nn.Conv1d(8, 8, 3, padding=2, dilation=2, groups=8), nn.AvgPool1d(3, 2, 1),
            )  # fmt: skip
            self.linear = nn.Linear(8, 5)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            x = self.body(x.transpose(1, 2) if channels_last else x)
            return self.linear(x.mean(-1))

    module = Signals().eval()
    x = torch.randn(2, 3, 40)
    row = x.transpose(1, 2) if channels_last else x
    program = torch.export.export(module, (row[:1].contiguous(),))
    graph = import_program(program, "signals").graph
    assert graph.inputs[0].shape == (3, 1, 40)
    found = evaluate(graph, {graph.inputs[0].name: x.numpy().reshape(2, 3, 1, 40)})[graph.outputs[0]]
    np.testing.assert_allclose(found.reshape(2, -1), module(row).detach().numpy(), rtol=1e-4, atol=1e-5)
