/* Padding: a tensor's bytes inside a larger plane whose other bytes have one value, or are the nearest of the
 * tensor's. */
#include "dcg_internal.h"

static uint8_t *fill(uint8_t *bytes, uint32_t count, uint8_t value) {
    for (uint32_t i = 0; i < count; i++)
        *bytes++ = value;
    return bytes;
}

dcg_status dcg_pad(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    const int edge = (node->flags & DCG_TOPOLOGY_EDGE) != 0;
    uint8_t left = dcg_node_header_lo(job->layer), right = left;
    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            uint8_t *output = dcg_output_row(job, c, y);
            uint32_t above = node->pad_top, last = in->height - 1u;
            uint32_t row = y < above ? 0 : y - above < last ? y - above : last; /* the nearest one */
            if (!edge && row + above != y) {
                (void)fill(output, node->out_width, left);
                continue;
            }
            const uint8_t *p = dcg_input_row(job, 0, c, row);
            if (edge) {
                left = *p;
                right = p[(in->width - 1u) * in->pixel_stride];
            }
            output = fill(output, node->pad_left, left);
            for (uint32_t x = 0; x < in->width; x++, p += in->pixel_stride)
                *output++ = *p;
            (void)fill(output, node->pad_right, right);
        }
    }
    return DCG_OK;
}
