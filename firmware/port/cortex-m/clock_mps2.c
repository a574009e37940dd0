/* CMSDK APB timer 0 of the MPS2 images: 32 bits, counts down by the system clock of 25 MHz. Where an
 * instruction takes 1 ns (QEMU -icount shift=0), a tick is 40 instructions, and the timer wraps after 171e9
 * of them. */
#include "port.h"
#include "start.h"

#define TIMER_CTRL (*(volatile uint32_t *)0x40000000u)
#define TIMER_VALUE (*(volatile uint32_t *)0x40000004u)
#define TIMER_RELOAD (*(volatile uint32_t *)0x40000008u)

void machine_start_clock(void) {
    TIMER_RELOAD = 0xFFFFFFFFu;
    TIMER_VALUE = 0xFFFFFFFFu;
    TIMER_CTRL = 1u; /* enabled, no interrupt */
}

uint64_t port_ticks(void) {
    return 0xFFFFFFFFu - TIMER_VALUE;
}
