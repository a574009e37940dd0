/* Packed convolution on planes of bytes: a multiply-accumulate a tap and position, in portable C. */
#include "dcg_conv_packed.h"

#if !DCG_HELIUM
void dcg_conv_bytes_run(dcg_conv_bytes *bytes, uint16_t *scratch, uint32_t largest) {
    (void)scratch;
    (void)largest;
    const uint8_t *words = bytes->words;
    uint8_t *out = bytes->out;
    for (uint32_t done = 0; done < bytes->positions;
         done += DCG_AT_ONCE, words += DCG_AT_ONCE, out += DCG_AT_ONCE) {
        uint32_t sum[DCG_AT_ONCE];
        DCG_UNROLL
        for (uint32_t i = 0; i < DCG_AT_ONCE; i++)
            sum[i] = bytes->bias;
        const uint32_t *tap = bytes->list;
        for (const uint32_t *end = tap + 2u * bytes->n_taps; tap < end; tap += 2) {
            const uint8_t *at = words + tap[0];
            DCG_UNROLL
            for (uint32_t i = 0; i < DCG_AT_ONCE; i++)
                sum[i] += tap[1] * at[i];
        }
        DCG_UNROLL
        for (uint32_t i = 0; i < DCG_AT_ONCE; i++)
            out[i] = dcg_requantize(dcg_signed(sum[i]), bytes->requant);
    }
}
#endif
