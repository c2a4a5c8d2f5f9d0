import type { SectionIndex } from '../../elf';
import { originOf } from '../correlate';
import { btfListAt, isBtfIds, origList } from './btf-lists';
import type { Clones, Copy } from './clones';
import type { Links } from './link';
import type { Refusals } from './refusals';
import type { Reference } from './resolve';
import type { CopyInput } from './types';

/**
 * References to lists of BTF type ids. The build of the kernel fills these in after linking (resolve_btfids), and nobody does in a livepatch: a copy holds zeros for
 * ever. A list that the running kernel has is reached there; one that is new, or has other entries, is refused.
 */
export class BtfReferences {
  constructor(
    private readonly input: CopyInput,
    private readonly clones: Clones,
    private readonly links: Links,
    private readonly refusals: Refusals,
  ) {}

  /** Makes a reference if it is one to such a list; false for others. */
  made(copy: Copy, reference: Reference, at: number): boolean {
    const { patched } = this.input;
    const { table } = patched;
    if (reference.kind !== 'symbol' && reference.kind !== 'place') return false;
    const section = reference.kind === 'symbol' ? table.section[reference.symbol]! : reference.section;
    if (section >= table.sections || !isBtfIds(patched, section)) return false;
    const start = reference.kind === 'symbol' ? table.value[reference.symbol]! : reference.offset;
    this.refer(copy, reference, at, section, start);
    return true;
  }

  private refer(copy: Copy, reference: Reference, at: number, section: SectionIndex, start: number): void {
    const { orig, patched, pairing } = this.input;
    const list = btfListAt(patched, section, start);
    const entry = patched.identity.coverAt(section, start);
    if (list === undefined)
      return this.refuse(
        copy,
        at,
        entry === 0 ? `${patched.object.name(section)}+0x${start.toString(16)}` : patched.name(entry),
        'which belongs to no list of BTF type ids that has a name',
      );
    const user = patched.identity.coverAt(copy.range.section, copy.range.end - 1);
    const twin = user === 0 ? 0 : originOf(pairing, user);
    const ours = origList(orig, patched, list, twin === 0 ? 0 : orig.table.file[twin]!);
    const name = patched.name(list.label);
    if (ours === undefined)
      return this.refuse(
        copy,
        at,
        name,
        'a list of BTF type ids that ORIG does not have: nobody fills it in in a livepatch',
      );
    if (ours.content !== list.content)
      return this.refuse(
        copy,
        at,
        name,
        'a list of BTF type ids that has other entries in ORIG: nobody fills the new ones in in a livepatch',
      );
    const target = this.links.original(ours.label, list.label);
    if (target === undefined)
      return this.refuse(
        copy,
        at,
        name,
        'a list of BTF type ids, and nothing tells which one of the running kernel that is',
      );
    const { output } = this.clones;
    output.klpRelas.push({
      section: copy.section,
      offset: copy.start + at,
      type: reference.type,
      target: output.klpSymbol(target),
      addend: reference.addend + start - list.start,
    });
  }

  private refuse(copy: Copy, at: number, about: string, why: string): void {
    this.refusals.add(
      'btf-ids',
      about,
      this.input.patched.object.name(copy.range.section),
      at,
      `${copy.name} refers to ${about}, ${why}`,
    );
  }
}
