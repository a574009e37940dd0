/* Checks what every reader of a blob relies on: header, checksum, map of the sections, checksum of each. */
#include "dcg_blob.h"
#include "dcg_internal.h"

/* The header's fields that say what the blob is and how long, and the checksum. */
static dcg_status check_header(const uint8_t *blob, size_t blob_bytes) {
    if (blob_bytes < DCG_HEADER_BYTES) return DCG_ERR_TRUNCATED;
    if (dcg_header_magic(blob) != DCG_MAGIC) return DCG_ERR_MAGIC;
    if (dcg_header_version(blob) != DCG_VERSION) return DCG_ERR_VERSION;
    uint32_t bytes = dcg_header_blob_bytes(blob);
    if (bytes > blob_bytes) return DCG_ERR_TRUNCATED;
    /* Positions in a stream are counted in bits, in 32 bits: hence the limit of size. */
    if (bytes < DCG_HEADER_BYTES || bytes % 4u != 0 || bytes > DCG_MAX_BLOB_BYTES) return DCG_ERR_HEADER;
    if (dcg_header_header_bytes(blob) != DCG_HEADER_BYTES) return DCG_ERR_HEADER;
    if (dcg_crc32(0, blob + DCG_CRC_BEGIN, bytes - DCG_CRC_BEGIN) != dcg_header_blob_crc(blob))
        return DCG_ERR_BLOB_CRC;
    return DCG_OK;
}

/* The header's map of the blob, and whether the blob is of this network. */
static dcg_status check_map(const uint8_t *blob, const dcg_network *network) {
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

    if (dcg_header_topology_hash(blob) != network->topology_hash) return DCG_ERR_TOPOLOGY;
    if (dcg_header_n_tensors(blob) != network->n_tensors || dcg_header_n_nodes(blob) != network->n_nodes ||
        dcg_header_n_scores(blob) != network->n_scores)
        return DCG_ERR_HEADER;
    uint32_t pad_bytes = (network->input_channels + 3u) & ~3u;
    /* A node has a tensor, or the scores of an output; those of the first one take the picture's place. */
    uint32_t scale_bytes = (uint32_t)DCG_TENSOR_SCALE_BYTES * network->n_nodes;
    return tensors_bytes == scale_bytes + pad_bytes ? DCG_OK : DCG_ERR_HEADER;
}

dcg_status dcg_blob_check(const uint8_t *blob, size_t blob_bytes, const dcg_network *network) {
    dcg_status status = check_header(blob, blob_bytes);
    return status == DCG_OK ? check_map(blob, network) : status;
}

dcg_status dcg_section_check(const uint8_t *layer, uint32_t left) {
    if (left < DCG_NODE_HEADER_BYTES) return DCG_ERR_SECTION;
    uint32_t bytes = dcg_node_header_section_bytes(layer);
    if (bytes < DCG_NODE_HEADER_BYTES || bytes > left || bytes % 4u != 0) return DCG_ERR_SECTION;
    if (dcg_crc32(0, layer + 4, bytes - 4u) != dcg_node_header_section_crc(layer)) return DCG_ERR_SECTION_CRC;
    return DCG_OK;
}
