// SPDX-License-Identifier: MIT
/* compact_batch.c: columns and packed keys of a compact form.
 *
 * Same values, validity and flags as those of the packets' own batch (column_ip.c, column_link.c,
 * column_upper.c, pack.c). What hangs on the kind alone is looked up by it.
 */
#include "engine/proto/compact.h"

#include "engine/core/keyhash.h"
#include "engine/proto/column.h"
#include "engine/proto/pack.h"

bool compact_covers(const struct weir_schema *s, const uint64_t *needs)
{
	static const uint8_t covered[FIELDS] = {
	        [FIELD_ts] = 1,
	        [FIELD_srcip] = 1,
	        [FIELD_srcport] = 1,
	        [FIELD_dstip] = 1,
	        [FIELD_dstport] = 1,
	        [FIELD_ipprotocol] = 1,
	        [FIELD_len] = 1,
	        [FIELD_caplen] = 1,
	        [FIELD_linktype] = 1,
	        [FIELD_ifindex] = 1,
	        [FIELD_ethertype] = 1,
	        [FIELD_vlan] = 1,
	        [FIELD_ipversion] = 1,
	        [FIELD_fragment] = 1,
	        [FIELD_flags] = 1,
	        [FIELD_fin] = 1,
	        [FIELD_syn] = 1,
	        [FIELD_rst] = 1,
	        [FIELD_psh] = 1,
	        [FIELD_fack] = 1,
	        [FIELD_urg] = 1,
	        [FIELD_ece] = 1,
	        [FIELD_cwr] = 1,
	};
	struct weir_schema *packets;
	bool is;

	if (s->nfields != FIELDS)
		return false;
	packets = weir_packet_schema(s->fields[FIELD_ts].digits);
	is = packets == s;
	weir_schema_unref(packets);
	for (uint32_t f = 0; f < FIELDS && is; f++)
		is = covered[f] || !(needs[f / 64] >> f % 64 & 1);
	return is;
}

bool compact_decodes(const uint64_t *needs)
{
	bool any = false;

	for (uint32_t f = 0; f < FIELDS; f++)
		if (f != FIELD_ts && f != FIELD_len && f != FIELD_caplen && f != FIELD_linktype &&
		        f != FIELD_ifindex)
			any |= needs[f / 64] >> f % 64 & 1;
	return any;
}

const char *const compact_flow[] = {"srcip", "dstip", "srcport", "dstport", "ipprotocol", NULL};

bool compact_is_flow(const struct weir_pack_field *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (f[i].field != FIELD_srcip && f[i].field != FIELD_dstip &&
		        f[i].field != FIELD_srcport && f[i].field != FIELD_dstport &&
		        f[i].field != FIELD_ipprotocol)
			return false;
	return true;
}

/* ---- columns ---- */

struct filling {
	struct weir_batch *b;
	struct weir_col *col;
	struct compact_rows *rows;
	const struct compact *c;
};

static inline uint32_t number(const struct compact *c, uint32_t k)
{
	return c->wide ? c->wide[k] : c->key[(size_t)k * LAYER_KEY + COMPACT_KIND];
}

/* The rows that have `bit`; NULL: out of memory. */
static struct rows *rows_with(const struct filling *f, uint32_t bit)
{
	struct rows **at = &f->rows->rows[__builtin_ctz(bit)], *r = *at;
	const struct compact *c = f->c;
	bool has[WEIR_BATCH_ROWS];

	if (r)
		return r;
	r = weir_batch_alloc(f->b, sizeof *r);
	if (!r)
		return NULL;
	for (uint32_t i = 0; i < c->nkinds; i++)
		has[i] = !!(c->kind[i].have & bit);
	for (uint32_t i = 0, k = 0; k < c->n; i++) {
		uint64_t bits = 0;

		for (uint32_t j = 0; j < 64 && k < c->n; j++, k++)
			bits |= (uint64_t)has[number(c, k)] << j;
		r->bits[i] = bits;
	}
	return *at = r;
}

static int none(const struct filling *f)
{
	return weir_batch_own_valid(f->b, f->col) ? 0 : -ENOMEM;
}

/* The column is there where `bit` is set; columns share the bitmap. */
static int valid(const struct filling *f, uint32_t bit)
{
	struct rows *r;

	if (f->c->all & bit)
		return 0;
	r = rows_with(f, layer_bit(f->c->any, bit));
	if (!r)
		return -ENOMEM;
	f->col->valid = r->bits;
	return 0;
}

static void widen(const void *from, uint8_t size, uint64_t first, uint32_t n, uint64_t *to)
{
	const uint16_t *two = from;
	const uint32_t *four = from;
	const uint64_t *eight = from;

	if (size == 2)
		for (uint32_t k = 0; k < n; k++)
			to[k] = first + two[k];
	else if (size == 4)
		for (uint32_t k = 0; k < n; k++)
			to[k] = first + four[k];
	else
		for (uint32_t k = 0; k < n; k++)
			to[k] = first + eight[k];
}

static void fill_caplens(const struct compact *c, uint64_t *to)
{
	if (c->caplen) {
		widen(c->caplen, c->caplen_size, 0, c->n, to);
		return;
	}
	widen(c->len, c->len_size, 0, c->n, to);
	for (uint32_t k = 0; k < c->n; k++)
		to[k] = to[k] < c->most ? to[k] : c->most;
}

/* A value of each kind, where `bit` is set. */
#define BY_KIND(f, bit, value)                                                                     \
	do {                                                                                       \
		const struct compact *of = (f)->c;                                                 \
		uint64_t *to = (f)->col->data, by[WEIR_BATCH_ROWS];                                \
                                                                                                   \
		if ((bit) && !(of->any & (bit)))                                                   \
			return none(f);                                                            \
		for (uint32_t i = 0; i < of->nkinds; i++) {                                        \
			const struct compact_kind *kind = &of->kind[i];                            \
                                                                                                   \
			by[i] = (value);                                                           \
		}                                                                                  \
		for (uint32_t k = 0; k < of->n; k++)                                               \
			to[k] = by[number(of, k)];                                                 \
		return (bit) ? valid(f, (bit)) : 0;                                                \
	} while (0)

static int fill_by_kind(const struct filling *f, uint32_t field)
{
	if (field == FIELD_linktype)
		BY_KIND(f, 0, kind->linktype);
	if (field == FIELD_ifindex)
		BY_KIND(f, 0, kind->ifindex);
	if (field == FIELD_ethertype)
		BY_KIND(f, L_TYPE, kind->ethertype);
	if (field == FIELD_ipversion)
		BY_KIND(f, COMPACT_IP, kind->have & L_IP6 ? 6 : 4);
	BY_KIND(f, COMPACT_FRAGMENT, !!(kind->have & L_FRAG));
}

/* `shift`: of one flag; -1: all. */
static int fill_tcp_flags(const struct filling *f, int shift)
{
	if (shift < 0)
		BY_KIND(f, COMPACT_FLAGS, kind->flags);
	BY_KIND(f, COMPACT_FLAGS, kind->flags >> shift & 1);
}

static int fill_key(const struct filling *f, const struct pack_place *p)
{
	const uint8_t *key = f->c->key + p->from;
	uint64_t *to = f->col->data;
	uint32_t n = f->c->n;

	if (!(f->c->any & p->have))
		return none(f);
	if (p->bytes == 1)
		for (uint32_t k = 0; k < n; k++, key += LAYER_KEY)
			to[k] = *key;
	else if (p->swapped)
		for (uint32_t k = 0; k < n; k++, key += LAYER_KEY)
			to[k] = get16(key);
	else
		for (uint32_t k = 0; k < n; k++, key += LAYER_KEY)
			to[k] = get16le(key);
	return valid(f, p->have);
}

static int fill_address(const struct filling *f, const struct pack_place *p)
{
	const struct compact *c = f->c;
	const uint8_t *key = c->key + p->from;
	struct weir_ip *to = f->col->data;
	struct rows *six;
	uint32_t at;

	if (!(c->any & L_IP6))
		f->col->flags |= WEIR_COL_IPV4;
	if (!(c->any & p->have))
		return none(f);
	for (uint32_t k = 0; k < c->n; k++)
		put4(&to[k], key + (size_t)k * LAYER_KEY);
	if (!(c->any & L_IP6))
		return valid(f, p->have);
	six = rows_with(f, L_IP6);
	if (!six)
		return -ENOMEM;
	for (uint32_t i = 0; i < (c->n + 63) / 64; i++)
		for (uint64_t bits = six->bits[i]; bits; bits &= bits - 1) {
			uint32_t k = i * 64 + (uint32_t)__builtin_ctzll(bits);

			if (!(c->kind[number(c, k)].have & p->have))
				continue;
			memcpy(&at, key + (size_t)k * LAYER_KEY, 4);
			put6(&to[k], c->ip6[at]);
		}
	return valid(f, p->have);
}

static int fill(const struct filling *f, uint32_t field)
{
	const struct compact *c = f->c;
	struct pack_place place;

	switch (field) {
	case FIELD_ts:
		widen(c->ts, c->ts_size, (uint64_t)c->first, c->n, f->col->data);
		return 0;
	case FIELD_len:
		widen(c->len, c->len_size, 0, c->n, f->col->data);
		return 0;
	case FIELD_caplen:
		fill_caplens(c, f->col->data);
		return 0;
	case FIELD_linktype:
	case FIELD_ifindex:
	case FIELD_ethertype:
	case FIELD_ipversion:
	case FIELD_fragment:
		return fill_by_kind(f, field);
	case FIELD_flags:
		return fill_tcp_flags(f, -1);
	case FIELD_fin ... FIELD_cwr:
		return fill_tcp_flags(f, (int)(field - FIELD_fin));
	default:
		if (!pack_place_of(field, &place) || !place.bytes)
			return -ENODATA;
		return place.bytes == 4 ? fill_address(f, &place) : fill_key(f, &place);
	}
}

_Static_assert(
        FIELD_cwr - FIELD_fin == 7 && FIELD_syn - FIELD_fin == 1 && FIELD_fack - FIELD_fin == 4,
        "flags stand in the order of their bits");

int compact_fill(struct weir_batch *b, uint32_t field)
{
	struct filling f = {.b = b, .rows = b->priv};
	int r;

	f.c = f.rows->c;
	f.col = weir_batch_own(b, field);
	if (!f.col)
		return -ENOMEM;
	r = fill(&f, field);
	if (r < 0)
		f.col->data = NULL; /* not filled */
	return r;
}

/* ---- keys ---- */

struct packing {
	struct pack_places places;
	struct pack_place place[WEIR_PACK_FIELDS];
	uint32_t n, have;
	uint8_t naddr, addr[WEIR_PACK_FIELDS];
};

static uint8_t plan(struct packing *w, const struct weir_pack *p)
{
	uint8_t done = 0;

	w->places.size = p->size;
	w->n = p->n;
	w->have = w->naddr = 0;
	memset(w->places.from, LAYER_NONE, sizeof w->places.from);
	memcpy(w->places.rest, p->rest, p->size);
	for (uint32_t i = 0; i < p->n; i++) {
		struct pack_place *s = &w->place[i];

		if (!pack_place_of(p->f[i].field, s) || !s->bytes)
			continue;
		done |= (uint8_t)(1u << i);
		w->have |= s->have;
		if (s->bytes == 4)
			w->addr[w->naddr++] = (uint8_t)i;
		pack_put(&w->places, s, p->f[i].at);
	}
	return done;
}

/* The fields that a packet of this kind lacks. */
static uint8_t lacks(const struct packing *w, uint8_t done, uint32_t have)
{
	uint8_t lack = 0;

	if ((have & w->have) == w->have)
		return 0;
	for (uint32_t i = 0; i < w->n; i++)
		if (done >> i & 1 && (have & w->place[i].have) != w->place[i].have)
			lack |= (uint8_t)(1u << i);
	return lack;
}

static void note_ip6(const struct packing *w, const struct compact *c, uint32_t row, uint32_t k,
        uint8_t lack, struct weir_packed *ret)
{
	for (uint32_t i = 0; i < w->naddr; i++) {
		uint8_t field = w->addr[i];
		uint32_t at;

		if (lack >> field & 1)
			continue;
		memcpy(&at, c->key + (size_t)row * LAYER_KEY + w->place[field].from, 4);
		ret->ip6[ret->nip6++] = (struct weir_pack_ip6){(uint8_t)k, field, c->ip6[at]};
	}
}

/* The rows that lack fields or have IPv6 addresses. */
static void odd_rows(const struct packing *w, const struct compact *c, const uint16_t *rows,
        uint32_t n, struct weir_packed *ret)
{
	uint32_t care_for = w->have | (w->naddr ? L_IP6 : 0), m = 0;
	uint8_t is_odd[WEIR_BATCH_ROWS], odd[WEIR_PACK_ROWS];

	for (uint32_t i = 0; i < c->nkinds; i++)
		is_odd[i] = (c->kind[i].have & care_for) != w->have;
	for (uint32_t k = 0; k < n; k++) {
		odd[m] = (uint8_t)k;
		m += is_odd[number(c, rows[k])];
	}
	for (uint32_t i = 0; i < m; i++) {
		uint32_t row = rows[odd[i]], have = c->kind[number(c, row)].have;
		uint8_t lack = lacks(w, ret->done, have);

		if (have & L_IP6)
			note_ip6(w, c, row, odd[i], lack, ret);
		ret->odd[ret->nodd] = odd[i];
		ret->lack[ret->nodd] = lack;
		ret->nodd += lack != 0;
	}
}

int compact_pack(struct weir_batch *b, const struct weir_pack *p, const uint16_t *rows, uint32_t n,
        uint8_t *to, struct weir_packed *ret)
{
	static pack_layers *best;
	pack_layers *pack = __atomic_load_n(&best, __ATOMIC_RELAXED);
	const struct compact *c = ((const struct compact_rows *)b->priv)->c;
	struct packing w;

	ret->done = plan(&w, p);
	if (!ret->done)
		return 0;
	if (!pack) {
		pack = pack_layers_best();
		__atomic_store_n(&best, pack, __ATOMIC_RELAXED);
	}
	pack(&w.places, c->key, LAYER_KEY, rows, n, to);
	if ((c->all & w.have) != w.have || (w.naddr && c->any & L_IP6))
		odd_rows(&w, c, rows, n, ret);
	return 0;
}
