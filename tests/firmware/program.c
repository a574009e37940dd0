/* Test program for one emitted model. All memory is from malloc, of exactly the stated sizes, so that
 * the address sanitizer sees the first byte read or written outside.
 *
 *   program trace BLOB PICTURES   runs every picture, every second one step by step; stdout: rows (u16 node,
 *                                 channel, row, count, then the bytes) and after each picture u16 0xFFFF and
 *                                 its scores
 *   program fuzz BLOBS PICTURE    BLOBS: (u32 size, bytes) ...; stdout: "init run" statuses, a line each
 *   program selftest              stdout: status and first wrong node
 *   program argument              stdout: statuses of calls with wrong arguments
 *   program rows PICTURE          stdout: statuses of calls that begin pictures and push rows, in every
 *                                 order, and whether a picture pushed after all that has dcg_run's scores
 *   program steps PICTURE         stdout: statuses of calls in and out of turn, and whether a picture taken
 *                                 step by step, refusing rows between, has dcg_run's scores
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dcg_model.h"

static void *exact(size_t bytes) {
    void *p = NULL;
    if (posix_memalign(&p, 16, bytes ? bytes : 1) != 0) abort();
    memset(p, 0xA5, bytes);
    return p;
}

static void *read_file(const char *name, size_t *bytes) {
    FILE *f = fopen(name, "rb");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    void *data = exact(*bytes);
    if (fread(data, 1, *bytes, f) != *bytes) abort();
    fclose(f);
    return data;
}

static void write_row(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                      uint16_t count) {
    uint16_t head[4] = {node, channel, row, count};
    fwrite(head, sizeof head, 1, user);
    fwrite(bytes, 1, count, user);
}

static dcg_status run_steps(dcg_net *net, dcg_status status) {
    while (status == DCG_OK && dcg_has_step(net))
        status = dcg_run_step(net);
    return status;
}

/* One picture as its plan has it: whole, or row by row, each row's memory free again after its call. */
static dcg_status run_picture(dcg_net *net, const uint8_t *picture, int32_t *scores, int steps) {
#if DCG_MODEL_STREAMED
    const size_t bytes = DCG_MODEL_INPUT_WIDTH * DCG_MODEL_INPUT_CHANNELS;
    dcg_status status = dcg_begin(net, scores);
    for (size_t y = 0; y < DCG_MODEL_INPUT_HEIGHT && status == DCG_OK; y++) {
        uint8_t *row = exact(bytes);
        memcpy(row, picture + y * bytes, bytes);
        status = steps ? run_steps(net, dcg_take_row(net, row)) : dcg_push_row(net, row);
        free(row);
    }
    return status;
#else
    if (steps) return run_steps(net, dcg_begin_picture(net, picture, scores));
    return dcg_run(net, picture, scores);
#endif
}

static int trace(const char *blob_name, const char *pictures_name) {
    size_t blob_bytes, bytes;
    uint8_t *blob = read_file(blob_name, &blob_bytes), *pictures = read_file(pictures_name, &bytes);
    void *arena = exact(DCG_MODEL_ARENA_BYTES);
    int32_t *scores = exact(DCG_MODEL_SCORES * sizeof *scores);
    dcg_net net;
    dcg_status status = dcg_init(&net, &DCG_MODEL_PLAN, blob, blob_bytes, arena, DCG_MODEL_ARENA_BYTES);
    for (size_t at = 0; status == DCG_OK && at < bytes; at += DCG_MODEL_INPUT_BYTES) {
        uint8_t *picture = exact(DCG_MODEL_INPUT_BYTES);
        memcpy(picture, pictures + at, DCG_MODEL_INPUT_BYTES);
        dcg_set_trace(&net, write_row, stdout);
        status = run_picture(&net, picture, scores, at / DCG_MODEL_INPUT_BYTES % 2 == 1);
        if (memcmp(picture, pictures + at, DCG_MODEL_INPUT_BYTES) != 0) abort();
        uint16_t end = 0xFFFF;
        fwrite(&end, sizeof end, 1, stdout);
        fwrite(scores, sizeof *scores, DCG_MODEL_SCORES, stdout);
        free(picture);
    }
    if (status != DCG_OK) fprintf(stderr, "%s\n", dcg_status_text(status));
    free(blob), free(pictures), free(arena), free(scores);
    return (int)status;
}

static int fuzz(const char *blobs_name, const char *picture_name) {
    size_t bytes, picture_bytes;
    uint8_t *blobs = read_file(blobs_name, &bytes), *picture = read_file(picture_name, &picture_bytes);
    for (size_t at = 0; at < bytes;) {
        uint32_t size;
        memcpy(&size, blobs + at, sizeof size);
        at += sizeof size;
        uint8_t *blob = exact(size);
        memcpy(blob, blobs + at, size);
        at += size;
        void *arena = exact(DCG_MODEL_ARENA_BYTES);
        int32_t *scores = exact(DCG_MODEL_SCORES * sizeof *scores);
        dcg_net net;
        dcg_status init = dcg_init(&net, &DCG_MODEL_PLAN, blob, size, arena, DCG_MODEL_ARENA_BYTES);
        dcg_status run = init == DCG_OK ? run_picture(&net, picture, scores, 0) : DCG_OK;
        printf("%d %d\n", (int)init, (int)run);
        free(blob), free(arena), free(scores);
    }
    free(blobs), free(picture);
    return 0;
}

/* What dcg_init says where the blob or the arena lies by 1, 2, ... bytes beside where it may: the same for
 * all, or DCG_OK. */
static dcg_status with_alignment(const uint8_t *blob, size_t blob_bytes, uint8_t *arena, size_t blob_end,
                                 size_t arena_end) {
    dcg_net net;
    dcg_status found = DCG_ERR_ARGUMENT;
    for (size_t b = 1; b < blob_end; b++)
        if (dcg_init(&net, &DCG_MODEL_PLAN, blob + b, blob_bytes, arena, DCG_MODEL_ARENA_BYTES) != found)
            return DCG_OK;
    for (size_t a = 1; a < arena_end; a++)
        if (dcg_init(&net, &DCG_MODEL_PLAN, blob, blob_bytes, arena + a, DCG_MODEL_ARENA_BYTES) != found)
            return DCG_OK;
    return found;
}

static int argument(void) {
    uint8_t *arena = exact(DCG_MODEL_ARENA_BYTES + 16);
    uint8_t *blob = exact(DCG_MODEL_BLOB_BYTES + 16);
    int32_t *scores = exact(DCG_MODEL_SCORES * sizeof *scores);
    const size_t bytes = DCG_MODEL_BLOB_BYTES, space = DCG_MODEL_ARENA_BYTES;
    dcg_net net;
    memcpy(blob, DCG_MODEL_BLOB, bytes);
    const dcg_status found[] = {
        dcg_init(NULL, &DCG_MODEL_PLAN, blob, bytes, arena, space),
        dcg_init(&net, NULL, blob, bytes, arena, space),
        dcg_init(&net, &DCG_MODEL_PLAN, NULL, bytes, arena, space),
        dcg_init(&net, &DCG_MODEL_PLAN, blob, bytes, NULL, space),
        with_alignment(blob, bytes, arena, DCG_BLOB_ALIGNMENT, 1),
        with_alignment(blob, bytes, arena, 1, DCG_ARENA_ALIGNMENT),
        dcg_init(&net, &DCG_MODEL_PLAN, blob, bytes, arena, space - 1),
        dcg_init(&net, &DCG_MODEL_PLAN, blob, bytes + 16, arena, space + 16),
        dcg_run(NULL, arena, scores),
        dcg_run(&net, NULL, scores),
        dcg_run(&net, arena, NULL),
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        printf("%d\n", (int)found[i]);
    free(arena), free(blob), free(scores);
    return 0;
}

static int selftest(void) {
#ifdef DCG_MODEL_SELFTEST
    void *arena = exact(DCG_MODEL_ARENA_BYTES);
    int32_t *scores = exact(DCG_MODEL_SCORES * sizeof *scores);
    uint16_t wrong = 0;
    dcg_net net;
    dcg_status status =
        dcg_init(&net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES, arena, DCG_MODEL_ARENA_BYTES);
    if (status == DCG_OK) status = dcg_selftest(&net, &DCG_MODEL_SELFTEST, scores, &wrong);
    printf("%d %d %s\n", (int)status, (int)wrong,
           wrong == DCG_NO_NODE ? "-" : DCG_MODEL_SELFTEST.names[wrong]);
    free(arena), free(scores);
#endif
    return 0;
}

static int rows(const char *picture_name) {
    size_t bytes;
    uint8_t *picture = read_file(picture_name, &bytes), *arena = exact(DCG_MODEL_ARENA_BYTES);
    int32_t *whole = exact(DCG_MODEL_SCORES * sizeof *whole),
            *pushed = exact(DCG_MODEL_SCORES * sizeof *pushed);
    const size_t stride = bytes / DCG_MODEL_INPUT_HEIGHT;
    dcg_net net;
    dcg_status status =
        dcg_init(&net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES, arena, DCG_MODEL_ARENA_BYTES);
    if (status != DCG_OK) abort();
    printf("%d\n", (int)dcg_push_row(&net, picture)); /* not begun */
    printf("%d\n", (int)dcg_begin(NULL, pushed));
    printf("%d\n", (int)dcg_begin(&net, NULL));
    printf("%d\n", (int)dcg_begin(&net, pushed));
    printf("%d\n", (int)dcg_push_row(NULL, picture));
    printf("%d\n", (int)dcg_push_row(&net, NULL));
    printf("%d\n", (int)dcg_push_row(&net, picture));
    printf("%d\n", (int)dcg_run(&net, picture, whole)); /* in the middle of a picture */
    printf("%d\n", (int)dcg_push_row(&net, picture));   /* which is over */
    status = dcg_begin(&net, pushed);
    for (size_t y = 0; y < DCG_MODEL_INPUT_HEIGHT && status == DCG_OK; y++)
        status = dcg_push_row(&net, picture + y * stride);
    printf("%d\n", (int)status);
    printf("%d\n", (int)dcg_push_row(&net, picture)); /* a row too many */
    printf("%d\n", memcmp(whole, pushed, DCG_MODEL_SCORES * sizeof *whole) == 0);
    free(picture), free(arena), free(whole), free(pushed);
    return 0;
}

static dcg_status fail(const struct dcg_job *job) {
    (void)job;
    return DCG_ERR_CODE;
}

/* The model's plan, but that its first step fails. */
static dcg_status init_failing(dcg_net *net, dcg_plan *plan, dcg_node *nodes, void *arena) {
    *plan = DCG_MODEL_PLAN;
    memcpy(nodes, plan->nodes, plan->n_nodes * sizeof *nodes);
    nodes[plan->steps[0].node].kernel = fail;
    plan->nodes = nodes;
    return dcg_init(net, plan, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES, arena, DCG_MODEL_ARENA_BYTES);
}

static dcg_status begin(dcg_net *net, const uint8_t *picture, int32_t *scores) {
    return DCG_MODEL_PLAN.streamed ? dcg_begin(net, scores) : dcg_begin_picture(net, picture, scores);
}

static int steps(const char *picture_name) {
    size_t bytes;
    uint8_t *picture = read_file(picture_name, &bytes), *arena = exact(DCG_MODEL_ARENA_BYTES);
    int32_t *whole = exact(DCG_MODEL_SCORES * sizeof *whole),
            *found = exact(DCG_MODEL_SCORES * sizeof *found);
    const size_t stride = bytes / DCG_MODEL_INPUT_HEIGHT;
    uint8_t *wrong = exact(stride); /* a row of no picture */
    dcg_net net;
    if (dcg_init(&net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES, arena, DCG_MODEL_ARENA_BYTES) ||
        dcg_run(&net, picture, whole))
        abort();
    printf("%d %d\n", dcg_has_step(NULL), dcg_has_step(&net));
    printf("%d %d\n", (int)dcg_run_step(NULL), (int)dcg_run_step(&net));               /* not begun */
    printf("%d %d\n", (int)dcg_take_row(NULL, wrong), (int)dcg_take_row(&net, wrong)); /* not begun */
    printf("%d %d\n", (int)dcg_begin_picture(NULL, picture, found),
           (int)dcg_begin_picture(&net, NULL, found));
    printf("%d %d\n", (int)dcg_begin_picture(&net, picture, NULL), (int)begin(&net, picture, found));
    printf("%d\n", (int)dcg_take_row(&net, NULL));
    unsigned n_steps = 0, refused = 0, early = 0;
    dcg_status status = DCG_OK;
    for (size_t y = 0; y < DCG_MODEL_INPUT_HEIGHT && status == DCG_OK; y++) {
        if (DCG_MODEL_PLAN.streamed) {
            early += dcg_run_step(&net) != DCG_ERR_ARGUMENT; /* before its row */
            status = dcg_take_row(&net, picture + y * stride);
        }
        for (; status == DCG_OK && dcg_has_step(&net); n_steps++) {
            refused += dcg_take_row(&net, wrong) == DCG_ERR_ARGUMENT;
            refused += dcg_push_row(&net, wrong) == DCG_ERR_ARGUMENT;
            status = dcg_run_step(&net);
        }
    }
    printf("%d %u\n", (int)status, early);
    printf("%d %d\n", n_steps == DCG_MODEL_PLAN.n_steps, refused == 2 * n_steps);
    printf("%d\n", memcmp(whole, found, DCG_MODEL_SCORES * sizeof *whole) == 0);
    printf("%d %d\n", (int)dcg_run_step(&net), (int)dcg_take_row(&net, wrong)); /* the picture is complete */

    dcg_plan plan;
    dcg_node *nodes = exact(DCG_MODEL_PLAN.n_nodes * sizeof *nodes);
    if (init_failing(&net, &plan, nodes, arena) || begin(&net, picture, found)) abort();
    while (!dcg_has_step(&net))
        if (dcg_take_row(&net, picture)) abort();
    status = dcg_run_step(&net);
    printf("%d %d\n", (int)status, dcg_has_step(&net));
    printf("%d %d\n", (int)dcg_run_step(&net), (int)dcg_take_row(&net, wrong)); /* the picture has failed */
    printf("%d\n", (int)begin(&net, picture, found));
    free(picture), free(arena), free(whole), free(found), free(wrong), free(nodes);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "trace") == 0) return trace(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "fuzz") == 0) return fuzz(argv[2], argv[3]);
    if (argc == 2 && strcmp(argv[1], "selftest") == 0) return selftest();
    if (argc == 2 && strcmp(argv[1], "argument") == 0) return argument();
    if (argc == 3 && strcmp(argv[1], "rows") == 0) return rows(argv[2]);
    if (argc == 3 && strcmp(argv[1], "steps") == 0) return steps(argv[2]);
    return 99;
}
