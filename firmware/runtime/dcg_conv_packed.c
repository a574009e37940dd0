/* Convolution on packed planes: strip by strip the input is packed, then each filter is decoded, turned
 * into a list and run over the strip. */
#include "dcg_packed.h"

/* Writes the words ahead of the groups. */
static void head_groups(uint32_t *list, uint32_t n_taps) {
    for (uint32_t i = 0; i < n_taps; i += DCG_GROUP)
        list[dcg_list_at(i) - 1u] = dcg_direct_entry[n_taps - i < DCG_GROUP ? n_taps - i : DCG_GROUP];
    list[dcg_list_at(n_taps) - (n_taps % DCG_GROUP == 0)] = dcg_direct_entry[0];
}

/* Whether no sum leaves 23 bits, whatever the input: |bias| + 255 * sum of |weight| < 2^22. */
static int sums_fit(const dcg_weights *weights, uint32_t bias) {
    const uint32_t limit = 1u << (DCG_PAIR_BITS - 1u);
    uint64_t bound = dcg_signed(bias) < 0 ? 0u - bias : bias;
    if (bound + (uint64_t)weights->n_taps * (255u * weights->largest) < limit) return 1; /* most often */
    for (uint32_t i = 0; i < weights->n_taps; i++) {
        int32_t weight = dcg_signed(weights->list[dcg_list_at(i) + 1u]);
        bound += 255u * (uint32_t)(weight < 0 ? -weight : weight);
    }
    return bound < limit;
}

/* What one filter is computed from. */
typedef struct filter {
    const dcg_job *job;
    const dcg_weights *weights; /* its taps */
    const dcg_classes *classes; /* for the kernel by levels */
    const uint8_t *words;       /* the packed planes, of the filter's first channel */
    uint32_t bias;
    dcg_requant requant;
} filter;

static uint32_t high_mult(const dcg_requant *requant) {
    return (uint32_t)requant->mult << (32u - requant->shift);
}

static void run_direct(const filter *f) {
    const dcg_packing *p = &f->job->node->packing;
    uint8_t *line = f->job->net->arena + p->line;
    uint64_t both = (uint64_t)(int64_t)dcg_signed(f->bias) * (((uint64_t)1 << DCG_PAIR_BITS) + 1u);
    dcg_direct direct = {
        .mult = high_mult(&f->requant),
        .zero_point = f->requant.zero_point,
        .low = line,
        .high = line + p->strip / DCG_PAIR,
        .passes = p->strip / DCG_DIRECT_AT_ONCE,
        .list = f->weights->list,
        .words = f->words,
        .n_taps = f->weights->n_taps,
        .bias = f->bias,
        .requant = &f->requant,
    };
    for (uint32_t i = 0; i < 8u; i += 2u) {
        direct.start[i] = (uint32_t)both;
        direct.start[i + 1u] = (uint32_t)(both >> 32);
    }
    head_groups(f->weights->list, f->weights->n_taps);
    dcg_direct_run(&direct, sums_fit(f->weights, f->bias));
}

static void run_levels(const filter *f) {
    const dcg_packing *p = &f->job->node->packing;
    uint8_t *arena = f->job->net->arena;
    dcg_levels levels = {
        .mult = high_mult(&f->requant),
        .zero_point = f->requant.zero_point,
        .out = arena + p->line,
        .quarter = p->strip / DCG_FOUR,
        .words = f->words,
        .passes = p->strip / DCG_LEVELS_AT_ONCE,
        .bias = f->bias,
        .requant = &f->requant,
    };
    uint32_t complement = dcg_packed_planes(f->job) * dcg_plane_words(p, DCG_FOUR);
    uint16_t *scratch = (void *)(arena + f->job->net->plan->scratch.runs);
    dcg_levels_list(&levels, f->weights, f->classes, complement, scratch);
    dcg_levels_run(&levels);
}

/* Kernels clip to a byte; this does the rest where a layer asks for more. */
static void clip_strip(const filter *f) {
    const dcg_packing *p = &f->job->node->packing;
    uint8_t *line = f->job->net->arena + p->line;
    uint8_t lo = (uint8_t)f->requant.lo, hi = (uint8_t)f->requant.hi;
    if (lo == 0 && hi == 255) return;
    for (uint32_t i = 0; i < p->strip; i++) {
        if (line[i] < lo) line[i] = lo;
        if (line[i] > hi) line[i] = hi;
    }
}

/* Copies a strip's outputs to the rows they belong to. */
static void store_strip(const dcg_job *job, uint32_t output, uint32_t first) {
    const dcg_node *node = job->node;
    const dcg_packing *p = &node->packing;
    const uint8_t *line = job->net->arena + p->line;
    uint32_t end = first + p->strip;
    if (p->pitch == node->out_width) { /* no gaps between the rows */
        uint32_t left = p->positions - first;
        dcg_copy(dcg_output_row(job, output, 0) + first, line, left < p->strip ? left : p->strip);
        return;
    }
    uint32_t y = first < node->out_width ? 0u : (first - node->out_width) / p->pitch;
    for (; y < node->out_height && y * p->pitch < end; y++) {
        uint32_t row = y * p->pitch; /* position of the row's first output */
        uint32_t from = row < first ? first : row;
        uint32_t to = row + node->out_width < end ? row + node->out_width : end;
        if (from < to)
            dcg_copy(dcg_output_row(job, output, y) + (from - row), line + (from - first), to - from);
    }
}

/* The strip that begins at position first, through all filters. */
static dcg_status run_strip(const dcg_job *job, const dcg_conv_record *record, uint32_t first) {
    const dcg_node *node = job->node;
    const dcg_packing *p = &node->packing;
    uint32_t group_inputs = (uint32_t)dcg_input(job, 0)->channels / node->groups;
    uint32_t group_outputs = (uint32_t)node->out_channels / node->groups;
    dcg_weights weights;
    dcg_classes classes;
    dcg_weights_open(&weights, job, record);
    int by_levels = dcg_levels_suit(&classes, &weights, dcg_packed_planes(job), dcg_plane_words(p, DCG_FOUR));
    uint32_t fold = by_levels ? DCG_FOUR : DCG_PAIR;
    if (by_levels)
        dcg_levels_relabel(&classes, &weights, (void *)(job->net->arena + job->net->plan->scratch.levels));
    dcg_weights_pack(&weights, dcg_plane_words(p, fold));
    dcg_pack_strip(job, first, fold);

    for (uint32_t o = 0; o < node->out_channels; o++) {
        dcg_status status = dcg_weights_next(&weights);
        if (status != DCG_OK) return status;
        size_t begin = (size_t)(o / group_outputs * group_inputs) * weights.channel_step;
        const filter f = {.job = job,
                          .weights = &weights,
                          .classes = &classes,
                          .words = job->net->arena + p->planes + begin,
                          .bias = dcg_conv_bias(job, record, o),
                          .requant = dcg_conv_requant(job, record, o)};
        if (by_levels)
            run_levels(&f);
        else
            run_direct(&f);
        clip_strip(&f);
        store_strip(job, o, first);
    }
    return dcg_weights_close(&weights);
}

dcg_status dcg_conv_packed(const dcg_job *job) {
    const dcg_packing *p = &job->node->packing;
    dcg_conv_record record;
    dcg_status status = dcg_conv_record_find(&record, job->layer, job->node);
    for (uint32_t first = 0; first < p->positions && status == DCG_OK; first += p->strip)
        status = run_strip(job, &record, first);
    return status;
}
