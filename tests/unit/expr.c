/* SPDX-License-Identifier: MIT */
/* expr.c: expressions over a batch of six records with every kind, the last without any value but
 * one. Each row of the tables below is an expression and what it is for the six; each is evaluated
 * over all rows, over every second, and over single ones. Errors are given with their caret. */
#include "engine/core/pool.h"
#include "engine/core/text.h"
#include "engine/expr/bind.h"
#include "tests/unit/one_schema.h"
#include "tests/unit/rnd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROWS 6

static const struct weir_names protocols[] = {{6, "tcp"}, {17, "udp"}, {1, "icmp"}, {0, NULL}};

static const struct column {
	struct weir_field field;
	const char *value[ROWS]; /* NULL: absent */
} columns[] = {
        {{"u", WEIR_U64}, {"0", "1", "80", "443", "18446744073709551615"}},
        {{"i", WEIR_I64}, {"-5", "0", "7", "-9223372036854775808", "9223372036854775807"}},
        {{"f", WEIR_F64}, {"0.5", "-1.5", "1e300", "nan", "3"}},
        {{"ts", WEIR_TIME, .digits = 6},
                {"1795255200.5", "0", "-1.25", "1795255199.999999", "1795341600"}},
        {{"iat", WEIR_DURATION, .digits = 3}, {"1.5", "0", "-2", "60", "0.001"}},
        {{"srcip", WEIR_IP, .aliases = "source src"},
                {"10.0.0.1", "192.168.1.77", "2001:db8::1", "::1", "10.255.0.2"}},
        {{"dstip", WEIR_IP}, {"10.0.0.1", "10.0.0.1", "2001:db8::2", "::1", "224.0.0.1"}},
        {{"net", WEIR_SUBNET},
                {"10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "10.0.0.0/8", "10.255.0.0/16"}},
        {{"mac", WEIR_MAC}, {"00:01:02:03:04:05", "ff:ff:ff:ff:ff:ff", "0:0:0:0:0:0", "0:0:0:0:0:1",
                                    "00:01:02:03:04:05"}},
        {{"s", WEIR_STR}, {"GET /index.html", "", "\xc3\xa4\xc3\xb6\xc3\xbc", "\xff\xfe", "Foo"}},
        {{"payload", WEIR_BYTES}, {"GET", "", "a\nb", "\xff\xfe", "GETX"}},
        {{"flag", WEIR_BOOL}, {"true", "false", "true", "false", "true"}},
        {{"proto", WEIR_U64, .bits = 8, .names = protocols}, {"6", "17", "1", "6", "47"}},
        {{"full", WEIR_U64}, {"10", "20", "30", "40", "50", "60"}},
        {{"flags.syn", WEIR_BOOL}, {"true", "true", "false", "false", "true"}},
};

#define COLUMNS (sizeof columns / sizeof *columns)

static struct weir_batch *make_batch(void)
{
	struct weir_batch *b = pool_batch(pool, schema, ROWS);

	for (uint32_t f = 0; f < COLUMNS; f++) {
		struct weir_col *c = weir_batch_own(b, f);
		size_t size = weir_kind_size(c->kind);
		uint64_t *valid = NULL;

		memset(c->data, 0x55, ROWS * size);
		if (!columns[f].value[ROWS - 1])
			valid = weir_batch_own_valid(b, c);
		for (uint32_t r = 0; r < ROWS; r++) {
			const char *s = columns[f].value[r];
			union weir_datum d;

			if (!s)
				continue;
			assert_int_equal(weir_kind_parse(c->kind, s, strlen(s), &d), 0);
			memcpy((char *)c->data + r * size, &d, size);
			if (valid)
				weir_valid_set(valid, r);
		}
	}
	return b;
}

static int setup(void **state)
{
	struct weir_field f[COLUMNS];

	for (size_t i = 0; i < COLUMNS; i++)
		f[i] = columns[i].field;
	return one_schema(weir_schema_new("test", f, COLUMNS));
}

#define PREFIX "x | where "

static int bind(const char *text, enum weir_kind want, struct arena *a, struct weir_expr **e,
        struct weir_err *err)
{
	char spec[8192];
	struct ast_spec *ast;
	const struct ast_stage *s;
	int r;

	snprintf(spec, sizeof spec, PREFIX "%s", text);
	r = lang_parse(spec, strlen(spec), a, &ast, err);
	if (r < 0)
		return r;
	s = ast->queries[0]->first;
	if (!s->where)
		s = s->next;
	assert_non_null(s);
	if (!s->where && s->nargs == 1)
		return expr_bind(s->args[0].expr, schema, want, a, NULL, NULL, e, err);
	assert_non_null(s->where);
	return expr_bind(s->where, schema, want, a, NULL, NULL, e, err);
}

static void add_value(
        struct text *t, const struct weir_expr *e, const struct weir_col *c, uint32_t r)
{
	char buf[512];
	union weir_datum d;
	size_t size = weir_kind_size(c->kind);
	struct weir_field f = {0};

	weir_expr_describe(e, &f);
	if (!weir_col_has(c, r)) {
		text_puts(t, "-");
		return;
	}
	memcpy(&d, (char *)c->data + r * size, size);
	if (weir_storage_of(c->kind) == WEIR_VAR)
		assert_true(d.s.len < 250);
	text_add(t, buf, (size_t)(weir_kind_print(c->kind, &d, f.digits, buf) - buf));
}

/* The values at the selected rows, separated by spaces. */
static void show(struct text *t, const struct weir_expr *e, struct weir_batch *b)
{
	struct weir_col c;

	text_clear(t);
	assert_int_equal(weir_expr_eval(e, b, &c), 0);
	assert_int_equal(c.kind, weir_expr_kind(e));
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		if (k)
			text_puts(t, "|");
		add_value(t, e, &c, weir_batch_row(b, k));
	}
}

/* The k-th of the values in `want`. */
static void part(const char *want, uint32_t k, char *to)
{
	while (k--)
		want = strchr(want, '|') + 1;
	sprintf(to, "%.*s", (int)strcspn(want, "|"), want);
}

static const struct value {
	const char *text, *want;
} values[] = {
        /* numbers */
        {"u + 1", "1|2|81|444|-|-"},
        {"u - 1", "-1|0|79|442|-|-"},
        {"u * 2", "0|2|160|886|-|-"},
        {"u / 2", "0|0|40|221|9223372036854775807|-"},
        {"u % 7", "0|1|3|2|1|-"},
        {"u / 0", "-|-|-|-|-|-"},
        {"full / u", "-|20|0|0|0|-"},
        {"u - u", "0|0|0|0|0|-"},
        {"i + 1", "-4|1|8|-9223372036854775807|-|-"},
        {"-i", "5|0|-7|-|-9223372036854775807|-"},
        {"-u", "0|-1|-80|-443|-|-"},
        {"i / 2", "-2|0|3|-4611686018427387904|4611686018427387903|-"},
        {"i % 3", "-2|0|1|-2|1|-"},
        {"i / -1", "5|0|-7|-|-9223372036854775807|-"},
        {"i % -1", "0|0|0|-|0|-"},
        {"i * -1", "5|0|-7|-|-9223372036854775807|-"},
        {"u + i", "-5|1|87|-9223372036854775365|-|-"},
        {"u * 0.5", "0|0.5|40|221.5|9.223372036854776e+18|-"},
        {"f * 2", "1|-3|2e+300|-|6|-"},
        {"f / 0", "-|-|-|-|-|-"},
        {"f % 1", "0.5|-0.5|0|-|0|-"},
        {"1 + 2 * 3", "7|7|7|7|7|7"},
        {"7 / 2", "3|3|3|3|3|3"},
        {"-7 / 2", "-3|-3|-3|-3|-3|-3"},
        {"-9223372036854775808 - 1", "-|-|-|-|-|-"},
        {"1 / 0", "-|-|-|-|-|-"},
        {"abs(i)", "5|0|7|-|9223372036854775807|-"},
        {"abs(u)", "0|1|80|443|18446744073709551615|-"},
        {"abs(iat)", "1.500|0.000|2.000|60.000|0.001|-"},
        {"floor(f)", "0|-2|1e+300|-|3|-"},
        {"sqrt(full)", "3.1622776601683795|4.47213595499958|5.477225575051661|6.324555320336759|"
                       "7.0710678118654755|7.745966692414834"},
        {"least(u, 100, i)", "-5|0|7|-9223372036854775808|-|-"},
        {"greatest(full, 25)", "25|25|30|40|50|60"},
        {"bits(u, 4, 4)", "0|0|5|11|-|-"},
        /* times */
        {"ts - ts", "0.000000|0.000000|0.000000|0.000000|0.000000|-"},
        {"ts + iat", "1795255202.000000|0.000000|-3.250000|1795255259.999999|1795341600.001000|-"},
        {"iat + ts", "1795255202.000000|0.000000|-3.250000|1795255259.999999|1795341600.001000|-"},
        {"ts - 1h", "1795251600.500000|-3600.000000|-3601.250000|1795251599.999999|1795338000."
                    "000000|-"},
        {"ts - \"2026-11-21T10:00\"",
                "0.500000|-1795255200.000000|-1795255201.250000|-0.000001|86400.000000|-"},
        {"iat * 2", "3.000|0.000|-4.000|120.000|0.002|-"},
        {"2 * iat", "3.000|0.000|-4.000|120.000|0.002|-"},
        {"iat * 1.5", "2.250000000|0.000000000|-3.000000000|90.000000000|0.001500000|-"},
        {"iat / 2", "0.750000000|0.000000000|-1.000000000|30.000000000|0.000500000|-"},
        {"iat / 500ms", "3|0|-4|120|0.002|-"},
        {"iat % 1s", "0.500|0.000|0.000|0.000|0.001|-"},
        {"-iat", "-1.500|0.000|2.000|-60.000|-0.001|-"},
        {"trunc(ts, 1h)",
                "1795255200.000000|0.000000|-3600.000000|1795251600.000000|1795341600.000000|-"},
        {"hour(ts)", "10|0|23|9|10|-"},
        {"minute(ts)", "0|0|59|59|0|-"},
        {"day(ts)", "21|1|31|21|22|-"},
        {"year(ts)", "2026|1970|1969|2026|2026|-"},
        {"weekday(ts)", "6|4|3|6|0|-"},
        {"ts.iso", "2026-11-21T10:00:00.500000Z|1970-01-01T00:00:00.000000Z|"
                   "1969-12-31T23:59:58.750000Z|2026-11-21T09:59:59.999999Z|"
                   "2026-11-22T10:00:00.000000Z|-"},
        {"ts.sql", "2026-11-21 10:00:00.500000|1970-01-01 00:00:00.000000|"
                   "1969-12-31 23:59:58.750000|2026-11-21 09:59:59.999999|"
                   "2026-11-22 10:00:00.000000|-"},
        {"ts.date", "2026-11-21|1970-01-01|1969-12-31|2026-11-21|2026-11-22|-"},
        {"ts.double", "1795255200.5|0|-1.25|1795255199.999999|1795341600|-"},
        {"ts.int", "1795255200|0|-2|1795255199|1795341600|-"},
        {"iat.ms", "1500|0|-2000|60000|1|-"},
        /* addresses */
        {"srcip.str", "10.0.0.1|192.168.1.77|2001:db8::1|::1|10.255.0.2|-"},
        {"srcip.int", "167772161|3232235853|-|-|184483842|-"},
        {"srcip.family", "4|4|6|6|4|-"},
        {"srcip.hex", "0a000001|c0a8014d|20010db8000000000000000000000001|"
                      "00000000000000000000000000000001|0aff0002|-"},
        {"source.family", "4|4|6|6|4|-"},
        {"subnet(srcip, 24)", "10.0.0.0/24|192.168.1.0/24|2001:d00::/24|::/24|10.255.0.0/24|-"},
        {"subnet(srcip, 9, 64)", "10.0.0.0/9|192.128.0.0/9|2001:db8::/64|::/64|10.128.0.0/9|-"},
        {"net.prefix", "8|0|32|8|16|-"},
        {"net.ip", "10.0.0.0|0.0.0.0|2001:db8::|10.0.0.0|10.255.0.0|-"},
        {"private(srcip)", "true|true|false|false|true|-"},
        {"mac.oui", "00:01:02|ff:ff:ff|00:00:00|00:00:00|00:01:02|-"},
        {"mac.int", "4328719365|281474976710655|0|1|4328719365|-"},
        {"proto.name", "tcp|udp|icmp|tcp|47|-"},
        {"u.hex", "0x0|0x1|0x50|0x1bb|0xffffffffffffffff|-"},
        /* text */
        {"s.lower", "get /index.html||\xc3\xa4\xc3\xb6\xc3\xbc|\xff\xfe|foo|-"},
        {"upper(s)", "GET /INDEX.HTML||\xc3\xa4\xc3\xb6\xc3\xbc|\xff\xfe|FOO|-"},
        {"s.length", "15|0|6|2|3|-"},
        {"payload.hex", "474554||610a62|fffe|47455458|-"},
        {"payload.ascii", "GET||a.b|..|GETX|-"},
        {"substr(s, 1, 2)", "ET||\xa4\xc3|\xfe|oo|-"},
        {"substr(s, -2)", "ml||\xc3\xbc|\xff\xfe|oo|-"},
        {"u.str.length", "1|1|2|3|20|-"},
        {"u.str.int", "0|1|80|443|-|-"},
        {"s.int", "-|-|-|-|-|-"},
        {"\"12\"", "12|12|12|12|12|12"},
        /* choices */
        {"if(u > 50, u, i)", "-5|0|80|443|-|-"},
        {"if(flag, \"yes\", \"no\")", "yes|no|yes|no|yes|no"},
        {"if(srcip in 10.0.0.0/8, 1, 2.5)", "1|2.5|2.5|2.5|1|2.5"},
        {"coalesce(u, full)", "0|1|80|443|18446744073709551615|60"},
        {"coalesce(u / 0, full * 2)", "20|40|60|80|100|120"},
        {"exists(u)", "true|true|true|true|true|false"},
        {"flag", "true|false|true|false|true|-"},
        {"u = 80", "false|false|true|false|false|false"},
        {"flags.syn", "true|true|false|false|true|-"},
        {"flags.syn.int", "1|1|0|0|1|-"},
};

static void check_value(const struct value *v)
{
	struct arena a;
	struct weir_expr *e = NULL;
	struct weir_err err = WEIR_ERR_INIT;
	struct text t = TEXT_INIT;
	char one[300];

	arena_init(&a, NULL);
	if (bind(v->text, WEIR_NONE, &a, &e, &err) < 0)
		fail_msg("%s: %s", v->text, err.text);
	for (uint32_t r = 0; r <= ROWS; r++) {
		struct weir_batch *b = make_batch();
		uint16_t sel = (uint16_t)r;

		if (r < ROWS) {
			weir_batch_select(b, &sel, 1);
			part(v->want, r, one);
		}
		show(&t, e, b);
		if (strcmp(t.p, r < ROWS ? one : v->want))
			fail_msg("%s at %u: '%s', not '%s'", v->text, r, t.p,
			        r < ROWS ? one : v->want);
		weir_batch_unref(b);
	}
	expr_release(e);
	text_release(&t);
	arena_release(&a);
}

static void test_values(void **state)
{
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		check_value(&values[i]);
}

static const struct value conditions[] = {
        /* numbers of all kinds against constants of all kinds */
        {"u = 80", "001000"},
        {"u != 80", "110110"},
        {"not u = 80", "110111"},
        {"u < 80", "110000"},
        {"u <= 80", "111000"},
        {"u > 80", "000110"},
        {"u >= 80", "001110"},
        {"80 < u", "000110"},
        {"u = -1", "000000"},
        {"u != -1", "111110"},
        {"u > -1", "111110"},
        {"u < -1", "000000"},
        {"u < 1.5", "110000"},
        {"u > 0.5", "011110"},
        {"u >= 79.5", "001110"},
        {"u <= 80.5", "111000"},
        {"u = 80.0", "001000"},
        {"u = 80.5", "000000"},
        {"u != 80.5", "111110"},
        {"u < 1e30", "111110"},
        {"u > -1e30", "111110"},
        {"u = 18446744073709551615", "000010"},
        {"u >= 18446744073709551615", "000010"},
        {"u > 18446744073709551615", "000000"},
        {"u <= 18446744073709551615", "111110"},
        {"i < 0", "100100"},
        {"i >= -5", "111010"},
        {"i = -9223372036854775808", "000100"},
        {"i < 18446744073709551615", "111110"},
        {"i > -9223372036854775808", "111010"},
        {"f > 1", "001010"},
        {"f = 0.5", "100000"},
        {"f != 0.5", "011110"},
        {"f = f", "111010"},
        {"f <= 3", "110010"},
        {"u = i", "000000"},
        {"u > i", "111110"},
        {"i < u", "111110"},
        {"i > u", "000000"},
        {"u < f", "101000"},
        {"full > u", "110000"},
        {"full > 25", "001111"},
        {"u + 1 > 80", "001100"},
        {"u / 0 = u / 0", "000000"},
        {"1 = 1", "111111"},
        {"1 < 0.5", "000000"},
        {"1 / 0 = 1", "000000"},
        /* in */
        {"u in (1, 443)", "010100"},
        {"not u in (1, 443)", "101011"},
        {"u in (0, 18446744073709551615)", "100010"},
        {"u in (1, 443, 1000000, 70000)", "010100"},
        {"u in (1.5, -1, 80)", "001000"},
        {"u in (1.5)", "000000"},
        {"i in (-5, 7, 9223372036854775807)", "101010"},
        {"f in (0.5, 3)", "100010"},
        {"full in (10, 20, 64, 60)", "110001"},
        {"u in (i, full, 80)", "001000"},
        {"proto in (tcp, udp)", "110100"},
        {"proto in (6, 17)", "110100"},
        {"srcip in (10.0.0.1, ::1)", "100100"},
        {"srcip in (10.0.0.0/8, 2001:db8::/32)", "101010"},
        {"srcip in (10.0.0.0/9, 10.0.0.0/16, 192.168.1.76/31)", "110000"},
        {"srcip in 10.0.0.0/8", "100010"},
        {"srcip in ::/0", "001100"},
        {"srcip in 0.0.0.0/0", "110010"},
        {"srcip in (\"10.0.0.1\", \"192.168.0.0/16\")", "110000"},
        {"srcip in net", "111010"},
        {"srcip in subnet(dstip, 8)", "101100"},
        {"net in 10.0.0.0/8", "100110"},
        {"net in (10.0.0.0/8, 2001:db8::/31)", "101110"},
        {"s in (\"Foo\", \"\", \"x\")", "010010"},
        {"mac in (00:01:02:03:04:05, 0:0:0:0:0:1)", "100110"},
        {"ts in (\"1970-01-01\", \"2026-11-22T10:00\")", "010010"},
        /* addresses */
        {"srcip = 10.0.0.1", "100000"},
        {"srcip != 10.0.0.1", "011110"},
        {"10.0.0.1 = srcip", "100000"},
        {"srcip = ::1", "000100"},
        {"srcip = 2001:db8::1", "001000"},
        {"srcip = 10.0.0.0/8", "100010"},
        {"srcip != 10.0.0.0/8", "011100"},
        {"10.0.0.0/8 = srcip", "100010"},
        {"srcip = 2001:db8::/32", "001000"},
        {"srcip = dstip", "100100"},
        {"srcip != dstip", "011010"},
        {"srcip < dstip", "001010"},
        {"srcip >= 192.168.1.77", "011100"},
        {"srcip = \"10.0.0.1\"", "100000"},
        {"srcip = net", "111010"},
        {"net = 10.0.0.0/8", "100100"},
        {"net = 10.0.0.1", "110100"},
        {"10.0.0.1 in net", "110100"},
        {"mac = 00:01:02:03:04:05", "100010"},
        {"mac != ff:ff:ff:ff:ff:ff", "101110"},
        /* times */
        {"ts > \"2026-11-21T10:00\"", "100010"},
        {"ts >= 2026-11-21T10:00", "100010"},
        {"ts = 0", "010000"},
        {"ts < 1795255200.5", "011100"},
        {"ts < \"5 minutes ago\" and ts < \"2001-01-01\"", "011000"}, /* whatever today is */
        {"iat > 1s", "100100"},
        {"iat > 1", "100100"},
        {"iat = 1ms", "000010"},
        {"ts - ts = 0s", "111110"},
        /* text */
        {"s = Foo", "000010"},
        {"s = \"\"", "010000"},
        {"s > \"F\"", "101110"},
        {"s != Foo", "111100"},
        {"payload = GET", "100000"},
        {"s like \"%index%\"", "100000"},
        {"s like \"GET%\"", "100000"},
        {"s like \"%html\"", "100000"},
        {"s like \"F_o\"", "000010"},
        {"s like \"___\"", "001010"},
        {"s like \"%\"", "111110"},
        {"s like \"\"", "010000"},
        {"s like \"foo\"", "000000"},
        {"not s like \"%o\"", "111101"},
        {"s ~ \"^[A-Z]+ /\"", "100000"},
        {"s ~ \"^...$\"", "001010"},
        {"s ~ \"(?i)foo\"", "000010"},
        {"payload ~ \"^GET$\"", "100000"},
        {"payload ~ \"^[^a]\"", "100110"},
        {"s.lower = foo", "000010"},
        {"contains(s, \"o\")", "000010"},
        {"starts(s, \"GET\") or ends(s, \"o\")", "100010"},
        {"length(s) > 2", "101010"},
        /* truth */
        {"flag", "101010"},
        {"not flag", "010101"},
        {"flag = true", "101010"},
        {"flag = 0", "010100"},
        {"flags.syn", "110010"},
        {"flags.syn and flag", "100010"},
        {"u", "111110"},
        {"full", "111111"},
        {"not u", "000001"},
        {"true", "111111"},
        {"false or u = 80", "001000"},
        {"true and u = 80", "001000"},
        {"u = 80 or true", "111111"},
        {"u = 80 and false", "000000"},
        {"u = 80 or u = 1 or full = 60", "011001"},
        {"(u = 80 or u = 1) and full > 20", "001000"},
        {"i = -5 or i = 7 or i = -9223372036854775808 or u = 1 or u = 443", "111100"},
        {"u = 80 or u != 80 or u = 1", "111110"},
        {"full = 10 or full = 60 or full = 1000000 or full = 20", "110001"},
        {"not (u = 80 or u = 1)", "100111"},
        {"not (u = 80 and full = 30) and not u = 1", "100111"},
        {"u < 100 and i > -6 and full < 30 and proto = tcp", "100000"},
        {"proto = tcp", "100100"},
        {"proto = TCP", "100100"},
        {"proto != udp", "101110"},
        {"if(flag, u > 1, i < 0)", "001110"},
        {"hash(u) = hash(u)", "111110"},
};

static void check_condition(const struct value *v)
{
	struct arena a;
	struct weir_expr *e = NULL;
	struct weir_err err = WEIR_ERR_INIT;

	arena_init(&a, NULL);
	if (bind(v->text, WEIR_BOOL, &a, &e, &err) < 0)
		fail_msg("%s: %s", v->text, err.text);
	for (uint32_t mask = 0; mask < 1u << ROWS; mask++) {
		struct weir_batch *b = make_batch();
		uint16_t sel[ROWS], rows[ROWS + 1];
		char got[ROWS + 1] = "000000";
		uint32_t n = 0;
		int k;

		for (uint16_t r = 0; r < ROWS; r++)
			if (mask >> r & 1)
				sel[n++] = r;
		if (n < ROWS)
			weir_batch_select(b, sel, n);
		rows[n] = 0x7777;
		k = weir_expr_select(e, b, rows);
		assert_true(k >= 0 && k <= (int)n);
		assert_int_equal(rows[n], 0x7777);
		for (int i = 0; i < k; i++)
			got[rows[i]] = '1';
		for (uint32_t r = 0; r < ROWS; r++)
			if (got[r] != (mask >> r & 1 ? v->want[r] : '0'))
				fail_msg("%s of %02x: '%s', not '%s'", v->text, mask, got, v->want);
		/* in place */
		if (n < ROWS) {
			assert_int_equal(weir_expr_select(e, b, sel), k);
			assert_memory_equal(sel, rows, (size_t)k * 2);
		}
		weir_batch_unref(b);
	}
	expr_release(e);
	arena_release(&a);
}

static void test_conditions(void **state)
{
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		check_condition(&conditions[i]);
}

/* Numbers near each other, far apart, few and many; and addresses and subnets of both families:
 * in (…) must say what a look through the list says. */
static void check_set(enum weir_kind kind, uint32_t n, unsigned shift)
{
	struct weir_field f = {.name = "x", .kind = kind, .flags = WEIR_FIELD_ALWAYS};
	struct weir_schema *one = weir_schema_new("one", &f, 1);
	struct weir_batch *b = pool_batch(pool, one, WEIR_BATCH_ROWS);
	struct weir_col *c = weir_batch_own(b, 0);
	struct ast *node = calloc(n + 2, sizeof *node), **kids = calloc(n + 1, sizeof *kids);
	struct ast in = {.type = AST_IN, .nkids = n + 1, .kids = kids};
	uint16_t rows[WEIR_BATCH_ROWS];
	char text[WEIR_PRINT_MAX];
	struct weir_err err = WEIR_ERR_INIT;
	struct weir_expr *e;
	struct arena a;
	int got, at = 0;

	arena_init(&a, NULL);
	node[0] = (struct ast){.type = AST_NAME, .text = "x", .text_len = 1};
	kids[0] = &node[0];
	for (uint32_t i = 1; i <= n; i++) {
		struct weir_value v = {.kind = kind};

		if (kind == WEIR_IP) {
			bool six = rnd64() & 1;

			v.d.ip = (struct weir_ip){six ? 6 : 4, six ? 128 : 32, 0,
			        {(uint8_t)(rnd64() % 4), (uint8_t)rnd64()}};
			if (rnd64() & 1) {
				*weir_kind_print(kind, &v.d, 0, text) = 0;
				sprintf(text + strlen(text), "/%d",
				        (int)(rnd64() % (six ? 20 : 17)));
				v.kind = WEIR_SUBNET;
				assert_int_equal(
				        weir_kind_parse(WEIR_SUBNET, text, strlen(text), &v.d), 0);
			}
		} else {
			v.d.u = rnd64() >> shift;
		}
		node[i] = (struct ast){.type = AST_LITERAL, .text = "", .value = v};
		kids[i] = &node[i];
	}
	for (uint32_t r = 0; r < WEIR_BATCH_ROWS; r++) {
		const struct weir_value *v = &node[1 + rnd64() % n].value;
		bool six = rnd64() & 1;

		if (kind != WEIR_IP)
			((uint64_t *)c->data)[r] = rnd64() & 1 ? v->d.u : rnd64() >> shift;
		else
			((struct weir_ip *)c->data)[r] = (struct weir_ip){six ? 6 : 4,
			        six ? 128 : 32, 0, {(uint8_t)(rnd64() % 5), (uint8_t)rnd64()}};
	}
	assert_int_equal(expr_bind(&in, one, WEIR_BOOL, &a, NULL, NULL, &e, &err), 0);
	got = weir_expr_select(e, b, rows);
	for (uint32_t r = 0; r < WEIR_BATCH_ROWS; r++) {
		bool want = false;

		for (uint32_t i = 1; i <= n; i++)
			want |= kind == WEIR_IP ? weir_ip_in(&((struct weir_ip *)c->data)[r],
			                                  &node[i].value.d.ip)
			                        : ((uint64_t *)c->data)[r] == node[i].value.d.u;
		if (want != (at < got && rows[at] == r))
			fail_msg("%s, %u values, row %u", weir_kind_name(kind), n, r);
		at += want;
	}
	assert_int_equal(at, got);
	arena_release(&a);
	weir_batch_unref(b);
	weir_schema_unref(one);
	free(node);
	free(kids);
}

static void test_sets(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 8, 9, 17, 64, 300};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (unsigned shift = 0; shift < 64; shift++)
			check_set(shift & 1 ? WEIR_U64 : WEIR_I64, sizes[i], shift);
		for (int k = 0; k < 20; k++)
			check_set(WEIR_IP, sizes[i], 0);
	}
}

static const struct wrong {
	enum weir_kind want;
	const char *text, *caret, *message;
} errors[] = {
        {WEIR_BOOL, "full = 1 and srcpi = 1", "             ^",
                "unknown field 'srcpi' (did you mean 'srcip'?)"},
        {WEIR_BOOL, "sorce = dstip", "^", "unknown field 'sorce' (did you mean 'source'?)"},
        {WEIR_BOOL, "u = 10.0.0.1", "    ^", "cannot compare a number with an address"},
        {WEIR_BOOL, "10.0.0.1 = u", "^", "cannot compare an address with a number"},
        {WEIR_BOOL, "srcip = 80", "        ^", "cannot compare an address with a number"},
        {WEIR_BOOL, "srcip = ts", "        ^", "cannot compare an address with a time"},
        {WEIR_BOOL, "srcip < 10.0.0.0/8", "        ^", "cannot compare an address with a subnet"},
        {WEIR_BOOL, "srcip = dstpi", "        ^", "unknown field 'dstpi' (did you mean 'dstip'?)"},
        {WEIR_BOOL, "proto = tpc", "        ^", "unknown field 'tpc' (did you mean 'tcp'?)"},
        {WEIR_BOOL, "srcip = \"10.0.0.256\"", "        ^",
                "bad value '10.0.0.256' for 'srcip', expected an address"},
        {WEIR_BOOL, "u in (1, ::1)", "         ^", "cannot compare a number with an address"},
        {WEIR_BOOL, "u + srcip > 1", "    ^", "cannot apply '+' to a number and an address"},
        {WEIR_BOOL, "ts + ts > 1", "     ^", "cannot apply '+' to a time and a time"},
        {WEIR_BOOL, "ts * 2 > 1", "     ^", "cannot apply '*' to a time and a number"},
        {WEIR_BOOL, "iat + 5 > 1s", "      ^", "cannot apply '+' to a duration and a number"},
        {WEIR_BOOL, "u + 1", "^", "a condition must be true or false, but this is a number"},
        {WEIR_BOOL, "ts.sql", "^", "a condition must be true or false, but this is text"},
        {WEIR_BOOL, "not \"x\"", "    ^", "a condition must be true or false, but this is text"},
        {WEIR_BOOL, "ts.sqk = 1", "^", "a time has no conversion 'sqk' (did you mean 'sql'?)"},
        {WEIR_BOOL, "absolute(u) = 1", "^", "unknown function 'absolute'"},
        {WEIR_BOOL, "lenght(s) = 1", "^", "unknown function 'lenght' (did you mean 'length'?)"},
        {WEIR_BOOL, "abs(srcip) = 1", "    ^", "'abs' needs a duration, but srcip is an address"},
        {WEIR_BOOL, "hour(u) = 1", "     ^", "'hour' needs a time, but u is a number"},
        {WEIR_BOOL, "hour() = 1", "^", "'hour' needs one argument"},
        {WEIR_BOOL, "hour(ts, ts) = 1", "         ^", "'hour' takes one argument"},
        {WEIR_U64, "coalesce()", "^", "'coalesce' needs at least one argument"},
        {WEIR_U64, "least(u,u,u,u,u,u,u,u,u,u,u,u,u,u,u,u,u)",
                "                                      ^", "'least' takes at most 16 arguments"},
        {WEIR_BOOL, "if(u > 1, u, srcip) = 1", "             ^",
                "cannot apply 'if' to a number and an address"},
        {WEIR_BOOL, "srcip like \"10%\"", "^", "'like' needs text, but srcip is an address"},
        {WEIR_BOOL, "s ~ \"(\"", "    ^", "bad regular expression: missing closing parenthesis"},
        {WEIR_BOOL, "s ~ payload", "    ^",
                "'~' needs a pattern in quotes, but payload is a field"},
        {WEIR_BOOL, "-srcip = 1", " ^", "'-' needs a number, but srcip is an address"},
        {WEIR_BOOL, "u = \"18446744073709551616x\"", "    ^",
                "bad value '18446744073709551616x' for 'u', expected a number"},
};

static void test_errors(void **state)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		const struct wrong *w = &errors[i];
		struct arena a;
		struct weir_expr *e;
		struct weir_err err = WEIR_ERR_INIT;

		arena_init(&a, NULL);
		if (bind(w->text, w->want, &a, &e, &err) == 0)
			fail_msg("%s: bound", w->text);
		if (strcmp(err.text, w->message))
			fail_msg("%s: '%s', not '%s'", w->text, err.text, w->message);
		if (err.pos - strlen(PREFIX) != strlen(w->caret) - 1)
			fail_msg("%s: caret at %zu", w->text, err.pos - strlen(PREFIX));
		arena_release(&a);
	}
}

/* A pattern that backtracks without end, on text made for it, is no match and takes no time. */
static void test_hostile_pattern(void **state)
{
	struct arena a;
	struct weir_expr *e;
	struct weir_err err = WEIR_ERR_INIT;
	struct weir_batch *b = make_batch();
	static char evil[20000];
	int f = weir_schema_find(schema, "s", 1);
	uint16_t rows[ROWS];

	memset(evil, 'a', sizeof evil - 1);
	evil[sizeof evil - 1] = '!';
	arena_init(&a, NULL);
	assert_int_equal(
	        bind("s ~ \"^(a+)+$\" or s like \"%a%a%a%a%a%a%b\"", WEIR_BOOL, &a, &e, &err), 0);
	((struct weir_str *)b->cols[f].data)[0] =
	        (struct weir_str){(const uint8_t *)evil, sizeof evil};
	assert_int_equal(weir_expr_select(e, b, rows), 0);
	weir_batch_unref(b);
	expr_release(e);
	arena_release(&a);
}

static void seen(void *arg, uint32_t field)
{
	*(uint64_t *)arg |= 1ull << field;
}

static void test_api(void **state)
{
	struct arena a;
	struct weir_expr *e;
	struct weir_err err = WEIR_ERR_INIT;
	struct weir_value v;
	enum weir_kind kind;
	uint64_t used = 0;
	struct ast name = {.type = AST_NAME, .text = "ts.double", .text_len = 9, .len = 9};

	arena_init(&a, NULL);
	assert_int_equal(expr_bind(&name, schema, WEIR_NONE, &a, seen, &used, &e, &err), 0);
	assert_int_equal(weir_expr_kind(e), WEIR_F64);
	assert_int_equal(used, 1ull << weir_schema_find(schema, "ts", 2));
	assert_int_equal(expr_field(e), -1);
	assert_false(weir_expr_constant(e, &v));
	name.text = "source";
	name.text_len = 6;
	assert_int_equal(expr_bind(&name, schema, WEIR_NONE, &a, NULL, NULL, &e, &err), 0);
	assert_int_equal(expr_field(e), weir_schema_find(schema, "srcip", 5));
	name.text = "hello";
	name.text_len = 5;
	assert_int_equal(expr_bind(&name, schema, WEIR_NONE, &a, NULL, NULL, &e, &err), 0);
	assert_true(weir_expr_constant(e, &v) && v.kind == WEIR_STR && v.d.s.len == 5);
	name.text = "17";
	name.text_len = 2;
	assert_int_equal(expr_bind(&name, schema, WEIR_U64, &a, NULL, NULL, &e, &err), 0);
	assert_true(weir_expr_constant(e, &v) && v.kind == WEIR_U64 && v.d.u == 17);
	assert_int_equal(expr_conversion(schema, "ts.iso", 6, 0, &kind, &err),
	        weir_schema_find(schema, "ts", 2));
	assert_int_equal(kind, WEIR_STR);
	assert_true(expr_conversion(schema, "ts.isp", 6, 3, &kind, &err) < 0);
	assert_int_equal(err.id, WEIR_E_UNKNOWN_CONVERSION);
	assert_int_equal(err.pos, 3);
	err = (struct weir_err)WEIR_ERR_INIT;
	assert_true(expr_conversion(schema, "nothing", 7, 0, &kind, &err) < 0);
	assert_int_equal(err.id, WEIR_E_UNKNOWN_FIELD);
	assert_true(expr_is_function("hour", 4));
	assert_false(expr_is_function("count", 5));
	assert_false(expr_is_function("sum", 3));
	assert_false(expr_is_function("min", 3));
	arena_release(&a);
}

/* 3,000 nodes deep by hand: refused, not crashed; 100,000 kids of `or` are fine. */
static void test_depth(void **state)
{
	static struct ast node[100001];
	struct ast one = {
	        .type = AST_LITERAL, .text = "1", .text_len = 1, .value = {WEIR_U64, {.u = 1}}};
	struct ast u = {.type = AST_NAME, .text = "u", .text_len = 1};
	struct ast *cmp_kids[] = {&u, &one};
	struct ast cmp = {.type = AST_BINARY, .op = AST_OP_EQ, .nkids = 2, .kids = cmp_kids};
	static struct ast *kids[100001][2];
	struct arena a;
	struct weir_expr *e;
	struct weir_err err = WEIR_ERR_INIT;

	arena_init(&a, NULL);
	for (int i = 1; i <= 3000; i++) {
		kids[i][0] = i > 1 ? &node[i - 1] : &u;
		kids[i][1] = &one;
		node[i] = (struct ast){
		        .type = AST_BINARY, .op = AST_OP_ADD, .nkids = 2, .kids = kids[i]};
	}
	assert_true(expr_bind(&node[3000], schema, WEIR_NONE, &a, NULL, NULL, &e, &err) < 0);
	assert_int_equal(err.id, WEIR_E_TOO_DEEP);
	for (int i = 1; i <= 100000; i++) {
		kids[i][0] = i > 1 ? &node[i - 1] : &cmp;
		kids[i][1] = &cmp;
		node[i] = (struct ast){
		        .type = AST_BINARY, .op = AST_OP_OR, .nkids = 2, .kids = kids[i]};
	}
	err = (struct weir_err)WEIR_ERR_INIT;
	assert_int_equal(expr_bind(&node[100000], schema, WEIR_BOOL, &a, NULL, NULL, &e, &err), 0);
	arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_values),
	        cmocka_unit_test(test_conditions),
	        cmocka_unit_test(test_errors),
	        cmocka_unit_test(test_sets),
	        cmocka_unit_test(test_hostile_pattern),
	        cmocka_unit_test(test_api),
	        cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, setup, one_schema_end);
}
