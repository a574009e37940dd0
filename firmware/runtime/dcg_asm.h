/* The records that assembly shares with C, and the offsets by which assembly finds their fields. Not for the
 * application.
 *
 * A record is filled by portable C (dcg_conv_packed.c, dcg_weights.c) and used up by an inner loop, which is
 * C or assembly: dcg_*_dsp.c for cores with a Cortex-M4's DSP instructions, dcg_*_helium.c for cores with
 * Helium. Assembly loads several fields by one instruction (LDM, LDRD), so it depends on their order, too.
 * Below each record stand the offsets that assembly uses, in bytes, and a check of each by the compiler:
 * whoever moves a field is told at once. Fields without an offset are for C alone.
 *
 * Words used here and in the kernels:
 *   position  number of an output of a step: row * pitch + column, see dcg_packing in dcg.h
 *   tap       a weight that is not zero, and the address of the input that it reads, see dcg_weights
 *   pass      what an inner loop computes at once: some positions of one filter
 *   threaded  a list whose entries say where the code goes on, so that no register has to count
 */
#ifndef DCG_ASM_H
#define DCG_ASM_H

#include "dcg_internal.h"

/* The value of a macro as text, for the operand of an instruction. */
#define DCG_TEXT_OF(value) #value
#define DCG_TEXT(macro) DCG_TEXT_OF(macro)

/* Compiles only where the condition holds. */
#define DCG_ASSERT(name, condition) typedef char name[(condition) ? 1 : -1]

/* Compiles only where a record's field is so many bytes behind its start. Every core with assembly has
 * pointers of four bytes; on others the offset is not used. */
#define DCG_LIES_AT(record, field, offset)                                                                   \
    DCG_ASSERT(record##_##field##_lies_at, sizeof(void *) != 4u || offsetof(record, field) == (offset))

/* A function that is assembly alone, without the entry and exit that compilers add: the body may hold nothing
 * else, which is why the parameter, in r0, is marked as unused and not mentioned. It begins at a word, as
 * clang has functions begin at any halfword, and ADR counts from words. */
#define DCG_NAKED __attribute__((naked, aligned(4)))
#define DCG_IN_R0 __attribute__((unused))

/* Some of these bodies are longer than the 4095 characters of text that ISO C99 promises; the compilers that
 * know this syntax take any length. */
#if DCG_DSP
#pragma GCC diagnostic ignored "-Woverlength-strings"
#endif

/* Requantizes a register's sum to a byte, with mult and zero_point of dcg_requant in registers:
 * zero_point + (sum * mult + 2^31 >> 32), clipped to 0 .. 255. For cores with DSP instructions. */
#define DCG_ASM_REQUANTIZE(sum, mult, zero_point)                                                            \
    "  smmlar " sum ", " sum ", " mult ", " zero_point "\n"                                                  \
    "  usat " sum ", #8, " sum "\n"

/* dcg_requant: assembly loads mult and zero_point by one LDRD. */
DCG_LIES_AT(dcg_requant, mult, 0);
DCG_LIES_AT(dcg_requant, zero_point, 4);
DCG_ASSERT(dcg_requant_has_16_bytes, sizeof(dcg_requant) == 16u);

/* ---- Decoding: dcg_weights_read.c, dcg_weights_read_dsp.c ---- */

/* How far one filter has been decoded. Weights come by place in the kernel, then by input channel. Assembly
 * loads the fields from stream to mask by one LDM and stores those from bit to n by one STM. */
typedef struct dcg_weights_reader {
    const uint8_t *stream; /* the layer's coded bits, bit 0 of byte 0 first */
    const uint32_t *table; /* decoding table of 32-bit entries, see DCG_TABLE_OTHER */
    const int16_t *levels; /* [n_levels] what an entry's level stands for: a weight, or a label for chains */
    uint32_t step;         /* what one input channel more adds to a tap's address */
    uint32_t *list;        /* the filter's taps, written: two words each, or chains, see dcg_weights */
    uint32_t bit;          /* position in the stream, in bits: of the next code */
    uint32_t left;         /* weights of this place in the kernel that are not decoded yet, zeros included */
    uint32_t last;         /* address of a tap of this place's last channel */
    uint32_t n;            /* taps in the list; with chains: the number that the next tap gets */
    uint32_t mask;         /* 2^table_bits - 1: the bits by which the table is entered */
    uint32_t end;          /* reading stops where n is this, or one more; each filler lowers it by one, an
                            * escape by DCG_READER_ESCAPE */
    uint8_t run_bits;      /* bits of an escape's run of zeros, */
    uint8_t level_bits;    /* and of its level, which comes behind that */
    uint16_t n_levels;     /* levels of the codebook */
    uint32_t escapes;      /* that have been read, counted up */
} dcg_weights_reader;

#define DCG_READER_AT_BIT 20
#define DCG_READER_AT_END 40
#define DCG_READER_AT_RUN_BITS 44
#define DCG_READER_AT_LEVEL_BITS 45
#define DCG_READER_AT_N_LEVELS 46
#define DCG_READER_AT_ESCAPES 48
DCG_LIES_AT(dcg_weights_reader, stream, 0);
DCG_LIES_AT(dcg_weights_reader, table, 4);
DCG_LIES_AT(dcg_weights_reader, levels, 8);
DCG_LIES_AT(dcg_weights_reader, step, 12);
DCG_LIES_AT(dcg_weights_reader, list, 16);
DCG_LIES_AT(dcg_weights_reader, bit, DCG_READER_AT_BIT);
DCG_LIES_AT(dcg_weights_reader, left, DCG_READER_AT_BIT + 4);
DCG_LIES_AT(dcg_weights_reader, last, DCG_READER_AT_BIT + 8);
DCG_LIES_AT(dcg_weights_reader, n, DCG_READER_AT_BIT + 12);
DCG_LIES_AT(dcg_weights_reader, mask, 36);
DCG_LIES_AT(dcg_weights_reader, end, DCG_READER_AT_END);
DCG_LIES_AT(dcg_weights_reader, run_bits, DCG_READER_AT_RUN_BITS);
DCG_LIES_AT(dcg_weights_reader, level_bits, DCG_READER_AT_LEVEL_BITS);
DCG_LIES_AT(dcg_weights_reader, n_levels, DCG_READER_AT_N_LEVELS);
DCG_LIES_AT(dcg_weights_reader, escapes, DCG_READER_AT_ESCAPES);

/* An escape has as many bits as a code and at most 20 more, which are those of two further codes. */
#define DCG_READER_ESCAPE 2u

/* Assembly tells an entry's kind by its upper three bits, and reads two codes from one load of 25 bits. */
DCG_ASSERT(dcg_table_entries_have_their_bits, DCG_TABLE_OTHER == 1u << 31 && DCG_TABLE_SECOND == 5u << 29 &&
                                                  DCG_TABLE_FILLER == 3u << 30 && DCG_MAX_CODE_BITS == 12u);

/* ---- Convolution, direct: dcg_conv_direct.c, dcg_conv_direct_dsp.c ---- */

/* One filter over one strip whose input is packed as DCG_PACKED_PAIRS. */
typedef struct dcg_conv_direct {
    uint32_t start[8];          /* what the sums of a pass's eight words begin with: 2^15 in each halfword */
    int32_t mult;               /* of the requantization, as in dcg_requant */
    int32_t zero_point;         /* byte that means 0.0 in the output */
    uint8_t *low;               /* where the next pass's outputs go: of the words' lower halfwords, */
    uint8_t *high;              /* and of the upper ones, half a strip further on */
    const uint8_t *words;       /* the next pass's first word, in the plane of the filter's first channel */
    const uint32_t *list;       /* threaded list of taps, see DCG_DIRECT_ONLY */
    uint32_t passes;            /* passes to come, of DCG_AT_ONCE positions each, 1 at least */
    uint32_t bias;              /* what a sum of 32 bits begins with; for assembly less 2^15 a segment */
    uint32_t *taps;             /* [n_taps] address (bytes from words) and weight, as they were decoded */
    uint32_t n_taps;            /* taps of the filter, 0 or more */
    const dcg_requant *requant; /* all of the requantization, for C */
} dcg_conv_direct;

#define DCG_DIRECT_AT_MULT 32
#define DCG_DIRECT_AT_LOW 40
#define DCG_DIRECT_AT_WORDS 48
#define DCG_DIRECT_AT_PASSES 56
#define DCG_DIRECT_AT_BIAS 60
DCG_LIES_AT(dcg_conv_direct, start, 0);
DCG_LIES_AT(dcg_conv_direct, mult, DCG_DIRECT_AT_MULT);
DCG_LIES_AT(dcg_conv_direct, zero_point, DCG_DIRECT_AT_MULT + 4);
DCG_LIES_AT(dcg_conv_direct, low, DCG_DIRECT_AT_LOW);
DCG_LIES_AT(dcg_conv_direct, high, DCG_DIRECT_AT_LOW + 4);
DCG_LIES_AT(dcg_conv_direct, words, DCG_DIRECT_AT_WORDS);
DCG_LIES_AT(dcg_conv_direct, list, DCG_DIRECT_AT_WORDS + 4);
DCG_LIES_AT(dcg_conv_direct, passes, DCG_DIRECT_AT_PASSES);
DCG_LIES_AT(dcg_conv_direct, bias, DCG_DIRECT_AT_BIAS);

/* The threaded list: entries of one word, addresses of code in dcg_conv_direct_dsp.c. Entry n of 1 ..
 * DCG_GROUP stands ahead of n taps of two words each. The other entries end a segment, a part of the filter
 * whose sums halfwords can hold: */
#define DCG_DIRECT_ONLY 0u                /* the filter's only segment: requantize its sums */
#define DCG_DIRECT_FIRST (DCG_GROUP + 1u) /* the first of several: keep its sums as 32-bit words */
#define DCG_DIRECT_NEXT (DCG_GROUP + 2u)  /* one between: add its sums to those words */
#define DCG_DIRECT_LAST (DCG_GROUP + 3u)  /* the last of several: add the words, requantize */
extern const uint32_t dcg_conv_direct_entry[DCG_DIRECT_LAST + 1u];
DCG_ASSERT(dcg_conv_direct_has_code_for_each_group, DCG_GROUP == 8u);

/* ---- Convolution by levels: dcg_conv_levels.c, dcg_conv_levels_dsp.c ---- */

/* One filter over one strip whose input is packed as DCG_PACKED_FOURS, complements included. */
typedef struct dcg_conv_levels {
    uint32_t start[8];    /* the bias, eight times: what a pass's accumulators begin with */
    int32_t mult;         /* of the requantization, as in dcg_requant */
    int32_t zero_point;   /* byte that means 0.0 in the output */
    uint8_t *out;         /* where the next pass's outputs of the strip's first quarter go */
    uint32_t quarter;     /* positions of a quarter of the strip: bytes from out to the next quarter's */
    const uint8_t *words; /* the next pass's first word, in the plane of the filter's first channel */
    const int16_t *list;  /* threaded list of taps, see DCG_LEVELS_PUSH */
    uint32_t passes;      /* passes to come, of DCG_AT_ONCE positions each, 1 at least */
    const int16_t *differences;    /* [2 * run_pairs] factor of each run's sums, the last run first */
    uint32_t run_pairs;            /* half the number of runs, 1 at least */
    uint32_t bias;                 /* what a sum of 32 bits begins with; dcg_conv_levels_list adds to it what
                                    * complements and halfwords that begin at -2^15 take away */
    const dcg_requant *requant;    /* all of the requantization, for C */
    int16_t of_runs[DCG_MAX_RUNS]; /* memory of differences, which fill its end */
} dcg_conv_levels;

#define DCG_LEVELS_AT_MULT 32
#define DCG_LEVELS_AT_OUT 40
#define DCG_LEVELS_AT_WORDS 48
#define DCG_LEVELS_AT_PASSES 56
#define DCG_LEVELS_AT_DIFFERENCES 60
DCG_LIES_AT(dcg_conv_levels, start, 0);
DCG_LIES_AT(dcg_conv_levels, mult, DCG_LEVELS_AT_MULT);
DCG_LIES_AT(dcg_conv_levels, zero_point, DCG_LEVELS_AT_MULT + 4);
DCG_LIES_AT(dcg_conv_levels, out, DCG_LEVELS_AT_OUT);
DCG_LIES_AT(dcg_conv_levels, quarter, DCG_LEVELS_AT_OUT + 4);
DCG_LIES_AT(dcg_conv_levels, words, DCG_LEVELS_AT_WORDS);
DCG_LIES_AT(dcg_conv_levels, list, DCG_LEVELS_AT_WORDS + 4);
DCG_LIES_AT(dcg_conv_levels, passes, DCG_LEVELS_AT_PASSES);
DCG_LIES_AT(dcg_conv_levels, differences, DCG_LEVELS_AT_DIFFERENCES);
DCG_LIES_AT(dcg_conv_levels, run_pairs, DCG_LEVELS_AT_DIFFERENCES + 4);
/* Two differences are loaded as one word. */
DCG_ASSERT(dcg_conv_levels_differences_are_aligned,
           DCG_MAX_RUNS % 2u == 0 && offsetof(dcg_conv_levels, of_runs) % 4u == 0);

/* The threaded list: entries of one halfword. Entry n of 1 .. DCG_RUN_TAPS stands ahead of n taps, a halfword
 * each: address in words from the pass's first word, as uint16_t. The others: */
#define DCG_LEVELS_PUSH 0u                   /* a run ends: keep its sums */
#define DCG_LEVELS_CLEAR (DCG_RUN_TAPS + 1u) /* the sums begin anew: they could hold no further input */
#define DCG_LEVELS_DONE (DCG_RUN_TAPS + 2u)  /* the list ends; a halfword follows, 32 times the runs */

/* What stands in a list for entry n: [0][n] behind taps and behind DCG_LEVELS_CLEAR, [1][n] behind
 * DCG_LEVELS_PUSH. In assembly a distance in code, which depends on where the code comes from. */
extern const int16_t dcg_conv_levels_entry[2][DCG_LEVELS_DONE + 1u];
DCG_ASSERT(dcg_conv_levels_has_code_for_each_piece, DCG_RUN_TAPS == 16u);

/* ---- Convolution on bytes: dcg_conv_bytes.c, dcg_conv_bytes_helium.c ---- */

/* One filter over one strip whose input is packed as DCG_PACKED_BYTES. */
typedef struct dcg_conv_bytes {
    const uint8_t *words;       /* the first pass's first byte, in the plane of the filter's first channel */
    const uint32_t *list;       /* [n_taps] address (bytes from words) and weight of each tap */
    const uint16_t *segments;   /* Helium: taps of each part whose sums halfwords can hold, then 0 */
    uint8_t *out;               /* where the outputs go */
    uint32_t passes;            /* Helium: passes of the inner loop that is called, 1 at least */
    uint32_t bias;              /* what a sum of 32 bits begins with */
    int32_t mult;               /* of the requantization, as in dcg_requant */
    int32_t zero_point;         /* byte that means 0.0 in the output */
    uint32_t n_taps;            /* taps of the filter, 0 or more */
    uint32_t positions;         /* outputs that are asked for; a multiple of DCG_AT_ONCE has room */
    const dcg_requant *requant; /* all of the requantization, for C */
} dcg_conv_bytes;

#define DCG_BYTES_AT_MULT 24
#define DCG_BYTES_AT_N_TAPS 32
DCG_LIES_AT(dcg_conv_bytes, words, 0); /* the first six fields are loaded by one LDM */
DCG_LIES_AT(dcg_conv_bytes, list, 4);
DCG_LIES_AT(dcg_conv_bytes, segments, 8);
DCG_LIES_AT(dcg_conv_bytes, out, 12);
DCG_LIES_AT(dcg_conv_bytes, passes, 16);
DCG_LIES_AT(dcg_conv_bytes, bias, 20);
DCG_LIES_AT(dcg_conv_bytes, mult, DCG_BYTES_AT_MULT);
DCG_LIES_AT(dcg_conv_bytes, zero_point, DCG_BYTES_AT_MULT + 4);
DCG_LIES_AT(dcg_conv_bytes, n_taps, DCG_BYTES_AT_N_TAPS);
DCG_ASSERT(dcg_conv_bytes_has_code_for_each_pass, DCG_AT_ONCE == 16u && DCG_LONG_PASS == 56u);

/* ---- Convolution, depthwise: dcg_conv_depthwise*.c ---- */

/* Rows of one output channel of a depthwise convolution. Assembly loads the fields from plane to bias by one
 * LDM, and two weights as a word. */
typedef struct dcg_conv_depthwise {
    const uint8_t *plane;   /* the padded input at the first output */
    uint32_t pitch;         /* bytes from a row of it to the next one */
    uint8_t *out;           /* where the outputs go, rows one behind the other */
    const int16_t *weights; /* of the filter, zeros included, row by row */
    uint32_t bias;          /* what every sum begins with */
    int32_t mult;           /* of the requantization, as in dcg_requant */
    int32_t zero_point;     /* byte that means 0.0 in the output */
    uint32_t pairs;         /* output rows to come: of pairs, which are only for 3x3 with strides of one, */
    uint32_t rows;          /* and of single ones */
    uint32_t width;         /* outputs of a row */
    uint32_t next_row;      /* from where dcg_conv_depthwise_read ends to the next row's begin; may wrap; */
    uint32_t next_pair;     /* the same to the next pair's */
    uint32_t stride_w, stride_h; /* 1 or 2 */
    int paired;                  /* whether rows come in pairs */
    const dcg_requant *requant;  /* all of the requantization, for C */
} dcg_conv_depthwise;

#define DCG_DEPTHWISE_AT_MULT 20
#define DCG_DEPTHWISE_AT_PAIRS 28
#define DCG_DEPTHWISE_AT_ROWS 32
#define DCG_DEPTHWISE_AT_WIDTH 36
#define DCG_DEPTHWISE_AT_NEXT_ROW 40
#define DCG_DEPTHWISE_AT_NEXT_PAIR 44
DCG_LIES_AT(dcg_conv_depthwise, plane, 0);
DCG_LIES_AT(dcg_conv_depthwise, pitch, 4);
DCG_LIES_AT(dcg_conv_depthwise, out, 8);
DCG_LIES_AT(dcg_conv_depthwise, weights, 12);
DCG_LIES_AT(dcg_conv_depthwise, bias, 16);
DCG_LIES_AT(dcg_conv_depthwise, mult, DCG_DEPTHWISE_AT_MULT);
DCG_LIES_AT(dcg_conv_depthwise, zero_point, DCG_DEPTHWISE_AT_MULT + 4);
DCG_LIES_AT(dcg_conv_depthwise, pairs, DCG_DEPTHWISE_AT_PAIRS);
DCG_LIES_AT(dcg_conv_depthwise, rows, DCG_DEPTHWISE_AT_ROWS);
DCG_LIES_AT(dcg_conv_depthwise, width, DCG_DEPTHWISE_AT_WIDTH);
DCG_LIES_AT(dcg_conv_depthwise, next_row, DCG_DEPTHWISE_AT_NEXT_ROW);
DCG_LIES_AT(dcg_conv_depthwise, next_pair, DCG_DEPTHWISE_AT_NEXT_PAIR);

/* How rows of bytes are copied into a padded plane. Assembly copies words, the last of which may hold bytes
 * of the one before again, and loads the fields by one LDM. */
typedef struct dcg_depthwise_copy {
    uint32_t pitch; /* from where a row has been copied to, without its last word, to the next one; */
    uint32_t row;   /* likewise where it comes from */
    uint32_t last;  /* from there to the last word, may wrap; in C the bytes of a row */
    uint32_t ahead; /* bytes of code that copies the words ahead of the last one */
} dcg_depthwise_copy;

#define DCG_DEPTHWISE_COPIED 25u /* words of a row, at most */
DCG_LIES_AT(dcg_depthwise_copy, pitch, 0);
DCG_LIES_AT(dcg_depthwise_copy, row, 4);
DCG_LIES_AT(dcg_depthwise_copy, last, 8);
DCG_LIES_AT(dcg_depthwise_copy, ahead, 12);

/* ---- Convolution, dense: dcg_conv_dense.c, dcg_conv_dense_helium.c ---- */

/* Two filters over one strip whose input is packed as DCG_PACKED_PIXELS. */
typedef struct dcg_conv_dense {
    const uint8_t *words;   /* the next pass's first pixel */
    uint32_t pixel;         /* bytes of a pixel, which is the number of input channels */
    uint32_t kernel_rows;   /* rows of the kernel, 1 .. 255 */
    uint32_t passes;        /* passes to come, of DCG_DENSE_AT_ONCE positions each, 1 at least */
    uint32_t chunks;        /* DCG_CHUNK bytes each, in a row of the kernel */
    uint32_t gap;           /* bytes from the end of a window's row to the begin of its next; may wrap */
    uint8_t *weights[2];    /* [kernel_rows][kernel columns][pixel] of each filter, int8, zeros included */
    uint32_t bias[2];       /* of each filter, with what inputs less 128 take away */
    uint8_t *out[2];        /* where the next pass's outputs of each filter go */
    dcg_requant requant[2]; /* of each filter */
    uint8_t *line[2];       /* where each filter's outputs begin */
} dcg_conv_dense;

#define DCG_DENSE_AT_CHUNKS 16
#define DCG_DENSE_AT_WEIGHTS 24
#define DCG_DENSE_AT_BIAS 32
#define DCG_DENSE_AT_OUT 40
#define DCG_DENSE_AT_REQUANT 48
#define DCG_DENSE_AT_PASSES 12
DCG_LIES_AT(dcg_conv_dense, words, 0);
DCG_LIES_AT(dcg_conv_dense, pixel, 4);
DCG_LIES_AT(dcg_conv_dense, kernel_rows, 8);
DCG_LIES_AT(dcg_conv_dense, passes, DCG_DENSE_AT_PASSES);
DCG_LIES_AT(dcg_conv_dense, chunks, DCG_DENSE_AT_CHUNKS);
DCG_LIES_AT(dcg_conv_dense, gap, DCG_DENSE_AT_CHUNKS + 4);
DCG_LIES_AT(dcg_conv_dense, weights, DCG_DENSE_AT_WEIGHTS);
DCG_LIES_AT(dcg_conv_dense, bias, DCG_DENSE_AT_BIAS);
DCG_LIES_AT(dcg_conv_dense, out, DCG_DENSE_AT_OUT);
DCG_LIES_AT(dcg_conv_dense, requant, DCG_DENSE_AT_REQUANT);
DCG_ASSERT(dcg_conv_dense_has_code_for_a_pass, DCG_DENSE_AT_ONCE == 3u && DCG_CHUNK == 16u);

/* ---- Convolution by events: dcg_conv_events.c, dcg_conv_events_dsp.c ---- */

/* One filter over the events of a step's input: its bytes that are not zero. */
typedef struct dcg_conv_events {
    uint32_t *sums;       /* [8 * eights + 1] of each position, and one that is no position's; the filter's
                           * outputs come to lie here, a byte each */
    const uint32_t *list; /* taps: four times the channel and the weight; last a tap of channel `channels` */
    const uint32_t *starts; /* [channels + 1] where each channel's events begin, and where none are left */
    uint32_t bias;          /* what every sum begins with */
    uint32_t eights;        /* positions of the step, in eights, rounded up */
    int32_t mult;           /* of the requantization, as in dcg_requant */
    int32_t zero_point;     /* byte that means 0.0 in the output */
    const uint32_t *lists;  /* the events of all channels, see dcg_conv_events_entry */
    const dcg_requant *requant; /* all of the requantization, for C */
} dcg_conv_events;

#define DCG_EVENTS_AT_LIST 4
#define DCG_EVENTS_AT_BIAS 12
#define DCG_EVENTS_AT_EIGHTS 16
#define DCG_EVENTS_AT_MULT 20
DCG_LIES_AT(dcg_conv_events, sums, 0);
DCG_LIES_AT(dcg_conv_events, list, DCG_EVENTS_AT_LIST);
DCG_LIES_AT(dcg_conv_events, starts, DCG_EVENTS_AT_LIST + 4);
DCG_LIES_AT(dcg_conv_events, bias, DCG_EVENTS_AT_BIAS);
DCG_LIES_AT(dcg_conv_events, eights, DCG_EVENTS_AT_EIGHTS);
DCG_LIES_AT(dcg_conv_events, mult, DCG_EVENTS_AT_MULT);
DCG_LIES_AT(dcg_conv_events, zero_point, DCG_EVENTS_AT_MULT + 4);

/* The threaded lists of events: entry n of 1 .. DCG_EVENT_GROUP stands ahead of n events of two words each,
 * where the position's sum is and the input byte (with vectors, DCG_EVENTS_BESIDE of the first and as many of
 * the second). Entry 0 ends a channel's list, DCG_EVENTS_DONE the filter. */
#define DCG_EVENTS_DONE (DCG_EVENT_GROUP + 1u)
extern const uint32_t dcg_conv_events_entry[DCG_EVENTS_DONE + 1u];
DCG_ASSERT(dcg_conv_events_has_code_for_each_group,
           DCG_EVENT_GROUP == 8u && DCG_EVENTS_DONE == 9u && DCG_VECTOR_EVENTS == 4u);

#endif
