"""What reading a file may cost: the most bytes, nodes and seconds, so that no file can take the machine.

A file from a stranger may claim anything: a constant of a terabyte in twenty bytes, a function that calls itself
twice, thirty levels deep. Readers charge what they are about to make to a ``Budget`` before they make it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dcgen.errors import DcgenError


@dataclass(frozen=True)
class ReadLimits:
    """Limits of reading one file. None of them depends on the machine but ``seconds``."""

    file_bytes: int = 256 << 20
    """Bytes of a file, of what its archive unpacks to, and of a model's external data. AlexNet has 233 MiB as
    float32; what fits a microcontroller or a small FPGA has a hundredth."""
    text_bytes: int = 8 << 20
    """Bytes of a JSON or TOML file: it takes up to thirty times as much once it is parsed. A manifest that lists
    2,000 pictures has 0.3 MB."""
    labels_bytes: int = 64 << 20
    """Bytes of a text file of labels. ImageNet's 1.28 million training pictures take 40 MB."""
    rows: int = 1 << 21
    """Samples of an array: each has a name. ImageNet has 1.28 million."""
    directory_bytes: int = 4 << 20
    """Bytes of an archive's directory: Python takes ten times as much for it. It has 50 to 100 for each array."""
    fields: int = 250_000
    """Fields of an ONNX file, a weight's data counted as one: in memory an empty node of 2 bytes takes 100. Real
    networks have some 20 for each node."""
    nodes: int = 5_000
    """Nodes of an ONNX graph after its functions are inlined, and nodes in all its functions. SqueezeNet has 66,
    quantized MobileNets about 1,000; 5,000 take three seconds."""
    function_depth: int = 64
    """Functions of an ONNX file that call each other: the package onnx inlines them recursively."""
    node_bytes: int = 16 << 20
    """Bytes of all nodes without the attributes of those that are in no function: names, above all, which the
    package onnx copies often."""
    parameters: int = 1 << 26
    """Weights and biases of all layers of a network, as often as they are read. AlexNet has 61 million."""
    made_bytes: int = 128 << 20
    """Bytes of arrays that an import makes, whatever the file's size: constants that are computed, sparse ones,
    parameters that are converted. ONNX's test models have the size of ResNet-50 (102 MB) in a file of 80 KB."""
    made_share: int = 8
    """Bytes that an import may make in addition for each byte of the file: each weight may be transposed once, be
    stored in 4 or 8 bits and be needed as float32."""
    tensor_elements: int = 1 << 26
    """Elements of a tensor that a network computes, its padding included. Four times what SqueezeNet's largest has
    for a picture of 1024x1024, and more bytes than any target's memory."""
    name_characters: int = 200
    """Characters of a node's name that are kept: it is repeated in every table, error and file."""
    seconds: float = 60.0
    """Seconds that importing the nodes may take, in case the other limits miss something."""


LIMITS = ReadLimits()


class Budget:
    """What the import of one file has made so far.

    thing : the file, by which errors begin
    file_bytes : the file's size, external data included: larger files may make more
    error : what is raised
    """

    def __init__(
        self, thing: object, file_bytes: int, error: Callable[..., DcgenError], limits: ReadLimits = LIMITS
    ) -> None:
        self.thing, self.error, self.limits = thing, error, limits
        self.left = limits.made_bytes + limits.made_share * file_bytes
        self._most = self.left
        self._parameters = 0
        self._until = time.monotonic() + limits.seconds

    def charge(self, size: int, what: str, parameters: int = 0) -> None:
        """Raise an error if ``size`` bytes for ``what``, or ``parameters`` more are too many; or time is up."""
        self._parameters += parameters
        if self._parameters > self.limits.parameters:
            raise self.error(
                self.thing, f"{what} is one too many, expected at most {self.limits.parameters:,} parameters"
            )
        self.left -= size
        if self.left < 0:
            problem = f"{what} would take {size:,} bytes more, expected at most {self._most:,} in all"
            raise self.error(self.thing, problem, "the limit follows from the file's size")
        if time.monotonic() > self._until:
            raise self.error(self.thing, f"{what} is not read after {self.limits.seconds:g} seconds")
