/* Convolution by events: kernels of one position over an input that is mostly zero, as rectified ones are.
 * Only the bytes that are not zero, the events, are multiplied (EIE: Han et al. 2016, section III, which
 * skips zeros in hardware).
 *
 * Each channel's events are listed once, with their values and with where their positions' sums are. A
 * filter's sums lie in memory; each of its taps walks the list of its channel. Whether that is faster depends
 * on the picture, so a sample of the input decides whether lists are made, and they are given up where they
 * grow too long. */
#include "dcg_conv_packed.h"

/* How a list says where word i behind base is: for assembly its address, for portable C the number i. */
#if DCG_DSP
static uint32_t place(const uint32_t *base, uint32_t i) {
    return (uint32_t)(uintptr_t)(base + i);
}
#else
static uint32_t place(const uint32_t *base, uint32_t i) {
    (void)base;
    return i;
}
#endif

/* ---- Lists ---- */

/* Lists under construction, see dcg_conv_events_entry: groups of events, each behind its entry. A channel's
 * list ends with a group of none. */
typedef struct lister {
    const dcg_conv_events *events;
    uint32_t *at;        /* behind the last complete group */
    const uint32_t *end; /* of the memory for lists */
    uint32_t *entry;     /* entry of the present group */
    uint32_t count;      /* events in it */
} lister;

/* Begins a group, if a full one and what ends its channel's list and all lists find room. */
static int open_group(lister *l) {
    if (l->end - l->at < 3 + 2 * (int)DCG_EVENT_GROUP) return 0;
    l->entry = l->at;
    l->count = 0;
    return 1;
}

/* Adds an event to the present group, which has room for it. Of DCG_EVENTS_BESIDE events, first come the
 * places of their sums, then their values.
 *
 * value  1 .. 255, or 0 to fill a vector up */
static void put_event(lister *l, uint32_t position, uint32_t value) {
    uint32_t *at = l->entry + 1 + l->count + l->count / DCG_EVENTS_BESIDE * DCG_EVENTS_BESIDE;
    at[0] = place(l->events->sums, position);
    at[DCG_EVENTS_BESIDE] = value;
    l->count++;
}

/* Ends the present group. Its last vector is filled up with events of value 0 at the sum that is no
 * position's. */
static void close_group(lister *l) {
    while (l->count % DCG_EVENTS_BESIDE != 0)
        put_event(l, 8u * l->events->eights, 0);
    *l->entry = dcg_conv_events_entry[l->count];
    l->at = l->entry + 1 + 2u * l->count;
}

/* Bytes i .. i + 3 of a plane of count bytes, the first one lowest; 0 where it has ended. */
static uint32_t word_at(const uint8_t *plane, uint32_t i, uint32_t count) {
    if (count - i >= 4u) return dcg_load_u32(plane + i);
    uint32_t word = 0;
    for (uint32_t k = count; k > i; k--)
        word = word << 8 | plane[k - 1u];
    return word;
}

/* Bytes of a channel that lie one behind the other in memory. */
typedef struct piece {
    const uint8_t *bytes;
    uint32_t first; /* position of the first one */
    uint32_t count; /* bytes, 0 or more */
} piece;

/* Where a step's input lies: in two pieces a channel, up to the end of the tensor's ring of rows, and from
 * its beginning on. */
typedef struct pieces {
    piece first[2]; /* the first channel's */
    uint32_t next;  /* bytes from one channel's to the next one's */
} pieces;

static pieces find_pieces(const dcg_job *job) {
    const dcg_tensor *in = dcg_input(job, 0);
    uint32_t rows = in->rows - job->first_row % in->rows;
    if (rows > job->n_rows) rows = job->n_rows;
    uint32_t before = rows * in->row_stride, behind = (job->n_rows - rows) * in->row_stride;
    const pieces p = {{{dcg_input_row(job, 0, 0, job->first_row), 0, before},
                       {dcg_input_row(job, 0, 0, job->first_row + rows), before, behind}},
                      in->channel_stride};
    return p;
}

static piece piece_of(const pieces *p, uint32_t channel, uint32_t which) {
    piece found = p->first[which];
    found.bytes += channel * p->next;
    return found;
}

/* Lists a piece's events. Returns 0 where they do not find room. */
static int put_piece(lister *l, piece p) {
    for (uint32_t i = 0; i < p.count; i += 4u) {
        uint32_t position = p.first + i;
        for (uint32_t word = word_at(p.bytes, i, p.count); word != 0; word >>= 8, position++) {
            if ((word & 0xFFu) == 0) continue;
            if (l->count == DCG_EVENT_GROUP) {
                close_group(l);
                if (!open_group(l)) return 0;
            }
            put_event(l, position, word & 0xFFu);
        }
    }
    return 1;
}

/* Lists all of a channel's events, likewise. A channel without any has one group of none. */
static int put_channel(lister *l, const pieces *p, uint32_t channel) {
    if (!open_group(l) || !put_piece(l, piece_of(p, channel, 0)) || !put_piece(l, piece_of(p, channel, 1)))
        return 0;
    close_group(l);
    if (l->count != 0) *l->at++ = dcg_conv_events_entry[0];
    return 1;
}

/* Whether one word of the input in DCG_SAMPLED, other ones in each channel, has few enough events: lists take
 * two words an event and about one more for four events, and may have one for DCG_BYTES_A_WORD bytes of
 * input. */
static int seems_sparse(const dcg_job *job) {
    uint32_t seen = 0, events = 0;
    const pieces p = find_pieces(job);
    for (uint32_t c = 0; c < dcg_input(job, 0)->channels; c++)
        for (uint32_t k = 0; k < 2u; k++) {
            const piece at = piece_of(&p, c, k);
            for (uint32_t i = 4u * (c % DCG_SAMPLED); i + 4u <= at.count; i += 4u * DCG_SAMPLED, seen += 4u)
                for (uint32_t word = dcg_load_u32(at.bytes + i); word != 0; word >>= 8)
                    events += (word & 0xFFu) != 0;
        }
    return seen != 0 && DCG_BYTES_A_WORD * (2u * events + events / 4u) <= seen;
}

int dcg_conv_events_suit(dcg_conv_events *events, const dcg_job *job, uint32_t positions) {
    const dcg_packing *packing = &job->node->packing;
    uint32_t channels = dcg_input(job, 0)->channels, eights = (positions + 7u) / 8u;
    uint32_t most = channels * positions / DCG_BYTES_A_WORD + channels; /* words that lists may take */
    uint32_t before = 8u * eights + 1u + channels + 1u;                 /* words of sums and starts */
    if (job->node->groups != 1u || !dcg_conv_is_plain(job) || packing->words < before) return 0;
    if (!seems_sparse(job)) return 0;
    if (most > packing->words - before) most = packing->words - before;
    events->sums = (void *)(job->net->arena + packing->planes);
    events->eights = eights;
    uint32_t *starts = events->sums + 8u * eights + 1u, *lists = starts + channels + 1u;
    events->starts = starts;
    events->lists = lists;
    lister l = {.events = events, .at = lists, .end = lists + most};
    const pieces p = find_pieces(job);
    for (uint32_t c = 0; c < channels; c++) {
        starts[c] = place(lists, (uint32_t)(l.at - lists));
        if (!put_channel(&l, &p, c)) return 0;
    }
    starts[channels] = place(lists, (uint32_t)(l.at - lists));
    *l.at = dcg_conv_events_entry[DCG_EVENTS_DONE];
    return 1;
}

/* ---- The kernel in portable C ---- */

#if !DCG_DSP
const uint32_t dcg_conv_events_entry[DCG_EVENTS_DONE + 1] = {0, 1, 2, 3, 4, 5, 6, 7, 8, DCG_EVENTS_DONE};

/* Adds a channel's events times a weight to the sums of their positions.
 *
 * at  the channel's list
 *
 * Returns 0 where at is the end of all lists: the filter's last tap has been passed. */
static int add_channel(uint32_t *sums, const uint32_t *at, uint32_t weight) {
    for (uint32_t count = *at++; count != 0; count = *at++) {
        if (count == DCG_EVENTS_DONE) return 0;
        for (; count > 0; count -= DCG_EVENTS_BESIDE, at += 2u * DCG_EVENTS_BESIDE)
            for (uint32_t i = 0; i < DCG_EVENTS_BESIDE; i++)
                sums[at[i]] += weight * at[DCG_EVENTS_BESIDE + i];
    }
    return 1;
}

void dcg_conv_events_run(dcg_conv_events *e) {
    uint32_t *sums = e->sums;
    for (uint32_t i = 0; i < 8u * e->eights; i++)
        sums[i] = e->bias;
    const uint32_t *tap = e->list;
    while (add_channel(sums, e->lists + e->starts[tap[0] / 4u], tap[1]))
        tap += 2;
    uint8_t *out = (void *)sums; /* a byte is written where its sum, or an earlier one, has been read */
    for (uint32_t i = 0; i < 8u * e->eights; i++)
        out[i] = dcg_requantize(dcg_signed(sums[i]), e->requant);
}
#endif
