/* Nodes that go element by element: addition, padding, and reading bytes as scores. */
#include "dcg_internal.h"

dcg_status dcg_add(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *a = dcg_input(job, 0), *b = dcg_input(job, 1);
    /* With one input both are the same tensor and the second factor is 0. */
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
                output[x] = dcg_requantise(dcg_signed(factor_a * *p + factor_b * *q - zeros), &requant);
        }
    }
    return DCG_OK;
}

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

/* Rows are the input's: of sums over planes, every step adds its own. */
dcg_status dcg_scores(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    int total = (node->flags & DCG_TOPOLOGY_RAW) != 0;
    int32_t zero_point = dcg_zero_point(job->net, node->inputs[0]);
    for (uint32_t c = 0; c < in->channels; c++) {
        int32_t *scores = job->net->scores + (total ? c : (size_t)c * in->height * in->width);
        int32_t sum =
            total && job->first_row > 0 ? *scores : 0; /* a plan's planes are too small for it to wrap */
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            const uint8_t *p = dcg_input_row(job, 0, c, y);
            for (uint32_t x = 0; x < in->width; x++, p += in->pixel_stride) {
                sum += *p - zero_point;
                if (!total) {
                    scores[(size_t)y * in->width + x] = sum;
                    sum = 0;
                }
            }
        }
        if (total) *scores = sum;
    }
    return DCG_OK;
}
