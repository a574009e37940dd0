/* The steps from reset to the harness program that all emulated machines share. */
#ifndef DCG_QEMU_START_H
#define DCG_QEMU_START_H

/* Start the clock behind port_ticks(); each machine has its own. */
void machine_start_clock(void);

/* Set up .data and .bss, run harness_main() and end the program. The stack works already. */
void dcg_start(void);

#endif
