/* Packed convolution on planes of bytes, for cores with Helium (MVE).
 *
 * Up to 32 positions a pass, from any address. With weights of eight bits, products are summed in halfwords
 * as long as no sum can overflow (128 in weights' magnitudes) and then added to words; others are summed in
 * words. */
#include "dcg_packed.h"

#if DCG_HELIUM

/* clang-format off */

#define BEGIN \
    "  push {r4-r10, lr}\n" \
    "  vpush {d8-d15}\n" \
    "  mov r10, r0\n" \
    "  ldm r0, {r4-r9}\n" /* words, list, segments, out, passes, bias */

#define END(pass, positions) \
    "  add r4, #" positions "\n" \
    "  subs r8, #1\n" \
    "  bne.w " pass "\n"

#define LEAVE \
    "  vpop {d8-d15}\n" \
    "  pop {r4-r10, pc}\n"

/* A tap: r4 words of the pass, r2 list. Sums of 32 positions in the halfwords of q0..q3, or of 16 in q0 and q1. */
#define TAP_32 \
    "  ldrd r0, r1, [r2], #8\n" /* distance, weight */ \
    "  add r0, r4\n" \
    "  vldrb.u16 q4, [r0]\n" \
    "  vldrb.u16 q5, [r0, #8]\n" \
    "  vldrb.u16 q6, [r0, #16]\n" \
    "  vldrb.u16 q7, [r0, #24]\n" \
    "  vmla.s16 q0, q4, r1\n" \
    "  vmla.s16 q1, q5, r1\n" \
    "  vmla.s16 q2, q6, r1\n" \
    "  vmla.s16 q3, q7, r1\n"

#define TAP_16 \
    "  ldrd r0, r1, [r2], #8\n" \
    "  add r0, r4\n" \
    "  vldrb.u16 q4, [r0]\n" \
    "  vldrb.u16 q5, [r0, #8]\n" \
    "  vmla.s16 q0, q4, r1\n" \
    "  vmla.s16 q1, q5, r1\n"

/* All taps of a segment, r12 of them. */
#define TAPS(tap) \
    "  lsrs r0, r12, #1\n" \
    "  wls lr, r0, 4f\n" \
    "3:\n" \
    tap \
    tap \
    "  le lr, 3b\n" \
    "4:\n" \
    "  tst r12, #1\n" \
    "  beq 5f\n" \
    tap \
    "5:\n"

/* Adds a sum's even and odd halfwords to words on the stack. */
#define SPILL(sum, even, odd) \
    "  vmovlb.s16 q4, " sum "\n" \
    "  vmovlt.s16 q5, " sum "\n" \
    "  vldrw.u32 q6, [sp, #" even "]\n" \
    "  vldrw.u32 q7, [sp, #" odd "]\n" \
    "  vadd.i32 q4, q4, q6\n" \
    "  vadd.i32 q5, q5, q7\n" \
    "  vstrw.32 q4, [sp, #" even "]\n" \
    "  vstrw.32 q5, [sp, #" odd "]\n"

/* Eight words on the stack to bytes: zero_point + (sum * mult + 2^31 >> 32). q7 mult, r1 zero point. */
#define FINISH(even, odd) \
    "  vldrw.u32 q4, [sp, #" even "]\n" \
    "  vldrw.u32 q5, [sp, #" odd "]\n" \
    "  vrmulh.s32 q4, q4, q7\n" \
    "  vrmulh.s32 q5, q5, q7\n" \
    "  vadd.i32 q4, q4, r1\n" \
    "  vadd.i32 q5, q5, r1\n" \
    "  vqmovnb.s32 q4, q4\n" /* even positions below, odd ones on top */ \
    "  vqmovnt.s32 q4, q5\n" \
    "  vqmovunb.s16 q4, q4\n" \
    "  vstrb.16 q4, [r7], #8\n"

__attribute__((naked)) static void dcg_bytes_short_32(dcg_bytes *bytes) {
    (void)bytes;
    __asm__(
        BEGIN
        "  sub sp, #128\n"
        "1:\n"
        "  vdup.32 q4, r9\n"
        "  vstrw.32 q4, [sp]\n"
        "  vstrw.32 q4, [sp, #16]\n"
        "  vstrw.32 q4, [sp, #32]\n"
        "  vstrw.32 q4, [sp, #48]\n"
        "  vstrw.32 q4, [sp, #64]\n"
        "  vstrw.32 q4, [sp, #80]\n"
        "  vstrw.32 q4, [sp, #96]\n"
        "  vstrw.32 q4, [sp, #112]\n"
        "  mov r2, r5\n"
        "  mov r3, r6\n"
        "2:\n"
        "  ldrh r12, [r3], #2\n"
        "  cmp r12, #0\n" /* the last segment is empty */
        "  beq.w 6f\n"
        "  vmov.i32 q0, #0\n"
        "  vmov.i32 q1, #0\n"
        "  vmov.i32 q2, #0\n"
        "  vmov.i32 q3, #0\n"
        TAPS(TAP_32)
        SPILL("q0", "0", "16")
        SPILL("q1", "32", "48")
        SPILL("q2", "64", "80")
        SPILL("q3", "96", "112")
        "  b 2b\n"
        "6:\n"
        "  ldrd r0, r1, [r10, #24]\n"
        "  vdup.32 q7, r0\n"
        FINISH("0", "16")
        FINISH("32", "48")
        FINISH("64", "80")
        FINISH("96", "112")
        END("1b", "32")
        "  add sp, #128\n"
        LEAVE);
}

__attribute__((naked)) static void dcg_bytes_short_16(dcg_bytes *bytes) {
    (void)bytes;
    __asm__(
        BEGIN
        "  sub sp, #64\n"
        "1:\n"
        "  vdup.32 q4, r9\n"
        "  vstrw.32 q4, [sp]\n"
        "  vstrw.32 q4, [sp, #16]\n"
        "  vstrw.32 q4, [sp, #32]\n"
        "  vstrw.32 q4, [sp, #48]\n"
        "  mov r2, r5\n"
        "  mov r3, r6\n"
        "2:\n"
        "  ldrh r12, [r3], #2\n"
        "  cmp r12, #0\n"
        "  beq.w 6f\n"
        "  vmov.i32 q0, #0\n"
        "  vmov.i32 q1, #0\n"
        TAPS(TAP_16)
        SPILL("q0", "0", "16")
        SPILL("q1", "32", "48")
        "  b 2b\n"
        "6:\n"
        "  ldrd r0, r1, [r10, #24]\n"
        "  vdup.32 q7, r0\n"
        FINISH("0", "16")
        FINISH("32", "48")
        END("1b", "16")
        "  add sp, #64\n"
        LEAVE);
}

#define WIDE_FINISH(sum) /* q6 mult, r1 zero point */ \
    "  vrmulh.s32 " sum ", " sum ", q6\n" \
    "  vadd.i32 " sum ", " sum ", r1\n" \
    "  vqmovnb.s32 " sum ", " sum "\n" \
    "  vqmovunb.s16 " sum ", " sum "\n" \
    "  vstrb.32 " sum ", [r7], #4\n"

/* Sums of 16 positions in the words of q2..q5. */
__attribute__((naked)) static void dcg_bytes_wide(dcg_bytes *bytes) {
    (void)bytes;
    __asm__(
        BEGIN
        "1:\n"
        "  vdup.32 q2, r9\n"
        "  vdup.32 q3, r9\n"
        "  vdup.32 q4, r9\n"
        "  vdup.32 q5, r9\n"
        "  mov r2, r5\n"
        "  ldr r0, [r10, #32]\n" /* n_taps */
        "  wls lr, r0, 3f\n"
        "2:\n"
        "  ldrd r0, r1, [r2], #8\n"
        "  add r0, r4\n"
        "  vldrb.u32 q0, [r0]\n"
        "  vldrb.u32 q1, [r0, #4]\n"
        "  vldrb.u32 q6, [r0, #8]\n"
        "  vldrb.u32 q7, [r0, #12]\n"
        "  vmla.s32 q2, q0, r1\n"
        "  vmla.s32 q3, q1, r1\n"
        "  vmla.s32 q4, q6, r1\n"
        "  vmla.s32 q5, q7, r1\n"
        "  le lr, 2b\n"
        "3:\n"
        "  ldrd r0, r1, [r10, #24]\n"
        "  vdup.32 q6, r0\n"
        WIDE_FINISH("q2") WIDE_FINISH("q3") WIDE_FINISH("q4") WIDE_FINISH("q5")
        END("1b", "16")
        LEAVE);
}

/* clang-format on */

typedef char dcg_bytes_is_laid_out_so[offsetof(dcg_bytes, bias) == 20 && offsetof(dcg_bytes, mult) == 24 &&
                                              offsetof(dcg_bytes, n_taps) == 32
                                          ? 1
                                          : -1];

/* Cuts the list into segments of at most 128 in magnitudes, and an empty one behind. */
static void cut(const uint32_t *list, uint32_t n_taps, uint32_t largest, uint16_t *segments) {
    uint32_t sum = 0, count = 0;
    if (n_taps <= 128u && n_taps * largest <= 128u) { /* one, without looking */
        count = n_taps;
        n_taps = 0;
    }
    for (const uint32_t *end = list + 2u * n_taps; list < end; list += 2) {
        int32_t weight = dcg_signed(list[1]);
        uint32_t size = (uint32_t)(weight < 0 ? -weight : weight);
        sum += size;
        if (sum > 128u) {
            *segments++ = (uint16_t)count;
            sum = size;
            count = 0;
        }
        count++;
    }
    if (count > 0) *segments++ = (uint16_t)count;
    *segments = 0;
}

void dcg_bytes_run(dcg_bytes *bytes, uint16_t *scratch, uint32_t largest) {
    if (largest > 128u) {
        dcg_bytes_wide(bytes);
        return;
    }
    cut(bytes->list, bytes->n_taps, largest, scratch);
    bytes->segments = scratch;
    uint32_t single = bytes->passes % 2u;
    bytes->passes /= 2u;
    if (bytes->passes > 0) dcg_bytes_short_32(bytes);
    if (single == 0) return;
    bytes->words += 2u * DCG_AT_ONCE * bytes->passes;
    bytes->out += 2u * DCG_AT_ONCE * bytes->passes;
    bytes->passes = 1;
    dcg_bytes_short_16(bytes);
}
#else
typedef int dcg_bytes_helium_is_for_other_cores;
#endif
