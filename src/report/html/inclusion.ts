/** What goes in because something else does: callers of what cannot be redirected, new functions and variables that code came to use. */
import type { Report } from '../../index';
import { type Markup, html } from './markup';

interface Edge {
  to: string;
  why: string;
}

/** More lines nobody reads: the table has all. */
const MOST_ROOTS = 200;
const DEEPEST = 6;
const MOST_CHILDREN = 20;

/** A list of trees, of each changed function that brings something along; in the order of the result. Undefined where none does. */
export function inclusion({ result, code }: Report): Markup | undefined {
  const trees = result.objects.flatMap((object) => {
    const { functions, data } = object;
    const edges = new Map<string, Edge[]>();
    const add = (from: string, to: string, why: string): void => {
      const list = edges.get(from) ?? [];
      if (from !== to && !list.some((edge) => edge.to === to)) edges.set(from, [...list, { to, why }]);
    };
    const fresh = new Map<string, string>([
      ...functions.new.map(({ name }): [string, string] => [name, 'new function']),
      ...data.new.map(({ name }): [string, string] => [name, 'new variable']),
    ]);
    for (const { name, change } of functions.changed) {
      if (change?.kind !== 'code') continue;
      for (const reference of change.added) {
        const what = fresh.get(reference.name);
        if (what !== undefined) add(name, reference.name, `${what}, ${reference.kind}`);
      }
    }
    // What new functions use, their own instructions say.
    const listed = code.find((list) => list.object === object.name && list.state === 'new');
    functions.new.forEach(({ name }, i) => {
      for (const { patched } of listed?.explanations[i]?.rows ?? [])
        for (const word of patched?.text.match(/[\w.$]+/g) ?? [])
          if (fresh.has(word)) add(name, word, fresh.get(word)!);
    });
    for (const { name, via } of functions.carried) if (via[0] !== undefined) add(via[0], name, 'caller, taken along');
    return functions.changed.filter(({ name }) => edges.has(name)).map(({ name }) => branch(name, '', edges, [name]));
  });
  if (trees.length === 0) return undefined;
  const rest = trees.length - MOST_ROOTS;
  return html`<section aria-labelledby="inclusion"><h2 id="inclusion">What inclusion brings along</h2><ul class="tree">${trees.slice(0, MOST_ROOTS)}</ul>${rest > 0 && html`<p>${rest} more in the table of functions.</p>`}</section>`;
}

function branch(
  name: string,
  why: string,
  edges: ReadonlyMap<string, readonly Edge[]>,
  path: readonly string[],
): Markup {
  const next = path.length >= DEEPEST ? [] : (edges.get(name) ?? []).filter(({ to }) => !path.includes(to));
  const rest = next.length - MOST_CHILDREN;
  return html`<li><code>${name}</code>${why !== '' && html` <span class="dim">${why}</span>`}${
    next.length > 0 &&
    html`<ul>${next.slice(0, MOST_CHILDREN).map((edge) => branch(edge.to, edge.why, edges, [...path, edge.to]))}${rest > 0 && html`<li class="dim">${rest} more</li>`}</ul>`
  }</li>\n`;
}
