import type { PointerMade } from '../../arch';
import { R_ADDEND, R_SYM, R_TYPE, SHF_MERGE, SHF_WRITE, s64, type SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { SectionClass } from '../../kernel/section-class';
import { compilersOf } from './compilers';
import type { Side } from '../side/side';
import { sectionsNamed } from './side-relas';
import type { AssessInput } from './types';

/**
 * Refuses functions that reach one variable by another one's address: on some processors GCC does so for variables of one section
 * (-fsection-anchors), Clang for statics that it puts into one (its pass GlobalMerge, at -O3), and the copy would read what lies behind the one that its relocation names. Seen as `warn_at(.., __func__)` that printed the middle of
 * another name. With -fdata-sections, which klp-build and kpatch-build ask for, only variables of sections that the source names share one.
 */
export function refuseAnchors({ patched, objectName }: AssessInput, included: ReadonlySet<number>): Diagnostic[] {
  if (patched.arch.leavesObject === null) return [];
  const constants = anchorsConstants(patched);
  return [...included].flatMap((symbol) => {
    const at = leftAt(patched, symbol, constants);
    if (at === undefined) return [];
    const name = patched.name(symbol);
    return [
      diagnostic(
        'section-anchors',
        `${name}+0x${at.toString(16)} reaches beyond the variable whose address it has: the compiler names several variables of a section by one address`,
        { object: objectName, section: patched.sectionName(symbol), symbol: name, offset: at },
      ),
    ];
  });
}

/** Whether read-only data is reached so, too: Clang merges only what is written to. */
function anchorsConstants(side: Side): boolean {
  return [...compilersOf(side, sectionsNamed(side, '.comment'))].some((text) => text.startsWith('GCC: '));
}

function leftAt(side: Side, symbol: SymbolIndex, constants: boolean): number | undefined {
  const range = side.rangeOf(symbol);
  const pointers: PointerMade[] = [];
  for (const { words, at, offset } of side.relasIn(range)) {
    const pointer = pointerAt(side, words, at, constants);
    if (pointer !== undefined) pointers.push({ ...pointer, offset: offset - range.start, type: words[at + R_TYPE]! });
  }
  if (pointers.length === 0) return undefined;
  return side.arch.leavesObject!(side.object.content(range.section).subarray(range.start, range.end), pointers);
}

/** The object whose address a relocation names, where others share its section. */
function pointerAt(
  { table, identity, object }: Side,
  words: Uint32Array,
  at: number,
  constants: boolean,
): Pick<PointerMade, 'before' | 'behind'> | undefined {
  const symbol = words[at + R_SYM]!;
  const section = symbol < table.symbols ? table.section[symbol]! : 0;
  if (section === 0 || section >= table.sections || table.sole[section] !== 0) return undefined;
  if ((table.sectionClass[section]! & SectionClass.EXEC) !== 0 || (object.sectionFlags(section) & SHF_MERGE) !== 0)
    return undefined;
  if (!constants && (object.sectionFlags(section) & SHF_WRITE) === 0) return undefined;
  const place = table.value[symbol]! + s64(words, at + R_ADDEND);
  const owner = identity.coverAt(section, place);
  if (owner === 0) return { before: 0, behind: 0 };
  return { before: place - table.value[owner]!, behind: table.value[owner]! + table.size[owner]! - place };
}
