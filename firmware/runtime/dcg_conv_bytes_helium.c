/* Packed convolution on planes of bytes, for cores with Helium (MVE).
 *
 * Up to 56 positions a pass, from any address. With weights of eight bits, products are summed in halfwords
 * as long as no sum can overflow (weights of 128 in all, above zero as below) and then added to words; others
 * are summed in words. */
#include "dcg_conv_packed.h"

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

/* A tap: r4 words of the pass, r2 list. Sums of 56 positions in the halfwords of q0..q6, or of 16 in q0, q1. */
#define TAP \
    "  ldrd r0, r1, [r2], #8\n" /* distance, weight */ \
    "  add r0, r4\n"

#define EIGHT(sum, column) \
    "  vldrb.u16 q7, [r0, #" column "]\n" \
    "  vmla.s16 " sum ", q7, r1\n"

#define TAP_56 \
    TAP \
    EIGHT("q0", "0") EIGHT("q1", "8") EIGHT("q2", "16") EIGHT("q3", "24") EIGHT("q4", "32") EIGHT("q5", "40") \
    EIGHT("q6", "48")

#define TAP_16 TAP EIGHT("q0", "0") EIGHT("q1", "8")

/* All taps of a segment, r12 of them. */
#define TAPS(tap) \
    "  lsrs r0, r12, #2\n" \
    "  wls lr, r0, 4f\n" \
    "3:\n" \
    tap \
    tap \
    tap \
    tap \
    "  le lr, 3b\n" \
    "4:\n" \
    "  ands lr, r12, #3\n" \
    "  beq 5f\n" \
    "7:\n" \
    tap \
    "  le lr, 7b\n" \
    "5:\n"

/* A pass begins: r12 taps of its first segment, which may be empty, too. */
#define FIRST_SEGMENT \
    "1:\n" \
    "  mov r2, r5\n" \
    "  mov r3, r6\n" \
    "  ldrh r12, [r3], #2\n"

/* Behind a segment: to 6 from the last one, to 8 from the first of several. r12 taps of the next one. */
#define NEXT_SEGMENT \
    "  ldrh r12, [r3], #2\n" \
    "  sub r0, r3, r6\n" \
    "  cmp r12, #0\n" \
    "  beq.w 6f\n" \
    "  cmp r0, #4\n" \
    "  beq.w 8f\n"

/* Gets ready to finish: q7 mult, r1 zero point. To 9 where there are words on the stack. */
#define LAST_SEGMENT \
    "6:\n" \
    "  cmp r0, #4\n" \
    "  ldrd r0, r1, [r10, #24]\n" \
    "  vdup.32 q7, r0\n" \
    "  bne.w 9b\n"

/* Adds a sum's even and odd halfwords to words on the stack, by two registers that are free. */
#define SPILL(sum, even, odd, x, y) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" even "]\n" \
    "  vadd.i32 " x ", " x ", " y "\n" \
    "  vstrw.32 " x ", [sp, #" even "]\n" \
    "  vmovlt.s16 " x ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" odd "]\n" \
    "  vadd.i32 " x ", " x ", " y "\n" \
    "  vstrw.32 " x ", [sp, #" odd "]\n"

/* Sets words on the stack to the bias and a sum's halfwords. */
#define SPILL_FIRST(sum, even, odd, x) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vadd.i32 " x ", " x ", r9\n" \
    "  vstrw.32 " x ", [sp, #" even "]\n" \
    "  vmovlt.s16 " x ", " sum "\n" \
    "  vadd.i32 " x ", " x ", r9\n" \
    "  vstrw.32 " x ", [sp, #" odd "]\n"

/* Eight words, even positions in x, odd ones in y, to bytes: zero_point + (sum * mult + 2^31 >> 32). */
#define REQUANTIZE(x, y) \
    "  vrmulh.s32 " x ", " x ", q7\n" \
    "  vrmulh.s32 " y ", " y ", q7\n" \
    "  vqmovnb.s32 " x ", " x "\n" \
    "  vqmovnt.s32 " x ", " y "\n" \
    "  vqadd.s16 " x ", " x ", r1\n" \
    "  vqmovunb.s16 " x ", " x "\n" \
    "  vstrb.16 " x ", [r7], #8\n"

/* A sum's halfwords and words on the stack to bytes. */
#define FINISH(sum, even, odd, x, y) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" even "]\n" \
    "  vadd.i32 " x ", " x ", " y "\n" \
    "  vmovlt.s16 " sum ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" odd "]\n" \
    "  vadd.i32 " sum ", " sum ", " y "\n" \
    REQUANTIZE(x, sum)

/* A sum's halfwords and the bias to bytes. */
#define FINISH_ONLY(sum, x) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vadd.i32 " x ", " x ", r9\n" \
    "  vmovlt.s16 " sum ", " sum "\n" \
    "  vadd.i32 " sum ", " sum ", r9\n" \
    REQUANTIZE(x, sum)

/* The halfwords of one or two sums wait behind the words until registers are free. */
__attribute__((naked)) static void dcg_conv_bytes_short_56(dcg_conv_bytes *bytes) {
    (void)bytes;
    __asm__(
        BEGIN
        "  sub sp, #256\n"
        FIRST_SEGMENT
        "2:\n"
        "  vmov.i32 q0, #0\n"
        "  vmov.i32 q1, #0\n"
        "  vmov.i32 q2, #0\n"
        "  vmov.i32 q3, #0\n"
        "  vmov.i32 q4, #0\n"
        "  vmov.i32 q5, #0\n"
        "  vmov.i32 q6, #0\n"
        TAPS(TAP_56)
        NEXT_SEGMENT
        "  vstrw.32 q0, [sp, #224]\n"
        SPILL("q1", "32", "48", "q7", "q0")
        SPILL("q2", "64", "80", "q7", "q0")
        SPILL("q3", "96", "112", "q7", "q0")
        SPILL("q4", "128", "144", "q7", "q0")
        SPILL("q5", "160", "176", "q7", "q0")
        SPILL("q6", "192", "208", "q7", "q0")
        "  vldrw.u32 q1, [sp, #224]\n"
        SPILL("q1", "0", "16", "q7", "q0")
        "  b.w 2b\n"
        "8:\n"
        SPILL_FIRST("q0", "0", "16", "q7")
        SPILL_FIRST("q1", "32", "48", "q7")
        SPILL_FIRST("q2", "64", "80", "q7")
        SPILL_FIRST("q3", "96", "112", "q7")
        SPILL_FIRST("q4", "128", "144", "q7")
        SPILL_FIRST("q5", "160", "176", "q7")
        SPILL_FIRST("q6", "192", "208", "q7")
        "  b.w 2b\n"
        "9:\n"
        "  vstrw.32 q5, [sp, #224]\n"
        "  vstrw.32 q6, [sp, #240]\n"
        FINISH("q0", "0", "16", "q5", "q6")
        FINISH("q1", "32", "48", "q5", "q6")
        FINISH("q2", "64", "80", "q5", "q6")
        FINISH("q3", "96", "112", "q5", "q6")
        FINISH("q4", "128", "144", "q5", "q6")
        "  vldrw.u32 q0, [sp, #224]\n"
        "  vldrw.u32 q1, [sp, #240]\n"
        FINISH("q0", "160", "176", "q5", "q6")
        FINISH("q1", "192", "208", "q5", "q6")
        "  b 10f\n"
        LAST_SEGMENT
        "  vstrw.32 q6, [sp, #224]\n"
        FINISH_ONLY("q0", "q6")
        FINISH_ONLY("q1", "q6")
        FINISH_ONLY("q2", "q6")
        FINISH_ONLY("q3", "q6")
        FINISH_ONLY("q4", "q6")
        FINISH_ONLY("q5", "q6")
        "  vldrw.u32 q0, [sp, #224]\n"
        FINISH_ONLY("q0", "q6")
        "10:\n"
        END("1b", "56")
        "  add sp, #256\n"
        LEAVE);
}

__attribute__((naked)) static void dcg_conv_bytes_short_16(dcg_conv_bytes *bytes) {
    (void)bytes;
    __asm__(
        BEGIN
        "  sub sp, #64\n"
        FIRST_SEGMENT
        "2:\n"
        "  vmov.i32 q0, #0\n"
        "  vmov.i32 q1, #0\n"
        TAPS(TAP_16)
        NEXT_SEGMENT
        SPILL("q0", "0", "16", "q7", "q6")
        SPILL("q1", "32", "48", "q7", "q6")
        "  b 2b\n"
        "8:\n"
        SPILL_FIRST("q0", "0", "16", "q7")
        SPILL_FIRST("q1", "32", "48", "q7")
        "  b 2b\n"
        "9:\n"
        FINISH("q0", "0", "16", "q5", "q6")
        FINISH("q1", "32", "48", "q5", "q6")
        "  b 10f\n"
        LAST_SEGMENT
        FINISH_ONLY("q0", "q6")
        FINISH_ONLY("q1", "q6")
        "10:\n"
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
__attribute__((naked)) static void dcg_conv_bytes_wide(dcg_conv_bytes *bytes) {
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

typedef char dcg_conv_bytes_is_laid_out_so[offsetof(dcg_conv_bytes, bias) == 20 &&
                                                   offsetof(dcg_conv_bytes, mult) == 24 &&
                                                   offsetof(dcg_conv_bytes, n_taps) == 32
                                               ? 1
                                               : -1];

/* What weights come to. */
typedef struct total {
    int32_t above; /* those above zero */
    int32_t both;
} total;

static total add_weight(total t, const uint32_t *tap) {
    int32_t weight = dcg_signed(tap[1]);
    t.above += weight > 0 ? weight : 0;
    t.both += weight;
    return t;
}

/* add_weight of four taps. */
static total add_four(total t, const uint32_t *tap) {
    __asm__("  vld20.32 {q0, q1}, [%2]\n"
            "  vld21.32 {q0, q1}, [%2]\n"
            "  vmov.i32 q0, #0\n"
            "  vmax.s32 q0, q0, q1\n"
            "  vaddva.s32 %0, q0\n"
            "  vaddva.s32 %1, q1\n"
            : "+Te"(t.above), "+Te"(t.both)
            : "r"(tap)
            : "q0", "q1", "memory");
    return t;
}

/* Whether sums of halfwords hold these weights' products. */
static int fits(total t) {
    return t.above <= DCG_SHORT_SUM && t.above - t.both <= DCG_SHORT_SUM;
}

/* Cuts the list into segments, at least one, of weights of at most DCG_SHORT_SUM in all above zero and as
 * much below, and an empty one behind. */
static void cut(const uint32_t *list, uint32_t n_taps, uint32_t largest, uint16_t *segments) {
    const uint32_t *end = list + 2u * n_taps;
    do {
        const uint32_t *first = list;
        total t = {0, 0}, next;
        if (n_taps <= DCG_SHORT_SUM && n_taps * largest <= DCG_SHORT_SUM)
            list = end; /* one, without looking */
        for (; end - list >= 8 && fits(next = add_four(t, list)); list += 8)
            t = next;
        for (; list < end && fits(next = add_weight(t, list)); list += 2)
            t = next;
        *segments++ = (uint16_t)((list - first) / 2);
    } while (list < end);
    *segments = 0;
}

/* Passes of a kernel from position first on. */
static void run(const dcg_conv_bytes *bytes, uint32_t first, uint32_t passes,
                void (*kernel)(dcg_conv_bytes *bytes)) {
    dcg_conv_bytes part = *bytes;
    part.words += first;
    part.out += first;
    part.passes = passes;
    if (passes > 0) kernel(&part);
}

void dcg_conv_bytes_run(dcg_conv_bytes *bytes, uint16_t *scratch, uint32_t largest) {
    uint32_t positions = bytes->positions, rest = positions % 56u;
    uint32_t all = (positions + DCG_AT_ONCE - 1u) / DCG_AT_ONCE,
             few = (rest + DCG_AT_ONCE - 1u) / DCG_AT_ONCE;
    if (largest > DCG_SHORT_SUM) {
        run(bytes, 0, all, dcg_conv_bytes_wide);
        return;
    }
    cut(bytes->list, bytes->n_taps, largest, scratch);
    bytes->segments = scratch;
    if (positions < 56u) {
        run(bytes, 0, all, dcg_conv_bytes_short_16);
        return;
    }
    /* The last positions by up to two short passes or a long one, which begin ahead of them. */
    run(bytes, 0, positions / 56u, dcg_conv_bytes_short_56);
    if (few <= 2u)
        run(bytes, positions - DCG_AT_ONCE * few, few, dcg_conv_bytes_short_16);
    else
        run(bytes, positions - 56u, 1, dcg_conv_bytes_short_56);
}
#else
typedef int dcg_conv_bytes_helium_is_for_other_cores;
#endif
