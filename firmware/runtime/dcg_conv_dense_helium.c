/* Packed convolution, dense: the inner loop and the packing of pixels, for cores with Helium. */
#include "dcg_conv_packed.h"

#if DCG_DENSE && DCG_HELIUM

/* clang-format off */

/* One chunk of a position's window: loads it from `at`, which moves on, and adds its dot products with both
 * filters' weights, q0 and q1, to two sums. */
#define DOT(at, chunk, sum, other) \
    "  vldrb.u8 " chunk ", [" at "], #16\n" \
    "  vmladava.s8 " sum ", q0, " chunk "\n" \
    "  vmladava.s8 " other ", q1, " chunk "\n"

/* Requantizes a sum and stores it to `out`, which moves on. */
#define STORE(sum, mult, zero_point, out) \
    DCG_ASM_REQUANTIZE(sum, mult, zero_point) \
    "  strb " sum ", [" out "], #1\n"

/* While a pass is summed:
 *   r1, r3, r5    where the next chunks of the three positions' windows are
 *   r0, r2, r4    their sums by the first filter, r6, r8, r10 by the second
 *   r7, r9        where the next chunks of the filters' weights are
 *   r11, r12      chunks in a row of the kernel; bytes from the end of one row to the begin of the next
 *   [sp]          the record; [sp, #4] rows of the kernel that are left */
DCG_NAKED void dcg_conv_dense_dot(dcg_conv_dense *dense DCG_IN_R0) {
    __asm__(
        "  push {r0, r1, r4-r11, lr}\n"
        "1:\n" /* a pass */
        "  ldr lr, [sp]\n"
        "  ldm lr, {r1, r2, r12}\n" /* words, pixel, kernel_rows */
        "  add r3, r1, r2\n"
        "  add r5, r3, r2\n"
        "  add r0, r5, r2\n"
        "  str r0, [lr]\n" /* words of the next pass */
        "  str r12, [sp, #4]\n"
        "  ldrd r11, r12, [lr, #" DCG_TEXT(DCG_DENSE_AT_CHUNKS) "]\n"
        "  ldrd r7, r9, [lr, #" DCG_TEXT(DCG_DENSE_AT_WEIGHTS) "]\n"
        "  ldrd r0, r6, [lr, #" DCG_TEXT(DCG_DENSE_AT_BIAS) "]\n"
        "  mov r2, r0\n"
        "  mov r4, r0\n"
        "  mov r8, r6\n"
        "  mov r10, r6\n"
        "2:\n" /* a row of the kernel */
        "  dls lr, r11\n"
        "3:\n" /* a chunk */
        "  vldrb.u8 q0, [r7], #16\n"
        "  vldrb.u8 q1, [r9], #16\n"
        DOT("r1", "q2", "r0", "r6") DOT("r3", "q3", "r2", "r8") DOT("r5", "q2", "r4", "r10")
        "  le lr, 3b\n"
        "  ldr lr, [sp, #4]\n"
        "  subs lr, #1\n"
        "  beq 4f\n"
        "  str lr, [sp, #4]\n"
        "  add r1, r12\n"
        "  add r3, r12\n"
        "  add r5, r12\n"
        "  b 2b\n"
        "4:\n" /* all rows are summed */
        "  ldr lr, [sp]\n"
        "  ldrd r11, r12, [lr, #" DCG_TEXT(DCG_DENSE_AT_OUT) "]\n"
        "  ldrd r1, r3, [lr, #" DCG_TEXT(DCG_DENSE_AT_REQUANT) "]\n" /* mult and zero point, */
        "  ldrd r5, r7, [lr, #" DCG_TEXT(DCG_DENSE_AT_REQUANT) "+16]\n" /* and the second filter's */
        STORE("r0", "r1", "r3", "r11") STORE("r2", "r1", "r3", "r11") STORE("r4", "r1", "r3", "r11")
        STORE("r6", "r5", "r7", "r12") STORE("r8", "r5", "r7", "r12") STORE("r10", "r5", "r7", "r12")
        "  strd r11, r12, [lr, #" DCG_TEXT(DCG_DENSE_AT_OUT) "]\n"
        "  ldr r0, [lr, #" DCG_TEXT(DCG_DENSE_AT_PASSES) "]\n"
        "  subs r0, #1\n"
        "  str r0, [lr, #" DCG_TEXT(DCG_DENSE_AT_PASSES) "]\n"
        "  bne 1b\n"
        "  pop {r0, r1, r4-r11, pc}\n");
}

/* clang-format on */

/* Eight bytes a round: q1 holds how far their places are from the first one's, so that one scatter stores
 * them. The last round is of as many as are left. */
void dcg_conv_dense_interleave(const uint8_t *line, uint32_t count, uint32_t pixel, uint8_t *to) {
    uint32_t eight = 8u * pixel;
    __asm__ volatile("  mov r0, #0\n"
                     "  vidup.u16 q1, r0, #1\n" /* 0, 1, .. 7 */
                     "  vmul.i16 q1, q1, %3\n"
                     "  vmov.i16 q2, #128\n"
                     "  wlstp.16 lr, %2, 2f\n"
                     "1: vldrb.u16 q0, [%0], #8\n"
                     "  veor q0, q0, q2\n"
                     "  vstrb.16 q0, [%1, q1]\n"
                     "  add %1, %4\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+&l"(line), "+&r"(to)
                     : "r"(count), "r"(pixel), "r"(eight)
                     : "r0", "lr", "q0", "q1", "q2", "memory");
}
#else
typedef int dcg_conv_dense_helium_is_for_other_cores;
#endif
