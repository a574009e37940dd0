/* Packed convolution by dot products over channels, zeros included: for cores with Helium (MVE) and layers
 * that keep more than about half of their weights.
 *
 * Channels of a position lie side by side, bytes less 128, so that VMLADAVA.S8 takes sixteen of them at once.
 * What the 128 takes away is added to the bias. Two filters and three positions a pass: each chunk of weights
 * is loaded for three dot products, each chunk of inputs for two. */
#include "dcg_conv_packed.h"

#if DCG_DENSE

int dcg_conv_dense_suits(const dcg_job *job, const dcg_weights *weights, const dcg_conv_strip *strip) {
    const dcg_node *node = job->node;
    const dcg_packing *p = &node->packing;
    uint32_t channels = weights->group_channels, row = channels * weights->places;
    if (node->groups != 1u || node->stride_h != 1u || node->stride_w != 1u) return 0;
    if (channels % DCG_CHUNK != 0 || channels > DCG_MOST_BESIDE || weights->largest > 127u) return 0;
    /* One row of weights takes the place of lists by level; another, and a line, lie behind the input. */
    if (row > 2u * job->net->plan->scratch.tap_capacity) return 0;
    if (4u * channels * dcg_conv_plane_words(p, strip) + row + strip->count > 4u * p->words) return 0;
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

#if DCG_HELIUM
/* clang-format off */

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_WORDS 0 /* offsets in dcg_conv_dense */
#define AT_PIXEL 4
#define AT_KERNEL_ROWS 8
#define AT_PASSES 12
#define AT_CHUNKS 16
#define AT_GAP 20
#define AT_WEIGHTS 24
#define AT_BIAS 32
#define AT_OUT 40
#define AT_REQUANT 48
typedef char dcg_conv_dense_is_laid_out_so[offsetof(dcg_conv_dense, words) == AT_WORDS && offsetof(dcg_conv_dense, pixel) == AT_PIXEL &&
                                              offsetof(dcg_conv_dense, kernel_rows) == AT_KERNEL_ROWS &&
                                              offsetof(dcg_conv_dense, passes) == AT_PASSES &&
                                              offsetof(dcg_conv_dense, chunks) == AT_CHUNKS &&
                                              offsetof(dcg_conv_dense, gap) == AT_GAP &&
                                              offsetof(dcg_conv_dense, weights) == AT_WEIGHTS &&
                                              offsetof(dcg_conv_dense, bias) == AT_BIAS && offsetof(dcg_conv_dense, out) == AT_OUT &&
                                              offsetof(dcg_conv_dense, requant) == AT_REQUANT &&
 sizeof(dcg_requant) == 16 && offsetof(dcg_requant, mult) == 0 && offsetof(dcg_requant, zero_point) == 4
                                          ? 1
                                          : -1];

/* A position's chunk, at a register, to both filters' sums. */
#define DOT(at, q, sum, other) \
    "  vldrb.u8 " q ", [" at "], #16\n" \
    "  vmladava.s8 " sum ", q0, " q "\n" \
    "  vmladava.s8 " other ", q1, " q "\n"

#define STORE(sum, mult, zero_point, out) /* zero_point + (sum * mult + 2^31 >> 32), to a byte */ \
    "  smmlar " sum ", " sum ", " mult ", " zero_point "\n" \
    "  usat " sum ", #8, " sum "\n" \
    "  strb " sum ", [" out "], #1\n"

/* On the stack: the record's address, rows of the kernel left. Sums r0, r2, r4 and r6, r8, r10, of the positions at
 * r1, r3, r5; weights at r7 and r9; chunks r11 and gap r12. */
__attribute__((naked)) static void dcg_conv_dense_dot(dcg_conv_dense *d) {
    (void)d;
    __asm__(
        "  push {r0, r1, r4-r11, lr}\n"
        "1:\n"
        "  ldr lr, [sp]\n"
        "  ldm lr, {r1, r2, r12}\n" /* words, pixel, kernel_rows */
        "  add r3, r1, r2\n"
        "  add r5, r3, r2\n"
        "  add r0, r5, r2\n"
        "  str r0, [lr]\n" /* the next pass's words */
        "  str r12, [sp, #4]\n"
        "  ldrd r11, r12, [lr, #" STR(AT_CHUNKS) "]\n"
        "  ldrd r7, r9, [lr, #" STR(AT_WEIGHTS) "]\n"
        "  ldrd r0, r6, [lr, #" STR(AT_BIAS) "]\n"
        "  mov r2, r0\n"
        "  mov r4, r0\n"
        "  mov r8, r6\n"
        "  mov r10, r6\n"
        "2:\n"
        "  dls lr, r11\n"
        "3:\n"
        "  vldrb.u8 q0, [r7], #16\n"
        "  vldrb.u8 q1, [r9], #16\n"
        DOT("r1", "q2", "r0", "r6") DOT("r3", "q3", "r2", "r8") DOT("r5", "q2", "r4", "r10")
        "  le lr, 3b\n"
        "  ldr lr, [sp, #4]\n"
        "  subs lr, #1\n"
        "  beq 4f\n"
        "  str lr, [sp, #4]\n"
        "  add r1, r12\n"
        "  add r3, r12\n"
        "  add r5, r12\n"
        "  b 2b\n"
        "4:\n"
        "  ldr lr, [sp]\n"
        "  ldrd r11, r12, [lr, #" STR(AT_OUT) "]\n"
        "  ldrd r1, r3, [lr, #" STR(AT_REQUANT) "]\n" /* mult, zero point */
        "  ldrd r5, r7, [lr, #" STR(AT_REQUANT) "+16]\n"
        STORE("r0", "r1", "r3", "r11") STORE("r2", "r1", "r3", "r11") STORE("r4", "r1", "r3", "r11")
        STORE("r6", "r5", "r7", "r12") STORE("r8", "r5", "r7", "r12") STORE("r10", "r5", "r7", "r12")
        "  strd r11, r12, [lr, #" STR(AT_OUT) "]\n"
        "  ldr r0, [lr, #" STR(AT_PASSES) "]\n"
        "  subs r0, #1\n"
        "  str r0, [lr, #" STR(AT_PASSES) "]\n"
        "  bne 1b\n"
        "  pop {r0, r1, r4-r11, pc}\n");
}

/* clang-format on */

void dcg_conv_dense_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to) {
    uint32_t eight = 8u * pixel;
    __asm__ volatile("  mov r0, #0\n"
                     "  vidup.u16 q1, r0, #1\n"
                     "  vmul.i16 q1, q1, %3\n" /* the places of eight positions' bytes */
                     "  vmov.i16 q2, #128\n"
                     "  wlstp.16 lr, %2, 2f\n"
                     "1: vldrb.u16 q0, [%0], #8\n"
                     "  veor q0, q0, q2\n"
                     "  vstrb.16 q0, [%1, q1]\n"
                     "  add %1, %4\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+l"(line), "+r"(to)
                     : "r"(count), "r"(pixel), "r"(eight)
                     : "r0", "lr", "q0", "q1", "q2", "memory");
}
#else
/* Their twins in portable C. */
static uint32_t dot(const dcg_conv_dense *d, const uint8_t *weights, uint32_t at) {
    uint32_t sum = 0;
    for (uint32_t row = 0; row < d->kernel_rows; row++, at += d->gap)
        for (uint32_t n = DCG_CHUNK * d->chunks; n > 0; n--)
            sum += (uint32_t)(dcg_load_i8(d->words + at++) * dcg_load_i8(weights++));
    return sum;
}

static void dcg_conv_dense_dot(dcg_conv_dense *d) {
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

/* Passes from position first on. */
static void run(dcg_conv_dense *d, const uint8_t *planes, uint32_t first, uint32_t passes) {
    d->words = planes + first * d->pixel;
    d->out[0] = d->line[0] + first;
    d->out[1] = d->line[1] + first;
    d->passes = passes;
    if (passes > 0) dcg_conv_dense_dot(d);
}

void dcg_conv_dense_run(dcg_conv_dense *d, const uint8_t *planes, uint32_t positions) {
    run(d, planes, 0, positions / DCG_DENSE_AT_ONCE);
    if (positions % DCG_DENSE_AT_ONCE == 0) return;
    /* The last pass begins ahead of the positions that are left; a strip has room for one. */
    run(d, planes, positions < DCG_DENSE_AT_ONCE ? 0 : positions - DCG_DENSE_AT_ONCE, 1);
}
#else
typedef int dcg_conv_dense_is_for_other_cores;
#endif
