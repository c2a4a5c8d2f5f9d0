/* Loads a livepatch object as the module loader does: memory by protection, symbols by exports and by name, relocations. */
#include "kernel.h"

#define SHN_LIVEPATCH 0xff20
#define SHF_RELA_LIVEPATCH 0x100000
/* Where `struct module` has init: template.c. */
enum { MODULE_INIT = 304 };
enum { CODE, DATA, CONST, KINDS, ROOM = 1 << 24, MOST_PLACES = 20000 };
static char *rt_file;
static Elf64_Shdr *rt_sections;
static int rt_nsections;
static char *rt_names;
static u64 rt_at[70000];
/* `struct module` of a finished module, else 0. */
static u64 rt_module;
static char *rt_memory[KINDS];
static u64 rt_filled[KINDS];
/* Places of tombstones and of klp relocations: each of the former needs one of the latter. */
static u64 rt_tombstones[MOST_PLACES], rt_done[MOST_PLACES];
static int rt_ntombstones, rt_ndone;

static int rt_starts(const char *text, const char *with)
{
	return !memcmp(text, with, strlen(with));
}

static char *rt_section_name(int i)
{
	return rt_names + rt_sections[i].sh_name;
}

u64 rt_section(const char *name, u64 *size)
{
	for (int i = 1; i < rt_nsections; i++)
		if (!strcmp(rt_section_name(i), name) && rt_at[i]) {
			*size = rt_sections[i].sh_size;
			return rt_at[i];
		}
	return 0;
}

static void rt_place(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		u64 want = 0x20000000 + (u64)kind * ROOM;
		/* MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE */
		rt_memory[kind] = (void *)rt_sys(SYS_MMAP, want, ROOM, PROT_R | PROT_W, 0x100022, -1, 0);
		if ((u64)rt_memory[kind] != want)
			rt_fail("no memory near the kernel", 0);
	}
	for (int i = 1; i < rt_nsections; i++) {
		Elf64_Shdr *s = &rt_sections[i];
		if (!(s->sh_flags & SHF_ALLOC))
			continue;
		int ro = !(s->sh_flags & SHF_WRITE) || rt_starts(rt_section_name(i), ".data..ro_after_init");
		int kind = s->sh_flags & SHF_EXECINSTR ? CODE : ro ? CONST : DATA;
		u64 align = s->sh_addralign ? s->sh_addralign : 1;
		u64 at = (rt_filled[kind] + align - 1) & -align;
		if (at + s->sh_size > ROOM)
			rt_fail("a section too large", rt_section_name(i));
		rt_at[i] = (u64)rt_memory[kind] + at;
		if (s->sh_type != SHT_NOBITS)
			memcpy((void *)rt_at[i], rt_file + s->sh_offset, s->sh_size);
		/* Never side by side: what reads past an end shall not find what would have been right. */
		rt_filled[kind] = at + s->sh_size + 64;
	}
}

/* `.klp.sym.OBJECT.NAME,POSITION` */
static u64 rt_klp_symbol(const char *text)
{
	static char rt_name[1024];
	const char *comma = 0, *p = text + strlen(".klp.sym.");
	if (!rt_starts(p, "vmlinux."))
		rt_fail("a symbol of an object that is not there", text);
	p += strlen("vmlinux.");
	for (const char *c = p; *c; c++)
		if (*c == ',')
			comma = c;
	if (!comma || comma - p >= (long)sizeof(rt_name))
		rt_fail("a klp symbol of another form", text);
	memcpy(rt_name, p, comma - p);
	rt_name[comma - p] = 0;
	u64 position = 0;
	for (p = comma + 1; *p; p++)
		position = position * 10 + *p - '0';
	return rt_kallsyms(rt_name, position)->address;
}

static u64 rt_value(const Elf64_Sym *symbol, const char *name)
{
	if (rt_starts(name, ".klp.sym."))
		return rt_klp_symbol(name);
	if (symbol->st_shndx == SHN_ABS)
		return symbol->st_value;
	if (symbol->st_shndx == SHN_UNDEF) {
		const struct rt_symbol *found = rt_exported(name) ? rt_global(name) : 0;
		if (!found && ELF64_ST_BIND(symbol->st_info) != STB_WEAK)
			rt_fail("Unknown symbol", name);
		return found ? found->address : 0;
	}
	if (symbol->st_shndx >= rt_nsections || !rt_at[symbol->st_shndx])
		rt_fail("a symbol of a section that is not loaded", name);
	return rt_at[symbol->st_shndx] + symbol->st_value;
}

void rt_klp_relocation(u64 place, unsigned type, u64 value, const char *name)
{
	rt_check_target(rt_target(type, value), name);
	rt_write(place, type, value, 0, name);
	if (rt_ndone == MOST_PLACES)
		rt_fail("too many klp relocations", 0);
	rt_done[rt_ndone++] = place;
}

static void rt_relocate(Elf64_Shdr *table)
{
	Elf64_Shdr *symtab = &rt_sections[table->sh_link];
	Elf64_Sym *symbols = (void *)(rt_file + symtab->sh_offset);
	char *strings = rt_file + rt_sections[symtab->sh_link].sh_offset;
	Elf64_Rela *rela = (void *)(rt_file + table->sh_offset);
	int late = (table->sh_flags & SHF_RELA_LIVEPATCH) != 0;
	if (late && !rt_starts(rt_names + table->sh_name, ".klp.rela.vmlinux."))
		rt_fail("relocations of an object that is not there", rt_names + table->sh_name);
	for (u64 n = table->sh_size / sizeof(*rela); n--; rela++) {
		Elf64_Sym *symbol = &symbols[ELF64_R_SYM(rela->r_info)];
		const char *name = strings + symbol->st_name;
		unsigned type = ELF64_R_TYPE(rela->r_info);
		u64 place = rt_at[table->sh_info] + rela->r_offset;
		if (type == 0)
			continue;
		if (rela->r_offset >= rt_sections[table->sh_info].sh_size)
			rt_fail("a relocation outside its section", name);
		if (rt_starts(name, ".klp.tombstone.")) {
			if (rt_ntombstones == MOST_PLACES)
				rt_fail("too many tombstones", 0);
			rt_tombstones[rt_ntombstones++] = place;
			continue;
		}
		u64 value = rt_value(symbol, name) + rela->r_addend;
		/* Of a finished module the core applies those of sections of its own, and the loader all others. */
		if (late ? symbol->st_shndx != SHN_LIVEPATCH : rt_module && symbol->st_shndx == SHN_LIVEPATCH)
			rt_fail("a klp symbol and a section of relocations that do not belong together", name);
		if (late)
			rt_klp_relocation(place, type, value, name);
		else
			rt_write(place, type, value, symbol->st_shndx == table->sh_info, name);
	}
}

void rt_apply_klp(void);
void rt_apply_kpatch(void);

void rt_livepatch(const char *path)
{
	u64 size;
	rt_file = rt_map(path, &size);
	Elf64_Ehdr *header = (void *)rt_file;
	rt_sections = (void *)(rt_file + header->e_shoff);
	rt_nsections = header->e_shnum ? header->e_shnum : (int)rt_sections[0].sh_size;
	int names = header->e_shstrndx == SHN_XINDEX ? (int)rt_sections[0].sh_link : header->e_shstrndx;
	rt_names = rt_file + rt_sections[names].sh_offset;
	rt_place();
	rt_module = rt_section(".gnu.linkonce.this_module", &size);
	for (int i = 1; i < rt_nsections; i++)
		if (rt_sections[i].sh_type == SHT_RELA && rt_at[rt_sections[i].sh_info])
			rt_relocate(&rt_sections[i]);
	rt_finalize(rt_module != 0);
	/* Tables that redirect are read when all of it is in place. */
	rt_apply_klp();
	rt_apply_kpatch();
	for (int i = 0; i < rt_ntombstones; i++) {
		int j = 0;
		while (j < rt_ndone && rt_done[j] != rt_tombstones[i])
			j++;
		if (j == rt_ndone)
			rt_fail("a tombstone without a klp relocation", 0);
	}
	rt_sys(SYS_MPROTECT, (long)rt_memory[CODE], ROOM, PROT_R | PROT_X | RT_PROT_BRANCH, 0, 0, 0);
	rt_sys(SYS_MPROTECT, (long)rt_memory[CONST], ROOM, PROT_R, 0, 0, 0);
	if (rt_module && (*(int (**)(void))(rt_module + MODULE_INIT))())
		rt_fail("the module's init failed", 0);
}

/* Behind what is there of the code. */
u64 rt_room(u64 size)
{
	u64 at = (rt_filled[CODE] + 15) & ~15ul;
	if (at + size > ROOM)
		rt_fail("no room for what the loader makes", 0);
	rt_filled[CODE] = at + size;
	return (u64)rt_memory[CODE] + at;
}

/* Relocations of `__klp_relocs.OBJECT`: their tables are relocated by now, so each holds addresses. */
void rt_klp_relocations(void)
{
	struct { u64 place, value; unsigned type, zero; } *entry;
	for (int i = 1; i < rt_nsections; i++) {
		if (!rt_at[i] || !rt_starts(rt_section_name(i), "__klp_relocs."))
			continue;
		if (strcmp(rt_section_name(i), "__klp_relocs.vmlinux"))
			rt_fail("relocations of an object that is not there", rt_section_name(i));
		entry = (void *)rt_at[i];
		for (u64 n = rt_sections[i].sh_size / sizeof(*entry); n--; entry++)
			rt_klp_relocation(entry->place, entry->type, entry->value, "of __klp_relocs");
	}
}
