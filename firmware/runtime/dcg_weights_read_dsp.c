/* The decoder's inner loops for cores with a Cortex-M4's DSP instructions that may load words from any
 * address: what dcg_weights_read.c does, but two codes from one load. A load gives at least 25 bits of the
 * stream, two codes have at most 24.
 *
 * The reader's fields stay in registers:
 *   r0 stream   r1 table   r2 levels   r3 step   r4 list   r5 bit   r6 left   r7 last   r8 n   r9 mask
 * r11 holds the stream's next bits, r12 an entry of the table; lr and r10 are free. */
#include "dcg_weights_read.h"

#if DCG_DSP && DCG_UNALIGNED

#define DCG_ESCAPE_SYMBOL 4095 /* DCG_ESCAPE as assembly takes it */
DCG_ASSERT(dcg_escape_symbol_is_that_of_the_format, DCG_ESCAPE == DCG_ESCAPE_SYMBOL);
DCG_ASSERT(dcg_escape_lowers_the_end_twice, DCG_READER_ESCAPE == 2u);

/* clang-format off */

/* Loads the reader at r0 and keeps its address on the stack; r12 end. */
#define BEGIN \
    "  push {r0, r4-r11, lr}\n" \
    "  ldr r12, [r0, #" DCG_TEXT(DCG_READER_AT_END) "]\n" \
    "  ldm r0, {r0-r9}\n"

/* The stream's bits from r5 on to r11. */
#define LOAD \
    "  lsr r11, r5, #3\n" \
    "  ldr r11, [r0, r11]\n" \
    "  and lr, r5, #7\n" \
    "  lsr r11, r11, lr\n"

/* The entry of the next code to r12; takes the weights that it spans from r6. To 2 where it is of a later
 * place in the kernel, or not plain: then its upper half is more than any r6. */
#define ENTRY \
    "  and lr, r11, r9\n" \
    "  ldr r12, [r1, lr, lsl #2]\n" \
    "  subs r6, r6, r12, lsr #16\n" \
    "  bmi 2f\n"

/* Of a plain entry in r12: r5 behind its code (UXTAB adds the entry's lowest byte, the code's length), the
 * weight to r12. */
#define WEIGHT \
    "  uxtab r5, r5, r12\n" \
    "  ubfx r12, r12, #8, #8\n" \
    "  ldrsh r12, [r2, r12, lsl #1]\n"

/* The escape whose entry is in r12: its run of zeros to r10, its weight to r12, r5 behind it. To 4 where it is none,
 * to 9 with r5 on the stack where its level is zero or does not exist.
 *
 * READER  where on the stack the reader's address is, behind r5 */
#define ESCAPE(READER) \
    "  ubfx lr, r12, #8, #12\n" \
    "  movw r10, #" DCG_TEXT(DCG_ESCAPE_SYMBOL) "\n" \
    "  cmp lr, r10\n" \
    "  bne 4f\n" \
    "  push {r5}\n" \
    "  uxtab r5, r5, r12\n" \
    LOAD \
    "  ldr lr, " READER "\n" \
    "  ldrb r12, [lr, #" DCG_TEXT(DCG_READER_AT_RUN_BITS) "]\n" \
    "  add r5, r12\n" \
    "  ror r11, r11, r12\n" /* the run comes to lie on top */ \
    "  rsb r12, r12, #32\n" \
    "  lsr r10, r11, r12\n" \
    "  ldrb r12, [lr, #" DCG_TEXT(DCG_READER_AT_LEVEL_BITS) "]\n" \
    "  add r5, r12\n" \
    "  rsb r12, r12, #32\n" \
    "  lsl r11, r11, r12\n" \
    "  lsr r11, r11, r12\n" \
    "  ldrh r12, [lr, #" DCG_TEXT(DCG_READER_AT_N_LEVELS) "]\n" \
    "  cmp r11, r12\n" \
    "  bhs 9f\n" \
    "  ldrsh r12, [r2, r11, lsl #1]\n" \
    "  cmp r12, #0\n" \
    "  beq 9f\n"

/* The loop, two codes a round. Afterwards r0 is what the function returns.
 *
 * A_TAP       makes a tap of the weight in r12
 * AT_THE_END  compares n with end
 * NEARER      lowers end by one
 * ENOUGH      compares n with end less DCG_READER_ESCAPE
 * READER      see ESCAPE
 *
 * At 2 an entry that ENTRY could not take is undone in r6 and told by its upper three bits:
 *   0xx  plain, of a later place      to 3, returns 1
 *   100  of another kind              to 8: an escape is taken, else to 4, returns 0
 *   101  of a code with a second level: its own entry is fetched and treated as the first was
 *   11x  a filler: to 6, where it ends the loop, too, if it is of a later place */
#define READ(A_TAP, AT_THE_END, NEARER, ENOUGH, READER) \
    "1:\n" \
    LOAD \
    ENTRY \
    "  lsr r11, r11, r12\n" /* by the code's length: a shift reads the lowest byte */ \
    WEIGHT \
    A_TAP \
    ENTRY \
    WEIGHT \
    A_TAP \
    "7:\n" \
    AT_THE_END \
    "  blo 1b\n" \
    "  b 4f\n" \
    "2:\n" \
    "  add r6, r6, r12, lsr #16\n" \
    "  cmp r12, #0\n" \
    "  bpl 3f\n" \
    "  lsls lr, r12, #2\n" /* bit 30 to the carry, bit 29 to the sign */ \
    "  bcs 6f\n" \
    "  bpl 8f\n" \
    "  lsr lr, r11, r12\n" \
    "  ubfx r10, r12, #8, #8\n" /* mask of the second level's bits */ \
    "  and lr, r10\n" \
    "  ubfx r10, r12, #16, #13\n" /* where it begins */ \
    "  add lr, r10\n" \
    "  ldr r12, [r1, lr, lsl #2]\n" \
    "  subs r6, r6, r12, lsr #16\n" \
    "  bmi 2b\n" \
    WEIGHT \
    A_TAP \
    "  b 7b\n" \
    "6:\n" \
    "  ubfx lr, r12, #16, #14\n" /* weights that it spans */ \
    "  cmp r6, lr\n" \
    "  blo 3f\n" \
    "  sub r6, lr\n" \
    "  uxtab r5, r5, r12\n" \
    NEARER \
    "  b 7b\n" \
    "8:\n" \
    ENOUGH \
    "  bhs 4f\n" \
    ESCAPE(READER) \
    "  cmp r6, r10\n" \
    "  bls 9f\n" \
    "  sub r6, r10\n" \
    "  sub r6, #1\n" \
    "  ldr r10, [lr, #" DCG_TEXT(DCG_READER_AT_ESCAPES) "]\n" \
    "  add r10, #1\n" \
    "  str r10, [lr, #" DCG_TEXT(DCG_READER_AT_ESCAPES) "]\n" \
    "  add sp, #4\n" \
    NEARER \
    NEARER \
    A_TAP \
    "  b 7b\n" \
    "9:\n" \
    "  pop {r5}\n" \
    "4:\n" \
    "  movs r0, #0\n" \
    "  b 5f\n" \
    "3:\n" \
    "  movs r0, #1\n" \
    "5:\n"

/* Stores bit, left, last, n and end, which is r12, to the reader, and returns. */
#define LEAVE \
    "  ldr lr, [sp], #4\n" \
    "  str r12, [lr, #" DCG_TEXT(DCG_READER_AT_END) "]\n" \
    "  add lr, #" DCG_TEXT(DCG_READER_AT_BIT) "\n" \
    "  stm lr, {r5-r8}\n" \
    "  pop {r4-r11, pc}\n"

/* In place of n and end: r8 where the next tap goes, r4 where it would be the end's; [sp] the list. */
#define LIST_TAP \
    "  mls lr, r3, r6, r7\n" \
    "  strd lr, r12, [r8], #8\n"

DCG_NAKED uint32_t dcg_weights_read_list(dcg_weights_reader *reader DCG_IN_R0) {
    __asm__(
        BEGIN
        "  push {r4}\n"
        "  add r8, r4, r8, lsl #3\n"
        "  add r4, r4, r12, lsl #3\n"
        READ(LIST_TAP,
             "  cmp r8, r4\n",
             "  sub r4, #8\n",
             "  add lr, r8, #16\n"
             "  cmp lr, r4\n",
             "[sp, #8]")
        "  pop {r12}\n"
        "  sub r8, r12\n"
        "  sub r12, r4, r12\n"
        "  lsr r8, r8, #3\n"
        "  lsr r12, r12, #3\n"
        LEAVE);
}

/* r12 is the label, r8 the tap's number; [sp] end. */
#define CHAIN_TAP \
    "  mls lr, r3, r6, r7\n" \
    "  ldrh r10, [r4, r12, lsl #1]\n" /* the tap before it in its chain */ \
    "  strh r8, [r4, r12, lsl #1]\n" \
    "  orr lr, lr, r10, lsl #16\n" \
    "  str lr, [r4, r8, lsl #2]\n" \
    "  add r8, #1\n"

DCG_NAKED uint32_t dcg_weights_read_chains(dcg_weights_reader *reader DCG_IN_R0) {
    __asm__(
        BEGIN
        "  push {r12}\n"
        READ(CHAIN_TAP,
             "  ldr r10, [sp]\n"
             "  cmp r8, r10\n",
             "  ldr r10, [sp]\n"
             "  sub r10, #1\n"
             "  str r10, [sp]\n",
             "  ldr lr, [sp]\n"
             "  sub lr, #2\n"
             "  cmp r8, lr\n",
             "[sp, #8]")
        "  pop {r12}\n"
        LEAVE);
}

/* r3 end, as one weight more adds one to an address; r4 the array. */
#define ARRAY_TAP \
    "  sub lr, r7, r6\n" \
    "  strh r12, [r4, lr, lsl #1]\n" \
    "  add r8, #1\n"

DCG_NAKED uint32_t dcg_weights_read_array(dcg_weights_reader *reader DCG_IN_R0) {
    __asm__(
        BEGIN
        "  mov r3, r12\n"
        READ(ARRAY_TAP,
             "  cmp r8, r3\n",
             "  sub r3, #1\n",
             "  add lr, r8, #2\n"
             "  cmp lr, r3\n",
             "[sp, #4]")
        "  mov r12, r3\n"
        LEAVE);
}

/* clang-format on */
#else
typedef int dcg_weights_read_dsp_is_for_other_cores;
#endif
