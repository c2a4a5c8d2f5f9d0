import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, s64, u64, type SectionIndex } from '../../elf';
import { kernelSection, type KernelSection } from '../../kernel/sections';
import { FtraceSites } from '../assess/ftrace-sites';
import type { Side } from '../side/side';
import type { Clones, CodeRange } from './clones';
import type { CopyRules } from './copy-rules';

/**
 * Copies the entries about code that is in the output from the tables that compilers and objtool wrote about all code: a module
 * gets its own tables, and for a finished one nobody runs objtool. Each entry is known by the address it names.
 */
export function copyCodeTables(patched: Side, clones: Clones, dialect: CopyRules): void {
  const code = new CodeIndex(patched, clones.code);
  for (let section = 1; section < patched.table.sections; section++) {
    if (patched.table.relaSection[section] === 0 || !code.mayBeTable(section)) continue;
    const name = patched.object.name(section);
    const table = kernelSection(name);
    if (table?.addresses !== undefined && dialect.keepsTable(table))
      copyTable(patched, clones, code, section, table.addresses);
    else if (name === '.orc_unwind_ip') copyOrc(patched, clones, code, section);
  }
  if (patched.arch.patchableSites && dialect.listsSites) copySites(patched, clones);
}

/** Where ftrace takes hold of the copies, which may be traced as any function. A kernel has a section for each function's one entry. */
function copySites(patched: Side, clones: Clones): void {
  const sites = FtraceSites.of(patched);
  if (sites.table === 0) return;
  for (const range of clones.code) {
    for (const place of range.replacement ? [] : sites.entriesIn(range)) {
      const target = clones.sectionLike(sites.table);
      target.relas.push({
        offset: target.append(SITE, SITE),
        type: patched.arch.address64,
        symbol: range.place.symbol,
        addend: range.place.offset + place - range.start,
      });
    }
  }
}

/** Bytes of an entry. */
const SITE = 8;

function copyTable(
  patched: Side,
  clones: Clones,
  code: CodeIndex,
  section: SectionIndex,
  { size: entrySize, use }: NonNullable<KernelSection['addresses']>,
): void {
  const { object, arch } = patched;
  const content = object.content(section);
  code.forEachReference(section, (field, type, range, place) => {
    // Lists of addresses alone (`.discard.*` before 6.19) mix widths: an entry is its field.
    const width = type === arch.address64 ? 8 : 4;
    const size = entrySize || width;
    const start = entrySize === 0 ? field : Math.floor(field / size) * size;
    if (field + width > start + size || start + size > content.length)
      object.malformed(
        object.offset(section),
        `a rela applies to offset ${field} of ${object.name(section)}, across entries of ${size} bytes`,
      );
    const target = clones.tableLike(section, size, use);
    const bytes = content.slice(start, start + size);
    bytes.fill(0, field - start, field - start + width);
    const placed = target.append(bytes, 1);
    target.align = Math.max(target.align, clones.alignOf(section));
    target.relas.push({
      offset: placed + field - start,
      type,
      symbol: range.place.symbol,
      addend: range.place.offset + place - range.start,
    });
  });
}

interface OrcEntry {
  place: number;
  /** Ordinal in both tables. */
  index: number;
  type: number;
}

/**
 * Stack layouts: `.orc_unwind_ip` has an address for each word of `.orc_unwind` (6 bytes on x86-64, 8 on loongarch64). A word holds until the next address, so a
 * range begins with the word that holds there, and ends in a terminator. Words are copied: their register numbers differ by release.
 */
function copyOrc(patched: Side, clones: Clones, code: CodeIndex, section: SectionIndex): void {
  const { object } = patched;
  const words = wordsOf(patched);
  const size = object.size(words) / (object.size(section) / 4);
  if (words === 0 || !Number.isInteger(size)) return;
  const content = object.content(words);
  // "Nothing known from here on": what stands behind the end of code.
  const terminator = new Uint8Array(size);
  const bySection = new Map<number, OrcEntry[]>();
  code.forEachPlace(section, (field, type, target, place) => {
    const index = field / 4;
    if (!Number.isInteger(index) || (index + 1) * size > content.length) return;
    const list = bySection.get(target);
    if (list === undefined) bySection.set(target, [{ place, index, type }]);
    else list.push({ place, index, type });
  });
  const ip = clones.sectionLike(section, 'module');
  const unwind = clones.sectionLike(words, 'module');
  const add = (range: CodeRange, place: number, type: number, word: Uint8Array): void => {
    unwind.append(word, 1);
    const offset = ip.append(4, 1);
    ip.relas.push({ offset, type, symbol: range.place.symbol, addend: range.place.offset + place - range.start });
  };
  for (const range of clones.code) {
    const entries = range.replacement
      ? undefined
      : bySection.get(range.section)?.sort((a, b) => a.place - b.place || a.index - b.index);
    if (entries === undefined) continue;
    const word = ({ index }: OrcEntry): Uint8Array => content.subarray(index * size, (index + 1) * size);
    const inside = entries.filter(({ place }) => place >= range.start && place < range.end);
    const before = entries.filter(({ place }) => place < range.start).at(-1);
    if (inside[0]?.place !== range.start && before !== undefined) add(range, range.start, before.type, word(before));
    for (const entry of inside) add(range, entry.place, entry.type, word(entry));
    add(range, range.end, entries[0]!.type, terminator);
  }
  ip.align = Math.max(ip.align, clones.alignOf(section));
  unwind.align = Math.max(unwind.align, clones.alignOf(words));
}

function wordsOf({ object, table }: Side): number {
  const { bytes } = object;
  for (let section = 1; section < table.sections; section++) {
    // 100,000 sections have no relocations, and none of the others that end so begin so.
    const at = object.nameOffset(section);
    if (table.relaSection[section] !== 0 || bytes[at + 1] !== 0x6f || bytes[at + 2] !== 0x72) continue;
    if (object.name(section) === '.orc_unwind') return section;
  }
  return 0;
}

/** Which places are copied code. */
class CodeIndex {
  private readonly ranges = new Map<number, CodeRange[]>();
  /** By section: whether any of it was copied. A table has 400,000 entries, and nearly none names such a section. */
  private readonly flagged: Uint8Array;

  constructor(
    private readonly patched: Side,
    code: readonly CodeRange[],
  ) {
    this.flagged = new Uint8Array(patched.table.sections);
    for (const range of code) {
      this.flagged[range.section] = 1;
      const list = this.ranges.get(range.section);
      if (list === undefined) this.ranges.set(range.section, [range]);
      else list.push(range);
    }
  }

  /** No name of a table is longer than that of most other sections, and all begin in one of two ways. */
  mayBeTable(section: SectionIndex): boolean {
    const { object } = this.patched;
    const at = object.nameOffset(section);
    const [first, second] = [object.bytes[at], object.bytes[at + 1]];
    return (
      (first === 0x5f && second === 0x5f && object.bytes[at + 2] !== 0x70) ||
      (first === 0x2e && second !== 0x74 && second !== 0x62)
    );
  }

  /** Calls `visit` for each rela of a section whose target lies in copied code, in table order. */
  forEachReference(
    section: SectionIndex,
    visit: (field: number, type: number, range: CodeRange, place: number) => void,
  ): void {
    this.forEachPlace(section, (field, type, target, place) => {
      const range = this.ranges.get(target)!.find(({ start, end }) => place >= start && place < end);
      if (range !== undefined) visit(field, type, range, place);
    });
  }

  /** Calls `visit` for each rela of a section whose target lies in a section of which something was copied. */
  forEachPlace(
    section: SectionIndex,
    visit: (field: number, type: number, target: number, place: number) => void,
  ): void {
    const { table, object, identity } = this.patched;
    const { words, at, stop } = identity.relas.select(section, 0, object.size(section));
    for (let i = at; i < stop; i += RELA_WORDS) {
      const symbol = words[i + R_SYM]!;
      if (symbol >= table.symbols)
        object.malformed(
          object.offset(section),
          `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`,
        );
      const target = table.section[symbol]!;
      if (target < table.sections && this.flagged[target] === 1)
        visit(u64(words, i + R_OFFSET), words[i + R_TYPE]!, target, table.value[symbol]! + s64(words, i + R_ADDEND));
    }
  }
}
