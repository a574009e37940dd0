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

dcg_status dcg_selftest(dcg_net *net, const dcg_selftest_data *data, int32_t *scores,
                        uint16_t *first_wrong_node) {
    if (!net || !net->plan || !data || !scores || !first_wrong_node) return DCG_ERR_ARGUMENT;
    if (!data->picture || !data->scores || !data->checks) return DCG_ERR_ARGUMENT;
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
