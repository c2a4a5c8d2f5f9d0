import { createHash } from 'node:crypto';
import { Flags } from '@oclif/core';
import { checkOutput, report, writeAtomically, type DiffResult } from '../index';
import { reportPage } from '../report/html/page';
import { EXIT } from './diff';
import { DIFF_FLAGS, KERNEL_FLAGS, PAIR_ARGS, RunCommand, comparisonOf } from './support/run-command';

export interface ReportResult {
  schema: 'klpflow/report@1';
  verdict: DiffResult['verdict'];
  output: { path: string; bytes: number; sha256: string };
}

export default class Report extends RunCommand {
  static override summary = 'write what differs as one HTML file, for a review';
  static override description =
    'Compares as `diff` does and writes all of it into one file that needs no network: verdict and reasons, a table of functions to search and sort, the code of each one aligned, data, klp symbols, where the time went, and the inputs by digest. Exit codes as for `diff`.';
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o -o report.html'];
  static override enableJsonFlag = true;
  static override args = PAIR_ARGS;
  static override flags = {
    ...DIFF_FLAGS,
    ...KERNEL_FLAGS,
    output: Flags.string({ char: 'o', description: 'the file to write', helpValue: 'FILE.html', required: true }),
  };

  async run(): Promise<ReportResult> {
    const { args, flags } = await this.parse(Report);
    const { output: path, symvers, vmlinux, ftrace, 'module-image': moduleImages } = flags;
    checkOutput(path, [args.orig, args.patched, symvers, vmlinux, ftrace, ...(moduleImages ?? [])]);
    const found = await this.running({ ...args, ...flags }, (options) =>
      report({ ...options, ...args, ...comparisonOf(flags) }),
    );
    const page = Buffer.from(reportPage(found));
    await writeAtomically(path, [page]);
    const { verdict } = found.result;
    const sha256 = createHash('sha256').update(page).digest('hex');
    this.log(`${verdict.toUpperCase()}  ${path}: ${page.length} bytes`);
    process.exitCode = EXIT[verdict];
    return { schema: 'klpflow/report@1', verdict, output: { path, bytes: page.length, sha256 } };
  }
}
