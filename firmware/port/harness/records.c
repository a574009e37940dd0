/* Writes the results file. Records go through a large buffer, as a semihosting call takes far longer than the
 * bytes that it moves. */
#include "records.h"

#define BUFFER_BYTES (1u << 20)

static uint8_t buffer[BUFFER_BYTES];
static size_t used; /* bytes in the buffer */
static port_file output;
static bool good; /* whether all writes have succeeded */

static void flush(void) {
    if (used > 0u) {
        good = port_write(output, buffer, used) && good;
    }
    used = 0;
}

static void append(const uint8_t *data, size_t bytes) {
    while (bytes > 0u) {
        size_t part = BUFFER_BYTES - used;
        if (part > bytes) {
            part = bytes;
        }
        for (size_t i = 0; i < part; i++) {
            buffer[used + i] = data[i];
        }
        used += part;
        data += part;
        bytes -= part;
        if (used == BUFFER_BYTES) {
            flush();
        }
    }
}

bool records_begin(const char *results_file) {
    output = port_open(results_file, true);
    used = 0;
    good = output >= 0;
    if (!good) {
        port_print("cannot create the results file\n");
    }
    return good;
}

void records_put(enum record_kind kind, uint16_t node, uint16_t channel, uint16_t row, const void *data,
                 size_t bytes) {
    const uint16_t place[4] = {(uint16_t)kind, node, channel, row};
    const uint32_t size = (uint32_t)bytes;
    append((const uint8_t *)place, sizeof place);
    append((const uint8_t *)&size, sizeof size);
    append(data, bytes);
}

bool records_end(void) {
    records_put(RECORD_END, 0, 0, 0, NULL, 0);
    flush();
    good = good && port_close(output);
    if (!good) {
        port_print("cannot write the results file\n");
    }
    return good;
}
