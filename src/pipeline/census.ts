/** How much of ORIG is the code that runs: each function looked for in the kernel's image, or in the finished module. */
import { from, lastValueFrom, map, mergeMap, toArray } from 'rxjs';
import { decodeOutcome, encodeOutcome, loadHash, readRecords, writeRecords, type RecordPlace } from '../records';
import { isUnit, together, type Census } from '../stages/running-kernel/image';
import type { Flow } from './flow';
import type { Identified } from './scan';
import type { ObjectRef, SeenFiles } from './types';

export type { Census };

/** Code lies unevenly among the sections. */
const TASKS_A_THREAD = 2;

/** The count of a whole kernel's or large module's object in what runs, kept by both their contents. That of a unit comes with its livepatch. */
export class Counting {
  private readonly place: RecordPlace;

  /** Of a file that is given as what runs; null where there is none, and for a unit. */
  static of(flow: Flow, orig: Identified, seen: SeenFiles): Counting | null {
    if (isUnit(orig.load.symbols)) return null;
    const file = seen.objectName === 'vmlinux' ? seen.image?.digest : seen.moduleFile?.identity;
    return file === undefined ? null : new Counting(flow, orig, seen, JSON.stringify([seen.objectName, file]));
  }

  private constructor(
    private readonly flow: Flow,
    orig: Identified,
    private readonly seen: SeenFiles,
    key: string,
  ) {
    this.place = flow.runDir.census(orig.digest, key);
  }

  /** What an earlier run counted. */
  async reuse(): Promise<Census | undefined> {
    if (this.flow.fresh) return undefined;
    await loadHash();
    const messages = readRecords(this.place.file, 'census', this.place.key);
    if (typeof messages === 'string') return undefined;
    try {
      return decodeOutcome(messages[0])?.outcome as Census | undefined;
    } catch {
      return undefined;
    }
  }

  /** @throws KlpflowError `no-space`, `write-failed`, and what is wrong with a file */
  async make(object: ObjectRef): Promise<Census> {
    const known = await this.reuse();
    if (known !== undefined) return known;
    const { flow, seen, place } = this;
    const { sections } = object.table.shape;
    const tasks = flow.pool.workers * TASKS_A_THREAD;
    const bounds = Array.from({ length: tasks + 1 }, (_, i) => Math.ceil((sections * i) / tasks));
    const parts = await lastValueFrom(
      from(bounds.slice(1)).pipe(
        mergeMap(
          (to, i) =>
            flow
              .task('extract', object.path, 'census', { object, from: bounds[i]!, to, seen }, ({ functions }) => ({
                items: functions,
                bytes: 0,
              }))
              .pipe(map((part) => ({ i, part }))),
          flow.pool.inFlight,
        ),
        toArray(),
      ),
    );
    const found = together(parts.sort((a, b) => a.i - b.i).map(({ part }) => part));
    writeRecords(place, 'census', [encodeOutcome({ outcome: found, options: {} })]);
    return found;
  }
}
