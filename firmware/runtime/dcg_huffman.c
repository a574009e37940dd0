/* Canonical Huffman codes: from packed code lengths to a table that decodes an entry by one look-up.
 *
 * A canonical code is fixed by its lengths: codes of one length are consecutive numbers given out in
 * the order of the symbols, and the first code of a length follows the last one of the length before
 * (RFC 1951, 3.2.2). Lengths are packed as nibbles with repeats, so that a table costs the blob
 * little; see the blob's documentation. They are walked twice, once to count and once to hand out
 * codes, and never stored.
 */
#include "dcg_internal.h"

#define PACKED_HEADER_BYTES 4u

/* Walks a packed table, one length a symbol. */
typedef struct lengths {
    const uint8_t *packed;
    uint32_t nibble, end; /* the next nibble and the end, counted from the table's start */
    uint32_t repeats;     /* how often length comes again before another nibble is read */
    uint8_t length;
    uint8_t broken; /* ran out of nibbles, or repeated nothing */
} lengths;

static uint32_t packed_symbols(const uint8_t *packed) {
    return dcg_load_u16(packed);
}
static uint32_t packed_escape_length(const uint8_t *packed) {
    return packed[2];
}

static void lengths_open(lengths *l, const uint8_t *packed, uint32_t bytes) {
    l->packed = packed;
    l->nibble = 2u * PACKED_HEADER_BYTES;
    l->end = 2u * bytes;
    l->repeats = 0;
    l->length = 0;
    l->broken = 0;
}

static uint32_t next_nibble(lengths *l) {
    if (l->nibble >= l->end) {
        l->broken = 1;
        return 0;
    }
    uint32_t value = (uint32_t)l->packed[l->nibble >> 1] >> (4u * (l->nibble & 1u)) & 15u;
    l->nibble++;
    return value;
}

/* Length of the next symbol's code, 0 for no code. */
static uint32_t next_length(lengths *l) {
    if (l->repeats == 0) {
        int first = l->nibble == 2u * PACKED_HEADER_BYTES;
        uint32_t token = next_nibble(l);
        l->repeats = 1;
        if (token <= DCG_MAX_CODE_BITS) {
            l->length = (uint8_t)token;
        } else if (token == 14u) {
            if (first) l->broken = 1; /* there is no previous length */
            l->repeats = next_nibble(l) + 3u;
        } else {
            l->length = 0;
            l->repeats = next_nibble(l) + 3u;
            if (token == 15u) l->repeats += 16u * (next_nibble(l) + 1u);
        }
    }
    l->repeats--;
    return l->length;
}

/* Codes of each length, 1 .. DCG_MAX_CODE_BITS. */
static void count_lengths(lengths *l, uint32_t symbols, uint32_t count[DCG_MAX_CODE_BITS + 1]) {
    for (uint32_t n = 0; n <= DCG_MAX_CODE_BITS; n++)
        count[n] = 0;
    for (uint32_t s = 0; s < symbols && !l->broken; s++)
        count[next_length(l)]++;
}

dcg_status dcg_table_check(const uint8_t *packed, uint32_t bytes, uint32_t symbols, int escape) {
    if (bytes < PACKED_HEADER_BYTES) return DCG_ERR_TABLE;
    uint32_t escape_length = packed_escape_length(packed);
    if (packed_symbols(packed) > symbols || packed[3] != 0) return DCG_ERR_TABLE;
    if (escape_length > (escape ? DCG_MAX_CODE_BITS : 0u)) return DCG_ERR_TABLE;

    lengths l;
    uint32_t count[DCG_MAX_CODE_BITS + 1];
    lengths_open(&l, packed, bytes);
    count_lengths(&l, packed_symbols(packed), count);
    if (l.broken || l.repeats != 0) return DCG_ERR_TABLE;
    if ((l.nibble & 1u) != 0 && next_nibble(&l) != 0) return DCG_ERR_TABLE; /* padding */
    if (l.nibble != l.end) return DCG_ERR_TABLE;

    count[escape_length]++;
    uint32_t used = 0; /* Kraft sum, in entries of the full table */
    for (uint32_t n = 1; n <= DCG_MAX_CODE_BITS; n++)
        used += count[n] << (DCG_MAX_CODE_BITS - n);
    return used > 1u << DCG_MAX_CODE_BITS ? DCG_ERR_TABLE : DCG_OK;
}

/* The stream holds a code's first bit lowest, canonical codes have it highest. */
static uint32_t reversed(uint32_t code, uint32_t length) {
    uint32_t r = 0;
    for (uint32_t i = 0; i < length; i++)
        r |= (code >> i & 1u) << (length - 1u - i);
    return r;
}

/* A table under construction. */
typedef struct builder {
    uint32_t *table;
    uint32_t level_bits;
    const int16_t *levels; /* NULL: none is zero */
    uint32_t n_levels;
} builder;

/* What stands where a code of this symbol begins, if the table is long enough to tell. */
static uint32_t entry_of(const builder *b, uint32_t symbol, uint32_t length) {
    uint32_t level = symbol & ((1u << b->level_bits) - 1u);
    if (symbol == DCG_ESCAPE || (b->levels != NULL && level >= b->n_levels))
        return DCG_ENTRY_OTHER | 3u << DCG_ENTRY_FOUND_AT | length << 24 | symbol << 12 | symbol;
    uint32_t kind = b->levels != NULL && b->levels[level] == 0 ? DCG_ENTRY_FILLER : 0u;
    return kind | ((symbol >> b->level_bits) + 1u) << 16 | level << 8 | length;
}

/* Gives a symbol every entry whose low bits are its code. Two codes of the greatest length share one. */
static void place(const builder *b, uint32_t symbol, uint32_t code, uint32_t length) {
    uint32_t bits = reversed(code, length);
    if (length == DCG_MAX_CODE_BITS) {
        uint32_t half = bits / DCG_TABLE_WORDS;
        b->table[bits % DCG_TABLE_WORDS] |=
            1u << (DCG_ENTRY_FOUND_AT + half) | length << 24 | symbol << (12u * half);
        return;
    }
    uint32_t entry = entry_of(b, symbol, length);
    for (uint32_t i = bits; i < DCG_TABLE_WORDS; i += 1u << length)
        b->table[i] = entry;
}

void dcg_table_build(const uint8_t *packed, uint32_t bytes, uint32_t level_bits, const int16_t *levels,
                     uint32_t n_levels, uint32_t *table) {
    lengths l;
    builder b = {table, level_bits, levels, n_levels};
    uint32_t count[DCG_MAX_CODE_BITS + 1], next[DCG_MAX_CODE_BITS + 1];
    uint32_t symbols = packed_symbols(packed), escape_length = packed_escape_length(packed);
    lengths_open(&l, packed, bytes);
    count_lengths(&l, symbols, count);
    count[escape_length]++; /* the last symbol of its length */
    count[0] = 0;
    next[0] = 0;
    for (uint32_t n = 1; n <= DCG_MAX_CODE_BITS; n++)
        next[n] = (next[n - 1] + count[n - 1]) << 1;

    for (uint32_t i = 0; i < DCG_TABLE_WORDS; i++)
        table[i] = DCG_ENTRY_OTHER;
    lengths_open(&l, packed, bytes);
    for (uint32_t s = 0; s < symbols; s++) {
        uint32_t length = next_length(&l);
        if (length != 0) place(&b, s, next[length]++, length);
    }
    if (escape_length != 0) place(&b, DCG_ESCAPE, next[escape_length], escape_length);
}
