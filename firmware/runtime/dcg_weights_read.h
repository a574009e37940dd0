/* The decoder's inner loops: plain entries of a decoding table become taps. Not for the application. */
#ifndef DCG_READER_H
#define DCG_READER_H

#include "dcg_internal.h"

/* Where the decoder is in a filter. The order of the fields is known to dcg_weights_read_dsp.c. */
typedef struct dcg_weights_reader {
    const uint8_t *stream;
    const uint32_t *table;
    const int16_t *levels;
    uint32_t step;  /* from a channel's first word to the next one's */
    uint32_t *list; /* of taps */
    uint32_t bit;   /* of the stream */
    uint32_t left;  /* weights until the kernel's next place */
    uint32_t last;  /* first word of a tap of this place's last channel */
    uint32_t n;     /* taps in the list; or the next one's number in its chains */
    uint32_t mask;  /* of the bits that the table is entered with */
    uint32_t end;   /* where n is to stop, or one behind; each filler brings it nearer by one */
} dcg_weights_reader;

/* Read entries as long as n is below end and they are plain or fillers in this place of the kernel; so many
 * bits must be in the stream for each. Return whether one of another place has stopped them. */
uint32_t dcg_weights_read_list(dcg_weights_reader *reader);
uint32_t dcg_weights_read_chains(dcg_weights_reader *reader);

/* Adds a tap of a weight to the list, or to its chain, at the reader's place. */
static inline void dcg_weights_list_tap(dcg_weights_reader *r, int32_t weight) {
    uint32_t *tap = r->list + 2u * r->n++;
    tap[0] = r->last - r->left * r->step;
    tap[1] = (uint32_t)weight;
}

static inline void dcg_weights_chain_tap(dcg_weights_reader *r, int32_t weight) {
    uint16_t *heads = (void *)r->list;
    r->list[r->n] = (r->last - r->left * r->step) | (uint32_t)heads[weight] << 16;
    heads[weight] = (uint16_t)r->n++;
}

#endif
