/** A kernel whose image is not at hand: what has to be there in its place. */
import { diagnostic, type Diagnostic } from '../diagnostics';
import type { Kernel } from './kernel';
import type { ScopeName } from './scope';

/** @returns `kernel-not-found` */
export function checkWithoutImage(
  { noImage, symvers, modules }: Pick<Kernel, 'noImage' | 'symvers' | 'modules'>,
  scope: ScopeName,
): Diagnostic[] {
  if (noImage === null) return [];
  if (scope === 'units') return [noImage.refusal];
  const lacking = [
    ...(symvers === undefined ? ['Module.symvers (--symvers FILE)'] : []),
    ...(modules === undefined ? ['its modules (--modules DIR)'] : []),
  ];
  if (lacking.length === 0) return [];
  return [diagnostic('kernel-not-found', `${noImage.why}, and in its place ${lacking.join(' and ')} must be there`)];
}

/** @returns `kernel-not-found` where no module told how the kernel lays out `struct module` */
export function checkTemplate(
  { noImage, modules, release }: Pick<Kernel, 'noImage' | 'modules' | 'release'>,
  template: string | undefined,
): Diagnostic[] {
  if (noImage === null || template !== undefined) return [];
  return [
    diagnostic('kernel-not-found', `${noImage.why}, and no module of ${release} is in ${modules} (--modules DIR)`),
  ];
}
