import { runs, type RunListing } from '../index';
import { plural } from '../report/words';
import { BaseCommand } from './support/base-command';
import { RUN_DIR_FLAG } from './support/run-command';

export default class Runs extends BaseCommand {
  static override summary = 'list the objects and pairs that the run directory knows';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override enableJsonFlag = true;
  static override flags = RUN_DIR_FLAG;

  async run(): Promise<RunListing> {
    const { flags } = await this.parse(Runs);
    const listing = await runs({ runDir: flags['run-dir'] });
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
