import { Flags } from '@oclif/core';
import { runs, type RunListing } from '../index';
import { plural } from '../report/words';
import { BaseCommand } from './support/base-command';
import { byteCount } from './support/bytes';
import { RUN_DIR_FLAG } from './support/run-command';

export default class Runs extends BaseCommand {
  static override summary = 'list the objects and pairs that the run directory knows';
  static override description =
    'All that is there can be made again. --prune removes it, or as much as --older and --keep say, what was longest not used first; no run should be under way. Without it a run removes what is beyond 20 GB (KLPFLOW_CACHE_LIMIT in bytes), and says so. The directory is in KLPFLOW_CACHE_DIR, else in the cache of the user.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --prune --older 30',
    '<%= config.bin %> <%= command.id %> --prune --keep 5G',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    ...RUN_DIR_FLAG,
    prune: Flags.boolean({ description: 'remove what is there' }),
    older: Flags.integer({
      description: 'with --prune: what was not used for so many days',
      helpValue: 'DAYS',
      min: 0,
      dependsOn: ['prune'],
    }),
    keep: Flags.string({
      description: 'with --prune: until so much is left (500M, 5G)',
      helpValue: 'SIZE',
      dependsOn: ['prune'],
    }),
  };

  async run(): Promise<RunListing> {
    const { flags } = await this.parse(Runs);
    const keepBytes = flags.keep === undefined ? undefined : byteCount('--keep', flags.keep);
    const listing = await runs({
      runDir: flags['run-dir'],
      prune: flags.prune ? { olderDays: flags.older, keepBytes } : undefined,
    });
    if (listing.pruned !== undefined)
      this.log(`removed ${plural(listing.pruned.entries, 'result')}, ${megabytes(listing.pruned.bytes)}`);
    this.log(`run directory ${listing.runDir}${listing.exists ? '' : ': does not exist yet, the next run makes it'}`);
    for (const { digest, files, bytes, written, paths } of listing.objects)
      this.log(
        `  object ${digest}  ${plural(files, 'record')}, ${megabytes(bytes)}, ${age(written)}  ${paths.join(' ')}`,
      );
    const names = new Map(listing.objects.map(({ digest, paths }) => [digest, paths[0] ?? digest]));
    for (const { orig, patched, outcomes } of listing.pairs)
      this.log(`  pair   ${names.get(orig) ?? orig} ${names.get(patched) ?? patched}  ${plural(outcomes, 'outcome')}`);
    if (listing.exists)
      this.log(`  all of it: ${megabytes(listing.bytes)}; it may be deleted at any time, results are made again`);
    return listing;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** How long ago, in the largest unit that fits. */
function age(written: number): string {
  const minutes = Math.max(0, Math.round((Date.now() - written) / 60_000));
  if (minutes < 60) return `${plural(minutes, 'minute')} old`;
  return minutes < 48 * 60
    ? `${plural(Math.round(minutes / 60), 'hour')} old`
    : `${plural(Math.round(minutes / 1440), 'day')} old`;
}
