/* SPDX-License-Identifier: MIT */
/* pcap_text.c: see pcap_text.h.
 *
 * The conditions are put down twice, for IPv4 and for IPv6 headers of the plain form. A field that
 * a packet does not have makes its comparison false, whatever the bytes are that the text compares.
 */
#include "engine/expr/pcap_text.h"

#include <arpa/inet.h>
#include <string.h>

#include "engine/expr/expr.h"

#define SET_MOST 32 /* members of a list that are put down */

enum verdict {
	MAY,  /* it may hold for any packet */
	NOT,  /* it holds for none */
	TEXT, /* only where the text that was appended does */
};

/* Where fields stand behind a plain header; NULL: not told of. */
static const struct place {
	const char *name, *at[2]; /* IPv4, IPv6 */
	unsigned bit;             /* of a byte, or 0: all of it */
} places[] = {
        {"len", {"len", "len"}, 0},
        {"ipprotocol", {"ip[9]", "ip6[6]"}, 0},
        {"ttl", {"ip[8]", "ip6[7]"}, 0},
        {"tos", {"ip[1]", NULL}, 0},
        {"srcport", {"ip[20:2]", "ip6[40:2]"}, 0},
        {"dstport", {"ip[22:2]", "ip6[42:2]"}, 0},
        {"icmptype", {"ip[20]", "ip6[40]"}, 0},
        {"icmpcode", {"ip[21]", "ip6[41]"}, 0},
        {"flags.fin", {"ip[33]", "ip6[53]"}, 1},
        {"flags.syn", {"ip[33]", "ip6[53]"}, 2},
        {"flags.rst", {"ip[33]", "ip6[53]"}, 4},
        {"flags.psh", {"ip[33]", "ip6[53]"}, 8},
        {"flags.ack", {"ip[33]", "ip6[53]"}, 16},
        {"flags.urg", {"ip[33]", "ip6[53]"}, 32},
        {"flags.ece", {"ip[33]", "ip6[53]"}, 64},
        {"flags.cwr", {"ip[33]", "ip6[53]"}, 128},
};

static const char *const ip[2] = {"ip", "ip6"};

struct writer {
	const struct weir_schema *in;
	struct text *to;
	unsigned six;
};

static const char *field_name(const struct writer *w, const struct weir_expr *e)
{
	return e->op == X_FIELD ? w->in->fields[e->field].name : "";
}

static const struct place *place_of(const struct writer *w, const struct weir_expr *e)
{
	const char *name = field_name(w, e);

	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (strcmp(places[i].name, name) == 0 && places[i].at[w->six])
			return &places[i];
	return NULL;
}

/* "src", "dst", or NULL: it is no address. */
static const char *side_of(const struct writer *w, const struct weir_expr *e)
{
	const char *name = field_name(w, e);

	return strcmp(name, "srcip") == 0 ? "src" : strcmp(name, "dstip") == 0 ? "dst" : NULL;
}

/* lo <= what stands there <= hi. */
static enum verdict within(struct writer *w, const char *at, uint64_t lo, uint64_t hi)
{
	if (lo > UINT32_MAX)
		return NOT;
	if (lo == hi)
		text_printf(w->to, "%s = %u", at, (unsigned)lo);
	else if (hi >= UINT32_MAX)
		text_printf(w->to, "%s >= %u", at, (unsigned)lo);
	else if (!lo)
		text_printf(w->to, "%s <= %u", at, (unsigned)hi);
	else
		text_printf(w->to, "(%s >= %u and %s <= %u)", at, (unsigned)lo, at, (unsigned)hi);
	return TEXT;
}

static enum verdict of_flag(struct writer *w, const struct weir_expr *e)
{
	const struct place *p = place_of(w, e);

	if (!p || !p->bit)
		return MAY;
	text_printf(w->to, "%s & %u != 0", p->at[w->six], p->bit);
	return TEXT;
}

static enum verdict of_range(struct writer *w, const struct weir_expr *e)
{
	const struct place *p = place_of(w, e->kids[0]);

	if (!p || e->inverted || e->lo + e->span < e->lo)
		return MAY;
	if (p->bit)
		return e->lo == 1 ? of_flag(w, e->kids[0]) : MAY;
	if (e->kids[0]->kind != WEIR_U64)
		return MAY;
	return within(w, p->at[w->six], e->lo, e->lo + e->span);
}

static enum verdict subnet(struct writer *w, const char *side, const uint8_t *net, unsigned bits)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(w->six ? AF_INET6 : AF_INET, net, text, sizeof text);
	text_printf(w->to, "%s net %s/%u", side, text, bits);
	return TEXT;
}

static enum verdict of_net(struct writer *w, const struct weir_expr *e)
{
	const char *side = side_of(w, e->kids[0]);
	struct weir_ip net, mask;
	unsigned bits = 0;

	if (!side || e->inverted)
		return MAY;
	memcpy(&net, e->net, sizeof net);
	memcpy(&mask, e->mask, sizeof mask);
	if (net.family != (w->six ? 6 : 4))
		return NOT;
	for (unsigned i = 0; i < sizeof mask.b; i++)
		bits += (unsigned)__builtin_popcount(mask.b[i]);
	return subnet(w, side, net.b, bits);
}

/* The subnet that lo … hi are, in bits, or -1. */
static int prefix_of(const uint8_t *lo, const uint8_t *hi, unsigned bytes)
{
	unsigned bits = 0;

	while (bits < bytes * 8 && !((lo[bits / 8] ^ hi[bits / 8]) & 0x80 >> bits % 8))
		bits++;
	for (unsigned i = bits; i < bytes * 8; i++)
		if (lo[i / 8] & 0x80 >> i % 8 || !(hi[i / 8] & 0x80 >> i % 8))
			return -1;
	return (int)bits;
}

static enum verdict of_addresses(struct writer *w, const struct weir_expr *e, const char *side)
{
	uint32_t n = set_ranges(e->set, w->six);
	size_t at = w->to->len;

	if (!n || n > SET_MOST)
		return n ? MAY : NOT;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t lo[16], hi[16];
		int bits;

		set_range(e->set, w->six, i, lo, hi);
		bits = prefix_of(lo, hi, w->six ? 16 : 4);
		text_puts(w->to, i ? " or " : "(");
		if (bits >= 0) {
			subnet(w, side, lo, (unsigned)bits);
		} else if (!w->six) {
			uint32_t from, to;

			memcpy(&from, lo, 4);
			memcpy(&to, hi, 4);
			within(w, *side == 's' ? "ip[12:4]" : "ip[16:4]", ntohl(from), ntohl(to));
		} else {
			text_cut(w->to, at);
			return MAY;
		}
	}
	text_puts(w->to, ")");
	return TEXT;
}

static enum verdict of_set(struct writer *w, const struct weir_expr *e)
{
	const struct place *p = place_of(w, e->kids[0]);
	const char *side = side_of(w, e->kids[0]);
	uint64_t v[SET_MOST];
	uint32_t n;

	if (e->inverted)
		return MAY;
	if (side)
		return e->kids[0]->kind == WEIR_IP ? of_addresses(w, e, side) : MAY;
	if (!p || p->bit || e->kids[0]->kind != WEIR_U64)
		return MAY;
	n = set_words(e->set, v, SET_MOST);
	if (!n)
		return MAY;
	for (uint32_t i = 0; i < n; i++) {
		text_puts(w->to, i ? " or " : "(");
		within(w, p->at[w->six], v[i] > UINT32_MAX ? 0 : v[i], v[i]);
	}
	text_puts(w->to, ")");
	return TEXT;
}

static enum verdict write_down(struct writer *w, const struct weir_expr *e);

/* Of n joined by and (neutral MAY: that adds nothing) or by or (NOT); the other verdict settles
 * it. */
static enum verdict of_all(
        struct writer *w, const struct weir_expr *const *e, uint32_t count, enum verdict neutral)
{
	size_t start = w->to->len;
	uint32_t n = 0;

	if (count == 1)
		return write_down(w, e[0]);
	for (uint32_t i = 0; i < count; i++) {
		size_t before = w->to->len;
		enum verdict v;

		text_puts(w->to, n ? neutral == MAY ? " and " : " or " : "(");
		v = write_down(w, e[i]);
		if (v == TEXT) {
			n++;
			continue;
		}
		text_cut(w->to, v == neutral ? before : start);
		if (v != neutral)
			return v;
	}
	if (!n)
		return neutral;
	text_puts(w->to, ")");
	return TEXT;
}

static enum verdict write_down(struct writer *w, const struct weir_expr *e)
{
	switch (e->op) {
	case X_AND:
	case X_OR:
		return of_all(w, (const struct weir_expr *const *)e->kids, e->nkids,
		        e->op == X_AND ? MAY : NOT);
	case X_FIELD:
		return of_flag(w, e);
	case X_RANGE:
		return of_range(w, e);
	case X_NET:
		return of_net(w, e);
	case X_SET:
		return of_set(w, e);
	default:
		return MAY;
	}
}

/* " or (ip and (" OTHERS " or " the conditions "))". */
static enum verdict write_version(
        struct writer *w, const struct weir_expr *const *e, uint32_t n, const char *others)
{
	size_t start = w->to->len;
	enum verdict v;

	text_printf(w->to, " or (%s and (%s", ip[w->six], others);
	text_puts(w->to, " or ");
	v = of_all(w, e, n, MAY);
	if (v == TEXT) {
		text_puts(w->to, "))");
		return v;
	}
	text_cut(w->to, start);
	if (v == MAY)
		text_printf(w->to, " or %s", ip[w->six]);
	else
		text_printf(w->to, " or (%s and (%s))", ip[w->six], others);
	return v;
}

bool pcap_text(
        const struct weir_expr *const *e, uint32_t n, const struct weir_schema *in, struct text *to)
{
	struct writer w = {.in = in, .to = to};
	size_t start = to->len;
	enum verdict four, six;

	text_puts(to, "(not ip and not ip6)");
	four = write_version(&w, e, n, "ip[0] != 69"); /* version 4, 20 bytes */
	w.six = 1;
	six = write_version(&w, e, n, "(ip6[6] != 6 and ip6[6] != 17 and ip6[6] != 58)");
	if ((four == MAY && six == MAY) || to->len - start > PCAP_TEXT_MAX || to->failed) {
		text_cut(to, start);
		return false;
	}
	return true;
}
