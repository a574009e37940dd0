/* Depthwise convolution with kernels of 3x3 and 5x5: each channel's rows are padded once into a plane of
 * bytes, over which a filter's weights walk, zeros included. */
#include "dcg_conv_depthwise.h"

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Rows that lie one behind the other, in a tensor's ring and in the padded plane. A step's rows are at most
 * two such runs, as the ring begins anew once. */
typedef struct run {
    uint32_t rows;   /* 0 where there is no such run */
    uint32_t tensor; /* where it begins: in bytes from the channel's first one, */
    uint32_t plane;  /* and from the plane's first one */
} run;

/* The runs of rows first .. first + rows - 1 of a tensor, of which each has so many bytes in the plane. */
static void find_runs(run runs[2], const dcg_tensor *t, uint32_t first, uint32_t rows, uint32_t plane,
                      uint32_t plane_row) {
    uint32_t begin = first % t->rows, count = least(rows, t->rows - begin);
    const run upper = {count, begin * t->row_stride, plane};
    const run lower = {rows - count, 0, plane + count * plane_row};
    runs[0] = upper;
    runs[1] = lower;
}

/* The padded input of a step's rows: rows of padding, rows of the input, and again rows of padding. */
typedef struct frame {
    uint8_t *plane; /* [rows][pitch], and a word behind it that is read but never used */
    uint32_t pitch;
    uint32_t words;          /* of the plane */
    run input[2], output[2]; /* rows that the step's outputs read, and these outputs */
    int by_words;            /* whether `copy` copies rows of the input */
    dcg_depthwise_copy copy;
    uint32_t columns;    /* of the input that outputs read */
    uint32_t row, pixel; /* bytes from one row, from one pixel of the input to the next */
} frame;

/* How much of an axis's padded stretch [from, from + count) is padding ahead of the input. */
static uint32_t ahead(uint32_t from, uint32_t count, uint32_t pad) {
    return from < pad ? least(pad - from, count) : 0;
}

static void frame_open(frame *f, const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0), *out = &job->net->plan->tensors[node->output];
    f->plane = job->net->arena + node->packing.planes;
    f->pitch = node->packing.pitch;
    f->words = node->packing.words;
    uint32_t rows = (job->n_rows - 1u) * node->stride_h + node->kernel_h;
    uint32_t top = job->first_row * node->stride_h; /* of the padded input */
    uint32_t above = ahead(top, rows, node->pad_top), left = ahead(0, f->pitch, node->pad_left);
    uint32_t first = top + above - node->pad_top; /* of the input, below that padding */
    f->columns = least(in->width, f->pitch - left);
    uint32_t inside = first < in->height && f->columns > 0 ? least(in->height - first, rows - above) : 0;
    find_runs(f->input, in, first, inside, above * f->pitch + left, f->pitch);
    find_runs(f->output, out, job->first_row, job->n_rows, 0, node->stride_h * f->pitch);
    f->row = in->row_stride;
    f->pixel = in->pixel_stride;
    f->by_words = f->pixel == 1u && f->input[0].rows > 0 && dcg_conv_depthwise_copies(f->columns);
    dcg_conv_depthwise_copy_open(&f->copy, f->pitch, f->row, f->columns);
}

/* Fills the whole plane with a byte of padding. */
static void clear(const frame *f, uint8_t pad) {
    uint32_t *words = (void *)f->plane, word = pad * 0x01010101u;
    for (uint32_t i = 0; i < f->words; i++)
        words[i] = word;
}

/* Copies rows of one to three bytes. */
static inline void copy_narrow(uint8_t *to, uint32_t pitch, const uint8_t *from, uint32_t row,
                               uint32_t columns, uint32_t rows) {
    uint32_t middle = columns / 2u, last = columns - 1u;
    for (; rows > 0; rows--, to += pitch, from += row) {
        to[0] = from[0];
        to[middle] = from[middle];
        to[last] = from[last];
    }
}

static inline void put_run(const frame *f, const run *r, const uint8_t *channel) {
    const uint8_t *from = channel + r->tensor;
    uint8_t *to = f->plane + r->plane;
    if (f->by_words)
        dcg_conv_depthwise_copy(&f->copy, to, from, r->rows);
    else if (f->pixel == 1u && f->columns <= 3u)
        copy_narrow(to, f->pitch, from, f->row, f->columns, r->rows);
    else if (f->pixel == 1u)
        for (uint32_t y = 0; y < r->rows; y++, to += f->pitch, from += f->row)
            dcg_copy(to, from, f->columns);
    else
        for (uint32_t y = 0; y < r->rows; y++, to += f->pitch, from += f->row)
            for (uint32_t x = 0; x < f->columns; x++)
                to[x] = from[x * f->pixel];
}

/* Copies a channel's rows into the plane, around which the padding stays as it is.
 *
 * channel  its first row in the tensor's ring */
static inline void put_channel(const frame *f, const uint8_t *channel) {
    put_run(f, &f->input[0], channel);
    if (f->input[1].rows > 0) put_run(f, &f->input[1], channel);
}

/* Decoder of a layer's filters, some at a time. */
typedef struct filters {
    dcg_weights weights;
    uint32_t places;     /* weights of a filter, zeros included */
    uint32_t taps;       /* of a filter, at most, as the blob states */
    uint32_t most;       /* filters that are decoded at once, at most */
    uint32_t left;       /* filters of the layer that are not decoded yet */
    const int16_t *next; /* the next filter's weights, among those decoded at once; */
    const int16_t *end;  /* where they end */
} filters;

static void filters_open(filters *f, const dcg_job *job, const dcg_conv_record *record) {
    /* The list has two words for each weight that a filter of this layer has, up to 1024, so room for one of
     * 25 weights at least. */
    uint32_t weights = least(4u * job->net->plan->scratch.tap_capacity, DCG_WEIGHTS_MOST);
    dcg_weights_open(&f->weights, job, record);
    dcg_weights_start(&f->weights, job, record, 0, 1u);
    f->taps = f->weights.max_taps;
    f->places = f->weights.places;
    f->most = weights / f->places;
    f->left = job->node->out_channels;
    f->next = f->end = NULL;
}

/* Decodes the next filters. */
static dcg_status decode(filters *f) {
    uint32_t count = least(f->left, f->most);
    dcg_weights_gather(&f->weights, count);
    f->left -= count;
    f->next = (const void *)f->weights.list;
    f->end = f->next + f->places * count;
    return dcg_weights_next(&f->weights);
}

/* How many weights of a filter are not zero. */
static uint32_t count_taps(const int16_t *weights, uint32_t places) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < places; i++)
        count += weights[i] != 0;
    return count;
}

/* Where the next filter's weights are. */
static inline dcg_status next_filter(filters *f, const int16_t **weights) {
    dcg_status status = f->next == f->end ? decode(f) : DCG_OK;
    if (status != DCG_OK) return status;
    *weights = f->next;
    f->next += f->places;
    return f->taps >= f->places || count_taps(*weights, f->places) <= f->taps ? DCG_OK : DCG_ERR_LAYER;
}

/* Clips the step's rows of an output channel. */
static void clip(const frame *f, uint8_t *channel, uint32_t width, const dcg_requant *requant) {
    for (uint32_t i = 0; i < 2u; i++)
        dcg_clip(channel + f->output[i].tensor, f->output[i].rows * width, requant);
}

/* Has the kernel compute a run of output rows. */
static inline void aim(const frame *f, dcg_conv_depthwise *d, const run *r) {
    d->plane = f->plane + r->plane;
    d->pairs = d->paired ? r->rows / 2u : 0;
    d->rows = r->rows - 2u * d->pairs;
}

typedef void (*run_rows)(const dcg_conv_depthwise *d);

/* The step's rows of an output channel.
 *
 * channel  its first row in the tensor's ring */
static inline void run_channel(const frame *f, run_rows compute, dcg_conv_depthwise *d, uint8_t *channel) {
    d->out = channel + f->output[0].tensor;
    compute(d);
    if (f->output[1].rows == 0) return;
    aim(f, d, &f->output[1]);
    d->out = channel + f->output[1].tensor;
    compute(d);
    aim(f, d, &f->output[0]);
}

static dcg_status convolve(const dcg_job *job, run_rows compute) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0), *out = &job->net->plan->tensors[node->output];
    const uint8_t *from = dcg_input_row(job, 0, 0, 0);
    uint8_t *to = dcg_output_row(job, 0, 0);
    uint32_t channels = node->groups, multiplier = node->out_channels / channels; /* filters a channel */
    frame f;
    dcg_conv_record record;
    filters decoded;
    dcg_conv_depthwise d;
    dcg_requant requant;

    dcg_status status = dcg_conv_record_find(&record, job->layer, node);
    if (status != DCG_OK) return status;
    frame_open(&f, job);
    filters_open(&decoded, job, &record);
    requant = dcg_conv_requant(job, &record, 0);
    int clipped = requant.lo != 0 || requant.hi != 255;
    d.pitch = f.pitch;
    d.mult = requant.mult;
    d.zero_point = requant.zero_point;
    d.width = node->out_width;
    d.stride_w = node->stride_w;
    d.stride_h = node->stride_h;
    d.requant = &requant;
    d.next_row = node->stride_h * f.pitch - dcg_conv_depthwise_read(node->kernel_w, d.stride_w, d.width);
    d.paired = node->kernel_h == 3u && node->stride_w == 1u && node->stride_h == 1u;
    d.next_pair = d.next_row + f.pitch;
    aim(&f, &d, &f.output[0]);
    clear(&f, dcg_pad_byte(job, 0));
    for (uint32_t channel = 0, o = 0; channel < channels; channel++, from += in->channel_stride) {
        if (f.pixel != 1u)
            clear(&f, dcg_pad_byte(job, channel)); /* a picture's channels have bytes of their own */
        put_channel(&f, from);
        for (uint32_t end = o + multiplier; o < end; o++, to += out->channel_stride) {
            status = next_filter(&decoded, &d.weights);
            if (status != DCG_OK) return status;
            d.bias = dcg_conv_bias(job, &record, o);
            if (record.mult != NULL) {
                requant = dcg_conv_requant(job, &record, o);
                d.mult = requant.mult;
            }
            run_channel(&f, compute, &d, to);
            if (clipped) clip(&f, to, d.width, &requant);
        }
    }
    return dcg_weights_close(&decoded.weights);
}

dcg_status dcg_conv_depthwise_3x3(const dcg_job *job) {
    return convolve(job, dcg_conv_depthwise_run_3x3);
}

dcg_status dcg_conv_depthwise_5x5(const dcg_job *job) {
    return convolve(job, dcg_conv_depthwise_run_5x5);
}

#if !(DCG_DSP && DCG_UNALIGNED)
void dcg_conv_depthwise_copy_open(dcg_depthwise_copy *c, uint32_t pitch, uint32_t row, uint32_t columns) {
    const dcg_depthwise_copy all = {pitch, row, columns, 0};
    *c = all;
}

void dcg_conv_depthwise_copy(const dcg_depthwise_copy *c, uint8_t *to, const uint8_t *from, uint32_t rows) {
    for (; rows > 0; rows--, to += c->pitch, from += c->row)
        dcg_copy(to, from, c->last);
}

void dcg_conv_depthwise_run_3x3(const dcg_conv_depthwise *d) {
    uint32_t rows = 2u * d->pairs + d->rows;
    uint8_t *out = d->out;
    int32_t w[9];
    DCG_UNROLL
    for (uint32_t i = 0; i < 9u; i++)
        w[i] = d->weights[i];
    for (uint32_t y = 0; y < rows; y++) {
        const uint8_t *a = d->plane + y * d->stride_h * d->pitch, *b = a + d->pitch, *c = b + d->pitch;
        for (uint32_t x = 0; x < d->width; x++, a += d->stride_w, b += d->stride_w, c += d->stride_w) {
            uint32_t sum = d->bias;
            sum += (uint32_t)(w[0] * a[0]) + (uint32_t)(w[1] * a[1]) + (uint32_t)(w[2] * a[2]);
            sum += (uint32_t)(w[3] * b[0]) + (uint32_t)(w[4] * b[1]) + (uint32_t)(w[5] * b[2]);
            sum += (uint32_t)(w[6] * c[0]) + (uint32_t)(w[7] * c[1]) + (uint32_t)(w[8] * c[2]);
            *out++ = dcg_requantize(dcg_signed(sum), d->requant);
        }
    }
}
#endif
