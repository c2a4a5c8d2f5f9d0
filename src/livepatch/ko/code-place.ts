import type { Offset } from '../../elf';
import type { OutputSection } from '../object';
import type { ModuleProcessor } from './processor';

/** Further than this no code is moved to keep its fields off some offsets: one page has them all. */
const PAGE = 4096;

/** Appends code where none of its fields is misplaced, if there is such a place. @returns where it begins */
export function placeCode(
  processor: ModuleProcessor,
  section: OutputSection,
  code: Uint8Array | number,
  align: number,
  fields: ReadonlyArray<{ offset: Offset; type: number }>,
): number {
  const first = Math.ceil(section.size / align) * align;
  const fits = (place: number): boolean =>
    !fields.some(({ offset, type }) => processor.isMisplaced(type, place + offset));
  let start = first;
  while (start < first + PAGE && !fits(start)) start += align;
  if (start === first + PAGE) start = first;
  if (start > section.size) section.append(new Uint8Array(start - section.size).fill(processor.gap));
  return section.append(code, align, processor.gap);
}
