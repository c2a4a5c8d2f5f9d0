import type { Context } from '../context';
import { checkEntries } from '../special';
import { Sites } from '../tables';
import { checkAlternatives, checkPerCpu } from './alternatives';
import { checkFields, checkLoaderSections } from './fields';
import { checkHashes, checkSites, checkTraps } from './functions';

export { checkPlaceholders as checkA64Placeholders } from './functions';

/** What holds for a module of arm64 besides what holds for all. */
export function checkAarch64(context: Context): void {
  checkLoaderSections(context);
  checkFields(context);
  const sites = new Sites();
  checkEntries(context, sites);
  const ranges = checkAlternatives(context);
  checkPerCpu(context, ranges);
  checkSites(context);
  checkTraps(context, sites);
  checkHashes(context);
}
