/* What the runtime's files share. Not for the application. */
#ifndef DCG_INTERNAL_H
#define DCG_INTERNAL_H

#include "dcg.h"
#include "dcg_records.h" /* generated: one accessor a field of the blob's records */

/* One node at work: what a kernel gets. */
typedef struct dcg_job {
    const dcg_net *net;
    const dcg_node *node;
    const uint8_t *layer;   /* the node's section in the blob, checked by dcg_init */
    const uint8_t *picture; /* dcg_run's hwc */
    int32_t *scores;        /* dcg_run's scores */
} dcg_job;

/* ---- Tensors (dcg_run.c) ---- */

const dcg_tensor *dcg_input(const dcg_job *job, uint32_t which);
const uint8_t *dcg_input_plane(const dcg_job *job, uint32_t which, uint32_t channel);
uint8_t *dcg_output_row(const dcg_job *job, uint32_t channel, uint32_t row);

/* The byte that means 0.0 in a tensor. */
uint8_t dcg_zero_point(const dcg_net *net, uint16_t tensor);

/* The byte that a padded tap of a convolution reads. */
uint8_t dcg_pad_byte(const dcg_job *job, uint32_t channel);

/* ---- Requantisation ---- */

/* y = clip(zp + ((acc * m + 2^(s-1)) >> s), lo, hi), prepared. */
typedef struct dcg_requant {
    int64_t rounding; /* 2^(s-1) + 2^47: the sum is never negative, so that >> is defined */
    int32_t mult;
    int32_t origin; /* 2^47 >> s, less the zero point */
    int32_t lo, hi;
    uint8_t shift;
} dcg_requant;

#define DCG_REQUANT_LIFT 47 /* |acc * m| < 2^47 */

/* lo and hi from the layer, the zero point from the output tensor. */
dcg_requant dcg_requant_of(const dcg_job *job, uint16_t mult, uint8_t shift);

static inline uint8_t dcg_requantise(int32_t acc, const dcg_requant *r) {
    int64_t lifted = (int64_t)acc * r->mult + r->rounding;
    int32_t y = (int32_t)((uint64_t)lifted >> r->shift) - r->origin;
    if (y < r->lo) y = r->lo;
    if (y > r->hi) y = r->hi;
    return (uint8_t)y;
}

/* Two's complement reading of v. C99 leaves the cast to the implementation; this is always defined,
 * and compilers make nothing of it. */
static inline int32_t dcg_signed(uint32_t v) {
    return v <= (uint32_t)INT32_MAX ? (int32_t)v : -(int32_t)~v - 1;
}

/* ---- Checksums (dcg_crc.c) ---- */

/* CRC-32 (IEEE 802.3) of more bytes; start with crc = 0. */
uint32_t dcg_crc32(uint32_t crc, const uint8_t *bytes, size_t count);

/* ---- A convolution's section (dcg_conv_record.c) ---- */

/* Where the arrays of a convolution's section are. */
typedef struct dcg_conv_record {
    const uint8_t *header; /* ConvHeader */
    const uint8_t *levels;
    const uint8_t *mult;  /* uint16[O], NULL without PER_CHANNEL */
    const uint8_t *shift; /* uint8[O], NULL without PER_CHANNEL */
    const uint8_t *bias;
    const uint8_t *table;  /* packed code lengths: symbols, or gaps */
    const uint8_t *table2; /* packed code lengths of levels */
    const uint8_t *stream;
} dcg_conv_record;

/* Fails where the arrays do not fill the section exactly. */
dcg_status dcg_conv_record_find(dcg_conv_record *record, const uint8_t *layer, const dcg_node *node);

/* Checks every constant of a convolution against the plan. in_channels: of the input tensor. */
dcg_status dcg_conv_record_check(const uint8_t *layer, const dcg_node *node, uint32_t in_channels,
                                 const dcg_scratch *scratch);

/* ---- Code tables (dcg_huffman.c) ---- */

/* Checks a packed code table. symbols: how many it may list; escape: whether ESCAPE may have a code. */
dcg_status dcg_table_check(const uint8_t *packed, uint32_t bytes, uint32_t symbols, int escape);

/* Expands a checked table to DCG_TABLE_ENTRIES entries, indexed by the next DCG_MAX_CODE_BITS bits of
 * the stream: symbol << 4 | length, or 0 where no code begins like that. */
void dcg_table_build(const uint8_t *packed, uint32_t bytes, uint16_t *table);

/* ---- Weights (dcg_weights.c) ---- */

/* One non-zero weight of a filter. */
typedef struct dcg_tap {
    uint16_t channel; /* within the filter's group */
    uint8_t ky, kx;
    int16_t weight;
} dcg_tap;

/* Decoder of one layer's stream. Runs of zeros cross filters, so it remembers the entry ahead. */
typedef struct dcg_weights {
    const uint8_t *stream;
    const uint16_t *table;
    const uint16_t *table2;
    const int16_t *levels;
    dcg_tap *taps; /* of the filter decoded last */
    uint32_t n_taps;
    uint32_t bit, end_bit; /* position in the stream and its end, in bits */
    uint32_t entries_left;
    uint32_t position; /* of the entry ahead, in weights from the layer's first */
    int16_t weight;    /* of the entry ahead */
    uint8_t ahead;     /* whether there is one */
    uint8_t coding, level_bits, run_bits;
    uint16_t n_levels;
    uint32_t max_taps;
    uint32_t kernel_w, group_channels;             /* a filter's geometry */
    uint32_t filter_begin, filter_size, n_weights; /* in weights */
} dcg_weights;

/* Loads the levels and builds the tables in scratch memory. */
void dcg_weights_open(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record);

/* Decodes the next filter's taps. */
dcg_status dcg_weights_next(dcg_weights *w);

/* After the last filter: whether the stream held exactly the layer. */
dcg_status dcg_weights_close(const dcg_weights *w);

#endif
