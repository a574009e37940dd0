/* Convolution of tensors as they lie, without packing: a filter is decoded, then each row of the step is
 * summed tap by tap. For layers whose packed input finds no room, and for those whose accumulators are the
 * scores.
 *
 * A tap adds weight * input to a run of accumulators along the row, and weight * pad byte to those whose
 * input lies outside the plane. Accumulators wrap, so they are unsigned. */
#include "dcg_internal.h"

/* What is the same for all taps of one filter. */
typedef struct filter {
    const dcg_job *job;
    const dcg_node *node;
    const dcg_tensor *input;
    uint32_t *row;          /* [out_width] accumulators of the present output row */
    uint32_t first_channel; /* input channel that the filter's group begins with */
} filter;

/* Adds a value to accumulators begin .. end - 1. */
static void add_constant(uint32_t *row, uint32_t begin, uint32_t end, uint32_t value) {
    for (uint32_t x = begin; x < end; x++)
        row[x] += value;
}

/* Adds weight * input to count accumulators. step: bytes from one's input to the next one's */
static void add_run(uint32_t *row, uint32_t count, const uint8_t *input, uint32_t step, int32_t weight) {
    if (step == 1u) {
        for (uint32_t i = 0; i < count; i++)
            row[i] += (uint32_t)(weight * input[i]);
    } else {
        for (uint32_t i = 0; i < count; i++, input += step)
            row[i] += (uint32_t)(weight * *input);
    }
}

/* How many of an axis's windows, the first count ones, have their tap at offset k ahead of position limit of
 * the padded axis: ceil((limit - k) / stride), at most count. */
static uint32_t windows_before(uint32_t limit, uint32_t k, uint32_t stride, uint32_t count) {
    if (limit <= k) return 0;
    uint32_t n = stride == 1u ? limit - k : (limit - k + stride - 1u) / stride;
    return n < count ? n : count;
}

/* What depends on a tap's place in the kernel and on the output row, but not on its channel. Taps come by
 * place, so this is found once for all channels of a place. */
typedef struct place {
    uint32_t index;       /* ky * kernel width + kx */
    uint32_t begin, end;  /* the outputs begin .. end - 1 of the row have their input in the plane */
    const uint8_t *input; /* input of output begin, in the group's first channel; NULL where there is none */
} place;

static place find_place(const filter *f, uint32_t y, uint32_t index) {
    const dcg_node *node = f->node;
    uint32_t ky = index / node->kernel_w, kx = index % node->kernel_w;
    const dcg_tensor *in = f->input;
    uint32_t width = node->out_width, padded_y = y * node->stride_h + ky; /* from the top of the padding */
    place p = {index, width, width, NULL};
    if (padded_y < node->pad_top || padded_y >= (uint32_t)node->pad_top + in->height) return p;
    p.begin = windows_before(node->pad_left, kx, node->stride_w, width);
    p.end = windows_before((uint32_t)node->pad_left + in->width, kx, node->stride_w, width);
    if (p.begin >= p.end) return p;
    uint32_t input_y = padded_y - node->pad_top;
    uint32_t input_x = p.begin * node->stride_w + kx - node->pad_left;
    p.input = dcg_input_row(f->job, 0, f->first_channel, input_y) + (size_t)input_x * in->pixel_stride;
    return p;
}

/* Computes row y of the filter's output into f->row. */
static void accumulate_row(const filter *f, uint32_t y, uint32_t bias, const dcg_weights *weights) {
    uint32_t width = f->node->out_width, channel_stride = f->input->channel_stride;
    uint32_t step = f->node->stride_w * f->input->pixel_stride;
    const uint32_t *tap = weights->list;
    for (uint32_t x = 0; x < width; x++)
        f->row[x] = bias;
    place p = {UINT32_MAX, 0, 0, NULL};
    for (uint32_t n = 0; n < weights->n_taps; n++, tap += 2) {
        uint32_t index = tap[0] >> 16, channel = tap[0] & 0xFFFFu;
        int32_t weight = dcg_signed(tap[1]);
        if (index != p.index) p = find_place(f, y, index);
        if (p.input != NULL)
            add_run(f->row + p.begin, p.end - p.begin, p.input + (size_t)channel * channel_stride, step,
                    weight);
        if (p.begin > 0 || p.end < width) {
            uint32_t padding = (uint32_t)(weight * dcg_pad_byte(f->job, f->first_channel + channel));
            add_constant(f->row, 0, p.begin, padding);
            add_constant(f->row, p.end, width, padding);
        }
    }
}

/* Where the accumulators of row y of output channel o go: requantized to the output tensor, or to the scores
 * as they are. */
static void store_bytes(const dcg_job *job, const dcg_conv_record *record, uint32_t o, uint32_t y,
                        const uint32_t *row) {
    dcg_requant requant = dcg_conv_requant(job, record, o);
    uint8_t *output = dcg_output_row(job, o, y);
    for (uint32_t x = 0; x < job->node->out_width; x++)
        output[x] = dcg_requantize(dcg_signed(row[x]), &requant);
}

static void store_scores(const dcg_job *job, const dcg_conv_record *record, uint32_t o, uint32_t y,
                         const uint32_t *row) {
    (void)record;
    const dcg_node *node = job->node;
    int32_t *scores = dcg_scores_of(job) + ((size_t)o * node->out_height + y) * node->out_width;
    for (uint32_t x = 0; x < node->out_width; x++)
        scores[x] = dcg_signed(row[x]);
}

typedef void (*store_row)(const dcg_job *job, const dcg_conv_record *record, uint32_t o, uint32_t y,
                          const uint32_t *row);

/* A step, filter by filter. Taps have the address ky * kernel width + kx << 16 | channel in the group. */
static dcg_status convolve(const dcg_job *job, store_row store) {
    const dcg_node *node = job->node;
    filter f = {job, node, dcg_input(job, 0), (void *)(job->net->arena + job->net->plan->scratch.row), 0};
    uint32_t group_inputs = (uint32_t)f.input->channels / node->groups;
    uint32_t group_outputs = (uint32_t)node->out_channels / node->groups;
    dcg_conv_record record;
    dcg_weights weights;

    dcg_status status = dcg_conv_record_find(&record, job->layer, node);
    if (status != DCG_OK) return status;
    dcg_weights_open(&weights, job, &record);
    dcg_weights_start(&weights, job, &record, 0, 1u << 16);
    for (uint32_t o = 0; o < node->out_channels; o++) {
        status = dcg_weights_next(&weights);
        if (status != DCG_OK) return status;
        f.first_channel = o / group_outputs * group_inputs;
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            accumulate_row(&f, y, dcg_conv_bias(job, &record, o), &weights);
            store(job, &record, o, y, f.row);
        }
    }
    return dcg_weights_close(&weights);
}

dcg_status dcg_conv(const dcg_job *job) {
    return convolve(job, store_bytes);
}

dcg_status dcg_conv_scores(const dcg_job *job) {
    return convolve(job, store_scores);
}
