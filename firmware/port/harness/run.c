/* Verification program: runs the model on pictures from a file and writes down what it computed.
 *
 * A measured run is cold (blob checked and set up anew) and untraced, from the first instruction
 * of dcg_init() to the last score. A traced run writes every row of every tensor. Before each run
 * the arena is filled with a pattern, so that no run profits from what another has left. */
#include "model_memory.h"
#include "port.h"
#include "records.h"

#define LEFTOVER 0xA5

struct request {
    uint32_t magic;
    uint32_t pictures;
    uint32_t measured;
    uint32_t traced;
};

struct outcome {
    int32_t status;
    uint32_t stack;
    uint32_t ticks_low;
    uint32_t ticks_high;
};

static void trace_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    (void)user;
    records_put(RECORD_ROW, node, channel, row, bytes, count);
}

/* False ends the program early: the runtime refused the blob, which the results say. */
static bool run(bool trace) {
    for (size_t i = 0; i < sizeof model_arena; i++) {
        model_arena[i] = LEFTOVER;
    }
    port_stack_paint();
    const uint64_t start = port_ticks();
    dcg_status status = dcg_init(&model_net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES,
                                 model_arena, sizeof model_arena);
    if (status == DCG_OK) {
        if (trace) {
            dcg_set_trace(&model_net, trace_row, NULL);
        }
        status = dcg_run(&model_net, model_input, model_scores);
    }
    const uint64_t ticks = port_ticks() - start;
    const struct outcome outcome = {(int32_t)status, port_stack_used(), (uint32_t)ticks,
                                    (uint32_t)(ticks >> 32)};
    records_put(RECORD_RUN, 0, 0, 0, &outcome, sizeof outcome);
    if (status != DCG_OK) {
        port_print(dcg_status_text(status));
        port_print("\n");
        return false;
    }
    records_put(RECORD_SCORES, 0, 0, 0, model_scores, sizeof model_scores);
    return true;
}

/* False if the pictures cannot be read. */
static bool run_all(port_file pictures) {
    struct request request;
    if (!port_read(pictures, &request, sizeof request) || request.magic != RECORDS_MAGIC) {
        port_print("the pictures file is no request\n");
        return false;
    }
    for (uint32_t i = 0; i < request.pictures; i++) {
        if (!port_read(pictures, model_input, sizeof model_input)) {
            port_print("the pictures file is too short\n");
            return false;
        }
        if ((i < request.measured && !run(false)) || (i < request.traced && !run(true))) {
            break;
        }
    }
    return true;
}

int harness_main(const char *pictures_file, const char *results_file) {
    const port_file pictures = port_open(pictures_file, false);
    if (pictures < 0) {
        port_print("cannot open the pictures file\n");
        return 2;
    }
    const port_file results = port_open(results_file, true);
    if (results < 0) {
        port_print("cannot create the results file\n");
        return 2;
    }
    records_begin(results);
    const bool good = run_all(pictures);
    records_put(RECORD_END, 0, 0, 0, NULL, 0);
    const bool written = records_end() && port_close(results);
    if (!written) {
        port_print("cannot write the results file\n");
    }
    return good && written ? 0 : 2;
}
