/* What is checked of a blob before anything computes with it: the runtime or an engine's driver. Not for the
 * application. */
#ifndef DCG_BLOB_H
#define DCG_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "dcg_format.h"

/* The network that a blob must be of. */
typedef struct dcg_network {
    uint64_t topology_hash; /* of the topology section */
    uint32_t n_scores;
    uint16_t n_tensors;      /* tensors, the picture included */
    uint16_t n_nodes;        /* nodes, which is the number of layer sections */
    uint16_t input_channels; /* channels of the picture */
} dcg_network;

/* Checks header, checksum and map of a blob, and that it is of the network.
 *
 * blob_bytes  size of the memory behind blob, which may exceed the blob
 *
 * Returns DCG_OK, or the first defect found. */
dcg_status dcg_blob_check(const uint8_t *blob, size_t blob_bytes, const dcg_network *network);

/* Checks size and checksum of a layer section.
 *
 * layer  the section
 * left   bytes from there to the blob's end
 *
 * Returns DCG_OK, DCG_ERR_SECTION or DCG_ERR_SECTION_CRC. */
dcg_status dcg_section_check(const uint8_t *layer, uint32_t left);

#endif
