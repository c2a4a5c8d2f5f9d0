import { openSync, readFileSync, readSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { KlpflowError } from '../diagnostics';
import { tableBytes } from '../stages/scan';

let statusFile: number | undefined;
/** Room for all of it, but for a process that belongs to a thousand groups. */
const statusText = Buffer.alloc(16384);

/**
 * Anonymous and shared memory of this process in bytes: RssAnon + RssShmem. Mapped inputs are not in it: the kernel can
 * drop their pages whenever it likes. Falls back to the whole resident set where /proc has no such lines.
 */
export function memoryNow(): number {
  try {
    // Asked fifty times a second: opening it takes longer than reading it.
    statusFile ??= openSync('/proc/self/status', 'r');
    const status = statusText.toString('latin1', 0, readSync(statusFile, statusText, 0, statusText.length, 0));
    if (status.includes('\nRssShmem:')) return (kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem')) * 1024;
  } catch {
    // Not Linux.
  }
  return process.memoryUsage.rss();
}

/** What of an object decides on the memory that it takes. */
export interface Load {
  symbols: number;
  sections: number;
  /** Relocations of loaded sections. */
  relas: number;
}

/** Node, its libraries, the main thread's heap. */
const BASE = 72e6;
/** A thread: its heap, the instruction decoder, pages of both files, a batch of a record that is written. */
const THREAD = 44e6;
/** By symbol of either object: half of the twin, origin, rule and unit columns of a pair, which are 17 bytes. */
const PAIRING = 8.5;
/** By symbol of either object: keys and chains of the join by name are 48 bytes for a symbol of ORIG that takes part, 16 for one of PATCHED; 41 of 100 do. */
const JOIN = 13;
/** References to names that are not unique: one of 100 to 300 relocations, 12 bytes each and up to 200 in the index by user. */
const RELA = 1;

/**
 * The most anonymous memory that a run on these objects takes, in bytes: the columns (85 bytes a symbol, 29 a section), what pairing adds, and
 * something for each thread. Debug information does not count. Peaks that were measured are 2 to 30 % less, most so for small objects.
 */
export function neededMemory(objects: readonly Load[], threads: number): number {
  return (
    BASE +
    threads * THREAD +
    objects.reduce((sum, load) => sum + tableBytes(load) + load.symbols * (PAIRING + JOIN) + load.relas * RELA, 0)
  );
}

/** As `neededMemory`, where each thread compares pairs of its own: `largest` of any. */
export function neededForPairs(largest: readonly Load[], threads: number): number {
  return neededMemory([], 0) + threads * (neededMemory(largest, 1) - neededMemory([], 0));
}

/**
 * How many threads may work, for `needed` of that many not to exceed `asked` (all of them where it is undefined) nor what the machine has left.
 * @throws KlpflowError `memory-too-small`, before the memory is taken
 */
export function threadsWithin(
  needed: (threads: number) => number,
  threads: number,
  asked: number | undefined,
  left = memoryLeft(),
): number {
  let most = threads;
  if (asked !== undefined) while (most > 1 && needed(most) > asked) most--;
  const bytes = needed(most);
  if (asked !== undefined && bytes > asked)
    throw new KlpflowError(
      'memory-too-small',
      `--memory ${megabytes(asked)}: the objects need ${megabytes(bytes)} with one thread`,
    );
  if (bytes > left) {
    const fewer =
      most > 1 && needed(1) <= left ? `; --memory ${megabytes(needed(1))} makes it work with one thread` : '';
    throw new KlpflowError(
      'memory-too-small',
      `the objects need ${megabytes(bytes)} with ${most} ${most === 1 ? 'thread' : 'threads'}, and ${megabytes(left)} of memory are left${fewer}`,
    );
  }
  return most;
}

/** Heap for each symbol whose name others have too, and for each of the largest such group: maps and texts, measured with a million of one name. */
const MEMBER = 300;
const MEMBER_OF_LARGEST = 2000;

/**
 * Whether V8's heap holds what telling symbols of one name apart takes. The heap is not the columns' memory: V8 ends the process where it is full.
 * Of a kernel it takes some MB; a file may be made to take all.
 * @throws KlpflowError `memory-too-small`
 */
export function checkHeap(groups: ReadonlyArray<{ orig: readonly number[]; patched: readonly number[] }>): void {
  let members = 0;
  let largest = 0;
  for (const { orig, patched } of groups) {
    members += orig.length + patched.length;
    largest = Math.max(largest, orig.length + patched.length);
  }
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  const bytes = members * MEMBER + largest * MEMBER_OF_LARGEST;
  if (bytes <= limit - used) return;
  throw new KlpflowError(
    'memory-too-small',
    `${members} symbols share their names with others, ${largest} of them one name: telling them apart needs ${megabytes(bytes)} of heap, and Node.js gives it ${megabytes(limit)} (NODE_OPTIONS=--max-old-space-size=MEGABYTES)`,
  );
}

/** Memory that this process may come to have, what it has included: the machine's, or less where a control group limits it. Infinity where nothing tells. */
export function memoryLeft(): number {
  // 0 or far beyond any machine: no limit.
  const limit = process.constrainedMemory() || Infinity;
  try {
    const available = kilobytes(readFileSync('/proc/meminfo', 'latin1'), 'MemAvailable') * 1024;
    return Math.min(limit, available === 0 ? Infinity : available + memoryNow());
  } catch {
    return limit;
  }
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

/** Upwards, so that what is said is enough. */
function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)}M`;
}
