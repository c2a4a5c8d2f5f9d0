import { Command } from '@oclif/core';
import { diagnostic, diagnosticOf, type Diagnostic } from '../../diagnostics';

/** EX_USAGE of sysexits.h, with which GNU argp ends a program. */
const USAGE_EXIT = 64;

/** What a command line says, read as GNU argp reads it. */
export interface ArgpLine {
  options: ReadonlySet<string>;
  positionals: readonly string[];
}

/**
 * The base of commands that stand in for kpatch's: their command line, messages and exit codes. kpatch-build calls these
 * programs by their own conventions (options among arguments, abbreviated long ones, 64 for a wrong command line), which are not oclif's.
 */
export abstract class KpatchCommand extends Command {
  static override strict = false;
  /** The program's own name, for its messages. */
  protected abstract readonly program: string;
  /** Long options, each with its letter. */
  protected abstract readonly letters: Readonly<Record<string, string>>;
  /** How it is called, behind its name. */
  protected abstract readonly usage: string;
  protected abstract readonly positionalCount: number;
  /** Whether a line of standard output could not be written. */
  private lost = false;

  /** Does the work; the exit code. */
  protected abstract execute(line: ArgpLine): Promise<number>;

  async run(): Promise<void> {
    // oclif warns of a command that does not ask it to read the command line.
    this.parsed = true;
    // In place of oclif's own listener, which throws whatever it does not know: the output would stay half-written beside its name.
    process.stdout.removeAllListeners('error').on('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EPIPE' || this.lost) return;
      this.lost = true;
      this.tell(
        [diagnostic(code === 'ENOSPC' ? 'no-space' : 'write-failed', `cannot write to standard output: ${message}`)],
        false,
      );
      process.exitCode = 1;
    });
    process.stderr.on('error', () => undefined);
    const line = readLine(this.argv, this.letters, this.positionalCount);
    if (typeof line === 'string') {
      const usage = `Usage: ${this.program} [OPTION...] ${this.usage}\n`;
      if (line === '') process.stdout.write(usage);
      else
        process.stderr.write(`${this.program}: ${line}\n${usage}Try \`${this.program} --help' for more information.\n`);
      process.exitCode = line === '' ? 0 : USAGE_EXIT;
      return;
    }
    const exit = await this.execute(line);
    process.exitCode = this.lost ? 1 : exit;
  }

  protected override async catch(error: Error): Promise<void> {
    const found = diagnosticOf(error);
    process.stderr.write(`${this.program}: ERROR: ${found.message}\n      ${found.code}: ${found.hint}\n`);
    process.exitCode = 1;
  }

  /** Diagnostics as the program writes them: each with where it is and what helps; notes where they are asked for. */
  protected tell(diagnostics: readonly Diagnostic[], notes: boolean): void {
    for (const { severity, code, message, where, hint } of diagnostics) {
      if (severity === 'note' && !notes) continue;
      const place =
        where.section === undefined
          ? ''
          : ` (${where.section}${where.offset === undefined ? '' : `+0x${where.offset.toString(16)}`})`;
      process.stderr.write(
        `${severity === 'note' ? 'NOTE' : severity === 'warning' ? 'WARNING' : 'ERROR'}: ${message}${place}\n      ${code}: ${hint}\n`,
      );
    }
  }
}

/** The command line; what is wrong with it; '' where it asks for help. */
function readLine(
  argv: readonly string[],
  letters: Readonly<Record<string, string>>,
  count: number,
): ArgpLine | string {
  const long = [...Object.keys(letters), 'help', 'usage'];
  const options = new Set<string>();
  const positionals: string[] = [];
  let ended = false;
  for (const word of argv) {
    if (ended || word === '-' || !word.startsWith('-')) positionals.push(word);
    else if (word === '--') ended = true;
    else if (word.startsWith('--')) {
      const matches = long.includes(word.slice(2))
        ? [word.slice(2)]
        : long.filter((name) => name.startsWith(word.slice(2)));
      if (matches.length !== 1)
        return matches.length === 0
          ? `unrecognized option '${word}'`
          : `option '${word}' is ambiguous; possibilities:${matches.map((name) => ` '--${name}'`).join('')}`;
      options.add(matches[0]!);
    } else {
      for (const letter of word.slice(1)) {
        const name = letter === '?' ? 'help' : Object.keys(letters).find((option) => letters[option] === letter);
        if (name === undefined) return `invalid option -- '${letter}'`;
        options.add(name);
      }
    }
  }
  if (options.has('help') || options.has('usage')) return '';
  if (positionals.length !== count) return positionals.length < count ? 'Too few arguments' : 'Too many arguments';
  return { options, positionals };
}
