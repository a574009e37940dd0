/* The decoder's inner loops: plain entries of a decoding table become taps. Not for the application. */
#ifndef DCG_WEIGHTS_READ_H
#define DCG_WEIGHTS_READ_H

#include "dcg_asm.h"

/* Read codes for as long as each is a plain entry or a filler (in assembly also where it is the escape of a
 * weight, if there are enough codes ahead of reader->end), belongs to the present place in the kernel, and
 * fewer taps than reader->end are there. Taps go to a list, to chains by the level's label, or to an array.
 *
 * reader  read and written; the stream holds DCG_MAX_CODE_BITS for each code up to reader->end and one more
 *
 * Return 1 where the next entry belongs to a later place in the kernel, 0 where something else has stopped
 * them: enough taps, or an entry of another kind. */
uint32_t dcg_weights_read_list(dcg_weights_reader *reader);
uint32_t dcg_weights_read_chains(dcg_weights_reader *reader);
uint32_t dcg_weights_read_array(dcg_weights_reader *reader);

/* Adds a tap at the reader's place to its list.
 *
 * weight  of the tap, not zero */
static inline void dcg_weights_list_tap(dcg_weights_reader *r, int32_t weight) {
    uint32_t *tap = r->list + 2u * r->n++;
    tap[0] = r->last - r->left * r->step;
    tap[1] = (uint32_t)weight;
}

/* The same to the chain of a label.
 *
 * label  1 .. 2 * DCG_MAX_CLASSES */
static inline void dcg_weights_chain_tap(dcg_weights_reader *r, int32_t label) {
    uint16_t *heads = (void *)r->list;
    r->list[r->n] = (r->last - r->left * r->step) | (uint32_t)heads[label] << 16;
    heads[label] = (uint16_t)r->n++;
}

/* The same to an array of zeros, int16_t, at the tap's address; one channel more adds 1 to that. */
static inline void dcg_weights_array_tap(dcg_weights_reader *r, int32_t weight) {
    int16_t *array = (void *)r->list;
    array[r->last - r->left] = (int16_t)weight;
    r->n++;
}

/* Adds a tap to what is made of taps.
 *
 * form  DCG_WEIGHTS_... */
static inline void dcg_weights_tap(dcg_weights_reader *r, uint32_t form, int32_t weight) {
    if (form == DCG_WEIGHTS_LIST)
        dcg_weights_list_tap(r, weight);
    else if (form == DCG_WEIGHTS_CHAINS)
        dcg_weights_chain_tap(r, weight);
    else
        dcg_weights_array_tap(r, weight);
}

#endif
