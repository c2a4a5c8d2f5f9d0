/**
 * Sections of code without symbols that is jumped to from functions and back, and goes where they go: what runs after a fault (`.fixup`,
 * until 5.16), alternatives of ppc64's feature tests, slow paths of refcounts (4.15 to 5.4).
 */
export function holdsCodePieces(section: string): boolean {
  return /^__ftr_alt_|^\.text\.\.refcount$|^\.fixup$/.test(section);
}
