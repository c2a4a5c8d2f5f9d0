import { listRuns, type RunListing } from '../index';
import { RUN_DIR_FLAG, RunCommand } from './support/run-command';

export default class Runs extends RunCommand {
  static override summary = 'list the objects and pairs that the run directory knows';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override enableJsonFlag = true;
  static override flags = RUN_DIR_FLAG;

  async run(): Promise<RunListing> {
    const { flags } = await this.parse(Runs);
    const listing = await listRuns(this.runDirectory(flags['run-dir']));
    this.log(`run directory ${listing.runDir}${listing.exists ? '' : ': does not exist yet, the next run makes it'}`);
    for (const { digest, files, bytes, paths } of listing.objects)
      this.log(`  object ${digest}  ${files} records, ${(bytes / 1e6).toFixed(1)} MB  ${paths.join(' ')}`);
    for (const { orig, patched, outcomes } of listing.pairs)
      this.log(`  pair   ${orig} ${patched}  ${outcomes} ${outcomes === 1 ? 'outcome' : 'outcomes'}`);
    return listing;
  }
}
