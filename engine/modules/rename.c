/* SPDX-License-Identifier: MIT */
/* rename.c: other names for fields. Nothing is copied. */
#include <weir/module.h>

#include <string.h>

struct config {
	struct weir_args args;
};

struct pairs {
	uint32_t n;
	struct pair {
		uint32_t field;
		const char *name;
		uint32_t pos, len;
	} at[];
};

static int add_pair(struct pairs *p, const struct weir_arg *field, const char *name, uint32_t pos,
        uint32_t len, struct weir_err *err)
{
	if (field->word)
		return weir_fail(
		        err, WEIR_E_UNKNOWN_FIELD, field->pos, field->len, field->word, "");
	if (field->field < 0)
		return weir_fail(err, WEIR_E_BAD_VALUE, field->pos, field->len,
		        field->text ? field->text : "expression", "rename", "a field");
	if (!name)
		return weir_fail(err, WEIR_E_BAD_VALUE, pos, len, "expression", "rename", "a name");
	for (uint32_t i = 0; i < p->n; i++)
		if (p->at[i].field == (uint32_t)field->field)
			return weir_fail(
			        err, WEIR_E_UNKNOWN_FIELD, field->pos, field->len, field->text, "");
	p->at[p->n++] = (struct pair){(uint32_t)field->field, name, pos, len};
	return 0;
}

static bool goes(const struct pairs *p, uint32_t field)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->at[i].field == field)
			return true;
	return false;
}

/* All at once, so that two fields can change names; a name must be free then. */
static int rename_all(struct weir_bind *b, const struct pairs *p, struct weir_err *err)
{
	int r = weir_bind_pass(b, err);

	for (uint32_t i = 0; i < p->n && r >= 0; i++) {
		const struct pair *to = &p->at[i];

		for (uint32_t f = 0; f < b->in->nfields; f++)
			if (strcmp(b->in->fields[f].name, to->name) == 0 && !goes(p, f))
				return weir_fail_no(
				        err, EINVAL, WEIR_E_NAME_TAKEN, to->pos, to->len, to->name);
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(p->at[k].name, to->name) == 0)
				return weir_fail_no(
				        err, EINVAL, WEIR_E_NAME_TAKEN, to->pos, to->len, to->name);
		r = weir_bind_rename(b, to->field, to->name, err);
	}
	return r < 0 ? r : 0;
}

static int rename_bind(struct weir_bind *b, struct weir_err *err)
{
	const struct config *c = b->config;
	struct pairs *p = weir_bind_alloc(b, sizeof *p + c->args.n * sizeof *p->at);
	int r = p ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < c->args.n && r == 0; i++) {
		const struct weir_arg *a = &c->args.arg[i], *to = a + 1;

		if (a->as) {
			r = add_pair(p, a, a->as, a->pos, a->len, err);
			continue;
		}
		if (++i == c->args.n)
			return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, "rename",
			        "a new name for each field");
		r = add_pair(p, a,
		        to->word         ? to->word
		        : to->field >= 0 ? to->text
		                         : NULL,
		        to->pos, to->len, err);
	}
	return r < 0 ? r : rename_all(b, p, err);
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
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "rename",
        .summary = "give fields other names",
        .doc = "Renames fields; their values and places stay. Behind it only the new name is "
               "known. Two fields may change names.",
        .example = "packets | rename srcip client, dstip as server | print client server | head 5",
        .options = options,
        .config_size = sizeof(struct config),
        .bind = rename_bind,
        .process = rename_process,
};
