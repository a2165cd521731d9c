/* A table from text to a number that never changes once built: a field's vocabulary, or a catalogue's items.

   Open addressing at most half full. A slot holds 32 bits of the hash and the place of a record; a record holds number,
   length and the bytes of the text, side by side, so that a look-up touches two cache lines. No Python here.

   Many texts are looked up at once (`table_find_all`): all hashes first, then all slots, then all records, each asked
   for ahead of its use. In a table larger than the caches that is what the time goes into. */
#ifndef CTR_TABLE_H
#define CTR_TABLE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define TABLE_PREFETCH(at) __builtin_prefetch(at)
#else
#define TABLE_PREFETCH(at) ((void)(at))
#endif

#define TABLE_BATCH 64         /* texts looked up side by side */
#define TABLE_ABSENT INT64_MIN /* the number of a text that is not in the table */

typedef struct {
    const char *bytes;
    size_t length;
} text;

typedef struct {
    uint32_t tag, place; /* upper half of the hash; place of the record in units of 4 bytes plus 1, 0 for an empty slot */
} table_slot;

typedef struct {
    int32_t number;
    uint32_t length;
    char bytes[]; /* padded to a multiple of 4 */
} table_record;

typedef struct {
    table_slot *slots;
    uint32_t *records;
    uint64_t mask;
    size_t used, room; /* of records, in units of 4 bytes */
} table;

/* The product of two 64-bit numbers folded to 64 bits: the mixing step of wyhash-like hashes. */
static inline uint64_t table_fold(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    const uint64_t low = (a & 0xffffffffu) * (b & 0xffffffffu), high = (a >> 32) * (b >> 32);
    return low ^ high ^ ((a >> 32) * (b & 0xffffffffu)) ^ ((a & 0xffffffffu) * (b >> 32));
#endif
}

/* Not keyed on purpose: the texts of a table come from a bundle; what a caller looks up cannot make its runs longer. */
static inline uint64_t table_hash(text key)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ key.length, word;
    for (; key.length >= 8; key.bytes += 8, key.length -= 8) {
        memcpy(&word, key.bytes, 8);
        hash = table_fold(hash ^ word, 0xa0761d6478bd642fu);
    }
    word = 0;
    if (key.length)
        memcpy(&word, key.bytes, key.length);
    hash = table_fold(hash ^ word, 0xe7037ed1a0b428dbu);
    return hash ^ hash >> 29;
}

static inline size_t table_record_units(size_t length)
{
    return (sizeof(table_record) + length + 3) / 4;
}

static inline const table_record *table_record_at(const table *t, table_slot slot)
{
    return (const table_record *)(t->records + slot.place - 1);
}

static inline int64_t table_find_hashed(const table *t, text key, uint64_t hash)
{
    for (uint64_t i = hash & t->mask; t->slots[i].place; i = (i + 1) & t->mask) {
        if (t->slots[i].tag != (uint32_t)(hash >> 32))
            continue;
        const table_record *record = table_record_at(t, t->slots[i]);
        if (record->length == key.length && !memcmp(record->bytes, key.bytes, key.length))
            return record->number;
    }
    return TABLE_ABSENT;
}

static inline int64_t table_find(const table *t, text key) { return table_find_hashed(t, key, table_hash(key)); }

/* numbers[i] of keys[i] in tables[i], TABLE_ABSENT for what is not there; at most TABLE_BATCH keys. */
static void table_find_all(const table *const *tables, const text *keys, int count, int64_t *numbers)
{
    uint64_t hashes[TABLE_BATCH];
    for (int i = 0; i < count; i++) {
        hashes[i] = table_hash(keys[i]);
        TABLE_PREFETCH(&tables[i]->slots[hashes[i] & tables[i]->mask]);
    }
    for (int i = 0; i < count; i++) {
        const table_slot first = tables[i]->slots[hashes[i] & tables[i]->mask];
        if (first.place && first.tag == (uint32_t)(hashes[i] >> 32))
            TABLE_PREFETCH(table_record_at(tables[i], first));
    }
    for (int i = 0; i < count; i++)
        numbers[i] = table_find_hashed(tables[i], keys[i], hashes[i]);
}

/* Room for `count` texts of `bytes` bytes together; 0 without memory or beyond the reach of a slot. */
static int table_make(table *t, size_t count, size_t bytes)
{
    size_t slots = 8;
    while (slots < 2 * count)
        slots *= 2;
    t->mask = slots - 1;
    t->room = bytes / 4 + count * (table_record_units(0) + 1) + 1;
    if (count > SIZE_MAX / 64 || t->room >= UINT32_MAX)
        return 0;
    t->slots = calloc(slots, sizeof *t->slots);
    t->records = malloc(t->room * sizeof *t->records);
    return t->slots && t->records;
}

/* Whether the text was new: one that is there already is not added. Never more texts than there is room for. */
static int table_add(table *t, text key, int32_t number)
{
    const uint64_t hash = table_hash(key);
    if (table_find_hashed(t, key, hash) != TABLE_ABSENT)
        return 0;
    uint64_t i = hash & t->mask;
    while (t->slots[i].place)
        i = (i + 1) & t->mask;
    table_record *record = (table_record *)(t->records + t->used);
    record->number = number;
    record->length = (uint32_t)key.length;
    memcpy(record->bytes, key.bytes, key.length);
    t->slots[i] = (table_slot){(uint32_t)(hash >> 32), (uint32_t)t->used + 1};
    t->used += table_record_units(key.length);
    return 1;
}

static void table_free(table *t)
{
    free(t->slots);
    free(t->records);
}

#endif
