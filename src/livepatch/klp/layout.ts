import type { Callback, KlpSymbol, OutputSection } from '../object';

/**
 * Names and record layouts of the object that `objtool klp diff` (6.19 on) hands to klp-build. Its readers are objtool
 * itself (`klp post-link`) and scripts/livepatch/init.c, which runs in the finished module.
 */

/** One record an object: name, funcs, callbacks, nr_funcs. */
export const OBJECTS = { name: '.init.klp_objects', entsize: 64, nameField: 0, funcsField: 8, countField: 56 } as const;
/** One record a replaced function. */
export const FUNCS = { name: '.init.klp_funcs', entsize: 24, nameField: 0, functionField: 8, symposField: 16 } as const;
/** Outside of `.init`: the kernel keeps pointers to these names. */
export const STRINGS = '.rodata.klp.str1.1';
export const MODINFO = '.modinfo';
export const IMPORT_NS = 'import_ns=';
/** One record a klp relocation: where, what, and the relocation's type. */
export const KLP_RELOCS = { prefix: '__klp_relocs.', entsize: 24, whereField: 0, whatField: 8, typeField: 16 } as const;

/** Where `struct klp_callbacks` of a record of OBJECTS has each pointer. */
export const CALLBACK_FIELDS: Readonly<Record<Callback, number>> = {
  pre_patch: 16,
  post_patch: 24,
  pre_unpatch: 32,
  post_unpatch: 40,
};

const TOMBSTONE = '.klp.tombstone.';
const KLP_SYMBOL = '.klp.sym.';

/** What only klpflow reads. objtool passes over `.discard.*`, and the linker script of modules drops it. */
const OWN = '.discard.klpflow';
export const FACTS = `${OWN}.facts`;

/** The symbol against which an ordinary relocation stands where a klp relocation will be, so that objtool sees plausible code. */
export function tombstoneName(symbol: KlpSymbol): string {
  return TOMBSTONE + symbol.patchedName;
}

/** Name of a symbol that the livepatch core resolves. */
export function klpSymbolName({ module, name, sympos }: Pick<KlpSymbol, 'module' | 'name' | 'sympos'>): string {
  return `${KLP_SYMBOL}${module}.${name},${sympos}`;
}

export function isTombstone(name: string): boolean {
  return name.startsWith(TOMBSTONE);
}

export function isKlpSymbol(name: string): boolean {
  return name.startsWith(KLP_SYMBOL);
}

/** A section's name in the file. */
export function fileName({ name, use }: Pick<OutputSection, 'name' | 'use'>): string {
  return use === 'module' ? OWN + name : name;
}

/** The section that a name in the file stands for. */
export function sectionOf(name: string): Pick<OutputSection, 'name' | 'use'> {
  if (name.startsWith(OWN)) return { name: name.slice(OWN.length), use: 'module' };
  return { name, use: name.startsWith('.discard') ? 'build' : 'both' };
}

/**
 * The section with the record of a klp relocation at a place in `place` (its name in the file). What belongs to a
 * module counts for the patched object, whoever exports it. A place that the linker drops may not be named by what it keeps.
 */
export function klpRelocsName(objectName: string, target: KlpSymbol, place: string): string {
  const name = KLP_RELOCS.prefix + (target.module === 'vmlinux' ? 'vmlinux' : objectName);
  return place.startsWith('.discard') ? OWN + name : name;
}

export function isKlpRelocs(name: string): boolean {
  return name.startsWith(KLP_RELOCS.prefix) || name.startsWith(OWN + KLP_RELOCS.prefix);
}
