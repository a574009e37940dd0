/* A function of one number, looked up: y = table[x]. */
#include "dcg_internal.h"

dcg_status dcg_table(const dcg_job *job) {
    const dcg_node *node = job->node;
    const uint32_t step = dcg_input(job, 0)->pixel_stride, width = node->out_width;
    const uint8_t *table = job->layer + DCG_NODE_HEADER_BYTES; /* [DCG_TABLE_BYTES], checked by dcg_init */
    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            const uint8_t *input = dcg_input_row(job, 0, c, y);
            uint8_t *output = dcg_output_row(job, c, y);
            for (const uint8_t *end = output + width; output != end; input += step)
                *output++ = table[*input];
        }
    }
    return DCG_OK;
}
