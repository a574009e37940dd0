/* What the runtime's files share. Not for the application.
 *
 * Names: dcg_conv_* computes convolutions, dcg_weights_* decodes their weights, dcg_blob_* reads the blob; a
 * file whose name ends in _dsp or _helium is for cores with these instructions. docs/kernels.md of dcgen
 * explains the names and lists the kernels. */
#ifndef DCG_INTERNAL_H
#define DCG_INTERNAL_H

#include "dcg.h"
#include "dcg_records.h" /* generated: one accessor a field of the blob's records */

/* Whether the core has the DSP instructions of a Cortex-M4: Cortex-M4, M7, M33, M55, ... */
#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && __ARM_ARCH_PROFILE == 'M'
#define DCG_DSP 1
#else
#define DCG_DSP 0
#endif

/* Whether the compiler may load and store words at any address, and does: not on a Cortex-M0, nor with
 * -mno-unaligned-access, which clang takes for given where it compiles for a core without a system. */
#if defined(__GNUC__) && (defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__))
#define DCG_UNALIGNED 1
#else
#define DCG_UNALIGNED 0
#endif

/* Whether the core has Helium, vectors of integers: Cortex-M55, M85. */
#if defined(__GNUC__) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define DCG_HELIUM 1
#else
#define DCG_HELIUM 0
#endif

/* The kernels for convolutions that a build can choose, see dcg_conv_packed.h: direct, on pairs of positions,
 * and else on bytes; by levels, on four positions a word; dense. By default those that are fast on the core.
 * Tests compile the portable twins of other cores' kernels by defining DCG_PAIRS or DCG_DENSE as 1. */
#ifndef DCG_PAIRS
#define DCG_PAIRS (DCG_DSP && !DCG_HELIUM)
#endif
#ifndef DCG_FOURS
#define DCG_FOURS (!DCG_HELIUM)
#endif
#ifndef DCG_DENSE
#define DCG_DENSE DCG_HELIUM
#endif

/* The kernel by events is chosen where the events' lists have at most one word for so many bytes of input;
 * where they have more, other kernels are faster. */
#if DCG_HELIUM
#define DCG_BYTES_A_WORD DCG_BYTES_A_WORD_HELIUM
#elif DCG_DSP
#define DCG_BYTES_A_WORD DCG_BYTES_A_WORD_DSP
#else
#define DCG_BYTES_A_WORD DCG_BYTES_A_WORD_NONE
#endif

/* Events that lie side by side in a list, for one vector. Tests may define it as 4 for the portable twin. */
#ifndef DCG_EVENTS_BESIDE
#define DCG_EVENTS_BESIDE (DCG_HELIUM ? DCG_VECTOR_EVENTS : 1u)
#endif

/* Unrolls the loop that follows, which has at most 16 rounds, so that arrays that it indexes become
 * registers. */
#if defined(__clang__)
#define DCG_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define DCG_UNROLL _Pragma("GCC unroll 16")
#else
#define DCG_UNROLL
#endif

/* One step at work: what the function of a node gets. */
typedef struct dcg_job {
    const dcg_net *net;
    const dcg_node *node;
    const uint8_t *layer; /* the node's section in the blob, checked by dcg_init */
    uint32_t first_row;   /* the step computes the output's rows first_row .. first_row + n_rows - 1; */
    uint32_t n_rows;      /* of scores, it sums up these rows of the input */
} dcg_job;

/* ---- The caller's memory ---- */

static inline int dcg_misaligned(const void *p, uintptr_t alignment) {
    return (uintptr_t)p % alignment != 0;
}

/* Whether two areas of memory share a byte. Addresses are compared as numbers: C leaves it open how those of
 * different objects compare. */
static inline int dcg_overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    return (uintptr_t)b - (uintptr_t)a < a_bytes || (uintptr_t)a - (uintptr_t)b < b_bytes;
}

/* Whether memory lies apart from all that the runtime reads or writes while a bound net works (dcg_run.c). */
int dcg_run_apart(const dcg_net *net, const void *memory, size_t bytes);

/* Whether the net is bound, and scores and a whole picture may be there: the picture must stay as it is until
 * it has been read (dcg_run.c). */
int dcg_run_ok(const dcg_net *net, const uint8_t *hwc, const int32_t *scores);

/* ---- Tensors (dcg_run.c) ---- */

/* The node's input tensor number `which`, 0 or 1. */
const dcg_tensor *dcg_input(const dcg_job *job, uint32_t which);

/* The first byte of a row of that input, and of the output; the next one is pixel_stride bytes further on. */
const uint8_t *dcg_input_row(const dcg_job *job, uint32_t which, uint32_t channel, uint32_t row);
uint8_t *dcg_output_row(const dcg_job *job, uint32_t channel, uint32_t row);

/* The first score of the output whose scores the node makes. */
int32_t *dcg_scores_of(const dcg_job *job);

/* Whether rows first .. first + count - 1 lie one behind the other in the tensor's ring of rows. */
static inline int dcg_unbroken(const dcg_tensor *t, uint32_t first, uint32_t count) {
    return first % t->rows + count <= t->rows;
}

/* The byte that means 0.0 in a tensor. */
uint8_t dcg_zero_point(const dcg_net *net, uint16_t tensor);

/* The byte that a tap of a convolution reads in the padding: of the picture, each channel has its own. */
uint8_t dcg_pad_byte(const dcg_job *job, uint32_t channel);

/* ---- Requantization ---- */

/* From an accumulator to a byte of the output: clip(zp + ((acc * m + 2^(s - 1)) >> s), lo, hi), where
 * 0 <= m < 2^16 and 17 <= s <= 32. With m << (32 - s) in place of m the shift is by 32: what is left is the
 * upper word of a product, rounded, which some cores have an instruction for. */
typedef struct dcg_requant {
    int32_t mult;       /* m << (32 - s), 0 or more */
    int32_t zero_point; /* byte that means 0.0 in the output */
    int32_t lo, hi;     /* least and greatest output byte */
} dcg_requant;

/* The requantization by m and s to the node's output; lo and hi are the layer's. */
dcg_requant dcg_requant_of(const dcg_job *job, uint16_t mult, uint8_t shift);

/* v read as a two's complement number. C99 leaves the result of a cast to the implementation; this is defined
 * everywhere, and compilers make no instruction of it. */
static inline int32_t dcg_signed(uint32_t v) {
    return v <= (uint32_t)INT32_MAX ? (int32_t)v : -(int32_t)~v - 1;
}

/* acc: the accumulator, which has wrapped as the golden model's has */
static inline uint8_t dcg_requantize(int32_t acc, const dcg_requant *r) {
    int64_t rounded = (int64_t)acc * r->mult + ((int64_t)1 << 31);
    int32_t y = dcg_signed((uint32_t)((uint64_t)rounded >> 32)) + r->zero_point;
    if (y < r->lo) y = r->lo;
    if (y > r->hi) y = r->hi;
    return (uint8_t)y;
}

/* Clips bytes to the layer's bounds, where they are narrower than 0 .. 255, to which kernels clip. */
static inline void dcg_clip(uint8_t *bytes, uint32_t count, const dcg_requant *requant) {
    uint8_t lo = (uint8_t)requant->lo, hi = (uint8_t)requant->hi;
    if (lo == 0 && hi == 255) return;
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] < lo) bytes[i] = lo;
        if (bytes[i] > hi) bytes[i] = hi;
    }
}

/* ---- Copying ---- */

/* Stores four bytes at any address, the lowest one first. */
static inline void dcg_store_u32(uint8_t *to, uint32_t value) {
    to[0] = (uint8_t)(value & 0xFFu);
    to[1] = (uint8_t)(value >> 8 & 0xFFu);
    to[2] = (uint8_t)(value >> 16 & 0xFFu);
    to[3] = (uint8_t)(value >> 24);
}

/* Copies count bytes between areas at any addresses, which must not overlap. By words where the core loads
 * them from any address. */
static inline void dcg_copy(uint8_t *to, const uint8_t *from, uint32_t count) {
#if DCG_HELIUM
    __asm__ volatile("  wlstp.8 lr, %2, 2f\n" /* 16 bytes a round, in the last one as many as are left */
                     "1: vldrb.8 q0, [%1], #16\n"
                     "  vstrb.8 q0, [%0], #16\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+r"(to), "+r"(from)
                     : "r"(count)
                     : "lr", "q0", "memory");
#else
#if DCG_UNALIGNED
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

/* Continues a CRC-32 (IEEE 802.3) with count bytes. crc: what it was before, 0 at the begin */
uint32_t dcg_crc32(uint32_t crc, const uint8_t *bytes, size_t count);

/* ---- A convolution's section (dcg_conv_record.c) ---- */

/* Where the arrays of a convolution's section are, in the blob; O is the number of output channels. */
typedef struct dcg_conv_record {
    const uint8_t *header; /* ConvHeader */
    const uint8_t *levels; /* int8 or int16 [n_levels - 1], level_bytes each: all but level 0, which is 0 */
    const uint8_t *mult;   /* uint16 [O], NULL without PER_CHANNEL */
    const uint8_t *shift;  /* uint8 [O], NULL without PER_CHANNEL */
    const uint8_t *bias;   /* int8, int16 or int32 [O], bias_bytes each, to be shifted left by bias_shift */
    const uint8_t *table;  /* packed code lengths: of symbols, or of gaps */
    const uint8_t *table2; /* packed code lengths of levels, empty where symbols hold them */
    const uint8_t *stream; /* the coded weights */
} dcg_conv_record;

/* Finds the arrays. Returns DCG_OK, or an error where they do not fill the section exactly. */
dcg_status dcg_conv_record_find(dcg_conv_record *record, const uint8_t *layer, const dcg_node *node);

/* Checks every constant of a convolution's section, and that the plan's scratch memory suffices.
 *
 * in_channels  channels of the input tensor */
dcg_status dcg_conv_record_check(const uint8_t *layer, const dcg_node *node, uint32_t in_channels,
                                 const dcg_scratch *scratch);

/* Bias of one output channel, as the accumulators begin with it. */
static inline uint32_t dcg_conv_bias(const dcg_job *job, const dcg_conv_record *record, uint32_t output) {
    uint32_t size = dcg_conv_header_bias_bytes(record->header);
    const uint8_t *at = record->bias + size * output;
    int32_t stored = size == 1u ? dcg_load_i8(at) : size == 2u ? dcg_load_i16(at) : dcg_load_i32(at);
    return (uint32_t)stored << dcg_node_header_bias_shift(job->layer);
}

/* Requantization of one output channel. */
dcg_requant dcg_conv_requant(const dcg_job *job, const dcg_conv_record *record, uint32_t output);

/* ---- Code tables (dcg_weights_table.c) ---- */

/* Checks a packed code table, and that there is room for its decoding table.
 *
 * packed   bytes bytes of the blob
 * symbols  how many it may list
 * escape   whether the symbol DCG_ESCAPE may have a code */
dcg_status dcg_weights_table_check(const uint8_t *packed, uint32_t bytes, uint32_t symbols, int escape,
                                   const dcg_scratch *scratch);

/* A decoding table says, for each value of the stream's next table_bits bits, what begins there. Its entries
 * are words of four kinds, told by their upper three bits:
 *
 *   0xx  plain         a weight and the zeros ahead of it: how many weights these are from bit 16 on, the
 *                      number of the weight's level in bits 15..8, the length of the code in bits 7..0
 *   11x  filler        the same for a level that is zero
 *   101  second level  of codes longer than table_bits, found by the bits behind the first table_bits: where
 *                      it begins, in words, in bits 28..16, a mask of those bits in 15..8, table_bits in 7..0
 *   100  any other     the symbol from bit 8 on, the length of its code in bits 7..0; length 0: no code */
#define DCG_TABLE_OTHER 0x80000000u
#define DCG_TABLE_SECOND 0xA0000000u
#define DCG_TABLE_FILLER 0xC0000000u

/* How many weights a plain entry or a filler spans, zeros included. */
static inline uint32_t dcg_weights_entry_span(uint32_t entry) {
    return entry >> 16 & 0x3FFFu;
}

/* The entry of what begins with these bits, through the second level if there is one.
 *
 * mask  2^table_bits - 1
 * bits  the stream's next bits, DCG_MAX_CODE_BITS at least, the first one lowest */
static inline uint32_t dcg_weights_entry_at(const uint32_t *table, uint32_t mask, uint32_t bits) {
    uint32_t entry = table[bits & mask];
    if (entry < DCG_TABLE_SECOND || entry >= DCG_TABLE_FILLER) return entry;
    return table[(entry >> 16 & 0x1FFFu) + (bits >> (entry & 0xFFu) & entry >> 8 & 0xFFu)];
}

/* Makes a decoding table of a checked code table.
 *
 * level_bits  how many of a symbol's lowest bits are the number of its level; the others are a run of zeros
 * levels      [n_levels] the codebook, by which fillers are told from weights; NULL where none is a filler
 * n_levels    levels that there are: a symbol with another one gets an entry of another kind
 * table_bits  bits that the table is entered with, 4 .. 12
 * table       uint32_t[the plan's table_words], written */
void dcg_weights_table_build(const uint8_t *packed, uint32_t bytes, uint32_t level_bits,
                             const int16_t *levels, uint32_t n_levels, uint32_t table_bits, uint32_t *table);

/* ---- Weights (dcg_weights.c) ---- */

/* Decoder of one layer's stream, filter by filter. It yields a filter's taps, the weights that are not zero,
 * each with an address, which says where the tap reads. What an address counts is chosen when decoding
 * starts, see dcg_weights_start. Taps come by place in the kernel (row, then column), then by channel, in one
 * of three forms:
 *
 *   list    two words a tap: its address, and its weight as a two's complement number
 *   chains  one word a tap: its address in the lower half; in the upper one the number of the tap before it
 *           with the same label, 0 if there is none. A label, 1 or more, stands in a level's place. Ahead of
 *           the taps stand the chains' heads, uint16_t[2 * first_tap]: of each label, its last tap's number
 *   array   int16_t, every weight at its address, zeros included; see dcg_weights_gather
 *
 * Runs of zeros cross filters, so the decoder may already hold an entry of a later filter. */
#define DCG_WEIGHTS_LIST 0u
#define DCG_WEIGHTS_CHAINS 1u
#define DCG_WEIGHTS_ARRAY 2u

/* Most weights of a place that dcg_weights_read_* can count down: an entry of another kind ends them, as its
 * upper half is more. */
#define DCG_WEIGHTS_MOST ((DCG_TABLE_OTHER >> 17) - 1u)
typedef struct dcg_weights {
    const uint8_t *stream;  /* the coded weights */
    const uint32_t *table;  /* decoding table of symbols, or of gaps */
    const uint32_t *table2; /* decoding table of levels, where gaps and levels are coded apart */
    const int16_t *levels;  /* [n_levels] the codebook; with chains: labels */
    const dcg_node *node;
    uint32_t mask;         /* 2^table_bits - 1: the bits by which tables are entered */
    uint32_t *list;        /* taps of the filter decoded last */
    uint32_t n_taps;       /* how many */
    uint32_t first_tap;    /* number of the first tap: 0, with chains the words of their heads */
    uint32_t bit, end_bit; /* position in the stream and its end, in bits */
    uint32_t entries_left; /* entries that have not been read */
    uint32_t gap;          /* zeros up to the entry read last; if holding, from the next filter's begin on */
    int16_t held;          /* weight of the entry read last */
    uint8_t holding;       /* whether it is of a later filter than the one decoded last */
    uint8_t simple; /* whether dcg_weights_read_* can read the stream: joint symbols, channels below 2^14 */
    uint8_t form;   /* DCG_WEIGHTS_...: what taps become */
    uint8_t coding; /* DCG_CODING_... */
    uint8_t level_bits;      /* bits of a level's number */
    uint8_t run_bits;        /* bits of an escaped run of zeros, or of a gap */
    uint16_t n_levels;       /* levels of the codebook, 1 .. DCG_MAX_LEVELS */
    uint16_t largest;        /* largest magnitude of a level, 0 .. 32768 */
    uint32_t max_taps;       /* taps of a filter, at most, as the blob states and the plan has room for; or of
                              * filters that are gathered */
    uint32_t group_channels; /* input channels of a filter */
    uint32_t places;         /* places in the kernel: rows times columns */
    uint32_t weights_after;  /* weights of all filters behind the one decoded last, zeros included */
    uint32_t plane;         /* what one packed plane more adds to a tap's address; 0: see dcg_weights_start */
    uint32_t position_step; /* what one position more adds to it */
    uint32_t channel_step;  /* what one channel more adds to it */
} dcg_weights;

/* Loads the layer's codebook and makes ready to decode; the caller may then choose a kernel by w's fields.
 *
 * w       written
 * record  from dcg_conv_record_find */
void dcg_weights_open(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record);

/* Builds the decoding tables and says what a tap's address counts.
 *
 * On packed planes it leads from an output's position, in the filter's first plane, to the input that the tap
 * reads for it. Without them it is the place in the kernel times `position`, plus the channel in the group.
 *
 * plane     what one packed plane more adds to an address; 0 without packed planes
 * position  what one position more, or one place in the kernel, adds to it */
void dcg_weights_start(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record, uint32_t plane,
                       uint32_t position);

/* Decodes the next filter: its taps are at w->list. Returns DCG_OK, or the stream's first defect. */
dcg_status dcg_weights_next(dcg_weights *w);

/* Has dcg_weights_next decode so many filters at once, as if they were one, into an array at w->list: int16_t
 * [filters][places]. Only for filters of one channel, with addresses that count places. How many taps each of
 * them has is not compared with what the blob states.
 *
 * filters  of which as many are left, and for whose weights there is room, DCG_WEIGHTS_MOST at most */
void dcg_weights_gather(dcg_weights *w, uint32_t filters);

/* After the last filter. Returns DCG_OK, or DCG_ERR_STREAM where the stream holds more than the layer. */
dcg_status dcg_weights_close(const dcg_weights *w);

#endif
