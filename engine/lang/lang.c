/* SPDX-License-Identifier: MIT */
/* lang.c: a spec's way to its front end, and what is certainly wrong with the beginning of one.
 *
 * The text is checked once as a whole (length, UTF-8, no control characters), so that every front
 * end may trust it. A first line "#!NAME" picks the front end; "#!/path" is for the kernel, so
 * that a query can be an executable script, and a comment here. Without either the first front
 * end that claims the text has it, else it is a pipeline.
 */
#include "engine/lang/parse.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/core/plugin.h"

extern const struct lang_front_end *const __start_lang_front_ends[];
extern const struct lang_front_end *const __stop_lang_front_ends[];

bool lang_is_name(const char *s, size_t len)
{
	if (len == 0 || len > 64 || lex_reserved(s, (uint32_t)len))
		return false;
	if (!lex_is_alnum((unsigned char)s[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!lex_is_alnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '.')
			return false;
	return true;
}

/* Length of the UTF-8 character at s (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF), 0 where there is none. */
static size_t utf8_char(const unsigned char *s, size_t len)
{
	unsigned char c = s[0], low = 0x80, high = 0xbf;
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (n < 2)
		return n;
	if (n > len)
		return 0;
	low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static int check_text(const char *text, size_t len, struct weir_err *err)
{
	const unsigned char *s = (const unsigned char *)text;
	char buf[8];

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_char(s + i, len - i);
		if (n == 0)
			return weir_fail(err, WEIR_E_NOT_UTF8, (uint32_t)i, 1);
		if ((s[i] < 0x20 && !lex_is_blank(s[i])) || s[i] == 0x7f) {
			snprintf(buf, sizeof buf, "\\x%02x", s[i]);
			return weir_fail(err, WEIR_E_BAD_CHARACTER, (uint32_t)i, 1, buf);
		}
	}
	return 0;
}

static int pick(struct parse *p, const struct lang_front_end **ret)
{
	const struct lang_front_end *const *f;
	uint32_t begin, n;

	if (lex_peek(p, 0) == '#' && lex_peek(p, 1) == '!' && lex_peek(p, 2) != '/') {
		p->at += 2;
		while (lex_peek(p, 0) == ' ' || lex_peek(p, 0) == '\t')
			p->at++;
		begin = p->at;
		n = lex_name(p);
		p->at -= 2;
		for (f = __start_lang_front_ends; f < __stop_lang_front_ends; f++)
			if (strlen((*f)->name) == n && memcmp((*f)->name, p->text + begin, n) == 0)
				break;
		if (f == __stop_lang_front_ends)
			return lex_fail_at(p, WEIR_E_UNKNOWN_FRONT_END, begin, n);
		while (p->at < p->end && p->text[p->at] != '\n')
			p->at++;
		*ret = *f;
		return 0;
	}
	for (f = __start_lang_front_ends; f < __stop_lang_front_ends; f++)
		if ((*f)->claims && (*f)->claims(p->text, p->end, p->at)) {
			*ret = *f;
			return 0;
		}
	for (f = __start_lang_front_ends; strcmp((*f)->name, "pipe") != 0;)
		f++;
	*ret = *f;
	return 0;
}

static int parse(struct parse *p, const char *text, size_t len)
{
	const struct lang_front_end *front = NULL;
	int rc;

	if (len > SPEC_MAX)
		return weir_fail(p->err, WEIR_E_SPEC_TOO_LONG, WEIR_NOPOS, 0, "1 MiB");
	rc = check_text(text, len, p->err);
	if (rc < 0)
		return rc;
	p->spec = lex_alloc(p, sizeof *p->spec);
	if (!p->spec)
		return -ENOMEM;
	p->text = p->spec->text = arena_copy(p->arena, text, len);
	if (!p->text)
		return weir_fail(p->err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
	p->spec->text_len = p->len = p->end = (uint32_t)len;
	if (len >= 3 && memcmp(p->text, "\xef\xbb\xbf", 3) == 0)
		p->at = p->last = p->skipped = 3;
	rc = pick(p, &front);
	return rc < 0 ? rc : front->parse(p);
}

int lang_parse(
        const char *text, size_t len, struct arena *a, struct ast_spec **ret, struct weir_err *err)
{
	struct parse p = {.arena = a, .err = err};
	int rc = parse(&p, text, len);

	if (rc == 0)
		*ret = p.spec;
	return rc;
}

/* ---- certainly wrong ---- */

/* What a stage may be called: modules, then definitions. */
struct candidates {
	const struct ast_definition *next;
	bool defined; /* the modules are over */
};

static const char *candidate(void *arg, size_t i)
{
	struct candidates *c = arg;
	const struct weir_module *m = c->defined ? NULL : registry_module_at(i);
	const struct ast_definition *d = c->next;

	if (m)
		return m->name;
	c->defined = true;
	if (d)
		c->next = d->next;
	return d ? d->name : NULL;
}

void lang_stage_like(const struct ast_spec *spec, const char *name, char *hint, size_t size)
{
	struct candidates c = {.next = spec->definitions};

	weir_did_you_mean(name, strlen(name), candidate, &c, hint, size);
}

/* A stage behind the first can only be a module or a definition, and definitions stand first. */
static int check_stages(
        const struct ast_spec *spec, const struct ast_pipe *pipe, bool first, struct weir_err *err)
{
	char hint[320];
	int rc;

	for (const struct ast_stage *s = pipe->first; s; s = s->next, first = false) {
		for (uint32_t i = 0; i < s->nbranches; i++)
			if ((rc = check_stages(spec, s->branches[i], first, err)) < 0)
				return rc;
		if (first || s->type != AST_REF || ast_definition(spec, s->name, s->name_len))
			continue;
		if (!plugin_hint(s->name, hint, sizeof hint)[0])
			lang_stage_like(spec, s->name, hint, sizeof hint);
		return weir_fail(
		        err, WEIR_E_UNKNOWN_MODULE, s->name_pos, s->name_len, s->name, hint);
	}
	return 0;
}

int lang_certain(const char *text, size_t len, struct weir_err *err)
{
	const char *nl = memrchr(text, '\n', len);
	struct arena a;
	struct parse p = {.arena = &a, .err = err};
	struct weir_err mine = WEIR_ERR_INIT;
	int rc = 0;

	if (len <= SPEC_MAX && !nl)
		return 0;
	arena_init(&a, NULL);
	p.err = &mine;
	rc = parse(&p, text, len > SPEC_MAX ? len : (size_t)(nl - text) + 1);
	if (rc < 0 && p.open)
		rc = 0;
	else if (rc == 0)
		for (uint32_t i = 0; i < p.spec->nqueries && rc == 0; i++)
			rc = check_stages(p.spec, p.spec->queries[i], true, &mine);
	if (rc < 0 && err && err->id == WEIR_E_NONE)
		*err = mine;
	arena_release(&a);
	return rc;
}
