// SPDX-License-Identifier: MIT
/* column_direct.c: one column of addresses straight from the packets.
 *
 * A query that wants addresses and lengths only needs no walk of the whole batch: where the packet
 * is Ethernet, with at most two tags, and IP, the address has its place. Other packets are walked
 * alone. Same conditions and answers as ip.c.
 */
#include "engine/proto/column.h"
#include "engine/proto/direct.h"

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

int fill_direct(struct weir_batch *b, struct weir_col *col, bool source)
{
	const struct weir_packet *pk = ((struct weir_packets *)b->priv)->pk;
	struct weir_ip *out = col->data;
	uint16_t odd[WEIR_BATCH_ROWS], absent[WEIR_BATCH_ROWS];
	uint32_t nodd = 0, nabsent = 0;
	bool six = false;
	uint64_t *valid;

	for (uint32_t k = 0; k < b->n; k++) {
		if (direct_ip4_plain(&pk[k]))
			put4(&out[k], pk[k].data + DIRECT_IP4 + (source ? 0 : 4));
		else
			odd[nodd++] = (uint16_t)k;
	}
	for (uint32_t i = 0; i < nodd; i++) {
		uint32_t k = odd[i], at = direct_ip4(&pk[k]);

		if (at) {
			put4(&out[k], pk[k].data + at + (source ? 0 : 4));
			continue;
		}
		at = direct_ip6(&pk[k]);
		if (at) {
			put6(&out[k], pk[k].data + at + (source ? 8 : 24));
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
