/** Which folders' Makefiles may compile a C file. Make takes most of a minute to list all of drivers/, so it is asked only where the object is named. */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run } from './command';
import { codeFolders } from './folders';
import type { WorkTree } from './work-tree';

/** A Makefile that kbuild goes into says what is built there; others are included by one that does (virt/kvm/Makefile.kvm, display/Makefile of amdgpu). */
const ENTERED = /^\s*(?:obj|lib)-/m;

/** The folder of a C file, or the next above it that kbuild goes into, where its object is named on the way: fs/xfs/Makefile names those of libxfs. */
export function folderAbove({ tree }: Pick<WorkTree, 'tree'>, source: string): string | undefined {
  const object = objectOf(source);
  let named = false;
  for (let folder = dirname(source); folder !== '.'; folder = dirname(folder)) {
    const texts = makefilesIn(join(tree, folder));
    named ||= texts.some((text) => object.test(text));
    if (named && texts.some((text) => ENTERED.test(text))) return folder;
  }
  return undefined;
}

/**
 * Folders elsewhere that name the object by a path: drivers/usb/core has `../misc/onboard_usb_dev_pdevs.o`, and arch/x86/kvm includes
 * virt/kvm/Makefile.kvm, which has `$(KVM)/kvm_main.o`. @throws KlpflowError `interrupted`
 */
export async function foldersElsewhere(work: WorkTree, source: string): Promise<string[]> {
  const folder = dirname(source);
  const found = new Set<string>();
  const byPath = `(${escaped(basename(folder))}|[)}])/${escaped(basename(source, '.c'))}\\.o`;
  for (const makefile of await makefilesWith(work, byPath)) {
    const text = readFileSync(join(work.tree, makefile), 'latin1');
    if (ENTERED.test(text)) found.add(dirname(makefile));
    else for (const other of await makefilesWith(work, `include .*${escaped(makefile)}`)) found.add(dirname(other));
  }
  return [...found].filter((other) => `${folder}/`.startsWith(`${other}/`) === false);
}

async function makefilesWith(work: WorkTree, pattern: string): Promise<string[]> {
  const args = ['-rlE', '--include=Makefile*', '--include=Kbuild*', pattern, ...codeFolders(work.tree)];
  const { stdout } = await run({ program: 'grep', args, cwd: work.tree, signal: work.signal });
  return stdout.split('\n').filter(Boolean).sort();
}

function makefilesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^(?:Makefile|Kbuild)$/.test(name))
      .map((name) => readFileSync(join(folder, name), 'latin1'));
  } catch {
    // A patch may name any folder.
    return [];
  }
}

function objectOf(source: string): RegExp {
  return new RegExp(`(?:^|[\\s/,(])${escaped(basename(source, '.c'))}\\.o(?![\\w.-])`, 'm');
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
