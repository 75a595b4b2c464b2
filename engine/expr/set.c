/* SPDX-License-Identifier: MIT */
/* set.c: `field in (…)` with constants.
 *
 * Integers (ports, protocols, MACs, times) that span at most 65,536 are a bitmap, others an open
 * addressing table. IPv4 addresses and subnets become sorted ranges without overlap; so do IPv6
 * ones. Anything else is a sorted array.
 */
#include "engine/expr/expr.h"
#include <endian.h>
#include <stdlib.h>

#define BITMAP_SPAN 65536

struct range {
	unsigned __int128 lo, hi;
};

struct range4 {
	uint32_t lo, span;
};

#define FEW 8 /* ranges that are tried one after the other */

struct expr_set {
	enum weir_kind kind;
	enum { SET_BITMAP, SET_HASH, SET_RANGES, SET_SORTED } how;
	uint64_t lo, span; /* BITMAP: values lo..lo+span; the bit behind is always clear */
	const uint64_t *bits;
	uint64_t *slots; /* HASH: a power of two of them, at most half full */
	uint64_t empty;  /* what a free slot holds: no member */
	unsigned shift;
	const struct range *ranges[2]; /* IPv4, IPv6; IPv4 in the top 32 bits */
	uint32_t nranges[2];
	const struct range4 *four; /* the IPv4 ranges again */
	const struct weir_value *sorted;
	uint32_t n;
	bool is_few;
	struct set_few few;
};

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool make_bitmap(struct expr_set *s, struct arena *a, const uint64_t *v, uint32_t n)
{
	uint64_t *bits;

	s->how = SET_BITMAP;
	s->lo = v[0];
	s->span = v[n - 1] - v[0];
	bits = arena_alloc(a, ((s->span + 1) / 64 + 1) * 8);
	if (!bits)
		return false;
	for (uint32_t i = 0; i < n; i++)
		bits[(v[i] - s->lo) >> 6] |= 1ull << ((v[i] - s->lo) & 63);
	s->bits = bits;
	return true;
}

static inline uint64_t slot_of(const struct expr_set *s, uint64_t v)
{
	return v * 0x9e3779b97f4a7c15ull >> s->shift;
}

static bool make_hash(struct expr_set *s, struct arena *a, const uint64_t *v, uint32_t n)
{
	uint64_t size = 4, at;

	s->how = SET_HASH;
	s->shift = 62;
	while (size < 2ull * n) {
		size *= 2;
		s->shift--;
	}
	s->slots = arena_alloc(a, size * 8);
	if (!s->slots)
		return false;
	for (uint32_t i = 0; i < n && v[i] == s->empty; i++) /* sorted, without doubles */
		s->empty++;
	for (uint64_t i = 0; i < size; i++)
		s->slots[i] = s->empty;
	for (uint32_t i = 0; i < n; i++) {
		for (at = slot_of(s, v[i]); s->slots[at] != s->empty; at = (at + 1) & (size - 1))
			;
		s->slots[at] = v[i];
	}
	return true;
}

static void note_few(struct expr_set *s, const uint64_t *v, uint32_t n)
{
	bool narrow = v[n - 1] - v[0] < 64;

	s->is_few = narrow || n <= SET_FEW;
	s->few.lo = v[0];
	for (uint32_t i = 0; narrow && i < n; i++)
		s->few.bits |= 1ull << (v[i] - v[0]);
	for (uint32_t i = 0; i < SET_FEW; i++)
		s->few.few[i] = v[i < n ? i : 0];
}

const struct set_few *set_few(const struct expr_set *s)
{
	return s->is_few ? &s->few : NULL;
}

static bool make_words(struct expr_set *s, struct arena *a, const struct weir_value *v, uint32_t n)
{
	uint64_t *word = arena_alloc(a, (n ? n : 1) * 8);
	uint32_t unique = 0;

	if (!word)
		return false;
	for (uint32_t i = 0; i < n; i++)
		word[i] = v[i].d.u;
	qsort(word, n, 8, compare_u64);
	for (uint32_t i = 0; i < n; i++)
		if (!i || word[i] != word[unique - 1])
			word[unique++] = word[i];
	note_few(s, word, unique);
	if (word[unique - 1] - word[0] < BITMAP_SPAN)
		return make_bitmap(s, a, word, unique);
	return make_hash(s, a, word, unique);
}

static unsigned __int128 addr_number(const struct weir_ip *ip)
{
	unsigned __int128 v = 0;

	for (int i = 0; i < 16; i++)
		v = v << 8 | ip->b[i];
	return v;
}

static int compare_range(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

static bool make_four(struct expr_set *s, struct arena *a)
{
	struct range4 *four = arena_alloc(a, (s->nranges[0] + 1) * sizeof *four);

	if (!four)
		return false;
	for (uint32_t i = 0; i < s->nranges[0]; i++) {
		four[i].lo = (uint32_t)(s->ranges[0][i].lo >> 96);
		four[i].span = (uint32_t)(s->ranges[0][i].hi >> 96) - four[i].lo;
	}
	s->four = four;
	return true;
}

static bool make_ranges(struct expr_set *s, struct arena *a, const struct weir_value *v, uint32_t n)
{
	s->how = SET_RANGES;
	for (int six = 0; six < 2; six++) {
		struct range *range = arena_alloc(a, (n + 1) * sizeof *range);
		uint32_t k = 0, out = 0;

		if (!range)
			return false;
		for (uint32_t i = 0; i < n; i++) {
			const struct weir_ip *ip = &v[i].d.ip;
			unsigned __int128 rest = ~(unsigned __int128)0;

			if (ip->family != (six ? 6 : 4))
				continue;
			/* IPv4 stands on top, so that a prefix means the same */
			rest = ip->prefix < 128 ? rest >> ip->prefix : 0;
			range[k].lo = addr_number(ip) & ~rest;
			range[k].hi = range[k].lo | rest;
			k++;
		}
		qsort(range, k, sizeof *range, compare_range);
		for (uint32_t i = 0; i < k; i++) {
			if (out && range[i].lo <= range[out - 1].hi) {
				if (range[i].hi > range[out - 1].hi)
					range[out - 1].hi = range[i].hi;
			} else {
				range[out++] = range[i];
			}
		}
		s->ranges[six] = range;
		s->nranges[six] = out;
	}
	return make_four(s, a);
}

uint32_t set_words(const struct expr_set *s, uint64_t *v, uint32_t max)
{
	uint64_t end = s->how == SET_BITMAP ? s->span + 1 : 1ull << (64 - s->shift);
	uint32_t n = 0;

	if (s->how != SET_BITMAP && s->how != SET_HASH)
		return 0;
	for (uint64_t i = 0; i < end; i++) {
		uint64_t member = s->how == SET_BITMAP ? s->lo + i : s->slots[i];

		if (s->how == SET_BITMAP ? !(s->bits[i >> 6] >> (i & 63) & 1) : member == s->empty)
			continue;
		if (n == max)
			return 0;
		v[n++] = member;
	}
	return n;
}

uint32_t set_ranges(const struct expr_set *s, unsigned six)
{
	return s->how == SET_RANGES ? s->nranges[six] : 0;
}

void set_range(const struct expr_set *s, unsigned six, uint32_t i, uint8_t lo[16], uint8_t hi[16])
{
	for (int k = 0; k < 16; k++) {
		lo[k] = (uint8_t)(s->ranges[six][i].lo >> (120 - 8 * k));
		hi[k] = (uint8_t)(s->ranges[six][i].hi >> (120 - 8 * k));
	}
}

static int compare_value(const void *a, const void *b)
{
	const struct weir_value *x = a, *y = b;

	return weir_kind_compare(x->kind, &x->d, &y->d);
}

const struct expr_set *set_new(
        struct arena *a, enum weir_kind kind, const struct weir_value *v, uint32_t n)
{
	struct expr_set *s = arena_alloc(a, sizeof *s);
	struct weir_value *sorted;

	if (!s)
		return NULL;
	s->kind = kind;
	s->n = n;
	if (n && kind != WEIR_F64 && weir_storage_of(kind) == WEIR_WORD)
		return make_words(s, a, v, n) ? s : NULL;
	if (kind == WEIR_IP)
		return make_ranges(s, a, v, n) ? s : NULL;
	sorted = arena_alloc(a, (n ? n : 1) * sizeof *sorted);
	if (!sorted)
		return NULL;
	if (n)
		memcpy(sorted, v, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_value);
	s->how = SET_SORTED;
	s->sorted = sorted;
	return s;
}

static int select_bitmap(
        const struct expr_set *s, const struct vec *v, const struct rows *in, uint16_t *out)
{
	const uint64_t *p = v->data, *bits = s->bits;
	uint64_t lo = s->lo, span = s->span;
	uint32_t n = 0, mask = v->mask;

	if (span < 64 && !v->valid) { /* protocols: the whole set in a register */
		uint64_t word = bits[0];

		EACH_ROW(in, r, {
			uint64_t i = p[r & mask] - lo;

			out[n] = (uint16_t)r;
			n += (i <= span) & (word >> (i & 63) & 1);
		});
		return (int)n;
	}
	EACH_ROW(in, r, {
		uint64_t i = p[r & mask] - lo;
		bool c = vec_has(v, r);

		i = i <= span ? i : span + 1;
		out[n] = (uint16_t)r;
		n += (bits[i >> 6] >> (i & 63) & 1) & c;
	});
	return (int)n;
}

static inline bool hash_has(const struct expr_set *s, uint64_t v)
{
	uint64_t mask = (1ull << (64 - s->shift)) - 1;

	if (v == s->empty)
		return false;
	for (uint64_t at = slot_of(s, v);; at = (at + 1) & mask) {
		if (s->slots[at] == v)
			return true;
		if (s->slots[at] == s->empty)
			return false;
	}
}

/* Without branches over the few, by halves over the many. */
static inline bool four_have(const struct expr_set *s, const struct weir_ip *ip)
{
	const struct range4 *range = s->four;
	uint32_t n = s->nranges[0], v, at = 0;
	unsigned found = 0;

	memcpy(&v, ip->b, 4);
	v = be32toh(v);
	if (n <= FEW) {
		for (uint32_t i = 0; i < n; i++)
			found |= v - range[i].lo <= range[i].span;
		return found & (ip->family == 4);
	}
	if (ip->family != 4)
		return false;
	while (n > 1) { /* the last range that begins at or before v */
		uint32_t half = n / 2;

		at = range[at + half].lo <= v ? at + half : at;
		n -= half;
	}
	return v - range[at].lo <= range[at].span;
}

static bool six_have(const struct expr_set *s, const struct weir_ip *ip)
{
	const struct range *range = s->ranges[1];
	uint32_t n = s->nranges[1], at = 0;
	unsigned __int128 v = addr_number(ip);

	while (n > 1) {
		uint32_t half = n / 2;

		at = range[at + half].lo <= v ? at + half : at;
		n -= half;
	}
	return n && range[at].lo <= v && v <= range[at].hi;
}

static inline bool ranges_have(const struct expr_set *s, const struct weir_ip *ip)
{
	if (s->nranges[1] && ip->family == 6)
		return six_have(s, ip);
	return four_have(s, ip);
}

static bool sorted_has(const struct expr_set *s, const union weir_datum *d)
{
	uint32_t at = 0, end = s->n;

	while (at < end) {
		uint32_t mid = at + (end - at) / 2;
		int c = weir_kind_compare(s->kind, &s->sorted[mid].d, d);

		if (!c)
			return true;
		if (c < 0)
			at = mid + 1;
		else
			end = mid;
	}
	return false;
}

static inline bool set_has(const struct expr_set *s, const struct vec *v, uint32_t row)
{
	union weir_datum d;

	row &= v->mask;
	if (s->how == SET_HASH)
		return hash_has(s, ((const uint64_t *)v->data)[row]);
	switch (weir_storage_of(s->kind)) {
	case WEIR_WORD:
		d.u = ((const uint64_t *)v->data)[row];
		break;
	case WEIR_ADDR:
		d.ip = ((const struct weir_ip *)v->data)[row];
		break;
	default:
		d.s = ((const struct weir_str *)v->data)[row];
		break;
	}
	return sorted_has(s, &d);
}

int set_select(const struct expr_set *s, const struct vec *v, const struct rows *in, uint16_t *out)
{
	uint32_t n = 0;

	if (s->how == SET_BITMAP)
		return select_bitmap(s, v, in, out);
	if (s->how == SET_RANGES) {
		const struct weir_ip *ip = v->data;

		EACH_ROW(in, r, {
			unsigned c = vec_has(v, r);

			c &= ranges_have(s, &ip[r & v->mask]);
			out[n] = (uint16_t)r;
			n += c;
		});
		return (int)n;
	}
	EACH_ROW(in, r, {
		bool c = vec_has(v, r) && set_has(s, v, r);

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}
