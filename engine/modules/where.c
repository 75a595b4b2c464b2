/* SPDX-License-Identifier: MIT */
/* where.c: records for which a condition holds. Narrows the selection, copies nothing. */
#include <weir/module.h>

struct config {
	struct weir_expr *condition;
	const char *prefilter;
};

static int where_bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	const struct weir_expr *e = c->condition;
	int r = weir_bind_prefilter(b, &e, 1, &c->prefilter);

	return r < 0 ? r : weir_bind_pass(b, err);
}

static int where_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	struct weir_batch *v = weir_view(n, b);
	uint16_t *rows = v ? weir_batch_sel(v, weir_batch_count(v)) : NULL;
	int k = rows ? weir_expr_select(c->condition, v, rows) : -ENOMEM;

	if (k <= 0) {
		weir_batch_unref(v);
		return k;
	}
	if ((uint32_t)k < weir_batch_count(v))
		weir_batch_select(v, rows, (uint32_t)k);
	return weir_emit(n, 0, v);
}

static const char *prefilter(const void *config)
{
	return ((const struct config *)config)->prefilter;
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_EXPR,
                .name = "condition",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED | WEIR_OPT_CONDITION,
                .offset = offsetof(struct config, condition),
                .arg = "EXPR",
                .doc = "what must hold"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(where) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "where",
        .summary = "records for which a condition holds",
        .doc = "The condition is made of fields, literals, = != < <= > >= in like ~ + - * / % and "
               "or not, and functions.\n"
               "\n"
               "A field alone holds where it is there, or, if it is true or false by itself "
               "(flags.syn), where it is true. A comparison with a field that is not there does "
               "not hold; 'not' of it does. 'in' takes a list in parentheses or a subnet; '=' "
               "between an address and a subnet means that it lies in it. A literal is read as "
               "the other side's kind: a word or a string as an address, a time, a duration or a "
               "protocol's name, a number beside a time as seconds. 'like' takes % and _, '~' a "
               "Perl regular expression.\n"
               "\n"
               "Integers divide to integers; a result that does not fit, or a division by zero, "
               "has no value. Time less time is a duration.\n"
               "\n"
               "On an interface all of whose queries begin with conditions on addresses, ports, "
               "protocols, lengths and TCP flags, the kernel drops most of what none of them "
               "would take; 'plan' says so.",
        .example = "packets | where ipprotocol = tcp and dstport in (80, 443) and srcip in "
                   "10.0.0.0/8 | print ts srcip dstip len | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .bind = where_bind,
        .process = where_process,
        .prefilter = prefilter,
};
