/* Runs one known picture and names the first node whose output is wrong. */
#include "dcg_internal.h"

/* Check values of one node at a time, as the trace delivers them in execution order. */
typedef struct checker {
    const uint32_t *expected;
    uint32_t sum;
    uint16_t node; /* whose rows are being summed, DCG_NO_NODE before the first */
    uint16_t first_wrong;
} checker;

static void finish_node(checker *c) {
    if (c->node != DCG_NO_NODE && c->first_wrong == DCG_NO_NODE && c->sum != c->expected[c->node])
        c->first_wrong = c->node;
    c->sum = 0;
}

static void put_u16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value & 0xFFu);
    bytes[1] = (uint8_t)(value >> 8);
}

static void check_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    checker *c = user;
    if (node != c->node) finish_node(c);
    c->node = node;
    uint8_t place[6];
    put_u16(place, node);
    put_u16(place + 2, channel);
    put_u16(place + 4, row);
    c->sum += dcg_crc32(dcg_crc32(0, place, sizeof place), bytes, count);
}

dcg_status dcg_selftest(dcg_net *net, const dcg_selftest_data *data, int32_t *scores,
                        uint16_t *first_wrong_node) {
    if (!net || !data || !scores || !first_wrong_node) return DCG_ERR_ARGUMENT;
    dcg_trace_fn trace = net->trace;
    void *trace_user = net->trace_user;
    checker c = {data->checks, 0, DCG_NO_NODE, DCG_NO_NODE};
    *first_wrong_node = DCG_NO_NODE;

    dcg_set_trace(net, check_row, &c);
    dcg_status status = dcg_run(net, data->picture, scores);
    dcg_set_trace(net, trace, trace_user);
    if (status != DCG_OK) return status;

    finish_node(&c);
    for (uint32_t i = 0; i < net->plan->n_scores && c.first_wrong == DCG_NO_NODE; i++)
        if (scores[i] != data->scores[i]) c.first_wrong = (uint16_t)(net->plan->n_nodes - 1u);
    *first_wrong_node = c.first_wrong;
    return c.first_wrong == DCG_NO_NODE ? DCG_OK : DCG_ERR_SELFTEST;
}
