/* Depthwise convolution with kernels of 5x5 for cores with a Cortex-M4's DSP instructions that may load words
 * from any address: two outputs at a time, a row of the kernel in 14 or 16 instructions.
 *
 * As in dcg_conv_depthwise_dsp.c, UXTB16 makes halfwords of two columns that lie two apart, and SMLAD
 * multiplies them with as many weights. Those of a row of the kernel are kept as the pairs 0 and 2, 1 and 3,
 * and the last one. */
#include "dcg_conv_depthwise.h"

#if DCG_DSP && DCG_UNALIGNED

/* clang-format off */

/* r0 the plane at output x, in the kernel's row that comes next; r1 pitch, r2 where the output goes, lr that of the
 * row's last one; r3, r4, r5 weights of a row of the kernel, r6 where those of the next one are; r7, r8 sums;
 * r9 to r12 inputs.
 *
 * On the stack: */
#define ON_STACK_MULT "[sp]"       /* and zero point */
#define ON_STACK_BIAS "[sp, #8]"   /* twice */
#define ON_STACK_WIDTH "[sp, #16]" /* of a row, less one */
#define ON_STACK_BACK "[sp, #20]"  /* from behind the kernel's last row to its first one, at output x + 2 */
#define ON_STACK_ROWS "[sp, #24]"  /* to come */
#define AT_WEIGHTS "#28"           /* of the five rows, three words each */
#define ON_STACK_RECORD "[sp, #88]"

/* A row's weights from r3 on to r9, r10, r11, and to the stack at r6. */
#define ROW_OF_WEIGHTS \
    "  ldr r9, [r3], #4\n" \
    "  ldr r12, [r3], #4\n" \
    "  ldrsh r11, [r3], #2\n" \
    "  pkhtb r10, r12, r9, asr #16\n" \
    "  pkhbt r9, r9, r12, lsl #16\n" \
    "  stm r6!, {r9-r11}\n"

/* Loads the record at r0. step: columns that two outputs go on by */
#define BEGIN(step) \
    "  push {r0, r4-r11, lr}\n" \
    "  sub sp, #88\n" \
    "  mov r7, r0\n" \
    "  ldm r0, {r0-r3, r8}\n" \
    "  add r6, sp, " AT_WEIGHTS "\n" \
    ROW_OF_WEIGHTS ROW_OF_WEIGHTS ROW_OF_WEIGHTS ROW_OF_WEIGHTS ROW_OF_WEIGHTS \
    "  ldr r9, [r7, #" DCG_TEXT(DCG_DEPTHWISE_AT_MULT) "]\n" \
    "  ldr r10, [r7, #" DCG_TEXT(DCG_DEPTHWISE_AT_MULT) " + 4]\n" \
    "  strd r9, r10, " ON_STACK_MULT "\n" \
    "  strd r8, r8, " ON_STACK_BIAS "\n" \
    "  ldr r9, [r7, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n" \
    "  ldr r12, [r7, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n" \
    "  sub r9, #1\n" \
    "  add r10, r1, r1, lsl #2\n" \
    "  rsb r10, r10, #" step "\n" \
    "  strd r9, r10, " ON_STACK_WIDTH "\n" \
    "  str r12, " ON_STACK_ROWS "\n"

/* Columns 0 to 3 to r9 and r10, those from second on to r11 and r12; r0 to the kernel's next row. */
#define LOAD(second) \
    "  ldm r6!, {r3-r5}\n" \
    "  ldr r10, [r0]\n" \
    "  ldr r12, [r0, #" second "]\n" \
    "  uxtb16 r9, r10\n" \
    "  uxtb16 r10, r10, ror #8\n" \
    "  uxtb16 r11, r12\n" \
    "  uxtb16 r12, r12, ror #8\n" \
    "  add r0, r1\n" \
    "  smlad r7, r9, r3, r7\n" \
    "  smlad r7, r10, r4, r7\n"

/* A row of the kernel with a stride of one: columns 0 and 2, 1 and 3, 2 and 4, 3 and 5. */
#define STEP_1 \
    LOAD("2") \
    "  smlatb r7, r11, r5, r7\n" \
    "  smlad r8, r10, r3, r8\n" \
    "  smlad r8, r11, r4, r8\n" \
    "  smlatb r8, r12, r5, r8\n"

/* The same with a stride of two: columns 0 and 2, 1 and 3, 4 and 6, 5 and 7. The pairs 4 and 2, 5 and 3 are made of
 * these; SMLADX multiplies them crosswise. */
#define STEP_2 \
    LOAD("4") \
    "  smlabb r7, r11, r5, r7\n" \
    "  pkhbt r9, r11, r9\n" \
    "  pkhbt r10, r12, r10\n" \
    "  smladx r8, r9, r3, r8\n" \
    "  smladx r8, r10, r4, r8\n" \
    "  smlatb r8, r11, r5, r8\n"

/* A function's loop; row is a row of the kernel. */
#define RUN(row, step) \
    BEGIN(step) \
    "1:\n" \
    "  ldr lr, " ON_STACK_WIDTH "\n" \
    "  add lr, r2\n" \
    "2:\n" \
    "  add r6, sp, " AT_WEIGHTS "\n" \
    "  ldrd r7, r8, " ON_STACK_BIAS "\n" \
    row row row row row \
    "  ldrd r9, r10, " ON_STACK_MULT "\n" \
    "  ldr r11, " ON_STACK_BACK "\n" \
    DCG_ASM_REQUANTIZE("r7", "r9", "r10") \
    DCG_ASM_REQUANTIZE("r8", "r9", "r10") \
    "  add r0, r11\n" \
    "  cmp r2, lr\n" \
    "  beq 3f\n" \
    "  orr r7, r7, r8, lsl #8\n" \
    "  strh r7, [r2], #2\n" \
    "  cmp r2, lr\n" \
    "  bls 2b\n" \
    "  b 4f\n" \
    "3:\n" \
    "  strb r7, [r2], #1\n" \
    "4:\n" \
    "  ldr r12, " ON_STACK_RECORD "\n" \
    "  ldr r10, " ON_STACK_ROWS "\n" \
    "  ldr r9, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_NEXT_ROW) "]\n" \
    "  subs r10, #1\n" \
    "  add r0, r9\n" \
    "  str r10, " ON_STACK_ROWS "\n" \
    "  bne 1b\n" \
    "  add sp, #92\n" \
    "  pop {r4-r11, pc}\n"

DCG_NAKED static void dcg_conv_depthwise_5x5_step_1(const dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(RUN(STEP_1, "2"));
}

DCG_NAKED static void dcg_conv_depthwise_5x5_step_2(const dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(RUN(STEP_2, "4"));
}

/* clang-format on */

void dcg_conv_depthwise_run_5x5(const dcg_conv_depthwise *depthwise) {
    if (depthwise->stride_w == 1u)
        dcg_conv_depthwise_5x5_step_1(depthwise);
    else
        dcg_conv_depthwise_5x5_step_2(depthwise);
}
#else
typedef int dcg_conv_depthwise_5x5_dsp_is_for_other_cores;
#endif
