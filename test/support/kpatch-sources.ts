import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Two units of a kernel, before and after a patch with every macro of kpatch-macros.h (PATCHED), and what they share. */
const MACROS = `
#define FORCE(fn) void *__kpatch_force_func_##fn __attribute__((section(".kpatch.force"), used)) = fn
#define IGNORE_FUNCTION(fn) void *__kpatch_ignore_func_##fn __attribute__((section(".kpatch.ignore.functions"), used)) = fn
#define IGNORE_SECTION(name, n) char *__UNIQUE_ID_kpatch_ignore_section_##n __attribute__((section(".kpatch.ignore.sections"), used)) = name
struct callback { int (*fn)(void *); char *objname; };
#define CALLBACK(kind, f) static struct callback kpatch_##kind __attribute__((section(".kpatch.callbacks." #kind), used)) = { f, 0 }
extern int printk(const char *, ...);
extern int of_vmlinux(int);
`;

const FIRST = `${MACROS}
static int counter;
int table[4] = { 1, 2, 3, 4 };
static __attribute__((noinline)) int local_helper(int x) { counter += x; return printk("local %d\\n", counter); }
#ifdef PATCHED
int fresh_global = 5;
int unreferenced_global = 9;
static const int limits[4] = { 10, 20, 30, 41 };
static int before(void *object) { static int calls; return printk("before %d %d\\n", counter, calls++); }
CALLBACK(pre_patch, before);
__attribute__((noinline)) int target(int x) { return local_helper(x) + of_vmlinux(table[x & 3]) + limits[x & 3] + fresh_global; }
int ignored(int x) { return x + 100; }
int tagged __attribute__((section(".data.tagged"))) = 2;
FORCE(target);
IGNORE_FUNCTION(ignored);
IGNORE_SECTION(".data.tagged", 1);
#else
static const int limits[4] = { 10, 20, 30, 40 };
__attribute__((noinline)) int target(int x) { return local_helper(x) + of_vmlinux(table[x & 3]) + limits[x & 3]; }
int ignored(int x) { return x + 1; }
int tagged __attribute__((section(".data.tagged"))) = 1;
#endif
int unchanged(int x) { return target(x) * 2; }
`;

const SECOND = `${MACROS}
/* As GCC names what it splits off a function. */
static int split(int) __asm__("whole.part.0");
#ifdef PATCHED
extern int fresh_global;
int second(int x) { return of_vmlinux(x) + fresh_global; }
__attribute__((noinline, no_instrument_function)) static int split(int x) { return of_vmlinux(x) + 2; }
static int after(void *object) { return 0; }
CALLBACK(post_unpatch, after);
#else
int second(int x) { return of_vmlinux(x); }
__attribute__((noinline, no_instrument_function)) static int split(int x) { return of_vmlinux(x) + 1; }
#endif
int whole(int x) { return x ? split(x) + 3 : 0; }
`;

/** What walks the arrays in a patch module, by the layouts of struct kpatch_patch_func and kpatch_pre_patch_callback. */
const HOOK = `
struct patch_func { unsigned long new_addr, new_size, old_addr, old_size, sympos; char *name, *objname; };
struct patch_callback { int (*fn)(void *); char *objname; };
extern struct patch_func __kpatch_funcs[], __kpatch_funcs_end[];
extern struct patch_callback __kpatch_callbacks_pre_patch[], __kpatch_callbacks_pre_patch_end[];
extern struct patch_callback __kpatch_callbacks_post_unpatch[], __kpatch_callbacks_post_unpatch_end[];
extern unsigned long __kpatch_force_funcs[], __kpatch_force_funcs_end[];
extern int register_function(unsigned long, const char *, const char *, unsigned long, int);
static int is_forced(unsigned long address) { for (unsigned long *f = __kpatch_force_funcs; f < __kpatch_force_funcs_end; f++) if (*f == address) return 1; return 0; }
int init_module(void)
{
  for (struct patch_func *f = __kpatch_funcs; f < __kpatch_funcs_end; f++) if (register_function(f->new_addr, f->name, f->objname, f->sympos, is_forced(f->new_addr))) return -1;
  for (struct patch_callback *c = __kpatch_callbacks_pre_patch; c < __kpatch_callbacks_pre_patch_end; c++) if (c->fn) c->fn(c->objname);
  for (struct patch_callback *c = __kpatch_callbacks_post_unpatch; c < __kpatch_callbacks_post_unpatch_end; c++) if (c->fn) c->fn(c->objname);
  return 0;
}
`;

/** Bounds of the arrays, and a zero behind each array of callbacks, so that an empty one is there, too. */
export const KPATCH_SCRIPT = `
__kpatch_funcs = ADDR(.kpatch.funcs);
__kpatch_funcs_end = ADDR(.kpatch.funcs) + SIZEOF(.kpatch.funcs);
__kpatch_force_funcs = ADDR(.kpatch.force);
__kpatch_force_funcs_end = ADDR(.kpatch.force) + SIZEOF(.kpatch.force);
SECTIONS {
${['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch']
  .map(
    (kind) => `  .kpatch.callbacks.${kind} : {
    __kpatch_callbacks_${kind} = .;
    *(.kpatch.callbacks.${kind})
    __kpatch_callbacks_${kind}_end = .;
    QUAD(0)
  }`,
  )
  .join('\n')}
  .kpatch.force : { *(.kpatch.force) }
}
`;

const FLAGS = [
  '-O2',
  '-pg',
  '-mfentry',
  '-ffunction-sections',
  '-fdata-sections',
  '-mcmodel=kernel',
  '-mno-red-zone',
  '-fno-pic',
  '-fno-pie',
  '-fno-stack-protector',
  '-fcf-protection=none',
  '-fno-asynchronous-unwind-tables',
];

/** Why these sources cannot be compiled here; undefined if they can. */
export function noCompiler(): string | undefined {
  return process.arch !== 'x64' || spawnSync('gcc', ['--version']).error !== undefined
    ? 'there is no gcc for x86-64 here'
    : undefined;
}

export interface CompiledUnit {
  orig: string;
  patched: string;
  /** What `readelf -s --wide` prints of orig. */
  symtab: string;
}

/** Compiles both units, before and after. `debug` adds debug information. */
export function compileUnits(folder: string, debug = false): { first: CompiledUnit; second: CompiledUnit } {
  const unit = (name: string, source: string): CompiledUnit => {
    writeFileSync(join(folder, `${name}.c`), source);
    const [orig, patched] = [join(folder, `${name}.orig.o`), join(folder, `${name}.patched.o`)];
    compile(folder, `${name}.c`, orig, debug ? ['-g'] : []);
    compile(folder, `${name}.c`, patched, [...(debug ? ['-g'] : []), '-DPATCHED']);
    const symtab = join(folder, `${name}.symtab`);
    writeFileSync(symtab, execFileSync('readelf', ['-s', '--wide', orig]));
    return { orig, patched, symtab };
  };
  return { first: unit('first', FIRST), second: unit('second', SECOND) };
}

/** Links outputs with the hook, as kpatch-build does before create-klp-module. @returns the module's path */
export function linkWithHook(folder: string, outputs: readonly string[]): string {
  writeFileSync(join(folder, 'hook.c'), HOOK);
  writeFileSync(join(folder, 'kpatch.lds'), KPATCH_SCRIPT);
  compile(folder, 'hook.c', join(folder, 'hook.o'), []);
  const [joined, module] = [join(folder, 'output.o'), join(folder, 'linked.ko')];
  execFileSync('ld', ['-r', '-o', joined, ...outputs]);
  execFileSync('ld', ['-r', '-T', join(folder, 'kpatch.lds'), '-o', module, join(folder, 'hook.o'), joined]);
  return module;
}

function compile(folder: string, source: string, to: string, options: readonly string[]): void {
  execFileSync('gcc', [...FLAGS, ...options, '-c', source, '-o', to], { cwd: folder });
}
