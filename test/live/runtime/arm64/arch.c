/* What differs by processor: arm64, as arch/arm64/kernel/{module,module-plts,ftrace}.c of Linux 7.3 have it. */
#include "kernel.h"

enum { NOP = 0xd503201f, BTI_C = 0xd503245f, MOV_X9_X30 = 0xaa1e03e9, PROT_BTI = 0x10 };
enum { NEAR = 0x8000000, BRIDGE = 12, LEADS = 0x4000000, ROOM_OF_LEADS = 1 << 16, LEAD = 32 };
int rt_prot_branch;

extern const u64 rt_sites[], rt_sites_end[];
extern char rt_text[], rt_text_end[];
static u64 rt_leads;

static void rt_flush_code(u64 at, u64 size)
{
	for (u64 line = at & ~15ul; line < at + size; line += 16)
		asm volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" : : "r"(line) : "memory");
}

/* Two of the NOPs stand before the symbol, and the kernel writes a pointer to there (CALL_OPS). */
static int rt_call_ops = 1;

/* Two NOPs at an entry of `__patchable_function_entries`: there, or with CALL_OPS behind the symbol and its `bti c`. 0 for anything else. */
static unsigned *rt_site(u64 entry)
{
	unsigned *at = (void *)entry;
	if (rt_call_ops) {
		if (at[0] != NOP || at[1] != NOP || entry % 8)
			return 0;
		at += 2 + (at[2] == BTI_C);
	}
	return at[0] == NOP && at[1] == NOP ? at : 0;
}

void rt_boot(void)
{
	/* One that is not aligned cannot be traced. */
	for (const u64 *e = rt_sites; e < rt_sites_end; e++)
		if (*e % 8 == 0 && !rt_site(*e))
			rt_call_ops = 0;
	/* A kernel whose functions begin with landing pads has guarded pages. */
	for (const u64 *e = rt_sites; e < rt_sites_end; e++)
		if (*e > (u64)rt_text && rt_site(*e) && rt_site(*e)[-1] == BTI_C)
			rt_prot_branch = PROT_BTI;
	if (rt_prot_branch)
		rt_sys(SYS_MPROTECT, (long)rt_text, rt_text_end - rt_text, PROT_R | PROT_X | PROT_BTI, 0, 0, 0);
	/* MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE */
	rt_leads = rt_sys(SYS_MMAP, LEADS, ROOM_OF_LEADS, PROT_R | PROT_W | PROT_X, 0x100022, -1, 0);
	if (rt_leads != LEADS)
		rt_fail("no memory in reach of the kernel", 0);
}

/* As ftrace_caller and the livepatch core: the two NOPs save x30 and call, what is called goes on in the new code as if it were called by the old's caller. */
void rt_lead(u64 from, u64 to, const char *name)
{
	static u64 rt_made;
	unsigned *site = 0;
	for (const u64 *e = rt_sites; e < rt_sites_end; e++)
		if (*e == from || (*e == from + 4 && *(unsigned *)from == BTI_C) || *e == from - 8)
			site = rt_site(*e);
	if (!site)
		rt_fail("failed to find location for function", name);
	unsigned *lead = (void *)(rt_leads + LEAD * rt_made);
	if (++rt_made * LEAD > ROOM_OF_LEADS)
		rt_fail("too many functions", 0);
	/* ldr x10, to; mov x30, x9; mov x9, x10; ret x9 */
	memcpy(lead, (unsigned[]){ 0x5800008a, 0xaa0903fe, 0xaa0a03e9, 0xd65f0120 }, 16);
	memcpy(lead + 4, &to, 8);
	site[0] = MOV_X9_X30;
	site[1] = 0x94000000 | (((u64)lead - (u64)(site + 1)) >> 2 & 0x3ffffff);
	rt_flush_code((u64)lead, LEAD);
	rt_flush_code((u64)site, 8);
}

u64 rt_target(unsigned type, u64 value)
{
	return value;
}

/* A bridge to what a branch does not reach; one for each target. */
static u64 rt_bridge(u64 to)
{
	static u64 rt_from[4000], rt_to[4000];
	static int rt_bridges;
	for (int i = 0; i < rt_bridges; i++)
		if (rt_to[i] == to)
			return rt_from[i];
	if (rt_bridges == 4000)
		rt_fail("too many bridges", 0);
	u64 at = rt_room(BRIDGE);
	long pages = (long)(to >> 12) - (long)(at >> 12);
	/* adrp x16; add x16, x16; br x16 */
	unsigned code[] = { 0x90000010 | (pages & 3) << 29 | (pages >> 2 & 0x7ffff) << 5, 0x91000210 | (to & 0xfff) << 10, 0xd61f0200 };
	memcpy((void *)at, code, sizeof(code));
	rt_to[rt_bridges] = to;
	rt_from[rt_bridges++] = at;
	return at;
}

/* Puts bits of a value into the instruction at a place, which must be one that has such a field. */
static void rt_field(u64 place, unsigned mask, unsigned expected, unsigned field, unsigned bits, const char *name)
{
	unsigned word = *(unsigned *)place;
	if (place % 4 || (word & mask) != expected)
		rt_fail("a relocation of another instruction", name);
	*(unsigned *)place = (word & ~field) | (bits & field);
}

static void rt_fits(long value, long reach, const char *name)
{
	if (value < -reach || value >= reach)
		rt_fail("overflow in relocation", name);
}

/* Fields are written whole, whatever was there; an instruction that a type does not fit is refused, which the kernel does not. */
void rt_write(u64 place, unsigned type, u64 value, int near, const char *name)
{
	long distance = value - place, pages = (long)(value >> 12) - (long)(place >> 12);
	int scale = 0;
	switch (type) {
	case R_AARCH64_ABS64:
		memcpy((void *)place, &value, 8);
		return;
	case R_AARCH64_PREL64:
		memcpy((void *)place, &distance, 8);
		return;
	case R_AARCH64_PREL32:
		rt_fits(distance, 1l << 31, name);
		memcpy((void *)place, &distance, 4);
		return;
	case R_AARCH64_ADR_PREL_PG_HI21:
		rt_fits(pages, 1 << 20, name);
		rt_field(place, 0x9f000000, 0x90000000, 0x60ffffe0, (pages & 3) << 29 | (pages >> 2 & 0x7ffff) << 5, name);
		return;
	case R_AARCH64_ADR_PREL_LO21:
		rt_fits(distance, 1 << 20, name);
		rt_field(place, 0x9f000000, 0x10000000, 0x60ffffe0, (distance & 3) << 29 | (distance >> 2 & 0x7ffff) << 5, name);
		return;
	case R_AARCH64_ADD_ABS_LO12_NC:
		rt_field(place, 0x7fc00000, 0x11000000, 0x3ffc00, (value & 0xfff) << 10, name);
		return;
	case R_AARCH64_LDST128_ABS_LO12_NC:
		scale++;
		/* fallthrough */
	case R_AARCH64_LDST64_ABS_LO12_NC:
		scale++;
		/* fallthrough */
	case R_AARCH64_LDST32_ABS_LO12_NC:
		scale++;
		/* fallthrough */
	case R_AARCH64_LDST16_ABS_LO12_NC:
		scale++;
		/* fallthrough */
	case R_AARCH64_LDST8_ABS_LO12_NC:
		/* The kernel drops the bits. */
		if (value & ((1 << scale) - 1))
			rt_fail("a scaled load of what is not aligned", name);
		rt_field(place, 0x3b000000, 0x39000000, 0x3ffc00, (value & 0xfff) >> scale << 10, name);
		return;
	case R_AARCH64_CONDBR19:
	case R_AARCH64_LD_PREL_LO19:
		rt_fits(distance, 1 << 20, name);
		rt_field(place, 0, 0, 0xffffe0, distance >> 2 << 5, name);
		return;
	case R_AARCH64_TSTBR14:
		rt_fits(distance, 1 << 15, name);
		rt_field(place, 0x7e000000, 0x36000000, 0x7ffe0, distance >> 2 << 5, name);
		return;
	case R_AARCH64_JUMP26:
	case R_AARCH64_CALL26:
		if (distance < -NEAR || distance >= NEAR) {
			if (near)
				rt_fail("overflow in relocation", name);
			distance = rt_bridge(value) - place;
		}
		rt_field(place, 0xfc000000, type == R_AARCH64_CALL26 ? 0x94000000 : 0x14000000, 0x3ffffff, distance >> 2, name);
		return;
	default:
		rt_fail("unsupported RELA relocation", name);
	}
}

/* The sections that a module must have, and its own ftrace sites: ftrace writes to all of them at once. */
void rt_finalize(int module)
{
	static const char *const needed[] = { ".plt", ".init.plt", ".text.ftrace_trampoline", ".init.text.ftrace_trampoline" };
	u64 size;
	for (int i = 0; i < 4 && module; i++)
		if (!rt_section(needed[i], &size))
			rt_fail("module PLT section(s) missing", needed[i]);
	u64 *entry = (void *)rt_section("__patchable_function_entries", &size);
	for (u64 n = entry && module ? size / 8 : 0; n--; entry++) {
		unsigned *site = rt_site(*entry);
		if (!site)
			rt_fail("ftrace failed to modify", 0);
		if (rt_call_ops)
			memcpy((void *)*entry, &rt_leads, 8);
		site[0] = MOV_X9_X30;
	}
}

asm(".text\n.globl _start\n_start: mov x0, sp\nand sp, x0, #-16\nbl rt_main\n");
