/* Convolution on packed planes: strip by strip the input is packed, then each filter is decoded, turned
 * into a list and run over the strip. */
#include "dcg_conv_packed.h"

/* What one filter is computed from. */
typedef struct filter {
    const dcg_job *job;
    const dcg_conv_strip *strip;
    const dcg_weights *weights;      /* its taps */
    const dcg_conv_classes *classes; /* for the kernel by levels */
    const uint8_t *words;            /* the packed planes, of the filter's first channel */
    uint32_t positions;              /* of the strip */
    uint32_t bias;
    dcg_requant requant;
} filter;

/* Words ahead of a filter's taps for the list that the direct kernel makes of them. */
static uint32_t direct_room(const dcg_net *net) {
    const dcg_scratch *scratch = &net->plan->scratch;
    return (scratch->runs - scratch->list) / 4u - 2u * scratch->tap_capacity;
}

static void run_direct(const filter *f) {
    uint8_t *line = f->job->net->arena + f->job->node->packing.line;
    dcg_conv_direct direct = {
        .mult = f->requant.mult,
        .zero_point = f->requant.zero_point,
        .low = line,
        .high = line + f->strip->count / DCG_PACKED_PAIRS,
        .words = f->words,
        .passes = f->strip->count / DCG_AT_ONCE,
        .bias = f->bias,
        .taps = f->weights->list,
        .n_taps = f->weights->n_taps,
        .requant = &f->requant,
    };
    dcg_conv_direct_run(&direct, direct_room(f->job->net), f->weights->largest);
}

static void run_levels(const filter *f) {
    const dcg_packing *p = &f->job->node->packing;
    uint8_t *arena = f->job->net->arena;
    dcg_conv_levels levels; /* large, so that fields are set one by one */
    levels.mult = f->requant.mult;
    levels.zero_point = f->requant.zero_point;
    levels.out = arena + p->line;
    levels.quarter = f->strip->count / DCG_PACKED_FOURS;
    levels.words = f->words;
    levels.passes = f->strip->count / DCG_AT_ONCE;
    levels.bias = f->bias;
    levels.requant = &f->requant;
    uint32_t complement = dcg_conv_planes(f->job) * dcg_conv_plane_words(p, f->strip);
    int16_t *list = (void *)(arena + f->job->net->plan->scratch.runs);
    dcg_conv_levels_list(&levels, f->weights, f->classes, complement, list);
    dcg_conv_levels_run(&levels);
}

static void run_bytes(const filter *f) {
    uint8_t *arena = f->job->net->arena;
    dcg_conv_bytes bytes = {
        .words = f->words,
        .list = f->weights->list,
        .out = arena + f->job->node->packing.line,
        .bias = f->bias,
        .mult = f->requant.mult,
        .zero_point = f->requant.zero_point,
        .n_taps = f->weights->n_taps,
        .positions = f->positions,
        .requant = &f->requant,
    };
    dcg_conv_bytes_run(&bytes, (void *)(arena + f->job->net->plan->scratch.runs), f->weights->largest);
}

/* Kernels clip to a byte; this does the rest where a layer asks for more. */
static void clip_line(uint8_t *line, uint32_t count, const dcg_requant *requant) {
    uint8_t lo = (uint8_t)requant->lo, hi = (uint8_t)requant->hi;
    if (lo == 0 && hi == 255) return;
    for (uint32_t i = 0; i < count; i++) {
        if (line[i] < lo) line[i] = lo;
        if (line[i] > hi) line[i] = hi;
    }
}

/* Positions of a step's outputs, those between the rows included. */
static uint32_t step_positions(const dcg_job *job) {
    return (job->n_rows - 1u) * job->node->packing.pitch + job->node->out_width;
}

/* Copies a strip's outputs to the rows they belong to. */
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

/* Whether the strip is for the kernel by levels: it can work with the codebook, is the faster one, and its
 * planes and their complements find room. */
static int levels_suit(const dcg_job *job, const dcg_weights *weights, dcg_conv_classes *classes,
                       uint32_t positions) {
    const dcg_conv_strip strip = {0, positions, DCG_PACKED_FOURS};
    uint32_t planes = dcg_conv_planes(job), words = dcg_conv_plane_words(&job->node->packing, &strip);
    return 2u * planes * words <= job->node->packing.words &&
           dcg_conv_levels_suit(classes, weights, planes, words);
}

#if DCG_DENSE
/* A packed strip through all filters, two at a time, by dot products. */
static dcg_status run_dense(const dcg_job *job, const dcg_conv_record *record, dcg_weights *weights,
                            const dcg_conv_strip *strip, const uint8_t *planes) {
    uint32_t left = step_positions(job) - strip->first, outputs = job->node->out_channels;
    dcg_conv_dense dense;
    dcg_conv_dense_open(&dense, job, weights, strip);
    for (uint32_t o = 0; o < outputs; o += 2u) {
        uint32_t count = outputs - o < 2u ? 1u : 2u;
        for (uint32_t i = 0; i < 2u; i++) {
            uint32_t output = i < count ? o + i : o; /* a last one alone is both */
            dcg_status status = i < count ? dcg_weights_next(weights) : DCG_OK;
            if (status != DCG_OK) return status;
            const dcg_requant requant = dcg_conv_requant(job, record, output);
            dcg_conv_dense_filter(&dense, i, weights, dcg_conv_bias(job, record, output), &requant);
        }
        dcg_conv_dense_run(&dense, planes, left < strip->count ? left : strip->count);
        for (uint32_t i = 0; i < count; i++) {
            clip_line(dense.line[i], strip->count, &dense.requant[i]);
            store_line(job, strip, o + i, dense.line[i]);
        }
    }
    return dcg_weights_close(weights);
}
#endif

/* A strip of so many positions from first on, through all filters. */
static dcg_status run_strip(const dcg_job *job, const dcg_conv_record *record, uint32_t first,
                            uint32_t count) {
    const dcg_node *node = job->node;
    const dcg_packing *p = &node->packing;
    uint32_t group_inputs = (uint32_t)dcg_input(job, 0)->channels / node->groups;
    uint32_t group_outputs = (uint32_t)node->out_channels / node->groups;
    dcg_weights weights;
    dcg_conv_classes classes;
    dcg_weights_open(&weights, job, record);
    /* The kernel that needs the fewest instructions, see docs/decisions/0007. */
    uint32_t fold = DCG_PAIRS ? DCG_PACKED_PAIRS : DCG_PACKED_BYTES;
    const dcg_conv_strip beside = {first, count, DCG_PACKED_PIXELS};
    if (DCG_DENSE && dcg_conv_dense_suits(job, &weights, &beside))
        fold = DCG_PACKED_PIXELS;
    else if (DCG_HELIUM)
        fold = DCG_PACKED_BYTES;
    else if (levels_suit(job, &weights, &classes, count))
        fold = DCG_PACKED_FOURS;
    const dcg_conv_strip strip = {first, count, fold};
    if (fold == DCG_PACKED_FOURS)
        dcg_conv_levels_relabel(&classes, &weights,
                                (void *)(job->net->arena + job->net->plan->scratch.levels));
    if (fold == DCG_PACKED_PAIRS) weights.list += direct_room(job->net);
    uint32_t plane = 4u * dcg_conv_plane_words(p, &strip); /* bytes */
    if (fold == DCG_PACKED_PIXELS)
        dcg_weights_start(&weights, job, record, 0, group_inputs);
    else
        dcg_weights_start(&weights, job, record, fold == DCG_PACKED_FOURS ? plane / 4u : plane,
                          fold == DCG_PACKED_PAIRS ? 4u : 1u);
    const uint8_t *planes = dcg_conv_pack_strip(job, &strip);
#if DCG_DENSE
    if (fold == DCG_PACKED_PIXELS) return run_dense(job, record, &weights, &strip, planes);
#endif
    uint32_t left = step_positions(job) - first;
    uint8_t *line = job->net->arena + p->line;

    for (uint32_t o = 0; o < node->out_channels; o++) {
        dcg_status status = dcg_weights_next(&weights);
        if (status != DCG_OK) return status;
        size_t begin = (size_t)(o / group_outputs * group_inputs) * p->phases_h * p->phases_w * plane;
        const filter f = {.job = job,
                          .strip = &strip,
                          .weights = &weights,
                          .classes = &classes,
                          .words = planes + begin,
                          .positions = left < count ? left : count,
                          .bias = dcg_conv_bias(job, record, o),
                          .requant = dcg_conv_requant(job, record, o)};
        if (fold == DCG_PACKED_FOURS)
            run_levels(&f);
        else if (fold == DCG_PACKED_PAIRS)
            run_direct(&f);
        else
            run_bytes(&f);
        clip_line(line, count, &f.requant);
        store_line(job, &strip, o, line);
    }
    return dcg_weights_close(&weights);
}

/* A step whose input is mostly zero, through all filters. */
static dcg_status run_events(const dcg_job *job, const dcg_conv_record *record, dcg_conv_events *events) {
    const dcg_conv_strip strip = {0, 8u * events->eights, DCG_PACKED_BYTES};
    dcg_weights weights;
    dcg_weights_open(&weights, job, record);
    dcg_weights_start(&weights, job, record, 4u, 0); /* a tap says where its channel's start is */
    for (uint32_t o = 0; o < job->node->out_channels; o++) {
        dcg_status status = dcg_weights_next(&weights);
        if (status != DCG_OK) return status;
        const dcg_requant requant = dcg_conv_requant(job, record, o);
        weights.list[2u * weights.n_taps] = 4u * weights.group_channels;
        events->list = weights.list;
        events->bias = dcg_conv_bias(job, record, o);
        events->mult = requant.mult;
        events->zero_point = requant.zero_point;
        events->requant = &requant;
        dcg_conv_events_run(events);
        clip_line((void *)events->sums, strip.count, &requant);
        store_line(job, &strip, o, (void *)events->sums);
    }
    return dcg_weights_close(&weights);
}

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
