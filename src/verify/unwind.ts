import type { Context } from './context';
import { entriesOf } from './entries';
import { isExecutable, isFunction, isPrefixName, type ModuleSection } from './module';
import { describe } from './references';
import { isReplacement } from './special';
import type { Sites } from './tables';

/** Bytes of an ORC word. */
const WORD = 6;

interface OrcEntry {
  at: number;
  word: string;
}

/** Nothing is known about the stack from here on. */
const END = '00'.repeat(WORD);

/** `.orc_unwind_ip` and `.orc_unwind`: every function is covered from its start, and ended. */
export function checkUnwind(context: Context, sites: Sites): void {
  const { module, findings, template } = context;
  const words = module.section('.orc_unwind');
  const places = module.section('.orc_unwind_ip');
  if (words === undefined || places === undefined) {
    if ((words === undefined) !== (places === undefined))
      findings.add('verify-unwind', undefined, `.orc_unwind${words === undefined ? '' : '_ip'} is missing`);
    else if (template?.unwind === true)
      findings.add('verify-unwind', undefined, 'the module has no ORC tables, modules of this kernel do');
    return;
  }
  const entries = entriesOf(context, 'unwind');
  if (words.size !== entries.length * WORD) {
    findings.add(
      'verify-unwind',
      { section: words },
      `${words.size} bytes for ${entries.length} entries of .orc_unwind_ip: ${WORD} bytes belong to each`,
    );
    return;
  }
  const bySection = new Map<ModuleSection, OrcEntry[]>();
  for (const [index, entry] of entries.entries()) {
    const target = entry.target(0, 4);
    if (target === null) continue;
    if (target.in !== 'module' || !isExecutable(target.section)) {
      entry.add(`it points at ${describe(module, target)}, which is not code of this module`);
      continue;
    }
    // An alternative may push and pop in the middle of the instructions that stand there.
    if (!context.code.isBoundary(target.section, target.offset) && !sites.isReplaced(target.section, target.offset))
      entry.add(`it points at ${describe(module, target)}, where no instruction starts`);
    const list = bySection.get(target.section) ?? [];
    bySection.set(target.section, list);
    list.push({
      at: target.offset,
      word: Buffer.from(words.bytes.subarray(index * WORD, (index + 1) * WORD)).toString('hex'),
    });
  }
  for (const list of bySection.values()) list.sort((a, b) => a.at - b.at);
  const start = commonStart(context, bySection);
  for (const section of module.sections)
    if (isExecutable(section) && !isReplacement(section))
      checkSection(context, section, bySection.get(section) ?? [], start);
}

/** The word at most functions' starts: it says that the return address is on top of the stack. */
function commonStart(
  { module }: Context,
  bySection: ReadonlyMap<ModuleSection, readonly OrcEntry[]>,
): string | undefined {
  const counts = new Map<string, number>();
  for (const [section, entries] of bySection) {
    const words = new Map(entries.map(({ at, word }) => [at, word]));
    for (const { value } of module.functionsIn(section)) {
      const word = words.get(value);
      if (word !== undefined && word !== END) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

function checkSection(
  { module, findings }: Context,
  section: ModuleSection,
  entries: readonly OrcEntry[],
  start: string | undefined,
): void {
  const functions = module.functionsIn(section).filter(({ size }) => size > 0);
  const starts = new Set(functions.map(({ value }) => value));
  let end = 0;
  let next = 0;
  let latest = -1;
  for (const symbol of functions) {
    const { name, value, size } = symbol;
    // Aliases have one place.
    if (value > latest) end = next;
    latest = value;
    if (isPrefixName(name)) {
      const cover = entries[lastUpTo(entries, value)];
      if (cover === undefined || (cover.at < end && !(starts.has(end) && cover.word === start)) || cover.word === END)
        findings.add('verify-unwind', { section, offset: value }, `${name} has no ORC entry at its start`);
    }
    if (isFunction(symbol)) {
      const cover = entries[lastUpTo(entries, value)];
      // An entry of the function in front holds on only where that one reaches up to this one, and the state is that of a function's start.
      const own = cover !== undefined && (cover.at >= end || (starts.has(end) && cover.word === start));
      if (!own) findings.add('verify-unwind', { section, offset: value }, `${name} has no ORC entry at its start`);
      else if (cover.word === END)
        findings.add(
          'verify-unwind',
          { section, offset: value },
          `nothing is known of the stack at the start of ${name}`,
        );
      // What nothing reaches at a function's end (int3 behind a jump) is beyond the terminator.
      const last = entries[lastUpTo(entries, value + size)];
      if (own && !starts.has(value + size) && last?.word !== END)
        findings.add(
          'verify-unwind',
          { section, offset: value },
          `${name} ends at +0x${size.toString(16)} without an ORC terminator`,
        );
    }
    if (!isPrefixName(name)) next = Math.max(next, value + size);
  }
}

/** The last entry at or before an offset; -1 where there is none. */
function lastUpTo(entries: readonly OrcEntry[], offset: number): number {
  let low = 0;
  for (let high = entries.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.at <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
