/* Two models and one runtime in one program: the second model runs whenever the first one's trace is called.
 * Prints the statuses of all calls and the number of wrong results. */
#include <stdio.h>
#include <string.h>

#include "dcg_first.h"
#include "dcg_second.h"

#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(DCG_ARENA_ALIGNMENT)))
#endif

static uint8_t arena_a[DCG_FIRST_ARENA_BYTES] ALIGNED, arena_b[DCG_SECOND_ARENA_BYTES] ALIGNED;
static int32_t scores_a[DCG_FIRST_SCORES], scores_b[DCG_SECOND_SCORES];
static dcg_net a, b;

/* Runs the whole second model inside the first one's run, at every row of the first. */
static void intrude(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                    uint16_t count) {
    int *failures = user;
    (void)node, (void)channel, (void)row, (void)bytes, (void)count;
    if (dcg_run(&b, dcg_second_selftest.picture, scores_b) != DCG_OK) ++*failures;
    if (memcmp(scores_b, dcg_second_selftest.scores, sizeof scores_b) != 0) ++*failures;
}

int main(void) {
    int failures = 0;
    uint16_t wrong;
    dcg_status status[] = {
        dcg_init(&a, &dcg_first_plan, dcg_first_blob, DCG_FIRST_BLOB_BYTES, arena_a, sizeof arena_a),
        dcg_init(&b, &dcg_second_plan, dcg_second_blob, DCG_SECOND_BLOB_BYTES, arena_b, sizeof arena_b),
        DCG_OK,
        DCG_OK,
        DCG_OK,
    };
    dcg_set_trace(&a, intrude, &failures);
    status[2] = dcg_run(&a, dcg_first_selftest.picture, scores_a);
    if (memcmp(scores_a, dcg_first_selftest.scores, sizeof scores_a) != 0) failures++;
    status[3] = dcg_selftest(&a, &dcg_first_selftest, scores_a, &wrong);
    status[4] =
        dcg_init(&a, &dcg_first_plan, dcg_second_blob, DCG_SECOND_BLOB_BYTES, arena_a, sizeof arena_a);
    for (size_t i = 0; i < sizeof status / sizeof *status; i++)
        printf("%d ", (int)status[i]);
    printf("%d\n", failures);
    return 0;
}
