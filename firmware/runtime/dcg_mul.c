/* Product of two tensors: y = requantize((a - za) * (b - zb) * factor). The second one may be a gate, one
 * number a channel. */
#include "dcg_internal.h"

dcg_status dcg_mul(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *a = dcg_input(job, 0), *b = dcg_input(job, 1);
    /* In a gate of one row and one column, every row is the first one, and every column. */
    const int gate = b->height == 1u && b->width == 1u;
    const uint32_t step_a = a->pixel_stride, step_b = gate ? 0u : b->pixel_stride, width = node->out_width;
    const uint32_t factor = (uint32_t)dcg_node_header_factor0(job->layer);
    const uint32_t zero_a = dcg_zero_point(job->net, node->inputs[0]);
    const uint32_t zero_b = dcg_zero_point(job->net, node->inputs[1]);
    const dcg_requant requant =
        dcg_requant_of(job, dcg_node_header_mult(job->layer), dcg_node_header_shift(job->layer));

    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            const uint8_t *p = dcg_input_row(job, 0, c, y), *q = dcg_input_row(job, 1, c, gate ? 0u : y);
            uint8_t *output = dcg_output_row(job, c, y);
            for (uint32_t x = 0; x < width; x++, p += step_a, q += step_b)
                output[x] = dcg_requantize(dcg_signed((*p - zero_a) * (*q - zero_b) * factor), &requant);
        }
    }
    return DCG_OK;
}
