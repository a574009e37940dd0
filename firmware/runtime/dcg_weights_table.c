/* Canonical Huffman codes: from packed code lengths to a table that decodes an entry by one or two look-ups.
 *
 * A canonical code is given by its lengths alone: codes of one length are consecutive numbers in the order of
 * the symbols, and the first code of a length follows the last one of the length before (RFC 1951, 3.2.2).
 * Lengths are packed as nibbles with repeats, see docs/blob-format.md of dcgen. They are unpacked twice and
 * never stored: once to count the codes of each length, once to hand the codes out. */
#include "dcg_internal.h"

#define PACKED_HEADER_BYTES 4u

/* Unpacks a table, run by run: symbols one after the other whose codes have the same length. */
typedef struct lengths {
    const uint8_t *packed;
    uint32_t nibble;  /* the next nibble, counted from the table's start */
    uint32_t end;     /* nibbles of the table */
    uint32_t repeats; /* symbols of the run read last */
    uint8_t length;   /* of their codes, in bits; 0 for no code */
    uint8_t broken;   /* whether nibbles ran out, or the first token repeated nothing */
} lengths;

/* How many symbols the table lists, and the length of the code of DCG_ESCAPE, which it does not list. */
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
    l->length = 0;
    l->broken = 0;
}

static inline uint32_t next_nibble(lengths *l) {
    if (l->nibble >= l->end) {
        l->broken = 1;
        return 0;
    }
    uint32_t value = (uint32_t)l->packed[l->nibble >> 1] >> (4u * (l->nibble & 1u)) & 15u;
    l->nibble++;
    return value;
}

/* Reads the next run. */
static inline void next_run(lengths *l) {
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

/* Counts the codes of each length; count[0] is symbols without one. A run that lists more symbols than there
 * are breaks the table. */
static void count_lengths(lengths *all, uint32_t symbols, uint32_t count[DCG_MAX_CODE_BITS + 1]) {
    lengths l = *all; /* in registers */
    for (uint32_t n = 0; n <= DCG_MAX_CODE_BITS; n++)
        count[n] = 0;
    while (symbols > 0 && !l.broken) {
        next_run(&l);
        if (l.repeats > symbols) l.broken = 1;
        count[l.length] += l.repeats;
        symbols -= l.repeats;
    }
    *all = l;
}

/* Where a decoding table has each code. Its first level, 2^bits words, is entered by a code's first bits, its
 * prefix. A prefix of codes longer than that has a second level, as large as the longest of its codes asks
 * for. As longer codes have greater numbers, their prefixes are the last ones, and their second levels lie
 * one behind the other in the same order. */
typedef struct layout {
    uint32_t bits;                          /* of a prefix */
    uint32_t next[DCG_MAX_CODE_BITS + 1];   /* [length] the code that the next symbol of this length gets */
    uint32_t prefix[DCG_MAX_CODE_BITS + 1]; /* [length > bits] prefix of the first code of this length */
    uint32_t second[DCG_MAX_CODE_BITS + 1]; /* [length > bits] where that prefix has its second level, in
                                             * words, if no longer code shares it */
    uint32_t words;                         /* of the whole table */
    uint32_t end;                           /* the code of the greatest length that would be next */
} layout;

/* count: codes of each length */
static layout lay_out(const uint32_t count[DCG_MAX_CODE_BITS + 1], uint32_t bits) {
    layout l = {.bits = bits, .words = 1u << bits};
    uint32_t end = 0; /* the code behind the last one of a length */
    for (uint32_t n = 1; n <= DCG_MAX_CODE_BITS; n++) {
        l.next[n] = end << 1;
        end = l.next[n] + count[n];
        if (n <= bits) continue;
        /* Prefixes whose longest code has n bits: prefix[n] .. whole - 1. One that longer codes share is
         * theirs. */
        uint32_t width = n - bits, whole = end >> width;
        if (n == DCG_MAX_CODE_BITS) whole = (end + (1u << width) - 1u) >> width;
        l.prefix[n] = l.next[n] >> width;
        l.second[n] = l.words;
        l.words += (whole - l.prefix[n]) << width;
    }
    l.end = end;
    return l;
}

dcg_status dcg_weights_table_check(const uint8_t *packed, uint32_t bytes, uint32_t symbols, int escape,
                                   const dcg_scratch *scratch) {
    if (bytes < PACKED_HEADER_BYTES) return DCG_ERR_TABLE;
    uint32_t escape_length = packed_escape_length(packed);
    if (packed_symbols(packed) > symbols || packed[3] != 0) return DCG_ERR_TABLE;
    if (escape_length > (escape ? DCG_MAX_CODE_BITS : 0u)) return DCG_ERR_TABLE;

    lengths l;
    uint32_t count[DCG_MAX_CODE_BITS + 1];
    lengths_open(&l, packed, bytes);
    count_lengths(&l, packed_symbols(packed), count);
    if (l.broken) return DCG_ERR_TABLE;
    if ((l.nibble & 1u) != 0 && next_nibble(&l) != 0) return DCG_ERR_TABLE; /* padding */
    if (l.nibble != l.end) return DCG_ERR_TABLE;

    count[escape_length]++;
    uint32_t used = 0; /* Kraft sum, in codes of the greatest length */
    for (uint32_t n = 1; n <= DCG_MAX_CODE_BITS; n++)
        used += count[n] << (DCG_MAX_CODE_BITS - n);
    if (used > 1u << DCG_MAX_CODE_BITS) return DCG_ERR_TABLE;
    return lay_out(count, scratch->table_bits).words > scratch->table_words ? DCG_ERR_CAPACITY : DCG_OK;
}

/* A code with its bits in the order of the stream, where the first one is lowest. length: 1 .. 12 */
static inline uint32_t reversed(uint32_t code, uint32_t length) {
#if DCG_DSP
    uint32_t bits;
    __asm__("  rbit %0, %1\n" : "=r"(bits) : "r"(code));
    return bits >> (32u - length);
#else
    uint32_t r = (code & 0x5555u) << 1 | (code >> 1 & 0x5555u);
    r = (r & 0x3333u) << 2 | (r >> 2 & 0x3333u);
    r = (r & 0x0F0Fu) << 4 | (r >> 4 & 0x0F0Fu);
    r = (r & 0x00FFu) << 8 | r >> 8;
    return r >> (16u - length);
#endif
}

/* Writes an entry to each place of a level whose index begins with a code.
 *
 * level   uint32_t[2^bits], the first or a second level of the table
 * code    of length bits, the first one highest; length is at most bits */
static inline void fill(uint32_t *level, uint32_t bits, uint32_t code, uint32_t length, uint32_t entry) {
    for (uint32_t i = reversed(code, length); i < 1u << bits; i += 1u << length)
        level[i] = entry;
}

/* Writes the entry of a code that is longer than l->bits to the code's places in the table. */
static void place_second(const layout *l, uint32_t *table, uint32_t code, uint32_t length, uint32_t entry) {
    uint32_t rest = length - l->bits, prefix = code >> rest, longest = length;
    while (longest < DCG_MAX_CODE_BITS && prefix >= l->prefix[longest + 1u])
        longest++;
    uint32_t width = longest - l->bits;
    uint32_t second = l->second[longest] + ((prefix - l->prefix[longest]) << width);
    table[reversed(prefix, l->bits)] = DCG_TABLE_SECOND | second << 16 | ((1u << width) - 1u) << 8 | l->bits;
    fill(table + second, width, code & ((1u << rest) - 1u), rest, entry);
}

/* The same of any code. */
static inline void place(const layout *l, uint32_t *table, uint32_t code, uint32_t length, uint32_t entry) {
    if (length <= l->bits)
        fill(table, l->bits, code, length, entry);
    else
        place_second(l, table, code, length, entry);
}

void dcg_weights_table_build(const uint8_t *packed, uint32_t bytes, uint32_t level_bits,
                             const int16_t *levels, uint32_t n_levels, uint32_t table_bits, uint32_t *table) {
    lengths l;
    uint32_t count[DCG_MAX_CODE_BITS + 1];
    uint32_t symbols = packed_symbols(packed), escape_length = packed_escape_length(packed);
    lengths_open(&l, packed, bytes);
    count_lengths(&l, symbols, count);
    count[escape_length]++; /* the last symbol of its length */
    layout codes = lay_out(count, table_bits);
    if (codes.end != 1u << DCG_MAX_CODE_BITS) /* else every sequence of bits begins with a code */
        for (uint32_t i = 0; i < codes.words; i++)
            table[i] = DCG_TABLE_OTHER;
    lengths left; /* in registers */
    lengths_open(&left, packed, bytes);
    for (uint32_t s = 0; s < symbols;) {
        next_run(&left);
        uint32_t length = left.length, end = s + left.repeats, code = codes.next[length];
        if (length != 0) {
            codes.next[length] = code + left.repeats;
            for (; s < end; s++, code++) {
                uint32_t level = s & ((1u << level_bits) - 1u);
                uint32_t entry = ((s >> level_bits) + 1u) << 16 | level << 8 | length;
                if (levels != NULL && level >= n_levels)
                    entry = DCG_TABLE_OTHER | s << 8 | length;
                else if (levels != NULL && levels[level] == 0)
                    entry |= DCG_TABLE_FILLER;
                place(&codes, table, code, length, entry);
            }
        }
        s = end;
    }
    if (escape_length != 0)
        place(&codes, table, codes.next[escape_length], escape_length,
              DCG_TABLE_OTHER | DCG_ESCAPE << 8 | escape_length);
}
