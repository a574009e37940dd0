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

/* While a row is computed: r0 the plane at output x, r1 pitch, r2 where the output goes; r3, r4, r5 the outer
 * weights of the kernel's rows, r6 the middle ones of the first two, the first one's on top, r7 on top that of the
 * third; r8, r9, r10, lr sums; r11, r12 inputs. Where an output row is computed by itself, r8 is the bias, and lr is
 * where the row ends (without the last output of an odd number, for pairs).
 *
 * On the stack: */
#define ON_STACK_MULT "[sp]"      /* and zero point */
#define ON_STACK_BIAS "[sp, #8]"  /* twice */
#define ON_STACK_PITCH "[sp, #16]" /* three times the pitch, then width */
#define ON_STACK_WIDTH "[sp, #20]"
#define ON_STACK_END "[sp, #24]" /* where the upper row's pairs of outputs end */
#define ON_STACK_ROWS "[sp, #28]" /* rows (or pairs of rows) to come */
#define ON_STACK_RECORD "[sp, #32]"

/* Loads the record at r0; the width to r11, the pairs of rows to lr, too. */
#define BEGIN \
    "  push {r0, r4-r11, lr}\n" \
    "  sub sp, #32\n" \
    "  ldrd r2, r3, [r0, #" DCG_TEXT(DCG_DEPTHWISE_AT_MULT) "]\n" \
    "  strd r2, r3, " ON_STACK_MULT "\n" \
    "  ldr r11, [r0, #" DCG_TEXT(DCG_DEPTHWISE_AT_WIDTH) "]\n" \
    "  ldr lr, [r0, #" DCG_TEXT(DCG_DEPTHWISE_AT_PAIRS) "]\n" \
    "  ldm r0, {r0-r3, r8}\n" \
    "  strd r8, r8, " ON_STACK_BIAS "\n" \
    "  add r12, r1, r1, lsl #1\n" \
    "  strd r12, r11, " ON_STACK_PITCH "\n" \
    "  ldr r9, [r3]\n" \
    "  ldr r10, [r3, #4]\n" \
    "  ldr r12, [r3, #8]\n" \
    "  ldr r7, [r3, #12]\n" \
    "  ldrh r5, [r3, #16]\n" \
    "  pkhbt r3, r9, r10, lsl #16\n" \
    "  pkhtb r4, r12, r10, asr #16\n" \
    "  pkhbt r5, r7, r5, lsl #16\n" \
    "  pkhbt r6, r12, r9\n"

#define END \
    "  add sp, #36\n" \
    "  pop {r4-r11, pc}\n"

/* Four bytes of a row of the plane: columns 0 and 2 to r11, columns 1 and 3 to r12. */
#define LOAD(from) \
    "  ldr r12, " from "\n" \
    "  uxtb16 r11, r12\n" \
    "  uxtb16 r12, r12, ror #8\n"

/* A row of the kernel for output x, whose sum goes on from start; half ("b" or "t") of middle is the middle weight. */
#define ONE(sum, outer, middle, half, start) \
    "  smlad " sum ", r11, " outer ", " start "\n" \
    "  smlab" half " " sum ", r12, " middle ", " sum "\n"

/* The same for output x + 1, with a stride of one. */
#define BESIDE(sum, outer, middle, half, start) \
    "  smlad " sum ", r12, " outer ", " start "\n" \
    "  smlat" half " " sum ", r11, " middle ", " sum "\n"

/* Both, with sums r9 and r10. */
#define TWO(outer, middle, half, start, start2) \
    ONE("r9", outer, middle, half, start) \
    BESIDE("r10", outer, middle, half, start2)

/* The byte of output x to r9. */
#define SINGLE \
    LOAD("[r0, r1]") \
    ONE("r9", "r4", "r6", "b", "r8") \
    LOAD("[r0, r1, lsl #1]") \
    ONE("r9", "r5", "r7", "t", "r9") \
    LOAD("[r0], #2") \
    ONE("r9", "r3", "r6", "t", "r9") \
    "  ldrd r11, r12, " ON_STACK_MULT "\n" \
    DCG_ASM_REQUANTIZE("r9", "r11", "r12")

/* The bytes of outputs x and x + 1 side by side to r9, from sums r9 and r10. */
#define PAIR_OF_BYTES \
    "  ldrd r11, r12, " ON_STACK_MULT "\n" \
    DCG_ASM_REQUANTIZE("r9", "r11", "r12") \
    DCG_ASM_REQUANTIZE("r10", "r11", "r12") \
    "  orr r9, r9, r10, lsl #8\n"

/* r0 goes on to the row (or pair of rows) that is next, by what stands in the record; to label if there is one. */
#define NEXT_ROW(by, label) \
    "  ldr r12, " ON_STACK_RECORD "\n" \
    "  ldr r10, " ON_STACK_ROWS "\n" \
    "  ldr r9, [r12, #" DCG_TEXT(by) "]\n" \
    "  subs r10, #1\n" \
    "  add r0, r9\n" \
    "  str r10, " ON_STACK_ROWS "\n" \
    "  bne " label "\n"

/* A square of outputs with a stride of one: x and x + 1 of the upper row are r9 and r10, of the lower one r8 and
 * lr. The upper row's bytes come to lie side by side in r9, the lower row's in r8. Width to r11. */
#define SQUARE \
    "  ldrd r8, lr, " ON_STACK_BIAS "\n" \
    LOAD("[r0, r1]") \
    TWO("r4", "r6", "b", "r8", "lr") \
    ONE("r8", "r3", "r6", "t", "r8") \
    BESIDE("lr", "r3", "r6", "t", "lr") \
    LOAD("[r0, r1, lsl #1]") \
    TWO("r5", "r7", "t", "r9", "r10") \
    ONE("r8", "r4", "r6", "b", "r8") \
    BESIDE("lr", "r4", "r6", "b", "lr") \
    "  ldr r12, " ON_STACK_PITCH "\n" \
    LOAD("[r0, r12]") \
    ONE("r8", "r5", "r7", "t", "r8") \
    BESIDE("lr", "r5", "r7", "t", "lr") \
    LOAD("[r0], #2") \
    TWO("r3", "r6", "t", "r9", "r10") \
    PAIR_OF_BYTES \
    DCG_ASM_REQUANTIZE("r8", "r11", "r12") \
    DCG_ASM_REQUANTIZE("lr", "r11", "r12") \
    "  orr r8, r8, lr, lsl #8\n" \
    "  ldr r11, " ON_STACK_WIDTH "\n"

/* The same of the last column of an odd number. */
#define COLUMN \
    "  ldr r8, " ON_STACK_BIAS "\n" \
    LOAD("[r0, r1]") \
    ONE("r9", "r4", "r6", "b", "r8") \
    ONE("r8", "r3", "r6", "t", "r8") \
    LOAD("[r0, r1, lsl #1]") \
    ONE("r9", "r5", "r7", "t", "r9") \
    ONE("r8", "r4", "r6", "b", "r8") \
    "  ldr r12, " ON_STACK_PITCH "\n" \
    LOAD("[r0, r12]") \
    ONE("r8", "r5", "r7", "t", "r8") \
    LOAD("[r0], #2") \
    ONE("r9", "r3", "r6", "t", "r9") \
    "  ldrd r11, r12, " ON_STACK_MULT "\n" \
    DCG_ASM_REQUANTIZE("r9", "r11", "r12") \
    DCG_ASM_REQUANTIZE("r8", "r11", "r12") \
    "  ldr r11, " ON_STACK_WIDTH "\n"

/* With a stride of one: pairs of rows, then single ones. */
DCG_NAKED static void dcg_conv_depthwise_step_1(const dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(
        BEGIN
        "  cmp lr, #0\n"
        "  beq 10f\n"
        "  str lr, " ON_STACK_ROWS "\n"
        "1:\n"
        "  bics r12, r11, #1\n"
        "  add r12, r2\n"
        "  str r12, " ON_STACK_END "\n"
        "  beq 3f\n"
        "2:\n"
        SQUARE
        "  strh r8, [r2, r11]\n"
        "  strh r9, [r2], #2\n"
        "  ldr r12, " ON_STACK_END "\n"
        "  cmp r2, r12\n"
        "  bne 2b\n"
        "  lsls r12, r11, #31\n"
        "  beq 4f\n"
        "3:\n"
        COLUMN
        "  strb r8, [r2, r11]\n"
        "  strb r9, [r2], #1\n"
        "4:\n"
        "  add r2, r11\n"
        NEXT_ROW(DCG_DEPTHWISE_AT_NEXT_PAIR, "1b")
        "10:\n"
        "  ldr r12, " ON_STACK_RECORD "\n"
        "  ldr r9, [r12, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n"
        "  cmp r9, #0\n"
        "  beq 9f\n"
        "  str r9, " ON_STACK_ROWS "\n"
        "  ldr r8, " ON_STACK_BIAS "\n"
        "5:\n"
        "  ldr r9, " ON_STACK_WIDTH "\n"
        "  bics r9, #1\n"
        "  add lr, r2, r9\n"
        "  beq 7f\n"
        "6:\n"
        LOAD("[r0, r1]")
        TWO("r4", "r6", "b", "r8", "r8")
        LOAD("[r0, r1, lsl #1]")
        TWO("r5", "r7", "t", "r9", "r10")
        LOAD("[r0], #2")
        TWO("r3", "r6", "t", "r9", "r10")
        PAIR_OF_BYTES
        "  strh r9, [r2], #2\n"
        "  cmp r2, lr\n"
        "  bne 6b\n"
        "7:\n"
        "  ldr r9, " ON_STACK_WIDTH "\n"
        "  lsls r9, #31\n"
        "  beq 8f\n"
        SINGLE
        "  strb r9, [r2], #1\n"
        "8:\n"
        NEXT_ROW(DCG_DEPTHWISE_AT_NEXT_ROW, "5b")
        "9:\n"
        END);
}

/* A row of the kernel for columns 0 to 3 of outputs x and x + 1 with a stride of two, which are two columns apart. */
#define APART(from, outer, middle, half, start, start2) \
    LOAD(from) \
    ONE("r9", outer, middle, half, start) \
    "  smlatb r10, r11, " outer ", " start2 "\n" \
    "  smlat" half " r10, r12, " middle ", r10\n"

/* The same for column 4, which only output x + 1 reads. */
#define LAST(from, outer) \
    "  ldrb r12, " from "\n" \
    "  smlabt r10, r12, " outer ", r10\n"

/* With a stride of two. */
DCG_NAKED static void dcg_conv_depthwise_step_2(const dcg_conv_depthwise *depthwise DCG_IN_R0) {
    __asm__(
        BEGIN
        "  ldr r9, " ON_STACK_RECORD "\n"
        "  ldr r9, [r9, #" DCG_TEXT(DCG_DEPTHWISE_AT_ROWS) "]\n"
        "  str r9, " ON_STACK_ROWS "\n"
        "1:\n"
        "  ldr r9, " ON_STACK_WIDTH "\n"
        "  bics r9, #1\n"
        "  add lr, r2, r9\n"
        "  beq 3f\n"
        "2:\n"
        APART("[r0, r1]", "r4", "r6", "b", "r8", "r8")
        APART("[r0, r1, lsl #1]", "r5", "r7", "t", "r9", "r10")
        APART("[r0], #4", "r3", "r6", "t", "r9", "r10")
        LAST("[r0]", "r3")
        LAST("[r0, r1]", "r4")
        LAST("[r0, r1, lsl #1]", "r5")
        PAIR_OF_BYTES
        "  strh r9, [r2], #2\n"
        "  cmp r2, lr\n"
        "  bne 2b\n"
        "3:\n"
        "  ldr r9, " ON_STACK_WIDTH "\n"
        "  lsls r9, #31\n"
        "  beq 4f\n"
        SINGLE
        "  strb r9, [r2], #1\n"
        "4:\n"
        NEXT_ROW(DCG_DEPTHWISE_AT_NEXT_ROW, "1b")
        END);
}

/* clang-format on */

void dcg_conv_depthwise_run_3x3(const dcg_conv_depthwise *depthwise) {
    if (depthwise->stride_w == 1u)
        dcg_conv_depthwise_step_1(depthwise);
    else
        dcg_conv_depthwise_step_2(depthwise);
}

/* clang-format off */

#define COPY_WORD \
    "  ldr.w r12, [r2], #4\n" \
    "  str.w r12, [r1], #4\n"
#define COPY_SIX COPY_WORD COPY_WORD COPY_WORD COPY_WORD COPY_WORD COPY_WORD

/* r1 to, r2 from, r3 rows to come; r4 to r6 pitch, row, last; r7 where in the code as many words are copied as a
 * row has ahead of its last one: each takes eight bytes of code. */
DCG_NAKED void dcg_conv_depthwise_copy(const dcg_depthwise_copy *copy DCG_IN_R0, uint8_t *to DCG_IN_R0,
                                       const uint8_t *from DCG_IN_R0, uint32_t rows DCG_IN_R0) {
    __asm__(
        "  push {r4-r7, lr}\n"
        "  ldm r0, {r4-r7}\n"
        "  adr.w r0, 2f\n"
        "  sub r7, r0, r7\n"
        "1:\n"
        "  mov pc, r7\n"
        COPY_SIX COPY_SIX COPY_SIX COPY_SIX
        "2:\n"
        "  ldr r12, [r2, r6]\n"
        "  str r12, [r1, r6]\n"
        "  add r2, r5\n"
        "  add r1, r4\n"
        "  subs r3, #1\n"
        "  bne 1b\n"
        "  pop {r4-r7, pc}\n");
}

/* clang-format on */

DCG_ASSERT(dcg_conv_depthwise_has_code_for_each_word, DCG_DEPTHWISE_COPIED == 25u);

void dcg_conv_depthwise_copy_open(dcg_depthwise_copy *copy, uint32_t pitch, uint32_t row, uint32_t columns) {
    uint32_t words = (columns - 1u) / 4u; /* ahead of the last one */
    const dcg_depthwise_copy c = {pitch - 4u * words, row - 4u * words, columns - 4u * (words + 1u),
                                  8u * words};
    *copy = c;
}
#else
typedef int dcg_conv_depthwise_dsp_is_for_other_cores;
#endif
