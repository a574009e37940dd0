/* Packed convolution by levels, which adds before it multiplies, for cores with a Cortex-M4's DSP
 * instructions.
 *
 * A run is the filter's taps of one magnitude. UXTAB16 adds two of a word's bytes to two halfwords, so that a
 * tap of sixteen positions takes four words, one LDM, and eight additions. Sums are not cleared between runs:
 * what is kept on the stack behind each run are the sums of all taps so far, and they are multiplied by what
 * the run's magnitude differs from the next one's. A halfword begins at -2^15 and holds 257 bytes more; where
 * a filter has more taps, its sums begin anew.
 *
 * No register is left to count with, so the list is threaded: its entries lead through the code. */
#include "dcg_conv_packed.h"

#if DCG_DSP

/* clang-format off */

/* While taps are added: r0 the pass's first word, r1 the list, r4..r11 the sums of four words: of bytes 0 and 2
 * of the first word, of its bytes 1 and 3, and so on. r2, r3, r12 and lr are free. Of a word, bytes 0 .. 3 are
 * positions of the strip's first to last quarter.
 * On the stack: r4..r11 of every run so far, the last run lowest; behind them the record. */

/* The code of a tap, labelled by how many taps it and those behind it are. */
#define TAP(n) \
    "dcg_conv_levels_" #n ":\n" \
    "  ldrh r2, [r1], #2\n" \
    "  add r2, r0, r2, lsl #2\n" \
    "  ldm r2, {r2, r3, r12, lr}\n" \
    "  uxtab16 r4, r4, r2\n" \
    "  uxtab16 r5, r5, r2, ror #8\n" \
    "  uxtab16 r6, r6, r3\n" \
    "  uxtab16 r7, r7, r3, ror #8\n" \
    "  uxtab16 r8, r8, r12\n" \
    "  uxtab16 r9, r9, r12, ror #8\n" \
    "  uxtab16 r10, r10, lr\n" \
    "  uxtab16 r11, r11, lr, ror #8\n"

/* Adds one run's sums of two words, at r0, times its difference, one half ("b" or "t") of r12, to eight
 * accumulators; r0 goes on to the next run. r4, r5, r6, r7: quarters 0, 2, 1, 3 of the first word; r8..r11: of
 * the second one. */
#define MULTIPLY(half) \
    "  ldrd r2, r3, [r0], #8\n" \
    "  smlab" half " r4, r2, r12, r4\n" \
    "  smlat" half " r5, r2, r12, r5\n" \
    "  smlab" half " r6, r3, r12, r6\n" \
    "  smlat" half " r7, r3, r12, r7\n" \
    "  ldrd r2, r3, [r0], #24\n" \
    "  smlab" half " r8, r2, r12, r8\n" \
    "  smlat" half " r9, r2, r12, r9\n" \
    "  smlab" half " r10, r3, r12, r10\n" \
    "  smlat" half " r11, r3, r12, r11\n"

/* r2 mult, r3 zero point */
#define REQUANTIZE(sum) DCG_ASM_REQUANTIZE(sum, "r2", "r3")

/* The outputs of two words, eight positions.
 *
 * label   of its loop
 * record  offset, in bytes, from where r0 is behind all runs to where the stack has the record's address
 * column  byte of `out` that the first of the two words is for
 *
 * In: r0 the two words' sums of the last run, with those of other runs 32 bytes apart; r2 the record. */
#define FINISH(label, record, column) \
    "  ldrd r1, lr, [r2, #" DCG_TEXT(DCG_LEVELS_AT_DIFFERENCES) "]\n" \
    "  ldm r2, {r4-r11}\n" \
    label ":\n" \
    "  ldr r12, [r1], #4\n" /* the differences of two runs */ \
    MULTIPLY("b") \
    MULTIPLY("t") \
    "  subs lr, #1\n" \
    "  bne " label "b\n" \
    "  ldr r1, [r0, #" record "]\n" \
    "  ldrd r2, r3, [r1, #" DCG_TEXT(DCG_LEVELS_AT_MULT) "]\n" \
    REQUANTIZE("r4") REQUANTIZE("r5") REQUANTIZE("r6") REQUANTIZE("r7") \
    REQUANTIZE("r8") REQUANTIZE("r9") REQUANTIZE("r10") REQUANTIZE("r11") \
    "  orr r4, r4, r8, lsl #8\n" \
    "  orr r5, r5, r9, lsl #8\n" \
    "  orr r6, r6, r10, lsl #8\n" \
    "  orr r7, r7, r11, lsl #8\n" \
    "  ldrd r2, r3, [r1, #" DCG_TEXT(DCG_LEVELS_AT_OUT) "]\n" \
    "  add r12, r2, r3, lsl #1\n" \
    "  strh r4, [r2, #" column "]!\n" \
    "  strh r6, [r2, r3]\n" \
    "  strh r5, [r12, #" column "]!\n" \
    "  strh r7, [r12, r3]\n"

/* Every halfword at -2^15. */
#define CLEAR \
    "  mov r4, #0x80008000\n" \
    "  mov r5, r4\n" \
    "  mov r6, r4\n" \
    "  mov r7, r4\n" \
    "  mov r8, r4\n" \
    "  mov r9, r4\n" \
    "  mov r10, r4\n" \
    "  mov r11, r4\n"

/* The record r0 goes on to the next pass: out by four bytes, words by four words, passes down by one, with the
 * flags. */
#define NEXT_PASS \
    "  ldr r1, [r0, #" DCG_TEXT(DCG_LEVELS_AT_OUT) "]\n" \
    "  ldr r2, [r0, #" DCG_TEXT(DCG_LEVELS_AT_WORDS) "]\n" \
    "  ldr r3, [r0, #" DCG_TEXT(DCG_LEVELS_AT_PASSES) "]\n" \
    "  add r1, #4\n" \
    "  add r2, #16\n" \
    "  str r1, [r0, #" DCG_TEXT(DCG_LEVELS_AT_OUT) "]\n" \
    "  str r2, [r0, #" DCG_TEXT(DCG_LEVELS_AT_WORDS) "]\n" \
    "  subs r3, #1\n" \
    "  str r3, [r0, #" DCG_TEXT(DCG_LEVELS_AT_PASSES) "]\n"

/* All passes of a filter. dcg_conv_levels_run of dcg_conv_levels.c is its twin. */
DCG_NAKED void dcg_conv_levels_run(dcg_conv_levels *levels DCG_IN_R0) {
    __asm__(
        "  push {r0, r4-r11, lr}\n"
        "dcg_conv_levels_pass:\n"
        "  ldrd r0, r1, [r0, #" DCG_TEXT(DCG_LEVELS_AT_WORDS) "]\n"
        "dcg_conv_levels_clear:\n"
        CLEAR
        "  b dcg_conv_levels_next\n"
        TAP(16) TAP(15) TAP(14) TAP(13) TAP(12) TAP(11) TAP(10) TAP(9)
        TAP(8) TAP(7) TAP(6) TAP(5) TAP(4) TAP(3) TAP(2) TAP(1)
        "dcg_conv_levels_next:\n"
        "  ldrsh r2, [r1], #2\n"
        "  add pc, r2\n" /* the program counter reads as two halfwords further on: behind the NOP */
        "dcg_conv_levels_from_taps:\n"
        "  nop\n"
        "dcg_conv_levels_push:\n"
        "  push {r4-r11}\n"
        "  ldrsh r2, [r1], #2\n"
        "  add pc, r2\n"
        "dcg_conv_levels_from_push:\n"
        "  nop\n"
        "dcg_conv_levels_done:\n"
        "  ldrh r2, [r1]\n" /* bytes of all runs' sums */
        "  add r2, sp\n"
        "  ldr r2, [r2]\n"
        "  mov r0, sp\n"
        FINISH("1", "0", "0")
        "  ldr r2, [r0]\n"
        "  add r0, sp, #16\n"
        FINISH("2", "-16", "2")
        "  sub r0, #16\n"
        "  mov sp, r0\n"
        "  ldr r0, [sp]\n"
        NEXT_PASS
        "  bne.w dcg_conv_levels_pass\n"
        "  pop {r0, r4-r11, pc}\n"
        /* dcg_conv_levels_entry: what each entry is away from the program counter that it is added to. */
        "  .pushsection .rodata.dcg_conv_levels_entry, \"a\"\n"
        "  .balign 4\n"
        "  .macro dcg_conv_levels_row from\n"
        "  .hword dcg_conv_levels_push - (\\from + 2)\n"
        "  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16\n"
        "  .hword dcg_conv_levels_\\n - (\\from + 2)\n"
        "  .endr\n"
        "  .hword dcg_conv_levels_clear - (\\from + 2), dcg_conv_levels_done - (\\from + 2)\n"
        "  .endm\n"
        "  .global dcg_conv_levels_entry\n"
        "dcg_conv_levels_entry:\n"
        "  dcg_conv_levels_row dcg_conv_levels_from_taps\n"
        "  dcg_conv_levels_row dcg_conv_levels_from_push\n"
        "  .popsection\n");
}

/* clang-format on */
#else
typedef int dcg_conv_levels_dsp_is_for_other_cores;
#endif
