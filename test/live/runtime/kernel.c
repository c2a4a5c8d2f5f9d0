/* The running program's own symbols and ftrace sites, from its file. */
#include "kernel.h"

enum { MOST = 20000 };
static struct rt_symbol rt_symbols[MOST];
static int rt_count;
static const char *rt_exports;
static u64 rt_exports_size;
static u64 rt_redirected[1000];
static int rt_redirections;

void rt_read_kernel(void)
{
	u64 size;
	char *file = rt_map("/proc/self/exe", &size);
	Elf64_Ehdr *header = (void *)file;
	Elf64_Shdr *sections = (void *)(file + header->e_shoff);
	for (int i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		Elf64_Sym *symbol = (void *)(file + sections[i].sh_offset);
		char *names = file + sections[sections[i].sh_link].sh_offset;
		for (u64 n = sections[i].sh_size / sizeof(*symbol); n--; symbol++) {
			const char *name = names + symbol->st_name;
			int type = ELF64_ST_TYPE(symbol->st_info);
			/* What kallsyms leaves out. */
			if (!symbol->st_shndx || type == STT_SECTION || type == STT_FILE || !*name || (name[0] == '.' && name[1] == 'L'))
				continue;
			if (rt_count == MOST)
				rt_fail("too many symbols", 0);
			rt_symbols[rt_count++] = (struct rt_symbol){ name, symbol->st_value, symbol->st_size, type, ELF64_ST_BIND(symbol->st_info) != STB_LOCAL };
		}
	}
}

const struct rt_symbol *rt_kallsyms(const char *name, u64 position)
{
	const struct rt_symbol *found = 0;
	u64 total = 0;
	for (int i = 0; i < rt_count; i++) {
		if (strcmp(rt_symbols[i].name, name))
			continue;
		u64 lower = 0;
		total++;
		for (int j = 0; j < rt_count; j++)
			lower += !strcmp(rt_symbols[j].name, name) && rt_symbols[j].address < rt_symbols[i].address;
		if (position == 0 || lower == position - 1)
			found = &rt_symbols[i];
	}
	if (!found)
		rt_fail("kallsyms has no such symbol", name);
	if (position == 0 && total > 1)
		rt_fail("unresolvable ambiguity for symbol", name);
	return found;
}

const struct rt_symbol *rt_global(const char *name)
{
	for (int i = 0; i < rt_count; i++)
		if (rt_symbols[i].global && !strcmp(rt_symbols[i].name, name))
			return &rt_symbols[i];
	return 0;
}

/* The function that has an address within, unless something with a name begins there. */
static const struct rt_symbol *rt_within(u64 address)
{
	const struct rt_symbol *owner = 0;
	for (int i = 0; i < rt_count; i++) {
		const struct rt_symbol *s = &rt_symbols[i];
		if (s->address == address)
			return 0;
		if (s->type == STT_FUNC && s->address < address && address < s->address + s->size)
			owner = s;
	}
	return owner;
}

void rt_check_target(u64 address, const char *name)
{
	if (rt_within(address))
		rt_fail("a relocation leads into the middle of a function", name);
	for (int i = 0; i < rt_count; i++) {
		const struct rt_symbol *s = &rt_symbols[i];
		if (s->type != STT_OBJECT || address < s->address || address >= s->address + s->size)
			continue;
		for (u64 at = (s->address + 7) & ~7ul; at + 8 <= s->address + s->size; at += 8)
			if (rt_within(*(u64 *)at))
				rt_fail("a relocation leads to data that points into the middle of a function", s->name);
	}
}

void rt_read_exports(const char *path)
{
	rt_exports = rt_map(path, &rt_exports_size);
}

/* Whether Module.symvers has a line of this name: checksum, tab, name, tab. */
int rt_exported(const char *name)
{
	u64 length = strlen(name);
	const char *end = rt_exports + rt_exports_size;
	for (const char *line = rt_exports; line < end;) {
		const char *field = line;
		while (*field != '\t')
			field++;
		if (!memcmp(field + 1, name, length) && field[1 + length] == '\t')
			return 1;
		while (line < end && *line++ != '\n')
			;
	}
	return 0;
}

void rt_redirect(u64 from, u64 to, const char *name)
{
	if (!to)
		rt_fail("a function without new code", name);
	for (int i = 0; i < rt_redirections; i++)
		if (rt_redirected[i] == from)
			rt_fail("two functions redirect one address", name);
	rt_redirected[rt_redirections++] = from;
	u64 page = from & ~4095ul;
	rt_sys(SYS_MPROTECT, page, 8192, PROT_R | PROT_W | PROT_X, 0, 0, 0);
	rt_lead(from, to, name);
	rt_sys(SYS_MPROTECT, page, 8192, PROT_R | PROT_X | RT_PROT_BRANCH, 0, 0, 0);
}
