/*
 * PROGRAM LIST [LIVEPATCH SYMVERS]
 *
 * Calls the functions that LIST names, one a line: first those with an `i` before the name, once each; then the livepatch is loaded
 * and applied; then, several rounds, those with an `e`, with several rt_arguments, and prints what they return.
 */
#include "kernel.h"

int _printk(const char *fmt, ...);
int rt_warming;

void rt_fail(const char *what, const char *name)
{
	rt_flush();
	for (int i = 0; i < 4; i++) {
		const char *part = i == 0 ? "refused: " : i == 1 ? what : i == 2 ? (name ? " " : "") : name ? name : "";
		rt_sys(SYS_WRITE, 2, (long)part, strlen(part), 0, 0, 0);
	}
	rt_sys(SYS_WRITE, 2, (long)"\n", 1, 0, 0, 0);
	rt_sys(SYS_EXIT, 3, 0, 0, 0, 0, 0);
	for (;;)
		;
}

char *rt_map(const char *path, u64 *size)
{
	long fd = rt_open(path);
	if (fd < 0)
		rt_fail("cannot read", path);
	*size = rt_sys(SYS_LSEEK, fd, 0, 2, 0, 0, 0);
	/* One byte more than the file, which is zero: lists end there. */
	char *bytes = (void *)rt_sys(SYS_MMAP, 0, *size + 1, PROT_R | PROT_W, 0x22, -1, 0);
	rt_sys(SYS_LSEEK, fd, 0, 0, 0, 0, 0);
	for (u64 at = 0; at < *size;) {
		long n = rt_sys(SYS_READ, fd, (long)bytes + at, *size - at, 0, 0, 0);
		if (n <= 0)
			rt_fail("cannot read", path);
		at += n;
	}
	rt_sys(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
	return bytes;
}

struct rt_entry { char kind; const char *name; u64 address; };
static struct rt_entry rt_entries[2000];

static int rt_read_list(const char *path)
{
	u64 size;
	int count = 0;
	char *text = rt_map(path, &size);
	for (char *end = text + size; text < end; count++) {
		char *line = text;
		while (*text != '\n')
			text++;
		*text++ = 0;
		const struct rt_symbol *symbol = rt_global(line + 2);
		if (!symbol)
			rt_fail("the program has no", line + 2);
		rt_entries[count] = (struct rt_entry){ *line, line + 2, symbol->address };
	}
	return count;
}

void __attribute__((used)) rt_main(long *stack)
{
	static const unsigned rt_arguments[] = { 0, 1, 2, 3, 4, 5, 6, 7, 9, 13, 99, 0xfffffff0 };
	char **argv = (void *)(stack + 1);
	long argc = *stack;
	/* SIGPROF ends what does not end. */
	long timer[4] = { 0, 0, RT_SECONDS, 0 };
	rt_sys(SYS_SETITIMER, 2, (long)timer, 0, 0, 0, 0);
	rt_read_kernel();
	rt_boot();
	int count = rt_read_list(argv[1]);
	rt_warming = 1;
	for (int i = 0; i < count; i++)
		if (rt_entries[i].kind == 'i')
			((void (*)(void))rt_entries[i].address)();
	for (int i = 0; i < count; i++)
		if (rt_entries[i].kind == 'e')
			((unsigned (*)(unsigned))rt_entries[i].address)(0x5eed);
	rt_warming = 0;
	rt_forget();
	if (argc > 3) {
		rt_read_exports(argv[3]);
		rt_livepatch(argv[2]);
	}
	for (int round = 0; round < 2; round++)
		for (unsigned a = 0; a < sizeof(rt_arguments) / sizeof(*rt_arguments); a++)
			for (int i = 0; i < count; i++)
				if (rt_entries[i].kind == 'e')
					_printk("%s(%x) = %x\n", rt_entries[i].name, rt_arguments[a], ((unsigned (*)(unsigned))rt_entries[i].address)(rt_arguments[a]));
	rt_flush();
	rt_sys(SYS_EXIT, 0, 0, 0, 0, 0, 0);
}
