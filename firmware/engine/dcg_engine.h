/* dcg_engine: drives the sparse-MAC engine, which runs the same blobs as the software runtime.
 *
 * The engine's command list is a dcg_engine_plan that dcgen emits; how a board reaches the engine is a
 * dcg_engine_port that the application writes. As with the runtime, the caller owns all memory.
 *
 *     dcg_engine engine;
 *     dcg_status status = dcg_engine_init(&engine, &dcg_digits_engine_plan, &port, blob, blob_bytes);
 *     if (status == DCG_OK) status = dcg_engine_run(&engine, picture, scores);
 */
#ifndef DCG_ENGINE_H
#define DCG_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "dcg_engine_regs.h" /* generated: registers */
#include "dcg_format.h"      /* generated: dcg_status */

#ifdef __cplusplus
extern "C" {
#endif

/* What the engine is told of a network: constant, emitted by dcgen, trusted. */
typedef struct dcg_engine_plan {
    uint64_t topology_hash;     /* of the network */
    const uint32_t *parameters; /* [DCG_ENGINE_N_PARAMETERS] of the engine it is made for */
    const uint32_t *commands;   /* [n_commands] */
    const uint16_t *sections;   /* [n_sections] nodes whose section is sent, in this order */
    uint32_t n_commands;
    uint32_t n_sections;
    uint32_t n_scores;
    uint32_t picture_bytes;
    uint16_t n_tensors; /* picture included */
    uint16_t n_nodes;
    uint16_t input_channels;
} dcg_engine_plan;

/* How the engine is reached. All functions get user.
 *
 * Blob, picture and scores travel at the same time, as the engine needs one for taking the other:
 * a function that must not wait says so, and typically starts a DMA transfer.
 */
typedef struct dcg_engine_port {
    void *user;
    uint32_t (*read32)(void *user, uint32_t offset); /* register at a byte offset */
    void (*write32)(void *user, uint32_t offset, uint32_t value);
    /* Starts sending a picture; must not wait. The last beat is filled up with anything. */
    void (*send_picture)(void *user, const uint8_t *bytes, uint32_t count);
    /* Sends one packet of count bytes, a multiple of four, `last` with its last word. May wait until
     * the engine has taken it, or return as soon as it is queued. */
    void (*send_blob)(void *user, const uint8_t *bytes, uint32_t count);
    /* Has the next count scores stored; must not wait. Forgets an earlier call that got fewer. */
    void (*receive)(void *user, int32_t *scores, uint32_t count);
    /* Waits until the interrupt line is high, everything sent has been taken and, unless the engine is
     * in error, every score has arrived. Returns 0, or anything else when that takes too long. */
    int (*wait)(void *user);
} dcg_engine_port;

/* Caller-owned; filled by dcg_engine_init, its fields are not for the caller. */
typedef struct dcg_engine {
    const dcg_engine_plan *plan;
    const dcg_engine_port *port;
    const uint8_t *blob;
} dcg_engine;

/* Checks a blob against the plan and the engine against both, and writes the command list.
 *
 * engine      written
 * plan, port  must outlive engine
 * blob        blob_bytes bytes, aligned to 4; must outlive engine unchanged
 * blob_bytes  size of the memory behind blob; may exceed the blob
 *
 * Returns DCG_OK, or the first defect found; engine must not be used then. What a layer's section
 * says is for the engine to check when it runs.
 */
dcg_status dcg_engine_init(dcg_engine *engine, const dcg_engine_plan *plan, const dcg_engine_port *port,
                           const void *blob, size_t blob_bytes);

/* Runs the network on one picture, as dcg_run does.
 *
 * Returns DCG_OK; the defect the engine found, and then the next run starts afresh; DCG_ERR_TIMEOUT
 * where port->wait gave up. Scores are meaningless then.
 */
dcg_status dcg_engine_run(dcg_engine *engine, const uint8_t *hwc, int32_t *scores);

/* Cycles of the last run by cause, in the order of the registers from DCG_ENGINE_CYCLES_TOTAL on. */
void dcg_engine_counters(const dcg_engine *engine, uint32_t counters[DCG_ENGINE_N_COUNTERS]);

#ifdef __cplusplus
}
#endif

#endif
