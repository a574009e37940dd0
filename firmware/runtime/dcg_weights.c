/* Decodes a layer's stream into the taps of one filter at a time: its weights that are not zero.
 *
 * The stream is a list of entries, a run of zeros and a level each: skip as many weights, then the next
 * weight has that level. Runs go on across filters. Bits are read by a 32-bit load at the present byte, which
 * gives at least 25 of them; the stream's guard makes that safe at every position up to its end. */
#include "dcg_weights_read.h"

/* How far the present filter has been decoded. */
typedef struct cursor {
    dcg_weights_reader at;
    uint32_t entries; /* entries left in the stream */
    uint32_t place;   /* place in the kernel: row * kernel width + column */
} cursor;

/* The stream's bits from a position on, 25 at least, the first one lowest. */
static uint32_t peek(const dcg_weights *w, uint32_t bit) {
    return dcg_load_u32(w->stream + (bit >> 3)) >> (bit & 7u);
}

/* Reads a number of so many bits, 0 .. 12, that is not coded. */
static uint32_t take_raw(const dcg_weights *w, cursor *c, uint32_t bits) {
    uint32_t value = peek(w, c->at.bit) & ((1u << bits) - 1u);
    c->at.bit += bits;
    return value;
}

#define NO_SYMBOL UINT32_MAX

/* Reads a symbol of a code whose symbols have their level in the lowest level_bits bits. Returns NO_SYMBOL
 * where no code begins with the stream's next bits. */
static uint32_t take_symbol(const dcg_weights *w, cursor *c, const uint32_t *table, uint32_t level_bits) {
    uint32_t entry = dcg_weights_entry_at(table, w->mask, peek(w, c->at.bit));
    c->at.bit += entry & 0xFFu;
    if (entry < DCG_TABLE_OTHER || entry >= DCG_TABLE_FILLER)
        return (dcg_weights_entry_span(entry) - 1u) << level_bits | (entry >> 8 & 0xFFu);
    return (entry & 0xFFu) != 0 ? entry >> 8 & 0xFFFu : NO_SYMBOL;
}

/* Reads the next entry of any kind and checks it: its run of zeros to w->gap, the number of its level to
 * *level. */
static dcg_status read_entry(dcg_weights *w, cursor *c, uint32_t *level) {
    uint32_t joint_bits = w->coding == DCG_CODING_JOINT ? w->level_bits : 0u;
    uint32_t symbol = take_symbol(w, c, w->table, joint_bits);
    if (symbol == NO_SYMBOL) return DCG_ERR_CODE;
    w->gap = symbol >> joint_bits;
    *level = symbol & ((1u << joint_bits) - 1u);
    if (joint_bits == 0) {
        *level = take_symbol(w, c, w->table2, w->level_bits);
        if (*level == NO_SYMBOL) return DCG_ERR_CODE;
    } else if (symbol == DCG_ESCAPE) {
        w->gap = take_raw(w, c, w->run_bits);
        *level = take_raw(w, c, w->level_bits);
    }
    if (c->at.bit > w->end_bit) return DCG_ERR_STREAM;
    if (*level >= w->n_levels) return DCG_ERR_LEVEL;
    c->entries--;
    return DCG_OK;
}

/* Address of a tap of the group's last channel at a place in the kernel. */
static uint32_t last_address(const dcg_weights *w, uint32_t place) {
    const dcg_node *node = w->node;
    const dcg_packing *p = &node->packing;
    uint32_t channels = (w->group_channels - 1u) * w->channel_step;
    if (w->plane == 0) return place * w->position_step + channels;
    uint32_t ky = place / node->kernel_w, kx = place - ky * node->kernel_w;
    uint32_t row = ky / node->stride_h, column = kx / node->stride_w;
    uint32_t plane = (ky - row * node->stride_h) * p->phases_w + (kx - column * node->stride_w);
    return plane * w->plane + w->position_step * (row * p->pitch + column) + channels;
}

/* Goes on to the next place in the kernel; what is left of the present one is still to be counted down by the
 * run that leads there. Returns 0 at the filter's end. */
static int enter_place(const dcg_weights *w, cursor *c) {
    if (c->place + 1u == w->places) return 0;
    c->at.left += w->group_channels;
    c->at.last = last_address(w, ++c->place);
    return 1;
}

/* Reads what comes next of the present place, see dcg_weights_read.h. */
static uint32_t read_place(uint32_t form, dcg_weights_reader *reader) {
    if (form == DCG_WEIGHTS_LIST) return dcg_weights_read_list(reader);
    if (form == DCG_WEIGHTS_CHAINS) return dcg_weights_read_chains(reader);
    return dcg_weights_read_array(reader);
}

/* Reads as many plain entries and fillers as come next, which are most of all entries. Each is one code, so
 * as many as the stream has DCG_MAX_CODE_BITS for may be read without looking for its end. */
static void read_plain(const dcg_weights *w, cursor *c) {
    uint32_t first = c->at.n, room = (w->end_bit - c->at.bit) / DCG_MAX_CODE_BITS;
    uint32_t count = w->max_taps - (first - w->first_tap);
    if (count > c->entries) count = c->entries;
    if (count > room) count = room;
    if (count == 0) return;
    c->at.end = first + count - 1u;
    c->at.escapes = 0;
    while (c->at.n < c->at.end)
        if (!read_place(w->form, &c->at) || !enter_place(w, c)) break;
    uint32_t fillers = first + count - 1u - c->at.end - DCG_READER_ESCAPE * c->at.escapes;
    c->entries -= c->at.n - first + fillers;
}

dcg_status dcg_weights_next(dcg_weights *w) {
    cursor c = {.at = {.stream = w->stream,
                       .table = w->table,
                       .levels = w->levels,
                       .step = w->channel_step,
                       .list = w->list,
                       .bit = w->bit,
                       .left = w->group_channels,
                       .last = last_address(w, 0),
                       .n = w->first_tap,
                       .mask = w->mask,
                       .end = w->first_tap,
                       .run_bits = w->run_bits,
                       .level_bits = w->level_bits,
                       .n_levels = w->n_levels},
                .entries = w->entries_left,
                .place = 0};
    w->weights_after -= w->group_channels * w->places;
    uint32_t zeros = w->form == DCG_WEIGHTS_ARRAY ? (w->group_channels + 1u) / 2u : w->first_tap;
    for (uint32_t i = 0; i < zeros; i++)
        w->list[i] = 0;
    for (;;) {
        if (!w->holding) {
            if (w->simple) read_plain(w, &c);
            if (c.entries == 0) break;
            uint32_t level;
            dcg_status status = read_entry(w, &c, &level);
            if (status != DCG_OK) return status;
            w->held = w->levels[level];
            w->holding = 1;
        }
        while (w->gap >= c.at.left && enter_place(w, &c)) {
        }
        if (w->gap >= c.at.left) { /* the entry's weight belongs to a later filter */
            w->gap -= c.at.left;
            if (w->gap >= w->weights_after) return DCG_ERR_POSITION;
            break;
        }
        w->holding = 0;
        c.at.left -= w->gap + 1u;
        if (w->held != 0) { /* not a filler */
            if (c.at.n - w->first_tap == w->max_taps)
                return DCG_ERR_LAYER; /* more than the blob has stated */
            dcg_weights_tap(&c.at, w->form, w->held);
        }
    }
    w->bit = c.at.bit;
    w->entries_left = c.entries;
    w->n_taps = c.at.n - w->first_tap;
    return DCG_OK;
}

void dcg_weights_gather(dcg_weights *w, uint32_t filters) {
    w->form = DCG_WEIGHTS_ARRAY;
    w->group_channels = w->max_taps = filters * w->node->kernel_h * w->node->kernel_w;
    w->places = 1u;
}

dcg_status dcg_weights_close(const dcg_weights *w) {
    return w->bit == w->end_bit ? DCG_OK : DCG_ERR_STREAM;
}

/* Loads a codebook, whose level 0 is zero and not stored. Returns the largest magnitude.
 *
 * levels       int16_t[n_levels], written
 * level_bytes  bytes of a stored level, 1 or 2 */
static uint16_t load_levels(int16_t *levels, const uint8_t *stored, uint32_t n_levels, uint32_t level_bytes) {
    int32_t largest = 0;
    levels[0] = 0;
    for (uint32_t i = 1; i < n_levels; i++, stored += level_bytes) {
        int32_t level = level_bytes == 1u ? dcg_load_i8(stored) : dcg_load_i16(stored);
        int32_t size = level < 0 ? -level : level;
        levels[i] = (int16_t)level;
        if (size > largest) largest = size;
    }
    return (uint16_t)largest;
}

void dcg_weights_open(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record) {
    const dcg_scratch *scratch = &job->net->plan->scratch;
    const dcg_node *node = job->node;
    const uint8_t *header = record->header;
    uint8_t *arena = job->net->arena;
    /* The plan aligns scratch memory to DCG_ARENA_ALIGNMENT; void * says so to the compiler. */
    int16_t *levels = (void *)(arena + scratch->levels);

    w->coding = dcg_conv_header_coding(header);
    w->n_levels = dcg_conv_header_n_levels(header);
    w->level_bits = dcg_conv_header_level_bits(header);
    w->run_bits = dcg_conv_header_run_bits(header);
    w->largest = load_levels(levels, record->levels, w->n_levels, dcg_conv_header_level_bytes(header));
    w->stream = record->stream;
    w->levels = levels;
    w->node = node;
    w->list = (void *)(arena + scratch->list);
    w->n_taps = 0;
    w->first_tap = 0;
    w->form = DCG_WEIGHTS_LIST;
    w->max_taps = dcg_conv_header_max_filter_entries(header);
    w->bit = 0;
    w->end_bit = dcg_conv_header_stream_bits(header);
    w->entries_left = dcg_conv_header_n_entries(header);
    w->gap = 0;
    w->held = 0;
    w->holding = 0;
    w->group_channels = (uint32_t)dcg_input(job, 0)->channels / node->groups;
    w->simple = w->coding == DCG_CODING_JOINT && w->group_channels <= DCG_WEIGHTS_MOST;
    w->places = (uint32_t)node->kernel_h * node->kernel_w;
    w->weights_after = w->group_channels * w->places * node->out_channels;
}

void dcg_weights_start(dcg_weights *w, const dcg_job *job, const dcg_conv_record *record, uint32_t plane,
                       uint32_t position) {
    const dcg_packing *p = &w->node->packing;
    const uint8_t *header = record->header;
    uint32_t bytes = dcg_conv_header_table_bytes(header), bytes2 = dcg_conv_header_table2_bytes(header);
    const dcg_scratch *scratch = &job->net->plan->scratch;
    uint32_t *tables = (void *)(job->net->arena + scratch->tables), *tables2 = tables + scratch->table_words;
    w->table = tables;
    w->table2 = tables2;
    w->mask = (1u << scratch->table_bits) - 1u;
    if (w->coding == DCG_CODING_GAPS) {
        dcg_weights_table_build(record->table, bytes, 0, NULL, 0, scratch->table_bits, tables);
        dcg_weights_table_build(record->table2, bytes2, w->level_bits, NULL, 0, scratch->table_bits, tables2);
    } else {
        dcg_weights_table_build(record->table, bytes, w->level_bits, w->levels, w->n_levels,
                                scratch->table_bits, tables);
    }
    w->plane = plane;
    w->position_step = position;
    w->channel_step = plane == 0 ? 1u : plane * p->phases_h * p->phases_w;
}
