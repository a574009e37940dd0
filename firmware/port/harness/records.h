/* The two files between the verifying computer and a harness program. All numbers little endian.
 *
 * Request: magic, number of pictures, how many of the first pictures to measure, how many of them
 * to trace (four uint32), then the pictures, height x width x channel bytes each.
 *
 * Results: records, each a header of 12 bytes and its payload. For every measured picture a RUN and
 * SCORES, then for every traced one its ROWs, a RUN and SCORES, and at last END. A RUN whose status
 * is not 0 is the last record before END.
 *
 * A profile holds TICKS of dcg_init() (node 65535), then of nodes as they run, any number for each; the
 * SCORES and END.
 */
#ifndef DCG_RECORDS_H
#define DCG_RECORDS_H

#include "port.h"

#define RECORDS_MAGIC 0x50474344u /* "DCGP" */

/* The head of a request. */
struct records_request {
    uint32_t magic;
    uint32_t pictures;
    uint32_t measured;
    uint32_t traced;
};

enum record_kind {
    RECORD_RUN = 1,    /* payload: int32 status, uint32 stack bytes, uint64 ticks: all, longest row, step */
    RECORD_SCORES = 2, /* payload: int32 per score */
    RECORD_ROW = 3,    /* payload: one row of a node's output plane */
    RECORD_END = 4,    /* no payload */
    RECORD_TICKS = 5,  /* payload: uint64 of the machine's clock */
};

/* Begin writing results to a new file; false, with a message, if it cannot be created. */
bool records_begin(const char *results_file);

/* Append a record; node, channel and row are 0 but for a ROW, or TICKS. */
void records_put(enum record_kind kind, uint16_t node, uint16_t channel, uint16_t row, const void *data,
                 size_t bytes);

/* Append END and close the file; false, with a message, if any write since records_begin() failed. */
bool records_end(void);

#endif
