/* Depthwise convolution with kernels of 3x3, two multiply-accumulates an instruction, for cores with a
 * Cortex-M4's DSP instructions that may load words from any address.
 *
 * A word of a plane's row holds bytes x .. x + 3. UXTB16 makes of it the halfwords x and x + 2, and with a
 * rotation x + 1 and x + 3. SMLAD multiplies the outer weights of a row of the kernel with the two that lie
 * two columns apart, SMLABB or one of its sisters the middle weight with the one between. With a stride of
 * one the same two registers serve output x + 1, too. */
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

/* A row of the kernel added to the sums of outputs x and x + 1. */
#define SUM(sum, sum2, outer, middle, half) \
    "  smlad " sum ", r11, " outer ", " sum "\n" \
    "  smlad " sum2 ", r12, " outer ", " sum2 "\n" \
    "  smlab" half " " sum ", r12, " middle ", " sum "\n" \
    "  smlat" half " " sum2 ", r11, " middle ", " sum2 "\n"

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

/* Behind a row (or a pair), r12 the record: r0 and the record go on to the next one; to 1b if there is one. */
#define NEXT_ROW \
    "  ldr r9, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_NEXT_ROW) "]\n" \
    "  ldr r10, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n" \
    "  add r0, r9\n" \
    "  subs r10, #1\n" \
    "  str r10, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n" \
    "  bne 1b\n"

#define END \
    "  add sp, #12\n" \
    "  pop {r4-r11, pc}\n"

/* With a stride of one. */
DCG_NAKED static void dcg_conv_depthwise_step_1(dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(
        BEGIN
        "  ldr r12, [sp, #8]\n"
        "1:\n"
        "  ldr r9, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n"
        "  bics r9, #1\n"
        "  add lr, r2, r9\n"
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
        NEXT_ROW
        END);
}

/* Two rows of the kernel for outputs x and x + 1 of one row, then x and x + 1 of the next row. */
#define FOUR(from, outer, middle, half, outer2, middle2, half2) \
    LOAD(from) \
    SUM("r9", "r10", outer, middle, half) \
    SUM("r8", "lr", outer2, middle2, half2)

/* Two columns of two rows of outputs: the upper row's bytes side by side in r9, the lower row's in r8. */
#define SQUARE \
    "  ldrd r9, r10, [sp, #8]\n" \
    "  ldrd r8, lr, [sp, #8]\n" \
    FOUR("[r0, r1]", "r4", "r6", "t", "r3", "r6", "b") \
    FOUR("[r0, r1, lsl #1]", "r5", "r7", "b", "r4", "r6", "t") \
    "  ldr r12, [sp, #16]\n" \
    LOAD("[r0, r12]") \
    SUM("r8", "lr", "r5", "r7", "b") \
    LOAD("[r0], #2") \
    SUM("r9", "r10", "r3", "r6", "b") \
    "  ldrd r11, r12, [sp]\n" \
    DCG_ASM_REQUANTIZE("r9", "r11", "r12") \
    DCG_ASM_REQUANTIZE("r10", "r11", "r12") \
    DCG_ASM_REQUANTIZE("r8", "r11", "r12") \
    DCG_ASM_REQUANTIZE("lr", "r11", "r12") \
    "  orr r9, r9, r10, lsl #8\n" \
    "  orr r8, r8, lr, lsl #8\n" \
    "  ldr r11, [sp, #20]\n"

/* With a stride of one, pairs of rows, of which there are `rows` in all. On the stack: mult, zero point, bias twice,
 * three times the pitch, width, where the upper row's pairs end, the record. */
DCG_NAKED static void dcg_conv_depthwise_squares(dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(
        "  push {r0, r4-r11, lr}\n"
        "  sub sp, #28\n"
        "  ldrd r2, r3, [r0, #" DCG_TEXT(DCG_DEPTHWISE_AT_MULT) "]\n"
        "  strd r2, r3, [sp]\n"
        "  ldr r11, [r0, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n"
        "  ldm r0, {r0-r8}\n"
        "  add r12, r1, r1, lsl #1\n"
        "  strd r8, r8, [sp, #8]\n"
        "  strd r12, r11, [sp, #16]\n"
        "1:\n"
        "  bics r12, r11, #1\n"
        "  add r12, r2\n"
        "  str r12, [sp, #24]\n"
        "  beq 3f\n"
        "2:\n"
        SQUARE
        "  strh r8, [r2, r11]\n"
        "  strh r9, [r2], #2\n"
        "  ldr r12, [sp, #24]\n"
        "  cmp r2, r12\n"
        "  bne 2b\n"
        "  lsls r12, r11, #31\n"
        "  beq 4f\n"
        "3:\n"
        SQUARE
        "  strb r8, [r2, r11]\n"
        "  strb r9, [r2], #1\n"
        "4:\n"
        "  ldr r12, [sp, #28]\n"
        "  add r2, r11\n"
        "  add r0, r1\n"
        NEXT_ROW
        "  add sp, #32\n"
        "  pop {r4-r11, pc}\n");
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
        NEXT_ROW
        END);
}

/* clang-format on */

void dcg_conv_depthwise_run(dcg_conv_depthwise *depthwise) {
    if (depthwise->stride_w != 1u) {
        dcg_conv_depthwise_step_2(depthwise);
        return;
    }
    uint32_t rows = depthwise->rows, pairs = depthwise->stride_h == 1u ? rows / 2u : 0;
    if (pairs > 0) {
        depthwise->rows = pairs;
        dcg_conv_depthwise_squares(depthwise);
        rows -= 2u * pairs;
        if (rows == 0) return;
        depthwise->plane += 2u * pairs * depthwise->pitch;
        depthwise->out += 2u * pairs * depthwise->width;
        depthwise->rows = rows;
    }
    dcg_conv_depthwise_step_1(depthwise);
}

/* clang-format off */

/* r0 to, r1 pitch, r2 from, r3 row; r4 the last word's offset, r5 rows to come; r6 its address; r7, r8 where a
 * row's copying is. */
DCG_NAKED void dcg_conv_depthwise_copy(uint8_t *to DCG_IN_R0, uint32_t pitch DCG_IN_R0,
                                       const uint8_t *from DCG_IN_R0, uint32_t row DCG_IN_R0,
                                       uint32_t columns DCG_IN_R0, uint32_t rows DCG_IN_R0) {
    __asm__(
        "  push {r4-r9, lr}\n"
        "  ldrd r4, r5, [sp, #28]\n"
        "  sub r4, #4\n"
        "1:\n"
        "  add r6, r2, r4\n"
        "  mov r7, r2\n"
        "  mov r8, r0\n"
        "  subs r9, r4, #12\n"
        "  bls 3f\n"
        "  add r9, r2\n"
        "2:\n"
        "  ldr r12, [r7], #4\n"
        "  ldr lr, [r7], #4\n"
        "  str r12, [r8], #4\n"
        "  str lr, [r8], #4\n"
        "  ldr r12, [r7], #4\n"
        "  ldr lr, [r7], #4\n"
        "  str r12, [r8], #4\n"
        "  str lr, [r8], #4\n"
        "  cmp r7, r9\n"
        "  blo 2b\n"
        "3:\n"
        "  cmp r7, r6\n"
        "  bhs 5f\n"
        "4:\n"
        "  ldr r12, [r7], #4\n"
        "  str r12, [r8], #4\n"
        "  cmp r7, r6\n"
        "  blo 4b\n"
        "5:\n"
        "  ldr r12, [r6]\n" /* the last word, which may have bytes of the one before again */
        "  str r12, [r0, r4]\n"
        "  add r2, r3\n"
        "  add r0, r1\n"
        "  subs r5, #1\n"
        "  bne 1b\n"
        "  pop {r4-r9, pc}\n");
}

/* clang-format on */
#else
typedef int dcg_conv_depthwise_dsp_is_for_other_cores;
#endif
