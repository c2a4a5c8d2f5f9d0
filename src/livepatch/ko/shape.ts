import { diagnostic, type Diagnostic } from '../../diagnostics';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS } from '../../elf';
import type { LivepatchObject } from '../object';

/** Larger than a kernel's largest, the stack of the first thread. */
const LARGEST_ALIGN = 65_536;
/** A module with all its data has to fit into the kernel's 1 GiB for modules. */
const LARGEST_ZEROS = 2 ** 28;
/** Per-CPU data of all modules shares a few KiB (PERCPU_MODULE_RESERVE) and what vmalloc gives in pages. */
const LARGEST_PERCPU = 2 ** 20;

/** Bytes before a function: 64 in the kernels that have most. */
const LARGEST_PREFIX = 256;

/** Appends to `found` facts, sections and symbols that no kernel object has and no module can hold: objects come from files. */
export function checkShape(objects: readonly LivepatchObject[], found: Diagnostic[]): void {
  for (const object of objects) {
    const refuse = (section: string, what: string, symbol?: string): unknown =>
      found.push(
        diagnostic('malformed-elf', `${object.name}: ${symbol ?? section} ${what}`, {
          object: object.name,
          section,
          ...(symbol === undefined ? {} : { symbol }),
        }),
      );
    const { prefixBytes, functionAlign, kcfi } = object.facts;
    const hashes = typeof kcfi === 'object' && kcfi !== null ? [kcfi.init, kcfi.exit] : [];
    if (
      !isAlignment(functionAlign) ||
      !(prefixBytes >= 0 && prefixBytes <= LARGEST_PREFIX) ||
      hashes.some((hash) => hash !== hash >>> 0)
    ) {
      found.push(
        diagnostic(
          'malformed-elf',
          `${object.name} says that functions are aligned to ${functionAlign} behind ${prefixBytes} bytes, with the type hashes ${hashes.join(', ') || 'none'}`,
          { object: object.name },
        ),
      );
    }
    for (const { name, align, type, flags, size } of object.sections) {
      if (!isAlignment(align)) refuse(name, `has the alignment ${align}`);
      if (type === SHT_NOBITS && size > LARGEST_ZEROS) refuse(name, `has ${size} bytes of zeros`);
      if (name.startsWith('.data..percpu') && size > LARGEST_PERCPU)
        refuse(name, `has ${size} bytes for each processor`);
      if ((flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) === (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR))
        refuse(name, 'is writable and executable, which the module loader refuses');
    }
    for (const { name, section, value, size } of object.symbols) {
      if (typeof section !== 'string' && !(value >= 0 && value + size <= section.size))
        refuse(section.name, `(${size} bytes at ${value}) lies outside its section of ${section.size} bytes`, name);
    }
  }
}

function isAlignment(value: number): boolean {
  return value >= 1 && value <= LARGEST_ALIGN && Number.isInteger(Math.log2(value));
}
