/* Depthwise convolution with kernels of 3x3: each channel's rows are padded once into a plane of bytes, over
 * which a filter's nine weights, zeros included, walk in registers. */
#include "dcg_conv_depthwise.h"

/* The padded input of a step's rows: plane rows 0 .. rows - 1 are the input's rows from first_row on. */
typedef struct frame {
    const dcg_job *job;
    const dcg_tensor *input;
    uint8_t *plane;         /* [rows][pitch], and a word behind it that is read but never used */
    uint32_t pitch, rows;   /* columns and rows that the step's outputs read */
    uint32_t above, inside; /* rows of padding above the input's first one, and rows of the input */
    uint32_t first_row;     /* the input's row that lies below that padding */
    uint32_t left, columns; /* columns of padding on the left, and columns of the input */
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
    frame f = {.job = job, .input = in};
    f.plane = job->net->arena + node->packing.planes;
    f.pitch = node->packing.pitch;
    f.rows = (job->n_rows - 1u) * node->stride_h + 3u;
    uint32_t top = job->first_row * node->stride_h; /* of the padded input */
    f.above = ahead(top, f.rows, node->pad_top);
    f.first_row = top + f.above - node->pad_top;
    f.inside = f.first_row < in->height ? least(in->height - f.first_row, f.rows - f.above) : 0;
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

/* Copies count bytes, which lie `step` apart, to as many that lie side by side. */
static inline void copy_row(uint8_t *to, const uint8_t *from, uint32_t count, uint32_t step) {
#if DCG_UNALIGNED
    if (step == 1u && count >= 4u) {
        uint32_t x = 0;
        for (; x + 4u <= count; x += 4u)
            __builtin_memcpy(to + x, from + x, 4);
        __builtin_memcpy(to + count - 4u, from + count - 4u, 4); /* the rest, and some bytes again */
        return;
    }
#endif
    for (uint32_t x = 0; x < count; x++, from += step)
        to[x] = *from;
}

/* Copies a channel's rows into the plane, around which the padding stays as it is. */
static void put_channel(const frame *f, uint32_t channel) {
    const dcg_tensor *in = f->input;
    uint8_t *to = f->plane + f->above * f->pitch + f->left;
    const uint8_t *first = dcg_input_row(f->job, 0, channel, 0);
    uint32_t y = f->inside > 0 ? f->first_row % in->rows : 0;
    for (uint32_t i = 0; i < f->inside; i++, to += f->pitch) {
        copy_row(to, first + (size_t)y * in->row_stride, f->columns, in->pixel_stride);
        if (++y == in->rows) y = 0;
    }
}

/* Takes over the taps of a filter, each at the address of its place in the kernel. */
static void take_weights(dcg_conv_depthwise *d, const dcg_weights *weights) {
    static const uint8_t slot[9] = DCG_DEPTHWISE_SLOTS;
    const uint32_t *tap = weights->list, *end = tap + 2u * weights->n_taps;
    DCG_UNROLL
    for (uint32_t i = 0; i < 10u; i++)
        d->weights[i] = 0;
    for (; tap < end; tap += 2)
        d->weights[slot[tap[0]]] = (int16_t)dcg_signed(tap[1]);
}

/* The rows of one output channel. Output rows lie one behind the other up to the end of the tensor's ring. */
static void run_rows(const frame *f, dcg_conv_depthwise *d, uint32_t output) {
    const dcg_job *job = f->job;
    const dcg_tensor *out = &job->net->plan->tensors[job->node->output];
    uint32_t done = 0;
    do {
        uint32_t y = job->first_row + done;
        uint32_t rows = least(job->n_rows - done, out->rows - y % out->rows);
        d->plane = f->plane + done * job->node->stride_h * f->pitch;
        d->out = dcg_output_row(job, output, y);
        d->rows = rows;
        dcg_conv_depthwise_run(d);
        dcg_clip(dcg_output_row(job, output, y), rows * d->width, d->requant);
        done += rows;
    } while (done < job->n_rows);
}

dcg_status dcg_conv_depthwise_3x3(const dcg_job *job) {
    const dcg_node *node = job->node;
    const frame f = frame_of(job);
    uint32_t multiplier = node->out_channels / node->groups;
    dcg_conv_record record;
    dcg_weights weights;
    dcg_conv_depthwise d;

    dcg_status status = dcg_conv_record_find(&record, job->layer, node);
    if (status != DCG_OK) return status;
    dcg_weights_open(&weights, job, &record);
    dcg_weights_start(&weights, job, &record, 0, 1u);
    d.pitch = f.pitch;
    d.width = node->out_width;
    d.stride_w = node->stride_w;
    d.stride_h = node->stride_h;
    d.next_row = node->stride_h * f.pitch - dcg_conv_depthwise_read(d.stride_w, d.width);
    uint32_t pad = 256u; /* the byte of padding around the plane; none yet */
    for (uint32_t o = 0, channel = 0, filters = multiplier; o < node->out_channels; o++, filters++) {
        status = dcg_weights_next(&weights);
        if (status != DCG_OK) return status;
        if (filters == multiplier) { /* the next channel */
            channel = o == 0 ? 0 : channel + 1u;
            uint8_t its_pad = dcg_pad_byte(job, channel);
            if (its_pad != pad) clear(&f, its_pad);
            pad = its_pad;
            put_channel(&f, channel);
            filters = 0;
        }
        const dcg_requant requant = dcg_conv_requant(job, &record, o);
        take_weights(&d, &weights);
        d.bias = dcg_conv_bias(job, &record, o);
        d.mult = requant.mult;
        d.zero_point = requant.zero_point;
        d.requant = &requant;
        run_rows(&f, &d, o);
    }
    return dcg_weights_close(&weights);
}

#if !(DCG_DSP && DCG_UNALIGNED)
void dcg_conv_depthwise_run(dcg_conv_depthwise *d) {
    static const uint8_t slot[9] = DCG_DEPTHWISE_SLOTS;
    int32_t w[9];
    for (uint32_t i = 0; i < 9u; i++)
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
