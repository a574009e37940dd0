/* Decodes a layer's stream into the non-zero weights ("taps") of one filter at a time.
 *
 * The stream is a list of entries (zero run, level): skip as many weights, then the next weight has
 * that level. Bits are read by a 32-bit load at the current byte, which gives at least 25 of them;
 * the stream's guard makes that safe at every position up to its end. */
#include "dcg_internal.h"

/* The plan's arena map counts on this size. */
typedef char dcg_tap_has_its_planned_size[sizeof(dcg_tap) == DCG_TAP_BYTES ? 1 : -1];

static uint32_t peek(const dcg_weights *w) {
    return dcg_load_u32(w->stream + (w->bit >> 3)) >> (w->bit & 7u);
}

/* Next symbol of a code; 0 bits taken mean that no code begins with these bits. */
static uint32_t take_symbol(dcg_weights *w, const uint16_t *table, uint32_t *length) {
    uint32_t entry = table[peek(w) & (DCG_TABLE_ENTRIES - 1u)];
    *length = entry & 15u;
    w->bit += *length;
    return entry >> 4;
}

static uint32_t take_raw(dcg_weights *w, uint32_t bits) {
    uint32_t value = peek(w) & ((1u << bits) - 1u);
    w->bit += bits;
    return value;
}

/* Reads the entry ahead: its position and weight. */
static dcg_status read_entry(dcg_weights *w) {
    uint32_t run, level, length;
    if (w->coding == DCG_CODING_JOINT) {
        uint32_t symbol = take_symbol(w, w->table, &length);
        if (length == 0) return DCG_ERR_CODE;
        if (symbol == DCG_ESCAPE) {
            run = take_raw(w, w->run_bits);
            level = take_raw(w, w->level_bits);
        } else {
            run = symbol >> w->level_bits;
            level = symbol & ((1u << w->level_bits) - 1u);
        }
    } else {
        run = take_symbol(w, w->table, &length);
        if (length == 0) return DCG_ERR_CODE;
        level = take_symbol(w, w->table2, &length);
        if (length == 0) return DCG_ERR_CODE;
    }
    if (w->bit > w->end_bit) return DCG_ERR_STREAM;
    if (level >= w->n_levels) return DCG_ERR_LEVEL;
    w->position += run;
    if (w->position >= w->n_weights) return DCG_ERR_POSITION;
    w->weight = w->levels[level];
    w->entries_left--;
    w->ahead = 1;
    return DCG_OK;
}

static dcg_status add_tap(dcg_weights *w) {
    if (w->weight == 0) return DCG_OK;                  /* a filler */
    if (w->n_taps == w->max_taps) return DCG_ERR_LAYER; /* states fewer than it has */
    uint32_t in_filter = w->position - w->filter_begin;
    uint32_t in_kernel = in_filter / w->group_channels;
    dcg_tap *tap = &w->taps[w->n_taps++];
    tap->channel = (uint16_t)(in_filter - in_kernel * w->group_channels);
    tap->ky = (uint8_t)(in_kernel / w->kernel_w);
    tap->kx = (uint8_t)(in_kernel % w->kernel_w);
    tap->weight = w->weight;
    return DCG_OK;
}

dcg_status dcg_weights_next(dcg_weights *w) {
    uint32_t filter_end = w->filter_begin + w->filter_size;
    dcg_status status = DCG_OK;
    w->n_taps = 0;
    while (status == DCG_OK) {
        if (!w->ahead) {
            if (w->entries_left == 0) break;
            status = read_entry(w);
        } else {
            if (w->position >= filter_end) break; /* belongs to a later filter */
            status = add_tap(w);
            w->position++;
            w->ahead = 0;
        }
    }
    w->filter_begin = filter_end;
    return status;
}

dcg_status dcg_weights_close(const dcg_weights *w) {
    return w->bit == w->end_bit ? DCG_OK : DCG_ERR_STREAM;
}

static void load_levels(int16_t *levels, const uint8_t *stored, uint32_t n_levels, uint32_t level_bytes) {
    levels[0] = 0;
    for (uint32_t i = 1; i < n_levels; i++, stored += level_bytes)
        levels[i] = level_bytes == 1u ? dcg_load_i8(stored) : dcg_load_i16(stored);
}

void dcg_weights_open(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record) {
    const dcg_scratch *scratch = &job->net->plan->scratch;
    const dcg_node *node = job->node;
    const uint8_t *header = record->header;
    uint8_t *arena = job->net->arena;
    /* The plan aligns scratch memory to DCG_ARENA_ALIGNMENT; void * says so to the compiler. */
    uint16_t *tables = (void *)(arena + scratch->tables);
    int16_t *levels = (void *)(arena + scratch->levels);

    w->coding = dcg_conv_header_coding(header);
    w->n_levels = dcg_conv_header_n_levels(header);
    w->level_bits = dcg_conv_header_level_bits(header);
    w->run_bits = dcg_conv_header_run_bits(header);
    load_levels(levels, record->levels, w->n_levels, dcg_conv_header_level_bytes(header));
    dcg_table_build(record->table, dcg_conv_header_table_bytes(header), tables);
    w->table2 = NULL;
    if (w->coding == DCG_CODING_GAPS) {
        dcg_table_build(record->table2, dcg_conv_header_table2_bytes(header), tables + DCG_TABLE_ENTRIES);
        w->table2 = tables + DCG_TABLE_ENTRIES;
    }
    w->stream = record->stream;
    w->table = tables;
    w->levels = levels;
    w->taps = (void *)(arena + scratch->taps);
    w->n_taps = 0;
    w->max_taps = dcg_conv_header_max_filter_entries(header);
    w->bit = 0;
    w->end_bit = dcg_conv_header_stream_bits(header);
    w->entries_left = dcg_conv_header_n_entries(header);
    w->position = 0;
    w->weight = 0;
    w->ahead = 0;
    w->kernel_w = node->kernel_w;
    w->group_channels = (uint32_t)dcg_input(job, 0)->channels / node->groups;
    w->filter_begin = 0;
    w->filter_size = w->group_channels * node->kernel_h * node->kernel_w;
    w->n_weights = w->filter_size * node->out_channels;
}
