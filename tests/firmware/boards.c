/* Harness program of many models: each one's self-test in turn, on one arena. The outcomes go to the results'
 * file one by one, so that a program that crashes has told how far it came.
 *
 * networks.h defines N_NETWORKS, LARGEST_ARENA, MOST_SCORES and networks[]. */
#include "dcg.h"
#include "port.h"

typedef struct network {
    const dcg_plan *plan;
    const uint8_t *blob;
    size_t blob_bytes;
    const dcg_selftest_data *selftest;
} network;

#include "networks.h"

#define GUARD 64u    /* bytes behind the arena, more than a kernel stores at once */
#define PATTERN 0xA5 /* of the arena and its guard: no tensor is right from an earlier run */

typedef struct outcome {
    int32_t status;
    uint16_t wrong_node;
    uint16_t overrun; /* whether the guard was written to */
} outcome;

static uint8_t arena[LARGEST_ARENA + GUARD] __attribute__((aligned(16)));
static int32_t scores[MOST_SCORES];

static outcome test(const network *n) {
    static dcg_net net;
    outcome found = {.status = DCG_OK, .wrong_node = DCG_NO_NODE, .overrun = 0};
    const size_t bytes = n->plan->arena_bytes;
    for (size_t i = 0; i < bytes + GUARD; i++)
        arena[i] = PATTERN;
    dcg_status status = dcg_init(&net, n->plan, n->blob, n->blob_bytes, arena, bytes);
    if (status == DCG_OK) status = dcg_selftest(&net, n->selftest, scores, &found.wrong_node);
    found.status = (int32_t)status;
    for (size_t i = 0; i < GUARD; i++)
        if (arena[bytes + i] != PATTERN) found.overrun = 1;
    return found;
}

int harness_main(const char *pictures_file, const char *results_file) {
    (void)pictures_file;
    port_file file = port_open(results_file, true);
    if (file < 0) return 2;
    for (size_t i = 0; i < N_NETWORKS; i++) {
        const outcome found = test(&networks[i]);
        if (!port_write(file, &found, sizeof found)) return 2;
    }
    return port_close(file) ? 0 : 2;
}
