/* Depth of the stack: the unused part is filled with a pattern; after a run, the lowest word that has changed
 * tells how deep the stack was. */
#include "port.h"

extern uint32_t dcg_stack_bottom[]; /* lowest word; from the linker script */
extern uint32_t dcg_stack_top[];    /* first word above */

#define PAINT 0xC5C5C5C5u

__attribute__((noinline)) void port_stack_paint(void) {
    /* The frame of this function is the lowest in use: everything below it is free. */
    uint32_t *const here = (uint32_t *)__builtin_frame_address(0) - 16;
    for (uint32_t *p = dcg_stack_bottom; p < here; p++) {
        *(volatile uint32_t *)p = PAINT;
    }
}

uint32_t port_stack_used(void) {
    const uint32_t *p = dcg_stack_bottom;
    while (p < dcg_stack_top && *p == PAINT) {
        p++;
    }
    return (uint32_t)((uintptr_t)dcg_stack_top - (uintptr_t)p);
}
