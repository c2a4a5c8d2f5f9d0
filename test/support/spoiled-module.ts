/** A livepatch module that is correct, and the ways to make it wrong in one place. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../../src/diagnostics';
import { verify, type VerifyRequest } from '../../src/verify';
import { kernelFiles, livepatchModule, type KernelFiles, type Places } from './livepatch-module';
import type { ModuleDraft } from './module-draft';
import { tempFolder } from './temp-folder';

const folder = tempFolder();
export const path = (name: string): string => join(folder, name);
let written: KernelFiles | undefined;

/** The files of the kernel that the module is for, written when first asked for. */
export function files(): KernelFiles {
  return (written ??= kernelFiles(folder));
}

/** All but the objects, with which everything could be compared. */
export function known(): Omit<VerifyRequest, 'module'> {
  const { vmlinux, symvers, btf, template } = files();
  return { vmlinux, symvers, btf, template };
}

export type Spoil = (draft: ModuleDraft, at: Places) => void;

export function made(
  name: string,
  spoil: Spoil = () => undefined,
  raw: (file: Buffer) => void = () => undefined,
): string {
  const { module, at } = livepatchModule();
  spoil(module, at);
  const file = module.bytes();
  raw(file);
  writeFileSync(path(name), file);
  return path(name);
}

export const found = (request: VerifyRequest): Diagnostic[] =>
  verify(request).diagnostics.filter(({ code }) => code !== 'verify-not-checked');
export const brief = (list: readonly Diagnostic[]): string[] => list.map(({ code, message }) => `${code}: ${message}`);

export function rename(draft: ModuleDraft, from: string, to: string): void {
  draft.symbol(from).name = to;
  for (const { relas } of draft.sections) for (const rela of relas) if (rela.sym === from) rela.sym = to;
}

/** Takes the entry out that is for a place in `.text`. */
export function dropEntry(draft: ModuleDraft, table: string, size: number, place: number): void {
  const entry = draft
    .section(table)
    .relas.find(({ off, sym, addend }) => off % size === 0 && sym === '.text' && addend === place);
  if (entry === undefined) throw new Error(`${table} has no entry for ${place}`);
  draft.cut(table, entry.off, size);
}

/** Moves the entry for a place to another. */
export function moveEntry(draft: ModuleDraft, table: string, place: number, to: number): void {
  const entry = draft.section(table).relas.find(({ sym, addend }) => sym === '.text' && addend === place);
  if (entry === undefined) throw new Error(`${table} has no entry for ${place}`);
  entry.addend = to;
}

export function modinfo(draft: ModuleDraft, from: string, to: string): void {
  const section = draft.section('.modinfo');
  const text = section.bytes.toString('latin1');
  if (!text.includes(from)) throw new Error(`no ${from}`);
  section.bytes = Buffer.from(text.replace(from, to), 'latin1');
}

export const write = (draft: ModuleDraft, section: string, at: number, bytes: Uint8Array): unknown =>
  draft.section(section).bytes.set(bytes, at);

export function swap(a: { sym: string }, b: { sym: string }): void {
  [a.sym, b.sym] = [b.sym, a.sym];
}

export function dropRela(draft: ModuleDraft, section: string, off: number): void {
  draft.rela(section, off);
  draft.section(section).relas = draft.section(section).relas.filter((rela) => rela.off !== off);
}

export function grow(draft: ModuleDraft, name: string, bytes: number): void {
  draft.symbol(name).size += bytes;
}
