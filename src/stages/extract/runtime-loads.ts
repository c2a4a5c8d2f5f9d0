import { STB_GLOBAL, STT_OBJECT, type SymbolIndex } from '../../elf';
import type { VariableField } from '../../kernel/load-instead';
import { runtimeSite, type FunctionEntry } from '../runtime-loads';
import { Trait } from '../scan';
import type { Side } from '../side/side';
import type { Copy } from './clones';
import type { Copying } from './copying';
import type { CopyInput } from './types';

/**
 * Turns an immediate that boot code fills in in vmlinux only into a read of the variable, in an instruction as long, so that nothing behind moves.
 * Upstream leaves the placeholder: a cloned `__fput` would free into 0x0123456789abcdef, `__futex_hash` look behind its table.
 */
export function readVariable(
  { input, clones, links, refusals }: Copying,
  copy: Copy,
  { symbol, entry, entries }: { symbol: SymbolIndex; entry: FunctionEntry; entries: readonly FunctionEntry[] },
): void {
  const { patched } = input;
  const {
    constant: { variable: name },
    load,
  } = runtimeSite(patched, symbol, entry, entries);
  // Refused by assess, with the reason.
  if (load === undefined) return;
  const refuse = (why: string): void =>
    refusals.add(
      'runtime-constant',
      copy.name,
      patched.object.name(copy.range.section),
      entry.site,
      `${copy.name} holds ${name} in its code, and ${why}`,
    );
  const variables = variablesNamed(input, name, load.size, symbol);
  const [variable] = variables;
  // Of a unit alone it is another's: fs/namespace.c holds USER_PTR_MAX, arch/x86/kernel/cpu/common.c has it.
  const link =
    variables.length > 1
      ? undefined
      : variable === undefined
        ? links.variable(name)
        : links.of(variable, variable, copy, entry.site);
  if (link === undefined) {
    refuse(variables.length === 0 ? 'no variable has that name' : `${variables.length} variables have that name`);
    return;
  }
  const start = copy.start + patched.table.value[symbol]! + load.start - copy.range.start;
  const refer = (from: number, { at, type, addend }: VariableField): void => {
    const field = { offset: from + at, type, addend };
    if (link.kind === 'import')
      copy.section.relas.push({ ...field, symbol: clones.output.reference(link.name, infoOf(patched, variable)) });
    else if (link.kind === 'klp')
      clones.output.klpRelas.push({ ...field, section: copy.section, target: clones.output.klpSymbol(link.target) });
    else if (link.kind === 'clone')
      copy.section.relas.push({ ...field, symbol: clones.of(variable!) ?? clones.object(variable!) });
  };
  copy.section.bytes.set(load.bytes, start);
  for (const field of load.fields) refer(start, field);
  if (load.aside !== undefined) {
    const { bytes, fields, branch } = load.aside;
    const aside = copy.section.append(Uint8Array.from(bytes), patched.arch.instructionAlign);
    const view = new DataView(copy.section.bytes.buffer, copy.section.bytes.byteOffset, copy.section.bytes.length);
    patched.arch.fill(branch, view, start, start, aside);
    const last = aside + bytes.length - patched.arch.instructionAlign;
    patched.arch.fill(branch, view, last, last, start + load.bytes.length);
    for (const field of fields) refer(aside, field);
  }
  if (link.kind === 'refused' && input.undecided.has(variable!)) refuse('nothing tells which one of ORIG that is');
}

/** st_info of a reference; a variable of another unit is a global one. */
function infoOf({ table }: Side, variable: number | undefined): number {
  return variable === undefined ? (STB_GLOBAL << 4) | STT_OBJECT : table.info[variable]!;
}

/** The variables of a size that `X` of `runtime_ptr_X` can mean: a static one of the function's own unit, else globals, else the only static one. */
function variablesNamed({ patched }: CopyInput, variable: string, size: number, user: number): number[] {
  const { table } = patched;
  const all: number[] = [];
  for (let i = 0; i < table.listedCount; i++) {
    const symbol = table.listed[i]!;
    if (!table.has(symbol, Trait.OBJECT) || table.size[symbol] !== size || table.canonical[symbol] !== symbol) continue;
    // LTO may have promoted it: `__names_cache.llvm.123`.
    const name = patched.name(symbol);
    if (name === variable || (name.startsWith(variable) && name.startsWith('.llvm.', variable.length)))
      all.push(symbol);
  }
  const own = all.filter((symbol) => table.file[symbol] !== 0 && table.file[symbol] === table.file[user]);
  if (own.length > 0) return own;
  const global = all.filter((symbol) => table.file[symbol] === 0);
  return global.length > 0 ? global : all;
}
