/* Runs one known picture and names the first node whose output is wrong. */
#include "dcg_internal.h"

static void put_u16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value & 0xFFu);
    bytes[1] = (uint8_t)(value >> 8);
}

/* A trace function: adds a row's check value to its node's sum. user: uint32_t[n_nodes] */
static void check_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    uint32_t *sums = user;
    uint8_t place[6];
    put_u16(place, node);
    put_u16(place + 2, channel);
    put_u16(place + 4, row);
    sums[node] += dcg_crc32(dcg_crc32(0, place, sizeof place), bytes, count);
}

/* Whether constants may be there: aligned, and apart from what a run writes. */
static int constants_ok(const dcg_net *net, const int32_t *scores, const void *constants, size_t bytes,
                        uintptr_t alignment) {
    return constants && !dcg_misaligned(constants, alignment) && dcg_run_apart(net, constants, bytes) &&
           !dcg_overlap(constants, bytes, scores, net->plan->n_scores * sizeof *scores);
}

/* Whether all of the test's arguments may be as they are. */
static int selftest_ok(const dcg_net *net, const dcg_selftest_data *data, const int32_t *scores,
                       const uint16_t *wrong) {
    if (!data || dcg_misaligned(data, sizeof data->picture) || !dcg_run_ok(net, data->picture, scores))
        return 0;
    const size_t score_bytes = net->plan->n_scores * sizeof *scores;
    const size_t check_bytes = net->plan->n_nodes * sizeof *data->checks;
    return constants_ok(net, scores, data, sizeof *data, 1u) &&
           constants_ok(net, scores, data->scores, score_bytes, sizeof *scores) &&
           constants_ok(net, scores, data->checks, check_bytes, sizeof *data->checks) &&
           constants_ok(net, scores, wrong, sizeof *wrong, sizeof *wrong);
}

dcg_status dcg_selftest(dcg_net *net, const dcg_selftest_data *data, int32_t *scores,
                        uint16_t *first_wrong_node) {
    if (!selftest_ok(net, data, scores, first_wrong_node)) return DCG_ERR_ARGUMENT;
    const dcg_plan *plan = net->plan;
    dcg_trace_fn trace = net->trace;
    void *trace_user = net->trace_user;
    uint32_t *sums = (void *)(net->arena + plan->scratch.checks);
    for (uint32_t i = 0; i < plan->n_nodes; i++)
        sums[i] = 0;
    *first_wrong_node = DCG_NO_NODE;

    dcg_set_trace(net, check_row, sums);
    dcg_status status = dcg_run(net, data->picture, scores);
    dcg_set_trace(net, trace, trace_user);
    if (status != DCG_OK) return status;

    uint32_t wrong = 0;
    while (wrong < plan->n_nodes && sums[wrong] == data->checks[wrong])
        wrong++;
    for (uint32_t i = 0; i < plan->n_scores && wrong == plan->n_nodes; i++)
        if (scores[i] != data->scores[i]) wrong = plan->n_nodes - 1u;
    if (wrong == plan->n_nodes) return DCG_OK;
    *first_wrong_node = (uint16_t)wrong;
    return DCG_ERR_SELFTEST;
}
