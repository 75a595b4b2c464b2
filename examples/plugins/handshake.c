/* SPDX-License-Identifier: MIT */
/* handshake.c: how TCP connections began: how long, how often asked, refused or never answered.
 *
 *   $ weir run -M . 'packets | where ipprotocol = 6 | split flowid ( handshake )' trace.pcap
 *
 * An example of a module that is one loop (weir/loop.h). It reads the packets of one connection,
 * and says what it waits for in the order in which it happens: a SYN, its answer, the
 * acknowledgement (RFC 9293, 3.5). With callbacks each of these lines would be a state, and each
 * local variable a member of it. There is one instance for each connection at a time, and each
 * keeps its place in the loop.
 */
#include <weir/loop.h>

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* Fields of the input. */
struct config {
	uint32_t ts, srcip, dstip, srcport, dstport, flags, seq, ack;
};

/* Fields of the output. */
enum {
	O_TS,
	O_CLIENT,
	O_CLIENTPORT,
	O_SERVER,
	O_SERVERPORT,
	O_OUTCOME,
	O_RETRIES,
	O_ANSWER,
	O_RTT
};

/* One attempt to connect. */
struct attempt {
	int64_t asked, first, answered; /* times of the last SYN, the first one, its answer */
	uint32_t seq, retries;
	uint16_t port; /* the client's */
	struct weir_ip client;
};

static bool has_flags(const struct weir_loop *l, uint64_t want, uint64_t mask)
{
	const struct config *c = l->config;

	return weir_loop_has(l, c->flags) && (weir_loop_u64(l, c->flags) & mask) == want;
}

static bool from_client(const struct weir_loop *l, const struct attempt *a)
{
	const struct config *c = l->config;
	struct weir_ip ip = weir_loop_ip(l, c->srcip);

	return weir_ip_equal(&ip, &a->client) && weir_loop_u64(l, c->srcport) == a->port;
}

/* Begins the record of an attempt at the first SYN; the rest is set when it is known. */
static void ask(struct weir_loop *l, struct attempt *a)
{
	const struct config *c = l->config;

	*a = (struct attempt){.asked = weir_loop_i64(l, c->ts),
	        .first = weir_loop_i64(l, c->ts),
	        .seq = (uint32_t)weir_loop_u64(l, c->seq),
	        .port = (uint16_t)weir_loop_u64(l, c->srcport),
	        .client = weir_loop_ip(l, c->srcip)};
}

static void set_text(struct weir_loop *l, uint32_t field, const char *text)
{
	weir_loop_set_str(l, field, (struct weir_str){(const uint8_t *)text, strlen(text)});
}

/* The record of an attempt. */
static void report(struct weir_loop *l, const struct attempt *a, const struct weir_ip *server,
        uint16_t port, const char *outcome)
{
	weir_loop_make(l);
	weir_loop_set_i64(l, O_TS, a->first);
	weir_loop_set_ip(l, O_CLIENT, a->client);
	weir_loop_set_u64(l, O_CLIENTPORT, a->port);
	weir_loop_set_ip(l, O_SERVER, *server);
	weir_loop_set_u64(l, O_SERVERPORT, port);
	set_text(l, O_OUTCOME, outcome);
	weir_loop_set_u64(l, O_RETRIES, a->retries);
	if (a->answered)
		weir_loop_set_i64(l, O_ANSWER, a->answered - a->asked);
}

/* Whether the record is the server's answer to the attempt: SYN and ACK, or RST and ACK. */
static bool is_answer(const struct weir_loop *l, const struct attempt *a)
{
	const struct config *c = l->config;

	return has_flags(l, ACK, ACK) && !from_client(l, a) &&
	       (has_flags(l, SYN, SYN) || has_flags(l, RST, RST)) &&
	       (uint32_t)weir_loop_u64(l, c->ack) == a->seq + 1;
}

static int run(struct weir_loop *l)
{
	const struct config *c = l->config;
	struct attempt a;
	int got;

	while ((got = weir_loop_next(l)) > 0) {
		struct weir_ip server;
		uint16_t port;

		if (!has_flags(l, SYN, SYN | ACK | RST))
			continue;
		ask(l, &a);
		server = weir_loop_ip(l, c->dstip);
		port = (uint16_t)weir_loop_u64(l, c->dstport);

		/* the answer; the client may ask again meanwhile */
		while ((got = weir_loop_next(l)) > 0 && !is_answer(l, &a))
			if (has_flags(l, SYN, SYN | ACK) && from_client(l, &a)) {
				a.asked = weir_loop_i64(l, c->ts);
				a.seq = (uint32_t)weir_loop_u64(l, c->seq);
				a.retries++;
			}
		if (got <= 0) {
			if (got == WEIR_LOOP_END)
				report(l, &a, &server, port, "unanswered");
			break;
		}
		a.answered = weir_loop_i64(l, c->ts);
		if (has_flags(l, RST, RST)) {
			report(l, &a, &server, port, "refused");
			continue;
		}

		/* the acknowledgement */
		while ((got = weir_loop_next(l)) > 0 &&
		        !(from_client(l, &a) && has_flags(l, ACK, ACK | SYN)))
			;
		if (got < 0)
			break;
		report(l, &a, &server, port, got ? "established" : "half-open");
		if (got == 0)
			break;
		weir_loop_set_i64(l, O_RTT, weir_loop_i64(l, c->ts) - a.asked);
	}
	return got;
}

static int find(struct weir_bind *b, const char *name, uint32_t *to, struct weir_err *err)
{
	int f = weir_bind_find(b, name, err);

	*to = (uint32_t)f;
	return f < 0 ? f : 0;
}

static const struct weir_field fields[] = {
        [O_TS] = {.name = "ts",
                .kind = WEIR_TIME,
                .digits = 6,
                .flags = WEIR_FIELD_DEFAULT,
                .doc = "of the first SYN"},
        [O_CLIENT] = {.name = "client", .kind = WEIR_IP, .flags = WEIR_FIELD_DEFAULT},
        [O_CLIENTPORT] = {.name = "clientport",
                .kind = WEIR_U64,
                .bits = 16,
                .flags = WEIR_FIELD_DEFAULT},
        [O_SERVER] = {.name = "server", .kind = WEIR_IP, .flags = WEIR_FIELD_DEFAULT},
        [O_SERVERPORT] = {.name = "serverport",
                .kind = WEIR_U64,
                .bits = 16,
                .flags = WEIR_FIELD_DEFAULT},
        [O_OUTCOME] = {.name = "outcome",
                .kind = WEIR_STR,
                .flags = WEIR_FIELD_DEFAULT,
                .doc = "established, refused, half-open (never acknowledged), unanswered"},
        [O_RETRIES] = {.name = "retries",
                .kind = WEIR_U64,
                .bits = 32,
                .flags = WEIR_FIELD_DEFAULT,
                .doc = "SYNs after the first"},
        [O_ANSWER] = {.name = "answer",
                .kind = WEIR_DURATION,
                .digits = 6,
                .flags = WEIR_FIELD_DEFAULT,
                .unit = "seconds",
                .doc = "from the last SYN to its answer: the way to the server and back"},
        [O_RTT] = {.name = "rtt",
                .kind = WEIR_DURATION,
                .digits = 6,
                .flags = WEIR_FIELD_DEFAULT,
                .unit = "seconds",
                .doc = "from the last SYN to the acknowledgement: the way between both ends"},
};

static int bind(struct weir_bind *b, struct weir_err *err)
{
	struct config *c = b->config;
	int r;

	if ((r = find(b, "ts", &c->ts, err)) < 0 || (r = find(b, "srcip", &c->srcip, err)) < 0 ||
	        (r = find(b, "dstip", &c->dstip, err)) < 0 ||
	        (r = find(b, "srcport", &c->srcport, err)) < 0 ||
	        (r = find(b, "dstport", &c->dstport, err)) < 0 ||
	        (r = find(b, "flags", &c->flags, err)) < 0 ||
	        (r = find(b, "seq", &c->seq, err)) < 0 || (r = find(b, "ack", &c->ack, err)) < 0)
		return r;
	r = weir_bind_new(b, "handshake", err);
	for (size_t i = 0; i < sizeof fields / sizeof *fields && r >= 0; i++)
		r = weir_bind_add(b, &fields[i], err);
	return r < 0 ? r : 0;
}

static const struct weir_option options[] = {WEIR_OPTIONS_END};

WEIR_MODULE(handshake) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SERIAL | WEIR_ORDERED,
        .name = "handshake",
        .summary = "how TCP connections began",
        .doc = "Reads the packets of one connection, both ways, and answers with a record for "
               "each attempt to open it: whether it was established, refused or never answered, "
               "how often the client asked again, how long the answer took as seen from here, "
               "and the whole round trip.\n\n"
               "It is put into a window or a split by flowid, so that each instance sees one "
               "connection.",
        .example = "packets | where ipprotocol = 6 | split -t 60s flowid ( handshake )",
        .options = options,
        .config_size = sizeof(struct config),
        .bind = bind,
        .run = run,
};
