/* Packed convolution, two multiply-accumulates an instruction, for cores with a Cortex-M4's DSP instructions.
 *
 * A word holds two bytes a0 and a1, 23 bits apart. weight * word = weight * a0 + 2^23 * weight * a1, so SMLAL
 * on a 64-bit accumulator sums both positions at once; they come apart again as long as the lower sum fits 23
 * bits with its sign. Four words a pass fill the registers. None is left to count taps with: the list is
 * threaded, the word ahead of each group of taps is the address of the code that does as many. */
#include "dcg_packed.h"

#if DCG_DSP

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_MULT 32 /* offsets in dcg_direct */
#define AT_OUT 40
#define AT_PASSES 48
#define AT_LIST 52
#define AT_WORDS 56
typedef char dcg_direct_is_laid_out_so[DCG_GROUP == 8u && offsetof(dcg_direct, mult) == AT_MULT &&
                                               offsetof(dcg_direct, low) == AT_OUT &&
                                               offsetof(dcg_direct, passes) == AT_PASSES &&
                                               offsetof(dcg_direct, list) == AT_LIST &&
                                               offsetof(dcg_direct, words) == AT_WORDS
                                           ? 1
                                           : -1];

/* clang-format off */

/* One tap: r0 words of the pass, r1 list, r4..r11 accumulators; r2, r3, r12, lr are free. */
#define TAP(n) \
    "dcg_direct_" #n ":\n" \
    "  ldrd r2, lr, [r1], #8\n" /* distance, weight */ \
    "  add r2, r0\n" \
    "  ldrd r3, r12, [r2]\n" \
    "  smlal r4, r5, r3, lr\n" \
    "  smlal r6, r7, r12, lr\n" \
    "  ldrd r3, r12, [r2, #8]\n" \
    "  smlal r8, r9, r3, lr\n" \
    "  smlal r10, r11, r12, lr\n"

/* Takes a pair of sums apart: bit 22 of the lower one, its sign, was borrowed from the upper one, and is the
 * carry. Then requantises: zero_point + (sum * mult + 2^31 >> 32), to a byte. r2 mult, r3 zero point. */
#define REQUANTISE(low, high) \
    "  sbfx r12, " low ", #0, #23\n" \
    "  lsrs " low ", " low ", #23\n" \
    "  adc " high ", " low ", " high ", lsl #9\n" \
    "  smmlar " low ", r12, r2, r3\n" \
    "  smmlar " high ", " high ", r2, r3\n" \
    "  usat " low ", #8, " low "\n" \
    "  usat " high ", #8, " high "\n"

#define PACK(a, b, c, d) \
    "  orr " a ", " a ", " b ", lsl #8\n" \
    "  orr " a ", " a ", " c ", lsl #16\n" \
    "  orr " a ", " a ", " d ", lsl #24\n"

/* dcg_direct_portable is its twin. */
__attribute__((naked)) static void dcg_direct_dsp(dcg_direct *direct) {
    (void)direct;
    __asm__(
        "  push {r0, r4-r11, lr}\n"
        "  ldr r0, [r0, #" STR(AT_WORDS) "]\n"
        "dcg_direct_pass:\n"
        "  ldr r12, [sp]\n"
        "  ldr r1, [r12, #" STR(AT_LIST) "]\n"
        "  ldm r12, {r4-r11}\n"
        "  ldr pc, [r1], #4\n"
        TAP(8) TAP(7) TAP(6) TAP(5) TAP(4) TAP(3) TAP(2) TAP(1)
        "  ldr pc, [r1], #4\n"
        "dcg_direct_0:\n"
        "  ldr r1, [sp]\n"
        "  ldrd r2, r3, [r1, #" STR(AT_MULT) "]\n"
        REQUANTISE("r4", "r5") REQUANTISE("r6", "r7") REQUANTISE("r8", "r9") REQUANTISE("r10", "r11")
        PACK("r4", "r6", "r8", "r10")
        PACK("r5", "r7", "r9", "r11")
        "  ldrd r2, r3, [r1, #" STR(AT_OUT) "]\n"
        "  str r4, [r2], #4\n"
        "  str r5, [r3], #4\n"
        "  strd r2, r3, [r1, #" STR(AT_OUT) "]\n"
        "  add r0, #16\n"
        "  ldr r2, [r1, #" STR(AT_PASSES) "]\n"
        "  subs r2, #1\n"
        "  str r2, [r1, #" STR(AT_PASSES) "]\n"
        "  bne.w dcg_direct_pass\n"
        "  pop {r0, r4-r11, pc}\n"
        "  .pushsection .rodata.dcg_direct_entry, \"a\"\n"
        "  .balign 4\n"
        "  .global dcg_direct_entry\n"
        "dcg_direct_entry:\n" /* addresses of Thumb code are odd */
        "  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8\n"
        "  .word dcg_direct_\\n + 1\n"
        "  .endr\n"
        "  .popsection\n");
}

/* clang-format on */

void dcg_direct_run(dcg_direct *direct, int fits) {
    if (fits)
        dcg_direct_dsp(direct);
    else
        dcg_direct_portable(direct);
}
#else
typedef int dcg_direct_dsp_is_for_other_cores;
#endif
