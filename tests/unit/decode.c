// SPDX-License-Identifier: MIT
/* decode.c: what decode_tshark.c cannot ask tshark: the schema, flowid, validity, payloads. */
#include "engine/core/pool.h"
#include "engine/proto/column.h"
#include "tests/unit/one_schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <weir/packet.h>

#include <cmocka.h>

static const struct weir_batch_ops ops = {.fill = weir_packet_fill};
static struct weir_packets ps;

/* Ethernet, IPv4, UDP, 2 bytes of payload, 2 of padding. */
static const uint8_t udp4[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 30, 0, 1, 0, 0,
        64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 4, 0xd2, 0, 80, 0, 10, 0, 0, 'h', 'i', 0, 0};

/* The same the other way round. */
static const uint8_t back4[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 30, 0, 1, 0,
        0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0, 80, 4, 0xd2, 0, 10, 0, 0, 'h', 'o', 0, 0};

static const uint8_t arp[42] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6};

/* Ethernet, IPv6, no next header. */
static const uint8_t none6[54] = {
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 59, 64, 0x20};

static struct weir_batch *batch(uint32_t n)
{
	struct weir_batch *b = pool_batch(pool, schema, n);

	assert_non_null(b);
	ps.decoded = NULL;
	b->ops = &ops;
	b->priv = &ps;
	return b;
}

static void packet(uint32_t k, const uint8_t *p, uint32_t caplen, uint32_t len)
{
	ps.pk[k] = (struct weir_packet){.data = p, .caplen = caplen, .len = len, .linktype = 1};
}

static const struct weir_col *col(struct weir_batch *b, const char *name)
{
	int f = weir_schema_find(schema, name, strlen(name));
	const struct weir_col *c;

	assert_true(f >= 0);
	c = weir_batch_col(b, (uint32_t)f);
	assert_non_null(c);
	return c;
}

static void schemas_are_shared_and_whole(void **state)
{
	static const char *const shown[] = {
	        "ts", "srcip", "srcport", "dstip", "dstport", "ipprotocol", "len"};
	struct weir_schema *other = weir_packet_schema(6);
	uint32_t n = 0;

	assert_ptr_equal(other, schema);
	weir_schema_unref(other);
	other = weir_packet_schema(9);
	assert_ptr_not_equal(other, schema);
	assert_int_equal(other->fields[0].digits, 9);
	weir_schema_unref(other);
	for (uint32_t f = 0; f < schema->nfields; f++) {
		const struct weir_field *d = &schema->fields[f];

		assert_int_equal(weir_schema_find(schema, d->name, strlen(d->name)), f);
		assert_non_null(d->doc);
		if (d->flags & WEIR_FIELD_DEFAULT) {
			assert_true(n < 7);
			assert_string_equal(d->name, shown[n++]);
		}
	}
	assert_int_equal(n, 7);
	assert_int_equal(weir_schema_find(schema, "sourceIPv6Address", 17),
	        weir_schema_find(schema, "srcip", 5));
}

static void flowid_is_that_of_both_directions(void **state)
{
	struct weir_batch *b = batch(4);
	const struct weir_col *c;

	packet(0, udp4, sizeof udp4, sizeof udp4);
	packet(1, back4, sizeof back4, sizeof back4);
	packet(2, arp, sizeof arp, sizeof arp);
	packet(3, udp4, 36, sizeof udp4);
	c = col(b, "flowid");
	assert_true(weir_col_has(c, 0) && weir_col_has(c, 1) && !weir_col_has(c, 2));
	assert_int_equal(weir_col_u64(c)[0], weir_col_u64(c)[1]);
	/* the destination port is cut: another flow, one with port 0 */
	assert_true(weir_col_has(c, 3) && weir_col_u64(c)[3] != weir_col_u64(c)[0]);
	weir_batch_unref(b);
}

static void full_columns_have_no_bitmap(void **state)
{
	struct weir_batch *b = batch(130);
	const struct weir_col *c;

	for (uint32_t k = 0; k < 130; k++)
		packet(k, k % 2 ? udp4 : back4, sizeof udp4, sizeof udp4);
	c = col(b, "srcip");
	assert_null(c->valid);
	assert_true(c->flags & WEIR_COL_IPV4);
	for (uint32_t k = 0; k < 130; k++)
		assert_memory_equal(weir_col_ip(c)[k].b, (k % 2 ? udp4 : back4) + 26, 4);
	assert_null(col(b, "dstport")->valid);
	assert_null(col(b, "ttl")->valid);
	c = col(b, "seq");
	for (uint32_t k = 0; k < 130; k++)
		assert_false(weir_col_has(c, k));
	weir_batch_unref(b);
}

static void mixed_families(void **state)
{
	struct weir_batch *b = batch(3);
	const struct weir_col *c;

	packet(0, udp4, sizeof udp4, sizeof udp4);
	packet(1, none6, sizeof none6, sizeof none6);
	packet(2, arp, sizeof arp, sizeof arp);
	c = col(b, "srcip");
	assert_false(c->flags & WEIR_COL_IPV4);
	assert_int_equal(weir_col_ip(c)[0].family, 4);
	assert_int_equal(weir_col_ip(c)[1].family, 6);
	assert_int_equal(weir_col_ip(c)[1].b[0], 0x20);
	assert_true(weir_col_has(c, 0) && weir_col_has(c, 1) && !weir_col_has(c, 2));
	c = col(b, "ipprotocol");
	assert_int_equal(weir_col_u64(c)[1], 59);
	c = col(b, "ethertype");
	assert_int_equal(weir_col_u64(c)[2], 0x0806);
	weir_batch_unref(b);
}

/* What the snap length cut is not there, what it left is. */
static void snapped(void **state)
{
	struct weir_batch *b = batch(sizeof udp4 + 1);

	for (uint32_t k = 0; k <= sizeof udp4; k++)
		packet(k, udp4, k, sizeof udp4);
	for (uint32_t k = 0; k <= sizeof udp4; k++) {
		assert_int_equal(weir_col_has(col(b, "dstmac"), k), k >= 6);
		assert_int_equal(weir_col_has(col(b, "srcmac"), k), k >= 12);
		assert_int_equal(weir_col_has(col(b, "ethertype"), k), k >= 14);
		assert_int_equal(weir_col_has(col(b, "ttl"), k), k >= 23);
		assert_int_equal(weir_col_has(col(b, "ipprotocol"), k), k >= 24);
		assert_int_equal(weir_col_has(col(b, "srcip"), k), k >= 30);
		assert_int_equal(weir_col_has(col(b, "dstip"), k), k >= 34);
		assert_int_equal(weir_col_has(col(b, "srcport"), k), k >= 36);
		assert_int_equal(weir_col_has(col(b, "dstport"), k), k >= 38);
		assert_int_equal(weir_col_has(col(b, "udplen"), k), k >= 40);
		assert_int_equal(weir_col_has(col(b, "payload"), k), k >= 43);
	}
	weir_batch_unref(b);
}

/* An address found without the walk of the batch is the one that the walk finds, at every snap
 * length. */
static void addresses_without_the_walk(void **state)
{
	static const char *const names[] = {"srcip", "dstip"};
	uint8_t tagged[sizeof none6 + 4] = {0};

	memcpy(tagged, none6, 12);
	memcpy(tagged + 12, (const uint8_t[]){0x81, 0, 0, 7}, 4);
	memcpy(tagged + 16, none6 + 12, sizeof none6 - 12);
	for (uint32_t k = 0; k <= sizeof tagged; k++) {
		packet(4 * k, udp4, k < sizeof udp4 ? k : sizeof udp4, 60);
		packet(4 * k + 1, none6, k < sizeof none6 ? k : sizeof none6, 60);
		packet(4 * k + 2, tagged, k, 60);
		packet(4 * k + 3, arp, k < sizeof arp ? k : sizeof arp, 60);
	}
	for (int i = 0; i < 2; i++) {
		uint32_t n = 4 * (sizeof tagged + 1);
		struct weir_batch *direct = batch(n), *walked;
		const struct weir_col *got, *want;

		decode_walks = 0;
		got = col(direct, names[i]);
		assert_null(ps.decoded);
		walked = batch(n);
		decode_walks = DECODE_WALKS;
		want = col(walked, names[i]);
		assert_non_null(ps.decoded);
		assert_int_equal(got->flags, want->flags);
		for (uint32_t k = 0; k < n; k++) {
			assert_int_equal(weir_col_has(got, k), weir_col_has(want, k));
			if (weir_col_has(got, k))
				assert_memory_equal(weir_col_ip(got) + k, weir_col_ip(want) + k,
				        sizeof(struct weir_ip));
		}
		weir_batch_unref(direct);
		weir_batch_unref(walked);
	}
}

static void payload_leaves_the_padding_out(void **state)
{
	struct weir_batch *b = batch(1);
	const struct weir_col *c;

	packet(0, udp4, sizeof udp4, sizeof udp4);
	c = col(b, "payload");
	assert_int_equal(weir_col_str(c)[0].len, 2);
	assert_memory_equal(weir_col_str(c)[0].p, "hi", 2);
	c = col(b, "packet");
	assert_int_equal(weir_col_str(c)[0].len, sizeof udp4);
	weir_batch_unref(b);
}

static int setup(void **state)
{
	return one_schema(weir_packet_schema(6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(schemas_are_shared_and_whole),
	        cmocka_unit_test(flowid_is_that_of_both_directions),
	        cmocka_unit_test(full_columns_have_no_bitmap),
	        cmocka_unit_test(mixed_families),
	        cmocka_unit_test(snapped),
	        cmocka_unit_test(addresses_without_the_walk),
	        cmocka_unit_test(payload_leaves_the_padding_out),
	};

	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
