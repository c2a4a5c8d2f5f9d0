import { diagnostic, type Diagnostic } from '../../diagnostics';
import { modulesOf, type ModuleRules } from '../../arch';
import { SHT_NOBITS, type Offset } from '../../elf';
import type { OutputSection } from '../object';
import type { ModuleImage } from './image';
import { append } from '../../lists';

/**
 * Drops relocations that do nothing, orders the others, and clears the fields they fill in where the loader refuses a field
 * that is not zero. Appends to `found` those that it would refuse or misplace.
 */
export function settleRelocations(image: ModuleImage, found: Diagnostic[]): void {
  const rules = modulesOf(image.machine, 'the module');
  const late = new Map<OutputSection, Field[]>();
  for (const { section, offset, type, target, addend } of image.klpRelas) {
    const fields = late.get(section) ?? [];
    late.set(section, fields);
    fields.push({ offset, type, name: target.name, addend, absolute: false });
  }
  for (const section of image.sections) {
    const relas = section.relas.filter(({ type }) => type !== NONE).sort((a, b) => a.offset - b.offset);
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
      rules,
      section,
      [...own, ...(late.get(section) ?? [])].sort((a, b) => a.offset - b.offset),
      found,
    );
  }
}

/** R_*_NONE of every processor. */
const NONE = 0;

interface Field {
  offset: Offset;
  type: number;
  /** What it refers to. */
  name: string;
  addend: number;
  /** Whether that is a number, not an address. */
  absolute: boolean;
}

function checkFields(rules: ModuleRules, section: OutputSection, fields: readonly Field[], found: Diagnostic[]): void {
  let end = 0;
  for (const { offset, type, name, addend, absolute } of fields) {
    const width = rules.fields.get(type);
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
    else if (rules.numbers.has(type) && !absolute) {
      found.push(
        diagnostic('unsupported-relocation', `${place}: ${name} has an address that the field is too short for`, where),
      );
    } else if (rules.cleared) section.bytes.fill(0, offset, offset + width);
    end = Math.max(end, offset + (width ?? 0));
  }
}
