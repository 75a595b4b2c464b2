/* SPDX-License-Identifier: MIT */
/* pcapfile.c: made-up pcap and pcapng files read back, field by field; what is wrong in a file is
 * found at its offset, and the packets before it count. */
#include "captures.h"

#define T0 1600000000u

static struct file f;

static int clear(void **state)
{
	f.n = 0;
	big = false;
	return 0;
}

/* Packet i of `g` is what put_filler() wrote under `number`. */
static void check(
        const struct got *g, uint32_t i, int64_t ts, uint32_t caplen, uint32_t len, uint32_t number)
{
	const struct weir_packet *p = &g->pk[i];

	assert_true(i < g->n);
	assert_true(p->ts == ts);
	assert_int_equal(p->caplen, caplen);
	assert_int_equal(p->len, len);
	assert_int_equal(p->flags, 0);
	for (uint32_t k = 0; k < caplen; k++)
		assert_int_equal(p->data[k], (uint8_t)(number * 7 + k * 13));
}

static void fault_at(struct got *g, uint64_t offset, const char *text)
{
	char want[64];

	snprintf(want, sizeof want, " at byte %llu: ", (unsigned long long)offset);
	if (!g->fault.p || !strstr(g->fault.p, want) || !strstr(g->fault.p, text))
		fail_msg("wanted '%s%s', got '%s'", want, text, g->fault.p ? g->fault.p : "");
	assert_int_equal(g->faults.count, 1);
	assert_int_equal(g->error, 0);
}

static void no_fault(struct got *g)
{
	if (g->fault.len || g->error)
		fail_msg("%d %s %s", g->error, g->err.text, g->fault.p ? g->fault.p : "");
}

/* ---- pcap ---- */

static void pcap_orders(void **state)
{
	static const struct {
		bool big;
		uint32_t magic;
		int64_t unit;
	} row[] = {{false, 0xa1b2c3d4, 1000}, {true, 0xa1b2c3d4, 1000}, {false, 0xa1b23c4d, 1},
	        {true, 0xa1b23c4d, 1}};

	for (unsigned k = 0; k < 4; k++) {
		struct got g;

		clear(NULL);
		big = row[k].big;
		put_pcap(&f, row[k].magic, 4, 65535, 113);
		/* enough for several blocks and batches, all sizes */
		for (uint32_t i = 0; i < 5000; i++)
			put_record(&f, T0 + i, i * 3, i % 1600, i % 1600 + 7, i);
		save(&f, "a");
		read_file(&g, "a");
		no_fault(&g);
		assert_int_equal(g.n, 5000);
		assert_int_equal(g.digits, row[k].unit == 1 ? 9 : 6);
		for (uint32_t i = 0; i < g.n; i++) {
			check(&g, i, (T0 + i) * 1000000000ll + i * 3 * row[k].unit, i % 1600,
			        i % 1600 + 7, i);
			assert_int_equal(g.pk[i].linktype, 113);
			assert_int_equal(g.pk[i].ifindex, 0);
		}
		got_release(&g);
	}
}

static void pcap_kuznetzov(void **state)
{
	struct got g;

	for (int k = 0; k < 2; k++) {
		clear(NULL);
		big = k;
		put_pcap(&f, 0xa1b2cd34, 4, 100, 1);
		for (uint32_t i = 0; i < 50; i++) {
			put32(&f, T0);
			put32(&f, i);
			put32(&f, i);
			put32(&f, i + 1);
			put32(&f, 3);      /* interface */
			put16(&f, 0x0800); /* protocol */
			put16(&f, 0);
			put_filler(&f, i, i);
		}
		save(&f, "a");
		read_file(&g, "a");
		no_fault(&g);
		assert_int_equal(g.n, 50);
		for (uint32_t i = 0; i < g.n; i++) {
			check(&g, i, T0 * 1000000000ll + i * 1000, i, i + 1, i);
			assert_int_equal(g.pk[i].ifindex, 3);
		}
		got_release(&g);
	}
}

/* Before 2.3 the two lengths stand the other way round; in 2.3 in either. */
static void pcap_old(void **state)
{
	struct got g;

	for (unsigned minor = 2; minor <= 3; minor++) {
		clear(NULL);
		put_pcap(&f, 0xa1b2c3d4, minor, 100, 1);
		put32(&f, T0);
		put32(&f, 1);
		put32(&f, 60);
		put32(&f, 40);
		put_filler(&f, 5, 40);
		save(&f, "a");
		read_file(&g, "a");
		no_fault(&g);
		assert_int_equal(g.n, 1);
		check(&g, 0, T0 * 1000000000ll + 1000, 40, 60, 5);
		got_release(&g);
	}
}

static void pcap_fcs(void **state)
{
	struct got g;

	put_pcap(&f, 0xa1b2c3d4, 4, 100, 0x24000000 | 1);
	put_record(&f, T0, 0, 10, 10, 1);
	save(&f, "a");
	read_file(&g, "a");
	no_fault(&g);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.pk[0].linktype, 1);
	got_release(&g);
}

/* Snap length 0 is no limit; a packet above the snap length is cut to it. */
static void pcap_snap(void **state)
{
	struct got g;

	put_pcap(&f, 0xa1b2c3d4, 4, 0, 1);
	put_record(&f, T0, 0, 100000, 100000, 1);
	put_record(&f, T0, 0, 1, 1, 2);
	save(&f, "a");
	read_file(&g, "a");
	no_fault(&g);
	assert_int_equal(g.n, 2);
	check(&g, 0, T0 * 1000000000ll, 100000, 100000, 1);
	got_release(&g);
	clear(NULL);
	put_pcap(&f, 0xa1b2c3d4, 4, 64, 1);
	put_record(&f, T0, 0, 64, 100, 1);
	put_record(&f, T0, 0, 65, 100, 2);
	put_record(&f, T0, 0, 60, 100, 3);
	save(&f, "a");
	read_file(&g, "a");
	no_fault(&g);
	assert_int_equal(g.n, 3);
	check(&g, 0, T0 * 1000000000ll, 64, 100, 1);
	check(&g, 1, T0 * 1000000000ll, 64, 100, 2);
	check(&g, 2, T0 * 1000000000ll, 60, 100, 3);
	got_release(&g);
}

/* A D-Bus message may be larger than a block. */
static void pcap_huge(void **state)
{
	struct got g;

	put_pcap(&f, 0xa1b2c3d4, 4, 0, 231);
	put_record(&f, T0, 0, 10, 10, 1);
	put_record(&f, T0, 0, 3 << 20, 3 << 20, 2);
	put_record(&f, T0, 0, 10, 10, 3);
	save(&f, "a");
	read_file(&g, "a");
	no_fault(&g);
	assert_int_equal(g.n, 3);
	check(&g, 1, T0 * 1000000000ll, 3 << 20, 3 << 20, 2);
	check(&g, 2, T0 * 1000000000ll, 10, 10, 3);
	got_release(&g);
}

/* Cut at every place: the packets before it count, and the fault stands where the record begins. */
static void pcap_cut(void **state)
{
	struct got g;

	put_pcap(&f, 0xa1b2c3d4, 4, 100, 1);
	for (uint32_t i = 0; i < 3; i++)
		put_record(&f, T0, i, 20, 20, i);
	for (size_t n = 1; n <= f.n; n++) {
		size_t packets = n < 24 ? 0 : (n - 24) / 36;

		save_n(&f, "a", n);
		read_file(&g, "a");
		if (n < 4) {
			assert_int_equal(g.error, -EINVAL);
			got_release(&g);
			continue;
		}
		assert_int_equal(g.n, packets);
		if (n >= 24 && (n - 24) % 36 == 0)
			no_fault(&g);
		else
			fault_at(&g, n < 24 ? 0 : 24 + packets * 36, "the file ends within");
		got_release(&g);
	}
}

static void pcap_lies(void **state)
{
	struct got g;

	put_pcap(&f, 0xa1b2c3d4, 4, 100, 1);
	put_record(&f, T0, 0, 20, 20, 1);
	put32(&f, T0);
	put32(&f, 0);
	put32(&f, 0xffffffff);
	put32(&f, 0xffffffff);
	put_filler(&f, 0, 100);
	save(&f, "a");
	read_file(&g, "a");
	assert_int_equal(g.n, 1);
	fault_at(&g, 24 + 36 + 8, "a packet of 4294967295 bytes");
	got_release(&g);
	clear(NULL);
	put_pcap(&f, 0xa1b2c3d4, 9, 100, 1);
	save(&f, "a");
	read_file(&g, "a");
	assert_int_equal(g.n, 0);
	fault_at(&g, 4, "version 2.9");
	got_release(&g);
}

static void no_capture(void **state)
{
	struct got g;

	save(&f, "a");
	read_file(&g, "a");
	fault_at(&g, 0, "the file is empty");
	got_release(&g);
	put_bytes(&f, "root:x:0:0:root:/root:/bin/bash\n", 32);
	save(&f, "a");
	read_file(&g, "a");
	assert_int_equal(g.error, -EINVAL);
	assert_int_equal(g.err.id, WEIR_E_BAD_TRACE);
	assert_non_null(strstr(g.err.text, "is no capture file"));
	got_release(&g);
	read_file(&g, "nothing");
	assert_int_equal(g.error, -ENOENT);
	got_release(&g);
	read_file(&g, "");
	assert_int_equal(g.error, -EISDIR);
	got_release(&g);
}

/* ---- pcapng ---- */

static void pcapng_orders(void **state)
{
	struct got g;

	for (int k = 0; k < 2; k++) {
		clear(NULL);
		big = k;
		put_section(&f);
		put_interface(&f, 1, 0, 0, 0);
		for (uint32_t i = 0; i < 5000; i++)
			put_enhanced(&f, 0, T0 * 1000000ull + i, i % 1600, i % 1600 + 7, i);
		save(&f, "a");
		read_file(&g, "a");
		no_fault(&g);
		assert_int_equal(g.n, 5000);
		assert_int_equal(g.digits, 6);
		for (uint32_t i = 0; i < g.n; i++)
			check(&g, i, T0 * 1000000000ll + i * 1000, i % 1600, i % 1600 + 7, i);
		got_release(&g);
	}
}

/* Sections in both byte orders, each with its own interfaces. */
static void pcapng_sections(void **state)
{
	struct file b = {0};
	struct got g;

	put_section(&f);
	put_interface(&f, 1, 0, 9, 0);
	put_interface(&f, 113, 50, 0, 0);
	put_enhanced(&f, 0, T0 * 1000000000ull + 5, 10, 11, 1);
	put_enhanced(&f, 1, T0 * 1000000ull + 5, 10, 11, 2);
	put_uint(&b, 1, 4);
	put_block(&f, 5, &b);      /* statistics */
	put_block(&f, 4, &b);      /* names */
	put_block(&f, 10, &b);     /* secrets */
	put_block(&f, 0xbad, &b);  /* custom */
	put_block(&f, 0x7777, &b); /* unknown */
	big = true;
	put_section(&f);
	put_interface(&f, 101, 0, 3, 0);
	put_enhanced(&f, 0, T0 * 1000ull + 5, 12, 13, 3);
	free(b.p);
	save(&f, "a");
	read_file(&g, "a");
	no_fault(&g);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.digits, 9);
	check(&g, 0, T0 * 1000000000ll + 5, 10, 11, 1);
	check(&g, 1, T0 * 1000000000ll + 5000, 10, 11, 2);
	check(&g, 2, T0 * 1000000000ll + 5000000, 12, 13, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(g.pk[i].ifindex, i);
	assert_int_equal(g.pk[0].linktype, 1);
	assert_int_equal(g.pk[1].linktype, 113);
	assert_int_equal(g.pk[2].linktype, 101);
	got_release(&g);
}

static void pcapng_times(void **state)
{
	static const struct {
		uint8_t resolution;
		int64_t offset;
		uint64_t ticks;
		int64_t ns;
	} row[] = {
	        {6, 100, 5000001, 105000001000},
	        {6, -100, 5000001, -94999999000},
	        {1, 0, 17, 1700000000},
	        {12, 0, 1234567890123, 1234567890},
	        {0x80 | 10, 0, 1024 * 3 + 1, 3000976562},
	        {0x80 | 32, 0, (7ull << 32) + (1u << 31), 7500000000},
	        {0x80 | 63, 2, 3ull << 62, 3500000000},
	        {9, 0, INT64_MAX, INT64_MAX},
	        {9, 0, UINT64_MAX, INT64_MAX},
	        {6, 0, UINT64_MAX, INT64_MAX},
	        {6, INT64_MIN, 0, INT64_MIN},
	        {19, 0, UINT64_MAX, 1844674407},
	        {6, 0, 9223372036854775ull, 9223372036854775000},
	        {6, 0, 9223372036854776ull, INT64_MAX},
	};
	struct got g;

	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		clear(NULL);
		put_section(&f);
		put_interface(&f, 1, 0, row[i].resolution, row[i].offset);
		put_enhanced(&f, 0, row[i].ticks, 1, 1, 0);
		save(&f, "a");
		read_file(&g, "a");
		no_fault(&g);
		if (g.n != 1 || g.pk[0].ts != row[i].ns)
			fail_msg("row %u: %lld", i, g.n ? (long long)g.pk[0].ts : 0);
		got_release(&g);
	}
}

static void pcapng_simple(void **state)
{
	struct file b = {0};
	struct got g;

	put_section(&f);
	put_interface(&f, 1, 16, 0, 0);
	put_uint(&b, 40, 4); /* on the wire; 16 captured */
	put_filler(&b, 1, 16);
	put_block(&f, 3, &b);
	b.n = 0;
	put_uint(&b, 0, 2);
	put_uint(&b, 9, 2); /* drops */
	put32(&b, 1000000ull * T0 >> 32);
	put32(&b, (uint32_t)(1000000ull * T0));
	put32(&b, 5);
	put32(&b, 6);
	put_filler(&b, 2, 5);
	put_block(&f, 2, &b);
	free(b.p);
	save(&f, "a");
	read_file(&g, "a");
	no_fault(&g);
	assert_int_equal(g.n, 2);
	check(&g, 0, 0, 16, 40, 1);
	check(&g, 1, T0 * 1000000000ll, 5, 6, 2);
	got_release(&g);
}

/* Each makes a file wrong behind its first packet, whose end is `base`. */
static void wrong(void (*how)(struct file *), uint64_t offset, const char *text)
{
	struct got g;
	uint64_t base;

	clear(NULL);
	put_section(&f);
	put_interface(&f, 1, 0, 0, 0);
	put_enhanced(&f, 0, 1, 8, 8, 2);
	base = f.n;
	how(&f);
	put_enhanced(&f, 0, 1, 8, 8, 2);
	save(&f, "a");
	read_file(&g, "a");
	assert_int_equal(g.n, 1);
	fault_at(&g, base + offset, text);
	got_release(&g);
}

static void block_4g(struct file *to)
{
	put32(to, 6);
	put32(to, 0xfffffffc);
}

static void block_0(struct file *to)
{
	put32(to, 6);
	put32(to, 0);
}

static void block_odd(struct file *to)
{
	put32(to, 6);
	put32(to, 33);
}

static void block_beyond(struct file *to)
{
	put32(to, 6);
	put32(to, 1 << 20);
}

static void block_ends(struct file *to)
{
	put_enhanced(to, 0, 1, 8, 8, 2);
	to->p[to->n - 4] ^= 4;
}

static void packet_beyond(struct file *to)
{
	put_enhanced(to, 0, 1, 8, 8, 2);
	to->p[to->n - 20] = 13; /* 8 bytes of packet in 8 */
}

static void packet_stray(struct file *to)
{
	put_enhanced(to, 7, 1, 8, 8, 2);
}

static void resolution_2_127(struct file *to)
{
	put_interface(to, 1, 0, 0xff, 0);
}

static void resolution_10_20(struct file *to)
{
	put_interface(to, 1, 0, 20, 0);
}

static void section_2(struct file *to)
{
	size_t n = to->n;

	put_section(to);
	to->p[n + 12] = 2;
}

static void section_odd(struct file *to)
{
	size_t n = to->n;

	put_section(to);
	to->p[n + 8] = 2;
}

static void pcapng_lies(void **state)
{
	wrong(block_4g, 4, "block of 4294967292 bytes");
	wrong(block_0, 4, "block of 0 bytes");
	wrong(block_odd, 4, "block of 33 bytes");
	wrong(block_beyond, 0, "the file ends within a block");
	wrong(block_ends, 36, "lengths at the block's two ends differ: 40 and 44");
	wrong(packet_beyond, 0, "a packet of 13 bytes in a block of 40");
	wrong(packet_stray, 8, "interface 7");
	wrong(resolution_2_127, 0, "2^-127");
	wrong(resolution_10_20, 0, "10^-20");
	wrong(section_2, 12, "version 2.0");
	wrong(section_odd, 8, "byte order");
}

/* Every single byte changed, every length: no crash, and never more than there is. */
static void pcapng_any(void **state)
{
	struct got g;

	put_section(&f);
	put_interface(&f, 1, 0, 9, 3);
	for (uint32_t i = 0; i < 3; i++)
		put_enhanced(&f, 0, i, 9, 9, i);
	for (size_t i = 0; i < f.n; i++) {
		f.p[i] ^= 0x81;
		save(&f, "a");
		f.p[i] ^= 0x81;
		read_file(&g, "a");
		assert_true(g.n <= 3);
		got_release(&g);
	}
	for (size_t n = 28; n < f.n; n++) {
		save_n(&f, "a", n);
		read_file(&g, "a");
		assert_int_equal(g.error, 0);
		assert_true(g.n < 3);
		got_release(&g);
	}
}

static int finish(void **state)
{
	free(f.p);
	return remove_where(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(pcap_orders, clear),
	        cmocka_unit_test_setup(pcap_kuznetzov, clear),
	        cmocka_unit_test_setup(pcap_old, clear),
	        cmocka_unit_test_setup(pcap_fcs, clear),
	        cmocka_unit_test_setup(pcap_snap, clear),
	        cmocka_unit_test_setup(pcap_huge, clear),
	        cmocka_unit_test_setup(pcap_cut, clear),
	        cmocka_unit_test_setup(pcap_lies, clear),
	        cmocka_unit_test_setup(no_capture, clear),
	        cmocka_unit_test_setup(pcapng_orders, clear),
	        cmocka_unit_test_setup(pcapng_sections, clear),
	        cmocka_unit_test_setup(pcapng_times, clear),
	        cmocka_unit_test_setup(pcapng_simple, clear),
	        cmocka_unit_test_setup(pcapng_lies, clear),
	        cmocka_unit_test_setup(pcapng_any, clear),
	};

	return cmocka_run_group_tests(tests, make_where, finish);
}
