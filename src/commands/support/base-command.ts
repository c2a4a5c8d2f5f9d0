import { Command } from '@oclif/core';
import { diagnostic, diagnosticOf, type Diagnostic } from '../../diagnostics';
import { painted, showsColour } from '../../report/paint';
import { renderError } from '../../report/text';
import { nearest } from '../../diagnostics/nearest';

/** What oclif throws for a command line that it does not understand, and nobody else. */
interface ParseError extends Error {
  oclif?: { exit?: number };
  parse?: unknown;
  args?: ReadonlyArray<{ name: string }>;
}

/** What `--json` prints where there is no result. */
export interface ErrorResult {
  schema: 'klpflow/error@1';
  diagnostics: [Diagnostic];
}

/** The base of all commands: errors and exit codes of the contract, in one place. */
export abstract class BaseCommand extends Command {
  protected override async init(): Promise<void> {
    await super.init();
    // Before oclif's own listener, which throws whatever it does not know. A reader that has seen enough is no error.
    process.stdout.prependListener('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EPIPE') return;
      process.stderr.write(
        renderError(
          diagnostic(
            code === 'ENOSPC' ? 'no-space' : 'write-failed',
            `cannot write the result to standard output: ${message}`,
          ),
        ),
      );
      process.exit(1);
    });
    // Progress that nobody can read must not end the run.
    process.stderr.on('error', () => undefined);
  }

  /** Coloured where standard output shows that. */
  override log(message = '', ...rest: string[]): void {
    super.log(showsColour(process.stdout) ? painted(message) : message, ...rest);
  }

  /** One clear error, as text on stderr or as JSON on stdout. */
  protected override async catch(error: ParseError): Promise<void> {
    const found = error.oclif === undefined && error.parse === undefined ? diagnosticOf(error) : this.usage(error);
    process.exitCode = found.code === 'interrupted' ? 130 : 1;
    if (this.jsonEnabled()) this.logJson({ schema: 'klpflow/error@1', diagnostics: [found] } satisfies ErrorResult);
    else process.stderr.write(found.code === 'interrupted' ? `${found.hint}\n` : renderError(found));
  }

  /** The flag that one which does not exist was probably meant to be. */
  private meant(said: string): string {
    const [, typed] = /^Nonexistent flag: (--[\w-]+)/.exec(said) ?? [];
    // Undefined where the command has none.
    const own: object | undefined = this.ctor.flags;
    const flags = [...Object.keys(own ?? {}), 'help'].map((name) => `--${name}`);
    const near = typed === undefined ? undefined : nearest(typed, flags);
    return near === undefined ? '' : `; did you mean ${near}?`;
  }

  /** Says how the command is called, where oclif prints its whole help. */
  private usage({ message, args }: ParseError): Diagnostic {
    // Said here, so that oclif does not warn of it.
    this.parsed = true;
    const command = `${this.config.bin} ${this.id!.replaceAll(':', ' ')}`;
    const missing =
      message.startsWith('Missing') && args !== undefined
        ? `missing ${args.map(({ name }) => name.toUpperCase()).join(' and ')}`
        : undefined;
    const said =
      missing ??
      message
        .replace(/\s*See more help with --help/, '')
        .replace(/^Parsing (--\S+)\s+/, '$1: ')
        .replace(/\s+/g, ' ')
        .trim();
    const names = Object.values(this.ctor.args).map(({ name, required }) =>
      required === true ? name.toUpperCase() : `[${name.toUpperCase()}]`,
    );
    return {
      ...diagnostic('usage', `${said}${this.meant(said)}`),
      hint: `Usage: ${[command, ...names].join(' ')} [FLAGS]; ${command} --help lists the flags.`,
    };
  }
}
