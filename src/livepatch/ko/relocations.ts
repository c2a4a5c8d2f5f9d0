import { diagnostic, type Diagnostic } from '../../diagnostics';
import {
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_NONE,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  SHT_NOBITS,
} from '../../elf';
import type { OutputSection } from '../object';
import type { ModuleImage } from './image';
import { append } from '../../lists';

/** Bytes of the field that a relocation fills in: the types that the module loader of x86-64 knows. */
const WIDTH: Readonly<Record<number, number>> = {
  [R_X86_64_64]: 8,
  [R_X86_64_PC64]: 8,
  [R_X86_64_32]: 4,
  [R_X86_64_32S]: 4,
  [R_X86_64_PC32]: 4,
  [R_X86_64_PLT32]: 4,
};

/**
 * Drops relocations that do nothing, orders the others, and clears the fields they fill in: the loader refuses a field
 * that is not zero. Appends to `found` those that it would refuse or misplace.
 */
export function settleRelocations(image: ModuleImage, found: Diagnostic[]): void {
  const late = new Map<OutputSection, Field[]>();
  for (const { section, offset, type, target, addend } of image.klpRelas) {
    const fields = late.get(section) ?? [];
    late.set(section, fields);
    fields.push({ offset, type, name: target.name, addend, absolute: false });
  }
  for (const section of image.sections) {
    const relas = section.relas.filter(({ type }) => type !== R_X86_64_NONE).sort((a, b) => a.offset - b.offset);
    section.relas.length = 0;
    append(section.relas, relas);
    const own = relas.map(({ offset, type, symbol, addend }) => ({
      offset,
      type,
      name: symbol.name,
      addend,
      absolute: symbol.section === 'absolute',
    }));
    checkFields(
      section,
      [...own, ...(late.get(section) ?? [])].sort((a, b) => a.offset - b.offset),
      found,
    );
  }
}

interface Field {
  offset: number;
  type: number;
  /** What it refers to. */
  name: string;
  addend: number;
  /** Whether that is a number, not an address. */
  absolute: boolean;
}

function checkFields(section: OutputSection, fields: readonly Field[], found: Diagnostic[]): void {
  let end = 0;
  for (const { offset, type, name, addend, absolute } of fields) {
    const width = WIDTH[type];
    const where = { section: section.name, symbol: name, offset };
    const place = `${section.name}+0x${offset.toString(16)}`;
    if (width === undefined)
      found.push(
        diagnostic(
          'unsupported-relocation',
          `${place}: the module loader knows no relocation of type ${type} (to ${name})`,
          where,
        ),
      );
    else if (!(offset >= 0 && offset + width <= section.size) || section.type === SHT_NOBITS)
      found.push(
        diagnostic('malformed-elf', `${place}: a relocation to ${name} lies outside the bytes of its section`, where),
      );
    else if (!Number.isSafeInteger(addend))
      found.push(
        diagnostic('malformed-elf', `${place}: the relocation to ${name} has an addend that reaches nothing`, where),
      );
    else if (offset < end)
      found.push(diagnostic('malformed-elf', `${place}: the relocation to ${name} overlaps another one`, where));
    else if (type === R_X86_64_32 && !absolute) {
      // The kernel's addresses are the highest 2 GiB: negative as 32 bits, which R_X86_64_32S takes.
      found.push(
        diagnostic(
          'unsupported-relocation',
          `${place}: ${name} cannot be reached by an unsigned 32-bit address`,
          where,
        ),
      );
    } else section.bytes.fill(0, offset, offset + width);
    end = Math.max(end, offset + (width ?? 0));
  }
}
