/* dcg_engine: drives the sparse-MAC engine, which runs the same blobs as the software runtime.
 *
 * dcgen emits a dcg_engine_plan, the engine's command list for a network; the application writes a
 * dcg_engine_port, by which its board reaches the engine. As with the runtime, the caller owns all memory.
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
    uint64_t topology_hash;     /* of the network; a blob must have the same */
    const uint32_t *parameters; /* [DCG_ENGINE_N_PARAMETERS] of the engine that the plan is made for, in the
                                 * order of its registers */
    const uint32_t *commands;   /* [n_commands] words of the command list */
    const uint16_t *sections;   /* [n_sections] indices of the nodes whose sections are sent, in this order */
    uint32_t n_commands;
    uint32_t n_sections;
    uint32_t n_scores;
    uint32_t picture_bytes;  /* height * width * channels */
    uint16_t n_tensors;      /* tensors, the picture included */
    uint16_t n_nodes;        /* nodes, which is the number of the blob's layer sections */
    uint16_t input_channels; /* channels of the picture */
} dcg_engine_plan;

/* How a board reaches the engine. Each function gets user as its first argument.
 *
 * Blob, picture and scores travel at the same time, as the engine takes one only while another moves. A
 * function of which is said that it must not wait starts a transfer, by DMA for example, and returns.
 */
typedef struct dcg_engine_port {
    void *user; /* whatever the functions need, for the application alone */
    /* Reads and writes a register of 32 bits. offset: in bytes, DCG_ENGINE_... */
    uint32_t (*read32)(void *user, uint32_t offset);
    void (*write32)(void *user, uint32_t offset, uint32_t value);
    /* Starts to send a picture of count bytes; must not wait. The last beat is filled up with any bytes. */
    void (*send_picture)(void *user, const uint8_t *bytes, uint32_t count);
    /* Sends one packet of count bytes, a multiple of four; `last` is high with its last word. May wait until
     * the engine has taken it, or return when it is queued. */
    void (*send_blob)(void *user, const uint8_t *bytes, uint32_t count);
    /* Starts to store the next count scores; must not wait. An earlier call that has got fewer scores than it
     * asked for is forgotten. */
    void (*receive)(void *user, int32_t *scores, uint32_t count);
    /* Waits until the interrupt line is high, everything sent has been taken and, unless the engine has found
     * an error, every score has arrived. Returns 0, or another value where that takes longer than the board
     * allows. */
    int (*wait)(void *user);
} dcg_engine_port;

/* The caller's memory, filled by dcg_engine_init. Its fields are the driver's own. */
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
 * Returns DCG_OK, or the first defect found: then engine is bound to nothing, and every function refuses it,
 * as it does an engine of zeros. What a layer's section says is checked by the engine when it runs.
 */
dcg_status dcg_engine_init(dcg_engine *engine, const dcg_engine_plan *plan, const dcg_engine_port *port,
                           const void *blob, size_t blob_bytes);

/* Runs the network on one picture, as dcg_run does.
 *
 * engine  from a successful dcg_engine_init
 * hwc     height * width * channels camera bytes, as for dcg_run; not modified
 * scores  n_scores values of the plan, written
 *
 * Returns DCG_OK; or the defect that the engine has found; or DCG_ERR_TIMEOUT where port->wait gave up. After
 * an error scores are meaningless, and the next run starts afresh.
 */
dcg_status dcg_engine_run(dcg_engine *engine, const uint8_t *hwc, int32_t *scores);

/* Reads the engine's clock cycles of the last run, by what it did in them.
 *
 * counters  written, in the order of the registers from DCG_ENGINE_CYCLES_TOTAL on; left as they are where
 * the engine is bound to nothing */
void dcg_engine_counters(const dcg_engine *engine, uint32_t counters[DCG_ENGINE_N_COUNTERS]);

#ifdef __cplusplus
}
#endif

#endif
