/* dcg: runs a network that dcgen compiled, straight from its compressed blob.
 *
 * A model has two parts. The blob holds its weights and other constants; it may lie in any memory that can be
 * read. The dcg_plan holds its geometry and memory map; dcgen emits it beside the blob, as constant tables.
 * The caller owns all memory: the blob, one arena of DCG_<NAME>_ARENA_BYTES, the picture, the scores. Nothing
 * is allocated, no global is written, and two nets with two arenas may run at the same time.
 *
 * Every function refuses pointers that are NULL, memory that is misaligned or overlaps where it must not, a
 * call out of turn, and a dcg_net whose dcg_init has failed or that is all zeros, as static memory is: it
 * returns DCG_ERR_ARGUMENT (dcg_has_step and dcg_argmax return 0) and, but for dcg_init, has changed nothing.
 * A dcg_net in memory that holds anything else must go through dcg_init first.
 *
 *     static uint8_t arena[DCG_DIGITS_ARENA_BYTES] __attribute__((aligned(DCG_ARENA_ALIGNMENT)));
 *     dcg_net net;
 *     dcg_status status = dcg_init(&net, &dcg_digits_plan, blob, blob_bytes, arena, sizeof arena);
 *     if (status == DCG_OK) status = dcg_run(&net, picture, scores);
 *
 * A streamed plan takes a picture row by row, too, and holds only the rows that are still needed:
 *
 *     status = dcg_begin(&net, scores);
 *     while (status == DCG_OK && rows_left-- > 0) status = dcg_push_row(&net, next_camera_row());
 *
 * Much of the work can only be done when the last row is there, so that the call with this row takes long.
 * Where no call may take long, a program runs the steps one by one, with whatever it likes between two calls:
 *
 *     status = dcg_begin(&net, scores);
 *     while (status == DCG_OK && rows_left-- > 0) {
 *         status = dcg_take_row(&net, next_camera_row());
 *         while (status == DCG_OK && dcg_has_step(&net)) status = dcg_run_step(&net);
 *     }
 */
#ifndef DCG_H
#define DCG_H

#include <stddef.h>
#include <stdint.h>

#include "dcg_format.h" /* generated: dcg_status, record offsets, kinds, DCG_ARENA_ALIGNMENT, DCG_NO_NODE */

#ifdef __cplusplus
extern "C" {
#endif

#define DCG_BLOB_ALIGNMENT 4 /* of the blob, in bytes; 16 suits any memory system */

/* What a network's input is, DCG_<NAME>_INPUT_TYPE: camera bytes, or a tensor whose values a program has as
 * numbers of this type and converts to the bytes that dcg_run takes, with the functions of <name>'s header.
 */
#define DCG_INPUT_PICTURE 0
#define DCG_INPUT_FLOAT32 1
#define DCG_INPUT_INT8 2
#define DCG_INPUT_UINT8 3

/* ---- The plan: constant, emitted by dcgen, trusted ---- */

/* Where a tensor's bytes are. Of each channel the memory holds a ring of `rows` rows: row y replaces row
 * y - rows. With rows == height that is the whole tensor. Element (c, y, x) is at
 * offset + c * channel_stride + (y % rows) * row_stride + x * pixel_stride. All are in bytes. */
typedef struct dcg_tensor {
    uint32_t offset;         /* bytes from the arena's or a whole picture's start to element (0, 0, 0) */
    uint32_t channel_stride; /* from a channel to the next one */
    uint32_t row_stride;     /* from a row to the next one */
    uint32_t pixel_stride;   /* from a column to the next one: 1, in the picture the number of channels */
    uint16_t channels;
    uint16_t height;
    uint16_t width;
    uint16_t rows; /* rows that the memory holds, 1 .. height */
} dcg_tensor;

struct dcg_job;

/* Computes some rows of one node. Returns DCG_OK, or what is wrong with the blob's coded weights. */
typedef dcg_status (*dcg_kernel)(const struct dcg_job *job);

/* How dcg_conv_packed lays out its input: every channel as one or more padded planes, row behind row without
 * a break, of which it packs what a strip of output positions needs, strip after strip. Output (y, x) of a
 * step's rows is position y * pitch + x. A tap (a weight that is not zero) reads, for every position, the
 * plane's byte the same distance further on; so a tap takes one distance and one factor for a whole strip. */
typedef struct dcg_packing {
    uint32_t line;     /* uint8_t[strip + halo]: a plane to pack; offset in bytes from the arena's start */
    uint32_t planes;   /* uint32_t[words]: channels * phases_h * phases_w packed planes; offset likewise */
    uint32_t words;    /* 32-bit words of all planes, in the largest of the forms that kernels read */
    uint32_t strip;    /* positions of a strip, at most; a multiple of 16 */
    uint32_t halo;     /* positions that a strip's last outputs read beyond the strip */
    uint32_t pitch;    /* positions from one output row to the next */
    uint16_t phases_h; /* a channel has phases_h * phases_w planes: one for each value of a tap's row */
    uint16_t phases_w; /* modulo stride_h and of its column modulo stride_w */
} dcg_packing;

/* One node of the network. Unused fields are 0. */
typedef struct dcg_node {
    dcg_kernel kernel;  /* NULL where nothing is left to compute: Concat, whose inputs lie side by side */
    uint16_t inputs[2]; /* tensor indices; both the same for one input */
    uint16_t output;    /* tensor index; 0 where the node makes scores */
    uint8_t kind;       /* DCG_KIND_... */
    uint8_t flags;      /* DCG_TOPOLOGY_... */
    uint8_t kernel_h, kernel_w;  /* rows and columns of a window, of convolution and pooling */
    uint16_t stride_h, stride_w; /* rows and columns from a window to the next one */
    uint16_t pad_top, pad_left, pad_bottom, pad_right; /* rows and columns around the input */
    uint16_t groups; /* of a convolution: parts of the channels that do not see each other */
    uint16_t out_channels, out_height, out_width;
    dcg_packing packing; /* of dcg_conv_packed */
} dcg_node;

/* Some output rows of one node; of a DCG_KIND_SCORES node, rows of its input. */
typedef struct dcg_step {
    uint16_t node; /* index of the node */
    uint16_t first_row, n_rows;
    uint16_t picture_rows; /* rows of the picture that must have arrived, 1 at least */
} dcg_step;

/* Scratch memory: where each area begins, in bytes from the arena's start, and the sizes of tables and lists.
 * Taps are the weights of a filter that are not zero. */
typedef struct dcg_scratch {
    uint32_t checks;       /* uint32_t[n_nodes]: check values that the self-test sums up */
    uint32_t tables;       /* uint32_t[n_tables][table_words]: decoding tables */
    uint32_t levels;       /* int16_t[DCG_MAX_LEVELS]: codebook of the convolution at work */
    uint32_t list;         /* uint32_t[]: taps of one filter, two words each; room for a list made of them */
    uint32_t runs;         /* int16_t[]: taps of one filter sorted by level, or in another kernel's form */
    uint32_t row;          /* int32_t[longest output row]: accumulators; or uint8_t[]: maxima of columns */
    uint32_t n_tables;     /* 1, or 2 where gaps (runs of zeros) and levels may be coded apart */
    uint32_t table_bits;   /* bits of the stream, 4 .. 12, that a table is entered with; longer codes take a
                            * second look-up */
    uint32_t table_words;  /* 32-bit words of a table, those for second look-ups included */
    uint32_t tap_capacity; /* taps of one filter, at most */
} dcg_scratch;

/* A model's plan, emitted as dcg_<name>_plan.c. */
typedef struct dcg_plan {
    uint64_t topology_hash; /* of the network that this plan is made for; a blob must have the same */
    uint32_t arena_bytes;   /* size of the arena, scratch included */
    uint32_t n_scores;
    uint16_t n_tensors; /* tensors, the picture included */
    uint16_t n_nodes;
    uint32_t n_steps;
    uint8_t streamed; /* 1: the picture's rows are pushed, tensor 0 is in the arena; 0: pictures are whole */
    dcg_scratch scratch;
    const dcg_tensor *tensors; /* [n_tensors], the picture first */
    const dcg_node *nodes;     /* [n_nodes], in the blob's order */
    const dcg_step *steps;     /* [n_steps], in execution order: each after those whose rows it reads */
    const uint32_t *outputs;   /* of each output its first score's index; the last nodes, one an output, make
                                * the scores. NULL where there is one output */
} dcg_plan;

/* ---- The net: one running instance ---- */

/* Observes a node's output, row by row, right after the rows were computed; each row once. Of the functions
 * with the same net it may call dcg_set_trace. After any other that has not been refused, the call that it
 * interrupts returns DCG_ERR_ARGUMENT.
 *
 * user     the pointer given to dcg_set_trace
 * node     index of the node, 0 is the first; Concat nodes and the scores are not traced
 * channel  0 .. channels - 1
 * row      0 .. height - 1
 * bytes    the row's bytes, valid during the call only
 * count    how many: the tensor's width
 */
typedef void (*dcg_trace_fn)(void *user, uint16_t node, uint16_t channel, uint16_t row, const uint8_t *bytes,
                             uint16_t count);

/* The caller's memory, filled by dcg_init. Its fields are the runtime's own. */
typedef struct dcg_net {
    const dcg_plan *plan;
    const uint8_t *blob;
    const uint8_t *tensors; /* the blob's tensors section */
    const uint8_t *layers;  /* the blob's first layer section */
    const uint8_t *section; /* the layer section of the node section_node */
    uint32_t section_node;  /* index of the node whose step was run last, 0 before the first one */
    uint8_t *arena;
    const uint8_t *picture; /* where tensor 0's offset counts from: the caller's picture, or the arena */
    int32_t *scores;        /* the caller's, while a picture is computed; else NULL */
    uint32_t next_step;     /* index of the next step */
    uint32_t picture_rows;  /* rows of the picture that have arrived */
    dcg_trace_fn trace;
    void *trace_user;
} dcg_net;

/* Checks a blob against a plan and binds both to memory. Trusts nothing in the blob.
 *
 * net          written, before anything else is looked at; apart from plan, blob and arena
 * plan         from dcg_<name>_plan.c, apart from the arena; must outlive net
 * blob         blob_bytes bytes, aligned to DCG_BLOB_ALIGNMENT, apart from net and arena; must outlive net
 *              unchanged
 * blob_bytes   size of the memory behind blob; may exceed the blob
 * arena        arena_bytes bytes, aligned to DCG_ARENA_ALIGNMENT, for net alone; contents ignored
 * arena_bytes  at least plan->arena_bytes, of which no more are used
 *
 * Returns DCG_OK, or the first defect found: then net is bound to nothing, and every function refuses it. A
 * net that was bound before is not any more; a trace that was set is forgotten.
 */
dcg_status dcg_init(dcg_net *net, const dcg_plan *plan, const void *blob, size_t blob_bytes, void *arena,
                    size_t arena_bytes);

/* Runs the network on one picture. The plan may be streamed or not. Another picture that was begun is
 * forgotten.
 *
 * net     from a successful dcg_init
 * hwc     height * width * channels camera bytes, rows from the top, pixels from the left, a pixel's
 *         channels together in the order the model was compiled for; not modified; apart from the arena
 * scores  plan->n_scores values, written; what a unit is worth stands in dcg_<name>.h. Some are written, and
 *         read again, while the network runs: they lie apart from picture, arena, blob, plan and net, and are
 *         nobody else's until they are complete
 *
 * Returns DCG_OK, or the defect found while decoding; scores are meaningless then.
 */
dcg_status dcg_run(dcg_net *net, const uint8_t *hwc, int32_t *scores);

/* Begins a picture whose rows come one by one, with a plan that is made for that (streamed). Whatever came
 * before is forgotten.
 *
 * scores  plan->n_scores values, as for dcg_run; written by the time that dcg_push_row returns from the last
 *         row
 *
 * Returns DCG_OK, or DCG_ERR_ARGUMENT, also where the plan takes whole pictures only.
 */
dcg_status dcg_begin(dcg_net *net, int32_t *scores);

/* Takes the picture's next row and computes all that has become possible: dcg_take_row, then dcg_run_step
 * while dcg_has_step. When the call with the last row returns DCG_OK, the scores are complete.
 *
 * row  width * channels camera bytes, as in dcg_run, apart from arena and scores; copied, so that its memory
 * is free when the call returns
 *
 * Returns DCG_OK, the defect found while decoding, which ends the picture, or dcg_take_row's
 * DCG_ERR_ARGUMENT.
 */
dcg_status dcg_push_row(dcg_net *net, const uint8_t *row);

/* ---- The same step by step, for programs in which no call may take long ---- */

/* Begins a whole picture, with a plan that is not streamed. Whatever came before is forgotten.
 *
 * hwc     as for dcg_run; must stay unchanged until the last step
 * scores  plan->n_scores values, as for dcg_run; written by the last step's end
 *
 * Returns DCG_OK, or DCG_ERR_ARGUMENT, also where the plan takes pictures row by row, by dcg_begin.
 */
dcg_status dcg_begin_picture(dcg_net *net, const uint8_t *hwc, int32_t *scores);

/* Takes the picture's next row, without computing anything.
 *
 * row  as for dcg_push_row
 *
 * Returns DCG_OK, or DCG_ERR_ARGUMENT where no row can be taken: a step must be run first, which may read the
 * memory that the row would go to; or no picture has been begun; or it is complete or has failed. Nothing has
 * changed then.
 */
dcg_status dcg_take_row(dcg_net *net, const uint8_t *row);

/* Whether dcg_run_step has something to do.
 *
 * Returns 1, or 0 where the next row must come first, the picture is complete or has failed, or none has been
 * begun. If the picture was whole or its last row has been taken, and no call has returned an error, 0 means
 * that the scores are complete. */
int dcg_has_step(const dcg_net *net);

/* Runs the plan's next step: some rows of one node, or all of them. `dcgen verify` tells how many
 * instructions the longest step takes.
 *
 * Returns DCG_OK, the defect found while decoding, which ends the picture, or DCG_ERR_ARGUMENT where there is
 * no step to run; then nothing has changed.
 */
dcg_status dcg_run_step(dcg_net *net);

/* Index of the largest of count scores; the lowest index wins a tie. 0 where there are none. */
uint32_t dcg_argmax(const int32_t *scores, uint32_t count);

/* Has every later step call trace(user, ...) for each row of each tensor. NULL stops it, at once where the
 * trace does that itself. A net that is bound to nothing stays as it is. */
void dcg_set_trace(dcg_net *net, dcg_trace_fn trace, void *user);

/* ---- Self-test ---- */

/* One picture and what must come of it. Emitted by dcgen as dcg_<name>_selftest.c. */
typedef struct dcg_selftest_data {
    const uint8_t *picture;   /* as hwc of dcg_run */
    const int32_t *scores;    /* [n_scores] the right scores */
    const uint32_t *checks;   /* [n_nodes] check value of each node's output; 0 where it is not traced */
    const char *const *names; /* [n_nodes] the nodes' names, for messages */
} dcg_selftest_data;

/* Runs the self-test's picture and compares every tensor.
 *
 * A tensor's check value is the sum, modulo 2**32, over its rows of the CRC-32 of node, channel and
 * row (uint16, low byte first) and the row's bytes: the order of the rows does not matter.
 *
 * scores            plan->n_scores values, overwritten
 * first_wrong_node  set to the index of the first node whose output differs, else DCG_NO_NODE
 *
 * Returns DCG_OK, DCG_ERR_SELFTEST when something differs, or dcg_run's status. The caller's trace stays set,
 * but is not called during this run.
 */
dcg_status dcg_selftest(dcg_net *net, const dcg_selftest_data *data, int32_t *scores,
                        uint16_t *first_wrong_node);

/* A status in words; never NULL. */
const char *dcg_status_text(dcg_status status);

#ifdef __cplusplus
}
#endif

#endif
