/* Decodes a layer's stream into the non-zero weights ("taps") of one filter at a time.
 *
 * The stream is a list of entries (zero run, level): skip as many weights, then the next weight has
 * that level. Bits are read by a 32-bit load at the current byte, which gives at least 25 of them;
 * the stream's guard makes that safe at every position up to its end. */
#include "dcg_internal.h"

/* Where the decoder is in a filter. */
typedef struct cursor {
    uint32_t bit;     /* of the stream */
    uint32_t entries; /* left in the stream */
    uint32_t left;    /* weights until the kernel's next place */
    uint32_t word;    /* first word of a tap at the next weight */
    uint32_t n_taps;
} cursor;

static uint32_t peek(const dcg_weights *w, uint32_t bit) {
    return dcg_load_u32(w->stream + (bit >> 3)) >> (bit & 7u);
}

static uint32_t take_raw(const dcg_weights *w, cursor *c, uint32_t bits) {
    uint32_t value = peek(w, c->bit) & ((1u << bits) - 1u);
    c->bit += bits;
    return value;
}

/* Next symbol of a code << 4 | its length, 0 where no code begins with these bits. */
static uint32_t take_symbol(const dcg_weights *w, cursor *c, const uint16_t *table) {
    uint32_t entry = table[peek(w, c->bit) & (DCG_TABLE_ENTRIES - 1u)];
    c->bit += entry & 15u;
    return entry;
}

/* Reads any entry: the zeros before it to w->gap, its weight to w->held. */
static dcg_status read_entry(dcg_weights *w, cursor *c) {
    uint32_t level, entry = take_symbol(w, c, w->table);
    if (entry == 0) return DCG_ERR_CODE;
    uint32_t symbol = entry >> 4;
    if (w->coding == DCG_CODING_JOINT) {
        if (symbol == DCG_ESCAPE) {
            w->gap = take_raw(w, c, w->run_bits);
            level = take_raw(w, c, w->level_bits);
        } else {
            w->gap = symbol >> w->level_bits;
            level = symbol & ((1u << w->level_bits) - 1u);
        }
    } else {
        w->gap = symbol;
        entry = take_symbol(w, c, w->table2);
        if (entry == 0) return DCG_ERR_CODE;
        level = entry >> 4;
    }
    if (c->bit > w->end_bit) return DCG_ERR_STREAM;
    if (level >= w->n_levels) return DCG_ERR_LEVEL;
    w->held = w->levels[level];
    c->entries--;
    return DCG_OK;
}

/* Reads joint entries, most of all there are, as long as nothing is special: no escape, no defect, no filler,
 * no new place in the kernel. No entry has more than 32 bits, so with as many left in the stream each may be
 * read unchecked. */
static inline void read_plain_entries(const dcg_weights *w, cursor *c, uint32_t *counts) {
    const uint8_t *stream = w->stream;
    const uint16_t *table = w->table;
    const int16_t *levels = w->levels;
    uint32_t bit = c->bit, left = c->left, word = c->word, step = w->channel_step;
    uint32_t run_shift = w->level_bits + 4u, level_mask = (1u << w->level_bits) - 1u;
    uint32_t room = (w->end_bit - bit) / 32u, count = w->max_taps - c->n_taps;
    if (count > c->entries) count = c->entries;
    if (count > room) count = room;
    uint32_t *first = w->list + 2u * c->n_taps, *tap = first;
    for (const uint32_t *end = tap + 2u * count; tap < end; tap += 2) {
        uint32_t entry = table[dcg_load_u32(stream + (bit >> 3)) >> (bit & 7u) & (DCG_TABLE_ENTRIES - 1u)];
        if (entry >= DCG_ESCAPE << 4) break; /* where there is no code, entry and weight are 0 */
        uint32_t run = entry >> run_shift;
        int32_t weight = levels[entry >> 4 & level_mask];
        if (run >= left || weight == 0) break;
        bit += entry & 15u;
        left -= run + 1u;
        word += run * step;
        tap[0] = word;
        tap[1] = (uint32_t)weight;
        word += step;
        if (counts != NULL) counts[weight]++;
    }
    count = (uint32_t)(tap - first) / 2u;
    c->bit = bit;
    c->left = left;
    c->word = word;
    c->entries -= count;
    c->n_taps += count;
}

/* Two loops, as both need all registers to themselves. */
static DCG_APART void read_plain(const dcg_weights *w, cursor *c) {
    read_plain_entries(w, c, NULL);
}

static DCG_APART void read_counting(const dcg_weights *w, cursor *c) {
    read_plain_entries(w, c, w->counts);
}

/* First word of a tap of channel 0 at a place in the kernel. */
static uint32_t place_word(const dcg_weights *w, uint32_t place) {
    const dcg_node *node = w->node;
    uint32_t plane_words = w->plane_words;
    const dcg_packing *p = &node->packing;
    if (plane_words == 0) return place << 16;
    uint32_t ky = place / node->kernel_w, kx = place - ky * node->kernel_w;
    uint32_t row = ky / node->stride_h, column = kx / node->stride_w;
    uint32_t plane = (ky - row * node->stride_h) * p->phases_w + (kx - column * node->stride_w);
    return 4u * plane * plane_words + w->position_step * (row * p->pitch + column);
}

dcg_status dcg_weights_next(dcg_weights *w) {
    uint32_t places = (uint32_t)w->node->kernel_h * w->node->kernel_w, place = 0;
    cursor c = {w->bit, w->entries_left, w->group_channels, place_word(w, 0), 0};
    w->weights_after -= w->group_channels * places;
    for (uint32_t i = 0; i < w->n_counts; i++)
        w->counts[i] = 0;
    for (;;) {
        if (!w->holding) {
            if (w->coding == DCG_CODING_JOINT) (w->counts != NULL ? read_counting : read_plain)(w, &c);
            if (c.entries == 0) break;
            dcg_status status = read_entry(w, &c);
            if (status != DCG_OK) return status;
            w->holding = 1;
        }
        while (w->gap >= c.left && place < places) {
            w->gap -= c.left;
            c.left = w->group_channels;
            if (++place < places) c.word = place_word(w, place);
        }
        if (place == places) { /* belongs to a later filter */
            if (w->gap >= w->weights_after) return DCG_ERR_POSITION;
            break;
        }
        w->holding = 0;
        c.left -= w->gap + 1u;
        c.word += w->gap * w->channel_step;
        if (w->held != 0) {                                    /* no filler */
            if (c.n_taps == w->max_taps) return DCG_ERR_LAYER; /* states fewer than it has */
            uint32_t *tap = w->list + 2u * c.n_taps++;
            tap[0] = c.word;
            tap[1] = (uint32_t)(int32_t)w->held;
            if (w->counts != NULL) w->counts[w->held]++;
        }
        c.word += w->channel_step;
    }
    w->bit = c.bit;
    w->entries_left = c.entries;
    w->n_taps = c.n_taps;
    return DCG_OK;
}

dcg_status dcg_weights_close(const dcg_weights *w) {
    return w->bit == w->end_bit ? DCG_OK : DCG_ERR_STREAM;
}

/* Returns the largest magnitude. */
static uint16_t load_levels(int16_t *levels, const uint8_t *stored, uint32_t n_levels, uint32_t level_bytes) {
    levels[0] = 0;
    for (uint32_t i = 1; i < n_levels; i++, stored += level_bytes)
        levels[i] = level_bytes == 1u ? dcg_load_i8(stored) : dcg_load_i16(stored);
    for (uint32_t i = n_levels; i < DCG_MAX_LEVELS; i++)
        levels[i] = 0; /* read_plain_entries leaves them to read_entry, as it does fillers */
    int32_t largest = 0;
    for (uint32_t i = 0; i < n_levels; i++) {
        int32_t size = levels[i] < 0 ? -levels[i] : levels[i];
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
    uint16_t *tables = (void *)(arena + scratch->tables);
    int16_t *levels = (void *)(arena + scratch->levels);

    w->coding = dcg_conv_header_coding(header);
    w->n_levels = dcg_conv_header_n_levels(header);
    w->level_bits = dcg_conv_header_level_bits(header);
    w->run_bits = dcg_conv_header_run_bits(header);
    w->largest = load_levels(levels, record->levels, w->n_levels, dcg_conv_header_level_bytes(header));
    dcg_table_build(record->table, dcg_conv_header_table_bytes(header), tables);
    w->table2 = NULL;
    if (w->coding == DCG_CODING_GAPS) {
        dcg_table_build(record->table2, dcg_conv_header_table2_bytes(header), tables + DCG_TABLE_ENTRIES);
        w->table2 = tables + DCG_TABLE_ENTRIES;
    }
    w->stream = record->stream;
    w->table = tables;
    w->levels = levels;
    w->node = node;
    w->list = (void *)(arena + scratch->list);
    w->n_taps = 0;
    w->counts = NULL;
    w->n_counts = 0;
    w->max_taps = dcg_conv_header_max_filter_entries(header);
    w->bit = 0;
    w->end_bit = dcg_conv_header_stream_bits(header);
    w->entries_left = dcg_conv_header_n_entries(header);
    w->gap = 0;
    w->held = 0;
    w->holding = 0;
    w->group_channels = (uint32_t)dcg_input(job, 0)->channels / node->groups;
    w->weights_after = w->group_channels * node->kernel_h * node->kernel_w * node->out_channels;
    dcg_weights_pack(w, 0, 0);
}

void dcg_weights_pack(dcg_weights *w, uint32_t plane_words, int bytes) {
    const dcg_packing *p = &w->node->packing;
    w->plane_words = plane_words;
    w->position_step = bytes ? 1u : 4u;
    w->channel_step = plane_words == 0 ? 1u : 4u * plane_words * p->phases_h * p->phases_w;
}
