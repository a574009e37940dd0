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
                output[x] = dcg_requantize(dcg_signed(factor_a * *p + factor_b * *q - zeros), &requant);
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

/* Sum of bytes in a row. */
static uint32_t sum_bytes(const uint8_t *p, uint32_t count) {
    uint32_t sum = 0;
#if DCG_HELIUM
    __asm__ volatile("  wlstp.8 lr, %2, 2f\n"
                     "1: vldrb.8 q0, [%1], #16\n"
                     "  vaddva.u8 %0, q0\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+Te"(sum), "+r"(p)
                     : "r"(count)
                     : "lr", "q0", "memory");
#else
    for (; count >= 4u; count -= 4u, p += 4) {
        uint32_t four = dcg_load_u32(p);
#if DCG_DSP
        __asm__("usada8 %0, %1, %2, %0" : "+r"(sum) : "r"(four), "r"(0));
#else
        uint32_t pairs = (four & 0x00FF00FFu) + (four >> 8 & 0x00FF00FFu);
        sum += (pairs & 0xFFFFu) + (pairs >> 16);
#endif
    }
    for (uint32_t i = 0; i < count; i++)
        sum += p[i];
#endif
    return sum;
}

/* Sum of a channel over the step's rows. */
static int32_t sum_rows(const dcg_job *job, uint32_t channel) {
    const dcg_tensor *in = dcg_input(job, 0);
    const uint8_t *row = dcg_input_row(job, 0, channel, job->first_row);
    uint32_t sum = 0;
    if (in->pixel_stride == 1u && in->row_stride == in->width &&
        dcg_unbroken(in, job->first_row, job->n_rows))
        return dcg_signed(sum_bytes(row, in->width * job->n_rows));
    for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
        row = dcg_input_row(job, 0, channel, y);
        for (uint32_t x = 0; x < in->width; x++)
            sum += row[(size_t)x * in->pixel_stride];
    }
    return dcg_signed(sum);
}

/* Rows are the input's: of sums over planes, every step adds its own. A plan's planes are too small for a sum
 * to wrap. */
dcg_status dcg_scores(const dcg_job *job) {
    const dcg_tensor *in = dcg_input(job, 0);
    int32_t zero_point = dcg_zero_point(job->net, job->node->inputs[0]);
    for (uint32_t c = 0; c < in->channels; c++) {
        if ((job->node->flags & DCG_TOPOLOGY_RAW) != 0) {
            int32_t *score = &job->net->scores[c];
            if (job->first_row == 0) *score = 0;
            *score += sum_rows(job, c) - zero_point * (int32_t)(in->width * job->n_rows);
            continue;
        }
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            int32_t *scores = job->net->scores + ((size_t)c * in->height + y) * in->width;
            const uint8_t *row = dcg_input_row(job, 0, c, y);
            for (uint32_t x = 0; x < in->width; x++)
                scores[x] = row[(size_t)x * in->pixel_stride] - zero_point;
        }
    }
    return DCG_OK;
}
