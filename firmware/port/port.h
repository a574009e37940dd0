/* What a machine gives to the harness programs (run, profile, selftest): files, text, time, stack depth.
 *
 * Each machine has its implementation: host/ by the C library, the emulated machines by semihosting. The
 * runtime itself needs nothing of this.
 */
#ifndef DCG_PORT_H
#define DCG_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PORT_NORETURN __attribute__((noreturn))
#else
#define PORT_NORETURN
#endif

typedef int32_t port_file; /* an open file; below zero: it could not be opened */

/* Open a file of the host for reading, or (write) create it empty. */
port_file port_open(const char *name, bool write);

/* Read exactly `bytes` bytes; false at the end of the file or on an error. */
bool port_read(port_file file, void *data, size_t bytes);

/* Write exactly `bytes` bytes; false on an error. */
bool port_write(port_file file, const void *data, size_t bytes);

/* Close the file; false where something written before could not be stored. */
bool port_close(port_file file);

/* Print text as it is. */
void port_print(const char *text);

/* Clock ticks since the machine has started. How many instructions a tick is depends on the machine; always 0
 * where instructions cannot be counted. */
uint64_t port_ticks(void);

/* Fill the unused stack with a pattern. */
void port_stack_paint(void);

/* Bytes between the top of the stack and the deepest byte written since port_stack_paint();
 * 0 where it is not measured. */
uint32_t port_stack_used(void);

/* End the program. `code` 0 is success; others reach the host as a failure. */
PORT_NORETURN void port_exit(int code);

/* The harness program: run.c, profile.c or selftest.c. The machine's start-up code calls it and passes the
 * result to port_exit().
 *
 * pictures_file  name of the request, see harness/records.h; selftest.c needs none
 * results_file   name of the file that is written
 *
 * Returns 0 for success. */
int harness_main(const char *pictures_file, const char *results_file);

#endif
