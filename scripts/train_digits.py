"""Trains ``digits``, the network that ships with dcgen, and writes its checkpoint: train_digits.py [OUT.npz]

It takes about a minute on two cores. All random draws are seeded: the same machine and release of PyTorch give the
same checkpoint again. The settings are not the result of a search, the last epoch is kept, and the test digits are
evaluated once, at the end.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from digits_data import Digits, split
from torch import Tensor
from torch.nn import functional as F

from dcgen.models.catalogue import DIGITS, find
from dcgen.models.torch_squeezenet import SqueezeNet
from dcgen.pictures import preset

EPOCHS = 120
BATCH = 64
PEAK_RATE = 4e-3
WEIGHT_DECAY = 1e-2
DROPOUT = 0.2
SHIFT = 2  # most pixels that a training picture is moved in each direction: one pixel of the 8x8 original


def tensors(digits: Digits) -> tuple[Tensor, Tensor]:
    """Inputs float32 [N, 1, 16, 16], preprocessed as ``dcgen compile`` does it, and labels int64 [N]."""
    pictures = preset("digits").normalise(digits.pictures[..., None])
    return torch.from_numpy(pictures), torch.from_numpy(digits.labels)


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture of the batch [N, 1, H, W], moved at random by up to SHIFT pixels; its new border is black."""
    n, _, height, width = x.shape
    padded = F.pad(x, (SHIFT, SHIFT, SHIFT, SHIFT))
    top, left = torch.randint(0, 2 * SHIFT + 1, (2, n, 1), generator=generator)
    rows = (top + torch.arange(height))[:, :, None]
    columns = (left + torch.arange(width))[:, None, :]
    return padded[torch.arange(n)[:, None, None], 0, rows, columns][:, None]


def train(digits: Digits) -> SqueezeNet:
    """The network trained on the digits, in evaluation mode."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(2)
    x, y = tensors(digits)
    net = SqueezeNet(DIGITS, dropout=DROPOUT)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=WEIGHT_DECAY)
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, epochs=EPOCHS, steps_per_epoch=steps)
    net.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(x), generator=generator).split(BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(shifted(x[batch], generator)), y[batch], label_smoothing=0.05)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        if (epoch + 1) % 20 == 0:
            print(f"epoch {epoch + 1:3d}: mean loss {total / len(x):.4f}", flush=True)
    return net.eval()


@torch.no_grad()
def accuracy(net: SqueezeNet, digits: Digits) -> float:
    """Share of the digits whose highest score is at their label."""
    x, y = tensors(digits)
    return (net(x).argmax(1) == y).float().mean().item()


def main() -> None:
    checkpoint = find("digits").checkpoint_path
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else checkpoint
    assert out is not None
    started = time.perf_counter()
    net = train(split("train"))
    halved = {name: array.astype(np.float16) for name, array in net.params().items()}
    net.load_params({name: array.astype(np.float32) for name, array in halved.items()})
    np.savez_compressed(out, **halved)
    print(f"trained in {time.perf_counter() - started:.0f} s, {out}: {out.stat().st_size} bytes")
    for name in ("train", "calibration", "test"):
        digits = split(name)
        print(f"top-1 on {len(digits.labels)} {name} digits: {accuracy(net, digits):.2%}")


if __name__ == "__main__":
    main()
