/* Addition of two tensors, or one tensor on a new scale: y = requantize((a - za) * ka + (b - zb) * kb). */
#include "dcg_internal.h"

dcg_status dcg_add(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *a = dcg_input(job, 0), *b = dcg_input(job, 1);
    /* With one input, b is the same tensor and its factor is 0. */
    uint32_t factor_a = (uint32_t)dcg_node_header_factor0(job->layer);
    uint32_t factor_b = (uint32_t)dcg_node_header_factor1(job->layer);
    uint32_t zeros = factor_a * dcg_zero_point(job->net, node->inputs[0]) +
                     factor_b * dcg_zero_point(job->net, node->inputs[1]);
    dcg_requant requant =
        dcg_requant_of(job, dcg_node_header_mult(job->layer), dcg_node_header_shift(job->layer));

    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            const uint8_t *p = dcg_input_row(job, 0, c, y), *q = dcg_input_row(job, 1, c, y);
            uint8_t *output = dcg_output_row(job, c, y);
            for (uint32_t x = 0; x < node->out_width; x++, p += a->pixel_stride, q += b->pixel_stride)
                output[x] = dcg_requantize(dcg_signed(factor_a * *p + factor_b * *q - zeros), &requant);
        }
    }
    return DCG_OK;
}
