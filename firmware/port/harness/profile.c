/* Profile program: runs the model once on the first picture of a file and writes down the clock ticks that
 * dcg_init() and each node took.
 *
 * The trace function is called when a node's rows are there. The ticks since it was left last are the node's;
 * they are counted when a row's first channel is traced. What the trace function itself takes counts for no
 * node. */
#include "model_memory.h"
#include "port.h"
#include "records.h"

#if DCG_MODEL_STREAMED
#error "a profile is of whole layers: the memory of the picture must hold all of it"
#endif

struct profile {
    uint64_t last; /* the clock when the trace function was left last */
};

static void put_ticks(uint16_t node, uint16_t row, uint64_t ticks) {
    records_put(RECORD_TICKS, node, 0, row, &ticks, sizeof ticks);
}

static void count_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    (void)bytes;
    (void)count;
    struct profile *profile = user;
    if (channel == 0) put_ticks(node, row, port_ticks() - profile->last);
    profile->last = port_ticks();
}

static dcg_status run(void) {
    const uint64_t start = port_ticks();
    dcg_status status = dcg_init(&model_net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES,
                                 model_arena, sizeof model_arena);
    put_ticks(DCG_NO_NODE, 0, port_ticks() - start);
    if (status != DCG_OK) return status;
    struct profile profile;
    dcg_set_trace(&model_net, count_row, &profile);
    profile.last = port_ticks();
    status = dcg_run(&model_net, model_input, model_scores);
    /* The last node makes the scores, which are not traced. */
    put_ticks((uint16_t)(DCG_MODEL_PLAN.n_nodes - 1u), 0, port_ticks() - profile.last);
    return status;
}

int harness_main(const char *pictures_file, const char *results_file) {
    struct records_request request;
    const port_file pictures = port_open(pictures_file, false);
    if (pictures < 0 || !port_read(pictures, &request, sizeof request) || request.magic != RECORDS_MAGIC ||
        !port_read(pictures, model_input, sizeof model_input)) {
        port_print("no picture can be read\n");
        return 2;
    }
    if (!records_begin(results_file)) return 2;
    const dcg_status status = run();
    if (status != DCG_OK) {
        port_print(dcg_status_text(status));
        port_print("\n");
        return 2;
    }
    records_put(RECORD_SCORES, 0, 0, 0, model_scores, sizeof model_scores);
    return records_end() ? 0 : 2;
}
