/* Convolution by events, for cores with a Cortex-M4's DSP instructions, which requantize in two. A load of
 * eight words brings four events, each the address of a sum and a value. The lists are threaded: each group's
 * entry is the address of the code that does as many events, and that of a group of none goes on to the next
 * tap. */
#include "dcg_conv_packed.h"

#if DCG_DSP

#define STR2(x) #x
#define STR(x) STR2(x)
#define AT_LIST 4 /* offsets in dcg_conv_events */
#define AT_BIAS 12
#define AT_EIGHTS 16
#define AT_MULT 20
typedef char dcg_conv_events_is_laid_out_so
    [DCG_EVENT_GROUP == 8u && DCG_EVENTS_DONE == 9u && offsetof(dcg_conv_events, sums) == 0 &&
             offsetof(dcg_conv_events, list) == AT_LIST && offsetof(dcg_conv_events, starts) == AT_LIST + 4 &&
             offsetof(dcg_conv_events, bias) == AT_BIAS && offsetof(dcg_conv_events, eights) == AT_EIGHTS &&
             offsetof(dcg_conv_events, mult) == AT_MULT &&
             offsetof(dcg_conv_events, zero_point) == AT_MULT + 4
         ? 1
         : -1];

/* clang-format off */

/* r0 list of taps, r1 starts, r2 list of events, r3 weight. */
#define GROUP(n, events) "dcg_conv_events_" #n ":\n" events "  ldr pc, [r2], #4\n"
#define EVENT(sum, value) \
    "  ldr r12, [" sum "]\n" \
    "  mla r12, " value ", r3, r12\n" \
    "  str r12, [" sum "]\n"
#if DCG_HELIUM
#define VECTOR \
    "  vldrw.u32 q0, [r2], #32\n" \
    "  vldrw.u32 q1, [r2, #-16]\n" \
    "  vldrw.u32 q2, [q0]\n" \
    "  vmla.s32 q2, q1, r3\n" \
    "  vstrw.32 q2, [q0]\n"
#define GROUPS GROUP(8, VECTOR VECTOR) GROUP(4, VECTOR)
#define SIZES "4, 8" /* of groups */
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
#define REQUANTIZE(sum) /* zero_point + (sum * mult + 2^31 >> 32), to a byte */ \
    "  smmlar " sum ", " sum ", r2, r3\n" \
    "  usat " sum ", #8, " sum "\n"
#define QUAD \
    "  ldm r0!, {r4-r7}\n" \
    REQUANTIZE("r4") REQUANTIZE("r5") REQUANTIZE("r6") REQUANTIZE("r7") \
    "  orr r4, r4, r5, lsl #8\n" \
    "  orr r4, r4, r6, lsl #16\n" \
    "  orr r4, r4, r7, lsl #24\n" \
    "  str r4, [r1], #4\n"

/* dcg_conv_events_run of dcg_conv_events.c is its twin. */
__attribute__((naked)) void dcg_conv_events_run(dcg_conv_events *events) {
    (void)events;
    __asm__(
        "  push {r0, r4-r11, lr}\n"
        "  ldrd r2, r3, [r0, #" STR(AT_BIAS) "]\n"
        "  ldr r1, [r0]\n"
        "  mov r4, r2\n"
        "  mov r5, r2\n"
        "  mov r6, r2\n"
        "  mov r7, r2\n"
        "  mov r8, r2\n"
        "  mov r9, r2\n"
        "  mov r10, r2\n"
        "  mov r11, r2\n"
        "1:\n"
        "  stm r1!, {r4-r11}\n"
        "  subs r3, #1\n"
        "  bne 1b\n"
        "  ldrd r0, r1, [r0, #" STR(AT_LIST) "]\n"
        "dcg_conv_events_0:\n"
        "  ldm r0!, {r2, r3}\n" /* distance of the channel's start, weight */
        "  ldr r2, [r1, r2]\n"
        "  ldr pc, [r2], #4\n"
        GROUPS
        "dcg_conv_events_9:\n"
        "  ldr r8, [sp]\n"
        "  ldr r0, [r8]\n"
        "  mov r1, r0\n" /* bytes lie behind the sums that are still to be read */
        "  ldr r12, [r8, #" STR(AT_EIGHTS) "]\n"
        "  ldrd r2, r3, [r8, #" STR(AT_MULT) "]\n"
        "2:\n"
        QUAD
        QUAD
        "  subs r12, #1\n"
        "  bne 2b\n"
        "  pop {r0, r4-r11, pc}\n"
        "  .pushsection .rodata.dcg_conv_events_entry, \"a\"\n"
        "  .balign 4\n"
        "  .global dcg_conv_events_entry\n"
        "dcg_conv_events_entry:\n" /* addresses of Thumb code are odd */
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
