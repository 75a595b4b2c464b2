/* SPDX-License-Identifier: MIT */
/* lang_parse.c: what the parser makes of a spec, as a text in prefix notation; and the place and
 * message of what it refuses. */
#include "engine/core/text.h"
#include "engine/lang/ast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void dump_expr(struct text *t, const struct ast *a)
{
	static const char *const ops[] = {"or", "and", "not", "=", "!=", "<", "<=", ">",
	        ">=", "like", "~", "+", "-", "*", "/", "%", "neg"};
	char buf[WEIR_PRINT_MAX];

	switch (a->type) {
	case AST_NAME:
		text_puts(t, a->text);
		break;
	case AST_STRING:
		text_printf(t, "\"%.*s\"", (int)a->text_len, a->text);
		break;
	case AST_LITERAL:
		text_printf(t, "%s:", weir_kind_name(a->value.kind));
		text_add(t, buf,
		        (size_t)(weir_kind_print(a->value.kind, &a->value.d, 0, buf) - buf));
		break;
	default:
		text_printf(t, "(%s",
		        a->type == AST_CALL ? a->text
		        : a->type == AST_IN ? "in"
		                            : ops[a->op]);
		for (uint32_t i = 0; i < a->nkids; i++) {
			text_puts(t, " ");
			dump_expr(t, a->kids[i]);
		}
		text_puts(t, ")");
	}
	if (a->as)
		text_printf(t, " as %s", a->as);
}

static void dump_pipe(struct text *t, const struct ast_pipe *p);

static void dump_branches(struct text *t, const struct ast_stage *s)
{
	for (uint32_t i = 0; i < s->nbranches; i++) {
		text_puts(t, i ? " + " : "(");
		dump_pipe(t, s->branches[i]);
	}
	text_puts(t, s->nbranches ? ")" : "");
}

static void dump_pipe(struct text *t, const struct ast_pipe *p)
{
	for (const struct ast_stage *s = p->first; s; s = s->next) {
		if (s != p->first)
			text_puts(t, " | ");
		text_puts(t, s->type == AST_MODULE ? "M:" : s->type == AST_SOURCE ? "S:" : "");
		if (s->type != AST_WHERE && s->name)
			text_puts(t, s->name);
		for (uint32_t i = 0; i < s->nargs; i++) {
			const struct ast_arg *a = &s->args[i];

			text_puts(t, " ");
			if (a->name_len && a->option)
				text_printf(t, "--%s=", a->option->name);
			if (a->block)
				dump_branches(t, a->block);
			else if (a->expr)
				dump_expr(t, a->expr);
			else
				text_printf(t, "<%s>", a->word ? a->word : "");
		}
		dump_branches(t, s);
		if (s->where) {
			text_puts(t, " where ");
			dump_expr(t, s->where);
		}
	}
}

static void dump(struct text *t, const struct ast_spec *s)
{
	if (s->name)
		text_printf(t, "%s: ", s->name);
	for (struct ast_setting *i = s->settings; i; i = i->next)
		text_printf(t, "set %s=%s; ", i->key, i->value);
	for (struct ast_definition *d = s->definitions; d; d = d->next) {
		text_printf(t, "%s :- ", d->name);
		dump_pipe(t, d->pipe);
		text_puts(t, "; ");
	}
	for (uint32_t i = 0; i < s->nqueries; i++) {
		text_puts(t, i ? "; " : "");
		dump_pipe(t, s->queries[i]);
	}
}

static void check(const char *spec, const char *expect)
{
	struct arena a;
	struct ast_spec *s;
	struct weir_err err = WEIR_ERR_INIT;
	struct text t = TEXT_INIT;

	arena_init(&a, NULL);
	if (lang_parse(spec, strlen(spec), &a, &s, &err) < 0)
		lang_explain(&t, "", spec, strlen(spec), &err);
	else
		dump(&t, s);
	assert_string_equal(t.p ? t.p : "", expect);
	text_release(&t);
	arena_release(&a);
}

/* The condition as it is parsed behind `where`. */
static void expr(const char *text, const char *expect)
{
	struct text spec = TEXT_INIT, want = TEXT_INIT;

	text_printf(&spec, "packets | where %s", text);
	text_printf(&want, "packets |  where %s", expect);
	check(spec.p, want.p);
	text_release(&spec);
	text_release(&want);
}

static void literals(void **state)
{
	expr("1", "u64:1");
	expr("1.5", "f64:1.5");
	expr(".5", "f64:0.5");
	expr("-5", "i64:-5");
	expr("0x1F", "u64:31");
	expr("1e3", "f64:1000");
	expr("1e-3", "f64:0.001");
	expr("10s", "duration:10");
	expr("1h30m", "duration:5400");
	expr("3000ms", "duration:3");
	expr("64KB", "u64:65536");
	expr("1.5KiB", "u64:1536");
	expr("10.0.0.1", "ip:10.0.0.1");
	expr("10.0.0.0/8", "subnet:10.0.0.0/8");
	expr("fe80::1", "ip:fe80::1");
	expr("::1", "ip:::1");
	expr("::ffff:1.2.3.4", "ip:::ffff:1.2.3.4");
	expr("2001:db8::/32", "subnet:2001:db8::/32");
	expr("srcmac=00:01:02:03:04:05", "(= srcmac mac:00:01:02:03:04:05)");
	expr("srcmac=aa:bb:cc:dd:ee:ff", "(= srcmac mac:aa:bb:cc:dd:ee:ff)");
	expr("ts > 2026-11-21T10:00", "(> ts time:1795255200)");
	expr("ts > 2026-11-21", "(> ts time:1795219200)");
	expr("true and not FALSE", "(and bool:true (not bool:false))");
	expr("\"a\\\"b\\x41\\d\"", "\"a\"bA\\d\"");
	expr("'a\\'", "\"a\\\"");
}

static void operators(void **state)
{
	expr("a+b*c-d", "(- (+ a (* b c)) d)");
	expr("a-b-c", "(- (- a b) c)");
	expr("(a+b)*c", "(* (+ a b) c)");
	expr("-a*b", "(* (neg a) b)");
	expr("a%2=0", "(= (% a u64:2) u64:0)");
	expr("a - b", "(- a b)");
	expr("a -b", "(- a b)"); /* no options here */
	expr("a=1 or b=2 and c=3", "(or (= a u64:1) (and (= b u64:2) (= c u64:3)))");
	expr("not a = 1", "(not (= a u64:1))");
	expr("a in (1, 2)", "(in a u64:1 u64:2)");
	expr("a not in 10.0.0.0/8", "(not (in a subnet:10.0.0.0/8))");
	expr("a like \"%x\"", "(like a \"%x\")");
	expr("a ~ 'x|y'", "(~ a \"x|y\")");
	expr("a <> b or a == c", "(or (!= a b) (= a c))");
	expr("f(a, g()) > 1", "(> (f a (g)) u64:1)");
	expr("flags.syn and ts.sql = dns.qname", "(and flags.syn (= ts.sql dns.qname))");
	expr("a or b or c or d", "(or (or a b) (or c d))");
	expr("[a]", "a");
}

static void shape(void **state)
{
	check("packets", "packets");
	check("x: packets;", "x: packets");
	check("a-b.c : packets; flows", "a-b.c: packets; flows");
	check("set refresh 1s set retain=64MB\npackets",
	        "set refresh=1s; set retain=64MB; packets");
	check("# c\n  % d\npackets # e\n|\n% f\nwhere a % 2\n", "packets |  where (% a u64:2)");
	check("#!pipe\r\npackets\r\n", "packets");
	check("#!/usr/bin/weir run\npackets", "packets");
	check("\xef\xbb\xbfx: packets", "x: packets");
	check("Web :- packets where dstport = 80\nWeb",
	        "Web :- packets where (= dstport u64:80); Web");
	check("W :- packets\n | where a and\n b\n\nV :- W; V",
	        "W :- packets |  where (and a b); V :- W; V");
	check("W :- \"x\" x\npackets",
	        "unexpected '\"', expected a source\n  W :- \"x\" x\n       ^\n");
	check("(packets + flows) where a", "(packets + flows) where a");
	check("( lab where a + dmz | where b + 1 + flows )",
	        "(lab where (+ a dmz) |  where (+ b u64:1) + flows)");
	check("nosuch -x /tmp/f --long=v (a | b) 'c d' where x",
	        "nosuch <> </tmp/f> <> <v> <a> <b> <c d> where x");
}

/* Stages among the arguments, as the tables of split, filter and distribute say. */
static void blocks(void **state)
{
	check("packets | split srcip dstip -t 5s (count | head 2) where len > 1 | head",
	        "packets | M:split srcip dstip --idle=<5s> (M:count | M:head <2>) where (> len "
	        "u64:1) | M:head");
	check("packets | split(srcip, dstip)(count + head 2)",
	        "packets | M:split srcip dstip (M:count + M:head <2>)");
	check("packets | split srcip ( split dstip ( head ) -n 5 ) -n 7",
	        "packets | M:split srcip (M:split dstip (M:head) --most=<5>) --most=<7>");
	check("packets | filter (a = 1 or b) (c) -then (head) -v --else (count)",
	        "packets | M:filter (or (= a u64:1) b) c --then=(M:head) --invert=<> "
	        "--else=(M:count)");
	check("packets | filter(a = 1) --else ( head ) | head",
	        "packets | M:filter (= a u64:1) --else=(M:head) | M:head");
	check("packets | ( split a ( head + tail ) + filter b --else ( head ) where c + head )",
	        "packets | (M:split a (M:head + M:tail) + M:filter b --else=(M:head) where c + "
	        "M:head)");
	check("packets | distribute ( head ) ( tail )", "packets | M:distribute (M:head) (M:tail)");
	check("X :- split a (\nhead )\npackets | X", "X :- M:split a (M:head); packets | X");
	check("packets | split a ( head",
	        "'(' is not closed\n  packets | split a ( head\n                    ^\n");
	check("packets | split a (",
	        "the query ends here, expected a module, 'where' or '('\n  packets | split a (\n"
	        "                     ^\n");
	check("packets | filter a --else | head",
	        "option '--else' needs a value\n  packets | filter a --else | head\n"
	        "                     ^\n");
	check("packets | filter a --else=5",
	        "unexpected '5', expected '(' and stages\n  packets | filter a --else=5\n"
	        "                            ^\n");
}

/* Arguments as the option tables of head, sample, print, expr, window, pcapwrite say. */
static void arguments(void **state)
{
	check("packets | head 5", "packets | M:head <5>");
	check("packets | head(5) where a", "packets | M:head <5> where a");
	check("packets|head 5|print(srcip,dstip)", "packets | M:head <5> | M:print srcip dstip");
	check("packets | print srcip dstip, len*8 as bits ts.sql",
	        "packets | M:print srcip dstip (* len u64:8) as bits ts.sql");
	check("packets | sample 5 -s 3 --by srcip,dstip",
	        "packets | M:sample <5> --seed=<3> --by=srcip --by=dstip");
	check("packets | sample --seed=3 -p .5",
	        "packets | M:sample --seed=<3> --probability=<.5>");
	check("packets | expr a - b -f x", "packets | M:expr (- a b) --name=<x>");
	check("packets | expr a-b -f x", "packets | M:expr (- a b) --name=<x>");
	check("packets | expr (a -b) as y", "packets | M:expr (- a b) as y");
	check("packets | expr -5 -a",
	        "'expr' has no option '-a'\n  packets | expr -5 -a\n                    ^\n");
	check("packets | expr(-a)",
	        "'expr' has no option '-a'\n  packets | expr(-a)\n                 ^\n");
	check("packets | expr (-a)", "packets | M:expr (neg a)");
	check("packets | window 60s slide 10s --late 5s",
	        "packets | M:window duration:60 slide duration:10 --late=<5s>");
	check("packets | window session 30s by srcip",
	        "packets | M:window session duration:30 by srcip");
	check("packets | pcapwrite /tmp/a#b.pcap # note", "packets | M:pcapwrite </tmp/a#b.pcap>");
	check("packets | pcapwrite \"a b|c\"", "packets | M:pcapwrite <a b|c>");
	check("pcapfile - | head", "S:pcapfile <-> | M:head");
	check("pcapfile a.pcap b*.pcap where len > 5",
	        "S:pcapfile <a.pcap> <b*.pcap> where (> len u64:5)");
	check("(pcapfile a + pcapfile b) | print srcip",
	        "(S:pcapfile <a> + S:pcapfile <b>) | M:print srcip");
	check("packets | (print srcip + print dstip + expr a + b + head 1)",
	        "packets | (M:print srcip + M:print dstip + M:expr (+ a b) + M:head <1>)");
	check("packets | (head 1 | print len + where a + 1 + where b)",
	        "packets | (M:head <1> | M:print len +  where (+ a u64:1) +  where b)");
	check("D :- head 5\npackets | (print srcip + D)",
	        "D :- M:head <5>; packets | (M:print srcip + D)");
	check("packets | head | print a where b | head",
	        "packets | M:head | M:print a where b | M:head");
	check("pcapfile - | filter srcmac=00:01:02:03:04:05 | print srcip probability",
	        "S:pcapfile <-> | M:filter (= srcmac mac:00:01:02:03:04:05) | "
	        "M:print srcip probability");
}

static void certain(void **state)
{
	static const struct {
		const char *spec;
		int rc;
	} cases[] = {
	        {"packets | where (", 0},
	        {"packets | where (\n", 0},
	        {"packets | where )", 0},
	        {"packets | where )\n", -EINVAL},
	        {"packets | where )\nfoo", -EINVAL},
	        {"packets |\n", 0},
	        {"packets | where a = \n", 0},
	        {"packets | where a = \"x\n", -EINVAL},
	        {"packets | where a = \"x", 0},
	        {"packets | nosuchmodule\n", -EINVAL},
	        {"nosuchsource\n", 0},
	        {"\n", 0},
	        {"", 0},
	        {"#!nosuch\n", -EINVAL},
	        {"packets where a = 1.2.3\n", -EINVAL},
	        {"packets where a = 1.2.3", 0},
	        {"a/b: \n", -EINVAL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct weir_err err = WEIR_ERR_INIT;

		assert_int_equal(
		        lang_certain(cases[i].spec, strlen(cases[i].spec), &err), cases[i].rc);
		assert_int_equal(err.id != WEIR_E_NONE, cases[i].rc != 0);
	}
}

static void names(void **state)
{
	char long_name[66];

	memset(long_name, 'a', sizeof long_name);
	assert_true(lang_is_name("portscan", 8));
	assert_true(lang_is_name("a.b-c_d", 7));
	assert_true(lang_is_name(long_name, 64));
	assert_false(lang_is_name(long_name, 65));
	assert_false(lang_is_name("", 0));
	assert_false(lang_is_name(".", 1));
	assert_false(lang_is_name("..", 2));
	assert_false(lang_is_name("-a", 2));
	assert_false(lang_is_name("a/b", 3));
	assert_false(lang_is_name("where", 5));
	assert_false(lang_is_name("\xc3\xa4", 2));
}

static int parse_n(const char *s, size_t n, enum weir_error_id *id)
{
	struct arena a;
	struct ast_spec *spec;
	struct weir_err err = WEIR_ERR_INIT;
	int rc;

	arena_init(&a, NULL);
	rc = lang_parse(s, n, &a, &spec, &err);
	*id = err.id;
	arena_release(&a);
	return rc;
}

/* `head`, then `unit` over and over up to n bytes. */
static enum weir_error_id repeated(const char *head, const char *unit, size_t n)
{
	size_t h = strlen(head), u = strlen(unit);
	char *s = malloc(h + n + u);
	enum weir_error_id id;

	memcpy(s, head, h);
	for (size_t i = 0; i < n; i += u)
		memcpy(s + h + i, unit, u);
	parse_n(s, h + n, &id);
	free(s);
	return id;
}

static void limits(void **state)
{
	size_t big = SPEC_MAX;
	char *s = malloc(big + 1);
	enum weir_error_id id;

	memset(s, ' ', big + 1);
	memcpy(s, "packets", 7);
	assert_int_equal(parse_n(s, big, &id), 0);
	assert_int_equal(parse_n(s, big + 1, &id), -EFBIG);
	free(s);
	assert_int_equal(repeated("packets | where ", "(", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("", "(", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("packets | nosuch ", "(", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("packets | where ", "not ", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("packets | where ", "- ", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("packets | where a", "+a", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("packets | where ", "f(", 100000), WEIR_E_TOO_DEEP);
	assert_int_equal(repeated("packets where a", " or a", 1000000), WEIR_E_NONE);
	assert_int_equal(repeated("packets", ";packets", 1000000), WEIR_E_NONE);
	assert_int_equal(repeated("packets", "|where a", 1000000), WEIR_E_NONE);
	assert_int_equal(repeated("packets", "\xff", 1), WEIR_E_NOT_UTF8);
	assert_int_equal(repeated("packets", "\xed\xa0\x80", 3), WEIR_E_NOT_UTF8);
	parse_n("packets\0", 8, &id);
	assert_int_equal(id, WEIR_E_BAD_CHARACTER);
}

static const char *endless(void *arg, size_t i)
{
	++*(size_t *)arg;
	return "abcd";
}

/* 10,000 definitions, which are found by their names; more are refused; and there may be any number
 * of names to choose from for a wrong one. */
static void definitions(void **state)
{
	struct text t = TEXT_INIT;
	struct ast_spec *spec = NULL;
	const struct ast_definition *d;
	struct weir_err err = WEIR_ERR_INIT;
	char name[16], hint[80];
	struct arena a;
	size_t asked = 0;

	for (unsigned i = 0; i < DEFINITIONS_MAX; i++)
		text_printf(&t, "%s%u :- packets\n", i % 2 ? "d" : "D", i);
	text_puts(&t, "D0");
	arena_init(&a, NULL);
	assert_int_equal(lang_parse(t.p, t.len, &a, &spec, &err), 0);
	assert_int_equal(spec->ndefinitions, DEFINITIONS_MAX);
	d = spec->definitions;
	for (unsigned i = 0; i < DEFINITIONS_MAX; i++, d = d->next) {
		int n = snprintf(name, sizeof name, "%s%u", i % 2 ? "d" : "D", i);

		assert_string_equal(d->name, name);
		assert_ptr_equal(ast_definition(spec, name, (size_t)n), d);
		name[0] ^= 32;
		assert_null(ast_definition(spec, name, (size_t)n));
	}
	assert_null(d);
	arena_release(&a);

	t.len -= 2;
	text_puts(&t, "e :- packets\nD0");
	arena_init(&a, NULL);
	assert_int_equal(lang_parse(t.p, t.len, &a, &spec, &err), -EINVAL);
	assert_int_equal(err.id, WEIR_E_TOO_MANY_DEFINITIONS);
	assert_int_equal(err.pos, t.len - strlen("e :- packets\nD0"));
	arena_release(&a);
	text_release(&t);

	weir_did_you_mean("xyz", 3, endless, &asked, hint, sizeof hint);
	assert_int_equal(asked, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(definitions),
	        cmocka_unit_test(literals),
	        cmocka_unit_test(operators),
	        cmocka_unit_test(shape),
	        cmocka_unit_test(blocks),
	        cmocka_unit_test(arguments),
	        cmocka_unit_test(certain),
	        cmocka_unit_test(names),
	        cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
