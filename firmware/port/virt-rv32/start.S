/* Reset of the RISC-V machine: a stack, every trap a fault, then on to C. The linker script names no
 * __global_pointer$, so the linker makes no use of gp. */
    .section .vectors, "ax"
    .globl  dcg_reset
dcg_reset:
    la      sp, dcg_stack_top
    la      t0, fault
    csrw    mtvec, t0
    call    dcg_start
1:  j       1b

    .balign 4
fault:
    la      sp, dcg_stack_top
    call    dcg_fault

/* intptr_t dcg_semihosting(uintptr_t operation, const void *argument): the two shifts, which do
 * nothing, tell the call from a breakpoint. */
    .text
    .balign 16
    .option norvc
    .globl  dcg_semihosting
dcg_semihosting:
    slli    x0, x0, 0x1f
    ebreak
    srai    x0, x0, 7
    ret
