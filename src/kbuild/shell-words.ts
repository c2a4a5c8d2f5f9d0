/** The words of a command as make prints it, by the rules of the shell for quotes and backslashes. Nothing is expanded. */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote === "'") {
      if (char === "'") quote = undefined;
      else word += char;
    } else if (char === '\\' && (quote === undefined || '"\\$`\n'.includes(text[i + 1] ?? ''))) {
      word = (word ?? '') + (text[++i] ?? '');
    } else if (quote === '"') {
      if (char === '"') quote = undefined;
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** The commands of a line, as `;`, `&&` and `||` outside of quotes part them. */
export function shellCommands(line: string): string[] {
  const commands: string[] = [];
  let from = 0;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else if (char === '\\' && quote === '"') i++;
    } else if (char === '\\') i++;
    else if (char === '"' || char === "'") quote = char;
    else if (char === ';' || line.startsWith('&&', i) || line.startsWith('||', i)) {
      commands.push(line.slice(from, i).trim());
      if (char !== ';') i++;
      from = i + 1;
    }
  }
  commands.push(line.slice(from).trim());
  return commands.filter((command) => command !== '');
}
