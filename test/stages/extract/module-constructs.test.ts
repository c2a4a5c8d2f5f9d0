/**
 * What the kernel's macros leave in compiled code of a module: static keys, static calls, tracepoints, debug messages, bug records, exception tables.
 * A livepatch may be there before its target: what the loader sets up of the livepatch then knows nothing of the module's own keys.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { COMPILERS, compiled } from '../../support/compiled';
import { extractObjects, type Extracted } from '../../support/extract-objects';

/** A static branch on `key`, as arch_static_branch() of x86-64 writes it. */
const BRANCH = `static inline __attribute__((always_inline)) int branch(const void *key) {
  asm goto("1: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\\n\\t.pushsection __jump_table, \\"aw\\"\\n\\t.balign 8\\n\\t.long 1b - .\\n\\t.long %l[yes] - .\\n\\t.quad %c0 - .\\n\\t.popsection" : : "i" (key) : : yes);
  return 0; yes: return 1; }`;

/** A call through a static call's trampoline with the entry that objtool writes. */
const CALL = (name: string, named = `__SCK__${name}`): string =>
  `asm volatile("1: call __SCT__${name}\\n\\t.pushsection .static_call_sites, \\"aw\\"\\n\\t.balign 4\\n\\t.long 1b - .\\n\\t.long ${named} - .\\n\\t.popsection" ::: "memory", "rax", "rdi", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11");`;

/** WARN_ON() with its record, and a load that may fault. */
const WARN = `asm volatile("1: ud2\\n\\t.pushsection __bug_table, \\"aw\\"\\n2: .long 1b - .\\n\\t.long %c0 - .\\n\\t.word %c1\\n\\t.word 2305\\n\\t.popsection" : : "i" (__FILE__), "i" (17));`;
const LOAD = `asm volatile("1: mov (%1), %0\\n2:\\n\\t.pushsection __ex_table, \\"a\\"\\n\\t.balign 4\\n\\t.long 1b - .\\n\\t.long 2b - .\\n\\t.long 3\\n\\t.popsection" : "=r" (value) : "r" (from));`;

const DECLARED = `extern int _printk(const char *, ...); extern void go(void);
struct key { int enabled; const void *entries; };
struct tracepoint { const char *name; struct key key; };
struct _ddebug { const char *function; unsigned line; struct key key; };
${BRANCH}`;

/** Two builds of one unit, in which \`work\` returns another number. */
function built(compiler: string, body: string, more = ''): [Buffer, Buffer] {
  const source = (value: number): string =>
    `${DECLARED}${more}\nlong work(long *from) { long value = ${value}; ${body}\n return value + ${value}; }\nlong idle(long *from) { long value = 9; ${body}\n return value; }`;
  return [compiled(compiler, source(1)), compiled(compiler, source(2))];
}

const EXPORTS = ['__x86_return_thunk', '__fentry__', '_printk'];
const OF_MODULE = { objectName: 'nfs', exports: EXPORTS };
const OF_KERNEL = { exports: EXPORTS };

function made(pair: readonly [Buffer, Buffer], options = OF_MODULE as Parameters<typeof extractObjects>[2]): Extracted {
  const extracted = extractObjects(...pair, options);
  expect(Object.keys(extracted.diff.changed)).toEqual(['work']);
  return extracted;
}
const entries = ({ sections }: Extracted, section: string): number => sections[section] ?? 0;

describe.each(COMPILERS.length === 0 ? ['none'] : COMPILERS)('%s', (compiler) => {
  beforeEach((context) => context.skip(COMPILERS.length === 0, 'no compiler here'));

  const key = 'struct key nfs_key = { 1 };';

  test("a branch on the module's own key is refused, on the kernel's it is right", () => {
    const own = built(compiler, 'if (branch(&nfs_key)) _printk("on");', key);
    expect(made(own).told).toEqual(['late-key nfs_key']);
    const kernels = made(own, OF_KERNEL);
    expect(kernels.told).toEqual([]);
    expect({ size: entries(kernels, '__jump_table'), relas: kernels.relas('__jump_table').at(-1) }).toEqual({
      size: 16,
      relas: expect.stringMatching(/klp PC64 vmlinux\.nfs_key,0/),
    });
    // Imported, it is known when the livepatch is loaded.
    const imported = built(compiler, 'if (branch(&kernel_key)) _printk("on");', 'extern struct key kernel_key;');
    const bound = made(imported, { ...OF_MODULE, exports: [...EXPORTS, 'kernel_key'] });
    expect({ told: bound.told, size: entries(bound, '__jump_table') }).toEqual({ told: [], size: 16 });
  });

  test("a tracepoint of the module stays off, with a warning; a debug message is the livepatch's own", () => {
    const trace = built(
      compiler,
      'if (branch(&__tracepoint_nfs_read.key)) go();',
      'struct tracepoint __tracepoint_nfs_read = { "nfs_read" };',
    );
    const traced = made(trace, { ...OF_MODULE, exports: [...EXPORTS, 'go'] });
    expect({ told: traced.told, size: entries(traced, '__jump_table') }).toEqual({
      told: ['late-key-dropped __tracepoint_nfs_read'],
      size: 0,
    });
    const debug = built(
      compiler,
      'static struct _ddebug __UNIQUE_ID_ddebug7 __attribute__((section("__dyndbg"), aligned(8))) = { "work", 3 }; if (branch(&__UNIQUE_ID_ddebug7.key)) _printk("debug");',
    );
    // Its record comes along, key and all, and is switched on under the livepatch's name.
    const debugged = made(debug);
    expect({
      told: debugged.told,
      jumps: entries(debugged, '__jump_table'),
      records: entries(debugged, '__dyndbg') > 0,
      waits: debugged.relas('__jump_table').filter((line) => line.includes('klp')),
    }).toEqual({ told: [], jumps: 16, records: true, waits: [] });
  });

  test("a static call with the module's key is refused, by its trampoline, too; the kernel's are right", () => {
    const more =
      'long __SCK__nfs_op = 0; asm(".pushsection .static_call.text, \\"ax\\"\\n.globl __SCT__nfs_op\\n.type __SCT__nfs_op, @function\\n__SCT__nfs_op: jmp go\\n.byte 0x0f, 0xb9, 0xcc\\n.size __SCT__nfs_op, . - __SCT__nfs_op\\n.popsection");';
    const options = { ...OF_MODULE, exports: [...EXPORTS, 'go'] };
    expect(made(built(compiler, CALL('nfs_op'), more), options).told).toEqual(['late-key __SCK__nfs_op']);
    expect(made(built(compiler, CALL('nfs_op', '__SCT__nfs_op'), more), options).told).toEqual([
      'late-relocation __SCT__nfs_op',
    ]);
    const kernels = made(built(compiler, CALL('nfs_op'), more), { exports: options.exports });
    expect({ told: kernels.told, relas: kernels.relas('.static_call_sites') }).toEqual({
      told: [],
      relas: [expect.stringMatching(/work\+/), expect.stringMatching(/klp PC32 vmlinux\.__SCK__nfs_op,0/)],
    });
  });

  // Linux 7.3: with PARAVIRT_SPINLOCKS each unlock is one; only the trampolines are exported.
  test('spinlocks that are static calls: the key in the kernel, the trampoline in a module', () => {
    const exports = [...EXPORTS, '__SCT__queued_spin_unlock'];
    const kernel = made(
      built(
        compiler,
        CALL('queued_spin_unlock'),
        'long __SCK__queued_spin_unlock; asm(".globl __SCT__queued_spin_unlock");',
      ),
      { exports },
    );
    expect({ told: kernel.told, key: kernel.relas('.static_call_sites').at(-1), imports: kernel.imports }).toEqual({
      told: [],
      key: expect.stringMatching(/klp PC32 vmlinux\.__SCK__queued_spin_unlock,0/),
      imports: expect.arrayContaining(['__SCT__queued_spin_unlock']),
    });
    const module = made(built(compiler, CALL('queued_spin_unlock', '__SCT__queued_spin_unlock')), {
      ...OF_MODULE,
      exports,
    });
    expect({ told: module.told, size: entries(module, '.static_call_sites') }).toEqual({ told: [], size: 8 });
    expect(module.relas('.static_call_sites').at(-1)).toMatch(/^\S+ PC32 __SCT__queued_spin_unlock/);
  });

  test('bug records and exceptions are of the copy, whenever the module comes', () => {
    const { told, relas, sections, klpSymbols, text } = made(built(compiler, WARN + LOAD));
    expect(told).toEqual([]);
    expect({ bugs: sections['__bug_table'], exceptions: sections['__ex_table'] }).toEqual({ bugs: 12, exceptions: 12 });
    // The loader sorts and reads both tables at once: nothing in them may wait for the module.
    for (const table of ['__bug_table', '__ex_table']) expect(relas(table).join('\n'), table).not.toContain('klp');
    expect(relas('__ex_table').every((line) => /PC32 work\+/.test(line))).toBe(true);
    expect(text('__bug_table', 4)).toBe('unit.c');
    expect(klpSymbols.map(({ name }) => name)).toEqual(['work']);
  });

  // 7.3 has no `.smp_locks`: the prefix stands alone. Kernels before it patch it by the table.
  test('lock prefixes with and without records', () => {
    const LOCK = (table: string): string => `asm volatile("${table}lock incl (%0)" : : "r" (from) : "memory");`;
    const bare = made(built(compiler, LOCK('')));
    expect({ told: bare.told, size: entries(bare, '.smp_locks') }).toEqual({ told: [], size: 0 });
    expect(bare.hex('work')).toMatch(/f0ff/);
    const listed = made(
      built(
        compiler,
        LOCK('.pushsection .smp_locks, \\"a\\"\\n\\t.balign 4\\n\\t.long 671f - .\\n\\t.popsection\\n671: '),
      ),
    );
    expect({ told: listed.told, size: entries(listed, '.smp_locks') }).toEqual({ told: [], size: 4 });
  });

  describe('constants that boot writes', () => {
    const MASK = (kind: string): string =>
      `asm("and $0x12345678, %k0\\n1:\\n\\t.pushsection runtime_${kind}_limit, \\"a\\"\\n\\t.long 1b - 4 - .\\n\\t.popsection" : "+r" (value));`;
    /** The value in a register that is not %eax, for which there is no room. */
    const withMask = (kind: string, register: string): [Buffer, Buffer] =>
      built(
        compiler,
        `{ register long in asm("${register}") = from[0]; ${MASK(kind).replace('(value)', '(in)')} value = in; }`,
        '__attribute__((used)) static unsigned limit;',
      );

    test('a mask is read from its variable, of the kernel and of a module', () => {
      const { told, relas, sections } = made(withMask('mask', 'rcx'), OF_KERNEL);
      expect(told).toEqual([]);
      expect(relas('work').join('\n')).toMatch(/klp PC32 vmlinux\.limit,0-4/);
      expect(Object.keys(sections).filter((name) => name.startsWith('runtime_'))).toEqual([]);
    });

    test('the short form has no room, and an unknown kind is refused by its name', () => {
      expect(made(withMask('mask', 'rax'), OF_KERNEL).told).toEqual(['runtime-constant work']);
      const unknown = made(withMask('slope', 'rcx'), OF_KERNEL);
      expect(unknown.told).toEqual(['runtime-constant work']);
      expect(unknown.diff.diagnostics.map(({ message }) => message).join()).toContain('runtime_slope_limit');
    });
  });
});
