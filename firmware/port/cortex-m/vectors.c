/* Vector table, reset and faults of a Cortex-M. */
#include "port.h"
#include "start.h"

extern uint32_t dcg_stack_top[];

void dcg_reset(void);
static void fault(void);

typedef union {
    const void *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = dcg_stack_top}, {.handler = dcg_reset}, {.handler = fault}, {.handler = fault},
    {.handler = fault},       {.handler = fault},     {.handler = fault}, {.handler = fault},
    {.handler = fault},       {.handler = fault},     {.handler = fault}, {.handler = fault},
    {.handler = fault},       {.handler = fault},     {.handler = fault}, {.handler = fault},
};

#define CCR (*(volatile uint32_t *)0xE000ED14u)
#define CPACR (*(volatile uint32_t *)0xE000ED88u)

void dcg_reset(void) {
    CPACR |= 0xFu << 20; /* full access to the floating-point and vector unit (CP10, CP11) */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#if !defined(__ARM_FEATURE_UNALIGNED)
    CCR |= 1u << 3; /* UNALIGN_TRP: code that is built to leave out unaligned accesses is held to it */
#endif
    dcg_start();
}

static void fault(void) {
    port_print("processor fault\n");
    port_exit(3);
}
