/* SPDX-License-Identifier: MIT */
/* mask.c: values that may be shown to others: addresses without their host part, or pseudonyms.
 *
 * Pseudonyms come from a key by SipHash-2-4 (Aumasson, Bernstein, INDOCRYPT 2012). Those of
 * addresses keep prefixes: two addresses that share n leading bits share n leading bits of their
 * pseudonyms, as Crypto-PAn has it (Xu et al., ICNP 2002): bit i is flipped by a function of the
 * bits before it.
 *
 * Whatever still holds the value in the clear, the packet and its payload, has no value behind it.
 */
#include <weir/module.h>

#include "engine/core/option_rows.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Pseudonyms made before, by a hash of the address: each costs up to 128 rounds of SipHash, and
 * traffic repeats its addresses. There may be an instance for each key of a split, so it begins
 * small and grows while it is missed. */
#define CACHE_MIN 4
#define CACHE_MAX 16384

struct cached {
	struct weir_ip from, to;
};

struct state {
	struct cached *cache;
	uint32_t size; /* places, a power of two; 0: no address yet */
	uint32_t missed;
};

struct config {
	struct weir_fields fields;
	uint64_t v4, v6;
	const char *key;
	uint64_t k[2];
};

/* The i-th of the fields. */
static int check(struct weir_bind *b, uint32_t i, struct weir_err *err)
{
	const struct config *c = b->config;
	const struct weir_field *f = &b->in->fields[c->fields.index[i]];

	if (f->kind == WEIR_IP ||
	        (c->key && (f->kind == WEIR_MAC || f->kind == WEIR_U64 || f->kind == WEIR_STR)))
		return 0;
	weir_bind_blame(b, &c->fields, i);
	return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "mask",
	        c->key ? "an address, a number or text" : "an address, or --key", f->name,
	        weir_kind_article(f->kind));
}

static int mask_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	int r = weir_bind_pass(b, err);

	if (c->key) {
		XXH128_hash_t h = XXH3_128bits(c->key, strlen(c->key));

		c->k[0] = h.low64;
		c->k[1] = h.high64;
	}
	for (uint32_t i = 0; i < c->fields.n && r >= 0; i++) {
		r = check(b, i, err);
		if (r >= 0)
			r = weir_bind_replace(b, c->fields.index[i], err);
	}
	for (uint32_t f = 0; f < b->in->nfields && r >= 0; f++)
		if (b->in->fields[f].kind == WEIR_BYTES)
			r = weir_bind_replace(b, f, err);
	return r < 0 ? r : 0;
}

#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

static uint64_t siphash(const uint64_t k[2], const uint8_t *p, uint64_t len)
{
	uint64_t v[4] = {k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du,
	        k[0] ^ 0x6c7967656e657261u, k[1] ^ 0x7465646279746573u};
	uint64_t left = len, m;

	for (;; p += 8, left -= 8) {
		m = 0;
		if (left >= 8)
			memcpy(&m, p, 8);
		else if (left)
			memcpy(&m, p, left);
		if (left < 8)
			m |= len << 56;
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The prefix-preserving pseudonym of an address. */
static struct weir_ip pseudonym(const struct config *c, const struct weir_ip *ip)
{
	unsigned bits = ip->family == 4 ? 32 : 128;
	struct weir_ip out = *ip;
	uint8_t prefix[18] = {ip->family};

	for (unsigned i = 0; i < bits; i++) {
		uint8_t bit = 0x80 >> (i & 7);

		prefix[1] = (uint8_t)i;
		if (siphash(c->k, prefix, sizeof prefix) & 1)
			out.b[i >> 3] ^= bit;
		prefix[2 + (i >> 3)] |= ip->b[i >> 3] & bit;
	}
	return out;
}

static struct cached *place(struct cached *cache, uint32_t size, const struct weir_ip *ip)
{
	return &cache[XXH3_64bits(ip, sizeof *ip) & (size - 1)];
}

static int grow_cache(struct weir_node *n)
{
	struct state *s = n->state;
	uint32_t size = s->size ? 4 * s->size : CACHE_MIN;
	struct cached *to = weir_calloc(n->mem, size * sizeof *to);

	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->size; i++)
		if (s->cache[i].from.family)
			*place(to, size, &s->cache[i].from) = s->cache[i];
	weir_free(n->mem, s->cache, s->size * sizeof *s->cache);
	s->cache = to;
	s->size = size;
	s->missed = 0;
	return 0;
}

static int cached(struct weir_node *n, const struct weir_ip *ip, struct weir_ip *ret)
{
	struct state *s = n->state;
	struct cached *at = s->size ? place(s->cache, s->size, ip) : NULL;

	if (!at || !weir_ip_equal(&at->from, ip)) {
		if (s->missed++ >= s->size && s->size < CACHE_MAX) {
			if (grow_cache(n) < 0)
				return -ENOMEM;
			at = place(s->cache, s->size, ip);
		}
		at->to = pseudonym(n->config, ip);
		at->from = *ip;
	}
	*ret = at->to;
	return 0;
}

static void mask_close(struct weir_node *n)
{
	struct state *s = n->state;

	weir_free(n->mem, s->cache, s->size * sizeof *s->cache);
}

static struct weir_ip network(const struct config *c, const struct weir_ip *ip)
{
	unsigned bits = (unsigned)(ip->family == 4 ? c->v4 : c->v6);
	struct weir_ip out = *ip;

	for (unsigned i = 0; i < 16; i++)
		out.b[i] &= bits >= 8 * (i + 1) ? 0xff
		            : bits <= 8 * i     ? 0
		                                : (uint8_t)(0xff00u >> (bits - 8 * i));
	return out;
}

static int mask_text(const struct config *c, struct weir_batch *v, const struct weir_str *from,
        struct weir_str *to)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t h = siphash(c->k, from->p, from->len);
	uint8_t *p = weir_batch_alloc(v, 16);

	if (!p)
		return -ENOMEM;
	for (int i = 0; i < 16; i++, h >>= 4)
		p[i] = (uint8_t)hex[h & 15];
	*to = (struct weir_str){p, 16};
	return 0;
}

static uint64_t mask_word(const struct config *c, const struct weir_field *f, uint64_t v)
{
	uint64_t h = siphash(c->k, (const uint8_t *)&v, sizeof v);

	if (f->kind == WEIR_MAC) /* 48 bits, locally administered, not a group */
		return (h & 0xffffffffffffu & ~(1ull << 40)) | 2ull << 40;
	return f->bits && f->bits < 64 ? h & ((1ull << f->bits) - 1) : h;
}

static int mask_column(struct weir_node *n, struct weir_batch *b, struct weir_batch *v, uint32_t f)
{
	const struct config *c = n->config;
	const struct weir_col *from = weir_batch_col(b, f);
	struct weir_col *to = weir_batch_own(v, f);
	uint64_t *valid = to ? weir_batch_own_valid(v, to) : NULL;
	int r = 0;

	if (!from || !valid)
		return -ENOMEM;
	for (uint32_t i = 0; i < weir_batch_count(b) && r == 0; i++) {
		uint32_t row = weir_batch_row(b, i), last;

		if (!weir_col_has(from, row))
			continue;
		weir_valid_set(valid, row);
		if (from->kind == WEIR_IP) {
			struct weir_ip *ip = to->data;

			last = i ? weir_batch_row(b, i - 1) : row;
			if (last != row && weir_col_has(from, last) &&
			        weir_ip_equal(&weir_col_ip(from)[last], &weir_col_ip(from)[row]))
				ip[row] = ip[last];
			else if (c->key)
				r = cached(n, &weir_col_ip(from)[row], &ip[row]);
			else
				ip[row] = network(c, &weir_col_ip(from)[row]);
		} else if (from->kind == WEIR_STR) {
			r = mask_text(c, v, &weir_col_str(from)[row],
			        &((struct weir_str *)to->data)[row]);
		} else {
			((uint64_t *)to->data)[row] =
			        mask_word(c, &n->in->fields[f], weir_col_u64(from)[row]);
		}
	}
	return r;
}

static int mask_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct weir_batch *v = weir_view(n, b);
	int r = v ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < c->fields.n && r == 0; i++)
		if (weir_node_needs(n, c->fields.index[i]))
			r = mask_column(n, b, v, c->fields.index[i]);
	if (r < 0) {
		weir_batch_unref(v);
		return r;
	}
	return weir_emit(n, 0, v);
}

static const struct weir_option options[] = {
        OPTION_FIELDS(offsetof(struct config, fields), WEIR_OPT_REQUIRED, "what to mask"),
        {.type = WEIR_OPT_U64,
                .name = "v4",
                .offset = offsetof(struct config, v4),
                .min = 0,
                .max = 32,
                .preset = "24",
                .arg = "BITS",
                .doc = "leading bits of IPv4 addresses that stay"},
        {.type = WEIR_OPT_U64,
                .name = "v6",
                .offset = offsetof(struct config, v6),
                .min = 0,
                .max = 128,
                .preset = "48",
                .arg = "BITS",
                .doc = "leading bits of IPv6 addresses that stay"},
        {.type = WEIR_OPT_STRING,
                .name = "key",
                .letter = 'k',
                .offset = offsetof(struct config, key),
                .arg = "TEXT",
                .doc = "replace values by pseudonyms made with this key instead"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(mask) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "mask",
        .summary = "zero the host part of addresses, or replace values by pseudonyms",
        .doc = "Sets the bits of addresses behind the first 24 (IPv4) or 48 (IPv6) to zero.\n\n"
               "With --key the values are replaced by pseudonyms, the same for the same key: "
               "addresses such that common prefixes stay common prefixes, MACs by locally "
               "administered ones, numbers and text by hashes. Whoever knows the key and can guess "
               "a "
               "value can check the guess.\n\n"
               "Fields of octets ('packet', 'payload'), which hold the values in the clear, have "
               "no "
               "value behind it. Fields that are not named stay as they are.",
        .example = "packets | mask srcip dstip --v4 16 | group srcip count()",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .bind = mask_bind,
        .close = mask_close,
        .process = mask_process,
};
