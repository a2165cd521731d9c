/* The instruction sets that a core is compiled for. Define KERNEL, the header that holds everything of one set, before
   including this: it is included once for each of them, best first, with

       VEC_FLOATS   floats in one register
       TARGET       the attribute that lets a function use them
       NAME(x)      x with the set's name appended
       FN           how its own functions begin
       vec, ints    a register of floats, of as many integers; LOAD, STORE, BROADCAST, SELECT work on them

   LEVELS(ENTRY) then lists ENTRY(name) in the same order, for a table of what the core calls; level_find says where in
   it a name stands. */
#ifndef LEVELS_H
#define LEVELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__)
#error "vectors are written as GCC and Clang have them; without this module torch's own operators are used"
#endif

#define ALWAYS_INLINE __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#define FN static inline ALWAYS_INLINE TARGET
#define vec NAME(vec)
#define ints NAME(ints)
#define LOAD(p) (*(const vec *)(p))
#define STORE(p, value) (*(vec *)(p) = (value))
#define BROADCAST(x) ((vec){0} + (x))
#define SELECT(mask, yes, no) ((vec)(((mask) & (ints)(yes)) | (~(mask) & (ints)(no))))

typedef struct {
    const char *name;
    int floats;
    int (*supported)(void);
} level;

static int has_baseline(void) { return 1; }

#if defined(__x86_64__) && !defined(PORTABLE)
#if defined(__clang__) /* which ignores a whole attribute for one word it does not know */
#define WHOLE_REGISTERS ""
#else
#define WHOLE_REGISTERS ",prefer-vector-width=512"
#endif
static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#define LEVELS(ENTRY) ENTRY(avx512) ENTRY(avx2) ENTRY(baseline)
static const level LEVEL[] = {{"avx512", 16, has_avx512}, {"avx2", 8, has_avx2}, {"baseline", 4, has_baseline}};

#define VEC_FLOATS 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma" WHOLE_REGISTERS)))
#define NAME(x) x##_avx512
#include "registers.h"
#define VEC_FLOATS 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) x##_avx2
#include "registers.h"
#else
#define LEVELS(ENTRY) ENTRY(baseline)
static const level LEVEL[] = {{"baseline", 4, has_baseline}};
#endif

#define VEC_FLOATS 4 /* SSE2, NEON */
#define TARGET
#define NAME(x) x##_baseline
#include "registers.h"

#define LEVEL_COUNT ((int)(sizeof LEVEL / sizeof *LEVEL))

/* Where the level of this name stands, the best one for NULL; -1 if this machine has it not. */
static inline int level_find(const char *name)
{
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (LEVEL[i].supported() && (!name || !strcmp(name, LEVEL[i].name)))
            return i;
    return -1;
}

#endif
