/* SPDX-License-Identifier: MIT */
/* prefilter.c: see prefilter.h. */
#include "engine/core/prefilter.h"

#include <weir/module.h>

const char *prefilter_of(const struct plan_graph *g, const struct plan_node *n)
{
	const struct plan_node *first;

	if (n->ntargets != 1 || g->nodes[g->last] == n)
		return NULL;
	first = g->nodes[n->targets[0].node];
	return first->module && first->module->prefilter ? first->module->prefilter(first->config)
	                                                 : NULL;
}

void prefilters_add(struct prefilters *p, const char *text)
{
	if (p->n && !p->text[0])
		return;
	for (uint32_t i = 0; text && i < p->n; i++)
		if (strcmp(p->text[i], text) == 0)
			return;
	if (!text || p->n == PREFILTERS_MAX) {
		p->n = 1;
		p->text[0] = NULL;
	} else {
		p->text[p->n++] = text;
	}
}

void prefilters_text(const struct prefilters *p, struct text *to)
{
	if (!p->n || !p->text[0])
		text_puts(to, p->n ? "everything" : "nothing");
	for (uint32_t i = 0; i < p->n && p->text[0]; i++)
		text_printf(to, "%s(%s)", i ? " or " : "", p->text[i]);
}
