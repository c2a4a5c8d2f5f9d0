import { basename, extname, resolve } from 'node:path';
import { Flags } from '@oclif/core';
import { emptyName } from '../diagnostics';
import {
  MatrixFolder,
  checkMatrix,
  matrix,
  matrixStatus,
  type MatrixCheck,
  type MatrixResult,
  type MatrixStatus,
} from '../index';
import { matrixPages } from '../report/html/matrix-pages';
import { renderCheck, renderMatrix, renderStatus } from '../report/matrix';
import { matrixView } from '../report/matrix-progress';
import type { ProgressMode } from '../report/progress';
import { EXIT } from './diff';
import { RUN_FLAGS, RunCommand } from './support/run-command';
import { argument } from './support/argument';

const { btf: _btf, 'trace-out': _trace, ...OWN_RUN_FLAGS } = RUN_FLAGS;

/** What `--json` prints; the second with `--check`, the third with `--status` and `--detach`. */
export type MatrixAnswer = MatrixResult | MatrixCheck | MatrixStatus;

export default class Matrix extends RunCommand {
  static override summary = 'make livepatches of many patches for many kernels';
  static override description =
    'FILE says in YAML which kernels there are (a source to build, or saved objects) and which patches, and what is for what; schemas/matrix-file.schema.json in the package describes it. Each kernel and patch is a cell: a livepatch, or the reasons why there is none. Cells run side by side, as many as --workers and --memory allow: a pair of objects takes 116 MB, 107 bytes a symbol and 29 a section, a build 500 MB for each program at a time. Results are kept by content: a run that was stopped or killed goes on where it was, and what is the same is not done again. Exit codes, by the worst cell: 0 patchable, 3 nothing changed, 2 refused, 1 failed, 130 interrupted.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fleet.yaml --check',
    '<%= config.bin %> <%= command.id %> fleet.yaml -o july',
  ];
  static override enableJsonFlag = true;
  static override args = {
    file: argument({ name: 'FILE', description: 'kernels and patches, as YAML', required: true }),
  };
  static override flags = {
    ...OWN_RUN_FLAGS,
    output: Flags.string({
      char: 'o',
      description: 'folder for livepatches, reports and index.html (default: FILE without its ending, and .matrix)',
      helpValue: 'DIR',
    }),
    check: Flags.boolean({
      description: 'say all that is missing, of all kernels, and which patches do not fit; do nothing else',
    }),
    store: Flags.string({
      description:
        'where results are kept; with --redis a folder that all machines see, or s3://BUCKET/FOLDER (default: in the run directory)',
      helpValue: 'STORE',
      env: 'KLPFLOW_STORE',
    }),
    redis: Flags.string({
      description: 'let workers do it, which take their jobs from this Redis; rediss:// for TLS',
      helpValue: 'URL',
      env: 'KLPFLOW_REDIS',
    }),
    detach: Flags.boolean({
      description: 'with --redis: submit, and do not wait; the same command without it comes back',
      dependsOn: ['redis'],
      exclusive: ['check', 'status'],
    }),
    status: Flags.boolean({ description: 'say how every cell stands; do nothing else', exclusive: ['check'] }),
  };

  async run(): Promise<MatrixAnswer> {
    const { args, flags } = await this.parse(Matrix);
    const { store, redis } = flags;
    const given = { file: args.file, store, redis };
    const { file } = args;
    if (store === '') throw emptyName('--store');
    if (flags.output === '') throw emptyName('-o');
    const folder = resolve(flags.output ?? `${basename(file, extname(file))}.matrix`);
    const view = matrixView(flags.progress as ProgressMode, process.stderr);
    const step = (what: string): void => view.note(what);
    if (flags.check) {
      const found = await this.running(flags, (options) => checkMatrix({ ...options, ...given, step }));
      this.log(renderCheck(found));
      if (!found.ok) process.exitCode = found.missing.length > 0 ? 1 : EXIT.refused;
      return found;
    }
    if (flags.status || flags.detach) {
      const found = await this.running(flags, (options) =>
        matrixStatus({ ...options, ...given, step, submit: flags.detach }),
      );
      this.log(renderStatus(found));
      return found;
    }
    const output = MatrixFolder.open(folder);
    try {
      const run = await this.running(flags, (options) =>
        matrix({ ...options, ...given, step, begun: (cells) => view.begun(cells), told: (event) => view.told(event) }),
      );
      view.end();
      const page = await output.write(run, matrixPages(basename(file), this.config.version));
      this.log(renderMatrix(run.result, page));
      process.exitCode = run.result.verdict === 'failed' ? 1 : EXIT[run.result.verdict];
      return run.result;
    } finally {
      view.end();
    }
  }
}
