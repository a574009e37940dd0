/* Packed convolution, direct, two multiply-accumulates an instruction, for cores with a Cortex-M4's DSP
 * instructions.
 *
 * A word of the packed input holds two positions' bytes a0 and a1, a halfword each. As weight * word is
 * weight * a0 + 2^16 * weight * a1, one MLA sums both positions, as long as each sum stays within its
 * halfword. Halfwords begin at 2^15, so a filter's taps are cut into segments whose weights above zero, and
 * those below, come to at most DCG_SHORT_SUM = 128: 128 * 255 < 2^15. Behind a segment UXTAH adds the
 * halfwords to 32-bit words on the stack; behind the last one it adds them to what is requantized.
 *
 * Eight words a pass, sixteen positions, fill the registers. None is left to count taps with, so the list is
 * threaded: ahead of each group of taps stands the address of the code that does as many. */
#include "dcg_conv_packed.h"

#if DCG_DSP

/* Length in taps of the segment that n taps begin with: it ends before the weights of one sign come to more
 * than DCG_SHORT_SUM, of which the larger is half of |sum| + sum of magnitudes. 0 where the first is too
 * large. */
static uint32_t segment(const uint32_t *tap, uint32_t n) {
    int32_t total = 0, sizes = 0;
    for (uint32_t i = 0; i < n; i++, tap += 2) {
        int32_t weight = dcg_signed(tap[1]);
        total += weight;
        sizes += weight < 0 ? -weight : weight;
        if (sizes + (total < 0 ? -total : total) > 2 * DCG_SHORT_SUM) return i;
    }
    return n;
}

/* Words of a list besides those of its n taps: one a group and one a segment. */
static uint32_t entries(const uint32_t *tap, uint32_t n) {
    uint32_t count = 0;
    do {
        uint32_t taps = segment(tap, n);
        count += (taps + DCG_GROUP - 1u) / DCG_GROUP + 1u;
        tap += 2u * taps;
        n -= taps;
    } while (n > 0);
    return count;
}

/* Makes the threaded list, takes from bias what the segments' halfwords begin with, and sets start.
 *
 * list  written: at least as many words ahead of the taps as the list has entries, so that it never
 *       overtakes the taps that it is made of */
static void thread(dcg_conv_direct *d, uint32_t *list) {
    const uint32_t *tap = d->taps;
    uint32_t n = d->n_taps, segments = 0;
    d->list = list;
    do {
        uint32_t count = segment(tap, n);
        n -= count;
        while (count > 0) {
            uint32_t group = count < DCG_GROUP ? count : DCG_GROUP;
            *list++ = dcg_conv_direct_entry[group];
            for (const uint32_t *end = tap + 2u * group; tap < end; tap += 2, list += 2) {
                list[0] = tap[0];
                list[1] = tap[1];
            }
            count -= group;
        }
        uint32_t end = n > 0 ? DCG_DIRECT_NEXT : DCG_DIRECT_LAST;
        if (segments++ == 0) end = n > 0 ? DCG_DIRECT_FIRST : DCG_DIRECT_ONLY;
        *list++ = dcg_conv_direct_entry[end];
    } while (n > 0);
    d->bias -= segments << 15;
    DCG_UNROLL
    for (uint32_t i = 0; i < 8u; i++)
        d->start[i] = 0x80008000u;
}

/* clang-format off */

/* While taps are summed: r0 the pass's first word, r1 the list, r4..r11 the sums of eight words. r2, r3, r12
 * and lr are free. Behind a segment: [sp] .. [sp, #63] sixteen 32-bit sums, a position each, the lower halfword's
 * ahead of the upper one's; [sp, #64] the record. */

/* The code of a tap, labelled by how many taps it and those behind it are. */
#define TAP(n) \
    "dcg_conv_direct_" #n ":\n" \
    "  ldrd r2, lr, [r1], #8\n" /* distance, weight */ \
    "  add r2, r0\n" \
    "  ldrd r3, r12, [r2]\n" \
    "  mla r4, r3, lr, r4\n" \
    "  mla r5, r12, lr, r5\n" \
    "  ldrd r3, r12, [r2, #8]\n" \
    "  mla r6, r3, lr, r6\n" \
    "  mla r7, r12, lr, r7\n" \
    "  ldrd r3, r12, [r2, #16]\n" \
    "  mla r8, r3, lr, r8\n" \
    "  mla r9, r12, lr, r9\n" \
    "  ldrd r3, r12, [r2, #24]\n" \
    "  mla r10, r3, lr, r10\n" \
    "  mla r11, r12, lr, r11\n"

/* A word's two sums, and the bias lr, to the stack. */
#define KEEP(sum, at) \
    "  uxtah r2, lr, " sum "\n" \
    "  uxtah r3, lr, " sum ", ror #16\n" \
    "  strd r2, r3, [sp, #" at "]\n"

/* Two words' four sums added to those at r0, which moves on. */
#define ADD(x, y) \
    "  ldm r0, {r2, r3, r12, lr}\n" \
    "  uxtah r2, r2, " x "\n" \
    "  uxtah r3, r3, " x ", ror #16\n" \
    "  uxtah r12, r12, " y "\n" \
    "  uxtah lr, lr, " y ", ror #16\n" \
    "  stm r0!, {r2, r3, r12, lr}\n"

/* r1 mult, r12 zero point */
#define REQUANTIZE(sum) DCG_ASM_REQUANTIZE(sum, "r1", "r12")

/* Two words' sums to bytes. In: x, y the sums of the lower halfwords, r2, r3 those of the upper ones. Out: two
 * bytes side by side in x, of the lower halfwords, and in y, of the upper ones. */
#define BYTES(x, y) \
    REQUANTIZE(x) REQUANTIZE(y) REQUANTIZE("r2") REQUANTIZE("r3") \
    "  orr " x ", " x ", " y ", lsl #8\n" \
    "  orr " y ", r2, r3, lsl #8\n"

/* The same from two words x, y of the filter's only segment; lr bias. */
#define FINISH_ONLY(x, y) \
    "  uxtah r2, lr, " x ", ror #16\n" \
    "  uxtah " x ", lr, " x "\n" \
    "  uxtah r3, lr, " y ", ror #16\n" \
    "  uxtah " y ", lr, " y "\n" \
    BYTES(x, y)

/* The same from two words x, y of the last segment and the sums on the stack, at x_at and y_at. */
#define FINISH_LAST(x, y, x_at, y_at) \
    "  ldrd r3, r2, [sp, #" x_at "]\n" \
    "  uxtah r2, r2, " x ", ror #16\n" \
    "  uxtah " x ", r3, " x "\n" \
    "  ldrd lr, r3, [sp, #" y_at "]\n" \
    "  uxtah r3, r3, " y ", ror #16\n" \
    "  uxtah " y ", lr, " y "\n" \
    BYTES(x, y)

/* The pass's outputs, two bytes in each of r4..r11, to low and high of the record r0, which move on by eight
 * bytes; the record's words by a pass, its passes down by one, with the flags. */
#define STORE \
    "  orr r4, r4, r6, lsl #16\n" \
    "  orr r5, r5, r7, lsl #16\n" \
    "  orr r8, r8, r10, lsl #16\n" \
    "  orr r9, r9, r11, lsl #16\n" \
    "  ldrd r2, r3, [r0, #" DCG_TEXT(DCG_DIRECT_AT_LOW) "]\n" \
    "  strd r4, r8, [r2], #8\n" \
    "  strd r5, r9, [r3], #8\n" \
    "  strd r2, r3, [r0, #" DCG_TEXT(DCG_DIRECT_AT_LOW) "]\n" \
    "  ldr r1, [r0, #" DCG_TEXT(DCG_DIRECT_AT_WORDS) "]\n" \
    "  ldr r2, [r0, #" DCG_TEXT(DCG_DIRECT_AT_PASSES) "]\n" \
    "  add r1, #32\n" \
    "  str r1, [r0, #" DCG_TEXT(DCG_DIRECT_AT_WORDS) "]\n" \
    "  subs r2, #1\n" \
    "  str r2, [r0, #" DCG_TEXT(DCG_DIRECT_AT_PASSES) "]\n"

/* All passes of a filter. dcg_conv_direct_portable is its twin. */
DCG_NAKED static void dcg_conv_direct_dsp(dcg_conv_direct *direct DCG_IN_R0) {
    __asm__(
        "  push {r0, r4-r11, lr}\n"
        "  sub sp, #64\n"
        "dcg_conv_direct_pass:\n"
        "  ldr r12, [sp, #64]\n"
        "  ldrd r0, r1, [r12, #" DCG_TEXT(DCG_DIRECT_AT_WORDS) "]\n"
        "  ldm r12, {r4-r11}\n"
        "  ldr pc, [r1], #4\n"
        TAP(8) TAP(7) TAP(6) TAP(5) TAP(4) TAP(3) TAP(2) TAP(1)
        "  ldr pc, [r1], #4\n"
        "dcg_conv_direct_9:\n" /* DCG_DIRECT_FIRST */
        "  ldr r12, [sp, #64]\n"
        "  ldr lr, [r12, #" DCG_TEXT(DCG_DIRECT_AT_BIAS) "]\n"
        KEEP("r4", "0") KEEP("r5", "8") KEEP("r6", "16") KEEP("r7", "24")
        KEEP("r8", "32") KEEP("r9", "40") KEEP("r10", "48") KEEP("r11", "56")
        "  ldm r12, {r4-r11}\n"
        "  ldr pc, [r1], #4\n"
        "dcg_conv_direct_10:\n" /* DCG_DIRECT_NEXT */
        "  mov r0, sp\n"
        ADD("r4", "r5") ADD("r6", "r7") ADD("r8", "r9") ADD("r10", "r11")
        "  ldr r12, [r0]\n"
        "  ldr r0, [r12, #" DCG_TEXT(DCG_DIRECT_AT_WORDS) "]\n"
        "  ldm r12, {r4-r11}\n"
        "  ldr pc, [r1], #4\n"
        "dcg_conv_direct_0:\n" /* DCG_DIRECT_ONLY */
        "  ldr r0, [sp, #64]\n"
        "  ldrd r1, r12, [r0, #" DCG_TEXT(DCG_DIRECT_AT_MULT) "]\n"
        "  ldr lr, [r0, #" DCG_TEXT(DCG_DIRECT_AT_BIAS) "]\n"
        FINISH_ONLY("r4", "r5") FINISH_ONLY("r6", "r7") FINISH_ONLY("r8", "r9") FINISH_ONLY("r10", "r11")
        "1:\n"
        STORE
        "  bne.w dcg_conv_direct_pass\n"
        "  add sp, #64\n"
        "  pop {r0, r4-r11, pc}\n"
        "dcg_conv_direct_11:\n" /* DCG_DIRECT_LAST */
        "  ldr r0, [sp, #64]\n"
        "  ldrd r1, r12, [r0, #" DCG_TEXT(DCG_DIRECT_AT_MULT) "]\n"
        FINISH_LAST("r4", "r5", "0", "8") FINISH_LAST("r6", "r7", "16", "24")
        FINISH_LAST("r8", "r9", "32", "40") FINISH_LAST("r10", "r11", "48", "56")
        "  b.w 1b\n"
        "  .pushsection .rodata.dcg_conv_direct_entry, \"a\"\n"
        "  .balign 4\n"
        "  .global dcg_conv_direct_entry\n"
        "dcg_conv_direct_entry:\n" /* dcg_conv_direct_entry[n]; the address of Thumb code is odd */
        "  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
        "  .word dcg_conv_direct_\\n + 1\n"
        "  .endr\n"
        "  .popsection\n");
}

/* clang-format on */

void dcg_conv_direct_run(dcg_conv_direct *direct, uint32_t room, uint32_t largest) {
    const uint32_t *taps = direct->taps;
    uint32_t n = direct->n_taps;
    /* A segment for every tap, each behind an entry, is the most that a list can have. */
    if (largest > DCG_SHORT_SUM || (2u * n + 1u > room && entries(taps, n) > room)) {
        dcg_conv_direct_portable(direct);
        return;
    }
    thread(direct, direct->taps - room);
    dcg_conv_direct_dsp(direct);
}
#else
typedef int dcg_conv_direct_dsp_is_for_other_cores;
#endif
