/* SPDX-License-Identifier: MIT */
/* filter.c: records that meet all of several criteria, as SMACQ's module of that name.
 *
 * `filter srcmac=00:01:02:03:04:05 srcport=80`; a criterion may be any condition; -b adds one in
 * the language of tcpdump, run over the packet's bytes. --then and --else are where the records
 * that do and that do not go to.
 */
#include "engine/proto/bpf.h"
#include <weir/module.h>

struct config {
	struct weir_args criteria;
	const char *bpf, *prefilter;
	bool invert;
	struct weir_blocks then, otherwise;
	int32_t packet, linktype, len; /* input fields for -b; len may be -1 */
};

struct state {
	struct bpf *bpf;
};

static int filter_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	const struct weir_expr **all;
	char why[200];
	int r;

	if (!c->criteria.n && !c->bpf)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, b->pos, b->len, "filter",
		        "a criterion or -b");
	if (c->then.n)
		weir_bind_blocks_only(b);
	if (c->then.n || c->otherwise.n)
		weir_bind_flags(b, WEIR_PARALLEL);
	all = weir_bind_alloc(b, (c->criteria.n + 1) * sizeof *all);
	for (uint32_t i = 0; all && i < c->criteria.n; i++)
		all[i] = c->criteria.arg[i].expr;
	c->prefilter = c->bpf;
	r = all ? weir_bind_prefilter(b, all, c->criteria.n, &c->prefilter) : -ENOMEM;
	if (r < 0)
		return r;
	if (!c->bpf)
		return weir_bind_pass(b, err);
	c->packet = -1;
	for (uint32_t f = 0; f < b->in->nfields; f++)
		if (b->in->fields[f].flags & WEIR_FIELD_PACKET)
			c->packet = (int32_t)f;
	c->linktype = weir_schema_find(b->in, "linktype", 8);
	c->len = weir_schema_find(b->in, "len", 3);
	if (c->packet < 0 || c->linktype < 0 || b->in->fields[c->linktype].kind != WEIR_U64)
		return weir_fail(err, WEIR_E_NO_PACKETS, b->pos, b->len, "filter -b");
	if (c->len >= 0 && b->in->fields[c->len].kind != WEIR_U64)
		c->len = -1;
	r = bpf_check(c->bpf, why, sizeof why);
	if (r < 0 && r != -ENOMEM) {
		weir_bind_blame(b, &c->bpf, 0);
		return weir_fail(err, WEIR_E_BAD_BPF, b->pos, b->len, why);
	}
	if (r < 0)
		return r;
	weir_bind_use(b, (uint32_t)c->packet);
	weir_bind_use(b, (uint32_t)c->linktype);
	if (c->len >= 0)
		weir_bind_use(b, (uint32_t)c->len);
	return weir_bind_pass(b, err);
}

static int filter_open(struct weir_node *n, struct weir_err *err)
{
	const struct config *c = n->config;
	struct state *s = n->state;

	if (!c->bpf)
		return 0;
	s->bpf = bpf_new(c->bpf);
	return s->bpf ? 0 : weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, "");
}

static void filter_close(struct weir_node *n)
{
	struct state *s = n->state;

	bpf_free(s->bpf);
}

static int select_bpf(struct weir_node *n, struct weir_batch *v, uint16_t *rows)
{
	const struct config *c = n->config;
	struct state *s = n->state;
	uint32_t k = weir_batch_count(v);
	const struct weir_col *packet = weir_batch_col(v, (uint32_t)c->packet);
	const struct weir_col *linktype = weir_batch_col(v, (uint32_t)c->linktype);
	const struct weir_col *len = c->len >= 0 ? weir_batch_col(v, (uint32_t)c->len) : NULL;

	if (!packet || !linktype || (c->len >= 0 && !len))
		return -ENOMEM;
	for (uint32_t i = 0; i < k; i++)
		rows[i] = (uint16_t)weir_batch_row(v, i);
	return bpf_select(s->bpf, packet, linktype, len, rows, k, rows, &n->counters[0]);
}

/* The rows of v that are not in the ascending rows[0..k), written behind it. */
static uint32_t without(const struct weir_batch *v, uint16_t *rows, uint32_t k)
{
	uint32_t total = weir_batch_count(v), at = 0, out = k;

	for (uint32_t i = 0; i < total; i++) {
		uint32_t row = weir_batch_row(v, i);

		if (at < k && rows[at] == row)
			at++;
		else
			rows[out++] = (uint16_t)row;
	}
	return out - k;
}

/* Narrows v to the rows for which everything holds. Their number or -errno. */
static int select_all(struct weir_node *n, struct weir_batch *v, uint16_t *rows)
{
	const struct config *c = n->config;
	int k = (int)weir_batch_count(v);

	for (uint32_t i = 0; k > 0 && i < c->criteria.n; i++) {
		k = weir_expr_select(c->criteria.arg[i].expr, v, rows);
		if (k >= 0)
			weir_batch_select(v, rows, (uint32_t)k);
	}
	if (k > 0 && c->bpf) {
		k = select_bpf(n, v, rows);
		if (k >= 0)
			weir_batch_select(v, rows, (uint32_t)k);
	}
	return k;
}

/* Emits a view of b with rows[0..k). */
static int emit_rows(struct weir_node *n, uint32_t channel, struct weir_batch *b,
        const uint16_t *rows, uint32_t k)
{
	struct weir_batch *v = k ? weir_view(n, b) : NULL;
	uint16_t *sel = v ? weir_batch_sel(v, k) : NULL;

	if (!sel) {
		weir_batch_unref(v);
		return k ? -ENOMEM : 0;
	}
	memcpy(sel, rows, k * sizeof *sel);
	weir_batch_select(v, sel, k);
	return weir_emit(n, channel, v);
}

static int filter_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct weir_batch *v = weir_view(n, b);
	uint32_t total = weir_batch_count(b), others = 0;
	uint16_t *rows = v ? weir_batch_sel(v, total) : NULL;
	uint32_t yes = c->then.n ? c->then.first : 0, no = c->otherwise.first;
	uint16_t rest[WEIR_BATCH_ROWS];
	int k = rows ? select_all(n, v, rows) : -ENOMEM, r;

	if (k >= 0 && (c->invert || c->otherwise.n)) {
		if (!k)
			weir_batch_select(v, rows, 0);
		others = without(b, rows, (uint32_t)k);
		memcpy(rest, rows + k, others * sizeof *rest);
	}
	if (k < 0) {
		weir_batch_unref(v);
		return k;
	}
	if (!c->invert) {
		r = weir_emit(n, yes, v);
		return r < 0 || !c->otherwise.n ? r : emit_rows(n, no, b, rest, others);
	}
	r = emit_rows(n, yes, b, rest, others);
	if (r < 0 || !c->otherwise.n) {
		weir_batch_unref(v);
		return r;
	}
	return weir_emit(n, no, v);
}

static const char *prefilter(const void *config)
{
	const struct config *c = config;

	return c->invert || c->otherwise.n ? NULL : c->prefilter;
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_STRING,
                .name = "bpf",
                .letter = 'b',
                .offset = offsetof(struct config, bpf),
                .arg = "'BPF'",
                .doc = "a filter of tcpdump's language over the packet, see pcap-filter(7)"},
        {.type = WEIR_OPT_FLAG,
                .name = "invert",
                .letter = 'v',
                .offset = offsetof(struct config, invert),
                .doc = "pass what does not meet them all"},
        {.type = WEIR_OPT_ARGS,
                .name = "criteria",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_CONDITION,
                .offset = offsetof(struct config, criteria),
                .arg = "FIELD=VALUE…",
                .doc = "what must hold, all of it; any conditions"},
        {.type = WEIR_OPT_BLOCK,
                .name = "then",
                .offset = offsetof(struct config, then),
                .doc = "stages for the records that meet them all"},
        {.type = WEIR_OPT_BLOCK,
                .name = "else",
                .offset = offsetof(struct config, otherwise),
                .doc = "stages for the records that do not"},
        WEIR_OPTIONS_END,
};

static const char *const counters[] = {"unknown link type", NULL};

WEIR_MODULE(filter) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "filter",
        .summary = "records that meet all criteria",
        .doc = "Passes on the records for which every criterion holds: field=value, or any "
               "condition "
               "as 'where' takes it.\n"
               "\n"
               "-b takes an expression of tcpdump's filter language besides, compiled by libpcap "
               "for each link type that occurs; a packet of a link type that it does not compile "
               "for does not match and is counted. Host and network names are not looked up: "
               "write addresses. On an interface all of whose queries begin with filters, or "
               "conditions "
               "on addresses, ports, protocols, lengths and TCP flags, the kernel drops most of "
               "what none of them would take; 'plan' says so.\n"
               "\n"
               "With --else the records that do not meet the criteria are not dropped but go "
               "through its stages; those of --then are for the others. What both leave is one "
               "stream again, as that of '( a + b )'.",
        .example = "packets | filter ipprotocol=tcp dstport=80 | print srcip dstip len | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .state_size = sizeof(struct state),
        .counters = counters,
        .bind = filter_bind,
        .open = filter_open,
        .process = filter_process,
        .close = filter_close,
        .prefilter = prefilter,
};
