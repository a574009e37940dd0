/* The decoder's inner loops for cores with a Cortex-M4's DSP instructions: what dcg_weights_read.c does, but
 * two entries from one load, as a load gives at least 25 bits and an entry that they read has at most 12. */
#include "dcg_weights_read.h"

#if DCG_DSP

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_BIT 20 /* offsets in dcg_weights_reader */
#define AT_END 40
typedef char dcg_weights_reader_is_laid_out_so[DCG_MAX_CODE_BITS == 12u && DCG_TABLE_OTHER == 1u << 31 &&
                                                       DCG_TABLE_SECOND == 5u << 29 &&
                                                       DCG_TABLE_FILLER == 3u << 30 &&
                                                       offsetof(dcg_weights_reader, bit) == AT_BIT &&
                                                       offsetof(dcg_weights_reader, end) == AT_END
                                                   ? 1
                                                   : -1];

/* clang-format off */

/* r0 stream, r1 table, r2 levels, r3 step, r4 list, r5 bit, r6 left, r7 last, r8 n, r9 mask, r12 end */
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
    "  bmi 2f\n"

/* The entry in r12, one of this place. */
#define TAP \
    "  uxtab r5, r5, r12\n" \
    "  ubfx r12, r12, #8, #8\n" \
    "  ldrsh r12, [r2, r12, lsl #1]\n" /* weight */ \
    "  mls lr, r3, r6, r7\n" /* first word */

/* Two entries a round. One that is not plain or that is at another place ends it: of a second level, it is read
 * from there; a filler of this place brings the end one tap nearer. */
#define READ(A_TAP, AT_THE_END, NEARER) \
    "1:\n" \
    LOAD \
    ENTRY \
    "  lsr r11, r11, r12\n" \
    A_TAP \
    ENTRY \
    A_TAP \
    "7:\n" \
    AT_THE_END \
    "  blo 1b\n" \
    "  b 4f\n" \
    "2:\n" \
    "  add r6, r6, r12, lsr #16\n" \
    "  cmp r12, #0\n" \
    "  bpl 3f\n" \
    "  lsls lr, r12, #2\n" \
    "  bcs 6f\n" \
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
    NEARER \
    "  b 7b\n" \
    "4:\n" \
    "  movs r0, #0\n" \
    "  b 5f\n" \
    "3:\n" \
    "  movs r0, #1\n" \
    "5:\n"

/* r12 end */
#define LEAVE \
    "  ldr lr, [sp], #4\n" \
    "  str r12, [lr, #" STR(AT_END) "]\n" \
    "  add lr, #" STR(AT_BIT) "\n" \
    "  stm lr, {r5-r8}\n" \
    "  pop {r4-r11, pc}\n"

/* r8 where the list ends, r4 where it is to; [sp] the list */
#define LIST_TAP \
    TAP \
    "  strd lr, r12, [r8], #8\n"

__attribute__((naked)) uint32_t dcg_weights_read_list(dcg_weights_reader *reader) {
    (void)reader;
    __asm__(
        BEGIN
        "  push {r4}\n"
        "  add r8, r4, r8, lsl #3\n"
        "  add r4, r4, r12, lsl #3\n"
        READ(LIST_TAP,
             "  cmp r8, r4\n",
             "  sub r4, #8\n")
        "  pop {r12}\n"
        "  sub r8, r12\n"
        "  sub r12, r4, r12\n"
        "  lsr r8, r8, #3\n"
        "  lsr r12, r12, #3\n"
        LEAVE);
}

/* [sp] where n is to end */
#define CHAIN_TAP \
    TAP \
    "  ldrh r10, [r4, r12, lsl #1]\n" \
    "  strh r8, [r4, r12, lsl #1]\n" \
    "  orr lr, lr, r10, lsl #16\n" \
    "  str lr, [r4, r8, lsl #2]\n" \
    "  add r8, #1\n"

__attribute__((naked)) uint32_t dcg_weights_read_chains(dcg_weights_reader *reader) {
    (void)reader;
    __asm__(
        BEGIN
        "  push {r12}\n"
        READ(CHAIN_TAP,
             "  ldr r12, [sp]\n"
             "  cmp r8, r12\n",
             "  ldr r12, [sp]\n"
             "  sub r12, #1\n"
             "  str r12, [sp]\n")
        "  pop {r12}\n"
        LEAVE);
}

/* clang-format on */
#else
typedef int dcg_weights_reader_dsp_is_for_other_cores;
#endif
