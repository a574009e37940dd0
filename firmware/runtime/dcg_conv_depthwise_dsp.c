/* Depthwise convolution with kernels of 3x3, two multiply-accumulates an instruction, for cores with a
 * Cortex-M4's DSP instructions that may load words from any address.
 *
 * A word of a plane's row holds bytes x .. x + 3. UXTB16 makes of it the halfwords x and x + 2, and with a
 * rotation x + 1 and x + 3. SMLAD multiplies the outer weights of a row of the kernel with the two that lie
 * two columns apart, SMLABB or one of its sisters the middle weight with the one between. With a stride of one
 * the same two registers serve output x + 1, too. */
#include "dcg_conv_depthwise.h"

#if DCG_DSP && DCG_UNALIGNED

/* clang-format off */

/* While a row is computed: r0 the plane at output x, r1 pitch, r2 where the output goes, lr where the row
 * ends (without the last one of an odd number, for pairs); r3, r4, r5 the outer weights of the kernel's rows, r6
 * the middle ones of the first two, r7 that of the third, r8 bias; r9, r10 sums; r11, r12 inputs.
 * On the stack: mult, zero point, the record. */
#define BEGIN \
    "  push {r0, r4-r11, lr}\n" \
    "  ldrd r2, r3, [r0, #" DCG_TEXT(DCG_DEPTHWISE_AT_MULT) "]\n" \
    "  push {r2, r3}\n" \
    "  ldm r0, {r0-r8}\n"

/* Four bytes of a row of the plane: columns 0 and 2 to r11, columns 1 and 3 to r12. */
#define LOAD(from) \
    "  ldr r12, " from "\n" \
    "  uxtb16 r11, r12\n" \
    "  uxtb16 r12, r12, ror #8\n"

/* A row of the kernel for output x: from and outer as below, half ("b" or "t") of middle its middle weight. */
#define ONE(from, outer, middle, half, start) \
    LOAD(from) \
    "  smlad r9, r11, " outer ", " start "\n" \
    "  smlab" half " r9, r12, " middle ", r9\n"

/* The same for outputs x and x + 1; their sums go on from start and start2. */
#define TWO(from, outer, middle, half, start, start2) \
    ONE(from, outer, middle, half, start) \
    "  smlad r10, r12, " outer ", " start2 "\n" \
    "  smlat" half " r10, r11, " middle ", r10\n"

/* The bytes of outputs x and x + 1 to r9 and r10. */
#define PAIR \
    TWO("[r0, r1]", "r4", "r6", "t", "r8", "r8") \
    TWO("[r0, r1, lsl #1]", "r5", "r7", "b", "r9", "r10") \
    TWO("[r0], #2", "r3", "r6", "b", "r9", "r10") \
    "  ldrd r11, r12, [sp]\n" \
    DCG_ASM_REQUANTIZE("r9", "r11", "r12") \
    DCG_ASM_REQUANTIZE("r10", "r11", "r12")

/* Behind a row, r12 the record: on to the next one, or to 1b if there is one. */
#define NEXT_ROW \
    "  ldr r9, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_NEXT_ROW) "]\n" \
    "  ldr r10, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n" \
    "  add r0, r9\n" \
    "  subs r10, #1\n" \
    "  str r10, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n" \
    "  bne 1b\n" \
    "  add sp, #12\n" \
    "  pop {r4-r11, pc}\n"

/* With a stride of one. */
DCG_NAKED static void dcg_conv_depthwise_step_1(dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(
        BEGIN
        "  ldr r12, [sp, #8]\n"
        "1:\n"
        "  ldr r12, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n"
        "  bic r12, #1\n"
        "  adds lr, r2, r12\n"
        "  cmp r2, lr\n"
        "  beq 3f\n"
        "2:\n"
        PAIR
        "  orr r9, r9, r10, lsl #8\n"
        "  strh r9, [r2], #2\n"
        "  cmp r2, lr\n"
        "  bne 2b\n"
        "3:\n"
        "  ldr r12, [sp, #8]\n"
        "  ldr r9, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n"
        "  lsls r9, #31\n"
        "  beq 4f\n"
        PAIR
        "  strb r9, [r2], #1\n"
        "  ldr r12, [sp, #8]\n"
        "4:\n"
        NEXT_ROW);
}

/* With a stride of two. */
DCG_NAKED static void dcg_conv_depthwise_step_2(dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(
        BEGIN
        "  ldr r12, [sp, #8]\n"
        "1:\n"
        "  ldr r12, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n"
        "  add lr, r2, r12\n"
        "2:\n"
        ONE("[r0, r1]", "r4", "r6", "t", "r8")
        ONE("[r0, r1, lsl #1]", "r5", "r7", "b", "r9")
        ONE("[r0], #2", "r3", "r6", "b", "r9")
        "  ldrd r11, r12, [sp]\n"
        DCG_ASM_REQUANTIZE("r9", "r11", "r12")
        "  strb r9, [r2], #1\n"
        "  cmp r2, lr\n"
        "  bne 2b\n"
        "  ldr r12, [sp, #8]\n"
        NEXT_ROW);
}

/* clang-format on */

void dcg_conv_depthwise_run(dcg_conv_depthwise *depthwise) {
    if (depthwise->stride_w == 1u)
        dcg_conv_depthwise_step_1(depthwise);
    else
        dcg_conv_depthwise_step_2(depthwise);
}
#else
typedef int dcg_conv_depthwise_dsp_is_for_other_cores;
#endif
