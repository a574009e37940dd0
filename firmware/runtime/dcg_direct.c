/* Packed convolution, a multiply-accumulate at a time: portable C. */
#include "dcg_packed.h"

/* One pass: the sums of four words, that is of eight positions. */
static void sum_words(const dcg_direct *d, const uint8_t *words, uint32_t low[4], uint32_t high[4]) {
    const uint32_t *list = d->list;
    DCG_UNROLL
    for (uint32_t i = 0; i < 4u; i++)
        low[i] = high[i] = d->bias;
    for (uint32_t n = 0; n < d->n_taps; n++, list += 2) {
        if (n % DCG_GROUP == 0) list++;
        const uint32_t *at = (const void *)(words + list[0]);
        uint32_t weight = list[1];
        DCG_UNROLL
        for (uint32_t i = 0; i < 4u; i++) {
            low[i] += weight * (at[i] & 0xFFu);
            high[i] += weight * (at[i] >> DCG_PAIR_BITS);
        }
    }
}

void dcg_direct_portable(dcg_direct *d) {
    const uint8_t *words = d->words;
    uint32_t low[4], high[4];
    for (uint32_t pass = 0; pass < d->passes; pass++, words += 16) {
        sum_words(d, words, low, high);
        DCG_UNROLL
        for (uint32_t i = 0; i < 4u; i++) {
            d->low[4u * pass + i] = dcg_requantise(dcg_signed(low[i]), d->requant);
            d->high[4u * pass + i] = dcg_requantise(dcg_signed(high[i]), d->requant);
        }
    }
}

#if !DCG_DSP
const uint32_t dcg_direct_entry[DCG_GROUP + 1] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

void dcg_direct_run(dcg_direct *d, int fits) {
    (void)fits;
    dcg_direct_portable(d);
}
#endif
