/** dist/man and dist/completions: a manual page, and what bash, zsh and fish complete, from oclif.manifest.json: it has every command, flag and word. */
import fs from 'node:fs';
import path from 'node:path';
import { replace, root } from './bundle.mjs';
import { committedManifest } from './manifest.mjs';

const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));

/** Files below dist/ and their texts. */
export function shellFiles() {
  const commands = Object.values(JSON.parse(committedManifest()).commands)
    .map((command) => ({
      ...command,
      id: command.id.replaceAll(':', ' '),
      args: Object.values(command.args),
      flags: Object.values(command.flags),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    'man/klpflow.1': manual(commands),
    'completions/klpflow.bash': bash(commands),
    'completions/_klpflow': zsh(commands),
    'completions/klpflow.fish': fish(commands),
  };
}

export function writeShellFiles() {
  for (const [name, text] of Object.entries(shellFiles())) replace(path.join(root, 'dist', name), Buffer.from(text));
}

const valued = ({ type }) => type === 'option';
const plain = (text = '') =>
  text
    .replace(/<%= config\.bin %>/g, 'klpflow')
    .replace(/\s+/g, ' ')
    .trim();

function manual(commands) {
  // A line that begins with a dot or a quote would be a request.
  const roff = (text) =>
    text
      .replaceAll('\\', '\\e')
      .replaceAll('-', '\\-')
      .replace(/^([.'])/, '\\&$1');
  const flagLines = ({ name, char, helpValue, description, summary, type }) => [
    '.TP',
    `${char === undefined ? '' : `\\fB\\-${char}\\fR, `}\\fB\\-\\-${roff(name)}\\fR${type === 'option' ? ` \\fI${roff(helpValue ?? 'VALUE')}\\fR` : ''}`,
    roff(plain(summary ?? description)),
  ];
  return `${[
    `.TH KLPFLOW 1 "" "klpflow ${version}" "User Commands"`,
    '.SH NAME',
    'klpflow \\- make Linux livepatches from whole kernel objects',
    '.SH SYNOPSIS',
    '.B klpflow',
    '.I COMMAND',
    '[\\fIARGUMENT\\fR...] [\\fIFLAG\\fR...]',
    '.SH DESCRIPTION',
    'Compares a kernel object as shipped with the same one with a fix, and writes a livepatch that the kernel loads, or says why there can be none.',
    ...commands.flatMap(({ id, args, flags, summary, description, examples = [] }) => [
      `.SH ${roff(id.toUpperCase())}`,
      `\\fBklpflow ${roff(id)}\\fR${args.map(({ name, required }) => ` \\fI${required ? roff(name.toUpperCase()) : `[${roff(name.toUpperCase())}]`}\\fR`).join('')}`,
      '.PP',
      `${roff(plain(summary))}.`,
      ...(description === undefined ? [] : ['.PP', roff(plain(description))]),
      ...flags.filter(({ hidden }) => hidden !== true).flatMap(flagLines),
      ...(examples.length === 0 ? [] : ['.PP', 'Examples:', '.nf']),
      ...examples.map((example) => roff(plain(example).replaceAll('<%= command.id %>', id))),
      ...(examples.length === 0 ? [] : ['.fi']),
    ]),
    '.SH EXIT STATUS',
    '0 differences found or done, 1 error, 2 refused, 3 nothing changed, 130 interrupted; stand\\-ins for other programs have theirs.',
    '.SH ENVIRONMENT',
    '.TP',
    '.B KLPFLOW_CACHE_DIR',
    'where results are kept (default: klpflow in the cache of the user)',
    '.TP',
    '.B KLPFLOW_CACHE_LIMIT',
    'bytes of results beyond which a run removes those that were longest not used (default: 20 GB)',
  ].join('\n')}\n`;
}

/** Words that may stand first; of commands of several words, their first. */
const firstWords = (commands) =>
  [...new Set([...commands.map(({ id }) => id.split(' ', 1)[0]), 'help', 'version'])].sort();

function bash(commands) {
  const cases = commands.map(({ id, flags }) => {
    const words = flags.flatMap(({ name, char }) => [`--${name}`, ...(char === undefined ? [] : [`-${char}`])]);
    return `    '${id}') flags='${words.join(' ')} --help' ;;`;
  });
  const options = new Map();
  for (const { flags } of commands)
    for (const { name, options: words } of flags) if (words !== undefined) options.set(name, words.join(' '));
  const values = [...options].map(
    ([name, words]) => `    --${name}) COMPREPLY=($(compgen -W '${words}' -- "$word")); return ;;`,
  );
  return `# klpflow's completion for bash: source it, or put it into /usr/share/bash-completion/completions as klpflow.
_klpflow() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command='' flags='' i known
  local known_commands='${commands.map(({ id }) => id.replaceAll(' ', ':')).join(' ')}'
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${firstWords(commands).join(' ')}' -- "$word"))
    return
  fi
  case "$before" in
${values.join('\n')}
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    known=" $known_commands "
    case "$known" in
      *" \${command:+\${command// /:}:}\${COMP_WORDS[i]} "* | *" \${command:+\${command// /:}:}\${COMP_WORDS[i]}:"*) command="\${command:+$command }\${COMP_WORDS[i]}" ;;
      *) break ;;
    esac
  done
  case "$command" in
${subwords(commands)
  .map(([prefix, words]) => `    '${prefix}') COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$word")); return ;;`)
  .join('\n')}
${cases.join('\n')}
  esac
  if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _klpflow klpflow
`;
}

/** What may follow words that are no command by themselves. */
function subwords(commands) {
  const found = new Map();
  for (const { id } of commands) {
    const words = id.split(' ');
    for (let i = 1; i < words.length; i++) {
      const prefix = words.slice(0, i).join(' ');
      found.set(prefix, [...new Set([...(found.get(prefix) ?? []), words[i]])]);
    }
  }
  return [...found];
}

function zsh(commands) {
  const text = (words) =>
    plain(words)
      .replaceAll("'", "'\\''")
      .replace(/[[\]:]/g, '\\$&');
  const spec = ({ name, char, description, summary, options, multiple, helpValue, type }) => {
    const end =
      type !== 'option'
        ? ''
        : `:${text(helpValue ?? 'value')}:${options === undefined ? '_files' : `(${options.join(' ')})`}`;
    const names = [`--${name}`, ...(char === undefined ? [] : [`-${char}`])];
    return names
      .map((one) => `'${multiple === true ? '*' : ''}${one}[${text(summary ?? description)}]${end}'`)
      .join(' ');
  };
  return `#compdef klpflow
# klpflow's completion for zsh: put it into a folder of $fpath as _klpflow.
_klpflow() {
  local -a commands=(
${commands
  .filter(({ id }) => !id.includes(' '))
  .map(({ id, summary }) => `    '${id}:${text(summary)}'`)
  .join('\n')}
    'objtool:stand in for the objtool of the kernel'
    'help:help on a command'
    'version:tell the version'
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case "\${words[2]}" in
${commands
  .filter(({ id }) => !id.includes(' '))
  .map(({ id, flags }) => `    ${id}) _arguments ${flags.map(spec).join(' ')} '--help[show help]' '*:file:_files' ;;`)
  .join('\n')}
    objtool) _arguments '2:topic:(klp)' '3:command:(checksum diff post-link)' '*:file:_files' ;;
  esac
}
_klpflow "$@"
`;
}

function fish(commands) {
  const text = (words) => plain(words).replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  const lines = ["# klpflow's completion for fish: put it into ~/.config/fish/completions as klpflow.fish."];
  const seen = commands.filter(({ id }) => !id.includes(' '));
  for (const { id, summary } of seen)
    lines.push(`complete -c klpflow -n __fish_use_subcommand -f -a '${id}' -d '${text(summary)}'`);
  lines.push("complete -c klpflow -n __fish_use_subcommand -f -a objtool -d 'stand in for the objtool of the kernel'");
  for (const { id, flags } of seen)
    for (const flag of flags) {
      const { name, char, description, summary, options } = flag;
      const value = !valued(flag) ? '' : options === undefined ? ' -r' : ` -x -a '${options.join(' ')}'`;
      lines.push(
        `complete -c klpflow -n '__fish_seen_subcommand_from ${id}' -l ${name}${char === undefined ? '' : ` -s ${char}`}${value} -d '${text(summary ?? description)}'`,
      );
    }
  return `${lines.join('\n')}\n`;
}
