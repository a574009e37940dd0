/* Depthwise convolution with kernels of 3x3: what its files share. Not for the application. */
#ifndef DCG_CONV_DEPTHWISE_H
#define DCG_CONV_DEPTHWISE_H

#include "dcg_asm.h"

/* Bytes of a plane's row that dcg_conv_depthwise_run goes on by in its course over a row of outputs: with a
 * stride of one it takes them in pairs. */
static inline uint32_t dcg_conv_depthwise_read(uint32_t stride_w, uint32_t width) {
    return stride_w == 1u ? (width + 1u) / 2u * 2u : stride_w * width;
}

/* Copies rows of bytes, which lie `row` bytes apart, to where they lie `pitch` bytes apart.
 *
 * columns  bytes of a row, at least DCG_DEPTHWISE_LEAST_COPY
 * rows     1 at least */
#define DCG_DEPTHWISE_LEAST_COPY (DCG_DSP && DCG_UNALIGNED ? 4u : 1u)
void dcg_conv_depthwise_copy(uint8_t *to, uint32_t pitch, const uint8_t *from, uint32_t row, uint32_t columns,
                             uint32_t rows);

/* Computes rows of one output channel, and uses the record up. */
void dcg_conv_depthwise_run(dcg_conv_depthwise *depthwise);

#endif
