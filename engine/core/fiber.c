/* SPDX-License-Identifier: MIT */
/* fiber.c: the switch of stacks, and what sanitizers are told of it.
 *
 * fiber_swap(from, to) saves the callee-saved registers on the stack that is left, puts the stack
 * pointer into *from, takes `to` for the stack pointer and restores them from there. A stack
 * that nothing has run on yet is made to look as if fiber_swap() had left it, in front of
 * fiber_entry. Registers: System V ABI for x86-64 (3.2.1), AAPCS64 for aarch64 (6.1.1, 6.1.2).
 * Elsewhere (and with -DFIBER_UCONTEXT, to try it) swapcontext() does it: 560 ns there and back
 * instead of 25, for its system calls.
 */
#include "engine/core/fiber.h"

#include <errno.h>
#include <string.h>

#include "engine/core/mem.h"
#include "engine/core/sanitizers.h"

/* Runs on this thread and stack; NULL while the host does. Read afresh at each use: what runs on a
 * fiber may go on on another thread. */
static __thread struct fiber *running;

struct fiber *fiber_here(void)
{
	return running;
}

/* ---- the switch ---- */

void fiber_swap(void **from, void *to);
void fiber_entry(void);
void fiber_main(struct fiber *f);

#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)

/* On the stack, from its pointer up: r15 r14 r13 r12 rbx rbp, the return address. */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_swap\n.hidden fiber_swap\n"
        ".type fiber_swap, @function\n"
        "fiber_swap:\n"
        "	pushq %rbp\n"
        "	pushq %rbx\n"
        "	pushq %r12\n"
        "	pushq %r13\n"
        "	pushq %r14\n"
        "	pushq %r15\n"
        "	movq %rsp, (%rdi)\n"
        "	movq %rsi, %rsp\n"
        "	popq %r15\n"
        "	popq %r14\n"
        "	popq %r13\n"
        "	popq %r12\n"
        "	popq %rbx\n"
        "	popq %rbp\n"
        "	ret\n"
        ".size fiber_swap, . - fiber_swap\n"
        /* r12: the fiber. Debuggers stop here: there is no caller. */
        ".globl fiber_entry\n.hidden fiber_entry\n"
        ".type fiber_entry, @function\n"
        "fiber_entry:\n"
        "	.cfi_startproc\n"
        "	.cfi_undefined rip\n"
        "	movq %r12, %rdi\n"
        "	call fiber_main\n"
        "	ud2\n"
        "	.cfi_endproc\n"
        ".size fiber_entry, . - fiber_entry\n");

static int prepare(struct fiber *f)
{
	/* where fiber_entry begins the pointer is a multiple of 16 */
	uintptr_t *sp = (uintptr_t *)((uintptr_t)stack_top(&f->stack) & ~(uintptr_t)15) - 7;

	memset(sp, 0, 7 * sizeof *sp);
	sp[3] = (uintptr_t)f;
	sp[6] = (uintptr_t)fiber_entry;
	f->sp = sp;
	return 0;
}

#elif defined(__aarch64__) && !defined(FIBER_UCONTEXT)

/* On the stack, from its pointer up: x19 … x28, x29, x30, d8 … d15. */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_swap\n.hidden fiber_swap\n"
        ".type fiber_swap, %function\n"
        "fiber_swap:\n"
        "	sub sp, sp, #160\n"
        "	stp x19, x20, [sp]\n"
        "	stp x21, x22, [sp, #16]\n"
        "	stp x23, x24, [sp, #32]\n"
        "	stp x25, x26, [sp, #48]\n"
        "	stp x27, x28, [sp, #64]\n"
        "	stp x29, x30, [sp, #80]\n"
        "	stp d8, d9, [sp, #96]\n"
        "	stp d10, d11, [sp, #112]\n"
        "	stp d12, d13, [sp, #128]\n"
        "	stp d14, d15, [sp, #144]\n"
        "	mov x9, sp\n"
        "	str x9, [x0]\n"
        "	mov sp, x1\n"
        "	ldp x19, x20, [sp]\n"
        "	ldp x21, x22, [sp, #16]\n"
        "	ldp x23, x24, [sp, #32]\n"
        "	ldp x25, x26, [sp, #48]\n"
        "	ldp x27, x28, [sp, #64]\n"
        "	ldp x29, x30, [sp, #80]\n"
        "	ldp d8, d9, [sp, #96]\n"
        "	ldp d10, d11, [sp, #112]\n"
        "	ldp d12, d13, [sp, #128]\n"
        "	ldp d14, d15, [sp, #144]\n"
        "	add sp, sp, #160\n"
        "	ret\n"
        ".size fiber_swap, . - fiber_swap\n"
        /* x19: the fiber. Debuggers stop here: there is no caller. */
        ".globl fiber_entry\n.hidden fiber_entry\n"
        ".type fiber_entry, %function\n"
        "fiber_entry:\n"
        "	.cfi_startproc\n"
        "	.cfi_undefined x30\n"
        "	mov x0, x19\n"
        "	bl fiber_main\n"
        "	brk #1\n"
        "	.cfi_endproc\n"
        ".size fiber_entry, . - fiber_entry\n");

static int prepare(struct fiber *f)
{
	uintptr_t *sp = (uintptr_t *)((uintptr_t)stack_top(&f->stack) & ~(uintptr_t)15) - 20;

	memset(sp, 0, 20 * sizeof *sp);
	sp[0] = (uintptr_t)f;
	sp[11] = (uintptr_t)fiber_entry;
	f->sp = sp;
	return 0;
}

#else

#include <ucontext.h>

/* *from and `to` are contexts: the host's on its stack, the fiber's at the top of its own. */
void fiber_swap(void **from, void *to)
{
	ucontext_t here;

	*from = &here;
	swapcontext(&here, to);
}

static void entry(unsigned low, unsigned high)
{
	fiber_main((struct fiber *)((uintptr_t)low | (uintptr_t)high << 16 << 16));
}

static int prepare(struct fiber *f)
{
	ucontext_t *c = (ucontext_t *)((uintptr_t)stack_top(&f->stack) & ~(uintptr_t)63) - 1;

	if (getcontext(c) < 0)
		return -ENOMEM;
	c->uc_stack.ss_sp = f->stack.low;
	c->uc_stack.ss_size = (size_t)((char *)c - f->stack.low);
	c->uc_link = NULL;
	makecontext(c, (void (*)(void))entry, 2, (unsigned)(uintptr_t)f,
	        (unsigned)((uintptr_t)f >> 16 >> 16));
	f->sp = c;
	return 0;
}

#endif

/* ---- both ways ---- */

/* The host's stack is another one each time; it is asked for on arrival. */
static void arrived(struct fiber *f, void *fake)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake, &f->host_low, &f->host_size);
#endif
}

/* To the host. */
static void leave(struct fiber *f, bool forever)
{
	__attribute__((unused)) void *fake = NULL;
	void *to = f->sp;

#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(forever ? NULL : &fake, f->host_low, f->host_size);
#endif
#ifdef WITH_TSAN
	__tsan_switch_to_fiber(f->tsan_host, 0);
#endif
	fiber_swap(&f->sp, to);
	arrived(f, fake);
}

/* To the fiber, until it leaves. */
static void enter(struct fiber *f)
{
	__attribute__((unused)) void *fake = NULL;
	void *to = f->sp;

	running = f;
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&fake, f->stack.low, f->stack.size);
#endif
#ifdef WITH_TSAN
	f->tsan_host = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
	fiber_swap(&f->sp, to);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
	running = NULL;
}

/* The first frame of a fiber. */
__attribute__((used, no_sanitize("thread"))) void fiber_main(struct fiber *f)
{
	arrived(f, NULL);
	f->run(f->arg);
	f->ended = true;
	leave(f, true);
	__builtin_unreachable();
}

int fiber_init(struct fiber *f, struct weir_mem *mem, size_t size, void (*run)(void *), void *arg)
{
	int r;

#if defined(WITH_ASAN) || defined(WITH_TSAN)
	size *= 4; /* their frames are larger */
#endif
	*f = (struct fiber){.run = run, .arg = arg};
	r = stack_take(&f->stack, mem, size);
	if (r == 0)
		r = prepare(f);
	if (r < 0)
		stack_give(&f->stack);
#ifdef WITH_TSAN
	if (r == 0)
		f->tsan = __tsan_create_fiber(0);
#endif
	return r;
}

void fiber_release(struct fiber *f)
{
#ifdef WITH_TSAN
	if (f->tsan)
		__tsan_destroy_fiber(f->tsan);
	f->tsan = NULL;
#endif
	stack_give(&f->stack);
	f->ended = true;
}

int fiber_resume(struct fiber *f)
{
	do {
		if (!stack_intact(&f->stack))
			return -EFAULT;
		f->call = NULL;
		enter(f);
		if (f->call)
			f->call_result = f->call(f->call_arg);
	} while (f->call);
	if (!stack_intact(&f->stack))
		return -EFAULT;
	return stack_count(&f->stack);
}

void fiber_wait(struct fiber *f)
{
	leave(f, false);
}

int fiber_call(struct fiber *f, int (*fn)(void *arg), void *arg)
{
	f->call = fn;
	f->call_arg = arg;
	leave(f, false);
	return f->call_result;
}
