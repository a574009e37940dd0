/* The decoder's inner loops in portable C. */
#include "dcg_reader.h"

#if !DCG_DSP
static inline uint32_t read_plain(dcg_reader *reader, int chains) {
    dcg_reader r = *reader;
    uint32_t stopped_by = DCG_ENTRY_OTHER;
    while (r.n < r.end) {
        uint32_t bits = dcg_load_u32(r.stream + (r.bit >> 3)) >> (r.bit & 7u);
        uint32_t entry = r.table[bits % DCG_TABLE_WORDS];
        if (entry >> 16 > r.left) {
            stopped_by = entry;
            break;
        }
        r.bit += entry & 0xFFu;
        r.left -= entry >> 16;
        int32_t weight = r.levels[entry >> 8 & 0xFFu];
        if (chains)
            dcg_chain_tap(&r, weight);
        else
            dcg_list_tap(&r, weight);
    }
    *reader = r;
    return stopped_by;
}

uint32_t dcg_read_list(dcg_reader *reader) {
    return read_plain(reader, 0);
}

uint32_t dcg_read_chains(dcg_reader *reader) {
    return read_plain(reader, 1);
}
#endif
