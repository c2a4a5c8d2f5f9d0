/* The tables of the dialects, and of a finished module: which functions are redirected, and which places are relocated by the kernel's names. */
#include "kernel.h"

void rt_klp_relocation(u64 place, unsigned type, u64 value, const char *name);
void rt_klp_relocations(void);

struct klp_func { const char *old_name; u64 new_func, sympos; };
struct klp_object { const char *name; struct klp_func *funcs; u64 callbacks[5]; unsigned nr_funcs, zero; };

void rt_apply_klp(void)
{
	u64 size;
	struct klp_object *object = (void *)rt_section(".init.klp_objects", &size);
	if (!object)
		return;
	rt_klp_relocations();
	for (u64 n = size / sizeof(*object); n--; object++) {
		if (object->name)
			rt_fail("an object that is not there", object->name);
		struct klp_func *func = object->funcs;
		for (unsigned i = 0; i < object->nr_funcs; i++, func++)
			rt_redirect(rt_kallsyms(func->old_name, func->sympos)->address, func->new_func, func->old_name);
	}
}

struct kpatch_func { u64 new_addr, new_size, old_addr, old_size, sympos; const char *name, *objname; };
struct kpatch_symbol { u64 src, sympos; unsigned char bind, type, zero[6]; const char *name, *objname; };
struct kpatch_relocation { u64 dest; unsigned type; int external; u64 addend; const char *objname; struct kpatch_symbol *ksym; };

void rt_apply_kpatch(void)
{
	u64 size, relocations;
	struct kpatch_func *func = (void *)rt_section(".kpatch.funcs", &size);
	struct kpatch_relocation *rela = (void *)rt_section(".kpatch.relocations", &relocations);
	if (!func)
		return;
	for (u64 n = rela ? relocations / sizeof(*rela) : 0; n--; rela++) {
		const struct kpatch_symbol *symbol = rela->ksym;
		if (strcmp(symbol->objname, "vmlinux") || strcmp(rela->objname, "vmlinux"))
			rt_fail("an object that is not there", symbol->objname);
		u64 value = rt_kallsyms(symbol->name, symbol->sympos)->address;
		rt_klp_relocation(rela->dest, rela->type, value + rela->addend, symbol->name);
	}
	for (u64 n = size / sizeof(*func); n--; func++) {
		const struct rt_symbol *old = rt_kallsyms(func->name, func->sympos);
		if (strcmp(func->objname, "vmlinux"))
			rt_fail("an object that is not there", func->objname);
		if (func->old_addr != old->address)
			rt_fail("another old address than the kernel's", func->name);
		rt_redirect(old->address, func->new_addr, func->name);
	}
}

/* A finished module's, as kernels up to 7.2 have them without debugging: the offsets are what klpflow takes for a template's kernel. */
struct module_func { struct klp_func func; char rest[128]; };
struct module_object { const char *name; struct module_func *funcs; u64 callbacks[5]; char rest[112]; };
struct module_patch { u64 mod; struct module_object *objects; };

int klp_enable_patch(void *patch)
{
	struct module_object *object = ((struct module_patch *)patch)->objects;
	for (; object->funcs; object++) {
		if (object->name)
			rt_fail("an object that is not there", object->name);
		for (struct module_func *f = object->funcs; f->func.old_name; f++)
			rt_redirect(rt_kallsyms(f->func.old_name, f->func.sympos)->address, f->func.new_func, f->func.old_name);
	}
	return 0;
}
