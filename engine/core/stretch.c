/* SPDX-License-Identifier: MIT */
/* stretch.c: see stretch.h. */
#include "engine/core/stretch.h"

#include <stdlib.h>

#include "engine/core/planner.h"

#define STRETCHES_MAX 16

struct cutting {
	struct planner *pl;
	const struct plan_graph *root;
	uint32_t source;                   /* node of the root */
	uint32_t chain[PLAN_NODES_MAX], n; /* nodes behind it, in order */
	/* field of the node at hand -> of the stretch's input; the same of the last that is in it
	 */
	int32_t map[WEIR_FIELDS_MAX], taken[WEIR_FIELDS_MAX];
	uint32_t less[WEIR_FIELDS_MAX];
};

static const struct plan_node *at(const struct cutting *c, uint32_t i)
{
	return c->root->nodes[c->chain[i]];
}

/* ---- the chain ---- */

static const struct weir_fields *keys_of(const struct plan_node *n)
{
	return (const void *)((const char *)n->config + n->module->keys_offset);
}

static bool is_keyed(const struct plan_node *n)
{
	if (!(n->flags & WEIR_KEYED) || (n->flags & (WEIR_EFFECT | WEIR_SCOPE)) || !keys_of(n)->n)
		return false;
	return n->flags & WEIR_BLOCKING ? n->module->begin != NULL : (n->flags & WEIR_VIEWS) != 0;
}

static bool has(const uint32_t *fields, uint32_t n, uint32_t field)
{
	for (uint32_t i = 0; i < n; i++)
		if (fields[i] == field)
			return true;
	return false;
}

static bool is_key(const struct plan_node *n, uint32_t field)
{
	return is_keyed(n) && has(keys_of(n)->index, keys_of(n)->n, field);
}

/* The only consumer of node i, at its only input; -1: there is none such. */
static int consumer(const struct plan_graph *g, uint32_t i)
{
	const struct plan_node *n = g->nodes[i];
	const struct plan_target *t = n->targets;

	if (n->ntargets != 1 || t->channel || g->nodes[t->node]->nins != 1 ||
	        g->nodes[t->node]->ins[0].map)
		return -1;
	return (int)t->node;
}

/* Whether all that node i emits on leaves by its first channel. */
static bool has_one_channel(const struct plan_node *n)
{
	for (uint32_t k = 0; k < n->ntargets; k++)
		if (n->targets[k].channel)
			return false;
	return true;
}

/* False: there is more than one source, or none. */
static bool find_chain(struct cutting *c)
{
	uint32_t sources = 0, i;

	for (i = 0; i < c->root->n; i++)
		if (c->root->nodes[i]->source) {
			c->source = i;
			sources++;
		}
	if (sources != 1)
		return false;
	for (i = c->source; i != c->root->last;) {
		int next = consumer(c->root, i);
		const struct plan_node *n = next < 0 ? NULL : c->root->nodes[next];

		if (!n || n->nbodies || !has_one_channel(n) ||
		        (!planner_is_parallel(n) && !is_keyed(n)))
			break;
		c->chain[c->n++] = i = (uint32_t)next;
		if (n->flags & WEIR_BLOCKING)
			break;
	}
	return true;
}

/* ---- a key for all ---- */

static void map_start(struct cutting *c)
{
	for (int32_t f = 0; f < WEIR_FIELDS_MAX; f++)
		c->map[f] = f;
}

static void map_through(struct cutting *c, const struct plan_node *n)
{
	int32_t next[WEIR_FIELDS_MAX];

	for (uint32_t f = 0; f < n->out->nfields; f++)
		next[f] = n->origin && n->origin[f] >= 0 ? c->map[n->origin[f]] : -1;
	memcpy(c->map, next, n->out->nfields * sizeof *next);
}

/* The key of node n in fields of the stretch's input: those that are in `of` too, if that is not
 * NULL. Their number. */
static uint32_t common(const struct cutting *c, const struct plan_node *n, const uint32_t *of,
        uint32_t nof, uint32_t *ret)
{
	const struct weir_fields *k = keys_of(n);
	uint32_t m = 0;

	for (uint32_t i = 0; i < k->n; i++) {
		int32_t f = c->map[k->index[i]];
		bool in = f >= 0 && !of;

		for (uint32_t j = 0; j < nof && f >= 0; j++)
			in |= of[j] == (uint32_t)f;
		for (uint32_t j = 0; j < m; j++)
			in &= ret[j] != (uint32_t)f;
		if (in)
			ret[m++] = (uint32_t)f;
	}
	return m;
}

/* ---- graphs ---- */

/* Begins a stretch behind node `from` of the root, with room for n nodes besides the entry. */
static struct plan_stretch *begin(
        struct cutting *c, enum stretch_kind kind, const struct plan_node *from, uint32_t n)
{
	struct plan *p = c->pl->p;
	struct plan_stretch *s = &p->stretch[p->nstretches];
	struct plan_node *entry = arena_alloc(&p->arena, sizeof *entry);

	*s = (struct plan_stretch){.kind = kind};
	s->graph.nodes = arena_alloc(&p->arena, (n + 1) * sizeof *s->graph.nodes);
	if (!entry || !s->graph.nodes)
		return NULL;
	*entry = (struct plan_node){.id = p->nnodes++,
	        .name = "entry",
	        .in = from->outside,
	        .out = from->outside,
	        .outside = from->outside,
	        .needs = from->needs};
	s->graph.cap = n + 1;
	s->graph.nodes[s->graph.n++] = entry;
	p->nstretches++;
	return s;
}

static struct plan_node *append(
        struct cutting *c, struct plan_stretch *s, const struct plan_node *n)
{
	struct plan_node *copy = arena_alloc(&c->pl->p->arena, sizeof *copy);

	if (!copy)
		return NULL;
	*copy = *n;
	copy->ins = arena_alloc(&c->pl->p->arena, (n->nins + 1) * sizeof *copy->ins);
	if (!copy->ins)
		return NULL;
	memcpy(copy->ins, n->ins, n->nins * sizeof *copy->ins);
	s->graph.last = s->graph.n;
	s->graph.nodes[s->graph.n++] = copy;
	return copy;
}

/* Nodes first … last - 1 of the chain as a stretch. */
static struct plan_stretch *take(
        struct cutting *c, enum stretch_kind kind, uint32_t first, uint32_t last)
{
	const struct plan_node *from = first ? at(c, first - 1) : c->root->nodes[c->source];
	struct plan_stretch *s = begin(c, kind, from, last - first);

	for (uint32_t i = first; s && i < last; i++) {
		struct plan_node *n = append(c, s, at(c, i));

		if (!n)
			return NULL;
		n->ins[0].node = i - first;
	}
	return s && planner_targets(c->pl, &s->graph) < 0 ? NULL : s;
}

/* The key of the first node. */
static int find_lead(struct cutting *c, struct plan_stretch *s, uint32_t first)
{
	const struct weir_fields *k = keys_of(at(c, first));
	uint32_t *lead = arena_alloc(&c->pl->p->arena, k->n * sizeof *lead);

	if (!lead)
		return -ENOMEM;
	for (uint32_t i = 0; i < k->n; i++)
		lead[i] = k->index[i];
	s->lead = lead;
	s->nlead = k->n;
	s->lead_nulls = at(c, first)->flags & WEIR_NULLS;
	return 0;
}

static bool is_address(const struct weir_schema *s, uint32_t field)
{
	return weir_storage_of(s->fields[field].kind) == WEIR_ADDR;
}

/* What the nodes of the chain read of the input, and what goes on of it behind them, but not the
 * keys of the stretch's nodes, which are packed as a rule: a column that one of them wants
 * nevertheless it gets when it asks. Nor addresses in keys of stretches to come: most of the
 * records have left by then. */
static int find_fill(struct cutting *c, struct plan_stretch *s, uint32_t first, uint32_t end)
{
	const struct plan_node *last = at(c, c->n - 1);
	uint64_t *fill = planner_bits(c->pl, stretch_entry(s)->out);

	if (!fill)
		return -ENOMEM;
	map_start(c);
	for (uint32_t i = first; i < c->n; i++) {
		const struct plan_node *n = at(c, i);

		for (uint32_t f = 0; f < n->in->nfields; f++)
			if (bit_get(n->uses, f) && c->map[f] >= 0 &&
			        !(is_key(n, f) && (i < end || is_address(n->in, f))))
				bit_set(fill, (uint32_t)c->map[f]);
		map_through(c, n);
	}
	for (uint32_t f = 0; f < last->out->nfields; f++)
		if (bit_get(last->needs, f) && c->map[f] >= 0 &&
		        (!(last->flags & WEIR_BLOCKING) ||
		                !is_key(last, (uint32_t)last->origin[f])))
			bit_set(fill, (uint32_t)c->map[f]);
	s->fill = fill;
	return find_lead(c, s, first);
}

/* The keyed nodes from `first` on that one key serves: it, and where they end. alike: only those
 * whose key is the same. */
static uint32_t serve(struct cutting *c, uint32_t first, bool alike, uint32_t *key, uint32_t *nkeys)
{
	uint32_t end = first + 1;

	map_start(c);
	*nkeys = common(c, at(c, first), NULL, 0, key);
	map_through(c, at(c, first));
	memcpy(c->taken, c->map, sizeof c->taken);
	for (uint32_t i = end; i < c->n; i++) {
		if (is_keyed(at(c, i))) {
			uint32_t n = common(c, at(c, i), key, *nkeys, c->less);

			if (!n || (alike && (n != *nkeys || n != keys_of(at(c, i))->n)))
				break;
			memcpy(key, c->less, n * sizeof *key);
			*nkeys = n;
			end = i + 1;
		} else if (!(at(c, i)->flags & WEIR_VIEWS)) {
			break;
		}
		map_through(c, at(c, i));
		if (end == i + 1)
			memcpy(c->taken, c->map, sizeof c->taken);
	}
	return end;
}

static bool are_tables(const struct cutting *c, uint32_t first, uint32_t end)
{
	bool are = true;

	for (uint32_t i = first; i < end; i++)
		are &= !is_keyed(at(c, i)) || (at(c, i)->flags & WEIR_SPILLS);
	return are;
}

/* The next keyed stretch, which begins with node `first`. Its end, or -ENOMEM. */
static int take_keyed(struct cutting *c, uint32_t first)
{
	struct arena *a = &c->pl->p->arena;
	uint32_t *key = arena_alloc(a, keys_of(at(c, first))->n * sizeof *key);
	uint32_t end, nkeys, nout;
	struct plan_stretch *s;
	bool tables;
	int32_t *map;

	if (!key)
		return -ENOMEM;
	end = serve(c, first, false, key, &nkeys);
	tables = are_tables(c, first, end);
	if (tables && c->pl->p->set.threads <= STRETCH_PAIR)
		end = serve(c, first, true, key, &nkeys);
	nout = at(c, end - 1)->out->nfields;
	map = arena_alloc(a, (nout + 1) * sizeof *map);
	s = take(c, STRETCH_KEYED, first, end);
	if (!s || !map)
		return -ENOMEM;
	memcpy(map, c->taken, nout * sizeof *map);
	s->blocking = at(c, end - 1)->flags & WEIR_BLOCKING;
	s->adds = end == first + 1 && s->blocking && (at(c, first)->flags & WEIR_ADDS) &&
	          !(at(c, first)->flags & WEIR_GROWS);
	s->tables = tables;
	s->key = key;
	s->nkeys = nkeys;
	s->map = map;
	return find_fill(c, s, first, end) < 0 ? -ENOMEM : (int)end;
}

/* What several queries may share: the nodes at the beginning that any thread may run. */
static int find_lead_nodes(struct cutting *c)
{
	uint32_t *lead = arena_alloc(&c->pl->p->arena, (c->n + 1) * sizeof *lead), n = 0;

	if (!lead)
		return -ENOMEM;
	while (n < c->n && planner_is_parallel(at(c, n)) && (at(c, n)->flags & WEIR_VIEWS)) {
		lead[n] = c->chain[n];
		n++;
	}
	c->pl->p->source = c->source;
	c->pl->p->lead = lead;
	c->pl->p->nlead = n;
	return 0;
}

/* What is not in stretches yet, the first `taken` of the chain being so. */
static int take_rest(struct cutting *c, uint32_t taken)
{
	uint32_t from = taken ? c->chain[taken - 1] : c->source;
	uint32_t *place = arena_alloc(&c->pl->p->arena, c->root->n * sizeof *place);
	struct plan_stretch *s = begin(c, STRETCH_SERIAL, c->root->nodes[from], c->root->n);

	if (!place || !s)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->root->n; i++) {
		bool gone = i == c->source;
		struct plan_node *n;

		for (uint32_t k = 0; k < taken; k++)
			gone |= c->chain[k] == i;
		if (gone)
			continue;
		place[i] = s->graph.n;
		n = append(c, s, c->root->nodes[i]);
		if (!n)
			return -ENOMEM;
		for (uint32_t k = 0; k < n->nins; k++)
			n->ins[k].node = n->ins[k].node == from ? 0 : place[n->ins[k].node];
	}
	s->graph.last = c->root->last == from ? 0 : place[c->root->last];
	return planner_targets(c->pl, &s->graph);
}

static int cut(struct cutting *c, struct plan *p)
{
	uint32_t i = 0;

	if (!find_chain(c))
		return 0;
	if (find_lead_nodes(c) < 0)
		return -ENOMEM;
	while (i < c->n && p->nstretches < STRETCHES_MAX - 2) {
		uint32_t end = i;
		int r;

		while (end < c->n && planner_is_parallel(at(c, end)))
			end++;
		if (end > i && !take(c, STRETCH_PARALLEL, i, end))
			return -ENOMEM;
		i = end;
		if (i == c->n)
			break;
		r = take_keyed(c, i);
		if (r < 0)
			return r;
		i = (uint32_t)r;
	}
	return take_rest(c, i);
}

int planner_stretches(struct planner *pl)
{
	struct plan *p = pl->p;
	struct cutting *c = malloc(sizeof *c); /* more than all the rest of a small plan */
	int r = -ENOMEM;

	p->stretch = arena_alloc(&p->arena, STRETCHES_MAX * sizeof *p->stretch);
	if (c && p->stretch) {
		*c = (struct cutting){.pl = pl, .root = &p->root};
		r = cut(c, p);
	}
	free(c);
	return r;
}
