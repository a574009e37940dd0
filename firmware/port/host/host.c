/* port.h on a computer with a C library. Nothing is measured here, as instructions and stack depth of a
 * computer say little about a microcontroller. */
#include "port.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_FILES 4

static FILE *files[MAX_FILES];

port_file port_open(const char *name, bool write) {
    for (port_file i = 0; i < MAX_FILES; i++) {
        if (files[i] == NULL) {
            files[i] = fopen(name, write ? "wb" : "rb");
            return files[i] != NULL ? i : -1;
        }
    }
    return -1;
}

bool port_read(port_file file, void *data, size_t bytes) {
    return fread(data, 1, bytes, files[file]) == bytes;
}

bool port_write(port_file file, const void *data, size_t bytes) {
    return fwrite(data, 1, bytes, files[file]) == bytes;
}

bool port_close(port_file file) {
    FILE *const f = files[file];
    files[file] = NULL;
    return fclose(f) == 0;
}

void port_print(const char *text) {
    (void)fputs(text, stdout);
    (void)fflush(stdout);
}

uint64_t port_ticks(void) {
    return 0;
}

void port_stack_paint(void) {}

uint32_t port_stack_used(void) {
    return 0;
}

void port_exit(int code) {
    exit(code);
}

int main(int argc, char **argv) {
    port_exit(harness_main(argc > 1 ? argv[1] : "pictures.bin", argc > 2 ? argv[2] : "results.bin"));
}
