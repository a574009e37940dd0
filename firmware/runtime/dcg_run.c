/* Runs a plan's steps, as far as the picture's rows have arrived. */
#include "dcg_internal.h"

const dcg_tensor *dcg_input(const dcg_job *job, uint32_t which) {
    return &job->net->plan->tensors[job->node->inputs[which]];
}

/* Where a row of a channel begins, in bytes from what the tensor's offset counts from. */
static size_t row_offset(const dcg_tensor *t, uint32_t channel, uint32_t row) {
    return t->offset + (size_t)channel * t->channel_stride + (size_t)(row % t->rows) * t->row_stride;
}

const uint8_t *dcg_input_row(const dcg_job *job, uint32_t which, uint32_t channel, uint32_t row) {
    const uint8_t *memory = job->node->inputs[which] == 0 ? job->net->picture : job->net->arena;
    return memory + row_offset(dcg_input(job, which), channel, row);
}

uint8_t *dcg_output_row(const dcg_job *job, uint32_t channel, uint32_t row) {
    return job->net->arena + row_offset(&job->net->plan->tensors[job->node->output], channel, row);
}

int32_t *dcg_scores_of(const dcg_job *job) {
    const dcg_plan *plan = job->net->plan;
    if (!plan->outputs) return job->net->scores;
    return job->net->scores + plan->outputs[job->node - &plan->nodes[plan->n_tensors - 1]];
}

uint8_t dcg_zero_point(const dcg_net *net, uint16_t tensor) {
    return dcg_tensor_scale_zero_point(net->tensors + (size_t)tensor * DCG_TENSOR_SCALE_BYTES);
}

uint8_t dcg_pad_byte(const dcg_job *job, uint32_t channel) {
    const dcg_net *net = job->net;
    if (job->node->inputs[0] != 0) return dcg_zero_point(net, job->node->inputs[0]);
    return net->tensors[(size_t)net->plan->n_nodes * DCG_TENSOR_SCALE_BYTES + channel];
}

dcg_requant dcg_requant_of(const dcg_job *job, uint16_t mult, uint8_t shift) {
    const dcg_requant r = {
        .mult = (int32_t)((uint32_t)mult << (32u - shift)),
        .zero_point = dcg_zero_point(job->net, job->node->output),
        .lo = dcg_node_header_lo(job->layer),
        .hi = dcg_node_header_hi(job->layer),
    };
    return r;
}

/* The node's section in the blob: sections lie one behind the other, in the order of the nodes, which is
 * mostly that of the steps, too. So the search goes on from the section of the step before. */
static const uint8_t *section_of(dcg_net *net, uint16_t node) {
    if (node < net->section_node) {
        net->section = net->layers;
        net->section_node = 0;
    }
    for (; net->section_node < node; net->section_node++)
        net->section += dcg_node_header_section_bytes(net->section);
    return net->section;
}

/* Calls the caller's trace for each row that the step has computed. Where it calls more than dcg_set_trace,
 * the rows that are left are still those of this step. */
static void trace_rows(const dcg_job *job, uint16_t node) {
    const dcg_net *net = job->net;
    const dcg_tensor *t = &net->plan->tensors[job->node->output];
    const uint8_t *memory = net->arena;
    for (uint16_t c = 0; c < t->channels; c++)
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows && net->trace; y++)
            net->trace(net->trace_user, node, c, (uint16_t)y, memory + row_offset(t, c, y), t->width);
}

/* Whether the net is bound to a plan and memory: it has been through dcg_init, which has succeeded. */
static int is_bound(const dcg_net *net) {
    return net && !dcg_misaligned(net, sizeof net->plan) && net->plan;
}

int dcg_run_apart(const dcg_net *net, const void *memory, size_t bytes) {
    return !dcg_overlap(memory, bytes, net->arena, net->plan->arena_bytes) &&
           !dcg_overlap(memory, bytes, net->blob, dcg_header_blob_bytes(net->blob)) &&
           !dcg_overlap(memory, bytes, net->plan, sizeof *net->plan) &&
           !dcg_overlap(memory, bytes, net, sizeof *net);
}

/* Whether scores may be written there. */
static int scores_ok(const dcg_net *net, const int32_t *scores) {
    return scores && !dcg_misaligned(scores, sizeof *scores) &&
           dcg_run_apart(net, scores, net->plan->n_scores * sizeof *scores);
}

int dcg_run_ok(const dcg_net *net, const uint8_t *hwc, const int32_t *scores) {
    if (!is_bound(net) || !hwc || !scores_ok(net, scores)) return 0;
    const size_t bytes = (size_t)net->plan->tensors[0].height * net->plan->tensors[0].row_stride;
    return !dcg_overlap(hwc, bytes, net->arena, net->plan->arena_bytes) &&
           !dcg_overlap(hwc, bytes, scores, net->plan->n_scores * sizeof *scores);
}

/* picture_rows: how many of the picture's rows are there */
static void begin(dcg_net *net, const uint8_t *picture, uint32_t picture_rows, int32_t *scores) {
    net->picture = picture;
    net->picture_rows = picture_rows;
    net->scores = scores;
    net->next_step = 0;
}

dcg_status dcg_begin(dcg_net *net, int32_t *scores) {
    if (!is_bound(net) || !net->plan->streamed || !scores_ok(net, scores)) return DCG_ERR_ARGUMENT;
    begin(net, net->arena, 0, scores);
    return DCG_OK;
}

dcg_status dcg_begin_picture(dcg_net *net, const uint8_t *hwc, int32_t *scores) {
    if (!dcg_run_ok(net, hwc, scores) || net->plan->streamed) return DCG_ERR_ARGUMENT;
    begin(net, hwc, net->plan->tensors[0].height, scores);
    return DCG_OK;
}

/* Only a bound net has scores. With the last row every step becomes possible: until the picture is complete
 * there is a step, after that there are no scores, so that no row is taken after the last one. */
dcg_status dcg_take_row(dcg_net *net, const uint8_t *row) {
    if (!is_bound(net) || !row || !net->scores || dcg_has_step(net)) return DCG_ERR_ARGUMENT;
    const dcg_tensor *t = &net->plan->tensors[0];
    if (dcg_overlap(row, t->row_stride, net->arena, net->plan->arena_bytes) ||
        dcg_overlap(row, t->row_stride, net->scores, net->plan->n_scores * sizeof *net->scores))
        return DCG_ERR_ARGUMENT;
    dcg_copy(net->arena + row_offset(t, 0, net->picture_rows++), row, t->row_stride);
    return DCG_OK;
}

int dcg_has_step(const dcg_net *net) {
    return is_bound(net) && net->scores && net->plan->steps[net->next_step].picture_rows <= net->picture_rows;
}

/* Calls the trace. Returns DCG_OK, or DCG_ERR_ARGUMENT where it has done anything to the picture at work. */
static dcg_status trace_step(dcg_net *net, const dcg_job *job, uint16_t node) {
    const dcg_plan *plan = net->plan;
    const uint32_t next_step = net->next_step, picture_rows = net->picture_rows;
    const int32_t *scores = net->scores;
    trace_rows(job, node);
    const int same = net->plan == plan && net->scores == scores && net->next_step == next_step &&
                     net->picture_rows == picture_rows;
    return same ? DCG_OK : DCG_ERR_ARGUMENT;
}

/* Runs the next step, which there is. */
static dcg_status run_step(dcg_net *net) {
    const dcg_plan *plan = net->plan;
    const dcg_step *step = &plan->steps[net->next_step++];
    const dcg_node *node = &plan->nodes[step->node];
    const dcg_job job = {net, node, section_of(net, step->node), step->first_row, step->n_rows};
    dcg_status status = node->kernel(&job);
    if (status == DCG_OK && net->trace != NULL && node->output != 0)
        status = trace_step(net, &job, step->node);
    if (status != DCG_OK || net->next_step == plan->n_steps) net->scores = NULL;
    return status;
}

dcg_status dcg_run_step(dcg_net *net) {
    return dcg_has_step(net) ? run_step(net) : DCG_ERR_ARGUMENT;
}

static dcg_status run_steps(dcg_net *net) {
    dcg_status status = DCG_OK;
    while (status == DCG_OK && dcg_has_step(net))
        status = run_step(net);
    return status;
}

dcg_status dcg_push_row(dcg_net *net, const uint8_t *row) {
    const dcg_status status = dcg_take_row(net, row);
    return status == DCG_OK ? run_steps(net) : status;
}

dcg_status dcg_run(dcg_net *net, const uint8_t *hwc, int32_t *scores) {
    if (!dcg_run_ok(net, hwc, scores)) return DCG_ERR_ARGUMENT;
    const dcg_tensor *t = &net->plan->tensors[0];
    if (!net->plan->streamed) {
        begin(net, hwc, t->height, scores);
        return run_steps(net);
    }
    dcg_status status = dcg_begin(net, scores);
    for (uint32_t y = 0; y < t->height && status == DCG_OK; y++)
        status = dcg_push_row(net, hwc + (size_t)y * t->row_stride);
    return status;
}

uint32_t dcg_argmax(const int32_t *scores, uint32_t count) {
    uint32_t best = 0;
    if (!scores || dcg_misaligned(scores, sizeof *scores)) return 0;
    for (uint32_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

void dcg_set_trace(dcg_net *net, dcg_trace_fn trace, void *user) {
    if (!is_bound(net)) return;
    net->trace = trace;
    net->trace_user = user;
}
