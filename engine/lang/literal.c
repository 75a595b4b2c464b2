/* SPDX-License-Identifier: MIT */
/* literal.c: unquoted literals: numbers with units, addresses, networks, MACs, times.
 *
 * What is what is decided by the text alone, before it is parsed as the kind:
 *
 *   2026-11-21, 2026-11-21T10:00   a time: four digits, two, two (2000 - 10 - 20 is arithmetic)
 *   a run with ':'                 a MAC or an IPv6 address; all before the first ':' is hex
 *   a run of digits with 3 dots    an IPv4 address
 *   an address and "/digits"       a network
 *   else                           a number: 10 0x1f 1.5 .5 1e-6, with a unit 10s 1.5h 64MB
 *
 * A unit of time makes a duration, a unit of size (powers of 1,024) a number of bytes. There are no
 * bare k, M, G: M and m (minutes) are too near.
 */
#include "engine/lang/parse.h"

static bool digits(const struct parse *p, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!lex_is_digit(lex_peek(p, from + i)))
			return false;
	return true;
}

/* Length of a time at p->at, 0 where none begins. */
static uint32_t time_length(const struct parse *p)
{
	uint32_t n = 10;
	unsigned char c;

	if (!digits(p, 0, 4) || lex_peek(p, 4) != '-' || !digits(p, 5, 2) ||
	        lex_peek(p, 7) != '-' || !digits(p, 8, 2))
		return 0;
	c = lex_peek(p, n);
	if ((c == 'T' || c == 't') && lex_is_digit(lex_peek(p, n + 1))) {
		n++;
		while (lex_is_digit(c = lex_peek(p, n)) || c == ':' || c == '.')
			n++;
		if ((c == '+' || c == '-') && digits(p, n + 1, 2)) {
			n += 3;
			while (lex_is_digit(c = lex_peek(p, n)) || c == ':')
				n++;
		}
	}
	while (lex_is_alnum(lex_peek(p, n)))
		n++;
	return n;
}

/* Length of the run of letters, digits, '.' and ':' at p->at. */
static uint32_t run_length(const struct parse *p)
{
	uint32_t n = 0;

	while (lex_is_alnum(lex_peek(p, n)) || lex_peek(p, n) == '.' || lex_peek(p, n) == ':')
		n++;
	return n;
}

static bool colon_begins(const struct parse *p)
{
	uint32_t n = 0;

	while (n < 5 && lex_is_hex(lex_peek(p, n)))
		n++;
	return n < 5 && lex_peek(p, n) == ':' && (n > 0 || lex_peek(p, 1) == ':');
}

bool literal_begins(const struct parse *p)
{
	unsigned char c = lex_peek(p, 0);

	return lex_is_digit(c) || (c == '.' && lex_is_digit(lex_peek(p, 1))) || colon_begins(p);
}

static int finish(
        struct parse *p, struct ast *to, enum weir_kind kind, uint32_t n, enum weir_error_id bad)
{
	int rc;

	to->type = AST_LITERAL;
	to->pos = p->at;
	to->len = n;
	to->depth = 1;
	to->text = lex_copy(p, p->at, n);
	to->text_len = n;
	if (!to->text)
		return -ENOMEM;
	rc = weir_kind_parse(kind, to->text, n, &to->value.d);
	if (rc == -ERANGE && weir_storage_of(kind) == WEIR_WORD && kind != WEIR_TIME)
		return weir_fail(p->err, WEIR_E_OUT_OF_RANGE, p->at, n, to->text,
		        kind == WEIR_DURATION ? "at most 292 years" : "0 to 18446744073709551615");
	if (rc < 0)
		return lex_fail_at(p, bad, p->at, n);
	to->value.kind = kind;
	p->at += n;
	return 0;
}

/* An address of n bytes and what stands behind a '/' directly at its end. */
static int address(struct parse *p, struct ast *to, enum weir_kind kind, uint32_t n)
{
	if (kind == WEIR_IP && lex_peek(p, n) == '/' && lex_is_digit(lex_peek(p, n + 1))) {
		kind = WEIR_SUBNET;
		n++;
		while (lex_is_alnum(lex_peek(p, n)))
			n++;
	}
	return finish(p, to, kind, n, WEIR_E_BAD_ADDRESS);
}

/* What a number with the unit text[unit, n) is. Units of size end in b or B (bits are not counted
 * here), those of time are lower-case words. */
static enum weir_kind kind_of_unit(const struct parse *p, uint32_t unit, uint32_t n)
{
	if ((lex_peek(p, n - 1) | 32) == 'b')
		return WEIR_U64;
	for (; unit < n; unit++)
		if (lex_peek(p, unit) >= 'A' && lex_peek(p, unit) <= 'Z')
			return WEIR_NONE;
	return WEIR_DURATION;
}

/* "1.5GB": a whole number of bytes where it is one, as nearly all are. */
static void whole(struct ast *to)
{
	double f = to->value.d.f;

	if (f < 0x1p63 && f == (double)(uint64_t)f) {
		to->value.kind = WEIR_U64;
		to->value.d.u = (uint64_t)f;
	}
}

static int number(struct parse *p, struct ast *to)
{
	enum weir_kind kind = WEIR_U64;
	uint32_t n = 0, unit;
	unsigned char c;

	if (lex_peek(p, 0) == '0' && (lex_peek(p, 1) | 32) == 'x') {
		n = run_length(p);
		return finish(p, to, kind, n, WEIR_E_BAD_NUMBER);
	}
	while (lex_is_digit(lex_peek(p, n)))
		n++;
	if (lex_peek(p, n) == '.' && lex_is_digit(lex_peek(p, n + 1))) {
		kind = WEIR_F64;
		for (n++; lex_is_digit(lex_peek(p, n));)
			n++;
	}
	c = lex_peek(p, n + 1);
	if ((lex_peek(p, n) | 32) == 'e' &&
	        (lex_is_digit(c) || ((c == '+' || c == '-') && lex_is_digit(lex_peek(p, n + 2))))) {
		kind = WEIR_F64;
		for (n += 2; lex_is_digit(lex_peek(p, n));)
			n++;
	}
	unit = n;
	while (lex_is_alnum(lex_peek(p, n)))
		n++;
	if (lex_peek(p, n) == '.')
		return lex_fail_at(p, WEIR_E_BAD_NUMBER, p->at, run_length(p));
	if (n > unit) {
		enum weir_kind k = kind_of_unit(p, unit, n);
		int rc;

		if (k == WEIR_NONE)
			return lex_fail_at(p, WEIR_E_BAD_UNIT, p->at, n);
		if (k == WEIR_U64 && kind == WEIR_F64)
			k = WEIR_F64;
		rc = finish(p, to, k, n, WEIR_E_BAD_UNIT);
		if (rc == 0 && k == WEIR_F64)
			whole(to);
		return rc;
	}
	return finish(p, to, kind, n, WEIR_E_BAD_NUMBER);
}

int literal_parse(struct parse *p, struct ast *to)
{
	uint32_t n = time_length(p), dots = 0, i;

	if (n)
		return finish(p, to, WEIR_TIME, n, WEIR_E_BAD_TIME);
	n = run_length(p);
	if (colon_begins(p)) {
		union weir_datum mac;

		if (weir_kind_parse(WEIR_MAC, p->text + p->at, n, &mac) == 0)
			return address(p, to, WEIR_MAC, n);
		return address(p, to, WEIR_IP, n);
	}
	for (i = 0; lex_is_digit(lex_peek(p, i)) || lex_peek(p, i) == '.'; i++)
		dots += lex_peek(p, i) == '.' && lex_is_digit(lex_peek(p, i + 1));
	if (dots == 3)
		return address(p, to, WEIR_IP, n);
	if (dots > 1)
		return lex_fail_at(p, WEIR_E_BAD_NUMBER, p->at, n);
	return number(p, to);
}
