/* Packed convolution, dense: dot products over channels, zeros included. For cores with Helium and layers
 * that keep more than about half of their weights; the inner loop in portable C.
 *
 * A position's channels lie side by side, as a pixel, each byte less 128, so that one instruction multiplies
 * sixteen of them as signed bytes. As sum w (a - 128) = sum w a - 128 sum w, the bias makes up for the 128.
 * Two filters and three positions a pass: each chunk of weights is loaded for three dot products, each chunk
 * of inputs for two. */
#include "dcg_conv_packed.h"

#if DCG_DENSE

int dcg_conv_dense_suits(const dcg_job *job, const dcg_weights *weights, const dcg_conv_strip *strip) {
    const dcg_node *node = job->node;
    const dcg_packing *p = &node->packing;
    uint32_t channels = weights->group_channels, row = channels * weights->places; /* weights of a filter */
    if (node->groups != 1u || node->stride_h != 1u || node->stride_w != 1u) return 0;
    if (channels % DCG_CHUNK != 0 || channels > DCG_MOST_BESIDE || weights->largest > 127u) return 0;
    /* One filter's weights take the place of the lists by level; the other's, and its line, lie behind the
     * packed input. */
    if (row > 2u * job->net->plan->scratch.tap_capacity) return 0;
    if (4u * channels * dcg_conv_plane_words(p, strip) + row + strip->count > 4u * p->words) return 0;
    /* What entries cost another kernel, against what all weights and the filters cost this one. */
    return DCG_DENSE_ENTRY * weights->entries_left >
           (DCG_DENSE_WEIGHT * row + DCG_DENSE_FILTER) * node->out_channels;
}

void dcg_conv_dense_open(dcg_conv_dense *d, const dcg_job *job, const dcg_weights *weights,
                         const dcg_conv_strip *strip) {
    const dcg_node *node = job->node;
    const dcg_packing *p = &node->packing;
    uint8_t *arena = job->net->arena;
    uint8_t *behind = arena + p->planes + 4u * weights->group_channels * dcg_conv_plane_words(p, strip);
    d->pixel = weights->group_channels;
    d->chunks = d->pixel / DCG_CHUNK * node->kernel_w;
    d->kernel_rows = node->kernel_h;
    d->gap = (uint32_t)(p->pitch - node->kernel_w) * d->pixel;
    d->weights[0] = arena + job->net->plan->scratch.runs;
    d->weights[1] = behind;
    d->line[0] = arena + p->line;
    d->line[1] = behind + d->pixel * weights->places;
}

void dcg_conv_dense_filter(dcg_conv_dense *d, uint32_t which, const dcg_weights *weights, uint32_t bias,
                           const dcg_requant *requant) {
    uint8_t *row = d->weights[which];
    uint32_t *words = (void *)row, total = 0;
    for (const uint32_t *end = words + d->chunks * d->kernel_rows * (DCG_CHUNK / 4u); words < end; words += 4)
        words[0] = words[1] = words[2] = words[3] = 0;
    const uint32_t *tap = weights->list;
    for (const uint32_t *end = tap + 2u * weights->n_taps; tap < end; tap += 2) {
        row[tap[0]] = (uint8_t)tap[1];
        total += tap[1];
    }
    d->bias[which] = bias + 128u * total;
    d->requant[which] = *requant;
}

#if !DCG_HELIUM
/* One filter's sum over a window, without its bias.
 *
 * weights  [kernel_rows][chunks][DCG_CHUNK] of the filter, int8
 * at       byte of the window's first pixel, from d->words on */
static uint32_t dot(const dcg_conv_dense *d, const uint8_t *weights, uint32_t at) {
    uint32_t sum = 0;
    for (uint32_t row = 0; row < d->kernel_rows; row++, at += d->gap)
        for (uint32_t n = DCG_CHUNK * d->chunks; n > 0; n--)
            sum += (uint32_t)(dcg_load_i8(d->words + at++) * dcg_load_i8(weights++));
    return sum;
}

void dcg_conv_dense_dot(dcg_conv_dense *d) {
    for (; d->passes > 0; d->passes--, d->words += DCG_DENSE_AT_ONCE * d->pixel)
        for (uint32_t i = 0; i < DCG_DENSE_AT_ONCE; i++)
            for (uint32_t which = 0; which < 2u; which++) {
                uint32_t sum = d->bias[which] + dot(d, d->weights[which], i * d->pixel);
                *d->out[which]++ = dcg_requantize(dcg_signed(sum), &d->requant[which]);
            }
}

void dcg_conv_dense_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to) {
    for (uint32_t i = 0; i < count; i++, to += pixel)
        *to = line[i] ^ 0x80u;
}
#endif

/* Some passes, 0 or more, from position first on. */
static void run_passes(dcg_conv_dense *d, const uint8_t *planes, uint32_t first, uint32_t passes) {
    d->words = planes + first * d->pixel;
    d->out[0] = d->line[0] + first;
    d->out[1] = d->line[1] + first;
    d->passes = passes;
    if (passes > 0) dcg_conv_dense_dot(d);
}

void dcg_conv_dense_run(dcg_conv_dense *d, const uint8_t *planes, uint32_t positions) {
    run_passes(d, planes, 0, positions / DCG_DENSE_AT_ONCE);
    if (positions % DCG_DENSE_AT_ONCE == 0) return;
    /* The last pass begins ahead of the positions that are left, so that it ends with them; where there are
     * fewer than a pass in all, it goes on behind them, for which a strip has room. */
    run_passes(d, planes, positions < DCG_DENSE_AT_ONCE ? 0 : positions - DCG_DENSE_AT_ONCE, 1);
}
#else
typedef int dcg_conv_dense_is_for_other_cores;
#endif
