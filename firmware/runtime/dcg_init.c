/* Checks a blob against its plan: header, checksums, every section, every constant. Only the coded streams
 * are left to the decoder, which checks them as it goes. Nothing is read before it is known to lie in the
 * blob. */
#include "dcg_blob.h"
#include "dcg_internal.h"

/* A layer's own requantization; those of single channels are checked with the convolution. */
static dcg_status check_requant(const uint8_t *layer) {
    uint32_t shift = dcg_node_header_shift(layer);
    if (dcg_node_header_lo(layer) > dcg_node_header_hi(layer)) return DCG_ERR_LAYER;
    if ((dcg_node_header_flags(layer) & DCG_LAYER_PER_CHANNEL) != 0) return DCG_OK; /* has its own */
    return shift >= DCG_MIN_SHIFT && shift <= DCG_MAX_SHIFT ? DCG_OK : DCG_ERR_LAYER;
}

static int factor_ok(int32_t factor) {
    return factor > -DCG_FACTOR_LIMIT && factor < DCG_FACTOR_LIMIT;
}

/* The constants of one node. */
static dcg_status check_layer(const uint8_t *layer, const dcg_node *node, const dcg_plan *plan) {
    dcg_status status = DCG_OK;
    uint32_t bytes = DCG_NODE_HEADER_BYTES;
    uint32_t known_flags = node->kind == DCG_KIND_CONV ? DCG_LAYER_PER_CHANNEL : 0u;
    if (dcg_node_header_kind(layer) != node->kind) return DCG_ERR_TOPOLOGY;
    if ((dcg_node_header_flags(layer) & ~known_flags) != 0) return DCG_ERR_LAYER;
    switch (node->kind) {
    case DCG_KIND_CONV:
        if ((node->flags & DCG_TOPOLOGY_RAW) == 0) status = check_requant(layer);
        if (status != DCG_OK) return status;
        return dcg_conv_record_check(layer, node, plan->tensors[node->inputs[0]].channels, &plan->scratch);
    case DCG_KIND_AVG_POOL:
        status = check_requant(layer);
        if (dcg_node_header_factor0(layer) < 1 || dcg_node_header_factor0(layer) >= DCG_UNIT_LIMIT)
            status = DCG_ERR_LAYER;
        break;
    case DCG_KIND_ADD:
        status = check_requant(layer);
        if (!factor_ok(dcg_node_header_factor0(layer)) || !factor_ok(dcg_node_header_factor1(layer)))
            status = DCG_ERR_LAYER;
        break;
    case DCG_KIND_MUL:
        status = check_requant(layer);
        if (dcg_node_header_factor0(layer) < 1 || !factor_ok(dcg_node_header_factor0(layer)))
            status = DCG_ERR_LAYER;
        break;
    case DCG_KIND_TABLE:
        bytes += DCG_TABLE_BYTES;
        break;
    default: /* no constants */
        break;
    }
    if (status == DCG_OK && dcg_node_header_section_bytes(layer) != bytes) status = DCG_ERR_SECTION;
    return status;
}

/* All sections, the first one at layer; left: bytes from there to the blob's end. */
static dcg_status check_layers(const uint8_t *layer, uint32_t left, const dcg_plan *plan) {
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        dcg_status status = dcg_section_check(layer, left);
        if (status == DCG_OK) status = check_layer(layer, &plan->nodes[i], plan);
        if (status != DCG_OK) return status;
        uint32_t bytes = dcg_node_header_section_bytes(layer);
        layer += bytes;
        left -= bytes;
    }
    return left == 0 ? DCG_OK : DCG_ERR_SECTION;
}

/* Leaves a net that is bound to nothing: every function refuses it. */
static void unbind(dcg_net *net) {
    net->plan = NULL;
    net->blob = NULL;
    net->tensors = NULL;
    net->layers = NULL;
    net->section = NULL;
    net->section_node = 0;
    net->arena = NULL;
    net->picture = NULL;
    net->scores = NULL;
    net->next_step = 0;
    net->picture_rows = 0;
    net->trace = NULL;
    net->trace_user = NULL;
}

dcg_status dcg_init(dcg_net *net, const dcg_plan *plan, const void *blob, size_t blob_bytes, void *arena,
                    size_t arena_bytes) {
    if (!net || dcg_misaligned(net, sizeof net->plan)) return DCG_ERR_ARGUMENT;
    unbind(net);
    if (!plan || !blob || !arena || dcg_misaligned(plan, sizeof net->plan)) return DCG_ERR_ARGUMENT;
    if (dcg_misaligned(blob, DCG_BLOB_ALIGNMENT) || dcg_misaligned(arena, DCG_ARENA_ALIGNMENT))
        return DCG_ERR_ARGUMENT;
    if (arena_bytes < plan->arena_bytes) return DCG_ERR_ARENA_SIZE;
    if (dcg_overlap(arena, plan->arena_bytes, net, sizeof *net) ||
        dcg_overlap(arena, plan->arena_bytes, plan, sizeof *plan))
        return DCG_ERR_ARGUMENT;

    const uint8_t *bytes = blob;
    const dcg_network network = {
        .topology_hash = plan->topology_hash,
        .n_scores = plan->n_scores,
        .n_tensors = plan->n_tensors,
        .n_nodes = plan->n_nodes,
        .input_channels = plan->tensors[0].channels,
    };
    dcg_status status = dcg_blob_check(bytes, blob_bytes, &network);
    if (status != DCG_OK) return status;
    /* Only now it is known how much of the memory behind `blob` the blob takes. */
    const uint32_t used = dcg_header_blob_bytes(bytes);
    if (dcg_overlap(arena, plan->arena_bytes, blob, used) || dcg_overlap(net, sizeof *net, blob, used))
        return DCG_ERR_ARGUMENT;
    uint32_t layers = dcg_header_layers_offset(bytes);
    status = check_layers(bytes + layers, dcg_header_blob_bytes(bytes) - layers, plan);
    if (status != DCG_OK) return status;

    net->plan = plan;
    net->blob = bytes;
    net->tensors = bytes + dcg_header_tensors_offset(bytes);
    net->layers = bytes + layers;
    net->section = net->layers;
    net->arena = arena;
    return DCG_OK;
}
