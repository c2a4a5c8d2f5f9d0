import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KlpflowError, diagnostic, type Diagnostic } from '../diagnostics';
import { ElfObject } from '../elf';
import { moduleInfo } from '../kernel/modinfo';
import { treeFiles } from './tree-files';

/** A linked object of both builds: vmlinux, or a module. */
export interface ObjectPair {
  orig: string;
  patched: string;
  /** Its name, where neither object says it: single units of a module do not. */
  module?: string;
  /** ORIG compiled as the kernel's build does it, without -ffunction-sections. */
  plain?: string | undefined;
}

export interface ObjectPairs {
  pairs: ObjectPair[];
  /** What only one of the folders has. */
  diagnostics: Diagnostic[];
}

/** Linked objects of a folder, and those that they are linked of, by path. */
interface LinkedObjects {
  linked: string[];
  units: string[];
}

const VMLINUX = 'vmlinux.o';

/**
 * The pairs of linked objects of two folders. Undefined where they hold units, too, and `whole` does not ask for livepatches of linked objects:
 * then every unit is compared by itself.
 * @throws KlpflowError `no-objects`, `usage` for a unit that changed and belongs to no object that is there
 */
export function objectPairs(orig: string, patched: string, whole: boolean): ObjectPairs | undefined {
  const [ours, theirs] = [linkedObjects(orig), linkedObjects(patched)];
  if (!whole && (ours.units.length > 0 || theirs.units.length > 0 || ours.linked.length === 0)) return undefined;
  for (const [root, { linked }] of [
    [orig, ours],
    [patched, theirs],
  ] as const) {
    if (linked.length === 0)
      throw new KlpflowError(
        'no-objects',
        `${root} holds neither ${VMLINUX} nor an object of a module: a livepatch module is made of linked objects`,
        { object: root },
      );
  }
  // vmlinux first, as in a list of pairs.
  const both = ours.linked
    .filter((name) => theirs.linked.includes(name))
    .sort((a, b) => Number(b === VMLINUX) - Number(a === VMLINUX));
  checkUnits(
    orig,
    patched,
    both,
    ours.units.filter((name) => theirs.units.includes(name)),
  );
  const [removed, added] = [
    ours.linked.filter((name) => !both.includes(name)),
    theirs.linked.filter((name) => !both.includes(name)),
  ];
  const diagnostics: Diagnostic[] = [];
  if (removed.length > 0)
    diagnostics.push(
      diagnostic('unit-mismatch', `${removed.length} objects exist in ORIG only: ${removed.slice(0, 5).join(', ')}`, {
        object: orig,
      }),
    );
  if (added.length > 0)
    diagnostics.push(
      diagnostic(
        'added-unit',
        `${added.length} objects exist in PATCHED only, and nothing is made of them: ${added.slice(0, 5).join(', ')}`,
        { object: patched },
      ),
    );
  return { pairs: both.map((name) => ({ orig: join(orig, name), patched: join(patched, name) })), diagnostics };
}

/** Modules are those that kbuild lists, or that have a `.mod` file, or say so: a unit with MODULE_LICENSE() looks like a module, too. */
function linkedObjects(root: string): LinkedObjects {
  const { objects } = treeFiles(root);
  const listed = modulesOrder(root);
  const made = new Set(
    objects.filter((name) => name.endsWith('.o') && existsSync(join(root, `${name.slice(0, -2)}.mod`))),
  );
  const isModule = (name: string): boolean =>
    listed?.has(name) ?? (made.size > 0 ? made.has(name) : moduleInfo(ElfObject.open(join(root, name))).module);
  const isLinked = (name: string): boolean => name === VMLINUX || (!name.endsWith('.mod.o') && isModule(name));
  const linked = objects.filter(isLinked);
  const known = new Set(linked);
  return { linked, units: objects.filter((name) => !known.has(name) && !name.endsWith('.mod.o')) };
}

/** `modules.order`: a module's object a line, before 6.2 its `.ko` and before 5.10 below `kernel/`. */
function modulesOrder(root: string): ReadonlySet<string> | undefined {
  const path = join(root, 'modules.order');
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, 'utf8').split('\n');
  return new Set(
    lines.map((line) =>
      line
        .trim()
        .replace(/^kernel\//, '')
        .replace(/\.ko$/, '.o'),
    ),
  );
}

/** Units are parts of linked objects: of vmlinux, or of a module in the same folder. One that changed and is of neither would be left out in silence. */
function checkUnits(orig: string, patched: string, linked: readonly string[], units: readonly string[]): void {
  if (linked.includes(VMLINUX)) return;
  const folders = new Set(linked.map((name) => dirname(name)));
  for (const name of units) {
    if (folders.has(dirname(name)) || readFileSync(join(orig, name)).equals(readFileSync(join(patched, name))))
      continue;
    throw new KlpflowError(
      'usage',
      `${join(patched, name)} changed, and no object is there that it is linked into: put the ${VMLINUX} of each build into its folder`,
    );
  }
}
