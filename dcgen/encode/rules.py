"""What each kind of node has, and what a reader checks: text of docs/blob-format.md, which ``document`` renders.

## What each kind has

Beside `kind`, `n_inputs` and the checks and sizes of its section, a node has the fields of its kind. All
others are zero, but `hi`, which is 255 where nothing is clipped.

KINDS

Kernels, strides, `out_channels` and `groups` are at least 1. `groups` divides the channels of the input and
`out_channels`; a convolution has `out_channels` x channels / `groups` x `kernel_h` x `kernel_w` weights. Each
pad of a pool is smaller than the kernel along its axis.

Windows along one axis: free = size + pad before + pad behind - kernel must not be negative, and there are
free / stride + 1 windows, the quotient rounded down. With CEIL it is rounded up, and the last window is left
out if it would start at size + pad before, or later.

[numbers.md](numbers.md) derives what each kind computes.

## What a reader must check

A reader trusts nothing. Sizes, offsets, counts and check sums are proved before anything they describe is
used, and every defect ends in a status of the table below. Python's reader and the plain one in
`firmware/reference/blob_reader.c` make the checks in the order of this list and name the first that fails.
Firmware leaves out what its plan settles (geometry) and what cannot do it harm.

1. **Start.** There are 64 bytes (TRUNCATED), `magic` (MAGIC) and `version` (VERSION) are right, there are
   `blob_bytes` bytes (TRUNCATED) and no more (HEADER; firmware ignores what follows), `header_bytes` and
   `reserved` are right (HEADER), and so is `blob_crc` (BLOB_CRC).
2. **Header** (HEADER). The sections lie one after the other within the blob, their sizes are multiples of
   four. `n_tensors` is 1 to `n_nodes`, `max_code_bits` is at most 12, `score_scale` is positive and finite.
3. **Topology**, record by record. The hash is right (TOPOLOGY). The records fill the section exactly, their
   reserved fields and padding are zero (HEADER). A tensor has 1 to 2**31 - 1 elements, all tensors together
   have at most 2**22 channels; a node has a kind, flags, inputs and fields as its kind has them, and
   reads only the input and tensors of earlier nodes (TOPOLOGY).
4. **Tensors** (HEADER). The section has the size of its records, reserved fields, padding and the zero points
   of scores are zero, scales are positive and finite.
5. **Sections**, one after the other. The headers lie within the blob, `section_bytes` is a multiple of four,
   covers them and ends within the blob (SECTION). `section_crc` is right (SECTION_CRC), `kind` is the
   topology's (LAYER). The section of a TABLE ends 256 bytes behind its NodeHeader, any other without a
   ConvHeader ends with its NodeHeader; the last section ends at `blob_bytes` (SECTION).
6. **Memory** (TOPOLOGY), node by node. `groups` divides the channels. A layer has at most 2**27 weights, all
   layers together have at most 2**28, so that a few bytes cannot claim gigabytes. An entry justifies 256
   weights; weights beyond that, summed over the layers, are at most 2**24. A layer is taken to have
   `n_entries`, but no more than `stream_bits` and than there are bits behind its ConvHeader.
7. **Constants**, node by node, as listed below.
8. **Summary** (HEADER). `max_code_bits` and `max_filter_entries` are the largest of all layers, 0 if there is
   no convolution.
9. **Network**, node by node. The last nodes, one for each output, and no other, are a SCORES or a CONV with
   RAW. Shapes are those that the kinds make. MOVING keep scale and zero point. No tensor enters a
   CONCAT twice or two of them, and the input enters none (TOPOLOGY). No accumulator can leave 32 bits (LAYER).
10. **Scores** (HEADER). `n_scores` is the number of elements that the nodes that make scores make.

A node's constants are sound (LAYER) if fields that its kind does not have are zero (`hi`: 255), `lo` is at
most `hi`, shifts are 17 to 32, the factors of an ADD are below 2**16 in magnitude, the factor of a MUL is 1 to
2**16 - 1, and the unit of an AVG_POOL is 1 to 2**24 - 1. Any bytes are a table. With PER_CHANNEL, `mult` and
`shift` of the NodeHeader are zero. A convolution's section is checked in this order:

* `reserved` is zero (HEADER). Fields are in the ranges that the records state, `bias_shift` is at most 31,
  `table2_bytes` is 0 with JOINT, and there are at most as many entries as weights (LAYER) and as bits
  (STREAM).
* Levels, multipliers and shifts lie within the section (SECTION), and every shift is sound (LAYER). The biases
  lie within it (SECTION), and every bias fits 32 bits (LAYER).
* The tables lie within the section (SECTION). A table is of exactly `table_bytes`, at least 4: a layer without
  entries has a table of no symbols. Its last nibble, where their number is odd, is zero. JOINT lists at most
  4095 symbols, GAPS at most 2**run_bits gaps and 256 levels, without ESCAPE (TABLE).
* `stream_bytes` is (stream_bits + 7) / 8 + 8 rounded up to a multiple of four; the zeros before the stream are
  zero, and the section ends with it (SECTION). All bits from `stream_bits` on are zero (STREAM).
* Every code is one of its table (CODE), and `n_entries` entries end exactly at `stream_bits` (STREAM). A table
  may list a symbol that stands for no level; using it is an error (LEVEL). No weight lies beyond the
  layer's last (POSITION).
* `max_filter_entries` is the largest number of weights in one output channel whose level index is not zero
  (LAYER).

For every picture a node's accumulator lies between two bounds. Zero points are those of the inputs.

BOUNDS
"""
