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
/* Redirects the function at `from`, which must begin with a call of __fentry__. */
void rt_redirect(u64 from, u64 to, const char *name);
/* Loads a livepatch and applies it. */
void rt_livepatch(const char *path);
