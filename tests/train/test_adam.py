"""The optimizer is PyTorch's Adam, with a state that can be saved."""

import numpy as np
import pytest

from dcgen.train.adam import DECAYS, TINY, Adam

torch = pytest.importorskip("torch")


def steps(adam, count, start=None, rate=0.01):
    """A tensor after some steps towards small values of a quartic."""
    x = (torch.linspace(-2, 3, 7) if start is None else start).clone().requires_grad_()
    for _ in range(count):
        (x**4).sum().backward()
        adam.step([("x", x, rate)])
    return x.detach()


def test_it_moves_as_the_one_of_pytorch():
    x = torch.linspace(-2, 3, 7).requires_grad_()
    theirs = torch.optim.Adam([x], 0.01, DECAYS, TINY)
    for _ in range(20):
        theirs.zero_grad()
        (x**4).sum().backward()
        theirs.step()
    np.testing.assert_allclose(steps(Adam("cpu"), 20).numpy(), x.detach().numpy(), rtol=1e-5)


def test_it_goes_on_from_its_state():
    whole, first, second = (Adam("cpu") for _ in range(3))
    x = steps(first, 5)
    second.restore(first.state())
    assert torch.equal(steps(second, 5, x), steps(whole, 10))
    assert not torch.equal(steps(Adam("cpu"), 5, x), steps(Adam("cpu"), 10))


def test_a_tensor_without_a_gradient_stays():
    x, adam = torch.ones(3, requires_grad=True), Adam("cpu")
    adam.step([("x", x, 1.0)])
    assert torch.equal(x, torch.ones(3)) and adam.state() == {"steps": 1}
