/* Walks the plan's nodes and the blob's layer sections side by side. */
#include "dcg_internal.h"

const dcg_tensor *dcg_input(const dcg_job *job, uint32_t which) {
    return &job->net->plan->tensors[job->node->inputs[which]];
}

const uint8_t *dcg_input_plane(const dcg_job *job, uint32_t which, uint32_t channel) {
    uint16_t tensor = job->node->inputs[which];
    const dcg_tensor *t = &job->net->plan->tensors[tensor];
    const uint8_t *memory = tensor == 0 ? job->picture : job->net->arena;
    return memory + t->offset + (size_t)channel * t->channel_stride;
}

static uint8_t *row_of(const dcg_net *net, const dcg_tensor *t, uint32_t channel, uint32_t row) {
    return net->arena + t->offset + (size_t)channel * t->channel_stride + (size_t)row * t->row_stride;
}

uint8_t *dcg_output_row(const dcg_job *job, uint32_t channel, uint32_t row) {
    return row_of(job->net, &job->net->plan->tensors[job->node->output], channel, row);
}

uint8_t dcg_zero_point(const dcg_net *net, uint16_t tensor) {
    return dcg_tensor_scale_zero_point(net->tensors + (size_t)tensor * DCG_TENSOR_SCALE_BYTES);
}

uint8_t dcg_pad_byte(const dcg_job *job, uint32_t channel) {
    const dcg_net *net = job->net;
    if (job->node->inputs[0] != 0) return dcg_zero_point(net, job->node->inputs[0]);
    return net->tensors[(size_t)net->plan->n_tensors * DCG_TENSOR_SCALE_BYTES + channel];
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

static void trace_output(const dcg_net *net, uint16_t node) {
    const dcg_tensor *t = &net->plan->tensors[net->plan->nodes[node].output];
    for (uint16_t c = 0; c < t->channels; c++)
        for (uint16_t y = 0; y < t->height; y++)
            net->trace(net->trace_user, node, c, y, row_of(net, t, c, y), t->width);
}

dcg_status dcg_run(dcg_net *net, const uint8_t *hwc, int32_t *scores) {
    if (!net || !hwc || !scores) return DCG_ERR_ARGUMENT;
    const dcg_plan *plan = net->plan;
    const uint8_t *layer = net->layers;
    for (uint16_t i = 0; i < plan->n_nodes; i++) {
        const dcg_node *node = &plan->nodes[i];
        if (node->kernel != NULL) {
            const dcg_job job = {net, node, layer, hwc, scores};
            dcg_status status = node->kernel(&job);
            if (status != DCG_OK) return status;
            if (net->trace != NULL && node->output != 0) trace_output(net, i);
        }
        layer += dcg_node_header_section_bytes(layer);
    }
    return DCG_OK;
}

uint32_t dcg_argmax(const int32_t *scores, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

void dcg_set_trace(dcg_net *net, dcg_trace_fn trace, void *user) {
    net->trace = trace;
    net->trace_user = user;
}
