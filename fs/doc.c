/* SPDX-License-Identifier: MIT */
/* doc.c: the text of a descriptor: synopsis, help pages, schemas.
 *
 * Paragraphs of a `doc` are separated by empty lines and wrapped here; a line that begins with a
 * blank stands as it is.
 */
#include "fs/doc.h"
#include "engine/core/plugin.h"
#include "engine/core/registry.h"
#include "engine/expr/bind.h"
#include <string.h>

enum { WIDTH = 78 };

static const char *const type_arg[] = {
        [WEIR_OPT_U64] = "N",
        [WEIR_OPT_F64] = "X",
        [WEIR_OPT_SIZE] = "SIZE",
        [WEIR_OPT_DURATION] = "TIME",
        [WEIR_OPT_NAME] = "NAME",
        [WEIR_OPT_STRING] = "STRING",
        [WEIR_OPT_FILE] = "FILE",
        [WEIR_OPT_FILES] = "FILE",
        [WEIR_OPT_CHOICE] = "CHOICE",
        [WEIR_OPT_FIELD] = "FIELD",
        [WEIR_OPT_FIELDS] = "FIELD",
        [WEIR_OPT_EXPR] = "EXPR",
        [WEIR_OPT_ARGS] = "ARG",
        [WEIR_OPT_BLOCK] = "( STAGES )",
};

/* Appends words wrapped at WIDTH, `indent` blanks before each line but the first, which
 * starts at column `at`. Ends with a newline. */
static void wrap(struct text *to, const char *s, size_t n, size_t indent, size_t at)
{
	bool first = true;

	while (n) {
		size_t w = 0, cols = 0;

		while (n && (*s == ' ' || *s == '\n'))
			s++, n--;
		while (w < n && s[w] != ' ' && s[w] != '\n')
			cols += (s[w++] & 0xc0) != 0x80;
		if (!w)
			break;
		if (!first && at + 1 + cols > WIDTH) {
			text_printf(to, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			text_add(to, " ", 1);
			at++;
		}
		text_add(to, s, w);
		at += cols;
		first = false;
		s += w;
		n -= w;
	}
	text_add(to, "\n", 1);
}

/* The next paragraph or verbatim line of `doc`; false at the end. */
static bool paragraph(const char **doc, const char **ret, size_t *ret_len, bool *ret_verbatim)
{
	const char *s = *doc, *e;

	while (*s == '\n')
		s++;
	if (!*s)
		return false;
	*ret_verbatim = *s == ' ' || *s == '\t';
	for (e = s; *e; e++)
		if (*e == '\n' && (*ret_verbatim || e[1] == '\n' || e[1] == ' ' || e[1] == '\t'))
			break;
	*ret = s;
	*ret_len = (size_t)(e - s);
	*doc = e;
	return true;
}

static const char *option_arg(const struct weir_option *o)
{
	return o->arg ? o->arg : type_arg[o->type];
}

/* What stands behind the argument of a list, where it does not say so itself. */
static const char *dots(const struct weir_option *o)
{
	bool list = o->type == WEIR_OPT_FIELDS || o->type == WEIR_OPT_FILES ||
	            o->type == WEIR_OPT_ARGS || (o->type == WEIR_OPT_BLOCK && o->max > 1);

	return list && !strstr(option_arg(o), "…") ? "…" : "";
}

void doc_synopsis(const char *name, const struct weir_option *options, struct text *to)
{
	text_puts(to, name);
	for (int positional = 0; positional < 2; positional++) {
		for (const struct weir_option *o = options; o && o->type != WEIR_OPT_END; o++) {
			bool required = o->flags & WEIR_OPT_REQUIRED;

			if (!!(o->flags & WEIR_OPT_POSITIONAL) != positional)
				continue;
			text_puts(to, required ? " " : " [");
			if (!positional && o->letter)
				text_printf(to, "-%c", o->letter);
			else if (!positional)
				text_printf(to, "--%s", o->name);
			if (!positional && o->type != WEIR_OPT_FLAG)
				text_add(to, " ", 1);
			if (positional || o->type != WEIR_OPT_FLAG)
				text_puts(to, option_arg(o));
			if (positional)
				text_puts(to, dots(o));
			text_puts(to, required ? "" : "]");
		}
	}
}

/* "lines to pass (1 to 1000; 10)": the doc, the choices, the range, the preset. */
static void option_doc(const struct weir_option *o, struct text *to)
{
	const char *sep = " (";

	text_puts(to, o->doc ? o->doc : o->name);
	if (o->type == WEIR_OPT_CHOICE && o->choices) {
		for (const char *const *c = o->choices; *c; c++, sep = ", ")
			text_printf(to, "%s%s", sep, *c);
		sep = "; ";
	}
	if (o->type != WEIR_OPT_BLOCK && (o->min != 0 || o->max != 0)) {
		const char *unit = o->type == WEIR_OPT_DURATION ? " s"
		                   : o->type == WEIR_OPT_SIZE   ? " bytes"
		                                                : "";

		if (o->max >= 1e15 || o->max == 0)
			text_printf(to, "%sat least %.15g%s", sep, o->min, unit);
		else
			text_printf(to, "%s%.15g to %.15g%s", sep, o->min, o->max, unit);
		sep = "; ";
	}
	if (o->preset) {
		text_printf(to, "%sdefault %s", sep, o->preset);
		sep = "; ";
	}
	text_puts(to, *sep == ';' ? ")" : "");
}

static void option_head(const struct weir_option *o, struct text *to)
{
	if (o->flags & WEIR_OPT_POSITIONAL) {
		text_printf(to, "%s%s", option_arg(o), dots(o));
		return;
	}
	if (o->letter)
		text_printf(to, "-%c", o->letter);
	text_printf(to, "%s--%s", o->letter ? ", " : "", o->name);
	if (o->type != WEIR_OPT_FLAG)
		text_printf(to, " %s", option_arg(o));
}

static size_t columns(const struct text *t, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < t->len; i++)
		n += (t->p[i] & 0xc0) != 0x80;
	return n;
}

static void page(const char *name, const char *summary, const char *doc, const char *example,
        const struct weir_option *options, const char *rest, struct text *to)
{
	const char *s;
	size_t n;
	bool verbatim;

	text_printf(to, "%s: %s\n\nusage: ", name, summary);
	doc_synopsis(name, options, to);
	text_puts(to, "\n");
	while (doc && paragraph(&doc, &s, &n, &verbatim)) {
		text_add(to, "\n", 1);
		if (verbatim) {
			text_add(to, s, n);
			text_add(to, "\n", 1);
		} else {
			wrap(to, s, n, 0, 0);
		}
	}
	if (options && options->type != WEIR_OPT_END)
		text_puts(to, "\n");
	for (const struct weir_option *o = options; o && o->type != WEIR_OPT_END; o++) {
		struct text t = TEXT_INIT;
		size_t at = to->len, cols;

		text_puts(to, "  ");
		option_head(o, to);
		cols = columns(to, at);
		if (cols < 22)
			text_printf(to, "%*s", (int)(22 - cols), "");
		else
			text_printf(to, "\n%22s", "");
		option_doc(o, &t);
		if (t.p)
			wrap(to, t.p, t.len, 22, 22);
		text_release(&t);
	}
	if (rest && *rest)
		text_printf(to, "\n%s", rest);
	if (example)
		text_printf(to, "\nexample:\n  %s\n", example);
}

static bool takes_blocks(const struct weir_module *m)
{
	const struct weir_option *o = m->options;

	while (o && o->type != WEIR_OPT_END && o->type != WEIR_OPT_BLOCK)
		o++;
	return o && o->type == WEIR_OPT_BLOCK;
}

/* What the flags and counters say; a sentence a line. */
static void module_rest(const struct weir_module *m, struct text *to)
{
	if (m->flags & WEIR_BLOCKING)
		text_puts(to, "Answers at each refresh and at the end: the result is a table.\n");
	if (m->flags & WEIR_SCOPE)
		text_puts(
		        to, takes_blocks(m)
		                    ? "Runs any number of instances of the stages that it takes.\n"
		                    : "What stands behind it starts anew for each window.\n");
	if (m->flags & WEIR_ORDERED)
		text_puts(to, "Needs records in time order.\n");
	for (const char *const *c = m->counters; c && *c; c++)
		text_printf(to, "%s%s", c == m->counters ? "Counts in status: " : ", ", *c);
	if (m->counters && *m->counters)
		text_puts(to, "\n");
}

void doc_module(const struct weir_module *m, struct text *to)
{
	struct text rest = TEXT_INIT;

	module_rest(m, &rest);
	if (plugin_of(m))
		text_printf(&rest, "From the plug-in %s.\n", plugin_of(m)->path);
	page(m->name, m->summary, m->doc, m->example, m->options, rest.p, to);
	text_release(&rest);
}

void doc_source(const struct weir_source *s, struct text *to)
{
	page(s->name, s->summary, s->doc, s->example, s->options, NULL, to);
}

void doc_list(struct text *to)
{
	const struct weir_source *s;
	const struct weir_module *m;

	for (size_t i = 0; (s = registry_source_at(i)); i++)
		text_printf(to, "%-12s %s (source)\n", s->name, s->summary);
	for (size_t i = 0; (m = registry_module_at(i)); i++)
		text_printf(to, "%-12s %s\n", m->name, m->summary);
}

int doc_named(const char *name, struct text *to)
{
	const struct weir_module *m = registry_module(name, strlen(name));
	const struct weir_source *s = registry_source(name, strlen(name));

	if (!m && !s)
		return -ENOENT;
	if (m)
		doc_module(m, to);
	else
		doc_source(s, to);
	return 0;
}

struct weir_schema *doc_schema_at(size_t i)
{
	return i == 0 ? weir_packet_schema(6) : NULL;
}

void doc_schema(const struct weir_schema *s, struct text *to)
{
	text_printf(to, "%-14s %-9s %-8s %s\n", "field", "kind", "unit", "what it is");
	for (uint32_t i = 0; i < s->nfields; i++) {
		const struct weir_field *f = &s->fields[i];

		if (weir_schema_shadowed(s, i))
			continue;
		text_printf(to, "%-14s %-9s %-8s %s", f->name, weir_kind_name(f->kind),
		        f->unit ? f->unit : "", f->doc ? f->doc : "");
		if (f->aliases)
			text_printf(to, "%s(also: %s)", f->doc ? " " : "", f->aliases);
		while (to->len && to->p[to->len - 1] == ' ')
			to->p[--to->len] = 0;
		text_add(to, "\n", 1);
	}
}

/* ---- weir-modules(7) ---- */

/* Text for mdoc: no escapes, no line that looks like a macro, no hyphen that becomes a dash. */
static void roff(struct text *to, const char *s, size_t n)
{
	bool start = !to->len || to->p[to->len - 1] == '\n';

	for (size_t i = 0; i < n; i++, start = s[i - 1] == '\n') {
		if (start && (s[i] == '.' || s[i] == '\''))
			text_puts(to, "\\&");
		if (s[i] == '\\')
			text_puts(to, "\\e");
		else if (s[i] == '-')
			text_puts(to, "\\-");
		else
			text_add(to, &s[i], 1);
	}
}

/* Words as one line of text each sentence: mdoc wants a sentence to end a line. */
static void roff_text(struct text *to, const char *s, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		bool end = s[i] == ' ' && i && (s[i - 1] == '.' || s[i - 1] == '?') && i + 1 < n &&
		           s[i + 1] >= 'A' && s[i + 1] <= 'Z';

		if (s[i] != '\n' && !end)
			continue;
		roff(to, s + from, i - from);
		text_add(to, "\n", 1);
		for (from = i + 1; from < n && s[from] == ' ';)
			from++;
		i = from > i + 1 ? from - 1 : i;
	}
	if (from < n) {
		roff(to, s + from, n - from);
		text_add(to, "\n", 1);
	}
}

static void man_entry(const char *name, const char *summary, const char *doc, const char *example,
        const struct weir_option *options, const char *rest, struct text *to)
{
	struct text t = TEXT_INIT;
	const char *s;
	size_t n;
	bool verbatim;

	doc_synopsis(name, options, &t);
	text_printf(to, ".Ss %s: %s\n.Bd -literal\n", name, summary);
	if (t.p)
		roff(to, t.p, t.len);
	text_puts(to, "\n.Ed\n");
	text_release(&t);
	while (doc && paragraph(&doc, &s, &n, &verbatim)) {
		text_puts(to, verbatim ? ".Bd -literal\n" : ".Pp\n");
		if (verbatim) {
			roff(to, s, n);
			text_puts(to, "\n.Ed\n");
		} else {
			roff_text(to, s, n);
		}
	}
	if (options && options->type != WEIR_OPT_END)
		text_puts(to, ".Bl -tag -width Ds\n");
	for (const struct weir_option *o = options; o && o->type != WEIR_OPT_END; o++) {
		option_head(o, &t);
		text_puts(to, ".It ");
		if (t.p)
			roff(to, t.p, t.len);
		text_puts(to, "\n");
		text_clear(&t);
		option_doc(o, &t);
		if (t.p)
			roff_text(to, t.p, t.len);
		text_clear(&t);
	}
	if (options && options->type != WEIR_OPT_END)
		text_puts(to, ".El\n");
	if (rest && *rest) {
		text_puts(to, ".Pp\n");
		roff_text(to, rest, strlen(rest));
	}
	if (example) {
		text_puts(to, ".Pp\nExample:\n.Bd -literal\n");
		roff(to, example, strlen(example));
		text_puts(to, "\n.Ed\n");
	}
	text_release(&t);
}

/* Functions and conversions of expressions, one line each. */
static void man_expressions(struct text *to)
{
	struct expr_doc d;

	text_puts(to, ".Sh FUNCTIONS\nIn expressions:\n.Bl -tag -width Ds -compact\n");
	for (size_t i = 0; expr_function_doc(i, &d); i++) {
		text_puts(to, ".It Li \"");
		roff(to, d.name, strlen(d.name));
		text_puts(to, "\"\n");
		roff_text(to, d.doc, strlen(d.doc));
	}
	text_puts(to, ".El\n.Sh CONVERSIONS\n"
	              "Behind a field's name, by its kind:\n.Bl -tag -width Ds -compact\n");
	for (size_t i = 0; expr_conversion_doc(i, &d); i++) {
		text_printf(to, ".It Li .%s No of %s\n", d.name, d.of);
		roff_text(to, d.doc, strlen(d.doc));
	}
	text_puts(to, ".El\n");
}

void doc_man(struct text *to)
{
	const struct weir_source *s;
	const struct weir_module *m;

	text_puts(to,
	        ".\\\" SPDX-License-Identifier: MIT\n"
	        ".\\\" generated from the modules' descriptors (make pages)\n"
	        ".Dd November 21, 2026\n.Dt WEIR-MODULES 7\n.Os weir\n.Sh NAME\n.Nm weir-modules\n"
	        ".Nd sources and modules of weir queries\n.Sh DESCRIPTION\n"
	        "The stages that a query can be made of; see\n.Xr weir-query 7 .\n"
	        "The same pages stand in\n.Pa modules/\nof a mounted tree and come from\n"
	        ".Ql weir modules NAME .\n.Sh SOURCES\n");
	for (size_t i = 0; (s = registry_source_at(i)); i++)
		man_entry(s->name, s->summary, s->doc, s->example, s->options, NULL, to);
	text_puts(to, ".Sh MODULES\n");
	for (size_t i = 0; (m = registry_module_at(i)); i++) {
		struct text rest = TEXT_INIT;

		module_rest(m, &rest);
		man_entry(m->name, m->summary, m->doc, m->example, m->options, rest.p, to);
		text_release(&rest);
	}
	man_expressions(to);
	text_puts(to, ".Sh SEE ALSO\n.Xr weir 1 ,\n.Xr weir-module 3 ,\n.Xr weir 5 ,\n"
	              ".Xr weir-query 7\n");
}
