/* A convolution's section of the blob: where its arrays are, and whether every constant is sound. The section
 * is described in docs/blob-format.md of dcgen. */
#include "dcg_internal.h"

/* Takes count bytes off what is left of the section at *at. Returns where they are, NULL where there are
 * fewer. */
static const uint8_t *take(const uint8_t **at, uint32_t *left, uint32_t count) {
    if (count > *left) return NULL;
    const uint8_t *bytes = *at;
    *at += count;
    *left -= count;
    return bytes;
}

dcg_status dcg_conv_record_find(dcg_conv_record *record, const uint8_t *layer, const dcg_node *node) {
    uint32_t section_bytes = dcg_node_header_section_bytes(layer);
    if (section_bytes < DCG_NODE_HEADER_BYTES + DCG_CONV_HEADER_BYTES) return DCG_ERR_SECTION;
    const uint8_t *header = layer + DCG_NODE_HEADER_BYTES;
    const uint8_t *at = header + DCG_CONV_HEADER_BYTES;
    uint32_t left = section_bytes - (DCG_NODE_HEADER_BYTES + DCG_CONV_HEADER_BYTES);
    uint32_t outputs = node->out_channels;
    uint32_t n_levels = dcg_conv_header_n_levels(header);
    uint32_t level_bytes = dcg_conv_header_level_bytes(header);
    uint32_t bias_bytes = dcg_conv_header_bias_bytes(header);
    if (n_levels < 1u || n_levels > DCG_MAX_LEVELS) return DCG_ERR_LAYER;
    if (level_bytes != 1u && level_bytes != 2u) return DCG_ERR_LAYER;
    if (bias_bytes != 1u && bias_bytes != 2u && bias_bytes != 4u) return DCG_ERR_LAYER;
    int per_channel = (dcg_node_header_flags(layer) & DCG_LAYER_PER_CHANNEL) != 0;

    record->header = header;
    record->levels = take(&at, &left, (n_levels - 1u) * level_bytes);
    record->mult = per_channel ? take(&at, &left, outputs * 2u) : NULL;
    record->shift = per_channel ? take(&at, &left, outputs) : NULL;
    record->bias = take(&at, &left, outputs * bias_bytes);
    record->table = take(&at, &left, dcg_conv_header_table_bytes(header));
    record->table2 = take(&at, &left, dcg_conv_header_table2_bytes(header));
    const uint8_t *zeros = take(&at, &left, (uint32_t)(layer - at) & 3u);
    record->stream = at;

    if (!record->levels || !record->bias || !record->table || !record->table2 || !zeros)
        return DCG_ERR_SECTION;
    if (per_channel && (!record->mult || !record->shift)) return DCG_ERR_SECTION;
    return left == dcg_conv_header_stream_bytes(header) ? DCG_OK : DCG_ERR_SECTION;
}

/* Whether the coding's fields are in range and its code tables are sound and fit the plan's decoding tables.
 */
static dcg_status check_tables(const dcg_conv_record *record, const dcg_scratch *scratch) {
    const uint8_t *header = record->header;
    uint32_t bytes = dcg_conv_header_table_bytes(header), bytes2 = dcg_conv_header_table2_bytes(header);
    uint32_t level_bits = dcg_conv_header_level_bits(header), run_bits = dcg_conv_header_run_bits(header);
    switch (dcg_conv_header_coding(header)) {
    case DCG_CODING_JOINT:
        if (level_bits < 1u || level_bits > 8u || run_bits > 12u) return DCG_ERR_LAYER;
        if (dcg_conv_header_n_levels(header) > 1u << level_bits) return DCG_ERR_LAYER;
        if (bytes2 != 0) return DCG_ERR_TABLE;
        return dcg_weights_table_check(record->table, bytes, DCG_ESCAPE, 1, scratch);
    case DCG_CODING_GAPS: {
        if (level_bits != 8u || run_bits < 1u || run_bits > 8u) return DCG_ERR_LAYER;
        if (scratch->n_tables < 2u) return DCG_ERR_CAPACITY;
        dcg_status status = dcg_weights_table_check(record->table, bytes, 1u << run_bits, 0, scratch);
        if (status != DCG_OK) return status;
        return dcg_weights_table_check(record->table2, bytes2, DCG_MAX_LEVELS, 0, scratch);
    }
    default:
        return DCG_ERR_LAYER;
    }
}

/* Whether the stream has the size that its header says, and only zeros behind its last bit: the decoder
 * relies on DCG_STREAM_GUARD_BYTES of them. */
static dcg_status check_stream(const dcg_conv_record *record) {
    uint32_t bytes = dcg_conv_header_stream_bytes(record->header);
    uint32_t bits = dcg_conv_header_stream_bits(record->header);
    if (bytes < DCG_STREAM_GUARD_BYTES || bytes % 4u != 0) return DCG_ERR_SECTION;
    if (bits > 8u * (bytes - DCG_STREAM_GUARD_BYTES)) return DCG_ERR_STREAM;
    uint32_t i = bits / 8u;
    if (record->stream[i] >> (bits % 8u) != 0) return DCG_ERR_STREAM;
    while (++i < bytes)
        if (record->stream[i] != 0) return DCG_ERR_STREAM;
    return DCG_OK;
}

dcg_status dcg_conv_record_check(const uint8_t *layer, const dcg_node *node, uint32_t in_channels,
                                 const dcg_scratch *scratch) {
    dcg_conv_record record;
    dcg_status status = dcg_conv_record_find(&record, layer, node);
    if (status != DCG_OK) return status;
    const uint8_t *header = record.header;

    if (record.shift != NULL) {
        for (uint32_t o = 0; o < node->out_channels; o++)
            if (record.shift[o] < DCG_MIN_SHIFT || record.shift[o] > DCG_MAX_SHIFT) return DCG_ERR_LAYER;
    }
    if (dcg_node_header_bias_shift(layer) > 31u) return DCG_ERR_LAYER;
    uint32_t filter_size = in_channels / node->groups * node->kernel_h * node->kernel_w;
    uint32_t max_taps = dcg_conv_header_max_filter_entries(header);
    if (dcg_conv_header_reserved(header) != 0) return DCG_ERR_HEADER;
    if (dcg_conv_header_n_entries(header) > filter_size * node->out_channels) return DCG_ERR_STREAM;
    if (max_taps > filter_size) return DCG_ERR_LAYER;
    if (max_taps > scratch->tap_capacity) return DCG_ERR_CAPACITY;
    status = check_tables(&record, scratch);
    if (status != DCG_OK) return status;

    return check_stream(&record);
}

dcg_requant dcg_conv_requant(const dcg_job *job, const dcg_conv_record *record, uint32_t output) {
    if (record->mult != NULL)
        return dcg_requant_of(job, dcg_load_u16(record->mult + 2u * output), record->shift[output]);
    return dcg_requant_of(job, dcg_node_header_mult(job->layer), dcg_node_header_shift(job->layer));
}
