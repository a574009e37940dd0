/* The retired-instruction counter: a tick is one instruction. */
#include "port.h"
#include "start.h"

void dcg_fault(void);

void dcg_fault(void) {
    port_print("processor fault\n");
    port_exit(3);
}

void machine_start_clock(void) {
    __asm__ volatile("csrw mcountinhibit, zero");
}

uint64_t port_ticks(void) {
    uint32_t high;
    uint32_t low;
    uint32_t again;
    do { /* the low half may overflow between the reads */
        __asm__ volatile("csrr %0, minstreth" : "=r"(high));
        __asm__ volatile("csrr %0, minstret" : "=r"(low));
        __asm__ volatile("csrr %0, minstreth" : "=r"(again));
    } while (high != again);
    return ((uint64_t)high << 32) | low;
}
