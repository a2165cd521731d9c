/* Random numbers of the fuzz programs: xorshift, so that a seed gives the same run everywhere. */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

#include <stdint.h>

static uint64_t random_state;

/* From a seed of any value; the state of a xorshift is never zero. */
static inline void random_start(uint64_t seed) { random_state = 0x9e3779b97f4a7c15u * (seed + 1) | 1; }

static inline uint32_t random_bits(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static inline uint32_t random_below(uint32_t bound) { return random_bits() % bound; }

#endif
