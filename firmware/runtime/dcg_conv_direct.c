/* Packed convolution, direct: a multiply-accumulate a tap and position, in portable C. */
#include "dcg_conv_packed.h"

/* One pass: the sums of eight words, that is of sixteen positions.
 *
 * words      the pass's first word
 * low, high  written: the sums of each word's lower and upper halfword, bias included */
static void sum_words(const dcg_conv_direct *d, const uint8_t *words, uint32_t low[8], uint32_t high[8]) {
    const uint32_t *tap = d->taps;
    DCG_UNROLL
    for (uint32_t i = 0; i < 8u; i++)
        low[i] = high[i] = d->bias;
    for (uint32_t n = 0; n < d->n_taps; n++, tap += 2) {
        const uint32_t *at = (const void *)(words + tap[0]);
        uint32_t weight = tap[1];
        DCG_UNROLL
        for (uint32_t i = 0; i < 8u; i++) {
            low[i] += weight * (at[i] & 0xFFFFu);
            high[i] += weight * (at[i] >> 16);
        }
    }
}

void dcg_conv_direct_portable(const dcg_conv_direct *d) {
    const uint8_t *words = d->words;
    uint32_t low[8], high[8];
    for (uint32_t pass = 0; pass < d->passes; pass++, words += 32) {
        sum_words(d, words, low, high);
        DCG_UNROLL
        for (uint32_t i = 0; i < 8u; i++) {
            d->low[8u * pass + i] = dcg_requantize(dcg_signed(low[i]), d->requant);
            d->high[8u * pass + i] = dcg_requantize(dcg_signed(high[i]), d->requant);
        }
    }
}

#if !DCG_DSP
void dcg_conv_direct_run(dcg_conv_direct *direct, uint32_t room, uint32_t largest) {
    (void)room;
    (void)largest;
    dcg_conv_direct_portable(direct);
}
#endif
