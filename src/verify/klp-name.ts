/** Names as kernel/livepatch/core.c parses them: an object of up to 55 characters without a dot, a symbol of up to 511 without a comma. */
const SYMBOL = /^\.klp\.sym\.([^.]{1,55})\.([^,]{1,511}),(\d{1,20})$/;
const SECTION = /^\.klp\.rela\.([^.]{1,55})\./;

export interface KlpName {
  /** `vmlinux` or a module. */
  object: string;
  name: string;
  sympos: number;
}

export const isKlpName = (name: string): boolean => name.startsWith('.klp.sym.');

/** The parts of `.klp.sym.OBJECT.NAME,POSITION`; undefined where the kernel would refuse it. */
export function parseKlpSymbol(text: string): KlpName | undefined {
  const [, object, name, sympos] = SYMBOL.exec(text) ?? [];
  return object === undefined || name === undefined ? undefined : { object, name, sympos: Number(sympos) };
}

/** The object of `.klp.rela.OBJECT.SECTION`. */
export function parseKlpSection(text: string): string | undefined {
  return SECTION.exec(text)?.[1];
}
