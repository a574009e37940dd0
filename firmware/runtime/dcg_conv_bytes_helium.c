/* Packed convolution on planes of bytes, for cores with Helium.
 *
 * A filter whose layer's weights are at most DCG_SHORT_SUM = 128 is computed in halfwords, 56 positions a
 * pass, or 16 for the last ones: its taps are cut into segments whose weights above zero, and those below,
 * come to at most 128, so that no halfword overflows (128 * 255 < 2^15). Behind a segment the halfwords are
 * added to 32-bit sums on the stack; behind the last one they are requantized together with those. Larger
 * weights are summed in words, 16 positions a pass. Vectors are loaded from any address. */
#include "dcg_conv_packed.h"

#if DCG_HELIUM

/* clang-format off */

/* While taps are summed:
 *   r4 the pass's first byte   r5 list   r6 segments   r7 where the pass's outputs go   r8 passes left   r9 bias
 *   r10 the record             r2 the next tap        r3 the next segment's number of taps        r12 taps of
 *   the present segment        r0, r1 and lr are free */
#define BEGIN \
    "  push {r4-r10, lr}\n" \
    "  vpush {d8-d15}\n" \
    "  mov r10, r0\n" \
    "  ldm r0, {r4-r9}\n" /* words, list, segments, out, passes, bias */

/* A pass ends: on to the next one, at label `pass`, unless it was the last. */
#define END(pass, positions) \
    "  add r4, #" positions "\n" \
    "  subs r8, #1\n" \
    "  bne.w " pass "\n"

#define LEAVE \
    "  vpop {d8-d15}\n" \
    "  pop {r4-r10, pc}\n"

/* The next tap: where it reads to r0, its weight to r1. */
#define TAP \
    "  ldrd r0, r1, [r2], #8\n" \
    "  add r0, r4\n"

/* Adds its products at eight positions to a sum, eight halfwords. */
#define EIGHT(sum, column) \
    "  vldrb.u16 q7, [r0, #" column "]\n" \
    "  vmla.s16 " sum ", q7, r1\n"

/* A tap at 56 positions, sums q0..q6, and at 16, sums q0 and q1. */
#define TAP_56 \
    TAP \
    EIGHT("q0", "0") EIGHT("q1", "8") EIGHT("q2", "16") EIGHT("q3", "24") EIGHT("q4", "32") EIGHT("q5", "40") \
    EIGHT("q6", "48")

#define TAP_16 TAP EIGHT("q0", "0") EIGHT("q1", "8")

#define ZERO(sum) "  vmov.i32 " sum ", #0\n"

/* All taps of a segment, r12 of them: four a round, then one. */
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

/* A pass begins with its first segment, which has no taps if the filter has none. */
#define FIRST_SEGMENT \
    "1:\n" \
    "  mov r2, r5\n" \
    "  mov r3, r6\n" \
    "  ldrh r12, [r3], #2\n"

/* Behind a segment: to 6 if it was the last one, else r12 is the next one's taps; to 8 if it was the first of
 * several, on if it was between. */
#define NEXT_SEGMENT \
    "  ldrh r12, [r3], #2\n" \
    "  sub r0, r3, r6\n" \
    "  cmp r12, #0\n" \
    "  beq.w 6f\n" \
    "  cmp r0, #4\n" \
    "  beq.w 8f\n"

/* Behind the last segment: q7 mult, r1 zero point. To 9 where it was not the only one, on where it was. */
#define LAST_SEGMENT \
    "6:\n" \
    "  cmp r0, #4\n" \
    "  ldrd r0, r1, [r10, #" DCG_TEXT(DCG_BYTES_AT_MULT) "]\n" \
    "  vdup.32 q7, r0\n" \
    "  bne.w 9b\n"

/* Adds a sum's even and odd halfwords to the words on the stack at `even` and `odd`. x, y: free registers */
#define SPILL(sum, even, odd, x, y) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" even "]\n" \
    "  vadd.i32 " x ", " x ", " y "\n" \
    "  vstrw.32 " x ", [sp, #" even "]\n" \
    "  vmovlt.s16 " x ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" odd "]\n" \
    "  vadd.i32 " x ", " x ", " y "\n" \
    "  vstrw.32 " x ", [sp, #" odd "]\n"

/* Sets those words to the bias plus a sum's halfwords. */
#define SPILL_FIRST(sum, even, odd, x) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vadd.i32 " x ", " x ", r9\n" \
    "  vstrw.32 " x ", [sp, #" even "]\n" \
    "  vmovlt.s16 " x ", " sum "\n" \
    "  vadd.i32 " x ", " x ", r9\n" \
    "  vstrw.32 " x ", [sp, #" odd "]\n"

/* Requantizes eight positions and stores them: x words of the even ones, y of the odd ones, both used up.
 * VRMULH is (sum * mult + 2^31) >> 32. */
#define REQUANTIZE(x, y) \
    "  vrmulh.s32 " x ", " x ", q7\n" \
    "  vrmulh.s32 " y ", " y ", q7\n" \
    "  vqmovnb.s32 " x ", " x "\n" \
    "  vqmovnt.s32 " x ", " y "\n" \
    "  vqadd.s16 " x ", " x ", r1\n" \
    "  vqmovunb.s16 " x ", " x "\n" \
    "  vstrb.16 " x ", [r7], #8\n"

/* A sum's halfwords plus its words on the stack, requantized. */
#define FINISH(sum, even, odd, x, y) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" even "]\n" \
    "  vadd.i32 " x ", " x ", " y "\n" \
    "  vmovlt.s16 " sum ", " sum "\n" \
    "  vldrw.u32 " y ", [sp, #" odd "]\n" \
    "  vadd.i32 " sum ", " sum ", " y "\n" \
    REQUANTIZE(x, sum)

/* A sum's halfwords plus the bias, requantized. */
#define FINISH_ONLY(sum, x) \
    "  vmovlb.s16 " x ", " sum "\n" \
    "  vadd.i32 " x ", " x ", r9\n" \
    "  vmovlt.s16 " sum ", " sum "\n" \
    "  vadd.i32 " sum ", " sum ", r9\n" \
    REQUANTIZE(x, sum)

/* Passes of 56 positions. On the stack: 56 words, even and odd positions of each sum apart; behind them, from
 * [sp, #224] on, room for the halfwords of two sums, which wait there while their registers are needed. */
DCG_NAKED static void dcg_conv_bytes_short_56(dcg_conv_bytes *bytes DCG_IN_R0) {
    __asm__(
        BEGIN
        "  sub sp, #256\n"
        FIRST_SEGMENT
        "2:\n"
        ZERO("q0") ZERO("q1") ZERO("q2") ZERO("q3") ZERO("q4") ZERO("q5") ZERO("q6")
        TAPS(TAP_56)
        NEXT_SEGMENT
        "  vstrw.32 q0, [sp, #224]\n"
        SPILL("q1", "32", "48", "q7", "q0")
        SPILL("q2", "64", "80", "q7", "q0") SPILL("q3", "96", "112", "q7", "q0")
        SPILL("q4", "128", "144", "q7", "q0") SPILL("q5", "160", "176", "q7", "q0")
        SPILL("q6", "192", "208", "q7", "q0")
        "  vldrw.u32 q1, [sp, #224]\n"
        SPILL("q1", "0", "16", "q7", "q0")
        "  b.w 2b\n"
        "8:\n"
        SPILL_FIRST("q0", "0", "16", "q7") SPILL_FIRST("q1", "32", "48", "q7")
        SPILL_FIRST("q2", "64", "80", "q7") SPILL_FIRST("q3", "96", "112", "q7")
        SPILL_FIRST("q4", "128", "144", "q7") SPILL_FIRST("q5", "160", "176", "q7")
        SPILL_FIRST("q6", "192", "208", "q7")
        "  b.w 2b\n"
        "9:\n"
        "  vstrw.32 q5, [sp, #224]\n"
        "  vstrw.32 q6, [sp, #240]\n"
        FINISH("q0", "0", "16", "q5", "q6") FINISH("q1", "32", "48", "q5", "q6")
        FINISH("q2", "64", "80", "q5", "q6") FINISH("q3", "96", "112", "q5", "q6")
        FINISH("q4", "128", "144", "q5", "q6")
        "  vldrw.u32 q0, [sp, #224]\n"
        "  vldrw.u32 q1, [sp, #240]\n"
        FINISH("q0", "160", "176", "q5", "q6") FINISH("q1", "192", "208", "q5", "q6")
        "  b 10f\n"
        LAST_SEGMENT
        "  vstrw.32 q6, [sp, #224]\n"
        FINISH_ONLY("q0", "q6") FINISH_ONLY("q1", "q6") FINISH_ONLY("q2", "q6")
        FINISH_ONLY("q3", "q6") FINISH_ONLY("q4", "q6") FINISH_ONLY("q5", "q6")
        "  vldrw.u32 q0, [sp, #224]\n"
        FINISH_ONLY("q0", "q6")
        "10:\n"
        END("1b", "56")
        "  add sp, #256\n"
        LEAVE);
}

/* Passes of 16 positions. On the stack: 16 words. */
DCG_NAKED static void dcg_conv_bytes_short_16(dcg_conv_bytes *bytes DCG_IN_R0) {
    __asm__(
        BEGIN
        "  sub sp, #64\n"
        FIRST_SEGMENT
        "2:\n"
        ZERO("q0") ZERO("q1")
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

/* Requantizes four words of neighbouring positions and stores them; q6 mult, r1 zero point. */
#define WIDE_FINISH(sum) \
    "  vrmulh.s32 " sum ", " sum ", q6\n" \
    "  vadd.i32 " sum ", " sum ", r1\n" \
    "  vqmovnb.s32 " sum ", " sum "\n" \
    "  vqmovunb.s16 " sum ", " sum "\n" \
    "  vstrb.32 " sum ", [r7], #4\n"

/* Passes of 16 positions for weights of any size, sums in the words of q2..q5. */
DCG_NAKED static void dcg_conv_bytes_wide(dcg_conv_bytes *bytes DCG_IN_R0) {
    __asm__(
        BEGIN
        "1:\n"
        "  vdup.32 q2, r9\n"
        "  vdup.32 q3, r9\n"
        "  vdup.32 q4, r9\n"
        "  vdup.32 q5, r9\n"
        "  mov r2, r5\n"
        "  ldr r0, [r10, #" DCG_TEXT(DCG_BYTES_AT_N_TAPS) "]\n"
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
        "  ldrd r0, r1, [r10, #" DCG_TEXT(DCG_BYTES_AT_MULT) "]\n"
        "  vdup.32 q6, r0\n"
        WIDE_FINISH("q2") WIDE_FINISH("q3") WIDE_FINISH("q4") WIDE_FINISH("q5")
        END("1b", "16")
        LEAVE);
}

/* clang-format on */

/* What some weights come to. */
typedef struct total {
    int32_t above; /* sum of those above zero */
    int32_t both;  /* sum of all: that of those below zero is both - above */
} total;

static total add_weight(total t, const uint32_t *tap) {
    int32_t weight = dcg_signed(tap[1]);
    t.above += weight > 0 ? weight : 0;
    t.both += weight;
    return t;
}

/* The same with four taps: the second load takes their weights apart from their addresses, to q1. */
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

/* Whether halfwords can hold sums of these weights' products, whatever the inputs are. */
static int fits(total t) {
    return t.above <= DCG_SHORT_SUM && t.above - t.both <= DCG_SHORT_SUM;
}

/* Cuts a list of taps into segments, one at least, each as long as halfwords can hold its sums.
 *
 * largest   magnitude of a weight, at most DCG_SHORT_SUM
 * segments  written: taps of each, then 0; uint16_t[n_taps + 2] at most */
static void cut(const uint32_t *list, uint32_t n_taps, uint32_t largest, uint16_t *segments) {
    const uint32_t *end = list + 2u * n_taps;
    do {
        const uint32_t *first = list;
        total t = {0, 0}, next;
        if (n_taps <= DCG_SHORT_SUM && n_taps * largest <= DCG_SHORT_SUM)
            list = end; /* one segment, whatever the weights are */
        for (; end - list >= 8 && fits(next = add_four(t, list)); list += 8)
            t = next;
        for (; list < end && fits(next = add_weight(t, list)); list += 2)
            t = next;
        *segments++ = (uint16_t)((list - first) / 2);
    } while (list < end);
    *segments = 0;
}

/* Some passes of an inner loop, 0 or more, from position first on. */
static void run_passes(const dcg_conv_bytes *bytes, uint32_t first, uint32_t passes,
                       void (*kernel)(dcg_conv_bytes *bytes)) {
    dcg_conv_bytes part = *bytes;
    part.words += first;
    part.out += first;
    part.passes = passes;
    if (passes > 0) kernel(&part);
}

void dcg_conv_bytes_run(dcg_conv_bytes *bytes, uint16_t *scratch, uint32_t largest) {
    uint32_t positions = bytes->positions, rest = positions % DCG_LONG_PASS;
    uint32_t all = (positions + DCG_AT_ONCE - 1u) / DCG_AT_ONCE; /* short passes for all positions, */
    uint32_t few = (rest + DCG_AT_ONCE - 1u) / DCG_AT_ONCE;      /* and for those behind the last long one */
    if (largest > DCG_SHORT_SUM) {
        run_passes(bytes, 0, all, dcg_conv_bytes_wide);
        return;
    }
    cut(bytes->list, bytes->n_taps, largest, scratch);
    bytes->segments = scratch;
    if (positions < DCG_LONG_PASS) {
        run_passes(bytes, 0, all, dcg_conv_bytes_short_16);
        return;
    }
    /* The rest by up to two short passes or a long one, which begin ahead of it, so that they end with it. */
    run_passes(bytes, 0, positions / DCG_LONG_PASS, dcg_conv_bytes_short_56);
    if (few <= 2u)
        run_passes(bytes, positions - DCG_AT_ONCE * few, few, dcg_conv_bytes_short_16);
    else
        run_passes(bytes, positions - DCG_LONG_PASS, 1, dcg_conv_bytes_short_56);
}
#else
typedef int dcg_conv_bytes_helium_is_for_other_cores;
#endif
