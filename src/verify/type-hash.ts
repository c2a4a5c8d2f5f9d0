/** kCFI: the hash of a function's type stands before it, and whoever calls it through a pointer compares. */
import { STT_FUNC } from '../elf';
import { hashBefore } from './aarch64/hash';
import type { Context } from './context';
import { hex } from './findings';
import type { Module, ModuleSection } from './module';
import type { Sites } from './tables';

/** Bytes of `mov $hash,%reg`. */
export const PREAMBLE = 5;

/** b8 to bf: with arity (-fsanitize-kcfi-arity, Linux 7.3) the register says how many arguments the body reads. */
export function isPreamble(opcode: number | undefined): boolean {
  return opcode !== undefined && opcode >= 0xb8 && opcode <= 0xbf;
}

/**
 * A replacement whose type is another than its original's: tables of the kernel go on holding the original, and whoever calls it through
 * one was compiled for its type. The original's preamble stands in the image where the replacement's stands in the module. A function that is
 * only called by its name may have another type, as a patch that changes its callers, too, gives it.
 *
 * @param isKept whether PATCHED keeps the address of a function; undefined where it is not there to tell
 */
export function checkTypeHashes(
  { module, kernel, findings, replacements }: Context,
  isKept: ((name: string) => boolean) | undefined,
): void {
  for (const [key, { object, name, sympos, place }] of replacements) {
    const [section, value] = key.split(':').map(Number) as [number, number];
    const own = preambleOf(module, module.sections[section]!, value);
    const old = own === undefined ? null : (kernel?.at(object, name, sympos) ?? null);
    if (own === undefined || old === null || typeof old === 'string') continue;
    const before = kernel!.bytesAt(old.address - own.distance, PREAMBLE);
    if (before === undefined || !isPreamble(before[0])) continue;
    const hash = wordAt(before, 1);
    if (hash === own.hash) continue;
    const message = `the type of ${name} has the hash ${hex(hash)} in the kernel, ${hex(own.hash)} in the module`;
    const names = [
      ...new Set([name, ...module.symbolsAt(module.sections[section]!, value).map((symbol) => symbol.name)]),
    ];
    if (isKept === undefined)
      findings.add(
        'verify-not-checked',
        undefined,
        `whether anything calls ${name} through a pointer, for which ${message}: no --object was given`,
      );
    else if (names.some(isKept)) findings.add('verify-type-hash', place, message);
  }
}

/** What the kernel calls through `struct module`, and so checks. */
const ENTRIES = ['init_module', 'cleanup_module'] as const;

/** Hashes of a module's init and exit functions; empty without kCFI. */
export function entryTypes(module: Module): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of ENTRIES) {
    const symbol = module.symbol(name);
    const section = symbol && module.sectionOf(symbol);
    // arm64 has a word without a symbol of its own, x86-64 an instruction.
    const hash =
      section && (hashBefore(module, section, symbol.value) ?? preambleOf(module, section, symbol.value)?.hash);
    if (hash !== undefined) found.set(name, hash);
  }
  return found;
}

/** The module's own preambles: init and exit have one as any module of the kernel does, and boot code is told of all that it has to rewrite. */
export function checkPreambles({ module, kernel, template, findings }: Context, sites: Sites): void {
  const preambles = module.symbols.filter(({ name, type }) => type === STT_FUNC && name.startsWith('__cfi_'));
  const wanted = template?.types ?? new Map<string, number>();
  if (preambles.length === 0 && wanted.size === 0) return;
  const types = entryTypes(module);
  for (const name of ENTRIES) {
    const symbol = module.symbol(name);
    if (symbol === undefined) continue;
    const [hash, other] = [types.get(name), wanted.get(name)];
    if (hash === undefined)
      findings.add(
        'verify-type-hash',
        { symbol },
        `${name} has no type hash before it: the kernel's call of it would trap`,
      );
    else if (other !== undefined && other !== hash)
      findings.add(
        'verify-type-hash',
        { symbol },
        `${name} has the type hash ${hex(hash)}, in ${template!.path} it has ${hex(other)}`,
      );
  }
  if (!sites.any('cfi') && kernel?.hasTable('__cfi_sites', '__cfi_sites_end') !== true) return;
  for (const { name, value, ...symbol } of preambles) {
    const section = module.sections[symbol.section];
    if (section !== undefined && isPreamble(section.bytes[value]) && !sites.has('cfi', section, value))
      findings.add('verify-missing-entry', { section, offset: value }, `${name} has no entry in .cfi_sites`);
  }
}

/** The hash before a function, and how far before it stands. */
function preambleOf(
  module: Module,
  section: ModuleSection,
  value: number,
): { hash: number; distance: number } | undefined {
  const start = module
    .symbolsIn(section)
    .find(
      (symbol) =>
        symbol.name.startsWith('__cfi_') &&
        symbol.value < value &&
        symbol.value + symbol.size <= value &&
        module.symbolsAt(section, value).some(({ name }) => symbol.name === `__cfi_${name}`),
    );
  if (start === undefined || !isPreamble(section.bytes[start.value])) return undefined;
  return { hash: wordAt(section.bytes, start.value + 1), distance: value - start.value };
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
