/* The decoder's inner loops for cores with a Cortex-M4's DSP instructions: what dcg_reader.c does, but two
 * entries from one load, as a load gives at least 25 bits and a plain entry has at most 11. */
#include "dcg_reader.h"

#if DCG_DSP

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_BIT 20 /* offset in dcg_reader */
typedef char dcg_reader_is_laid_out_so[DCG_MAX_CODE_BITS == 12u && DCG_ENTRY_OTHER == 1u << 31 &&
                                               DCG_ENTRY_FILLER == 3u << 30 &&
                                               offsetof(dcg_reader, bit) == AT_BIT &&
                                               offsetof(dcg_reader, end) == AT_BIT + 16
                                           ? 1
                                           : -1];

/* clang-format off */

/* r0 stream, r1 table, r2 levels, r3 step, r4 list, r5 bit, r6 left, r7 last, r8 n, r9 end */
#define BEGIN \
    "  push {r0, r4-r11, lr}\n" \
    "  ldm r0, {r0-r9}\n"

/* Bits from r5 on to r11. */
#define LOAD \
    "  lsr r11, r5, #3\n" \
    "  ldr r11, [r0, r11]\n" \
    "  and lr, r5, #7\n" \
    "  lsr r11, r11, lr\n"

/* Entry to r12. Instructions that shift by a register or add with UXTAB use its low byte, the length. */
#define ENTRY \
    "  ubfx lr, r11, #0, #11\n" \
    "  ldr r12, [r1, lr, lsl #2]\n" \
    "  subs r6, r6, r12, lsr #16\n" \
    "  bmi 2f\n" \
    "  uxtab r5, r5, r12\n" \
    "  lsr r11, r11, r12\n" \
    "  ubfx r12, r12, #8, #8\n" \
    "  ldrsh r12, [r2, r12, lsl #1]\n" /* weight */ \
    "  mls lr, r3, r6, r7\n" /* first word */

#define CHAIN_TAP \
    ENTRY \
    "  ldrh r10, [r4, r12, lsl #1]\n" \
    "  strh r8, [r4, r12, lsl #1]\n" \
    "  orr lr, lr, r10, lsl #16\n" \
    "  str lr, [r4, r8, lsl #2]\n" \
    "  add r8, #1\n"

#define LIST_TAP \
    ENTRY \
    "  strd lr, r12, [r10], #8\n"

/* An entry that is not plain or that is at another place. A filler of this one takes one tap, step, off the end,
 * n then is compared with. */
#define OTHERS(n, step) \
    "2:\n" \
    "  add r6, r6, r12, lsr #16\n" \
    "  cmp r12, #0\n" \
    "  bpl 3f\n" \
    "  lsls lr, r12, #1\n" \
    "  bpl 4f\n" \
    "  ubfx lr, r12, #16, #14\n" \
    "  cmp r6, lr\n" \
    "  blo 3f\n" \
    "  sub r6, lr\n" \
    "  uxtab r5, r5, r12\n" \
    "  sub r9, #" step "\n" \
    "  cmp " n ", r9\n" \
    "  blo 1b\n" \
    "4:\n" \
    "  movs r0, #0\n" \
    "  b 5f\n" \
    "3:\n" \
    "  movs r0, #1\n" \
    "5:\n"

#define LEAVE \
    "  ldr lr, [sp], #4\n" \
    "  add lr, #" STR(AT_BIT) "\n" \
    "  stm lr, {r5-r9}\n" \
    "  pop {r4-r11, pc}\n"

__attribute__((naked)) uint32_t dcg_read_list(dcg_reader *reader) {
    (void)reader;
    __asm__(
        BEGIN
        "  add r10, r4, r8, lsl #3\n"
        "  add r9, r4, r9, lsl #3\n"
        "1:\n"
        LOAD
        LIST_TAP
        LIST_TAP
        "  cmp r10, r9\n"
        "  blo 1b\n"
        "  b 4f\n"
        OTHERS("r10", "8")
        "  sub r8, r10, r4\n"
        "  sub r9, r4\n"
        "  lsr r8, r8, #3\n"
        "  lsr r9, r9, #3\n"
        LEAVE);
}

__attribute__((naked)) uint32_t dcg_read_chains(dcg_reader *reader) {
    (void)reader;
    __asm__(
        BEGIN
        "1:\n"
        LOAD
        CHAIN_TAP
        CHAIN_TAP
        "  cmp r8, r9\n"
        "  blo 1b\n"
        "  b 4f\n"
        OTHERS("r8", "1")
        LEAVE);
}

/* clang-format on */
#else
typedef int dcg_reader_dsp_is_for_other_cores;
#endif
