/** `--since OLD.ko`: what becomes of a loaded livepatch when the new one comes: what the new one leaves out, and whether the kernel lets it take the other's place. */
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import { ElfObject } from '../elf';
import { verify, type VerifyResult } from '../verify';
import type { ShippedKernel } from '../verify/shipped';
import { dataSetBy } from './set-data/table';

export interface SinceReport {
  /** The old livepatch, by its file and its module's name. */
  path: string;
  module: string;
  /** Functions that it redirects and the new one does not: they are the kernel's own again. */
  dropped: Array<{ object: string; name: string; sympos: number }>;
  /** States that either has and the other has not, or in another version; null where one has not. */
  states: Array<{ id: number; old: number | null; new: number | null }>;
  /** What it has set (`--set-data`) and the new one does not: it stays, as the kernel calls no callbacks of what is replaced. */
  data: string[];
  /** Its callbacks, which are not called when it is replaced. */
  callbacks: Array<{ object: string; function: string }>;
  /** Whether the new one may come while it is loaded, taking its place; why not. */
  mayReplace: boolean;
  reasons: string[];
}

type Module = VerifyResult['module'];

/** @throws KlpflowError where the old module cannot be read; `usage` where it is no livepatch */
export function compareSince(
  path: string,
  { made, shipped }: { made: VerifyResult; shipped: ShippedKernel | undefined },
): SinceReport {
  const { module: old } = verify({ module: path, shipped });
  const { module: now } = made;
  if (old.objects.length === 0) throw new KlpflowError('usage', `--since ${path}: it is no livepatch`);
  const dropped = old.objects.flatMap(({ name: object, functions }) =>
    functions
      .filter(({ name, sympos }) => !redirects(now, object, name, sympos))
      .map(({ name, sympos }) => ({ object, name, sympos })),
  );
  const [before, after] = [dataSetBy(ElfObject.open(path)), dataSetBy(ElfObject.open(now.path))];
  const states = changedStates(old, now);
  const reasons = reasonsAgainst(old, now);
  for (const [place, value] of before)
    if (after.has(place) && after.get(place) !== value)
      reasons.push(`both set ${place}, to different values: the new one finds neither the kernel's value nor its own`);
  return {
    path,
    module: old.name,
    dropped,
    states,
    data: [...before.keys()].filter((place) => !after.has(place)),
    callbacks: old.patch?.callbacks ?? [],
    mayReplace: reasons.length === 0,
    reasons,
  };
}

function redirects({ objects }: Module, object: string, name: string, sympos: number): boolean {
  return objects.some(
    (one) =>
      one.name === object &&
      one.functions.some((other) => other.name === name && (other.sympos || 1) === (sympos || 1)),
  );
}

function changedStates(old: Module, now: Module): SinceReport['states'] {
  const versions = ({ patch }: Module): Map<number, number> =>
    new Map((patch?.states ?? []).map(({ id, version }) => [id, version]));
  const [before, after] = [versions(old), versions(now)];
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((id) => ({ id, old: before.get(id) ?? null, new: after.get(id) ?? null }))
    .filter((state) => state.old !== state.new);
}

/** As klp_is_patch_compatible decides, and what insmod refuses before it. */
function reasonsAgainst(old: Module, now: Module): string[] {
  const reasons: string[] = [];
  if (old.vermagic?.trim() !== now.vermagic?.trim())
    reasons.push(`it is for another kernel (vermagic ${old.vermagic?.trim()}, here ${now.vermagic?.trim()})`);
  if (old.name === now.name)
    reasons.push(`both modules are called ${now.name}, and the kernel loads no second of a name: pass --name`);
  if (now.patch?.replace !== true)
    reasons.push(
      'the new one is made with --no-replace: both stay, and of a function that both have the last loaded runs',
    );
  if (old.patch === null)
    reasons.push('it makes its klp_patch when it is loaded: its states and callbacks are not known');
  for (const { id, version } of old.patch?.states ?? []) {
    const own = now.patch?.states.find((state) => state.id === id);
    if (own === undefined) reasons.push(`it has changed state ${id}, of which the new one does not know`);
    else if (own.version < version)
      reasons.push(`state ${id} is of version ${version} there, and of ${own.version} in the new one`);
  }
  return reasons;
}

const NAMED = 8;

/** What people should know of it; the rest is in the report. */
export function tellSince({ module, path, dropped, data, callbacks, states, reasons }: SinceReport): Diagnostic[] {
  const say = (code: 'since-dropped' | 'since-left' | 'since-refused', what: string): Diagnostic =>
    diagnostic(code, what, { object: path });
  const listed = (names: readonly string[]): string =>
    `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`;
  const found: Diagnostic[] = [];
  if (reasons.length > 0)
    found.push(say('since-refused', `the new livepatch may not take the place of ${module}: ${reasons.join('; ')}`));
  if (dropped.length > 0)
    found.push(
      say(
        'since-dropped',
        `${module} redirects what the new livepatch does not: ${listed(dropped.map(({ object, name }) => (object === 'vmlinux' ? name : `${object}:${name}`)))}`,
      ),
    );
  const left = [
    ...data.map((place) => `${place} keeps the value that ${module} set`),
    ...(callbacks.length > 0
      ? [
          `${module} has callbacks (${listed(callbacks.map((one) => one.function))}) that the kernel does not call when it is replaced`,
        ]
      : []),
    ...states
      .filter((state) => state.old !== null && state.new !== null)
      .map(({ id, old, new: now }) => `state ${id} goes from version ${old} to ${now}`),
  ];
  if (left.length > 0) found.push(say('since-left', listed(left)));
  return found;
}
