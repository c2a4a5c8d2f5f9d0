/** Names that kpatch's rules go by. */

const UBSAN = [
  '.data.rel.local..Lubsan_data',
  '.data..Lubsan_type',
  '.Lubsan_data',
  '.data..Lubsan_data',
  '.rela.data..Lubsan_data',
  '.rela.data.rel.local..Lubsan_data',
];
const DISCARDED = [
  '__exitcall_',
  '__brk_reservation_fn_',
  '__func_stack_frame_non_standard_',
  '__trace_check',
  '.L.str',
  '.L__const',
];

/** Locals that the link of the parent may have dropped: they need not be in its symbol table. */
export function mayBeDiscarded(name: string): boolean {
  return (
    DISCARDED.some((prefix) => name.startsWith(prefix)) ||
    name.includes('__addressable_') ||
    name.includes('__UNIQUE_ID_') ||
    UBSAN.some((prefix) => name.startsWith(prefix))
  );
}

/** The function that a `.cold` or `.part` function was split off from: the text before the first of these. */
export function parentName(name: string): string | undefined {
  const at = name.indexOf('.cold');
  const end = at >= 0 ? at : name.indexOf('.part.');
  return end > 0 ? name.slice(0, end) : undefined;
}

/** Sections that -ffunction-sections makes for one function; a function elsewhere (`.init.text`) shares its section. */
export function isOwnSection(section: string, name: string): boolean {
  return section === `.text.${name}` || section === `.text.unlikely.${name}` || section === `.text.hot.${name}`;
}
