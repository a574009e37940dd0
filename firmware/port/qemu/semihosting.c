/* port.h by semihosting (Arm's specification, which RISC-V shares): the emulator serves files, text and the
 * exit code. A call is a break instruction, which the emulator tells from others as a debugger would. */
#include "port.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_EXIT_EXTENDED = 0x20,
};
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5 };
static const uintptr_t application_exit = 0x20026; /* ADP_Stopped_ApplicationExit */

#if defined(__riscv)
/* In start.S: what marks the call there must not be compressed, relaxed or cross a page. */
intptr_t dcg_semihosting(uintptr_t operation, const void *argument);
#define semihosting dcg_semihosting
#else
static intptr_t semihosting(uintptr_t operation, const void *argument) {
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (intptr_t)r0;
}
#endif

static size_t length(const char *text) {
    size_t n = 0;
    while (text[n] != '\0') {
        n++;
    }
    return n;
}

port_file port_open(const char *name, bool write) {
    const uintptr_t block[3] = {(uintptr_t)name, write ? MODE_WRITE_BINARY : MODE_READ_BINARY, length(name)};
    return (port_file)semihosting(SYS_OPEN, block);
}

bool port_read(port_file file, void *data, size_t bytes) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)data, bytes};
    return semihosting(SYS_READ, block) == 0; /* bytes not read */
}

bool port_write(port_file file, const void *data, size_t bytes) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)data, bytes};
    return semihosting(SYS_WRITE, block) == 0; /* bytes not written */
}

bool port_close(port_file file) {
    const uintptr_t block[1] = {(uintptr_t)file};
    return semihosting(SYS_CLOSE, block) == 0;
}

void port_print(const char *text) {
    (void)semihosting(SYS_WRITE0, text);
}

void port_exit(int code) {
    const uintptr_t block[2] = {application_exit, (uintptr_t)code};
    (void)semihosting(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}
