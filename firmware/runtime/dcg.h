/* dcg: runs a network that dcgen compiled, straight from its compressed blob.
 *
 * The model's constants are a blob (any memory that can be read), its geometry and memory map a
 * dcg_plan (constant tables that dcgen emits beside it). The caller owns all memory: the blob, one
 * arena of DCG_<NAME>_ARENA_BYTES, the picture, the scores. Nothing is allocated, no global is
 * written, and two nets with two arenas may run at the same time.
 *
 *     static uint8_t arena[DCG_DIGITS_ARENA_BYTES] __attribute__((aligned(DCG_ARENA_ALIGNMENT)));
 *     dcg_net net;
 *     dcg_status status = dcg_init(&net, &dcg_digits_plan, blob, blob_bytes, arena, sizeof arena);
 *     if (status == DCG_OK) status = dcg_run(&net, picture, scores);
 *
 * A streamed plan also takes a picture row by row, and holds only the rows that are still needed:
 *
 *     status = dcg_begin(&net, scores);
 *     while (status == DCG_OK && rows_left-- > 0) status = dcg_push_row(&net, next_camera_row());
 *
 * Most of the work is then the last row's. Where no call may take that long, the same goes in steps, between
 * which the program does what it likes:
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

/* ---- The plan: constant, emitted by dcgen, trusted ---- */

/* Where a tensor's bytes are: a ring of rows, which is the whole tensor if it has as many as the tensor.
 * Element (c, y, x) is at offset + c * channel_stride + (y % rows) * row_stride + x * pixel_stride. All in
 * bytes. */
typedef struct dcg_tensor {
    uint32_t
        offset; /* from the arena's start; for tensor 0 from the caller's picture, unless rows are pushed */
    uint32_t channel_stride;
    uint32_t row_stride;
    uint32_t pixel_stride; /* 1, the number of channels in the picture */
    uint16_t channels;
    uint16_t height;
    uint16_t width;
    uint16_t rows; /* that memory holds, 1 .. height */
} dcg_tensor;

struct dcg_job;

/* Computes some rows of one node. Returns DCG_OK, or what is wrong with the blob. */
typedef dcg_status (*dcg_kernel)(const struct dcg_job *job);

/* How a convolution's input lies for a packed kernel: every channel as padded planes, a strip of output
 * positions at a time. Output (y, x) of a step's rows is position y * pitch + x, and each tap a fixed
 * distance behind it. */
typedef struct dcg_packing {
    uint32_t line;   /* of one plane before it is folded; offset from the arena's start, in bytes */
    uint32_t planes; /* uint32_t[]: channels * phases_h * phases_w packed planes; offset likewise */
    uint32_t words;  /* of all planes: what there is room for */
    uint32_t strip;  /* positions at a time, at most; a multiple of 16 */
    uint32_t halo;   /* positions behind an output's own that its last tap reads */
    uint32_t pitch;  /* positions from one output row to the next */
    uint16_t phases_h, phases_w; /* one plane for each remainder of a tap's row and column by the stride */
} dcg_packing;

/* One node of the network. Unused fields are 0. */
typedef struct dcg_node {
    dcg_kernel kernel;  /* NULL where placement already does the work: Concat */
    uint16_t inputs[2]; /* tensor indices; both the same for one input */
    uint16_t output;    /* tensor index; 0 where the node makes the scores */
    uint8_t kind;       /* DCG_KIND_... */
    uint8_t flags;      /* DCG_TOPOLOGY_... */
    uint8_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t pad_top, pad_left, pad_bottom, pad_right;
    uint16_t groups;
    uint16_t out_channels, out_height, out_width;
    dcg_packing packing; /* of a packed kernel */
} dcg_node;

/* Some output rows of one node; of scores, the rows of the input that they sum up. */
typedef struct dcg_step {
    uint16_t node;
    uint16_t first_row, n_rows;
    uint16_t picture_rows; /* how many must have arrived, 1 at least */
} dcg_step;

/* Scratch memory, offsets in bytes from the arena's start. */
typedef struct dcg_scratch {
    uint32_t checks;       /* uint32_t[n_nodes]: the self-test's sums */
    uint32_t tables;       /* uint32_t[n_tables][table_words]: decoding tables */
    uint32_t levels;       /* int16_t[DCG_MAX_LEVELS]: a convolution's levels */
    uint32_t list;         /* uint32_t[]: one filter's non-zero weights, tap_capacity at most */
    uint32_t runs;         /* int16_t[]: the same sorted by level */
    uint32_t row;          /* int32_t[longest output row]: accumulators; or uint8_t[]: a max-pool's columns */
    uint32_t n_tables;     /* 1, or 2 where separately coded gaps and levels are allowed */
    uint32_t table_bits;   /* of the stream, 4 .. 12, that a table is entered with; longer codes: twice */
    uint32_t table_words;  /* of each, second levels included */
    uint32_t tap_capacity; /* non-zero weights of one filter */
} dcg_scratch;

typedef struct dcg_plan {
    uint64_t topology_hash; /* of the network this plan is made for */
    uint32_t arena_bytes;   /* size of the arena, scratch included */
    uint32_t n_scores;
    uint16_t n_tensors; /* picture included */
    uint16_t n_nodes;
    uint32_t n_steps;
    uint8_t streamed; /* whether tensor 0 is in the arena, and its rows are pushed */
    dcg_scratch scratch;
    const dcg_tensor *tensors; /* [n_tensors] */
    const dcg_node *nodes;     /* [n_nodes], in the blob's order */
    const dcg_step *steps;     /* [n_steps], in execution order, each after those whose rows it reads */
} dcg_plan;

/* ---- The net: one running instance ---- */

/* Observes a node's output, row by row, right after the rows were computed; each row once.
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

/* Caller-owned; filled by dcg_init, its fields are not for the caller. */
typedef struct dcg_net {
    const dcg_plan *plan;
    const uint8_t *blob;
    const uint8_t *tensors; /* the blob's tensors section */
    const uint8_t *layers;  /* the blob's first layer section */
    uint8_t *arena;
    const uint8_t *picture; /* tensor 0's memory */
    int32_t *scores;        /* NULL between pictures */
    uint32_t next_step;
    uint32_t picture_rows; /* how many have arrived */
    dcg_trace_fn trace;
    void *trace_user;
} dcg_net;

/* Checks a blob against a plan and binds both to memory. Trusts nothing in the blob.
 *
 * net          written
 * plan         from <name>_plan.c; must outlive net
 * blob         blob_bytes bytes, aligned to DCG_BLOB_ALIGNMENT; must outlive net unchanged
 * blob_bytes   size of the memory behind blob; may exceed the blob
 * arena        arena_bytes bytes, aligned to DCG_ARENA_ALIGNMENT, for net alone; contents ignored
 * arena_bytes  at least plan->arena_bytes
 *
 * Returns DCG_OK, or the first defect found; net must not be used then.
 */
dcg_status dcg_init(dcg_net *net, const dcg_plan *plan, const void *blob, size_t blob_bytes, void *arena,
                    size_t arena_bytes);

/* Runs the network on one picture, whatever the plan.
 *
 * net     from a successful dcg_init
 * hwc     height * width * channels camera bytes, rows from the top, pixels from the left, a pixel's
 *         channels together in the order the model was compiled for; not modified
 * scores  plan->n_scores values, written; one unit is score_scale (see <name>.h)
 *
 * Returns DCG_OK, or the defect found while decoding; scores are meaningless then.
 */
dcg_status dcg_run(dcg_net *net, const uint8_t *hwc, int32_t *scores);

/* Begins a picture whose rows come one by one, with a plan that is made for that (streamed). Whatever came
 * before is forgotten.
 *
 * scores  plan->n_scores values, written until the last row has been pushed and dcg_push_row has returned
 *
 * Returns DCG_OK, or DCG_ERR_ARGUMENT: the plan takes whole pictures only.
 */
dcg_status dcg_begin(dcg_net *net, int32_t *scores);

/* Takes the picture's next row and computes all that has become possible: dcg_take_row, then dcg_run_step
 * while dcg_has_step. When the last row's call returns DCG_OK, the scores are there.
 *
 * row  width * channels camera bytes, as in dcg_run; copied, so that its memory is free again
 *
 * Returns DCG_OK, the defect found while decoding, which ends the picture, or dcg_take_row's
 * DCG_ERR_ARGUMENT.
 */
dcg_status dcg_push_row(dcg_net *net, const uint8_t *row);

/* ---- The same in steps, for programs that must not be away for long ---- */

/* Begins a whole picture, with a plan that is not streamed. Whatever came before is forgotten.
 *
 * hwc     as for dcg_run; must stay unchanged until the last step
 * scores  plan->n_scores values, written until the last step
 *
 * Returns DCG_OK, or DCG_ERR_ARGUMENT: the plan takes pictures row by row, dcg_begin.
 */
dcg_status dcg_begin_picture(dcg_net *net, const uint8_t *hwc, int32_t *scores);

/* Takes the picture's next row, without computing anything.
 *
 * row  as for dcg_push_row
 *
 * Returns DCG_OK, or DCG_ERR_ARGUMENT, and has changed nothing: there is a step to run first, as it may need
 * the memory that the row would go to, or no picture has been begun, or it is complete or has failed.
 */
dcg_status dcg_take_row(dcg_net *net, const uint8_t *row);

/* Whether dcg_run_step has something to do: 1, or 0 where the next row must come first, the picture is
 * complete or has failed, or none has been begun. Where the last row has been taken, or the picture was
 * whole, and no call has returned an error, 0 means that the scores are there. */
int dcg_has_step(const dcg_net *net);

/* Runs one step, the plan's next: some rows of one node, or all of them. How long the longest takes is a
 * figure of dcgen verify.
 *
 * Returns DCG_OK, the defect found while decoding, which ends the picture, or DCG_ERR_ARGUMENT where there is
 * no step to run; then nothing has changed.
 */
dcg_status dcg_run_step(dcg_net *net);

/* Index of the largest of count >= 1 scores; the lowest index wins a tie. */
uint32_t dcg_argmax(const int32_t *scores, uint32_t count);

/* Has every later step call trace(user, ...) for each row of each tensor. NULL stops it. */
void dcg_set_trace(dcg_net *net, dcg_trace_fn trace, void *user);

/* ---- Self-test ---- */

/* One picture and what must come of it. Emitted by dcgen as <name>_selftest.c. */
typedef struct dcg_selftest_data {
    const uint8_t *picture;   /* as for dcg_run */
    const int32_t *scores;    /* [n_scores] */
    const uint32_t *checks;   /* [n_nodes] check value of each node's output; 0 where not traced */
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
 * Returns DCG_OK, DCG_ERR_SELFTEST when something differs, or dcg_run's status. Any trace stays as it was
 * but sees nothing of this run.
 */
dcg_status dcg_selftest(dcg_net *net, const dcg_selftest_data *data, int32_t *scores,
                        uint16_t *first_wrong_node);

/* A status in words; never NULL. */
const char *dcg_status_text(dcg_status status);

#ifdef __cplusplus
}
#endif

#endif
