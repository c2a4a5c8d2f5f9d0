import { SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_WRITE, SHT_NOBITS, STT_SECTION } from '../../elf';
import type { Module } from '../module';
import type { Target } from '../references';
import type { ReferenceObject } from './object';

/** A place by the names that mean it, and the bytes there. */
export interface Identity {
  /** Names as `withoutNumbers` leaves them, each with the distance from that symbol: `NAME+0x10`. */
  names: ReadonlySet<string>;
  /** A symbol that keeps its name in every build covers the place. */
  named: boolean;
  /** The symbol has no bytes, as a lock class key without lockdep: only its address counts. */
  empty: boolean;
  /** Content at the place, where it is read-only. */
  bytes: Uint8Array | null;
  /** Bytes of content that belong together: a string with its end, a constant, or what can be compared at most. */
  extent: number;
  text: string;
}

interface Named {
  name: string;
  value: number;
  size: number;
}

/** Bytes of anonymous read-only data that are compared: its end is not known. */
const ANONYMOUS = 8;

/** A name without what another build of the same source numbers anew: LTO's hashes, numbers of static locals and of clones. */
export function withoutNumbers(name: string): string {
  const bare = name.replace(/\.llvm\.\d+$/, '').replace(/(\.\d+)+$/, '');
  return bare.startsWith('__UNIQUE_ID_') ? bare.replace(/\d+/g, '') : bare;
}

/** The place that a relocation of the object refers to: `offset` counts from its symbol, whose section's symbols have been read. */
export function identityInObject(object: ReferenceObject, symbolIndex: number, offset: number): Identity {
  const symbol = object.symbol(symbolIndex);
  const names = new Set<string>();
  if (symbol.type !== STT_SECTION && symbol.name !== '') names.add(label(withoutNumbers(symbol.name), offset));
  if (symbol.section === 0)
    return { names, named: true, empty: false, bytes: null, extent: 0, text: label(symbol.name, offset) };
  const { elf } = object;
  const at = symbol.value + offset;
  const covering = addNames(names, object.symbolsIn(symbol.section), at);
  const flags = elf.sectionFlags(symbol.section);
  const content =
    isReadOnly(flags, elf.type(symbol.section)) && at >= 0 ? elf.content(symbol.section).subarray(at) : null;
  return {
    names,
    named: isNamed(covering, at),
    empty: covering?.size === 0,
    bytes: content,
    extent: content === null ? 0 : extentOf(content, flags, elf.entsize(symbol.section)),
    text: covering === undefined ? label(elf.name(symbol.section), at) : label(covering.name, at - covering.value),
  };
}

/** The place that a relocation of the module refers to. */
export function identityInModule(module: Module, target: Target): Identity {
  if (target.in !== 'module') {
    const name = target.in === 'klp' ? target.name.name : target.name;
    return {
      names: new Set([label(withoutNumbers(name), target.offset)]),
      named: true,
      empty: false,
      bytes: null,
      extent: 0,
      text: label(name, target.offset),
    };
  }
  const { section, offset } = target;
  const names = new Set<string>();
  const covering = addNames(names, module.symbolsIn(section), offset);
  const bytes = isReadOnly(section.flags, section.type) && offset >= 0 ? section.bytes.subarray(offset) : null;
  return {
    names,
    named: isNamed(covering, offset),
    empty: covering?.size === 0,
    bytes,
    extent: 0,
    text: covering === undefined ? label(section.name, offset) : label(covering.name, offset - covering.value),
  };
}

/** Whether both mean the same: by a name and the distance from it, or, where one side has no name, by content. */
export function refersToSame(object: Identity, module: Identity): boolean {
  for (const name of object.names) if (module.names.has(name)) return true;
  // A key without bytes becomes a byte without a symbol, so that no other shares its address.
  if (object.empty && module.bytes === null && module.names.size === 0) return true;
  // Strings and constants lose their local names when they are merged. Where both have one, it decides.
  if (object.named && module.named) return false;
  if (object.bytes === null || module.bytes === null)
    return object.names.size === 0 && module.names.size === 0 && object.bytes === module.bytes;
  return (
    module.bytes.length >= object.extent &&
    Buffer.compare(object.bytes.subarray(0, object.extent), module.bytes.subarray(0, object.extent)) === 0
  );
}

/**
 * Every symbol that covers a place or ends there; else the nearest one, as references past an object's end are meant.
 * Returns the one to call the place by.
 */
function addNames(names: Set<string>, symbols: readonly Named[], at: number): Named | undefined {
  let nearest: Named | undefined;
  let covering: Named | undefined;
  for (const symbol of symbols) {
    const { name, value, size } = symbol;
    if (value <= at && at <= value + size) {
      names.add(label(withoutNumbers(name), at - value));
      if (covering === undefined || at < value + size) covering = symbol;
    }
    if (nearest === undefined || Math.abs(at - value) < Math.abs(at - nearest.value)) nearest = symbol;
  }
  if (covering === undefined && nearest !== undefined)
    names.add(label(withoutNumbers(nearest.name), at - nearest.value));
  return covering ?? nearest;
}

/** Data that can be told by its content. */
function isReadOnly(flags: number, type: number): boolean {
  return (flags & (SHF_WRITE | SHF_EXECINSTR)) === 0 && type !== SHT_NOBITS;
}

/** Names that compilers give to strings, literals and tables are of one build. */
const MADE_UP = /^(\.L|\.str|\.compoundliteral|CSWTCH|switch\.table|__UNIQUE_ID_)/;

function isNamed(covering: Named | undefined, at: number): boolean {
  return (
    covering !== undefined &&
    at >= covering.value &&
    at < covering.value + covering.size &&
    !MADE_UP.test(covering.name)
  );
}

function extentOf(content: Uint8Array, flags: number, entsize: number): number {
  if ((flags & SHF_MERGE) === 0) return textLength(content) ?? Math.min(ANONYMOUS, content.length);
  const unit = Math.max(1, entsize);
  if ((flags & SHF_STRINGS) === 0) return Math.min(unit, content.length);
  for (let at = 0; at + unit <= content.length; at += unit)
    if (content.subarray(at, at + unit).every((byte) => byte === 0)) return at + unit;
  return content.length;
}

/** Bytes of a short text with its NUL: what stands behind it is another one (`.rodata..L.str.13` of 7.3, where LTO laid three side by side). */
function textLength(content: Uint8Array): number | undefined {
  const end = content.subarray(0, ANONYMOUS).indexOf(0);
  return end > 1 && content.subarray(0, end).every((byte) => byte >= 0x20 && byte < 0x7f) ? end + 1 : undefined;
}

function label(name: string, offset: number): string {
  return offset === 0 ? name : `${name}${offset < 0 ? '-' : '+'}0x${Math.abs(offset).toString(16)}`;
}
