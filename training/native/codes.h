/* The distinct texts of one column: text → code 1, 2, … by first appearance, with how often each occurred. No Python here.

   Open addressing at most 0.7 full. A text of at most eight bytes stands in its slot whole, so that looking it up
   touches one cache line; of a longer one the slot has a hash, and the bytes kept beside decide. */
#ifndef CTR_CODES_H
#define CTR_CODES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define CODES_PREFETCH(at) __builtin_prefetch(at)
#else
#define CODES_PREFETCH(at) ((void)(at))
#endif

#define CODES_BATCH 64 /* texts looked up side by side: all slots are asked for before the first is read */
#define CODES_MOST UINT32_C(0x7fffffff) /* codes are int32 */

typedef struct {
    const char *bytes;
    size_t length;
} text;

typedef struct {
    uint64_t key; /* the text's bytes, padded with zeros, or the hash of a text of more than eight */
    uint32_t code; /* 0 for an empty slot */
    uint32_t length;
} code_slot;

typedef struct {
    code_slot *slots;
    uint64_t mask;
    uint32_t used, room; /* codes given; codes that `ends` and `counts` have room for, code 0 among them */
    uint64_t *ends;      /* of the text of each code in `bytes`; it starts at the end of the code before */
    uint32_t *counts;    /* rows of each code; of code 0, the empty text */
    char *bytes;
    uint64_t bytes_room;
} column_codes;

static inline uint64_t codes_mix(uint64_t word)
{
    word *= UINT64_C(0x9e3779b97f4a7c15);
    word ^= word >> 32;
    word *= UINT64_C(0xd6e8feb86659fd93);
    return word ^ word >> 32;
}

/* `readable`: eight bytes may be read at the text, whatever its length. */
static inline uint64_t codes_key(text t, int readable)
{
    uint64_t word = 0, hash;
    if (t.length <= 8) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (readable) {
            memcpy(&word, t.bytes, 8);
            return t.length == 8 ? word : word & ((UINT64_C(1) << 8 * t.length) - 1);
        }
#endif
        memcpy(&word, t.bytes, t.length);
        return word;
    }
    for (hash = t.length; t.length >= 8; t.bytes += 8, t.length -= 8) {
        memcpy(&word, t.bytes, 8);
        hash = codes_mix(hash ^ word);
    }
    word = 0;
    memcpy(&word, t.bytes, t.length);
    return codes_mix(hash ^ word);
}

static inline uint64_t codes_place(uint64_t key, size_t length) { return codes_mix(key ^ (uint64_t)length << 56); }

static inline uint64_t codes_start(const column_codes *c, uint32_t code) { return code ? c->ends[code - 1] : 0; }

static inline int codes_same(const column_codes *c, const code_slot *slot, uint64_t key, text t)
{
    return slot->key == key && slot->length == (uint32_t)t.length &&
           (t.length <= 8 || !memcmp(c->bytes + codes_start(c, slot->code), t.bytes, t.length));
}

static int codes_make(column_codes *c)
{
    memset(c, 0, sizeof *c);
    c->mask = 63, c->room = 64, c->bytes_room = 512;
    c->slots = calloc(c->mask + 1, sizeof *c->slots);
    c->ends = calloc(c->room, sizeof *c->ends);
    c->counts = calloc(c->room, sizeof *c->counts);
    c->bytes = malloc(c->bytes_room);
    return c->slots && c->ends && c->counts && c->bytes;
}

static void codes_free(column_codes *c)
{
    free(c->slots), free(c->ends), free(c->counts), free(c->bytes);
    memset(c, 0, sizeof *c);
}

static int codes_grow_slots(column_codes *c)
{
    const uint64_t mask = 2 * c->mask + 1;
    code_slot *slots = calloc(mask + 1, sizeof *slots);
    if (!slots)
        return 0;
    for (uint64_t i = 0; i <= c->mask; i++) {
        if (!c->slots[i].code)
            continue;
        uint64_t at = codes_place(c->slots[i].key, c->slots[i].length) & mask;
        while (slots[at].code)
            at = (at + 1) & mask;
        slots[at] = c->slots[i];
    }
    free(c->slots);
    c->slots = slots, c->mask = mask;
    return 1;
}

static int codes_grow_texts(column_codes *c, size_t length)
{
    if (c->used + 1 == c->room) {
        uint64_t *ends = realloc(c->ends, 2 * (size_t)c->room * sizeof *ends);
        c->ends = ends ? ends : c->ends;
        uint32_t *counts = realloc(c->counts, 2 * (size_t)c->room * sizeof *counts);
        c->counts = counts ? counts : c->counts;
        if (!ends || !counts)
            return 0;
        c->room *= 2;
    }
    if (c->ends[c->used] + length > c->bytes_room) {
        const uint64_t room = 2 * c->bytes_room + length;
        char *bytes = realloc(c->bytes, room);
        if (!bytes)
            return 0;
        c->bytes = bytes, c->bytes_room = room;
    }
    return 1;
}

/* The code of a text that has none yet; 0 without memory, or with too many texts. */
static uint32_t codes_add(column_codes *c, uint64_t at, uint64_t key, text t)
{
    if (c->used == CODES_MOST || t.length > UINT32_MAX || !codes_grow_texts(c, t.length))
        return 0;
    if ((uint64_t)c->used * 10 >= c->mask * 7) {
        if (!codes_grow_slots(c))
            return 0;
        at = codes_place(key, t.length) & c->mask;
        while (c->slots[at].code)
            at = (at + 1) & c->mask;
    }
    const uint32_t code = ++c->used;
    memcpy(c->bytes + c->ends[code - 1], t.bytes, t.length);
    c->ends[code] = c->ends[code - 1] + t.length;
    c->counts[code] = 0;
    c->slots[at] = (code_slot){key, code, (uint32_t)t.length};
    return code;
}

/* Codes of up to CODES_BATCH texts; `safe_end`: eight bytes may be read from anywhere before it. 0 without memory. */
static int codes_of_batch(column_codes *c, const text *texts, int count, const char *safe_begin, const char *safe_end,
                          int32_t *out)
{
    uint64_t keys[CODES_BATCH], places[CODES_BATCH];
    for (int i = 0; i < count; i++) {
        const char *at = texts[i].bytes;
        keys[i] = codes_key(texts[i], at >= safe_begin && at < safe_end);
        places[i] = codes_place(keys[i], texts[i].length);
        CODES_PREFETCH(&c->slots[places[i] & c->mask]);
    }
    for (int i = 0; i < count; i++) {
        uint32_t code = 0;
        if (texts[i].length) {
            uint64_t at = places[i] & c->mask;
            while (c->slots[at].code && !codes_same(c, &c->slots[at], keys[i], texts[i]))
                at = (at + 1) & c->mask;
            code = c->slots[at].code;
            if (!code && !(code = codes_add(c, at, keys[i], texts[i])))
                return 0;
        }
        c->counts[code]++;
        out[i] = (int32_t)code;
    }
    return 1;
}

#endif
