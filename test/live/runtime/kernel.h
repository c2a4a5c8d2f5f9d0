/* The running program as the kernel sees itself: its symbols, what it exports, where it can be redirected. */
#pragma once
#include <elf.h>
#include "sys.h"

struct rt_symbol {
	const char *name;
	u64 address, size;
	unsigned char type, global;
};

void rt_read_kernel(void);
/* The symbol of a name as kallsyms counts: position 0 needs the name to be unique, n is the n-th by address. Fails the program. */
const struct rt_symbol *rt_kallsyms(const char *name, u64 position);
const struct rt_symbol *rt_global(const char *name);
/* Fails where an address lies within a function but not at a place that has a name, or in data that points to such a place. */
void rt_check_target(u64 address, const char *name);
void rt_read_exports(const char *path);
int rt_exported(const char *name);
/* Redirects the function at `from`, which must have a place for that. */
void rt_redirect(u64 from, u64 to, const char *name);
/* The section of the livepatch that has a name: its place, 0 where there is none. */
u64 rt_section(const char *name, u64 *size);
/* Executable memory near the livepatch's, for what the loader makes. */
u64 rt_room(u64 size);
/* The livepatch core: the tables of a finished module. */
int klp_enable_patch(void *patch);

/* By processor (arch.c). What boot does to the program's code. */
void rt_boot(void);
/* Makes the function at `from` lead to `to`, by the place that ftrace has there. Its pages may be written. */
void rt_lead(u64 from, u64 to, const char *name);
/* Writes one relocated value, which must fit; `near` where place and symbol are in one section. */
void rt_write(u64 place, unsigned type, u64 value, int near, const char *name);
/* From a relocation's value to the address that it refers to. */
u64 rt_target(unsigned type, u64 value);
/* What the loader does to a module once it is relocated, before its code is protected. */
void rt_finalize(int module);
/* Loads a livepatch and applies it. */
void rt_livepatch(const char *path);
