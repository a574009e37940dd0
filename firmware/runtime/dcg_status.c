/* What statuses mean, in words. */
#include "dcg.h"

const char *dcg_status_text(dcg_status status) {
    switch (status) {
    case DCG_OK:
        return "ok";
    case DCG_ERR_ARGUMENT:
        return "a pointer is null or misaligned, memory overlaps, or the call is out of turn";
    case DCG_ERR_ARENA_SIZE:
        return "the arena is smaller than the plan needs";
    case DCG_ERR_TRUNCATED:
        return "the blob is shorter than its header says";
    case DCG_ERR_MAGIC:
        return "not a blob";
    case DCG_ERR_VERSION:
        return "the blob has another format version";
    case DCG_ERR_BLOB_CRC:
        return "the blob is damaged";
    case DCG_ERR_TOPOLOGY:
        return "the blob is made for another network than the plan";
    case DCG_ERR_HEADER:
        return "a field of the blob's header is out of range";
    case DCG_ERR_SECTION:
        return "a layer section has the wrong size";
    case DCG_ERR_SECTION_CRC:
        return "a layer section is damaged";
    case DCG_ERR_LAYER:
        return "a layer's constants are out of range";
    case DCG_ERR_CAPACITY:
        return "a layer needs more scratch memory than the plan gives";
    case DCG_ERR_TABLE:
        return "a code table is malformed";
    case DCG_ERR_CODE:
        return "a layer's stream holds a code that no symbol has";
    case DCG_ERR_STREAM:
        return "a layer's stream ends at the wrong place";
    case DCG_ERR_LEVEL:
        return "a layer's stream names a level that does not exist";
    case DCG_ERR_POSITION:
        return "a layer's stream goes beyond its last weight";
    case DCG_ERR_SELFTEST:
        return "a tensor differs from its check value";
    case DCG_ERR_ENGINE:
        return "there is no engine, or it is built for other parameters than the plan";
    case DCG_ERR_TIMEOUT:
        return "the engine did not end in time";
    }
    return "unknown status";
}
