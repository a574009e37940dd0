/* System counter of the SSE-300 (secure control frame): 64 bits, counts by the system clock of 32 MHz. Where
 * an instruction takes 1 ns (QEMU -icount shift=0), a tick is 31.25 instructions. */
#include "port.h"
#include "start.h"

#define CNTCR (*(volatile uint32_t *)0x58100000u)
#define CNTCV_LOW (*(volatile uint32_t *)0x58100008u)
#define CNTCV_HIGH (*(volatile uint32_t *)0x5810000Cu)

void machine_start_clock(void) {
    CNTCR = 1u;
}

uint64_t port_ticks(void) {
    uint32_t high;
    uint32_t low;
    do { /* the low half may overflow between the reads */
        high = CNTCV_HIGH;
        low = CNTCV_LOW;
    } while (high != CNTCV_HIGH);
    return ((uint64_t)high << 32) | low;
}
