/* bfloat16 as its bits, which is how it comes from torch: float32 without its lower half. */
#ifndef HALVES_H
#define HALVES_H

#include <stdint.h>
#include <string.h>

static inline float half_widened(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* To the nearest bfloat16, ties to even; NaN stays NaN. */
static inline uint16_t half_rounded(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

#endif
