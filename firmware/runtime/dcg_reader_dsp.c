/* The decoder's inner loops for cores with a Cortex-M4's DSP instructions: what dcg_reader.c does, but two
 * entries from one load, as a load gives at least 25 bits and an entry that they read has at most 12. */
#include "dcg_reader.h"

#if DCG_DSP

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_BIT 20 /* offsets in dcg_reader */
#define AT_END 40
typedef char dcg_reader_is_laid_out_so[DCG_MAX_CODE_BITS == 12u && DCG_ENTRY_OTHER == 1u << 31 &&
                                               DCG_ENTRY_SECOND == 5u << 29 && DCG_ENTRY_FILLER == 3u << 30 &&
                                               offsetof(dcg_reader, bit) == AT_BIT &&
                                               offsetof(dcg_reader, end) == AT_END
                                           ? 1
                                           : -1];

/* clang-format off */

/* r0 stream, r1 table, r2 levels, r3 step, r4 list, r5 bit, r6 left, r7 last, r8 n, r9 mask, [sp] end */
#define BEGIN \
    "  push {r0, r4-r11, lr}\n" \
    "  ldr r12, [r0, #" STR(AT_END) "]\n" \
    "  ldm r0, {r0-r9}\n"

/* Bits from r5 on to r11. */
#define LOAD \
    "  lsr r11, r5, #3\n" \
    "  ldr r11, [r0, r11]\n" \
    "  and lr, r5, #7\n" \
    "  lsr r11, r11, lr\n"

/* Entry to r12. Instructions that shift by a register or add with UXTAB use its low byte, the length. */
#define ENTRY \
    "  and lr, r11, r9\n" \
    "  ldr r12, [r1, lr, lsl #2]\n" \
    "  subs r6, r6, r12, lsr #16\n" \
    "  bmi 2f\n" \
    "  lsr r11, r11, r12\n"

/* The entry in r12, one of this place. */
#define TAP \
    "  uxtab r5, r5, r12\n" \
    "  ubfx r12, r12, #8, #8\n" \
    "  ldrsh r12, [r2, r12, lsl #1]\n" /* weight */ \
    "  mls lr, r3, r6, r7\n" /* first word */

#define CHAIN_TAP \
    TAP \
    "  ldrh r10, [r4, r12, lsl #1]\n" \
    "  strh r8, [r4, r12, lsl #1]\n" \
    "  orr lr, lr, r10, lsl #16\n" \
    "  str lr, [r4, r8, lsl #2]\n" \
    "  add r8, #1\n"

#define LIST_TAP \
    TAP \
    "  strd lr, r12, [r8], #8\n"

/* Two entries a round. One that is not plain or that is at another place ends it: of a second level, it is read
 * from there; a filler of this place takes one tap, step of n, off the end. */
#define READ(A_TAP, step) \
    "  push {r12}\n" \
    "1:\n" \
    LOAD \
    ENTRY \
    A_TAP \
    ENTRY \
    A_TAP \
    "7:\n" \
    "  ldr r12, [sp]\n" \
    "  cmp r8, r12\n" \
    "  blo 1b\n" \
    "  b 4f\n" \
    "2:\n" \
    "  add r6, r6, r12, lsr #16\n" \
    "  cmp r12, #0\n" \
    "  bpl 3f\n" \
    "  lsls lr, r12, #1\n" \
    "  bmi 6f\n" \
    "  lsls lr, lr, #1\n" \
    "  bpl 4f\n" \
    "  lsr lr, r11, r12\n" \
    "  ubfx r10, r12, #8, #8\n" \
    "  and lr, r10\n" \
    "  ubfx r10, r12, #16, #13\n" \
    "  add lr, r10\n" \
    "  ldr r12, [r1, lr, lsl #2]\n" \
    "  subs r6, r6, r12, lsr #16\n" \
    "  bmi 2b\n" \
    A_TAP \
    "  b 7b\n" \
    "6:\n" \
    "  ubfx lr, r12, #16, #14\n" \
    "  cmp r6, lr\n" \
    "  blo 3f\n" \
    "  sub r6, lr\n" \
    "  uxtab r5, r5, r12\n" \
    "  ldr r12, [sp]\n" \
    "  sub r12, #" step "\n" \
    "  str r12, [sp]\n" \
    "  b 7b\n" \
    "4:\n" \
    "  movs r0, #0\n" \
    "  b 5f\n" \
    "3:\n" \
    "  movs r0, #1\n" \
    "5:\n" \
    "  pop {r12}\n"

#define LEAVE \
    "  ldr lr, [sp], #4\n" \
    "  str r12, [lr, #" STR(AT_END) "]\n" \
    "  add lr, #" STR(AT_BIT) "\n" \
    "  stm lr, {r5-r8}\n" \
    "  pop {r4-r11, pc}\n"

__attribute__((naked)) uint32_t dcg_read_list(dcg_reader *reader) {
    (void)reader;
    __asm__(
        BEGIN
        "  add r8, r4, r8, lsl #3\n"
        "  add r12, r4, r12, lsl #3\n"
        READ(LIST_TAP, "8")
        "  sub r8, r4\n"
        "  sub r12, r4\n"
        "  lsr r8, r8, #3\n"
        "  lsr r12, r12, #3\n"
        LEAVE);
}

__attribute__((naked)) uint32_t dcg_read_chains(dcg_reader *reader) {
    (void)reader;
    __asm__(BEGIN READ(CHAIN_TAP, "1") LEAVE);
}

/* clang-format on */
#else
typedef int dcg_reader_dsp_is_for_other_cores;
#endif
