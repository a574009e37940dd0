/* Harness program of many models: runs each one's self-test in turn, in the same memory. Outcomes go to the
 * results file one by one, so that a program that crashes has told how far it has come. Sixteen networks one
 * behind the other have their pictures at every address modulo 16, and blob and arena at each combination of
 * four addresses that are allowed.
 *
 * networks.h, which the test writes, defines N_NETWORKS, LARGEST_ARENA, LARGEST_BLOB, LARGEST_PICTURE,
 * MOST_SCORES and networks[]. */
#include "dcg.h"
#include "port.h"

typedef struct network {
    const dcg_plan *plan;
    const uint8_t *blob;
    size_t blob_bytes;
    const dcg_selftest_data *selftest;
} network;

#include "networks.h"

#define GUARD 64u /* bytes behind the arena that must stay as they are: more than a kernel stores at once */
#define PATTERN                                                                                              \
    0xA5 /* what arena and guard are filled with, so that no tensor is right from an earlier run */

typedef struct outcome {
    int32_t status;
    uint16_t wrong_node;
    uint16_t overrun; /* whether the guard was written to */
} outcome;

#define ALIGNED __attribute__((aligned(64)))
static uint8_t arenas[LARGEST_ARENA + GUARD + 3u * DCG_ARENA_ALIGNMENT] ALIGNED;
static uint8_t blobs[LARGEST_BLOB + 3u * DCG_BLOB_ALIGNMENT] ALIGNED;
static uint8_t pictures[LARGEST_PICTURE + 15u] ALIGNED;
static int32_t scores[MOST_SCORES];

static uint8_t *copied(uint8_t *to, const uint8_t *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        to[i] = from[i];
    return to;
}

/* Runs the network's self-test; number says at which alignments. */
static outcome test(const network *n, uint32_t number) {
    static dcg_net net;
    uint8_t *arena = arenas + number / 4u % 4u * DCG_ARENA_ALIGNMENT;
    uint8_t *blob = copied(blobs + number % 4u * DCG_BLOB_ALIGNMENT, n->blob, n->blob_bytes);
    const dcg_tensor *input = &n->plan->tensors[0];
    dcg_selftest_data selftest = *n->selftest;
    selftest.picture = copied(pictures + number % 16u, selftest.picture,
                              (size_t)input->channels * input->height * input->width);
    outcome found = {.status = DCG_OK, .wrong_node = DCG_NO_NODE, .overrun = 0};
    const size_t bytes = n->plan->arena_bytes;
    for (size_t i = 0; i < bytes + GUARD; i++)
        arena[i] = PATTERN;
    dcg_status status = dcg_init(&net, n->plan, blob, n->blob_bytes, arena, bytes);
    if (status == DCG_OK) status = dcg_selftest(&net, &selftest, scores, &found.wrong_node);
    found.status = (int32_t)status;
    for (size_t i = 0; i < GUARD; i++)
        if (arena[bytes + i] != PATTERN) found.overrun = 1;
    return found;
}

int harness_main(const char *pictures_file, const char *results_file) {
    (void)pictures_file;
    port_file file = port_open(results_file, true);
    if (file < 0) return 2;
    for (uint32_t i = 0; i < N_NETWORKS; i++) {
        const outcome found = test(&networks[i], i);
        if (!port_write(file, &found, sizeof found)) return 2;
    }
    return port_close(file) ? 0 : 2;
}
