/**
 * The file, page by page. WebAssembly sees its own memory only, so the pages that are in use are copied into frames; when all are taken
 * the oldest goes. A frame holds the beginning of the next page, too: what is shorter than NEXT never ends at a page's border. A pointer
 * into a frame is good until the next read.
 */
import { sectionCell, sectionLength, sectionStart } from './columns';
import { fetch, nameOutside, readOutside } from './host';

export const PAGE_BITS: u32 = 13;
const PAGE: u32 = 1 << PAGE_BITS;
const MASK: u32 = PAGE - 1;
export const NEXT: u32 = 512;

export let fileSize: u32 = 0;
/** Whether the file's byte order is big-endian. */
export let big: bool = false;
/** By page: its frame, 0 for none. */
export let pages: usize = 0;
export let frames: usize = 0;
export let frameCount: u32 = 0;
/** By frame: its page + 1. */
export let owners: usize = 0;
let next: u32 = 0;

function fault(page: u32): usize {
  const frame = next;
  next = next + 1 == frameCount ? 0 : next + 1;
  const owner = load<u32>(owners + (frame << 2));
  if (owner != 0) store<u32>(pages + ((owner - 1) << 2), 0);
  // Before the copy: if that fails the page is not there.
  store<u32>(owners + (frame << 2), 0);
  const at = frames + <usize>frame * (PAGE + NEXT);
  const from = page << PAGE_BITS;
  fetch(from, min(PAGE + NEXT, fileSize - from), at);
  store<u32>(owners + (frame << 2), page + 1);
  store<u32>(pages + (page << 2), <u32>at);
  return at;
}

/** Pointer to `length` bytes at `offset`, NEXT at most. */
// @ts-ignore: decorator
@inline
export function pointer(offset: u32, length: u32): usize {
  if (<u64>offset + length > fileSize) readOutside(<f64>offset);
  const frame = <usize>load<u32>(pages + ((offset >> PAGE_BITS) << 2));
  return (frame != 0 ? frame : fault(offset >> PAGE_BITS)) + (offset & MASK);
}

/** How many bytes from `offset` on can be read through one pointer: NEXT or more, but for the file's end. */
// @ts-ignore: decorator
@inline
export function room(offset: u32): u32 {
  return min(PAGE - (offset & MASK) + NEXT, fileSize - offset);
}

// @ts-ignore: decorator
@inline
export function byteAt(offset: u32): u32 {
  return load<u8>(pointer(offset, 1));
}

// Fields in the file's byte order.

// @ts-ignore: decorator
@inline
export function wordOf(at: usize): u32 {
  const raw = load<u32>(at);
  return big ? bswap(raw) : raw;
}

// @ts-ignore: decorator
@inline
export function longOf(at: usize): u64 {
  const raw = load<u64>(at);
  return big ? bswap(raw) : raw;
}

// Section headers: ElfObject.open has checked that they and all contents lie within the file.

export let headers: u32 = 0;
export let namesStart: u32 = 0;
export let namesEnd: u32 = 0;
const HEADER: u32 = 64;

// @ts-ignore: decorator
@inline
export function header(section: u32): usize {
  return pointer(headers + section * HEADER, HEADER);
}

export function sectionType(section: u32): u32 {
  return wordOf(header(section) + 4);
}

/** A size that does not fit its column; of `.bss` alone, for no file is as large. */
const LONG: u32 = 0xffffffff;

/** Puts where a section with the header at `at` lies into columns: functions ask for their sections' again and again, out of 12 MB of headers. */
// @ts-ignore: decorator
@inline
export function keepPlace(section: u32, at: usize): void {
  store<u32>(sectionCell(sectionStart, section, 2), <u32>longOf(at + 24));
  const size = <u64>longOf(at + 32);
  store<u32>(sectionCell(sectionLength, section, 2), size < LONG ? <u32>size : LONG);
}

// @ts-ignore: decorator
@inline
export function sectionOffset(section: u32): u32 {
  return load<u32>(sectionCell(sectionStart, section, 2));
}

// @ts-ignore: decorator
@inline
export function sectionSize(section: u32): i64 {
  const size = load<u32>(sectionCell(sectionLength, section, 2));
  return size == LONG ? longOf(header(section) + 32) : <i64>size;
}

export function entrySize(section: u32): i64 {
  return longOf(header(section) + 56);
}

/** File offset of a section's name, which ends in a NUL. */
export function sectionName(section: u32): u32 {
  const start = <u64>namesStart + wordOf(header(section));
  if (start >= namesEnd) nameOutside(section);
  return <u32>start;
}

/** Whether the NUL-terminated text at `offset` begins with an ASCII string, shorter than NEXT. */
export function startsWith(offset: u32, text: string): bool {
  const at = pointer(offset, 1);
  for (let i = 0; i < text.length; i++) if (load<u8>(at + i) != text.charCodeAt(i)) return false;
  return true;
}

/** File offset of the NUL at or after `offset`. */
export function textEnd(offset: u32): u32 {
  while (byteAt(offset) != 0) offset++;
  return offset;
}
