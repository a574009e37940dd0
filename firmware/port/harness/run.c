/* Verification program: runs the model on pictures from a file and writes down what it computed.
 *
 * A measured run is cold (blob checked and set up anew) and untraced, from the first instruction
 * of dcg_init() to the last score. A traced run writes every row of every tensor. Before each run
 * the arena is filled with a pattern, so that no run profits from what another has left. A model that
 * takes its picture row by row gets it so, each row in the memory of one; copying it there, a camera's
 * part, is not counted. */
#include "model_memory.h"
#include "port.h"
#include "records.h"

#define LEFTOVER 0xA5

struct outcome {
    int32_t status;
    uint32_t stack;
    uint32_t ticks[2]; /* low word first */
    uint32_t longest_row[2];
};

/* Ticks of the runtime's calls. */
struct clock {
    uint64_t all;
    uint64_t longest_row; /* 0 if the picture is not pushed by rows */
};

static uint8_t picture[DCG_MODEL_INPUT_BYTES];

static void trace_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    (void)user;
    records_put(RECORD_ROW, node, channel, row, bytes, count);
}

static void copy(uint8_t *to, const uint8_t *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        to[i] = from[i];
    }
}

static dcg_status run_picture(struct clock *clock) {
#if DCG_MODEL_STREAMED
    dcg_status status = dcg_begin(&model_net, model_scores);
    for (size_t y = 0; y < DCG_MODEL_INPUT_HEIGHT && status == DCG_OK; y++) {
        copy(model_input, picture + y * sizeof model_input, sizeof model_input);
        const uint64_t start = port_ticks();
        status = dcg_push_row(&model_net, model_input);
        const uint64_t ticks = port_ticks() - start;
        clock->all += ticks;
        if (ticks > clock->longest_row) {
            clock->longest_row = ticks;
        }
    }
#else
    copy(model_input, picture, sizeof model_input);
    const uint64_t start = port_ticks();
    const dcg_status status = dcg_run(&model_net, model_input, model_scores);
    clock->all += port_ticks() - start;
#endif
    return status;
}

/* False ends the program early: the runtime refused the blob, which the results say. */
static bool run(bool trace) {
    for (size_t i = 0; i < sizeof model_arena; i++) {
        model_arena[i] = LEFTOVER;
    }
    port_stack_paint();
    struct clock clock = {0, 0};
    const uint64_t start = port_ticks();
    dcg_status status = dcg_init(&model_net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES,
                                 model_arena, sizeof model_arena);
    clock.all = port_ticks() - start;
    if (status == DCG_OK) {
        if (trace) {
            dcg_set_trace(&model_net, trace_row, NULL);
        }
        status = run_picture(&clock);
    }
    const struct outcome outcome = {(int32_t)status,
                                    port_stack_used(),
                                    {(uint32_t)clock.all, (uint32_t)(clock.all >> 32)},
                                    {(uint32_t)clock.longest_row, (uint32_t)(clock.longest_row >> 32)}};
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
    struct records_request request;
    if (!port_read(pictures, &request, sizeof request) || request.magic != RECORDS_MAGIC) {
        port_print("the pictures file is no request\n");
        return false;
    }
    for (uint32_t i = 0; i < request.pictures; i++) {
        if (!port_read(pictures, picture, sizeof picture)) {
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
    if (!records_begin(results_file)) {
        return 2;
    }
    const bool good = run_all(pictures);
    const bool written = records_end();
    return good && written ? 0 : 2;
}
