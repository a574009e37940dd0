/* Depthwise convolution with kernels of 5x5 in portable C. */
#include "dcg_conv_depthwise.h"

#if !(DCG_DSP && DCG_UNALIGNED)
/* Outputs are computed in pairs; the second one of the last pair may read up to two bytes beyond the row. */
void dcg_conv_depthwise_run_5x5(const dcg_conv_depthwise *d) {
    uint32_t step = d->stride_w, pitch = d->pitch, width = d->width;
    uint8_t *out = d->out;
    for (uint32_t y = 0; y < d->rows; y++, out += width) {
        const uint8_t *first = d->plane + y * d->stride_h * pitch;
        for (uint32_t x = 0; x < width; x += 2u, first += 2u * step) {
            const uint8_t *a = first, *b = first + step;
            const int16_t *w = d->weights, *end = w + 25;
            uint32_t sum = d->bias, beside = d->bias;
            for (; w < end; w += 5, a += pitch, b += pitch) {
                DCG_UNROLL
                for (uint32_t i = 0; i < 5u; i++) {
                    sum += (uint32_t)(w[i] * a[i]);
                    beside += (uint32_t)(w[i] * b[i]);
                }
            }
            out[x] = dcg_requantize(dcg_signed(sum), d->requant);
            if (x + 1u < width) out[x + 1u] = dcg_requantize(dcg_signed(beside), d->requant);
        }
    }
}
#endif
