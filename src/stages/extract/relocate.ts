import type { Offset, SectionIndex, SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Range } from '../side/range';
import type { Reading } from '../places';
import { isCallback, specialTables, type SpecialTable } from '../scan/entries';
import { BtfReferences } from './btf-references';
import type { OutputPlace, Clones, Copy } from './clones';
import { codePieceAt } from './code-pieces';
import { haveOneAddress } from './alternatives';
import { LabelTables } from './label-tables';
import type { Link, Links } from './link';
import type { Refusals } from './refusals';
import { nearReferences } from './near';
import { referencesIn, type Reference } from './resolve';
import type { CopyInput } from './types';

const TOC_ENTRY = 8;

/** Above this a number no longer holds every integer. */
const EXACT = Number.MAX_SAFE_INTEGER;

/** Makes the references of copies, and with them further copies of what they reach. */
export class Relocator {
  private readonly tables: ReadonlyMap<number, SpecialTable>;
  private readonly labels: LabelTables;
  private readonly btf: BtfReferences;

  constructor(
    private readonly input: CopyInput,
    private readonly clones: Clones,
    private readonly linkage: Links,
    private readonly refusals: Refusals,
  ) {
    this.labels = new LabelTables(input, clones, refusals);
    this.tables = new Map(
      specialTables(input.patched.identity, input.patched.structSizes, []).map((table) => [table.section, table]),
    );
    this.btf = new BtfReferences(input, clones, linkage, refusals);
  }

  /** Makes every reference of a copy. */
  relocate(copy: Copy): void {
    const { replacement } = this.tables.get(copy.range.section)?.rules ?? {};
    const replaced = replacement === undefined ? -1 : copy.range.start + replacement.field;
    for (const reference of referencesIn(this.input.patched, copy.range)) {
      if (reference.field === replaced) this.toReplacement(copy, reference);
      else this.refer(copy, this.relaxed(copy, reference));
    }
    if ((this.input.patched.table.sectionClass[copy.range.section]! & SectionClass.EXEC) !== 0) this.relocateNear(copy);
  }

  private relaxed(copy: Copy, reference: Reference): Reference {
    const { patched } = this.input;
    const at = reference.field - copy.range.start;
    if ((patched.table.sectionClass[copy.range.section]! & SectionClass.EXEC) === 0) return reference;
    return (
      patched.arch.withoutGot(
        copy.section.bytes.subarray(copy.start, copy.start + copy.range.end - copy.range.start),
        at,
        reference,
      ) ?? reference
    );
  }

  /** Makes relocations of what the assembler resolved within a section of several functions. */
  private relocateNear(copy: Copy): void {
    const { patched } = this.input;
    const { section, start } = copy.range;
    const { branches, others, next } = nearReferences(patched, copy.range);
    for (const branch of branches) this.refer(copy, branch);
    for (const { field, place } of others)
      this.refuseReach(copy, field - start, section, place, 'in a way that cannot be relocated');
    if (next !== undefined && !this.clones.replaces(copy))
      this.refuseReach(copy, copy.range.end - start, section, next, 'by running on into it');
  }

  /** Makes one reference of a copy. */
  private refer(copy: Copy, reference: Reference): void {
    const { patched } = this.input;
    const { field, type } = reference;
    const at = field - copy.range.start;
    const rules = patched.arch.modules;
    const width = rules === null ? 0 : rules.fields.get(type);
    if (width === undefined) {
      this.refuse(
        'unsupported-relocation',
        copy,
        at,
        copy.name,
        `${copy.name} has a relocation of ${patched.arch.relocationName(type)}, which the module loader does not apply`,
      );
      return;
    }
    if (field + width > copy.range.end) {
      this.refuse('unresolved-reference', copy, at, copy.name, `${copy.name} has a relocation that runs over its end`);
      return;
    }
    if (Math.abs(reference.addend) > EXACT) {
      this.refuse(
        'unresolved-reference',
        copy,
        at,
        copy.name,
        `${copy.name} has a relocation whose addend needs more than 53 bits`,
      );
      return;
    }
    if (rules?.cleared === true && copy.section.bytes.length > 0)
      copy.section.bytes.fill(0, copy.start + at, copy.start + at + width);
    if (this.btf.made(copy, reference, at)) return;
    switch (reference.kind) {
      case 'symbol':
        if (this.isDecided(copy, reference, at)) this.toSymbol(copy, this.withFunction(reference), at);
        return;
      case 'undefined':
        this.toSymbol(copy, { ...reference, named: reference.symbol }, at);
        return;
      case 'absolute':
        this.toAbsolute(copy, reference, at);
        return;
      case 'common':
        this.refuse(
          'unresolved-reference',
          copy,
          at,
          patched.name(reference.symbol),
          `${copy.name} refers to ${patched.name(reference.symbol)}, a common symbol: a module has none (build with -fno-common)`,
        );
        return;
      case 'string': {
        const place = this.clones.string(reference.section, reference.offset, reference.label);
        if (place !== undefined) this.toPlace(copy, reference, at, place, 0);
        else this.refuseReach(copy, at, reference.section, reference.offset, 'where no string begins and ends');
        return;
      }
      case 'foreign':
        this.refuseReach(copy, at, reference.section, reference.offset, 'where only another unit has a variable');
        return;
      case 'place':
        this.toData(copy, reference, at);
    }
  }

  /** A label moves with its function; one that others may name (`__x86_indirect_thunk_r11`) is its own where the function stays. */
  private withFunction<T extends Reference & { kind: 'symbol' }>(reference: T): T {
    const { symbol, inside, addend } = reference;
    const { table } = this.input.patched;
    if (inside === 0 || (this.clones.of(inside) === undefined && !table.isLocal(symbol))) return reference;
    return {
      ...reference,
      symbol: inside,
      named: inside,
      addend: addend + table.value[symbol]! - table.value[inside]!,
    };
  }

  /** Whether it does not matter what of several things the reference means, or nothing but one may be meant. Refuses it else. */
  private isDecided(
    copy: Copy,
    { symbol, addend, delta = 0, others = [], type }: Reference & { kind: 'symbol' },
    at: number,
  ): boolean {
    const { patched } = this.input;
    const { table } = patched;
    const own = { symbol, delta };
    const link = (one: number): Link => this.linkage.of(one, one, copy, at, { type, addend });
    const place = ({ symbol: one, delta: distance }: Reading): string =>
      one === 0
        ? 'data without a name'
        : distance === table.size[one]!
          ? `the end of ${patched.name(one)}`
          : `${patched.name(one)}${distance < 0 ? '' : '+'}${distance}`;
    for (const other of others) {
      if (haveOneAddress(this.input, own, other, link)) continue;
      const what = `${place(own)} or ${place(other)}`;
      this.refusals.add(
        'ambiguous-reference',
        `${copy.name}+0x${at.toString(16)}`,
        patched.object.name(copy.range.section),
        at,
        `${copy.name} refers at +0x${at.toString(16)} to ${what}, which lie at one place in PATCHED and not in the livepatch, and nothing tells which is meant`,
      );
      return false;
    }
    return true;
  }

  private toSymbol(
    copy: Copy,
    { symbol, named, field, type, addend }: Reference & { symbol: SymbolIndex; named: number },
    at: number,
  ): void {
    const { output } = this.clones;
    const link = this.labels.linkTo(symbol, copy, at) ?? this.linkage.of(symbol, named, copy, at, { type, addend });
    const leaves = link.kind === 'klp' || link.kind === 'import';
    if (leaves && this.labels.refuseInside(symbol, { field, type, addend }, copy, at)) return;
    if (leaves && this.input.patched.arch.modules?.nearby.has(type) === true) {
      const about = this.input.patched.name(symbol);
      this.refuse(
        'unresolved-reference',
        copy,
        at,
        about,
        `${copy.name} refers to ${about} by an instruction that reaches only what lies beside it, and ${about} stays in the kernel`,
      );
      return;
    }
    const offset = copy.start + at;
    if (link.kind === 'clone')
      copy.section.relas.push({ offset, type, symbol: this.clones.of(symbol) ?? this.clones.object(symbol), addend });
    else if (link.kind === 'import')
      copy.section.relas.push({
        offset,
        type,
        symbol: output.reference(link.name, this.input.patched.table.info[named]!),
        addend,
      });
    else if (link.kind === 'klp')
      output.klpRelas.push({ section: copy.section, offset, type, target: output.klpSymbol(link.target), addend });
  }

  /** Assembler constants (`L4_PAGE_OFFSET`): a name that nobody would define for a module, so the value goes along. */
  private toAbsolute(copy: Copy, { symbol, type, addend }: Reference & { symbol: SymbolIndex }, at: number): void {
    const { patched } = this.input;
    const name = patched.name(symbol);
    const value = patched.object.symbolValue(symbol);
    if (value > EXACT)
      this.refuse(
        'unresolved-reference',
        copy,
        at,
        name,
        `${copy.name} refers to the absolute symbol ${name}, whose value needs more than 53 bits`,
      );
    else
      copy.section.relas.push({
        offset: copy.start + at,
        type,
        symbol: this.clones.output.absolute(name, patched.table.info[symbol]!, value),
        addend,
      });
  }

  /** The code that an alternatives entry puts in place of its site. The address of an empty one means nothing: it is the next entry's. */
  private toReplacement(copy: Copy, reference: Reference): void {
    const { patched } = this.input;
    const { rules, size } = this.tables.get(copy.range.section)!;
    const at = reference.field - copy.range.start;
    const length = patched.object.content(copy.range.section)[copy.range.start + rules.replacement!.length(size)]!;
    if (length === 0) {
      // arm64: a function that writes the code when alternatives are applied (`alt_cb_patch_nops`).
      if (isCallback(patched, this.tables.get(copy.range.section)!, copy.range.start)) this.refer(copy, reference);
      return;
    }
    // 5.12 to 5.14: `__x86_indirect_alt_call_rax`, code with a name, which another unit may have.
    if (reference.kind === 'undefined') {
      this.refer(copy, reference);
      return;
    }
    const { table, object } = patched;
    const section =
      reference.kind === 'place'
        ? reference.section
        : reference.kind === 'symbol'
          ? table.section[reference.symbol]!
          : 0;
    const offset =
      reference.kind === 'place'
        ? reference.offset
        : reference.kind === 'symbol'
          ? table.value[reference.symbol]! + reference.addend
          : 0;
    if (section === 0 || offset < 0 || offset + length > object.size(section))
      this.refuse('unresolved-reference', copy, at, copy.name, `${copy.name} has replacement code that is not found`);
    else
      this.toPlace(
        copy,
        reference.kind === 'symbol' ? { ...reference, addend: 0 } : reference,
        at,
        this.clones.replacement({ section, start: offset, end: offset + length }, true),
        0,
      );
  }

  /** Data or code that no symbol covers. */
  private toData(copy: Copy, reference: Reference & { section: SectionIndex; offset: Offset }, at: number): void {
    const { section, offset } = reference;
    const { patched } = this.input;
    const { object, table, extents } = patched;
    const bits = table.sectionClass[section]!;
    const size = object.size(section);
    const name = object.name(section);
    // Boot-only code of feature tests: without the jump the code goes on, and the alternatives entry of the site decides at load.
    if (name === '.altinstr_aux') return;
    if (bits & SectionClass.SPECIAL) {
      const entry = this.entryAt(section, offset);
      if (entry !== undefined) this.toPlace(copy, reference, at, entry.place, entry.distance);
      else this.refuseReach(copy, at, section, offset, 'whose entries have no known size');
    } else if (bits & SectionClass.TOC) {
      const start = Math.floor(offset / TOC_ENTRY) * TOC_ENTRY;
      if (start < 0 || start + TOC_ENTRY > size) this.refuseReach(copy, at, section, offset, 'outside of it');
      else
        this.toPlace(
          copy,
          reference,
          at,
          this.clones.entry({ section, start, end: start + TOC_ENTRY }),
          offset - start,
        );
    } else if (bits & SectionClass.EXEC) this.toCode(copy, reference, at);
    else if (bits & SectionClass.DERIVED) this.refuseReach(copy, at, section, offset, 'which no symbol covers');
    else if (size === 0 && offset === 0) this.toPlace(copy, reference, at, this.clones.emptyObject(section), 0);
    else if ((bits & SectionClass.CONSTANT) !== 0 && object.entsize(section) > 0) {
      const unit = object.entsize(section);
      // One past the last constant is the end of a loop over it (`blake2s_compress_ssse3` over .rodata.cst64.sigma).
      const start = offset === size ? size - unit : Math.floor(offset / unit) * unit;
      if (start < 0 || start + unit > size) this.refuseReach(copy, at, section, offset, 'outside of it');
      else this.toPlace(copy, reference, at, this.clones.extent({ section, start, end: start + unit }), offset - start);
    } else if ((bits & (SectionClass.READONLY | SectionClass.ANONYMOUS)) === 0)
      this.refuseReach(copy, at, section, offset, 'writable data without a symbol');
    else if (offset < 0 || (offset > size && !extents.isObject(section)))
      this.refuseReach(copy, at, section, offset, 'outside of it');
    else {
      const extent = extents.at(section, offset);
      if (extent.start === extent.end) this.refuseReach(copy, at, section, offset, 'outside of it');
      else if (this.cutsReference(extent))
        this.refuseReach(copy, at, section, offset, 'whose ends would cut a reference in two');
      else this.toPlace(copy, reference, at, this.clones.extent(extent), offset - extent.start);
    }
  }

  /** Code that no symbol covers: pieces that are jumped to, or the place right behind a function. */
  private toCode(copy: Copy, reference: Reference & { section: SectionIndex; offset: Offset }, at: number): void {
    const { section, offset } = reference;
    const piece = codePieceAt(this.input.patched, section, offset);
    const before = piece === undefined ? this.input.patched.identity.coverAt(section, offset - 1) : 0;
    if (piece !== undefined) this.toPlace(copy, reference, at, this.clones.replacement(piece), offset - piece.start);
    else if (before !== 0) {
      const addend = reference.addend + offset - this.input.patched.table.value[before]!;
      this.toSymbol(copy, { ...reference, kind: 'symbol', symbol: before, named: before, inside: 0, addend }, at);
    } else this.refuseReach(copy, at, section, offset, 'which no symbol covers');
  }

  /** Whether a relocated field lies on either end of an extent: its half would be copied as plain bytes. */
  private cutsReference({ section, start, end }: Range): boolean {
    const around = { section, start: Math.max(0, start - 7), end };
    return referencesIn(this.input.patched, around).some(({ field, type }) => {
      const stop = field + (this.input.patched.arch.modules?.fields.get(type) ?? 0);
      return field < start ? stop > start : stop > end;
    });
  }

  /** The entry of a special table at an offset: code that warns with arguments passes its own record (`__WARN_trap`). */
  private entryAt(section: SectionIndex, offset: Offset): { place: OutputPlace; distance: number } | undefined {
    const size = this.tables.get(section)?.size;
    if (size === undefined) return undefined;
    const start = Math.floor(offset / size) * size;
    if (start < 0 || start + size > this.input.patched.object.size(section)) return undefined;
    return { place: this.clones.entry({ section, start, end: start + size }), distance: offset - start };
  }

  private toPlace(
    copy: Copy,
    { type, addend }: Reference,
    at: number,
    { symbol, offset }: OutputPlace,
    distance: number,
  ): void {
    copy.section.relas.push({ offset: copy.start + at, type, symbol, addend: offset + distance + addend });
  }

  private refuseReach(copy: Copy, at: number, section: SectionIndex, offset: Offset, why: string): void {
    const place = `${this.input.patched.object.name(section)}${offset < 0 ? '-' : '+'}0x${Math.abs(offset).toString(16)}`;
    this.refuse('unresolved-reference', copy, at, place, `${copy.name} refers to ${place}, ${why}`);
  }

  private refuse(
    code: 'unsupported-relocation' | 'unresolved-reference',
    copy: Copy,
    at: number,
    about: string,
    message: string,
  ): void {
    this.refusals.add(code, about, this.input.patched.object.name(copy.range.section), at, message);
  }
}
