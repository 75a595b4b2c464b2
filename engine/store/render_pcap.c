/* SPDX-License-Identifier: MIT */
/* render_pcap.c: packets as a pcap savefile (draft-ietf-opsawg-pcap, pcap-savefile(5)).
 *
 *   file header, 24 bytes: magic A1B2C3D4 (µs) or A1B23C4D (ns), version 2.4, 0, 0,
 *   snapshot length, link type; then for each packet 16 bytes: seconds, fraction, captured
 *   length, length; and the bytes. All little-endian.
 */
#include "engine/store/render_cell.h"

#define SNAPLEN 262144 /* libpcap's MAXIMUM_SNAPLEN: readers refuse longer packets */

static char *put_le32(char *to, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	memcpy(to, &v, 4);
	return to + 4;
}

static bool nanoseconds(const struct render *r)
{
	return r->ts >= 0 && r->schema->fields[r->ts].digits > 6;
}

void render_pcap_header(struct render *r, struct text *to)
{
	char *p = text_reserve(to, 24);

	r->started = true;
	if (!p)
		return;
	p = put_le32(p, nanoseconds(r) ? 0xa1b23c4d : 0xa1b2c3d4);
	p = put_le32(p, 2 | 4 << 16);
	p = put_le32(p, 0);
	p = put_le32(p, 0);
	p = put_le32(p, SNAPLEN);
	put_le32(p, r->linktype);
	text_grown(to, 24);
}

struct columns {
	const struct weir_col *packet, *ts, *len, *link;
};

static int columns_get(struct render *r, struct weir_batch *b, struct columns *c)
{
	*c = (struct columns){0};
	c->packet = weir_batch_col(b, (uint32_t)r->packet);
	if (!c->packet)
		return -ENOMEM;
	if (r->ts >= 0 && !(c->ts = weir_batch_col(b, (uint32_t)r->ts)))
		return -ENOMEM;
	if (r->len >= 0 && !(c->len = weir_batch_col(b, (uint32_t)r->len)))
		return -ENOMEM;
	if (r->link >= 0 && !(c->link = weir_batch_col(b, (uint32_t)r->link)))
		return -ENOMEM;
	return 0;
}

static uint64_t word(const struct weir_col *c, uint32_t row, uint64_t otherwise)
{
	return c && weir_col_has(c, row) ? weir_col_u64(c)[row] : otherwise;
}

int render_pcap_rows(struct render *r, struct weir_batch *b, struct text *to)
{
	uint32_t n = weir_batch_count(b);
	bool ns = nanoseconds(r);
	struct columns c;

	if (columns_get(r, b, &c) < 0)
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t row = weir_batch_row(b, k), caplen;
		uint64_t link = word(c.link, row, 1), len, t;
		const struct weir_str *s = weir_col_str(c.packet) + row;
		int64_t ts = (int64_t)word(c.ts, row, 0);
		char *p;

		if (!weir_col_has(c.packet, row) || (r->started && link != r->linktype)) {
			r->skipped++;
			continue;
		}
		if (!r->started) {
			r->linktype = (uint16_t)link;
			render_pcap_header(r, to);
		}
		caplen = s->len < SNAPLEN ? (uint32_t)s->len : SNAPLEN;
		len = word(c.len, row, s->len);
		len = len < caplen ? caplen : len > UINT32_MAX ? UINT32_MAX : len;
		p = text_reserve(to, 16 + caplen);
		if (!p)
			return -ENOMEM;
		t = ts < 0 ? 0 : (uint64_t)ts; /* the format has no times before 1970 */
		p = put_le32(p, (uint32_t)(t / 1000000000));
		p = put_le32(p, (uint32_t)(t % 1000000000) / (ns ? 1 : 1000));
		p = put_le32(p, caplen);
		p = put_le32(p, (uint32_t)len);
		if (caplen)
			memcpy(p, s->p, caplen);
		text_grown(to, 16 + caplen);
	}
	return 0;
}
