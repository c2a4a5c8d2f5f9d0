/** kCFI: the hash of a function's type stands before it, and whoever calls it through a pointer compares. */
import type { Context } from './context';
import { hex } from './findings';
import type { Module, ModuleSection } from './module';

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
