/* SPDX-License-Identifier: MIT */
/* plan_text.c: a plan for people (`plan`) and for Graphviz (`graph.dot`). */
#include "engine/core/plan.h"
#include "engine/core/stretch.h"

static void fields(const struct weir_schema *s, const uint64_t *needs, struct text *to)
{
	const char *comma = "";

	for (uint32_t f = 0; f < s->nfields; f++)
		if (bit_get(needs, f)) {
			text_printf(to, "%s%s", comma, s->fields[f].name);
			comma = ",";
		}
}

static const char *order(const struct plan_node *n)
{
	if (n->source)
		return "source";
	if (n->flags & WEIR_KEYED)
		return "keyed";
	return n->flags & WEIR_PARALLEL ? "parallel" : "serial";
}

/* The name of a channel that is not the only one: an option's, else its number. */
static void channel(const struct plan_node *n, uint32_t channel, const char *before,
        const char *behind, struct text *to)
{
	const struct weir_option *o = n->module ? n->module->options : NULL;

	if (!channel || n->nbodies == 1)
		return;
	text_puts(to, before);
	for (; o && o->type != WEIR_OPT_END; o++) {
		const struct weir_blocks *b =
		        (const struct weir_blocks *)((const char *)n->config + o->offset);

		if (o->type == WEIR_OPT_BLOCK && !(o->flags & WEIR_OPT_POSITIONAL) && b->n == 1 &&
		        b->first == channel) {
			text_puts(to, o->name);
			break;
		}
	}
	if (!o || o->type == WEIR_OPT_END)
		text_printf(to, "%u", channel);
	text_puts(to, behind);
}

static void put(const struct plan *p, const struct plan_graph *g, int indent,
        plan_counters *counters, void *arg, struct text *to)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];

		if (!n->source && !n->module)
			continue;
		text_printf(to, "%*s%u %s", indent, "", n->id, n->name);
		for (uint32_t k = 0; k < n->nins; k++) {
			text_puts(to, k ? "," : " <- ");
			text_printf(to, "%u", g->nodes[n->ins[k].node]->id);
			channel(g->nodes[n->ins[k].node], n->ins[k].channel, ":", "", to);
		}
		text_printf(to, "  [%s%s%s", order(n),
		        (n->flags & WEIR_BLOCKING) ? " blocking" : "", n->spills ? " spills" : "");
		if (n->pane && n->shares)
			text_printf(to, ", panes of %gs added up", (double)n->pane / 1e9);
		else if (n->pane)
			text_puts(to, ", a copy for each window");
		text_puts(to, "]");
		if (n->pos < p->text_len && n->len && n->module && n->source == NULL)
			text_printf(to, "  %.*s", (int)n->len, p->text + n->pos);
		text_puts(to, "  -> ");
		fields(n->out, n->needs, to);
		if (counters) {
			text_puts(to, "  {");
			counters(arg, n, to);
			text_puts(to, "}");
		}
		text_puts(to, "\n");
		for (uint32_t k = 0; k < n->nbodies; k++)
			put(p, &n->bodies[k], indent + 2, counters, arg, to);
	}
}

/* What worker threads make of it. */
static void stretches(const struct plan *p, struct text *to)
{
	static const char *const kinds[] = {"parallel", "keyed", "serial"};

	for (uint32_t i = 0; i < p->nstretches; i++) {
		const struct plan_stretch *s = &p->stretch[i];

		if (s->graph.n == 1)
			continue;
		text_printf(to, "stretch: %s", s->adds ? "added up" : kinds[s->kind]);
		for (uint32_t k = 0; k < s->nkeys; k++)
			text_printf(to, "%s%s", k ? "," : " by ",
			        stretch_entry(s)->out->fields[s->key[k]].name);
		text_puts(to, ":");
		for (uint32_t k = 1; k < s->graph.n; k++)
			text_printf(to, " %s", s->graph.nodes[k]->name);
		text_puts(to, "\n");
	}
}

/* Names the nodes that spill, all others keep what they keep in memory. How many there are. */
static uint32_t spillers(
        const struct plan *p, const struct plan_graph *g, const char *comma, struct text *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		if (g->nodes[i]->spills)
			text_printf(to, "%s %s", n++ ? "," : comma, g->nodes[i]->name);
		for (uint32_t k = 0; k < g->nodes[i]->nbodies; k++)
			n += spillers(p, &g->nodes[i]->bodies[k], n ? "," : comma, to);
	}
	return n;
}

void plan_text(const struct plan *p, plan_counters *counters, void *arg, struct text *to)
{
	static const char *const schedulers[] = {"auto", "depth", "breadth", "workers"};

	text_printf(to, "result: %s of ", p->table ? "table" : "log");
	for (uint32_t i = 0; i < p->nshown; i++)
		text_printf(to, "%s%s", i ? "," : "", p->out->fields[p->shown[i]].name);
	text_printf(to, "\nscheduler: %s\n", schedulers[p->set.scheduler]);
	if (p->set.spill) {
		text_printf(to, "spill: %s, at most %llu bytes, by", p->set.spill,
		        (unsigned long long)p->set.spill_size);
		text_puts(to, spillers(p, &p->root, "", to) ? "\n" : " no stage\n");
	}
	if ((p->set.threads > 1 && !p->nspills) || p->set.scheduler == PLAN_WORKERS)
		stretches(p, to);
	put(p, &p->root, 0, counters, arg, to);
}

static void dot(const struct plan_graph *g, plan_counters *counters, void *arg, struct text *to)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];

		text_printf(to, "\tn%u [label=\"%s", n->id, n->name);
		if (counters && (n->module || n->source)) {
			text_puts(to, "\\n");
			counters(arg, n, to);
		}
		text_printf(to, "\"%s];\n", n->source ? ", shape=box" : "");
		for (uint32_t k = 0; k < n->nins; k++) {
			text_printf(to, "\tn%u -> n%u", g->nodes[n->ins[k].node]->id, n->id);
			channel(g->nodes[n->ins[k].node], n->ins[k].channel, " [label=\"", "\"]",
			        to);
			text_puts(to, ";\n");
		}
		for (uint32_t k = 0; k < n->nbodies; k++) {
			const struct plan_graph *body = &n->bodies[k];

			text_printf(to, "\tsubgraph cluster%u {\n", body->nodes[0]->id);
			dot(body, counters, arg, to);
			text_puts(to, "\t}\n");
			text_printf(
			        to, "\tn%u -> n%u [style=dashed];\n", n->id, body->nodes[0]->id);
		}
	}
}

void plan_dot(const struct plan *p, plan_counters *counters, void *arg, struct text *to)
{
	text_puts(to, "digraph weir {\n\trankdir=LR;\n\tnode [shape=ellipse];\n");
	dot(&p->root, counters, arg, to);
	text_puts(to, "}\n");
}
