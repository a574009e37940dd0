/* The kernels that an emitted plan refers to: each computes one node. */
#ifndef DCG_KERNELS_H
#define DCG_KERNELS_H

#include "dcg.h"

dcg_status dcg_conv(const struct dcg_job *job);        /* convolution, uint8 output */
dcg_status dcg_conv_packed(const struct dcg_job *job); /* the same on packed planes */
dcg_status dcg_conv_scores(const struct dcg_job *job); /* convolution whose accumulators are the scores */
dcg_status dcg_max_pool(const struct dcg_job *job);
dcg_status dcg_avg_pool(const struct dcg_job *job);
dcg_status dcg_add(const struct dcg_job *job);    /* sum of two inputs, or one input on a new scale */
dcg_status dcg_pad(const struct dcg_job *job);    /* copy into a larger plane */
dcg_status dcg_scores(const struct dcg_job *job); /* bytes, or sums over planes, as scores */

#endif
