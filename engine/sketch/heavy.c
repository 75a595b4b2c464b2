/* SPDX-License-Identifier: MIT */
/* heavy.c: the counters of heavy.h. A batch goes through in blocks: prefetch, then count. */
#include "engine/sketch/heavy.h"

#include "engine/sketch/table.h"

#if defined __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64 /* hashes under way, two lines each */
#define SETS_MAX ((uint64_t)1 << 31)

_Static_assert(sizeof(struct heavy_set) == 128, "two lines");

int heavy_init(struct heavy *h, struct weir_mem *mem, uint64_t size)
{
	uint64_t nsets = size / sizeof *h->set;

	*h = (struct heavy){.mem = mem};
	if (nsets < 1)
		nsets = 1;
	if (nsets > SETS_MAX)
		nsets = SETS_MAX;
	h->size = nsets * sizeof *h->set;
	h->set = table_new(mem, h->size);
	h->nsets = (uint32_t)nsets;
	return h->set ? 0 : -ENOMEM;
}

void heavy_release(struct heavy *h)
{
	table_free(h->mem, h->set, h->size);
	*h = (struct heavy){.mem = h->mem};
}

/* High half of the hash: its set; low half: its tag. */
static inline struct heavy_set *set_of(const struct heavy *h, uint64_t hash)
{
	return &h->set[(hash >> 32) * h->nsets >> 32];
}

/* The ways with this tag, as bits. */
static inline unsigned equal_tags(const struct heavy_set *s, uint32_t tag)
{
#if defined __SSE2__
	const __m128i *at = (const __m128i *)s->tag;
	__m128i all = _mm_set1_epi32((int)tag);
	__m128i low = _mm_cmpeq_epi32(_mm_loadu_si128(at), all);
	__m128i high = _mm_cmpeq_epi32(_mm_loadu_si128(at + 1), all);

	return (unsigned)_mm_movemask_epi8(
	        _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128()));
#else
	unsigned match = 0;

	for (int i = 0; i < HEAVY_WAYS; i++)
		match |= (unsigned)(s->tag[i] == tag) << i;
	return match;
#endif
}

/* The way of a tag, -1: none. */
static inline int find(const struct heavy_set *s, uint32_t tag)
{
	for (unsigned match = equal_tags(s, tag); match; match &= match - 1)
		if (s->count[__builtin_ctz(match)])
			return __builtin_ctz(match);
	return -1;
}

static inline int smallest(const struct heavy_set *s)
{
	uint64_t least = s->count[0];
	int min = 0;

	for (int i = 1; i < HEAVY_WAYS; i++) {
		min = s->count[i] < least ? i : min;
		least = s->count[i] < least ? s->count[i] : least;
	}
	return min;
}

static inline uint64_t error_of(const struct heavy_set *s, int i)
{
	return s->error[i] == HEAVY_UNKNOWN ? s->count[i] : s->error[i];
}

static inline uint32_t as_error(uint64_t v)
{
	return v < HEAVY_UNKNOWN ? (uint32_t)v : HEAVY_UNKNOWN;
}

uint32_t heavy_add(struct heavy *h, const uint64_t *hash, uint32_t n, uint64_t *count,
        uint64_t *error, uint16_t *fresh)
{
	uint32_t m = 0;

	for (uint32_t first = 0; first < n; first += BLOCK) {
		uint32_t end = n - first < BLOCK ? n : first + BLOCK;

		for (uint32_t k = first; k < end; k++) {
			const struct heavy_set *s = set_of(h, hash[k]);

			__builtin_prefetch(s->count, 1);
			__builtin_prefetch(s->tag, 1);
		}
		for (uint32_t k = first; k < end; k++) {
			struct heavy_set *s = set_of(h, hash[k]);
			int i = find(s, (uint32_t)hash[k]);

			if (i < 0) {
				i = smallest(s);
				s->tag[i] = (uint32_t)hash[k];
				s->error[i] = as_error(s->count[i]);
				if (fresh)
					fresh[m++] = (uint16_t)k;
			}
			s->count[i]++;
			count[k] = s->count[i];
			error[k] = error_of(s, i);
		}
	}
	h->total += n;
	return m;
}

void heavy_get(const struct heavy *h, uint64_t hash, uint64_t *count, uint64_t *error)
{
	const struct heavy_set *s = set_of(h, hash);
	int i = find(s, (uint32_t)hash);

	*count = s->count[i < 0 ? smallest(s) : i];
	*error = i < 0 ? *count : error_of(s, i);
}

/* One set into another. What only one has may have come as often as the other's smallest says. */
static void merge_set(struct heavy_set *to, const struct heavy_set *from)
{
	uint64_t to_min = to->count[smallest(to)], from_min = from->count[smallest(from)];
	struct heavy_set all[2] = {{.count = {0}}, {.count = {0}}};
	uint32_t n = 0;

	for (int half = 0; half < 2; half++) {
		const struct heavy_set *a = half ? from : to, *b = half ? to : from;
		uint64_t b_min = half ? to_min : from_min;

		for (int i = 0; i < HEAVY_WAYS; i++) {
			struct heavy_set *t = &all[n / HEAVY_WAYS];
			uint32_t w = n % HEAVY_WAYS;
			int j;

			if (!a->count[i])
				continue;
			j = find(b, a->tag[i]);
			if (j >= 0 && half)
				continue;
			t->tag[w] = a->tag[i];
			t->count[w] = a->count[i] + (j >= 0 ? b->count[j] : b_min);
			t->error[w] = as_error(error_of(a, i) + (j >= 0 ? error_of(b, j) : b_min));
			n++;
		}
	}
	for (int i = 0; i < HEAVY_WAYS; i++) {
		struct heavy_set *best = &all[0];
		int at = 0;

		for (uint32_t k = 0; k < n; k++)
			if (all[k / HEAVY_WAYS].count[k % HEAVY_WAYS] > best->count[at]) {
				best = &all[k / HEAVY_WAYS];
				at = (int)(k % HEAVY_WAYS);
			}
		to->count[i] = best->count[at];
		to->tag[i] = best->tag[at];
		to->error[i] = best->error[at];
		best->count[at] = 0;
	}
}

int heavy_merge(struct heavy *to, const struct heavy *from)
{
	if (to->nsets != from->nsets)
		return -EINVAL;
	for (uint32_t i = 0; i < to->nsets; i++)
		merge_set(&to->set[i], &from->set[i]);
	to->total += from->total;
	return 0;
}
