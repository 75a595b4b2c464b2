/* SPDX-License-Identifier: MIT */
/* Rows as CSV, TSV, aligned text, JSON Lines and pcap: the bytes, written down. */
#include "tests/unit/rnd.h"
#include "tests/unit/store_test.h"

static const struct weir_field fields[] = {
        {.name = "ts", .kind = WEIR_TIME, .flags = WEIR_FIELD_DEFAULT, .digits = 6},
        {.name = "ip", .kind = WEIR_IP, .flags = WEIR_FIELD_DEFAULT},
        {.name = "n", .kind = WEIR_U64, .flags = WEIR_FIELD_DEFAULT},
        {.name = "a,b", .kind = WEIR_STR, .flags = WEIR_FIELD_DEFAULT},
        {.name = "x", .kind = WEIR_BYTES, .flags = WEIR_FIELD_DEFAULT},
        {.name = "f", .kind = WEIR_F64, .flags = WEIR_FIELD_DEFAULT},
        {.name = "ok", .kind = WEIR_BOOL, .flags = WEIR_FIELD_DEFAULT},
        {.name = "i", .kind = WEIR_I64, .flags = WEIR_FIELD_ANNOTATION},
        {.name = "m", .kind = WEIR_MAC, .flags = WEIR_FIELD_ANNOTATION},
        {.name = "net", .kind = WEIR_SUBNET, .flags = WEIR_FIELD_ANNOTATION},
        {.name = "d", .kind = WEIR_DURATION, .flags = WEIR_FIELD_ANNOTATION, .digits = 9},
        {.name = "h", .kind = WEIR_U64, .flags = WEIR_FIELD_ANNOTATION | WEIR_FIELD_HIDDEN},
        {.name = "plain", .kind = WEIR_U64},
};

#define N (sizeof fields / sizeof *fields)

/* Three rows: all there; nothing there; awkward values. */
static struct weir_batch *rows(const struct weir_schema *s)
{
	struct weir_batch *b = pool_batch(pool, s, 3);
	uint8_t six[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	uint64_t u[3] = {1732165200123456789, 0, (uint64_t)-1500000000};
	struct weir_ip ip[3] = {ip4(192, 168, 0, 1), {0}, {.family = 6, .prefix = 128}};
	struct weir_str t[3] = {str("plain"), {0},
	        str("a\"b,\t\n\\\xff\x1b"
	            "\xc3\xa9")};
	struct weir_str x[3] = {str("\x01\xfe"), {0}, str("")};
	double f[3] = {0.1, 0, -1.0 / 0.0};
	const char *has = "101";

	memcpy(ip[2].b, six, 16);
	col_words(b, 0, u, has);
	col_any(b, 1, ip, has);
	col_words(b, 2, (uint64_t[]){42, 0, UINT64_MAX}, has);
	col_any(b, 3, t, has);
	col_any(b, 4, x, has);
	col_any(b, 5, f, has);
	col_words(b, 6, (uint64_t[]){1, 0, 0}, has);
	col_words(b, 7, (uint64_t[]){(uint64_t)-7, 0, 1ull << 63}, has);
	col_words(b, 8, (uint64_t[]){0x0102030405fe, 0, 0}, has);
	ip[0] = (struct weir_ip){.family = 4, .prefix = 8, .b = {10}};
	ip[2].prefix = 32;
	memset(ip[2].b + 4, 0, 12);
	col_any(b, 9, ip, has);
	col_words(b, 10, (uint64_t[]){1, 0, 2000000000}, has);
	col_words(b, 11, (uint64_t[]){1, 2, 3}, NULL);
	col_words(b, 12, (uint64_t[]){1, 2, 3}, NULL);
	return b;
}

static void renders(enum result_format f, bool fit, const char *expect)
{
	struct weir_schema *s = weir_schema_new("t", fields, N);
	struct weir_batch *b = rows(s);
	struct text t = TEXT_INIT;
	struct render r;
	size_t head;

	assert_int_equal(render_init(&r, f, s, NULL, 0), 0);
	if (fit) {
		render_fit(&r, NULL);
		render_fit(&r, b);
	}
	render_header(&r, &t);
	head = t.len;
	assert_int_equal(render_batch(&r, b, &t), 0);
	assert_int_equal(render_measure(&r, b), t.len - head);
	render_end(&r, &t);
	assert_string_equal(t.p, expect);
	assert_int_equal(t.len, strlen(expect));
	render_release(&r);
	text_release(&t);
	weir_batch_unref(b);
	weir_schema_unref(s);
}

static void csv(void **state)
{
	renders(FORMAT_CSV, false,
	        "ts,ip,n,\"a,b\",x,f,ok,i,m,net,d\n"
	        "1732165200.123456,192.168.0.1,42,plain,01fe,0.1,true,-7,01:02:03:04:05:fe,10.0.0."
	        "0/8,"
	        "0.000000001\n"
	        ",,,,,,,,,,\n"
	        "-1.500000,2001:db8::1,18446744073709551615,\"a\"\"b,\t\n\\\xff\x1b\xc3\xa9\",\"\","
	        "-inf,"
	        "false,-9223372036854775808,00:00:00:00:00:00,2001:db8::/32,2.000000000\n");
}

static void tsv(void **state)
{
	renders(FORMAT_TSV, false,
	        "ts\tip\tn\ta,b\tx\tf\tok\ti\tm\tnet\td\n"
	        "1732165200.123456\t192.168.0.1\t42\tplain\t01fe\t0.1\ttrue\t-7\t01:02:03:04:05:"
	        "fe\t"
	        "10.0.0.0/8\t0.000000001\n"
	        "\t\t\t\t\t\t\t\t\t\t\n"
	        "-1.500000\t2001:db8::1\t18446744073709551615\ta\"b,\\t\\n\\\\\xff\x1b\xc3\xa9\t\t-"
	        "inf\t"
	        "false\t-9223372036854775808\t00:00:00:00:00:00\t2001:db8::/32\t2.000000000\n");
}

static void json(void **state)
{
	renders(FORMAT_JSON, false,
	        "{\"ts\":1732165200.123456,\"ip\":\"192.168.0.1\",\"n\":42,\"a,b\":\"plain\",\"x\":"
	        "\"01fe\","
	        "\"f\":0.1,\"ok\":true,\"i\":-7,\"m\":\"01:02:03:04:05:fe\",\"net\":\"10.0.0.0/8\","
	        "\"d\":0.000000001}\n"
	        "{}\n"
	        "{\"ts\":-1.500000,\"ip\":\"2001:db8::1\",\"n\":18446744073709551615,"
	        "\"a,b\":\"a\\\"b,\\t\\n\\\\\xef\xbf\xbd\\u001b\xc3\xa9\",\"x\":\"\",\"f\":null,"
	        "\"ok\":false,\"i\":-9223372036854775808,\"m\":\"00:00:00:00:00:00\","
	        "\"net\":\"2001:db8::/32\",\"d\":2.000000000}\n");
}

static void txt(void **state)
{
	renders(FORMAT_TXT, true,
	        "               ts  ip                              n  a,b                 x       "
	        " f  ok "
	        "                       i  m                  net                      d\n"
	        "1732165200.123456  192.168.0.1                    42  plain               01fe   "
	        "0.1  "
	        "true                     -7  01:02:03:04:05:fe  10.0.0.0/8     0.000000001\n"
	        "\n"
	        "        -1.500000  2001:db8::1  18446744073709551615  "
	        "a\"b,\\t\\n\\\\xff\\x1b\xc3\xa9        "
	        "-inf  false  -9223372036854775808  00:00:00:00:00:00  2001:db8::/32  "
	        "2.000000000\n");
}

static void txt_stream(void **state)
{
	static const struct weir_field two[] = {
	        {.name = "ip", .kind = WEIR_IP, .flags = WEIR_FIELD_DEFAULT},
	        {.name = "port", .kind = WEIR_U64, .flags = WEIR_FIELD_DEFAULT, .bits = 16},
	};
	struct weir_schema *s = weir_schema_new("t", two, 2);
	struct weir_batch *b = pool_batch(pool, s, 2);
	struct text t = TEXT_INIT;
	struct render r;

	col_any(b, 0, (struct weir_ip[]){ip4(1, 2, 3, 4), ip4(100, 100, 100, 100)}, NULL);
	col_words(b, 1, (uint64_t[]){80, 65535}, NULL);
	assert_int_equal(render_init(&r, FORMAT_TXT, s, NULL, 0), 0);
	render_header(&r, &t);
	assert_int_equal(render_batch(&r, b, &t), 0);
	assert_string_equal(t.p, "ip                port\n"
	                         "1.2.3.4             80\n"
	                         "100.100.100.100  65535\n");
	render_release(&r);
	text_release(&t);
	weir_batch_unref(b);
	weir_schema_unref(s);
}

/* The selection of a batch is kept; a schema without marked fields shows all but the hidden and
 * the shadowed. */
static void selection(void **state)
{
	static const struct weir_field some[] = {
	        {.name = "a", .kind = WEIR_U64},
	        {.name = "b", .kind = WEIR_U64, .flags = WEIR_FIELD_HIDDEN},
	        {.name = "c", .kind = WEIR_U64},
	        {.name = "a", .kind = WEIR_U64},
	};
	struct weir_schema *s = weir_schema_new("t", some, 4);
	struct weir_batch *b = pool_batch(pool, s, 4);
	uint16_t *sel = weir_batch_sel(b, 2);
	struct text t = TEXT_INIT;
	struct render r;

	for (uint32_t f = 0; f < 4; f++)
		col_words(b, f, (uint64_t[]){10 * f, 10 * f + 1, 10 * f + 2, 10 * f + 3}, NULL);
	sel[0] = 1;
	sel[1] = 3;
	weir_batch_select(b, sel, 2);
	assert_int_equal(render_init(&r, FORMAT_CSV, s, NULL, 0), 0);
	render_header(&r, &t);
	assert_int_equal(render_batch(&r, b, &t), 0);
	assert_string_equal(t.p, "c,a\n21,31\n23,33\n");
	render_release(&r);
	text_release(&t);
	weir_batch_unref(b);
	weir_schema_unref(s);
}

static void pcap(void **state)
{
	static const struct weir_field packet[] = {
	        {.name = "ts", .kind = WEIR_TIME, .flags = WEIR_FIELD_DEFAULT, .digits = 9},
	        {.name = "len", .kind = WEIR_U64},
	        {.name = "linktype", .kind = WEIR_U64},
	        {.name = "packet", .kind = WEIR_BYTES, .flags = WEIR_FIELD_PACKET},
	};
	static const uint8_t expect[] = {0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	        0, 0, 4, 0, 101, 0, 0, 0, /* first */ 1, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 60, 0, 0,
	        0, 'a', 'b', 'c', /* third: a lying length */ 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1,
	        0, 0, 0, 'z'};
	struct weir_schema *s = weir_schema_new("t", packet, 4);
	struct weir_batch *b = pool_batch(pool, s, 3);
	struct weir_str p[3] = {str("abc"), str("de"), str("z")};
	struct text t = TEXT_INIT;
	struct render r;

	col_words(b, 0, (uint64_t[]){1000000005, 7, 2000000000}, NULL);
	col_words(b, 1, (uint64_t[]){60, 61, 0}, NULL);
	col_words(b, 2, (uint64_t[]){101, 1, 101}, NULL);
	col_any(b, 3, p, NULL);
	assert_int_equal(render_init(&r, FORMAT_PCAP, s, NULL, 0), 0);
	render_header(&r, &t);
	assert_int_equal(t.len, 0);
	assert_int_equal(render_batch(&r, b, &t), 0);
	render_end(&r, &t);
	assert_int_equal(r.skipped, 1);
	assert_int_equal(t.len, sizeof expect);
	assert_memory_equal(t.p, expect, sizeof expect);
	render_release(&r);
	text_clear(&t);
	assert_int_equal(render_init(&r, FORMAT_PCAP, s, NULL, 0), 0);
	render_end(&r, &t);
	assert_int_equal(t.len, 24);
	render_release(&r);
	text_release(&t);
	weir_batch_unref(b);
	weir_schema_unref(s);
	s = weir_schema_new("t", fields, N);
	assert_int_equal(render_init(&r, FORMAT_PCAP, s, NULL, 0), -EINVAL);
	weir_schema_unref(s);
}

/* UTF-8 (RFC 3629): good sequences pass, each bad byte becomes U+FFFD. */
static void json_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
	        {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
	        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
	        {"\xc3", "\xef\xbf\xbd"},
	        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	        {"\x7f\b\f\r\x01", "\x7f\\b\\f\\r\\u0001"},
	};
	static const struct weir_field one[] = {{.name = "s", .kind = WEIR_STR}};
	struct weir_schema *s = weir_schema_new("t", one, 1);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct weir_batch *b = pool_batch(pool, s, 1);
		struct weir_str v = str(cases[i].in);
		struct text t = TEXT_INIT;
		char expect[100];
		struct render r;

		col_any(b, 0, &v, NULL);
		assert_int_equal(render_init(&r, FORMAT_JSON, s, NULL, 0), 0);
		assert_int_equal(render_batch(&r, b, &t), 0);
		snprintf(expect, sizeof expect, "{\"s\":\"%s\"}\n", cases[i].out);
		assert_string_equal(t.p, expect);
		render_release(&r);
		text_release(&t);
		weir_batch_unref(b);
	}
	weir_schema_unref(s);
}

/* Random values of every kind, some missing, some rows left out: measured as they are written. */
static void measured(void **state)
{
	struct weir_schema *s = weir_schema_new("t", fields, N);

	for (int round = 0; round < 60; round++) {
		struct weir_batch *b = pool_batch(pool, s, 200);
		uint16_t *sel = weir_batch_sel(b, 200), n = 0;
		static char bytes[40];
		struct render r;

		for (uint32_t f = 0; f < N; f++) {
			struct weir_col *c = weir_batch_own(b, f);

			if ((round + f) % 3)
				weir_batch_own_valid(b, c);
			for (uint32_t i = 0; i < 200; i++) {
				uint64_t x = rnd64();

				bytes[x % 40] = (char)(x >> 20);
				if (c->valid && x % 4)
					weir_valid_set(c->valid, i);
				if (weir_storage_of(c->kind) == WEIR_WORD)
					((uint64_t *)c->data)[i] = x >> (x & 63);
				else if (weir_storage_of(c->kind) == WEIR_VAR)
					((struct weir_str *)c->data)[i] = (struct weir_str){
					        .p = (uint8_t *)bytes + x % 20, .len = x / 64 % 20};
				else if (x & 64)
					((struct weir_ip *)c->data)[i] =
					        ip4((uint8_t)(x >> 8), (uint8_t)(x >> 16),
					                (uint8_t)(x >> 24), (uint8_t)(x >> 32));
				else
					((struct weir_ip *)c->data)[i] = (struct weir_ip){
					        .family = 6,
					        .prefix = 128,
					        .b = {(uint8_t)x, [9] = (uint8_t)(x >> 50)}};
			}
		}
		for (uint32_t i = 0; i < 200; i++)
			if (round % 2 || i % 7)
				sel[n++] = (uint16_t)i;
		if (round % 2 == 0)
			weir_batch_select(b, sel, n);
		for (int f = 0; f < FORMAT_PCAP; f++) {
			struct text t = TEXT_INIT;

			assert_int_equal(render_init(&r, (enum result_format)f, s, NULL, 0), 0);
			assert_int_equal(render_batch(&r, b, &t), 0);
			assert_int_equal(render_measure(&r, b), t.len);
			render_release(&r);
			text_release(&t);
		}
		weir_batch_unref(b);
	}
	weir_schema_unref(s);
}

static int setup(void **state)
{
	return one_schema(weir_schema_new("t", fields, N));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(csv),
	        cmocka_unit_test(tsv),
	        cmocka_unit_test(json),
	        cmocka_unit_test(txt),
	        cmocka_unit_test(txt_stream),
	        cmocka_unit_test(selection),
	        cmocka_unit_test(pcap),
	        cmocka_unit_test(json_utf8),
	        cmocka_unit_test(measured),
	};

	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
