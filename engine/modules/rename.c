/* SPDX-License-Identifier: MIT */
/* rename.c: other names for fields. Nothing is copied. */
#include <weir/module.h>

struct config {
	struct weir_args args;
};

static int rename_one(struct weir_bind *b, const struct weir_arg *field, const char *name,
        uint32_t pos, uint32_t len, struct weir_err *err)
{
	if (field->word)
		return weir_fail(
		        err, WEIR_E_UNKNOWN_FIELD, field->pos, field->len, field->word, "");
	if (field->field < 0)
		return weir_fail(err, WEIR_E_BAD_VALUE, field->pos, field->len,
		        field->text ? field->text : "expression", "rename", "a field");
	if (!name)
		return weir_fail(err, WEIR_E_BAD_VALUE, pos, len, "expression", "rename", "a name");
	return weir_bind_rename(b, (uint32_t)field->field, name, err);
}

static int rename_bind(struct weir_bind *b, struct weir_err *err)
{
	const struct config *c = b->config;
	int r = weir_bind_pass(b, err);

	for (uint32_t i = 0; i < c->args.n && r >= 0; i++) {
		const struct weir_arg *a = &c->args.arg[i], *to = a + 1;

		if (a->as) {
			r = rename_one(b, a, a->as, a->pos, a->len, err);
			continue;
		}
		if (++i == c->args.n)
			return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, "rename",
			        "a new name for each field");
		r = rename_one(b, a,
		        to->word         ? to->word
		        : to->field >= 0 ? to->text
		                         : NULL,
		        to->pos, to->len, err);
	}
	return r < 0 ? r : 0;
}

static int rename_process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	struct weir_batch *v = weir_view(n, b);

	return v ? weir_emit(n, 0, v) : -ENOMEM;
}

static const struct weir_option options[] = {
        {.type = WEIR_OPT_ARGS,
                .name = "names",
                .flags = WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                .offset = offsetof(struct config, args),
                .arg = "FIELD NAME…",
                .doc = "a field and its new name, or 'FIELD as NAME'; any number of pairs"},
        WEIR_OPTIONS_END,
};

WEIR_MODULE(rename) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL,
        .name = "rename",
        .summary = "give fields other names",
        .doc = "Renames fields; their values and places stay. Behind it only the new name is "
               "known.",
        .example = "packets | rename srcip client, dstip as server | print client server | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .bind = rename_bind,
        .process = rename_process,
};
