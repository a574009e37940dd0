/* Depthwise convolution: what its files share. Not for the application. */
#ifndef DCG_CONV_DEPTHWISE_H
#define DCG_CONV_DEPTHWISE_H

#include "dcg_asm.h"

/* Bytes of a plane's row that dcg_conv_depthwise_run_* go on by in their course over a row of outputs, which
 * they take in pairs; 3x3 with a stride of two takes the last one of an odd number by itself. */
static inline uint32_t dcg_conv_depthwise_read(uint32_t side, uint32_t stride_w, uint32_t width) {
    return stride_w == 2u && side == 3u ? 2u * width : stride_w * ((width + 1u) / 2u * 2u);
}

/* Whether dcg_conv_depthwise_copy copies rows of so many bytes. */
static inline int dcg_conv_depthwise_copies(uint32_t columns) {
    return !(DCG_DSP && DCG_UNALIGNED) || (columns >= 4u && columns <= 4u * DCG_DEPTHWISE_COPIED);
}

/* Makes ready to copy rows, which lie `row` bytes apart, to where they lie `pitch` bytes apart. Where
 * dcg_conv_depthwise_copies is false, the record must not be used. */
void dcg_conv_depthwise_copy_open(dcg_depthwise_copy *copy, uint32_t pitch, uint32_t row, uint32_t columns);

/* rows: 1 at least */
void dcg_conv_depthwise_copy(const dcg_depthwise_copy *copy, uint8_t *to, const uint8_t *from, uint32_t rows);

/* Compute rows of one output channel with kernels of 3x3 and 5x5. */
void dcg_conv_depthwise_run_3x3(const dcg_conv_depthwise *depthwise);
void dcg_conv_depthwise_run_5x5(const dcg_conv_depthwise *depthwise);

#endif
