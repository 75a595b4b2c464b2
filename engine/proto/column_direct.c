// SPDX-License-Identifier: MIT
/* column_direct.c: one column of addresses straight from the packets.
 *
 * A query that wants addresses and lengths only needs no walk of the whole batch: where the packet
 * is Ethernet, with at most two tags, and IP, the address has its place. Other packets are walked
 * alone. Same conditions and answers as ip.c.
 */
#include "engine/proto/column.h"

/* Whether there is an address; *six: it is IPv6. */
static __attribute__((noinline)) bool walked(
        const struct weir_packet *pk, bool source, struct weir_ip *out, bool *six)
{
	struct layer d;
	struct walk w = {.p = pk->data, .lim = pk->caplen, .wire = pk->len, .d = &d};

	memset(&d, 0, sizeof d);
	walk_link(&w, pk);
	*six = *six || d.have & L_IP6;
	if (!(d.have & (source ? L_SRC : L_DST))) {
		memset(out, 0, sizeof *out);
		return false;
	}
	if (d.have & L_IP6)
		put6(out, pk->data + d.l3 + (source ? 8 : 24));
	else
		put4(out, source ? &d.src : &d.dst);
	return true;
}

static inline bool is_tag(const uint8_t *p)
{
	uint16_t type = get16(p + 12);

	return (type == 0x8100) | (type == 0x88a8);
}

/* Type, version and header length of IPv4 without options, or type and version of IPv6. */
static inline bool is_plain4(const uint8_t *p)
{
	static const uint8_t start[4] = {0x08, 0x00, 0x45, 0}, mask[4] = {0xff, 0xff, 0xff, 0};
	uint32_t is, want, care;
	uint16_t total;

	memcpy(&is, p + 12, 4);
	memcpy(&want, start, 4);
	memcpy(&care, mask, 4);
	total = get16(p + 16);
	return ((is & care) == want) & ((uint16_t)(total - 1) >= 19); /* 0 or at least 20 */
}

static inline bool is_plain6(const uint8_t *p)
{
	return (p[12] == 0x86) & (p[13] == 0xdd) & (p[14] >> 4 == 6);
}

int fill_direct(struct weir_batch *b, struct weir_col *col, bool source)
{
	const struct weir_packet *pk = ((struct weir_packets *)b->priv)->pk;
	struct weir_ip *out = col->data;
	uint32_t at4 = source ? 26 : 30, at6 = source ? 22 : 38;
	uint16_t absent[WEIR_BATCH_ROWS];
	uint32_t nabsent = 0;
	bool six = false;
	uint64_t *valid;

	for (uint32_t k = 0; k < b->n; k++) {
		const uint8_t *p = pk[k].data;
		uint32_t left = pk[k].linktype == 1 ? pk[k].caplen : 0;

		for (unsigned tags = 0; tags < 2 && left >= 14 + 4 && is_tag(p); tags++) {
			p += 4;
			left -= 4;
		}
		if (left >= 14 + 20 && is_plain4(p)) {
			put4(&out[k], p + at4);
			continue;
		}
		if (left >= 14 + 40 && is_plain6(p)) {
			put6(&out[k], p + at6);
			six = true;
			continue;
		}
		if (!walked(&pk[k], source, &out[k], &six))
			absent[nabsent++] = (uint16_t)k;
	}
	if (!six)
		col->flags |= WEIR_COL_IPV4;
	if (!nabsent)
		return 0;
	valid = weir_batch_own_valid(b, col);
	if (!valid)
		return -ENOMEM;
	for (uint32_t k = 0; k < b->n; k++)
		weir_valid_set(valid, k);
	for (uint32_t i = 0; i < nabsent; i++)
		valid[absent[i] / 64] &= ~(1ull << absent[i] % 64);
	return 0;
}
