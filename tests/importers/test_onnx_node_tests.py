"""The ONNX project's own node tests, for every operator that dcgen claims.

Each test of one claimed operator is imported and either gives the expected numbers, by
``evaluate`` and by onnxruntime on the exported graph, or ends in an UnsupportedError listed in
``REFUSED``.

Inputs after the data inputs become initialisers. Shape and Cast are left out: they are read only
on the way to constants, and tested in test_onnx_import. So are the operators on integers, whose
tests expect these where dcgen has real values: see test_onnx_quantized.
"""

import pickle
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from dcgen.errors import UnsupportedError
from dcgen.importers import onnx_quantized
from dcgen.importers.model import ImportedModel
from dcgen.importers.onnx_import import import_onnx
from dcgen.importers.onnx_operators import OPERATORS
from dcgen.ir.evaluate import evaluate
from dcgen.ir.to_onnx import to_onnx
from tests.kept import kept

CLAIMED = {*OPERATORS, "Constant", "ConstantOfShape"} - {"Shape", "Cast", *onnx_quantized.OPERATORS}
MATCHED, REFUSALS = 281, 270
COUNTED_WITH = "1.23"  # releases of onnx add node tests

DATA_INPUTS = {"Add": 2, "Max": 3, "Min": 3, "Sum": 3, "Concat": 2, "Constant": 0, "ConstantOfShape": 0}
"""How many inputs of an operator are data, where that is not one."""

REFUSED = {
    "supported before one DequantizeLinear or Cast": """
        clip_default_int8_max_expanded clip_default_int8_min_expanded greater_equal_int8
        greater_equal_uint8 greater_int8 greater_uint8 less_equal_int8 less_equal_uint8 less_int8
        less_uint8
        clip_default_int8_inbounds clip_default_int8_inbounds_expanded clip_default_int8_max
        clip_default_int8_min div_int8 div_uint8 maxpool_2d_uint8 mul_int8 mul_uint8 sub_int8 sub_uint8""",
    "one input is supported": "add_int8 add_uint8 max_int8 max_uint8 min_int8 min_uint8",
    "float tensors are supported, found (U?INT|BFLOAT|BOOL|no tensor)": """
        greater_equal_int16 greater_equal_uint16 greater_equal_uint32 greater_equal_uint64 greater_int16
        greater_uint16 greater_uint32 greater_uint64 less_equal_int16 less_equal_uint16 less_equal_uint32
        less_equal_uint64 less_int16 less_uint16 less_uint32 less_uint64 reduce_max_bool_inputs
        reduce_max_empty_set_bool where_example where_long_example
        gathernd_example_int32 gathernd_example_int32_batch_dim1
        celu_bfloat16 max_int16 max_int32 max_int64 max_uint16 max_uint32 max_uint64
        min_int16 min_int32 min_int64 min_uint16 min_uint32 min_uint64
        pow_types_int32_float32 pow_types_int32_int32 pow_types_int64_float32 pow_types_int64_int64
        add_int16 add_uint16 add_uint32 add_uint64 div_int16 div_int32_trunc div_uint16 div_uint32
        div_uint64 edge_pad identity_opt identity_sequence mul_int16 mul_uint16 mul_uint32 mul_uint64
        reflect_pad sub_int16 sub_uint16 sub_uint32 sub_uint64 top_k_same_values top_k_same_values_2d
        top_k_same_values_largest top_k_uint64 wrap_pad""",
    "rank 1 to 4 is supported, found 5": """
        convtranspose_3d averagepool_3d_default
        averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False
        averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True
        averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False
        averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True
        averagepool_3d_dilations_small maxpool_3d_default maxpool_3d_dilations
        maxpool_3d_dilations_use_ref_impl maxpool_3d_dilations_use_ref_impl_large""",
    "inference .* is supported, found training": """
        batchnorm_epsilon_training_mode batchnorm_example_training_mode training_dropout
        training_dropout_default training_dropout_default_mask training_dropout_mask""",
    "its output 1 .* is not supported": """
        dropout_default_mask dropout_default_mask_ratio training_dropout_zero_ratio_mask
        maxpool_with_argmax_2d_precomputed_pads maxpool_with_argmax_2d_precomputed_strides""",
    "the mean over all of channels, height or width is supported": """
        reduce_mean_default_axes_keepdims_example reduce_mean_default_axes_keepdims_random""",
    "concatenation of channels, rows or columns": """
        concat_1d_axis_0 concat_1d_axis_negative_1 concat_2d_axis_0 concat_2d_axis_negative_2
        concat_3d_axis_0 concat_3d_axis_negative_3""",
    "an axis of all scores of a picture": """
        argmax_default_axis_example argmax_default_axis_random argmax_negative_axis_keepdims_random
        logsoftmax_axis_0
        logsoftmax_axis_2 logsoftmax_default_axis logsoftmax_negative_axis
        softmax_axis_0 softmax_axis_2 softmax_default_axis softmax_negative_axis""",
    "the lowest index wins a tie": """
        argmax_default_axis_example_select_last_index argmax_default_axis_random_select_last_index
        argmax_keepdims_example_select_last_index argmax_keepdims_random_select_last_index
        argmax_negative_axis_keepdims_example_select_last_index
        argmax_negative_axis_keepdims_random_select_last_index
        argmax_no_keepdims_example_select_last_index argmax_no_keepdims_random_select_last_index""",
    "the largest scores are supported": "top_k_smallest",
    "a constant per channel .* or a scalar": """
        div div_bcast mul mul_bcast prelu_broadcast prelu_example sub sub_bcast swiglu_alpha_expanded
        swiglu_expanded swiglu_float16_expanded""",
    "exponent .* is one number": """
        pow pow_bcast_array pow_example pow_types_float32_int32 pow_types_float32_int64
        pow_types_float32_uint32 pow_types_float32_uint64""",
    "its bound .* is one number": """
        greater greater_bcast greater_equal greater_equal_bcast less less_bcast less_equal
        less_equal_bcast""",
    "the maximum over all of channels, height or width is supported": """
        reduce_max_default_axes_keepdim_example reduce_max_default_axes_keepdims_random""",
    "the sum over all of channels, height or width is supported": """
        reduce_l1_default_axes_keepdims_example_expanded reduce_l1_default_axes_keepdims_random_expanded
        reduce_log_sum_asc_axes_expanded reduce_log_sum_default_expanded
        reduce_sum_default_axes_keepdims_example reduce_sum_default_axes_keepdims_random
        reduce_sum_square_default_axes_keepdims_example_expanded
        reduce_sum_square_default_axes_keepdims_random_expanded""",
    "axis 1 has size 0": """
        reduce_max_empty_set reduce_l1_empty_set_expanded reduce_log_sum_empty_set_expanded
        reduce_sum_empty_set reduce_sum_empty_set_non_reduced_axis_zero
        reduce_sum_square_empty_set_expanded""",
    "all its inputs are constant": """
        mvn_expanded mvn_expanded_ver18 logsoftmax_axis_0_expanded logsoftmax_axis_0_expanded_ver18
        logsoftmax_axis_1_expanded logsoftmax_axis_1_expanded_ver18 logsoftmax_axis_2_expanded
        logsoftmax_axis_2_expanded_ver18 logsoftmax_default_axis_expanded
        logsoftmax_default_axis_expanded_ver18 logsoftmax_example_1_expanded
        logsoftmax_example_1_expanded_ver18 logsoftmax_large_number_expanded
        logsoftmax_large_number_expanded_ver18 logsoftmax_negative_axis_expanded
        logsoftmax_negative_axis_expanded_ver18 softmax_axis_0_expanded softmax_axis_0_expanded_ver18
        softmax_axis_1_expanded softmax_axis_1_expanded_ver18 softmax_axis_2_expanded
        softmax_axis_2_expanded_ver18 softmax_default_axis_expanded softmax_default_axis_expanded_ver18
        softmax_example_expanded softmax_example_expanded_ver18 softmax_large_number_expanded
        softmax_large_number_expanded_ver18 softmax_negative_axis_expanded
        softmax_negative_axis_expanded_ver18""",
    "a shape of as many axes is supported": "expand_dim_changed",
    "inputs of one batch size": "add_bcast",
    "modes nearest and linear are supported, found cubic": """
        resize_downsample_scales_cubic resize_downsample_scales_cubic_A_n0p5_exclude_outside
        resize_downsample_scales_cubic_align_corners resize_downsample_scales_cubic_antialias
        resize_downsample_sizes_cubic resize_downsample_sizes_cubic_antialias resize_upsample_scales_cubic
        resize_upsample_scales_cubic_A_n0p5_exclude_outside resize_upsample_scales_cubic_align_corners
        resize_upsample_scales_cubic_asymmetric resize_upsample_sizes_cubic""",
    "antialias 0 is supported": """
        resize_downsample_scales_linear_antialias resize_downsample_sizes_linear_antialias""",
    "keep_aspect_ratio_policy stretch": """
        resize_downsample_sizes_nearest_not_larger resize_downsample_sizes_nearest_not_smaller
        resize_upsample_sizes_nearest_not_larger resize_upsample_sizes_nearest_not_smaller""",
    "coordinates align_corners, .* are supported, found tf_crop_and_resize": """
        resize_tf_crop_and_resize resize_tf_crop_and_resize_axes_2_3 resize_tf_crop_and_resize_axes_3_2
        resize_tf_crop_and_resize_extrapolation_value""",
    "align_corners is supported with a whole size": "resize_downsample_scales_linear_align_corners",
    "a bias per output": "gemm_default_matrix_bias",
    "transA 0 is supported": "gemm_all_attributes gemm_transposeA",
    "second matrix has rank 2": "matmul_1d_1d matmul_1d_3d matmul_3d matmul_4d matmul_4d_1d matmul_bcast",
    "is computed where supported, found a constant": """
        constant constantofshape_float_ones constantofshape_int_shape_zero constantofshape_int_zeros""",
    "axis 0 has size 0": """
        reshape_allowzero_reordered split_zero_size_splits_opset13 split_zero_size_splits_opset18""",
    "channels in any order, and rows": """
        gather_0 gather_negative_indices slice slice_neg_steps slice_start_out_of_bounds
        split_1d_uneven_split_opset18 split_equal_parts_1d_opset13 split_equal_parts_1d_opset18
        split_equal_parts_default_axis_opset13 split_equal_parts_default_axis_opset18
        split_variable_parts_1d_opset13 split_variable_parts_1d_opset18
        split_variable_parts_default_axis_opset13 split_variable_parts_default_axis_opset18""",
    "one index or a list of them": "gather_2d_indices",
    "gathered pixels are supported": "gathernd_example_float32",
}
"""Pattern of the error: the tests it ends."""

REASON = {f"test_{name}": reason for reason, names in REFUSED.items() for name in names.split()}


def make_node_tests(folder: Path) -> None:
    """Write the claimed operators' tests; computing those of all operators takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases of other operators overflow on purpose
        cases = load_model_tests(kind="node")
    claimed = [c for c in cases if all(n.op_type in CLAIMED and not n.domain for n in c.model.graph.node)]
    (folder / "tests.pickle").write_bytes(pickle.dumps(sorted(claimed, key=lambda c: c.name)))


MADE_OF = (onnx.__version__, np.__version__, sorted(CLAIMED))
FOLDER = kept("onnx-node-tests", MADE_OF, {"maker": Path(__file__).read_bytes()}, make_node_tests)
CASES: list[TestCase] = pickle.loads((FOLDER / "tests.pickle").read_bytes())


def with_initialisers(case: TestCase) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The test's model with its parameters fixed, and its data inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    data = DATA_INPUTS.get(model.graph.node[0].op_type, 1)
    named = list(zip((i.name for i in model.graph.input), case.data_sets[0][0], strict=True))
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in named[data:])
    return model, dict(named[:data])


def finish(imported: ImportedModel, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Apply the head that the importer left to the host, along the channels of each pixel."""
    scores = scores.reshape(*scores.shape[:2], -1).astype(np.float64)
    shifted = scores - scores.max(1, keepdims=True)
    match imported.head:
        case "softmax":
            return np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
        case "log_softmax":
            return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        case "sigmoid":
            return 1 / (1 + np.exp(-scores))
        case "argmax":
            return scores.argmax(1)
        case "topk":
            return -np.sort(-scores, 1)[:, : expected.shape[1]]
        case "none":
            return scores


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_it_matches_or_is_refused_by_name(case: TestCase) -> None:
    model, feeds = with_initialisers(case)
    if case.name in REASON:
        with pytest.raises(UnsupportedError, match=REASON[case.name]) as error:
            import_onnx(model, case.name)
        assert str(error.value).startswith(f"{case.name}: ")
        return
    imported = import_onnx(model, case.name)
    graph = imported.graph
    pictures = {i.name: feeds[i.name].reshape(-1, *i.shape).astype(np.float32) for i in graph.inputs}
    expected = case.data_sets[0][1][0]
    if case.model.graph.node[0].op_type == "Transpose":
        expected = feeds["data"]  # an output is planes, in whatever order the file lists their elements
    if len(graph.outputs) > 1:
        expected = np.concatenate([np.ravel(e) for e in case.data_sets[0][1]])
    options = ort.SessionOptions()
    options.log_severity_level = 3
    exported = ort.InferenceSession(to_onnx(graph).SerializeToString(), options)
    tensors = evaluate(graph, pictures)
    for outputs in ([tensors[o] for o in graph.outputs], exported.run(list(graph.outputs), pictures)):
        scores = outputs[0] if len(outputs) == 1 else np.concatenate([np.ravel(o) for o in outputs])[None]
        found = finish(imported, scores, expected)
        assert found.size == expected.size
        np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=case.rtol, atol=1e-6)


def test_the_counts_are_those_stated() -> None:
    counts = Counter(case.name in REASON for case in CASES)
    if onnx.__version__.startswith(COUNTED_WITH):
        assert (counts[False], counts[True]) == (MATCHED, REFUSALS)
        assert REASON.keys() <= {case.name for case in CASES}
    else:
        assert counts[False] > counts[True] * 0.8


def test_every_claimed_operator_has_a_test() -> None:
    assert {n.op_type for case in CASES for n in case.model.graph.node} == CLAIMED
