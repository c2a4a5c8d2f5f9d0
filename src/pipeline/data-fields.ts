/** What differs of variables, by the fields and types of the kernel's own type information. */
import { ElfObject } from '../elf';
import { BtfFields } from '../kernel/btf-fields';
import { dwarfVariableStructs } from '../kernel/dwarf-variables';
import type { Change } from '../stages/compare';
import { readBtf } from './btf-file';
import type { DiffResult } from './diff';
import { isFolder } from './tree-files';
import type { Report } from './report';
import type { Explanation } from './types';

type DataChange = Extract<Change, { kind: 'data' }>;
type Row = DataChange['rows'][number];

/** A result whose rows of changed variables say which field each is. @throws KlpflowError for types that cannot be read */
export function withFields(result: DiffResult, btf: string | undefined, orig: string): DiffResult {
  const changed = result.objects.flatMap(({ data }) => data.changed.map(({ name }) => name));
  if (btf === undefined || changed.length === 0) return result;
  // Of folders each object has debug information of its own.
  const fields = new VariableFields(btf, result.objects.length === 1 ? orig : undefined, changed);
  const objects = result.objects.map((object) => ({
    ...object,
    data: {
      ...object.data,
      changed: object.data.changed.map((entry) => ({ ...entry, change: fields.named(entry.name, entry.change) })),
    },
  }));
  return { ...result, objects };
}

export function reportWithFields(report: Report, btf: string | undefined, orig: string): Report {
  return { ...report, result: withFields(report.result, btf, orig) };
}

export function explanationWithFields<T extends Explanation>(
  explanation: T,
  btf: string | undefined,
  orig: string | undefined,
): T {
  const { name, change } = explanation;
  if (btf === undefined || change?.kind !== 'data') return explanation;
  return { ...explanation, change: new VariableFields(btf, orig, [name]).named(name, change) };
}

class VariableFields {
  private readonly types: BtfFields;
  private readonly structs: ReadonlyMap<string, string>;
  private readonly little: boolean;

  /** `object`: whose debug information tells which struct a variable is, where the types name no variables. */
  constructor(btf: string, object: string | undefined, names: readonly string[]) {
    const { bytes, path } = readBtf(btf);
    const elf = object === undefined || isFolder(object) ? undefined : ElfObject.open(object);
    this.little = elf?.little ?? true;
    this.types = new BtfFields(bytes, path, this.little);
    this.structs = elf === undefined ? new Map() : dwarfVariableStructs(elf, names.map(plainName));
  }

  named(name: string, change: Change | null): Change | null {
    if (change?.kind !== 'data' || change.size.orig !== change.size.patched) return change;
    const size = change.size.orig;
    const plain = plainName(name);
    const type = this.types.typeOf(plain, size, this.structs.get(plain));
    if (type === undefined) return change;
    const rows = change.rows.flatMap((row) => this.fieldsOf(row, type, size));
    return { ...change, rows, differing: change.differing + rows.length - change.rows.length };
  }

  /** A row is eight bytes, whose fields differ each or not; what no field covers stays a row of bytes. */
  private fieldsOf(row: Row, type: number, size: number): Row[] {
    const [ours, theirs] = [row.orig, row.patched].map((text) => bytesOf(text, size, this.little)) as [
      Buffer?,
      Buffer?,
    ];
    if (ours === undefined || theirs === undefined || ours.length !== theirs.length) {
      const field = this.types.within(type, size, row.offset, row.offset + 1)[0];
      return [field?.offset === row.offset ? { ...row, field: { path: field.path, type: field.type } } : row];
    }
    const end = row.offset + ours.length;
    const found = this.types.within(type, size, row.offset, end).flatMap((field): Row[] => {
      const { path, type: typeName, offset } = field;
      const from = Math.max(offset, row.offset) - row.offset;
      const to = Math.min(offset + field.size, end) - row.offset;
      const isWhole = to - from === field.size;
      const [a, b] = [ours, theirs].map((bytes) => {
        const own = bytes.subarray(from, to);
        return (isWhole ? this.types.value(field, own) : undefined) ?? own.toString('hex').replace(/(..)(?=.)/g, '$1 ');
      }) as [string, string];
      return a === b ? [] : [{ offset: row.offset + from, field: { path, type: typeName }, orig: a, patched: b }];
    });
    return found.length === 0 ? [row] : found;
  }
}

/** `f.count` and `count.3` are the static `count` of a function; types know that name. */
function plainName(name: string): string {
  const parts = name.split('.');
  return parts.find((part, i) => i > 0 && !/^\d+$|^llvm$/.test(part)) ?? parts[0]!;
}

/** The bytes that a row shows, in the object's order; undefined where it shows a text or what is referred to. */
function bytesOf(text: string, size: number, little: boolean): Buffer | undefined {
  if (size > 8)
    return /^[0-9a-f]{2}(?: [0-9a-f]{2})*$/.test(text) ? Buffer.from(text.replaceAll(' ', ''), 'hex') : undefined;
  if (!/^-?\d+$/.test(text)) return undefined;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(text)));
  const own = bytes.subarray(0, size);
  return little ? own : own.reverse();
}
