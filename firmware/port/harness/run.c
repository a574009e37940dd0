/* Verification program: runs the model on pictures from a file and writes down what it has computed.
 *
 * A measured run starts with dcg_init(), which checks the blob anew, and is not traced; its time is that of
 * the runtime's calls up to the last score. A traced run goes step by step and writes every row of every
 * tensor; a step's time ends where its first row is traced. Before each run the arena is filled with a
 * pattern, so that no run profits from what another has left. A model that takes its picture row by row gets
 * one row at a time, in the memory of one; copying it there is a camera's part and is not counted. */
#include "model_memory.h"
#include "port.h"
#include "records.h"

#define LEFTOVER 0xA5

/* Payload of a RUN record. Numbers of 64 bits are two words, the lower one first. */
struct outcome {
    int32_t status;    /* dcg_status */
    uint32_t stack;    /* bytes that the run has used at most; 0 where the machine does not measure it */
    uint32_t ticks[2]; /* clock ticks of the runtime's calls, dcg_init() included */
    uint32_t longest_row[2]; /* ticks of the longest dcg_push_row(); 0 if the picture is not pushed by rows */
    uint32_t longest_step[2]; /* ticks of the longest step; 0 if the picture is not run step by step */
};

/* Ticks of the runtime's calls in the present run, see outcome. */
static struct {
    uint64_t all;
    uint64_t longest_row;
    uint64_t longest_step;
    uint64_t step_start; /* the clock when the present step began */
    bool in_step;        /* whether a step is being timed */
} spent;

static uint8_t picture[DCG_MODEL_INPUT_BYTES];

static uint64_t longer(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static void stop_step(void) {
    if (spent.in_step) spent.longest_step = longer(spent.longest_step, port_ticks() - spent.step_start);
    spent.in_step = false;
}

/* A trace function: writes the row. Where it is the step's first one, the step is over. */
static void trace_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    (void)user;
    stop_step();
    records_put(RECORD_ROW, node, channel, row, bytes, count);
}

static void copy(uint8_t *to, const uint8_t *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        to[i] = from[i];
    }
}

static dcg_status run_steps(void) {
    dcg_status status = DCG_OK;
    while (status == DCG_OK && dcg_has_step(&model_net)) {
        spent.in_step = true;
        spent.step_start = port_ticks();
        status = dcg_run_step(&model_net);
        stop_step();
    }
    return status;
}

#if DCG_MODEL_STREAMED
static dcg_status push_row(void) {
    const uint64_t start = port_ticks();
    const dcg_status status = dcg_push_row(&model_net, model_input);
    const uint64_t ticks = port_ticks() - start;
    spent.all += ticks;
    spent.longest_row = longer(spent.longest_row, ticks);
    return status;
}

static dcg_status step_row(void) {
    const dcg_status status = dcg_take_row(&model_net, model_input);
    return status == DCG_OK ? run_steps() : status;
}

static dcg_status run_picture(bool steps) {
    dcg_status status = dcg_begin(&model_net, model_scores);
    for (size_t y = 0; y < DCG_MODEL_INPUT_HEIGHT && status == DCG_OK; y++) {
        copy(model_input, picture + y * sizeof model_input, sizeof model_input);
        status = steps ? step_row() : push_row();
    }
    return status;
}
#else
static dcg_status run_picture(bool steps) {
    copy(model_input, picture, sizeof model_input);
    if (steps) {
        const dcg_status status = dcg_begin_picture(&model_net, model_input, model_scores);
        return status == DCG_OK ? run_steps() : status;
    }
    const uint64_t start = port_ticks();
    const dcg_status status = dcg_run(&model_net, model_input, model_scores);
    spent.all += port_ticks() - start;
    return status;
}
#endif

static void put_number(uint32_t words[2], uint64_t number) {
    words[0] = (uint32_t)number;
    words[1] = (uint32_t)(number >> 32);
}

/* Runs the picture once and writes what has come of it. Returns false where the runtime has refused the blob:
 * the results say so, and no other picture is run. */
static bool run(bool trace) {
    for (size_t i = 0; i < sizeof model_arena; i++) {
        model_arena[i] = LEFTOVER;
    }
    spent.all = spent.longest_row = spent.longest_step = 0;
    port_stack_paint();
    const uint64_t start = port_ticks();
    dcg_status status = dcg_init(&model_net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES,
                                 model_arena, sizeof model_arena);
    spent.all = port_ticks() - start;
    if (status == DCG_OK) {
        if (trace) {
            dcg_set_trace(&model_net, trace_row, NULL);
        }
        status = run_picture(trace);
    }
    struct outcome outcome = {.status = (int32_t)status, .stack = port_stack_used()};
    put_number(outcome.ticks, spent.all);
    put_number(outcome.longest_row, spent.longest_row);
    put_number(outcome.longest_step, spent.longest_step);
    records_put(RECORD_RUN, 0, 0, 0, &outcome, sizeof outcome);
    if (status != DCG_OK) {
        port_print(dcg_status_text(status));
        port_print("\n");
        return false;
    }
    records_put(RECORD_SCORES, 0, 0, 0, model_scores, sizeof model_scores);
    return true;
}

/* Runs the pictures as their file's head asks for. Returns false where they cannot be read. */
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
