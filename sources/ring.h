/* SPDX-License-Identifier: MIT */
/* ring.h: a packet socket whose packets the kernel writes into memory that is shared with it.
 *
 * TPACKET_V3 (Documentation/networking/packet_mmap.rst of Linux): the ring is a row of blocks that
 * the kernel fills one after the other, and hands over when they are full or RING_RETIRE_MS old.
 * It stops at a block that it has not got back, and drops what comes until it has.
 *
 * Why not libpcap's own reading: it gives a block back when it goes on to the next one, so every
 * packet would have to be copied. Here a block is *lent*: batches point into it, and it goes back
 * with the last of them. What is kept longer must not stop the kernel. So when the kernel has
 * gone half-way round the ring, the blocks that are still lent are *moved*: copied to memory of
 * their own, which then takes their place at the same addresses (mremap(2)); whoever reads there
 * meanwhile reads the same bytes before and after. The ring gets these blocks back by a mapping
 * made anew. That costs some milliseconds, so once it was needed for many blocks, the reader is
 * told to copy what it takes for one turn of the ring, as it always does with blocks that are
 * nearly empty.
 *
 * One thread reads; any may drop a loan. A loan outlives ring_free().
 */
#ifndef RING_H
#define RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BLOCK (256u << 10) /* bytes of a block: the longest packet and its header fit */
#define RING_RETIRE_MS 5 /* a block is handed over after so long, if there is anything in it */
#define RING_LEAST (8u * RING_BLOCK)

struct ring;
struct loan;
struct tpacket3_hdr;
struct sock_fprog;

/* Rings of an interface that packets are dealt to by the hash of their flow (PACKET_FANOUT). The
 * rings that are open at a time make a group, which is made anew for each interface. */
struct ring_fanout {
	pthread_mutex_t lock; /* protects what follows */
	int index;            /* of the interface */
	uint32_t members;     /* what is dealt to one … */
	uint32_t open;        /* … is dropped until it is one of these */
	uint16_t id;          /* the kernel's, while there are any members */
};

struct ring_config {
	struct ring_fanout *fanout; /* NULL: it gets all packets */
	size_t size;                /* bytes, rounded to blocks */
	bool cooked;                /* without link headers */
	bool card_stamps;           /* times of the card, where it gives any */
	unsigned protocol;          /* of bind(2), host's order */
	const struct sock_fprog *filter;
};

struct ring_counts {
	uint64_t packets, drops; /* that passed the filter; of them, those without room */
};

/* Opens it for interface `index`. 0 and *ret, or -errno and *ret_step: what failed (-ENETDOWN: the
 * interface is down, and before Linux 6.13 no ring can join others then). */
int ring_open(const struct ring_config *c, int index, struct ring **ret, const char **ret_step);
/* Closes the socket; memory that is still lent is moved, what was not taken is lost. NULL is fine.
 */
void ring_free(struct ring *r);
int ring_fd(const struct ring *r);
/* How many rings of the group take what is dealt to them. */
uint32_t ring_fanout_open(struct ring_fanout *f);

/* What passes from now on. 0 or -errno. Any thread. */
int ring_filter(struct ring *r, const struct sock_fprog *f);
/* Adds what was counted since the last call. The kernel counts with 32 bits: to be called before as
 * many packets have come. Any thread. */
void ring_count(struct ring *r, struct ring_counts *to);

/* A block of `n` packets, the first at `first`, whose bytes stay until the loan is dropped; `used`
 * bytes of it. The ring numbers what it takes in, without gaps: `number` is the first one's. False:
 * there is none yet. */
struct taken {
	struct loan *loan;
	struct tpacket3_hdr *first;
	uint64_t number;
	uint32_t n, used;
};
bool ring_take(struct ring *r, struct taken *ret);
/* Packets taken in, as of the last ring_count(), and not taken out, in blocks not handed over too.
 * The reader. */
uint64_t ring_left(struct ring *r);
/* Nobody wants what is in there, as of the last ring_count(). Any thread. */
void ring_disown(struct ring *r);
/* The number of the first packet that somebody may want. Any thread. */
uint64_t ring_disowned(const struct ring *r);
/* Nothing is to come any more. Any thread. */
void ring_shut(struct ring *r);
/* Whether the reader had better copy what it takes. */
bool ring_copies(const struct ring *r);
/* Whether half of the ring waits to be taken. The reader. */
bool ring_pressed(struct ring *r);
/* Moves everything that is lent; poll(2) on the socket would not sleep otherwise. */
void ring_clear(struct ring *r);
/* Blocks of the kernel's that are lent; bytes that were moved and are still held. */
uint32_t ring_lent(struct ring *r);
uint64_t ring_moved(const struct ring *r);

struct loan *loan_ref(struct loan *l);
void loan_drop(struct loan *l);

#endif
