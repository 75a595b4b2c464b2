/* SPDX-License-Identifier: MIT */
/* kind.c: names, order and text of values. Reading them is in kind_parse.c. */
#include "engine/core/put.h"

static const struct {
	const char *name, *article;
} kinds[WEIR_KINDS] = {
        [WEIR_NONE] = {"none", "nothing"},
        [WEIR_BOOL] = {"bool", "a truth value"},
        [WEIR_U64] = {"u64", "a number"},
        [WEIR_I64] = {"i64", "a number"},
        [WEIR_F64] = {"f64", "a number"},
        [WEIR_TIME] = {"time", "a time"},
        [WEIR_DURATION] = {"duration", "a duration"},
        [WEIR_IP] = {"ip", "an address"},
        [WEIR_SUBNET] = {"subnet", "a subnet"},
        [WEIR_MAC] = {"mac", "a MAC address"},
        [WEIR_STR] = {"str", "text"},
        [WEIR_BYTES] = {"bytes", "bytes"},
};

const char *weir_kind_name(enum weir_kind k)
{
	return (unsigned)k < WEIR_KINDS ? kinds[k].name : kinds[WEIR_NONE].name;
}

const char *weir_kind_article(enum weir_kind k)
{
	return (unsigned)k < WEIR_KINDS ? kinds[k].article : kinds[WEIR_NONE].article;
}

enum weir_kind weir_kind_by_name(const char *s, size_t len)
{
	for (enum weir_kind k = WEIR_BOOL; k < WEIR_KINDS; k++)
		if (strlen(kinds[k].name) == len && !memcmp(kinds[k].name, s, len))
			return k;
	return WEIR_NONE;
}

char *weir_kind_print(enum weir_kind k, const union weir_datum *d, unsigned digits, char *to)
{
	switch (k) {
	case WEIR_NONE:
	case WEIR_KINDS:
		return to;
	case WEIR_BOOL:
		memcpy(to, d->u ? "true" : "false", 5);
		return to + (d->u ? 4 : 5);
	case WEIR_U64:
		return put_u64(to, d->u);
	case WEIR_I64:
		return put_i64(to, d->i);
	case WEIR_F64:
		return put_f64(to, d->f);
	case WEIR_TIME:
	case WEIR_DURATION:
		return put_time(to, d->i, digits);
	case WEIR_IP:
		return put_ip(to, &d->ip);
	case WEIR_SUBNET:
		return put_subnet(to, &d->ip);
	case WEIR_MAC:
		return put_mac(to, d->u);
	case WEIR_STR:
		if (d->s.len)
			memcpy(to, d->s.p, d->s.len);
		return to + d->s.len;
	case WEIR_BYTES:
		return put_hex(to, d->s.p, d->s.len);
	}
	return to;
}

static int compare_f64(double a, double b)
{
	if (a != a || b != b)
		return (a != a) - (b != b);
	return (a > b) - (a < b);
}

int weir_kind_compare(enum weir_kind k, const union weir_datum *a, const union weir_datum *b)
{
	int c;

	switch (k) {
	case WEIR_NONE:
	case WEIR_KINDS:
		return 0;
	case WEIR_BOOL:
	case WEIR_U64:
	case WEIR_MAC:
		return (a->u > b->u) - (a->u < b->u);
	case WEIR_I64:
	case WEIR_TIME:
	case WEIR_DURATION:
		return (a->i > b->i) - (a->i < b->i);
	case WEIR_F64:
		return compare_f64(a->f, b->f);
	case WEIR_IP:
	case WEIR_SUBNET:
		if (a->ip.family != b->ip.family)
			return a->ip.family < b->ip.family ? -1 : 1;
		c = memcmp(a->ip.b, b->ip.b, 16);
		if (c)
			return c < 0 ? -1 : 1;
		return (a->ip.prefix > b->ip.prefix) - (a->ip.prefix < b->ip.prefix);
	case WEIR_STR:
	case WEIR_BYTES:
		c = a->s.len && b->s.len
		            ? memcmp(a->s.p, b->s.p, a->s.len < b->s.len ? a->s.len : b->s.len)
		            : 0;
		if (c)
			return c < 0 ? -1 : 1;
		return (a->s.len > b->s.len) - (a->s.len < b->s.len);
	}
	return 0;
}

bool weir_ip_in(const struct weir_ip *ip, const struct weir_ip *net)
{
	unsigned bytes = net->prefix / 8, bits = net->prefix % 8;

	if (ip->family != net->family || ip->prefix < net->prefix)
		return false;
	if (memcmp(ip->b, net->b, bytes))
		return false;
	return !bits || !((ip->b[bytes] ^ net->b[bytes]) & (0xff00 >> bits & 0xff));
}
