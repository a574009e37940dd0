/* What every reader of a blob checks first, whatever then computes with it. Not for the application. */
#ifndef DCG_BLOB_H
#define DCG_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "dcg_format.h"

/* The network that a blob must be of. */
typedef struct dcg_network {
    uint64_t topology_hash;
    uint32_t n_scores;
    uint16_t n_tensors; /* picture included */
    uint16_t n_nodes;
    uint16_t input_channels;
} dcg_network;

/* Checks header, checksum and map of a blob, and that it is of the network. */
dcg_status dcg_blob_check(const uint8_t *blob, size_t blob_bytes, const dcg_network *network);

/* Checks size and checksum of a layer section that has left bytes before the blob ends. */
dcg_status dcg_section_check(const uint8_t *layer, uint32_t left);

#endif
