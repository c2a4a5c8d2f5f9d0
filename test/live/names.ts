/** Names and statements of one item while its text is made. */
import { statementText } from './statements';
import type { Item } from './model';

export class Names {
  readonly entries: string[] = [];
  readonly inits: string[] = [];

  constructor(readonly item: Item) {}

  /** A static's name: other units may have it, too. */
  s(base: string): string {
    return `${base}_${this.item.local}`;
  }

  /** A name that nobody else has. */
  g(base: string): string {
    return `${base}_g${this.item.id}`;
  }

  /** The head of a function that the driver or other items call. */
  entry(base: string): string {
    const name = this.g(base);
    this.entries.push(name);
    return `${prefix(this.item)}u32 ${name}(u32 k)`;
  }

  /** The head of a function that runs before the livepatch is applied. */
  init(base: string): string {
    const name = this.g(base);
    this.inits.push(name);
    return `noinline void ${name}(void)`;
  }

  /** What the warm-up before the livepatch does to state: the same in ORIG and PATCHED. State that an edit brings has none. */
  warm(text: string): string {
    return this.item.fresh ? '' : `if (rt_warming) { ${text} }`;
  }

  /** The statements of a slot. */
  slot(name: string): string {
    return (this.item.slots[name] ?? []).map((s) => `\t${statementText(s)}\n`).join('');
  }
}

/** How an item's entries are declared. */
export function prefix({ linkage }: Item): string {
  return { global: '', static: 'static noinline ', inline: 'static __always_inline ', weak: '__weak ' }[linkage];
}
