"""The format of a blob, record by record: the one description that Python, C and docs/blob-format.md share.

A blob is little endian. Offsets are in bytes from its start, every section starts at a multiple
of four. In order:

    Header
    topology   one TensorShape per tensor, then per node a NodeTopology and its uint16 input
               indices (an even number of them, a last odd one padded with 0)
    tensors    one TensorScale per tensor, one for the scores of each output behind the first, then
               the pad byte of each channel of tensor 0 (the input), padded with zeros to a multiple
               of four
    layers     one section per node in execution order: a NodeHeader; for a convolution a
               ConvHeader and its arrays, padded with zeros to a multiple of four; for a TABLE
               its 256 bytes

Tensor 0 is the input; tensor i+1 is the output of node i. The last nodes make scores, which are no
tensors: one node for each output, whose scores lie one behind the other. So there are
n_nodes - n_tensors + 1 outputs, mostly one. The topology hash is the first eight bytes of the
SHA-256 of the topology section.

A convolution's arrays follow its headers in this order, without gaps. O is its number of output channels.

    levels        int8 or int16 (``level_bytes``) x (n_levels - 1): level 0 is zero and is not stored
    mult          uint16 x O, only with flag PER_CHANNEL
    shift         uint8 x O, only with flag PER_CHANNEL
    bias          int8, int16 or int32 (``bias_bytes``) x O; the bias is the stored value << bias_shift
    tables        packed code lengths, ``table_bytes`` and then ``table2_bytes``
    zeros         up to the next multiple of four
    stream        ``stream_bytes``, a multiple of four, its last eight bytes zero: a reader may
                  load 32 bits at any symbol

Bits fill bytes from the least significant bit up; a code's first bit comes first. Raw fields
are written least significant bit first.

An entry is a run of zeros and the weight behind it, in the order output channel, then kernel
row, kernel column, input channel: ``position += run``, the weight there has level ``level``
(level 0 makes it a filler zero), ``position += 1``. Runs cross filters; weights after the last
entry are zero. With JOINT one symbol v < 4095 is run = v >> level_bits, level = v & mask, and
symbol 4095 escapes to run_bits raw bits of run, then level_bits raw bits of level. With GAPS an
entry is a gap's code and then a level's code. (``mask`` is 2**level_bits - 1; a gap is the run.)

A packed code table starts with uint16 N (symbols 0..N-1 are listed), uint8 length of the code
of ESCAPE (0: none) and a zero byte. Nibbles follow, low half first, until N lengths are known:
0..12 the next length (0: no code); 13 a: a + 3 zeros; 14 a: a + 3 times the previous length;
15 a b: a + 16 b + 19 zeros. (``13 a`` is a nibble 13 and the nibble behind it; n zeros are n lengths of 0.)
Codes are canonical as in DEFLATE (RFC 1951, 3.2.2): by length, then by symbol, ESCAPE last. The Kraft sum is at
most one (it is the sum of 2**-length over all codes); a table of one symbol gives it length 1.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from dcgen.codings import Coding as Coding
from dcgen.hw.contract.blob_format import Kind as Kind

MAGIC: Final = 0x42474344  # "DCGB"
VERSION: Final = 1
MAX_CODE_BITS: Final = 12
"""Length of the longest code."""
ESCAPE: Final = 4095
"""The symbol of the joint code that raw bits follow; it is larger than every other symbol."""
MAX_LEVELS: Final = 256
"""Most levels of a convolution, zero included."""
STREAM_GUARD_BYTES: Final = 8
"""Zero bytes behind the last byte of a stream that holds a bit of it."""


class TopologyFlag(IntFlag):
    """NodeTopology.flags."""

    CEIL = 1  # the number of windows is rounded up
    COUNT_INCLUDE_PAD = 2  # an average's divisor counts taps in the padding, too
    RAW = 4  # convolution: the accumulators are the scores; SCORES: sum over each plane
    EDGE = 8  # a pad reads the nearest byte of the plane


class LayerFlag(IntFlag):
    """NodeHeader.flags."""

    PER_CHANNEL = 1  # a multiplier and a shift for each output channel


@dataclass(frozen=True)
class Field:
    """One field of a record.

    format : its character in ``struct``'s formats, little endian
    doc : meaning, with its unit
    """

    name: str
    format: str
    doc: str


@dataclass(frozen=True)
class Record:
    """A record of fixed size, its fields packed without gaps."""

    name: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def format(self) -> str:
        """Its format for ``struct``."""
        return "<" + "".join(f.format for f in self.fields)

    @property
    def size(self) -> int:
        """Bytes of the record."""
        return struct.calcsize(self.format)

    def offset(self, field: str) -> int:
        """Byte offset of a field."""
        names = [f.name for f in self.fields]
        return struct.calcsize("<" + "".join(f.format for f in self.fields[: names.index(field)]))

    def pack(self, **values: int | float) -> bytes:
        """The record's bytes; fields that are not given are 0."""
        return struct.pack(self.format, *(values.pop(f.name, 0) for f in self.fields))

    def unpack(self, data: bytes | memoryview, offset: int = 0) -> dict[str, int]:
        """The fields by name of the record that starts at ``offset`` bytes."""
        values = struct.unpack_from(self.format, data, offset)
        return dict(zip((f.name for f in self.fields), values, strict=True))


HEADER = Record(
    "Header",
    "Starts the blob.",
    (
        Field("magic", "I", "0x42474344, the letters DCGB"),
        Field("version", "H", "format version, 1"),
        Field("header_bytes", "H", "64"),
        Field("blob_bytes", "I", "size of the whole blob"),
        Field("blob_crc", "I", "CRC-32 (IEEE 802.3) of bytes 16 to the end"),
        Field("topology_hash", "Q", "first 8 bytes of the SHA-256 of the topology section"),
        Field("topology_offset", "I", "64"),
        Field("topology_bytes", "I", "size of the topology section"),
        Field("tensors_offset", "I", "start of the tensors section"),
        Field("tensors_bytes", "I", "its size"),
        Field("layers_offset", "I", "start of the first layer section"),
        Field("n_tensors", "H", "uint8 tensors, the input included"),
        Field("n_nodes", "H", "nodes, which is the number of layer sections"),
        Field("n_scores", "I", "int32 scores, of all outputs"),
        Field("max_filter_entries", "I", "most non-zero weights in one output channel of any layer"),
        Field("score_scale", "f", "real value of one unit of a score of the first output"),
        Field("max_code_bits", "H", "longest code of any table, at most 12"),
        Field("reserved", "H", "0"),
    ),
)
TENSOR_SHAPE = Record(
    "TensorShape",
    "Topology of one tensor.",
    (Field("channels", "H", ""), Field("height", "H", ""), Field("width", "H", ""), Field("reserved", "H", "0")),
)
NODE_TOPOLOGY = Record(
    "NodeTopology",
    "Topology of one node; its input tensors' indices follow.",
    (
        Field("kind", "B", "Kind"),
        Field("flags", "B", "TopologyFlag"),
        Field("n_inputs", "H", "number of uint16 tensor indices that follow"),
        Field("kernel_h", "H", "CONV, MAX_POOL, AVG_POOL; else 0"),
        Field("kernel_w", "H", ""),
        Field("stride_h", "H", "also UPSAMPLE"),
        Field("stride_w", "H", ""),
        Field("pad_top", "H", "also PAD"),
        Field("pad_left", "H", ""),
        Field("pad_bottom", "H", "also PAD and UPSAMPLE"),
        Field("pad_right", "H", ""),
        Field("out_channels", "H", "CONV, UPSAMPLE: output channels; else 0"),
        Field("groups", "H", "CONV; else 0"),
    ),
)
TENSOR_SCALE = Record(
    "TensorScale",
    "Meaning of a tensor's bytes: value = scale * (byte - zero_point); of a score: scale * score.",
    (
        Field("scale", "f", "real value of one step"),
        Field("zero_point", "B", "byte that means 0.0, and that padding reads (but see tensor 0); of scores 0"),
        Field("reserved0", "B", "0"),
        Field("reserved1", "H", "0"),
    ),
)
NODE_HEADER = Record(
    "NodeHeader",
    "Starts every layer section.",
    (
        Field("section_crc", "I", "CRC-32 of the rest of the section"),
        Field("section_bytes", "I", "size of the section, this header included"),
        Field("kind", "B", "Kind, as in the topology"),
        Field("flags", "B", "LayerFlag"),
        Field("lo", "B", "lowest output byte; PAD: the byte to pad with"),
        Field("hi", "B", "highest output byte"),
        Field("mult", "H", "requantization m (0 with PER_CHANNEL and where there is none)"),
        Field("shift", "B", "requantization s"),
        Field("bias_shift", "B", "CONV: left shift of stored biases"),
        Field("factor0", "i", "ADD: factor of the first input; AVG_POOL: unit; MUL: factor"),
        Field("factor1", "i", "ADD: factor of the second input, 0 if there is one"),
    ),
)
CONV_HEADER = Record(
    "ConvHeader",
    "Follows the NodeHeader of a convolution.",
    (
        Field("n_levels", "H", "levels, zero included, 1..256"),
        Field("level_bytes", "B", "1 or 2"),
        Field("bias_bytes", "B", "1, 2 or 4"),
        Field("coding", "B", "Coding"),
        Field("level_bits", "B", "JOINT: bits of a level index, 1..8, n_levels <= 2**level_bits; GAPS: 8"),
        Field("run_bits", "B", "JOINT: raw bits of an escaped run, 0..12; GAPS: bits of a gap, 1..8"),
        Field("reserved", "B", "0"),
        Field("n_entries", "I", "coded entries in the stream, fillers included"),
        Field("max_filter_entries", "I", "most non-zero weights in one output channel"),
        Field("stream_bits", "I", "bits used in the stream"),
        Field("stream_bytes", "I", "bytes of the stream with its guard"),
        Field("table_bytes", "H", "packed code lengths (JOINT: symbols; GAPS: gaps)"),
        Field("table2_bytes", "H", "packed code lengths of levels (GAPS only, else 0)"),
    ),
)
RECORDS: Final = (HEADER, TENSOR_SHAPE, NODE_TOPOLOGY, TENSOR_SCALE, NODE_HEADER, CONV_HEADER)
CRC_START: Final = HEADER.offset("topology_hash")
"""The blob's CRC covers everything from here on."""


WINDOW: Final = ("kernel_h", "kernel_w", "stride_h", "stride_w")
PADS: Final = ("pad_top", "pad_left", "pad_bottom", "pad_right")


def hash_topology(section: bytes) -> int:
    """The topology hash: the first eight bytes of the section's SHA-256, little endian."""
    return int.from_bytes(hashlib.sha256(section).digest()[:8], "little")


class Status(IntEnum):
    """What C returns, and what ``BlobError.code`` names: one status for each kind of defect."""

    OK = 0
    ARGUMENT = 1  # a null or misaligned pointer, memory that overlaps, or a call out of turn
    ARENA_SIZE = 2  # arena smaller than the plan needs
    TRUNCATED = 3  # blob shorter than its header says, or than a header
    MAGIC = 4  # not a blob
    VERSION = 5  # another format version
    BLOB_CRC = 6  # damaged
    TOPOLOGY = 7  # made for another network than the plan
    HEADER = 8  # a header field out of range or contradicting another
    SECTION = 9  # a layer section's size or offset is wrong
    SECTION_CRC = 10  # a layer section is damaged
    LAYER = 11  # a layer's constants are out of range
    CAPACITY = 12  # a layer needs more scratch than the plan gives
    TABLE = 13  # a code table is over-full, malformed or of the wrong size
    CODE = 14  # the stream holds a code that no symbol has
    STREAM = 15  # the stream ends too early, or holds more than the layer
    LEVEL = 16  # a level index outside the codebook
    POSITION = 17  # a weight beyond the layer's last
    SELFTEST = 18  # a tensor differs from its check value
    ENGINE = 19  # no engine there, or one built for other parameters than the plan
    TIMEOUT = 20  # the engine did not end in time
