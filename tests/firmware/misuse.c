/* Calls the functions in dcg.h wrongly, under sanitizers. Each call must return an error (or, where the
 * attempt says that it is harmless, DCG_OK) and must leave the net and the memory around it as they were.
 * Prints a line for each attempt that is mishandled, and last how many attempts there were and how many were
 * mishandled.
 *
 * The argument is a model with a self-test, a shared library as program.c takes it. Memory is from malloc, of
 * exactly the stated sizes but where areas are to overlap: those lie in one pool. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const struct model *model;
static unsigned tried, mishandled;

static void attempt(const char *what, int handled) {
    tried++;
    if (handled) return;
    mishandled++;
    printf("mishandled: %s\n", what);
}

#define REFUSED(call) attempt(#call, (call) == DCG_ERR_ARGUMENT)
#define GIVES(status, call) attempt(#call " gives " #status, (call) == (status))

/* Memory of so many bytes, aligned to 16 and filled with a pattern. */
static uint8_t *exact(size_t bytes) {
    void *p = NULL;
    if (posix_memalign(&p, 16, bytes ? bytes : 1) != 0) abort();
    memset(p, 0xA5, bytes);
    return p;
}

static size_t aligned(size_t bytes) {
    return (bytes + 15u) / 16u * 16u;
}

/* The memory of one program. */
static struct {
    uint8_t *arena, *blob, *picture;
    int32_t *scores;
    size_t arena_bytes, blob_bytes, row_bytes, score_bytes;
    dcg_net net;
} m;

static dcg_status init(void) {
    return dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, m.arena, m.arena_bytes);
}

static dcg_status begin(dcg_net *net) {
    return model->plan->streamed ? dcg_begin(net, m.scores) : dcg_begin_picture(net, m.picture, m.scores);
}

/* Whether the model still gives the right scores: nothing that came before has left a trace. */
static int right(void) {
    memset(m.scores, 0x55, m.score_bytes);
    return dcg_run(&m.net, m.picture, m.scores) == DCG_OK &&
           memcmp(m.scores, model->selftest->scores, m.score_bytes) == 0;
}

static void count_rows(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                       uint16_t count) {
    (void)node, (void)channel, (void)row, (void)bytes, (void)count;
    ++*(unsigned *)user;
}

/* Every function with a net that is bound to nothing; it must stay as it is. */
static void unbound(const char *state, dcg_net *net) {
    static unsigned rows;
    uint16_t wrong = 7;
    uint8_t before[sizeof *net];
    memcpy(before, (const void *)net, sizeof before);
    printf("# %s\n", state);
    REFUSED(dcg_run(net, m.picture, m.scores));
    REFUSED(dcg_begin(net, m.scores));
    REFUSED(dcg_begin_picture(net, m.picture, m.scores));
    REFUSED(dcg_push_row(net, m.picture));
    REFUSED(dcg_take_row(net, m.picture));
    REFUSED(dcg_run_step(net));
    GIVES(0, dcg_has_step(net));
    REFUSED(dcg_selftest(net, model->selftest, m.scores, &wrong));
    dcg_set_trace(net, count_rows, &rows);
    attempt("dcg_set_trace leaves an unbound net as it is",
            memcmp(before, (const void *)net, sizeof before) == 0);
    attempt("no trace of an unbound net is called", rows == 0 && wrong == 7);
}

/* ---- Pointers that are NULL or misaligned ---- */

/* Where the self-test must not have what it reads and writes: on what a run writes, or misaligned. */
static void misplaced_selftest(void) {
    uint8_t *memory = exact(m.score_bytes + sizeof(dcg_selftest_data) + 8u);
    uint16_t *const odd = (void *)(memory + 1), *const places[] = {(void *)&m.net.plan, (void *)&m.net.blob,
                                                                   (void *)m.arena,     (void *)m.scores,
                                                                   (void *)m.blob,      odd};
    uint16_t wrong = 7;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const dcg_net before = m.net;
        REFUSED(dcg_selftest(&m.net, model->selftest, m.scores, places[i]));
        attempt("it leaves the net as it is", memcmp(&before, &m.net, sizeof before) == 0);
    }
    dcg_selftest_data data = *model->selftest;
    data.scores = m.scores;
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    data.scores = (void *)(memory + 1);
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    data = *model->selftest;
    data.checks = (void *)(m.arena + model->plan->scratch.checks);
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    data.checks = (void *)(memory + 1);
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    memcpy(m.arena, model->selftest, sizeof data);
    REFUSED(dcg_selftest(&m.net, (void *)m.arena, m.scores, &wrong));
    REFUSED(dcg_selftest(&m.net, (void *)(memory + 1), m.scores, &wrong));
    attempt("a self-test that is refused changes nothing", wrong == 7);
    free(memory);
}

static void pointers(void) {
    uint16_t wrong;
    dcg_selftest_data data = *model->selftest;
    int32_t *odd = (void *)exact(m.score_bytes + 4u);
    REFUSED(dcg_init(NULL, model->plan, m.blob, m.blob_bytes, m.arena, m.arena_bytes));
    REFUSED(dcg_init(&m.net, NULL, m.blob, m.blob_bytes, m.arena, m.arena_bytes));
    REFUSED(dcg_init(&m.net, model->plan, NULL, m.blob_bytes, m.arena, m.arena_bytes));
    REFUSED(dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, NULL, m.arena_bytes));
    REFUSED(dcg_begin(NULL, m.scores));
    REFUSED(dcg_begin_picture(NULL, m.picture, m.scores));
    REFUSED(dcg_run(NULL, m.picture, m.scores));
    REFUSED(dcg_push_row(NULL, m.picture));
    REFUSED(dcg_take_row(NULL, m.picture));
    REFUSED(dcg_run_step(NULL));
    GIVES(0, dcg_has_step(NULL));
    dcg_set_trace(NULL, count_rows, NULL);
    REFUSED(dcg_selftest(NULL, &data, m.scores, &wrong));
    GIVES(0u, dcg_argmax(NULL, 5));
    GIVES(0u, dcg_argmax(m.scores, 0));
    attempt("a status that does not exist has words", dcg_status_text((dcg_status)99)[0] != '\0');

    GIVES(DCG_OK, init());
    REFUSED(dcg_begin(&m.net, NULL));
    REFUSED(dcg_begin_picture(&m.net, m.picture, NULL));
    REFUSED(dcg_begin_picture(&m.net, NULL, m.scores));
    REFUSED(dcg_run(&m.net, m.picture, NULL));
    REFUSED(dcg_run(&m.net, NULL, m.scores));
    GIVES(DCG_OK, begin(&m.net));
    REFUSED(dcg_push_row(&m.net, NULL));
    REFUSED(dcg_take_row(&m.net, NULL));
    REFUSED(dcg_selftest(&m.net, NULL, m.scores, &wrong));
    REFUSED(dcg_selftest(&m.net, &data, NULL, &wrong));
    REFUSED(dcg_selftest(&m.net, &data, m.scores, NULL));
    data.picture = NULL;
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    data.picture = m.picture, data.scores = NULL;
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    data.scores = model->selftest->scores, data.checks = NULL;
    REFUSED(dcg_selftest(&m.net, &data, m.scores, &wrong));
    for (unsigned i = 1; i < 4; i++) {
        int32_t *scores = (void *)((uint8_t *)odd + i);
        REFUSED(dcg_run(&m.net, m.picture, scores));
        REFUSED(dcg_begin(&m.net, scores));
        REFUSED(dcg_begin_picture(&m.net, m.picture, scores));
        REFUSED(dcg_selftest(&m.net, model->selftest, scores, &wrong));
    }
    dcg_net *odd_net = (void *)((uint8_t *)exact(sizeof m.net + 4u) + 1);
    memcpy(odd_net, &m.net, sizeof m.net);
    unbound("a misaligned net", odd_net);
    GIVES(0u, dcg_argmax((void *)((uint8_t *)odd + 1), 1));
    misplaced_selftest();
    attempt("the model runs after all that", right());
    free((uint8_t *)odd_net - 1);
    free(odd);
}

/* ---- A dcg_init that fails ---- */

/* A status and a line for what has been tried, on a net that was in the middle of a picture before. */
#define FAILS(status, state, call)                                                                           \
    do {                                                                                                     \
        GIVES(DCG_OK, init());                                                                               \
        GIVES(DCG_OK, begin(&m.net));                                                                        \
        GIVES(status, call);                                                                                 \
        unbound(state, &m.net);                                                                              \
    } while (0)

static void failed_init(void) {
    dcg_plan other = *model->plan;
    uint8_t *blob = exact(m.blob_bytes), *arena = exact(m.arena_bytes + 16u);
    other.topology_hash ^= 1u;
    FAILS(DCG_ERR_ARGUMENT, "no plan", dcg_init(&m.net, NULL, m.blob, m.blob_bytes, m.arena, m.arena_bytes));
    FAILS(DCG_ERR_ARGUMENT, "no blob",
          dcg_init(&m.net, model->plan, NULL, m.blob_bytes, m.arena, m.arena_bytes));
    FAILS(DCG_ERR_ARGUMENT, "no arena",
          dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, NULL, m.arena_bytes));
    FAILS(DCG_ERR_ARENA_SIZE, "a small arena",
          dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, m.arena, model->arena_bytes - 1u));
    FAILS(DCG_ERR_ARENA_SIZE, "an arena of no bytes",
          dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, m.arena, 0));
    FAILS(DCG_ERR_TOPOLOGY, "another network's plan",
          dcg_init(&m.net, &other, m.blob, m.blob_bytes, m.arena, m.arena_bytes));
    for (size_t bytes = 0; bytes < m.blob_bytes; bytes += bytes < 70 ? 7 : 997)
        FAILS(DCG_ERR_TRUNCATED, "a blob cut short",
              dcg_init(&m.net, model->plan, m.blob, bytes, m.arena, m.arena_bytes));
    for (size_t i = 1; i < DCG_ARENA_ALIGNMENT; i++)
        FAILS(DCG_ERR_ARGUMENT, "a misaligned arena",
              dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, arena + i, m.arena_bytes));
    for (size_t i = 1; i < DCG_BLOB_ALIGNMENT; i++)
        FAILS(DCG_ERR_ARGUMENT, "a misaligned blob",
              dcg_init(&m.net, model->plan, m.blob + i, m.blob_bytes - i, m.arena, m.arena_bytes));
    for (size_t at = 0; at < m.blob_bytes; at += 499) {
        memcpy(blob, m.blob, m.blob_bytes);
        blob[at] ^= 0x10u;
        GIVES(DCG_OK, init());
        attempt("a damaged blob is refused",
                dcg_init(&m.net, model->plan, blob, m.blob_bytes, m.arena, m.arena_bytes) != DCG_OK);
        unbound("a damaged blob", &m.net);
    }
    GIVES(DCG_OK, init());
    GIVES(DCG_OK, init()); /* twice is no harm */
    attempt("the model runs after all that", right());
    free(blob), free(arena);
}

/* ---- Memory that overlaps ---- */

/* Tries an arena at a place of the pool; blob and net are in the pool, too. */
static dcg_status init_at(uint8_t *pool, size_t net, size_t blob, size_t arena) {
    memcpy(pool + blob, m.blob, m.blob_bytes);
    return dcg_init((void *)(pool + net), model->plan, pool + blob, m.blob_bytes, pool + arena,
                    model->arena_bytes);
}

static void overlapping_plan(void) {
    uint8_t *a = exact(aligned(model->arena_bytes) + sizeof *model->plan);
    const dcg_plan *plan = memcpy(a + model->arena_bytes / 16u * 8u, model->plan, sizeof *plan);
    REFUSED(dcg_init(&m.net, plan, m.blob, m.blob_bytes, a, model->arena_bytes));
    REFUSED(dcg_init(&m.net, (void *)(a + 1), m.blob, m.blob_bytes, m.arena, m.arena_bytes));
    plan = memcpy(a, model->plan, sizeof *plan);
    GIVES(DCG_OK, dcg_init(&m.net, plan, m.blob, m.blob_bytes, m.arena, m.arena_bytes));
    if (m.score_bytes <= aligned(model->arena_bytes)) {
        REFUSED(dcg_run(&m.net, m.picture, (void *)a)); /* the plan would be overwritten */
    }
    free(a);
}

static void overlaps(void) {
    const size_t arena = aligned(model->arena_bytes), blob = aligned(m.blob_bytes),
                 net = aligned(sizeof m.net);
    const size_t picture = aligned(model->input_bytes), scores = aligned(m.score_bytes);
    uint8_t *pool = exact(2u * arena + blob + net + 64u);
    const size_t at = net + 32u; /* of the arena, the net ahead of it */

    GIVES(DCG_OK, init_at(pool, 0, at + arena, at));      /* net, arena, blob side by side */
    GIVES(DCG_OK, init_at(pool, 0, net, net + blob));     /* net, blob, arena */
    GIVES(DCG_OK, init_at(pool, arena + blob, arena, 0)); /* arena, blob, net */
    REFUSED(init_at(pool, 0, at, at));                    /* both begin at one place */
    REFUSED(init_at(pool, 0, at + arena - 16u, at));      /* the arena's end in the blob */
    REFUSED(init_at(pool, 0, at + model->arena_bytes / 8u * 4u, at));
    REFUSED(
        init_at(pool, 0, at, at + (m.blob_bytes - 1u) / 16u * 16u)); /* its begin in the blob's last bytes */
    REFUSED(init_at(pool, at, at + arena, at));                      /* the net in the arena: its begin, */
    REFUSED(init_at(pool, at + arena - net, at + arena, at));        /* its end, */
    REFUSED(init_at(pool, at - 8u, at + arena, at));                 /* across its border, */
    /* A net in the blob: that it is unbound has damaged the blob. */
    attempt("a net in the blob is refused", init_at(pool, at + arena + 64u, at + arena, at) != DCG_OK);

    overlapping_plan();
    GIVES(DCG_OK, init());
    uint8_t *a = exact(arena + picture + scores + 64u);
    memcpy(a + arena, m.picture, model->input_bytes);
    int32_t *behind = (void *)(a + arena + picture);
    GIVES(DCG_OK, dcg_init(&m.net, model->plan, m.blob, m.blob_bytes, a, model->arena_bytes));
    const size_t places[] = {0, 16u, model->arena_bytes / 8u * 4u, (model->arena_bytes - 1u) / 4u * 4u};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int32_t *in_arena = (void *)(a + places[i]);
        uint16_t wrong;
        REFUSED(dcg_run(&m.net, a + arena, in_arena));
        REFUSED(dcg_begin(&m.net, in_arena));
        REFUSED(dcg_begin_picture(&m.net, a + arena, in_arena));
        REFUSED(dcg_selftest(&m.net, model->selftest, in_arena, &wrong));
        REFUSED(dcg_run(&m.net, a + places[i], behind));
        REFUSED(dcg_begin_picture(&m.net, a + places[i], behind));
        if (model->plan->streamed) {
            GIVES(DCG_OK, dcg_begin(&m.net, behind));
            REFUSED(dcg_push_row(&m.net, a + places[i]));
            REFUSED(dcg_take_row(&m.net, a + places[i]));
            REFUSED(dcg_take_row(&m.net, (uint8_t *)behind)); /* the scores are not complete */
        }
    }
    const size_t in_picture[] = {0, model->input_bytes / 8u * 4u, (model->input_bytes - 1u) / 4u * 4u};
    for (size_t i = 0; i < sizeof in_picture / sizeof *in_picture; i++) {
        int32_t *shared = (void *)(a + arena + in_picture[i]);
        REFUSED(dcg_run(&m.net, a + arena, shared));
        REFUSED(dcg_begin_picture(&m.net, a + arena, shared));
    }
    REFUSED(dcg_run(&m.net, a + arena, (int32_t *)(void *)m.blob)); /* the blob would be overwritten, */
    REFUSED(dcg_begin(&m.net, (int32_t *)(void *)(m.blob + 4)));
    REFUSED(dcg_run(&m.net, a + arena, (int32_t *)(void *)&m.net)); /* or the net */
    GIVES(DCG_OK, dcg_run(&m.net, a + arena, behind));              /* side by side all is well */
    attempt("scores behind the picture are right",
            memcmp(behind, model->selftest->scores, m.score_bytes) == 0);
    GIVES(DCG_OK, init());
    attempt("the model runs after all that", right());
    free(pool), free(a);
}

/* ---- Calls out of turn ---- */

static dcg_status run_all_steps(void) {
    dcg_status status = DCG_OK;
    while (status == DCG_OK && dcg_has_step(&m.net))
        status = dcg_run_step(&m.net);
    return status;
}

static void streamed_turns(void) {
    REFUSED(dcg_begin_picture(&m.net, m.picture, m.scores));
    GIVES(DCG_OK, dcg_begin(&m.net, m.scores));
    REFUSED(dcg_run_step(&m.net)); /* its row has not come */
    for (size_t y = 0; y + 1u < model->input_height; y++)
        GIVES(DCG_OK, dcg_push_row(&m.net, m.picture + y * m.row_bytes));
    attempt("a picture of too few rows can be given up", right());
    GIVES(DCG_OK, dcg_begin(&m.net, m.scores));
    for (size_t y = 0; y < model->input_height; y++)
        GIVES(DCG_OK, dcg_push_row(&m.net, m.picture + y * m.row_bytes));
    for (int i = 0; i < 3; i++) { /* rows too many */
        REFUSED(dcg_push_row(&m.net, m.picture));
        REFUSED(dcg_take_row(&m.net, m.picture));
        REFUSED(dcg_run_step(&m.net));
    }
    attempt("they change nothing", memcmp(m.scores, model->selftest->scores, m.score_bytes) == 0);
    GIVES(DCG_OK, dcg_begin(&m.net, m.scores));
    for (size_t y = 0; y < model->input_height; y++) {
        GIVES(DCG_OK, dcg_take_row(&m.net, m.picture + y * m.row_bytes));
        if (dcg_has_step(&m.net)) {
            REFUSED(dcg_take_row(&m.net, m.picture));
            REFUSED(dcg_push_row(&m.net, m.picture));
        }
        GIVES(DCG_OK, run_all_steps());
    }
    attempt("rows refused between change nothing",
            memcmp(m.scores, model->selftest->scores, m.score_bytes) == 0);
    GIVES(DCG_OK, dcg_begin(&m.net, m.scores));
    GIVES(DCG_OK, dcg_push_row(&m.net, m.picture));
    GIVES(DCG_OK, init()); /* in the middle of a picture, which it ends */
    REFUSED(dcg_push_row(&m.net, m.picture));
    REFUSED(dcg_take_row(&m.net, m.picture));
}

static void whole_turns(void) {
    REFUSED(dcg_begin(&m.net, m.scores));
    REFUSED(dcg_push_row(&m.net, m.picture));
    REFUSED(dcg_take_row(&m.net, m.picture));
    GIVES(DCG_OK, dcg_begin_picture(&m.net, m.picture, m.scores));
    REFUSED(dcg_push_row(&m.net, m.picture));
    REFUSED(dcg_take_row(&m.net, m.picture));
    GIVES(DCG_OK, dcg_run_step(&m.net));
    attempt("a picture can be given up", right());
    REFUSED(dcg_run_step(&m.net));
    GIVES(DCG_OK, dcg_begin_picture(&m.net, m.picture, m.scores));
    GIVES(DCG_OK, dcg_run_step(&m.net));
    GIVES(DCG_OK, init()); /* in the middle of a picture, which it ends */
    REFUSED(dcg_run_step(&m.net));
}

/* Traces that do what they should not, user: &m.net. */
static void stop_trace(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                       uint16_t count) {
    (void)node, (void)channel, (void)row, (void)bytes, (void)count;
    dcg_set_trace(user, NULL, NULL);
}
static void unbind_net(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                       uint16_t count) {
    (void)node, (void)channel, (void)row, (void)bytes, (void)count;
    (void)dcg_init(user, NULL, NULL, 0, NULL, 0);
}
static void run_again(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    (void)node, (void)channel, (void)row, (void)bytes, (void)count;
    dcg_set_trace(user, NULL, NULL);
    (void)dcg_run(user, m.picture, m.scores);
}
static void begin_again(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                        uint16_t count) {
    (void)node, (void)channel, (void)row, (void)bytes, (void)count;
    dcg_set_trace(user, NULL, NULL);
    (void)begin(user);
}

static void turns(void) {
    uint16_t wrong = 7;
    GIVES(DCG_OK, init());
    GIVES(0, dcg_has_step(&m.net));
    REFUSED(dcg_run_step(&m.net));
    REFUSED(dcg_push_row(&m.net, m.picture));
    REFUSED(dcg_take_row(&m.net, m.picture));
    (model->plan->streamed ? streamed_turns : whole_turns)();
    GIVES(DCG_OK, begin(&m.net));
    GIVES(DCG_OK, dcg_selftest(&m.net, model->selftest, m.scores, &wrong)); /* it ends the picture */
    attempt("the self-test has found no wrong node", wrong == DCG_NO_NODE);
    REFUSED(dcg_run_step(&m.net));

    dcg_set_trace(&m.net, stop_trace, &m.net);
    attempt("a trace may stop itself", right());
    dcg_set_trace(&m.net, run_again, &m.net);
    REFUSED(dcg_run(&m.net, m.picture, m.scores));
    attempt("after a trace that has run another picture the model runs", right());
    dcg_set_trace(&m.net, begin_again, &m.net);
    REFUSED(dcg_run(&m.net, m.picture, m.scores));
    attempt("after a trace that has begun another picture the model runs", right());
    dcg_set_trace(&m.net, unbind_net, &m.net);
    REFUSED(dcg_run(&m.net, m.picture, m.scores));
    unbound("a trace that unbinds its net", &m.net);
    GIVES(DCG_OK, init());
    attempt("the model runs after all that", right());
}

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library || !(model = dlsym(library, "the_model")) || !model->selftest) return 98;
    m.arena_bytes = model->arena_bytes, m.blob_bytes = model->blob_bytes;
    m.score_bytes = model->scores * sizeof *m.scores;
    m.row_bytes = model->input_bytes / model->input_height;
    m.arena = exact(m.arena_bytes), m.blob = exact(m.blob_bytes), m.picture = exact(model->input_bytes);
    m.scores = (void *)exact(m.score_bytes);
    memcpy(m.blob, model->blob, m.blob_bytes);
    memcpy(m.picture, model->selftest->picture, model->input_bytes);
    static dcg_net zeroed;
    unbound("a zeroed net", &zeroed);
    pointers();
    failed_init();
    overlaps();
    turns();
    printf("%u %u\n", tried, mishandled);
    free(m.arena), free(m.blob), free(m.picture), free(m.scores);
    return 0;
}
