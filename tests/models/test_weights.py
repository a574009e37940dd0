"""Parameter files of every format give the same arrays, and a faulty one is refused by name."""

import pickle
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dcgen.errors import WeightsError
from dcgen.ir.graph import F32
from dcgen.limits import LIMITS
from dcgen.models.catalogue import DIGITS, V1_0, V1_1
from dcgen.models.weights import load_params


@pytest.fixture
def params() -> dict[str, F32]:
    rng = np.random.default_rng(5)
    return {k: rng.normal(size=s).astype(np.float32) for k, s in DIGITS.parameters().items()}


def assert_same(found: dict[str, F32], params: dict[str, F32]) -> None:
    assert list(found) == list(DIGITS.parameters())
    for name, array in found.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, params[name]), name


def test_npz(tmp_path: Path, params: dict[str, F32]) -> None:
    np.savez_compressed(tmp_path / "w.npz", **params)
    assert_same(load_params(tmp_path / "w.npz", DIGITS), params)


def test_float16_is_widened(tmp_path: Path, params: dict[str, F32]) -> None:
    half = {k: v.astype(np.float16) for k, v in params.items()}
    np.savez(tmp_path / "w.npz", **half)
    assert_same(load_params(tmp_path / "w.npz", DIGITS), {k: v.astype(np.float32) for k, v in half.items()})


def test_safetensors(tmp_path: Path, params: dict[str, F32]) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(params, tmp_path / "w.safetensors", metadata={"format": "pt"})
    assert_same(load_params(tmp_path / "w.safetensors", DIGITS), params)


def test_bfloat16_safetensors(tmp_path: Path, params: dict[str, F32]) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    half = {k: torch.from_numpy(v).to(torch.bfloat16) for k, v in params.items()}
    safetensors.save_file(half, tmp_path / "w.safetensors")
    assert_same(load_params(tmp_path / "w.safetensors", DIGITS), {k: v.float().numpy() for k, v in half.items()})


@pytest.mark.parametrize("wrapped", [False, True])
def test_pytorch_state_dicts(tmp_path: Path, params: dict[str, F32], wrapped: bool) -> None:
    torch = pytest.importorskip("torch")
    state = {("module." if wrapped else "") + k: torch.from_numpy(v) for k, v in params.items()}
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "w.pth")
    assert_same(load_params(tmp_path / "w.pth", DIGITS), params)


def refused(path: Path, params: dict[str, np.ndarray]) -> str:
    np.savez(path, **params)
    with pytest.raises(WeightsError) as error:
        load_params(path, DIGITS)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_first_faulty_array_is_named(tmp_path: Path, params: dict[str, F32]) -> None:
    path = tmp_path / "w.npz"
    missing = {k: v for k, v in params.items() if k != "features.3.squeeze.bias"}
    assert "digits needs array features.3.squeeze.bias (8,), which is missing" in refused(path, missing)
    shape = params | {"classifier.1.weight": np.zeros((9, 64, 1, 1), np.float32)}
    assert "classifier.1.weight of digits has shape (10, 64, 1, 1), found (9, 64, 1, 1)" in refused(path, shape)
    assert "array extra is not a parameter of digits" in refused(path, params | {"extra": np.zeros(1)})
    nan = params["features.0.bias"].copy()
    nan[3] = np.nan
    assert "features.0.bias holds nan at flat index 3" in refused(path, params | {"features.0.bias": nan})
    huge = params["features.0.bias"].astype(np.float64) * 1e60
    assert "features.0.bias holds" in refused(path, params | {"features.0.bias": huge})
    text = np.full(16, "a")
    assert "features.0.bias holds <U1, expected real" in refused(path, params | {"features.0.bias": text})


def test_weights_of_another_model_are_recognised(tmp_path: Path) -> None:
    zeros = {k: np.zeros(s, np.float16) for k, s in V1_0.parameters().items()}
    np.savez(tmp_path / "w.npz", **zeros)
    with pytest.raises(
        WeightsError, match=r"features.0.weight of squeezenet1_1 .*\(these are the parameters of squeezenet1_0\)"
    ):
        load_params(tmp_path / "w.npz", V1_1)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
@pytest.mark.parametrize("keep", [0, 1, 7, 100, 5000, 60_000])
def test_truncated_files_are_refused(tmp_path: Path, params: dict[str, F32], suffix: str, keep: int) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".npz":
        np.savez(whole, **params)
    elif suffix == ".pth":
        torch = pytest.importorskip("torch")
        torch.save({k: torch.from_numpy(v) for k, v in params.items()}, whole)
    else:
        pytest.importorskip("safetensors.numpy").save_file(params, whole)
    data = whole.read_bytes()
    assert len(data) > keep
    cut.write_bytes(data[:keep])
    with pytest.raises(WeightsError, match=str(cut)):
        load_params(cut, DIGITS)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
def test_text_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_text("not weights\n" * 20)
    with pytest.raises(WeightsError, match=f"{path}: .*not"):
        load_params(path, DIGITS)


def test_a_forged_safetensors_length_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(WeightsError, match="cannot hold its header"):
        load_params(path, DIGITS)
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(WeightsError, match=r"array a of shape .* does not fit bytes 0 to 4"):
        load_params(path, DIGITS)


def test_pickles_are_not_executed(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"features.0.weight": np.array([print], dtype=object)})
    with pytest.raises(WeightsError, match=r"not a readable \.npz"):
        load_params(tmp_path / "w.npz", DIGITS)


def test_an_unnamed_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(WeightsError, match=r"holds one unnamed array, expected an \.npz archive"):
        load_params(tmp_path / "w.npz", DIGITS)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load_params(tmp_path / "none.npz", DIGITS)
    with pytest.raises(WeightsError, match=r"has suffix '.bin', expected one of .npz, .safetensors, .pth, .pt"):
        load_params(tmp_path / "w.bin", DIGITS)


@pytest.mark.parametrize(
    ("file", "spec"),
    [
        ("squeezenet1_1_caffe_f16.npz", V1_1),
        ("squeezenet1_1_torchvision_f16.npz", V1_1),
        ("squeezenet1_0_caffe_f32.npz", V1_0),
    ],
)
def test_the_published_weights_load(shared: Path, file: str, spec: object) -> None:
    assert len(load_params(shared / "data" / file, spec)) == 52


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, params: dict[str, F32], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **params, more=np.zeros(1 << 20, np.float32))
    monkeypatch.setattr("dcgen.reading.LIMITS", replace(LIMITS, file_bytes=1 << 20))
    with pytest.raises(WeightsError, match=r"unpacks to [\d,]+ bytes, expected at most 1,048,576"):
        load_params(path, DIGITS)


def test_only_dense_real_tensors_are_read(tmp_path: Path, params: dict[str, F32]) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    name = next(iter(params))
    for change, found in (
        (lambda t: t.to(torch.complex64), "its pickle names torch ComplexFloatStorage"),
        (lambda t: t.to_sparse(), "its pickle names torch._utils _rebuild_sparse_tensor"),
    ):
        state = {n: torch.tensor(a) for n, a in params.items()}
        torch.save({**state, name: change(state[name])}, path)
        with pytest.raises(WeightsError, match=rf"{found} \(a state dict of plain tensors"):
            load_params(path, DIGITS)


@pytest.mark.parametrize("between", [b"", b"\x80\x02", b"r\x00\x01\x00\x00"])
def test_a_tuple_that_is_used_twice_is_refused(tmp_path: Path, between: bytes) -> None:
    """Each tuple holds the one before twice: as a key of a dictionary the last one takes 2**40 steps."""
    tuples = (b"h%ch%c\x86%sq%c" % (i, i, between, i + 1) for i in range(40))
    text = b"\x80\x02)q\x00" + b"".join(tuples) + b"}h\x28K\x01s."
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("archive/data.pkl", text)
    with pytest.raises(WeightsError, match=r"w.pth: .* its pickle uses a tuple twice"):
        load_params(tmp_path / "w.pth", DIGITS)


@pytest.mark.parametrize("level", [b"\x85", b"N\x86"])
def test_tuples_of_many_levels_are_refused(tmp_path: Path, level: bytes) -> None:
    """Python's hash of 200,000 levels would end the process by a signal."""
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02})" + level * 200_000 + b"K\x01s.")
    with pytest.raises(WeightsError, match=r"w.pth: .* its pickle makes more than 5,000 tuples"):
        load_params(tmp_path / "w.pth", DIGITS)


def test_keys_that_are_no_names_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({(1, 2): torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w.pth: has a tuple for a name"):
        load_params(tmp_path / "w.pth", DIGITS)


def test_other_pickles_are_refused_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    pytest.importorskip("torch")
    for data in (b"hello", pickle.dumps({"a": Path("/")})):
        (tmp_path / "w.pth").write_bytes(data)
        with pytest.raises(WeightsError, match="is not a readable PyTorch file"):
            load_params(tmp_path / "w.pth", DIGITS)
    assert not recwarn.list
