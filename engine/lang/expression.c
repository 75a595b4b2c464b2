/* SPDX-License-Identifier: MIT */
/* expression.c: expressions, by precedence climbing.
 *
 *   or, and, not, one comparison (= == != <> < <= > >= in like ~), + -, * / %, unary -, operand
 *
 * Chains of `or` and `and` become balanced trees (they are associative), so that a list of ten
 * thousand conditions is no deeper than fourteen; every other nesting is bounded by NEST_MAX, so
 * that whoever walks a tree may recurse.
 *
 * An expression ends where it cannot go on: "print a b" is two. Where options may stand
 * (p->dash), " -x" ends it too; within "( a + b )" of stages a '+' may (see pipe_plus_ends()).
 */
#include "engine/lang/parse.h"

#include <stdio.h>

static int parse_or(struct parse *p, struct ast **ret);

static struct ast *node(struct parse *p, enum ast_type type, uint32_t pos)
{
	struct ast *a = lex_alloc(p, sizeof *a);

	if (a) {
		a->type = type;
		a->pos = pos;
		a->depth = 1;
	}
	return a;
}

static int finish(struct parse *p, struct ast *a)
{
	uint32_t depth = 0;
	char buf[16];

	for (uint32_t i = 0; i < a->nkids; i++)
		if (a->kids[i]->depth > depth)
			depth = a->kids[i]->depth;
	a->depth = depth + 1;
	if (a->depth > NEST_MAX) {
		snprintf(buf, sizeof buf, "%u", NEST_MAX);
		return weir_fail(p->err, WEIR_E_TOO_DEEP, a->pos, 1, buf);
	}
	return 0;
}

static int add_kid(struct parse *p, struct ast *a, struct ast *kid)
{
	struct ast **kids = lex_more(p, a->kids, a->nkids, sizeof *kids);

	if (!kids)
		return -ENOMEM;
	a->kids = kids;
	a->kids[a->nkids++] = kid;
	return 0;
}

static int binary(struct parse *p, enum ast_op op, struct ast *l, struct ast *r, struct ast **ret)
{
	struct ast *a = node(p, AST_BINARY, l->pos);

	if (!a || add_kid(p, a, l) < 0 || add_kid(p, a, r) < 0)
		return -ENOMEM;
	a->op = op;
	a->len = r->pos + r->len - l->pos;
	*ret = a;
	return finish(p, a);
}

static int unary(struct parse *p, enum ast_op op, uint32_t pos, struct ast *kid, struct ast **ret)
{
	struct ast *a = node(p, AST_UNARY, pos);

	if (!a || add_kid(p, a, kid) < 0)
		return -ENOMEM;
	a->op = op;
	a->len = kid->pos + kid->len - pos;
	*ret = a;
	return finish(p, a);
}

/* ---- operands ---- */

static int parse_string(struct parse *p, struct ast **ret)
{
	struct ast *a = node(p, AST_STRING, p->at);
	int rc = a ? lex_string(p, &a->text, &a->text_len) : -ENOMEM;

	if (rc < 0)
		return rc;
	a->len = p->at - a->pos;
	*ret = a;
	return 0;
}

/* What stands within parentheses of an expression: options and branches end nothing there. */
static int parse_inner(struct parse *p, struct ast **ret)
{
	bool dash = p->dash;
	enum lang_plus plus = p->plus;
	int rc;

	p->dash = false;
	p->plus = PLUS_SUM;
	rc = parse_or(p, ret);
	p->dash = dash;
	p->plus = plus;
	return rc;
}

static int parse_paren(struct parse *p, char close, struct ast **ret)
{
	uint32_t open = p->at;
	int rc = lex_deeper(p);

	if (rc < 0)
		return rc;
	p->at++;
	rc = parse_inner(p, ret);
	if (rc < 0)
		return rc;
	lex_blank(p);
	if (lex_peek(p, 0) != (unsigned char)close)
		return lex_unclosed(p, open, close == ')' ? "')'" : "']'");
	p->at++;
	p->depth--;
	(*ret)->len = p->at - open;
	(*ret)->pos = open;
	return 0;
}

/* "(a, b …)": appends to `to`; p->at is at the '('. */
static int parse_list(struct parse *p, struct ast *to)
{
	uint32_t open = p->at;
	int rc = lex_deeper(p);

	if (rc < 0)
		return rc;
	p->at++;
	lex_blank(p);
	if (lex_peek(p, 0) == ')')
		goto closed;
	for (;;) {
		struct ast *kid;

		rc = parse_inner(p, &kid);
		if (rc < 0 || (rc = add_kid(p, to, kid)) < 0)
			return rc;
		lex_blank(p);
		if (lex_peek(p, 0) == ')')
			break;
		if (lex_peek(p, 0) != ',')
			return lex_unclosed(p, open, "',' or ')'");
		p->at++;
	}
closed:
	p->at++;
	p->depth--;
	to->len = p->at - to->pos;
	return finish(p, to);
}

static int parse_word(struct parse *p, struct ast **ret)
{
	uint32_t n = lex_field(p);
	struct ast *a = node(p, AST_NAME, p->at);

	if (!a)
		return -ENOMEM;
	a->text = lex_copy(p, p->at, n);
	if (!a->text)
		return -ENOMEM;
	a->text_len = a->len = n;
	*ret = a;
	if (lex_keyword(p, "true") || lex_keyword(p, "false")) {
		a->type = AST_LITERAL;
		a->value.kind = WEIR_BOOL;
		a->value.d.u = n == 4;
	}
	p->at += n;
	if (lex_peek(p, 0) != '(' || a->type != AST_NAME)
		return 0;
	a->type = AST_CALL;
	return parse_list(p, a);
}

static int parse_operand(struct parse *p, struct ast **ret)
{
	unsigned char c;
	uint32_t n;

	lex_blank(p);
	c = lex_peek(p, 0);
	if (c == '"' || c == '\'')
		return parse_string(p, ret);
	if (c == '(' || c == '[')
		return parse_paren(p, c == '(' ? ')' : ']', ret);
	if (literal_begins(p)) {
		*ret = node(p, AST_LITERAL, p->at);
		return *ret ? literal_parse(p, *ret) : -ENOMEM;
	}
	n = lex_field(p);
	if (n && (!lex_reserved(p->text + p->at, n) || lex_keyword(p, "true") ||
	                 lex_keyword(p, "false")))
		return parse_word(p, ret);
	return lex_unexpected(p, "a field, a value or '('");
}

/* "-5" is one literal. */
static bool negate(struct ast *a)
{
	struct weir_value *v = &a->value;

	if (a->type != AST_LITERAL)
		return false;
	if (v->kind == WEIR_U64 && v->d.u <= 1ull << 63) {
		v->kind = WEIR_I64;
		v->d.u = 0 - v->d.u;
	} else if (v->kind == WEIR_DURATION) {
		v->d.i = -v->d.i;
	} else if (v->kind == WEIR_F64) {
		v->d.f = -v->d.f;
	} else {
		return false;
	}
	return true;
}

static int parse_unary(struct parse *p, struct ast **ret)
{
	uint32_t pos;
	struct ast *kid;
	int rc;

	lex_blank(p);
	if (lex_peek(p, 0) != '-')
		return parse_operand(p, ret);
	pos = p->at;
	rc = lex_deeper(p);
	if (rc < 0)
		return rc;
	p->at++;
	rc = parse_unary(p, &kid);
	if (rc < 0)
		return rc;
	p->depth--;
	if (negate(kid)) {
		kid->len = kid->pos + kid->len - pos;
		kid->pos = pos;
		kid->text = lex_copy(p, pos, kid->len);
		kid->text_len = kid->len;
		*ret = kid;
		return kid->text ? 0 : -ENOMEM;
	}
	return unary(p, AST_OP_NEG, pos, kid, ret);
}

/* ---- operators ---- */

/* " -x" or " --long" where options may stand. */
static bool at_option(const struct parse *p)
{
	return p->dash && p->at > 0 && lex_is_blank((unsigned char)p->text[p->at - 1]) &&
	       (lex_is_letter(lex_peek(p, 1)) || lex_peek(p, 1) == '-');
}

/* The arithmetic operator at p->at and how tightly it binds; 0: none. */
static int arithmetic(const struct parse *p, enum ast_op *op)
{
	switch (lex_peek(p, 0)) {
	case '+':
		*op = AST_OP_ADD;
		return pipe_plus_ends(p) ? 0 : 1;
	case '-':
		*op = AST_OP_SUB;
		return at_option(p) ? 0 : 1;
	case '*':
		*op = AST_OP_MUL;
		return 2;
	case '/':
		*op = AST_OP_DIV;
		return 2;
	case '%':
		*op = AST_OP_MOD;
		return 2;
	default:
		return 0;
	}
}

static int parse_sum(struct parse *p, int least, struct ast **ret)
{
	struct ast *l, *r;
	enum ast_op op;
	int rc = parse_unary(p, &l), binds;

	if (rc < 0)
		return rc;
	for (;;) {
		lex_blank(p);
		binds = arithmetic(p, &op);
		if (!binds || binds < least)
			break;
		p->at++;
		rc = parse_sum(p, binds + 1, &r);
		if (rc < 0 || (rc = binary(p, op, l, r, &l)) < 0)
			return rc;
	}
	*ret = l;
	return 0;
}

static const struct {
	char text[5];
	uint8_t len;
	enum ast_op op;
} comparisons[] = {
        {"==", 2, AST_OP_EQ},
        {"!=", 2, AST_OP_NE},
        {"<>", 2, AST_OP_NE},
        {"<=", 2, AST_OP_LE},
        {">=", 2, AST_OP_GE},
        {"=", 1, AST_OP_EQ},
        {"<", 1, AST_OP_LT},
        {">", 1, AST_OP_GT},
        {"~", 1, AST_OP_MATCH},
};

/* Length of the comparison at p->at; 0: none. Words: like, in (then *in). */
static uint32_t comparison(const struct parse *p, enum ast_op *op, bool *in)
{
	*in = false;
	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
		if (p->end - p->at >= comparisons[i].len &&
		        memcmp(p->text + p->at, comparisons[i].text, comparisons[i].len) == 0) {
			*op = comparisons[i].op;
			return comparisons[i].len;
		}
	}
	if (lex_keyword(p, "like")) {
		*op = AST_OP_LIKE;
		return 4;
	}
	*in = lex_keyword(p, "in");
	return *in ? 2 : 0;
}

static int parse_in(struct parse *p, struct ast *l, struct ast **ret)
{
	struct ast *a = node(p, AST_IN, l->pos), *kid;
	int rc;

	if (!a || add_kid(p, a, l) < 0)
		return -ENOMEM;
	*ret = a;
	lex_blank(p);
	if (lex_peek(p, 0) == '(') {
		rc = parse_list(p, a);
		if (rc == 0 && a->nkids == 1)
			return weir_fail(p->err, WEIR_E_UNEXPECTED, p->at - 1, 1, ")", "a value");
		return rc;
	}
	rc = parse_sum(p, 1, &kid);
	if (rc < 0 || (rc = add_kid(p, a, kid)) < 0)
		return rc;
	a->len = kid->pos + kid->len - a->pos;
	return finish(p, a);
}

static int parse_compare(struct parse *p, struct ast **ret)
{
	struct ast *l, *r;
	enum ast_op op;
	bool in, negated;
	uint32_t n, at;
	int rc = parse_sum(p, 1, &l);

	if (rc < 0)
		return rc;
	lex_blank(p);
	*ret = l;
	at = p->at;
	negated = lex_keyword(p, "not");
	if (negated) {
		p->at += 3;
		lex_blank(p);
		if (!lex_keyword(p, "in") && !lex_keyword(p, "like")) {
			p->at = at;
			return 0;
		}
	}
	n = comparison(p, &op, &in);
	if (!n)
		return 0;
	p->at += n;
	if (in) {
		rc = parse_in(p, l, ret);
	} else {
		rc = parse_sum(p, 1, &r);
		rc = rc < 0 ? rc : binary(p, op, l, r, ret);
	}
	if (rc < 0)
		return rc;
	lex_blank(p);
	if (comparison(p, &op, &in))
		return lex_unexpected(p, "'and' or 'or' between comparisons");
	return negated ? unary(p, AST_OP_NOT, (*ret)->pos, *ret, ret) : 0;
}

static int parse_not(struct parse *p, struct ast **ret)
{
	uint32_t pos;
	struct ast *kid;
	int rc;

	lex_blank(p);
	pos = p->at;
	if (lex_peek(p, 0) == '!' && lex_peek(p, 1) != '=')
		p->at++;
	else if (lex_keyword(p, "not"))
		p->at += 3;
	else
		return parse_compare(p, ret);
	rc = lex_deeper(p);
	if (rc < 0 || (rc = parse_not(p, &kid)) < 0)
		return rc;
	p->depth--;
	return unary(p, AST_OP_NOT, pos, kid, ret);
}

/* The n operands of a chain as a balanced tree. */
static int balance(struct parse *p, enum ast_op op, struct ast **list, uint32_t n, struct ast **ret)
{
	struct ast *l, *r;
	int rc;

	if (n == 1) {
		*ret = list[0];
		return 0;
	}
	rc = balance(p, op, list, n / 2, &l);
	if (rc < 0 || (rc = balance(p, op, list + n / 2, n - n / 2, &r)) < 0)
		return rc;
	return binary(p, op, l, r, ret);
}

static int parse_chain(struct parse *p, const char *word, enum ast_op op,
        int (*operand)(struct parse *, struct ast **), struct ast **ret)
{
	struct ast *first, **list = NULL;
	uint32_t n = 0, len = (uint32_t)strlen(word);
	char sign = op == AST_OP_AND ? '&' : '|';
	int rc = operand(p, &first);

	while (rc == 0) {
		bool doubled;

		lex_blank(p);
		doubled = lex_peek(p, 0) == (unsigned char)sign &&
		          lex_peek(p, 1) == (unsigned char)sign;
		if (!doubled && !lex_keyword(p, word))
			break;
		p->at += doubled ? 2 : len;
		if (n == 0) {
			list = lex_more(p, NULL, 0, sizeof *list);
			if (!list)
				return -ENOMEM;
			list[n++] = first;
		}
		list = lex_more(p, list, n, sizeof *list);
		if (!list)
			return -ENOMEM;
		rc = operand(p, &list[n++]);
	}
	if (rc < 0)
		return rc;
	*ret = first;
	return n ? balance(p, op, list, n, ret) : 0;
}

static int parse_and(struct parse *p, struct ast **ret)
{
	return parse_chain(p, "and", AST_OP_AND, parse_not, ret);
}

static int parse_or(struct parse *p, struct ast **ret)
{
	return parse_chain(p, "or", AST_OP_OR, parse_and, ret);
}

int expr_parse(struct parse *p, struct ast **ret)
{
	return parse_or(p, ret);
}

int expr_parse_as(struct parse *p, struct ast **ret)
{
	int rc = parse_or(p, ret);
	uint32_t n;

	if (rc < 0)
		return rc;
	if (!(*ret)->text) { /* what a column is called that has no name */
		(*ret)->text = lex_copy(p, (*ret)->pos, (*ret)->len);
		(*ret)->text_len = (*ret)->len;
		if (!(*ret)->text)
			return -ENOMEM;
	}
	lex_blank(p);
	if (!lex_keyword(p, "as"))
		return 0;
	p->at += 2;
	lex_blank(p);
	n = lex_field(p);
	if (!n || lex_reserved(p->text + p->at, n))
		return lex_unexpected(p, "a name for the field");
	if (n > 64)
		return lex_fail_at(p, WEIR_E_BAD_NAME, p->at, n);
	(*ret)->as = lex_copy(p, p->at, n);
	p->at += n;
	return (*ret)->as ? 0 : -ENOMEM;
}
