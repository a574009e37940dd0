/* Convolution by events, for cores with a Cortex-M4's DSP instructions, by which a sum is requantized in two.
 * One load of eight words brings four events, each with the address of a sum and a value; with Helium, a
 * gather and a scatter take four sums. The lists are threaded: each group's entry is the address of the code
 * that does as many events, and the entry of a group of none leads to the next tap. */
#include "dcg_conv_packed.h"

#if DCG_DSP

/* clang-format off */

/* While events are added: r0 the next tap, r1 starts, r2 the next event, r3 the weight; r4..r12 are free. */

/* The code of a group of n events. */
#define GROUP(n, events) "dcg_conv_events_" #n ":\n" events "  ldr pc, [r2], #4\n"

/* Adds an event: the sum at an address gains the weight times a value. */
#define EVENT(sum, value) \
    "  ldr r12, [" sum "]\n" \
    "  mla r12, " value ", r3, r12\n" \
    "  str r12, [" sum "]\n"

#if DCG_HELIUM
/* Four events: q0 addresses, q1 values, q2 sums. */
#define VECTOR \
    "  vldrw.u32 q0, [r2], #32\n" \
    "  vldrw.u32 q1, [r2, #-16]\n" \
    "  vldrw.u32 q2, [q0]\n" \
    "  vmla.s32 q2, q1, r3\n" \
    "  vstrw.32 q2, [q0]\n"
#define GROUPS GROUP(8, VECTOR VECTOR) GROUP(4, VECTOR)
#define SIZES "4, 8" /* the groups that there are */
#else
#define ONE "  ldm r2!, {r4, r5}\n" EVENT("r4", "r5")
#define TWO "  ldm r2!, {r4-r7}\n" EVENT("r4", "r5") EVENT("r6", "r7")
#define THREE "  ldm r2!, {r4-r9}\n" EVENT("r4", "r5") EVENT("r6", "r7") EVENT("r8", "r9")
#define FOUR "  ldm r2!, {r4-r11}\n" EVENT("r4", "r5") EVENT("r6", "r7") EVENT("r8", "r9") EVENT("r10", "r11")
#define GROUPS \
    GROUP(8, FOUR FOUR) GROUP(7, FOUR THREE) GROUP(6, FOUR TWO) GROUP(5, FOUR ONE) \
    GROUP(4, FOUR) GROUP(3, THREE) GROUP(2, TWO) GROUP(1, ONE)
#define SIZES "1, 2, 3, 4, 5, 6, 7, 8"
#endif

/* r2 mult, r3 zero point */
#define REQUANTIZE(sum) DCG_ASM_REQUANTIZE(sum, "r2", "r3")

/* Four sums at r0 to four bytes at r1; both move on. */
#define QUAD \
    "  ldm r0!, {r4-r7}\n" \
    REQUANTIZE("r4") REQUANTIZE("r5") REQUANTIZE("r6") REQUANTIZE("r7") \
    "  orr r4, r4, r5, lsl #8\n" \
    "  orr r4, r4, r6, lsl #16\n" \
    "  orr r4, r4, r7, lsl #24\n" \
    "  str r4, [r1], #4\n"

/* The filter over the whole step. dcg_conv_events_run of dcg_conv_events.c is its twin. */
DCG_NAKED void dcg_conv_events_run(dcg_conv_events *events DCG_IN_R0) {
    __asm__(
        "  push {r0, r4-r11, lr}\n"
        "  ldrd r2, r3, [r0, #" DCG_TEXT(DCG_EVENTS_AT_BIAS) "]\n"
        "  ldr r1, [r0]\n"
        "  mov r4, r2\n"
        "  mov r5, r2\n"
        "  mov r6, r2\n"
        "  mov r7, r2\n"
        "  mov r8, r2\n"
        "  mov r9, r2\n"
        "  mov r10, r2\n"
        "  mov r11, r2\n"
        "1:\n" /* every sum begins with the bias */
        "  stm r1!, {r4-r11}\n"
        "  subs r3, #1\n"
        "  bne 1b\n"
        "  ldrd r0, r1, [r0, #" DCG_TEXT(DCG_EVENTS_AT_LIST) "]\n"
        "dcg_conv_events_0:\n" /* the next tap */
        "  ldm r0!, {r2, r3}\n" /* four times the channel, weight */
        "  ldr r2, [r1, r2]\n"
        "  ldr pc, [r2], #4\n"
        GROUPS
        "dcg_conv_events_9:\n" /* no tap is left */
        "  ldr r8, [sp]\n"
        "  ldr r0, [r8]\n"
        "  mov r1, r0\n" /* bytes are written where sums have been read */
        "  ldr r12, [r8, #" DCG_TEXT(DCG_EVENTS_AT_EIGHTS) "]\n"
        "  ldrd r2, r3, [r8, #" DCG_TEXT(DCG_EVENTS_AT_MULT) "]\n"
        "2:\n"
        QUAD
        QUAD
        "  subs r12, #1\n"
        "  bne 2b\n"
        "  pop {r0, r4-r11, pc}\n"
        "  .pushsection .rodata.dcg_conv_events_entry, \"a\"\n"
        "  .balign 4\n"
        "  .global dcg_conv_events_entry\n"
        "dcg_conv_events_entry:\n" /* [n]; the address of Thumb code is odd */
        "  .irp n, 0, " SIZES ", 9\n"
        "  .org dcg_conv_events_entry + 4 * \\n\n"
        "  .word dcg_conv_events_\\n + 1\n"
        "  .endr\n"
        "  .popsection\n");
}

/* clang-format on */
#else
typedef int dcg_conv_events_dsp_is_for_other_cores;
#endif
