import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHT_RELA,
  s64,
  u64,
  type SectionIndex,
  type WordIndex,
} from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from './side';

/** Tables that are read entry by entry, or that tools write about code: these name places in functions and are no part of them. */
export const ABOUT_CODE =
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.RECORD |
  SectionClass.REPLACEMENT |
  SectionClass.TOC |
  SectionClass.EXEC;

const LOADED_CODE = SectionClass.EXEC | SectionClass.ALLOC;

/** A field of code whose relocation names something in a section that was asked for. */
export interface CodeField {
  section: SectionIndex;
  field: number;
}

/**
 * Who refers into sections: fields of code, and variables. Asked for in every run that changes anything, of the few sections that the changed
 * functions lie in, while a kernel has 1.5 million relocations in 100,000 sections: one pass over them serves all who ask, relas are read in the
 * map, and nothing is made of those that lead elsewhere.
 */
export class InwardRelas {
  private static readonly known = new WeakMap<Side, InwardRelas>();
  /** By section: 1 where a pass has looked for what leads into it. */
  private readonly home: Uint8Array;
  private readonly code = new Map<number, CodeField[]>();
  private readonly holders = new Map<number, Set<number>>();

  static of(side: Side): InwardRelas {
    let inward = InwardRelas.known.get(side);
    if (inward === undefined) InwardRelas.known.set(side, (inward = new InwardRelas(side)));
    return inward;
  }

  private constructor(private readonly side: Side) {
    this.home = new Uint8Array(side.table.sections);
  }

  /** Fields of code that name something in one of the sections, by section; not those that would be calls of a function's first byte. */
  fieldsInto(sections: ReadonlySet<SectionIndex>): CodeField[] {
    this.pass(sections);
    return [...sections].flatMap((section) => this.code.get(section) ?? []);
  }

  /** Canonical symbols of data that name something in one of the sections; see ABOUT_CODE for what is no such data. */
  holdersInto(sections: ReadonlySet<SectionIndex>): Set<number> {
    this.pass(sections);
    return new Set([...sections].flatMap((section) => [...(this.holders.get(section) ?? [])]));
  }

  private pass(sections: ReadonlySet<SectionIndex>): void {
    const fresh = new Uint8Array(this.home.length);
    let open = 0;
    for (const section of sections) {
      // COMMON is no section.
      if (section >= this.home.length || this.home[section] === 1) continue;
      this.home[section] = fresh[section] = 1;
      open++;
    }
    if (open > 0) this.look(fresh);
  }

  private look(home: Uint8Array): void {
    const { object, table } = this.side;
    const { relaSection: relaSections, sectionClass } = table;
    for (let section = 1; section < table.sections; section++) {
      const relaSection = relaSections[section]!;
      const bits = sectionClass[section]!;
      if (relaSection === 0 || (bits & SectionClass.ALLOC) === 0 || object.type(relaSection) !== SHT_RELA) continue;
      const isCode = (bits & LOADED_CODE) === LOADED_CODE;
      if (!isCode && (bits & ABOUT_CODE) !== 0) continue;
      const { words, at: first, stop } = object.relaWords(relaSection);
      for (let at = nextInto(words, first, stop, home, table); at < stop; ) {
        if (!isCode) this.noteHolder(section, words, at);
        else if (!this.isEntry(words, at)) this.noteField(section, words, at);
        at = nextInto(words, at + RELA_WORDS, stop, home, table);
      }
    }
  }

  private noteField(section: SectionIndex, words: Uint32Array, at: WordIndex): void {
    const into = this.side.table.section[words[at + R_SYM]!]!;
    const field = u64(words, at + R_OFFSET);
    const fields = this.code.get(into);
    if (fields === undefined) this.code.set(into, [{ section, field }]);
    else fields.push({ section, field });
  }

  private noteHolder(section: SectionIndex, words: Uint32Array, at: WordIndex): void {
    const holder = this.side.identity.coverAt(section, u64(words, at + R_OFFSET));
    if (holder === 0) return;
    const into = this.side.table.section[words[at + R_SYM]!]!;
    const holders = this.holders.get(into);
    if (holders === undefined) this.holders.set(into, new Set([holder]));
    else holders.add(holder);
  }

  /** Whether a call or jump with this rela would be to a function's first byte: all but a few of those in a `.text` that units share. */
  private isEntry(words: Uint32Array, at: WordIndex): boolean {
    const { table, arch, identity } = this.side;
    const named = words[at + R_SYM]!;
    const type = words[at + R_TYPE]!;
    const bias = arch.isPcRelative(type) ? arch.bias(type) : 0;
    const place = table.value[named]! + s64(words, at + R_ADDEND) + bias;
    const symbol = place < 0 ? 0 : identity.coverAt(table.section[named]!, place);
    return symbol !== 0 && table.value[symbol] === place;
  }
}

/** The first rela from word `at` on that names a symbol of a section at home; `stop` or behind it for none. No calls: V8 compiles it late. */
function nextInto(
  words: Uint32Array,
  at: WordIndex,
  stop: number,
  home: Uint8Array,
  { section, symbols }: { section: Uint32Array; symbols: number },
): number {
  for (; at < stop; at += RELA_WORDS) {
    const named = words[at + R_SYM]!;
    // Neither undefined symbols nor absolute ones are at home anywhere.
    if (named < symbols && home[section[named]!] === 1) break;
  }
  return at;
}
