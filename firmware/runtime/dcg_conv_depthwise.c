/* Depthwise convolution with kernels of 3x3: each channel's rows are padded once into a plane of bytes, over
 * which a filter's nine weights, zeros included, walk in registers. */
#include "dcg_conv_depthwise.h"

/* The padded input of a step's rows: rows of padding, rows of the input, and again rows of padding. */
typedef struct frame {
    const dcg_job *job;
    const dcg_tensor *input, *output;
    uint8_t *plane;         /* [rows][pitch], and a word behind it that is read but never used */
    uint32_t pitch, rows;   /* columns and rows that the step's outputs read */
    uint32_t above, inside; /* rows of padding above the input's first one, and rows of the input */
    uint32_t left, columns; /* columns of padding on the left, and columns of the input */
    uint32_t first_row;     /* where in the tensor's ring the first of these rows is */
} frame;

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* How much of an axis's padded stretch [from, from + count) is padding ahead of the input. */
static uint32_t ahead(uint32_t from, uint32_t count, uint32_t pad) {
    return from < pad ? least(pad - from, count) : 0;
}

static frame frame_of(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    frame f = {.job = job, .input = in, .output = &job->net->plan->tensors[node->output]};
    f.plane = job->net->arena + node->packing.planes;
    f.pitch = node->packing.pitch;
    f.rows = (job->n_rows - 1u) * node->stride_h + 3u;
    uint32_t top = job->first_row * node->stride_h; /* of the padded input */
    f.above = ahead(top, f.rows, node->pad_top);
    uint32_t first = top + f.above - node->pad_top; /* of the input, below that padding */
    f.inside = first < in->height ? least(in->height - first, f.rows - f.above) : 0;
    f.first_row = first % in->rows;
    f.left = ahead(0, f.pitch, node->pad_left);
    f.columns = least(in->width, f.pitch - f.left);
    return f;
}

/* Fills the whole plane with a byte of padding. */
static void clear(const frame *f, uint8_t pad) {
    uint32_t *words = (void *)f->plane, word = pad * 0x01010101u;
    for (uint32_t i = 0; i < f->job->node->packing.words; i++)
        words[i] = word;
}

/* Copies a channel's rows into the plane, around which the padding stays as it is.
 *
 * rows  the channel's first row in the tensor's ring */
static void put_channel(const frame *f, const uint8_t *rows) {
    const dcg_tensor *in = f->input;
    uint8_t *to = f->plane + f->above * f->pitch + f->left;
    uint32_t row = in->row_stride, y = f->first_row, left = f->inside;
    if (in->pixel_stride == 1u && f->columns >= DCG_DEPTHWISE_LEAST_COPY) {
        for (uint32_t count; left > 0; left -= count, y = 0, to += count * f->pitch) {
            count = least(left, in->rows - y);
            dcg_conv_depthwise_copy(to, f->pitch, rows + y * row, row, f->columns, count);
        }
        return;
    }
    for (; left > 0; left--, to += f->pitch) {
        const uint8_t *from = rows + y * row;
        for (uint32_t x = 0; x < f->columns; x++, from += in->pixel_stride)
            to[x] = *from;
        if (++y == in->rows) y = 0;
    }
}

/* Decoder of a layer's filters, some at a time. */
typedef struct filters {
    dcg_weights weights;
    uint32_t taps;       /* of a filter, at most, as the blob states */
    uint32_t most;       /* filters that are decoded at once, at most */
    uint32_t left;       /* filters of the layer that are not decoded yet */
    uint32_t address;    /* of the next filter's first place, among those decoded at once; */
    uint32_t end;        /* where they end */
    const uint32_t *tap; /* the next filter's first tap; behind the last one, one of no place */
} filters;

static void filters_open(filters *f, const dcg_job *job, const dcg_conv_record *record) {
    dcg_weights_open(&f->weights, job, record);
    dcg_weights_start(&f->weights, job, record, 0, 1u);
    f->taps = f->weights.max_taps;
    f->most = f->taps > 0 ? job->net->plan->scratch.tap_capacity / f->taps : job->node->out_channels;
    f->left = job->node->out_channels;
    f->address = f->end = 0;
}

/* Takes over the next filter's weights. */
static dcg_status next_filter(filters *f, dcg_conv_depthwise *d) {
    static const uint8_t slot[DCG_DEPTHWISE_PLACES] = DCG_DEPTHWISE_SLOTS;
    if (f->address == f->end) {
        uint32_t count = least(f->left, f->most);
        dcg_weights_gather(&f->weights, count, f->taps);
        dcg_status status = dcg_weights_next(&f->weights);
        if (status != DCG_OK) return status;
        f->left -= count;
        f->address = 0;
        f->end = DCG_DEPTHWISE_PLACES * count;
        f->tap = f->weights.list;
        f->weights.list[2u * f->weights.n_taps] = UINT32_MAX;
    }
    DCG_UNROLL
    for (uint32_t i = 0; i < 10u; i++)
        d->weights[i] = 0;
    const uint32_t *tap = f->tap;
    uint32_t first = f->address, place;
    for (; (place = tap[0] - first) < DCG_DEPTHWISE_PLACES; tap += 2)
        d->weights[slot[place]] = (int16_t)dcg_signed(tap[1]);
    uint32_t words = (uint32_t)(tap - f->tap);
    f->tap = tap;
    f->address = first + DCG_DEPTHWISE_PLACES;
    return words <= 2u * f->taps ? DCG_OK : DCG_ERR_LAYER; /* more than the blob has stated */
}

/* The step's rows of an output channel, which lie one behind the other up to the end of the tensor's ring. */
static void run_rows(const frame *f, dcg_conv_depthwise *d, uint32_t output) {
    const dcg_tensor *out = f->output;
    const uint8_t *plane = f->plane;
    uint8_t *channel = f->job->net->arena + out->offset + output * out->channel_stride;
    for (uint32_t y = f->job->first_row % out->rows, left = f->job->n_rows; left > 0; y = 0) {
        uint32_t rows = least(left, out->rows - y);
        uint8_t *first = channel + y * d->width;
        d->plane = plane;
        d->out = first;
        d->rows = rows;
        dcg_conv_depthwise_run(d);
        dcg_clip(first, rows * d->width, d->requant);
        plane += rows * d->stride_h * d->pitch;
        left -= rows;
    }
}

dcg_status dcg_conv_depthwise_3x3(const dcg_job *job) {
    const dcg_node *node = job->node;
    const frame f = frame_of(job);
    const uint8_t *rows = dcg_input_row(job, 0, 0, 0);
    uint32_t multiplier = node->out_channels / node->groups; /* filters of each channel */
    dcg_conv_record record;
    filters decoded;
    dcg_conv_depthwise d;
    dcg_requant requant = {0, 0, 0, 255};

    dcg_status status = dcg_conv_record_find(&record, job->layer, node);
    if (status != DCG_OK) return status;
    filters_open(&decoded, job, &record);
    d.pitch = f.pitch;
    d.width = node->out_width;
    d.stride_w = node->stride_w;
    d.stride_h = node->stride_h;
    d.requant = &requant;
    d.next_row = node->stride_h * f.pitch - dcg_conv_depthwise_read(d.stride_w, d.width);
    for (uint32_t channel = 0, o = 0; channel < node->groups; channel++, rows += f.input->channel_stride) {
        if (channel == 0 || node->inputs[0] == 0) /* a picture's channels have bytes of their own */
            clear(&f, dcg_pad_byte(job, channel));
        put_channel(&f, rows);
        for (uint32_t end = o + multiplier; o < end; o++) {
            status = next_filter(&decoded, &d);
            if (status != DCG_OK) return status;
            if (o == 0 || record.mult != NULL) requant = dcg_conv_requant(job, &record, o);
            d.bias = dcg_conv_bias(job, &record, o);
            d.mult = requant.mult;
            d.zero_point = requant.zero_point;
            run_rows(&f, &d, o);
        }
    }
    return dcg_weights_close(&decoded.weights);
}

#if !(DCG_DSP && DCG_UNALIGNED)
void dcg_conv_depthwise_copy(uint8_t *to, uint32_t pitch, const uint8_t *from, uint32_t row, uint32_t columns,
                             uint32_t rows) {
    for (; rows > 0; rows--, to += pitch, from += row)
        dcg_copy(to, from, columns);
}

void dcg_conv_depthwise_run(dcg_conv_depthwise *d) {
    static const uint8_t slot[DCG_DEPTHWISE_PLACES] = DCG_DEPTHWISE_SLOTS;
    int32_t w[DCG_DEPTHWISE_PLACES];
    for (uint32_t i = 0; i < DCG_DEPTHWISE_PLACES; i++)
        w[i] = d->weights[slot[i]];
    for (uint32_t y = 0; y < d->rows; y++) {
        const uint8_t *a = d->plane + y * d->stride_h * d->pitch, *b = a + d->pitch, *c = b + d->pitch;
        for (uint32_t x = 0; x < d->width; x++, a += d->stride_w, b += d->stride_w, c += d->stride_w) {
            uint32_t sum = d->bias;
            sum += (uint32_t)(w[0] * a[0]) + (uint32_t)(w[1] * a[1]) + (uint32_t)(w[2] * a[2]);
            sum += (uint32_t)(w[3] * b[0]) + (uint32_t)(w[4] * b[1]) + (uint32_t)(w[5] * b[2]);
            sum += (uint32_t)(w[6] * c[0]) + (uint32_t)(w[7] * c[1]) + (uint32_t)(w[8] * c[2]);
            *d->out++ = dcg_requantize(dcg_signed(sum), d->requant);
        }
    }
}
#endif
