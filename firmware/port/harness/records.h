/* The two files between the computer that verifies and a harness program. All numbers are little endian.
 *
 * Request: a records_request, then the pictures, height x width x channels bytes each.
 *
 * Results: records, each a header of 12 bytes (uint16 kind, node, channel, row, uint32 bytes of the payload)
 * and its payload. Picture by picture: a RUN and SCORES if it is measured, its ROWs, a RUN and SCORES if it
 * is traced; at last END. A RUN whose status is not 0 is the last record before END.
 *
 * A profile holds TICKS of dcg_init() (node 65535), then of the nodes as they run, any number of records for
 * each; then SCORES and END.
 */
#ifndef DCG_HARNESS_RECORDS_H
#define DCG_HARNESS_RECORDS_H

#include "port.h"

#define RECORDS_MAGIC 0x50474344u /* "DCGP" */

/* The head of a request. */
struct records_request {
    uint32_t magic;    /* RECORDS_MAGIC */
    uint32_t pictures; /* pictures in the file */
    uint32_t measured; /* how many of the first ones are run and measured */
    uint32_t traced;   /* how many of the first ones are run and traced */
};

enum record_kind {
    RECORD_RUN = 1,    /* payload: struct outcome of run.c */
    RECORD_SCORES = 2, /* payload: int32 per score */
    RECORD_ROW = 3,    /* payload: one row of a node's output plane */
    RECORD_END = 4,    /* no payload */
    RECORD_TICKS = 5,  /* payload: uint64 ticks of the machine's clock */
};

/* Begin writing results to a new file; false, with a message, if it cannot be created. */
bool records_begin(const char *results_file);

/* Append a record. node, channel and row say what a ROW or TICKS are of, and are 0 for others. */
void records_put(enum record_kind kind, uint16_t node, uint16_t channel, uint16_t row, const void *data,
                 size_t bytes);

/* Append END and close the file; false, with a message, if any write since records_begin() failed. */
bool records_end(void);

#endif
