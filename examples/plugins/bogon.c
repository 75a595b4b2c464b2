/* SPDX-License-Identifier: MIT */
/* bogon.c: names addresses that have no business on the Internet.
 *
 *   $ weir run -M . 'packets | bogon srcip -m only | count srcip bogon | last srcip bogon'
 * trace.pcap
 *
 * An example of a module with callbacks, outside weir's own source. Read it from the bottom up: the
 * descriptor says what the module is, the option table what it takes, bind what comes out, process
 * what it does with a batch. It keeps nothing between batches, so it is WEIR_PARALLEL.
 *
 * The blocks are those of the IANA special-purpose address registries (RFC 6890) that are not
 * globally reachable, and multicast, which is never a source (RFC 1112, RFC 4291).
 */
#include <weir/module.h>

enum { MARK, DROP, ONLY };

struct config {
	const char *name; /* of the annotation */
	uint32_t field;   /* the address, a field of the input */
	uint32_t mode;
	uint32_t out; /* the annotation, a field of the output */
};

struct block {
	uint8_t bits;
	uint8_t b[16];
	const char *name;
};

/* The first that holds the address counts. */
static const struct block blocks4[] = {
        {8, {0}, "this-network"},
        {8, {10}, "private"},
        {10, {100, 64}, "shared"},
        {8, {127}, "loopback"},
        {16, {169, 254}, "link-local"},
        {12, {172, 16}, "private"},
        {24, {192, 0, 0}, "protocol"},
        {24, {192, 0, 2}, "documentation"},
        {16, {192, 168}, "private"},
        {15, {198, 18}, "benchmark"},
        {24, {198, 51, 100}, "documentation"},
        {24, {203, 0, 113}, "documentation"},
        {4, {224}, "multicast"},
        {32, {255, 255, 255, 255}, "broadcast"},
        {4, {240}, "reserved"},
        {0, {0}, NULL},
};

static const struct block blocks6[] = {
        {128, {0}, "unspecified"},
        {128, {[15] = 1}, "loopback"},
        {96, {[10] = 0xff, 0xff}, "mapped"},
        {48, {0, 0x64, 0xff, 0x9b, 0, 1}, "translation"},
        {64, {1}, "discard"},
        {48, {0x20, 1, 0, 2}, "benchmark"},
        {32, {0x20, 1, 0x0d, 0xb8}, "documentation"},
        {20, {0x3f, 0xff}, "documentation"},
        {7, {0xfc}, "private"},
        {10, {0xfe, 0x80}, "link-local"},
        {8, {0xff}, "multicast"},
        {0, {0}, NULL},
};

static const char *name_of(const struct weir_ip *ip)
{
	const struct block *k = ip->family == 4 ? blocks4 : blocks6;

	for (; k->name; k++) {
		unsigned whole = k->bits / 8, rest = k->bits % 8;

		if (memcmp(ip->b, k->b, whole) == 0 &&
		        (!rest || !((ip->b[whole] ^ k->b[whole]) >> (8 - rest))))
			return k->name;
	}
	return NULL;
}

static const char *const modes[] = {"mark", "drop", "only", NULL};

static const struct weir_option options[] = {
        {.type = WEIR_OPT_FIELD,
                .name = "field",
                .flags = WEIR_OPT_POSITIONAL,
                .offset = offsetof(struct config, field),
                .preset = "srcip",
                .doc = "the address to look at"},
        {.type = WEIR_OPT_CHOICE,
                .name = "mode",
                .letter = 'm',
                .offset = offsetof(struct config, mode),
                .preset = "mark",
                .choices = modes,
                .doc = "what becomes of the records"},
        {.type = WEIR_OPT_NAME,
                .name = "name",
                .letter = 'f',
                .offset = offsetof(struct config, name),
                .preset = "bogon",
                .doc = "the name of the field that is added"},
        WEIR_OPTIONS_END,
};

static int bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	int r;

	if (c->field == UINT32_MAX) /* the preset is no field of these records */
		return weir_bind_find(b, "srcip", err);
	if (b->in->fields[c->field].kind != WEIR_IP) {
		weir_bind_blame(b, &c->field, 0);
		return weir_fail(err, WEIR_E_KIND_MISMATCH, b->pos, b->len, "bogon",
		        weir_kind_article(WEIR_IP), b->in->fields[c->field].name,
		        weir_kind_article(b->in->fields[c->field].kind));
	}
	r = weir_bind_pass(b, err);
	if (r == 0)
		r = weir_bind_add(b,
		        &(struct weir_field){.name = c->name,
		                .kind = WEIR_STR,
		                .flags = WEIR_FIELD_DEFAULT,
		                .doc = "the special-purpose block that the address is in"},
		        err);
	c->out = (uint32_t)r;
	return r < 0 ? r : 0;
}

static int process(struct weir_node *n, uint32_t input, struct weir_batch *b)
{
	const struct config *c = n->config;
	const struct weir_col *ips = weir_batch_col(b, c->field);
	struct weir_batch *out = weir_view(n, b);
	struct weir_col *names = out ? weir_batch_own(out, c->out) : NULL;
	uint64_t *valid = names ? weir_batch_own_valid(out, names) : NULL;
	uint16_t *rows = valid ? weir_batch_sel(out, weir_batch_count(b)) : NULL;
	uint32_t kept = 0;

	(void)input;
	if (!rows || !ips) {
		weir_batch_unref(out);
		return -ENOMEM;
	}
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t row = weir_batch_row(b, k);
		const char *name = weir_col_has(ips, row) ? name_of(&weir_col_ip(ips)[row]) : NULL;

		if (name) {
			((struct weir_str *)names->data)[row] =
			        (struct weir_str){(const uint8_t *)name, strlen(name)};
			weir_valid_set(valid, row);
		}
		if (c->mode == MARK || (c->mode == ONLY) == !!name)
			rows[kept++] = (uint16_t)row;
	}
	weir_batch_select(out, rows, kept);
	return weir_emit(n, 0, out);
}

WEIR_MODULE(bogon) = {
        .abi = WEIR_ABI,
        .flags = WEIR_PARALLEL | WEIR_VIEWS,
        .name = "bogon",
        .summary = "name addresses that have no business on the Internet",
        .doc = "Adds the name of the special-purpose block (RFC 6890) that an address is in: "
               "private, shared, loopback, link-local, documentation, benchmark, multicast, "
               "reserved and so on. Other addresses get nothing.\n\n"
               "With '-m drop' records with such an address are dropped, with '-m only' the "
               "others are. On an uplink both should be rare.",
        .example = "packets | bogon dstip -m only | count bogon | last bogon | print bogon count",
        .options = options,
        .config_size = sizeof(struct config),
        .bind = bind,
        .process = process,
};
