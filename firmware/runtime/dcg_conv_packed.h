/* Convolution on packed planes: what its files share. Not for the application.
 *
 * dcg_conv_packed.c computes a step strip by strip. For each strip dcg_conv_pack.c lays the input out in one
 * of four forms; then every filter is decoded (dcg_weights.c), and a kernel computes its outputs over the
 * strip into a line of bytes, which is copied to the output's rows. Each kernel reads one form:
 *
 *   form                kernel                  its record, in dcg_asm.h
 *   DCG_PACKED_PAIRS    dcg_conv_direct*.c      dcg_conv_direct
 *   DCG_PACKED_FOURS    dcg_conv_levels*.c      dcg_conv_levels
 *   DCG_PACKED_BYTES    dcg_conv_bytes*.c       dcg_conv_bytes
 *   DCG_PACKED_PIXELS   dcg_conv_dense*.c       dcg_conv_dense
 *
 * dcg_conv_events*.c packs nothing; it lists the bytes of a step's input that are not zero. */
#ifndef DCG_CONV_PACKED_H
#define DCG_CONV_PACKED_H

#include "dcg_asm.h"

/* ---- Packing (dcg_conv_pack.c) ---- */

/* The forms of a packed strip, as how many positions lie in a word. */
#define DCG_PACKED_PIXELS 0u /* a position's channels side by side, each byte less 128 (as int8) */
#define DCG_PACKED_BYTES 1u  /* a plane a channel and phase, a byte a position */
#define DCG_PACKED_PAIRS 2u  /* planes of words; a halfword a position, its upper byte 0 */
#define DCG_PACKED_FOURS 4u  /* planes of words; a byte a position */

/* Some output positions of a step, and the form that their input is packed in. */
typedef struct dcg_conv_strip {
    uint32_t first; /* the strip's first position; the step's first output is position 0 */
    uint32_t count; /* positions, a multiple of DCG_AT_ONCE; the last ones may lie behind the step's last */
    uint32_t form;  /* DCG_PACKED_... */
} dcg_conv_strip;

/* Planes of a step's packed input: channels times the phases of the stride. */
uint32_t dcg_conv_planes(const dcg_job *job);

/* 32-bit words of one plane of a strip.
 *
 * In words of f = 2 or 4 positions, word j holds positions j, j + count / f, ... of the strip, the first one
 * lowest: a kernel that reads words j .. j + n computes n positions in f places of the strip at once. A plane
 * ends with the halo, positions that only the strip's last outputs read. Pixels take as many words as if they
 * were planes of bytes. */
static inline uint32_t dcg_conv_plane_words(const dcg_packing *p, const dcg_conv_strip *strip) {
    if (strip->form <= DCG_PACKED_BYTES) return (strip->count + p->halo + 3u) / 4u;
    return strip->count / strip->form + p->halo;
}

/* Packs a strip's input into the arena, at packing.planes.
 *
 * Planes come by channel, then by row and by column of the stride's phase. With DCG_PACKED_FOURS as many
 * planes follow whose bytes are 255 less: what a negative weight reads.
 *
 * Returns where the planes are: in the arena, or the tensor's own memory where it is already in that form. */
const uint8_t *dcg_conv_pack_strip(const dcg_job *job, const dcg_conv_strip *strip);

/* Whether the step's input rows, without anything between or around them, are its packed planes of bytes: a
 * kernel of one position without stride and padding. The tensor's ring of rows may end between two of them.
 */
int dcg_conv_is_plain(const dcg_job *job);

/* ---- Direct: one multiply-accumulate a tap and position ---- */

/* Computes one filter over a strip, and uses the record up.
 *
 * direct   all fields but start and list are set; ahead of taps there are room words, into which, and over
 *          the taps, assembly's list is written
 * room     that number of words
 * largest  largest magnitude of the layer's weights; above DCG_SHORT_SUM the portable twin runs */
void dcg_conv_direct_run(dcg_conv_direct *direct, uint32_t room, uint32_t largest);

/* The same in C for weights of any size. Reads taps, n_taps and requant in place of list, start and mult. */
void dcg_conv_direct_portable(const dcg_conv_direct *direct);

/* ---- By levels: inputs of equal weights are added, then multiplied once ---- */

/* The different magnitudes of a layer's levels. */
typedef struct dcg_conv_classes {
    uint32_t n;                                /* how many, 0 .. DCG_MAX_CLASSES */
    uint16_t magnitudes[DCG_MAX_CLASSES + 1u]; /* ascending, 1 .. 32767; one place more to find too many */
} dcg_conv_classes;

/* Finds the magnitudes of the layer's levels, and whether the kernel suits the layer.
 *
 * classes      written
 * weights      opened, nothing decoded yet
 * n_planes     of the packed input, complements not counted
 * plane_words  of each of them
 *
 * Returns 1 where the kernel can work with the layer and is faster than the direct one, else 0. */
int dcg_conv_levels_suit(dcg_conv_classes *classes, const dcg_weights *weights, uint32_t n_planes,
                         uint32_t plane_words);

/* Has the decoder chain taps by level: in place of a weight each level becomes a label, 2 * class + 1 for a
 * positive and 2 * class + 2 for a negative one.
 *
 * weights  opened, nothing decoded yet; its levels are `levels`
 * levels   int16_t[n_levels] in the arena, overwritten; zero stays zero */
void dcg_conv_levels_relabel(const dcg_conv_classes *classes, dcg_weights *weights, int16_t *levels);

/* Makes the kernel's list of the filter that was decoded last.
 *
 * levels      bias is read and completed; start, list, differences and run_pairs are set
 * weights     holds the filter's chains
 * complement  words from a plane to its complement
 * list        written, int16_t[run_halfwords of the plan] */
void dcg_conv_levels_list(dcg_conv_levels *levels, const dcg_weights *weights,
                          const dcg_conv_classes *classes, uint32_t complement, int16_t *list);

/* Computes one filter over a strip, and uses the record up. */
void dcg_conv_levels_run(dcg_conv_levels *levels);

/* ---- On bytes: where the two above lack their instructions ---- */

/* Computes one filter over a strip.
 *
 * bytes    all fields but segments and passes are set
 * scratch  written, uint16_t[n_taps + 2]: the segments
 * largest  largest magnitude of the layer's weights: above DCG_SHORT_SUM Helium sums in words */
void dcg_conv_bytes_run(dcg_conv_bytes *bytes, uint16_t *scratch, uint32_t largest);

/* ---- Dense: dot products over channels, zeros included ---- */

/* Whether the kernel can work with the layer, in strips like this one, and is the fastest. */
int dcg_conv_dense_suits(const dcg_job *job, const dcg_weights *weights, const dcg_conv_strip *strip);

/* Sets what is the same for all filters of a layer: all but bias, requant and the weights themselves. */
void dcg_conv_dense_open(dcg_conv_dense *dense, const dcg_job *job, const dcg_weights *weights,
                         const dcg_conv_strip *strip);

/* Takes over the filter that was decoded last, with its zeros.
 *
 * which    0 or 1: the place in the pair of filters that the kernel computes together
 * weights  taps at address place in the kernel * channels + channel
 * bias     the filter's, as the golden model has it */
void dcg_conv_dense_filter(dcg_conv_dense *dense, uint32_t which, const dcg_weights *weights, uint32_t bias,
                           const dcg_requant *requant);

/* Writes one channel's bytes into the pixels of a strip, each less 128.
 *
 * line   [count] the channel's bytes, uint8
 * pixel  bytes of a pixel
 * to     the channel's byte in the first pixel; written at to, to + pixel, ..., int8 */
void dcg_conv_dense_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to);

/* Computes both filters over a strip into dense->line.
 *
 * planes     the packed strip
 * positions  outputs that are asked for, 1 at least; a last pass may compute up to two more */
void dcg_conv_dense_run(dcg_conv_dense *dense, const uint8_t *planes, uint32_t positions);

/* The inner loop, in dcg_conv_dense.c or dcg_conv_dense_helium.c: dense->passes passes from dense->words on.
 * Moves words and out behind what it has read and written, and counts passes down to 0. */
void dcg_conv_dense_dot(dcg_conv_dense *dense);

/* ---- By events: only inputs that are not zero ---- */

/* Lists the events of a step's input, where the layer has kernels of one position and the events are few.
 *
 * events     sums, starts, eights and lists are set, and the lists written to packing.planes; list, bias,
 *            mult, zero_point and requant are left to the caller
 * positions  of the step
 *
 * Returns 1 where the kernel is faster than the others, else 0: then nothing of the record may be used. */
int dcg_conv_events_suit(dcg_conv_events *events, const dcg_job *job, uint32_t positions);

/* Computes one filter over the step; its outputs are the first bytes of sums. */
void dcg_conv_events_run(dcg_conv_events *events);

#endif
