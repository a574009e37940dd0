/* Packed convolution by levels, which adds before it multiplies: the list of a filter's taps by magnitude,
 * and the kernel in portable C.
 *
 * With taps in the order of ascending magnitudes m1 < m2 < ... and S1, S2, ... the sums of all inputs up to
 * each magnitude's last tap, the filter's sum is
 *
 *     m1 S1 + m2 (S2 - S1) + ... + mn (Sn - S(n-1))  =  (m1 - m2) S1 + (m2 - m3) S2 + ... + mn Sn
 *
 * so that sums need not be cleared between magnitudes. A tap of weight -m reads 255 - a in place of a, and
 * the bias is lowered by 255 m: then it belongs to the magnitude's run as those of weight m do. */
#include "dcg_conv_packed.h"

/* ---- Classes: the different magnitudes of a codebook ---- */

/* Puts a magnitude where it belongs among n ascending ones, if it is new. Returns how many there are then. */
static uint32_t insert(uint16_t *magnitudes, uint32_t n, uint16_t magnitude) {
    uint32_t i = n;
    while (i > 0 && magnitudes[i - 1u] > magnitude)
        i--;
    if (i > 0 && magnitudes[i - 1u] == magnitude) return n;
    for (uint32_t k = n; k > i; k--)
        magnitudes[k] = magnitudes[k - 1u];
    magnitudes[i] = magnitude;
    return n + 1u;
}

static uint16_t magnitude_of(int16_t level) {
    int32_t value = level;
    return (uint16_t)(value < 0 ? -value : value);
}

int dcg_conv_levels_suit(dcg_conv_classes *classes, const dcg_weights *w, uint32_t n_planes,
                         uint32_t plane_words) {
    classes->n = 0;
    if (w->largest > INT16_MAX) return 0;                          /* a difference is an int16_t */
    if (w->max_taps > UINT16_MAX - DCG_MAX_CLASSES - 1u) return 0; /* a tap's number is a uint16_t, */
    if (2u * n_planes * plane_words > DCG_FAR_WORDS) return 0;     /* and so is its address in words */
    for (uint32_t i = 0; i < w->n_levels; i++) {
        if (w->levels[i] == 0) continue;
        classes->n = insert(classes->magnitudes, classes->n, magnitude_of(w->levels[i]));
        if (classes->n > DCG_MAX_CLASSES) return 0;
    }
    /* The chains' heads and taps, n + 1 + max_taps words, lie in memory of 2 * max_taps words. */
    if (classes->n >= w->max_taps) return 0;
    uint32_t splits = w->max_taps / DCG_MOST_ADDED;        /* runs that end as the sums are full */
    if (classes->n + splits + 1u > DCG_MAX_RUNS) return 0; /* one more may make their number even */
    /* By levels a tap saves instructions, and a run costs some: enough taps a magnitude are needed. */
    return w->entries_left / w->node->out_channels > DCG_TAPS_A_CLASS * classes->n;
}

void dcg_conv_levels_relabel(const dcg_conv_classes *classes, dcg_weights *w, int16_t *levels) {
    w->form = DCG_WEIGHTS_CHAINS;
    w->first_tap = classes->n + 1u;
    for (uint32_t i = 0; i < w->n_levels; i++) {
        if (levels[i] == 0) continue;
        uint32_t class = 0;
        while (classes->magnitudes[class] != magnitude_of(levels[i]))
            class++;
        levels[i] = (int16_t)(2u * class + (levels[i] < 0 ? 2u : 1u));
    }
}

/* ---- The list of one filter ---- */

/* A list under construction. A run, the taps of one magnitude, is made of pieces: an entry and as many taps
 * as it says. */
typedef struct builder {
    dcg_conv_levels *levels;
    const uint32_t *taps; /* the filter's chains, by number, see dcg_weights */
    uint32_t after_push;  /* row of dcg_conv_levels_entry for the next entry: 1 behind a push, else 0 */
    int16_t *at;          /* where the list goes on */
    int16_t *entry;       /* the present piece's entry, which is written when the piece is complete */
    uint32_t room;        /* taps that still fit the present piece; 0 where there is none */
    uint32_t added;       /* taps since the sums were cleared, those of the present piece not counted */
    int in_run;           /* whether a run has begun and not ended */
    uint32_t n_runs;      /* runs that have ended */
    int16_t *difference;  /* factor of the run that ended last */
} builder;

/* Writes an entry other than a piece's. */
static void put_entry(builder *b, uint32_t what) {
    *b->at++ = dcg_conv_levels_entry[b->after_push][what];
    b->after_push = what == DCG_LEVELS_PUSH;
}

/* Begins a run. Where the sums go on from the run before, that run's factor is now the difference to this
 * magnitude; where they begin anew, at -2^15, the bias makes up for it. */
static void begin_run(builder *b, uint16_t magnitude) {
    if (b->added > 0)
        *b->difference = (int16_t)(*b->difference - magnitude);
    else
        b->levels->bias += (uint32_t)magnitude << 15;
    b->in_run = 1;
}

/* Ends a run, whose factor is its magnitude as long as no other follows. */
static void end_run(builder *b, uint16_t magnitude) {
    put_entry(b, DCG_LEVELS_PUSH);
    *--b->difference = (int16_t)magnitude;
    b->n_runs++;
    b->in_run = 0;
}

/* Begins a piece, and a run if none has begun. Where the sums hold no further input, the run ends, the sums
 * are cleared, and another run of the same magnitude begins. */
static void open_piece(builder *b, uint16_t magnitude) {
    if (b->added == DCG_MOST_ADDED) {
        if (b->in_run) end_run(b, magnitude);
        put_entry(b, DCG_LEVELS_CLEAR);
        b->added = 0;
    }
    if (!b->in_run) begin_run(b, magnitude);
    uint32_t left = DCG_MOST_ADDED - b->added;
    b->room = left < DCG_RUN_TAPS ? left : DCG_RUN_TAPS;
    b->entry = b->at++;
}

/* Writes the entry of the present piece, which has one tap or more. */
static void close_piece(builder *b) {
    uint32_t count = (uint32_t)(b->at - b->entry) - 1u;
    *b->entry = dcg_conv_levels_entry[b->after_push][count];
    b->after_push = 0;
    b->added += count;
    b->room = 0;
}

/* Lists the taps of a chain.
 *
 * number     of the chain's last tap, with which it begins; 0 for an empty chain
 * offset     added to each tap's address, in words
 * magnitude  of the taps' weight
 *
 * Returns how many taps there are. */
static uint32_t put_chain(builder *b, uint32_t number, uint32_t offset, uint16_t magnitude) {
    uint32_t count = 0;
    while (number != 0) {
        if (b->room == 0) {
            if (b->in_run) close_piece(b);
            open_piece(b, magnitude);
        }
        int16_t *at = b->at;
        const int16_t *end = at + b->room;
        do {
            uint32_t tap = b->taps[number];
            *at++ = (int16_t)(tap + offset);
            number = tap >> 16;
        } while (number != 0 && at < end);
        count += (uint32_t)(at - b->at);
        b->room -= (uint32_t)(at - b->at);
        b->at = at;
    }
    return count;
}

void dcg_conv_levels_list(dcg_conv_levels *levels, const dcg_weights *w, const dcg_conv_classes *classes,
                          uint32_t complement, int16_t *list) {
    const uint16_t *heads = (const void *)w->list;
    builder b = {.levels = levels, .taps = w->list, .at = list, .difference = levels->of_runs + DCG_MAX_RUNS};
    for (uint32_t c = 0; c < classes->n; c++) {
        uint16_t magnitude = classes->magnitudes[c];
        put_chain(&b, heads[2u * c + 1u], 0, magnitude);
        levels->bias -= 255u * magnitude * put_chain(&b, heads[2u * c + 2u], complement, magnitude);
        if (!b.in_run) continue;
        close_piece(&b);
        end_run(&b, magnitude);
    }
    while (b.n_runs == 0 || b.n_runs % 2u != 0)
        end_run(&b, 0); /* a run without taps and with factor 0: the kernel multiplies two runs at a time */
    put_entry(&b, DCG_LEVELS_DONE);
    *b.at = (int16_t)(32u * b.n_runs);
    levels->list = list;
    levels->differences = b.difference;
    levels->run_pairs = b.n_runs / 2u;
    DCG_UNROLL
    for (uint32_t i = 0; i < 8u; i++)
        levels->start[i] = levels->bias;
}

/* ---- The kernel in portable C ---- */

#if !DCG_DSP
#define ENTRIES {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, DCG_LEVELS_CLEAR, DCG_LEVELS_DONE}
const int16_t dcg_conv_levels_entry[2][DCG_LEVELS_DONE + 1] = {ENTRIES, ENTRIES};

/* Adds the inputs of some taps to a pass's sums.
 *
 * sum    [8] two a word: [2 i] of bytes 0 and 2 of word i, [2 i + 1] of its bytes 1 and 3, a halfword each
 * words  the pass's first word
 * list   the first of count taps
 *
 * Returns the list behind them. */
static const int16_t *add_taps(uint32_t *sum, const uint8_t *words, const int16_t *list, int16_t count) {
    for (; count > 0; count--) {
        const uint32_t *at = (const void *)(words + 4u * (uint16_t)*list++);
        DCG_UNROLL
        for (uint32_t i = 0; i < 4u; i++) {
            sum[2u * i] += at[i] & 0x00FF00FFu;
            sum[2u * i + 1u] += at[i] >> 8 & 0x00FF00FFu;
        }
    }
    return list;
}

/* Multiplies a run's sums, less the 2^15 by which assembly's are lower.
 *
 * acc         [quarter][word] added to
 * difference  the run's factor */
static void multiply(uint32_t acc[4][4], const uint32_t *sum, int16_t difference) {
    uint32_t factor = (uint32_t)(int32_t)difference;
    DCG_UNROLL
    for (uint32_t i = 0; i < 4u; i++) {
        acc[0][i] += factor * ((sum[2u * i] & 0xFFFFu) - 32768u);
        acc[1][i] += factor * ((sum[2u * i + 1u] & 0xFFFFu) - 32768u);
        acc[2][i] += factor * ((sum[2u * i] >> 16) - 32768u);
        acc[3][i] += factor * ((sum[2u * i + 1u] >> 16) - 32768u);
    }
}

/* Adds a filter's products for the four words at levels->words. */
static void run_pass(const dcg_conv_levels *levels, uint32_t acc[4][4]) {
    const int16_t *list = levels->list;
    const int16_t *difference = levels->differences + 2u * levels->run_pairs;
    uint32_t sum[8] = {0};
    for (;;) {
        int16_t entry = *list++;
        if (entry == DCG_LEVELS_DONE) return;
        if (entry == DCG_LEVELS_PUSH) {
            multiply(acc, sum, *--difference);
        } else if (entry == DCG_LEVELS_CLEAR) {
            DCG_UNROLL
            for (uint32_t i = 0; i < 8u; i++)
                sum[i] = 0;
        } else {
            list = add_taps(sum, levels->words, list, entry);
        }
    }
}

void dcg_conv_levels_run(dcg_conv_levels *levels) {
    for (; levels->passes > 0; levels->passes--, levels->words += 16, levels->out += 4) {
        uint32_t acc[4][4];
        DCG_UNROLL
        for (uint32_t i = 0; i < 16u; i++)
            acc[i / 4u][i % 4u] = levels->bias;
        run_pass(levels, acc);
        DCG_UNROLL
        for (uint32_t quarter = 0; quarter < 4u; quarter++)
            for (uint32_t i = 0; i < 4u; i++)
                levels->out[quarter * levels->quarter + i] =
                    dcg_requantize(dcg_signed(acc[quarter][i]), levels->requant);
    }
}
#endif
