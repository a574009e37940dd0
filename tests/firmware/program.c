/* Test program for emitted models. All memory is from malloc, of exactly the stated sizes, so that the
 * address sanitizer sees the first byte read or written outside. The program is linked once; its first
 * argument is the model, a shared library of model.c and the emitted files, and the others say what to do.
 * All results go to stdout:
 *
 *   trace BLOB PICTURES   runs every picture, every second one step by step: writes each traced row (u16
 *                         node, channel, row, count, then the bytes), and after each picture u16 0xFFFF and
 *                         its scores
 *   fuzz BLOBS PICTURE    runs the picture with each blob of a file (u32 size, bytes, again and again):
 *                         prints the statuses of dcg_init and of the run, a line a blob
 *   selftest              runs the self-test: prints its status, and number and name of the first wrong node
 *   argument              calls functions with wrong arguments: prints their statuses
 *   rows PICTURE          begins pictures and pushes rows in and out of turn: prints the statuses, and
 *                         whether a picture pushed after all that has dcg_run's scores
 *   steps PICTURE         calls functions in and out of turn: prints the statuses, and whether a picture
 *                         computed step by step, with rows refused between, has dcg_run's scores
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const struct model *model;

/* Memory of so many bytes, aligned to 16 and filled with a pattern. */
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

/* Runs a picture as the plan has it, whole or row by row; a row's memory is freed after its call.
 *
 * steps  whether to go step by step */
static dcg_status run_picture(dcg_net *net, const uint8_t *picture, int32_t *scores, int steps) {
    if (!model->plan->streamed)
        return steps ? run_steps(net, dcg_begin_picture(net, picture, scores))
                     : dcg_run(net, picture, scores);
    const size_t bytes = model->input_bytes / model->input_height;
    dcg_status status = dcg_begin(net, scores);
    for (size_t y = 0; y < model->input_height && status == DCG_OK; y++) {
        uint8_t *row = exact(bytes);
        memcpy(row, picture + y * bytes, bytes);
        status = steps ? run_steps(net, dcg_take_row(net, row)) : dcg_push_row(net, row);
        free(row);
    }
    return status;
}

static int trace(const char *blob_name, const char *pictures_name) {
    size_t blob_bytes, bytes;
    uint8_t *blob = read_file(blob_name, &blob_bytes), *pictures = read_file(pictures_name, &bytes);
    void *arena = exact(model->arena_bytes);
    int32_t *scores = exact(model->scores * sizeof *scores);
    dcg_net net;
    dcg_status status = dcg_init(&net, model->plan, blob, blob_bytes, arena, model->arena_bytes);
    for (size_t at = 0; status == DCG_OK && at < bytes; at += model->input_bytes) {
        uint8_t *picture = exact(model->input_bytes);
        memcpy(picture, pictures + at, model->input_bytes);
        dcg_set_trace(&net, write_row, stdout);
        status = run_picture(&net, picture, scores, at / model->input_bytes % 2 == 1);
        if (memcmp(picture, pictures + at, model->input_bytes) != 0) abort();
        uint16_t end = 0xFFFF;
        fwrite(&end, sizeof end, 1, stdout);
        fwrite(scores, sizeof *scores, model->scores, stdout);
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
        void *arena = exact(model->arena_bytes);
        int32_t *scores = exact(model->scores * sizeof *scores);
        dcg_net net;
        dcg_status init = dcg_init(&net, model->plan, blob, size, arena, model->arena_bytes);
        dcg_status run = init == DCG_OK ? run_picture(&net, picture, scores, 0) : DCG_OK;
        printf("%d %d\n", (int)init, (int)run);
        free(blob), free(arena), free(scores);
    }
    free(blobs), free(picture);
    return 0;
}

/* What dcg_init returns for a blob at 1 .. blob_end - 1 bytes behind an alignment, and for an arena at
 * 1 .. arena_end - 1: DCG_ERR_ARGUMENT if it does so for all of them, else DCG_OK. */
static dcg_status with_alignment(const uint8_t *blob, size_t blob_bytes, uint8_t *arena, size_t blob_end,
                                 size_t arena_end) {
    dcg_net net;
    dcg_status found = DCG_ERR_ARGUMENT;
    for (size_t b = 1; b < blob_end; b++)
        if (dcg_init(&net, model->plan, blob + b, blob_bytes, arena, model->arena_bytes) != found)
            return DCG_OK;
    for (size_t a = 1; a < arena_end; a++)
        if (dcg_init(&net, model->plan, blob, blob_bytes, arena + a, model->arena_bytes) != found)
            return DCG_OK;
    return found;
}

static int argument(void) {
    uint8_t *arena = exact(model->arena_bytes + 16);
    uint8_t *blob = exact(model->blob_bytes + 16);
    int32_t *scores = exact(model->scores * sizeof *scores);
    const size_t bytes = model->blob_bytes, space = model->arena_bytes;
    dcg_net net;
    memcpy(blob, model->blob, bytes);
    const dcg_status found[] = {
        dcg_init(NULL, model->plan, blob, bytes, arena, space),
        dcg_init(&net, NULL, blob, bytes, arena, space),
        dcg_init(&net, model->plan, NULL, bytes, arena, space),
        dcg_init(&net, model->plan, blob, bytes, NULL, space),
        with_alignment(blob, bytes, arena, DCG_BLOB_ALIGNMENT, 1),
        with_alignment(blob, bytes, arena, 1, DCG_ARENA_ALIGNMENT),
        dcg_init(&net, model->plan, blob, bytes, arena, space - 1),
        dcg_init(&net, model->plan, blob, bytes + 16, arena, space + 16),
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
    void *arena = exact(model->arena_bytes);
    int32_t *scores = exact(model->scores * sizeof *scores);
    uint16_t wrong = 0;
    dcg_net net;
    dcg_status status =
        dcg_init(&net, model->plan, model->blob, model->blob_bytes, arena, model->arena_bytes);
    if (status == DCG_OK) status = dcg_selftest(&net, model->selftest, scores, &wrong);
    printf("%d %d %s\n", (int)status, (int)wrong, wrong == DCG_NO_NODE ? "-" : model->selftest->names[wrong]);
    free(arena), free(scores);
    return 0;
}

static int rows(const char *picture_name) {
    size_t bytes;
    uint8_t *picture = read_file(picture_name, &bytes), *arena = exact(model->arena_bytes);
    int32_t *whole = exact(model->scores * sizeof *whole), *pushed = exact(model->scores * sizeof *pushed);
    const size_t stride = bytes / model->input_height;
    dcg_net net;
    dcg_status status =
        dcg_init(&net, model->plan, model->blob, model->blob_bytes, arena, model->arena_bytes);
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
    for (size_t y = 0; y < model->input_height && status == DCG_OK; y++)
        status = dcg_push_row(&net, picture + y * stride);
    printf("%d\n", (int)status);
    printf("%d\n", (int)dcg_push_row(&net, picture)); /* a row too many */
    printf("%d\n", memcmp(whole, pushed, model->scores * sizeof *whole) == 0);
    free(picture), free(arena), free(whole), free(pushed);
    return 0;
}

static dcg_status fail(const struct dcg_job *job) {
    (void)job;
    return DCG_ERR_CODE;
}

/* Binds net to a copy of the model's plan whose first step's node fails. */
static dcg_status init_failing(dcg_net *net, dcg_plan *plan, dcg_node *nodes, void *arena) {
    *plan = *model->plan;
    memcpy(nodes, plan->nodes, plan->n_nodes * sizeof *nodes);
    nodes[plan->steps[0].node].kernel = fail;
    plan->nodes = nodes;
    return dcg_init(net, plan, model->blob, model->blob_bytes, arena, model->arena_bytes);
}

static dcg_status begin(dcg_net *net, const uint8_t *picture, int32_t *scores) {
    return model->plan->streamed ? dcg_begin(net, scores) : dcg_begin_picture(net, picture, scores);
}

static int steps(const char *picture_name) {
    size_t bytes;
    uint8_t *picture = read_file(picture_name, &bytes), *arena = exact(model->arena_bytes);
    int32_t *whole = exact(model->scores * sizeof *whole), *found = exact(model->scores * sizeof *found);
    const size_t stride = bytes / model->input_height;
    uint8_t *wrong = exact(stride); /* a row of no picture */
    dcg_net net;
    if (dcg_init(&net, model->plan, model->blob, model->blob_bytes, arena, model->arena_bytes) ||
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
    for (size_t y = 0; y < model->input_height && status == DCG_OK; y++) {
        if (model->plan->streamed) {
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
    printf("%d %d\n", n_steps == model->plan->n_steps, refused == 2 * n_steps);
    printf("%d\n", memcmp(whole, found, model->scores * sizeof *whole) == 0);
    printf("%d %d\n", (int)dcg_run_step(&net), (int)dcg_take_row(&net, wrong)); /* the picture is complete */

    dcg_plan plan;
    dcg_node *nodes = exact(model->plan->n_nodes * sizeof *nodes);
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
    void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library || !(model = dlsym(library, "the_model"))) return 98;
    const char *what = argv[2];
    if (argc == 5 && strcmp(what, "trace") == 0) return trace(argv[3], argv[4]);
    if (argc == 5 && strcmp(what, "fuzz") == 0) return fuzz(argv[3], argv[4]);
    if (argc == 3 && strcmp(what, "selftest") == 0 && model->selftest) return selftest();
    if (argc == 3 && strcmp(what, "argument") == 0) return argument();
    if (argc == 4 && strcmp(what, "rows") == 0) return rows(argv[3]);
    if (argc == 4 && strcmp(what, "steps") == 0) return steps(argv[3]);
    return 99;
}
