import type { Instruction } from './code';
import type { Context } from './context';
import type { FindingCode } from './findings';
import { isExecutable, type ModuleSection } from './module';
import { describe, targetInData, type Target } from './references';
import { TABLES, entrySize, type Site, type Table, type TableKind } from './tables';

/** One entry of a table, with its fields looked up by offset. */
export class Entry {
  constructor(
    private readonly context: Context,
    readonly section: ModuleSection,
    readonly offset: number,
    readonly size: number,
  ) {}

  get bytes(): Uint8Array {
    return this.section.bytes.subarray(this.offset, this.offset + this.size);
  }

  add(message: string, at = 0, code: FindingCode = 'verify-entry'): void {
    this.context.findings.add(code, { section: this.section, offset: this.offset + at }, message);
  }

  /** What the field at `at` refers to; null, and a finding where it is `required`, if there is no relocation of that width. */
  target(at: number, width: 4 | 8, required = true): Target | null {
    const { module } = this.context;
    const rela = module.relaAt(this.section, this.offset + at);
    const fits = rela !== undefined && rela.type === (width === 4 ? module.machine.distance : module.machine.pointer);
    if (!fits && (required || rela !== undefined))
      this.add(
        rela === undefined
          ? `the field at +${at} has no relocation`
          : `the field at +${at} has a relocation of type ${rela.type}`,
        at,
      );
    return fits ? targetInData(this.context.module, rela) : null;
  }

  /** The instruction that the field at `at` points at, which must be of this module. */
  site(at = 0, width: 4 | 8 = 4): Site | null {
    const target = this.target(at, width);
    if (target === null) return null;
    const { module, code } = this.context;
    if (target.in !== 'module' || !isExecutable(target.section)) {
      this.add(`it points at ${describe(module, target)}, which is not code of this module`, at);
      return null;
    }
    const instruction = code.at(target.section, target.offset);
    if (instruction === undefined) {
      this.add(`it points at ${describe(module, target)}, where no instruction starts`, at);
      return null;
    }
    return { section: target.section, offset: target.offset, instruction };
  }

  /** Text for messages. */
  name({ section, offset }: Pick<Site, 'section' | 'offset'>): string {
    return describe(this.context.module, { in: 'module', section, offset });
  }
}

/** All entries of all tables of a kind. What cannot be divided into entries is a finding, unless it was one before. */
export function entriesOf(context: Context, kind: TableKind, report = true): Entry[] {
  const table: Table = TABLES[kind];
  const entries: Entry[] = [];
  for (const section of context.module.sections) {
    if (!table.names.includes(section.name)) continue;
    const size = entrySize(
      context,
      table,
      section,
      section.name === '__bug_table'
        ? bugEntrySize(section.size, new Set(context.module.relasOf(section).map(({ offset }) => offset)))
        : section.name === '.altinstructions'
          ? context.module.machine.alternative
          : undefined,
    );
    if (section.size % size !== 0) {
      if (report)
        context.findings.add('verify-entry', { section }, `${section.size} bytes are not whole entries of ${size}`);
      continue;
    }
    for (let offset = 0; offset < section.bytes.length; offset += size)
      entries.push(new Entry(context, section, offset, size));
  }
  return entries;
}

/** Bytes of a bug entry as its table shows them: every entry begins with a relocation, line and flags at its end have none. */
export function bugEntrySize(bytes: number, relas: ReadonlySet<number>): number | undefined {
  return [12, 16, 8].find((size) => {
    if (bytes % size !== 0) return false;
    for (let at = 0; at < bytes; at += size) if (!relas.has(at) || (size > 8 && relas.has(at + size - 4))) return false;
    return true;
  });
}

/** The opcode of an instruction, behind its prefixes. */
export function opcode(section: ModuleSection, { offset, length }: Instruction): number {
  let at = offset;
  while (at < offset + length - 1 && PREFIXES.has(section.bytes[at]!)) at++;
  return section.bytes[at]!;
}

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
