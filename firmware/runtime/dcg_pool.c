/* Maximum and average pooling. Padding's values never count: windows are clipped to the plane. */
#include "dcg_internal.h"

/* Positions begin .. end - 1 of an axis: what a window covers of a plane. */
typedef struct span {
    uint32_t begin, end;
} span;

static uint32_t length(span s) {
    return s.end - s.begin;
}

/* Window number i of an axis, clipped to the plane.
 *
 * pad   positions of padding ahead of the plane
 * size  positions of the plane */
static span clip_window(uint32_t i, uint32_t stride, uint32_t kernel, uint32_t pad, uint32_t size) {
    uint32_t first = i * stride, last = first + kernel; /* its begin and end, from the padding's begin on */
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

#if !DCG_HELIUM
/* Of each of four bytes, the larger one of a and b. */
static inline uint32_t max_bytes(uint32_t a, uint32_t b) {
#if DCG_DSP
    uint32_t max;
    __asm__("usub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(max) : "r"(a), "r"(b) : "cc");
    return max;
#else
    const uint32_t tops = 0x80808080u;
    /* A byte's top bit: whether the lower seven bits of a's are no less than those of b's. */
    uint32_t low_parts = (a | tops) - (b & ~tops);
    uint32_t a_wins = ((a & ~b) | (~(a ^ b) & low_parts)) & tops;
    uint32_t mask = (a_wins >> 7) * 0xFFu;
    return (a & mask) | (b & ~mask);
#endif
}
#endif

/* to[i] = the largest of a[i], b[i], c[i]; to may be one of them. */
static void max_of_three(uint8_t *to, const uint8_t *a, const uint8_t *b, const uint8_t *c, uint32_t count) {
#if DCG_HELIUM
    __asm__ volatile("  wlstp.8 lr, %4, 2f\n" /* 16 bytes a round, in the last one as many as are left */
                     "1: vldrb.8 q0, [%1], #16\n"
                     "  vldrb.8 q1, [%2], #16\n"
                     "  vmax.u8 q0, q0, q1\n"
                     "  vldrb.8 q1, [%3], #16\n"
                     "  vmax.u8 q0, q0, q1\n"
                     "  vstrb.8 q0, [%0], #16\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+r"(to), "+r"(a), "+r"(b), "+r"(c)
                     : "r"(count)
                     : "lr", "q0", "q1", "memory");
#else
    for (; count >= 4u; count -= 4u, to += 4, a += 4, b += 4, c += 4)
        dcg_store_u32(to, max_bytes(max_bytes(dcg_load_u32(a), dcg_load_u32(b)), dcg_load_u32(c)));
    for (uint32_t i = 0; i < count; i++) {
        to[i] = a[i] > b[i] ? a[i] : b[i];
        if (c[i] > to[i]) to[i] = c[i];
    }
#endif
}

/* The largest byte of each column of a channel's rows, three rows at a time; where there are fewer, the last
 * one counts twice.
 *
 * to     [width], written
 * width  bytes of a row, from its first to its last column */
static void max_of_rows(const dcg_job *job, uint8_t *to, uint32_t channel, uint32_t width, span rows) {
    const uint8_t *first = dcg_input_row(job, 0, channel, rows.begin);
    const uint8_t *last = dcg_input_row(job, 0, channel, rows.end - 1u);
    if (length(rows) == 1u) {
        dcg_copy(to, first, width);
        return;
    }
    const uint8_t *next = dcg_input_row(job, 0, channel, rows.begin + 1u);
    max_of_three(to, first, next, length(rows) == 2u ? last : dcg_input_row(job, 0, channel, rows.begin + 2u),
                 width);
    for (uint32_t y = rows.begin + 3u; y < rows.end; y += 2u) {
        next = dcg_input_row(job, 0, channel, y);
        max_of_three(to, to, next, next == last ? last : dcg_input_row(job, 0, channel, y + 1u), width);
    }
}

/* The largest of count bytes, 1 at least, which lie step bytes apart. */
static uint8_t max_of_bytes(const uint8_t *p, uint32_t count, uint32_t step) {
    uint8_t max = *p;
    for (uint32_t i = 1; i < count; i++)
        if (*(p += step) > max) max = *p;
    return max;
}

/* Outputs of windows of three columns, two columns apart. Returns how many have been made: all, or all but
 * one. */
static uint32_t max_of_threes(uint8_t *output, const uint8_t *columns, uint32_t windows) {
    uint32_t x = 0;
#if DCG_HELIUM
    const uint8_t *second = columns + 1, *third = columns + 2;
    __asm__ volatile("  movs r0, #0\n"
                     "  vidup.u8 q0, r0, #2\n" /* 0, 2, 4, .. 30: the first column of each window */
                     "  wlstp.8 lr, %4, 2f\n"
                     "1: vldrb.u8 q1, [%1, q0]\n"
                     "  vldrb.u8 q2, [%2, q0]\n"
                     "  vmax.u8 q1, q1, q2\n"
                     "  vldrb.u8 q2, [%3, q0]\n"
                     "  vmax.u8 q1, q1, q2\n"
                     "  vstrb.8 q1, [%0], #16\n"
                     "  add %1, #32\n"
                     "  add %2, #32\n"
                     "  add %3, #32\n"
                     "  letp lr, 1b\n"
                     "2:\n"
                     : "+r"(output), "+r"(columns), "+r"(second), "+r"(third)
                     : "r"(windows)
                     : "r0", "lr", "q0", "q1", "q2", "cc", "memory");
    x = windows;
#else
    for (; x + 2u <= windows; x += 2u, columns += 4) {
        uint32_t max = max_bytes(dcg_load_u32(columns), dcg_load_u32(columns + 1));
        max = max_bytes(max, dcg_load_u32(columns + 2));
        output[x] = (uint8_t)(max & 0xFFu);
        output[x + 1u] = (uint8_t)(max >> 16 & 0xFFu);
    }
#endif
    return x;
}

/* One output row.
 *
 * columns  the largest byte of each column over the windows' rows
 * step     bytes from one column to the next one */
static void max_of_columns(const dcg_job *job, uint8_t *output, const uint8_t *columns, uint32_t step) {
    const dcg_node *node = job->node;
    uint32_t width = dcg_input(job, 0)->width, x = 0;
    if (node->kernel_w == 3u && node->stride_w == 2u && node->pad_left == 0 && step == 1u)
        x = max_of_threes(output, columns, (width - 1u) / 2u); /* the usual pooling */
    for (; x < node->out_width; x++) {
        span s = window_columns(job, x);
        output[x] = max_of_bytes(columns + (size_t)s.begin * step, length(s), step);
    }
}

dcg_status dcg_max_pool(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    uint8_t *columns = job->net->arena + job->net->plan->scratch.row;
    /* From the channel's first byte in a row to its last one; in a picture, those of other channels lie
     * between. */
    uint32_t row_bytes = (in->width - 1u) * in->pixel_stride + 1u;
    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            max_of_rows(job, columns, c, row_bytes, window_rows(job, y));
            max_of_columns(job, dcg_output_row(job, c, y), columns, in->pixel_stride);
        }
    }
    return DCG_OK;
}

/* Sum of count bytes that lie `step` bytes apart. */
static uint32_t sum_of_bytes(const uint8_t *p, uint32_t count, uint32_t step) {
    uint32_t sum = 0;
#if DCG_DSP
    if (step == 1u)
        for (; count >= 4u; count -= 4u, p += 4)
            __asm__("  usada8 %0, %1, %2, %0\n" : "+r"(sum) : "r"(dcg_load_u32(p)), "r"(0));
#endif
    for (; count > 0; count--, p += step)
        sum += *p;
    return sum;
}

/* Sum of a channel's bytes in a window, of which whole rows lie one behind the other. */
static uint32_t window_sum(const dcg_job *job, uint32_t channel, span rows, span columns) {
    const dcg_tensor *in = dcg_input(job, 0);
    uint32_t step = in->pixel_stride, count = length(columns), sum = 0;
    if (count == in->row_stride && dcg_unbroken(in, rows.begin, length(rows)))
        return sum_of_bytes(dcg_input_row(job, 0, channel, rows.begin), count * length(rows), 1u);
    for (uint32_t y = rows.begin; y < rows.end; y++)
        sum += sum_of_bytes(dcg_input_row(job, 0, channel, y) + (size_t)columns.begin * step, count, step);
    return sum;
}

/* What a window covers of the padded plane: by that the sum is divided where padding counts. */
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

/* y = requantize(k * sum of (x - zx)) over the window, k = unit / n rounded, where n positions count: those
 * in the plane, or with padding. */
dcg_status dcg_avg_pool(const dcg_job *job) {
    const dcg_node *node = job->node;
    uint32_t unit = (uint32_t)dcg_node_header_factor0(job->layer);
    uint32_t zero_point = dcg_zero_point(job->net, node->inputs[0]);
    int count_padding = (node->flags & DCG_TOPOLOGY_COUNT_INCLUDE_PAD) != 0;
    dcg_requant requant =
        dcg_requant_of(job, dcg_node_header_mult(job->layer), dcg_node_header_shift(job->layer));

    for (uint32_t c = 0; c < node->out_channels; c++) {
        for (uint32_t y = job->first_row; y < job->first_row + job->n_rows; y++) {
            span rows = window_rows(job, y);
            uint32_t n_rows = length(count_padding ? padded_rows(job, y) : rows);
            uint8_t *output = dcg_output_row(job, c, y);
            for (uint32_t x = 0; x < node->out_width; x++) {
                span columns = window_columns(job, x);
                uint32_t n = n_rows * length(count_padding ? padded_columns(job, x) : columns);
                uint32_t k = (unit + n / 2u) / n;
                uint32_t zeros = zero_point * length(rows) * length(columns);
                uint32_t sum = window_sum(job, c, rows, columns) - zeros;
                output[x] = dcg_requantize(dcg_signed(k * sum), &requant);
            }
        }
    }
    return DCG_OK;
}
