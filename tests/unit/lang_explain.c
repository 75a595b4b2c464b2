/* SPDX-License-Identifier: MIT */
/* lang_explain.c: the line and the caret, for every kind of line. */
#include "engine/core/text.h"
#include "engine/lang/ast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(const char *name, const char *spec, uint32_t pos, const char *expect)
{
	struct weir_err err = {.id = WEIR_E_SPEC_EMPTY, .pos = pos, .text = "m"};
	struct text t = TEXT_INIT;

	lang_explain(&t, name, spec, strlen(spec), &err);
	assert_string_equal(t.p, expect);
	text_release(&t);
}

static void lines(void **state)
{
	check("p", "p: ab cd", 6, "p: m\n  ab cd\n     ^\n");
	check("p", "p: ab cd", 0, "p: m\n  p: ab cd\n  ^\n");
	check("q", "p: ab cd", 6, "q: m\n  p: ab cd\n        ^\n");
	check("", "ab", 1, "m\n  ab\n   ^\n");
	check(NULL, "ab", WEIR_NOPOS, "m\n");
	check("", "one\r\ntwo\r\nthree", 6, "m\n  two\n   ^\n");
	check("", "ab\n", 2, "m\n  ab\n    ^\n");
	check("", "ab", 99, "m\n  ab\n    ^\n");
}

static void columns(void **state)
{
	check("", "\ta\tb", 3, "m\n  \ta\tb\n  \t \t^\n");
	check("", "\xc3\xa4x", 2, "m\n  \xc3\xa4x\n   ^\n");
	check("", "\xe4\xb8\xadx", 3, "m\n  \xe4\xb8\xadx\n    ^\n");
	check("", "a\xcc\x81x", 3, "m\n  a\xcc\x81x\n   ^\n");
	check("", "\x1b[1mx", 4, "m\n  \xef\xbf\xbd[1mx\n      ^\n");
	check("", "\xffx", 1, "m\n  \xef\xbf\xbdx\n   ^\n");
}

static void cut(void **state)
{
	char spec[1001], expect[400], *e = expect;

	memset(spec, 'a', 1000);
	spec[1000] = 0;
	e += sprintf(e, "m\n  …");
	memset(e, 'a', 100);
	e += 100;
	e += sprintf(e, "…\n   %60s^\n", "");
	check("", spec, 500, expect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines),
	        cmocka_unit_test(columns),
	        cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
