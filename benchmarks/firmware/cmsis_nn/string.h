/* The part of this standard header that CMSIS-NN uses, for a compiler without a C library. */
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

#define memcpy __builtin_memcpy
#define memset __builtin_memset

#endif
