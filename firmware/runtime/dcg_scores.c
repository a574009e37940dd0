/* Scores from bytes: each byte less its zero point, or the sum of that over each plane. */
#include "dcg_internal.h"

/* Sum of count bytes at p. */
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

/* Sum of a channel's bytes over the step's rows. */
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

/* A step's rows are rows of the input: where scores are sums over planes, each step adds its own. Plans are
 * made only for planes that are too small for a sum to wrap. */
dcg_status dcg_scores(const dcg_job *job) {
    const dcg_tensor *in = dcg_input(job, 0);
    int32_t zero_point = dcg_zero_point(job->net, job->node->inputs[0]);
    int32_t *const first = dcg_scores_of(job);
    for (uint32_t c = 0; c < in->channels; c++) {
        if ((job->node->flags & DCG_TOPOLOGY_RAW) != 0) {
            int32_t *score = &first[c];
            if (job->first_row == 0) *score = 0;
            *score += sum_rows(job, c) - zero_point * (int32_t)(in->width * job->n_rows);
            continue;
        }
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            int32_t *scores = first + ((size_t)c * in->height + y) * in->width;
            const uint8_t *row = dcg_input_row(job, 0, c, y);
            for (uint32_t x = 0; x < in->width; x++)
                scores[x] = row[(size_t)x * in->pixel_stride] - zero_point;
        }
    }
    return DCG_OK;
}
