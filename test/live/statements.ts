/** Statements that any function of a program may have: what ordinary fixes add, change and remove. */
import type { Item, Statement } from './model';
import type { Rng } from './rng';

const TEXTS = [
  'ready',
  'link is down',
  'no memory for queue',
  'state',
  'retry',
  'queue',
  'x',
  'bad header, dropped',
  'late',
  'end of table',
];
const text = (c: number): string => `${TEXTS[c % TEXTS.length]!}${c % 3 === 0 ? ` ${c % 7}` : ''}`;

/**
 * A static has its value set before the livepatch is there, so that a copy of it shows. One that an edit brings begins when the livepatch
 * is there: the warm-up leaves it alone.
 */
const live = (s: Statement, change: string): string => (s.fresh ? `if (!rt_warming) ${change}` : change);
const warm = (s: Statement, name: string): string => (s.fresh ? '' : `if (rt_warming) ${name} = ${s.d + 1000}; `);

/** C of each word. `acc` and `k` are variables, `n` is the unit-wide number of the statement's item. */
const WORDS: Record<string, (s: Statement) => string> = {
  add: ({ c }) => `acc += ${c};`,
  mix: ({ c, d }) => `acc ^= (k + ${d}) * ${c}u;`,
  guard: ({ c, d }) => `if (k == ${c % 8}) return acc ^ ${d};`,
  print: ({ c, d }) => `if (k == ${d % 8}) _printk(KERN_INFO "${text(c)}: %u\\n", acc);`,
  counter: (s) => `{ static u32 count; ${live(s, `count += ${(s.c % 9) + 1};`)} ${warm(s, 'count')}acc += count; }`,
  state: (s) =>
    `{ static u32 state = ${s.d + 1}; ${live(s, `state = state * 5 + ${s.c};`)} ${warm(s, 'state')}acc ^= state; }`,
  ext: ({ c }) => `acc ^= ext(acc + ${c});`,
  warn: ({ c }) => `WARN_ON(k == ${c % 12});`,
  once: ({ c, d }) => `if (k > ${d % 5}) pr_once("${text(c)}\\n");`,
  loop: ({ c, d }) => `for (u32 i = 0; i < (k & 7) + ${d % 3}; i++) acc = acc * 31 + ${c};`,
  literal: ({ c }) => `acc += digest_str("${text(c)}");`,
  number: ({ c, d }) => `if (k == ${d % 4}) log_value("timer.c", ${c}, " ms");`,
  call: ({ c, name, fresh }) => `acc += ${fresh ? 'rt_warming ? 0 : ' : ''}${name}(k ^ ${c});`,
  cold: ({ c, d }) =>
    `if (unlikely(k == ${d % 12})) { _printk(KERN_ERR "${text(c)}\\n"); acc = ext(acc); warn_at("core", ${c}, "${text(d)}"); }`,
};

const STATIC = new Set(['counter', 'state']);
const WEIGHTS = {
  add: 3,
  mix: 3,
  guard: 4,
  print: 3,
  counter: 2,
  state: 2,
  ext: 3,
  warn: 2,
  once: 2,
  loop: 2,
  literal: 3,
  number: 1,
  cold: 2,
};

export function statement(r: Rng): Statement {
  return { word: r.weighted(WEIGHTS), c: r.from(1, 999), d: r.from(0, 99) };
}

export const call = (name: string, r: Rng, fresh: boolean): Statement => ({
  word: 'call',
  c: r.from(0, 9),
  d: 0,
  name,
  fresh,
});

/** Whether an item has statics that only its statements know: under another name, or in another unit, they would be others. */
export const hasState = (item: Item): boolean =>
  Object.values(item.slots)
    .flat()
    .some(({ word }) => STATIC.has(word));

export function statementText(s: Statement): string {
  return WORDS[s.word]!(s);
}

/** What edits do to the statements of one function. */
export function editStatements(item: Item, list: Statement[], r: Rng): string {
  const what = list.length === 0 ? 'add' : r.weighted({ add: 5, change: 4, remove: 1 });
  if (what === 'add') {
    const added = { ...statement(r), fresh: true };
    if (item.gone?.includes(added.word)) added.word = 'add';
    list.splice(r.from(0, list.length), 0, added);
    return `add-${added.word}`;
  }
  const at = r.below(list.length);
  const { word } = list[at]!;
  const returns =
    STATIC.has(word) &&
    Object.values(item.slots)
      .flat()
      .some((s) => s.word === word && s.fresh);
  if (what === 'remove' && word !== 'call' && !returns) {
    list.splice(at, 1);
    if (STATIC.has(word)) (item.gone ??= []).push(word);
    return `remove-${word}`;
  }
  // The initial value of a static's is not among what may change: the running kernel has its own by now.
  list[at]!.c += r.from(1, 50);
  return `change-${list[at]!.word}`;
}
