/* Checks a blob against its plan: header, checksums, every section, every constant. Only the coded
 * streams are left to the decoder, which checks them as it goes. Nothing is read before its bounds
 * are known to lie in the blob. */
#include "dcg_internal.h"

static int misaligned(const void *p, uintptr_t alignment) {
    return (uintptr_t)p % alignment != 0;
}

/* The first 64 bytes by themselves, and the checksum. */
static dcg_status check_header(const uint8_t *blob, size_t blob_bytes) {
    if (blob_bytes < DCG_HEADER_BYTES) return DCG_ERR_TRUNCATED;
    if (dcg_header_magic(blob) != DCG_MAGIC) return DCG_ERR_MAGIC;
    if (dcg_header_version(blob) != DCG_VERSION) return DCG_ERR_VERSION;
    uint32_t bytes = dcg_header_blob_bytes(blob);
    if (bytes > blob_bytes) return DCG_ERR_TRUNCATED;
    /* The size limit keeps bit positions within 32 bits. */
    if (bytes < DCG_HEADER_BYTES || bytes % 4u != 0 || bytes > DCG_MAX_BLOB_BYTES) return DCG_ERR_HEADER;
    if (dcg_header_header_bytes(blob) != DCG_HEADER_BYTES) return DCG_ERR_HEADER;
    if (dcg_crc32(0, blob + DCG_CRC_BEGIN, bytes - DCG_CRC_BEGIN) != dcg_header_blob_crc(blob))
        return DCG_ERR_BLOB_CRC;
    return DCG_OK;
}

/* The header's map of the blob, and that it is this plan's network. */
static dcg_status check_map(const uint8_t *blob, const dcg_plan *plan) {
    uint32_t bytes = dcg_header_blob_bytes(blob);
    uint32_t topology_bytes = dcg_header_topology_bytes(blob), tensors = dcg_header_tensors_offset(blob);
    uint32_t tensors_bytes = dcg_header_tensors_bytes(blob), layers = dcg_header_layers_offset(blob);
    if (dcg_header_topology_offset(blob) != DCG_HEADER_BYTES) return DCG_ERR_HEADER;
    if (topology_bytes > bytes - DCG_HEADER_BYTES || topology_bytes % 4u != 0) return DCG_ERR_HEADER;
    if (tensors != DCG_HEADER_BYTES + topology_bytes) return DCG_ERR_HEADER;
    if (tensors_bytes > bytes - tensors || tensors_bytes % 4u != 0) return DCG_ERR_HEADER;
    if (layers != tensors + tensors_bytes) return DCG_ERR_HEADER;
    if (dcg_header_max_code_bits(blob) > DCG_MAX_CODE_BITS || dcg_header_reserved(blob) != 0)
        return DCG_ERR_HEADER;

    if (dcg_header_topology_hash(blob) != plan->topology_hash) return DCG_ERR_TOPOLOGY;
    if (dcg_header_n_tensors(blob) != plan->n_tensors || dcg_header_n_nodes(blob) != plan->n_nodes ||
        dcg_header_n_scores(blob) != plan->n_scores)
        return DCG_ERR_HEADER;
    uint32_t pad_bytes = (plan->tensors[0].channels + 3u) & ~3u;
    uint32_t scale_bytes = (uint32_t)DCG_TENSOR_SCALE_BYTES * plan->n_tensors;
    return tensors_bytes == scale_bytes + pad_bytes ? DCG_OK : DCG_ERR_HEADER;
}

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
    default: /* nothing but the header */
        break;
    }
    if (status == DCG_OK && dcg_node_header_section_bytes(layer) != DCG_NODE_HEADER_BYTES)
        status = DCG_ERR_SECTION;
    return status;
}

static dcg_status check_layers(const uint8_t *layer, uint32_t left, const dcg_plan *plan) {
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        if (left < DCG_NODE_HEADER_BYTES) return DCG_ERR_SECTION;
        uint32_t bytes = dcg_node_header_section_bytes(layer);
        if (bytes < DCG_NODE_HEADER_BYTES || bytes > left || bytes % 4u != 0) return DCG_ERR_SECTION;
        if (dcg_crc32(0, layer + 4, bytes - 4u) != dcg_node_header_section_crc(layer))
            return DCG_ERR_SECTION_CRC;
        dcg_status status = check_layer(layer, &plan->nodes[i], plan);
        if (status != DCG_OK) return status;
        layer += bytes;
        left -= bytes;
    }
    return left == 0 ? DCG_OK : DCG_ERR_SECTION;
}

dcg_status dcg_init(dcg_net *net, const dcg_plan *plan, const void *blob, size_t blob_bytes, void *arena,
                    size_t arena_bytes) {
    if (!net || !plan || !blob || !arena) return DCG_ERR_ARGUMENT;
    if (misaligned(blob, DCG_BLOB_ALIGNMENT) || misaligned(arena, DCG_ARENA_ALIGNMENT))
        return DCG_ERR_ARGUMENT;
    if (arena_bytes < plan->arena_bytes) return DCG_ERR_ARENA_SIZE;

    const uint8_t *bytes = blob;
    dcg_status status = check_header(bytes, blob_bytes);
    if (status == DCG_OK) status = check_map(bytes, plan);
    if (status != DCG_OK) return status;
    uint32_t layers = dcg_header_layers_offset(bytes);
    status = check_layers(bytes + layers, dcg_header_blob_bytes(bytes) - layers, plan);
    if (status != DCG_OK) return status;

    net->plan = plan;
    net->blob = bytes;
    net->tensors = bytes + dcg_header_tensors_offset(bytes);
    net->layers = bytes + layers;
    net->arena = arena;
    net->trace = NULL;
    net->trace_user = NULL;
    return DCG_OK;
}
