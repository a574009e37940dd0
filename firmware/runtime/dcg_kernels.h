/* The functions that an emitted plan refers to. Each computes some rows of one node, and returns DCG_OK or,
 * of a convolution, the first defect of its coded weights. Inputs and outputs are uint8 tensors unless said
 * otherwise. */
#ifndef DCG_KERNELS_H
#define DCG_KERNELS_H

#include "dcg.h"

/* Convolution, requantized: on tensors as they lie; on packed planes, which is faster; depthwise with kernels
 * of 3x3 and of 5x5, which is faster still. */
dcg_status dcg_conv(const struct dcg_job *job);
dcg_status dcg_conv_packed(const struct dcg_job *job);
dcg_status dcg_conv_depthwise_3x3(const struct dcg_job *job);
dcg_status dcg_conv_depthwise_5x5(const struct dcg_job *job);

/* Convolution whose accumulators are the network's scores, int32. */
dcg_status dcg_conv_scores(const struct dcg_job *job);

/* Pooling. */
dcg_status dcg_max_pool(const struct dcg_job *job);
dcg_status dcg_avg_pool(const struct dcg_job *job);

/* Sum of two inputs, or one input on a new scale. */
dcg_status dcg_add(const struct dcg_job *job);

/* Product of two inputs, of which the second may be one number a channel. */
dcg_status dcg_mul(const struct dcg_job *job);

/* What a table has at each byte of the input. */
dcg_status dcg_table(const struct dcg_job *job);

/* Each pixel of the input as a block of pixels. */
dcg_status dcg_upsample(const struct dcg_job *job);

/* The input inside a larger plane. */
dcg_status dcg_pad(const struct dcg_job *job);

/* The network's scores, int32: the input's bytes, or their sums over planes, less the zero point. */
dcg_status dcg_scores(const struct dcg_job *job);

#endif
