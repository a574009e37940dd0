"""Options that several commands take, each declared once: its type, its name and its help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Outputs = Annotated[
    str | None,
    Option(
        help="What the outputs are: classes, scores of which the highest counts, or values that count each for "
        "itself; for several outputs once, or one for each, e.g. classes,values. Default: values where an output "
        "is one number or planes of pixels, else classes."
    ),
]
Json = Annotated[bool, Option("--json", help="Print one JSON object on stdout.")]
OutFolder = Annotated[Path, Argument(help="Output folder of 'compile'.", metavar="OUT")]

ModelName = Annotated[
    str,
    Argument(help="An .onnx, .tflite, .pt2 or .net file, or a name that 'dcgen model' lists.", metavar="MODEL"),
]
ModelOrRun = Annotated[
    str,
    Argument(
        help="An .onnx, .tflite, .pt2 or .net file, a name that 'dcgen model' lists, or a folder of 'train'.",
        metavar="MODEL",
    ),
]
Weights = Annotated[Path | None, Option(help="State dict for a named model: .npz, .safetensors or .pth.")]
Trust = Annotated[
    bool,
    Option(
        "--trust",
        help="Trust MODEL: loading a .pt2 file runs whatever code it holds, so that one is refused without this.",
    ),
]
InputSize = Annotated[
    int | None, Option(help="Input height and width in pixels; default: the preset's, or the model's own.")
]
NewFolder = Annotated[Path, Option("--out", "-o", help="Folder to write.")]
_SAMPLES = (
    "Folder of pictures, folder with a folder for each class, .zip of either, IDX file of pictures, or .npy or "
    ".npz file. In it x is uint8 [N, H, W(, C)] for pictures, float32 [N, ...] for the network's own values; "
    "y [N] are classes."
)
Calibration = Annotated[Path, Option(help=_SAMPLES)]
OwnCalibration = Annotated[
    Path | None, Option("--calibration", help=f"{_SAMPLES} A folder of 'dcgen train' brings its own.")
]
Images = Annotated[Path, Option(help="Pictures or values, as for --calibration of 'compile'.")]
PreprocessName = Annotated[
    str | None, Option(help="caffe, torchvision or digits; default: what a named model was trained with.")
]
Mean = Annotated[
    str | None, Option(help="Explicit preprocessing: mean of each channel in bytes, e.g. 104,117,123.")
]
Std = Annotated[str | None, Option(help="Explicit preprocessing: standard deviation of each channel in bytes.")]
Order = Annotated[
    str | None, Option(help="Explicit preprocessing: rgb, bgr, grey, or as-is, which has up to four channels.")
]
Fit = Annotated[str | None, Option(help="Explicit preprocessing: squash (default) or short-side.")]
Labels = Annotated[
    Path | None,
    Option(help="Lines of 'file index', .csv of 'file,label', or .npy; default: class folders, or y of an .npz."),
]
Settings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the recipe, which is second-order if no other is named; repeats. A wrong name lists "
        "all settings.",
    ),
]
TargetName = Annotated[
    str | None,
    Option(
        "--target",
        help="The machine to compile for, as 'dcgen targets' lists it. If one is named that is not the "
        "host, the work of a picture on it counts beside the bytes of the file.",
    ),
]
