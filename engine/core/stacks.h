/* SPDX-License-Identifier: MIT */
/* stacks.h: many small stacks, of which only the pages that were touched take memory.
 *
 * Stacks are cut from slabs of address space that are mapped without reservation and without huge
 * pages (one of those would make 32 stacks resident at once), so an instance that waits in a
 * shallow function costs one page. Slabs beside each other are one mapping for the kernel; a
 * hundred thousand stacks do not come near vm.max_map_count.
 *
 * The end of each stack is guarded, by what there is:
 *
 *   GUARD_MARKER   MADV_GUARD_INSTALL (Linux 6.13): a page that faults without a mapping of its
 *                  own. All stacks have one.
 *   GUARD_PAGE     mprotect: splits the mapping, two more for each stack, so only the first
 *                  GUARD_PAGES stacks of the process get one.
 *   GUARD_ZONE     what is left: the bytes below a stack's end, the topmost of its neighbour, are
 *                  kept zero and looked at whenever its fiber stops or goes on. They lie in a page
 * that the neighbour has touched anyway, and a page that was never touched or was given back reads
 * as zero, so a zone takes no memory. A frame that steps over the zone is not seen: that is why it
 * is the last resort.
 *
 * A touched guard is SIGSEGV, as for any stack. Memory is counted by the page: one when a stack is
 * taken, and what mincore(2) sees after the 2nd, 8th, 32nd … switch.
 */
#ifndef STACKS_H
#define STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_mem;

#define STACK_MIN (16u << 10)
#define STACK_MAX (1u << 20)
#define STACK_ZONE 128 /* bytes */
#define GUARD_PAGES 8192

enum guard { GUARD_MARKER, GUARD_PAGE, GUARD_ZONE };

struct stack_slab;

struct stack {
	char *low;   /* the guard, where there is one, included */
	size_t size; /* of all */
	struct stack_slab *slab;
	struct weir_mem *mem;
	size_t counted; /* bytes */
	uint32_t index;
	uint32_t looks; /* calls of stack_count() */
	enum guard guard;
};

/* A stack of at least `size` bytes (within STACK_MIN and STACK_MAX). 0 or -ENOMEM. */
int stack_take(struct stack *s, struct weir_mem *mem, size_t size);
void stack_give(struct stack *s); /* all zero is fine */

/* The first byte above what may be used: 64-byte aligned, below the zone of the stack above. */
static inline char *stack_top(const struct stack *s)
{
	return s->low + s->size - STACK_ZONE;
}

/* Whether neither it nor the stack above has run over its end, as far as zones show. */
bool stack_intact(const struct stack *s);

/* Counts the pages that it takes: 0, or -ENOMEM at the limit. */
int stack_count(struct stack *s);

/* For tests: the best guard that stacks get from now on. */
void stacks_guard(enum guard best);

struct stacks_info {
	size_t mapped;         /* bytes of address space */
	uint32_t slabs, inuse; /* inuse: stacks */
};
void stacks_info(struct stacks_info *ret);

#endif
