/* A plain reader of dcgen's weight blobs, for reading beside docs/blob-format.md.
 *
 * Every function quotes, behind '>', the part of that page that it implements. Nothing here is fast: bits are
 * taken one at a time and every weight is unpacked. Nothing is shared with firmware/runtime/ either, which
 * reads blobs on a target without unpacking them; the tests hold both, and dcgen/encode/reader.py, to the
 * same answers.
 *
 *   blob_reader FILE   prints what the blob in FILE holds; the exit status is the blob's status
 *   blob_reader        reads blobs from standard input, each behind its size (4 bytes, little endian); prints
 *                      for each what it holds if it is sound, and then a line "status NUMBER"
 *
 * Build: cc -std=c99 -o blob_reader blob_reader.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Statuses, limits and values -------------------------------------------------------------------- */

/* > every defect ends in a status of the table below */
typedef enum status {
    OK = 0,
    TRUNCATED = 3,
    MAGIC = 4,
    VERSION = 5,
    BLOB_CRC = 6,
    TOPOLOGY = 7,
    HEADER = 8,
    SECTION = 9,
    SECTION_CRC = 10,
    LAYER = 11,
    TABLE = 13,
    CODE = 14,
    STREAM = 15,
    LEVEL = 16,
    POSITION = 17
} status;

/* Calls a function that makes some of the checks: a defect ends the caller, too. */
#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        status found = (call);                                                                               \
        if (found != OK) return found;                                                                       \
    } while (0)

/* > What a node computes (NodeTopology.kind and NodeHeader.kind). */
enum {
    CONV = 1,
    MAX_POOL = 2,
    AVG_POOL = 3,
    ADD = 4,
    PAD = 5,
    CONCAT = 6,
    SCORES = 7,
    MUL = 8,
    LOOK_UP = 9,
    UPSAMPLE = 10
};
static const char *const KIND_NAMES[] = {"",       "CONV",   "MAX_POOL", "AVG_POOL", "ADD",     "PAD",
                                         "CONCAT", "SCORES", "MUL",      "TABLE",    "UPSAMPLE"};

/* > | 1 | `CEIL` | the number of windows is rounded up |
 * > | 2 | `COUNT_INCLUDE_PAD` | an average's divisor counts taps in the padding, too |
 * > | 4 | `RAW` | convolution: the accumulators are the scores; SCORES: sum over each plane |
 */
enum { CEIL = 1, COUNT_INCLUDE_PAD = 2, RAW = 4, EDGE = 8 };

/* > | 1 | `PER_CHANNEL` | a multiplier and a shift for each output channel | */
enum { PER_CHANNEL = 1 };

/* > How a convolution's weights are coded (ConvHeader.coding). */
enum { JOINT = 0, GAPS = 1 };

/* Sizes of the records in bytes. */
enum {
    HEADER_BYTES = 64,
    TENSOR_SHAPE_BYTES = 8,
    NODE_TOPOLOGY_BYTES = 24,
    TENSOR_SCALE_BYTES = 8,
    NODE_HEADER_BYTES = 24,
    CONV_HEADER_BYTES = 28
};

/* > its table, 256 bytes behind the NodeHeader. */
enum { TABLE_BYTES = 256 };

enum { MAX_CODE_BITS = 12, ESCAPE = 4095, MAX_LEVELS = 256, GUARD_BYTES = 8 };

/* ---- What a blob holds ------------------------------------------------------------------------------ */

typedef struct tensor {
    uint32_t channels, height, width;
    uint32_t scale; /* the bits of a float32 */
    uint32_t zero_point;
} tensor;

/* A canonical code. */
typedef struct code_table {
    uint32_t n_symbols;                /* symbols that are listed */
    uint8_t lengths[ESCAPE + 1];       /* of each symbol's code in bits, 0 for no code */
    uint32_t count[MAX_CODE_BITS + 1]; /* how many codes have each length */
    uint16_t in_order[ESCAPE + 1];     /* the symbols that have codes, by length and then by symbol */
} code_table;

/* A run of zeros and the level index of the weight behind it. */
typedef struct entry {
    uint32_t run, level;
} entry;

typedef struct node {
    /* NodeTopology */
    uint32_t kind, flags, n_inputs;
    uint32_t kernel_h, kernel_w, stride_h, stride_w;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
    uint32_t out_channels, groups;
    uint32_t *inputs; /* numbers of tensors, n_inputs of them */
    /* NodeHeader */
    uint32_t section_bytes, layer_flags, lo, hi, mult, shift, bias_shift;
    int64_t factor0, factor1;
    /* ConvHeader */
    uint32_t n_levels, level_bytes, bias_bytes, coding, level_bits, run_bits, reserved;
    uint32_t n_entries, max_filter_entries, stream_bits, stream_bytes, table_bytes, table2_bytes;
    /* The arrays of a convolution */
    const uint8_t *arrays; /* everything behind the ConvHeader */
    size_t arrays_bytes;
    int64_t *levels;          /* the codebook, n_levels of them */
    uint32_t *mults, *shifts; /* of each output channel; without PER_CHANNEL NULL */
    int64_t *bias;            /* of each output channel, shifted */
    code_table *tables;       /* [2]; JOINT: symbols; GAPS: gaps, levels */
    const uint8_t *stream;
    uint32_t filter_weights; /* weights of one output channel */
    uint8_t *weights;        /* level indices [out_channels][kernel_h][kernel_w][channels / groups] */
} node;

typedef struct blob {
    const uint8_t *bytes;
    size_t size;
    /* Header */
    uint32_t blob_bytes;
    uint64_t topology_hash;
    uint32_t topology_offset, topology_bytes, tensors_offset, tensors_bytes, layers_offset;
    uint32_t n_tensors, n_nodes, n_scores, max_filter_entries;
    uint32_t score_scale; /* the bits of a float32 */
    uint32_t max_code_bits;
    /* The other sections */
    tensor *tensors;
    uint32_t *more_scales;    /* bits of the score scale of each output behind the first */
    const uint8_t *input_pad; /* the pad byte of each channel of tensor 0 */
    node *nodes;
} blob;

/* Memory of count zeroed items; what a blob can ask for is bounded by the checks. */
static void *memory(size_t count, size_t item_bytes) {
    void *zeroed = calloc(count > 0 ? count : 1, item_bytes);
    if (zeroed == NULL) {
        fputs("blob_reader: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return zeroed;
}

/* ---- Integers and bits ------------------------------------------------------------------------------ */

/* > A blob is little endian. */
static uint32_t u8(const uint8_t *p) {
    return p[0];
}

static uint32_t u16(const uint8_t *p) {
    return u8(p) | u8(p + 1) << 8;
}

static uint32_t u32(const uint8_t *p) {
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p) {
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* > Integers are unsigned unless they are called int.
 *
 * An int of 1, 2 or 4 bytes in two's complement: the highest bit counts negative. */
static int64_t integer(const uint8_t *p, uint32_t bytes) {
    int64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++)
        value += (int64_t)p[i] << (8 * i);
    return p[bytes - 1] < 128 ? value : value - ((int64_t)1 << (8 * bytes));
}

/* > Bits fill bytes from the least significant bit up */
static uint32_t take_bit(const uint8_t *stream, uint64_t *position) {
    uint32_t bit = (uint32_t)stream[*position / 8] >> (*position % 8) & 1;
    ++*position;
    return bit;
}

/* > Raw fields are written least significant bit first. */
static uint32_t take_raw(const uint8_t *stream, uint64_t *position, uint32_t bits) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < bits; i++)
        value |= take_bit(stream, position) << i;
    return value;
}

static int all_zero(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0) return 0;
    return 1;
}

/* Whether the bits of a float32 stand for a positive, finite number: sign 0, exponent below 255, not 0.0. */
static int is_scale(uint32_t bits) {
    return bits > 0 && bits < 0x7F800000;
}

/* ---- Check sums ------------------------------------------------------------------------------------- */

/* > CRC-32 (IEEE 802.3)
 *
 * The remainder of the bytes, taken as a polynomial lowest bit first, by 0x04C11DB7 (here with its bits
 * reversed); the register starts with all bits set and is inverted at the end. */
static uint32_t crc32(const uint8_t *bytes, size_t count) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    return ~crc;
}

static uint32_t rotated(uint32_t x, int right) {
    return x >> right | x << (32 - right);
}

/* One block of 64 bytes of SHA-256 (FIPS 180-4, 6.2.2). */
static void sha256_block(uint32_t state[8], const uint8_t block[64]) {
    /* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
    static const uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | u8(block + 4 * i + 1) << 16 | u8(block + 4 * i + 2) << 8 |
               u8(block + 4 * i + 3);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + w[i - 7] +
               (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        uint32_t t1 =
            s[7] + (rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25)) + choice + K[i] + w[i];
        uint32_t t2 = (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) + majority;
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

/* > The topology hash is the first eight bytes of the SHA-256 of the topology section.
 *
 * The bytes are followed by a bit 1, by zeros, and by their number in bits, big endian, at the end of a
 * block. SHA-256 gives its words big endian, the blob's integers are little endian. */
static uint64_t topology_hash(const uint8_t *bytes, size_t count) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    size_t padded_bytes = (count + 1 + 8 + 63) / 64 * 64;
    uint8_t *padded = memory(padded_bytes, 1);
    memcpy(padded, bytes, count);
    padded[count] = 0x80;
    for (size_t i = 0; i < 8; i++)
        padded[padded_bytes - 1 - i] = (uint8_t)((uint64_t)count * 8 >> (8 * i));
    for (size_t at = 0; at < padded_bytes; at += 64)
        sha256_block(state, padded + at);
    free(padded);
    uint64_t hash = 0;
    for (int i = 0; i < 8; i++)
        hash |= (uint64_t)(state[i / 4] >> (24 - i % 4 * 8) & 0xFF) << (8 * i);
    return hash;
}

/* ---- 1 and 2: the header ---------------------------------------------------------------------------- */

/* > **Start.** There are 64 bytes (TRUNCATED), `magic` (MAGIC) and `version` (VERSION) are right, there are
 * > `blob_bytes` bytes (TRUNCATED) and no more (HEADER; firmware ignores what follows), `header_bytes` and
 * > `reserved` are right (HEADER), and so is `blob_crc` (BLOB_CRC).
 *
 * > | 0 | 4 | uint32 | `magic` | 0x42474344, the letters DCGB |
 * > | 4 | 2 | uint16 | `version` | format version, 1 |
 * > | 6 | 2 | uint16 | `header_bytes` | 64 |
 * > | 8 | 4 | uint32 | `blob_bytes` | size of the whole blob |
 * > | 12 | 4 | uint32 | `blob_crc` | CRC-32 (IEEE 802.3) of bytes 16 to the end |
 *
 * > | 62 | 2 | uint16 | `reserved` | 0 |
 */
static status read_start(blob *b) {
    const uint8_t *p = b->bytes;
    if (b->size < HEADER_BYTES) return TRUNCATED;
    if (u32(p + 0) != 0x42474344) return MAGIC;
    if (u16(p + 4) != 1) return VERSION;
    b->blob_bytes = u32(p + 8);
    if (b->size < b->blob_bytes) return TRUNCATED;
    if (b->size > b->blob_bytes || u16(p + 6) != HEADER_BYTES || u16(p + 62) != 0) return HEADER;
    if (crc32(p + 16, b->size - 16) != u32(p + 12)) return BLOB_CRC;
    return OK;
}

/* > **Header** (HEADER). The sections lie one after the other within the blob, their sizes are multiples of
 * > four. `n_tensors` is 1 to `n_nodes`, `max_code_bits` is at most 12, `score_scale` is positive and finite.
 *
 * > | 16 | 8 | uint64 | `topology_hash` | first 8 bytes of the SHA-256 of the topology section |
 * > | 24 | 4 | uint32 | `topology_offset` | 64 |
 * > | 28 | 4 | uint32 | `topology_bytes` | size of the topology section |
 * > | 32 | 4 | uint32 | `tensors_offset` | start of the tensors section |
 * > | 36 | 4 | uint32 | `tensors_bytes` | its size |
 * > | 40 | 4 | uint32 | `layers_offset` | start of the first layer section |
 * > | 44 | 2 | uint16 | `n_tensors` | uint8 tensors, the input included |
 * > | 46 | 2 | uint16 | `n_nodes` | nodes, which is the number of layer sections |
 * > | 48 | 4 | uint32 | `n_scores` | int32 scores, of all outputs |
 * > | 52 | 4 | uint32 | `max_filter_entries` | most non-zero weights in one output channel of any layer |
 * > | 56 | 4 | float32 | `score_scale` | real value of one unit of a score of the first output |
 * > | 60 | 2 | uint16 | `max_code_bits` | longest code of any table, at most 12 |
 */
static status read_header(blob *b) {
    const uint8_t *p = b->bytes;
    b->topology_hash = u64(p + 16);
    b->topology_offset = u32(p + 24);
    b->topology_bytes = u32(p + 28);
    b->tensors_offset = u32(p + 32);
    b->tensors_bytes = u32(p + 36);
    b->layers_offset = u32(p + 40);
    b->n_tensors = u16(p + 44);
    b->n_nodes = u16(p + 46);
    b->n_scores = u32(p + 48);
    b->max_filter_entries = u32(p + 52);
    b->score_scale = u32(p + 56);
    b->max_code_bits = u16(p + 60);

    uint64_t tensors = (uint64_t)HEADER_BYTES + b->topology_bytes, layers = tensors + b->tensors_bytes;
    if (b->topology_offset != HEADER_BYTES || b->tensors_offset != tensors || b->layers_offset != layers)
        return HEADER;
    if (b->topology_bytes % 4 != 0 || b->tensors_bytes % 4 != 0 || layers > b->size) return HEADER;
    if (b->n_tensors == 0 || b->n_tensors > b->n_nodes) return HEADER;
    if (b->max_code_bits > MAX_CODE_BITS || !is_scale(b->score_scale)) return HEADER;
    return OK;
}

/* ---- 3: the topology -------------------------------------------------------------------------------- */

/* > A tensor has 1 to 2**31 - 1 elements
 *
 * > | 0 | 2 | uint16 | `channels` | |
 * > | 2 | 2 | uint16 | `height` | |
 * > | 4 | 2 | uint16 | `width` | |
 * > | 6 | 2 | uint16 | `reserved` | 0 |
 */
static status read_tensor_shape(tensor *t, const uint8_t *p) {
    t->channels = u16(p + 0);
    t->height = u16(p + 2);
    t->width = u16(p + 4);
    if (u16(p + 6) != 0) return HEADER;
    uint64_t elements = (uint64_t)t->channels * t->height * t->width;
    return elements >= 1 && elements < (uint64_t)1 << 31 ? OK : TOPOLOGY;
}

/* > * CONV, of 1 input: RAW, kernel, stride, pads, `out_channels`, `groups`, PER_CHANNEL, `bias_shift`
 *
 * > * MAX_POOL, of 1 input: CEIL, kernel, stride, pads.
 *
 * > * AVG_POOL, of 1 input: CEIL, COUNT_INCLUDE_PAD, kernel, stride, pads
 *
 * > * ADD, of 1 or 2 inputs of one shape
 *
 * > * PAD, of 1 input: EDGE, pads, and without EDGE `lo`.
 *
 * > * CONCAT, of 1 or more inputs of one height and width: none.
 *
 * > * SCORES, of 1 input: RAW.
 *
 * > * MUL, of 2 inputs: `lo`, `hi`, `mult`, `shift`, `factor0`.
 *
 * > * TABLE, of 1 input: its table
 *
 * > * UPSAMPLE, of 1 input: stride, the rows and columns of a block; `pad_bottom` and `pad_right`, the rows
 * and columns that are cut off > at the end; `out_channels`. The input has `out_channels` channels, or
 * `stride_h` * `stride_w` for each of > them.
 *
 * > Kernels, strides, `out_channels` and `groups` are at least 1.
 *
 * > Each pad of a pool is smaller than the kernel along its axis. */
static status check_node_topology(const node *n) {
    static const uint32_t FLAGS[] = {[CONV] = RAW, [MAX_POOL] = CEIL, [AVG_POOL] = CEIL | COUNT_INCLUDE_PAD,
                                     [PAD] = EDGE, [SCORES] = RAW,    [UPSAMPLE] = 0};
    if (n->kind < CONV || n->kind > UPSAMPLE) return TOPOLOGY;
    int pool = n->kind == MAX_POOL || n->kind == AVG_POOL, windows = pool || n->kind == CONV;
    int blocks = n->kind == UPSAMPLE, channels = blocks || n->kind == CONV;
    if ((n->flags & ~FLAGS[n->kind]) != 0 || n->n_inputs < 1) return TOPOLOGY;
    if (n->kind == MUL && n->n_inputs != 2) return TOPOLOGY;
    if (n->n_inputs > 2 && n->kind != CONCAT) return TOPOLOGY;
    if (n->n_inputs == 2 && n->kind != CONCAT && n->kind != ADD && n->kind != MUL) return TOPOLOGY;
    if (windows ? n->kernel_h < 1 || n->kernel_w < 1 : n->kernel_h != 0 || n->kernel_w != 0) return TOPOLOGY;
    if (windows || blocks ? n->stride_h < 1 || n->stride_w < 1 : n->stride_h != 0 || n->stride_w != 0)
        return TOPOLOGY;
    if (pool && (n->pad_top >= n->kernel_h || n->pad_bottom >= n->kernel_h)) return TOPOLOGY;
    if (pool && (n->pad_left >= n->kernel_w || n->pad_right >= n->kernel_w)) return TOPOLOGY;
    if (!windows && n->kind != PAD && (n->pad_top | n->pad_left)) return TOPOLOGY;
    if (!windows && n->kind != PAD && !blocks && (n->pad_bottom | n->pad_right)) return TOPOLOGY;
    if (channels ? n->out_channels < 1 : n->out_channels != 0) return TOPOLOGY;
    if (n->kind == CONV ? n->groups < 1 : n->groups != 0) return TOPOLOGY;
    return OK;
}

/* > per node a NodeTopology and its uint16 input indices (an even number of them, a last odd one padded
 * > with 0)
 *
 * > | 0 | 1 | uint8 | `kind` | Kind |
 * > | 1 | 1 | uint8 | `flags` | TopologyFlag |
 * > | 2 | 2 | uint16 | `n_inputs` | number of uint16 tensor indices that follow |
 * > | 4 | 2 | uint16 | `kernel_h` | CONV, MAX_POOL, AVG_POOL; else 0 |
 * > | 6 | 2 | uint16 | `kernel_w` | |
 * > | 8 | 2 | uint16 | `stride_h` | also UPSAMPLE |
 * > | 10 | 2 | uint16 | `stride_w` | |
 * > | 12 | 2 | uint16 | `pad_top` | also PAD |
 * > | 14 | 2 | uint16 | `pad_left` | |
 * > | 16 | 2 | uint16 | `pad_bottom` | also PAD and UPSAMPLE |
 * > | 18 | 2 | uint16 | `pad_right` | |
 * > | 20 | 2 | uint16 | `out_channels` | CONV, UPSAMPLE: output channels; else 0 |
 * > | 22 | 2 | uint16 | `groups` | CONV; else 0 |
 *
 * > a node has a kind, flags, inputs and fields as its kind has them, and reads only the input and tensors of
 * > earlier nodes (TOPOLOGY).
 *
 * > Tensor 0 is the input; tensor i+1 is the output of node i
 *
 * Moves *at behind the node's indices; the section ends at end. */
static status read_node_topology(node *n, uint32_t number, uint32_t n_tensors, const uint8_t **at,
                                 const uint8_t *end) {
    const uint8_t *p = *at;
    if (end - p < NODE_TOPOLOGY_BYTES) return HEADER;
    n->kind = u8(p + 0);
    n->flags = u8(p + 1);
    n->n_inputs = u16(p + 2);
    n->kernel_h = u16(p + 4);
    n->kernel_w = u16(p + 6);
    n->stride_h = u16(p + 8);
    n->stride_w = u16(p + 10);
    n->pad_top = u16(p + 12);
    n->pad_left = u16(p + 14);
    n->pad_bottom = u16(p + 16);
    n->pad_right = u16(p + 18);
    n->out_channels = u16(p + 20);
    n->groups = u16(p + 22);

    const uint8_t *indices = p + NODE_TOPOLOGY_BYTES;
    uint32_t even = n->n_inputs + n->n_inputs % 2;
    if ((size_t)(end - indices) < 2 * (size_t)even) return HEADER;
    if (even > n->n_inputs && u16(indices + 2 * n->n_inputs) != 0) return HEADER;
    CHECK(check_node_topology(n));
    n->inputs = memory(n->n_inputs, sizeof *n->inputs);
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        n->inputs[i] = u16(indices + 2 * i);
        if (n->inputs[i] > number || n->inputs[i] >= n_tensors) return TOPOLOGY;
    }
    *at = indices + 2 * even;
    return OK;
}

/* > topology one TensorShape per tensor, then per node a NodeTopology
 *
 * > **Topology**, record by record. The hash is right (TOPOLOGY). The records fill the section exactly,
 * > their reserved fields and padding are zero (HEADER).
 *
 * > all tensors together have at most 2**22 channels */
static status read_topology(blob *b) {
    const uint8_t *at = b->bytes + b->topology_offset, *end = at + b->topology_bytes;
    if (topology_hash(at, b->topology_bytes) != b->topology_hash) return TOPOLOGY;
    if (b->topology_bytes < b->n_tensors * TENSOR_SHAPE_BYTES + b->n_nodes * NODE_TOPOLOGY_BYTES)
        return HEADER;
    b->tensors = memory(b->n_tensors, sizeof *b->tensors);
    b->nodes = memory(b->n_nodes, sizeof *b->nodes);
    uint64_t channels = 0;
    for (uint32_t t = 0; t < b->n_tensors; t++, at += TENSOR_SHAPE_BYTES) {
        CHECK(read_tensor_shape(&b->tensors[t], at));
        channels += b->tensors[t].channels;
    }
    if (channels > (uint64_t)1 << 22) return TOPOLOGY;
    for (uint32_t i = 0; i < b->n_nodes; i++)
        CHECK(read_node_topology(&b->nodes[i], i, b->n_tensors, &at, end));
    return at == end ? OK : HEADER;
}

/* ---- 4: the tensors --------------------------------------------------------------------------------- */

/* > tensors one TensorScale per tensor, one for the scores of each output behind the first, then the pad byte
 * > of each channel of tensor 0 (the input), padded with zeros to a multiple of four
 *
 * > Meaning of a tensor's bytes: value = scale * (byte - zero_point); of a score: scale * score.
 *
 * > | 0 | 4 | float32 | `scale` | real value of one step |
 * > | 4 | 1 | uint8 | `zero_point` | byte that means 0.0, and that padding reads (but see tensor 0); of
 * scores 0 | > | 5 | 1 | uint8 | `reserved0` | 0 | > | 6 | 2 | uint16 | `reserved1` | 0 |
 *
 * > **Tensors** (HEADER). The section has the size of its records, reserved fields, padding and the zero
 * points > of scores are zero, scales are positive and finite. */
static status read_tensors(blob *b) {
    const uint8_t *p = b->bytes + b->tensors_offset;
    uint32_t channels = b->tensors[0].channels;
    uint32_t used = b->n_nodes * TENSOR_SCALE_BYTES + channels, padded = (used + 3) / 4 * 4;
    if (b->tensors_bytes != padded || !all_zero(p + used, padded - used)) return HEADER;
    b->more_scales = memory(b->n_nodes - b->n_tensors, sizeof *b->more_scales);
    for (uint32_t i = 0; i < b->n_nodes; i++, p += TENSOR_SCALE_BYTES) {
        uint32_t scale = u32(p + 0), zero_point = u8(p + 4);
        if (!is_scale(scale) || u8(p + 5) != 0 || u16(p + 6) != 0) return HEADER;
        if (i < b->n_tensors) {
            b->tensors[i].scale = scale;
            b->tensors[i].zero_point = zero_point;
        } else {
            b->more_scales[i - b->n_tensors] = scale;
            if (zero_point != 0) return HEADER;
        }
    }
    b->input_pad = p;
    return OK;
}

/* ---- 5: the sections of the layers ------------------------------------------------------------------ */

/* > Starts every layer section. 24 bytes.
 *
 * > | 0 | 4 | uint32 | `section_crc` | CRC-32 of the rest of the section |
 * > | 4 | 4 | uint32 | `section_bytes` | size of the section, this header included |
 * > | 8 | 1 | uint8 | `kind` | Kind, as in the topology |
 * > | 9 | 1 | uint8 | `flags` | LayerFlag |
 * > | 10 | 1 | uint8 | `lo` | lowest output byte; PAD: the byte to pad with |
 * > | 11 | 1 | uint8 | `hi` | highest output byte |
 * > | 12 | 2 | uint16 | `mult` |
 *
 * > | 14 | 1 | uint8 | `shift` |
 *
 * > | 15 | 1 | uint8 | `bias_shift` | CONV: left shift of stored biases |
 * > | 16 | 4 | int32 | `factor0` | ADD: factor of the first input; AVG_POOL: unit; MUL: factor |
 * > | 20 | 4 | int32 | `factor1` | ADD: factor of the second input, 0 if there is one |
 */
static void read_node_header(node *n, const uint8_t *p) {
    n->layer_flags = u8(p + 9);
    n->lo = u8(p + 10);
    n->hi = u8(p + 11);
    n->mult = u16(p + 12);
    n->shift = u8(p + 14);
    n->bias_shift = u8(p + 15);
    n->factor0 = integer(p + 16, 4);
    n->factor1 = integer(p + 20, 4);
}

/* > Follows the NodeHeader of a convolution. 28 bytes.
 *
 * > | 0 | 2 | uint16 | `n_levels` | levels, zero included, 1..256 |
 * > | 2 | 1 | uint8 | `level_bytes` | 1 or 2 |
 * > | 3 | 1 | uint8 | `bias_bytes` | 1, 2 or 4 |
 * > | 4 | 1 | uint8 | `coding` | Coding |
 * > | 5 | 1 | uint8 | `level_bits` |
 *
 * > | 6 | 1 | uint8 | `run_bits` |
 *
 * > | 7 | 1 | uint8 | `reserved` | 0 |
 * > | 8 | 4 | uint32 | `n_entries` | coded entries in the stream, fillers included |
 * > | 12 | 4 | uint32 | `max_filter_entries` | most non-zero weights in one output channel |
 * > | 16 | 4 | uint32 | `stream_bits` | bits used in the stream |
 * > | 20 | 4 | uint32 | `stream_bytes` | bytes of the stream with its guard |
 * > | 24 | 2 | uint16 | `table_bytes` | packed code lengths (JOINT: symbols; GAPS: gaps) |
 * > | 26 | 2 | uint16 | `table2_bytes` | packed code lengths of levels (GAPS only, else 0) |
 */
static void read_conv_header(node *n, const uint8_t *p) {
    n->n_levels = u16(p + 0);
    n->level_bytes = u8(p + 2);
    n->bias_bytes = u8(p + 3);
    n->coding = u8(p + 4);
    n->level_bits = u8(p + 5);
    n->run_bits = u8(p + 6);
    n->reserved = u8(p + 7);
    n->n_entries = u32(p + 8);
    n->max_filter_entries = u32(p + 12);
    n->stream_bits = u32(p + 16);
    n->stream_bytes = u32(p + 20);
    n->table_bytes = u16(p + 24);
    n->table2_bytes = u16(p + 26);
}

/* > layers one section per node in execution order: a NodeHeader; for a convolution a ConvHeader and its
 * > arrays, padded with zeros to a multiple of four; for a TABLE its 256 bytes
 *
 * > **Sections**, one after the other. The headers lie within the blob, `section_bytes` is a multiple of
 * > four, covers them and ends within the blob (SECTION). `section_crc` is right (SECTION_CRC), `kind` is
 * > the topology's (LAYER). The section of a TABLE ends 256 bytes behind its NodeHeader, any other without a
 * > ConvHeader ends with its NodeHeader; the last section ends at `blob_bytes` (SECTION). */
static status read_sections(blob *b) {
    size_t at = b->layers_offset;
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        node *n = &b->nodes[i];
        const uint8_t *p = b->bytes + at;
        size_t left = b->size - at;
        size_t headers = NODE_HEADER_BYTES + (n->kind == CONV ? (size_t)CONV_HEADER_BYTES : 0);
        if (left < headers) return SECTION;
        n->section_bytes = u32(p + 4);
        if (n->section_bytes < headers || n->section_bytes > left || n->section_bytes % 4 != 0)
            return SECTION;
        if (crc32(p + 4, n->section_bytes - 4) != u32(p + 0)) return SECTION_CRC;
        if (u8(p + 8) != n->kind) return LAYER;
        size_t table = n->kind == LOOK_UP ? (size_t)TABLE_BYTES : 0;
        if (n->kind != CONV && n->section_bytes != headers + table) return SECTION;
        read_node_header(n, p);
        if (n->kind == CONV) read_conv_header(n, p + NODE_HEADER_BYTES);
        n->arrays = p + headers;
        n->arrays_bytes = n->section_bytes - headers;
        at += n->section_bytes;
    }
    return at == b->size ? OK : SECTION;
}

/* ---- 6: memory -------------------------------------------------------------------------------------- */

/* > `groups` divides the channels of the input and `out_channels`; a convolution has `out_channels` x
 * > channels / `groups` x `kernel_h` x `kernel_w` weights.
 *
 * > A layer has at most 2**27 weights, all layers together have at most 2**28, so that a few bytes cannot
 * > claim gigabytes. An entry justifies 256 weights; weights beyond that, summed over the layers, are at
 * > most 2**24. A layer is taken to have `n_entries`, but no more than `stream_bits` and than there are
 * > bits behind its ConvHeader. */
static status check_memory(blob *b) {
    uint64_t all = 0, unjustified = 0;
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        node *n = &b->nodes[i];
        if (n->kind != CONV) continue;
        uint32_t channels = b->tensors[n->inputs[0]].channels;
        if (channels % n->groups != 0 || n->out_channels % n->groups != 0) return TOPOLOGY;
        uint64_t filter = (uint64_t)(channels / n->groups) * n->kernel_h * n->kernel_w;
        uint64_t weights = n->out_channels * filter, entries = n->n_entries;
        if (entries > n->stream_bits) entries = n->stream_bits;
        if (entries > 8 * (uint64_t)n->arrays_bytes) entries = 8 * (uint64_t)n->arrays_bytes;
        if (weights > (uint64_t)1 << 27) return TOPOLOGY;
        all += weights;
        unjustified += weights > 256 * entries ? weights - 256 * entries : 0;
        if (all > (uint64_t)1 << 28 || unjustified > (uint64_t)1 << 24) return TOPOLOGY;
        n->filter_weights = (uint32_t)filter;
    }
    return OK;
}

/* ---- 7: the constants of a node --------------------------------------------------------------------- */

/* > `lo` is at most `hi`, shifts are 17 to 32 */
static int requantization_is_sound(const node *n) {
    return n->shift >= 17 && n->shift <= 32 && n->lo <= n->hi;
}

/* > All others are zero, but `hi`, which is 255 where nothing is clipped. */
static int requantization_is_absent(const node *n) {
    return n->mult == 0 && n->shift == 0 && n->lo == 0 && n->hi == 255;
}

/* > the factors of an ADD are below 2**16 in magnitude, the factor of a MUL is 1 to 2**16 - 1, and the unit
 * of > an AVG_POOL is 1 to 2**24 - 1. Any bytes are a table. */
static status check_constants(const node *n) {
    const int64_t limit = (int64_t)1 << 16;
    if (n->layer_flags != 0 || n->bias_shift != 0) return LAYER;
    if (n->factor1 != 0 && !(n->kind == ADD && n->n_inputs == 2)) return LAYER;
    switch (n->kind) {
    case ADD:
        if (n->factor0 <= -limit || n->factor0 >= limit || n->factor1 <= -limit || n->factor1 >= limit)
            return LAYER;
        return requantization_is_sound(n) ? OK : LAYER;
    case MUL:
        if (n->factor0 < 1 || n->factor0 >= limit) return LAYER;
        return requantization_is_sound(n) ? OK : LAYER;
    case AVG_POOL:
        if (n->factor0 < 1 || n->factor0 >= (int64_t)1 << 24) return LAYER;
        return requantization_is_sound(n) ? OK : LAYER;
    case PAD: /* lo is the byte to pad with */
        if ((n->flags & EDGE) != 0 && n->lo != 0) return LAYER;
        return n->factor0 == 0 && n->mult == 0 && n->shift == 0 && n->hi == 255 ? OK : LAYER;
    default:
        return n->factor0 == 0 && requantization_is_absent(n) ? OK : LAYER;
    }
}

/* > * `reserved` is zero (HEADER). Fields are in the ranges that the records state, `bias_shift` is at most
 * > 31, `table2_bytes` is 0 with JOINT, and there are at most as many entries as weights (LAYER) and as
 * > bits (STREAM).
 *
 * > JOINT: bits of a level index, 1..8, n_levels <= 2**level_bits; GAPS: 8 |
 *
 * > JOINT: raw bits of an escaped run, 0..12; GAPS: bits of a gap, 1..8 | */
static status check_conv_header(const node *n) {
    if (n->reserved != 0) return HEADER;
    if (n->factor0 != 0 || n->factor1 != 0) return LAYER;
    if ((n->layer_flags & ~(uint32_t)PER_CHANNEL) != 0 || n->bias_shift > 31) return LAYER;
    if (n->n_levels < 1 || n->n_levels > MAX_LEVELS) return LAYER;
    if (n->level_bytes != 1 && n->level_bytes != 2) return LAYER;
    if (n->bias_bytes != 1 && n->bias_bytes != 2 && n->bias_bytes != 4) return LAYER;
    switch (n->coding) {
    case JOINT:
        if (n->level_bits < 1 || n->level_bits > 8 || n->n_levels > 1u << n->level_bits) return LAYER;
        if (n->run_bits > 12 || n->table2_bytes != 0) return LAYER;
        break;
    case GAPS:
        if (n->level_bits != 8 || n->run_bits < 1 || n->run_bits > 8) return LAYER;
        break;
    default:
        return LAYER;
    }
    if (n->n_entries > n->out_channels * n->filter_weights) return LAYER;
    return n->n_entries <= n->stream_bits ? OK : STREAM;
}

/* > A convolution's arrays follow its headers in this order, without gaps
 *
 * The next count bytes of the arrays, of which *at are taken already; NULL where the section has not as many.
 */
static const uint8_t *take(const node *n, size_t *at, size_t count) {
    const uint8_t *array = n->arrays + *at;
    if (n->arrays_bytes - *at < count) return NULL;
    *at += count;
    return array;
}

/* > levels int8 or int16 (``level_bytes``) x (n_levels - 1): level 0 is zero and is not stored */
static status read_levels(node *n, size_t *at) {
    const uint8_t *p = take(n, at, (size_t)n->level_bytes * (n->n_levels - 1));
    if (p == NULL) return SECTION;
    n->levels = memory(n->n_levels, sizeof *n->levels);
    for (uint32_t i = 1; i < n->n_levels; i++, p += n->level_bytes)
        n->levels[i] = integer(p, n->level_bytes);
    return OK;
}

/* > mult uint16 x O, only with flag PER_CHANNEL
 * > shift uint8 x O, only with flag PER_CHANNEL
 *
 * > without RAW `lo`, `hi`, `mult`, `shift`.
 *
 * > With PER_CHANNEL, `mult` and `shift` of the NodeHeader are zero. */
static status read_requantization(node *n, size_t *at) {
    int raw = (n->flags & RAW) != 0;
    if ((n->layer_flags & PER_CHANNEL) == 0)
        return (raw ? requantization_is_absent(n) : requantization_is_sound(n)) ? OK : LAYER;
    const uint8_t *mult = take(n, at, 2 * (size_t)n->out_channels);
    if (mult == NULL) return SECTION;
    const uint8_t *shift = take(n, at, n->out_channels);
    if (shift == NULL) return SECTION;
    if (raw || n->mult != 0 || n->shift != 0 || n->lo > n->hi) return LAYER;
    n->mults = memory(n->out_channels, sizeof *n->mults);
    n->shifts = memory(n->out_channels, sizeof *n->shifts);
    for (uint32_t o = 0; o < n->out_channels; o++) {
        n->mults[o] = u16(mult + 2 * o);
        n->shifts[o] = u8(shift + o);
        if (n->shifts[o] < 17 || n->shifts[o] > 32) return LAYER;
    }
    return OK;
}

/* > bias int8, int16 or int32 (``bias_bytes``) x O; the bias is the stored value << bias_shift
 *
 * > every bias fits 32 bits (LAYER). */
static status read_bias(node *n, size_t *at) {
    const uint8_t *p = take(n, at, (size_t)n->bias_bytes * n->out_channels);
    if (p == NULL) return SECTION;
    n->bias = memory(n->out_channels, sizeof *n->bias);
    for (uint32_t o = 0; o < n->out_channels; o++, p += n->bias_bytes) {
        n->bias[o] = integer(p, n->bias_bytes) * ((int64_t)1 << n->bias_shift);
        if (n->bias[o] < INT32_MIN || n->bias[o] > INT32_MAX) return LAYER;
    }
    return OK;
}

/* ---- Code tables ------------------------------------------------------------------------------------ */

/* The nibbles of a packed table. */
typedef struct nibbles {
    const uint8_t *bytes;
    uint32_t at, end;
    int missing; /* whether one was asked for behind the end */
} nibbles;

/* > Nibbles follow, low half first */
static uint32_t take_nibble(nibbles *from) {
    if (from->at == from->end) {
        from->missing = 1;
        return 0;
    }
    uint32_t byte = from->bytes[from->at / 2], high = from->at % 2;
    from->at++;
    return high ? byte >> 4 : byte & 15;
}

/* > Nibbles follow, low half first, until N lengths are known: 0..12 the next length (0: no code); 13 a: a
 * > + 3 zeros; 14 a: a + 3 times the previous length; 15 a b: a + 16 b + 19 zeros. */
static status read_lengths(code_table *t, nibbles *from) {
    for (uint32_t symbol = 0; symbol < t->n_symbols;) {
        uint32_t nibble = take_nibble(from), length = 0, repeats = 1;
        if (nibble <= MAX_CODE_BITS) {
            length = nibble;
        } else if (nibble == 13) {
            repeats = take_nibble(from) + 3;
        } else if (nibble == 14) {
            if (symbol == 0) return TABLE; /* there is no previous length */
            length = t->lengths[symbol - 1];
            repeats = take_nibble(from) + 3;
        } else {
            repeats = take_nibble(from);
            repeats += 16 * take_nibble(from) + 19;
        }
        if (from->missing || repeats > t->n_symbols - symbol) return TABLE;
        for (; repeats > 0; repeats--)
            t->lengths[symbol++] = (uint8_t)length;
    }
    return OK;
}

/* > Codes are canonical as in DEFLATE (RFC 1951, 3.2.2): by length, then by symbol, ESCAPE last. The Kraft
 * > sum is at most one
 *
 * ESCAPE is the largest symbol, so it is the last one of its length without more ado. */
static status order_symbols(code_table *t) {
    uint32_t kraft = 0, n = 0; /* the Kraft sum counts codes of the greatest length */
    for (uint32_t length = 1; length <= MAX_CODE_BITS; length++) {
        for (uint32_t symbol = 0; symbol <= ESCAPE; symbol++) {
            if (t->lengths[symbol] != length) continue;
            t->in_order[n++] = (uint16_t)symbol;
            t->count[length]++;
        }
        kraft += t->count[length] << (MAX_CODE_BITS - length);
        if (kraft > 1u << MAX_CODE_BITS) return TABLE;
    }
    return OK;
}

/* > A packed code table starts with uint16 N (symbols 0..N-1 are listed), uint8 length of the code of
 * > ESCAPE (0: none) and a zero byte.
 *
 * > A table is of exactly `table_bytes`, at least 4: a layer without entries has a table of no symbols. Its
 * > last nibble, where their number is odd, is zero. */
static status read_table(code_table *t, const uint8_t *p, uint32_t bytes, uint32_t most_symbols, int escape) {
    if (bytes < 4) return TABLE;
    t->n_symbols = u16(p + 0);
    uint32_t escape_length = u8(p + 2);
    if (t->n_symbols > most_symbols || escape_length > (escape ? MAX_CODE_BITS : 0u) || u8(p + 3) != 0)
        return TABLE;
    nibbles from = {p + 4, 0, 2 * (bytes - 4), 0};
    CHECK(read_lengths(t, &from));
    if (from.at % 2 != 0 && take_nibble(&from) != 0) return TABLE;
    if (from.at != from.end) return TABLE;
    t->lengths[ESCAPE] = (uint8_t)escape_length;
    return order_symbols(t);
}

/* > tables packed code lengths, ``table_bytes`` and then ``table2_bytes``
 *
 * > JOINT lists at most 4095 symbols, GAPS at most 2**run_bits gaps and 256 levels, without ESCAPE (TABLE).
 */
static status read_tables(node *n, size_t *at) {
    const uint8_t *first = take(n, at, n->table_bytes);
    if (first == NULL) return SECTION;
    n->tables = memory(2, sizeof *n->tables);
    if (n->coding == JOINT) return read_table(&n->tables[0], first, n->table_bytes, ESCAPE, 1);
    const uint8_t *second = take(n, at, n->table2_bytes);
    if (second == NULL) return SECTION;
    CHECK(read_table(&n->tables[0], first, n->table_bytes, 1u << n->run_bits, 0));
    return read_table(&n->tables[1], second, n->table2_bytes, MAX_LEVELS, 0);
}

/* ---- The stream ------------------------------------------------------------------------------------- */

/* > zeros up to the next multiple of four
 * > stream ``stream_bytes``, a multiple of four, its last eight bytes zero: a reader may load 32 bits at any
 * > symbol
 *
 * > * `stream_bytes` is (stream_bits + 7) / 8 + 8 rounded up to a multiple of four; the zeros before the
 * > stream are zero, and the section ends with it (SECTION). All bits from `stream_bits` on are zero
 * > (STREAM). */
static status find_stream(node *n, size_t *at) {
    uint64_t size = ((uint64_t)n->stream_bits + 7) / 8 + GUARD_BYTES;
    if (n->stream_bytes != (size + 3) / 4 * 4) return SECTION;
    size_t filling = (4 - *at % 4) % 4;
    const uint8_t *zeros = take(n, at, filling);
    if (zeros == NULL || !all_zero(zeros, filling)) return SECTION;
    n->stream = take(n, at, n->stream_bytes);
    if (n->stream == NULL || *at != n->arrays_bytes) return SECTION;
    uint32_t whole = n->stream_bits / 8;
    if (n->stream[whole] >> n->stream_bits % 8 != 0) return STREAM;
    return all_zero(n->stream + whole + 1, n->stream_bytes - whole - 1) ? OK : STREAM;
}

/* > a code's first bit comes first.
 *
 * > Every code is one of its table (CODE)
 *
 * Of a canonical code, the codes of one length are consecutive numbers, and the first code of a length is
 * twice the number behind the last code of the length before. The first bit that is read is the highest of a
 * code. */
static status take_symbol(const code_table *t, const uint8_t *stream, uint64_t *position, uint32_t *symbol) {
    uint32_t code = 0, first = 0, before = 0; /* before: how many codes are shorter */
    for (uint32_t length = 1; length <= MAX_CODE_BITS; length++) {
        code = code << 1 | take_bit(stream, position);
        first <<= 1;
        if (code - first < t->count[length]) {
            *symbol = t->in_order[before + code - first];
            return OK;
        }
        first += t->count[length];
        before += t->count[length];
    }
    return CODE;
}

/* > With JOINT one symbol v < 4095 is run = v >> level_bits, level = v & mask, and symbol 4095 escapes to
 * > run_bits raw bits of run, then level_bits raw bits of level. With GAPS an entry is a gap's code and
 * > then a level's code. */
static status take_entry(const node *n, uint64_t *position, entry *e) {
    uint32_t symbol = 0;
    CHECK(take_symbol(&n->tables[0], n->stream, position, &symbol));
    if (n->coding == GAPS) {
        e->run = symbol;
        return take_symbol(&n->tables[1], n->stream, position, &e->level);
    }
    if (symbol == ESCAPE) {
        e->run = take_raw(n->stream, position, n->run_bits);
        e->level = take_raw(n->stream, position, n->level_bits);
    } else {
        e->run = symbol >> n->level_bits;
        e->level = symbol & ((1u << n->level_bits) - 1);
    }
    return OK;
}

/* > `n_entries` entries end exactly at `stream_bits` (STREAM).
 *
 * The last entry may read beyond stream_bits before this is found, but never beyond the guard: an entry has
 * at most 12 + 12 + 8 bits. */
static status take_entries(const node *n, entry *entries) {
    uint64_t position = 0;
    uint32_t count = 0;
    while (position < n->stream_bits) {
        entry e = {0, 0};
        CHECK(take_entry(n, &position, &e));
        if (count < n->n_entries) entries[count] = e;
        count++;
    }
    return position == n->stream_bits && count == n->n_entries ? OK : STREAM;
}

/* > An entry is a run of zeros and the weight behind it, in the order output channel, then kernel row,
 * > kernel column, input channel: ``position += run``, the weight there has level ``level`` (level 0 makes
 * > it a filler zero), ``position += 1``. Runs cross filters; weights after the last entry are zero.
 *
 * > A table may list a symbol that stands for no level; using it is an error (LEVEL). No weight lies beyond
 * > the layer's last (POSITION). */
static status place_weights(node *n, const entry *entries) {
    uint64_t position = 0, weights = (uint64_t)n->out_channels * n->filter_weights;
    for (uint32_t i = 0; i < n->n_entries; i++)
        if (entries[i].level >= n->n_levels) return LEVEL;
    for (uint32_t i = 0; i < n->n_entries; i++) {
        position += entries[i].run;
        if (position >= weights) return POSITION;
        n->weights[position++] = (uint8_t)entries[i].level;
    }
    return OK;
}

/* > * `max_filter_entries` is the largest number of weights in one output channel whose level index is not
 * > zero (LAYER). */
static status check_filters(const node *n) {
    uint32_t most = 0;
    const uint8_t *weight = n->weights;
    for (uint32_t o = 0; o < n->out_channels; o++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < n->filter_weights; i++)
            count += *weight++ != 0;
        if (count > most) most = count;
    }
    return most == n->max_filter_entries ? OK : LAYER;
}

/* > A convolution's section is checked in this order */
static status read_convolution(node *n) {
    size_t at = 0;
    CHECK(check_conv_header(n));
    CHECK(read_levels(n, &at));
    CHECK(read_requantization(n, &at));
    CHECK(read_bias(n, &at));
    CHECK(read_tables(n, &at));
    CHECK(find_stream(n, &at));
    entry *entries = memory(n->n_entries, sizeof *entries);
    n->weights = memory((size_t)n->out_channels * n->filter_weights, 1);
    status found = take_entries(n, entries);
    if (found == OK) found = place_weights(n, entries);
    free(entries);
    return found == OK ? check_filters(n) : found;
}

/* ---- 8 to 10: the network as a whole ---------------------------------------------------------------- */

/* > **Summary** (HEADER). `max_code_bits` and `max_filter_entries` are the largest of all layers, 0 if
 * > there is no convolution. */
static status check_summary(const blob *b) {
    uint32_t bits = 0, entries = 0;
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const node *n = &b->nodes[i];
        if (n->kind != CONV) continue;
        for (uint32_t length = 1; length <= MAX_CODE_BITS; length++)
            if (n->tables[0].count[length] + n->tables[1].count[length] > 0 && length > bits) bits = length;
        if (n->max_filter_entries > entries) entries = n->max_filter_entries;
    }
    return b->max_code_bits == bits && b->max_filter_entries == entries ? OK : HEADER;
}

/* > Windows along one axis: free = size + pad before + pad behind - kernel must not be negative, and there
 * > are free / stride + 1 windows, the quotient rounded down. With CEIL it is rounded up, and the last
 * > window is left out if it would start at size + pad before, or later.
 *
 * 0 where the kernel does not fit. */
static uint64_t count_windows(uint32_t size, uint32_t kernel, uint32_t stride, uint32_t before,
                              uint32_t behind, int ceil) {
    uint64_t padded = (uint64_t)size + before + behind;
    if (padded < kernel) return 0;
    uint64_t windows = (padded - kernel + (ceil ? stride - 1 : 0)) / stride + 1;
    return ceil && (windows - 1) * stride >= (uint64_t)size + before ? windows - 1 : windows;
}

/* > Shapes are those that the kinds make.
 *
 * > Its output has `out_channels` channels of windows.
 *
 * > Its output has the input's channels, of windows.
 *
 * > Its output has that shape.
 *
 * > Its output has the input's channels; height and width grow by the pads.
 *
 * > Its output has the channels of all inputs.
 *
 * > Its output has the input's shape, with RAW the shape channels, 1, 1.
 *
 * > The second input has the shape of the first, or is a gate of the shape channels, 1, 1. Its output has the
 * > shape of the first input.
 *
 * > Its output has the input's shape. */
static status find_shape(const blob *b, const node *n, uint64_t shape[3]) {
    const tensor *first = &b->tensors[n->inputs[0]];
    const uint64_t input[3] = {first->channels, first->height, first->width};
    memcpy(shape, input, sizeof input);
    if (n->kind == CONV || n->kind == MAX_POOL || n->kind == AVG_POOL) {
        int ceil = (n->flags & CEIL) != 0;
        shape[1] = count_windows(first->height, n->kernel_h, n->stride_h, n->pad_top, n->pad_bottom, ceil);
        shape[2] = count_windows(first->width, n->kernel_w, n->stride_w, n->pad_left, n->pad_right, ceil);
        if (n->kind == CONV) shape[0] = n->out_channels;
    } else if (n->kind == PAD) {
        shape[1] += (uint64_t)n->pad_top + n->pad_bottom;
        shape[2] += (uint64_t)n->pad_left + n->pad_right;
    } else if (n->kind == UPSAMPLE) {
        uint64_t pixels = (uint64_t)n->stride_h * n->stride_w;
        uint64_t height = shape[1] * n->stride_h, width = shape[2] * n->stride_w;
        if (shape[0] != n->out_channels && shape[0] != n->out_channels * pixels) return TOPOLOGY;
        if (n->pad_bottom >= height || n->pad_right >= width) return TOPOLOGY;
        shape[0] = n->out_channels;
        shape[1] = height - n->pad_bottom;
        shape[2] = width - n->pad_right;
    } else if (n->kind == SCORES && (n->flags & RAW) != 0) {
        shape[1] = shape[2] = 1;
    }
    for (uint32_t i = 1; i < n->n_inputs; i++) { /* ADD, CONCAT, MUL */
        const tensor *other = &b->tensors[n->inputs[i]];
        if (n->kind != CONCAT && other->channels != first->channels) return TOPOLOGY;
        if (n->kind == MUL && other->height == 1 && other->width == 1) continue;
        if (other->height != first->height || other->width != first->width) return TOPOLOGY;
        if (n->kind == CONCAT) shape[0] += other->channels;
    }
    return shape[1] > 0 && shape[2] > 0 ? OK : TOPOLOGY;
}

/* > MAX_POOL, PAD, CONCAT and UPSAMPLE keep scale and zero point. */
static status check_scales(const blob *b, const node *n, const tensor *output) {
    if (n->kind != MAX_POOL && n->kind != PAD && n->kind != CONCAT && n->kind != UPSAMPLE) return OK;
    for (uint32_t i = 0; i < n->n_inputs; i++) {
        const tensor *input = &b->tensors[n->inputs[i]];
        if (input->scale != output->scale || input->zero_point != output->zero_point) return TOPOLOGY;
    }
    return OK;
}

/* > No tensor enters a CONCAT twice or two of them, and the input enters none (TOPOLOGY).
 *
 * joined has a byte for each tensor: whether it may enter no further CONCAT. */
static status check_concat(const node *n, uint8_t *joined) {
    for (uint32_t i = 0; n->kind == CONCAT && i < n->n_inputs; i++) {
        if (joined[n->inputs[i]]) return TOPOLOGY;
        joined[n->inputs[i]] = 1;
    }
    return OK;
}

/* Whether an accumulator between two bounds fits an int32. */
static int fits(int64_t low, int64_t high) {
    return low >= INT32_MIN && high <= INT32_MAX;
}

/* > * CONV, of each output channel: bias + 255 * (sum of its negative weights), bias + 255 * (sum of its
 * > positive weights). */
static int convolution_fits(const node *n) {
    const uint8_t *weight = n->weights;
    for (uint32_t o = 0; o < n->out_channels; o++) {
        int64_t negative = 0, positive = 0;
        for (uint32_t i = 0; i < n->filter_weights; i++) {
            int64_t value = n->levels[*weight++];
            *(value < 0 ? &negative : &positive) += value;
        }
        if (!fits(n->bias[o] + 255 * negative, n->bias[o] + 255 * positive)) return 0;
    }
    return 1;
}

/* > * ADD: the sum over its inputs of the smaller, and that of the larger, of factor * -zero_point and
 * > factor * (255 - zero_point).
 *
 * > * AVG_POOL: -zero_point and 255 - zero_point, each times (unit + `kernel_h` * `kernel_w`).
 *
 * > * SCORES: -zero_point and 255 - zero_point, with RAW each times height * width.
 *
 * > * MUL: the least and the largest of the four products of `factor0`, -zero_point or 255 - zero_point of
 * the > first input, and the same of the second. */
static int accumulator_fits(const blob *b, const node *n) {
    const tensor *input = &b->tensors[n->inputs[0]];
    int64_t zero_point = (int64_t)input->zero_point, times = 1, low = 0, high = 0;
    switch (n->kind) {
    case CONV:
        return convolution_fits(n);
    case ADD:
        for (uint32_t i = 0; i < n->n_inputs; i++) {
            int64_t factor = i == 0 ? n->factor0 : n->factor1;
            int64_t zero = (int64_t)b->tensors[n->inputs[i]].zero_point;
            int64_t darkest = factor * -zero, brightest = factor * (255 - zero);
            low += darkest < brightest ? darkest : brightest;
            high += darkest < brightest ? brightest : darkest;
        }
        return fits(low, high);
    case MUL:
        for (int corner = 0; corner < 4; corner++) {
            int64_t other = (int64_t)b->tensors[n->inputs[1]].zero_point;
            int64_t product =
                n->factor0 * ((corner & 1 ? 255 : 0) - zero_point) * ((corner & 2 ? 255 : 0) - other);
            if (corner == 0 || product < low) low = product;
            if (corner == 0 || product > high) high = product;
        }
        return fits(low, high);
    case AVG_POOL:
        times = n->factor0 + (int64_t)n->kernel_h * n->kernel_w;
        break;
    case SCORES:
        if ((n->flags & RAW) != 0) times = (int64_t)input->height * input->width;
        break;
    default: /* no accumulator */
        break;
    }
    return fits(-zero_point * times, (255 - zero_point) * times);
}

/* > **Network**, node by node. The last nodes, one for each output, and no other, are a SCORES or a CONV with
 * > RAW.
 *
 * > No accumulator can leave 32 bits (LAYER).
 *
 * > The last nodes make scores, which are no tensors: one node for each output, whose scores lie one behind
 * the > other. So there are n_nodes - n_tensors + 1 outputs, mostly one.
 *
 * > **Scores** (HEADER). `n_scores` is the number of elements that the nodes that make scores make. */
static status check_nodes(const blob *b, uint8_t *joined) {
    uint64_t shape[3] = {0, 0, 0}, n_scores = 0;
    joined[0] = 1; /* the input */
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const node *n = &b->nodes[i];
        int last = i + 1 >= b->n_tensors;
        int scores = n->kind == SCORES || (n->kind == CONV && (n->flags & RAW) != 0);
        if (scores != last) return TOPOLOGY;
        CHECK(find_shape(b, n, shape));
        if (last) {
            n_scores += shape[0] * shape[1] * shape[2];
        } else {
            const tensor *output = &b->tensors[i + 1];
            if (shape[0] != output->channels || shape[1] != output->height || shape[2] != output->width)
                return TOPOLOGY;
            CHECK(check_concat(n, joined));
            CHECK(check_scales(b, n, output));
        }
        if (!accumulator_fits(b, n)) return LAYER;
    }
    return n_scores == b->n_scores ? OK : HEADER;
}

static status check_network(const blob *b) {
    uint8_t *joined = memory(b->n_tensors, 1);
    status found = check_nodes(b, joined);
    free(joined);
    return found;
}

/* ---- The whole blob --------------------------------------------------------------------------------- */

/* > A reader trusts nothing. Sizes, offsets, counts and check sums are proved before anything they describe
 * > is used
 *
 * > Python's reader and the plain one in `firmware/reference/blob_reader.c` make the checks in the order of
 * > this list and name the first that fails.
 *
 * The blob's bytes must stay where they are while b is used; release_blob frees the rest, whatever was found.
 */
static status read_blob(blob *b, const uint8_t *bytes, size_t size) {
    memset(b, 0, sizeof *b);
    b->bytes = bytes;
    b->size = size;
    CHECK(read_start(b));
    CHECK(read_header(b));
    CHECK(read_topology(b));
    CHECK(read_tensors(b));
    CHECK(read_sections(b));
    CHECK(check_memory(b));
    for (uint32_t i = 0; i < b->n_nodes; i++)
        CHECK(b->nodes[i].kind == CONV ? read_convolution(&b->nodes[i]) : check_constants(&b->nodes[i]));
    CHECK(check_summary(b));
    return check_network(b);
}

static void release_blob(blob *b) {
    for (uint32_t i = 0; b->nodes != NULL && i < b->n_nodes; i++) {
        node *n = &b->nodes[i];
        free(n->inputs), free(n->levels), free(n->mults), free(n->shifts);
        free(n->bias), free(n->tables), free(n->weights);
    }
    free(b->nodes), free(b->tensors), free(b->more_scales);
}

/* ---- Printing --------------------------------------------------------------------------------------- */

static double as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void print_bytes(const char *name, const uint8_t *bytes, uint32_t count) {
    printf("%s", name);
    for (uint32_t i = 0; i < count; i++)
        printf(" %u", bytes[i]);
    printf("\n");
}

static void print_table(const char *name, const code_table *t) {
    printf("%s escape %u lengths", name, t->lengths[ESCAPE]);
    for (uint32_t i = 0; i < t->n_symbols; i++)
        printf(" %u", t->lengths[i]);
    printf("\n");
}

static void print_convolution(const node *n) {
    printf("conv n_levels %u level_bytes %u bias_bytes %u coding %u level_bits %u run_bits %u n_entries %u "
           "max_filter_entries %u stream_bits %u stream_bytes %u table_bytes %u table2_bytes %u\n",
           n->n_levels, n->level_bytes, n->bias_bytes, n->coding, n->level_bits, n->run_bits, n->n_entries,
           n->max_filter_entries, n->stream_bits, n->stream_bytes, n->table_bytes, n->table2_bytes);
    printf("levels");
    for (uint32_t i = 0; i < n->n_levels; i++)
        printf(" %d", (int)n->levels[i]);
    if (n->mults != NULL) {
        printf("\nrequant");
        for (uint32_t o = 0; o < n->out_channels; o++)
            printf(" %u>>%u", n->mults[o], n->shifts[o]);
    }
    printf("\nbias");
    for (uint32_t o = 0; o < n->out_channels; o++)
        printf(" %ld", (long)n->bias[o]);
    printf("\n");
    print_table(n->coding == JOINT ? "symbols" : "gaps", &n->tables[0]);
    if (n->coding == GAPS) print_table("levels", &n->tables[1]);
    const uint8_t *weight = n->weights;
    for (uint32_t o = 0; o < n->out_channels; o++) {
        printf("filter %u", o);
        for (uint32_t i = 0; i < n->filter_weights; i++)
            printf(" %u", *weight++);
        printf("\n");
    }
}

/* One line a record or array, names before numbers. The weights of a filter are level indices in the order
 * kernel row, kernel column, input channel. */
static void print_blob(const blob *b) {
    printf(
        "blob blob_bytes %u topology_hash %08x%08x topology_bytes %u tensors_bytes %u n_nodes %u n_scores %u "
        "max_filter_entries %u max_code_bits %u score_scale %.9g\n",
        b->blob_bytes, (unsigned)(b->topology_hash >> 32), (unsigned)(b->topology_hash & 0xFFFFFFFF),
        b->topology_bytes, b->tensors_bytes, b->n_nodes, b->n_scores, b->max_filter_entries, b->max_code_bits,
        as_float(b->score_scale));
    for (uint32_t i = 0; i < b->n_tensors; i++) {
        const tensor *t = &b->tensors[i];
        printf("tensor %u channels %u height %u width %u scale %.9g zero_point %u\n", i, t->channels,
               t->height, t->width, as_float(t->scale), t->zero_point);
    }
    for (uint32_t i = 0; i < b->n_nodes - b->n_tensors; i++)
        printf("output %u scale %.9g\n", i + 1, as_float(b->more_scales[i]));
    print_bytes("pad", b->input_pad, b->tensors[0].channels);
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const node *n = &b->nodes[i];
        printf(
            "node %u %s flags %u kernel %u %u stride %u %u pads %u %u %u %u out_channels %u groups %u inputs",
            i, KIND_NAMES[n->kind], n->flags, n->kernel_h, n->kernel_w, n->stride_h, n->stride_w, n->pad_top,
            n->pad_left, n->pad_bottom, n->pad_right, n->out_channels, n->groups);
        for (uint32_t k = 0; k < n->n_inputs; k++)
            printf(" %u", n->inputs[k]);
        printf("\nlayer %u section_bytes %u flags %u lo %u hi %u mult %u shift %u bias_shift %u factor0 %ld "
               "factor1 %ld\n",
               i, n->section_bytes, n->layer_flags, n->lo, n->hi, n->mult, n->shift, n->bias_shift,
               (long)n->factor0, (long)n->factor1);
        if (n->kind == CONV) print_convolution(n);
        if (n->kind == LOOK_UP) print_bytes("table", n->arrays, TABLE_BYTES);
    }
}

/* Reads a blob and, if it is sound, prints it. */
static status show(const uint8_t *bytes, size_t size) {
    blob b;
    status found = read_blob(&b, bytes, size);
    if (found == OK) print_blob(&b);
    release_blob(&b);
    return found;
}

static status show_file(const char *name) {
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    uint8_t *bytes = NULL;
    size_t size = 0, more;
    do {
        bytes = realloc(bytes, size + 65536);
        if (bytes == NULL) exit(EXIT_FAILURE);
        more = fread(bytes + size, 1, 65536, file);
        size += more;
    } while (more > 0);
    fclose(file);
    status found = show(bytes, size);
    free(bytes);
    return found;
}

/* Each blob lies in memory of exactly its size, so that a sanitizer sees a byte read behind it. */
static void show_stream(void) {
    uint8_t head[4];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t size = u32(head);
        uint8_t *bytes = malloc(size > 0 ? size : 1);
        if (bytes == NULL || fread(bytes, 1, size, stdin) != size) exit(EXIT_FAILURE);
        printf("status %d\n", (int)show(bytes, size));
        fflush(stdout);
        free(bytes);
    }
}

int main(int count, char **arguments) {
    if (count > 2) {
        fprintf(stderr, "usage: %s [FILE]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    if (count == 2) return (int)show_file(arguments[1]);
    show_stream();
    return EXIT_SUCCESS;
}
