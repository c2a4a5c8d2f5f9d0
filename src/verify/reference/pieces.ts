import { SHF_EXECINSTR, STT_FUNC, STT_OBJECT } from '../../elf';
import type { Context } from '../context';
import type { ModuleRela } from '../module';
import { withoutNumbers } from './identity';
import type { ReferenceObject, ReferenceSymbol } from './object';

/**
 * No klp relocation leads to data that leads into the middle of a function: a table of labels (`jumptable` of `___bpf_prog_run`, Linux 6.12)
 * is part of its function, and the running kernel's would send the new code on into the old.
 */
export function checkForeignTables({ module, findings }: Context, objects: readonly ReferenceObject[]): void {
  const users = new Map<string, ModuleRela>();
  for (const rela of module.relas) {
    const name = /^\.klp\.sym\.[^.]+\.(.+),\d+$/.exec(rela.symbol.name)?.[1];
    if (name !== undefined && rela.symbol.type !== STT_FUNC && !users.has(withoutNumbers(name)))
      users.set(withoutNumbers(name), rela);
  }
  if (users.size === 0) return;
  /** Of the data called so: how many there are, and how many lead into a function. */
  const counts = new Map<string, { all: number; inside: number; into: string }>();
  for (const object of objects) {
    for (const symbol of object.named((type, name) => type === STT_OBJECT && users.has(withoutNumbers(name)))) {
      const name = withoutNumbers(symbol.name);
      const count = counts.get(name) ?? { all: 0, inside: 0, into: '' };
      counts.set(name, count);
      count.all++;
      const into = functionEntered(object, symbol);
      if (into !== undefined) Object.assign(count, { inside: count.inside + 1, into });
    }
  }
  for (const [name, { all, inside, into }] of counts) {
    const rela = users.get(name)!;
    // Namesakes of other units may be no tables; which one is meant the name does not say.
    if (inside === all)
      findings.add(
        'verify-target',
        { section: rela.section, offset: rela.offset },
        `${name} of the kernel leads into the middle of ${into}, so that it belongs to that function's code`,
      );
  }
}

/** A function whose inside the data refers to, by name; undefined if there is none. */
function functionEntered(object: ReferenceObject, { section, value, size }: ReferenceSymbol): string | undefined {
  const relas = object.relas(section, (offset) => offset >= value && offset < value + size);
  object.readSymbols(new Set(relas.map(({ symbol }) => object.sectionOf(symbol))));
  for (const { symbol, addend } of relas) {
    const target = object.symbol(symbol);
    if (target.section === 0 || (object.elf.sectionFlags(target.section) & SHF_EXECINSTR) === 0) continue;
    const place = target.value + addend;
    const around = object
      .symbolsIn(target.section)
      .filter((each) => each.type === STT_FUNC && place >= each.value && place < each.value + each.size);
    if (around.length > 0 && around.every((each) => each.value !== place)) return around[0]!.name;
  }
  return undefined;
}
