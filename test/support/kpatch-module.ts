/**
 * The rest of a kpatch module, as kpatch-build and kbuild make it of create-diff-object's objects: linked with the code that hands them to
 * the kernel, and with what modpost writes for every module.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { structLayouts, type StructLayout } from '../../src/kernel/btf';
import { Symvers } from '../../src/kernel/symvers';
import { KPATCH_SCRIPT } from './kpatch-sources';
import { withObjtoolTables, type OrcWords } from './objtool-tables';
import { kpatchDiff } from './kpatch-run';
import { readelf } from './readelf';

const SOURCES = join(__dirname, '../fixtures/kpatch');

/** As kernels with IBT, return thunks and retpolines compile modules. */
const FLAGS = [
  '-O2',
  '-ffreestanding',
  '-fno-pic',
  '-fno-pie',
  '-mcmodel=kernel',
  '-mno-red-zone',
  '-mno-sse',
  '-fno-stack-protector',
  '-fomit-frame-pointer',
  '-fno-strict-aliasing',
  '-ffunction-sections',
  '-fdata-sections',
  '-fcf-protection=branch',
  '-mfunction-return=thunk-extern',
  '-mindirect-branch=thunk-extern',
  '-mindirect-branch-register',
  '-fno-jump-tables',
  '-fno-reorder-blocks-and-partition',
  '-fasynchronous-unwind-tables',
  '-fpatchable-function-entry=16,16',
  '-falign-functions=16',
  '-Wall',
  '-Werror',
];

/** Members of each struct: C, and bytes; 0 for those of a struct before it. */
const MEMBERS: Readonly<Record<string, Readonly<Record<string, readonly [declaration: string, bytes: number]>>>> = {
  klp_func: {
    old_name: ['const char *old_name', 8],
    new_func: ['void *new_func', 8],
    old_sympos: ['unsigned long old_sympos', 8],
  },
  klp_callbacks: {
    pre_patch: ['void *pre_patch', 8],
    post_patch: ['void *post_patch', 8],
    pre_unpatch: ['void *pre_unpatch', 8],
    post_unpatch: ['void *post_unpatch', 8],
  },
  klp_object: {
    name: ['const char *name', 8],
    funcs: ['struct klp_func *funcs', 8],
    callbacks: ['struct klp_callbacks callbacks', 0],
  },
  klp_patch: { mod: ['void *mod', 8], objs: ['struct klp_object *objs', 8], replace: ['_Bool replace', 1] },
  module: { name: ['char name[56]', 56], init: ['int (*init)(void)', 8], exit: ['void (*exit)(void)', 8] },
};

export interface ModuleKernel {
  btf: string;
  symvers: string;
  /** As modules of it say: it ends in a space. */
  vermagic: string;
}

export interface KpatchModule {
  /** What create-klp-module takes. */
  linked: string;
  /** The objects that are made here, by which the code in the module can be checked. */
  own: string[];
}

/** Links outputs with the hook, and that with what modpost writes. `words`: as that kernel's objtool writes them. */
export function linkKpatchModule(
  folder: string,
  name: string,
  outputs: readonly string[],
  words: OrcWords,
  { btf, symvers, vermagic }: ModuleKernel,
): KpatchModule {
  const path = (file: string): string => join(folder, `${name}.${file}`);
  const layouts = structLayouts(readFileSync(btf), Object.keys(MEMBERS), btf);
  writeFileSync(
    join(folder, 'layouts.h'),
    Object.keys(MEMBERS)
      .map((struct) => structSource(struct, layouts))
      .join('\n'),
  );
  compileModuleCode(folder, join(SOURCES, 'hook.c'), path('hook.o'), words);
  writeFileSync(path('lds'), KPATCH_SCRIPT);
  link(path('output.o'), outputs);
  link(path('linked.o'), ['-T', path('lds'), path('hook.o'), path('output.o')]);
  writeFileSync(
    path('mod.c'),
    modpostSource(name, vermagic, importsOf(path('linked.o')), Symvers.parse(readFileSync(symvers, 'utf8'), symvers)),
  );
  compileModuleCode(folder, path('mod.c'), path('mod.o'), words);
  link(path('linked.ko'), [path('linked.o'), path('mod.o')]);
  return { linked: path('linked.ko'), own: [path('hook.o')] };
}

/** The output of create-diff-object for a unit that gets callbacks for vmlinux, and PATCHED. */
export async function callbackUnit(folder: string, words: OrcWords): Promise<{ output: string; patched: string }> {
  const [orig, patched, output] = ['orig', 'patched', 'output'].map((name) => join(folder, `callbacks.${name}.o`)) as [
    string,
    string,
    string,
  ];
  compileModuleCode(folder, join(SOURCES, 'callbacks.c'), orig, words);
  compileModuleCode(folder, join(SOURCES, 'callbacks.c'), patched, words, '-DPATCHED');
  const { exit, diagnostics, lines } = await kpatchDiff(orig, patched, orig, output);
  if (exit !== 0)
    throw new Error(`${exit}: ${lines.join('; ')}; ${diagnostics.map(({ message }) => message).join('; ')}`);
  return { output, patched };
}

function link(to: string, from: readonly string[]): void {
  // Kernel objects say nothing of the stack; ld would tell at length.
  execFileSync('ld', ['-r', '--no-warn-execstack', '-o', to, ...from]);
}

/** Compiles one source, with the tables that objtool would add. */
function compileModuleCode(
  folder: string,
  source: string,
  to: string,
  words: OrcWords,
  ...options: readonly string[]
): void {
  const assembly = execFileSync('gcc', [...FLAGS, ...options, '-I', folder, '-S', '-o', '-', source], {
    encoding: 'utf8',
  });
  writeFileSync(`${to}.s`, withObjtoolTables(assembly, words));
  execFileSync('gcc', ['-c', '-o', to, `${to}.s`]);
}

/** C of a struct whose members stand where the kernel has them. */
function structSource(struct: string, layouts: Readonly<Record<string, StructLayout>>): string {
  const { size, offsets } = layouts[struct]!;
  let at = 0;
  const lines: string[] = [];
  const pad = (to: number): void => void (to > at && lines.push(`\tchar before_${to}[${to - at}];`));
  for (const [member, [declaration, bytes]] of Object.entries(MEMBERS[struct]!).sort(
    ([a], [b]) => offsets[a]! - offsets[b]!,
  )) {
    pad(offsets[member]!);
    lines.push(`\t${declaration};`);
    at = offsets[member]! + (bytes || layouts[/^struct (\w+)/.exec(declaration)![1]!]!.size);
  }
  pad(size);
  return `struct ${struct} {\n${lines.join('\n')}\n};\n_Static_assert(sizeof(struct ${struct}) == ${size}, "");\n`;
}

/** What modpost looks up in Module.symvers; it makes __this_module itself. */
function importsOf(object: string): string[] {
  return readelf(object, '-sW')
    .flatMap((line) => /\bUND (\S+)$/.exec(line)?.[1] ?? [])
    .filter((name) => name !== '__this_module');
}

/** The file `NAME.mod.c`. @throws for a symbol that nothing exports */
function modpostSource(name: string, vermagic: string, imports: readonly string[], exports: Symvers): string {
  const versions = ['module_layout', ...imports].map((symbol) => {
    const found = exports.get(symbol);
    if (found === undefined) throw new Error(`${symbol} is undefined and not exported`);
    return `\t{ 0x${found.crc.toString(16)}, "${symbol}" },`;
  });
  const info = ['depends=', 'retpoline=Y', `name=${name}`, `vermagic=${vermagic}`].map((line) => `${line}\\0`).join('');
  return `#include "layouts.h"
extern int init_module(void);
extern void cleanup_module(void);
__attribute__((section(".gnu.linkonce.this_module"), aligned(64))) struct module __this_module = { .name = "${name}", .init = init_module, .exit = cleanup_module };
static const struct { unsigned long crc; char name[56]; } versions[] __attribute__((section("__versions"), used)) = {
${versions.join('\n')}
};
static const char modpost_info[] __attribute__((section(".modinfo"), used, aligned(1))) = "${info}";
`;
}
