"""The folder that a training leaves: its files, and what ``dcgen compile`` takes from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgen.errors import ConfigError, ModelError
from dcgen.inputs.samples import InputForm
from dcgen.inputs.tensor import TensorInput
from dcgen.pictures import Preprocess
from dcgen.reading import damage, read_json
from dcgen.result import Source

RUN, FLOAT, TRAINED = "run.json", "float.onnx", "trained.npz"
CALIBRATION, CHECKPOINT = "calibration.npz", "checkpoint.pt"
CURVES, DRAWING = "curves.csv", "curves.png"


@dataclass(frozen=True)
class Run:
    """A training that has ended.

    data : what ``run.json`` says
    """

    path: Path
    data: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Run:
        """Raises ModelError where the folder holds no training that has ended."""
        if not (path / RUN).is_file():
            begun = (path / CHECKPOINT).is_file()
            hint = (
                "run the same dcgen train again, which goes on with it"
                if begun
                else "name a folder of dcgen train"
            )
            raise ModelError(
                path, f"holds no {RUN}: " + ("its training has not ended" if begun else "no training"), hint
            )
        data = read_json(path / RUN, ModelError)
        with damage(path / RUN, ModelError, "is damaged", "train it again"):
            run = cls(path, {**data})
            _ = run.name, run.shared, run.preprocess
        return run

    @property
    def name(self) -> str:
        """The network's name."""
        return str(self.data["name"])

    @property
    def shared(self) -> bool:
        """Whether every weight has levels, so that the file is made of them as they are."""
        return bool(self.data["shared"])

    def source(self, asked: Source) -> Source:
        """What is compiled: the float network, and the weights that were trained. Of ``asked`` the name is taken.

        Raises ConfigError where ``asked`` says what a run says itself.
        """
        for name in ("weights", "preprocess", "size"):
            if getattr(asked, name) is not None:
                raise ConfigError(self.path, f"is a training, which has its own {name}", "leave it out")
        name = asked.name or self.name
        model, trained = str(self.path / FLOAT), self.path / TRAINED
        return Source(model=model, preprocess=self.preprocess, name=name, trained=trained)

    @property
    def preprocess(self) -> InputForm:
        """How samples become the network's input."""
        data = self.data["preprocess"]
        if "shape" not in data:
            return Preprocess.from_json(data)
        channels, high, wide = data["shape"]
        return TensorInput.from_json(data, (channels, high, wide))
