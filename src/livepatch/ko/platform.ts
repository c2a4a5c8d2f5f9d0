import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { LivepatchObject, PlatformFacts } from '../object';
import type { ModuleTemplate } from './template';
import type { TargetKernel } from './types';
import { largest } from '../../lists';

/** Facts that hold for the whole module, and the vermagic it gets. */
export interface Platform extends PlatformFacts {
  vermagic: string;
  /** Whether the kernel checks a version of each imported symbol (CONFIG_MODVERSIONS). */
  modversions: boolean;
}

/**
 * Facts of the kernel from all objects together: a small module may lack what its kernel has (indirect calls, say), but has
 * nothing that its kernel lacks. Appends to `found` where objects or the template are of another kernel.
 */
export function choosePlatform(
  objects: readonly LivepatchObject[],
  { template, image }: Pick<TargetKernel, 'template' | 'image'>,
  found: Diagnostic[],
): Platform {
  const all = objects.map(({ facts }) => facts);
  const first = <T>(of: (facts: PlatformFacts) => T | null): T | null =>
    all.map(of).find((value) => value !== null) ?? null;
  checkAlike(objects, found);
  refuseBeforeObjtool(objects, found);
  const own = first((facts) => facts.vermagic);
  // The kernel's own word, then that of its modules; ORIG's is that of a rebuild.
  const kernel = image?.vermagic == null ? template : { vermagic: image.vermagic, path: image.path };
  const vermagic = kernel?.vermagic ?? own;
  if (vermagic === null)
    found.push(
      diagnostic(
        'no-vermagic',
        `no object says which kernel it is for: ${objects[0]!.name} has no vermagic, and there is neither the kernel's image (--vmlinux vmlinuz) nor a --template`,
        { object: objects[0]!.name },
      ),
    );
  if (kernel !== undefined && own !== null) compareVermagic(kernel, own, found);
  return {
    vermagic: vermagic ?? '',
    modversions: (vermagic ?? '').split(' ').includes('modversions'),
    prefixBytes: largest(all.map((facts) => facts.prefixBytes)),
    functionAlign: largest(all.map((facts) => facts.functionAlign)),
    ibt: all.some((facts) => facts.ibt !== false),
    returns: all.some((facts) => facts.returns === 'thunk')
      ? 'thunk'
      : all.some((facts) => facts.returns === 'ret-int3')
        ? 'ret-int3'
        : 'ret',
    kcfi: chooseHashes(objects),
    orcAtStart: first((facts) => facts.orcAtStart),
    retpoline: all.some((facts) => facts.retpoline) || template?.retpoline === true || image?.retpoline === true,
    kobjectRelease: all.some((facts) => facts.kobjectRelease),
  };
}

/** A small module may show no hashes, or have no kCFI preambles; two that show different ones are of two kernels. */
function chooseHashes(objects: readonly LivepatchObject[]): PlatformFacts['kcfi'] {
  const all = objects.map(({ facts }) => facts.kcfi);
  if (all.includes('disagreement')) return 'disagreement';
  const known = all.filter((hashes) => typeof hashes === 'object' && hashes !== null);
  if (known.some(({ init, exit }) => init !== known[0]!.init || exit !== known[0]!.exit)) return 'disagreement';
  return known[0] ?? (all.includes('no-donor') ? 'no-donor' : null);
}

/** The kernel would find stacks without layouts unreliable and keep its calls to the return thunk: nothing of that can be made up here. */
function refuseBeforeObjtool(objects: readonly LivepatchObject[], found: Diagnostic[]): void {
  for (const { name, facts } of objects) {
    if (facts.ibt === 'before-objtool')
      found.push(
        diagnostic(
          'before-objtool',
          `ORIG of ${name} has functions with ENDBR, but no seals, stack layouts (ORC) or return sites: objtool has not run on it, and a module of its code would not work in an IBT kernel`,
          { object: name },
        ),
      );
  }
}

/** Facts that all who have them must share. */
const ALIKE: ReadonlyArray<readonly [what: string, of: (facts: PlatformFacts) => string | null]> = [
  ['vermagic', ({ vermagic }) => vermagic],
  ['bytes of padding before functions', ({ prefixBytes }) => (prefixBytes === 0 ? null : `${prefixBytes}`)],
  ['ORC word at the start of functions', ({ orcAtStart }) => orcAtStart],
];

function checkAlike(objects: readonly LivepatchObject[], found: Diagnostic[]): void {
  for (const [what, of] of ALIKE) {
    const having = objects.filter(({ facts }) => of(facts) !== null);
    for (const { name, facts } of having) {
      if (of(facts) === of(having[0]!.facts)) continue;
      found.push(
        diagnostic(
          'kernel-mismatch',
          `${name} and ${having[0]!.name} are of different kernels: ${what} is "${of(facts)}" and "${of(having[0]!.facts)}"`,
          { object: name },
        ),
      );
    }
  }
}

/**
 * Distributions build with a release string of their own, so a rebuilt ORIG has another one than the running kernel. The
 * loader overlooks that where symbols have versions; the words behind it must be equal in any case.
 */
function compareVermagic(
  { vermagic, path }: Pick<ModuleTemplate, 'vermagic' | 'path'>,
  own: string,
  found: Diagnostic[],
): void {
  const [release, flags] = divide(vermagic);
  const [ownRelease, ownFlags] = divide(own);
  if (flags !== ownFlags)
    found.push(
      diagnostic(
        'kernel-mismatch',
        `${path} is for a kernel with "${flags.trim()}", ORIG is one with "${ownFlags.trim()}"`,
        { object: path },
      ),
    );
  else if (release !== ownRelease && !flags.split(' ').includes('modversions')) {
    found.push(
      diagnostic(
        'kernel-mismatch',
        `${path} is for kernel ${release}, ORIG is ${ownRelease}, and without CONFIG_MODVERSIONS nothing shows that both are the same`,
        { object: path },
      ),
    );
  }
}

function divide(vermagic: string): [release: string, flags: string] {
  const at = vermagic.indexOf(' ');
  return at < 0 ? [vermagic, ''] : [vermagic.slice(0, at), vermagic.slice(at)];
}
