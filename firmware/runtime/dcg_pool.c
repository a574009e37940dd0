/* Maximum and average pooling. Padding never enters: windows are clipped to the plane. */
#include "dcg_internal.h"

/* The part of a window inside [0, size): begin <= p < end. */
typedef struct span {
    uint32_t begin, end;
} span;

/* Window number i of an axis, clipped. pad counts positions before the plane. */
static span clip_window(uint32_t i, uint32_t stride, uint32_t kernel, uint32_t pad, uint32_t size) {
    uint32_t first = i * stride, last = first + kernel; /* counted from the padding's begin */
    span s;
    s.begin = first > pad ? first - pad : 0u;
    s.end = last > pad ? last - pad : 0u;
    if (s.end > size) s.end = size;
    return s;
}

static span window_rows(const dcg_job *job, uint32_t y) {
    return clip_window(y, job->node->stride_h, job->node->kernel_h, job->node->pad_top,
                       dcg_input(job, 0)->height);
}

static span window_columns(const dcg_job *job, uint32_t x) {
    return clip_window(x, job->node->stride_w, job->node->kernel_w, job->node->pad_left,
                       dcg_input(job, 0)->width);
}

static uint8_t window_max(const uint8_t *plane, const dcg_tensor *in, span rows, span columns) {
    uint8_t max = 0;
    for (uint32_t y = rows.begin; y < rows.end; y++) {
        const uint8_t *p = plane + (size_t)y * in->row_stride + (size_t)columns.begin * in->pixel_stride;
        for (uint32_t x = columns.begin; x < columns.end; x++, p += in->pixel_stride)
            if (*p > max) max = *p;
    }
    return max;
}

dcg_status dcg_max_pool(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    for (uint32_t c = 0; c < node->out_channels; c++) {
        const uint8_t *plane = dcg_input_plane(job, 0, c);
        for (uint32_t y = 0; y < node->out_height; y++) {
            span rows = window_rows(job, y);
            uint8_t *output = dcg_output_row(job, c, y);
            for (uint32_t x = 0; x < node->out_width; x++)
                output[x] = window_max(plane, in, rows, window_columns(job, x));
        }
    }
    return DCG_OK;
}

static uint32_t window_sum(const uint8_t *plane, const dcg_tensor *in, span rows, span columns) {
    uint32_t sum = 0;
    for (uint32_t y = rows.begin; y < rows.end; y++) {
        const uint8_t *p = plane + (size_t)y * in->row_stride + (size_t)columns.begin * in->pixel_stride;
        for (uint32_t x = columns.begin; x < columns.end; x++, p += in->pixel_stride)
            sum += *p;
    }
    return sum;
}

static uint32_t length(span s) {
    return s.end - s.begin;
}

/* The padded plane's part of a window, where padding counts: without pad_begin, up to its end. */
static span padded_rows(const dcg_job *job, uint32_t y) {
    const dcg_node *n = job->node;
    uint32_t size = (uint32_t)n->pad_top + dcg_input(job, 0)->height + n->pad_bottom;
    return clip_window(y, n->stride_h, n->kernel_h, 0, size);
}

static span padded_columns(const dcg_job *job, uint32_t x) {
    const dcg_node *n = job->node;
    uint32_t size = (uint32_t)n->pad_left + dcg_input(job, 0)->width + n->pad_right;
    return clip_window(x, n->stride_w, n->kernel_w, 0, size);
}

/* acc = k * sum of (x - zp), k = unit / n rounded, n the taps that count at this position. */
dcg_status dcg_avg_pool(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    uint32_t unit = (uint32_t)dcg_node_header_factor0(job->layer);
    uint32_t zero_point = dcg_zero_point(job->net, node->inputs[0]);
    int count_padding = (node->flags & DCG_TOPOLOGY_COUNT_INCLUDE_PAD) != 0;
    dcg_requant requant =
        dcg_requant_of(job, dcg_node_header_mult(job->layer), dcg_node_header_shift(job->layer));

    for (uint32_t c = 0; c < node->out_channels; c++) {
        const uint8_t *plane = dcg_input_plane(job, 0, c);
        for (uint32_t y = 0; y < node->out_height; y++) {
            span rows = window_rows(job, y);
            uint32_t n_rows = length(count_padding ? padded_rows(job, y) : rows);
            uint8_t *output = dcg_output_row(job, c, y);
            for (uint32_t x = 0; x < node->out_width; x++) {
                span columns = window_columns(job, x);
                uint32_t n = n_rows * length(count_padding ? padded_columns(job, x) : columns);
                uint32_t k = (unit + n / 2u) / n;
                uint32_t zeros = zero_point * length(rows) * length(columns);
                uint32_t sum = window_sum(plane, in, rows, columns) - zeros;
                output[x] = dcg_requantise(dcg_signed(k * sum), &requant);
            }
        }
    }
    return DCG_OK;
}
