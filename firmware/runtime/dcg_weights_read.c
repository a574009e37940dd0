/* The decoder's inner loops in portable C. */
#include "dcg_weights_read.h"

#if !(DCG_DSP && DCG_UNALIGNED)
static inline uint32_t read_plain(dcg_weights_reader *reader, uint32_t form) {
    dcg_weights_reader r = *reader; /* in registers */
    uint32_t later_place = 0;
    while (r.n < r.end) {
        uint32_t bits = dcg_load_u32(r.stream + (r.bit >> 3)) >> (r.bit & 7u);
        uint32_t entry = dcg_weights_entry_at(r.table, r.mask, bits), span = dcg_weights_entry_span(entry);
        if (entry >= DCG_TABLE_OTHER && entry < DCG_TABLE_FILLER) break;
        later_place = span > r.left;
        if (later_place) break;
        r.bit += entry & 0xFFu;
        r.left -= span;
        int32_t weight = r.levels[entry >> 8 & 0xFFu];
        if (entry >= DCG_TABLE_FILLER)
            r.end--;
        else
            dcg_weights_tap(&r, form, weight);
    }
    *reader = r;
    return later_place;
}

uint32_t dcg_weights_read_list(dcg_weights_reader *reader) {
    return read_plain(reader, DCG_WEIGHTS_LIST);
}

uint32_t dcg_weights_read_chains(dcg_weights_reader *reader) {
    return read_plain(reader, DCG_WEIGHTS_CHAINS);
}

uint32_t dcg_weights_read_array(dcg_weights_reader *reader) {
    return read_plain(reader, DCG_WEIGHTS_ARRAY);
}
#endif
