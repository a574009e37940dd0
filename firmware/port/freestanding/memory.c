/* The functions that a compiler may call without being asked, where there is no C library: four of C, and
 * what Arm's ABI calls them (RTABI, section 4.3.4), which clang uses.
 *
 * Compilers know loops that copy or set memory, and put calls of these functions in their place: here that
 * would be a function that calls itself without end. So every byte and word is accessed as volatile, which no
 * compiler may replace, whatever its flags are. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* A word of any object's memory. */
#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) word;
#else
typedef uint32_t word;
#endif

static int aligned(const volatile void *a, const volatile void *b) {
    return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0u;
}

/* Copies from the first byte on. */
static void copy_up(volatile uint8_t *to, const volatile uint8_t *from, size_t bytes) {
    if (aligned(to, from)) {
        for (; bytes >= 4u; bytes -= 4u, to += 4, from += 4) {
            *(volatile word *)(volatile void *)to = *(const volatile word *)(const volatile void *)from;
        }
    }
    for (; bytes > 0u; bytes--) {
        *to++ = *from++;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    copy_up(to, from, bytes);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    if ((uintptr_t)to <= (uintptr_t)from) {
        copy_up(to, from, bytes);
        return to;
    }
    volatile uint8_t *t = to;
    const volatile uint8_t *f = from;
    while (bytes > 0u) {
        bytes--;
        t[bytes] = f[bytes];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    volatile uint8_t *t = to;
    const uint32_t four = 0x01010101u * (uint8_t)value;
    for (; bytes > 0u && ((uintptr_t)t & 3u) != 0u; bytes--) {
        *t++ = (uint8_t)value;
    }
    for (; bytes >= 4u; bytes -= 4u, t += 4) {
        *(volatile word *)(volatile void *)t = four;
    }
    for (; bytes > 0u; bytes--) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    for (; bytes > 0u; bytes--) {
        const uint8_t p = *x++;
        const uint8_t q = *y++;
        if (p != q) {
            return p < q ? -1 : 1;
        }
    }
    return 0;
}

#if defined(__ARM_EABI__)
void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t bytes);
void __aeabi_memmove(void *to, const void *from, size_t bytes);
void __aeabi_memset(void *to, size_t bytes, int value);
void __aeabi_memclr(void *to, size_t bytes);

void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    copy_up(to, from, bytes);
}

void __aeabi_memmove(void *to, const void *from, size_t bytes) {
    (void)memmove(to, from, bytes);
}

void __aeabi_memset(void *to, size_t bytes, int value) {
    (void)memset(to, value, bytes);
}

void __aeabi_memclr(void *to, size_t bytes) {
    (void)memset(to, 0, bytes);
}

/* The same where the caller knows that addresses are multiples of 4 or 8. */
#define IS(function) __attribute__((alias(#function)))
void __aeabi_memcpy4(void *restrict to, const void *restrict from, size_t bytes) IS(__aeabi_memcpy);
void __aeabi_memcpy8(void *restrict to, const void *restrict from, size_t bytes) IS(__aeabi_memcpy);
void __aeabi_memmove4(void *to, const void *from, size_t bytes) IS(__aeabi_memmove);
void __aeabi_memmove8(void *to, const void *from, size_t bytes) IS(__aeabi_memmove);
void __aeabi_memset4(void *to, size_t bytes, int value) IS(__aeabi_memset);
void __aeabi_memset8(void *to, size_t bytes, int value) IS(__aeabi_memset);
void __aeabi_memclr4(void *to, size_t bytes) IS(__aeabi_memclr);
void __aeabi_memclr8(void *to, size_t bytes) IS(__aeabi_memclr);
#endif
