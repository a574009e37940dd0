/* Packed convolution by dot products over channels, zeros included: for cores with Helium (MVE) and layers
 * that keep more than about four tenths of their weights.
 *
 * Channels of a position lie side by side, bytes less 128, so that VMLADAVA.S8 takes sixteen of them at once.
 * What the 128 takes away is added to the bias. Six positions a pass: a chunk of weights is loaded once for
 * all of them. */
#include "dcg_packed.h"

#if DCG_DENSE

/* Writes the filter's taps into a row of weights, at their places and channels; their sum. */
static uint32_t spread(const dcg_dense *d, const uint32_t *list, uint32_t n_taps) {
    uint8_t *weights = d->weights;
    uint32_t *words = (void *)weights, total = 0;
    for (const uint32_t *end = words + 4u * d->chunks * d->kernel_rows; words < end; words += 4)
        words[0] = words[1] = words[2] = words[3] = 0;
    for (const uint32_t *end = list + 2u * n_taps; list < end; list += 2) {
        weights[list[0]] = (uint8_t)list[1];
        total += list[1];
    }
    return total;
}

#if DCG_HELIUM
/* clang-format off */

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_PIXEL 4 /* offsets in dcg_dense */
#define AT_OUT 12
#define AT_CHUNKS 20
#define AT_GAP 28
#define AT_BIAS 32
typedef char dcg_dense_is_laid_out_so[offsetof(dcg_dense, pixel) == AT_PIXEL && offsetof(dcg_dense, weights) == 8 &&
                                              offsetof(dcg_dense, out) == AT_OUT &&
                                              offsetof(dcg_dense, passes) == 16 &&
                                              offsetof(dcg_dense, chunks) == AT_CHUNKS &&
                                              offsetof(dcg_dense, kernel_rows) == 24 &&
                                              offsetof(dcg_dense, gap) == AT_GAP &&
                                              offsetof(dcg_dense, bias) == AT_BIAS &&
                                              offsetof(dcg_dense, mult) == 36 && offsetof(dcg_dense, zero_point) == 40
                                          ? 1
                                          : -1];

#define DOT(sum, at, q) \
    "  vldrb.u8 " q ", [" at "], #16\n" \
    "  vmladava.s8 " sum ", q0, " q "\n"

#define STORE(sum) /* zero_point + (sum * mult + 2^31 >> 32), to a byte */ \
    "  smmlar " sum ", " sum ", r1, r3\n" \
    "  usat " sum ", #8, " sum "\n" \
    "  strb " sum ", [r12], #1\n"

/* On the stack: the record's address, rows of the kernel left. Sums r0, r2, .. r10, their positions' bytes at r1,
 * r3, .. r11, weights at r12. */
__attribute__((naked)) static void dcg_dense_dot(dcg_dense *d) {
    (void)d;
    __asm__(
        "  push {r0, r1, r4-r11, lr}\n"
        "1:\n"
        "  ldr lr, [sp]\n"
        "  ldm lr, {r1, r2, r12}\n" /* words, pixel, weights */
        "  add r3, r1, r2\n"
        "  add r5, r3, r2\n"
        "  add r7, r5, r2\n"
        "  add r9, r7, r2\n"
        "  add r11, r9, r2\n"
        "  add r0, r11, r2\n"
        "  str r0, [lr]\n" /* the next pass's words */
        "  ldr r0, [lr, #" STR(AT_BIAS) "]\n"
        "  mov r2, r0\n"
        "  mov r4, r0\n"
        "  mov r6, r0\n"
        "  mov r8, r0\n"
        "  ldrd r10, lr, [lr, #" STR(AT_CHUNKS) "]\n"
        "  str lr, [sp, #4]\n" /* kernel_rows */
        "  mov lr, r10\n"
        "  mov r10, r0\n"
        "  dls lr, lr\n"
        "2:\n"
        "  vldrb.u8 q0, [r12], #16\n"
        DOT("r0", "r1", "q1") DOT("r2", "r3", "q2") DOT("r4", "r5", "q3")
        DOT("r6", "r7", "q1") DOT("r8", "r9", "q2") DOT("r10", "r11", "q3")
        "  le lr, 2b\n"
        "  ldr lr, [sp, #4]\n"
        "  subs lr, #1\n"
        "  beq 3f\n"
        "  str lr, [sp, #4]\n"
        "  ldr lr, [sp]\n"
        "  ldr lr, [lr, #" STR(AT_GAP) "]\n"
        "  add r1, lr\n"
        "  add r3, lr\n"
        "  add r5, lr\n"
        "  add r7, lr\n"
        "  add r9, lr\n"
        "  add r11, lr\n"
        "  ldr lr, [sp]\n"
        "  ldr lr, [lr, #" STR(AT_CHUNKS) "]\n"
        "  dls lr, lr\n"
        "  b 2b\n"
        "3:\n"
        "  ldr lr, [sp]\n"
        "  ldr r12, [lr, #" STR(AT_OUT) "]\n"
        "  ldrd r1, r3, [lr, #36]\n" /* mult, zero point */
        STORE("r0") STORE("r2") STORE("r4") STORE("r6") STORE("r8") STORE("r10")
        "  str r12, [lr, #" STR(AT_OUT) "]\n"
        "  ldr r0, [lr, #16]\n"
        "  subs r0, #1\n"
        "  str r0, [lr, #16]\n"
        "  bne 1b\n"
        "  pop {r0, r1, r4-r11, pc}\n");
}

/* clang-format on */

void dcg_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to) {
    uint32_t eight = 8u * pixel;
    __asm__ volatile("  mov r0, #0\n"
                     "  vidup.u16 q1, r0, #1\n"
                     "  vmul.i16 q1, q1, %3\n"
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
static void dcg_dense_dot(dcg_dense *d) {
    for (; d->passes > 0; d->passes--, d->words += DCG_DENSE_AT_ONCE * d->pixel) {
        for (uint32_t i = 0; i < DCG_DENSE_AT_ONCE; i++) {
            const uint8_t *weights = d->weights;
            uint32_t sum = d->bias, at = i * d->pixel;
            for (uint32_t row = 0; row < d->kernel_rows; row++, at += d->gap)
                for (uint32_t n = 16u * d->chunks; n > 0; n--)
                    sum += (uint32_t)(dcg_load_i8(d->words + at++) * dcg_load_i8(weights++));
            *d->out++ = dcg_requantise(dcg_signed(sum), d->requant);
        }
    }
}

void dcg_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to) {
    for (uint32_t i = 0; i < count; i++, to += pixel)
        *to = line[i] ^ 0x80u;
}
#endif

void dcg_dense_run(dcg_dense *d, const uint32_t *list, uint32_t n_taps, uint32_t positions) {
    const uint8_t *words = d->words;
    uint8_t *out = d->out;
    d->bias += 128u * spread(d, list, n_taps);
    d->passes = positions / DCG_DENSE_AT_ONCE;
    if (d->passes > 0) dcg_dense_dot(d);
    if (positions % DCG_DENSE_AT_ONCE == 0) return;
    /* The last pass begins ahead of the positions that are left; a strip has room for one. */
    uint32_t first = positions < DCG_DENSE_AT_ONCE ? 0 : positions - DCG_DENSE_AT_ONCE;
    d->words = words + first * d->pixel;
    d->out = out + first;
    d->passes = 1;
    dcg_dense_dot(d);
}

int dcg_dense_suits(const dcg_job *job, const dcg_weights *weights) {
    const dcg_node *node = job->node;
    uint32_t row = weights->group_channels * weights->places;
    uint32_t room = 2u * job->net->plan->scratch.tap_capacity; /* of scratch.runs, in bytes */
    if (node->groups != 1u || node->stride_h != 1u || node->stride_w != 1u) return 0;
    if (weights->group_channels % 16u != 0 || weights->largest > 127u || row > room) return 0;
    return DCG_DENSE_ENTRY * weights->entries_left >
           (DCG_DENSE_WEIGHT * row + DCG_DENSE_FILTER) * node->out_channels;
}
#else
typedef int dcg_dense_is_for_other_cores;
#endif
