/* Blocks of pixels: each pixel becomes stride_h rows of stride_w pixels, which are that pixel or, where the
 * input has a channel for each of them, the pixels of these channels. Rows and columns at the end may be
 * missing. */
#include "dcg_internal.h"

dcg_status dcg_upsample(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    const uint32_t step = in->pixel_stride, columns = node->stride_w;
    const int repeats = in->channels == node->out_channels;
    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            uint32_t row = y / node->stride_h, row_of_block = y - row * node->stride_h;
            uint32_t first =
                (c * node->stride_h + row_of_block) * columns; /* channel of the row's first pixel */
            uint8_t *output = dcg_output_row(job, c, y);
            for (uint32_t i = 0; i < columns; i++) {
                const uint8_t *input = dcg_input_row(job, 0, repeats ? c : first + i, row);
                for (uint32_t x = i; x < node->out_width; x += columns, input += step)
                    output[x] = *input;
            }
        }
    }
    return DCG_OK;
}
