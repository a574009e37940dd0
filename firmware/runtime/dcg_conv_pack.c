/* Packs a convolution's input. Of each plane, the strip's padded rows are put one behind the other into a
 * line of bytes; for words of two or four positions, the line is cut into as many equal parts, which are laid
 * over each other: then any position is at the begin of a word, in reach of aligned loads. */
#include "dcg_conv_packed.h"

/* One plane of the packed input. Its element (y, x) is the input's padded element
 * (y * stride_h + phase_row, x * stride_w + phase_column). */
typedef struct plane {
    const dcg_job *job;
    const dcg_node *node;
    const dcg_tensor *input;
    uint32_t channel;
    uint32_t phase_row, phase_column; /* below packing.phases_h and phases_w */
    uint8_t pad;                      /* the byte of padding */
} plane;

static void fill(uint8_t *to, uint32_t count, uint8_t value) {
    for (uint32_t i = 0; i < count; i++)
        to[i] = value;
}

/* Writes columns begin .. end - 1 of row y of the plane; to: [end - begin]. */
static void put_columns(const plane *p, uint32_t y, uint32_t begin, uint32_t end, uint8_t *to) {
    const dcg_node *node = p->node;
    const dcg_tensor *in = p->input;
    uint32_t input_y = y * node->stride_h + p->phase_row - node->pad_top; /* wraps in the upper padding */
    if (input_y >= in->height) {
        fill(to, end - begin, p->pad);
        return;
    }
    uint32_t step = node->stride_w * in->pixel_stride;
    uint32_t x = begin;
    for (; x < end && x * node->stride_w + p->phase_column < node->pad_left; x++)
        *to++ = p->pad;
    uint32_t input_x = x * node->stride_w + p->phase_column - node->pad_left;
    if (x < end && input_x < in->width) {
        uint32_t inside = (in->width - input_x + node->stride_w - 1u) / node->stride_w;
        if (inside > end - x) inside = end - x;
        const uint8_t *from =
            dcg_input_row(p->job, 0, p->channel, input_y) + (size_t)input_x * in->pixel_stride;
        if (step == 1u)
            dcg_copy(to, from, inside);
        else
            for (uint32_t i = 0; i < inside; i++, from += step)
                to[i] = *from;
        to += inside;
        x += inside;
    }
    fill(to, end - x, p->pad);
}

int dcg_conv_is_plain(const dcg_job *job) {
    const dcg_node *node = job->node;
    const dcg_tensor *in = dcg_input(job, 0);
    return node->kernel_h == 1u && node->kernel_w == 1u && node->stride_h == 1u && node->stride_w == 1u &&
           node->packing.pitch == in->row_stride && node->out_height == in->height && node->pad_top == 0 &&
           node->pad_left == 0 && in->pixel_stride == 1u;
}

/* Whether dcg_conv_is_plain, and the step's input rows lie one behind the other in memory. */
static int is_unbroken(const dcg_job *job) {
    return dcg_conv_is_plain(job) && dcg_unbroken(dcg_input(job, 0), job->first_row, job->n_rows);
}

/* Writes positions first .. first + count - 1 of the plane to line, [count]. Those behind the step's last
 * row, which no output reads, are whatever comes next. */
static void put_line(const plane *p, uint32_t first, uint32_t count, uint8_t *line) {
    uint32_t pitch = p->node->packing.pitch;
    if (is_unbroken(p->job)) {
        uint32_t left = p->job->n_rows * pitch - first;
        dcg_copy(line, dcg_input_row(p->job, 0, p->channel, p->job->first_row) + first,
                 left < count ? left : count);
        if (left < count) fill(line + left, count - left, p->pad);
        return;
    }
    uint32_t y = p->job->first_row + first / pitch, x = first % pitch;
    while (count > 0) {
        uint32_t part = pitch - x < count ? pitch - x : count;
        put_columns(p, y, x, x + part, line);
        line += part;
        count -= part;
        x = 0;
        y++;
    }
}

/* Pairs the bytes of two words: to[i] has byte i of low in its lower halfword, byte i of high in its upper
 * one. */
static inline void pair_bytes(uint32_t low, uint32_t high, uint32_t *to) {
#if DCG_DSP
    uint32_t low13, high13; /* bytes 1 and 3, a halfword each; low and high become bytes 0 and 2 */
    __asm__("  uxtb16 %[low13], %[low], ror #8\n"
            "  uxtb16 %[low], %[low]\n"
            "  uxtb16 %[high13], %[high], ror #8\n"
            "  uxtb16 %[high], %[high]\n"
            : [low] "+r"(low), [high] "+r"(high), [low13] "=&r"(low13), [high13] "=&r"(high13));
    __asm__("  pkhbt %0, %1, %2, lsl #16\n" : "=r"(to[0]) : "r"(low), "r"(high));
    __asm__("  pkhbt %0, %1, %2, lsl #16\n" : "=r"(to[1]) : "r"(low13), "r"(high13));
    __asm__("  pkhtb %0, %2, %1, asr #16\n" : "=r"(to[2]) : "r"(low), "r"(high));
    __asm__("  pkhtb %0, %2, %1, asr #16\n" : "=r"(to[3]) : "r"(low13), "r"(high13));
#else
    to[0] = (low & 0xFFu) | (high & 0xFFu) << 16;
    to[1] = (low >> 8 & 0xFFu) | (high >> 8 & 0xFFu) << 16;
    to[2] = (low >> 16 & 0xFFu) | (high & 0xFF0000u);
    to[3] = low >> 24 | (high >> 8 & 0xFF0000u);
#endif
}

/* Packs a line as DCG_PACKED_PAIRS.
 *
 * line   [half + words], bytes
 * half   positions in half of the strip
 * words  of the plane
 * to     [words], written */
static void fold_in_two(const uint8_t *line, uint32_t half, uint32_t words, uint32_t *to) {
    for (; words >= 4u; words -= 4u, line += 4, to += 4)
        pair_bytes(dcg_load_u32(line), dcg_load_u32(line + half), to);
    for (uint32_t j = 0; j < words; j++)
        to[j] = line[j] | (uint32_t)line[half + j] << 16;
}

/* The same as DCG_PACKED_FOURS; complement: [words], written with 255 less each byte. */
static void fold_in_four(const uint8_t *line, uint32_t quarter, uint32_t words, uint32_t *to,
                         uint32_t *complement) {
    const uint32_t even = 0x00FF00FFu, odd = 0xFF00FF00u;
    uint32_t j = 0;
    for (; j + 4u <= words; j += 4u, line += 4) {
        uint32_t a = dcg_load_u32(line), b = dcg_load_u32(line + quarter);
        uint32_t c = dcg_load_u32(line + 2u * quarter), d = dcg_load_u32(line + 3u * quarter);
        uint32_t ab02 = (a & even) | (b & even) << 8, ab13 = (a >> 8 & even) | (b & odd);
        uint32_t cd02 = (c & even) | (d & even) << 8, cd13 = (c >> 8 & even) | (d & odd);
        uint32_t word[4] = {(ab02 & 0xFFFFu) | cd02 << 16, (ab13 & 0xFFFFu) | cd13 << 16,
                            ab02 >> 16 | (cd02 & 0xFFFF0000u), ab13 >> 16 | (cd13 & 0xFFFF0000u)};
        for (uint32_t i = 0; i < 4u; i++) {
            to[j + i] = word[i];
            complement[j + i] = ~word[i];
        }
    }
    for (; j < words; j++, line++) {
        to[j] = line[0] | (uint32_t)line[quarter] << 8 | (uint32_t)line[2u * quarter] << 16 |
                (uint32_t)line[3u * quarter] << 24;
        complement[j] = ~to[j];
    }
}

uint32_t dcg_conv_planes(const dcg_job *job) {
    const dcg_packing *p = &job->node->packing;
    return (uint32_t)dcg_input(job, 0)->channels * p->phases_h * p->phases_w;
}

/* Positions first .. first + count - 1 of the plane: in the tensor if they lie there, else written to line.
 */
static const uint8_t *find_line(const plane *p, uint32_t first, uint32_t count, uint8_t *line) {
    if (is_unbroken(p->job) && first + count <= p->job->n_rows * p->node->packing.pitch)
        return dcg_input_row(p->job, 0, p->channel, p->job->first_row) + first;
    put_line(p, first, count, line);
    return line;
}

/* Whether the tensor's own memory is what packed planes of count positions would be. */
static int is_packed(const plane *p, const dcg_conv_strip *strip, uint32_t count) {
    return strip->form == DCG_PACKED_BYTES && strip->first == 0 && is_unbroken(p->job) &&
           p->job->first_row % p->input->rows == 0 && p->input->channel_stride == count && count % 4u == 0;
}

/* Packs the plane p of a strip, of so many words and count positions, to `to`; its complement, where the form
 * has one, to `complement`. line: [count], overwritten. */
static void pack_plane(const plane *p, const dcg_conv_strip *strip, uint32_t count, uint32_t words,
                       uint8_t *line, uint32_t *to, uint32_t *complement) {
    if (strip->form == DCG_PACKED_BYTES) {
        put_line(p, strip->first, count, (void *)to);
        return;
    }
    const uint8_t *from = find_line(p, strip->first, count, line);
    if (DCG_PAIRS && strip->form == DCG_PACKED_PAIRS)
        fold_in_two(from, strip->count / DCG_PACKED_PAIRS, words, to);
    else if (DCG_FOURS)
        fold_in_four(from, strip->count / DCG_PACKED_FOURS, words, to, complement);
}

const uint8_t *dcg_conv_pack_strip(const dcg_job *job, const dcg_conv_strip *strip) {
    const dcg_node *node = job->node;
    const dcg_packing *packing = &node->packing;
    uint8_t *line = job->net->arena + packing->line;
    uint32_t *planes = (void *)(job->net->arena + packing->planes), *to = planes;
    uint32_t words = dcg_conv_plane_words(packing, strip), complement = dcg_conv_planes(job) * words;
    uint32_t count = strip->count + packing->halo;
    plane p = {job, node, dcg_input(job, 0), 0, 0, 0, 0};
    if (is_packed(&p, strip, count)) return dcg_input_row(job, 0, 0, job->first_row);
    for (; p.channel < p.input->channels; p.channel++) {
        p.pad = dcg_pad_byte(job, p.channel);
        if (DCG_DENSE && strip->form == DCG_PACKED_PIXELS) { /* without a stride: one phase */
            dcg_conv_dense_interleave(find_line(&p, strip->first, count, line), count, p.input->channels,
                                      (uint8_t *)planes + p.channel);
            continue;
        }
        for (p.phase_row = 0; p.phase_row < packing->phases_h; p.phase_row++)
            for (p.phase_column = 0; p.phase_column < packing->phases_w; p.phase_column++, to += words)
                pack_plane(&p, strip, count, words, line, to, to + complement);
    }
    return (const void *)planes;
}
