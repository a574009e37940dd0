/* Convolution on packed planes: what its files share. Not for the application. */
#ifndef DCG_PACKED_H
#define DCG_PACKED_H

#include "dcg_internal.h"

#define DCG_PACKED_PIXELS 0u /* channels side by side, bytes less 128, for the dense kernel */
#define DCG_PACKED_BYTES 1u  /* planes of bytes, for the kernel of that name */
#define DCG_PACKED_PAIRS 2u  /* positions in a word for the direct kernel, its halfwords */
#define DCG_PACKED_FOURS 4u  /* positions in a word for the kernel by levels, its bytes */

/* Planes of the packed input. */
uint32_t dcg_conv_planes(const dcg_job *job);

/* Some output positions of a step, and the form that their input is packed in. */
typedef struct dcg_conv_strip {
    uint32_t first; /* position, counted from the step's first row */
    uint32_t count; /* of positions, a multiple of 16; the last ones may lie beyond the step */
    uint32_t fold;  /* DCG_PACKED_BYTES, ... */
} dcg_conv_strip;

/* Words of one plane: word j holds positions j, j + count / fold, ... of the strip. */
static inline uint32_t dcg_conv_plane_words(const dcg_packing *p, const dcg_conv_strip *strip) {
    if (strip->fold <= DCG_PACKED_BYTES) return (strip->count + p->halo + 3u) / 4u;
    return strip->count / strip->fold + p->halo;
}

/* Packs a strip's input; where the planes then are. With DCG_PACKED_FOURS, the complements 255 - a lie behind
 * all of them. */
const uint8_t *dcg_conv_pack_strip(const dcg_job *job, const dcg_conv_strip *strip);

/* Whether a step's input rows are those of its packed planes, without anything between or around them; the
 * tensor's ring may end between two of them. */
int dcg_conv_is_plain(const dcg_job *job);

#define DCG_AT_ONCE 16u /* positions of one pass */

/* ---- Direct: one multiply-accumulate a tap and position ---- */

/* One filter over one strip. The head of the record is laid out for dcg_conv_direct_dsp.c. */
typedef struct dcg_conv_direct {
    uint32_t start[8]; /* what sums of halfwords begin with, 2^15 each */
    int32_t mult;      /* of the requantization */
    int32_t zero_point;
    uint8_t *low, *high;  /* where the outputs of a word's lower and upper position go */
    const uint8_t *words; /* the strip's packed planes, of the filter's first channel */
    const uint32_t *list; /* of groups of taps, each behind its entry, and of ends of segments */
    uint32_t passes;      /* of DCG_AT_ONCE positions */
    uint32_t bias;        /* less what all segments begin with */
    uint32_t *taps;       /* as they were decoded, for the portable twin */
    uint32_t n_taps;
    const dcg_requant *requant;
} dcg_conv_direct;

/* Entries of a list: so many taps, 1 .. DCG_GROUP, or the end of a segment: */
#define DCG_DIRECT_ONLY 0u                /* of the only one */
#define DCG_DIRECT_FIRST (DCG_GROUP + 1u) /* of the first of several */
#define DCG_DIRECT_NEXT (DCG_GROUP + 2u)
#define DCG_DIRECT_LAST (DCG_GROUP + 3u)
extern const uint32_t dcg_conv_direct_entry[DCG_DIRECT_LAST + 1u];

/* Computes the strip and uses up the record. room: words ahead of the taps, which a list may grow into;
 * largest: magnitude of a weight */
void dcg_conv_direct_run(dcg_conv_direct *direct, uint32_t room, uint32_t largest);

/* The same in C, for any weights: what runs where there is nothing faster. */
void dcg_conv_direct_portable(const dcg_conv_direct *direct);

/* ---- By levels: inputs of equal weights are added, then multiplied ---- */

/* The magnitudes of a codebook's levels, ascending. */
typedef struct dcg_conv_classes {
    uint32_t n;
    uint16_t magnitudes[DCG_MAX_CLASSES + 1u];
} dcg_conv_classes;

/* Finds the classes; whether the kernel can work with them, and is faster than the direct one. */
int dcg_conv_levels_suit(dcg_conv_classes *classes, const dcg_weights *weights, uint32_t n_planes,
                         uint32_t plane_words);

/* Puts a label in a level's place, 2 * class + 1, or + 2 if it is negative, and has taps chained by it. */
void dcg_conv_levels_relabel(const dcg_conv_classes *classes, dcg_weights *weights, int16_t *levels);

/* One filter over one strip. The head of the record is laid out for dcg_conv_levels_dsp.c. */
typedef struct dcg_conv_levels {
    uint32_t start[8]; /* bias of eight accumulators */
    int32_t mult;      /* of the requantization */
    int32_t zero_point;
    uint8_t *out;     /* of the strip's first quarter */
    uint32_t quarter; /* positions */
    const uint8_t *words;
    const int16_t *list;        /* of entries and taps' distances in words */
    uint32_t passes;            /* of DCG_AT_ONCE positions */
    const int16_t *differences; /* of each run's level to the next one's, the last run first */
    uint32_t run_pairs;
    uint32_t bias;
    const dcg_requant *requant;
    int16_t of_runs[DCG_MAX_RUNS]; /* differences are the last ones, an even number */
} dcg_conv_levels;

/* Entries of a list: so many taps, 1 .. DCG_RUN_TAPS, or: */
#define DCG_LEVELS_PUSH 0u /* a run ends */
#define DCG_LEVELS_CLEAR (DCG_RUN_TAPS + 1u)
#define DCG_LEVELS_DONE (DCG_RUN_TAPS + 2u) /* followed by 32 times the runs */

/* [0] behind taps and DCG_LEVELS_CLEAR, [1] behind DCG_LEVELS_PUSH. */
extern const int16_t dcg_conv_levels_entry[2][DCG_LEVELS_DONE + 1u];

/* Makes the list of the filter decoded last, completes bias. complement: distance of a plane's complement, in
 * words. list: int16_t[the plan's run_halfwords]. */
void dcg_conv_levels_list(dcg_conv_levels *levels, const dcg_weights *weights,
                          const dcg_conv_classes *classes, uint32_t complement, int16_t *list);

/* Computes the strip and uses up the record. */
void dcg_conv_levels_run(dcg_conv_levels *levels);

/* ---- On bytes: where neither of the above has its instructions ---- */

/* One filter over one strip. The head of the record is laid out for dcg_conv_bytes_helium.c. */
typedef struct dcg_conv_bytes {
    const uint8_t *words; /* the strip's planes, of the filter's first channel */
    const uint32_t *list; /* of taps */
    const uint16_t *segments;
    uint8_t *out;
    uint32_t passes; /* of one of the kernels */
    uint32_t bias;
    int32_t mult;
    int32_t zero_point;
    uint32_t n_taps;
    uint32_t positions; /* a multiple of DCG_AT_ONCE has room */
    const dcg_requant *requant;
} dcg_conv_bytes;

/* Computes the strip. scratch: uint16_t[n_taps + 2]; largest: magnitude of a weight */
void dcg_conv_bytes_run(dcg_conv_bytes *bytes, uint16_t *scratch, uint32_t largest);

/* ---- Dense: dot products over channels, zeros included ---- */

#define DCG_DENSE_AT_ONCE 3u /* positions of one pass */

/* Two filters over one strip. The head of the record is laid out for the assembly of dcg_conv_dense.c. */
typedef struct dcg_conv_dense {
    const uint8_t *words; /* the strip's packed input, of the pass's first position */
    uint32_t pixel;       /* bytes of a position, the channels */
    uint32_t kernel_rows;
    uint32_t passes;
    uint32_t chunks;     /* in a row of the kernel */
    uint32_t gap;        /* bytes from the end of a row of the kernel to the next one's begin */
    uint8_t *weights[2]; /* by place and channel */
    uint32_t bias[2];
    uint8_t *out[2];
    dcg_requant requant[2];
    uint8_t *line[2]; /* where each filter's outputs are */
} dcg_conv_dense;

/* Whether the kernel can work with the layer, in strips like this one, and is the fastest. */
int dcg_conv_dense_suits(const dcg_job *job, const dcg_weights *weights, const dcg_conv_strip *strip);

/* Gets ready for a layer's filters. */
void dcg_conv_dense_open(dcg_conv_dense *dense, const dcg_job *job, const dcg_weights *weights,
                         const dcg_conv_strip *strip);

/* Takes the filter decoded last, its taps by place and channel, as the first or the second. */
void dcg_conv_dense_filter(dcg_conv_dense *dense, uint32_t which, const dcg_weights *weights, uint32_t bias,
                           const dcg_requant *requant);

/* Writes a plane's line into every position's place for it. */
void dcg_conv_dense_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to);

/* Computes both filters' lines of the strip, of so many positions. */
void dcg_conv_dense_run(dcg_conv_dense *dense, const uint8_t *planes, uint32_t positions);

/* ---- By events: only inputs that are not zero ---- */

#define DCG_EVENTS_DONE (DCG_EVENT_GROUP + 1u) /* entry of the channel behind the last one */

/* A step's input, and one filter over it. The head of the record is laid out for dcg_conv_events_dsp.c. */
typedef struct dcg_conv_events {
    uint32_t *sums;         /* [8 * eights + 1], one a position; the filter's bytes come to lie there */
    const uint32_t *list;   /* of taps, and one of the channel behind the last one */
    const uint32_t *starts; /* [channels + 1] where each channel's list is */
    uint32_t bias;
    uint32_t eights; /* of positions */
    int32_t mult;    /* of the requantization */
    int32_t zero_point;
    const uint32_t *lists;
    const dcg_requant *requant;
} dcg_conv_events;

/* What stands ahead of a group of so many events, 0 ends a channel's list. */
extern const uint32_t dcg_conv_events_entry[DCG_EVENTS_DONE + 1u];

/* Lists the events of a step of so many positions; whether they are few enough. */
int dcg_conv_events_suit(dcg_conv_events *events, const dcg_job *job, uint32_t positions);

/* Computes the filter. */
void dcg_conv_events_run(dcg_conv_events *events);

#endif
