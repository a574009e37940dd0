/* Convolution on packed planes: strip by strip the input is packed, then each filter is decoded and computed
 * over the strip by the kernel that suits the layer; or by events, where the input is mostly zero. */
#include "dcg_conv_packed.h"

/* One strip of a layer at work. */
typedef struct work {
    const dcg_job *job;
    const dcg_conv_record *record;
    dcg_conv_strip strip;
    dcg_weights weights;      /* decoder of the layer's filters; holds the taps of the filter decoded last */
    dcg_conv_classes classes; /* of the layer's levels; set where the strip is packed as DCG_PACKED_FOURS */
    const uint8_t *planes;    /* the packed strip */
} work;

/* One filter of it, but for its taps. */
typedef struct filter {
    const uint8_t *words; /* the packed plane of the first channel that the filter reads, its group's */
    uint32_t bias;
    dcg_requant requant;
} filter;

/* Where a kernel on planes writes the outputs of a filter over a strip, before they go to their rows. */
static uint8_t *line_of(const dcg_job *job) {
    return job->net->arena + job->node->packing.line;
}

/* Positions of a step's outputs, those between the rows included. */
static uint32_t step_positions(const dcg_job *job) {
    return (job->n_rows - 1u) * job->node->packing.pitch + job->node->out_width;
}

/* Positions of a strip up to the step's last. */
static uint32_t positions_of(const work *w) {
    uint32_t left = step_positions(w->job) - w->strip.first;
    return left < w->strip.count ? left : w->strip.count;
}

/* ---- One filter, by each kernel on planes ---- */

/* Words ahead of a filter's taps for the list that the direct kernel makes of them. */
static uint32_t direct_room(const dcg_net *net) {
    const dcg_scratch *scratch = &net->plan->scratch;
    return (scratch->runs - scratch->list) / 4u - 2u * scratch->tap_capacity;
}

static void run_direct(const work *w, const filter *f) {
    uint8_t *line = line_of(w->job);
    dcg_conv_direct direct = {
        .mult = f->requant.mult,
        .zero_point = f->requant.zero_point,
        .low = line,
        .high = line + w->strip.count / DCG_PACKED_PAIRS,
        .words = f->words,
        .passes = w->strip.count / DCG_AT_ONCE,
        .bias = f->bias,
        .taps = w->weights.list,
        .n_taps = w->weights.n_taps,
        .requant = &f->requant,
    };
    dcg_conv_direct_run(&direct, direct_room(w->job->net), w->weights.largest);
}

static void run_levels(const work *w, const filter *f) {
    dcg_conv_levels levels; /* large, so that fields are set one by one, which leaves the others alone */
    levels.mult = f->requant.mult;
    levels.zero_point = f->requant.zero_point;
    levels.out = line_of(w->job);
    levels.quarter = w->strip.count / DCG_PACKED_FOURS;
    levels.words = f->words;
    levels.passes = w->strip.count / DCG_AT_ONCE;
    levels.bias = f->bias;
    levels.requant = &f->requant;
    uint32_t complement = dcg_conv_planes(w->job) * dcg_conv_plane_words(&w->job->node->packing, &w->strip);
    int16_t *list = (void *)(w->job->net->arena + w->job->net->plan->scratch.runs);
    dcg_conv_levels_list(&levels, &w->weights, &w->classes, complement, list);
    dcg_conv_levels_run(&levels);
}

static void run_bytes(const work *w, const filter *f) {
    dcg_conv_bytes bytes = {
        .words = f->words,
        .list = w->weights.list,
        .out = line_of(w->job),
        .bias = f->bias,
        .mult = f->requant.mult,
        .zero_point = f->requant.zero_point,
        .n_taps = w->weights.n_taps,
        .positions = positions_of(w),
        .requant = &f->requant,
    };
    uint16_t *scratch = (void *)(w->job->net->arena + w->job->net->plan->scratch.runs);
    dcg_conv_bytes_run(&bytes, scratch, w->weights.largest);
}

/* ---- Outputs: from a line to the rows of the output ---- */

/* Copies a strip's line to the rows of one output channel, without the positions between the rows.
 *
 * line  [strip->count] a byte a position, from strip->first on */
static void store_line(const dcg_job *job, const dcg_conv_strip *strip, uint32_t output,
                       const uint8_t *line) {
    const dcg_node *node = job->node;
    uint32_t pitch = node->packing.pitch, end = strip->first + strip->count;
    if (pitch == node->out_width &&
        dcg_unbroken(&job->net->plan->tensors[node->output], job->first_row, job->n_rows)) {
        uint32_t left = step_positions(job) - strip->first; /* no gaps between the rows */
        dcg_copy(dcg_output_row(job, output, job->first_row) + strip->first, line,
                 left < strip->count ? left : strip->count);
        return;
    }
    uint32_t y = strip->first < node->out_width ? 0u : (strip->first - node->out_width) / pitch;
    for (; y < job->n_rows && y * pitch < end; y++) {
        uint32_t row = y * pitch; /* position of the row's first output */
        uint32_t from = row < strip->first ? strip->first : row;
        uint32_t to = row + node->out_width < end ? row + node->out_width : end;
        if (from < to)
            dcg_copy(dcg_output_row(job, output, job->first_row + y) + (from - row),
                     line + (from - strip->first), to - from);
    }
}

/* ---- A strip through all filters ---- */

/* Whether the kernel by levels can work with the codebook and is the fastest, and planes and complements of a
 * strip of so many positions find room. */
static int levels_suit(work *w, uint32_t positions) {
    const dcg_conv_strip strip = {0, positions, DCG_PACKED_FOURS};
    uint32_t planes = dcg_conv_planes(w->job), words = dcg_conv_plane_words(&w->job->node->packing, &strip);
    return 2u * planes * words <= w->job->node->packing.words &&
           dcg_conv_levels_suit(&w->classes, &w->weights, planes, words);
}

/* The form of packing whose kernel needs the fewest instructions, see docs/kernels.md of dcgen. */
static uint32_t choose_form(work *w, uint32_t first, uint32_t count) {
    const dcg_conv_strip pixels = {first, count, DCG_PACKED_PIXELS};
    if (DCG_DENSE && dcg_conv_dense_suits(w->job, &w->weights, &pixels)) return DCG_PACKED_PIXELS;
    if (DCG_FOURS && levels_suit(w, count)) return DCG_PACKED_FOURS;
    return DCG_PAIRS ? DCG_PACKED_PAIRS : DCG_PACKED_BYTES;
}

/* Readies the decoder for the form: where taps lie in memory, and what their addresses count. */
static void start_decoder(work *w) {
    uint32_t words = dcg_conv_plane_words(&w->job->node->packing, &w->strip);
    dcg_weights *weights = &w->weights;
    switch (w->strip.form) {
    case DCG_PACKED_PIXELS: /* places of the kernel, which take a byte a channel each */
        dcg_weights_start(weights, w->job, w->record, 0, weights->group_channels);
        break;
    case DCG_PACKED_FOURS: /* words */
        dcg_conv_levels_relabel(&w->classes, weights,
                                (void *)(w->job->net->arena + w->job->net->plan->scratch.levels));
        dcg_weights_start(weights, w->job, w->record, words, 1u);
        break;
    case DCG_PACKED_PAIRS: /* bytes, four a position */
        weights->list += direct_room(w->job->net);
        dcg_weights_start(weights, w->job, w->record, 4u * words, 4u);
        break;
    default: /* bytes */
        dcg_weights_start(weights, w->job, w->record, 4u * words, 1u);
    }
}

/* Clips a line and copies it to one output channel. */
static void finish_line(const work *w, uint32_t output, uint8_t *line, const dcg_requant *requant) {
    dcg_clip(line, w->strip.count, requant);
    store_line(w->job, &w->strip, output, line);
}

/* All filters, one at a time, by a kernel on planes. */
static dcg_status run_filters(work *w) {
    const dcg_node *node = w->job->node;
    const dcg_packing *p = &node->packing;
    uint32_t group_outputs = (uint32_t)node->out_channels / node->groups;
    uint32_t channel_bytes = 4u * dcg_conv_plane_words(p, &w->strip) * p->phases_h * p->phases_w;
    for (uint32_t o = 0; o < node->out_channels; o++) {
        dcg_status status = dcg_weights_next(&w->weights);
        if (status != DCG_OK) return status;
        size_t first_channel = o / group_outputs * w->weights.group_channels;
        const filter f = {.words = w->planes + first_channel * channel_bytes,
                          .bias = dcg_conv_bias(w->job, w->record, o),
                          .requant = dcg_conv_requant(w->job, w->record, o)};
        if (DCG_FOURS && w->strip.form == DCG_PACKED_FOURS)
            run_levels(w, &f);
        else if (DCG_PAIRS)
            run_direct(w, &f);
        else
            run_bytes(w, &f);
        finish_line(w, o, line_of(w->job), &f.requant);
    }
    return dcg_weights_close(&w->weights);
}

#if DCG_DENSE
/* All filters, two at a time, by dot products over pixels. The last one of an odd number is both of its pair.
 */
static dcg_status run_filter_pairs(work *w) {
    uint32_t outputs = w->job->node->out_channels;
    dcg_conv_dense dense;
    dcg_conv_dense_open(&dense, w->job, &w->weights, &w->strip);
    for (uint32_t o = 0; o < outputs; o += 2u) {
        uint32_t count = outputs - o < 2u ? 1u : 2u;
        for (uint32_t i = 0; i < 2u; i++) {
            uint32_t output = i < count ? o + i : o;
            dcg_status status = i < count ? dcg_weights_next(&w->weights) : DCG_OK;
            if (status != DCG_OK) return status;
            const dcg_requant requant = dcg_conv_requant(w->job, w->record, output);
            dcg_conv_dense_filter(&dense, i, &w->weights, dcg_conv_bias(w->job, w->record, output), &requant);
        }
        dcg_conv_dense_run(&dense, w->planes, positions_of(w));
        for (uint32_t i = 0; i < count; i++)
            finish_line(w, o + i, dense.line[i], &dense.requant[i]);
    }
    return dcg_weights_close(&w->weights);
}
#endif

/* The strip of count positions from first on, through all filters. */
static dcg_status run_strip(const dcg_job *job, const dcg_conv_record *record, uint32_t first,
                            uint32_t count) {
    work w; /* large, so that fields are set one by one */
    w.job = job;
    w.record = record;
    dcg_weights_open(&w.weights, job, record);
    w.strip.first = first;
    w.strip.count = count;
    w.strip.form = choose_form(&w, first, count);
    start_decoder(&w);
    w.planes = dcg_conv_pack_strip(job, &w.strip);
#if DCG_DENSE
    if (w.strip.form == DCG_PACKED_PIXELS) return run_filter_pairs(&w);
#endif
    return run_filters(&w);
}

/* ---- A step ---- */

/* A step whose input is mostly zero, through all filters by events. */
static dcg_status run_events(const dcg_job *job, const dcg_conv_record *record, dcg_conv_events *events) {
    const dcg_conv_strip strip = {0, 8u * events->eights, DCG_PACKED_BYTES};
    dcg_weights weights;
    dcg_weights_open(&weights, job, record);
    dcg_weights_start(&weights, job, record, 4u, 0); /* addresses: four times the channel */
    for (uint32_t o = 0; o < job->node->out_channels; o++) {
        dcg_status status = dcg_weights_next(&weights);
        if (status != DCG_OK) return status;
        const dcg_requant requant = dcg_conv_requant(job, record, o);
        weights.list[2u * weights.n_taps] = 4u * weights.group_channels; /* ends the list */
        events->list = weights.list;
        events->bias = dcg_conv_bias(job, record, o);
        events->mult = requant.mult;
        events->zero_point = requant.zero_point;
        events->requant = &requant;
        dcg_conv_events_run(events);
        dcg_clip((void *)events->sums, strip.count, &requant);
        store_line(job, &strip, o, (void *)events->sums);
    }
    return dcg_weights_close(&weights);
}

/* Strips are as equal as multiples of DCG_AT_ONCE can be, none longer than the plan's. */
dcg_status dcg_conv_packed(const dcg_job *job) {
    uint32_t all = step_positions(job), most = job->node->packing.strip;
    uint32_t n_strips = (all + most - 1u) / most;
    uint32_t count = ((all + n_strips - 1u) / n_strips + DCG_AT_ONCE - 1u) / DCG_AT_ONCE * DCG_AT_ONCE;
    dcg_conv_record record;
    dcg_status status = dcg_conv_record_find(&record, job->layer, job->node);
    dcg_conv_events events;
    if (status == DCG_OK && dcg_conv_events_suit(&events, job, all)) return run_events(job, &record, &events);
    for (uint32_t first = 0; first < all && status == DCG_OK; first += count)
        status = run_strip(job, &record, first, count);
    return status;
}
