/* Padding: a tensor's bytes inside a larger plane whose other bytes have one value. */
#include "dcg_internal.h"

static void fill(uint8_t *bytes, uint32_t count, uint8_t value) {
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = value;
}

dcg_status dcg_pad(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    uint8_t value = dcg_node_header_lo(job->layer);
    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            uint8_t *output = dcg_output_row(job, c, y);
            if (y < node->pad_top || y >= (uint32_t)node->pad_top + in->height) {
                fill(output, node->out_width, value);
                continue;
            }
            const uint8_t *p = dcg_input_row(job, 0, c, y - node->pad_top);
            fill(output, node->pad_left, value);
            output += node->pad_left;
            for (uint32_t x = 0; x < in->width; x++, p += in->pixel_stride)
                *output++ = *p;
            fill(output, node->pad_right, value);
        }
    }
    return DCG_OK;
}
