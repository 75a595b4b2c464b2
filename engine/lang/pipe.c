/* SPDX-License-Identifier: MIT */
/* pipe.c: names, settings, definitions, pipelines: the pipe language's own front end.
 *
 *   spec       = [ name ":" ] { setting | definition } query { ";" { setting | definition } query }
 *   setting    = "set" key [ "=" ] value
 *   definition = name ":-" pipe          ends at ';' or with its line
 *   query, pipe = stage { "|" stage }
 *   stage      = name args [ "where" expr ] | "where" expr
 *              | block [ "where" expr ]
 *   block      = "(" pipe { "+" pipe } ")"     in args: of a module that takes stages
 *
 * Whether a first stage is a source is the planner's to say: names of the mount's sources are not
 * known here. `outputs "from" inputs …` is the production that parse_query() will choose between:
 * "from", "until" and "having" are reserved for it and end a stage's arguments already.
 *
 * A definition's last line is the first that is not continued: outside parentheses, neither
 * ending in one of | , + = < > ~ ( [ or of the words and or not in like where, nor followed by a
 * line that begins with '|', '+', ')' or one of the words where and or. A ';' ends it too.
 *
 * Why by hand: the words of a stage are read as the option table of its module says, which a
 * generated grammar could only do by steering its scanner at every step.
 */
#include "engine/lang/parse.h"

#include <strings.h>

static int parse_pipe(struct parse *p, struct ast_pipe **ret);

/* ---- definitions ---- */

static bool is_defined(const struct parse *p, const char *name, uint32_t len)
{
	return ast_definition(p->spec, name, len) != NULL;
}

bool pipe_plus_ends(const struct parse *p)
{
	struct parse ahead = *p;
	const char *name;
	uint32_t n;

	if (p->plus != PLUS_STAGE)
		return p->plus == PLUS_BRANCH;
	ahead.at++;
	lex_blank(&ahead);
	if (lex_keyword(&ahead, "where") || lex_keyword(&ahead, "packets") ||
	        lex_keyword(&ahead, "flows"))
		return true;
	n = lex_name(&ahead);
	name = p->text + ahead.at;
	return n &&
	       (registry_module(name, n) || registry_source(name, n) || is_defined(p, name, n));
}

/* Whether the word that ends just before `i` says that the line goes on. */
static bool goes_on_behind(const struct parse *p, uint32_t begin, uint32_t i)
{
	static const char *const words[] = {"and", "or", "not", "in", "like", "where", NULL};
	uint32_t n = 0;

	if (i > begin && strchr("|,+=<>~([", p->text[i - 1]))
		return true;
	while (i > begin + n && lex_is_alnum((unsigned char)p->text[i - n - 1]))
		n++;
	for (int w = 0; words[w]; w++)
		if (strlen(words[w]) == n && strncasecmp(words[w], p->text + i - n, n) == 0)
			return true;
	return false;
}

static bool goes_on_at(const struct parse *p)
{
	unsigned char c = lex_peek(p, 0);

	return c == '|' || c == '+' || c == ')' || lex_keyword(p, "where") ||
	       lex_keyword(p, "and") || lex_keyword(p, "or");
}

/* Where the definition whose pipe begins at p->at ends, by the rule at the top. */
static uint32_t definition_end(const struct parse *p)
{
	struct parse s = *p;
	uint32_t begin = p->at, depth = 0;

	while (s.at < s.end) {
		uint32_t was = s.at, behind;
		unsigned char c;

		lex_blank(&s);
		behind = s.last > begin ? s.last : begin;
		if (depth == 0 && s.at > was && memchr(p->text + was, '\n', s.at - was) &&
		        behind > begin && !goes_on_behind(p, begin, behind) && !goes_on_at(&s))
			return behind;
		c = lex_peek(&s, 0);
		if (c == ';' && depth == 0)
			return s.at;
		if (c == '"' || c == '\'') {
			for (s.at++; s.at < s.end && s.text[s.at] != '\n' &&
			             (unsigned char)s.text[s.at] != c;
			        s.at++)
				s.at += c == '"' && s.text[s.at] == '\\' && s.at + 1 < s.end &&
				        s.text[s.at + 1] != '\n';
			s.at += s.at < s.end && s.text[s.at] != '\n';
			continue;
		}
		depth += c == '(';
		depth -= c == ')' && depth > 0;
		s.at += lex_word(&s) ? lex_word(&s) : s.at < s.end;
	}
	return s.end;
}

/* ---- stages ---- */

static int parse_where(struct parse *p, struct ast **ret)
{
	p->at += strlen("where");
	p->plus = p->branch ? PLUS_STAGE : PLUS_SUM;
	return expr_parse(p, ret);
}

/* "( a + b )"; the branches see '+' as their end, what they hold in parentheses does not. */
static int parse_branches(struct parse *p, struct ast_stage *s)
{
	uint32_t open = p->at;
	bool branch = p->branch;
	int rc = lex_deeper(p);

	if (rc < 0)
		return rc;
	s->type = AST_BRANCHES;
	p->branch = true;
	do {
		struct ast_pipe **more = lex_more(p, s->branches, s->nbranches, sizeof *more);

		p->at++;
		if (!more)
			return -ENOMEM;
		s->branches = more;
		rc = parse_pipe(p, &s->branches[s->nbranches]);
		if (rc < 0)
			return rc;
		s->nbranches++;
		lex_blank(p);
	} while (lex_peek(p, 0) == '+');
	if (lex_peek(p, 0) != ')')
		return lex_unclosed(p, open, "'|', '+' or ')'");
	p->at++;
	p->depth--;
	p->branch = branch;
	p->plus = branch ? PLUS_STAGE : PLUS_SUM;
	return 0;
}

int pipe_block(struct parse *p, struct ast_stage **ret)
{
	struct ast_stage *s = lex_alloc(p, sizeof *s);
	int rc;

	if (!s)
		return -ENOMEM;
	s->name = "( … )";
	s->pos = p->at;
	rc = parse_branches(p, s);
	if (rc < 0)
		return rc;
	lex_blank(p);
	s->len = p->last - s->pos;
	*ret = s;
	return 0;
}

static int parse_named(struct parse *p, struct ast_stage *s)
{
	uint32_t n = lex_name(p);
	const char *name = p->text + p->at;

	s->name = lex_copy(p, p->at, n);
	if (!s->name)
		return -ENOMEM;
	s->name_pos = p->at;
	s->name_len = n;
	p->at += n;
	s->type = AST_REF;
	if (is_defined(p, name, n))
		return args_parse(p, s, NULL);
	s->module = registry_module(name, n);
	if (s->module) {
		s->type = AST_MODULE;
		return args_parse(p, s, s->module->options);
	}
	s->source = registry_source(name, n);
	if (s->source) {
		s->type = AST_SOURCE;
		return args_parse(p, s, s->source->options);
	}
	return args_parse(p, s, NULL);
}

static int parse_stage(struct parse *p, bool first, struct ast_stage **ret)
{
	struct ast_stage *s = lex_alloc(p, sizeof *s);
	int rc;

	if (!s)
		return -ENOMEM;
	lex_blank(p);
	s->pos = p->at;
	if (lex_keyword(p, "where")) {
		s->type = AST_WHERE;
		s->name = "where";
		s->name_pos = p->at;
		s->name_len = strlen("where");
		rc = parse_where(p, &s->where);
	} else if (lex_peek(p, 0) == '(') {
		rc = parse_branches(p, s);
	} else if (lex_is_alnum(lex_peek(p, 0)) && !lex_reserved(p->text + p->at, lex_name(p))) {
		rc = parse_named(p, s);
	} else {
		return lex_unexpected(p, first ? "a source" : "a module, 'where' or '('");
	}
	if (rc < 0)
		return rc;
	lex_blank(p);
	if (s->type != AST_WHERE && lex_keyword(p, "where")) {
		rc = parse_where(p, &s->where);
		if (rc < 0)
			return rc;
		lex_blank(p);
	}
	s->len = p->last - s->pos;
	*ret = s;
	return 0;
}

static int parse_pipe(struct parse *p, struct ast_pipe **ret)
{
	struct ast_pipe *pipe = lex_alloc(p, sizeof *pipe);
	struct ast_stage **next;
	int rc;

	if (!pipe)
		return -ENOMEM;
	lex_blank(p);
	pipe->pos = p->at;
	next = &pipe->first;
	for (bool first = !p->branch;; first = false) {
		rc = parse_stage(p, first, next);
		if (rc < 0)
			return rc;
		next = &(*next)->next;
		if (lex_peek(p, 0) != '|')
			break;
		p->at++;
	}
	pipe->len = p->last - pipe->pos;
	*ret = pipe;
	return 0;
}

/* ---- the spec ---- */

static int check_name(struct parse *p, uint32_t pos, uint32_t n)
{
	const char *s = p->text + pos;

	if (!lang_is_name(s, n))
		return lex_fail_at(
		        p, lex_reserved(s, n) ? WEIR_E_RESERVED_NAME : WEIR_E_BAD_NAME, pos, n);
	return 0;
}

static int parse_name(struct parse *p, uint32_t n)
{
	const char *s = p->text + p->at;
	int rc = check_name(p, p->at, n);

	if (rc < 0)
		return rc;
	if ((n == 3 && memcmp(s, "new", 3) == 0) || (n == 6 && memcmp(s, "errors", 6) == 0))
		return lex_fail_at(p, WEIR_E_RESERVED_NAME, p->at, n);
	p->spec->name = lex_copy(p, p->at, n);
	p->spec->name_pos = p->at;
	p->spec->name_len = n;
	p->at += n;
	lex_blank(p);
	p->at++; /* the colon */
	return p->spec->name ? 0 : -ENOMEM;
}

static int parse_setting(struct parse *p)
{
	struct ast_setting *s = lex_alloc(p, sizeof *s);
	uint32_t n, len;
	unsigned char c;

	if (!s)
		return -ENOMEM;
	p->at += strlen("set");
	lex_blank(p);
	n = lex_name(p);
	if (!n)
		return lex_unexpected(p, "the name of a setting");
	s->pos = p->at;
	s->len = n;
	s->key = lex_copy(p, p->at, n);
	p->at += n;
	lex_blank(p);
	if (lex_peek(p, 0) == '=') {
		p->at++;
		lex_blank(p);
	}
	s->value_pos = p->at;
	c = lex_peek(p, 0);
	n = lex_word(p);
	if (c == '"' || c == '\'') {
		int rc = lex_string(p, &s->value, &len);

		if (rc < 0)
			return rc;
	} else if (n) {
		s->value = lex_copy(p, p->at, n);
		p->at += n;
	} else {
		return lex_unexpected(p, "a value");
	}
	s->value_len = p->at - s->value_pos;
	if (s->key && strcmp(s->key, "spill") == 0) {
		lex_blank(p);
		s->size_pos = p->at;
		s->size_len = lex_word(p);
		if (!s->size_len)
			return lex_unexpected(p, "a size behind the folder");
		s->size = lex_copy(p, p->at, s->size_len);
		if (!s->size)
			return -ENOMEM;
		p->at += s->size_len;
	}
	*p->next_setting = s;
	p->next_setting = &s->next;
	return s->key && s->value ? 0 : -ENOMEM;
}

static int parse_definition(struct parse *p, uint32_t n)
{
	struct ast_definition *d = lex_alloc(p, sizeof *d);
	const char *s = p->text + p->at;
	uint32_t end = p->end;
	int rc = check_name(p, p->at, n);

	if (!d)
		return -ENOMEM;
	if (rc < 0)
		return rc;
	if (p->spec->ndefinitions == DEFINITIONS_MAX)
		return weir_fail(p->err, WEIR_E_TOO_MANY_DEFINITIONS, p->at, n, "10000");
	if (is_defined(p, s, n))
		return lex_fail_at(p, WEIR_E_DEFINED_TWICE, p->at, n);
	if (registry_module(s, n) || registry_source(s, n) || lex_keyword(p, "packets") ||
	        lex_keyword(p, "flows"))
		return lex_fail_at(p, WEIR_E_RESERVED_NAME, p->at, n);
	d->pos = p->at;
	d->len = n;
	d->name = lex_copy(p, p->at, n);
	if (!d->name)
		return -ENOMEM;
	p->at += n;
	lex_blank(p);
	p->at += 2; /* ":-" */
	lex_blank(p);
	p->end = definition_end(p);
	rc = parse_pipe(p, &d->pipe);
	lex_blank(p);
	if (rc == 0 && p->at < p->end)
		rc = lex_unexpected(p, "'|' or the end of the definition");
	if (rc < 0)
		return rc;
	p->end = end;
	lex_blank(p);
	if (lex_peek(p, 0) == ';')
		p->at++;
	return definition_add(p, d);
}

/* Length of what stands before a ':' (or ":-": *definition) where a name may stand; 0: no name
 * does. It may be a bad one. */
static uint32_t named(const struct parse *p, bool *definition)
{
	struct parse s = *p;
	uint32_t n = 0;
	unsigned char c;

	while ((c = lex_peek(&s, n)) && !lex_is_blank(c) && !strchr("|;(),\"':", c))
		n++;
	s.at += n;
	lex_blank(&s);
	*definition = lex_peek(&s, 1) == '-';
	return n && lex_peek(&s, 0) == ':' ? n : 0;
}

/* Names, settings and definitions before a query. */
static int parse_preamble(struct parse *p)
{
	for (;;) {
		bool definition;
		uint32_t n;
		int rc;

		lex_blank(p);
		n = named(p, &definition);
		if (n && definition)
			rc = parse_definition(p, n);
		else if (n && !p->spec->name && p->spec->nqueries == 0)
			rc = parse_name(p, n);
		else if (lex_keyword(p, "set"))
			rc = parse_setting(p);
		else
			return 0;
		if (rc < 0)
			return rc;
	}
}

static int parse_query(struct parse *p, struct ast_pipe **ret)
{
	int rc = parse_pipe(p, ret);

	if (rc < 0)
		return rc;
	if (!lex_at_end(p) && lex_peek(p, 0) != ';')
		return lex_unexpected(p, "'|', ';' or the end of the query");
	return 0;
}

int pipe_parse(struct parse *p)
{
	struct ast_spec *spec = p->spec;
	int rc;

	p->next_setting = &spec->settings;
	for (;;) {
		struct ast_pipe **more;

		rc = parse_preamble(p);
		if (rc < 0)
			return rc;
		if (lex_at_end(p) && spec->nqueries)
			return 0; /* behind a last ';' */
		if (lex_at_end(p) && !spec->name && !spec->settings && !spec->definitions) {
			p->open = true;
			return weir_fail(p->err, WEIR_E_SPEC_EMPTY, WEIR_NOPOS, 0);
		}
		more = lex_more(p, spec->queries, spec->nqueries, sizeof *more);
		if (!more)
			return -ENOMEM;
		spec->queries = more;
		rc = parse_query(p, &spec->queries[spec->nqueries]);
		if (rc < 0)
			return rc;
		spec->nqueries++;
		if (lex_at_end(p))
			return 0;
		p->at++; /* ';' */
	}
}

LANG_FRONT_END(pipe){
        .name = "pipe",
        .parse = pipe_parse,
};
