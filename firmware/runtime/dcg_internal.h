/* What the runtime's files share. Not for the application. */
#ifndef DCG_INTERNAL_H
#define DCG_INTERNAL_H

#include "dcg.h"
#include "dcg_records.h" /* generated: one accessor a field of the blob's records */

/* Whether the core has the DSP instructions of a Cortex-M4: M4, M7, M33, M55, ... */
#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && __ARM_ARCH_PROFILE == 'M'
#define DCG_DSP 1
#else
#define DCG_DSP 0
#endif

/* Whether single weights go through the kernel on pairs of positions. Its portable twin can be chosen, too.
 */
#ifndef DCG_PAIRS
#define DCG_PAIRS DCG_DSP
#endif

/* Whether the core has Helium, vectors of integers: M55, M85. */
#if defined(__GNUC__) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define DCG_HELIUM 1
#else
#define DCG_HELIUM 0
#endif

/* Whether layers that keep most weights are computed by dot products. The portable twin can be chosen, too.
 */
#ifndef DCG_DENSE
#define DCG_DENSE DCG_HELIUM
#endif

/* Bytes of input for each word of lists of its events: with fewer, other kernels are faster. */
#if DCG_HELIUM
#define DCG_BYTES_A_WORD DCG_BYTES_A_WORD_HELIUM
#elif DCG_DSP
#define DCG_BYTES_A_WORD DCG_BYTES_A_WORD_DSP
#else
#define DCG_BYTES_A_WORD DCG_BYTES_A_WORD_NONE
#endif

/* Events that a list's vectors hold. The portable twin can have vectors, too. */
#ifndef DCG_EVENTS_BESIDE
#define DCG_EVENTS_BESIDE (DCG_HELIUM ? DCG_VECTOR_EVENTS : 1u)
#endif

/* Unrolls the loop that follows, of 16 rounds at most, so that its arrays become registers. */
#if defined(__clang__)
#define DCG_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define DCG_UNROLL _Pragma("GCC unroll 16")
#else
#define DCG_UNROLL
#endif

/* A hot loop that needs all registers to itself. */
#if defined(__GNUC__)
#define DCG_APART __attribute__((noinline))
#else
#define DCG_APART
#endif

/* One step at work: what a kernel gets. */
typedef struct dcg_job {
    const dcg_net *net;
    const dcg_node *node;
    const uint8_t *layer; /* the node's section in the blob, checked by dcg_init */
    uint32_t first_row, n_rows;
} dcg_job;

/* ---- Tensors (dcg_run.c) ---- */

const dcg_tensor *dcg_input(const dcg_job *job, uint32_t which);
const uint8_t *dcg_input_row(const dcg_job *job, uint32_t which, uint32_t channel, uint32_t row);
uint8_t *dcg_output_row(const dcg_job *job, uint32_t channel, uint32_t row);

/* Whether rows first .. first + count - 1 lie one behind the other in the tensor's ring. */
static inline int dcg_unbroken(const dcg_tensor *t, uint32_t first, uint32_t count) {
    return first % t->rows + count <= t->rows;
}

/* The byte that means 0.0 in a tensor. */
uint8_t dcg_zero_point(const dcg_net *net, uint16_t tensor);

/* The byte that a padded tap of a convolution reads. */
uint8_t dcg_pad_byte(const dcg_job *job, uint32_t channel);

/* ---- Requantization ---- */

/* y = clip(zp + ((acc * m + 2^(s-1)) >> s), lo, hi), prepared. With m << (32 - s) in place of m the shift is
 * by 32: the result is the high word of a product, rounded. */
typedef struct dcg_requant {
    int32_t mult; /* m << (32 - s), not negative */
    int32_t zero_point;
    int32_t lo, hi;
} dcg_requant;

/* lo and hi from the layer, the zero point from the output tensor. */
dcg_requant dcg_requant_of(const dcg_job *job, uint16_t mult, uint8_t shift);

/* Two's complement reading of v. C99 leaves the cast to the implementation; this is always defined,
 * and compilers make nothing of it. */
static inline int32_t dcg_signed(uint32_t v) {
    return v <= (uint32_t)INT32_MAX ? (int32_t)v : -(int32_t)~v - 1;
}

static inline uint8_t dcg_requantize(int32_t acc, const dcg_requant *r) {
    int64_t rounded = (int64_t)acc * r->mult + ((int64_t)1 << 31);
    int32_t y = dcg_signed((uint32_t)((uint64_t)rounded >> 32)) + r->zero_point;
    if (y < r->lo) y = r->lo;
    if (y > r->hi) y = r->hi;
    return (uint8_t)y;
}

/* ---- Copying ---- */

/* Four bytes at any address, the first one lowest. */
static inline void dcg_store_u32(uint8_t *to, uint32_t value) {
    to[0] = (uint8_t)(value & 0xFFu);
    to[1] = (uint8_t)(value >> 8 & 0xFFu);
    to[2] = (uint8_t)(value >> 16 & 0xFFu);
    to[3] = (uint8_t)(value >> 24);
}

/* Copies a few bytes at any addresses; areas must not overlap. Whole words where a load may be unaligned. */
static inline void dcg_copy(uint8_t *to, const uint8_t *from, uint32_t count) {
#if DCG_HELIUM
    __asm__ volatile("  wlstp.8 lr, %2, 2f\n" /* the last round by as many bytes as are left */
                     "1: vldrb.8 q0, [%1], #16\n"
                     "  vstrb.8 q0, [%0], #16\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+r"(to), "+r"(from)
                     : "r"(count)
                     : "lr", "q0", "memory");
#else
#if defined(__GNUC__) && (defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__))
    for (; count >= 16u; count -= 16u, to += 16, from += 16)
        __builtin_memcpy(to, from, 16);
    for (; count >= 4u; count -= 4u, to += 4, from += 4)
        __builtin_memcpy(to, from, 4);
#endif
    for (uint32_t i = 0; i < count; i++)
        to[i] = from[i];
#endif
}

/* ---- Checksums (dcg_blob_crc.c) ---- */

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

/* Bias and requantization of one output channel. */
uint32_t dcg_conv_bias(const dcg_job *job, const dcg_conv_record *record, uint32_t output);
dcg_requant dcg_conv_requant(const dcg_job *job, const dcg_conv_record *record, uint32_t output);

/* ---- Code tables (dcg_weights_table.c) ---- */

/* Checks a packed code table, and that there is room for its decoding table. symbols: how many it may list;
 * escape: whether ESCAPE may have a code. */
dcg_status dcg_weights_table_check(const uint8_t *packed, uint32_t bytes, uint32_t symbols, int escape,
                                   const dcg_scratch *scratch);

/* A decoding table: what begins with each value of the stream's next bits, table_bits of them. Plain entries
 * have zeros before a weight + 1, its level and the length of the code at bits 16, 8 and 0; fillers, whose
 * level is zero, likewise. Where codes have more bits, a second level of the table says what begins with the
 * bits behind these: where it is, a mask of as many bits as it is found by and table_bits are at bits 16, 8
 * and 0. Others have a symbol and the length of its code at bits 8 and 0; no code is one of no bits. */
#define DCG_TABLE_OTHER 0x80000000u
#define DCG_TABLE_SECOND 0xA0000000u
#define DCG_TABLE_FILLER 0xC0000000u

/* How many weights a plain entry or a filler stands for. */
static inline uint32_t dcg_weights_entry_span(uint32_t entry) {
    return entry >> 16 & 0x3FFFu;
}

/* What begins with these bits. mask: of table_bits bits */
static inline uint32_t dcg_weights_entry_at(const uint32_t *table, uint32_t mask, uint32_t bits) {
    uint32_t entry = table[bits & mask];
    if (entry < DCG_TABLE_SECOND || entry >= DCG_TABLE_FILLER) return entry;
    return table[(entry >> 16 & 0x1FFFu) + (bits >> (entry & 0xFFu) & entry >> 8 & 0xFFu)];
}

/* Expands a checked table whose symbols end in so many bits of level. With levels, entries of zero
 * are fillers; of a level that there is not, no plain ones. */
void dcg_weights_table_build(const uint8_t *packed, uint32_t bytes, uint32_t level_bits,
                             const int16_t *levels, uint32_t n_levels, uint32_t table_bits, uint32_t *table);

/* ---- Weights (dcg_weights.c) ---- */

/* A filter's non-zero weights, "taps", are a list of two words each. The first says where the tap reads: for
 * a packed convolution as the distance in bytes from an output's own word in the first plane; for others as
 * place in the kernel (ky * kernel width + kx) << 16 | channel in the group. The second is the weight, as a
 * two's complement number.
 *
 * For the kernel that wants them by level they are chains of one word each: the lower half says where the tap
 * reads, the upper one is the number of the tap before it in the chain, 0 at its end. What is called the
 * weight is then a label, the chain's; the list begins with the last tap of each label, uint16_t[2 *
 * first_tap]. */

/* Decoder of one layer's stream. Runs of zeros cross filters, so it may hold the tap of a later filter. */
typedef struct dcg_weights {
    const uint8_t *stream;
    const uint32_t *table;
    const uint32_t *table2;
    const int16_t *levels;
    const dcg_node *node;
    uint32_t mask;  /* of the bits that tables are entered with */
    uint32_t *list; /* of the filter decoded last */
    uint32_t n_taps;
    uint32_t first_tap;    /* of the list, its number; ahead of it stand the chains' heads */
    uint32_t bit, end_bit; /* position in the stream and its end, in bits */
    uint32_t entries_left;
    uint32_t gap; /* zeros up to the entry read last; if holding, from the next filter's first weight */
    int16_t held; /* its weight */
    uint8_t holding;
    uint8_t simple; /* whether the inner loops can read the stream */
    uint8_t chains; /* whether taps are to be chained by label */
    uint8_t coding, level_bits, run_bits;
    uint16_t n_levels;
    uint16_t largest; /* magnitude of a level */
    uint32_t max_taps;
    uint32_t group_channels;
    uint32_t places;        /* in the kernel */
    uint32_t weights_after; /* behind the filter decoded last */
    uint32_t plane; /* what one packed plane more adds to a tap's first word, 0 if they are not packed */
    uint32_t position_step; /* what one position more adds to a tap's first word */
    uint32_t channel_step;  /* what one channel more adds to a tap's first word */
} dcg_weights;

/* Loads the levels. */
void dcg_weights_open(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record);

/* Builds the tables. Taps then say where they read in packed planes, in a unit that a plane has so many of,
 * and one position more takes so many of. plane 0: there are none, and a place in the kernel takes so many,
 * a channel one */
void dcg_weights_start(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record, uint32_t plane,
                       uint32_t position);

/* Decodes the next filter's taps. */
dcg_status dcg_weights_next(dcg_weights *w);

/* After the last filter: whether the stream held exactly the layer. */
dcg_status dcg_weights_close(const dcg_weights *w);

#endif
