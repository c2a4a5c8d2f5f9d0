/**
 * The flow of two folders of objects: a kbuild tree, or the partitions that ThinLTO leaves. Every pair of files is one task, from
 * scan to assess, for most take milliseconds; all threads share the pairs, and there is one result.
 */
import { join } from 'node:path';
import { from, lastValueFrom, map, mergeMap, toArray } from 'rxjs';
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import type { DialectName } from '../livepatch/formats';
import { reportProfiles } from '../stages/assess';
import { learnHashes } from '../stages/compare';
import type { Flow } from './flow';
import { neededForPairs, neededMemory, type Load } from './memory';
import { reportUnchecked } from './rehearsal';
import { identify$, inputOf, type Identified } from './scan';
import { treeFiles, type TreeFiles } from './tree-files';
import type { UnitLivepatch } from './tree-output';
import type { InputFile, UnitRequest, UnitResult } from './types';
import { pairByNames } from './file-pairs';
import type { UnitNames } from '../stages/unit-names';
import { append } from '../lists';

export interface TreeRequest {
  orig: string;
  patched: string;
  /** The object that all units are linked into. */
  parentName: string;
  ftrace: InputFile | null;
  dialect: DialectName;
}

/** What the objects of all units are made from. */
export type TreeLivepatch = Omit<UnitRequest, 'place'>;

export interface TreeFindings {
  objects: Array<UnitResult['object']>;
  diagnostics: Diagnostic[];
  /** Whether a livepatch would hold anything. */
  changes: boolean;
  /** The objects that were made and recorded. */
  livepatches: UnitLivepatch[];
  /** All that was read. */
  inputs: Identified[];
}

interface FilePair {
  /** Path in ORIG's folder. */
  name: string;
  orig: Identified;
  patched: Identified;
}

/**
 * Compares two folders, and records a livepatch object of each unit that changed where `livepatch` says from what. Objects that are
 * equal byte for byte are not in the result.
 * @throws KlpflowError for a file that cannot be read, or holds no well-formed object
 */
export async function diffTrees(
  flow: Flow,
  request: TreeRequest,
  options: object,
  livepatch: TreeLivepatch | null,
): Promise<TreeFindings> {
  // Which files are objects? Told by content.
  const trees = { orig: treeFiles(request.orig), patched: treeFiles(request.patched) };
  for (const side of ['orig', 'patched'] as const) {
    if (trees[side].objects.length === 0)
      throw new KlpflowError(
        'no-objects',
        `${request[side]} holds no relocatable object${trees[side].skipped.length > 0 ? `; ${trees[side].skipped[0]} is none` : ''}`,
        { object: request[side] },
      );
  }

  // What is in them? Equal files need no further look.
  const [orig, patched] = [
    await identifyAll(flow, request.orig, trees.orig.objects),
    await identifyAll(flow, request.patched, trees.patched.objects),
  ];

  // Which file is which? Those with the same units, for ThinLTO numbers partitions by the order of its inputs.
  const { pairs, removed, added, ...link } = await pairFiles(flow, orig, patched);

  // What changed in each?
  const found = await compareAll(flow, pairs, request, link, options, livepatch);
  // Of a build that gathers profiles every object is one.
  let counting = 0;
  const diagnostics = found
    .flatMap((unit) => unit.diagnostics)
    .filter(({ code }) => code !== 'instrumented-build' || counting++ === 0);
  for (const [names, what] of [
    [removed, 'ORIG'],
    [added, 'PATCHED'],
  ] as const) {
    if (names.length > 0)
      diagnostics.push(
        diagnostic('unit-mismatch', `${names.length} objects exist in ${what} only: ${listed(names)}`, {
          object: what === 'ORIG' ? request.orig : request.patched,
        }),
      );
  }
  append(
    diagnostics,
    reportUnchecked(
      found.flatMap(({ unchecked }) => (unchecked === null ? [] : [unchecked])),
      request.patched,
    ),
  );
  if (livepatch !== null && added.length > 0)
    diagnostics.push(
      diagnostic(
        'added-unit',
        `${added.length} objects exist in PATCHED only, and nothing is made of them: ${listed(added)}`,
        { object: request.patched },
      ),
    );
  append(
    diagnostics,
    reportProfiles(
      found.map(({ profile }) => profile),
      request.patched,
    ),
  );
  append(diagnostics, skippedFiles(request.patched, trees.patched));
  return {
    objects: found.map(({ object }) => object),
    diagnostics,
    inputs: [...orig.values(), ...patched.values()],
    changes: found.some(({ changes }) => changes),
    livepatches: found.flatMap(({ made, livepatch: unit }) => (made && unit !== null ? [unit] : [])),
  };
}

async function identifyAll(flow: Flow, root: string, names: readonly string[]): Promise<Map<string, Identified>> {
  flow.progress.expect('identify', root, names.length);
  const found = await lastValueFrom(
    from(names).pipe(
      mergeMap(
        (name) =>
          from(inputOf(flow, join(root, name))).pipe(
            mergeMap((input) => identify$(flow, input, root)),
            map((file) => [name, file] as const),
          ),
        flow.pool.inFlight,
      ),
      toArray(),
    ),
  );
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface PairedFiles {
  pairs: FilePair[];
  removed: string[];
  added: string[];
  /** LTO's hash of each unit in both builds. */
  unitHashes: Array<[string, string]>;
  /** Digests of promoted constants of both. */
  constants: Array<[string, string]>;
}

async function pairFiles(
  flow: Flow,
  orig: ReadonlyMap<string, Identified>,
  patched: ReadonlyMap<string, Identified>,
): Promise<PairedFiles> {
  const same = (name: string): boolean => orig.get(name)!.digest === patched.get(name)?.digest;
  const left = [...orig.keys()].filter((name) => !same(name));
  const right = [...patched.keys()].filter((name) => !orig.has(name) || !same(name));
  const [ours, theirs] = [await namesOf(flow, orig, left), await namesOf(flow, patched, right)];
  const { pairs, removed, added } = pairByNames(ours, theirs);
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  const unitHashes = pairs.flatMap(([name, other]) => [
    ...learnHashes(new Map(ours.get(name)!.promoted), new Map(theirs.get(other)!.promoted)),
  ]);
  return {
    pairs: pairs.map(([name, other]) => ({ name, orig: orig.get(name)!, patched: patched.get(other)! })),
    removed,
    added,
    unitHashes,
    constants: [...ours.values(), ...theirs.values()].flatMap((unit) => unit.constants),
  };
}

async function namesOf(
  flow: Flow,
  files: ReadonlyMap<string, Identified>,
  names: readonly string[],
): Promise<Map<string, UnitNames>> {
  const found = await lastValueFrom(
    from(names).pipe(
      mergeMap(
        (name) =>
          flow
            .task('correlate', null, 'unitNames', { input: files.get(name)! }, () => ({ items: 1, bytes: 0 }))
            .pipe(map((unit) => [name, unit] as const)),
        flow.pool.inFlight,
      ),
      toArray(),
    ),
  );
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

type Compared = UnitResult & { livepatch: UnitLivepatch | null };

async function compareAll(
  flow: Flow,
  pairs: readonly FilePair[],
  { parentName, ftrace, dialect }: TreeRequest,
  link: Pick<PairedFiles, 'unitHashes' | 'constants'>,
  options: object,
  livepatch: TreeLivepatch | null,
): Promise<Compared[]> {
  for (const { orig, patched } of pairs) {
    if (orig.machine !== patched.machine || orig.little !== patched.little)
      throw new KlpflowError(
        'machine-mismatch',
        `${orig.path} and ${patched.path} are for different processors or byte orders`,
        { object: patched.path },
      );
  }
  const largest = pairs.reduce<Load[]>(
    (most, { orig, patched }) =>
      neededMemory([orig.load, patched.load], 1) > neededMemory(most, 1) ? [orig.load, patched.load] : most,
    [],
  );
  flow.reserve((threads) => neededForPairs(largest, threads));
  flow.progress.expect('compare', null, pairs.length);
  const found = await lastValueFrom(
    from(pairs).pipe(
      mergeMap(({ name, orig, patched }, i) => {
        const key = JSON.stringify({
          ...options,
          unit: name,
          ...link,
          ...(livepatch === null ? {} : madeFrom(livepatch)),
        });
        const place = flow.runDir.outcome(orig.digest, patched.digest, key);
        const made =
          livepatch === null ? null : { ...livepatch, place: flow.runDir.livepatch(orig.digest, patched.digest, key) };
        return flow
          .task(
            'compare',
            null,
            'unit',
            {
              orig,
              patched,
              name,
              place,
              fresh: flow.fresh,
              structSizes: flow.structSizes,
              ...link,
              dialect,
              parentName,
              ftrace,
              livepatch: made,
            },
            () => ({ items: 1, bytes: orig.identity.size + patched.identity.size }),
          )
          .pipe(
            map((unit) => ({ i, unit: { ...unit, livepatch: made === null ? null : { name, place: made.place } } })),
          );
      }, flow.pool.inFlight),
      toArray(),
    ),
  );
  return found.sort((a, b) => a.i - b.i).map(({ unit }) => unit);
}

/** What tells one set of files and options from another. */
function madeFrom({ symvers, kernel, klpArch }: TreeLivepatch): object {
  return { klpArch, symvers: symvers.identity, kernel: kernel.identity };
}

function skippedFiles(root: string, { skipped }: TreeFiles): Diagnostic[] {
  return skipped.length === 0
    ? []
    : [
        diagnostic(
          'skipped-files',
          `${skipped.length} files are named like objects and hold no machine code: ${listed(skipped)}`,
          { object: root },
        ),
      ];
}

/** Names for a message: the first few. */
function listed(names: readonly string[]): string {
  return names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
}
